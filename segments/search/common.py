"""The next segments, by name, in which common words stand, where those are not near: in one query of PostgreSQL.

Goes in: the rows of a list that match and come after a place, and what the index of segments.search.index knows next.
Comes out: the first few rows. Must not know: requests, words, cursors.

They are among those that the index knows next; or, where a filter leaves too few of those, all rows are read in their
order. PostgreSQL decides that by itself in the midst of the query, so that it costs no round trip.
"""

import re
from collections.abc import Sequence
from itertools import count as numbers
from typing import Any

from django.db.models import BooleanField
from django.db.models.expressions import RawSQL

from segments.models import Segment
from segments.queries import SegmentQuerySet

# No row is in these conditions: what hangs on one that does not hold is not begun.
KNOWN_FILL = "(SELECT count(*) FROM known_rows) = %(page)s"
MORE_ARE_KNOWN = "(SELECT count(*) FROM known) = %(count)s"
FIRST_OF = f"""
    WITH known AS MATERIALIZED ({{known}}),
    known_rows AS MATERIALIZED ({{known_rows}})
    SELECT * FROM known_rows WHERE {KNOWN_FILL} OR NOT {MORE_ARE_KNOWN}
    UNION ALL
    SELECT * FROM ({{every}}) every WHERE NOT {KNOWN_FILL} AND {MORE_ARE_KNOWN}
    ORDER BY name_key {{direction}}, id {{direction}}
"""  # noqa: S608  # no value is in it
KNOWN = "SELECT segment FROM known UNION ALL SELECT unnest(%(outdated)s::bigint[])"
# Of what is not in the index yet, some may come after the last that it told of, and others that it knows before them.
IS_NO_LATER = f"""
    NOT {MORE_ARE_KNOWN} OR (segments_segment.name_key, segments_segment.id) {{no_later}}
        (SELECT name, segment FROM known ORDER BY name {{back}}, segment {{back}} LIMIT 1)
"""  # noqa: S608  # no value is in it


def first_of(
    rows: SegmentQuerySet,
    known: tuple[str, dict[str, Any]],
    outdated: Sequence[int],
    descending: bool,
    page: int,
) -> list[Segment]:
    """Return the first `page` of `rows`, which are in the order of names, `descending` or not.

    `known` is index.query_of_known from where `rows` begin, and `outdated` are primary keys of what the index does not
    know yet.
    """
    direction, back, no_later = ("DESC", "ASC", ">=") if descending else ("ASC", "DESC", "<=")
    is_no_later = RawSQL(IS_NO_LATER.format(no_later=no_later, back=back), (), BooleanField())  # noqa: S611  # of our words alone
    known_rows = rows.filter(is_no_later, pk__in=RawSQL(KNOWN, ()))  # noqa: S611  # the same
    query, parameters = known
    parameters = parameters | {"page": page, "outdated": list(outdated)}
    parts = {
        name: _named(part[:page], name, parameters) for name, part in (("known_rows", known_rows), ("every", rows))
    }
    return list(Segment.objects.raw(FIRST_OF.format(known=query, direction=direction, **parts), parameters))


def _named(rows: SegmentQuerySet, prefix: str, parameters: dict[str, Any]) -> str:
    """The query for `rows`; its values go into `parameters`, and have names in it that begin with `prefix`."""
    query, values = rows.query.sql_with_params()
    names = (f"{prefix}_{number}" for number in numbers())
    named = dict(zip(names, values, strict=False))
    parameters |= named
    in_order = iter(named)
    return re.sub(r"(?<!%)%s", lambda _: f"%({next(in_order)})s", query)
