"""Certificate Transparency, with logs of the tests' own that sign as RFC 6962 says."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtensionOID, ObjectIdentifier
from pydantic import ValidationError

from readygate.areas.sites.site import Site
from readygate.errors import CouldNotLook
from tests.web import Key, Signed, authority, failing, named, tls_context, web_server

HOST = "shop.example"
ROOT = authority()
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


A, B, C = Log("A"), Log("B", rsa.generate_private_key(65537, 2048)), Log("C")


def logged(*logs: Log, ahead_s: int = 0, forged: bool = False) -> Signed:
    """A certificate with a timestamp of each log, which are shown the same one with the poison in it."""
    key = ec.generate_private_key(ec.SECP256R1())
    plain = ROOT.issue(HOST, key=key).certificate
    builder = (
        x509.CertificateBuilder(extensions=list(plain.extensions))
        .subject_name(named(HOST))
        .issuer_name(plain.issuer)
        .public_key(key.public_key())
        .serial_number(plain.serial_number)
        .not_valid_before(plain.not_valid_before_utc)
        .not_valid_after(plain.not_valid_after_utc)
    )
    poison = x509.UnrecognizedExtension(POISON, b"\x05\x00")
    precertificate = builder.add_extension(poison, critical=True).sign(ROOT.key, hashes.SHA256())
    assert precertificate.extensions.get_extension_for_oid(POISON).critical
    # Without the poison it is the plain one, which is what a log signs (RFC 6962, 3.2).
    body = builder.sign(ROOT.key, hashes.SHA256()).tbs_certificate_bytes
    issuer = ROOT.key.public_key().public_bytes(
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
    return replace(ROOT.issue(HOST, key=key), certificate=final.sign(ROOT.key, hashes.SHA256()))


def failed(
    folder: Path, shown: Signed, *logs: dict[str, Any], chain: tuple[Signed, ...] = (ROOT,), **tls: Any
) -> set[str]:
    if logs:
        (folder / "log_list.json").write_text(json.dumps({"version": "1.0", "operators": [{"logs": list(logs)}]}))
        tls["ct_logs"] = str(folder / "log_list.json")
    with web_server(context=tls_context(folder, shown, *chain)) as port:
        return failing("sites", {"url": f"https://{HOST}:{port}", "resolve": "127.0.0.1", "tls": {"scts": 2, **tls}})


def test_logs_are_counted_once_each(tmp_path: Path) -> None:
    assert logged(A).certificate.extensions.get_extension_for_oid(ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS)
    assert not failed(tmp_path, logged(A, B))
    assert not failed(tmp_path, logged(A, B, C), scts=">=3")
    assert failed(tmp_path, logged(A, A)) == {"tls.scts"}
    assert failed(tmp_path, logged(A)) == {"tls.scts"}
    assert failed(tmp_path, ROOT.issue(HOST)) == {"tls.scts"}


def test_timestamps_are_verified_where_logs_are_listed(tmp_path: Path) -> None:
    known = (A.listed(), B.listed())
    assert not failed(tmp_path, logged(A, B), *known)
    assert failed(tmp_path, logged(A, C), *known) == {"tls.scts"}
    assert failed(tmp_path, logged(A, B, forged=True), *known) == {"tls.scts"}
    assert failed(tmp_path, logged(A, B, ahead_s=3600), *known) == {"tls.scts"}


def test_a_timestamp_of_another_certificate_vouches_for_nothing(tmp_path: Path) -> None:
    ours, theirs = logged(A, B), logged(A, B)
    assert failed(tmp_path, ours, *(each.listed() for each in (A, B))) == set()
    stamps = theirs.certificate.extensions.get_extension_for_oid(STAMPS)
    stolen = x509.CertificateBuilder(
        extensions=[each for each in ours.certificate.extensions if each.oid != STAMPS] + [stamps]
    )
    stolen = stolen.subject_name(named(HOST)).issuer_name(ours.certificate.issuer)
    stolen = stolen.public_key(ours.key.public_key()).serial_number(5)
    stolen = stolen.not_valid_before(ours.certificate.not_valid_before_utc)
    stolen = stolen.not_valid_after(ours.certificate.not_valid_after_utc)
    shown = replace(ours, certificate=stolen.sign(ROOT.key, hashes.SHA256()))
    assert failed(tmp_path, shown, *(each.listed() for each in (A, B))) == {"tls.scts"}


@pytest.mark.parametrize(
    ("state", "since", "counts"),
    [
        ("qualified", "2020-01-01T00:00:00Z", True),
        ("readonly", "2020-01-01T00:00:00Z", True),
        ("retired", "2999-01-01T00:00:00Z", True),
        ("retired", "2020-01-01T00:00:00Z", False),
        ("rejected", "2020-01-01T00:00:00Z", False),
        ("pending", "2020-01-01T00:00:00Z", False),
    ],
)
def test_the_state_of_a_log_decides_whether_it_counts(tmp_path: Path, state: str, since: str, counts: bool) -> None:
    shown = logged(A, B)
    assert failed(tmp_path, shown, A.listed(), B.listed(state, since)) == (set() if counts else {"tls.scts"})


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"operators": []}', '{"operators": [{"logs": [{"state": {"usable": 1}}]}]}'],
)
def test_a_list_that_cannot_be_used_is_no_verdict(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.json").write_text(text)
    with pytest.raises(CouldNotLook, match="list"):
        failed(tmp_path, logged(A, B), ct_logs=str(tmp_path / "list.json"))
    with pytest.raises(CouldNotLook, match="can't be read"):
        failed(tmp_path, logged(A, B), ct_logs=str(tmp_path / "none.json"))


def test_without_the_issuer_nothing_can_be_verified(tmp_path: Path) -> None:
    with pytest.raises(CouldNotLook, match="certificate of the issuer"):
        failed(tmp_path, logged(A, B), A.listed(), B.listed(), chain=())


def test_a_list_without_a_count_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"add e\.g\. scts: 2"):
        Site.model_validate({"url": "https://a.example", "tls": {"trusted": True, "ct_logs": "list.json"}})
