"""What a run measured, and how far it can be trusted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import floor
from pathlib import Path
from typing import Any

from readygate.load.histogram import Histogram, merged, middle, quantile, total

PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99_9": 0.999}

EARLIER = ".earlier"  # the suffix beside an outcome's file of the answer times of the runs that it was compared with

_WORST_S = 10  # the window that the worst rate is taken over


@dataclass(frozen=True, slots=True)
class Second:
    """One second of a run; latencies are of the requests that were due in it, in seconds.

    `lag` is the longest that a generator was late in it with anything.
    """

    number: int
    due: int
    ended: int
    failed: int
    bad: int
    users: int
    backlog: int
    response: Histogram
    service: Histogram
    lag: float = 0.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What one endpoint, or all of them together, answered while it was measured.

    `undisturbed` are the response times of what was asked while its generator was on time, and had been for long.
    """

    response: Histogram
    service: Histogram
    errors: Mapping[str, int]
    undisturbed: Histogram = field(default_factory=dict)

    @property
    def good(self) -> int:
        return total(self.response)

    @property
    def bad(self) -> int:
        return sum(self.errors.values())

    @property
    def errors_percent(self) -> float | None:
        asked = self.good + self.bad
        return 100 * self.bad / asked if asked else None

    def latency(self, share: float) -> float | None:
        """The response time, from when the request was due, that this share of good answers kept to."""
        return quantile(self.response, share)

    @property
    def slowest(self) -> float | None:
        return middle(max(self.response)) if self.response else None


@dataclass(frozen=True, slots=True)
class Health:
    """How one generator was itself: how late its loop and its timers were, and its shares of a processor's time.

    `loop` is the lag at any moment, `late` that of visits that were due. `cpu` is what it used of a core, `queued`
    how long it had to wait for one. Where `is_stamped`, answers ended when they were here, however late it read them.
    """

    worker: str
    loop: Histogram
    late: Histogram
    backlog: int
    cpu: float
    queued: float
    is_stamped: bool = True

    @property
    def loop_p99(self) -> float:
        return quantile(self.loop, 0.99) or 0.0

    @property
    def late_p99(self) -> float:
        return quantile(self.late, 0.99) or 0.0


@dataclass(frozen=True)
class Outcome:
    """A whole run. `stopped` says why it ended early: "errors", "lost", "interrupted", or nothing.

    `earlier` are the answer times of the runs that it was compared with; empty without a comparison.
    """

    plan: str
    digest: str
    target: str
    model: str
    started_at: str
    measured: tuple[int, ...]
    generators: int
    lost: tuple[str, ...]
    stopped: str
    problem: str
    seconds: tuple[Second, ...]
    endpoints: Mapping[str, Endpoint]
    health: tuple[Health, ...]
    earlier: Histogram = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Outcome:
        data = json.loads(path.read_text())
        beside = path.with_suffix(EARLIER)
        return cls(
            **{key: data[key] for key in ("plan", "digest", "target", "model", "started_at", "stopped", "problem")},
            measured=tuple(data["measured"]),
            generators=data["generators"],
            lost=tuple(data["lost"]),
            seconds=tuple(_seconds(data["seconds"])),
            endpoints={
                name: Endpoint(
                    _histogram(each["response"]),
                    _histogram(each["service"]),
                    each["errors"],
                    _histogram(each.get("undisturbed", {})),
                )
                for name, each in sorted(data["endpoints"].items())
            },
            health=tuple(_health(worker, each) for worker, each in sorted(data["health"].items())),
            earlier=_histogram(json.loads(beside.read_text())) if beside.is_file() else {},
        )

    @cached_property
    def window(self) -> tuple[Second, ...]:
        """The seconds that count, without the warm-up."""
        measured = set(self.measured)
        return tuple(each for each in self.seconds if each.number in measured)

    @cached_property
    def whole(self) -> Endpoint:
        """All endpoints together."""
        errors: dict[str, int] = {}
        for each in self.endpoints.values():
            for kind, count in each.errors.items():
                errors[kind] = errors.get(kind, 0) + count
        return Endpoint(
            merged(each.response for each in self.window),
            merged(each.service for each in self.window),
            errors,
            merged(each.undisturbed for each in self.endpoints.values()),
        )

    @property
    def rate(self) -> float:
        """Good answers a second, over all of the seconds that were to be measured."""
        return _rounded_down(sum(each.ended for each in self.window) / len(self.measured))

    @property
    def worst_rate(self) -> float:
        """Good answers a second in the worst ten seconds, or in all of them where there are fewer."""
        ended = {each.number: each.ended for each in self.window}
        counts = [ended.get(number, 0) for number in self.measured]
        span = min(_WORST_S, len(counts))
        return _rounded_down(min(sum(counts[start : start + span]) for start in range(len(counts) - span + 1)) / span)

    @property
    def offered(self) -> float:
        """Journeys that were due, a second."""
        return sum(each.due for each in self.window) / len(self.measured)


def _rounded_down(rate: float) -> float:
    """To thousandths, so that no rate is called reached that isn't; a rate of 0.25/s is reached by 15 in a minute."""
    return floor(rate * 1000 + 1e-6) / 1000


def _seconds(raw: Mapping[str, Any]) -> Iterable[Second]:
    for number in sorted(raw, key=int):
        each = raw[number]
        counts = {key: each.get(key, 0) for key in ("due", "ended", "failed", "bad", "backlog")}
        yield Second(
            number=int(number),
            users=each.get("busy", 0),
            response=_histogram(each.get("response", {})),
            service=_histogram(each.get("service", {})),
            lag=middle(max(_histogram(each.get("lag", {})), default=0)),
            **counts,
        )


def _histogram(raw: Mapping[str, int]) -> Histogram:
    return {int(bucket): count for bucket, count in raw.items()}


def _health(worker: str, raw: Mapping[str, Any]) -> Health:
    wall = raw.get("wall", 0.0)
    return Health(
        worker,
        loop=_histogram(raw.get("loop", {})),
        late=_histogram(raw.get("late", {})),
        backlog=total(_histogram(raw.get("backlog", {}))),
        cpu=raw["cpu"] / wall if wall else 0.0,
        queued=raw.get("queued", 0.0) / wall if wall else 0.0,
        is_stamped=not raw.get("unstamped"),
    )
