"""What a server agrees to beyond the version: ciphers, who chooses among them, profiles and ALPN."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from readygate.areas.sites.nodes import at_each_address, nodes_of
from readygate.areas.sites.origin import Origin
from readygate.areas.tls import hello as tls_hello
from readygate.areas.tls.asking import exchange, handshake, say_hello
from readygate.areas.tls.certificate import Certificate, certificate_at
from readygate.areas.tls.suites import PROFILES, SUITES, Profile, is_forward_secret
from readygate.areas.tls.tls import Protocols
from readygate.areas.tls.trust import describing_context
from readygate.errors import CouldNotLook
from readygate.expectation import Expectation
from readygate.results import Evidence
from readygate.spec import Spec

_AT_A_TIME = 8
_BEFORE_1_3 = tuple(version for version in tls_hello.NAMES.values() if version < tls_hello.Version.TLS_1_3)


@dataclass(frozen=True, slots=True)
class NodeCiphers:
    """The suites that one node accepts below TLS 1.3; of a single one it leaves no choice.

    `dh_bits` is the size of the group for DHE, where that is accepted.
    """

    at: str
    accepted: tuple[str, ...]
    server_chooses: bool
    dh_bits: int | None
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Ciphers:
    """The suites that are accepted below TLS 1.3, by each node."""

    by_node: tuple[NodeCiphers, ...]

    @property
    def accepted(self) -> tuple[str, ...]:
        """Those of any node."""
        return tuple(dict.fromkeys(suite for node in self.by_node for suite in node.accepted))

    def worst(self, expected: Expectation) -> tuple[str, ...]:
        """What the first node accepts that falls short, or else the first."""
        return tuple(expected.worst(node.accepted for node in self.by_node))

    @property
    def server_chooses(self) -> bool | None:
        """None where nodes differ."""
        first, *others = {node.server_chooses for node in self.by_node}
        return None if others else first

    @property
    def dh_bits(self) -> int | None:
        return min((node.dh_bits for node in self.by_node if node.dh_bits is not None), default=None)

    @property
    def forward_secret(self) -> bool:
        """TLS 1.3 has nothing else (RFC 8446, section 1.2)."""
        return all(is_forward_secret(each) for each in self.accepted)

    @property
    def without_secrecy(self) -> str:
        return ", ".join(each for each in self.accepted if not is_forward_secret(each))

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        return tuple(node.evidence for node in self.by_node)

    @property
    def told(self) -> str:
        """What every node accepts, and who chooses there."""
        return "; ".join(
            f"{node.at}: {', '.join(node.accepted) or 'only TLS 1.3'}, "
            f"{'its own choice' if node.server_chooses else 'the client chooses'}"
            for node in self.by_node
        )


@dataclass(frozen=True, slots=True)
class MetProfiles:
    """The profiles of Mozilla's that are met, and why the others aren't."""

    names: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class SameCertificate:
    """Whether all nodes show one certificate."""

    yes: bool
    reason: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Agreed:
    """The protocol that both sides agreed on above TLS, by node; None where that chose none."""

    by_node: tuple[tuple[str, str | None], ...]
    evidence: tuple[Evidence, ...] = ()

    def worst(self, expected: Expectation) -> Any:
        """What the first node agreed on that falls short, or else the first."""
        return expected.worst(protocol for _, protocol in self.by_node)

    @property
    def told(self) -> str:
        return "; ".join(f"{at}: {protocol or 'none chosen'}" for at, protocol in self.by_node)


def observe_ciphers(protocols: Protocols) -> Ciphers:
    """Offer all suites to each node, take away what it chose, and offer the rest, until it refuses."""
    return Ciphers(tuple(_ciphers_at(place, accepted) for place, accepted in protocols.by_node))


def _ciphers_at(origin: Origin, versions: Sequence[str]) -> NodeCiphers:
    spoken = [version for version in _BEFORE_1_3 if tls_hello.name_of(version) in versions]
    if not spoken:
        return NodeCiphers(origin.at, (), True, None, Evidence(f"ciphers of {origin.at}", "only those of TLS 1.3"))
    version, codes = spoken[-1], list(SUITES)
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        shares = pool.map(lambda start: _accepted(origin, version, codes[start::_AT_A_TIME]), range(_AT_A_TIME))
        found = {code for share in shares for code in share}
    accepted = [code for code in codes if code in found]
    if not accepted:
        raise CouldNotLook(
            f"{origin.at} accepts no cipher suite of {tls_hello.name_of(version)} that is known here",
            cause=f"handshake:{origin.site}",
        )
    told = ", ".join(SUITES[code] for code in accepted)
    chooses = _server_chooses(origin, version, accepted) if len(accepted) > 1 else True
    dh_bits = _dh_bits(origin, version, accepted)
    told += f"; DHE with {dh_bits} bits" if dh_bits else ""
    offered = f"{len(codes)} cipher suites of {tls_hello.name_of(version)} offered to {origin.at}"
    suites = tuple(SUITES[code] for code in accepted)
    return NodeCiphers(origin.at, suites, chooses, dh_bits, Evidence(offered, told))


def observe_profiles(protocols: Protocols, ciphers: Ciphers, certificate: Certificate) -> MetProfiles:
    """Compare all nodes with each profile; what is stricter than a profile meets it as well."""
    wrong = {name: _beyond(profile, protocols, ciphers, certificate) for name, profile in PROFILES.items()}
    reasons = [f"not {name}: {'; '.join(each)}" for name, each in wrong.items() if each]
    return MetProfiles(tuple(name for name, each in wrong.items() if not each), " | ".join(reasons))


def observe_alpn(origin: Origin) -> Agreed:
    """Offer HTTP/2 and HTTP/1.1 to each node (RFC 7301)."""
    seen, passed_over = at_each_address(origin, _agreed_at)
    told = (Evidence(f"h2 and http/1.1 offered to {at}", protocol or "none chosen") for at, protocol in seen)
    return Agreed(tuple(seen), (*told, *passed_over))


def _agreed_at(origin: Origin) -> tuple[str, str | None]:
    context = describing_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with handshake(origin, context) as connection:
        return origin.at, connection.selected_alpn_protocol()


def observe_same_certificate(origin: Origin) -> SameCertificate:
    """The certificate of every node. CouldNotLook: one of them can't be reached."""
    shown = {node.at: certificate_at(node) for node in nodes_of(origin)}
    told = "; ".join(f"{at}: {each.fingerprint[:16]} until {each.not_after:%Y-%m-%d}" for at, each in shown.items())
    same = len({each.fingerprint for each in shown.values()}) == 1
    return SameCertificate(same, told, (Evidence(f"certificates of {len(shown)} nodes", told),))


