"""How far a run can be trusted: what its generator may have done to the numbers, and what it can't have done."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, log

from readygate.load.histogram import Histogram, quantile
from readygate.load.outcome import Health, Outcome

_FULL = 0.8  # of a core, used or waited for
_SHARE_OF_LIMIT = 0.1  # how much of a latency limit the generator's own lag may be
_TIMER_S = 0.002  # what an idle loop's timers are late anyway, which no answer is slower for
_BEHIND_S = 0.5  # that half of all visits were late: the schedule slips, and the rate was never held
_LOOSE_S = 1.0  # stands for a limit where none is declared
_LAGGING = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.02, 0.03, 0.05, 0.1)  # shares of the time, to be left out


def fewest_for(share: float) -> int:
    """How many answers it takes to say with 95% confidence that this share of all is in time, where all of them are.

    The rule of three, exactly: so many in a row would be in time by chance once in twenty times if it weren't so.
    The slowest of all, whose share is 1, is what it is.
    """
    return ceil(log(0.05) / log(share)) if share < 1 else 1


def saturation(outcome: Outcome, limits: Mapping[str, float]) -> str:
    """Why the generator was too busy for a failure to be the target's; "" where it wasn't.

    `limits` are those of answer times, in seconds, by percentile: a lag of a tenth of a limit is too much of it.
    """
    tightest, loosest = min(limits.values(), default=_LOOSE_S), max(limits.values(), default=_LOOSE_S)
    for each in outcome.health:
        if each.loop_p99 > max(_TIMER_S, _SHARE_OF_LIMIT * tightest):
            return f"its event loop lagged {_ms(each.loop_p99)} where answers may take {_ms(tightest)}{_why(each)}"
        if _is_late(each, limits):
            return f"its timers were {_ms(each.late_p99)} late where answers may take {_ms(loosest)}{_why(each)}"
        if _is_full(each):
            return f"it used {each.cpu:.0%} of a core{_why(each)}"
    return ""


def slipped(outcome: Outcome) -> str:
    """Why less was sent than the plan says, so that not even a pass says anything; "" where all of it was."""
    for each in outcome.health:
        late = quantile(each.late, 0.5) or 0.0
        if late > _BEHIND_S:
            return f"half of all visits began more than {_ms(late)} after they were due{_why(each)}"
    return ""


def least(response: Histogram, share: float, outcome: Outcome, limits: Mapping[str, float]) -> float | None:
    """What this share of answers took at least, with the generator's own lag taken off them; in seconds.

    The loop's worst moments are left out: of what they did to an answer nothing is known. In all others an answer is
    slower than the truth by the lag that is left, at most. Of all shares of moments to leave out, the best is taken.
    Visits that came late came together, and may have queued for as long as they were late. A generator whose core
    was full keeps users busy whom visitors wait for: nothing is sure then.
    """
    if any(map(_is_full, outcome.health)):
        return 0.0
    lags = [(each.loop, each.late if _is_late(each, limits) else {}) for each in outcome.health]
    sources = 2 if any(late for _, late in lags) else 1
    found = []
    for lagging in _LAGGING:
        slow = quantile(response, share * (1 - sources * lagging))
        lag = max((sum(quantile(each, 1 - lagging) or 0.0 for each in both) for both in lags), default=0.0)
        if slow is not None:
            found.append(max(0.0, slow - lag))
    return max(found, default=None)


def _is_late(of: Health, limits: Mapping[str, float]) -> bool:
    return of.late_p99 > max(_TIMER_S, _SHARE_OF_LIMIT * max(limits.values(), default=_LOOSE_S))


def _is_full(of: Health) -> bool:
    return of.cpu + of.queued > _FULL


def _why(of: Health) -> str:
    return f"; it waited {of.queued:.0%} of the time for a processor" if of.queued > 0.05 else ""


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms"
