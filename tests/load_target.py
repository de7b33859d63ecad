"""A target for load that keeps its own log of the truth: sound, slow, stalling, erring, dropping, lying."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from heapq import heappop, heappush
from math import exp, log
from typing import Any


class Target:
    """Serves on loopback in a thread; the first part of the path says how it behaves.

    `took` has, by path, how long each request really was here; `asked` counts them. /pooled is a service of `workers`
    that take `service` seconds each, and nobody begins anything in a stall; so what has queued then drains slowly.
    """

    def __init__(
        self,
        stall_every: float = 1.0,
        stall: float = 0.3,
        workers: int = 28,
        service: float = 0.025,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.took: dict[str, list[float]] = {}
        self.asked: Counter[str] = Counter()
        self.bodies: list[bytes] = []
        self.hoard: list[bytes] = []
        self.hoards = 0  # bytes that a request to /hoarding is remembered with
        self._stall_every, self._stall = stall_every, stall
        self._service, self._free_at = service, [0.0] * workers
        self._tls = tls
        self._random = random.Random(7)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started = threading.Event()
        self.port = 0

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def serve(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, backlog=1024, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._over.wait()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                began = time.perf_counter()
                first, *lines = head.decode().split("\r\n")
                length = next((int(line[15:]) for line in lines if line.lower().startswith("content-length:")), 0)
                if length:
                    self.bodies.append(await reader.readexactly(length))
                path = first.split(" ")[1]
                kind = path.split("/")[1]
                self.asked[kind] += 1
                token = any(line.lower() == "authorization: bearer sesame" for line in lines)
                answer = await self._answer(kind, token)
                if isinstance(answer, bytes):
                    writer.write(answer)
                    return
                status, body = answer
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
                self.took.setdefault(kind, []).append(time.perf_counter() - began)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, kind: str, token: bool) -> tuple[int, str] | bytes:
        """Status and body, or all that is sent before the connection is closed."""
        match kind:
            case "lognormal":
                await asyncio.sleep(exp(self._random.gauss(log(0.02), 0.5)))
            case "slow":
                await asyncio.sleep(0.6)
            case "stalling":
                phase = time.monotonic() % self._stall_every
                if phase < self._stall:
                    await asyncio.sleep(self._stall - phase)
            case "pooled":
                begun = max(time.monotonic(), heappop(self._free_at))
                if begun % self._stall_every < self._stall:
                    begun += self._stall - begun % self._stall_every
                heappush(self._free_at, begun + self._service)
                await asyncio.sleep(begun + self._service - time.monotonic())
            case "erring":
                if self._random.random() < 0.2:
                    return 503, "no"
            case "limited":
                if self.asked[kind] > 100:
                    return 429, "enough"
            case "waking":
                if self.asked[kind] < 3:
                    return 503, "not yet"
            case "down":
                return 500, "no"
            case "dropping":
                if self._random.random() < 0.2:
                    return b""
            case "cutting":
                return b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly so much"
            case "doubling":
                return b"HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\nnoHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
            case "closing":
                return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
            case "packed":
                packed = gzip.compress(b'{"status": "ok"}')
                return (
                    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed
                )
            case "unmeasured":
                return b"HTTP/1.1 200 OK\r\n\r\nwhatever comes until the end"
            case "babbling":
                return b"220 mail.example.com ESMTP\r\n"
            case "moved":
                return 302, ""
            case "signed-out":
                return 200, "<form action=/login>Please sign in</form>"
            case "faster-by-failing":
                if self.asked[kind] > 20:
                    return 500, "no"
                await asyncio.sleep(0.1)
            case "hoarding":
                self.hoard.append(b"x" * self.hoards)
            case "lying":
                return 200, json.dumps({"status": "error" if self._random.random() < 0.2 else "ok"})
            case "leaking":
                await asyncio.sleep(0.0004 * self.asked[kind])
            case "login":
                return 200, json.dumps({"session": {"token": "sesame"}})
            case "private":
                return (200, "in") if token else (401, "out")
        return 200, '{"status": "ok"}'

    def stop(self) -> None:
        if self._loop:
            self._loop.call_soon_threadsafe(self._over.set)


@contextmanager
def serving(**behaviour: Any) -> Iterator[Target]:
    """A target for as long as the block lasts."""
    target = Target(**behaviour)
    thread = threading.Thread(target=target.serve, daemon=True)
    thread.start()
    target._started.wait(5)
    yield target
    target.stop()
    thread.join(5)
