"""Knocking at the TCP ports of an address: which are open, closed or filtered.

It stands alone, on nothing but the library of Python 3.7, since its very source is run on other hosts, too, to
knock from there: `python3 -c SOURCE ADDRESS PORTS RATE PATIENCE_S [FROM]`, with PORTS such as 22,80-90.
"""

from __future__ import annotations

import errno
import select
import socket
import sys
import time
from collections.abc import Iterable

OPEN, CLOSED, FILTERED = "open", "closed", "filtered"

# Each knock that waits holds a socket, and 1024 of these are what a process is commonly allowed.
MOST_AT_ONCE = 500
# What the kernel makes of ICMP that says "unreachable" or "prohibited" (RFC 1122, 4.2.3.9).
_KEPT_OUT = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES, errno.EPERM, errno.ENOPROTOOPT, errno.ETIMEDOUT}
_REFUSED = {errno.ECONNREFUSED, errno.ECONNRESET}


def knock_at(
    address: str, ports: Iterable[int], rate: float, patience_s: float, source: str | None = None
) -> dict[int, str]:
    """The state of each port, with at most `rate` knocks a second. OSError: one can't knock from here."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    states: dict[int, str] = {}
    left = iter(ports)
    waiting: dict[
        int, tuple[socket.socket, int, float]
    ] = {}  # by descriptor: its socket, port and deadline; the earliest first
    spare: list[socket.socket] = []  # sockets that were refused can be used again
    poller = select.poll()
    now = began = time.monotonic()
    begun = 0
    more = True

    def client() -> socket.socket:
        if spare:
            return spare.pop()
        fresh = socket.socket(family, socket.SOCK_STREAM)
        fresh.setblocking(False)
        if source:
            fresh.bind((source, 0))
        return fresh

    def settle(knocker: socket.socket, port: int, error: int) -> None:
        states[port] = _state(knocker, port, error)
        if error in _REFUSED:
            spare.append(knocker)
        else:
            knocker.close()

    try:
        while more or waiting:
            while more and len(waiting) < MOST_AT_ONCE and begun <= (now - began) * rate:
                port = next(left, None)
                if port is None:
                    more = False
                    break
                begun += 1
                knocker = client()
                error = knocker.connect_ex((address, port))
                if error == errno.EINPROGRESS:
                    # Near by, the answer is there before one can ask for it.
                    error = knocker.connect_ex((address, port))
                    if error == errno.EALREADY:
                        waiting[knocker.fileno()] = (knocker, port, now + patience_s)
                        poller.register(knocker, select.POLLOUT)
                        continue
                settle(knocker, port, error)
            pause = min([0.005 if more else 1.0, *(each[2] - now for each in list(waiting.values())[:1])])
            for descriptor, _ in poller.poll(max(0, pause * 1000) if waiting or begun > (now - began) * rate else 0):
                knocker, port, _ = waiting.pop(descriptor)
                poller.unregister(descriptor)
                error = knocker.connect_ex((address, port))
                if error == errno.EALREADY:
                    # Woken without an answer: by ICMP, of which a kernel may keep the reason to itself.
                    error = knocker.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or errno.EHOSTUNREACH
                settle(knocker, port, error)
            now = time.monotonic()
            for descriptor, (knocker, port, deadline) in list(waiting.items()):
                if deadline > now:
                    break
                del waiting[descriptor]
                poller.unregister(descriptor)
                settle(knocker, port, errno.ETIMEDOUT)
    finally:
        for knocker in [*spare, *(each[0] for each in waiting.values())]:
            knocker.close()
    return states


def _state(knocker: socket.socket, port: int, error: int) -> str:
    if error in (0, errno.EISCONN):
        # On its own machine a client may come to knock at its own port, and be let in by itself.
        return CLOSED if knocker.getsockname()[:2] == knocker.getpeername()[:2] else OPEN
    if error in _REFUSED:
        return CLOSED
    if error in _KEPT_OUT:
        return FILTERED
    raise OSError(error, f"{errno.errorcode.get(error, error)} at port {port}")


def seen_as(address: str) -> str:
    """Which address of ours packets to that address carry when they leave here."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect((address, 9))
        return str(client.getsockname()[0])


def is_own(source: str | None) -> bool:
    """Whether one can knock with this address; if not, it is another's who passes our packets on."""
    if not source:
        return False
    with socket.socket(socket.AF_INET6 if ":" in source else socket.AF_INET, socket.SOCK_STREAM) as client:
        try:
            client.bind((source, 0))
        except OSError:
            return False
        return True


def main(address: str, ports: str, rate: str, patience_s: str, source: str | None = None) -> None:
    """Print our address, and then each state with its ports."""
    spans = [part.partition("-") for part in ports.split(",")]
    numbers = [n for first, _, last in spans for n in range(int(first), int(last or first) + 1)]
    print("from", source or seen_as(address))  # noqa: T201
    states = knock_at(address, numbers, float(rate), float(patience_s), source if is_own(source) else None)
    for state in (OPEN, CLOSED, FILTERED):
        print(state, *(port for port in sorted(states) if states[port] == state))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
