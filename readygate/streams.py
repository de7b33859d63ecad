"""The standard streams of a command: always there, of any encoding, and never what ends a run."""

from __future__ import annotations

import io
import os
import select
import sys
from typing import TextIO


class Outlet(io.FileIO):
    """Stdout or stderr as bytes. What can't be written any more is dropped, so that a run is not lost with it.

    `lost` is why, such as the EPIPE of `readygate run | head`; None as long as all is well.
    """

    lost: OSError | None = None

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)

    def write(self, data: object) -> int:
        try:
            # None is what a full pipe says that somebody else who holds it has set to not block.
            while (written := super().write(data)) is None:  # type: ignore[arg-type]
                select.select([], [self], [])
        except OSError as error:
            self.lost = error
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            return memoryview(data).nbytes  # type: ignore[arg-type]
        return written


def steady() -> None:
    """See to it that the standard streams can be used, whatever they are connected to.

    A descriptor that is closed would be given to the next file, and be taken from that by whatever redirects
    the standard streams. Streams that somebody has replaced already are left alone.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest that is free: this one
    if sys.stdin is None:
        sys.stdin = open(0)  # noqa: SIM115 - for as long as the process
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(1, sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(2, sys.stderr)


def lost() -> OSError | None:
    """Why what was printed has not reached stdout; None where it has."""
    sys.stdout.flush()
    outlet = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return outlet.lost if isinstance(outlet, Outlet) else None


def _text(descriptor: int, instead_of: TextIO | None) -> TextIO:
    outlet = Outlet(descriptor)
    return io.TextIOWrapper(
        io.BufferedWriter(outlet),
        encoding=instead_of.encoding if instead_of else "utf-8",
        errors="backslashreplace",  # a name that the terminal can't show is no reason to stop
        line_buffering=outlet.isatty() or descriptor == 2,
    )
