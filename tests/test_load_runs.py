"""Real runs against a target on loopback: what is sound passes, and each fault makes the right check fail."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.load_known import Queueing, known
from benchmarks.load_saturation import Situation, rivals, said
from readygate.areas.load.plan import Load
from readygate.areas.load.run import LoadRun, observe_run, observe_watched
from readygate.errors import CouldNotLook
from readygate.load.histogram import quantile
from readygate.load.outcome import Outcome
from readygate.load.running import GENERATOR
from readygate.load.running import run as send
from readygate.spec import leaves
from tests.holding import LOCAL, held
from tests.load_target import Target, serving
from tests.web import authority, write_chain

pytestmark = pytest.mark.alone

# A check is judged against limits that this machine keeps even while others work on it.
GENEROUS = {
    "rate": ">=130/s",
    "p50": "250ms",
    "p90": "300ms",
    "p95": "350ms",
    "p99": "450ms",
    "max": "2s",
    "errors": 0,
}

SHORT = [{"hold": "1s", "measure": True}]


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the certificate of a private CA, and what a server of its shows."""
    folder, root = tmp_path_factory.mktemp("ca"), authority()
    (folder / "ca.pem").write_bytes(root.pem)
    write_chain(folder, root.issue("127.0.0.1"), root)
    return folder


@pytest.fixture(scope="module")
def tls_target(ca: Path) -> Iterator[Target]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca / "chain.pem", ca / "key.pem")
    with serving(tls=context) as server:
        yield server


@pytest.fixture(autouse=True)
def _out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("READYGATE_OUT", str(tmp_path))


def plan(url: str, path: str = "/", **changes: Any) -> dict[str, Any]:
    """150 visitors a second for two seconds."""
    declared = {
        "target": url,
        "arrival": {"rate": "150/s"},
        "stages": [{"hold": "2s", "measure": True}],
        "users": {"max": 150, "mix": [{"journey": "browse", "steps": [f"GET {path}"]}]},
        "thresholds": GENEROUS,
        **changes,
    }
    return {key: value for key, value in declared.items() if value is not None}


def run(declared: dict[str, Any]) -> LoadRun:
    load = Load.model_validate(declared)
    list(leaves(load, "steady", ("load", "steady")))  # gives it its name
    return observe_run(load, lambda name: LOCAL)


def failed(declared: dict[str, Any]) -> set[str]:
    return {check for check, holds in held("load", declared).items() if not holds}


def test_a_sound_target_meets_every_threshold(target: Target) -> None:
    endpoint = {"p50": "400ms", "p95": "500ms", "p99": "650ms", "errors": "0%"}
    thresholds = {**GENEROUS, "worst_rate": ">=120/s", "p99_9": "1s", "endpoints": {"GET /sound": endpoint}}
    many = {"arrival": {"rate": "800/s"}, "stages": [{"hold": "4s", "measure": True}]}
    declared = plan(target.url, "/sound", thresholds=thresholds, **many)
    declared["users"]["max"] = 600
    outcomes = held("load", declared)
    assert len(outcomes) == 13
    assert all(outcomes.values())


def test_a_sound_target_meets_every_threshold_under_tls(tls_target: Target, ca: Path) -> None:
    declared = plan(tls_target.url, "/sound", ca=str(ca / "ca.pem"))
    assert all(held("load", declared).values())
    assert all(each.is_stamped for each in run(declared).outcome.health)


def test_percentiles_are_those_that_the_target_itself_measured(target: Target) -> None:
    stages = [{"hold": "5s", "measure": True}]
    target.took.clear()
    whole = run(plan(target.url, "/lognormal", stages=stages)).outcome.whole
    truth = sorted(target.took["lognormal"])
    assert whole.good == len(truth)
    for share in (0.5, 0.95, 0.99):
        true = truth[int(share * len(truth))]
        assert whole.latency(share) == pytest.approx(true, rel=0.1, abs=0.005)


