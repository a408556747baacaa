"""Inactive on arrival: which new segments come in Inactive, by their names.

Goes in: rules and a name. Comes out: the rule that it matches. PURE. One match is enough; case and
spaces do not count, as in every comparison of names (RULES.md "Matching").
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from segments.values import fold

CONTAINS, LACKS = "contains", "lacks"
OPERATORS = {CONTAINS: "contains", LACKS: "does not contain"}
MAX_RULES = 50


class ArrivalRule(NamedTuple):
    """Names that contain `text`, or that do not."""

    operator: str
    text: str

    def matches(self, name: str) -> bool:
        """Return whether a segment of that name arrives inactive."""
        return (fold(self.text) in fold(name)) == (self.operator == CONTAINS)

    def __str__(self) -> str:
        return f"name {OPERATORS[self.operator]} “{self.text}”"


def rules_of(kept: Iterable[dict[str, Any]]) -> list[ArrivalRule]:
    """Return the rules as they were kept in JSON."""
    return [ArrivalRule(str(each["operator"]), str(each["text"])) for each in kept]


def rule_for(name: str, rules: Iterable[ArrivalRule]) -> ArrivalRule | None:
    """Return the first rule that `name` matches."""
    return next((rule for rule in rules if rule.matches(name)), None)
