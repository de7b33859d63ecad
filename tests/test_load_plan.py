"""A plan is refused before a byte is sent where it can't do what it promises, or may not."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from math import exp
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from readygate.areas.load.plan import PRODUCTION, Load, forbidden
from readygate.errors import InventoryError, Mistake
from readygate.inventory import load
from readygate.load.intent import intent
from readygate.load.plan import Plan
from readygate.load.schedule import Schedule, Stage

HALF_MINUTE = Schedule((Stage(10, 0.0, 1.0), Stage(20, 1.0, 1.0, measured=True)))


def declared(**changes: Any) -> dict[str, Any]:
    return {
        "target": "http://app.test",
        "arrival": {"rate": "1000/s"},
        "stages": [{"ramp": "30s"}, {"hold": "5m", "measure": True}],
        "users": {"max": 750, "mix": [{"journey": "browse", "steps": ["GET /items"]}]},
        "thresholds": {"rate": ">=990/s", "p50": "50ms", "p95": "200ms", "p99": "500ms", "errors": "0%"},
        **changes,
    }


def refused(**changes: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        Load.model_validate(declared(**changes))
    return str(caught.value)


def test_even_arrivals_are_evenly_spaced() -> None:
    times = list(Schedule((Stage(2, 1.0, 1.0),)).arrivals(100.0, poisson=False, seed=1))
    assert len(times) == 200
    assert {round(later - earlier, 6) for earlier, later in pairwise(times)} == {0.01}


def test_a_ramp_sends_half_of_what_full_load_would() -> None:
    times = list(HALF_MINUTE.arrivals(100.0, poisson=False, seed=1))
    assert sum(time < 10 for time in times) == 500
    assert sum(time < 5 for time in times) == 125
    assert sum(time >= 10 for time in times) == 2000


def test_random_arrivals_keep_the_rate_and_vary_as_chance_does() -> None:
    times = list(Schedule((Stage(100, 1.0, 1.0),)).arrivals(100.0, poisson=True, seed=3))
    counts = Counter(int(time) for time in times)
    assert len(times) == 10_000
    variance = sum((counts[second] - 100) ** 2 for second in range(100)) / 100
    assert variance == pytest.approx(100, rel=0.4)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert sum(gap > 0.01 for gap in gaps) / len(gaps) == pytest.approx(exp(-1), rel=0.05)


def test_generators_that_share_a_constant_rate_take_turns() -> None:
    schedule = Schedule((Stage(1, 1.0, 1.0),))
    both = sorted(
        time for index in (0, 1) for time in schedule.arrivals(50.0, poisson=False, seed=1, offset=(index + 0.5) / 2)
    )
    assert {round(later - earlier, 6) for earlier, later in pairwise(both)} == {0.01}


def test_only_measured_seconds_count() -> None:
    assert HALF_MINUTE.measured == tuple(range(10, 30))


def test_a_plan_survives_the_way_to_the_generator() -> None:
    step = {"request": "POST /login", "send": {"a": "{b}"}, "status": [200, 201], "capture": {"t": "a.b"}}
    plan = Load.model_validate(declared(users={"max": 750, "mix": [{"journey": "in", "steps": [step]}]})).planned("x")
    assert Plan.from_json(plan.to_json()) == plan


def test_a_plan_that_sends_something_else_has_another_digest() -> None:
    digest = Load.model_validate(declared()).planned("steady").digest
    assert Load.model_validate(declared(timeout="3s")).planned("steady").digest == digest
    assert Load.model_validate(declared(arrival={"rate": "999/s"})).planned("steady").digest != digest


def test_a_locust_file_of_other_contents_is_another_load(tmp_path: Path) -> None:
    path, digests = tmp_path / "reader.py", []
    for path_asked in ("/a", "/b"):
        path.write_text(f"# asks {path_asked}\n")
        users = {"max": 750, "locustfile": str(path)}
        digests.append(Load.model_validate(declared(users=users)).planned("steady").digest)
    assert digests[0] != digests[1]


def test_a_plan_is_named_as_a_file_can_be() -> None:
    with pytest.raises(Mistake, match="no name for a file"):
        Load.model_validate(declared()).refuse_name("../steady")


def test_a_plan_with_room_for_its_slowest_answers_is_feasible() -> None:
    assert Load.model_validate(declared()).planned("steady").users == 750


def test_users_who_think_cannot_make_the_rate() -> None:
    users = {"max": 100, "think": ["1s", "3s"], "mix": [{"journey": "browse", "steps": ["GET /"]}]}
    said = refused(arrival=None, users=users)
    assert "100 users who think 1-3 s can make 50/s at most, and the threshold demands 990/s" in said
    thresholds = {"rate": "1000/s", "p50": "50ms", "errors": "0%"}
    assert "that needs 2050 users" in refused(arrival=None, users=users, thresholds=thresholds)


def test_users_who_wait_for_slow_answers_cannot_make_the_rate() -> None:
    users = {"max": 50, "think": ["200ms", "400ms"], "mix": [{"journey": "browse", "steps": ["GET /"]}]}
    said = refused(arrival=None, users=users, thresholds={"rate": "150/s", "p50": "100ms", "errors": "0%"})
    assert "50 users who think 200ms-400ms, and wait 100ms for each answer, can make 125/s" in said
    assert "that needs 60 users" in said


def test_too_few_users_for_slow_answers_are_refused_with_the_number_needed() -> None:
    users = {"max": 749, "mix": [{"journey": "browse", "steps": ["GET /"]}]}
    assert "write users.max: 750" in refused(users=users)


def test_a_threshold_of_all_that_arrives_is_refused_since_chance_would_decide() -> None:
    thresholds = {"rate": ">=1000/s", "p50": "50ms", "errors": "0%"}
    assert 'write rate: ">=995/s"' in refused(thresholds=thresholds)
    thresholds["rate"] = ">=995/s"
    assert Load.model_validate(declared(thresholds=thresholds)).planned("steady").rate == 1000


def test_a_spike_counts_when_users_are_reckoned() -> None:
    stages = [{"hold": "1m", "measure": True}, {"hold": "10s", "to": "300%"}]
    assert "write users.max: 2250" in refused(stages=stages)


def test_arrivals_below_the_demanded_rate_are_refused() -> None:
    assert "arrivals make 500/s at most, and the threshold demands 990/s" in refused(arrival={"rate": "500/s"})


def test_journeys_of_two_requests_make_twice_the_rate() -> None:
    users = {"max": 750, "mix": [{"journey": "both", "steps": ["GET /a", "GET /b"]}]}
    assert Load.model_validate(declared(arrival={"rate": "500/s"}, users=users))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ceiling": {"rate": "100/s"}}, "1000/s is above the ceiling of 100/s"),
        ({"ceiling": {"users": 10}}, "750 users are more than the ceiling of 10"),
        ({"ceiling": {"time": "1m"}}, "5m30s is longer than the ceiling of 1m"),
        ({"arrival": None}, "neither open nor closed"),
        ({"stages": [{"hold": "5s"}]}, "no stage is measured"),
        ({"stages": [{"hold": "1.5s", "measure": True}]}, "not a whole number of seconds"),
        ({"target": "app.test"}, "is not the URL of a site"),
        ({"thresholds": {"p95": "1s"}}, "errors"),
        ({"users": {"max": 750}}, "a mix of journeys or a locustfile"),
        ({"users": {"max": 750, "locustfile": "gone.py"}}, "there is no file 'gone.py'"),
        ({"users": {"max": 750, "mix": [{"journey": "x", "steps": ["/"]}]}}, "is not a request"),
        ({"thresholds": {"errors": "0%", "endpoints": {"GET /x": {"p95": "1s"}}}}, "no step is called 'GET /x'"),
        ({"thresholds": {"errors": "0%", "p95": ">=1s"}}, "has no limit on the side where things go wrong"),
        ({"thresholds": {"errors": "0%", "rate": "<=1/s"}}, "has no limit on the side where things go wrong"),
        ({"thresholds": {"errors": "0%", "endpoints": {"GET /items": {"p95": ">1s"}}}}, "write it with <="),
        ({"compare": {"p95": ">5%"}}, "has no limit on the side where things go wrong"),
        ({"watch": {"on": "app-1", "cpu": ">5%"}}, "has no limit on the side where things go wrong"),
        ({"timeout": "400ms"}, "p99 may be 500ms, and whatever takes longer than 400ms is no answer but an error"),
        ({"target": "http://me:secret@app.test"}, "credentials as a header"),
        ({"target": "http://app.test/?shop=1"}, "write a query in the steps"),
        ({"generator": {"processes": 0}}, "write 1 to 256, or auto"),
        ({"generator": {"processes": 2, "workers": 2}}, "processes here, or from workers elsewhere"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(changes: dict[str, Any], said: str) -> None:
    assert said in refused(**changes)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (["GET /items/{id}"], "nothing fills {id} in GET /items/{id}"),
        ([{"request": "GET /", "headers": {"Authorization": "Bearer {token}"}}], "nothing fills {token}"),
        (["GET /{item}", {"request": "GET /items", "capture": {"item": "0.id"}}], "nothing fills {item}"),
    ],
)
def test_a_name_that_nothing_fills_is_refused(steps: list[Any], said: str) -> None:
    assert said in refused(users={"max": 1500, "mix": [{"journey": "browse", "steps": steps}]})


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"request": "GET /items", "contains": ""}, "at least 1 character"),
        ({"request": "GET /items", "status": 2000}, "no answer ends with status 2000"),
        ({"request": "HEAD /items", "contains": "x"}, "has no body to look at"),
        ({"request": "GET /items", "headers": {"X Name": "a"}}, "a header 'X Name' can't be sent so"),
        ({"request": "GET /items", "headers": {"X-Name": "a\nb"}}, "a header 'X-Name' can't be sent so"),
    ],
)
def test_a_step_that_cannot_be_sent_or_cannot_fail_is_refused(step: dict[str, Any], said: str) -> None:
    assert said in refused(users={"max": 750, "mix": [{"journey": "browse", "steps": [step]}]})


def test_names_are_filled_by_steps_before_and_bodies_may_have_braces() -> None:
    first = {"request": "POST /{unique}", "body": "{ viewer {login} }", "capture": {"item": "0.id"}}
    users = {"max": 1500, "mix": [{"journey": "browse", "steps": [first, "GET /{item}"]}]}
    assert Load.model_validate(declared(users=users))


def test_percentiles_that_so_few_answers_cannot_tell_are_refused() -> None:
    thresholds = {"p99_9": "1s", "errors": "0%"}
    few = {"arrival": {"rate": "10/s"}, "stages": [{"hold": "20s", "measure": True}], "thresholds": thresholds}
    assert "p99_9 takes 2995 answers to tell, and 200 are measured; measure for 5m" in refused(**few)


def test_data_with_ragged_lines_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    users = {"max": 750, "mix": [{"journey": "browse", "steps": ["GET /"]}], "data": str(path)}
    for lines in ("name,mail\nada\n", "name\nada,ada@example.com\n"):
        path.write_text(lines)
        assert "line 1 below the heading" in refused(users=users)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (b"", "has no lines below its heading"),
        (b"name,name\nada,alan\n", "has two columns called 'name'"),
        ("name\nАда\n".encode("cp1251"), "is not a text in UTF-8"),
        (
            b"name;mail\nada;ada@example.com\n",
            "nothing fills {name} in GET /{name}; what is known is name;mail, unique",
        ),
    ],
)
def test_data_that_cannot_be_used_is_refused(written: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(written)
    users = {"max": 750, "mix": [{"journey": "browse", "steps": ["GET /{name}"]}], "data": str(path)}
    assert said in refused(users=users)


def test_data_may_come_from_a_spreadsheet(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("name\nАда\n", encoding="utf-8-sig")
    users = {"max": 750, "mix": [{"journey": "browse", "steps": ["GET /{name}"]}], "data": str(path)}
    assert Load.model_validate(declared(users=users)).planned("steady").data == ({"name": "Ада"},)


def test_a_locust_file_that_is_no_python_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("import locust\nclass Reader(:\n")
    assert "is no Python: invalid syntax in line 2" in refused(users={"max": 750, "locustfile": str(path)})


INVENTORY = """\
project: shop
allow_load: [{allowed}]
load:
  steady:
    target: http://app.test
    arrival: {{rate: 10/s}}
    stages: [{{hold: 5s, measure: true}}]
    users: {{max: 10, mix: [{{journey: browse, steps: [GET /]}}]}}
    thresholds: {{errors: 0%}}
