"""This run beside earlier ones: a slowdown is found, and noise is not called one."""

from __future__ import annotations

import random
from math import exp, log
from pathlib import Path

import pytest

from readygate.areas.load.plan import Load
from readygate.areas.load.run import LoadRun, observe_comparison
from readygate.errors import CouldNotLook
from readygate.load.baseline import Baseline, compare
from readygate.load.histogram import total
from readygate.load.outcome import Outcome
from tests.holding import suite_functions
from tests.test_load_outcome import PLAN, health, histogram, written


def noisy(folder: Path, seed: int, slower: float = 1.0) -> Outcome:
    """Sixty seconds of 100 requests that take a lognormal time; each second and each run has a mood of its own."""
    rnd = random.Random(seed)
    mood = exp(rnd.gauss(0, 0.01))
    seconds = {}
    for number in range(60):
        median = 0.02 * slower * mood * exp(rnd.gauss(0, 0.03))
        took = histogram(*(exp(rnd.gauss(log(median), 0.5)) for _ in range(100)))
        seconds[number] = {"due": 100, "ended": 100, "response": took, "service": took}
    return Outcome.read(written(folder, seconds=seconds, measured=list(range(60))))


def test_a_slowdown_of_a_tenth_is_found_and_noise_is_not(tmp_path: Path) -> None:
    before = [noisy(tmp_path, seed) for seed in range(6)]
    same = [compare(noisy(tmp_path, 100 + seed), before, 0.5, 0.95) for seed in range(3)]
    slower = [compare(noisy(tmp_path, 200 + seed, 1.1), before, 0.5, 0.95) for seed in range(3)]
    assert sum(change.slower_percent > 5 for change in same) == 0
    assert sum(change.slower_percent > 5 for change in slower) == 3
    assert "slower than the last 6 good runs" in slower[0].in_words("p50")
    assert "95% confidence" in slower[0].in_words("p50")


def test_the_baseline_keeps_the_newest_good_runs_of_a_plan(tmp_path: Path) -> None:
    baseline = Baseline(tmp_path / "kept")
    for day in range(1, 5):
        path = written(tmp_path, started_at=f"2030-01-0{day}T00:00:00+00:00")
        baseline.keep(Outcome.read(path), path)
    like = Outcome.read(written(tmp_path))
    assert [each.started_at[:10] for each in baseline.last(like, 2)] == ["2030-01-03", "2030-01-04"]
    assert baseline.last(Outcome.read(written(tmp_path, digest="ffffffff")), 2) == []
    assert baseline.last(Outcome.read(written(tmp_path, plan="other")), 2) == []


def declared(folder: Path) -> Load:
    load = Load.model_validate(
        {
            "target": "http://app.test",
            "arrival": {"rate": "100/s"},
            "stages": [{"hold": "60s", "measure": True}],
            "users": {"max": 100, "mix": [{"journey": "browse", "steps": ["GET /"]}]},
            "thresholds": {"p50": "100ms", "p99": "500ms", "errors": "0%"},
            "compare": {"folder": str(folder / "kept"), "p50": "5%", "p95": "5%", "p99": "5%"},
        }
    )
    load._named("steady")
    return load


def ran(folder: Path, seed: int, slower: float = 1.0) -> LoadRun:
    outcome = noisy(folder, seed, slower)
    return LoadRun(PLAN, outcome, folder / "steady.json", {"p50": 0.1, "p99": 0.5})


def filled(folder: Path) -> Load:
    """A plan with six good runs behind it."""
    load = declared(folder)
    for seed in range(6):
        noisy(folder, seed)
        path = written_at(folder, seed)
        Baseline(folder / "kept").keep(Outcome.read(path), path)
    return load


def written_at(folder: Path, day: int) -> Path:
    path = folder / "steady.json"
    path.write_text(path.read_text().replace("2030-01-02", f"2029-01-0{day + 1}"))
    return path


def test_each_percentile_is_held_against_the_baseline(tmp_path: Path) -> None:
    load = filled(tmp_path)
    assert load.compare
    equal = observe_comparison(load, load.compare, ran(tmp_path, 50))
    assert total(Outcome.read(tmp_path / "steady.json").earlier) == 6 * 60 * 100
    slower = observe_comparison(load, load.compare, ran(tmp_path, 51, 1.3))
    for name in ("p50", "p95", "p99"):
        check = dict(suite_functions("load"))[f"load.baseline.{name}"]
        check(comparison=equal, compare=load.compare)
        with pytest.raises(AssertionError):
            check(comparison=slower, compare=load.compare)


def test_a_good_run_joins_the_baseline_and_a_slower_one_does_not(tmp_path: Path) -> None:
    load = filled(tmp_path)
    assert load.compare
    slower = ran(tmp_path, 51, 1.3)
    observe_comparison(load, load.compare, slower)
    assert len(Baseline(tmp_path / "kept").last(slower.outcome, 50)) == 6
    observe_comparison(load, load.compare, ran(tmp_path, 50))
    assert len(Baseline(tmp_path / "kept").last(slower.outcome, 50)) == 7


def test_the_first_runs_have_nothing_to_be_compared_with(tmp_path: Path) -> None:
    load = declared(tmp_path)
    assert load.compare
    with pytest.raises(CouldNotLook, match="0 good runs are kept"):
        observe_comparison(load, load.compare, ran(tmp_path, 1))
    with pytest.raises(CouldNotLook, match="1 good runs are kept"):
        observe_comparison(load, load.compare, ran(tmp_path, 2))


def test_a_saturated_run_is_not_compared_and_never_kept(tmp_path: Path) -> None:
    load = declared(tmp_path)
    path = written(tmp_path, health=health(cpu=9.0))
    assert load.compare
    with pytest.raises(CouldNotLook, match="saturated"):
        observe_comparison(load, load.compare, LoadRun(PLAN, Outcome.read(path), path, {"p50": 0.1}))
    assert not (tmp_path / "kept").exists()
