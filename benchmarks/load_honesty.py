"""How far load numbers are from the truth: a target whose latencies are known, asked by Readygate and its peers.

python -m benchmarks.load_honesty [seconds [known] [queue] [busy]]     (Debian: wrk, hey; npm: artillery)
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist

from benchmarks import load_peers as peers
from benchmarks.load_known import known
from benchmarks.load_peers import SHARES
from benchmarks.load_saturation import at_most, said
from readygate.areas.load.run import LoadRun
from tests.load_target import Target, serving

EVERY_S, STALL_S = 3.0, 0.5
TOOLS: tuple[tuple[str, Callable[..., list[float]], int], ...] = (
    ("Readygate, open", peers.readygate, 200),
    ("Readygate, open, 10 users only", peers.readygate, 10),
    ("Artillery, open", peers.artillery, 0),
    ("plain Locust, closed, `constant_throughput`, 200 users", peers.locust, 200),
    ("plain Locust, closed, `constant_throughput`, 10 users", peers.locust, 10),
    ("hey, closed with a rate limit, 10 users", peers.hey, 10),
    ("wrk, closed, 10 users", peers.wrk, 10),
)


def stalling(share: float) -> float:
    """Milliseconds: whoever comes in a stall waits for the rest of it, and all moments are alike."""
    hit = STALL_S / EVERY_S
    return 1000 * STALL_S * max(0.0, 1 - (1 - share) / hit)


def lognormal(share: float) -> float:
    return float(20 * 2.718281828 ** (0.5 * NormalDist().inv_cdf(share)))


def compare(path: str, rate: int, seconds: int, truth: Callable[[float], float]) -> None:
    true = [truth(share) for share in SHARES]
    print(f"\n{path[1:]}, {rate}/s, {seconds} s; milliseconds and how far they are off\n")
    print("| | p50 | p90 | p99 |\n|---|---|---|---|")
    print(f"| the truth | {' | '.join(f'{each:.1f}' for each in true)} |")
    for name, tool, users in TOOLS:
        if users == 10 and path == "/lognormal":
            continue  # ten users can't make the rate
        with serving(stall_every=EVERY_S, stall=STALL_S) as target:
            print(f"| {name} | {_row(tool, target, path, rate, seconds, users, true)} |", flush=True)


def _row(
    tool: Callable[..., list[float]],
    target: Target,
    path: str,
    rate: int,
    seconds: int,
    users: int,
    true: list[float],
) -> str:
    try:
        found = tool(target.url, path, rate, seconds, users)
    except FileNotFoundError:
        return "not installed | | "
    cells = (
        f"{each:.1f} ({each / of - 1:+.0%})" if of else f"{each:.1f}" for each, of in zip(found, true, strict=True)
    )
    return " | ".join(cells)


def queue(seconds: int) -> None:
    """A service of 28 workers that take 25 ms each, at 1000/s; and the same with a stall of 500 ms every 6 s."""
    tools: tuple[tuple[str, Callable[[Target], list[float]]], ...] = (
        ("Readygate, open, 750 users", lambda of: peers.readygate(of.url, "/pooled", 1000, seconds, 750)),
        (
            "plain Locust, 40 users who think 15 ms",
            lambda of: peers.plain_locust(of.url, "/pooled", seconds, 40, "constant(0.015)"),
        ),
        (
            "plain Locust, `constant_throughput`, 750 users",
            lambda of: peers.locust(of.url, "/pooled", 1000, seconds, 750),
        ),
    )
    for what, stall in (("sound", 0.0), ("stalling", STALL_S)):
        print(f"\n{what}, 1000/s, {seconds} s; milliseconds, by the tool and by the service's own log\n")
        print("| | asked | p50 | p90 | p99 |\n|---|---|---|---|---|")
        for name, tool in tools:
            with serving(stall_every=6.0, stall=stall) as target:
                found = tool(target)
            log = sorted(1000 * each for each in target.took["pooled"])
            true = [log[int(share * len(log))] for share in SHARES]
            cells = (f"{each:.0f} of {of:.0f}" for each, of in zip(found, true, strict=True))
            print(f"| {name} | {len(log) / seconds:.0f}/s | {' | '.join(cells)} |", flush=True)


def busy(seconds: int) -> None:
    """At rates where the target itself is busy, so that only its own log tells the truth."""
    print(f"\nagainst the target's own log, {seconds} s\n")
    print("| | p50 | p90 | p99 | CPU us a request | saturated | p99 kept by a fifth | broken by half |")
    print("|---|---|---|---|---|---|---|---|")
    for rate, processes, cores in ((1000, 1, {1}), (2000, 2, {0, 1}), (5000, 2, {0, 1})):
        with known(core=0) as (url, took):
            os.sched_setaffinity(0, cores)
            plan = peers.planned(url, "/", rate, seconds, rate // 4, processes)
            outcome = peers.ours(plan)
        log, judged = sorted(took), LoadRun(plan, outcome, Path(), {"p50": 0.05, "p99": 0.5})
        true = [log[int(share * len(log))] for share in SHARES]
        off = ((outcome.whole.latency(share) or 0) / each - 1 for share, each in zip(SHARES, true, strict=True))
        cost = 1e6 * sum(each.cpu for each in outcome.health) / outcome.rate
        verdicts = (said(judged, "p99", at_most(true[-1] * factor)) for factor in (1.2, 0.5))
        numbers = " | ".join(f"{each:+.1%}" for each in off)
        cells = f"{numbers} | {cost:.0f} | {judged.saturation or 'no'} | {' | '.join(verdicts)}"
        print(f"| {rate}/s, {processes} process(es) | {cells} |", flush=True)


if __name__ == "__main__":
    length = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    chosen = sys.argv[2:] or ["known", "queue", "busy"]
    if "known" in chosen:
        compare("/lognormal", 200, length, lognormal)
        compare("/stalling", 100, length, stalling)
    if "queue" in chosen:
        queue(length)
    if "busy" in chosen:
        busy(min(20, length))
