"""This run over the last good ones of the same plan: slower, or only noisy?

A two-level bootstrap of the ratio of percentiles, first runs and then whole seconds in them, as seconds of one run
resemble each other more than those of two. Sources: Daly et al. 2020 and Hunter (DataStax) on why one may not
compare percentiles by eye.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from typing import TYPE_CHECKING, Any

from readygate.load.outcome import Outcome

if TYPE_CHECKING:
    import numpy as np

    Counts = np.ndarray[Any, np.dtype[Any]]

FEWEST = 5
_DRAWS = 1000
_DIGITS = 9  # binary digits of a latency that are compared: finer than 0.4% is no change to speak of


@dataclass(frozen=True, slots=True)
class Change:
    """How much slower a percentile has become: the ratio to the baseline, and the interval it lies in."""

    ratio: float
    low: float
    high: float
    runs: int
    confidence: float

    @property
    def is_noise(self) -> bool:
        return self.low <= 1.0 <= self.high

    @property
    def slower_percent(self) -> float:
        """What is slower beyond what chance explains; nothing where it isn't."""
        return 0.0 if self.is_noise else max(0.0, 100 * (self.ratio - 1))

    def in_words(self, name: str) -> str:
        interval = f"{self.low - 1:+.1%} to {self.high - 1:+.1%} with {self.confidence:.0%} confidence"
        over = f"the last {self.runs} good runs ({interval})"
        if self.is_noise:
            return f"{name} is as it was over {over}"
        return f"{name} is {abs(self.ratio - 1):.1%} {'slower' if self.ratio > 1 else 'faster'} than {over}"


class Baseline:
    """A folder of outcomes, one file a good run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def last(self, like: Outcome, count: int) -> list[Outcome]:
        """The newest good runs in which the same was sent, the newest last."""
        kept = sorted(self._folder.glob(f"{like.plan}-{like.digest}-*.json"))
        return [Outcome.read(path) for path in kept[-count:]]

    def keep(self, outcome: Outcome, file: Path) -> None:
        """Add a good run."""
        self._folder.mkdir(parents=True, exist_ok=True)
        when = outcome.started_at.replace(":", "").replace("+0000", "Z")
        copyfile(file, self._folder / f"{outcome.plan}-{outcome.digest}-{when}.json")


def compare(now: Outcome, before: Sequence[Outcome], share: float, confidence: float, seed: int = 1) -> Change:
    """How a percentile has changed over earlier runs, of which there must be some."""
    import numpy as np

    fine = {bucket for run in (now, *before) for second in run.window for bucket in second.response}
    edges = sorted({_coarse(bucket) for bucket in fine})
    number = {edge: place for place, edge in enumerate(edges)}
    place = {bucket: number[_coarse(bucket)] for bucket in fine}
    values = np.array([(edge + 0.5) / 1e6 for edge in edges])
    rng = np.random.default_rng(seed)

    def counts(run: Outcome) -> Counts:
        table = np.zeros((len(run.window), len(edges)))
        for row, second in enumerate(run.window):
            for bucket, count in second.response.items():
                table[row, place[bucket]] += count
        return table

    def percentiles(sums: Counts) -> Counts:
        reached = np.cumsum(sums, axis=1)
        found: Counts = values[(reached < share * reached[:, -1:] - 1e-9).sum(axis=1)]
        return found

    def resampled(table: Counts) -> Counts:
        rows = len(table)
        return rng.multinomial(rows, [1 / rows] * rows, size=_DRAWS) @ table

    tables = [counts(run) for run in before]
    drawn = np.log(np.stack([percentiles(resampled(table)) for table in tables]))
    own = np.log(np.array([percentiles(table.sum(axis=0, keepdims=True))[0] for table in tables]))
    current = counts(now)
    new = np.log(percentiles(current.sum(axis=0, keepdims=True))[0])

    # One run says nothing of how runs differ; so this one is given a difference as the others have it.
    runs = len(tables)
    chosen = rng.integers(runs, size=(_DRAWS, runs))
    old = drawn[chosen, np.arange(_DRAWS)[:, None]].mean(axis=1)
    spread = (own - own.mean()) * np.sqrt(runs / (runs - 1)) if runs > 1 else own * 0
    this = np.log(percentiles(resampled(current))) + rng.choice(spread, size=_DRAWS)
    low, high = np.quantile(this - old, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Change(float(np.exp(new - own.mean())), float(np.exp(low)), float(np.exp(high)), runs, confidence)


def _coarse(bucket: int) -> int:
    spare = max(0, bucket.bit_length() - _DIGITS)
    return (bucket >> spare) << spare
