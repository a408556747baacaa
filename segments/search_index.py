"""The index that finds the few segments of a million whose name or segment ID contains a text.

Goes in: channels and a folded text. Comes out: the primary keys of the segments that may match, or that they are too
many to say, and the list is read in its order instead. PostgreSQL looks through SearchText, by trigrams where the
extension pg_trgm can be had; SQLite searches in the index of names and needs none of this.

Trigrams make an insert six times slower, so no change waits for them: each one leaves a line in SearchBacklog, in its
own transaction, and the workers catch up when no job waits. What is in the backlog is looked at row by row; with more
than a few thousand segments in it the whole channel is. The search is always right; only its speed lags behind.
"""

import logging
from collections.abc import Iterable
from typing import Any

from django.db import DatabaseError, connection, transaction

from channels.models import Channel
from segments.changes.lock import WEB_WAIT, ChannelBusy, locked
from segments.models import SearchBacklog
from segments.queries import SegmentQuerySet
from segments.values import fold

log = logging.getLogger(__name__)

MOST = 10_000  # candidates: of more, a page of the list in its order is found sooner than they are
BATCH = 2_000  # segments brought up to date while their channel is held: well under a second

# First a NULL, if the backlog is too long to look at; then what the index knows; then what is in the backlog, in which
# segments that were created are found apart: a creation leaves no line in segments_change.
CANDIDATES = """
    WITH backlog AS MATERIALIZED (
        SELECT count(*) FILTER (WHERE b.change_set_id IS NULL) = 0
            AND COALESCE(sum(n.created + n.updated + n.deleted), 0) <= %(most)s AS is_short
        FROM segments_searchbacklog b
        LEFT JOIN segments_changesetchannel n ON n.change_set_id = b.change_set_id AND n.channel_id = b.channel_id
        WHERE b.channel_id = ANY(%(channels)s)
    )
    SELECT NULL FROM backlog WHERE NOT is_short
    UNION ALL
    (SELECT segment FROM segments_searchtext
    WHERE channel_id = ANY(%(channels)s) AND {text} LIKE %(like)s LIMIT %(most)s + 1)
    UNION ALL
    SELECT segment FROM (
        SELECT c.segment FROM segments_searchbacklog b
        JOIN segments_change c ON c.change_set_id = b.change_set_id AND c.channel_id = b.channel_id
        WHERE b.channel_id = ANY(%(channels)s)
        UNION
        SELECT g.id FROM segments_searchbacklog b JOIN segments_changeset s ON s.id = b.change_set_id
        JOIN segments_segment g ON g.id BETWEEN s.first_pk AND s.last_pk AND g.created_in_id = s.id
            AND g.channel_id = b.channel_id
        WHERE b.channel_id = ANY(%(channels)s)
    ) outdated WHERE (SELECT is_short FROM backlog)
"""
NEXT_TOUCHED = """
    (SELECT c.segment AS id FROM segments_change c
    WHERE c.change_set_id = %(set)s AND c.channel_id = %(channel)s AND c.segment > %(after)s
    ORDER BY c.segment LIMIT %(limit)s)
    UNION
    (SELECT g.id FROM segments_segment g
    WHERE g.id BETWEEN %(first)s AND %(last)s AND g.id > %(after)s
      AND g.created_in_id = %(set)s AND g.channel_id = %(channel)s
    ORDER BY g.id LIMIT %(limit)s)
    ORDER BY id LIMIT %(limit)s
"""
NEXT_OF_ALL = """
    (SELECT g.id FROM segments_segment g WHERE g.channel_id = %(channel)s AND g.id > %(after)s
    ORDER BY g.id LIMIT %(limit)s)
    UNION
    (SELECT t.segment FROM segments_searchtext t WHERE t.channel_id = %(channel)s AND t.segment > %(after)s
    ORDER BY t.segment LIMIT %(limit)s)
    ORDER BY id LIMIT %(limit)s
"""
TRIGRAMS = "CREATE EXTENSION IF NOT EXISTS pg_trgm"
TRIGRAM_INDEX = """
    CREATE INDEX IF NOT EXISTS segments_search_trigrams ON segments_searchtext USING gin (text gin_trgm_ops)
"""
FORGET = "DELETE FROM segments_searchtext WHERE segment = ANY(%s)"
LEARN = """
    INSERT INTO segments_searchtext (segment, channel_id, text)
    SELECT id, channel_id, name_key || chr(31) || id_key FROM segments_segment WHERE id = ANY(%s)
"""


