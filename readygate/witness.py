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
from math import inf
from select import select
from time import monotonic, sleep
from types import FrameType
from typing import Any

from readygate.errors import CouldNotLook, ExitCode

_PR_SET_PDEATHSIG = 1  # prctl(2)
_LINGERS = 15.0  # seconds that a run may take to go after its answer
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
    # This process keeps both ends, as one that was left behind may: that the pipe is open says nothing.
    told, telling = os.pipe()
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
        said, status = _last_words(run, told)
    if said:
        return int(said) or max(status, 0)
    if status < 0:
        return 128 - status  # as shells have it
    raise EndedEarly


def _last_words(run: int, told: int) -> tuple[bytes, int]:
    """What the run told, and what its process ended with; one that lingers after its answer is ended."""
    said, patience = b"", 0.1
    lingers_until = inf
    while True:
        ended, status = os.waitpid(run, os.WNOHANG)
        if select([told], [], [], 0 if ended else patience)[0]:
            said, patience = os.read(told, 16), 0.01
            lingers_until = monotonic() + _LINGERS
        if ended:
            return said, os.waitstatus_to_exitcode(status)
        if monotonic() > lingers_until:  # as for a thread that a suite has begun, and nobody ends
            os.kill(run, signal.SIGKILL)


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
