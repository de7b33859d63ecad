"""From what was seen to GO or NO-GO. `decide` is pure: the same run and profile give the same verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from difflib import get_close_matches
from enum import StrEnum
from fnmatch import fnmatchcase

from readygate.errors import ExitCode
from readygate.profile import Profile
from readygate.results import Outcome, Result, Run, State
from readygate.spec import Severity
from readygate.units import show_duration, show_percent

ATTESTATION = "attestation.every"


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
    """A failure that somebody answers for, until the end of a day in UTC. `check` and `target` may be globs.

    `place` is where it is written, as in `waivers.yml:7`.
    """

    check: str
    target: str
    reason: str
    owner: str
    expires: date
    covers_errors: bool = False
    approver: str = ""
    ticket: str = ""
    since: date | None = None
    place: str = ""

    @property
    def id(self) -> str:
        return f"{self.check} @ {self.target}"

    @property
    def said(self) -> str:
        """Who answers for it, and why."""
        by = f"{self.owner}, approved by {self.approver}" if self.approver else self.owner
        return f"waived by {by} until {self.expires}: {self.reason}" + (f" [{self.ticket}]" if self.ticket else "")

    def concerns(self, result: Result) -> bool:
        """Whether it names the result, whatever became of that."""
        return fnmatchcase(result.check, self.check) and fnmatchcase(result.target, self.target)

    def excuses(self, result: Result) -> bool:
        """Whether it is meant for such a result; for an error of looking only if it says so."""
        excusable = {Outcome.FAILED, Outcome.ERROR} if self.covers_errors else {Outcome.FAILED}
        return result.outcome in excusable and self.concerns(result)

    def void(self, today: date, longest_s: float | None) -> str:
        """Why it excuses nothing on this day; empty where it holds."""
        if today > self.expires:
            return f"ran out on {self.expires}"
        if self.since is not None and today < self.since:
            return f"begins on {self.since}"
        if longest_s is not None and (self.expires - (self.since or today)).total_seconds() > longest_s:
            return f"lasts longer than the {show_duration(longest_s)} that this profile allows"
        return ""


@dataclass(frozen=True, slots=True)
class Attestation:
    """A person's word, with evidence, for what no machine can see; `expires` is inclusive of its day in UTC.

    From `warns` on, the day included, a newer one is due.
    """

    name: str
    by: str
    evidence: str
    expires: date
    warns: date | None = None
    place: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about the waivers or attestations that somebody should tidy up; it never changes the word."""

    title: str
    mend: str
    place: str = ""


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
class Excuse:
    """A waiver that holds, and the results that it excuses."""

    waiver: Waiver
    results: tuple[Result, ...]


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
    longest_s = profile.waivers.longest
    attested = [_attested(each, attestations, today) for each in run.results]
    results = tuple(_excused(each, waivers, today, longest_s) for each in attested)

    known = {each.id for each in previous.results if each.outcome is Outcome.FAILED} if previous else frozenset()
    failed = [each for each in results if each.outcome is Outcome.FAILED]
    blocking = [
        each
        for each in failed
        if each.severity in profile.blocks_on or (each.severity in profile.blocks_on_new and each.id not in known)
    ]
    unseen = [each for each in results if each.outcome in (Outcome.ERROR, Outcome.NOT_RUN)]
    gaps = list(_gaps(run, results, profile))
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
        (*_idle_waivers(run, waivers, today, longest_s), *_stray_attestations(run, attestations)),
        tuple(_excuses(zip(attested, results, strict=True), waivers, today, longest_s)),
    )


def _attested(result: Result, attestations: Sequence[Attestation], today: date) -> Result:
    """The newest word that was given counts."""
    if result.check != ATTESTATION:
        return result
    given = [each for each in attestations if each.name == result.target]
    if not given:
        message = "nobody has attested it"
        mend = f"see to it, then `readygate attest {result.target} --by YOU --evidence LINK`"
        return replace(result, message=message, cause=message, mend=mend)
    newest = max(given, key=lambda each: each.expires)
    if today > newest.expires:
        message = f"the attestation by {newest.by} ran out on {newest.expires}"
        return replace(result, message=message, cause=message, mend=f"do it again; last time: {newest.evidence}")
    is_due = newest.warns is not None and today >= newest.warns
    return replace(
        result,
        outcome=Outcome.ATTESTED,
        actual=f"good until {newest.expires}",
        message=f"attested by {newest.by}: {newest.evidence}",
        warning=f"the attestation by {newest.by} runs out on {newest.expires}" if is_due else "",
        cause="",
        mend="",
    )


