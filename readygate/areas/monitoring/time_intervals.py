"""The time intervals of an Alertmanager: whether one contains a moment, as its documentation says."""

from __future__ import annotations

import re
from calendar import day_name, month_name, monthrange
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from readygate.errors import CouldNotLook

_RANGE = re.compile(r"(-?\w+)(?::(-?\w+))?")
_CLOCK = re.compile(r"(\d\d):(\d\d)")
_WEEKDAYS = {name.lower(): number for number, name in enumerate(day_name)}
_MONTHS = {name.lower(): number for number, name in enumerate(month_name) if name}


def holds_at(interval: Mapping[str, Any], moment: datetime, name: str) -> bool:
    """Whether the moment is in it: each field that is there has to agree, by one of its ranges.

    CouldNotLook: it has a field that is not known here, or goes by the clock of Alertmanager's own machine.
    """
    if unknown := interval.keys() - {*_FIELDS, "location"}:
        raise _not_understood(name, sorted(unknown)[0])
    then = moment.astimezone(_zone(interval.get("location"), name))
    return all(
        any(_FIELDS[field](each, then, name) for each in interval[field])
        for field in _FIELDS
        if interval.get(field) is not None
    )


def _zone(location: Any, name: str) -> tzinfo:
    if not location or location == "UTC":
        return UTC
    if location == "Local":
        raise _not_understood(name, "location: Local")
    try:
        return ZoneInfo(str(location))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _not_understood(name, f"location: {location}") from None


def _in_times(times: Mapping[str, Any], then: datetime, name: str) -> bool:
    begin, end = (_minutes(str(times.get(each)), name) for each in ("start_time", "end_time"))
    return begin <= then.hour * 60 + then.minute < end


def _minutes(clock: str, name: str) -> int:
    found = _CLOCK.fullmatch(clock)
    if not found:
        raise _not_understood(name, clock)
    return int(found[1]) * 60 + int(found[2])


def _in_weekdays(days: Any, then: datetime, name: str) -> bool:
    # Their week begins with Sunday: saturday:sunday is no range.
    begin, end = ((each + 1) % 7 for each in _bounds(days, _WEEKDAYS, name))
    return begin <= (then.weekday() + 1) % 7 <= end


def _in_days(days: Any, then: datetime, name: str) -> bool:
    """Days below zero count from the month's end; what reaches beyond the month ends with it."""
    length = monthrange(then.year, then.month)[1]
    begin, end = (each if each > 0 else length + each + 1 for each in _bounds(days, {}, name))
    return begin <= then.day <= end


def _in_months(months: Any, then: datetime, name: str) -> bool:
    begin, end = _bounds(months, _MONTHS, name)
    return begin <= then.month <= end


def _in_years(years: Any, then: datetime, name: str) -> bool:
    begin, end = _bounds(years, {}, name)
    return begin <= then.year <= end


def _bounds(text: Any, names: Mapping[str, int], name: str) -> Iterable[int]:
    found = _RANGE.fullmatch(str(text))
    if not found:
        raise _not_understood(name, text)
    words = [(found[1]).lower(), (found[2] or found[1]).lower()]
    try:
        return [names[word] if word in names else int(word) for word in words]
    except ValueError:
        raise _not_understood(name, text) from None


def _not_understood(name: str, part: Any) -> CouldNotLook:
    return CouldNotLook(
        f"'{part}' of the time interval '{name}' is not understood", mend="look by eye whether it mutes"
    )


_FIELDS: Mapping[str, Callable[[Any, datetime, str], bool]] = {
    "times": _in_times,
    "weekdays": _in_weekdays,
    "days_of_month": _in_days,
    "months": _in_months,
    "years": _in_years,
}
