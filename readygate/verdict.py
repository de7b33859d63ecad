"""From what was seen to GO or NO-GO. `decide` is pure: the same run and profile give the same verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from enum import StrEnum
from fnmatch import fnmatchcase

from readygate.errors import ExitCode
from readygate.excuses import (
    CLOCKS_APART,
    Attestation,
    Excuse,
    Finding,
    Waiver,
    attested,
    excused,
    excuses,
    idle_waivers,
    stray_attestations,
    void,
)
from readygate.profile import Profile
from readygate.results import Outcome, Result, Run, State
from readygate.spec import Severity
from readygate.units import show_duration, show_percent


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
    findings: tuple[Finding, ...] = ()
    excuses: tuple[Excuse, ...] = ()

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
    previous: Run | None = None,
) -> Verdict:
    """Judge a run; `now` (aware, UTC) is when waivers and attestations have to hold.

    `previous` is the last green run, by which a failure is new or known; without one, each is new.
    """
    today = now.astimezone(UTC).date()
    voids = {each: void(each, run, today, profile.waivers) for each in waivers}
    given = [attested(each, attestations, now) for each in run.results]
    results = tuple(excused(each, voids) for each in given)

    known = {each.id for each in previous.results if each.outcome is Outcome.FAILED} if previous else frozenset()
    failed = [each for each in results if each.outcome is Outcome.FAILED]
    blocking = [
        each
        for each in failed
        if each.severity in profile.blocks_on or (each.severity in profile.blocks_on_new and each.id not in known)
    ]
    unseen = [each for each in results if each.outcome in (Outcome.ERROR, Outcome.NOT_RUN)]
    gaps = list(_gaps(run, results, profile, now))
    score = list(_score(results, profile))

    if blocking or score:
        word = Word.NO_GO
    elif unseen or gaps:
        word = Word.INCOMPLETE
    elif failed or any(each.outcome is Outcome.WAIVED for each in results):
        word = Word.GO_WITH_WAIVERS
    else:
        word = Word.GO

    coverage = _coverage(results)
    return Verdict(
        word,
        score[0].title if score and not blocking else _sentence(word, coverage, len(blocking)),
        (*_failures(blocking), *score, *gaps, *_blind_spots(unseen)),
        coverage,
        results,
        (*idle_waivers(run, voids), *stray_attestations(run, attestations)),
        tuple(excuses(zip(given, results, strict=True), voids)),
    )


def _score(results: Sequence[Result], profile: Profile) -> Iterable[Reason]:
    """Many small failures, none of which blocks, may be too many together."""
    unmet = [each for each in results if each.outcome in (Outcome.FAILED, Outcome.WAIVED)]
    met = sum(each.outcome in (Outcome.PASSED, Outcome.ATTESTED) for each in results)
    if profile.minimum_met is not None and unmet and met * 100 < profile.minimum_met * (met + len(unmet)):
        title = f"Only {met} of {met + len(unmet)} are met, and at least {show_percent(profile.minimum_met)} must be"
        yield Reason(title, f"mend {len(unmet)} checks that failed or are waived, the worst first", ())


def _gaps(run: Run, results: Sequence[Result], profile: Profile, now: datetime) -> Iterable[Reason]:
    """What is missing from the run as a whole."""
    yield from _out_of_date(run, profile, now)
    if run.state is not State.FINISHED:
        said = "was interrupted" if run.state is State.INTERRUPTED else "did not come to its end"
        yield Reason(f"The run {said}", "Only what was seen until then is known; run it again.", ())
    for problem in run.problems:
        yield Reason(problem, "", ())
    for left_out in run.not_asked:
        if left_out.count and not any(_is_within(left_out.check, each.check) for each in profile.leave_out):
            title = f"{left_out.check} was left out of the run, and {profile.name or 'this profile'} asks for it"
            yield Reason(title, "run it again with this profile", ())
    unasked = sum(each.count for each in run.not_asked)
    if unasked and results and not any(each.path for each in results):
        title = f"{profile.name or 'This profile'} leaves out every line of the inventory"
        yield Reason(title, f"narrow its `leave_out`, which takes away all {unasked} expectations", ())
    if not results:
        yield Reason("Nothing was checked", "The inventory or the selection left no check to run.", ())
    areas = {each.check.partition(".")[0] for each in results}
    for area in profile.requires:
        if area not in areas:
            title = f"No check of {area} was asked for, and {profile.name or 'this profile'} requires some"
            close = get_close_matches(area, areas, 1)
            hint = f"did you mean '{close[0]}'?" if close else "take it out of `leave_out`"
            yield Reason(title, f"declare some in the inventory, or correct the profile: {hint}", ())


def _out_of_date(run: Run, profile: Profile, now: datetime) -> Iterable[Reason]:
    """A run says what was so; whether it still is, it can't know for long."""
    try:
        begun, ended = (datetime.fromisoformat(each) for each in (run.started_at, run.finished_at or run.started_at))
        age = now - ended
    except (ValueError, TypeError):
        yield Reason("The run does not say when it was", "run it again", ())
        return
    if max(begun, ended) > now + CLOCKS_APART:
        title = f"The run is dated {max(begun, ended):%Y-%m-%d %H:%M} UTC, which is yet to come"
        yield Reason(title, "set the clocks, then run it again", ())
    elif age.total_seconds() > profile.valid_for:
        title = f"What was seen is {show_duration(int(age.total_seconds()))} old"
        valid = show_duration(profile.valid_for)
        yield Reason(
            f"{title}, and {profile.name or 'this profile'} relies on nothing older than {valid}", "run it again", ()
        )


