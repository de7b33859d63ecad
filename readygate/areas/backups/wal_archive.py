"""Archives of PostgreSQL's write-ahead log: a segment that is missing ends every recovery there."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from itertools import pairwise

# Timeline, log and segment, each in eight hexadecimal digits; what follows is a digest, or how it is packed.
_SEGMENT = re.compile(
    r"(?:.*/)?([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})(?:-[0-9a-f]{40})?(?:\.(?:gz|bz2|xz|zst|lz4))?"
)

Place = tuple[int, int]


def segments_in(names: Iterable[str]) -> dict[str, list[Place]]:
    """By timeline, the log and the segment of all whose names are those of segments, in order."""
    found = defaultdict[str, set[Place]](set)
    for name in names:
        if told := _SEGMENT.fullmatch(name):
            found[told[1]].add((int(told[2], 16), int(told[3], 16)))
    return {timeline: sorted(places) for timeline, places in sorted(found.items())}


def fault_of_archive(names: Iterable[str], backups: Collection[tuple[str, str]] = ()) -> str | None:
    """The first gap in it; None where there is none.

    Between two `backups`, each by its first and its last segment, all may be gone: then the older one can only
    be restored as it is.
    """
    starts, stops = {start for start, _ in backups}, {stop for _, stop in backups}
    timelines = segments_in(names)
    for timeline, places in timelines.items():
        last = _last_of_a_log(places)
        for before, after in pairwise(places):
            follows = (before[0], before[1] + 1) if before[1] < last else (before[0] + 1, 0)
            expired = _name(timeline, before) in stops and _name(timeline, after) in starts
            if after != follows and not expired:
                return f"the WAL from {_name(timeline, before)} to {_name(timeline, after)} is missing between them"
    return None


def _last_of_a_log(places: Collection[Place]) -> int:
    """The number of the last segment of each log: 255 where they have 16 MiB, others where all full logs say so."""
    ends = {log: max(segment for each, segment in places if each == log) for log, _ in places}
    full = {segment for log, segment in ends.items() if log != max(ends)}
    return max(full) if len(ends) > 2 and len(full) == 1 and (max(full) + 1).bit_count() == 1 else 255


def _name(timeline: str, place: Place) -> str:
    return f"{timeline}{place[0]:08X}{place[1]:08X}"
