"""Fixtures: a Klaviyo on the loopback."""

from collections.abc import Iterator

import pytest

from tests.klaviyo.fake import FakeKlaviyo


@pytest.fixture
def klaviyo() -> Iterator[FakeKlaviyo]:
    """A Klaviyo with nothing in it, being served."""
    with FakeKlaviyo().serving() as fake:
        yield fake
