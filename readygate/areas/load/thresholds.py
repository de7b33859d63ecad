"""What must hold while a load lasts, and beside earlier runs."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar, Self

from pydantic import Field, model_validator

from readygate.areas.load.settings import Share
from readygate.conditions import Bound
from readygate.errors import Mistake
from readygate.expectation import AtLeastRate, AtMostDuration, AtMostPercent, Expectation
from readygate.load.baseline import FEWEST
from readygate.load.outcome import PERCENTILES
from readygate.spec import Spec

AT_MOST, AT_LEAST = ("<=", "<"), (">=", ">")


class EndpointThresholds(Spec):
    """What must hold of one endpoint, by the name it has in the results: `GET /items/{id}`."""

    area: ClassVar[str] = "load.endpoint"
    noun: ClassVar[str] = "endpoint_thresholds"

    p50: AtMostDuration | None = Field(None, description="How long half of the answers may take.")
    p95: AtMostDuration | None = Field(None, description="How long 95 of 100 answers may take.")
    p99: AtMostDuration | None = Field(None, description="How long 99 of 100 answers may take.")
    errors: AtMostPercent | None = Field(None, description="The share of wrong, broken and missing answers.")

    @model_validator(mode="after")
    def _can_fail(self) -> Self:
        refuse_reversed(self)
        return self


class Thresholds(Spec):
    """What must hold while the load lasts. Answer times count from when a visitor meant to ask."""

    area: ClassVar[str] = "load"
    noun: ClassVar[str] = "thresholds"

    rate: AtLeastRate | None = Field(None, description="Right answers a second, over the whole measured time.")
    worst_rate: AtLeastRate | None = Field(None, description="Right answers a second in the worst ten seconds.")
    p50: AtMostDuration | None = Field(None, description="How long half of the answers may take.")
    p90: AtMostDuration | None = Field(None, description="How long 90 of 100 answers may take.")
    p95: AtMostDuration | None = Field(None, description="How long 95 of 100 answers may take.")
    p99: AtMostDuration | None = Field(None, description="How long 99 of 100 answers may take.")
    p99_9: AtMostDuration | None = Field(None, description="How long 999 of 1000 answers may take.")
    max: AtMostDuration | None = Field(None, description="How long any answer may take.")
    errors: AtMostPercent = Field(description="The share of wrong, broken and missing answers, e.g. 0%.")
    endpoints: dict[str, EndpointThresholds] = Field({}, description="The same for single endpoints.")

    @property
    def latencies(self) -> tuple[str, ...]:
        """The percentiles that are limited."""
        return tuple(name for name in PERCENTILES if getattr(self, name) is not None)

    @property
    def latency_limits(self) -> dict[str, float]:
        """The limits on answer times, in seconds, by percentile."""
        limits = {name: _bounds(getattr(self, name), AT_MOST) for name in PERCENTILES}
        return {name: min(found) for name, found in limits.items() if found}

    @property
    def least_rate(self) -> float | None:
        """What the rate has to be at least."""
        return max(_bounds(self.rate, AT_LEAST), default=None)

    @property
    def longest(self) -> tuple[float, str]:
        """The loosest limit on a single answer, in seconds, and what it limits; 0 where there is none."""
        limits = self.latency_limits.items()
        slowest = [("max", each) for each in _bounds(self.max, AT_MOST)]
        return max(((limit, name) for name, limit in (*limits, *slowest)), default=(0.0, ""))

    @model_validator(mode="after")
    def _can_fail(self) -> Self:
        refuse_reversed(self, ("rate", "worst_rate"))
        return self


class Compare(Spec):
    """Against the last good runs of the same plan: how much slower it may be, where it isn't chance."""

    area: ClassVar[str] = "load.baseline"
    noun: ClassVar[str] = "compare"

    runs: int = Field(10, ge=FEWEST, le=50, description="How many of the last good runs to compare with.")
    confidence: Share = Field(0.95, description="How sure to be that it isn't chance.")
    folder: str = Field("baselines", description="Where good runs are kept.")
    p50: AtMostPercent | None = Field(None, description="How much slower half of the answers may be.")
    p95: AtMostPercent | None = Field(None, description="How much slower 95 of 100 answers may be.")
    p99: AtMostPercent | None = Field(None, description="How much slower 99 of 100 answers may be.")

    @model_validator(mode="after")
    def _can_fail(self) -> Self:
        refuse_reversed(self)
        return self


def refuse_reversed(spec: Spec, at_least: Collection[str] = ()) -> None:
    """Raise Mistake for a limit that is turned round, as the worse a target was the better it would meet that."""
    for name in type(spec).model_fields:
        expectation = getattr(spec, name)
        if isinstance(expectation, Expectation):
            signs = AT_LEAST if name in at_least else AT_MOST
            for level in (expectation.fail, expectation.warn):
                if level and not any(isinstance(each, Bound) and each.sign in signs for each in level):
                    raise Mistake(
                        "has no limit on the side where things go wrong", f"write it with {signs[0]}", at=(name,)
                    )


def _bounds(expectation: Expectation | None, signs: tuple[str, ...]) -> list[float]:
    conditions = expectation.fail or expectation.warn if expectation else ()
    return [float(each.limit) for each in conditions if isinstance(each, Bound) and each.sign in signs]
