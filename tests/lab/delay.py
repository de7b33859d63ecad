"""Put an honest round-trip time in front of a host: a TCP proxy that delays each direction by half of it.

Nothing is dropped, reordered or throttled: a stream arrives whole, later. The proxy itself is
`python -m tests.lab.delay ADDRESS PORT RTT_MS`: it prints the port that it listens on, and lives until its
stdin closes.
"""

from __future__ import annotations

import asyncio
import selectors
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.docker import LabError
from tests.lab.host import Target, write_ssh_config

ROOT = Path(__file__).parents[2]
IN_FLIGHT = 1024  # Pieces of at most 64 KiB that are under way before the sender has to wait.


@contextmanager
def delayed(host: Target, rtt_ms: float) -> Iterator[Path]:
    """An ssh_config by which the host is reached, and answers `rtt_ms` later than it does."""
    proxy = [sys.executable, "-m", "tests.lab.delay", host.address, "22", str(rtt_ms)]
    with subprocess.Popen(proxy, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            port = process.stdout.readline().strip() if process.stdout else ""
            if not port:
                raise LabError("the delaying proxy did not start")
            config = host.ssh_config.with_name(f"{host.name}.delayed-{port}.ssh_config")
            write_ssh_config(host, config, "127.0.0.1", int(port))
            yield config
        finally:
            process.kill()


@contextmanager
def netem(host: Target, rtt_ms: float) -> Iterator[None]:
    """Delay whatever the host sends, every protocol; raises LabError where the kernel has no netem."""
    host.run(f"tc qdisc add dev eth0 root netem delay {rtt_ms}ms")
    try:
        yield
    finally:
        host.run("tc qdisc del dev eth0 root")


async def serve(address: str, port: int, rtt_s: float) -> None:
    """Listen on a free local port, print it, and pass on what comes until stdin closes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A far client is connected after one round trip, and its server knows of it half of one later.
        await asyncio.sleep(1.5 * rtt_s)
        try:
            far_reader, far_writer = await asyncio.open_connection(address, port)
        except OSError:
            writer.close()
            return
        try:
            await asyncio.gather(_pass_on(reader, far_writer, rtt_s / 2), _pass_on(far_reader, writer, rtt_s / 2))
        except OSError:
            pass  # One end is gone without a goodbye: so is the other, below.
        finally:
            writer.close()
            far_writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float) -> None:
    """Copy a stream, each piece `delay_s` after it came, and its end like any other."""
    now = asyncio.get_running_loop().time
    in_flight: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(IN_FLIGHT)

    async def collect() -> None:
        piece = b"?"
        while piece:
            try:
                piece = await reader.read(65536)
            except ConnectionError:
                piece = b""
            await in_flight.put((now() + delay_s, piece))

    collecting = asyncio.create_task(collect())
    try:
        while True:
            due, piece = await in_flight.get()
            await asyncio.sleep(due - now())
            if not piece:
                break
            writer.write(piece)
            await writer.drain()
        writer.write_eof()
    finally:
        collecting.cancel()


if __name__ == "__main__":
    # select() waits to the microsecond, where epoll rounds up to a millisecond: a tenth of 10 ms one way.
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        runner.run(serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]) / 1000))
