"""TLS over bytes that somebody else sends and receives, so that the kernel can say when they came."""

from __future__ import annotations

import ssl
from contextlib import suppress
from functools import cache

_CHUNK = 65536


@cache
def trusting(ca: str) -> ssl.SSLContext:
    """Trusts a private CA, or whom this machine trusts; made once, as to read them takes longer than a visit."""
    try:
        tls = ssl.create_default_context(cafile=ca or None)
    except OSError as error:
        raise OSError(f"the CA's certificate '{ca}' can't be used: {error}") from None
    tls.set_alpn_protocols(["http/1.1"])
    return tls


class Channel:
    """One connection's TLS, from the client's side."""

    def __init__(self, tls: ssl.SSLContext, host: str) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = tls.wrap_bio(self._in, self._out, server_hostname=host)

    def is_agreed(self) -> bool:
        """Whether the handshake is over; until then there is something to send, and something to take."""
        with suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
            return True
        return False

    def to_send(self) -> bytes:
        return self._out.read()

    def sealed(self, text: bytes) -> bytes:
        """With it goes what is left of the handshake."""
        self._tls.write(text)
        return self._out.read()

    def take(self, data: bytes) -> None:
        """What came; nothing where the other side has closed the connection."""
        if data:
            self._in.write(data)
        else:
            self._in.write_eof()

    def opened(self) -> bytes | None:
        """What was said in all that came; nothing at the end, None where more has to come first."""
        try:
            return self._tls.read(_CHUNK)
        except ssl.SSLWantReadError:
            return None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def has_more(self) -> bool:
        """Whether more came than was asked for."""
        return bool(self._in.pending or self._tls.pending())
