"""What is kept of the backups: a ladder of days, weeks and months, nothing too long and nothing too short."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, ClassVar

from pydantic import Field

from readygate.expectation import AtLeastCount, AtLeastDuration, AtMostDuration
from readygate.results import Evidence
from readygate.spec import Spec


class Retention(Spec):
    """How many backups are kept, and how far back."""

    area: ClassVar[str] = "retention"
    noun: ClassVar[str] = "retention"

    daily: AtLeastCount | None = Field(
        None, description="How many days in a row have a backup, back from the newest."
    )
    weekly: AtLeastCount | None = Field(None, description="How many weeks in a row have one, from Monday on.")
    monthly: AtLeastCount | None = Field(None, description="How many months in a row have one.")
    oldest: AtMostDuration | None = Field(None, description="How old the oldest may be: nothing is kept too long.")
    reaches: AtLeastDuration | None = Field(
        None, description="How far back the oldest must go: nothing is deleted too early."
    )


class RepositoryRetention(Retention):
    """The same of the backups in a repository."""

    area: ClassVar[str] = "repository_retention"
    noun: ClassVar[str] = "repository_retention"


@dataclass(frozen=True, slots=True)
class Ladder:
    """How far the backups go back without a gap, by day, week and month, and how old the oldest is."""

    daily: int | None
    weekly: int | None
    monthly: int | None
    oldest_s: int | None
    evidence: tuple[Evidence, ...] = ()


def observe_ladder(artifacts: Any) -> Ladder:
    """The ladder, by the days in the server's local time, of those that aren't empty."""
    return ladder_of({each.made_local.date() for each in artifacts.kept}, artifacts.oldest_s)


def ladder_of(days: Set[date], oldest_s: int | None) -> Ladder:
    """The ladder of backups from these days."""
    if not days:
        return Ladder(None, None, None, None)
    daily = _in_a_row(days, lambda day: day - timedelta(days=1))
    weekly = _in_a_row({_monday(day) for day in days}, lambda day: day - timedelta(days=7))
    monthly = _in_a_row({day.replace(day=1) for day in days}, lambda day: (day - timedelta(days=1)).replace(day=1))
    told = f"{daily} days, {weekly} weeks and {monthly} months in a row; the oldest is of {min(days)}"
    return Ladder(daily, weekly, monthly, oldest_s, (Evidence("which days have a backup?", told),))


def _in_a_row(days: Iterable[date], before: Any) -> int:
    kept = set(days)
    day = max(kept)
    count = 0
    while day in kept:
        count += 1
        day = before(day)
    return count


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())
