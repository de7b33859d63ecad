"""Running checks ahead: all they ask leaves in one burst, and the real run finds the answers in memory."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence

from readygate.fleet.backend import EVIDENCE, begin_check
from readygate.fleet.hub import HUB, Hub, Runner

AT_ONCE = 2000  # bodies begun and not ended: each holds its frames in memory while it waits


def run_ahead(bodies: Sequence[Callable[[], object]], *, hub: Hub = HUB) -> None:
    """Run each body only for what it asks; returns when all have ended.

    Where one waits for an answer the next goes on. How a body ends says nothing, because its real run will
    tell. Only bodies that just look may be run ahead: they run twice, and whatever else they wait for keeps
    all others waiting. `hub` is the one that their hosts are on.
    """
    running: list[Runner] = []
    waiting = iter(bodies)
    while True:
        for body in waiting:
            runner = Runner(_rehearse)
            runner.gr_context = contextvars.copy_context()
            runner.switch(body)
            if not runner.dead:
                running.append(runner)
            if len(running) >= AT_ONCE:
                break
        if not running:
            return
        hub.turn()
        running = [runner for runner in running if not runner.dead]


def _rehearse(body: Callable[[], object]) -> None:
    begin_check()
    EVIDENCE.set(None)
    try:
        body()
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001, S110 - pytest's skip and fail are no Exceptions either
        pass
