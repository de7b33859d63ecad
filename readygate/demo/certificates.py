"""The demo's own certificate authority: a root, an intermediate, and a certificate for the service."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA = "ca.pem"
CHAIN = "server.pem"
KEY = "server.key"

YEARS = timedelta(days=3650)
LIFETIME = timedelta(days=120)


def issue_certificates(directory: Path, names: tuple[str, ...], left: timedelta) -> None:
    """Write ca.pem, server.pem (leaf, then intermediate) and server.key (mode 0600) to the directory."""
    root_key, middle_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    now = datetime.now(UTC)

    root = (
        _authority("Shop demo root", root_key, now, path_length=1)
        .issuer_name(_common_name("Shop demo root"))
        .sign(root_key, SHA256())
    )
    middle = (
        _authority("Shop demo intermediate", middle_key, now, path_length=0)
        .issuer_name(root.subject)
        .add_extension(_issued_by(root_key), critical=False)
        .sign(root_key, SHA256())
    )
    leaf = (
        _certificate(names[0], key, now + left - LIFETIME, now + left)
        .issuer_name(middle.subject)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_issued_by(middle_key), critical=False)
        .sign(middle_key, SHA256())
    )

    key_file = directory / KEY
    key_file.touch(mode=0o600)
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (directory / CHAIN).write_bytes(leaf.public_bytes(Encoding.PEM) + middle.public_bytes(Encoding.PEM))
    (directory / CA).write_bytes(root.public_bytes(Encoding.PEM))


def _authority(
    name: str, key: ec.EllipticCurvePrivateKey, now: datetime, *, path_length: int
) -> x509.CertificateBuilder:
    usage = x509.KeyUsage(
        key_cert_sign=True,
        crl_sign=True,
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        _certificate(name, key, now - YEARS, now + YEARS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(usage, critical=True)
    )


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_common_name(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _issued_by(key: ec.EllipticCurvePrivateKey) -> x509.AuthorityKeyIdentifier:
    # Python 3.13 verifies strictly (RFC 5280, 4.2.1.1): a certificate without this is refused.
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
