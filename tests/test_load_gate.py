"""Load as a user gates on it: declared in the inventory, run by the command, and told by its exit code."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.load_peers import plain_locust
from readygate.load.outcome import Outcome
from tests.load_target import Target, serving
from tests.projects import Project

pytestmark = pytest.mark.alone

INVENTORY = """\
project: zenzefi
allow_load: ["{url}"]
load:
  launch:
    target: "{url}"
    arrival: {{rate: 100/s}}
    stages: [{{hold: 4s, measure: true}}]
    users: {{max: 150, mix: [{{journey: look, steps: [GET {path}]}}]}}
    thresholds: {{rate: ">=95/s", p50: 700ms, p99: 1s, errors: 0%}}
"""


def gated(folder: Path, url: str, path: str) -> tuple[int, Project]:
    project = Project(folder)
    project.write("inventory.yml", INVENTORY.format(url=url, path=path))
    return project.readygate("run").code, project


def test_a_sound_service_is_go_and_a_stalling_one_no_go_in_p99(tmp_path: Path) -> None:
    with serving(stall_every=4.0, stall=1.5) as target:
        (tmp_path / "sound").mkdir()
        (tmp_path / "stalling").mkdir()
        sound, _ = gated(tmp_path / "sound", target.url, "/sound")
        stalling, project = gated(tmp_path / "stalling", target.url, "/stalling")
    results = json.loads((project.folder / "readygate-out" / "results.json").read_text())["results"]
    outcomes = {result["check"]: result["outcome"] for result in results}
    assert sound == 0
    assert stalling == 1
    assert outcomes["load.p99"] == "failed"
    assert outcomes["load.p50"] == "passed"
    assert any("sends http://" in each["asked"] for result in results for each in result["evidence"])


ZENZEFI = """\
project: zenzefi
allow_load: ["{url}"]
load:
  launch:
    target: "{url}"
    arrival: {{rate: 1000/s}}
    stages: [{{hold: 2s}}, {{hold: {seconds}s, measure: true}}]
    users: {{max: 750, mix: [{{journey: look, steps: [GET /pooled]}}]}}
    thresholds: {{rate: ">=990/s", p50: "<50ms", p95: "<200ms", p99: "<500ms", errors: 0%}}
"""


def launched(folder: Path, target: Target, seconds: int) -> tuple[int, dict[str, str], Outcome]:
    """Exit code, outcomes and numbers of a run with the targets that Zenzefi launches by."""
    project = Project(folder)
    project.write("inventory.yml", ZENZEFI.format(url=target.url, seconds=seconds))
    code, out = project.readygate("run").code, project.folder / "readygate-out"
    results = json.loads((out / "results.json").read_text())["results"]
    return code, {each["check"]: each["outcome"] for each in results}, Outcome.read(out / "load" / "launch.json")


def test_a_service_with_workers_enough_for_1000_a_second_is_go(tmp_path: Path) -> None:
    with serving(stall=0.0) as target:
        code, outcomes, outcome = launched(tmp_path, target, seconds=10)
    assert code == 0, outcomes
    assert outcome.whole.bad == 0


def test_its_stalls_are_no_go_in_p99_and_plain_locust_does_not_see_them(tmp_path: Path) -> None:
    """With 25 ms each, 28 workers answer 1120 a second; what queues in a stall of 500 ms takes 4 s more to drain.

    Forty users who think 15 ms would ask 1000 a second too; but in a stall they all wait, and nobody else comes.
    """
    with serving(stall_every=8.0, stall=0.5) as target:
        code, outcomes, outcome = launched(tmp_path, target, seconds=16)
        truth = sorted(target.took["pooled"])
        _, _, closed_p99 = plain_locust(target.url, "/pooled", 16, users=40, wait="constant(0.015)")
    p99 = outcome.whole.latency(0.99) or 0.0
    assert code == 1, outcomes
    assert outcomes["load.p99"] == outcomes["load.p95"] == "failed"
    assert outcomes["load.errors"] == "passed"
    assert p99 > 0.5
    assert p99 == pytest.approx(truth[int(0.99 * len(truth))], rel=0.05)
    assert closed_p99 < 250


def test_load_on_what_nothing_allows_ends_before_anything_is_sent(tmp_path: Path) -> None:
    with serving() as target:
        project = Project(tmp_path)
        project.write(
            "inventory.yml", INVENTORY.format(url=target.url, path="/").replace("allow_load", "# allow_load")
        )
        ended = project.readygate("run")
        assert ended.code == 2
        assert "inventory.yml:5" in ended.stderr
        assert not target.asked


def test_ctrl_c_keeps_and_tells_what_was_measured(tmp_path: Path) -> None:
    with serving() as target:
        project = Project(tmp_path)
        project.write("inventory.yml", INVENTORY.format(url=target.url, path="/sound").replace("4s", "60s"))
        called = [sys.executable, "-m", "readygate", "run"]
        with subprocess.Popen(called, cwd=tmp_path, stdout=subprocess.PIPE) as running:
            while target.asked["sound"] < 200:
                time.sleep(0.1)
            running.send_signal(signal.SIGINT)
            assert running.stdout
            said = running.stdout.read().decode()
    assert running.returncode == 130
    measured = re.search(r"load launch: interrupted; measured until then: (\d+) right answers, 0 errors, p50", said)
    assert measured
    assert int(measured[1]) > 100
    assert Outcome.read(tmp_path / "readygate-out" / "load" / "launch.json").stopped == "interrupted"


def test_a_run_that_waits_sends_load_once_and_only_when_all_else_is_so(tmp_path: Path) -> None:
    with serving() as target:
        project = Project(tmp_path)
        site = f"sites: {{app: {{url: '{target.url}', endpoints: {{/waking: {{status: 200}}}}}}}}\n"
        project.write("inventory.yml", INVENTORY.format(url=target.url, path="/sound") + site)
        ended = project.readygate("run", "--wait", "30s")
        assert ended.code == 0, ended.stdout[-2000:]
        assert "looking again" in ended.stdout
        assert target.asked["sound"] == 400


def test_a_plan_that_cannot_make_its_rate_ends_with_the_numbers(tmp_path: Path) -> None:
    """100 users who think 1 to 3 seconds, and 1000 requests a second."""
    project = Project(tmp_path)
    closed = INVENTORY.replace("arrival: {{rate: 100/s}}", "ceiling: {{users: 100}}").replace(
        "max: 150", "max: 100, think: [1s, 3s]"
    )
    closed = closed.replace(">=95/s", ">=1000/s").replace("700ms", "50ms")
    project.write("inventory.yml", closed.format(url="http://127.0.0.1:9", path="/"))
    ended = project.readygate("run")
    assert ended.code == 2
    assert "100 users who think 1-3 s can make 50/s at most, and the threshold demands 1000/s" in ended.stderr
    assert "2050 users" in ended.stderr


def test_a_watch_sends_load_in_its_first_look_alone(tmp_path: Path) -> None:
    with serving() as target:
        project = Project(tmp_path)
        project.write("inventory.yml", INVENTORY.format(url=target.url, path="/sound"))
        ended = project.readygate("watch", "--for", "12s", "--every", "1s")
        assert ended.code == 0, ended.stdout[-2000:]
        assert "look 2: GO" in ended.stdout
        assert target.asked["sound"] == 400
