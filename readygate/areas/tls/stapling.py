"""The OCSP response that a server staples to its certificate, and whether clients can go by it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.x509 import ocsp

from readygate.areas.sites.origin import Origin
from readygate.areas.tls import hello as tls_hello
from readygate.areas.tls.asking import exchange
from readygate.areas.tls.certificate import moment
from readygate.areas.tls.tls import Protocols
from readygate.errors import CouldNotLook
from readygate.results import Evidence
from readygate.spec import Spec

_PAUSES_S = (0.1, 0.2, 0.4, 0.8, 0.0)
_CLOCKS_DIFFER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Stapling:
    """Whether a response is stapled; None where one is that no client can go by, as `reason` says."""

    stapled: bool | None
    reason: str
    evidence: tuple[Evidence, ...] = ()


def observe_stapling(origin: Origin, protocols: Protocols) -> Stapling:
    """Ask for an OCSP response in TLS 1.2, some times over.

    CouldNotLook: the server speaks only TLS 1.3, where the response is encrypted.
    """
    version = tls_hello.Version.TLS_1_2
    if tls_hello.name_of(version) not in protocols.accepted:
        raise CouldNotLook(
            f"{origin.at} does not speak TLS 1.2, and in TLS 1.3 no stapled response can be seen without its keys",
            mend="leave `stapled` out for this site",
        )
    hello = tls_hello.client_hello(version, origin.server_name, asks_status=True)
    for pause_s in _PAUSES_S:  # each worker of nginx fetches one only when it was asked for it
        shown = exchange(origin, version, hello, tls_hello.stapled_response)
        if shown and shown[1]:
            break
        time.sleep(pause_s)
    if shown is None:
        raise CouldNotLook(f"{origin.at} shows no certificate in TLS 1.2", cause=f"handshake:{origin.site}")
    stapled, reason = _judged(*shown)
    return Stapling(stapled, reason, (Evidence(f"status_request to {origin.at}", reason),))


def _judged(certificate: bytes, response: bytes) -> tuple[bool | None, str]:
    """By RFC 6960, section 3.2, but for the signature, of which it needs the issuer's key."""
    if not response:
        return False, "nothing stapled"
    try:
        leaf = x509.load_der_x509_certificate(certificate)
        told = ocsp.load_der_ocsp_response(response)
        if told.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return None, f"what is stapled says {told.response_status.name.lower()}, and nothing of the certificate"
        about = [each for each in told.responses if each.serial_number == leaf.serial_number]
    except ValueError as error:
        return None, f"what is stapled can't be read: {error}"
    if not about:
        return None, "what is stapled is about another certificate"
    now, (single, *_) = datetime.now(UTC), about
    if single.certificate_status is not ocsp.OCSPCertStatus.GOOD:
        return None, f"what is stapled says that the certificate is {single.certificate_status.name.lower()}"
    if single.next_update_utc is not None and single.next_update_utc < now:
        return None, f"what is stapled ran out on {moment(single.next_update_utc)}"
    if single.this_update_utc > now + _CLOCKS_DIFFER:
        return None, f"what is stapled begins only on {moment(single.this_update_utc)}"
    until = f", until {moment(single.next_update_utc)}" if single.next_update_utc else ""
    return True, f"stapled: good{until}"


SECTIONS: Mapping[str, type[Spec]] = {}
FACTS: Mapping[str, Callable[..., Any]] = {"stapling": observe_stapling}
AHEAD = frozenset({"stapling"})