def search(segments: SegmentQuerySet, channels: Iterable[Channel], text: str) -> SegmentQuerySet:
    """Return those of `segments`, which are of `channels`, that have `text` in their name or ID; all for a blank."""
    found = candidates(channels, fold(text))
    segments = segments.search(text)
    return segments if found is None else segments.filter(pk__in=found)


def candidates(channels: Iterable[Channel], folded: str) -> list[int] | None:
    """Return primary keys, among them all segments of `channels` that contain `folded`; None if those are too many.

    At most MOST, not all of which need to match, or to be there still.
    """
    if not (folded and SearchBacklog.is_kept()):
        return None
    # Without a trigram in it a text is found sooner by reading all: `||` keeps the index out.
    text = "text" if _has_trigram(folded) else "(text || '')"
    parameters: dict[str, Any] = {
        "channels": [channel.pk for channel in channels],
        "like": f"%{_escaped(folded)}%",
        "most": MOST,
    }
    with connection.cursor() as cursor:
        cursor.execute(CANDIDATES.format(text=text), parameters)
        found = [segment for (segment,) in cursor.fetchall()]
    return None if len(found) > MOST or None in found else found


def _has_trigram(folded: str) -> bool:
    """Whether pg_trgm finds a trigram in it: three letters or digits in a row, or it reads its whole index."""
    run = 0
    for character in folded:
        run = run + 1 if character.isalnum() else 0
        if run == 3:
            return True
    return False


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def catch_up() -> bool:
    """Bring the next few segments of the backlog up to date; whether there were any to bring.

    Their channel is held meanwhile, so nothing changes them and no other worker does the same; if a change is being
    written there, it is left for later.
    """
    line = SearchBacklog.objects.select_related("channel").order_by("pk").first() if SearchBacklog.is_kept() else None
    if line is None:
        return False
    try:
        with locked([line.channel], WEB_WAIT):
            return _catch_up(line.pk)
    except ChannelBusy:
        return False


def _catch_up(pk: int) -> bool:
    line = SearchBacklog.objects.select_related("change_set").filter(pk=pk).first()
    if line is None:  # another worker was first
        return True
    segments = _next(line)
    with connection.cursor() as cursor:
        cursor.execute(FORGET, [segments])
        cursor.execute(LEARN, [segments])
    if len(segments) < BATCH:
        line.delete()
    else:
        line.after = segments[-1]
        line.save(update_fields=["after"])
    return True


def _next(line: SearchBacklog) -> list[int]:
    """The primary keys of the next segments of `line`, at most BATCH, in their order."""
    change_set = line.change_set
    parameters: dict[str, Any] = {"channel": line.channel_id, "after": line.after, "limit": BATCH}
    if change_set:
        parameters |= {"set": change_set.pk, "first": change_set.first_pk, "last": change_set.last_pk}
    with connection.cursor() as cursor:
        cursor.execute(NEXT_TOUCHED if change_set else NEXT_OF_ALL, parameters)
        return [segment for (segment,) in cursor.fetchall()]


def make_trigrams() -> bool:
    """Make the index of trigrams, where PostgreSQL has pg_trgm and lets us; whether it is there."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(TRIGRAMS)
            cursor.execute(TRIGRAM_INDEX)
    except DatabaseError as error:
        log.warning("searching without trigrams, which is slower: %s", error)
        return False
    return True


def rebuild() -> None:
    """Have all segments of all channels brought up to date anew."""
    with transaction.atomic():
        SearchBacklog.objects.all().delete()
        for channel in Channel.objects.all():
            SearchBacklog.note(channel, None)
