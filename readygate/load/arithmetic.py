"""Whether a plan can be carried out at all: computed before a byte is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil

from readygate.errors import Mistake
from readygate.load.outcome import PERCENTILES
from readygate.load.plan import SLOT, Plan, Step
from readygate.load.trust import fewest_for
from readygate.units import show_duration, show_rate

_ROOM = 0.005  # of the rate: what is under way as the measured time ends, and so isn't answered in it
_RATE = ("thresholds", "rate")
_SPARE = 1.5  # of the users that are busy when every request takes as long as it may
_LOOSEST_FIRST = ("p99", "p95", "p90", "p50")


def refuse_infeasible(plan: Plan, least_rate: float | None, limits: Mapping[str, float]) -> None:
    """Raise Mistake with the numbers where the plan can't send what it promises.

    `least_rate` is the rate of requests that a threshold demands, `limits` the latency limits by percentile.
    """
    if plan.rate is None:
        _refuse_idle_users(plan, least_rate, limits)
        return
    most = plan.rate * plan.steps_a_journey * max(stage.end for stage in plan.schedule.stages if stage.measured)
    if least_rate is not None and least_rate > most * 1.0001:
        wanted = show_rate(_round(least_rate / plan.steps_a_journey))
        raise Mistake(
            f"arrivals make {show_rate(_round(most))} at most, and the threshold demands {show_rate(least_rate)}",
            f"raise the arrival rate to {wanted}, or lower the threshold",
            at=_RATE,
        )
    if least_rate is not None and least_rate > most * (1 - _ROOM / 2):
        raise Mistake(
            f"arrivals make {show_rate(_round(most))}, and a threshold of {show_rate(least_rate)} would be met by "
            "chance only: some answers are still under way as the measured time ends",
            f'write rate: ">={show_rate(_round(most * (1 - _ROOM)))}"',
            at=_RATE,
        )
    level = next((limits[name] for name in _LOOSEST_FIRST if name in limits), None)
    if level is None:
        return
    needed = ceil(_SPARE * plan.rate * plan.schedule.peak * plan.steps_a_journey * level - 1e-9)
    if plan.users < needed:
        raise Mistake(
            f"{plan.users} users are too few for {show_rate(_round(plan.rate * plan.schedule.peak))} journeys of "
            f"{plan.steps_a_journey:g} requests that may take {show_duration(level)} each",
            f"write users.max: {needed}, which leaves half as many again",
            at=("users", "max"),
        )


def _refuse_idle_users(plan: Plan, least_rate: float | None, limits: Mapping[str, float]) -> None:
    """Users who think can't ask: rate = users / (think + answer), by Little's law."""
    think = sum(plan.think) / 2
    answer = limits.get("p50", 0.0) * plan.steps_a_journey
    if least_rate is None or think + answer == 0:
        return
    level = max(stage.end for stage in plan.schedule.stages if stage.measured)
    most = plan.users * level * plan.steps_a_journey / think if think else float("inf")
    needed = ceil(least_rate * (think + answer) / plan.steps_a_journey / level - 1e-9)
    if needed > plan.users:
        thinking = f"who think {_span(*plan.think)}" if think else "who never think"
        cap = f"{show_rate(_round(most))} at most"
        if most >= least_rate:
            thinking += f", and wait {show_duration(limits['p50'])} for each answer,"
            cap = show_rate(_round(plan.users * level * plan.steps_a_journey / (think + answer)))
        wanted = show_rate(least_rate)
        raise Mistake(
            f"{plan.users} users {thinking} can make {cap}, and the threshold demands {wanted}",
            f"that needs {needed} users; better, hold the rate with arrival: {{rate: {wanted}}}",
            at=("users", "max"),
        )


def refuse_beyond(plan: Plan, rate: float, users: int, seconds: float) -> None:
    """Raise Mistake where a plan is larger than its ceiling."""
    peak = (plan.rate or 0.0) * plan.schedule.peak
    if peak > rate:
        above = f"{show_rate(_round(peak))} is above the ceiling of {show_rate(rate)}"
        raise Mistake(above, "raise ceiling.rate", at=("arrival", "rate"))
    if plan.users > users:
        more = f"{plan.users} users are more than the ceiling of {users}"
        raise Mistake(more, "raise ceiling.users", at=("users", "max"))
    if plan.schedule.seconds > seconds:
        took = show_duration(plan.schedule.seconds)
        longer = f"{took} is longer than the ceiling of {show_duration(seconds)}"
        raise Mistake(longer, "raise ceiling.time", at=("stages",))


def refuse_too_few(plan: Plan, percentiles: Iterable[str]) -> None:
    """Raise Mistake where a percentile can't be told from as few answers as the measured time will have."""
    if plan.rate is None:
        return
    answers = plan.requests_measured
    for name in percentiles:
        needed = fewest_for(PERCENTILES[name])
        if answers < needed:
            longer = ceil(len(plan.schedule.measured) * needed / answers)
            raise Mistake(
                f"{name} takes {needed} answers to tell, and {answers:.0f} are measured",
                f"measure for {show_duration(longer)}, or leave {name} out",
                at=("thresholds", name),
            )


def refuse_unfilled(plan: Plan) -> None:
    """Raise Mistake where a path or a header has a `{name}` that nothing before it fills."""
    signed_in = {"unique", *(plan.data[0] if plan.data else ())}
    _refuse_unfilled(plan.sign_in, signed_in, ("users", "sign_in"))
    for journey in plan.journeys:
        _refuse_unfilled(journey.steps, set(signed_in), ("users", "mix"))


def _refuse_unfilled(steps: Iterable[Step], known: set[str], at: tuple[str, ...]) -> None:
    for step in steps:
        # Bodies may have braces of their own, as JSON and GraphQL do.
        texts = (step.path, *(value for _, value in step.headers))
        unfilled = [name for text in texts for name in SLOT.findall(text) if name not in known]
        if unfilled:
            names = ", ".join(sorted(known))
            raise Mistake(
                f"nothing fills {{{unfilled[0]}}} in {step.method} {step.path}; what is known is {names}",
                "capture it in a step before, or give it a column in users.data",
                at=at,
            )
        known |= {name for name, _ in step.capture}


def _span(least: float, longest: float) -> str:
    first, last = show_duration(least), show_duration(longest)
    return f"{first[:-1]}-{last[:-1]} s" if f"{first[:-1]}{last[:-1]}".isdigit() else f"{first}-{last}"


def _round(rate: float) -> float:
    return float(f"{rate:.4g}")
