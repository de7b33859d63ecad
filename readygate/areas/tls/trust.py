"""Why a careful TLS client refuses a certificate, in the words that operators use."""

from __future__ import annotations

import _ssl
import ssl
import sys
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography import x509

from readygate.errors import CouldNotLook


class Fault(StrEnum):
    """What is wrong with the trust in a server."""

    EXPIRED = "expired"
    NOT_YET_VALID = "not yet valid"
    SELF_SIGNED = "self-signed"
    UNKNOWN_ISSUER = "unknown issuer"
    MISSING_INTERMEDIATE = "missing intermediate"
    WEAK = "weak key or signature"
    WRONG_HOST = "wrong host"
    OTHER = "not valid"


# The X509_V_ERR numbers of OpenSSL's x509_vfy.h.
_FAULTS = {
    **dict.fromkeys((2, 19, 20, 21), Fault.UNKNOWN_ISSUER),
    9: Fault.NOT_YET_VALID,
    10: Fault.EXPIRED,
    18: Fault.SELF_SIGNED,
    **dict.fromkeys((66, 67, 68), Fault.WEAK),
    **dict.fromkeys((62, 64), Fault.WRONG_HOST),
}


def fault_of(error: ssl.SSLCertVerificationError) -> Fault:
    return _FAULTS.get(error.verify_code, Fault.OTHER)


def verifying_context(ca: str | None, *, names_too: bool = True) -> ssl.SSLContext:
    """A careful client: it trusts the CA bundle, or else the system's store; `names_too` looks at host names."""
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise CouldNotLook(
            f"the CA bundle {ca} can't be read: {error.strerror or error}",
            cause=f"ca:{ca}",
            mend="point `ca` at a PEM file that this machine can read",
        ) from error
    # The same of every Python: as browsers and curl do, and not what 3.13 began to ask of private CAs.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.check_hostname = names_too
    return context


def careful_client(ca: str | None) -> ssl.SSLContext:
    """The same client for all who ask, as reading the system's store takes longer than a request: never change it."""
    return _careful_client(ca, Path(ca).stat().st_mtime_ns if ca and Path(ca).exists() else 0)


@lru_cache
def _careful_client(ca: str | None, changed_at: int) -> ssl.SSLContext:
    return verifying_context(ca)


def describing_context() -> ssl.SSLContext:
    """A client that talks to anybody, so that what is wrong can still be described; it trusts nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:!aNULL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    return context


def knowing_only(kind: str, context: ssl.SSLContext) -> ssl.SSLContext:
    """The client without any other kind of key, `aRSA` or `aECDSA` (ciphers(1)): in TLS 1.2 the suite tells it."""
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    level = "" if context.verify_mode is ssl.CERT_REQUIRED else ":@SECLEVEL=0"
    context.set_ciphers(f"{kind}{level}")
    return context


def sent_chain(connection: ssl.SSLSocket) -> tuple[x509.Certificate, ...]:
    """The certificates just as the server sent them, its own first; ValueError where it isn't X.509."""
    if sys.version_info >= (3, 13):
        encoded = connection.get_unverified_chain()
    else:
        # Python had this all along, but made it public only in 3.13.
        inner: Any = connection._sslobj  # type: ignore[attr-defined]
        encoded = [each.public_bytes(_ssl.ENCODING_DER) for each in inner.get_unverified_chain() or ()]
    return tuple(x509.load_der_x509_certificate(each) for each in encoded)
