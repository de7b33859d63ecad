"""Carries a load plan out, and says what may be concluded from the run."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from readygate.announcing import announce
from readygate.areas.load.watch import Watched, Watching, conclude_watched, keep, kept, watching
from readygate.errors import CouldNotLook
from readygate.expectation import Expectation
from readygate.load import baseline, running, trust
from readygate.load.baseline import FEWEST, Baseline, Change
from readygate.load.histogram import Histogram, merged, quantile, total
from readygate.load.intent import HELD_BACK, ONCE, intent, progress_shown
from readygate.load.outcome import EARLIER, PERCENTILES, Endpoint, Outcome
from readygate.load.plan import Plan
from readygate.load.tally import NO_ANSWER_WITHIN, is_of_time
from readygate.load.trust import fewest_for
from readygate.results import Evidence

if TYPE_CHECKING:
    from readygate.areas.load.plan import Load
    from readygate.areas.load.thresholds import Compare

_SHARE_OF_TIMEOUT = 0.1  # how late a generator may be that says of an answer that it didn't come in time
_MORE = "give the generator more processes, or a machine of its own"

# Where what is too large for results.json is written; the folder `load` in it has one file a plan.
OUT = "READYGATE_OUT"


@dataclass(frozen=True, slots=True)
class LoadRun:
    """A run, and what may be concluded from it; `limits` are those on answer times, in seconds."""

    plan: Plan
    outcome: Outcome
    file: Path
    limits: Mapping[str, float]
    watched: Watching | None = None
    evidence: tuple[Evidence, ...] = ()

    @property
    def saturation(self) -> str:
        return trust.saturation(self.outcome, self.limits)

    def conclude(self, name: str, expected: Expectation) -> float | None:
        """What the run as a whole says of one threshold, `p95` for instance; None where nothing was answered well.

        Raises CouldNotLook where it proves nothing: no pass, where less was asked than declared; no failure, where
        it may be the generator's own.
        """
        if name in ("rate", "worst_rate"):
            if self.outcome.stopped:
                raise self._stopped()  # so many were not asked for that
            value: float | None = getattr(self.outcome, name)
            self._refuse_ours(expected, value, self._highest_rate() if name == "rate" else None)
        else:
            value = self._concluded(self.outcome.whole, name, expected)
        unasked = [each for each in self.plan.endpoints if not self._asked(each)]
        if unasked and expected.judge(value):
            raise CouldNotLook(f"'{unasked[0]}' was never asked while it was measured", mend="measure for longer")
        return value

    def conclude_endpoint(self, endpoint: str, name: str, expected: Expectation) -> float | None:
        """The same of one endpoint."""
        if not self._asked(endpoint):
            seen = ", ".join(filter(self._asked, self.outcome.endpoints)) or "nothing at all"
            raise CouldNotLook(f"'{endpoint}' was never asked in the run, only {seen}", mend="write its name so")
        return self._concluded(self.outcome.endpoints[endpoint], name, expected)

    def _asked(self, endpoint: str) -> bool:
        found = self.outcome.endpoints.get(endpoint)
        return found is not None and found.good + found.bad > 0

    def _concluded(self, part: Endpoint, name: str, expected: Expectation) -> float | None:
        if name == "errors":
            # No lag of ours makes a target answer wrongly; only that an answer was not there in time may be ours.
            surely = Endpoint(part.response, part.service, self._surely_wrong(part))
            self._refuse_ours(expected, part.errors_percent, surely.errors_percent)
            return part.errors_percent
        share = PERCENTILES.get(name, 1.0)
        value = part.latency(share)
        self._refuse_ours(expected, value, trust.least(part, share, self.outcome))
        if expected.judge(value) and part.good < (needed := fewest_for(share)):
            raise CouldNotLook(f"{name} takes {needed} answers to tell, and {part.good} came", mend="measure longer")
        return value

    def _surely_wrong(self, part: Endpoint) -> dict[str, int]:
        """The errors that are the target's doing, whatever the generator was like."""
        is_prompt = trust.longest_lag(self.outcome) < _SHARE_OF_TIMEOUT * self.plan.timeout
        return {
            kind: count
            for kind, count in part.errors.items()
            if not is_of_time(kind) or (is_prompt and kind.startswith(NO_ANSWER_WITHIN))
        }

    def _highest_rate(self) -> float | None:
        """What the rate would have been if all went right that may be ours; None where nobody knows."""
        if not self.plan.is_open:
            return None  # who waits for us doesn't ask
        whole = self.outcome.whole
        return (whole.good + whole.bad - sum(self._surely_wrong(whole).values())) / len(self.outcome.measured)

    def _refuse_ours(self, expected: Expectation, value: float | None, least: float | None) -> None:
        """Raise CouldNotLook where what was measured may be the generator's doing.

        `least` is what surely is the target's.
        """
        if expected.judge(value):
            slipped = trust.slipped(self.outcome)
            if slipped:
                raise CouldNotLook(f"the load was never held: {slipped}", cause=self._cause("slipped"), mend=_MORE)
            if self.outcome.stopped:
                raise self._stopped()
        elif (least is None or expected.judge(least)) and self.saturation:
            raise CouldNotLook(
                f"the load generator was saturated: {self.saturation}", cause=self._cause("saturated"), mend=_MORE
            )

    def _stopped(self) -> CouldNotLook:
        at = self.outcome.seconds[-1].number
        return CouldNotLook(
            f"the run was stopped at {at} s, as errors went beyond the limit",
            cause=self._cause("stopped"),
            mend="see what the errors are",
        )

    def _cause(self, what: str) -> str:
        return f"{what}:{self.outcome.plan}"


