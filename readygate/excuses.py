"""What may stand in for a pass: waivers and attestations, whether they hold, and what is to be tidied up of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from fnmatch import fnmatchcase

from readygate.profile import WaiverRules
from readygate.results import Outcome, Result, Run
from readygate.signatures import Signature
from readygate.units import show_duration

ATTESTATION = "attestation.every"
CLOCKS_APART = timedelta(minutes=5)  # what is dated further ahead than this has a wrong date


@dataclass(frozen=True, slots=True)
class Waiver:
    """A failure that somebody answers for, until the end of a day in UTC. `check` and `target` may be globs.

    `place` is where it is written, as in `waivers.yml:7`; `signature` is of that file, where it has to have one.
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
    environment: str = ""
    place: str = ""
    signature: Signature | None = None

    @property
    def file(self) -> str:
        return self.place.rpartition(":")[0]

    @property
    def id(self) -> str:
        return f"{self.check} @ {self.target}"

    @property
    def said(self) -> str:
        """Who answers for it, and why."""
        by = f"{self.owner}, approved by {self.approver}" if self.approver else self.owner
        ticket = f" [{self.ticket}]" if self.ticket else ""
        return f"waived by {by} until {self.expires}: {self.reason}{ticket}{_signed(self.signature)}"

    def concerns(self, result: Result) -> bool:
        """Whether it names the result, whatever became of that."""
        return fnmatchcase(result.check, self.check) and fnmatchcase(result.target, self.target)

    def excuses(self, result: Result) -> bool:
        """Whether it is meant for such a result; for an error of looking only if it says so."""
        excusable = {Outcome.FAILED, Outcome.ERROR} if self.covers_errors else {Outcome.FAILED}
        return result.outcome in excusable and self.concerns(result)

    def void(self, today: date, rules: WaiverRules) -> str:
        """Why it excuses nothing on this day; empty where it holds."""
        if today > self.expires:
            return f"ran out on {self.expires}"
        if self.since is not None and today < self.since:
            return f"begins on {self.since}"
        if rules.longest is not None and (self.expires - (self.since or today)).total_seconds() > rules.longest:
            return f"lasts longer than the {show_duration(rules.longest)} that this profile allows"
        missing = [each for each in rules.needs if not getattr(self, each)]
        if missing:
            return f"names no {' and no '.join(missing)}, which this profile wants"
        if "approver" in rules.needs and _is_the_same(self.approver, self.owner):
            return "is approved by its own owner"
        return f"does not count: {self.signature.wrong}" if self.signature and self.signature.wrong else ""


