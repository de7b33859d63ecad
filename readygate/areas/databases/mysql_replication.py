"""Replication of MySQL and MariaDB: how each channel of a replica does, and who reads a primary's log."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from readygate.errors import CouldNotLook

_T = TypeVar("_T")
# The first MySQL that knows the new words (its release notes); the old ones are gone since 8.4.
_NEW_WORDS_FROM = (8, 0, 22)
# Who may not see other sessions is refused this small table, and finds nobody else in the list of processes.
_SEES_ALL = "select 1 from information_schema.innodb_cmp limit 1"
_READERS = "select count(*) from information_schema.processlist where command like 'Binlog Dump%'"


class NotGranted(CouldNotLook):
    """The user of the URL lacks a privilege."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One source that a replica follows; `receives` and `applies` are Yes where that thread runs, and has a link."""

    name: str
    receives: str
    applies: str
    behind_s: float | None
    fault: str

    @property
    def lag_s(self) -> float | None:
        """None where it has stopped: nobody knows then how far it is behind."""
        return self.behind_s if (self.receives, self.applies) == ("Yes", "Yes") else None

    @property
    def told(self) -> str:
        runs = f"receiving {self.receives}, applying {self.applies}"
        named = f"the channel {self.name}" if self.name else "its channel"
        return f"{named}: {runs}{f', {self.fault}' if self.fault else ''}"


@dataclass(frozen=True, slots=True)
class Replication:
    """What a server follows, and how many read its log; what this user may not see is the error that says so."""

    channels: tuple[Channel, ...] | CouldNotLook
    readers: int | CouldNotLook

    @property
    def streaming(self) -> int:
        return _seen(self.readers)

    @property
    def lag_s(self) -> float | None:
        """Of the worst channel; None where one has stopped, or there is none.

        CouldNotLook: it is a primary, which does not know how far its replicas have come.
        """
        channels = _seen(self.channels)
        lags = [each.lag_s for each in channels]
        if not channels and not isinstance(self.readers, CouldNotLook) and self.readers:
            raise CouldNotLook(
                "it is a primary, and MySQL's and MariaDB's don't know how far their replicas are behind",
                mend="declare `replication_lag` of each replica, by its own URL, and here how many `replicas`",
            )
        known = [each for each in lags if each is not None]
        return max(known, default=None) if len(known) == len(lags) else None

    @property
    def told(self) -> str:
        if isinstance(self.channels, CouldNotLook):
            return ""
        stopped = [each.told for each in self.channels if each.lag_s is None]
        return "; ".join(stopped) if self.channels else "it is no replica, and follows nobody"


def look_at_replication(
    rows: Callable[[str], Sequence[Sequence[Any]]],
    records: Callable[[str], Sequence[Mapping[str, Any]]],
    version: str,
) -> Replication:
    """Both ends of it."""
    return Replication(
        _or_why(lambda: tuple(channel_of(each) for each in records(asked_of(version))), _mend_of(version)),
        _or_why(lambda: _readers(rows), "grant it PROCESS, without which nobody else's session is shown"),
    )


def asked_of(version: str) -> str:
    """The statement that names every channel, as this version has it."""
    if "mariadb" in version.lower():
        return "show all slaves status"
    numbers = tuple(int(each) for each in version.partition("-")[0].split(".") if each.isdigit())
    return "show replica status" if numbers >= _NEW_WORDS_FROM else "show slave status"


def channel_of(row: Mapping[str, Any]) -> Channel:
    """One row of SHOW REPLICA STATUS, in the words of any version; what it does not tell has stopped."""

    def told(*names: str) -> Any:
        return next((row[each] for each in names if row.get(each) is not None), None)

    behind = told("Seconds_Behind_Source", "Seconds_Behind_Master")
    refused = str(told("Last_IO_Error") or "")
    number = told("Last_SQL_Errno")
    # What the other thread broke off with quotes the row, which is no report's to show.
    failed = f"it broke off with error {number}, see the server's log" if number else ""
    return Channel(
        name=str(told("Connection_name", "Channel_Name") or ""),
        receives=str(told("Replica_IO_Running", "Slave_IO_Running")),
        applies=str(told("Replica_SQL_Running", "Slave_SQL_Running")),
        behind_s=None if behind is None else float(behind),
        fault=", ".join(each for each in (refused[:300], failed) if each),
    )


def _readers(rows: Callable[[str], Sequence[Sequence[Any]]]) -> int:
    rows(_SEES_ALL)
    return int(rows(_READERS)[0][0])


def _or_why(look: Callable[[], _T], mend: str) -> _T | CouldNotLook:
    try:
        return look()
    except NotGranted as error:
        return CouldNotLook(f"this user may not see the replication: {error.reason}", mend=mend)
    except CouldNotLook as error:
        return error


def _seen(found: _T | CouldNotLook) -> _T:
    if isinstance(found, CouldNotLook):
        raise found
    return found


def _mend_of(version: str) -> str:
    """The privilege has another name in each of them: REPLICATION CLIENT shows no replica since MariaDB 10.5.2."""
    if "mariadb" in version.lower():
        return "grant it REPLICA MONITOR; before MariaDB 10.5.9 that was REPLICATION CLIENT, or SUPER"
    return "grant it REPLICATION CLIENT"