def observe_run(load: Load, hosts: Callable[[str], Any]) -> LoadRun:
    """Carry the plan out, and watch the server meanwhile that it names.

    CouldNotLook: the target is unreachable, a generator was lost, or nothing was asked.
    """
    if HELD_BACK in os.environ:
        raise CouldNotLook("load is only sent once all else is so", cause=HELD_BACK, mend="see what else is not so")
    made = load.planned(load.name)
    file = Path(os.environ.get(OUT, "readygate-out"), "load", f"{load.name}.json").absolute()
    said = intent(made)
    seen: Watching | None = None
    with _one_at_a_time(file) as is_ours:
        if is_ours:
            with (
                progress_shown() as say,
                watching(hosts(load.watch.on), load.watch) if load.watch else nullcontext() as seen,
            ):
                announce(said)
                file.with_suffix(EARLIER).unlink(missing_ok=True)
                try:
                    running.run(made, file, say)
                except KeyboardInterrupt:
                    _tell_until_then(file)
                    raise
            if seen:
                keep(seen, file.with_suffix(".watched"))
        elif not file.exists():
            raise CouldNotLook("the run, which another process of this session began, ended without an outcome")
        elif load.watch:
            seen = kept(file.with_suffix(".watched"))
        outcome = Outcome.read(file)
    _refuse_empty(outcome)
    return LoadRun(made, outcome, file, load.thresholds.latency_limits, seen, (Evidence(said, _summary(outcome)),))


def observe_watched(load_run: LoadRun) -> Watched:
    """What the server was like under load. CouldNotLook: it didn't answer, or the load was cut short."""
    seen, outcome = load_run.watched, load_run.outcome
    if seen is None:
        raise CouldNotLook("the plan watches no server")
    if seen.blind is not None:
        raise seen.blind
    if outcome.stopped:
        raise CouldNotLook(
            "the run stopped itself, so the server was not under full load", cause=f"stopped:{outcome.plan}"
        )
    return conclude_watched(seen.samples, outcome)