def test_a_stall_is_seen_from_the_intended_start_however_small_the_pool() -> None:
    """Ten users are all stuck in the stall; the service time of those few hardly shows it."""
    with serving(stall_every=1.0, stall=0.3) as stalling:
        outcomes = []
        for users in (10, 150):
            declared = plan(stalling.url, "/stalling", thresholds={"errors": "0%"})
            declared["users"]["max"] = users
            outcomes.append(run(declared).outcome)
    for outcome in outcomes:
        # Three of ten visitors come in a stall of 300 ms, at any moment of it: one of ten waits 200 ms or more.
        assert outcome.whole.latency(0.9) == pytest.approx(0.2, abs=0.05)
        assert outcome.whole.latency(0.99) == pytest.approx(0.29, abs=0.05)
    assert (quantile(outcomes[0].whole.service, 0.9) or 1) < 0.05


def test_a_stalling_target_fails_in_its_slow_percentiles() -> None:
    thresholds = {"p50": "400ms", "p95": "500ms", "p99": "600ms", "errors": "0%"}
    with serving(stall_every=2.0, stall=0.8) as stalling:
        assert failed(plan(stalling.url, "/stalling", thresholds=thresholds)) == {"load.p95", "load.p99"}


def test_a_slow_target_fails_in_its_percentiles(target: Target) -> None:
    stages = [{"hold": "1s"}, {"hold": "2s", "measure": True}]  # its first answers come after 600 ms
    assert {"load.p50", "load.p90", "load.p95"} <= failed(plan(target.url, "/slow", stages=stages))


def test_a_target_that_slows_down_with_every_request_fails(target: Target) -> None:
    thresholds = {"p50": "400ms", "p95": "600ms", "max": "800ms", "p99_9": "700ms", "errors": "0%"}
    many = {"arrival": {"rate": "600/s"}, "stages": [{"hold": "5s", "measure": True}]}
    declared = plan(target.url, "/leaking", thresholds=thresholds, **many)
    declared["users"]["max"] = 700
    slowed = failed(declared)
    assert slowed == {"load.p50", "load.p95", "load.p99_9", "load.max"}


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/erring", "status 503"),
        ("/limited", "status 429"),
        ("/dropping", "connection dropped"),
    ],
)
def test_a_target_that_errs_fails_in_its_errors_and_its_rate(path: str, kind: str, target: Target) -> None:
    declared = plan(target.url, path, stop_at_errors="100%")
    load = Load.model_validate(declared)
    erring = run(declared)
    assert set(erring.outcome.whole.errors) == {kind}
    for name in ("errors", "rate"):
        expected = getattr(load.thresholds, name)
        assert erring.conclude(name, expected) not in expected


def test_a_wrong_answer_with_status_200_is_an_error(target: Target) -> None:
    step = {"request": "GET /lying", "json": {"status": "ok"}}
    users = {"max": 150, "mix": [{"journey": "browse", "steps": [step]}]}
    thresholds = {**GENEROUS, "worst_rate": ">=130/s"}
    stages = [{"hold": "3s", "measure": True}]
    assert failed(plan(target.url, users=users, thresholds=thresholds, stages=stages)) == {
        "load.errors",
        "load.rate",
        "load.worst_rate",
    }


def test_a_slow_endpoint_among_fast_ones_fails_alone(target: Target) -> None:
    mix = [
        {"journey": "browse", "weight": 49, "steps": ["GET /sound"]},
        {"journey": "search", "weight": 1, "steps": ["GET /slow"]},
    ]
    endpoint = {"p50": "300ms", "p95": "300ms", "p99": "300ms", "errors": "0%"}
    thresholds = {
        "p50": "250ms",
        "errors": "0%",
        "endpoints": {"GET /slow": endpoint, "GET /sound": {"errors": "0%"}},
    }
    found = failed(plan(target.url, users={"max": 150, "mix": mix}, thresholds=thresholds))
    assert found == {"load.endpoint.p50", "load.endpoint.p95", "load.endpoint.p99"}


def test_a_failing_endpoint_fails_alone(target: Target) -> None:
    mix = [
        {"journey": "browse", "weight": 9, "steps": ["GET /sound"]},
        {"journey": "order", "weight": 1, "steps": ["GET /down"]},
    ]
    thresholds = {"errors": "20%", "endpoints": {"GET /down": {"errors": "1%"}}}
    found = failed(plan(target.url, users={"max": 150, "mix": mix}, thresholds=thresholds))
    assert found == {"load.endpoint.errors"}


