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
from math import exp, log

from readygate.load import stamps

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"status": "ok"}'


class Lognormal:
    """Answers after a time that is drawn by chance, with a median of 20 ms; one request at a time of a connection."""

    def __init__(self) -> None:
        self.took: list[float] = []
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
        wait = exp(self._chance.gauss(log(0.02), 0.5))
        self._loop.call_later(wait, self._answer, connection, began)

    def _answer(self, connection: socket.socket, began: float) -> None:
        if connection.fileno() >= 0:
            connection.send(ANSWER)
            self.took.append(time.perf_counter() - began)


@contextmanager
def known(core: int | None = None) -> Iterator[tuple[str, list[float]]]:
    """Its URL, and its log in the order of its answers, which is filled when the block ends."""
    took: list[float] = []
    called = [sys.executable, "-m", "benchmarks.load_known", *([] if core is None else [str(core)])]
    with subprocess.Popen(called, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as target:
        assert target.stdin
        assert target.stdout
        yield f"http://127.0.0.1:{int(target.stdout.readline())}", took
        target.stdin.close()
        took += json.loads(target.stdout.read())


async def _serve() -> None:
    target, over = Lognormal(), asyncio.Event()
    print(target.socket.getsockname()[1], flush=True)
    asyncio.get_running_loop().add_reader(sys.stdin, over.set)
    await over.wait()
    print(json.dumps(target.took))


if __name__ == "__main__":
    os.sched_setaffinity(0, set(map(int, sys.argv[1:])) or os.sched_getaffinity(0))
    gc.disable()
    asyncio.run(_serve())
