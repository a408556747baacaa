"""The index that finds the few segments of a million in whose name or segment ID the words of a search are.

Goes in: channels and folded words. Comes out: the primary keys of the segments that may match, or that they are too
many to say, and then of the next ones by name. How a page is made of them is search.py. PostgreSQL looks through
SearchText: by trigrams where the extension pg_trgm can be had, and by pairs of letters for words too short for that.
SQLite searches in the index of names and needs none of this.

These indexes make an insert many times slower, so no change waits for them: each one leaves a line in SearchBacklog, in
its own transaction, and the workers catch up when no job waits. What is in the backlog is looked at row by row; with
more than a few thousand segments in it the whole channel is. The search is always right; only its speed lags behind.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from django.db import DatabaseError, connection, transaction

from channels.models import Channel
from segments.changes.lock import WEB_WAIT, ChannelBusy, locked
from segments.models import SearchBacklog
from segments.queries import COUNT_CAP

Place = tuple[str, int]  # a folded name and a primary key: where a segment stands in the order of names
FIRST, LAST = ("", 0), ("\U0010ffff" * 256, 0)  # before and behind any: no key is so long

log = logging.getLogger(__name__)

MOST = COUNT_CAP  # matches: of more, the next few in the order of the list are enough
BATCH = 2_000  # segments brought up to date while their channel is held: well under a second

# First how many segments are in the backlog, or NULL if they are too many to look at; then what the index knows; then
# what is in the backlog, in which segments that were created are found apart: a creation leaves no line in
# segments_change, and OFFSET has them looked up set by set, where a join reads all segments. Of what the index knows as
# many may be out of date as there are in the backlog.
CANDIDATES = """
    WITH backlog AS MATERIALIZED (
        SELECT CASE WHEN count(*) FILTER (WHERE b.change_set_id IS NULL) = 0
            AND COALESCE(sum(n.created + n.updated + n.deleted), 0) <= %(most)s
            THEN COALESCE(sum(n.created + n.updated + n.deleted), 0) END AS size
        FROM segments_searchbacklog b
        LEFT JOIN segments_changesetchannel n ON n.change_set_id = b.change_set_id AND n.channel_id = b.channel_id
        WHERE b.channel_id = ANY(%(channels)s)
    )
    SELECT 'backlog', size FROM backlog
    UNION ALL
    (SELECT 'known', segment FROM segments_searchtext
    WHERE channel_id = ANY(%(channels)s) AND {has_words} LIMIT (SELECT %(most)s + 1 + COALESCE(size, 0) FROM backlog))
    UNION ALL
    SELECT 'outdated', segment FROM (
        SELECT c.segment FROM segments_searchbacklog b
        JOIN segments_change c ON c.change_set_id = b.change_set_id AND c.channel_id = b.channel_id
        WHERE b.channel_id = ANY(%(channels)s)
        UNION
        SELECT g.id FROM segments_searchbacklog b JOIN segments_changeset s ON s.id = b.change_set_id
        CROSS JOIN LATERAL (
            SELECT id FROM segments_segment
            WHERE id BETWEEN s.first_pk AND s.last_pk AND created_in_id = s.id AND channel_id = b.channel_id OFFSET 0
        ) g
        WHERE b.channel_id = ANY(%(channels)s)
    ) outdated WHERE (SELECT size FROM backlog) IS NOT NULL
"""
# A text begins with the name, up to U+001F; of a name that was too long when folded that is followed by a digest.
NAME = """
    CASE WHEN strpos(text, chr(31)) = 223 AND substr(text, 256, 1) = chr(31) THEN left(text, 255)
    ELSE split_part(text, chr(31), 1) END
"""
NEXT_KNOWN = """
    SELECT name, segment FROM (
        SELECT {name} AS name, segment FROM segments_searchtext WHERE channel_id = ANY(%(channels)s) AND {has_words}
    ) known
    WHERE (name, segment) {beyond} (%(name)s, %(segment)s)
    ORDER BY name {direction}, segment {direction} LIMIT %(count)s
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


