"""Opens a connection to a site for TLS: with a hello of our own, or for a whole handshake."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, TypeVar

from cryptography import x509

from readygate.areas.sites.connections import ending_in
from readygate.areas.sites.origin import Origin
from readygate.areas.tls import hello as tls_hello
from readygate.areas.tls.trust import sent_chain
from readygate.errors import CouldNotLook

Read = TypeVar("Read")


class RefusedError(CouldNotLook):
    """The server was there, and did not agree to what it was offered."""


def say_hello(
    origin: Origin, version: tls_hello.Version, ciphers: Sequence[int] = ()
) -> tls_hello.ServerHello | None:
    """What the server answers to a hello with this version and these ciphers alone; None where it refuses.

    CouldNotLook: its answer can't be understood, or there is none.
    """
    return exchange(
        origin, version, tls_hello.client_hello(version, origin.server_name, ciphers), tls_hello.server_hello
    )


def exchange(
    origin: Origin, version: tls_hello.Version, hello: bytes, read: Callable[[BinaryIO], Read | None]
) -> Read | None:
    """Send one hello and read the answer to it; a connection that is reset refuses."""
    with origin.connect() as connection, connection.makefile("rb") as answer:
        try:
            with ending_in(origin.timeout_s, connection):
                connection.sendall(hello)
                return read(answer)
        except (ConnectionResetError, BrokenPipeError):
            return None
        except (OSError, tls_hello.StrangeAnswerError) as error:
            raise CouldNotLook(
                f"{origin.at} does not answer a ClientHello of {version.name} "
                f"in a way that can be understood: {error}",
                cause=f"handshake:{origin.site}",
                mend="see that the port speaks TLS and nothing between cuts the connection",
            ) from error


@contextlib.contextmanager
def handshake(origin: Origin, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    """A finished handshake; a certificate that doesn't verify is for the caller to tell of."""
    with origin.connect() as plain:
        try:
            with ending_in(origin.timeout_s, plain):
                connection = context.wrap_socket(plain, server_hostname=origin.host)
        except ssl.SSLCertVerificationError:
            raise
        except OSError as error:
            raise (CouldNotLook if isinstance(error, TimeoutError) else RefusedError)(
                f"{origin.at} breaks the TLS handshake off: {error}",
                cause=f"handshake:{origin.site}",
                mend=f"see what `openssl s_client -connect {origin.at}` says",
            ) from error
        with connection:
            yield connection


def chain(origin: Origin, connection: ssl.SSLSocket) -> tuple[x509.Certificate, ...]:
    """The certificates as they were sent, the site's own first."""
    try:
        return sent_chain(connection)
    except ValueError as error:
        raise CouldNotLook(f"the certificate of {origin.site} can't be read: {error}") from error
