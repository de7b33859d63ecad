"""Histograms of durations that merge by addition, and tallies made of them.

A histogram is a plain dictionary from bucket to count. Buckets are whole microseconds below 2048 us, and eleven
significant binary digits above, so that the middle of a bucket is within 0.05% of whatever fell into it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil
from typing import Any

Histogram = dict[int, int]

_DIGITS = 11


def bucket(seconds: float) -> int:
    """The bucket that a duration falls into: the least number of microseconds in it."""
    us = int(seconds * 1e6) if seconds > 0 else 0
    spare = us.bit_length() - _DIGITS
    return (us >> spare) << spare if spare > 0 else us


def middle(of: int) -> float:
    """The duration, in seconds, that stands for all in a bucket."""
    spare = max(0, of.bit_length() - _DIGITS)
    return (of + (1 << spare) / 2 - 0.5) / 1e6


def total(histogram: Mapping[int, int]) -> int:
    """How many durations a histogram holds."""
    return sum(histogram.values())


def quantile(histogram: Mapping[int, int], share: float) -> float | None:
    """The least duration, in seconds, that this share of all is no longer than; None where there is none."""
    wanted = max(1, ceil(share * total(histogram) - 1e-9))
    reached = 0
    for each in sorted(histogram):
        reached += histogram[each]
        if reached >= wanted:
            return middle(each)
    return None


def add(into: dict[Any, Any], more: Mapping[Any, Any]) -> None:
    """Add a tally, which is nested dictionaries of numbers, to another."""
    for key, value in more.items():
        if isinstance(value, Mapping):
            add(into.setdefault(key, {}), value)
        else:
            into[key] = into.get(key, 0) + value


def merged(histograms: Iterable[Mapping[int, int]]) -> Histogram:
    """One histogram of all that the others hold."""
    result: Histogram = {}
    for each in histograms:
        add(result, each)
    return result
