"""What may be concluded from a run: nothing from an empty one, no failure from a saturated generator."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readygate.areas.load.run import LoadRun, _refuse_empty
from readygate.areas.load.thresholds import Thresholds
from readygate.errors import CouldNotLook
from readygate.load.histogram import add, bucket, merged, middle, quantile, total
from readygate.load.outcome import Outcome
from readygate.load.plan import Journey, Plan, Step
from readygate.load.schedule import Schedule, Stage
from readygate.reporting.load_charts import (
    distribution_chart,
    errors_chart,
    latency_chart,
    rate_chart,
    users_chart,
)

LIMITS = {"p50": 0.05, "p99": 0.5}
TEN_S = Schedule((Stage(10, 1.0, 1.0, measured=True),))
PLAN = Plan("steady", "http://app.test", TEN_S, 40, 40.0, journeys=(Journey("look", 1, (Step("GET", "/", "/"),)),))


def histogram(*seconds: float) -> dict[int, int]:
    counts: dict[int, int] = {}
    for each in seconds:
        add(counts, {bucket(each): 1})
    return counts


def written(folder: Path, lag: float = 0.0, **changes: Any) -> Path:
    """A run of ten seconds in which forty requests a second took 20 ms each; `lag` is how late they were sent."""
    took = histogram(*[0.02] * 40)
    second = {"due": 40, "ended": 40, "failed": 0, "bad": 0, "busy": 1, "response": took, "service": took}
    second["lag"] = histogram(lag)
    took_all = histogram(*[0.02] * 400)
    outcome = {
        "plan": "steady",
        "digest": "0a1b2c3d",
        "target": "http://app.test",
        "model": "open",
        "started_at": "2030-01-02T03:04:05+00:00",
        "measured": list(range(2, 12)),
        "generators": 1,
        "lost": [],
        "stopped": "",
        "problem": "",
        "seconds": dict.fromkeys(range(12), second),
        "endpoints": {"GET /": {"response": took_all, "service": took_all, "errors": {}}},
        "health": {"local": {"loop": histogram(0.0005), "late": histogram(0.0005), "cpu": 1.0, "wall": 10.0}},
        **changes,
    }
    path = folder / "steady.json"
    path.write_text(json.dumps(outcome))
    return path


def run(folder: Path, **changes: Any) -> LoadRun:
    path = written(folder, **changes)
    return LoadRun(PLAN, Outcome.read(path), path, LIMITS)


def health(**changes: Any) -> dict[str, Any]:
    sound = {"loop": histogram(0.0005), "late": histogram(0.0005), "cpu": 1.0, "wall": 10.0}
    return {"one": sound, "two": {**sound, **changes}}


THRESHOLDS = Thresholds.model_validate(
    {"rate": "40/s", "worst_rate": "40/s", "p50": "50ms", "p99": "500ms", "max": "1s", "errors": "0%"}
)
CLOSE = Thresholds.model_validate({"p99": "30ms", "errors": "0%"})
STRICT = Thresholds.model_validate({"p50": "10ms", "p99": "15ms", "errors": "0%"})


@given(st.floats(min_value=1e-5, max_value=3600))
def test_a_bucket_is_within_a_thousandth_of_what_fell_into_it(seconds: float) -> None:
    assert abs(middle(bucket(seconds)) - seconds) <= max(0.0005 * seconds, 1e-6) * 1.01


def test_a_quantile_is_the_least_that_the_share_keeps_to() -> None:
    ten = histogram(*[number / 1000 for number in range(1, 11)])
    assert [round((quantile(ten, share) or 0) * 1000) for share in (0.0, 0.1, 0.5, 0.91, 1.0)] == [1, 1, 5, 10, 10]
    assert quantile({}, 0.5) is None


def test_histograms_of_two_generators_merge_by_addition() -> None:
    assert total(merged([histogram(0.1, 0.2), histogram(0.1)])) == 3


def test_a_sound_run_is_concluded_as_measured(tmp_path: Path) -> None:
    sound = run(tmp_path)
    assert sound.conclude("rate", THRESHOLDS.rate) == 40.0
    assert sound.conclude("worst_rate", THRESHOLDS.worst_rate) == 40.0
    assert sound.conclude("p99", THRESHOLDS.p99) == pytest.approx(0.02, rel=0.001)
    assert sound.conclude("max", THRESHOLDS.max) == pytest.approx(0.02, rel=0.001)
    assert sound.conclude("errors", THRESHOLDS.errors) == 0.0


def test_a_second_without_answers_lowers_the_rate(tmp_path: Path) -> None:
    seconds = json.loads(written(tmp_path).read_text())["seconds"]
    del seconds["5"]
    assert run(tmp_path, seconds=seconds).outcome.rate == 36.0


def test_a_rate_is_rounded_down_and_a_slow_one_is_still_told(tmp_path: Path) -> None:
    seconds = {number: {"due": 1, "ended": number % 4 == 0, "response": {}, "service": {}} for number in range(60)}
    assert run(tmp_path, seconds=seconds, measured=list(range(60))).outcome.rate == 0.25
    assert run(tmp_path, seconds=seconds, measured=list(range(1, 60))).outcome.rate == 0.237


def test_errors_are_never_fast_answers(tmp_path: Path) -> None:
    endpoints = {"GET /": {"response": histogram(0.02), "service": histogram(0.02), "errors": {"status 503": 3}}}
    erring = run(tmp_path, endpoints=endpoints)
    assert erring.outcome.whole.errors_percent == pytest.approx(100 * 3 / 403)
    assert erring.outcome.endpoints["GET /"].errors_percent == 75.0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"seconds": {}, "endpoints": {}}, "no request was made"),
        ({"lost": ["worker"], "generators": 2}, "1 of 2 load generators were lost"),
        ({"stopped": "interrupted"}, "the run was interrupted"),
        ({"problem": "3 of 9 users could not sign in"}, "3 of 9 users could not sign in"),
    ],
)
def test_a_run_that_is_no_run_is_never_a_pass(changes: dict[str, Any], reason: str, tmp_path: Path) -> None:
    with pytest.raises(CouldNotLook, match=reason):
        _refuse_empty(run(tmp_path, **changes).outcome)


@pytest.mark.parametrize(
    ("ill", "reason"),
    [
        ({"loop": histogram(0.02)}, "event loop lagged"),
        ({"late": histogram(0.1)}, "timers were 100 ms late"),
        ({"cpu": 9.0}, "90% of a core"),
    ],
)
def test_a_saturated_generator_cannot_make_a_target_fail(ill: dict[str, Any], reason: str, tmp_path: Path) -> None:
    saturated = run(tmp_path, lag=0.02, health=health(**ill))
    assert saturated.conclude("p99", THRESHOLDS.p99)
    with pytest.raises(CouldNotLook, match=reason):
        saturated.conclude("p99", STRICT.p99)


def test_wrong_answers_are_the_targets_even_where_the_generator_was_saturated(tmp_path: Path) -> None:
    def saturated(kind: str, lag: float) -> LoadRun:
        endpoints = {"GET /": {"response": histogram(0.02), "service": histogram(0.02), "errors": {kind: 3}}}
        return run(tmp_path, lag=lag, endpoints=endpoints, health=health(cpu=9.0))

    assert saturated("status 503", 2.0).conclude("errors", THRESHOLDS.errors)
    assert saturated("no answer within 10 s", 0.5).conclude("errors", THRESHOLDS.errors)
    for kind in ("no answer within 10 s", "no answer by the end of the run", "Read timed out."):
        with pytest.raises(CouldNotLook, match="saturated"):
            saturated(kind, 2.0).conclude("errors", THRESHOLDS.errors)


def test_a_rate_that_errors_alone_explain_is_the_targets(tmp_path: Path) -> None:
    def saturated(kind: str) -> LoadRun:
        twenty_ms = histogram(*[0.02] * 280)
        endpoints = {"GET /": {"response": twenty_ms, "service": twenty_ms, "errors": {kind: 120}}}
        seconds = {number: {"due": 40, "ended": 28, "response": histogram(*[0.02] * 28)} for number in range(2, 12)}
        return run(tmp_path, endpoints=endpoints, seconds=seconds, health=health(**FULL))

    assert saturated("status 503").conclude("rate", THRESHOLDS.rate) == 28.0
    with pytest.raises(CouldNotLook, match="saturated"):
        saturated("no answer by the end of the run").conclude("rate", THRESHOLDS.rate)


FULL = {"cpu": 5.0, "queued": 4.0}


def slow(**seconds: float) -> dict[str, Any]:
    """Ten seconds of forty answers, in 20 ms each but in these, and no lag but in these."""
    made = {}
    for number in range(10):
        took = histogram(*[seconds.get(f"took_{number}", 0.02)] * 40)
        lag = histogram(seconds.get(f"lag_{number}", 0.0))
        made[str(number)] = {"due": 40, "ended": 40, "response": took, "service": took, "lag": lag}
    return {"seconds": made, "measured": list(range(10))}


@pytest.mark.parametrize("ill", [FULL, {"loop": histogram(0.1)}, {"late": histogram(0.1)}])
def test_a_failure_that_no_lag_of_ours_explains_is_the_targets(ill: dict[str, Any], tmp_path: Path) -> None:
    """Answers end by the kernel's stamp, so that a lag only delays them by those that were sent together after it."""
    four_s = run(tmp_path, **slow(took_3=4.0, lag_3=0.1), health=health(**ill))
    assert four_s.saturation
    assert four_s.conclude("p99", THRESHOLDS.p99) == pytest.approx(4.0, rel=0.001)
    drained = run(tmp_path, **slow(took_4=0.04, lag_3=0.1), health=health(**ill))
    with pytest.raises(CouldNotLook, match="saturated"):
        drained.conclude("p99", CLOSE.p99)
    long_after = run(tmp_path, **slow(took_9=0.04, lag_3=0.1), health=health(**ill))
    assert long_after.conclude("p99", STRICT.p99) == pytest.approx(0.04, rel=0.001)


