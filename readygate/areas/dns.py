"""What DNS may be declared to say of a name, and what resolvers really answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, ClassVar

import dns.exception
import dns.flags
import dns.name
import dns.nameserver
import dns.rdata
import dns.resolver
from pydantic import Field, model_validator

from readygate.areas.mentioned import members
from readygate.areas.sites.nodes import Node, split_node
from readygate.areas.sites.origin import ascii_name, is_address
from readygate.areas.whois import Registration, ask_registration
from readygate.errors import CouldNotLook, Mistake
from readygate.expectation import AtLeastDuration, AtMostDuration, Flag, Seconds, TextSet
from readygate.results import Evidence
from readygate.spec import Spec

TYPES = ("A", "AAAA", "CNAME", "MX", "NS", "TXT", "CAA")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


class Domain(Spec):
    """A name in DNS; the key is the name."""

    area: ClassVar[str] = "dns"
    noun: ClassVar[str] = "domain"

    A: TextSet | None = Field(None, description="Its IPv4 addresses.")
    AAAA: TextSet | None = Field(None, description="Its IPv6 addresses.")
    CNAME: TextSet | None = Field(None, description="The name that it is another name for.")
    MX: TextSet | None = Field(None, description='Its mail servers: "10 mail.example.com".')
    NS: TextSet | None = Field(None, description="Its name servers.")
    TXT: TextSet | None = Field(None, description="Its texts, such as SPF, each as a whole.")
    CAA: TextSet | None = Field(None, description="""Who may issue for it: '0 issue "letsencrypt.org"'.""")
    absent: TextSet | None = Field(None, description=f"Types of which it has no record: {', '.join(TYPES)}.")
    ttl: AtMostDuration | None = Field(
        None, description="How long the declared records may be remembered, as the longest says; low before a move."
    )
    resolvers_agree: Flag | None = Field(None, description="Whether all `resolvers` answer the same.")
    registered_for: AtLeastDuration | None = Field(
        None, description="How long the domain is still registered, by whois; for the name that was registered."
    )

    resolvers: tuple[str, ...] = Field(
        (), description="A setting: addresses to ask, [address]:port for another port; this machine's unless set."
    )
    whois: Node | None = Field(
        None, description="A setting: the whois server to ask, host[:port]; that of the top-level domain unless set."
    )
    timeout: Seconds = Field(5.0, description="A setting: how long to wait for an answer, at most.")

    @property
    def asked_types(self) -> tuple[str, ...]:
        """Every type that something is declared of."""
        absent = members(self.absent)
        return tuple(each for each in TYPES if getattr(self, each) is not None or each in absent)

    def refuse_name(self, name: str) -> None:
        try:
            labels = ascii_name(name.rstrip(".")).split(".")
        except ValueError:
            labels = []
        if is_address(name) or not labels or not all(_LABEL.fullmatch(each) for each in labels):
            raise Mistake(f"'{name}' is not a name in DNS", "write e.g. example.com")

    @model_validator(mode="after")
    def _can_be_asked(self) -> Domain:
        for kind in members(self.absent):
            if kind not in TYPES:
                raise Mistake(f"'{kind}' is not a type of record", f"write {', '.join(TYPES)}")
        for kind in TYPES:
            for written in members(getattr(self, kind)):
                if (right := _as_answered(kind, written)) != written:
                    raise Mistake(f"no answer is ever written as '{written}'", f"write {right}")
        for resolver in self.resolvers:
            if not _is_resolver(resolver):
                raise Mistake(f"'{resolver}' is not the address of a resolver", "write e.g. 1.1.1.1 or [::1]:5353")
        if self.resolvers_agree is not None and len(self.resolvers) < 2:
            raise Mistake("one alone always agrees", "add `resolvers: [1.1.1.1, 8.8.8.8]`, or your name servers")
        if not self.asked_types and (self.registered_for is None or self.ttl or self.resolvers_agree):
            raise Mistake("there is no record to ask for", "declare at least one, e.g. A: [203.0.113.10]")
        return self


@dataclass(frozen=True, slots=True)
class Answer:
    """The records of one type, as people write them, and for how long they may be remembered at the longest."""

    records: tuple[str, ...]
    ttl_s: int | None = None


@dataclass(frozen=True, slots=True)
class Records:
    """What was answered for each type that something is declared of, or why nothing was."""

    by_type: Mapping[str, Answer | CouldNotLook]
    unwanted: tuple[str, ...]
    evidence: tuple[Evidence, ...] = ()

    def of(self, kind: str) -> tuple[str, ...]:
        return self._answer(kind).records

    @property
    def absent(self) -> tuple[str, ...]:
        """Of the types that are to have no record those that have none."""
        return tuple(kind for kind in self.unwanted if not self.of(kind))

    @property
    def ttl_s(self) -> int | None:
        """The longest of all."""
        ttls = (self._answer(kind).ttl_s for kind in self.by_type)
        return max((ttl_s for ttl_s in ttls if ttl_s is not None), default=None)

    def _answer(self, kind: str) -> Answer:
        answer = self.by_type[kind]
        if isinstance(answer, CouldNotLook):
            raise answer
        return answer


@dataclass(frozen=True, slots=True)
class Agreement:
    """Whether resolvers answer the same, and what each says."""

    same: bool
    reason: str
    evidence: tuple[Evidence, ...] = ()


def observe_records(domain: Domain) -> Records:
    """Ask the first resolver that answers. CouldNotLook: none says a word."""
    return _ask(domain, domain.resolvers)


def observe_agreement(domain: Domain) -> Agreement:
    """Ask each resolver by itself. CouldNotLook: one of them doesn't answer."""
    answers = {each: _ask(domain, (each,)) for each in domain.resolvers}
    told = "; ".join(f"{each}: {_told(records.by_type)}" for each, records in answers.items())
    seen = {tuple(frozenset(records.of(kind)) for kind in records.by_type) for records in answers.values()}
    return Agreement(len(seen) == 1, told, (Evidence(f"{domain.name} at {len(answers)} resolvers", told),))


