"""Runs made by chance, held against others: how often an equal one is called slower, and a slower one is found.

python -m benchmarks.load_baseline [trials]
"""

from __future__ import annotations

import random
import sys
from math import exp, log

from readygate.load.baseline import compare
from readygate.load.histogram import add, bucket
from readygate.load.outcome import Endpoint, Outcome, Second


def noise(trials: int) -> None:
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


if __name__ == "__main__":
    noise(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
