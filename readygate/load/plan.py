"""A plan as the generator gets it: whom it visits, when, and what each visitor does."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from readygate.load.schedule import Schedule, Stage

SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Step:
    """One request, and what its answer must be; `{name}` in a text is filled from what the visitor knows.

    `name` is what the step is called in the results. Without `statuses`, any of 2xx is right.
    """

    method: str
    path: str
    name: str
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    statuses: tuple[int, ...] = ()
    contains: str = ""
    json: tuple[tuple[str, str | int | float | bool | None], ...] = ()
    capture: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Journey:
    """Steps in their order, and how often they are taken beside other journeys."""

    name: str
    weight: int
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """One load run. `rate` is journeys a second in the open model; None means the closed one, with `think`."""

    name: str
    target: str
    schedule: Schedule
    users: int
    rate: float | None = None
    poisson: bool = True
    think: tuple[float, float] = (0.0, 0.0)
    journeys: tuple[Journey, ...] = ()
    sign_in: tuple[Step, ...] = ()
    data: tuple[dict[str, str], ...] = ()
    locustfile: str = ""
    timeout: float = 10.0
    ca: str = ""
    stop_at_errors: float = 0.5
    processes: int = 1
    workers: int = 0
    bind: str = "127.0.0.1:0"
    seed: int = 1

    @property
    def is_open(self) -> bool:
        return self.rate is not None

    @property
    def generators(self) -> int:
        return self.workers or self.processes

    @property
    def sign_in_s(self) -> float:
        """Seconds that all users together may take to sign in, of whom ten do so at a time."""
        return 60 + self.users / 10

    @property
    def all_steps(self) -> Iterator[Step]:
        yield from self.sign_in
        for each in self.journeys:
            yield from each.steps

    @property
    def endpoints(self) -> list[str]:
        """What its journeys ask, as the results call it; of a Locust file nothing is known."""
        return sorted({f"{step.method} {step.name}" for each in self.journeys for step in each.steps})

    @property
    def steps_a_journey(self) -> float:
        """How many requests a journey makes, on average; a Locust file of the user's own counts as one."""
        weights = sum(each.weight for each in self.journeys)
        return sum(each.weight * len(each.steps) for each in self.journeys) / weights if weights else 1.0

    @property
    def requests_measured(self) -> float:
        """How many requests are due in the measured time; nothing is known of a closed model beforehand."""
        volume = sum(each.seconds * (each.begin + each.end) / 2 for each in self.schedule.stages if each.measured)
        return (self.rate or 0.0) * volume * self.steps_a_journey

    @property
    def digest(self) -> str:
        """Eight digits that are others where another load is sent, so that only like is compared with like."""
        visits = [(each.weight, [(step.method, step.path) for step in each.steps]) for each in self.journeys]
        file = Path(self.locustfile).read_bytes() if self.locustfile else b""
        sent = (self.schedule, self.users, self.rate, self.poisson, self.think, visits, file)
        return hashlib.sha256(repr(sent).encode()).hexdigest()[:8]

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        data = json.loads(text)
        data["schedule"] = Schedule(tuple(Stage(**each) for each in data["schedule"]["stages"]))
        data["journeys"] = tuple(
            Journey(each["name"], each["weight"], _steps(each["steps"])) for each in data["journeys"]
        )
        data["sign_in"] = _steps(data["sign_in"])
        data["data"] = tuple(data["data"])
        data["think"] = tuple(data["think"])
        return cls(**data)


def _steps(raw: list[dict[str, Any]]) -> tuple[Step, ...]:
    return tuple(Step(**{key: _frozen(value) for key, value in each.items()}) for each in raw)


def _frozen(value: Any) -> Any:
    """JSON knows no tuples, and a step is looked up by what it is."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
