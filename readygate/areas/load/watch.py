"""Watches a server while it is under load: its processors, its memory, the connections to one of its ports."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from readygate.areas.asking import ask
from readygate.areas.load.thresholds import refuse_reversed
from readygate.areas.servers.proc import parse_meminfo
from readygate.errors import CouldNotLook
from readygate.expectation import AtMostCount, AtMostPercent
from readygate.load.outcome import Outcome
from readygate.results import Evidence
from readygate.spec import Spec

_EVERY_S = 1.0
_ESTABLISHED = "01"


class Watch(Spec):
    """What must hold on a server while it is under load."""

    area: ClassVar[str] = "load.server"
    noun: ClassVar[str] = "watch"

    on: str = Field(description="A setting: the name of the server.")
    port: int = Field(5432, ge=1, le=65535, description="A setting: the port whose connections are counted.")
    cpu: AtMostPercent | None = Field(None, description="How busy its processors may be, on average while measured.")
    memory: AtMostPercent | None = Field(None, description="How much of its memory may be used at any moment.")
    connections: AtMostCount | None = Field(
        None, description="How many connections to the port there may be at once."
    )

    @model_validator(mode="after")
    def _can_fail(self) -> Self:
        refuse_reversed(self)
        return self


@dataclass(frozen=True, slots=True)
class Sample:
    """One look; the processors' times are in ticks since the server was started, `at` is our own clock."""

    at: float
    busy: int
    ticks: int
    memory_percent: float
    connections: int


@dataclass(frozen=True, slots=True)
class Watched:
    """What was seen while the load was measured."""

    cpu_percent: float
    memory_percent: float
    connections: int
    evidence: tuple[Evidence, ...] = ()


@dataclass(slots=True)
class Watching:
    """Fills while the load lasts; `blind` is why the looking ended before it did."""

    samples: list[Sample] = field(default_factory=list)
    blind: CouldNotLook | None = None


@contextmanager
def watching(host: Any, watch: Watch) -> Iterator[Watching]:
    """Look at the server once a second for as long as the block lasts."""
    seen, over = Watching(), Event()

    def look() -> None:
        while not over.is_set():
            try:
                seen.samples.append(observe_sample(host, watch))
            except CouldNotLook as error:
                seen.blind = error
                return
            over.wait(_EVERY_S)

    thread = Thread(target=look, name=f"watching {watch.on}", daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join(60)


def keep(seen: Watching, path: Path) -> None:
    """For other processes of the same session; what was not seen is not kept."""
    path.write_text(json.dumps([astuple(each) for each in seen.samples] if seen.blind is None else []))


def kept(path: Path) -> Watching:
    return Watching([Sample(*each) for each in json.loads(path.read_text())])


def observe_sample(host: Any, watch: Watch) -> Sample:
    """One look at what the kernel counts."""
    script = (
        "head -n 1 /proc/stat; cat /proc/meminfo; echo sockets; cat /proc/net/tcp; cat /proc/net/tcp6 2>/dev/null; :"
    )
    return parse_sample(ask(host, watch.on, script, within=10).text, watch.port, time.time())


def parse_sample(text: str, port: int, at: float) -> Sample:
    """Read the first line of /proc/stat, /proc/meminfo, and after `sockets` both tables of TCP."""
    head, _, sockets = text.partition("\nsockets\n")
    stat, _, meminfo = head.partition("\n")
    ticks = [int(each) for each in stat.split()[1:9]]
    known = parse_meminfo(meminfo)
    idle = ticks[3] + ticks[4]  # waiting for a disk is idling, as far as the processors go
    rows = (line.split() for line in sockets.splitlines())
    ours = (row for row in rows if len(row) > 3 and row[3] == _ESTABLISHED and row[1].endswith(f":{port:04X}"))
    used = 100 * (1 - known["MemAvailable"] / known["MemTotal"])
    return Sample(at, sum(ticks) - idle, sum(ticks), used, sum(1 for _ in ours))


def conclude_watched(samples: Sequence[Sample], outcome: Outcome) -> Watched:
    """What of it was seen while the load was measured. CouldNotLook: hardly anything."""
    start = datetime.fromisoformat(outcome.started_at).timestamp()
    first, last = start + outcome.measured[0], start + outcome.measured[-1] + 1
    during = [each for each in samples if first <= each.at <= last + _EVERY_S]
    if len(during) < 2 or during[-1].ticks == during[0].ticks:
        raise CouldNotLook(
            f"the server was looked at {len(during)} times in the measured time, which says nothing",
            cause=f"unwatched:{outcome.plan}",
            mend="measure for longer, or see why the server is slow to answer",
        )
    cpu = 100 * (during[-1].busy - during[0].busy) / (during[-1].ticks - during[0].ticks)
    memory, connections = max(each.memory_percent for each in during), max(each.connections for each in during)
    told = f"cpu {cpu:.0f}% on average, memory {memory:.0f}%, {connections} connections at most"
    return Watched(cpu, memory, connections, (Evidence(f"the server, {len(during)} times while under load", told),))
