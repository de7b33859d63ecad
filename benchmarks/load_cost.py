"""What a plain GET costs the one who asks: CPU of Readygate, of a lean Locust user, and of Locust's fast one.

python -m benchmarks.load_cost [rounds]     (Debian: nginx; one core for it, one for the tool)
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import median

from benchmarks.load_peers import ours, planned
from tests.test_load_runs import free_port

USERS = 50
FLAT_OUT = 0
RATES = (1000, FLAT_OUT)
SECONDS = 6

NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log /dev/null;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 100000000;
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 "ok"; }} }} }}
"""

# Both are measured by the clock of their own process, from the third second on, when all users are there.
LOCUST = """
import time
import gevent
from geventhttpclient import HTTPClient
from locust import FastHttpUser, User, constant, constant_throughput, events, task

@events.test_start.add_listener
def look(environment, **kwargs):
    def measure():
        gevent.sleep(2)
        used, count, at = time.process_time(), environment.stats.total.num_requests, time.time()
        gevent.sleep({seconds})
        asked = environment.stats.total.num_requests - count
        print("cost", 1e6 * (time.process_time() - used) / asked, asked / (time.time() - at), flush=True)
        environment.runner.quit()
    gevent.spawn(measure)

pace = constant_throughput({each}) if {each} else constant(0)
"""
FAST = """
class Fast(FastHttpUser):
    wait_time = pace
    @task
    def ask(self):
        self.client.get("/")
"""
LEAN = """
class Lean(User):
    wait_time = pace
    def on_start(self):
        self.client = HTTPClient.from_url(self.host, concurrency=1)
    @task
    def ask(self):
        began = time.perf_counter()
        answer = self.client.get("/")
        length = len(answer.read())
        self.environment.events.request.fire(
            request_type="GET", name="/", response_time=1000 * (time.perf_counter() - began),
            response_length=length, exception=None, context={},
        )
"""


@contextmanager
def nginx() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        port, config = free_port(), Path(folder, "nginx.conf")
        config.write_text(NGINX.format(folder=folder, port=port))
        server = subprocess.Popen(["taskset", "-c", "0", "nginx", "-c", str(config)])
        time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
        server.terminate()
        server.wait()


def readygate(url: str, rate: int, seconds: int) -> tuple[float, float]:
    plan = planned(url, "/", rate or None, seconds, USERS, warm_up=2)
    outcome = ours(plan if rate else replace(plan, think=(0.0, 0.0)))
    answered = sum(each.ended for each in outcome.seconds) / plan.schedule.seconds
    return 1e6 * outcome.health[0].cpu / answered, outcome.rate


def locust(user: str, url: str, rate: int, seconds: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "locustfile.py")
        file.write_text(LOCUST.format(seconds=seconds, each=rate / USERS) + user)
        called = [sys.executable, "-m", "locust", "-f", str(file), "--headless", "--host", url, "--only-summary"]
        called += ["--users", str(USERS), "--spawn-rate", str(USERS), "--loglevel", "ERROR"]
        said = subprocess.run(called, capture_output=True, text=True, check=False).stdout
    line = next(line for line in said.splitlines() if line.startswith("cost"))
    cost, reached = map(float, line.split()[1:])
    return cost, reached


def compare(rounds: int) -> None:
    """In turn, as whatever else this machine does changes; medians."""
    os.sched_setaffinity(0, {1})
    tools = {
        "Readygate": readygate,
        "a lean Locust `User`": lambda *of: locust(LEAN, *of),
        "Locust's `FastHttpUser`": lambda *of: locust(FAST, *of),
    }
    found: dict[tuple[str, int], list[tuple[float, float]]] = {}
    with nginx() as url:
        for _, rate, (name, tool) in product(range(rounds), RATES, tools.items()):
            found.setdefault((name, rate), []).append(tool(url, rate, SECONDS))
    print("| | " + " | ".join(f"{rate}/s" if rate else "flat out" for rate in RATES) + " |")
    print("|---|" + "---|" * len(RATES))
    for name in tools:
        medians = (map(median, zip(*found[name, rate], strict=True)) for rate in RATES)
        print(f"| {name} | {' | '.join(f'{cost:.0f} us at {reached:.0f}/s' for cost, reached in medians)} |")


if __name__ == "__main__":
    compare(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
