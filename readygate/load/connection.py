"""One visitor's connection to the target, in the generator's process: kept alive, and never retried in silence."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlsplit

import gevent
from gevent import getcurrent, socket
from geventhttpclient._parser import HTTPParseError, HTTPResponseParser

from readygate.load import stamps, tcp
from readygate.load.channel import Channel, trusting

_CHUNK = 65536
_IN_URLS = "!#$%&'()*+,/:;=?@[]"  # what may stand in them as it is (RFC 3986); % for what is encoded already
_READ = 1  # libev's EV_READ

Address = tuple[int, Any]


def resolve(target: str) -> list[Address]:
    """Where the target is, asked once: a slow resolver of ours is no slow target. Raises OSError."""
    parts = urlsplit(target)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


_NOTHING: dict[str, None] = {}


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
        if self.is_whole:
            raise HTTPParseError("two answers to one request")
        self.has_begun = True  # again where one of status 1xx went before

    def _on_headers_complete(self) -> bool:
        return self._is_of_head  # then no body follows, whatever its headers say

    def _on_body(self, part: bytearray) -> None:
        self.body += part

    def _on_message_complete(self) -> None:
        self.is_whole = self.get_code() >= 200

    # Said of each header; whatever answers None, and is written in C, costs a quarter of what a method does.
    _on_status = _on_header_field = _on_header_value = staticmethod(_NOTHING.get)


class Connection:
    """Speaks HTTP/1.1 to one origin.

    A client that asks again when a connection breaks hides exactly what a load test looks for. Only a connection
    that was closed while it lay idle is replaced: before anything is sent on it, or when the target's kernel took
    nothing of what was, as it had been closed and nobody here knew.
    """

    def __init__(self, target: str, addresses: Sequence[Address], timeout: float, ca: str = "") -> None:
        parts = urlsplit(target)
        self._host = parts.hostname or ""
        self._addresses = addresses
        self._prefix = parts.path.rstrip("/")
        self._tls = trusting(ca) if parts.scheme == "https" else None
        self._headers = {"Host": parts.netloc.rpartition("@")[2], "User-Agent": "readygate", "Accept": "*/*"}
        self._socket: Any = None
        self._channel: Channel | None = None
        self.is_stamped = False
        self.lag = 0.0  # seconds that the last answer lost to us, as we read it late and what came before it
        self._read_late = 0.0
        self._sent = 0  # bytes of what was sent last
        # Made once, as timers and watchers cost more than a request does on its way to the kernel.
        self._hub: Any = gevent.get_hub()
        self._timer = self._hub.loop.timer(timeout, timeout)
        self._watcher: Any = None  # of what arrives, for as long as the connection lasts
        self._waiting: Any = None  # the greenlet that waits for it

    def encode(self, method: str, path: str, headers: tuple[tuple[str, str], ...], body: str) -> bytes:
        """The bytes of a request, so that one that never changes is built once."""
        text, ours = body.encode(), self._headers
        if text or method in ("POST", "PUT", "PATCH"):
            ours = {**ours, "Content-Length": str(len(text))}
        given = {name.lower() for name, _ in headers}
        all_headers = (*((name, value) for name, value in ours.items() if name.lower() not in given), *headers)
        lines = "".join(f"{name}: {' '.join(value.splitlines())}\r\n" for name, value in all_headers)
        where = quote(self._prefix + path, safe=_IN_URLS)
        return f"{method} {where} HTTP/1.1\r\n{lines}\r\n".encode() + text

    def ask(self, method: str, request: bytes) -> Answer:
        """The whole answer. Raises OSError, gevent.Timeout, HTTPParseError or Dropped."""
        answer = Answer(is_of_head=method == "HEAD")
        kept, self.lag = False, 0.0
        self._timer.again(getcurrent().throw, gevent.Timeout)
        try:
            is_new = self._ready()
            try:
                kept = self._exchange(request, answer)
            except Dropped:
                if is_new or answer.has_begun or tcp.has_taken(self._socket, self._sent):
                    raise
                self.close()
                self._ready()
                kept = self._exchange(request, answer)
            self.lag += self._read_late
            return answer
        finally:
            self._timer.stop()
            if not kept:
                self.close()

    def _exchange(self, request: bytes, answer: Answer) -> bool:
        """Whether the connection may be kept."""
        channel = self._channel
        # Whoever answers before all is said closes the connection, and what was answered is there all the same.
        with suppress(BrokenPipeError, ConnectionResetError):
            self._send(request if channel is None else channel.sealed(request))
        while not answer.is_whole:
            data = self._receive() if channel is None else self._opened(channel)
            if not data:
                _end(answer)
                return False
            answer.feed(data)
        return bool(answer.should_keep_alive()) and not (channel and channel.has_more())

    def _send(self, request: bytes) -> None:
        self._sent = len(request)
        # Straight to the kernel, which nearly always takes it all: such calls are half of a request's cost.
        try:
            sent = self._socket._sock.send(request)
        except BlockingIOError:
            sent = 0
        if sent < len(request):
            self._socket.sendall(request[sent:])

    def _receive(self) -> bytes:
        while True:
            if not self._watcher.active:
                self._watcher.start(self._on_arrival)
            self._waiting = getcurrent()
            try:
                self._hub.switch()
            finally:
                self._waiting = None
            with suppress(BlockingIOError):
                data, said, _, _ = self._socket._sock.recvmsg(_CHUNK, stamps.SPACE)
                self._read_late = stamps.since(said)
                return bytes(data)

    def _opened(self, channel: Channel) -> bytes:
        """What the target says next under TLS; nothing where it ends."""
        while True:
            data = channel.opened()
            if data is not None:
                return data
            channel.take(self._receive())

    def _agreed(self, channel: Channel) -> Channel:
        while not channel.is_agreed():
            self._send(channel.to_send())
            channel.take(self._receive())
            self.lag += self._read_late
        return channel

    def _on_arrival(self) -> None:
        """Called by the event loop, whether somebody waits or not."""
        if self._waiting is None:
            self._watcher.stop()  # it would call again at once
        else:
            self._waiting.switch()

    def _ready(self) -> bool:
        """Whether the connection is a new one."""
        if self._socket is not None:
            if not self._was_closed_meanwhile():
                return False
            self.close()
        self._socket = plain = self._connected()
        self.lag += tcp.open_for(plain)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(OSError):  # a kernel that knows no such stamps
            stamps.stamp(plain)
            self.is_stamped = True
        self._watcher = self._hub.loop.io(plain.fileno(), _READ)
        self._watcher.start(self._on_arrival)
        if self._tls:
            self._channel = self._agreed(Channel(self._tls, self._host))
        return True

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

    def _was_closed_meanwhile(self) -> bool:
        """Or something came that nobody asked for, which is no answer to what is asked next."""
        return not self._watcher.active or not tcp.is_open(self._socket)

    def close(self) -> None:
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None
        if self._socket is not None:
            self._socket.close()
            self._socket = self._channel = None


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
