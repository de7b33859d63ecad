"""Getting past a site's rate limit: whoever was refused waits for its turn, and asks again."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeVar

from readygate.announcing import announce

TOO_MANY = 429
LIMITED = (TOO_MANY, 503)  # how limits refuse whose status nobody declared; the second is that of nginx
LONGEST_PAUSE_S = 90.0  # a limit that lets in again only after longer is not waited for
_LEAST_PATIENCE_S = 5.0
_MOST_S = 300.0  # so long one waits at a site in all
_SILENT_S = 3.0

Answer = TypeVar("Answer")


@dataclass(slots=True, eq=False)
class Turnstile:
    """Where those wait whom a site's rate limit refused; one at a time asks again, so that each gets its turn.

    `statuses` are what the limit answers, and after `pause_s` it should let in one more. Once it lets
    nobody in, all are told so at once, until somebody gets through again.
    """

    statuses: frozenset[int] = frozenset({TOO_MANY})
    pause_s: float = 0.3
    site: str = "the site"
    _turn: Lock = field(default_factory=Lock)
    _waited_s: float = 0.0
    _is_stuck: bool = False

    def past(
        self, ask: Callable[[], Answer], status_of: Callable[[Answer], int | None], statuses: Collection[int]
    ) -> Answer:
        """What is answered by something else than the limit, or the limit's answer where that is all there is."""
        answer = ask()
        if status_of(answer) not in statuses:
            self._is_stuck = False
            return answer
        with self._turn:
            deadline = time.monotonic() + max(_LEAST_PATIENCE_S, 2 * self.pause_s)
            # A moment more, for clocks that count whole seconds.
            pause_s = self.pause_s + (1.2 if self.pause_s >= 2 else 0)
            while not self._is_stuck and status_of(answer) in statuses:
                if pause_s > LONGEST_PAUSE_S or self._waited_s > _MOST_S or time.monotonic() > deadline:
                    self._is_stuck = True
                    break
                if pause_s > _SILENT_S:
                    announce(f"rate limit: {self.site} is asked again in {pause_s:.0f}s")
                time.sleep(pause_s)
                self._waited_s += pause_s
                answer = ask()
        return answer