@dataclass(frozen=True, slots=True)
class Attestation:
    """A person's word, with evidence, for what no machine can see; `expires` is inclusive of its day in UTC.

    From `warns` on, the day included, a newer one is due. `ends` is the moment, where it holds for less than a day.
    """

    name: str
    by: str
    evidence: str
    expires: date
    warns: date | None = None
    place: str = ""
    signature: Signature | None = None
    ends: datetime | None = None

    @property
    def until(self) -> str:
        return f"{self.ends:%Y-%m-%d %H:%M} UTC" if self.ends else str(self.expires)

    def has_run_out(self, now: datetime) -> bool:
        return now > self.ends if self.ends else now.astimezone(UTC).date() > self.expires

    @property
    def wrong(self) -> str:
        """Why it does not count, whatever its day."""
        return self.signature.wrong if self.signature else ""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about the waivers or attestations that somebody should tidy up; it never changes the word."""

    title: str
    mend: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Excuse:
    """A waiver that holds, and the results that it excuses."""

    waiver: Waiver
    results: tuple[Result, ...]


def attested(result: Result, attestations: Sequence[Attestation], now: datetime) -> Result:
    """The newest word that was given counts."""
    if result.check != ATTESTATION:
        return result
    given = [each for each in attestations if each.name == result.target]
    if not given:
        message = "nobody has attested it"
        mend = f"see to it, then `readygate attest {result.target} --by YOU --evidence LINK`"
        return replace(result, message=message, cause=message, mend=mend)
    signed = [each for each in given if not each.wrong]
    if not signed:
        message = f"the attestation by {given[-1].by} does not count: {given[-1].wrong}"
        return replace(result, message=message, cause=message, mend="have it signed, see docs/verdict.md")
    newest = max(signed, key=lambda each: (each.expires, each.ends))
    if newest.has_run_out(now):
        message = f"the attestation by {newest.by} ran out on {newest.until}"
        return replace(result, message=message, cause=message, mend=f"do it again; last time: {newest.evidence}")
    is_due = newest.warns is not None and now.astimezone(UTC).date() >= newest.warns
    return replace(
        result,
        outcome=Outcome.ATTESTED,
        actual=f"good until {newest.until}",
        message=f"attested by {newest.by}: {newest.evidence}{_signed(newest.signature)}",
        warning=f"the attestation by {newest.by} runs out on {newest.until}" if is_due else "",
        cause="",
        mend="",
    )


def void(waiver: Waiver, run: Run, today: date, rules: WaiverRules) -> str:
    """Why it excuses nothing in this run; empty where it holds."""
    if waiver.environment and waiver.environment != run.subject.environment:
        return f"is for {waiver.environment}"
    areas = {each.check.partition(".")[0] for each in run.results}
    if len(areas) > 1 and all(waiver.concerns(each) for each in run.results):
        return "is meant for everything in this run"
    return waiver.void(today, rules)


def excused(result: Result, voids: Mapping[Waiver, str]) -> Result:
    meant = [each for each in voids if each.excuses(result)]
    if waiver := _holding(meant, voids):
        return replace(result, outcome=Outcome.WAIVED, message=f"{waiver.said} ({result.message})")
    if meant:
        return replace(result, message=f"{result.message}; the waiver by {meant[-1].owner} {voids[meant[-1]]}")
    return result


def _holding(meant: Iterable[Waiver], voids: Mapping[Waiver, str]) -> Waiver | None:
    """The first one that isn't void."""
    return next((each for each in meant if not voids[each]), None)


def excuses(seen: Iterable[tuple[Result, Result]], voids: Mapping[Waiver, str]) -> Iterable[Excuse]:
    """Each waiver that excuses something, in their order; `seen` are the results before and after."""
    by_waiver: dict[Waiver, list[Result]] = {each: [] for each in voids}
    for before, after in seen:
        if after.outcome is Outcome.WAIVED:
            waiver = _holding((each for each in voids if each.excuses(before)), voids)
            if waiver:
                by_waiver[waiver].append(after)
    for waiver, results in by_waiver.items():
        if results:
            yield Excuse(waiver, tuple(results))


def idle_waivers(run: Run, voids: Mapping[Waiver, str]) -> Iterable[Finding]:
    for waiver, why in voids.items():
        if waiver.environment and waiver.environment != run.subject.environment:
            continue  # another run will say
        title = f"The waiver {waiver.id} by {waiver.owner}"
        concerned = [each for each in run.results if waiver.concerns(each)]
        if why:
            yield Finding(f"{title} {why}", "mend what it excuses and delete it, or agree on a new one", waiver.place)
        elif not concerned:
            yield Finding(
                f"{title} matches nothing in this run", "correct its check and target, or delete it", waiver.place
            )
        elif all(each.outcome is Outcome.PASSED for each in concerned):
            yield Finding(f"{title} excuses nothing any more: all is met", "delete it", waiver.place)
        elif all(each.check == ATTESTATION for each in concerned):
            yield Finding(
                f"{title} excuses nothing: what a person attests can't be waived", "delete it", waiver.place
            )


def stray_attestations(run: Run, attestations: Sequence[Attestation]) -> Iterable[Finding]:
    """Misspelt ones; a name that is nothing like what is missing may be for another environment."""
    wanted = {each.target for each in run.results if each.check == ATTESTATION}
    missing = wanted - {each.name for each in attestations}
    for name, place in {each.name: each.place for each in attestations if each.name not in wanted}.items():
        if close := get_close_matches(name, missing, 1):
            title = f"Nothing in this run asks for the attestation {name}"
            yield Finding(title, f"did you mean '{close[0]}'?", place)


def _signed(signature: Signature | None) -> str:
    return f" (signed by {signature.by})" if signature and signature.by else ""


def _is_the_same(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()
