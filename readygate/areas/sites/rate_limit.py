"""A rate limit, proven by running into it: who is let through, what the rest is told, and when it is over."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Event
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from readygate.announcing import announce
from readygate.areas.sites.fetch import Request, Response, fetch, one_line
from readygate.areas.sites.origin import Origin
from readygate.areas.sites.turnstile import LONGEST_PAUSE_S, TOO_MANY
from readygate.errors import CouldNotLook, Mistake
from readygate.expectation import AtLeastCount, AtMostRate, Flag, Seconds, Status
from readygate.results import Evidence
from readygate.spec import Spec
from readygate.units import parse_rate, show_duration

_RATE = re.compile(r"(?:<=?\s*)?(\d+)\s*/\s*([a-z]+)")
_MOST_REQUESTS = 2000
_BEYOND = 5  # requests beyond what may pass, and a tenth of that besides


class RateLimit(Spec):
    """A limit on how often one client may ask. Looking sends real requests, one after the other."""

    area: ClassVar[str] = "rate_limit"
    noun: ClassVar[str] = "rate_limit"

    path: str = Field(description="A setting: what to ask, below the site's url.", pattern=r"^/\S*$")
    rate: AtMostRate = Field(description="How much may pass in the long run, at most: 60/min, 5/h.")
    burst: AtLeastCount | None = Field(
        None,
        description="How many requests beyond the first pass at once, at least; as `burst` of nginx with nodelay.",
    )
    answers: Status | None = Field(None, description="The status that whoever is beyond the limit gets, such as 429.")
    retry_after: Flag | None = Field(None, description="Whether a refusal says in Retry-After when to come again.")
    recovers: Flag | None = Field(None, description="Whether somebody who waited is let in again.")

    method: Literal["GET", "HEAD", "POST"] = Field("GET", description="A setting: how it is asked.")
    request_headers: Annotated[dict[str, str], AfterValidator(one_line)] = Field(
        default_factory=dict, repr=False, description="A setting: headers to send."
    )
    send_json: Any = Field(None, repr=False, description="A setting: what to send as JSON, e.g. a wrong login.")
    at_most: int | None = Field(
        None, ge=2, le=_MOST_REQUESTS, description="A setting: how many requests may be sent in all."
    )
    within: Seconds = Field(30.0, description="A setting: for how long they may be sent.")
    at_a_time: int = Field(
        1, ge=1, le=100, description="A setting: how many are under way at once, for a limit that delays."
    )

    @property
    def amount(self) -> int:
        """How many may pass in `window_s`."""
        return int(self._written[1])

    @property
    def window_s(self) -> float:
        return 1 / parse_rate(f"1/{self._written[2]}")

    @property
    def at_once(self) -> int:
        """How many may pass without a pause: the first and the burst, or all that a window allows."""
        bound = re.search(r"\d+", self.burst.text) if self.burst else None
        return 1 + int(bound[0]) if bound else self.amount

    @property
    def requests(self) -> int:
        """How many are sent, at most."""
        return self.at_most or self.at_once + _BEYOND + self.at_once // 10

    @property
    def pause_s(self) -> float:
        """After how long at least one request has to pass again."""
        return self.window_s / self.amount if self.burst else self.window_s

    @property
    def refills_in_s(self) -> float:
        """After how long without a request it lets in again all that it lets in at once."""
        return self.window_s * self.at_once / self.amount

    @property
    def _written(self) -> re.Match[str]:
        found = _RATE.fullmatch(self.rate.text.strip())
        if not found or found[1] == "0":
            raise Mistake(f"'{self.rate.text}' is not a limit that can be run into", "write e.g. rate: 60/min")
        return found

    @model_validator(mode="after")
    def _can_be_run_into(self) -> Self:
        if not self._written:
            return self
        needed = self.at_once + 1
        if self.requests < needed:
            raise Mistake(f"{self.requests} requests can't reach this limit", f"write at_most: {needed} or more")
        if self.requests > _MOST_REQUESTS:
            raise Mistake(
                f"it takes {self.requests} requests to run into this limit, more than {_MOST_REQUESTS}",
                "declare a path with a lower limit",
            )
        if self.recovers is not None and self.pause_s > LONGEST_PAUSE_S:
            raise Mistake(
                f"whether it recovers is known only after {show_duration(self.pause_s)}",
                f"leave `recovers` out where that takes longer than {show_duration(LONGEST_PAUSE_S)}",
            )
        return self


@dataclass(frozen=True, slots=True)
class Burst:
    """What became of requests one after the other; `passed` of them before `refusal`, if there was one.

    `unseen` is why there was none where each but the first was held back: then only the burst is known.
    """

    limit: RateLimit
    passed: int
    elapsed_s: float
    refusal: Response | None
    evidence: tuple[Evidence, ...] = ()
    passes_with: int = 200
    unseen: CouldNotLook | None = None
    may_be_used_up: bool = False

    @property
    def rate(self) -> float:
        """What was let through a second, beyond what may pass at once. CouldNotLook: it was held back."""
        self._refuse_unseen()
        if self.limit.burst:
            return max(0, self.passed - self.limit.at_once) / max(self.elapsed_s, 0.001)
        return self.passed / max(self.elapsed_s, self.limit.window_s)

    @property
    def beyond_the_first(self) -> int:
        """How many passed at once. CouldNotLook: too few, and there is no time to wait until as many may pass."""
        if self.may_be_used_up:
            raise CouldNotLook(
                f"{self.told}: the limit may have been used up before, by other checks of the site or an earlier run",
                mend=f"look at it alone after {show_duration(self.limit.refills_in_s)}, or allow more with `at_most`",
            )
        return 0 if self.unseen else self.passed - 1

    @property
    def seen(self) -> Response | None:
        """The refusal, if there was one. CouldNotLook: there may be one for whoever doesn't wait."""
        self._refuse_unseen()
        return self.refusal

    @property
    def is_short(self) -> bool:
        """Whether less passed at once than is declared."""
        return self.limit.burst is not None and self.refusal is not None and self.passed < self.limit.at_once

    @property
    def refused_with(self) -> int | None:
        return self.seen.status if self.seen else None

    @property
    def says_when(self) -> bool | None:
        """Whether the refusal has a Retry-After that can be understood (RFC 9110, section 10.2.3)."""
        return _retry_after(self.seen) is not None if self.seen else None

    @property
    def told(self) -> str:
        return self.evidence[0].answered

    def _refuse_unseen(self) -> None:
        if self.unseen:
            raise self.unseen


