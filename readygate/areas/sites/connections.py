"""Connections that end in time, and that take no part of an answer for the whole."""

from __future__ import annotations

import http.client
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Timer
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection

_SWITCHING_PROTOCOLS = 101


@contextmanager
def ending_in(seconds: float, connection: socket.socket) -> Iterator[None]:
    """Cut the connection after so long, however steadily bytes trickle in. Raises TimeoutError where it was cut."""
    is_late = Event()
    line = socket.socket(fileno=os.dup(connection.fileno()))  # TLS takes the place of the original

    def cut() -> None:
        is_late.set()
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)

    watchdog = Timer(seconds, cut)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()
        line.close()
        if is_late.is_set():
            raise TimeoutError("timed out")


class _Lines:
    """What a head is read from, and the last line that was."""

    def __init__(self, source: Any) -> None:
        self.source = source
        self.last = b""

    def readline(self, limit: int = -1) -> bytes:
        self.last = self.source.readline(limit)
        return self.last

    def __getattr__(self, name: str) -> Any:
        return getattr(self.source, name)


class FinalResponse(http.client.HTTPResponse):
    """The final answer, after those such as 103 Early Hints (RFC 9110, 15.2), and with a head that has its end."""

    def begin(self) -> None:
        source: Any = self.fp
        lines: Any = _Lines(source)
        self.fp = lines
        super().begin()
        if self.fp is lines:
            self.fp = source
        if lines.last not in (b"\r\n", b"\n"):
            raise http.client.HTTPException("the head of the answer breaks off")

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc]
        while 100 <= status < 200 and status != _SWITCHING_PROTOCOLS:
            http.client.parse_headers(self.fp)
            version, status, reason = super()._read_status()  # type: ignore[misc]
        return version, status, reason


class Bounded(HTTPConnection):
    """Cut at its timeout as a whole: urllib3 begins to count anew with each byte of a head that only trickles."""

    response_class = FinalResponse
    _watchdog: Timer | None = None

    def connect(self) -> None:
        super().connect()
        self._watchdog = Timer(self.timeout or 0, self._cut)
        self._watchdog.daemon = True
        self._watchdog.start()

    def _cut(self) -> None:
        with suppress(OSError):
            # Not the method of a TLS socket, which would let go of what another thread is reading from.
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def close(self) -> None:
        if self._watchdog:
            self._watchdog.cancel()
        super().close()


class BoundedTls(Bounded, HTTPSConnection):
    """The same over TLS."""
