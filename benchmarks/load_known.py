"""A target that knows how long it took: in a process of its own, which nothing that happens to the generator delays.

Its log begins when the kernel gets a request, and ends when the kernel has the answer.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from heapq import heappop, heappush
from math import exp, log

from readygate.load import stamps

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"status": "ok"}'


class Lognormal:
    """Answers after a time that is drawn by chance, with a median of 20 ms; one request at a time of a connection."""

    def __init__(self) -> None:
        self._log: list[tuple[float, float]] = []  # when each request came, and how long it took
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.socket.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._chance = random.Random(7)
        self._loop.add_reader(self.socket, self._accept)

    def _accept(self) -> None:
        connection, _ = self.socket.accept()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stamps.stamp(connection)
        self._loop.add_reader(connection, self._read, connection)

    def _read(self, connection: socket.socket) -> None:
        data, said, _, _ = connection.recvmsg(65536, stamps.SPACE)
        if not data:
            self._loop.remove_reader(connection)
            connection.close()
            return
        began = time.perf_counter() - stamps.since(said)
        self._loop.call_later(self._wait(), self._answer, connection, began)

    def _wait(self) -> float:
        return exp(self._chance.gauss(log(0.02), 0.5))

    def _answer(self, connection: socket.socket, began: float) -> None:
        if connection.fileno() >= 0:
            connection.send(ANSWER)
            self._log.append((began, time.perf_counter() - began))

    @property
    def took(self) -> list[float]:
        """In the order in which the requests came, which is not that in which a busy target reads them."""
        return [took for _, took in sorted(self._log)]


class Queueing(Lognormal):
    """Has 28 workers that take 25 ms each, and so answers 1120/s; whoever comes together with many waits for them."""

    def __init__(self) -> None:
        super().__init__()
        self._free_at = [0.0] * 28

    def _wait(self) -> float:
        now = time.perf_counter()
        done = max(now, heappop(self._free_at)) + 0.025
        heappush(self._free_at, done)
        return done - now


@contextmanager
def known(core: int | None = None, kind: type[Lognormal] = Lognormal) -> Iterator[tuple[str, list[float]]]:
    """Its URL, and its log in the order of the requests, which is filled when the block ends."""
    took: list[float] = []
    called = [sys.executable, "-m", "benchmarks.load_known", kind.__name__, *([] if core is None else [str(core)])]
    with subprocess.Popen(called, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as target:
        assert target.stdin
        assert target.stdout
        yield f"http://127.0.0.1:{int(target.stdout.readline())}", took
        target.stdin.close()
        took += json.loads(target.stdout.read())


async def _serve(kind: type[Lognormal]) -> None:
    target, over = kind(), asyncio.Event()
    print(target.socket.getsockname()[1], flush=True)
    asyncio.get_running_loop().add_reader(sys.stdin, over.set)
    await over.wait()
    print(json.dumps(target.took))


if __name__ == "__main__":
    os.sched_setaffinity(0, set(map(int, sys.argv[2:])) or os.sched_getaffinity(0))
    gc.disable()
    asyncio.run(_serve({each.__name__: each for each in (Lognormal, Queueing)}[sys.argv[1]]))
