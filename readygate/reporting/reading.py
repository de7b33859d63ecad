"""How a verdict is read: the worst first, the tightest margins, and what changed since the last green run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from readygate.results import Outcome, Result, Run
from readygate.spec import Severity
from readygate.verdict import Reason, Verdict

WARNED = "warned"
KINDS = ("failed", "error", "not_run", WARNED, "waived", "attested", "passed")

_SIGNS = {"good": "✓", "warn": "!", "bad": "✕"}
_KIND_RANK = {kind: rank for rank, kind in enumerate(KINDS)}
_SEVERITY_RANK = {severity: rank for rank, severity in enumerate(Severity)}


def kind(result: Result) -> str:
    """The outcome as it is shown: a check that passed beyond its warning level is `warned`."""
    if result.outcome is Outcome.PASSED and result.warning:
        return WARNED
    return result.outcome.value


def tone(result: Result) -> str:
    """`good`, `warn` or `bad`: what the colours of every output mean."""
    if result.outcome is Outcome.FAILED:
        return "bad"
    return "good" if kind(result) in ("passed", "attested") else "warn"


def badness(result: Result) -> tuple[int, int, str]:
    """A sort key that puts the worst result first and is the same in every output."""
    return _KIND_RANK[kind(result)], _SEVERITY_RANK[result.severity], result.id


def area(result: Result) -> str:
    return result.check.partition(".")[0]


def is_met(result: Result) -> bool:
    return result.outcome in (Outcome.PASSED, Outcome.ATTESTED)


def limit(result: Result) -> str:
    """What must hold, without the level that only warns."""
    return _failing_level(result.expected)


def headline(results: Sequence[Result]) -> str:
    """What is wrong in one sentence, and with what: `shop: tls renew before is 9d, expected at least 14d`.

    Where several results have one reason, their targets stand elsewhere. What an assert said by itself begins with
    the last part of the check, which says little without its area.
    """
    result = results[0]
    field = result.check.rpartition(".")[2].replace("_", " ")
    said = _failing_level(result.message)
    if said.startswith(f"{field} "):
        said = f"{area(result)} {said}"
    said = said or f"{result.check}: {kind(result).replace('_', ' ')}"
    is_common = len(results) > 1 and all(each.message == result.message for each in results)
    return said if is_common else f"{result.target}: {said}"


def unsaid(result: Result) -> str:
    """What its message says beyond the expected and the actual value, which stand beside it."""
    said = result.warning or result.message
    return "" if said.endswith(f" is {result.actual}, expected {result.expected}") else said


def joined(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    """The same reasons, but failures of one check that the same owner mends in the same way are one."""
    groups: dict[object, list[Reason]] = {}
    for each in reasons:
        worst = each.worst
        is_failure = worst is not None and worst.outcome is Outcome.FAILED
        key = (worst.check, worst.owner, worst.mend) if worst is not None and is_failure else id(each)
        groups.setdefault(key, []).append(each)
    return tuple(
        replace(group[0], results=tuple(result for each in group for result in each.results))
        for group in groups.values()
    )


@dataclass(frozen=True, slots=True)
class Standing:
    """What became of results that stand in one place: the worst of them, and how many are as bad."""

    worst: Result
    alike: int
    count: int

    @property
    def tone(self) -> str:
        return tone(self.worst)

    @property
    def said(self) -> str:
        """As in `✕ 2/5`: two of five; the sign is for whoever can't see the colour."""
        return f"{_SIGNS[self.tone]} {self.alike}" + (f"/{self.count}" if self.alike < self.count else "")


def standing(results: Sequence[Result]) -> Standing:
    """Of at least one result."""
    worst = min(results, key=badness)
    return Standing(worst, sum(kind(each) == kind(worst) for each in results), len(results))


def tightest(results: Iterable[Result], most: int) -> tuple[Result, ...]:
    """The measured values nearest to their limits, or beyond them, tightest first; none twice as good as asked."""
    measured = [each for each in results if each.headroom is not None and each.headroom < 1]
    return tuple(sorted(measured, key=lambda each: (each.headroom, each.id))[:most])


def headroom(result: Result) -> str:
    """How far the limit is, as in `+12%`; `−8%` is beyond it."""
    share = round((result.headroom or 0.0) * 100)
    return f"{'−' if share < 0 else '+'}{abs(share)}%"


def accepted(verdict: Verdict) -> tuple[Result, ...]:
    """What failed below what blocks, so that nobody had to waive it."""
    return tuple(each for each in excused(verdict) if each.outcome is Outcome.FAILED)


def excused(verdict: Verdict) -> tuple[Result, ...]:
    """What does not stand in the way of a GO though it isn't met: waived, or failed below what blocks."""
    blocking = {each.id for reason in verdict.reasons for each in reason.results}
    return tuple(
        sorted(
            (
                each
                for each in verdict.results
                if each.outcome is Outcome.WAIVED or (each.outcome is Outcome.FAILED and each.id not in blocking)
            ),
            key=badness,
        )
    )


def blocking(verdict: Verdict) -> int:
    """How many failures the verdict names as reasons."""
    return sum(each.outcome is Outcome.FAILED for reason in verdict.reasons for each in reason.results)


@dataclass(frozen=True, slots=True)
class Changes:
    """What is different from an earlier run: results of this one, except `gone`, which it no longer has."""

    broke: tuple[Result, ...]
    mended: tuple[Result, ...]
    new: tuple[Result, ...]
    gone: tuple[Result, ...]
    facts: tuple[tuple[str, str, str], ...]

    def __bool__(self) -> bool:
        return bool(self.broke or self.mended or self.new or self.gone or self.facts)


def changes(now: Run, verdict: Verdict, before: Run) -> Changes:
    """Compare by identity; `facts` are (name, before, now) of the version, commit, images and inventory."""
    earlier = {each.id: each for each in before.results}
    here = {each.id for each in verdict.results}
    ordered = sorted(verdict.results, key=badness)
    known = [(each, earlier[each.id].outcome is Outcome.PASSED) for each in ordered if each.id in earlier]
    facts = (
        ("version", before.subject.version, now.subject.version),
        ("commit", before.subject.commit[:12], now.subject.commit[:12]),
        ("images", ", ".join(before.subject.images), ", ".join(now.subject.images)),
        ("inventory", before.inventory_digest[:12], now.inventory_digest[:12]),
    )
    return Changes(
        broke=tuple(each for each, was_met in known if was_met and _is_open(each)),
        mended=tuple(each for each, was_met in known if not was_met and each.outcome is Outcome.PASSED),
        new=tuple(each for each in ordered if each.id not in earlier),
        gone=tuple(each for each in before.results if each.id not in here),
        facts=tuple(fact for fact in facts if fact[1] != fact[2]),
    )


def moment(iso: str) -> str:
    """An ISO 8601 time as `2026-03-01 09:30 UTC`; what isn't one is shown as it is."""
    try:
        return said(datetime.fromisoformat(iso))
    except ValueError:
        return iso


def said(when: datetime) -> str:
    """An aware time in UTC, to the minute."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _is_open(result: Result) -> bool:
    return result.outcome in (Outcome.FAILED, Outcome.ERROR, Outcome.NOT_RUN, Outcome.WAIVED)


def _failing_level(text: str) -> str:
    return text.partition(" (warns unless ")[0]
