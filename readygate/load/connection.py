"""One visitor's connection to the target, in the generator's process: kept alive, and never retried in silence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import gevent
from gevent import socket, ssl
from geventhttpclient._parser import HTTPParseError, HTTPResponseParser

_CHUNK = 65536


Address = tuple[int, Any]


def resolve(target: str) -> list[Address]:
    """Where the target is, asked once: a slow resolver of ours is no slow target. Raises OSError."""
    parts = urlsplit(target)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


class Dropped(Exception):
    """The target closed the connection instead of answering."""


class CutOff(Dropped):
    """It closed the connection in the middle of an answer."""


class Answer(HTTPResponseParser):
    """One answer as it arrives; headers are only read for where the body ends, as no journey looks at them."""

    def __init__(self, *, is_of_head: bool) -> None:
        super().__init__()
        self._is_of_head = is_of_head
        self.has_begun = self.is_whole = False
        self.body = bytearray()

    def _on_message_begin(self) -> None:
        self.has_begun, self.is_whole = True, False  # again where one of status 1xx went before

    def _on_headers_complete(self) -> bool:
        return self._is_of_head  # then no body follows, whatever its headers say

    def _on_body(self, part: bytearray) -> None:
        self.body += part

    def _on_message_complete(self) -> None:
        self.is_whole = self.get_code() >= 200

    def _on_header(self, text: str) -> None: ...

    _on_status = _on_header_field = _on_header_value = _on_header


class Connection:
    """Speaks HTTP/1.1 to one origin.

    A client that asks again when a connection breaks hides exactly what a load test looks for. Only a connection
    that was closed while it lay idle is replaced, before anything is sent on it.
    """

    def __init__(self, target: str, addresses: Sequence[Address], timeout: float, ca: str = "") -> None:
        parts = urlsplit(target)
        self._host = parts.hostname or ""
        self._addresses = addresses
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

    def ask(self, method: str, request: bytes) -> Answer:
        """The whole answer. Raises OSError, gevent.Timeout, HTTPParseError or Dropped."""
        answer = Answer(is_of_head=method == "HEAD")
        kept = False
        with gevent.Timeout(self._timeout):
            try:
                sock = self._ready()
                self._send(sock, request)
                while not answer.is_whole:
                    data = sock.recv(_CHUNK)
                    if not data:
                        _end(answer)
                        break
                    answer.feed(data)
                else:
                    kept = answer.should_keep_alive()
                return answer
            finally:
                if not kept:
                    self.close()

    def _send(self, sock: Any, request: bytes) -> None:
        if self._tls:
            sock.sendall(request)
            return
        # Straight to the kernel, which nearly always takes it all: such calls are half of a request's cost.
        try:
            sent = sock._sock.send(request)
        except BlockingIOError:
            sent = 0
        if sent < len(request):
            sock.sendall(request[sent:])
        sock._wait(sock._read_event)  # an answer is never there already, and looking for it costs as much as sending

    def _ready(self) -> socket.socket:
        if self._socket is not None and self._was_closed_meanwhile(self._socket):
            self.close()
        if self._socket is None:
            plain = self._connected()
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket = self._tls.wrap_socket(plain, server_hostname=self._host) if self._tls else plain
        return self._socket

    def _connected(self) -> socket.socket:
        """As browsers do, on to the next address where one refuses."""
        for left, (family, address) in zip(range(len(self._addresses))[::-1], self._addresses, strict=True):
            plain = socket.socket(family, socket.SOCK_STREAM)
            try:
                plain.connect(address)
                return plain
            except BaseException as error:
                plain.close()
                if not (left and isinstance(error, OSError)):
                    raise
        raise OSError("the target's name has no address")

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


def _end(answer: Answer) -> None:
    """The connection was closed: that may be how an answer without a length ends."""
    if not answer.has_begun:
        raise Dropped
    try:
        answer.feed(b"")
    except HTTPParseError:
        raise CutOff from None
    if not answer.is_whole:
        raise CutOff
