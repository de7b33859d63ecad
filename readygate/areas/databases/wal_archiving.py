"""Whether the write-ahead log of a PostgreSQL gets into its archive, without which no recovery goes far."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from readygate.areas.databases.postgres import Sql
from readygate.results import Evidence

# A segment that is full waits as a file of its name and `.ready` until archive_command has taken it.
_ARCHIVING = """
select json_build_object(
 'mode', current_setting('archive_mode'),
 'command', current_setting('archive_command', true),
 'standby', pg_is_in_recovery(),
 'failed', (select last_failed_wal from pg_stat_archiver
   where last_failed_time > coalesce(last_archived_time, '-infinity')),
 'waits_s', (select greatest(0, max(extract(epoch from clock_timestamp() - modification)))
   from pg_ls_archive_statusdir() where name like '%.ready'))::text
"""
# Says that it has kept a segment, and has not.
_KEEPS_NOTHING = re.compile(r"\s*(?:(?:/usr)?/bin/true|true|:|exit 0|cd \.)\s*")


@dataclass(frozen=True, slots=True)
class Archiving:
    """How long the oldest segment has waited that is not archived; None where nothing is, for the reason."""

    lag_s: float | None
    reason: str

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        return (Evidence("is the WAL archived?", self.reason),)


def look_at_archiving(sql: Sql) -> Archiving:
    """By what is left to do: what the archiver counts says nothing of today. CouldNotLook: the user may not know."""
    told = json.loads(sql.text(_ARCHIVING))
    command = told["command"] or ""
    if told["mode"] == "off":
        return Archiving(None, "archive_mode is off")
    if told["standby"] and told["mode"] != "always":
        return Archiving(None, "it is a standby, which archives nothing unless archive_mode is always")
    if _KEEPS_NOTHING.fullmatch(command):
        return Archiving(None, f"archive_command is '{command}', which keeps nothing")
    lag_s = float(told["waits_s"] or 0)
    failed = f"; the last try failed, of {told['failed']}" if told["failed"] else ""
    return Archiving(lag_s, f"the oldest segment has waited for {lag_s:.0f} s{failed}" if lag_s else "nothing waits")
