"""Running checks ahead: all they ask leaves in one burst, and the real run finds the answers in memory."""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from greenlet import getcurrent, greenlet

from readygate.fleet.backend import EVIDENCE, begin_check
from readygate.fleet.hub import HUB, Hub, Runner

AT_ONCE = 2000  # bodies begun and not ended: each holds its frames in memory while it waits

Body: TypeAlias = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Leader:
    """A body whose `followers` begin when it has ended, so that each needn't find out what it has found out."""

    body: Body
    followers: Sequence[Body]

    def __call__(self) -> None:
        self.body()


def run_ahead(bodies: Sequence[Body], *, hub: Hub = HUB) -> None:
    """Run each body only for what it asks; returns when all have ended.

    Where one waits for an answer the next goes on. How a body ends says nothing, because its real run will
    tell. Only bodies that just look may be run ahead: they run twice, and whatever else they wait for keeps
    all others waiting. `hub` is the one that their hosts are on.
    """
    waiting = deque(bodies)
    running: set[greenlet] = set()

    def run(body: Body) -> None:
        running.add(getcurrent())
        try:
            _rehearse(body)
        finally:
            running.discard(getcurrent())
            if isinstance(body, Leader):
                waiting.extend(body.followers)

    while True:
        while waiting and len(running) < AT_ONCE:
            runner = Runner(run)
            runner.gr_context = contextvars.copy_context()
            runner.switch(waiting.popleft())
        if not running:
            return
        hub.turn()


def _rehearse(body: Body) -> None:
    begin_check()
    EVIDENCE.set(None)
    try:
        body()
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001, S110 - pytest's skip and fail are no Exceptions either
        pass
