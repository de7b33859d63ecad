"""When load is sent: stages of rising and held load, and the arrivals that follow from them alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt


@dataclass(frozen=True, slots=True)
class Stage:
    """Some whole seconds in which the load goes from one share of the full load to another."""

    seconds: int
    begin: float
    end: float
    measured: bool = False


@dataclass(frozen=True, slots=True)
class Schedule:
    """Stages, one after the other; times are seconds from the start."""

    stages: tuple[Stage, ...]

    @property
    def seconds(self) -> int:
        return sum(stage.seconds for stage in self.stages)

    @property
    def measured(self) -> tuple[int, ...]:
        """The seconds that count; the others warm up, or cool down."""
        numbers: list[int] = []
        start = 0
        for stage in self.stages:
            if stage.measured:
                numbers += range(start, start + stage.seconds)
            start += stage.seconds
        return tuple(numbers)

    @property
    def peak(self) -> float:
        return max(max(stage.begin, stage.end) for stage in self.stages)

    def share(self, at: float) -> float:
        """The share of the full load at a time; nothing before the start and after the end."""
        if at < 0:
            return 0.0
        for stage in self.stages:
            if at < stage.seconds:
                return stage.begin + (stage.end - stage.begin) * at / stage.seconds
            at -= stage.seconds
        return 0.0

    def arrivals(self, rate: float, *, poisson: bool, seed: int, offset: float = 0.5) -> Iterator[float]:
        """The times of arrival at so many a second under full load.

        They are drawn beforehand, so to speak: nothing that the target does can move them. `offset`, from 0 to 1,
        is where in its first gap the first of a constant rate arrives, so that several generators can take turns.
        """
        rnd = random.Random(seed)  # noqa: S311 - chance, not secrecy
        start, passed = 0, offset
        for stage in self.stages:
            slope = rate * (stage.end - stage.begin) / stage.seconds
            first = rate * stage.begin
            volume = stage.seconds * (first + rate * stage.end) / 2
            number = int(passed + volume) - int(passed)
            spread = _by_chance(number, volume, rnd) if poisson else _evenly(number, passed % 1.0)
            for each in spread:
                yield start + _when(each, first, slope)
            start += stage.seconds
            passed += volume


def _evenly(number: int, passed: float) -> Iterator[float]:
    yield from (each + 1.0 - passed for each in range(number))


def _by_chance(number: int, volume: float, rnd: random.Random) -> Iterator[float]:
    """Poisson arrivals, given how many there are: so chance decides when visitors come, and not the rate."""
    done = 0.0
    for left in range(number, 0, -1):
        done += (volume - done) * (1.0 - rnd.random() ** (1.0 / left))
        yield done


def _when(volume: float, first: float, slope: float) -> float:
    """When so many have arrived, at a rate of `first` that grows by `slope` a second."""
    return 2 * volume / (first + sqrt(max(0.0, first * first + 2 * slope * volume)))