def test_answers_that_no_lag_was_near_tell_how_slow_a_target_is(tmp_path: Path) -> None:
    always = slow(**{f"lag_{each}": 0.05 for each in range(10)})
    endpoint = {"response": histogram(*[0.02] * 400), "service": histogram(*[0.02] * 400), "errors": {}}
    undisturbed = {"GET /": {**endpoint, "undisturbed": histogram(*[0.02] * 200)}}
    ill = {"local": health(loop=histogram(0.1))["two"]}
    assert run(tmp_path, **always, endpoints=undisturbed, health=ill).conclude("p99", STRICT.p99)
    for unsure in (
        {"endpoints": {"GET /": endpoint}, "health": ill},
        {"endpoints": undisturbed, "health": health(**FULL)},
    ):
        with pytest.raises(CouldNotLook, match="saturated"):
            run(tmp_path, **always, **unsure).conclude("p99", STRICT.p99)


def test_an_answer_that_nothing_stamped_may_have_waited_for_each_of_its_stages(tmp_path: Path) -> None:
    """A handshake, a redirect and the answer itself were each read as late as the generator was."""
    limit = Thresholds.model_validate({"p99": "200ms", "errors": 0}).p99
    always = slow(**{f"took_{each}": 0.3 for each in range(10)}, **{f"lag_{each}": 0.05 for each in range(10)})
    assert limit
    assert run(tmp_path, **always, health=health(**FULL)).conclude("p99", limit)
    with pytest.raises(CouldNotLook, match="saturated"):
        run(tmp_path, **always, health=health(**FULL, unstamped=400)).conclude("p99", limit)


