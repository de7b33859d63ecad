"""One visitor's connection to the target, in the generator's process: kept alive, and never retried in silence."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import gevent
from gevent import socket, ssl
from geventhttpclient.response import HTTPResponse

_CHUNK = 65536


class Dropped(Exception):
    """The target closed the connection instead of answering."""


class Connection:
    """Speaks HTTP/1.1 to one origin.

    A client that asks again when a connection breaks hides exactly what a load test looks for. Only a connection
    that was closed while it lay idle is replaced, before anything is sent on it.
    """

    def __init__(self, target: str, timeout: float, ca: str = "") -> None:
        parts = urlsplit(target)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._prefix = parts.path.rstrip("/")
        self._timeout = timeout
        self._tls = ssl.create_default_context(cafile=ca or None) if parts.scheme == "https" else None
        self._head = f"Host: {parts.netloc.rpartition('@')[2]}\r\nUser-Agent: readygate\r\nAccept: */*\r\n"
        self._socket: socket.socket | None = None

    def encode(self, method: str, path: str, headers: tuple[tuple[str, str], ...], body: str) -> bytes:
        """The bytes of a request, so that one that never changes is built once."""
        text = body.encode()
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        length = f"Content-Length: {len(text)}\r\n" if text or method in ("POST", "PUT", "PATCH") else ""
        return f"{method} {self._prefix}{path} HTTP/1.1\r\n{self._head}{lines}{length}\r\n".encode() + text

    def ask(self, method: str, request: bytes) -> tuple[int, bytearray]:
        """The status and the body. Raises OSError, gevent.Timeout, HTTPParseError or Dropped."""
        kept = False
        with gevent.Timeout(self._timeout):
            try:
                sock = self._ready()
                sock.sendall(request)
                answer = HTTPResponse(method)
                while not (answer.message_complete and answer.get_code() >= 200):
                    data = sock.recv(_CHUNK)
                    if not data and not answer.headers_complete:
                        raise Dropped
                    answer.feed(data)
                    if not data and not answer.message_complete:
                        raise Dropped
                kept = not answer.should_close()
                return answer.get_code(), answer._body_buffer
            finally:
                if not kept:
                    self.close()

    def _ready(self) -> socket.socket:
        if self._socket is not None and self._was_closed_meanwhile(self._socket):
            self.close()
        if self._socket is None:
            plain = socket.create_connection((self._host, self._port))
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket = self._tls.wrap_socket(plain, server_hostname=self._host) if self._tls else plain
        return self._socket

    def _was_closed_meanwhile(self, sock: Any) -> bool:
        try:
            # Under TLS something may always be waiting, such as a session ticket; nothing at all is the end.
            waiting = sock._sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return not (waiting and self._tls)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