def _accepted(origin: Origin, version: tls_hello.Version, codes: Sequence[int]) -> list[int]:
    rest, accepted = list(codes), []
    while rest:
        hello = say_hello(origin, version, rest)
        if hello is None or hello.version != version:
            break
        if hello.cipher not in rest:
            raise CouldNotLook(
                f"{origin.at} chooses the cipher 0x{hello.cipher:04x}, which was not offered",
                cause=f"handshake:{origin.site}",
            )
        accepted.append(hello.cipher)
        rest.remove(hello.cipher)
    return accepted


def _server_chooses(origin: Origin, version: tls_hello.Version, accepted: Sequence[int]) -> bool:
    there, back = (say_hello(origin, version, order) for order in (accepted, accepted[::-1]))
    return there == back


def _dh_bits(origin: Origin, version: tls_hello.Version, accepted: Sequence[int]) -> int | None:
    ephemeral = [code for code in accepted if SUITES[code].startswith(("DHE-", "ADH-", "EXP-DHE-"))]
    if not ephemeral:
        return None
    hello = tls_hello.client_hello(version, origin.server_name, ephemeral)
    bits = exchange(origin, version, hello, tls_hello.dh_bits)
    if bits is None:
        raise CouldNotLook(
            f"{origin.at} accepts DHE and then does not tell its group", cause=f"handshake:{origin.site}"
        )
    return bits


def _beyond(profile: Profile, protocols: Protocols, ciphers: Ciphers, certificate: Certificate) -> list[str]:
    """What the profile would not have."""
    wrong = []
    if versions := [each for each in protocols.accepted if each not in profile.protocols]:
        wrong.append(f"accepts {', '.join(versions)}")
    if suites := [each for each in ciphers.accepted if each not in profile.suites]:
        wrong.append(f"accepts {', '.join(suites)}")
    if ciphers.dh_bits is not None and ciphers.dh_bits < profile.dh_bits:
        wrong.append(f"DHE has {ciphers.dh_bits} bits")
    for each in certificate.shown_anywhere:
        if each.key_type == "RSA" and (profile.rsa_bits is None or (each.key_bits or 0) < profile.rsa_bits):
            wrong.append(f"its key is RSA of {each.key_bits} bits")
        if (days := (each.not_after - each.not_before).days) > profile.days:
            wrong.append(f"its certificate is valid for {days} days")
    return wrong


SECTIONS: Mapping[str, type[Spec]] = {}
FACTS: Mapping[str, Callable[..., Any]] = {
    "ciphers": observe_ciphers,
    "met_profiles": observe_profiles,
    "agreed": observe_alpn,
    "same_certificate": observe_same_certificate,
}
AHEAD = frozenset({"ciphers", "met_profiles", "agreed", "same_certificate"})