@contextmanager
def _one_at_a_time(file: Path) -> Iterator[bool]:
    """Hold the load back while another process of pytest sends some; False where this very run is over already.

    The processes of one session of pytest-xdist share an id, as do the looks of one `readygate watch`; each of them
    would else run the plan for itself.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    session = os.environ.get(ONCE) or os.environ.get("PYTEST_XDIST_TESTRUNUID", "")
    with file.with_name("lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        begun = file.with_suffix(".session")
        if session and begun.is_file() and begun.read_text() == session:
            yield False
            return
        begun.write_text(session)
        yield True


def _refuse_empty(outcome: Outcome) -> None:
    cause = f"load:{outcome.plan}"
    if outcome.problem:
        is_target = "sign in" in outcome.problem
        mend = "see the target's log, and the journeys" if is_target else "mend that, and run again"
        raise CouldNotLook(outcome.problem, cause=cause, mend=mend)
    if outcome.lost:
        lost = f"{len(outcome.lost)} of {outcome.generators} load generators were lost in the run"
        raise CouldNotLook(f"{lost}, so less was sent than planned", cause=cause, mend="see their logs; run again")
    if outcome.stopped == "interrupted":
        raise CouldNotLook("the run was interrupted", cause=cause, mend="run it to its end")
    if not outcome.whole.good and not outcome.whole.bad:
        stopped = " before anything was measured" if outcome.stopped else ""
        raise CouldNotLook(f"no request was made{stopped}", cause=cause, mend="see the journeys and the stages")


def _tell_until_then(file: Path) -> None:
    """What an interrupted run has measured, for whoever sits there; nothing is concluded from it."""
    if file.exists():
        whole = (outcome := Outcome.read(file)).whole
        counts = f"{whole.good} right answers, {whole.bad} errors, {_latencies(whole)}"
        announce(f"load {outcome.plan}: interrupted; measured until then: {counts}; all of it is in {file}")


def _latencies(whole: Endpoint) -> str:
    took = {name: whole.latency(share) for name, share in PERCENTILES.items()}
    return ", ".join(f"{name} {value * 1000:.1f} ms" for name, value in took.items() if value is not None) or "none"


def _summary(outcome: Outcome) -> str:
    """The run in a few lines, for the report."""
    whole = outcome.whole
    from_start = "the intended start" if outcome.model == "open" else "the start, as a closed model has no other"
    lines = [
        f"{outcome.model} model, {len(outcome.measured)} s measured, {outcome.offered:.1f} journeys/s offered, "
        f"{outcome.rate:.1f} right answers/s (worst 10 s: {outcome.worst_rate:.1f}/s)",
        f"{whole.good} right answers, {whole.bad} errors",
        f"response from {from_start}: {_latencies(whole)}",
        f"service time: p50 {_ms(whole.service, 0.5)}, p99 {_ms(whole.service, 0.99)}",
        f"{total(whole.undisturbed)} answers that no lag of the generator was near: "
        f"p50 {_ms(whole.undisturbed, 0.5)}, p99 {_ms(whole.undisturbed, 0.99)}",
        *(f"{count} x {kind}" for kind, count in sorted(whole.errors.items(), key=lambda each: -each[1])[:8]),
        *(
            f"generator {number + 1}: loop lag p99 {each.loop_p99 * 1000:.1f} ms, lateness p99 "
            f"{each.late_p99 * 1000:.1f} ms, {each.cpu:.0%} of a core, {each.queued:.0%} of the time waiting for one"
            for number, each in enumerate(outcome.health)
        ),
    ]
    return "\n".join(lines)


def _ms(histogram: Histogram, share: float) -> str:
    found = quantile(histogram, share)
    return "none" if found is None else f"{found * 1000:.1f} ms"


@dataclass(frozen=True, slots=True)
class Comparison:
    """How this run stands beside earlier ones."""

    changes: Mapping[str, Change]
    evidence: tuple[Evidence, ...] = ()

    def slower_percent(self, name: str) -> float:
        return self.changes[name].slower_percent


def observe_comparison(load: Load, compare: Compare, load_run: LoadRun) -> Comparison:
    """Compare with the last good runs, and keep this one if it is good. CouldNotLook: there are too few."""
    outcome, kept, saturation = load_run.outcome, Baseline(Path(compare.folder)), load_run.saturation
    if saturation or outcome.stopped or not outcome.whole.good:
        why = f"the load generator was saturated: {saturation}" if saturation else "the run did not go to its end"
        raise CouldNotLook(f"{why}, so it says nothing beside others", cause=f"saturated:{outcome.plan}")
    is_good = _meets_thresholds(load, load_run)
    before = kept.last(outcome, compare.runs)
    if len(before) < FEWEST:
        if is_good:
            kept.keep(outcome, load_run.file)
        raise CouldNotLook(
            f"{len(before)} good runs are kept in {compare.folder}, and {FEWEST} are needed to compare with",
            cause=f"baseline:{outcome.plan}",
            mend="run the plan again; until then waive this",
        )
    earlier = merged(each.whole.response for each in before)
    load_run.file.with_suffix(EARLIER).write_text(json.dumps(earlier))
    names = [name for name in PERCENTILES if getattr(compare, name, None) is not None]
    changes = {name: baseline.compare(outcome, before, PERCENTILES[name], compare.confidence) for name in names}
    if is_good and all(getattr(compare, name).judge(change.slower_percent) for name, change in changes.items()):
        kept.keep(outcome, load_run.file)
    told = tuple(Evidence(f"{name} over the baseline", change.in_words(name)) for name, change in changes.items())
    return Comparison(changes, told)


def _meets_thresholds(load: Load, load_run: LoadRun) -> bool:
    declared = {name: getattr(load.thresholds, name) for name in type(load.thresholds).model_fields}
    expectations = {name: each for name, each in declared.items() if isinstance(each, Expectation)}
    return all(each.judge(load_run.conclude(name, each)) for name, each in expectations.items())