def _is_within(narrow: str, wide: str) -> bool:
    """Whether one glob of check ids leaves out nothing that the other would not."""
    return narrow == wide or fnmatchcase(narrow, wide)


def _failures(blocking: Sequence[Result]) -> Iterable[Reason]:
    """The gravest first; those that fail for one cause, as what they are about is missing, are one reason.

    What is broken stands before what is too much or too little: an empty dump is why the newest backup is old.
    """
    by_cause: dict[str, list[Result]] = {}
    for result in sorted(blocking, key=lambda each: (_RANK[each.severity], bool(each.margin), each.id)):
        by_cause.setdefault(result.cause or result.id, []).append(result)
    return (_reason(group) for group in by_cause.values())


def _blind_spots(unseen: Sequence[Result]) -> Iterable[Reason]:
    """One reason for each cause, however many checks it blinded; the widest first."""
    by_cause: dict[str, list[Result]] = {}
    for result in unseen:
        by_cause.setdefault(result.cause or result.message, []).append(result)
    for group in sorted(by_cause.values(), key=len, reverse=True):
        group.sort(key=lambda each: (_RANK[each.severity], each.id))
        yield _reason(group)


def _reason(group: Sequence[Result]) -> Reason:
    first, many = group[0], len(group)
    title = f"{first.id}: {first.message}" if many == 1 else f"{many} checks: {first.message}"
    return Reason(title, first.mend, tuple(group))


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
    """What to do, and the numbers that it rests on."""
    met = coverage.verified - coverage.failed
    unseen = coverage.errors + coverage.not_run
    match word:
        case Word.GO:
            parts = (f"{met} verified", f"{coverage.attested} attested" if coverage.attested else "")
            return f"Release: all that was asked for is met, {_listed(parts)}."
        case Word.GO_WITH_WAIVERS:
            parts = (
                f"{coverage.waived} waived" if coverage.waived else "",
                f"{coverage.failed} failed below what blocks" if coverage.failed else "",
            )
            good = f"{met + coverage.attested} of {coverage.declared} expectations are met"
            return f"Release, knowing what is excused: {good}, {_listed(parts)}."
        case Word.NO_GO:
            fail = "failure blocks" if blocking == 1 else "failures block"
            good = f"{met + coverage.attested} of {coverage.declared} expectations are met"
            unverified = f", {unseen} not verified" if unseen else ""
            return f"Do not release: {blocking} {fail}; {good}{unverified}."
        case Word.INCOMPLETE:
            if not unseen:
                return "Do not release yet: nothing that blocks failed, but part of the proof is missing."
            parts = (
                f"{coverage.errors} could not be looked at" if coverage.errors else "",
                f"{coverage.not_run} did not run" if coverage.not_run else "",
            )
            return f"Do not release yet: of {coverage.declared} expectations, {_listed(parts)}."


def _listed(parts: Iterable[str]) -> str:
    return " and ".join(part for part in parts if part)
