"""What a load run may be declared to be: whom it visits and how, and what must hold meanwhile."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from math import ceil
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from readygate.areas.load.run import observe_comparison, observe_run, observe_watched
from readygate.areas.load.settings import (
    Arrival,
    Ceiling,
    Generator,
    Share,
    Stage,
    TargetUrl,
    Users,
    origin,
    read_rows,
)
from readygate.areas.load.thresholds import Compare, Thresholds
from readygate.areas.load.watch import Watch
from readygate.errors import Mistake
from readygate.expectation import Seconds
from readygate.load import plan
from readygate.load.arithmetic import refuse_beyond, refuse_infeasible, refuse_too_few, refuse_unfilled
from readygate.load.schedule import Schedule
from readygate.load.schedule import Stage as Span
from readygate.spec import Spec
from readygate.units import show_duration

PRODUCTION = "READYGATE_ALLOW_PRODUCTION_LOAD"

# An environment whose name says so, such as prod-eu; preprod and nonprod are others.
_PRODUCTION = re.compile(r"(?<!pre)(?<!pre[-_.])(?<!non)(?<!non[-_.])prod|^live$", re.IGNORECASE)
_A_PROCESS = 5000  # requests a second that one process of the generator sends with ease


class Load(Spec):
    """A load run: only what `allow_load` names is ever visited, and a plan that can't be carried out is refused."""

    area: ClassVar[str] = "load"
    noun: ClassVar[str] = "load"

    target: TargetUrl = Field(description="The URL that all paths begin with.")
    arrival: Arrival | None = Field(None, description="The open model: how many visitors come, and how.")
    stages: tuple[Stage, ...] = Field(min_length=1, description="Its stages: ramps and holds, in their order.")
    users: Users = Field(description="The visitors and their journeys.")
    timeout: Seconds = Field(10.0, description="When to stop waiting for an answer, which is an error then.")
    ca: str | None = Field(None, description="Path of a private CA's certificate.")
    stop_at_errors: Share = Field(0.5, description="The share of errors that stops the run.")
    ceiling: Ceiling = Field(Ceiling(), description="What the plan may never go beyond.")
    generator: Generator = Field(Generator(), description="Where the load comes from.")
    thresholds: Thresholds = Field(description="What must hold.")
    compare: Compare | None = Field(None, description="What must hold beside earlier runs.")
    watch: Watch | None = Field(None, description="What must hold on the server meanwhile.")

    @model_validator(mode="after")
    def _can_be_carried_out(self) -> Self:
        if (self.arrival is None) == (self.users.think is None):
            raise Mistake(
                "the load is neither open nor closed, or both",
                "write arrival: {rate: 100/s}, or users.think: [1s, 3s] for a closed model",
            )
        if not any(stage.measure for stage in self.stages):
            raise Mistake("no stage is measured", "write measure: true in one", at=("stages",))
        planned = self.planned("")
        refuse_beyond(planned, self.ceiling.rate, self.ceiling.users, self.ceiling.time)
        refuse_infeasible(planned, self.thresholds.least_rate, self.thresholds.latency_limits)
        refuse_too_few(planned, self.thresholds.latencies)
        refuse_unfilled(planned)
        self._refuse_unknown_endpoints(planned)
        limit, name = self.thresholds.longest
        if limit > self.timeout:
            raise Mistake(
                f"{name} may be {show_duration(limit)}, and whatever takes longer than {show_duration(self.timeout)} "
                "is no answer but an error",
                f"write a timeout of more than {show_duration(limit)}",
                at=("timeout",),
            )
        return self

    def refuse_name(self, name: str) -> None:
        """Its outcome is a file of this name."""
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise Mistake(
                f"'{name}' is no name for a file", "write letters, digits, dots, dashes and underscores only"
            )

    def _refuse_unknown_endpoints(self, planned: plan.Plan) -> None:
        known = planned.endpoints
        unknown = [name for name in self.thresholds.endpoints if known and name not in known]
        if unknown:
            raise Mistake(
                f"no step is called '{unknown[0]}'",
                f"steps are: {', '.join(known)}",
                at=("thresholds", "endpoints", unknown[0]),
            )

    def planned(self, name: str) -> plan.Plan:
        """The plan as the generator gets it."""
        spans, level = [], 0.0
        for stage in self.stages:
            begin = level if stage.ramp else stage.to
            spans.append(Span(int(stage.ramp or stage.hold or 0), begin, stage.to, stage.measure))
            level = stage.to
        journeys = tuple(
            plan.Journey(each.journey, each.weight, tuple(step.planned() for step in each.steps))
            for each in self.users.mix
        )
        made = plan.Plan(
            name=name,
            target=self.target,
            schedule=Schedule(tuple(spans)),
            users=self.users.max,
            rate=self.arrival.rate if self.arrival else None,
            poisson=bool(self.arrival and self.arrival.shape == "poisson"),
            think=self.users.think or (0.0, 0.0),
            journeys=journeys,
            sign_in=tuple(step.planned() for step in self.users.sign_in),
            data=read_rows(self.users.data),
            locustfile=self.users.locustfile or "",
            timeout=self.timeout,
            ca=self.ca or "",
            stop_at_errors=self.stop_at_errors,
            workers=self.generator.workers,
            bind=self.generator.bind,
        )
        return _with_processes(made, self.generator.processes)


def _with_processes(made: plan.Plan, wanted: Literal["auto"] | int) -> plan.Plan:
    if wanted != "auto":
        return replace(made, processes=wanted)
    peak = (made.rate or 0.0) * made.schedule.peak * made.steps_a_journey
    return replace(made, processes=max(1, min(ceil(peak / _A_PROCESS), os.cpu_count() or 1)))


def forbidden(
    plans: Mapping[str, Load], allowed: tuple[str, ...], environment: str, environ: Mapping[str, str]
) -> Iterator[tuple[tuple[str, ...], Mistake]]:
    """Every plan whose target may not be loaded, with the path of its target."""
    origins = {origin(url) for url in allowed}
    for name, each in plans.items():
        where = ("load", name, "target")
        if origin(each.target) not in origins:
            yield where, Mistake(f"nothing allows load on {each.target}", f"write allow_load: [{each.target}]")
        elif _PRODUCTION.search(environment) and environ.get(PRODUCTION) != environment:
            yield (
                where,
                Mistake(
                    f"load on {environment} has to be asked for twice", f"set {PRODUCTION}={environment} as well"
                ),
            )


SECTIONS: Mapping[str, type[Spec]] = {"load": Load}
FACTS: Mapping[str, Callable[..., Any]] = {
    "load_run": observe_run,
    "comparison": observe_comparison,
    "watched": observe_watched,
}
