"""How far the load numbers are from the truth: against a target that logs its own, beside plain Locust and wrk.

python -m benchmarks.load_honesty [seconds]
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from math import exp, log
from pathlib import Path

from readygate.load.baseline import compare
from readygate.load.histogram import add, bucket
from readygate.load.outcome import Endpoint, Outcome, Second
from readygate.load.plan import Journey, Plan, Step
from readygate.load.running import run
from readygate.load.schedule import Schedule, Stage
from tests.load_target import serving

SHARES = (0.5, 0.95, 0.99)
PLAIN = """
from locust import FastHttpUser, constant_throughput, task
class Plain(FastHttpUser):
    wait_time = constant_throughput({each})
    @task
    def ask(self):
        self.client.get("{path}")
"""


def ours(url: str, path: str, rate: float, users: int, seconds: int, processes: int = 1) -> Outcome:
    plan = Plan(
        "honesty",
        url,
        Schedule((Stage(seconds, 1.0, 1.0, measured=True),)),
        users,
        rate,
        journeys=(Journey("ask", 1, (Step("GET", path, path),)),),
        processes=processes,
    )
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        outcome = run(plan, Path(folder, "out.json"), lambda line: None)
        print(f"    overhead beyond the run: {time.monotonic() - began - seconds:.1f} s; ", end="")
    health = outcome.health[0]
    print(f"loop lag p99 {1000 * health.loop_p99:.1f} ms, lateness p99 {1000 * health.late_p99:.1f} ms", end="; ")
    print(f"{outcome.whole.bad} errors, {outcome.rate:.0f}/s")
    return outcome


def plain_locust(url: str, path: str, rate: float, users: int, seconds: int) -> list[float]:
    """What Locust's own percentiles say, in milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "locustfile.py")
        file.write_text(PLAIN.format(each=rate / users, path=path))
        called = [sys.executable, "-m", "locust", "-f", str(file), "--headless", "--host", url, "--json"]
        called += ["--users", str(users), "--spawn-rate", str(users), "--run-time", f"{seconds}s"]
        said = subprocess.run([*called, "--loglevel", "ERROR"], capture_output=True, text=True, check=False)
    times = json.loads(said.stdout[said.stdout.index("[") :])[0]["response_times"]
    ordered = sorted(float(each) for each, count in times.items() for _ in range(count))
    return [ordered[int(share * len(ordered))] for share in SHARES]


def told(name: str, values: list[float], truth: list[float]) -> None:
    cells = (f"{value:7.1f} ms ({value / true - 1:+6.1%})" for value, true in zip(values, truth, strict=True))
    print(f"  {name:<34}", "  ".join(cells))


def percentiles(outcome: Outcome) -> list[float]:
    return [1000 * (outcome.whole.latency(share) or 0) for share in SHARES]


def quantiles(values: list[float]) -> list[float]:
    ordered = sorted(values)
    return [1000 * ordered[int(share * len(ordered))] for share in SHARES]


def known_latency(rate: float, seconds: int, processes: int) -> None:
    print(f"lognormal, median 20 ms, {rate:.0f}/s, {processes} process(es), {seconds} s: p50, p95, p99")
    with serving() as target:
        outcome = ours(target.url, "/lognormal", rate, int(rate / 4), seconds, processes)
        truth = quantiles(target.took["lognormal"])
    told("the target's own log", truth, truth)
    told("readygate", percentiles(outcome), truth)


def stalls(seconds: int) -> None:
    print(f"a stall of 500 ms every 5 s, 100/s, {seconds} s: p50, p95, p99")
    with serving(stall_every=5.0, stall=0.5) as target:
        first = ours(target.url, "/stalling", 100, 100, seconds)
        truth = quantiles(target.took.pop("stalling"))
        second = ours(target.url, "/stalling", 100, 10, seconds)
        target.took.clear()
        plain = plain_locust(target.url, "/stalling", 100, 10, seconds)
    told("the target's own log, 100 users", truth, truth)
    told("readygate, 100 users", percentiles(first), truth)
    told("readygate, 10 users", percentiles(second), truth)
    told("plain Locust, 10 users, 100/s", plain, truth)


def noise(trials: int) -> None:
    """Of runs made by chance: how often an equal one is called slower, and a slower one is found."""
    calls = {1.0: 0, 1.1: 0}
    for slower in calls:
        for trial in range(trials):
            before = [_chance(1000 * trial + number, 1.0) for number in range(8)]
            change = compare(_chance(1000 * trial + 99, slower), before, 0.95, 0.95)
            calls[slower] += change.slower_percent > 5
    found, alarms = calls[1.1] / trials, calls[1.0] / trials
    print(f"baseline, p95, {trials} trials: false alarms {alarms:.0%}, +10% found {found:.0%}")


def _chance(seed: int, slower: float) -> Outcome:
    """Sixty seconds of 100 requests; runs differ by 1%, seconds by 3%."""
    rnd = random.Random(seed)
    mood, seconds = exp(rnd.gauss(0, 0.01)), []
    for number in range(60):
        median, counts = 0.02 * slower * mood * exp(rnd.gauss(0, 0.03)), {}
        for _ in range(100):
            add(counts, {bucket(exp(rnd.gauss(log(median), 0.5))): 1})
        seconds.append(Second(number, 100, 100, 0, 0, 1, 0, counts, counts))
    endpoints: dict[str, Endpoint] = {}
    return Outcome("c", "", "", "open", "", tuple(range(60)), 1, (), "", "", tuple(seconds), endpoints, ())


def wrk(seconds: int) -> None:
    if shutil.which("wrk") is None:
        print("wrk is not installed; it is Debian's package of that name")
        return
    with serving(stall_every=5.0, stall=0.5) as target:
        called = ["wrk", "-t1", "-c10", f"-d{seconds}s", "--latency", f"{target.url}/stalling"]
        print(subprocess.run(called, capture_output=True, text=True, check=False).stdout)


if __name__ == "__main__":
    length = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    known_latency(1000, min(20, length), 1)
    stalls(length)
    wrk(length)
    noise(20)