def observe_registration(domain: Domain) -> Registration:
    """Until when it is registered. CouldNotLook: whois doesn't say so."""
    host, port = split_node(domain.whois) if domain.whois else (None, None)
    return ask_registration(ascii_name(domain.name.rstrip(".")), host, port, domain.timeout)


def _ask(domain: Domain, resolvers: tuple[str, ...]) -> Records:
    """Each type by itself, as a server may know one and not another. CouldNotLook: nobody says a word."""
    asked = ", ".join(resolvers) or "the resolver of this machine"
    name = dns.name.from_text(ascii_name(domain.name.rstrip(".")))
    try:
        resolver = _resolver(resolvers)
        resolver.lifetime = domain.timeout
        by_type = {kind: _answer(resolver, name, kind, asked) for kind in domain.asked_types}
    except dns.exception.DNSException as error:
        raise _no_answer(asked, name, str(error)) from error
    return Records(by_type, members(domain.absent), (Evidence(f"{domain.name} at {asked}", _told(by_type)),))


def _answer(resolver: dns.resolver.Resolver, name: dns.name.Name, kind: str, asked: str) -> Answer | CouldNotLook:
    """No records are none only by who serves the zone (AA), or who asked on for us (RA); RFC 1035, section 4.1.1.

    Who does neither sends us on, to another zone's alias, or to other servers.
    """
    try:
        answer = resolver.resolve(name, kind, raise_on_no_answer=False)
    except dns.resolver.NXDOMAIN:
        return Answer(())
    except dns.resolver.NoNameservers as error:
        return _no_answer(asked, name, str(error))
    aliases, flags = answer.chaining_result.cnames, answer.response.flags
    if not answer.rrset and not flags & dns.flags.RA and (aliases or not flags & dns.flags.AA):
        leads = f"that it is an alias of {answer.canonical_name}" if aliases else "to ask somebody else"
        return _no_answer(str(answer.nameserver), name, f"it only says {leads}")
    ttls = [each.ttl for each in (answer.rrset, *aliases) if each]
    return Answer(tuple(sorted(_written(record) for record in answer.rrset or ())), max(ttls, default=None))


def _no_answer(asked: str, name: dns.name.Name, reason: str) -> CouldNotLook:
    return CouldNotLook(
        f"{asked} gives no answer for {name.to_text(omit_final_dot=True)}: {reason}",
        cause=f"dns:{asked}",
        mend="see that this machine may ask it, and that it serves the zone or asks on for us",
    )


def _as_answered(kind: str, written: str) -> str:
    """How an answer has what was declared; a Mistake where it is no address of the kind."""
    if kind in ("CNAME", "MX", "NS"):
        return written.lower().removesuffix(".")
    if kind not in ("A", "AAAA"):
        return written
    version = 4 if kind == "A" else 6
    if not is_address(written) or ip_address(written).version != version:
        raise Mistake(f"'{written}' is not an IPv{version} address", "write it under the type that it is of")
    return str(ip_address(written))


def _resolver(addresses: tuple[str, ...]) -> dns.resolver.Resolver:
    if not addresses:
        return dns.resolver.Resolver()
    resolver = dns.resolver.Resolver(configure=False)
    places = [split_node(each) for each in addresses]
    resolver.nameservers = [dns.nameserver.Do53Nameserver(host, port or 53) for host, port in places]
    return resolver


def _written(record: dns.rdata.Rdata) -> str:
    """A record as people write it: names without the last dot, a text as one."""
    if strings := getattr(record, "strings", None):
        return b"".join(strings).decode(errors="backslashreplace")
    text = record.to_text()
    return text.removesuffix(".").lower() if record.rdtype.name in ("CNAME", "MX", "NS") else text


def _told(by_type: Mapping[str, Answer | CouldNotLook]) -> str:
    answers = {kind: answer for kind, answer in by_type.items() if isinstance(answer, Answer)}
    listed = [f"{kind} {', '.join(answer.records) or 'none'}" for kind, answer in answers.items()]
    listed += [f"{kind} not answered" for kind in by_type.keys() - answers.keys()]
    ttls = [answer.ttl_s for answer in answers.values() if answer.ttl_s is not None]
    return "; ".join(listed) + (f", for {max(ttls)}s" if ttls else "")


def _is_resolver(text: str) -> bool:
    try:
        host, port = split_node(text)
    except ValueError:
        return False
    return is_address(host) and port != 0


SECTIONS: Mapping[str, type[Spec]] = {"dns": Domain}
FACTS: Mapping[str, Callable[..., Any]] = {
    "records": observe_records,
    "agreement": observe_agreement,
    "registration": observe_registration,
}
AHEAD = frozenset({"records", "agreement", "registration"})
