"""When a job is due by its crontab line, and when a file was made by its name: both in the server's local time.

But for a name that tells its zone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile

from readygate.areas.servers.schedules import cron_schedule
from readygate.errors import Mistake

_COLUMNS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
MANY = 1000  # runs that were missed; nobody needs to know of more
_LONGEST_YEARS = 9  # between two 29ths of February around 1900 or 2100 lie eight

_DATE_PARTS = {
    "Y": r"\d{4}",
    "y": r"\d\d",
    "m": r"\d\d",
    "d": r"\d\d",
    "H": r"\d\d",
    "M": r"\d\d",
    "S": r"\d\d",
    "j": r"\d{3}",
    "z": r"(?:Z|[+-]\d\d:?\d\d)",
}
# A Z behind the time says that it is UTC.
_UTC = re.compile(r"%[HMS]Z")


@dataclass(frozen=True, slots=True)
class Timetable:
    """When a crontab's five columns come due, in the server's local time."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool

    @classmethod
    def of(cls, schedule: str) -> Timetable:
        """Of a schedule in the one form that `cron_schedule` gives."""
        columns = schedule.split()
        minutes, hours, days, months, weekdays = (
            _values(column, low, high) for column, (low, high) in zip(columns, _COLUMNS, strict=True)
        )
        # crontab(5): of two restricted columns of days either one is enough.
        either = not columns[2].startswith("*") and not columns[4].startswith("*")
        return cls(minutes, hours, days, months, weekdays, either)

    def due_between(self, after: datetime, until: datetime, *, at_most: int) -> int:
        """How often it was due after the one moment and until the other, counted up to a limit."""
        before_it = takewhile(lambda due: due > after, self._backwards(until))
        return sum(1 for _ in islice(before_it, at_most))

    def _backwards(self, moment: datetime) -> Iterator[datetime]:
        day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        for _ in range(_LONGEST_YEARS * 366):
            if self._is_on(day):
                for hour in sorted(self.hours, reverse=True):
                    for minute in sorted(self.minutes, reverse=True):
                        due = day + timedelta(hours=hour, minutes=minute)
                        if due <= moment:
                            yield due
            day -= timedelta(days=1)

    def _is_on(self, day: datetime) -> bool:
        by_month, by_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return day.month in self.months and ((by_month or by_week) if self.either_day else (by_month and by_week))


def backup_schedule(text: str) -> str:
    """A schedule of cron, in its one form. Mistake: it is none, or has no time of its own."""
    if text.strip() == "@reboot":
        raise Mistake("@reboot is due at no time of the day", 'write five columns, e.g. "0 1 * * *"')
    return cron_schedule(text)


def _values(column: str, low: int, high: int) -> frozenset[int]:
    span, _, step = column.partition("/")
    if span == "*":
        return frozenset(range(low, high + 1, int(step or 1)))
    ends = [part.partition("-") for part in column.split(",")]
    return frozenset(value for first, _, last in ends for value in range(int(first), int(last or first) + 1))


def check_date_pattern(pattern: str) -> str:
    """A pattern by which a name tells its date, with strftime's letters. Mistake: it names no day."""
    letters = set(re.findall(r"%(.)", pattern))
    if unknown := letters - set(_DATE_PARTS):
        raise Mistake(
            f"'%{min(unknown)}' is not a part of a date", f"use {', '.join('%' + each for each in _DATE_PARTS)}"
        )
    if not ({"Y", "y"} & letters and ({"m", "d"} <= letters or "j" in letters)):
        raise Mistake(f"'{pattern}' names no day", "write e.g. shop_%Y%m%d_%H%M%S")
    if _UTC.search(pattern):
        raise Mistake(f"the Z in '{pattern}' is a zone, and would be read over", "write %z for it")
    return pattern


def moment_in(name: str, pattern: str, utc_offset: int) -> int | None:
    """The same in seconds since 1970; `utc_offset` is that of the server."""
    moment = date_in(name, pattern)
    if moment is None:
        return None
    if moment.tzinfo:
        return int(moment.timestamp())
    return int(moment.replace(tzinfo=UTC).timestamp()) - utc_offset


def date_in(name: str, pattern: str) -> datetime | None:
    """The moment that a name tells by the pattern, which may stand anywhere in it; None where it doesn't.

    It is aware where the name tells its zone.
    """
    parts = re.split(r"(%.)", pattern)
    expression = "".join(_DATE_PARTS[part[1]] if part.startswith("%") else re.escape(part) for part in parts)
    *_, found = [None, *re.finditer(expression, name)]
    if found is None:
        return None
    try:
        return datetime.strptime(found[0], pattern)
    except ValueError:
        return None
