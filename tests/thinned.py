"""What `make test` tries of many like cases; `make faults`, `make axe` and `make e2e` try them all."""

from collections.abc import Iterable
from typing import Any

import pytest


def thinned(cases: Iterable[Any], *kept: Any) -> list[Any]:
    """Return `cases` for parametrize, of which all but those `kept` are marked as long."""
    cases = list(cases)
    assert set(kept) <= set(cases), "what is kept is one of the cases"
    return [case if case in kept else pytest.param(case, marks=pytest.mark.long) for case in cases]
