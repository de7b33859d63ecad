"""When the kernel got what is read: so an answer is as old as it is, however late a busy process comes to read it."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterable

_STAMPED = 35  # SO_TIMESTAMPNS (asm-generic/socket.h), which Python doesn't name
_TIMESPEC = struct.Struct("qq")
SPACE = socket.CMSG_SPACE(_TIMESPEC.size)


def stamp(sock: socket.socket) -> None:
    """Have the kernel say it with all that is received. Raises OSError where it knows no such stamps."""
    sock.setsockopt(socket.SOL_SOCKET, _STAMPED, 1)


def since(said: Iterable[tuple[int, int, bytes]]) -> float:
    """Seconds since the kernel got what was read, by what `recvmsg` gave beside it; 0 where it says nothing.

    It stamps by the clock that can be set; so only the moment until now is measured by that one.
    """
    for level, kind, data in said:
        if (level, kind, len(data)) == (socket.SOL_SOCKET, _STAMPED, _TIMESPEC.size):
            whole, nanoseconds = _TIMESPEC.unpack(data)
            return max(0.0, time.time() - float(whole) - float(nanoseconds) / 1e9)
    return 0.0