def test_a_visitor_who_waited_for_a_user_says_nothing_where_the_core_was_full(tmp_path: Path) -> None:
    waited = slow()
    for each in waited["seconds"].values():
        each["response"] = histogram(*[2.0] * 40)
    assert run(tmp_path, **waited, health=health(loop=histogram(0.02))).conclude("p99", THRESHOLDS.p99)
    with pytest.raises(CouldNotLook, match="saturated"):
        run(tmp_path, **waited, health=health(**FULL)).conclude("p99", THRESHOLDS.p99)


def test_a_load_that_was_never_held_cannot_pass(tmp_path: Path) -> None:
    slipping = run(tmp_path, health=health(late=histogram(*[0.9] * 60, *[0.001] * 40)))
    with pytest.raises(CouldNotLook, match="never held: half of all visits began more than 900 ms after"):
        slipping.conclude("p99", THRESHOLDS.p99)


def test_rare_percentiles_are_not_told_from_few_answers(tmp_path: Path) -> None:
    rare = Thresholds.model_validate({"p99_9": "1s", "errors": "0%"}).p99_9
    assert rare
    with pytest.raises(CouldNotLook, match="p99_9 takes 2995 answers to tell, and 400 came"):
        run(tmp_path).conclude("p99_9", rare)
    few = {"GET /": {"response": histogram(*[0.02] * 298), "service": {}, "errors": {}}}
    with pytest.raises(CouldNotLook, match="p99 takes 299 answers to tell, and 298 came"):
        run(tmp_path, endpoints=few).conclude_endpoint("GET /", "p99", THRESHOLDS.p99)


