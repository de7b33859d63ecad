"""A bare connection to a site, for what no HTTP client would send: a body that never comes, or an upgrade."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from email.parser import BytesParser

from readygate.areas.sites.connections import ending_in
from readygate.areas.sites.fetch import USER_AGENT
from readygate.areas.sites.origin import Origin
from readygate.areas.tls.trust import careful_client, describing_context, fault_of
from readygate.errors import CouldNotLook

_LONGEST_HEAD = 65536
_ON_ITS_WAY = (100, 102, 103)  # of these a proxy says the first by itself, whoever refuses the body after that


@contextmanager
def connected(origin: Origin, *, carries_ours: bool = False) -> Iterator[socket.socket]:
    """A connection to the site, through TLS if it has any; its trust is judged as `fetch` does it."""
    if origin.scheme == "http":
        with origin.connect() as plain:
            yield plain
        return
    try:
        secured = _secured(origin, careful_client(origin.ca))
    except ssl.SSLCertVerificationError as error:
        fault = fault_of(error)
        if fault not in origin.judged_faults or carries_ours:
            raise CouldNotLook(
                f"the certificate of {origin.netloc} can't be trusted ({fault}), so anybody may have answered",
                cause=f"untrusted:{origin.site}",
                mend="mend the certificate",
            ) from None
        secured = _secured(origin, describing_context())
    with secured:
        yield secured


def ask_head(
    origin: Origin,
    method: str,
    path: str,
    headers: Mapping[str, str],
    *,
    patience_s: float,
    carries_ours: bool = False,
) -> tuple[int, Message] | None:
    """Send the head of a request and read the head of the answer; None where it is closed without a word.

    Whom the site's rate limit refuses asks again when it may let in. Raises TimeoutError where neither happens in
    this time.
    """

    def ask() -> tuple[int, Message] | None:
        with connected(origin, carries_ours=carries_ours) as line, ending_in(patience_s, line):
            line.sendall(head_of(origin, method, path, headers))
            line.settimeout(patience_s)
            return read_head(line)

    try:
        return origin.turnstile.past(ask, lambda head: head[0] if head else None, origin.turnstile.statuses)
    except TimeoutError:
        raise
    except OSError as error:
        raise origin.unreachable(error) from None


def _secured(origin: Origin, context: ssl.SSLContext) -> ssl.SSLSocket:
    plain = origin.connect()
    try:
        return context.wrap_socket(plain, server_hostname=origin.host)
    except ssl.SSLCertVerificationError:
        plain.close()
        raise
    except OSError as error:
        plain.close()
        raise CouldNotLook(
            f"{origin.at} breaks the TLS handshake off: {error}",
            cause=f"handshake:{origin.site}",
        ) from None


def head_of(origin: Origin, method: str, path: str, headers: Mapping[str, str]) -> bytes:
    """The head of a request as it travels; what every request has is added where it isn't given."""
    fields = {"host": origin.netloc, "user-agent": USER_AGENT, "accept": "*/*", **headers}
    lines = [f"{method} {origin.prefix}{path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def read_head(line: socket.socket, held: bytes = b"") -> tuple[int, Message] | None:
    """Status and fields of the final answer, of which some may be held already; None where it breaks off."""
    while True:
        while b"\r\n\r\n" not in held:
            chunk = line.recv(4096)
            if not chunk or len(held) > _LONGEST_HEAD:
                return None
            held += chunk
        head, _, held = held.partition(b"\r\n\r\n")
        status, _, fields = head.partition(b"\r\n")
        version, _, rest = status.partition(b" ")
        if not version.startswith(b"HTTP/") or not rest[:3].isdigit():
            return None
        if int(rest[:3]) not in _ON_ITS_WAY:
            return int(rest[:3]), BytesParser().parsebytes(fields + b"\r\n\r\n", headersonly=True)