@dataclass(frozen=True)
class Candidates:
    """What the index knows of a search.

    `keys`: primary keys, among them those of all segments that match; not all of which need to match, or to be there
    still. None if it cannot say, or if more than MOST match, which `too_many` says. `outdated` are those of the
    backlog.
    """

    keys: list[int] | None = None
    too_many: bool = False
    outdated: Sequence[int] = ()


def candidates(channels: Iterable[Channel], words: Sequence[str], most: int | None = None) -> Candidates:
    """Return what is known of the segments of `channels` in whose name or ID all of the folded `words` are.

    `most` is used instead of MOST.
    """
    if not (words and SearchBacklog.is_kept()):
        return Candidates()
    most = MOST if most is None else most
    has_words, parameters = _has_words(channels, words)
    with connection.cursor() as cursor:
        cursor.execute(CANDIDATES.format(has_words=has_words), parameters | {"most": most})
        (_, backlog), *found = cursor.fetchall()
    if backlog is None:
        return Candidates()
    outdated = [segment for what, segment in found if what == "outdated"]
    if len(found) - len(outdated) > most + backlog:
        return Candidates(too_many=True, outdated=outdated)
    return Candidates([segment for _, segment in found])


def narrows(words: Sequence[str]) -> bool:
    """Whether the index can find any of the folded `words` without reading all texts."""
    return any(len(word) > 1 for word in words)


def next_known(
    channels: Iterable[Channel], words: Sequence[str], place: Place, descending: bool, count: int
) -> tuple[list[int], Place | None]:
    """Return primary keys of the next `count` segments by name behind `place` that the index knows.

    And the place of the last one, up to which it knows them all; None if there are no more of them.
    """
    with connection.cursor() as cursor:
        cursor.execute(*query_of_known(channels, words, place, descending, count))
        found = cursor.fetchall()
    return [segment for _, segment in found], found[-1] if len(found) == count else None


def query_of_known(
    channels: Iterable[Channel], words: Sequence[str], place: Place, descending: bool, count: int
) -> tuple[str, dict[str, Any]]:
    """The query, with its parameters, for the folded names and primary keys of those, as `name` and `segment`."""
    has_words, parameters = _has_words(channels, words)
    beyond, direction = ("<", "DESC") if descending else (">", "ASC")
    query = NEXT_KNOWN.format(name=NAME, has_words=has_words, beyond=beyond, direction=direction)
    return query, parameters | {"name": place[0], "segment": place[1], "count": count}


def _has_words(channels: Iterable[Channel], words: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """The condition that a text has all `words`, and its parameters, together with `channels`.

    Words without a trigram would have the index of trigrams read whole, from which another collation of the same order
    keeps them. If no word has one, the index of pairs of letters says in which texts to look.
    """
    columns = ("text" if _has_trigram(word) else 'text COLLATE "POSIX"' for word in words)
    conditions = [f"{column} LIKE %(word_{number})s" for number, column in enumerate(columns)]
    parameters: dict[str, Any] = {f"word_{number}": f"%{_escaped(word)}%" for number, word in enumerate(words)}
    if narrows(words) and not any(map(_has_trigram, words)):
        conditions.append("segments_bigrams(text) @> %(bigrams)s::text[]")
        parameters["bigrams"] = sorted({first + second for word in words for first, second in pairwise(word)})
    return " AND ".join(conditions), parameters | {"channels": [channel.pk for channel in channels]}


def _has_trigram(word: str) -> bool:
    """Whether pg_trgm finds a trigram in it, in a database of any locale: three letters or digits of ASCII in a row."""
    run = 0
    for character in word:
        run = run + 1 if character.isascii() and character.isalnum() else 0
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


def has_trigrams() -> bool:
    """Whether PostgreSQL has the index of trigrams."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('segments_search_trigrams') IS NOT NULL")
        return bool(cursor.fetchone()[0])