def observe_burst(origin: Origin, rate_limit: RateLimit) -> Burst:
    """Ask as fast as one client can, until it is refused or has asked as often as it may.

    Where it is refused early, the other checks of the site may have used the limit up: so once more when it is over.
    CouldNotLook: it is refused from the first, fails for another reason, or is too slow to reach the limit.
    """
    burst = _run_into(origin, rate_limit, rate_limit.requests)
    if isinstance(burst, Burst) and not burst.is_short:
        return burst
    sent = burst.passed + 1 if isinstance(burst, Burst) else 1
    left = rate_limit.at_most - sent if rate_limit.at_most else rate_limit.requests
    if rate_limit.refills_in_s <= LONGEST_PAUSE_S and left > rate_limit.at_once:
        _wait(rate_limit.refills_in_s)
        burst = _run_into(origin, rate_limit, left, is_last=True)
    elif isinstance(burst, Burst):
        return replace(burst, may_be_used_up=True)
    if isinstance(burst, Burst):
        return burst
    raise CouldNotLook(
        f"the very first {rate_limit.method} {origin.url(rate_limit.path)} is answered {burst.status}: "
        "the limit of an earlier run may not be over, or others use it up",
        cause=f"burst:{origin.site}:{rate_limit.path}",
        mend=f"try again after {show_duration(rate_limit.refills_in_s)}, or see that the limit tells clients apart",
    )


