"""From what was seen to GO or NO-GO. `decide` is pure: the same run and profile give the same verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from fnmatch import fnmatchcase

from readygate.errors import ExitCode
from readygate.profile import Profile
from readygate.results import Outcome, Result, Run, State
from readygate.spec import Severity


class Word(StrEnum):
    """The verdict in words."""

    GO = "GO"
    GO_WITH_WAIVERS = "GO WITH WAIVERS"
    NO_GO = "NO-GO"
    INCOMPLETE = "INCOMPLETE"

    @property
    def exit_code(self) -> ExitCode:
        return {Word.NO_GO: ExitCode.NO_GO, Word.INCOMPLETE: ExitCode.INCOMPLETE}.get(self, ExitCode.GO)


@dataclass(frozen=True, slots=True)
class Waiver:
    """A failure that somebody answers for, until the end of a day in UTC. `check` and `target` may be globs."""

    check: str
    target: str
    reason: str
    owner: str
    expires: date
    covers_errors: bool = False

    def covers(self, result: Result, today: date) -> bool:
        """Whether this waiver excuses the result today; an error of looking only if it says so."""
        excusable = {Outcome.FAILED, Outcome.ERROR} if self.covers_errors else {Outcome.FAILED}
        return (
            today <= self.expires
            and result.outcome in excusable
            and fnmatchcase(result.check, self.check)
            and fnmatchcase(result.target, self.target)
        )


@dataclass(frozen=True, slots=True)
class Attestation:
    """A person's word, with evidence, for what no machine can see; `expires` is inclusive of its day in UTC."""

    name: str
    by: str
    evidence: str
    expires: date


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that stands between the release and a GO; several checks may share it.

    `results` all failed for this reason, the worst first.
    """

    title: str
    detail: str
    results: tuple[Result, ...]

    @property
    def worst(self) -> Result | None:
        return self.results[0] if self.results else None


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many of the declared expectations ended in which outcome."""

    declared: int
    verified: int
    failed: int
    waived: int
    attested: int
    errors: int
    not_run: int
    warnings: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer: a word, why, and each result as it counted."""

    word: Word
    sentence: str
    reasons: tuple[Reason, ...]
    coverage: Coverage
    results: tuple[Result, ...]

    @property
    def exit_code(self) -> ExitCode:
        return self.word.exit_code


_RANK = {severity: rank for rank, severity in enumerate(Severity)}


def decide(
    run: Run,
    profile: Profile,
    *,
    now: datetime,
    waivers: Sequence[Waiver] = (),
    attestations: Sequence[Attestation] = (),
) -> Verdict:
    """Judge a run; `now` (aware, UTC) is when waivers and attestations have to hold."""
    today = now.date()
    results = tuple(_excused(each, waivers, attestations, today) for each in run.results)

    failed = [each for each in results if each.outcome is Outcome.FAILED]
    blocking = [each for each in failed if each.severity in profile.blocks_on]
    unseen = [each for each in results if each.outcome in (Outcome.ERROR, Outcome.NOT_RUN)]
    gaps = list(_gaps(run, results))

    if blocking:
        word = Word.NO_GO
    elif unseen or gaps:
        word = Word.INCOMPLETE
    elif failed or any(each.outcome is Outcome.WAIVED for each in results):
        word = Word.GO_WITH_WAIVERS
    else:
        word = Word.GO

    reasons = (*_failures(blocking), *gaps, *_blind_spots(unseen))
    coverage = _coverage(results)
    return Verdict(word, _sentence(word, coverage, len(blocking)), reasons, coverage, results)


def _excused(result: Result, waivers: Sequence[Waiver], attestations: Sequence[Attestation], today: date) -> Result:
    for attestation in attestations:
        if result.check == "attestation.every" and result.target == attestation.name:
            if today <= attestation.expires:
                said = f"attested by {attestation.by}: {attestation.evidence}"
                return replace(result, outcome=Outcome.ATTESTED, message=said)
            return replace(result, message=f"the attestation by {attestation.by} ran out on {attestation.expires}")
    for waiver in waivers:
        if waiver.covers(result, today):
            said = f"waived by {waiver.owner} until {waiver.expires}: {waiver.reason}"
            return replace(result, outcome=Outcome.WAIVED, message=f"{said} ({result.message})")
    return result


def _gaps(run: Run, results: Sequence[Result]) -> Iterable[Reason]:
    """What is missing from the run as a whole."""
    if run.state is not State.FINISHED:
        said = "was interrupted" if run.state is State.INTERRUPTED else "did not come to its end"
        yield Reason(f"The run {said}", "Only what was seen until then is known; run it again.", ())
    for problem in run.problems:
        yield Reason(problem, "", ())
    if not results:
        yield Reason("Nothing was checked", "The inventory or the selection left no check to run.", ())


def _failures(blocking: Sequence[Result]) -> Iterable[Reason]:
    for result in sorted(blocking, key=lambda each: (_RANK[each.severity], each.id)):
        yield Reason(f"{result.id}: {result.message}", result.mend, (result,))


def _blind_spots(unseen: Sequence[Result]) -> Iterable[Reason]:
    """One reason for each cause, however many checks it blinded; the widest first."""
    by_cause: dict[str, list[Result]] = {}
    for result in unseen:
        by_cause.setdefault(result.cause or result.message, []).append(result)
    for group in sorted(by_cause.values(), key=len, reverse=True):
        group.sort(key=lambda each: (_RANK[each.severity], each.id))
        first, many = group[0], len(group)
        title = f"{first.id}: {first.message}" if many == 1 else f"{many} checks: {first.message}"
        yield Reason(title, first.mend, tuple(group))


def _coverage(results: Sequence[Result]) -> Coverage:
    def count(outcome: Outcome) -> int:
        return sum(each.outcome is outcome for each in results)

    return Coverage(
        declared=len(results),
        verified=count(Outcome.PASSED) + count(Outcome.FAILED),
        failed=count(Outcome.FAILED),
        waived=count(Outcome.WAIVED),
        attested=count(Outcome.ATTESTED),
        errors=count(Outcome.ERROR),
        not_run=count(Outcome.NOT_RUN),
        warnings=sum(bool(each.warning) for each in results),
    )


def _sentence(word: Word, coverage: Coverage, blocking: int) -> str:
    seen = f"{coverage.verified} of {coverage.declared} expectations were verified"
    match word:
        case Word.GO:
            return f"Release: {seen}, and all are met."
        case Word.GO_WITH_WAIVERS:
            excused = f"{coverage.waived} waived, {coverage.failed} below what blocks"
            return f"Release, knowing what is excused: {seen}, {excused}."
        case Word.NO_GO:
            return f"Do not release: {blocking} of {coverage.declared} expectations failed that block."
        case Word.INCOMPLETE:
            unseen = coverage.errors + coverage.not_run
            return f"Not proven: {seen}, {unseen} could not be or were not."
