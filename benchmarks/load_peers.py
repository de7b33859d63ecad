"""What load tools say of one target: Readygate, and wrk, hey, Artillery and plain Locust."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from readygate.load.outcome import Outcome
from readygate.load.plan import Journey, Plan, Step
from readygate.load.running import run
from readygate.load.schedule import Schedule, Stage

SHARES = (0.5, 0.9, 0.99)
LOCUST = """
from locust import FastHttpUser, constant, constant_throughput, task
class Plain(FastHttpUser):
    wait_time = {wait}
    @task
    def ask(self):
        self.client.get("{path}")
"""
ARTILLERY = """
config: {{target: "{url}", phases: [{{duration: {seconds}, arrivalRate: {rate}}}]}}
scenarios: [{{flow: [{{get: {{url: "{path}"}}}}]}}]
"""


def planned(
    url: str, path: str, rate: float | None, seconds: int, users: int, processes: int = 1, warm_up: int = 0
) -> Plan:
    warm = (Stage(warm_up, 1.0, 1.0),) if warm_up else ()
    schedule = Schedule((*warm, Stage(seconds, 1.0, 1.0, measured=True)))
    journeys = (Journey("ask", 1, (Step("GET", path, path),)),)
    return Plan("honesty", url, schedule, users, rate, journeys=journeys, processes=processes)


def ours(plan: Plan) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        return run(plan, Path(folder, "out.json"), lambda line: None)


def readygate(url: str, path: str, rate: int, seconds: int, users: int) -> list[float]:
    whole = ours(planned(url, path, rate, seconds, users)).whole
    return [1000 * (whole.latency(share) or 0.0) for share in SHARES]


def wrk(url: str, path: str, rate: int, seconds: int, users: int) -> list[float]:
    """As fast as it can, whatever the rate: wrk knows no other way."""
    said = _said("wrk", "-t1", f"-c{users}", f"-d{seconds}s", "--latency", url + path)
    units = {"us": 0.001, "ms": 1.0, "s": 1000.0}
    found = {
        int(share): float(value) * units[unit] for share, value, unit in re.findall(r"(\d+)% +([\d.]+)(\w+)", said)
    }
    return [found[50], found[90], found[99]]


def hey(url: str, path: str, rate: int, seconds: int, users: int) -> list[float]:
    said = _said("hey", "-z", f"{seconds}s", "-c", f"{users}", "-q", f"{rate / users:g}", url + path)
    found = {int(share): 1000 * float(value) for share, value in re.findall(r"(\d+)% in ([\d.]+) secs", said)}
    return [found[50], found[90], found[99]]


def artillery(url: str, path: str, rate: int, seconds: int, users: int) -> list[float]:
    """An open model, as that of k6: so many arrive a second, each a user of its own."""
    with tempfile.TemporaryDirectory() as folder:
        script, out = Path(folder, "script.yml"), Path(folder, "out.json")
        script.write_text(ARTILLERY.format(url=url, path=path, rate=rate, seconds=seconds))
        _said("artillery", "run", "--quiet", "--output", str(out), str(script))
        took = json.loads(out.read_text())["aggregate"]["summaries"]["http.response_time"]
    return [took["p50"], took["p90"], took["p99"]]


def locust(url: str, path: str, rate: int, seconds: int, users: int) -> list[float]:
    return plain_locust(url, path, seconds, users, f"constant_throughput({rate / users})")


def plain_locust(url: str, path: str, seconds: int, users: int, wait: str) -> list[float]:
    """Closed, as Locust is: whoever waits for an answer doesn't ask meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "locustfile.py")
        file.write_text(LOCUST.format(wait=wait, path=path))
        called = [sys.executable, "-m", "locust", "-f", str(file), "--headless", "--host", url, "--json"]
        called += ["--users", str(users), "--spawn-rate", str(users), "--run-time", f"{seconds}s"]
        said = _said(*called, "--loglevel", "ERROR")
    times = json.loads(said[said.index("[") :])[0]["response_times"]
    ordered = sorted(float(each) for each, count in times.items() for _ in range(count))
    return [ordered[int(share * len(ordered))] for share in SHARES]


def _said(*called: str) -> str:
    if shutil.which(called[0]) is None:
        raise FileNotFoundError(called[0])
    return subprocess.run(called, capture_output=True, text=True, check=False).stdout
