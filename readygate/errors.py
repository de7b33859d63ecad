"""Everything Readygate raises on purpose, and the exit code that each kind ends in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """What the `readygate` command exits with; docs/exit-codes.md is checked against this."""

    GO = 0
    NO_GO = 1
    USAGE = 2
    INCOMPLETE = 3
    INTERNAL = 70
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a file; line and column count from 1, and 0 means the file as a whole."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in something the user wrote: where, what is wrong, and what to write instead."""

    position: Position
    path: str
    wrong: str
    mend: str

    def __str__(self) -> str:
        where = f"{self.position} {self.path}".rstrip()
        return f"{where}: {self.wrong}; {self.mend}" if self.mend else f"{where}: {self.wrong}"


class Mistake(ValueError):
    """A value that can't be used, raised where the place in the file isn't known yet.

    `at` are the keys that lead to it from what is looked at as a whole.
    """

    def __init__(self, wrong: str, mend: str = "", at: tuple[str, ...] = ()) -> None:
        super().__init__(f"{wrong}; {mend}" if mend else wrong)
        self.wrong = wrong
        self.mend = mend
        self.at = at


class ReadygateError(Exception):
    """The root of what Readygate raises on purpose; `exit_code` is what the command ends in."""

    exit_code = ExitCode.INTERNAL


class UsageError(ReadygateError):
    """The command was called wrongly; nothing was judged."""

    exit_code = ExitCode.USAGE


class InventoryError(UsageError):
    """What the user wrote can't be used; holds every problem found, in the order of the lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class CouldNotLook(ReadygateError):
    """The truth could not be observed: never a pass, and never a failure of the target either.

    `cause` is the same for every check that failed to look for the same reason, so that a host
    which is down is one finding and not one for each of its checks.
    """

    exit_code = ExitCode.INCOMPLETE

    def __init__(self, reason: str, *, cause: str = "", mend: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.cause = cause or reason
        self.mend = mend


class NobodyListens(CouldNotLook):
    """The connection was refused: the machine is there, and nothing on it listens where one asked."""


class NoWayThere(CouldNotLook):
    """This machine has no route to such an address at all, as where it has no IPv6."""


class ClosedUnanswered(CouldNotLook):
    """The connection was made, and closed before a word of an answer."""


class Missing(AssertionError):
    """What a check is about is not there, so it fails, and all others about the same with it: one cause, one mend."""

    def __init__(self, reason: str, *, cause: str, mend: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.cause = cause
        self.mend = mend