def _run_into(origin: Origin, rate_limit: RateLimit, requests: int, *, is_last: bool = False) -> Burst | Response:
    """What became of so many requests at most, or the very first answer where that was refused, or held back."""
    request = _request(rate_limit)
    often = f"up to {requests} times in {show_duration(rate_limit.within)}"
    asked = f"{rate_limit.method} {origin.url(rate_limit.path)} {often}"
    announce(f"burst: {asked}")
    begun = time.monotonic()
    first = fetch(origin, rate_limit.path, request)
    if _is_limited(first, rate_limit):
        return first
    if first.status >= 500:
        raise CouldNotLook(
            f"the very first {rate_limit.method} {origin.url(rate_limit.path)} is answered {first.status}: "
            "before there is any limit to see",
            cause=f"burst:{origin.site}:{rate_limit.path}",
            mend="mend the path itself",
        )
    is_refused = Event()

    def ask(_: int) -> Response | None:
        if is_refused.is_set() or time.monotonic() - begun >= rate_limit.within:
            return None
        answer = fetch(origin, rate_limit.path, request)
        if _is_refusal(answer, first):
            is_refused.set()
        return answer

    with ThreadPoolExecutor(rate_limit.at_a_time) as pool:
        answers = [answer for answer in pool.map(ask, range(requests - 1)) if answer]
    refusal = next((answer for answer in answers if _is_refusal(answer, first)), None)
    passed = 1 + sum(not _is_refusal(answer, first) for answer in answers)
    elapsed_s = time.monotonic() - begun
    ending = f"then {refusal.status}" if refusal else "and none was refused"
    told = f"{passed} passed with {first.status} in {elapsed_s:.1f}s, {ending}"
    burst = Burst(rate_limit, passed, elapsed_s, refusal, (Evidence(asked, told),), first.status)
    if refusal and rate_limit.answers is None and refusal.status >= 500 and refusal.status != 503:
        raise CouldNotLook(
            f"{told}, which is what a service answers that fails, too",
            cause=f"burst:{origin.site}:{rate_limit.path}",
            mend="declare what a refusal `answers`, such as 429, and see in the log why it isn't that",
        )
    if refusal is None and burst.rate in rate_limit.rate:
        unseen = CouldNotLook(
            f"{told}, which is too few to run into {rate_limit.rate}",
            cause=f"slow:{origin.site}:{rate_limit.path}",
            mend="look from nearer to the site, allow more with `at_most` and `within`, or let more be under way "
            "`at_a_time`, as where nginx delays (burst without nodelay)",
        )
        if not _holds_back(rate_limit, first, answers):
            if rate_limit.burst is None or is_last or first.elapsed_s < rate_limit.pause_s / 2:
                raise unseen
            return first
        held_back = Evidence(asked, f"{told}, each but the first held back")
        return replace(burst, evidence=(held_back,), unseen=unseen)
    return burst


def _holds_back(limit: RateLimit, first: Response, answers: list[Response]) -> bool:
    """Whether who comes after the first is answered only when it is their turn, as by nginx without `nodelay`."""
    if limit.burst is None or limit.at_a_time > 1 or not answers:
        return False
    usual_s = statistics.median(answer.elapsed_s for answer in answers)
    return first.elapsed_s < limit.pause_s / 2 and usual_s > limit.pause_s * 3 / 4


def observe_recovery(origin: Origin, rate_limit: RateLimit, burst: Burst) -> bool | None:
    """Whether a request passes after the pause that the refusal asked for, or else that the rate means.

    Asked a second time after a whole window, as some limits count the refused requests, too. CouldNotLook: the
    service fails by then.
    """
    refusal = burst.seen
    if refusal is None:
        return None
    asked_for = _retry_after(refusal)
    first_s = min(asked_for, rate_limit.pause_s) if asked_for else rate_limit.pause_s
    request = _request(rate_limit)
    for pause_s in (first_s, min(rate_limit.window_s, LONGEST_PAUSE_S)):
        _wait(pause_s)
        status = fetch(origin, rate_limit.path, request).status
        if status == burst.passes_with:
            return True
        if status >= 500 and status != refusal.status:
            raise CouldNotLook(
                f"after the pause {origin.url(rate_limit.path)} answers {status}, not {burst.passes_with}",
                cause=f"burst:{origin.site}:{rate_limit.path}",
                mend="see in its log what fails after a burst",
            )
    return False


def _request(limit: RateLimit) -> Request:
    return Request.declared(limit.method, limit.request_headers, limit.send_json)


def _is_limited(first: Response, limit: RateLimit) -> bool:
    refused = first.status == 503 if limit.answers is None else bool(limit.answers.judge(first.status))
    return refused or first.status == TOO_MANY


def _wait(seconds: float) -> None:
    # A moment more, for clocks that count whole seconds.
    time.sleep(seconds + 0.2 + (1 if seconds >= 2 else 0))


def _is_refusal(answer: Response, first: Response) -> bool:
    return answer.status != first.status and answer.status >= 400


def _retry_after(refusal: Response) -> float | None:
    """Seconds until one may come again; None where that isn't said."""
    value = (refusal.header("Retry-After") or "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (moment - datetime.now(UTC)).total_seconds()) if moment.tzinfo else None


FACTS: Mapping[str, Callable[..., Any]] = {"burst": observe_burst, "recovery": observe_recovery}
