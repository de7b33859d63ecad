"""How large a body an endpoint takes: by the length that is announced, and in chunks that announce none."""

from __future__ import annotations

import select
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass

from readygate.announcing import announce
from readygate.areas.mentioned import limit
from readygate.areas.sites.http import Endpoint, request_of
from readygate.areas.sites.origin import Origin
from readygate.areas.sites.turnstile import LIMITED
from readygate.areas.sites.wire import ask_head, connected, head_of, read_head
from readygate.errors import CouldNotLook
from readygate.results import Evidence

_BEFORE_THE_SIZE = (401, 403, 404, 405)
_TOO_LARGE = 413
_CLOSED = "closed"
_PATIENCE_S = 2.0  # a server that says nothing for so long waits for the body: it has accepted its length
_PIECE = 65536
_MOST_BYTES = 32 << 20  # of a body that is sent
# Whoever has read too much may want to read on for a while before it says so, as servers in Go do with 256 kB.
_MORE = 512 << 10
_NOT_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


@dataclass(frozen=True, slots=True)
class BodyLimit:
    """The largest body that is taken, in bytes, as far as it was tried; None where less is taken than should be."""

    largest: int | None
    reason: str
    evidence: tuple[Evidence, ...] = ()


def observe_body_limit(origin: Origin, endpoint: Endpoint) -> BodyLimit:
    """Announce a body of the declared size and one of a byte more, and send neither; then begin one in chunks.

    Who counts what it reads, and so waits for the body, is sent half a megabyte more, but never the end of the body.

    CouldNotLook: the endpoint turns us away before it looks at the size, or whether it counts what comes in chunks
    would take too many bytes.
    """
    declared: int = limit(endpoint.body_limit) if endpoint.body_limit else 0
    method = endpoint.method if endpoint.method in ("POST", "PUT", "PATCH") else "POST"
    own = {name.lower(): value for name, value in request_of(endpoint).headers}
    headers = {"content-type": "application/octet-stream", **own}
    asked = f"{method} {origin.url(endpoint.where)}"

    def announced(size: int) -> int | None:
        sent = {**headers, "expect": "100-continue", "content-length": str(size)}
        with suppress(TimeoutError):
            answer = ask_head(origin, method, endpoint.where, sent, patience_s=_PATIENCE_S, carries_ours=bool(own))
            return answer[0] if answer else None
        return None

    statuses = {size: announced(size) for size in (declared, declared + 1)}
    evidence = tuple(
        Evidence(f"{asked} announcing {size} bytes", str(status or "no answer: it waits for the body"))
        for size, status in statuses.items()
    )
    # Where one byte more is refused for its size, an outage behind that is another check's concern.
    unseen = _BEFORE_THE_SIZE if statuses[declared + 1] == _TOO_LARGE else (*_BEFORE_THE_SIZE, *LIMITED)
    turned_away = {status for status in statuses.values() if status in unseen}
    if turned_away:
        raise CouldNotLook(
            f"{asked} answers {turned_away.pop()} before it looks at the size",
            mend="declare `request_headers` and a `method` with which a body is welcome",
        )
    if statuses[declared] == _TOO_LARGE:
        return BodyLimit(None, f"{declared} bytes are refused already", evidence)
    if statuses[declared + 1] not in (_TOO_LARGE, None):
        return BodyLimit(declared + 1, f"{declared + 1} bytes are not refused", evidence)
    size = declared + _MORE
    ways = [({"transfer-encoding": "chunked"}, f"{size + _MORE:x}\r\n".encode(), "where no length is announced")]
    if statuses[declared + 1] is None:
        ways.insert(0, ({"content-length": str(size + _MORE)}, b"", "where they are sent"))
    announce(f"upload: {asked} with at most {min(size, _MOST_BYTES)} bytes, and never the end of them")
    for fields, begins, when in ways:
        request = head_of(origin, method, endpoint.where, {**headers, **fields}) + begins
        is_taken, told = _take(origin, request, size, carries_ours=bool(own))
        evidence = (*evidence, Evidence(f"{asked} with {size} bytes, {when}", told))
        if is_taken:
            return BodyLimit(size, f"{size} bytes are not refused {when}: {told}", evidence)
    return BodyLimit(declared, f"more than {declared} bytes are refused", evidence)


def _take(origin: Origin, request: bytes, size: int, *, carries_ours: bool) -> tuple[bool, str]:
    """Whether so many bytes of a body, or of a chunk (RFC 9112, section 7.1), are taken, and what shows it.

    Whoever reads no body, or refuses the size, says so to its beginning; so the rest is sent only after a moment.
    """
    begins = min(_PIECE, size // 2)
    try:
        with connected(origin, carries_ours=carries_ours) as line:
            held = _pour(line, request + bytes(begins), origin.timeout_s)
            line.settimeout(_PATIENCE_S)
            with suppress(TimeoutError):
                held = line.recv(_PIECE) if held is None else held
            if held is not None:
                return False, f"{_status(line, held)} before it was sent"
            if size > _MOST_BYTES:
                raise CouldNotLook(
                    f"{origin.netloc} goes on reading {size} bytes, of which {_MOST_BYTES} would be sent",
                    mend="let the proxy before it limit bodies, which refuses so many at once",
                )
            held = _pour(line, bytes(size - begins), origin.timeout_s)
            line.settimeout(_PATIENCE_S)
            try:
                status = _status(line, line.recv(_PIECE) if held is None else held)
            except TimeoutError:
                return True, "no answer: it waits for more"
            return status not in (str(_TOO_LARGE), _CLOSED), f"{status} when all of it was sent"
    except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError):
        return False, _CLOSED
    except OSError as error:
        raise origin.unreachable(error) from None


def _pour(line: socket.socket, data: bytes, within_s: float) -> bytes | None:
    """Send all of it, unless something is answered before, which is given back; nothing where it is closed."""
    line.setblocking(False)
    deadline = time.monotonic() + within_s
    left = memoryview(data)
    while left:
        with suppress(*_NOT_YET):
            return line.recv(_PIECE)
        try:
            left = left[line.send(left[:_PIECE]) :]
            continue
        except _NOT_YET:
            pass
        except OSError:
            return _last_word(line)
        if time.monotonic() > deadline:
            raise TimeoutError
        select.select([line], [line], [], 1)
    return None


def _last_word(line: socket.socket) -> bytes:
    """What was answered before the connection was closed, as far as it is still to be had."""
    with suppress(OSError):
        return line.recv(_PIECE)
    return b""


def _status(line: socket.socket, held: bytes) -> str:
    head = read_head(line, held) if held else None
    return str(head[0]) if head else _CLOSED
