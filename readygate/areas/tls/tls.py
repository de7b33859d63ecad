"""What a site's TLS may be declared to be, and how its certificate and its protocols are observed."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import partial
from typing import Annotated, Any, ClassVar, Self

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID
from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from readygate.areas.mentioned import members
from readygate.areas.sites.nodes import at_each_address
from readygate.areas.sites.origin import Origin
from readygate.areas.tls import hello as tls_hello
from readygate.areas.tls import renewal, transparency
from readygate.areas.tls.asking import RefusedError, chain, handshake, say_hello
from readygate.areas.tls.certificate import moment, observe_certificate
from readygate.areas.tls.renewal import DeployedCertificate, Renewal
from readygate.areas.tls.suites import PROFILES, SUITES
from readygate.areas.tls.trust import Fault, describing_context, fault_of, knowing_only, verifying_context
from readygate.errors import CouldNotLook, Mistake
from readygate.expectation import AtLeastCount, AtLeastDuration, Expectation, Flag, Text, TextSet
from readygate.results import Evidence
from readygate.spec import Spec


def _as_member(raw: object) -> object:
    """A profile is met or not: `intermediate` means that it is among those that are met."""
    if isinstance(raw, Expectation):
        return raw
    if not isinstance(raw, str) or raw not in PROFILES:
        raise Mistake(f"'{raw}' is not a profile of Mozilla's", f"write {', '.join(PROFILES)}")
    return {"contains": [raw]}


Profile = Annotated[TextSet, BeforeValidator(_as_member), WithJsonSchema({"enum": list(PROFILES)})]


class Tls(Spec):
    """The TLS of a site: its certificate, the trust in it, and the versions that are spoken."""

    area: ClassVar[str] = "tls"
    noun: ClassVar[str] = "tls"

    renew_before: AtLeastDuration | None = Field(
        None, description="How much lifetime the certificate must have left."
    )
    matches_host: Flag | None = Field(
        None, description="Whether the certificate names the host of the site's own url."
    )
    covers: TextSet | None = Field(
        None, description="Host names that the certificate must cover, by name or by wildcard."
    )
    trusted: Flag | None = Field(
        None, description="Whether the chain verifies against the system's store, or against `ca`."
    )
    protocols: TextSet | None = Field(
        None,
        description="The versions that are accepted, and no others: SSLv3, TLSv1, TLSv1.1, TLSv1.2, TLSv1.3.",
    )
    key_bits: AtLeastCount | None = Field(
        None, description="The strength of the certificate's key, in bits of an RSA key."
    )
    key_type: Text | None = Field(None, description="The kind of the certificate's key: RSA, ECDSA, Ed25519.")
    signature: Text | None = Field(None, description="The hash that the certificate is signed with, e.g. sha256.")
    ciphers: TextSet | None = Field(
        None, description="The cipher suites of TLS 1.2 that are accepted, and no others, by OpenSSL's names."
    )
    forward_secrecy: Flag | None = Field(
        None, description="Whether a key that is stolen later opens none of today's connections."
    )
    server_preference: Flag | None = Field(None, description="Whether the server chooses among the ciphers.")
    profile: Profile | None = Field(
        None, description="A profile of Mozilla's that is met, or a stricter one: modern, intermediate or old."
    )
    alpn: Text | None = Field(None, description="The protocol that is agreed on, when h2 and http/1.1 are offered.")
    stapled: Flag | None = Field(None, description="Whether an OCSP response comes along with the certificate.")
    same_on_every_node: Flag | None = Field(
        None, description="Whether all of the site's `nodes` show the same certificate."
    )
    deployed: DeployedCertificate | None = Field(None, description="The file that the certificate is served from.")
    renewal: Renewal | None = Field(None, description="How the certificate is renewed, as its server tells.")
    scts: AtLeastCount | None = Field(
        None, description="How many logs of Certificate Transparency vouch for the certificate in itself."
    )
    ct_logs: str | None = Field(
        None, description="A setting: a log_list.json (version 3) of the logs by whose keys `scts` is verified."
    )
    issuer: Text | None = Field(
        None, description="The organisation that issued the certificate, or else the issuer's common name."
    )
    ca: str | None = Field(None, description="A setting: the path of a PEM bundle to trust instead of the system's.")

    @property
    def names_to_cover(self) -> tuple[str, ...]:
        """Every host name that stands in `covers`."""
        return members(self.covers)

    @property
    def judged_faults(self) -> frozenset[Fault]:
        """The faults that a check declared here is sure to tell of, so that nothing else need stumble over them.

        `renew_before` is none: it sees the site's own certificate, and an intermediate may have expired.
        """
        of_host = {Fault.WRONG_HOST} if self.matches_host else set()
        of_chain = set(Fault) - {Fault.WRONG_HOST} if self.trusted else set()
        return frozenset(of_host | of_chain)

    @model_validator(mode="after")
    def _lists_logs_for_a_reason(self) -> Self:
        if self.ct_logs is not None and self.scts is None:
            raise Mistake("ct_logs is set, but no scts are declared", "add e.g. scts: 2")
        return self

    @model_validator(mode="after")
    def _names_versions_that_exist(self) -> Self:
        for version in members(self.protocols):
            if version not in tls_hello.NAMES:
                raise Mistake(f"'{version}' is not a version of TLS", f"write {', '.join(tls_hello.NAMES)}")
        for cipher in members(self.ciphers):
            if cipher not in SUITES.values():
                close = get_close_matches(cipher, SUITES.values(), n=1) or ["ECDHE-RSA-AES128-GCM-SHA256"]
                raise Mistake(
                    f"'{cipher}' is no cipher suite of TLS 1.2", f"write it as OpenSSL does, e.g. {close[0]}"
                )
        return self


@dataclass(frozen=True, slots=True)
class Trust:
    """Whether a careful client trusts the chain, and why not; the host name is not looked at here."""

    fault: Fault | None
    reason: str
    evidence: tuple[Evidence, ...] = ()

    @property
    def verified(self) -> bool:
        return self.fault is None


@dataclass(frozen=True, slots=True)
class Protocols:
    """The versions of TLS and SSL that a server accepts, from the oldest to the newest.

    `accepted` are those of any node; `by_node` has them one by one.
    """

    accepted: tuple[str, ...]
    by_node: tuple[tuple[Origin, tuple[str, ...]], ...]
    evidence: tuple[Evidence, ...] = ()

    def worst(self, expected: Expectation) -> tuple[str, ...]:
        """What the first node accepts that falls short, or else the first."""
        return tuple(expected.worst(accepted for _, accepted in self.by_node))

    @property
    def told(self) -> str:
        return "; ".join(f"{place.at}: {', '.join(accepted)}" for place, accepted in self.by_node)


def observe_trust(origin: Origin) -> Trust:
    """Let a careful client shake hands; where it refuses, look again at what the server sent and say why.

    Clients who know only RSA or only ECDSA may be shown another chain, which has to be as good; and so may those who
    come to another node.
    """
    seen, passed_over = at_each_address(origin, _trust_at)
    worst = next((each for each in seen if each.fault), seen[0])
    return replace(worst, evidence=(*(evidence for each in seen for evidence in each.evidence), *passed_over))


def _trust_at(origin: Origin) -> Trust:
    fault, reason = _judged(origin, lambda context: context)
    for kind in ("aRSA", "aECDSA"):
        if fault is None:
            with suppress(RefusedError):
                fault, reason = _judged(origin, partial(knowing_only, kind))
    store = origin.ca or "the system's store"
    asked = f"verify the chain of {origin.url('/')}{origin.elsewhere} against {store}"
    return Trust(fault, f"{reason}{origin.elsewhere}" if fault else reason, (Evidence(asked, reason),))


def _judged(origin: Origin, changed: Callable[[ssl.SSLContext], ssl.SSLContext]) -> tuple[Fault | None, str]:
    try:
        with handshake(origin, changed(verifying_context(origin.ca, names_too=False))):
            return None, "the chain verifies"
    except ssl.SSLCertVerificationError as error:
        with handshake(origin, changed(describing_context())) as connection:
            return _explain(error, chain(origin, connection))


def observe_protocols(origin: Origin) -> Protocols:
    """Offer each version alone to each node; none is taken for refused unless the server said so."""
    seen, passed_over = at_each_address(origin, _protocols_at)
    accepted = tuple(name for name in tls_hello.NAMES if any(name in each.accepted for each in seen))
    by_node = tuple(node for each in seen for node in each.by_node)
    return Protocols(accepted, by_node, (*(evidence for each in seen for evidence in each.evidence), *passed_over))


def _protocols_at(origin: Origin) -> Protocols:
    with ThreadPoolExecutor(len(tls_hello.NAMES)) as pool:
        answers = list(pool.map(lambda version: _accepts(origin, version), tls_hello.NAMES.values()))
    accepted = tuple(name for name, yes in zip(tls_hello.NAMES, answers, strict=True) if yes)
    if not accepted:
        raise CouldNotLook(
            f"{origin.at} accepts no version of TLS at all",
            cause=f"handshake:{origin.site}",
            mend=f"see with `openssl s_client -connect {origin.at}` what it answers",
        )
    verdicts = (
        f"{name} {'accepted' if yes else 'refused'}" for name, yes in zip(tls_hello.NAMES, answers, strict=True)
    )
    evidence = Evidence(f"a ClientHello of each version to {origin.url('/')}{origin.elsewhere}", ", ".join(verdicts))
    return Protocols(accepted, ((origin, accepted),), (evidence,))


def _accepts(origin: Origin, version: tls_hello.Version) -> bool:
    hello = say_hello(origin, version)
    return hello is not None and hello.version == version


def _explain(error: ssl.SSLCertVerificationError, chain: tuple[x509.Certificate, ...]) -> tuple[Fault, str]:
    fault, leaf = fault_of(error), chain[0]
    issuer = chain[-1].issuer.rfc4514_string()
    now = datetime.now(UTC)
    # What is out of date needn't be the site's own certificate: an intermediate runs out as well.
    late = next((each for each in chain if each.not_valid_after_utc < now), leaf)
    early = next((each for each in chain if each.not_valid_before_utc > now), leaf)
    match fault:
        case Fault.EXPIRED:
            return fault, f"{late.subject.rfc4514_string()} expired on {moment(late.not_valid_after_utc)}"
        case Fault.NOT_YET_VALID:
            begins = moment(early.not_valid_before_utc)
            return fault, f"{early.subject.rfc4514_string()} is not yet valid, and begins on {begins}"
        case Fault.UNKNOWN_ISSUER if len(chain) == 1 and _says_where_its_issuer_is(leaf):
            return (
                Fault.MISSING_INTERMEDIATE,
                f"missing intermediate: the server doesn't send the certificate of {issuer}",
            )
        case Fault.UNKNOWN_ISSUER:
            return fault, f"unknown issuer: {issuer} is not trusted here"
        case Fault.SELF_SIGNED:
            return fault, f"self-signed: {issuer} has signed itself"
        case _:
            return fault, f"{fault}: {error.verify_message}"


def _says_where_its_issuer_is(leaf: x509.Certificate) -> bool:
    """Public CAs say where the intermediate is found (RFC 5280, 4.2.2.1); a root has no need to."""
    try:
        access = leaf.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return False
    return any(each.access_method == AuthorityInformationAccessOID.CA_ISSUERS for each in access)


SECTIONS: Mapping[str, type[Spec]] = {}
FACTS: Mapping[str, Callable[..., Any]] = {
    "certificate": observe_certificate,
    "trust": observe_trust,
    "protocols": observe_protocols,
    **renewal.FACTS,
    **transparency.FACTS,
}
AHEAD = frozenset({"certificate", "trust", "protocols", "transparency"})