def test_a_target_that_only_errs_stops_the_run_early(target: Target) -> None:
    began = time.monotonic()
    stopped = run(plan(target.url, "/down", stages=[{"hold": "30s", "measure": True}]))
    assert time.monotonic() - began < 12
    assert stopped.outcome.stopped == "errors"
    thresholds = Load.model_validate(plan(target.url, "/down")).thresholds
    assert stopped.conclude("errors", thresholds.errors) == 100.0


def test_the_server_is_watched_while_it_is_under_load(target: Target) -> None:
    """The target's own port stands for that of a database; this machine is the server."""
    declared = plan(target.url, "/sound", stages=[{"hold": "3s", "measure": True}])
    declared["watch"] = {"on": "app-1", "port": target.port, "memory": "<99%"}
    watched = observe_watched(run(declared))
    assert 0 < watched.cpu_percent <= 100
    assert 0 < watched.memory_percent < 99
    assert 0 < watched.connections <= 150


def test_an_unreachable_target_could_not_be_looked_at() -> None:
    with pytest.raises(CouldNotLook, match="can't be reached") as caught:
        run(plan("http://127.0.0.1:9"))
    assert caught.value.cause == "unreachable:127.0.0.1"


def test_a_saturated_generator_is_not_the_targets_fault(target: Target) -> None:
    """One process can't send 200000 a second, whatever the target does."""
    declared = plan(
        target.url,
        arrival={"rate": "200000/s"},
        ceiling={"rate": "300000/s"},
        users={"max": 300, "mix": [{"journey": "browse", "steps": ["GET /sound"]}]},
        thresholds={"p50": "1ms", "errors": "99%"},
        generator={"processes": 1},
        timeout="2s",
    )
    with pytest.raises(CouldNotLook, match="generator was saturated"):
        held("load", declared)


STARVED = Situation("stopped for 100 ms each second", 150, stopped_s=0.1)


def while_starved(declared: dict[str, Any]) -> tuple[LoadRun, dict[str, str]]:
    """A run whose generator gets no processor for a tenth of the time, and what is said of each percentile."""
    thresholds = Load.model_validate(declared).thresholds
    with rivals(STARVED):
        starved = run(declared)
    return starved, {name: said(starved, name, getattr(thresholds, name)) for name in thresholds.latencies}


@pytest.fixture(params=["mix", "tls", "locustfile"])
def asking(
    request: pytest.FixtureRequest, target: Target, tls_target: Target, ca: Path, tmp_path: Path
) -> Callable[[str], dict[str, Any]]:
    """A plan that asks one path: by its own journeys, by these under TLS, or by a Locust file."""

    def planned(path: str) -> dict[str, Any]:
        stages = [{"hold": "1s"}, {"hold": "4s", "measure": True}]
        if request.param == "tls":
            return plan(tls_target.url, path, stages=stages, ca=str(ca / "ca.pem"))
        declared = plan(target.url, path, stages=stages)
        if request.param == "locustfile":
            file = tmp_path / "asking.py"
            file.write_text(ASKING.format(path=path))
            declared["users"] = {"max": 150, "locustfile": str(file)}
        return declared

    return planned


def test_a_slow_target_fails_however_starved_the_generator_is(asking: Callable[[str], dict[str, Any]]) -> None:
    """Each answer takes 600 ms; no lag of 100 ms explains that."""
    declared = asking("/slow")
    declared["thresholds"] = {"p50": "150ms", "p95": "150ms", "errors": "0%"}
    starved, outcomes = while_starved(declared)
    assert starved.saturation
    assert outcomes == {"p50": "NO-GO", "p95": "NO-GO"}


def test_a_fast_target_never_fails_for_a_starved_generator(asking: Callable[[str], dict[str, Any]]) -> None:
    """With a Locust file the numbers are wrong by up to 100 ms, and then nothing is said."""
    declared = asking("/sound")
    declared["thresholds"] = {"p50": "30ms", "p95": "40ms", "p99": "50ms", "errors": "0%"}
    starved, outcomes = while_starved(declared)
    assert starved.saturation
    assert "NO-GO" not in outcomes.values()


