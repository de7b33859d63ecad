"""What one test saw, from the asserts in it to the result that the verdict counts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from readygate.accounting import MEND
from readygate.binding import Bound
from readygate.errors import CouldNotLook, Missing
from readygate.expectation import LISTENER, Expectation, Judgement, Level
from readygate.fleet import EVIDENCE, begin_check, forget_answers
from readygate.redaction import REDACTOR
from readygate.results import Evidence, Outcome, Result

EVIDENCE_LIMIT = 2000  # characters of each answer; what is longer is cut in the middle
EVIDENCE_PIECES = 8
_MAY_HOLD_SECRETS = re.compile(r"\s*(cat|head|tail|env|printenv|ps|docker inspect)\b")


@dataclass(slots=True)
class Recording:
    """Fills while a test runs."""

    KEY: ClassVar[pytest.StashKey[Recording]] = pytest.StashKey()

    judgement: Judgement | None = None
    evidence: list[Evidence] = field(default_factory=list)
    attempts: int = 1

    def judged(self, expectation: Expectation, judgement: Judgement) -> None:
        """Of several judgements in one test the first that fails tells the most."""
        if self.judgement is None or self.judgement:
            self.judgement = judgement

    def used(self, fact: object) -> None:
        """Keep what a fact says of how it was come by."""
        self.evidence[:0] = getattr(fact, "evidence", ())
        self.attempts = max(self.attempts, getattr(fact, "attempts", 1))

    def asked(self, command: str, rc: int, stdout: str, stderr: str) -> None:
        """Keep a command that was asked of a host, and what came of it."""
        if len(self.evidence) < EVIDENCE_PIECES:
            ending = f"exit code {rc}" if rc else ""
            if _MAY_HOLD_SECRETS.match(command) and stdout:
                stdout = f"[{len(stdout)} characters, not kept: files and environments may hold secrets]"
            answered = "\n".join(part.rstrip("\n") for part in (stdout, stderr, ending) if part)
            self.evidence.append(_cut(Evidence(command, answered)))


@contextmanager
def recorded(item: pytest.Item) -> Iterator[None]:
    """Listen to the asserts and the questions of one test for as long as it runs."""
    recording = item.stash[Recording.KEY] = Recording()
    judging, asking = LISTENER.set(recording.judged), EVIDENCE.set(recording.asked)
    is_live = item.get_closest_marker("live") is not None
    begin_check(live=is_live)
    try:
        yield
    finally:
        LISTENER.reset(judging)
        EVIDENCE.reset(asking)
        if is_live:
            forget_answers()


def result_of(bound: Bound, recording: Recording, report: pytest.TestReport, call: pytest.CallInfo[None]) -> Result:
    """The result of one phase of a test; what is neither seen to hold nor seen to fail is an error."""
    check, leaf, judgement = bound.check, bound.leaf, recording.judgement
    ending = _ending(bound, judgement, report, call)
    seen = judgement if ending.outcome in (Outcome.PASSED, Outcome.FAILED) else None
    return Result(
        check=check.id,
        target=bound.target,
        outcome=ending.outcome,
        severity=(leaf and leaf.severity) or check.severity,
        owner=(leaf and leaf.owner) or "",
        path=leaf.dotted if leaf else "",
        file=leaf.position.file if leaf else "",
        line=leaf.position.line if leaf else 0,
        expected=judgement.expected if judgement is not None else getattr(leaf and leaf.expected, "text", ""),
        actual="" if seen is None else REDACTOR.redact(seen.actual),
        margin="" if seen is None else seen.margin or "",
        headroom=None if seen is None else seen.headroom,
        warning=REDACTOR.redact(_told(bound, seen)) if seen is not None and seen.level is Level.WARN else "",
        message=REDACTOR.redact(ending.message),
        cause=REDACTOR.redact(ending.cause),
        why=check.why,
        mend=ending.mend or check.mend,
        evidence=tuple(_cut(each) for each in recording.evidence[:EVIDENCE_PIECES]),
        attempts=recording.attempts,
        duration_s=round(report.duration, 4),
        suite=check.suite,
    )


def result_without_a_run(bound: Bound, reason: str) -> Result:
    """What a test ends in where it never ran."""
    leaf = bound.leaf
    return Result(
        check=bound.check.id,
        target=bound.target,
        outcome=Outcome.NOT_RUN,
        severity=(leaf and leaf.severity) or bound.check.severity,
        owner=(leaf and leaf.owner) or "",
        path=leaf.dotted if leaf else "",
        file=leaf.position.file if leaf else "",
        line=leaf.position.line if leaf else 0,
        expected=getattr(leaf and leaf.expected, "text", ""),
        message=reason,
        cause=reason,
        why=bound.check.why,
        mend=MEND[reason],
        suite=bound.check.suite,
    )


_OF_THE_SUITE = "mend the suite; one that is older than this Readygate is seen by `readygate init --diff`"


@dataclass(frozen=True, slots=True)
class _Ending:
    outcome: Outcome
    message: str = ""
    cause: str = ""
    mend: str = ""


def _ending(
    bound: Bound, judgement: Judgement | None, report: pytest.TestReport, call: pytest.CallInfo[None]
) -> _Ending:
    expected_to_fail = hasattr(report, "wasxfail")
    if report.skipped and expected_to_fail:
        return _Ending(Outcome.FAILED, f"it fails, and is marked xfail: {report.wasxfail}")
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else "no reason given"
        return _Ending(Outcome.NOT_RUN, f"{reason[0].lower()}{reason[1:]}", mend="take the skip out of the suite")
    if report.passed and not call.excinfo:
        if judgement is None and not bound.check.can_fail:
            mend = "assert something about the target in it"
            return _Ending(Outcome.ERROR, "the test asserts nothing, so it could not have failed", mend=mend)
        if judgement is None and isinstance(bound.leaf and bound.leaf.expected, Expectation):
            mend = "assert `observed in expected` on each way through it, and see that no hook keeps it from running"
            return _Ending(Outcome.ERROR, "the test compared nothing with what is declared", mend=mend)
        return _Ending(Outcome.PASSED, "" if judgement is None else _told(bound, judgement))
    return _failure(bound, judgement, report, call)


def _failure(
    bound: Bound, judgement: Judgement | None, report: pytest.TestReport, call: pytest.CallInfo[None]
) -> _Ending:
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, CouldNotLook):
        return _Ending(Outcome.ERROR, error.reason, error.cause, error.mend)
    if isinstance(error, Missing) and report.when == "call":
        return _Ending(Outcome.FAILED, error.reason, error.cause, error.mend)
    if isinstance(error, pytest.FixtureLookupError):
        mend = "declare what it is about in the inventory, or see `pytest --fixtures` for how it is spelt"
        wrong = f"the test wants '{error.argname}', which is neither a fixture nor about anything that is declared"
        return _Ending(Outcome.ERROR, wrong, mend=mend)
    said = str(error).strip().split("\n")[0]
    if isinstance(error, pytest.fail.Exception) and said.startswith("Timeout"):
        return _Ending(Outcome.ERROR, f"no answer in time: {said.lower()}", mend="see why it hangs")
    if report.when == "call" and isinstance(error, AssertionError | pytest.fail.Exception):
        if judgement is not None and not judgement:
            explained = not said.startswith("assert ")  # `assert x in y, reason` begins with the reason
            return _Ending(Outcome.FAILED, said if explained else _told(bound, judgement))
        if not _raised_by_testinfra(call):
            return _Ending(Outcome.FAILED, said or "the assertion failed")
    where = "" if report.when == "call" else f" in {report.when}"
    mend = _OF_THE_SUITE if isinstance(error, AttributeError | ImportError | NameError | TypeError) else ""
    return _Ending(Outcome.ERROR, f"could not look: {type(error).__name__}{where}: {said}", mend=mend)


def _raised_by_testinfra(call: pytest.CallInfo[None]) -> bool:
    """Testinfra asserts that its own commands worked; where they didn't, nothing was seen."""
    return bool(call.excinfo) and "testinfra" in call.excinfo.traceback[-1].path.parts  # type: ignore[union-attr]