environments: {{production: {{owned_by: ops}}, staging: {{owned_by: ops}}}}
"""


def loaded(folder: Path, allowed: str, environment: str | None = None, **environ: str) -> Any:
    path = folder / "inventory.yml"
    path.write_text(INVENTORY.format(allowed=allowed))
    return load(path, environment, environ)


def test_load_on_an_allowed_target_is_declared(tmp_path: Path) -> None:
    leaves = loaded(tmp_path, "'http://app.test:80/'").leaves
    assert [leaf.id for leaf in leaves] == ["load.errors @ steady"]


def test_load_that_nothing_allows_is_refused_at_its_line(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match=r":5:\d+ load\.steady\.target: nothing allows load on http://app\.test"):
        loaded(tmp_path, "'http://other.test'")


def test_what_a_whole_plan_says_is_told_at_the_line_of_what_to_change(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yml"
    path.write_text(INVENTORY.format(allowed="'http://app.test'").replace("errors: 0%", "errors: 0%, p99: 1s"))
    with pytest.raises(InventoryError) as caught:
        load(path, None, {})
    (problem,) = caught.value.problems
    assert (problem.path, problem.position.line) == ("load.steady.users.max", 8)
    assert problem.mend == "write users.max: 15, which leaves half as many again"


def test_a_bad_member_of_a_list_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yml"
    path.write_text(INVENTORY.format(allowed="'http://app.test'").replace("hold: 5s", "hold: soon"))
    with pytest.raises(InventoryError) as caught:
        load(path, None, {})
    assert [each.path for each in caught.value.problems] == ["load.steady.stages[0].hold"]


def test_load_on_production_has_to_be_asked_for_twice(tmp_path: Path) -> None:
    assert loaded(tmp_path, "'http://app.test'", "staging").leaves
    with pytest.raises(InventoryError, match="has to be asked for twice"):
        loaded(tmp_path, "'http://app.test'", "production")
    assert loaded(tmp_path, "'http://app.test'", "production", **{PRODUCTION: "production"}).leaves


@pytest.mark.parametrize("environment", ["prod", "Production", "prod-eu", "eu.production", "live"])
def test_production_is_told_by_its_name(environment: str) -> None:
    plans = {"steady": Load.model_validate(declared())}
    assert list(forbidden(plans, ("http://app.test",), environment, {}))
    assert not list(forbidden(plans, ("http://app.test",), environment, {PRODUCTION: environment}))


@pytest.mark.parametrize("environment", ["", "staging", "preprod", "pre-prod", "non-prod", "livestock"])
def test_what_is_not_production_is_asked_for_once(environment: str) -> None:
    plans = {"steady": Load.model_validate(declared())}
    assert not list(forbidden(plans, ("http://app.test",), environment, {}))


def test_a_run_says_beforehand_what_it_will_do() -> None:
    said = intent(Load.model_validate(declared()).planned("steady"))
    assert (
        "sends http://app.test up to 1000/s journeys, randomly spaced, by at most 750 users at once, for 5m30s"
        in said
    )