def _excused(result: Result, waivers: Sequence[Waiver], today: date, longest_s: float | None) -> Result:
    meant = [each for each in waivers if each.excuses(result)]
    if waiver := _holding(meant, today, longest_s):
        return replace(result, outcome=Outcome.WAIVED, message=f"{waiver.said} ({result.message})")
    if meant:
        why = meant[-1].void(today, longest_s)
        return replace(result, message=f"{result.message}; the waiver by {meant[-1].owner} {why}")
    return result


def _holding(meant: Iterable[Waiver], today: date, longest_s: float | None) -> Waiver | None:
    """The first one that isn't void."""
    return next((each for each in meant if not each.void(today, longest_s)), None)


def _excuses(
    seen: Iterable[tuple[Result, Result]], waivers: Sequence[Waiver], today: date, longest_s: float | None
) -> Iterable[Excuse]:
    """Each waiver that excuses something, in their order; `seen` are the results before and after."""
    by_waiver: dict[Waiver, list[Result]] = {each: [] for each in waivers}
    for before, after in seen:
        if after.outcome is Outcome.WAIVED:
            waiver = _holding((each for each in waivers if each.excuses(before)), today, longest_s)
            if waiver:
                by_waiver[waiver].append(after)
    for waiver, results in by_waiver.items():
        if results:
            yield Excuse(waiver, tuple(results))


def _idle_waivers(run: Run, waivers: Sequence[Waiver], today: date, longest_s: float | None) -> Iterable[Finding]:
    for waiver in waivers:
        title = f"The waiver {waiver.id} by {waiver.owner}"
        concerned = [each for each in run.results if waiver.concerns(each)]
        if why := waiver.void(today, longest_s):
            yield Finding(f"{title} {why}", "mend what it excuses and delete it, or agree on a new one", waiver.place)
        elif not concerned:
            yield Finding(
                f"{title} matches nothing in this run", "correct its check and target, or delete it", waiver.place
            )
        elif all(each.outcome is Outcome.PASSED for each in concerned):
            yield Finding(f"{title} excuses nothing any more: all is met", "delete it", waiver.place)


def _stray_attestations(run: Run, attestations: Sequence[Attestation]) -> Iterable[Finding]:
    """Misspelt ones; a name that is nothing like what is missing may be for another environment."""
    wanted = {each.target for each in run.results if each.check == ATTESTATION}
    missing = wanted - {each.name for each in attestations}
    for name, place in {each.name: each.place for each in attestations if each.name not in wanted}.items():
        if close := get_close_matches(name, missing, 1):
            title = f"Nothing in this run asks for the attestation {name}"
            yield Finding(title, f"did you mean '{close[0]}'?", place)


def _score(results: Sequence[Result], profile: Profile) -> Iterable[Reason]:
    """Many small failures, none of which blocks, may be too many together."""
    unmet = [each for each in results if each.outcome in (Outcome.FAILED, Outcome.WAIVED)]
    met = sum(each.outcome in (Outcome.PASSED, Outcome.ATTESTED) for each in results)
    if profile.minimum_met is not None and unmet and met * 100 < profile.minimum_met * (met + len(unmet)):
        title = f"Only {met} of {met + len(unmet)} are met, and at least {show_percent(profile.minimum_met)} must be"
        yield Reason(title, f"mend {len(unmet)} checks that failed or are waived, the worst first", ())


def _gaps(run: Run, results: Sequence[Result], profile: Profile) -> Iterable[Reason]:
    """What is missing from the run as a whole."""
    if run.state is not State.FINISHED:
        said = "was interrupted" if run.state is State.INTERRUPTED else "did not come to its end"
        yield Reason(f"The run {said}", "Only what was seen until then is known; run it again.", ())
    for problem in run.problems:
        yield Reason(problem, "", ())
    if not results:
        yield Reason("Nothing was checked", "The inventory or the selection left no check to run.", ())
    areas = {each.check.partition(".")[0] for each in results}
    for area in profile.requires:
        if area not in areas:
            title = f"No check of {area} was asked for, and {profile.name or 'this profile'} requires some"
            yield Reason(title, "declare some in the inventory, or take it out of `leave_out`", ())


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