def _told(bound: Bound, judgement: Judgement) -> str:
    what = bound.check.id.rpartition(".")[2].replace("_", " ")
    key = bound.leaf.key if bound.leaf else None
    return f"{what}{f' {key}' if key else ''} is {judgement.actual}, expected {judgement.expected}"


def _cut(evidence: Evidence) -> Evidence:
    # Before anything is cut: half a secret would not be known any more.
    asked, answered = REDACTOR.redact(evidence.asked), REDACTOR.redact(evidence.answered)
    if len(answered) > EVIDENCE_LIMIT:
        half = EVIDENCE_LIMIT // 2
        left_out = len(answered) - EVIDENCE_LIMIT
        answered = f"{answered[:half]}\n[... {left_out} characters left out ...]\n{answered[-half:]}"
    return Evidence(asked[:EVIDENCE_LIMIT], answered)


def redact_report(report: pytest.TestReport) -> None:
    """Take secrets out of a report before any other plugin sees it."""
    report.sections = REDACTOR.redact_data(report.sections)
    report.longrepr = _redacted(report.longrepr)
    report.user_properties = REDACTOR.redact_data(report.user_properties)
    if hasattr(report, "wasxfail"):
        report.wasxfail = REDACTOR.redact(report.wasxfail)


def _redacted(part: Any) -> Any:
    """Pytest's failure representations are trees of plain objects; their texts are replaced in place."""
    if isinstance(part, str | list | tuple | dict):
        if isinstance(part, list | tuple):
            return type(part)(_redacted(each) for each in part)
        return REDACTOR.redact_data(part)
    for name, value in list(getattr(part, "__dict__", {}).items()):
        setattr(part, name, _redacted(value))
    return part
