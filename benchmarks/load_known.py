"""A target that knows how long it took: in a process of its own, which nothing that happens to the generator delays.

Its log begins when the kernel hands it a request, and ends when the kernel has the answer.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import exp, log

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"status": "ok"}'


class Lognormal(asyncio.Protocol):
    """Answers after a time that is drawn by chance, with a median of 20 ms; one request at a time."""

    took: list[float] = []  # noqa: RUF012 - of all connections
    chance = random.Random(7)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        wait = exp(self.chance.gauss(log(0.02), 0.5))
        asyncio.get_running_loop().call_later(wait, self.answer, time.perf_counter())

    def answer(self, began: float) -> None:
        if isinstance(self.transport, asyncio.WriteTransport) and not self.transport.is_closing():
            self.transport.write(ANSWER)
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
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Lognormal, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    over = asyncio.Event()
    loop.add_reader(sys.stdin, over.set)
    await over.wait()
    print(json.dumps(Lognormal.took))


if __name__ == "__main__":
    os.sched_setaffinity(0, set(map(int, sys.argv[1:])) or os.sched_getaffinity(0))
    gc.disable()
    asyncio.run(_serve())
