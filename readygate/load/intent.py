"""Says beforehand what a run will do, and how it goes, to whoever sits at the terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from readygate.announcing import announce
from readygate.load.plan import Plan
from readygate.units import show_duration, show_rate

# The variable under which no load is sent yet, and the cause of what is not known for that.
HELD_BACK = "READYGATE_HOLD_LOAD_BACK"

# The variable whose value is the same in all processes and looks that share one sending of each plan.
ONCE = "READYGATE_LOAD_ONCE"

_NOW_AND_THEN_S = 10


def intent(plan: Plan) -> str:
    """One sentence on what is about to be sent, and to whom."""
    if plan.rate is None:
        least, longest = (show_duration(each) for each in plan.think)
        how = f"{plan.users} users in a closed model, who think {least} to {longest}"
    else:
        shape = "randomly" if plan.poisson else "evenly"
        at = show_rate(float(f"{plan.rate * plan.schedule.peak:.4g}"))
        how = f"up to {at} journeys, {shape} spaced, by at most {plan.users} users at once"
    much = f"{how}, for {show_duration(plan.schedule.seconds)}"
    stop = f"stops by itself at {plan.stop_at_errors:.0%} errors"
    return f"load {plan.name}: sends {plan.target} {much}; {stop}, and at once on Ctrl-C"


@contextmanager
def progress_shown() -> Iterator[Callable[[str], None]]:
    """Shows how it goes past pytest's capture: on a terminal each line over the last one, else one now and then."""
    try:
        tty = Path("/dev/tty").open("w")  # noqa: SIM115 - closed below
    except OSError:
        yield _now_and_then(announce)
        return
    with tty:

        def over(text: str) -> None:
            tty.write(f"\r\033[K{text}")
            tty.flush()

        yield over
        tty.write("\r\033[K")


def _now_and_then(tell: Callable[[str], None]) -> Callable[[str], None]:
    last = time.monotonic()

    def told(text: str) -> None:
        nonlocal last
        if time.monotonic() >= last + _NOW_AND_THEN_S:
            last = time.monotonic()
            tell(text)

    return told
