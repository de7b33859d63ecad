"""The certificate that a server shows, and the one that it shows to clients who know only another kind of key."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.oid import NameOID

from readygate.areas.sites.nodes import at_each_address
from readygate.areas.sites.origin import Origin, ascii_name, is_address
from readygate.areas.tls.asking import RefusedError, chain, handshake
from readygate.areas.tls.trust import describing_context, knowing_only
from readygate.expectation import Expectation
from readygate.results import Evidence


@dataclass(frozen=True, slots=True)
class Certificate:
    """The certificate that a server showed, trusted or not.

    `names` are its DNS names and addresses; its common name counts for nothing (RFC 6125, section 6.4.4). `twin` is
    the one that a client sees who knows only the other kind of key, RSA or ECDSA, where the server has such;
    `elsewhere` are those that other nodes show in place of it.
    """

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    key_bits: int | None
    key_type: str
    signature: str | None
    fingerprint: str
    seen_at: datetime
    evidence: tuple[Evidence, ...] = ()
    twin: Certificate | None = None
    elsewhere: tuple[Certificate, ...] = ()

    @property
    def shown(self) -> tuple[Certificate, ...]:
        """This one, and its twin."""
        return (self, self.twin) if self.twin else (self,)

    @property
    def shown_anywhere(self) -> tuple[Certificate, ...]:
        """Those of all nodes, with their twins."""
        return tuple(each for node in (self, *self.elsewhere) for each in node.shown)

    def worst(self, name: str, expected: Expectation) -> Any:
        """What is by this name in the certificate of the first node that falls short there, or else of the first."""
        return expected.worst(getattr(each, name) for each in (self, *self.elsewhere))

    @property
    def lifetime_left(self) -> timedelta:
        return min(each.not_after for each in self.shown_anywhere) - self.seen_at

    @property
    def weakest_bits(self) -> int | None:
        """The strength of the weaker key, in bits of an RSA key; None where the kind of one isn't known."""
        bits = [each.key_bits for each in self.shown_anywhere]
        return None if None in bits else min(each for each in bits if each is not None)

    def covers(self, host: str) -> bool:
        """Whether the name or address is among the certificate's own; see RFC 6125, section 6.4."""
        return all(each._names(host) for each in self.shown_anywhere)

    def _names(self, host: str) -> bool:
        if is_address(host):
            return any(_same_address(name, host) for name in self.names)
        return any(_matches(name, ascii_name(host)) for name in self.names)

    def covered(self, hosts: Iterable[str], expected: Expectation) -> tuple[str, ...]:
        """Those of the hosts that the first certificate covers that falls short, or else the first."""
        hosts = tuple(hosts)
        covered = (tuple(host for host in hosts if each._names(host)) for each in self.shown_anywhere)
        return tuple(expected.worst(covered))


def observe_certificate(origin: Origin) -> Certificate:
    """The certificate as each node serves it, without a question whether it is to be trusted."""
    seen, passed_over = at_each_address(origin, certificate_at)
    distinct: dict[tuple[str, ...], Certificate] = {}
    for node in seen:
        distinct.setdefault(tuple(each.fingerprint for each in node.shown), node)
    first, *others = distinct.values()
    told = (evidence for each in (first, *others) for evidence in each.evidence)
    return replace(first, elsewhere=tuple(others), evidence=(*told, *passed_over))


def certificate_at(origin: Origin) -> Certificate:
    """The certificate that is served there, and its twin."""
    certificate = _described(origin, describing_context())
    other = "aECDSA" if certificate.key_type == "RSA" else "aRSA"
    try:
        twin = _described(origin, knowing_only(other, describing_context()))
    except RefusedError:
        return certificate
    if twin.fingerprint == certificate.fingerprint:
        return certificate
    return replace(certificate, twin=twin, evidence=(*certificate.evidence, *twin.evidence))


def _described(origin: Origin, context: ssl.SSLContext) -> Certificate:
    with handshake(origin, context) as connection:
        leaf = chain(origin, connection)[0]
    names = _names_in(leaf)
    told = (
        f"{leaf.subject.rfc4514_string()} for {', '.join(names) or 'no name'}, "
        f"valid from {moment(leaf.not_valid_before_utc)} to {moment(leaf.not_valid_after_utc)}, "
        f"issued by {leaf.issuer.rfc4514_string()}"
    )
    return Certificate(
        subject=leaf.subject.rfc4514_string(),
        issuer=_organisation(leaf.issuer),
        names=names,
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        key_bits=_rsa_bits(leaf.public_key()),
        key_type=_key_type(leaf.public_key()),
        signature=leaf.signature_hash_algorithm.name if leaf.signature_hash_algorithm else None,
        fingerprint=leaf.fingerprint(hashes.SHA256()).hex(),
        seen_at=datetime.now(UTC),
        evidence=(Evidence(f"the certificate of {origin.url('/')}{origin.elsewhere}", told),),
    )


def moment(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC"


def _names_in(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    hosts = names.get_values_for_type(x509.DNSName)
    return (*hosts, *(str(address) for address in names.get_values_for_type(x509.IPAddress)))


def _matches(name: str, host: str) -> bool:
    """A wildcard stands for one whole label, and only for the leftmost (RFC 6125, section 6.4.3)."""
    name, host = name.lower().rstrip("."), host.rstrip(".")
    if not name.startswith("*."):
        return name == host
    label, _, parent = host.partition(".")
    return bool(label) and parent == name.removeprefix("*.") and "." in parent


def _same_address(name: str, host: str) -> bool:
    return is_address(name) and ipaddress.ip_address(name) == ipaddress.ip_address(host)


def _organisation(issuer: x509.Name) -> str:
    for oid in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        for attribute in issuer.get_attributes_for_oid(oid):
            return str(attribute.value)
    return issuer.rfc4514_string()


def _rsa_bits(key: object) -> int | None:
    """The size of the RSA key that is as strong (NIST SP 800-57 part 1, table 2), where the kind is known."""
    match key:
        case rsa.RSAPublicKey() | dsa.DSAPublicKey():
            return key.key_size
        case ec.EllipticCurvePublicKey():
            steps = {512: 15360, 384: 7680, 256: 3072, 224: 2048, 160: 1024}
            return next((bits for size, bits in steps.items() if key.key_size >= size), key.key_size)
        case ed25519.Ed25519PublicKey():
            return 3072
        case ed448.Ed448PublicKey():
            return 7680
        case _:
            return None


def _key_type(key: object) -> str:
    names = {
        rsa.RSAPublicKey: "RSA",
        ec.EllipticCurvePublicKey: "ECDSA",
        ed25519.Ed25519PublicKey: "Ed25519",
        ed448.Ed448PublicKey: "Ed448",
        dsa.DSAPublicKey: "DSA",
    }
    return next((name for kind, name in names.items() if isinstance(key, kind)), type(key).__name__)