ASKING = """\
from locust import FastHttpUser, task

class Asking(FastHttpUser):
    @task
    def ask(self):
        self.client.get("{path}")
"""


def test_what_a_starved_generator_sent_together_is_not_the_targets_doing() -> None:
    """Its 28 workers take 25 ms each, nine of ten answers 27 ms; what comes together after a lag waits for them."""
    thresholds = {"p50": "20ms", "p90": "55ms", "errors": "0%"}
    stages = [{"hold": "2s"}, {"hold": "6s", "measure": True}]
    with known(kind=Queueing) as (url, took):
        declared = plan(url, arrival={"rate": "900/s"}, stages=stages, thresholds=thresholds)
        declared["users"]["max"] = 900
        starved, outcomes = while_starved(declared)
    assert starved.saturation
    assert sorted(took)[int(0.9 * len(took))] > 0.055
    assert outcomes["p90"] == "INCOMPLETE"
    assert outcomes["p50"] != "GO"


def test_a_lost_worker_is_never_a_pass() -> None:
    with serving() as target:
        killed = threading.Thread(target=_kill_a_worker, args=(target,))
        killed.start()
        with pytest.raises(CouldNotLook, match="1 of 2 load generators were lost"):
            run(plan(target.url, "/sound", stages=[{"hold": "3s", "measure": True}], generator={"processes": 2}))
        killed.join()


def _kill_a_worker(target: Target) -> None:
    """Once there is load: one process that is a child of the Locust that is a child of ours."""
    while target.asked["sound"] < 50:
        time.sleep(0.1)
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = stat.read_text().rsplit(")", 1)
        except OSError:
            continue
        parents[int(name.split(" ")[0])] = int(rest.split()[1])
    ours = [pid for pid, parent in parents.items() if parents.get(parent) == os.getpid()]
    os.kill(ours[-1], signal.SIGKILL)


def test_two_processes_send_what_one_would(target: Target) -> None:
    both = run(plan(target.url, "/sound", arrival={"rate": "200/s"}, generator={"processes": 2})).outcome
    assert both.generators == 2
    assert both.offered == pytest.approx(200, rel=0.15)
    assert both.whole.bad == 0


