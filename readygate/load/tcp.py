"""What the kernel knows of a connection, by its struct tcp_info (linux/tcp.h)."""

from __future__ import annotations

import socket
import struct
from typing import Any

_ESTABLISHED = b"\x01"
_LAST_ACK_RECV = 56  # milliseconds since the other side last acknowledged anything
_BYTES_ACKED = 120
_BYTES_SENT = 200  # and after it those of them that were sent again
_JIFFY_MS = 10  # the coarsest clock that a kernel counts these milliseconds by


def is_open(sock: Any) -> bool:
    """Whether both sides may still send."""
    return bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == _ESTABLISHED)


def open_for(sock: Any) -> float:
    """Seconds at least for which a connection has been there that nothing was sent on."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_ACK_RECV + 4)
    (waited,) = struct.unpack_from("I", info, _LAST_ACK_RECV) if len(info) == _LAST_ACK_RECV + 4 else (0,)
    return max(0, int(waited) - _JIFFY_MS) / 1000


def has_taken(sock: Any, last: int) -> bool:
    """Whether the other side's kernel took any of so many bytes that were sent last; also where ours can't say."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_SENT + 16)
    if len(info) < _BYTES_SENT + 16:
        return True  # before Linux 4.19
    (acked,), (sent, again) = struct.unpack_from("Q", info, _BYTES_ACKED), struct.unpack_from("QQ", info, _BYTES_SENT)
    # The opening of the connection counts as a byte that is acknowledged, and not as one that is sent.
    return int(acked) - 1 > int(sent) - int(again) - last
