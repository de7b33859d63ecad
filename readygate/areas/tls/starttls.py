"""What is said on a port before TLS begins, in each protocol that begins in the clear."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Literal

StartTls = Literal["smtp", "imap", "pop3", "postgres", "ldap"]

# An ExtendedRequest for 1.3.6.1.4.1.1466.20037 (RFC 4511, section 4.14), and where its answer has the result code.
_LDAP_ASKS = bytes.fromhex("301d02010177188016") + b"1.3.6.1.4.1.1466.20037"
# SSLRequest of PostgreSQL's protocol, "Message Formats".
_POSTGRES_ASKS = bytes.fromhex("0000000804d2162f")
_LONGEST = 8192


class NotOfferedError(ValueError):
    """The server doesn't agree to begin with TLS."""


def start_tls(line: socket.socket, protocol: str) -> None:
    """Bring the connection to where the ClientHello comes next.

    Raises NotOfferedError, and OSError where the server doesn't answer.
    """
    _STARTS[protocol](line)


def _smtp(line: socket.socket) -> None:
    """RFC 3207."""
    _replied(_lines(line, _is_last_of_smtp), b"220")
    line.sendall(b"EHLO readygate.invalid\r\n")
    offered = _lines(line, _is_last_of_smtp)
    if b"STARTTLS" not in offered.upper():
        raise NotOfferedError("it offers no STARTTLS")
    line.sendall(b"STARTTLS\r\n")
    _replied(_lines(line, _is_last_of_smtp), b"220")


def _imap(line: socket.socket) -> None:
    """RFC 3501, section 6.2.1."""
    _replied(_lines(line, _is_any), b"* ")
    line.sendall(b"a STARTTLS\r\n")
    _replied(_lines(line, lambda last: last.startswith(b"a ")).splitlines()[-1], b"a OK")


def _pop3(line: socket.socket) -> None:
    """RFC 2595, section 4."""
    _replied(_lines(line, _is_any), b"+OK")
    line.sendall(b"STLS\r\n")
    _replied(_lines(line, _is_any), b"+OK")


def _postgres(line: socket.socket) -> None:
    line.sendall(_POSTGRES_ASKS)
    _replied(line.recv(1), b"S")


def _ldap(line: socket.socket) -> None:
    line.sendall(_LDAP_ASKS)
    answer = line.recv(_LONGEST)
    # The result code is the first ENUMERATED of the answer; 0 is success.
    if b"\x0a\x01\x00" not in answer:
        raise NotOfferedError("it refuses the extended request")


def _is_any(last: bytes) -> bool:
    return True


def _is_last_of_smtp(last: bytes) -> bool:
    return last[3:4] != b"-"


def _lines(line: socket.socket, is_last: Callable[[bytes], bool]) -> bytes:
    """Whole lines up to the one that ends the answer; byte by byte, as what comes next may be TLS."""
    held = b""
    while len(held) < _LONGEST:
        byte = line.recv(1)
        if not byte:
            raise NotOfferedError("it closes the connection")
        held += byte
        if held.endswith(b"\n") and is_last(held.splitlines()[-1]):
            return held
    raise NotOfferedError("its answer has no end")


def _replied(answer: bytes, wanted: bytes) -> None:
    if not answer.startswith(wanted):
        raise NotOfferedError(f"it answers {answer[:60].decode('latin-1').strip()!r}")


_STARTS: dict[str, Callable[[socket.socket], None]] = {
    "smtp": _smtp,
    "imap": _imap,
    "pop3": _pop3,
    "postgres": _postgres,
    "ldap": _ldap,
}