def test_workers_elsewhere_send_the_same_load(target: Target) -> None:
    port = free_port()
    generator = {"workers": 1, "bind": f"127.0.0.1:{port}"}
    called = [sys.executable, "-m", "locust", "-f", str(GENERATOR), "--worker", "--master-port", str(port)]
    with subprocess.Popen(called, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as worker:
        outcome = run(plan(target.url, "/sound", generator=generator)).outcome
        worker.wait(10)
    assert outcome.generators == 1
    assert outcome.whole.bad == 0
    assert outcome.offered == pytest.approx(150, rel=0.01)


def test_a_worker_too_many_makes_no_run(target: Target) -> None:
    port = free_port()
    called = [sys.executable, "-m", "locust", "-f", str(GENERATOR), "--worker", "--master-port", str(port)]
    workers = [subprocess.Popen(called, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(2)]
    with pytest.raises(CouldNotLook, match="2 workers came, and the plan is for 1"):
        run(
            plan(
                target.url,
                stages=[{"hold": "6s", "measure": True}],
                generator={"workers": 1, "bind": f"127.0.0.1:{port}"},
            )
        )
    for worker in workers:
        worker.wait(10)


SLOW_CLOCK = """\
import runpy, time
now = time.time
time.time = lambda: now() - 3
runpy.run_module("locust", run_name="__main__", alter_sys=True)
"""


def test_a_worker_whose_clock_is_off_is_no_part_of_a_run(target: Target) -> None:
    port = free_port()
    called = [sys.executable, "-c", SLOW_CLOCK, "-f", str(GENERATOR), "--worker", "--master-port", str(port)]
    with subprocess.Popen(called, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as worker:
        with pytest.raises(CouldNotLook, match=r"the clock of \S+ is -3\.0 s off"):
            run(plan(target.url, "/sound", generator={"workers": 1, "bind": f"127.0.0.1:{port}"}))
        worker.wait(10)


def test_a_worker_with_another_locust_file_is_no_part_of_a_run(target: Target, tmp_path: Path) -> None:
    port = free_port()
    for folder, text in (("here", LOCUSTFILE), ("there", LOCUSTFILE.replace("/sound", "/slow"))):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "reader.py").write_text(text)
    files = f"{GENERATOR},{tmp_path / 'there' / 'reader.py'}"
    called = [sys.executable, "-m", "locust", "-f", files, "--worker", "--master-port", str(port)]
    users = {"max": 5, "locustfile": str(tmp_path / "here" / "reader.py")}
    generator = {"workers": 1, "bind": f"127.0.0.1:{port}"}
    with subprocess.Popen(called, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as worker:
        with pytest.raises(CouldNotLook, match="has another version of Readygate, or of the Locust file, or none"):
            run(plan(target.url, users=users, generator=generator, stages=SHORT, thresholds={"errors": 0}))
        worker.wait(10)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_users_who_think_are_a_closed_model(target: Target) -> None:
    users = {"max": 20, "think": ["100ms", "200ms"], "mix": [{"journey": "browse", "steps": ["GET /sound"]}]}
    stages = [{"ramp": "1s"}, {"hold": "2s", "measure": True}]
    outcome = run(plan(target.url, arrival=None, users=users, stages=stages, thresholds={"errors": 0})).outcome
    assert outcome.model == "closed"
    assert outcome.rate == pytest.approx(20 / 0.155, rel=0.2)


def test_visitors_sign_in_once_and_remember(target: Target, tmp_path: Path) -> None:
    (tmp_path / "names.csv").write_text("name\nada\nalan\n")
    sign_in = {"request": "POST /login", "send": {"user": "{name}"}, "capture": {"token": "session.token"}}
    private = {"request": "GET /private", "headers": {"Authorization": "Bearer {token}"}}
    before = target.asked["login"]
    target.bodies.clear()
    users = {
        "max": 15,
        "sign_in": [sign_in],
        "mix": [{"journey": "in", "steps": [private]}],
        "data": str(tmp_path / "names.csv"),
    }
    outcome = run(plan(target.url, users=users, stages=SHORT, thresholds={"errors": 0})).outcome
    assert outcome.whole.bad == 0
    assert target.asked["login"] - before == 15
    assert set(target.bodies) == {b'{"user": "ada"}', b'{"user": "alan"}'}


def test_users_who_cannot_sign_in_are_no_load(target: Target) -> None:
    users = {"max": 5, "sign_in": ["POST /down"], "mix": [{"journey": "in", "steps": ["GET /"]}]}
    with pytest.raises(CouldNotLook, match="5 of 5 users could not sign in"):
        run(plan(target.url, users=users, thresholds={"errors": 0}))


LOCUSTFILE = """\
from locust import FastHttpUser, between, task

class Reader(FastHttpUser):
    wait_time = between(1, 3)

    def on_start(self):
        self.client.post("/login", json={"user": "someone"})

    @task(3)
    def read(self):
        self.client.get("/sound")

    @task(1)
    def look(self):
        self.client.get("/health")
"""


def test_a_locust_file_of_ones_own_is_run_as_it_is_at_a_held_rate(target: Target, tmp_path: Path) -> None:
    (tmp_path / "reader.py").write_text(LOCUSTFILE)
    users = {"max": 30, "locustfile": str(tmp_path / "reader.py")}
    outcome = run(plan(target.url, users=users, thresholds={"errors": 0})).outcome
    assert set(outcome.endpoints) == {"GET /sound", "GET /health"}
    assert outcome.rate == pytest.approx(150, rel=0.15)
    assert outcome.whole.bad == 0


def test_workers_elsewhere_run_a_locust_file_of_ones_own_and_need_it(target: Target, tmp_path: Path) -> None:
    (tmp_path / "reader.py").write_text(LOCUSTFILE)
    for files in (f"{GENERATOR},{tmp_path / 'reader.py'}", str(GENERATOR)):
        port = free_port()
        generator = {"workers": 1, "bind": f"127.0.0.1:{port}"}
        users = {"max": 30, "locustfile": str(tmp_path / "reader.py")}
        declared = plan(target.url, users=users, stages=SHORT, thresholds={"errors": 0}, generator=generator)
        called = [sys.executable, "-m", "locust", "-f", files, "--worker", "--master-port", str(port)]
        with subprocess.Popen(called, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as worker:
            if "reader" in files:
                outcome = run(declared).outcome
                assert set(outcome.endpoints) == {"GET /sound", "GET /health"}
                assert outcome.whole.good == 150
            else:
                with pytest.raises(
                    CouldNotLook, match="has another version of Readygate, or of the Locust file, or none"
                ):
                    run(declared)
            worker.kill()


def test_a_journey_that_breaks_is_an_error_and_no_fast_answer(target: Target, tmp_path: Path) -> None:
    (tmp_path / "reader.py").write_text(LOCUSTFILE.replace('self.client.get("/health")', "1 / 0"))
    users = {"max": 30, "locustfile": str(tmp_path / "reader.py")}
    whole = run(plan(target.url, users=users, stages=SHORT, thresholds={"errors": 0})).outcome.whole
    assert set(whole.errors) == {"the journey itself failed: ZeroDivisionError"}


INTERRUPTED = """\
import sys
from pathlib import Path
from readygate.load.plan import Plan
from readygate.load.running import run
run(Plan.from_json(Path(sys.argv[1]).read_text()), Path(sys.argv[2]), lambda line: print(line, flush=True))
"""


def test_ctrl_c_stops_at_once_and_keeps_what_was_measured(target: Target, tmp_path: Path) -> None:
    order, out = tmp_path / "plan.json", tmp_path / "out.json"
    declared = plan(target.url, stages=[{"hold": "60s", "measure": True}])
    order.write_text(Load.model_validate(declared).planned("steady").to_json())
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(order), str(out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        for _ in range(3):
            process.stdout.readline()
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.wait(10)
    assert time.monotonic() - began < 5
    kept = Outcome.read(out)
    assert kept.stopped == "interrupted"
    assert kept.whole.good > 100


@pytest.mark.parametrize("processes", [1, 2])
def test_no_load_outlives_whoever_ordered_it(processes: int, target: Target, tmp_path: Path) -> None:
    order, out = tmp_path / "plan.json", tmp_path / "out.json"
    declared = plan(
        target.url, "/waiting", stages=[{"hold": "60s", "measure": True}], generator={"processes": processes}
    )
    order.write_text(Load.model_validate(declared).planned("steady").to_json())
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(order), str(out)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.readline()
        process.kill()
    time.sleep(4)
    before = target.asked["waiting"]
    assert before
    time.sleep(1)
    assert target.asked["waiting"] == before


def test_a_generator_that_breaks_says_so(target: Target, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import nothing_of_this_name\n")
    declared = plan(target.url, users={"max": 150, "locustfile": str(tmp_path / "broken.py")})
    made = Load.model_validate(declared).planned("steady")
    with pytest.raises(CouldNotLook, match="nothing_of_this_name"):
        send(made, tmp_path / "out.json", lambda line: None)


def test_a_locust_file_without_users_says_so(target: Target, tmp_path: Path) -> None:
    (tmp_path / "empty.py").write_text("import locust\n")
    users = {"max": 5, "locustfile": str(tmp_path / "empty.py")}
    with pytest.raises(CouldNotLook, match=r"empty\.py has no users"):
        run(plan(target.url, users=users, thresholds={"errors": 0}))


def test_processes_of_one_session_share_one_run(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_XDIST_TESTRUNUID", "one")
    declared = plan(target.url, "/sound", stages=[{"hold": "3s", "measure": True}], thresholds={"errors": 0})
    declared["watch"] = {"on": "app-1", "memory": "<99%"}
    before = target.asked["sound"]
    first, second = run(declared), run(declared)
    assert observe_watched(first) == observe_watched(second)
    assert target.asked["sound"] - before == first.outcome.whole.good == second.outcome.whole.good
