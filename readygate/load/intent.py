"""Says beforehand what a run will do, and how it goes, to whoever sits at the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from readygate.load.plan import Plan
from readygate.units import show_duration, show_rate

# The variable under which no load is sent yet, and the cause of what is not known for that.
HELD_BACK = "READYGATE_HOLD_LOAD_BACK"


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
def terminal() -> Iterator[Callable[[str], None]]:
    """Writes how it goes past pytest's capture, each line over the last one; nothing where there is no terminal."""
    try:
        tty = Path("/dev/tty").open("w")  # noqa: SIM115 - closed below
    except OSError:
        yield lambda text: None
        return
    with tty:

        def over(text: str) -> None:
            tty.write(f"\r\033[K{text}")
            tty.flush()

        yield over
        tty.write("\r\033[K")
