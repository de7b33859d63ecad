"""What a run saw: the one seam between looking and judging, as it is stored in results.json."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from readygate.spec import Severity

SCHEMA_VERSION = 1


class Outcome(StrEnum):
    """How a check ended. `waived` and `attested` are given by `decide`, never by a run."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    NOT_RUN = "not_run"
    WAIVED = "waived"
    ATTESTED = "attested"


class State(StrEnum):
    """How far a run got; only a finished one can be GO."""

    RUNNING = "running"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was asked and what came back, redacted and cut to a sane size."""

    asked: str
    answered: str


@dataclass(frozen=True, slots=True)
class Result:
    """One check on one target.

    `path`, `file` and `line` say which line of the inventory it verifies (empty and 0 for a suite's own test
    that verifies none). `warning` is set where the warn level was reached though the check passed. `cause` is
    shared by all results that could not look, or failed, for the same reason. `headroom` is the distance to the
    failing limit as a share of that limit, negative beyond it.
    """

    check: str
    target: str
    outcome: Outcome
    severity: Severity = Severity.MAJOR
    owner: str = ""
    path: str = ""
    file: str = ""
    line: int = 0
    expected: str = ""
    actual: str = ""
    margin: str = ""
    headroom: float | None = None
    warning: str = ""
    message: str = ""
    cause: str = ""
    why: str = ""
    mend: str = ""
    evidence: tuple[Evidence, ...] = ()
    attempts: int = 1
    duration_s: float = 0.0
    suite: str = ""

    @property
    def id(self) -> str:
        return f"{self.check} @ {self.target}"

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of the inventory as it was read; secrets never stand in it."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class NotAsked:
    """Declared expectations that the profile leaves out by a glob of check ids, how many, and why."""

    check: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Subject:
    """What was judged; `pointed` are the entries that were looked for elsewhere than the inventory says."""

    project: str
    environment: str = ""
    version: str = ""
    commit: str = ""
    images: tuple[str, ...] = ()
    pointed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """A whole run as it is stored; times are ISO 8601 in UTC, `inventory_digest` is SHA-256 over the files.

    `shard`, such as `3/8`, is set where only that part of the inventory was looked at.
    """

    run_id: str
    subject: Subject
    profile: str
    state: State
    started_at: str
    finished_at: str = ""
    tool_version: str = ""
    inventory_digest: str = ""
    inventory: tuple[SourceFile, ...] = ()
    results: tuple[Result, ...] = ()
    problems: tuple[str, ...] = ()
    not_asked: tuple[NotAsked, ...] = ()
    shard: str = ""
    schema_version: int = SCHEMA_VERSION
