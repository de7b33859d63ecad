"""What vouches for a certificate: logs of Certificate Transparency that sign as RFC 6962 says, and OCSP."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from tests.web import DAY, Key, Signed

POISON = ObjectIdentifier("1.3.6.1.4.1.11129.2.4.3")
STAMPS = ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")


@dataclass(frozen=True)
class Log:
    """A log that signs whatever precertificate it is given."""

    name: str
    key: Key = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def spki(self) -> bytes:
        return self.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def listed(self, state: str = "usable", since: str = "2020-01-01T00:00:00Z") -> dict[str, Any]:
        return {
            "description": self.name,
            "log_id": base64.b64encode(hashlib.sha256(self.spki).digest()).decode(),
            "key": base64.b64encode(self.spki).decode(),
            "url": "https://log.example/",
            "mmd": 86400,
            "state": {state: {"timestamp": since}},
        }

    def stamp(self, body: bytes, issuer: bytes, at_ms: int) -> bytes:
        entry = b"\0\1" + hashlib.sha256(issuer).digest() + len(body).to_bytes(3) + body + b"\0\0"
        data = b"\0\0" + at_ms.to_bytes(8) + entry
        if isinstance(self.key, rsa.RSAPrivateKey):
            kind, signature = 1, self.key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        else:
            kind, signature = 3, self.key.sign(data, ec.ECDSA(hashes.SHA256()))
        head = b"\0" + hashlib.sha256(self.spki).digest() + at_ms.to_bytes(8) + b"\0\0"
        return head + bytes((4, kind)) + len(signature).to_bytes(2) + signature


def listing(*logs: dict[str, Any]) -> str:
    """A log_list.json, version 3, with these."""
    return json.dumps({"version": "1.0", "operators": [{"logs": list(logs)}]})


def stamped(plain: Signed, *logs: Log, ahead_s: int = 0, forged: bool = False) -> Signed:
    """The same certificate with a timestamp of each log, which are shown the one with the poison in it."""
    signer, builder = plain.signer or plain, _anew(plain)
    poison = x509.UnrecognizedExtension(POISON, b"\x05\x00")
    precertificate = builder.add_extension(poison, critical=True).sign(signer.key, hashes.SHA256())
    assert precertificate.extensions.get_extension_for_oid(POISON).critical
    # Without the poison it is the plain one, which is what a log signs (RFC 6962, 3.2).
    body = builder.sign(signer.key, hashes.SHA256()).tbs_certificate_bytes
    issuer = signer.key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    at_ms = int((time.time() + ahead_s) * 1000)
    stamps = [log.stamp(body + b"x" * forged, issuer, at_ms) for log in logs]
    together = b"".join(len(each).to_bytes(2) + each for each in stamps)
    together = len(together).to_bytes(2) + together
    size = len(together)
    length = bytes((size,)) if size < 128 else b"\x81" + bytes((size,)) if size < 256 else b"\x82" + size.to_bytes(2)
    value = b"\x04" + length + together
    final = builder.add_extension(x509.UnrecognizedExtension(STAMPS, value), critical=False)
    return replace(plain, certificate=final.sign(signer.key, hashes.SHA256()))


def _anew(issued: Signed) -> x509.CertificateBuilder:
    shown = issued.certificate
    return (
        x509.CertificateBuilder(extensions=list(shown.extensions))
        .subject_name(shown.subject)
        .issuer_name(shown.issuer)
        .public_key(shown.public_key())
        .serial_number(shown.serial_number)
        .not_valid_before(shown.not_valid_before_utc)
        .not_valid_after(shown.not_valid_after_utc)
    )


def responder(issuer: Signed, ends: timedelta = DAY) -> Signed:
    """Whom the issuer has told to answer in its place."""
    plain = issuer.issue("OCSP", ends=ends)
    told_to = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])
    certificate = _anew(plain).add_extension(told_to, critical=False).sign(issuer.key, hashes.SHA256())
    return replace(plain, certificate=certificate)


def ocsp_response(
    shown: Signed,
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
    begins: timedelta = -DAY,
    ends: timedelta | None = DAY,
    by: Signed | None = None,
) -> bytes:
    """What the issuer of a certificate says of it, in DER, or what somebody else says `by` a certificate for that."""
    now, issuer = datetime.now(UTC), shown.signer or shown
    revoked = now - DAY if status is ocsp.OCSPCertStatus.REVOKED else None
    builder = ocsp.OCSPResponseBuilder().add_response(
        shown.certificate,
        issuer.certificate,
        hashes.SHA1(),
        status,
        now + begins,
        None if ends is None else now + ends,
        revoked,
        None,
    )
    signer = by or issuer
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
    if by:
        builder = builder.certificates([by.certificate])
    return builder.sign(signer.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
