"""When a job is due, as crontabs and systemd's timers say it, in one form for each time that is meant."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Annotated

from pydantic import BeforeValidator

from readygate.errors import Mistake
from readygate.expectation import Text

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

# As `systemd-analyze calendar` spells them out.
_CALENDARS = {
    "minutely": "*-*-* *:*:00",
    "hourly": "*-*-* *:00:00",
    "daily": "*-*-* 00:00:00",
    "weekly": "Mon *-*-* 00:00:00",
    "monthly": "*-*-01 00:00:00",
    "quarterly": "*-01,04,07,10-01 00:00:00",
    "yearly": "*-01-01 00:00:00",
    "annually": "*-01-01 00:00:00",
}


@dataclass(frozen=True, slots=True)
class _Field:
    """One of the five columns of a crontab."""

    what: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def number(self, text: str) -> int:
        if text.lower() in self.names:
            return self.names.index(text.lower()) + (1 if self.low else 0)
        if text.isascii() and text.isdigit() and self.low <= int(text) <= self.high:
            return int(text)
        raise Mistake(f"'{text}' is no {self.what}", f"write {self.low} to {self.high}")

    def values(self, text: str) -> frozenset[int]:
        """All the values that a column names; 7, which is Sunday too, as 0."""
        found: set[int] = set()
        for part in text.split(","):
            span, slash, step = part.partition("/")
            if slash and not (step.isascii() and step.isdigit() and int(step) and (span == "*" or "-" in span)):
                raise Mistake(f"'{part}' is no step of a {self.what}", "write e.g. */5 or 10-50/10")
            first, dash, last = span.partition("-")
            low, high = (self.low, self.high) if span == "*" else (self.number(first), self.number(last or first))
            if dash and low > high:
                raise Mistake(f"'{part}' ends before it begins", f"write {last}-{first}, or two spans")
            found.update(range(low, high + 1, int(step or 1)))
        return frozenset(value % 7 for value in found) if self.what == "day of the week" else frozenset(found)

    def written(self, values: frozenset[int], *, starred: bool) -> str:
        """The shortest way to write the values; `*/5` only where a star stood, which means more than its values."""
        last = 6 if self.what == "day of the week" else self.high
        if values == frozenset(range(self.low, last + 1)):
            return "*"
        for step in range(2, last + 1) if starred else ():
            if values == frozenset(range(self.low, last + 1, step)):
                return f"*/{step}"
        runs: list[list[int]] = []
        for value in sorted(values):
            if runs and value == runs[-1][-1] + 1:
                runs[-1].append(value)
            else:
                runs.append([value])
        return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs)


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 7, _DAYS),
)


class NeverDue(Mistake):
    """A day that no month has: cron takes the line all the same, and never starts it."""


def cron_schedule(text: str) -> str:
    """The five columns in one form for each time that is meant: `0 1 * * *` for `00 01 * * *`, or for 1 o'clock.

    Raises Mistake for what cron would not take, and for a day that never comes. crontab(5) says what is what.
    """
    if text == "@reboot":
        return text
    columns = _NICKNAMES.get(text.lower(), text).split()
    if len(columns) != len(_FIELDS):
        raise Mistake(f"'{text}' is not a schedule of cron", 'write five columns, e.g. "0 1 * * *"')
    values = [field.values(column) for field, column in zip(_FIELDS, columns, strict=True)]
    written = [
        field.written(value, starred=column.startswith("*"))
        for field, value, column in zip(_FIELDS, values, columns, strict=True)
    ]
    days, months = values[2], values[3]
    if written[4] == "*" and min(days) > max(_LONGEST_MONTH[month - 1] for month in months):
        raise NeverDue(f"the day of '{text}' never comes", "write a day that these months have")
    # Of two restricted columns of days either one is enough, unless one begins with a star.
    if "*" in (written[2], written[4]) and not (columns[2].startswith("*") or columns[4].startswith("*")):
        written[2] = written[4] = "*"
    return " ".join(written)


def is_due_on(schedule: str, day: date) -> bool:
    """Whether a schedule of cron, as `cron_schedule` spells it, is due on this day."""
    _, _, *columns = schedule.split()
    of_month, months, of_week = (
        day_or in field.values(column)
        for field, column, day_or in zip(
            _FIELDS[2:], columns, (day.day, day.month, day.isoweekday() % 7), strict=True
        )
    )
    # Of two restricted columns of days either one is enough (crontab(5)).
    either = not columns[0].startswith("*") and not columns[2].startswith("*")
    return months and (of_month or of_week if either else of_month and of_week)


def calendar(text: str) -> str:
    """A calendar event of systemd as systemd spells it out, for those that have a name."""
    return _CALENDARS.get(text.strip().lower(), " ".join(text.split()))


def _in_form(form: Callable[[str], str]) -> Callable[[object], object]:
    def formed(raw: object) -> object:
        match raw:
            case list():
                return [formed(each) for each in raw]
            case str() if not re.match(r"[~!=<>]", raw.strip()):
                return form(raw.strip())
            case _:
                return raw

    return formed


CronSchedule = Annotated[Text, BeforeValidator(_in_form(cron_schedule))]
Calendar = Annotated[Text, BeforeValidator(_in_form(calendar))]
