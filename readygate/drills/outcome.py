"""What came of a restore: what the scratch server held, or why there was nothing to restore."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ASKING = "ask what is there"  # the step that is not a part of a recovery


class NotRestorable(Exception):
    """The backup itself is at fault: what was tried, and what the server said to it."""


@dataclass(frozen=True, slots=True)
class Questions:
    """What the restored data are to be asked: for one value each, or for the age in seconds of one moment."""

    values: tuple[str, ...] = ()
    moments: tuple[str, ...] = ()
    database: str | None = None


@dataclass(frozen=True, slots=True)
class Restored:
    """What stands in the scratch server; None is a thing that such a server doesn't have.

    `values` answers each question by one value, None where what it asks about is not there; `ages` are
    in seconds; `rows` counts those of each table; `behind` are sequences that would give a key away once more.
    """

    server: str
    values: Mapping[str, object] = field(default_factory=dict)
    ages: Mapping[str, float | None] = field(default_factory=dict)
    rows: Mapping[str, int] | None = None
    constraints: int | None = None
    indexes: int | None = None
    extensions: tuple[str, ...] | None = None
    behind: tuple[str, ...] | None = None
