"""How far a run can be trusted: what its generator may have done to the numbers, and what it can't have done."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, log, sqrt

from readygate.load.histogram import quantile, total
from readygate.load.outcome import Endpoint, Health, Outcome
from readygate.load.tally import DRAINS_IN, TIMER_S

_FULL = 0.8  # of a core, used or waited for
_SHARE_OF_LIMIT = 0.1  # how much of a latency limit the generator's own lag may be
_BEHIND_S = 0.5  # that half of all visits were late: the schedule slips, and the rate was never held
_LOOSE_S = 1.0  # stands for a limit where none is declared


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
        if each.loop_p99 > max(TIMER_S, _SHARE_OF_LIMIT * tightest):
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


def least(part: Endpoint, share: float, outcome: Outcome) -> float | None:
    """What this share of answers took at least, with all taken off that a lagging generator may have added; seconds.

    What it sent late it sent together, and whoever came with that waited in the target's queue, for as long as it
    was late at most. Where a kernel didn't stamp the answer, it was read late as well, and so was what went before
    it on its way: a handshake, a redirect. A visitor may have waited for a user who was kept busy; that is no part
    of the service time, which alone says something where the core was full. Seconds of longer lags are left out,
    as if all answers in them were slow for that; of all lags to leave out, the best is taken.

    Or it is told from those answers alone that no lag was near, as if chance had picked them, with an error of two
    deviations. Where there are several generators, each may have been disturbed by another one's lag.
    """
    value = quantile(part.response, share)
    if value is None:
        return None
    reached = _reached(outcome, ahead=ceil(value))
    stages = 1 if all(each.is_stamped for each in outcome.health) else 3
    is_full = any(map(_is_full, outcome.health))
    answers = {each.number: total(each.response) for each in outcome.window}
    found = [0.0]
    count = total(part.undisturbed)
    if count and stages == 1 and len(outcome.health) == 1:
        found.append(quantile(part.undisturbed, share - 2 * sqrt(share * (1 - share) / count)) or 0.0)
    for lag in {0.0, *reached.values()}:
        beyond = sum(count for number, count in answers.items() if reached.get(number, 0.0) > lag)
        left = share * (1 - beyond / max(1, sum(answers.values())))
        if left >= share / 2:
            found.append((quantile(part.service, left) or 0.0) - stages * lag)
            if not is_full:
                found.append((quantile(part.response, left) or 0.0) - (stages + 1) * lag)
    return max(found)


def longest_lag(outcome: Outcome) -> float:
    """How late a generator was with anything, at worst; in seconds."""
    return max((each.lag for each in outcome.seconds), default=0.0)


def _reached(outcome: Outcome, ahead: int) -> dict[int, float]:
    """By second, the longest lag that may have slowed an answer in it which takes up to `ahead` seconds."""
    reached: dict[int, float] = {}
    for each in outcome.seconds:
        if each.lag:
            for number in range(each.number - ahead, each.number + 2 + ceil(DRAINS_IN * each.lag)):
                reached[number] = max(reached.get(number, 0.0), each.lag)
    return reached


def _is_late(of: Health, limits: Mapping[str, float]) -> bool:
    return of.late_p99 > max(TIMER_S, _SHARE_OF_LIMIT * max(limits.values(), default=_LOOSE_S))


def _is_full(of: Health) -> bool:
    return of.cpu + of.queued > _FULL


def _why(of: Health) -> str:
    return f"; it waited {of.queued:.0%} of the time for a processor" if of.queued > 0.05 else ""


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms"