def test_a_step_that_was_never_reached_lets_nothing_pass(tmp_path: Path) -> None:
    other = {"GET /other": {"response": histogram(0.02), "service": histogram(0.02), "errors": {}}}
    with pytest.raises(CouldNotLook, match="'GET /' was never asked while it was measured"):
        run(tmp_path, endpoints=other).conclude("p50", THRESHOLDS.p50)


def test_a_sound_generator_lets_a_target_fail(tmp_path: Path) -> None:
    assert run(tmp_path, health=health()).conclude("p99", STRICT.p99) not in STRICT.p99


def test_a_run_that_stopped_itself_cannot_pass_but_can_fail(tmp_path: Path) -> None:
    stopped = run(tmp_path, stopped="errors")
    assert stopped.conclude("p99", STRICT.p99)
    for name in ("p99", "rate", "worst_rate"):
        with pytest.raises(CouldNotLook, match="stopped"):
            stopped.conclude(name, getattr(THRESHOLDS, name))


def test_a_rate_that_a_run_missed_as_it_stopped_itself_is_no_failure(tmp_path: Path) -> None:
    seconds = json.loads(written(tmp_path).read_text())["seconds"]
    with pytest.raises(CouldNotLook, match="stopped at 3 s"):
        run(tmp_path, seconds={each: seconds[each] for each in "0123"}, stopped="errors").conclude(
            "rate", THRESHOLDS.rate
        )


def test_an_endpoint_that_was_never_asked_proves_nothing(tmp_path: Path) -> None:
    with pytest.raises(CouldNotLook, match="'GET /gone' was never asked in the run, only GET /"):
        run(tmp_path).conclude_endpoint("GET /gone", "p99", THRESHOLDS.p99)


def shapes(svg: str) -> list[ElementTree.Element]:
    root = ElementTree.fromstring(svg)
    assert {each.tag for each in root} <= {"path", "text"}
    assert not any(each.get("style") for each in root.iter())
    return list(root)


def test_the_latency_chart_draws_the_limits_into_the_lines(tmp_path: Path) -> None:
    drawn = shapes(latency_chart(run(tmp_path).outcome, LIMITS, labelled_by="a b"))
    texts = [each.text for each in drawn if each.tag == "text"]
    assert {"p50", "p95", "p99", "p99 limit 500ms", "p50 limit 50ms"} <= set(texts)
    assert sum(each.get("stroke-dasharray") is not None for each in drawn) == 2


def test_the_distribution_is_drawn_over_the_baseline(tmp_path: Path) -> None:
    (tmp_path / "steady.earlier").write_text(json.dumps(histogram(0.01, 0.02)))
    texts = [each.text for each in shapes(distribution_chart(run(tmp_path).outcome, labelled_by="a"))]
    assert {"response", "service", "baseline", "99%"} <= set(texts)


@pytest.mark.parametrize("chart", [rate_chart, users_chart, errors_chart])
def test_an_empty_run_can_be_drawn_too(chart: Any, tmp_path: Path) -> None:
    assert shapes(chart(run(tmp_path).outcome, labelled_by="a"))
    assert shapes(chart(run(tmp_path, seconds={}, endpoints={}).outcome, labelled_by="a"))


def test_without_a_terminal_a_line_is_told_now_and_then() -> None:
    called = "from readygate.load import intent; intent._NOW_AND_THEN_S = 0\n"
    called += "with intent.progress_shown() as say: say('load steady: 100/s')"
    ended = subprocess.run(
        [sys.executable, "-c", called], start_new_session=True, capture_output=True, text=True, check=True
    )
    assert ended.stderr == "load steady: 100/s\n"
