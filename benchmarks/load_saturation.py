"""A generator that is starved on purpose: whether wrong numbers are called so, and right ones believed.

python -m benchmarks.load_saturation [rounds [mix] [locustfile]]     (one core for the target, one for the rest)
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.load_known import known
from benchmarks.load_peers import ours, planned
from readygate.areas.load.run import LoadRun
from readygate.errors import CouldNotLook
from readygate.expectation import Expectation
from readygate.kinds import DURATION
from readygate.load.outcome import PERCENTILES

SECONDS = 6
WARM_UP_S = 2
JUDGED = ("p50", "p90", "p99")
LIMITS = {"p50": 0.05, "p99": 0.5}  # what a lag is too much for; those of Zenzefi
HOG = "while True: pass"


@dataclass(frozen=True)
class Situation:
    """What the generator has to share its core with."""

    name: str
    rate: int
    hogs: int = 0
    nice: int = 0
    stopped_s: float = 0.0


SITUATIONS = (
    Situation("alone", 300),
    Situation("alone, more to do", 1000),
    Situation("beside a polite hog", 300, hogs=1, nice=19),
    Situation("beside one hog", 300, hogs=1),
    Situation("beside four hogs", 300, hogs=4),
    Situation("beside two hogs, more to do", 1000, hogs=2),
    Situation("beside eight hogs, more to do", 1000, hogs=8),
    Situation("stopped for 50 ms each second", 300, stopped_s=0.05),
    Situation("stopped for 300 ms each second", 300, stopped_s=0.3),
)


@contextmanager
def rivals(situation: Situation) -> Iterator[None]:
    """Programs that want the same core, and somebody who stops the generator now and then."""
    over = threading.Event()
    called = ["nice", "-n", str(situation.nice), sys.executable, "-c", HOG]
    hogs = [subprocess.Popen(called) for _ in range(situation.hogs)]
    stopping = threading.Thread(target=_stop, args=(situation.stopped_s, over))
    stopping.start()
    try:
        yield
    finally:
        over.set()
        stopping.join()
        for each in hogs:
            each.kill()
            each.wait()


def _stop(seconds: float, over: threading.Event) -> None:
    while seconds and not over.wait(1.0):
        for pid in _generators():
            os.kill(pid, signal.SIGSTOP)
            time.sleep(seconds)
            os.kill(pid, signal.SIGCONT)


def _generators() -> list[int]:
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(each) for each in children if b"generator.py" in Path(f"/proc/{each}/cmdline").read_bytes()]


LOCUSTFILE = """
from locust import FastHttpUser, task
class Asking(FastHttpUser):
    @task
    def ask(self):
        self.client.get("/")
"""


def tried(situation: Situation, client: str, folder: Path) -> Counter[str]:
    """One run, judged by limits that the target keeps, and by limits that it breaks.

    A number is wrong that is off by more than a tenth, and flagged where the generator is called saturated.
    """
    with known(core=0) as (url, took):
        os.sched_setaffinity(0, {1})  # and of what is started from here on
        plan = planned(url, "/", situation.rate, SECONDS, situation.rate, warm_up=WARM_UP_S)
        if client == "locustfile":
            file = folder / "asking.py"
            file.write_text(LOCUSTFILE)
            plan = replace(plan, journeys=(), locustfile=str(file))
        with rivals(situation):
            outcome = ours(plan)
    log = sorted(took[WARM_UP_S * situation.rate :])
    seen: Counter[str] = Counter()
    is_flagged = bool(LoadRun(plan, outcome, Path(), LIMITS).saturation)
    offs = []
    for name in JUDGED:
        truth = log[int(PERCENTILES[name] * len(log))]
        offs.append((outcome.whole.latency(PERCENTILES[name]) or 0.0) / truth - 1)
        number = "wrong" if abs(offs[-1]) > 0.1 else "right"
        seen[f"number {number}{', flagged' if is_flagged else ''}"] += 1
        for kept, factor in (("kept by a fifth", 1.2), ("broken by a fifth", 0.8), ("broken by half", 0.5)):
            verdict = said(LoadRun(plan, outcome, Path(), LIMITS), name, at_most(truth * factor))
            seen[f"limit {kept}: {verdict}"] += 1
    health = outcome.health[0]
    print(
        f"{situation.name:<32} loop {1000 * health.loop_p99:6.1f} ms  late {1000 * health.late_p99:6.1f} ms  "
        f"cpu {health.cpu:4.0%}  queued {health.queued:4.0%}  {', '.join(JUDGED)} off by "
        + ", ".join(f"{off:+.0%}" for off in offs),
        flush=True,
    )
    return seen


def at_most(seconds: float) -> Expectation:
    return Expectation.parse(f"<{1000 * seconds:.2f}ms", DURATION)


def said(run: LoadRun, name: str, expected: Expectation) -> str:
    """The verdict on one threshold."""
    try:
        return "GO" if expected.judge(run.conclude(name, expected)) else "NO-GO"
    except CouldNotLook:
        return "INCOMPLETE"


if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    for client in sys.argv[2:] or ["mix", "locustfile"]:
        totals: Counter[str] = Counter()
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(rounds):
                for each in SITUATIONS:
                    totals += tried(each, client, Path(folder))
        print(f"{client}: {rounds * len(SITUATIONS)} runs, {', '.join(JUDGED)} of each")
        for what, count in sorted(totals.items()):
            print(f"{count:5d}  {what}")
