"""A process that waits for a run, so that nothing but the run's own end can be a GO.

Whatever a suite brings along may end the process that it runs in: `os._exit(0)` in a test, `sys.exit(0)` in a
conftest.py, an exec. What that process exits with says nothing then; so the run tells its exit code by a pipe.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import sleep
from types import FrameType
from typing import Any

from readygate.errors import CouldNotLook, ExitCode

_PR_SET_PDEATHSIG = 1  # prctl(2)
_OF_A_TERMINAL = 0.5  # seconds in which the run has heard of a Ctrl-C by itself


class EndedEarly(CouldNotLook):
    """The process that looked was gone before it had come to its end."""

    def __init__(self) -> None:
        super().__init__(
            "INCOMPLETE: the run was ended from within before its end, as by `os._exit` in a suite or `sys.exit` "
            "in a conftest.py; take that out"
        )


def witnessed(work: Callable[[], int]) -> int:
    """The exit code that `work` returns in a process of its own. Raises EndedEarly where it never returned.

    It returns in both processes. Signals are passed on, and a witness that is killed takes the run with it.
    """
    telling, told = _pipe()
    witness = os.getpid()
    run = os.fork()
    if not run:
        run = os.getpid()
        _die_with(witness)
        code = work()
        if os.getpid() == run:  # and not one that a test has forked and forgotten
            os.write(telling, b"%d" % code)
        return code
    with _passed_on(run):
        status = os.waitstatus_to_exitcode(os.waitpid(run, 0)[1])
    with suppress(BlockingIOError):
        return int(os.read(told, 16)) or status
    if status < 0:
        return 128 - status  # as shells have it
    raise EndedEarly


def _pipe() -> tuple[int, int]:
    """The end to write to and the one to read from, which never waits: a process left behind may hold the other."""
    told, telling = os.pipe()
    os.set_blocking(told, False)
    return telling, told


def _die_with(witness: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != witness:
            os._exit(ExitCode.INTERRUPTED)


@contextmanager
def _passed_on(run: int) -> Iterator[None]:
    """What ends this process is told to the run, and its end is waited for."""

    def tell(number: int, frame: FrameType | None) -> None:
        # A terminal's Ctrl-C reaches the run as well, which takes a second one as leave to cut its cleaning up short.
        # Of two at once the kernel may tell another thread of the run, and the one that sleeps would sleep on.
        if number == signal.SIGINT:
            sleep(_OF_A_TERMINAL)
            number = signal.SIGTERM
        with suppress(ProcessLookupError):
            os.kill(run, number)

    before: dict[signal.Signals, Any] = {}
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) is not signal.SIG_IGN:
            before[each] = signal.signal(each, tell)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
