"""The OCSP response that a server staples to its certificate, and whether clients can go by it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, SignatureAlgorithmOID

from readygate.areas.sites.origin import Origin
from readygate.areas.tls import hello as tls_hello
from readygate.areas.tls.asking import exchange
from readygate.areas.tls.certificate import moment
from readygate.areas.tls.tls import Protocols
from readygate.areas.tls.trust import careful_client
from readygate.errors import CouldNotLook
from readygate.results import Evidence
from readygate.spec import Spec

_PAUSES_S = (0.0, 0.1, 0.1, 0.2)
_PSS = SignatureAlgorithmOID.RSASSA_PSS
_CLOCKS_DIFFER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Stapling:
    """Whether a response is stapled; None where no client can go by one, or nodes differ, as `reason` says."""

    stapled: bool | None
    reason: str
    evidence: tuple[Evidence, ...] = ()


def observe_stapling(origin: Origin, protocols: Protocols) -> Stapling:
    """Ask each node for an OCSP response in TLS 1.2, where anybody can read it.

    CouldNotLook: a node speaks only TLS 1.3, or the issuer is not known by whose key it would be verified.
    """
    seen = {place.at: _stapled_at(place, accepted) for place, accepted in protocols.by_node}
    verdicts = {stapled for stapled, _ in seen.values()}
    return Stapling(
        verdicts.pop() if len(verdicts) == 1 else None,
        "; ".join(f"{at}: {reason}" for at, (_, reason) in seen.items()),
        tuple(Evidence(f"status_request to {at}", reason) for at, (_, reason) in seen.items()),
    )


def _stapled_at(origin: Origin, accepted: Sequence[str]) -> tuple[bool | None, str]:
    version = tls_hello.Version.TLS_1_2
    if tls_hello.name_of(version) not in accepted:
        raise CouldNotLook(
            f"{origin.at} does not speak TLS 1.2, and in TLS 1.3 no stapled response can be seen without its keys",
            mend="leave `stapled` out for this site",
        )
    hello = tls_hello.client_hello(version, origin.server_name, asks_status=True)
    for pause_s in _PAUSES_S:  # each worker of nginx fetches one only when it was asked for it
        time.sleep(pause_s)
        shown = exchange(origin, version, hello, tls_hello.stapled_response)
        if shown and shown[1]:
            break
    if shown is None:
        raise CouldNotLook(f"{origin.at} shows no certificate in TLS 1.2", cause=f"handshake:{origin.site}")
    return _judged(origin, *shown)


def _judged(origin: Origin, chain: Sequence[bytes], response: bytes) -> tuple[bool | None, str]:
    """By RFC 6960, section 3.2."""
    if not response:
        return False, "nothing stapled"
    try:
        leaf, *others = (x509.load_der_x509_certificate(each) for each in chain)
        told = ocsp.load_der_ocsp_response(response)
        if told.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return None, f"what is stapled says {told.response_status.name.lower()}, and nothing of the certificate"
        about = [each for each in told.responses if each.serial_number == leaf.serial_number]
        helpers = told.certificates
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
    issuer = _issuer(origin, leaf, others)
    signers = (issuer, *(each for each in helpers if _may_answer_for(issuer, each)))
    if not any(_has_signed(each, told) for each in signers):
        return None, "what is stapled is not signed by the issuer, nor by whom it has told to"
    until = f", until {moment(single.next_update_utc)}" if single.next_update_utc else ""
    return True, f"stapled: good{until}"


def _issuer(origin: Origin, leaf: x509.Certificate, sent: Iterable[x509.Certificate]) -> x509.Certificate:
    """The issuer among what the server sent and what is trusted here."""
    named = leaf.issuer.public_bytes()
    trusted = (each for each in careful_client(origin.ca).get_ca_certs(binary_form=True) if named in each)
    for each in (*sent, *(x509.load_der_x509_certificate(each) for each in trusted)):
        if _has_issued(each, leaf):
            return each
    raise CouldNotLook(
        f"{origin.at} sends no certificate of its issuer by which what is stapled could be verified",
        mend="serve the full chain",
    )


def _has_issued(issuer: x509.Certificate, issued: x509.Certificate) -> bool:
    try:
        issued.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _may_answer_for(issuer: x509.Certificate, signer: x509.Certificate) -> bool:
    """Whether the issuer has given it a certificate for just that (RFC 6960, section 4.2.2.2)."""
    try:
        usage = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False
    is_valid = signer.not_valid_before_utc <= datetime.now(UTC) <= signer.not_valid_after_utc
    return is_valid and ExtendedKeyUsageOID.OCSP_SIGNING in usage and _has_issued(issuer, signer)


def _has_signed(signer: x509.Certificate, told: ocsp.OCSPResponse) -> bool:
    signed = told.signature, told.tbs_response_bytes
    try:
        hashed = told.signature_hash_algorithm
        match signer.public_key():
            case rsa.RSAPublicKey() as key if hashed and told.signature_algorithm_oid != _PSS:
                key.verify(*signed, padding.PKCS1v15(), hashed)
            case ec.EllipticCurvePublicKey() as key if hashed:
                key.verify(*signed, ec.ECDSA(hashed))
            case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey() as key:
                key.verify(*signed)
            case _:
                raise UnsupportedAlgorithm(told.signature_algorithm_oid.dotted_string)
    except InvalidSignature:
        return False
    except UnsupportedAlgorithm as error:
        raise CouldNotLook(f"what is stapled is signed in a way that is unknown here: {error}") from error
    return True


SECTIONS: Mapping[str, type[Spec]] = {}
FACTS: Mapping[str, Callable[..., Any]] = {"stapling": observe_stapling}
AHEAD = frozenset({"stapling"})
