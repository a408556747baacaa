"""The columns of segments_change as SQL: what is recorded of a segment `g` when something changes it."""

from segments.models import Change

BEFORE = (
    "before_name, before_segment_id, before_link, before_active, "
    "before_identity_key, before_name_key, before_id_key, before_change"
)
AFTER = "after_name, after_segment_id, after_link, after_active, after_change"
KEPT = ", ".join(Change.KEPT)

NOW = "g.name, g.segment_id, g.link, g.active, g.identity_key, g.name_key, g.id_key, g.last_change_id"  # for BEFORE
GONE = "'', '', '', FALSE"  # for AFTER but its change: the segment is no more
