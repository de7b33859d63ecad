"""Being told to end: by Ctrl-C, by whoever started the command, or by a terminal that closes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def ending_alike() -> Iterator[None]:
    """While the block lasts, SIGTERM and SIGHUP end it as Ctrl-C does: by one KeyboardInterrupt.

    Once one has come, further ones are not heard, as `timeout` and CI send several; a second Ctrl-C is. What is
    ignored already, as under nohup, stays so.
    """
    before: dict[signal.Signals, Any] = {}

    def end(number: int, frame: FrameType | None) -> None:
        # Not SIG_IGN, which whatever is started to clean up would inherit.
        for each in before:
            signal.signal(each, signal.default_int_handler if each == signal.SIGINT else _heard_already)
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        for each in _ENDS:
            if signal.getsignal(each) in (signal.SIG_DFL, signal.default_int_handler):
                before[each] = signal.signal(each, end)
    try:
        yield
    finally:
        for each, handler in before.items():
            if signal.getsignal(each) is end:
                signal.signal(each, handler)


def _heard_already(number: int, frame: FrameType | None) -> None:
    pass
