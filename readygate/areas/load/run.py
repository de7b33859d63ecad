"""Carries a load plan out, and says what may be concluded from the run."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from readygate.announcing import announce
from readygate.areas.load.watch import Watched, Watching, conclude_watched, watching
from readygate.errors import CouldNotLook
from readygate.expectation import Expectation
from readygate.load import baseline, running
from readygate.load.baseline import FEWEST, Baseline, Change
from readygate.load.histogram import quantile
from readygate.load.intent import intent, terminal
from readygate.load.outcome import Endpoint, Outcome
from readygate.load.tally import NO_ANSWER
from readygate.results import Evidence

if TYPE_CHECKING:
    from readygate.areas.load.plan import Compare, Load

PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99_9": 0.999}

# Where what is too large for results.json is written; the folder `load` in it has one file a plan.
OUT = "READYGATE_OUT"


@dataclass(frozen=True, slots=True)
class LoadRun:
    """A run, and what may be concluded from it."""

    outcome: Outcome
    file: Path
    limits: Mapping[str, float]
    watched: Watching | None = None
    evidence: tuple[Evidence, ...] = ()

    def conclude(self, name: str, expected: Expectation) -> float | None:
        """What the run as a whole says of one threshold, `p95` for instance; None where nothing was answered well.

        Raises CouldNotLook where it proves nothing: a run that ended early can't pass, and one whose generator was
        saturated can't fail, as its lag only makes answers look slower.
        """
        if name in ("rate", "worst_rate"):
            return self._concluded(getattr(self.outcome, name), expected, can_be_ours=True)
        return self._concluded_of(self.outcome.whole, name, expected)

    def conclude_endpoint(self, endpoint: str, name: str, expected: Expectation) -> float | None:
        """The same of one endpoint."""
        found = self.outcome.endpoints.get(endpoint)
        if found is None:
            seen = ", ".join(self.outcome.endpoints) or "nothing at all"
            raise CouldNotLook(f"'{endpoint}' was never asked in the run, only {seen}", mend="write its name so")
        return self._concluded_of(found, name, expected)

    def _concluded_of(self, part: Endpoint, name: str, expected: Expectation) -> float | None:
        # No lag of ours makes a target answer wrongly; only that an answer was not there in time may be our doing.
        can_be_ours = name != "errors" or all(kind.startswith(NO_ANSWER) for kind in part.errors)
        return self._concluded(_measure(part, name), expected, can_be_ours=can_be_ours)

    def _concluded(self, value: float | None, expected: Expectation, *, can_be_ours: bool) -> float | None:
        failed = not expected.judge(value)
        saturation = self.outcome.saturation(self.limits.get("p50"), self.limits.get("p99"))
        if failed and saturation and can_be_ours:
            raise CouldNotLook(
                f"the load generator was saturated: {saturation}",
                cause=f"saturated:{self.outcome.plan}",
                mend="give it more processes, or a machine of its own",
            )
        if not failed and self.outcome.stopped:
            raise CouldNotLook(
                f"the run was stopped at {self.outcome.seconds[-1].number} s, as errors went beyond the limit",
                cause=f"stopped:{self.outcome.plan}",
                mend="see what the errors are",
            )
        return value


def _measure(part: Endpoint, name: str) -> float | None:
    if name == "errors":
        return part.errors_percent
    return part.slowest if name == "max" else part.latency(PERCENTILES[name])


def observe_run(load: Load, hosts: Callable[[str], Any]) -> LoadRun:
    """Carry the plan out, and watch the server meanwhile that it names.

    CouldNotLook: the target is unreachable, a generator was lost, or nothing was asked.
    """
    made = load.planned(load.name)
    file = Path(os.environ.get(OUT, "readygate-out"), "load", f"{load.name}.json").absolute()
    said = intent(made)
    seen: Watching | None = None
    with _one_at_a_time(file) as is_ours:
        if is_ours:
            with (
                terminal() as say,
                watching(hosts(load.watch.on), load.watch) if load.watch else nullcontext() as seen,
            ):
                announce(said)
                running.run(made, file, say)
        elif not file.exists():
            raise CouldNotLook("the run, which another process of this session began, ended without an outcome")
        outcome = Outcome.read(file)
    _refuse_empty(outcome)
    return LoadRun(outcome, file, load.thresholds.latency_limits, seen, (Evidence(said, _summary(outcome)),))


def observe_watched(load_run: LoadRun) -> Watched:
    """What the server was like under load. CouldNotLook: it didn't answer, or the load was cut short."""
    seen, outcome = load_run.watched, load_run.outcome
    if seen is None:
        raise CouldNotLook("another process of this session watched the server", mend="run the load suite in one")
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

    The processes of one session of pytest-xdist share an id; each of them would else run the plan for itself.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    session = os.environ.get("PYTEST_XDIST_TESTRUNUID", "")
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
        raise CouldNotLook(outcome.problem, cause=cause, mend="see the target's log, and the journeys")
    if outcome.lost:
        lost = f"{len(outcome.lost)} of {outcome.generators} load generators were lost in the run"
        raise CouldNotLook(f"{lost}, so less was sent than planned", cause=cause, mend="see their logs; run again")
    if outcome.stopped == "interrupted":
        raise CouldNotLook("the run was interrupted", cause=cause, mend="run it to its end")
    if not outcome.whole.good and not outcome.whole.bad:
        stopped = " before anything was measured" if outcome.stopped else ""
        raise CouldNotLook(f"no request was made{stopped}", cause=cause, mend="see the journeys and the stages")


def _summary(outcome: Outcome) -> str:
    """The run in a few lines, for the report."""
    whole = outcome.whole
    took = {name: whole.latency(share) for name, share in PERCENTILES.items()}
    latencies = ", ".join(f"{name} {value * 1000:.1f} ms" for name, value in took.items() if value is not None)
    from_start = "the intended start" if outcome.model == "open" else "the start, as a closed model has no other"
    lines = [
        f"{outcome.model} model, {len(outcome.measured)} s measured, {outcome.offered:.1f} journeys/s offered, "
        f"{outcome.rate:.1f} right answers/s (worst 10 s: {outcome.worst_rate:.1f}/s)",
        f"{whole.good} right answers, {whole.bad} errors",
        f"response from {from_start}: {latencies or 'none'}",
        f"service time: p50 {_service(whole, 0.5)}, p99 {_service(whole, 0.99)}",
        *(f"{count} x {kind}" for kind, count in sorted(whole.errors.items(), key=lambda each: -each[1])[:8]),
        *(
            f"generator {number + 1}: loop lag p99 {each.loop_p99 * 1000:.1f} ms, lateness p99 "
            f"{each.late_p99 * 1000:.1f} ms, {each.cpu:.0%} of a core"
            for number, each in enumerate(outcome.health)
        ),
    ]
    return "\n".join(lines)


def _service(whole: Endpoint, share: float) -> str:
    found = quantile(whole.service, share)
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
    outcome, kept = load_run.outcome, Baseline(Path(compare.folder))
    saturation = outcome.saturation(load_run.limits.get("p50"), load_run.limits.get("p99"))
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
