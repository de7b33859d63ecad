"""The firewall of a server: what it is meant to do, what its loaded rules do, and what is seen from outside."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Annotated, Any, ClassVar

from pydantic import Field

from readygate.areas.firewall.admission import Admission, compare, default_of, view_of
from readygate.areas.firewall.allowances import Allowances, allowances_in
from readygate.areas.firewall.behind import containers_behind, who_answers
from readygate.areas.firewall.intent import Intent
from readygate.areas.firewall.knocking import CLOSED, FILTERED, OPEN
from readygate.areas.firewall.loaded import Loaded, observe_firewall_intent, observe_loaded_rules
from readygate.areas.firewall.persistence import observe_persistence
from readygate.areas.firewall.rules import Ruleset, Verdict
from readygate.areas.firewall.scan import Scan, Sighting, addresses_of, look_from
from readygate.areas.firewall.surroundings import Surroundings, observe_surroundings
from readygate.areas.servers.processes import observe_sockets
from readygate.errors import CouldNotLook
from readygate.expectation import AtMostCount, Flag, Text, among
from readygate.results import Evidence
from readygate.spec import Spec

_MOST_NAMED = 5

Policy = Annotated[Text, among("allow", "deny", "reject")]


class Defaults(Spec):
    """What becomes of packets that no rule is about: allow, deny or reject."""

    area: ClassVar[str] = "firewall"
    noun: ClassVar[str] = "firewall_default"

    incoming: Policy | None = Field(None, description="Of new connections to the server: allow, deny or reject.")
    outgoing: Policy | None = Field(None, description="Of new connections from the server: allow, deny or reject.")


class Firewall(Spec):
    """What keeps out whoever has no business at a port."""

    area: ClassVar[str] = "firewall"
    noun: ClassVar[str] = "firewall"

    enabled: Flag | None = Field(
        None, description="Whether rules are loaded that keep anybody out, over IPv4 and IPv6."
    )
    persistent: Flag | None = Field(None, description="Whether the same rules are there again after a reboot.")
    default: Defaults | None = Field(None, description="What becomes of packets that no rule is about.")
    allow: Allowances | None = Field(
        None, description="Exactly what is let in, e.g. [22/tcp, {port: 9090/tcp, from: 203.0.113.0/24}]."
    )
    shadowed: AtMostCount | None = Field(
        None, description="How many rules never get a packet, as one before them decides all that they are about."
    )
    scan: Scan | None = Field(None, description="A look from outside: nothing answers but what `allow` lists.")


@dataclass(frozen=True, slots=True)
class Filtering:
    """Whether rules keep anybody out, and the defaults in both directions; where the views differ, each is named."""

    enabled: bool
    incoming: str
    outgoing: str
    reason: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Shadows:
    """How many rules never get a packet, and which."""

    count: int
    rules: str


@dataclass(frozen=True, slots=True)
class Outside:
    """What was seen from outside; `unreached` and `beyond` are in words, and empty where all is as declared."""

    unreached: str
    beyond: str
    evidence: tuple[Evidence, ...] = ()

    @property
    def reachable(self) -> bool:
        return not self.unreached

    @property
    def nothing_else(self) -> bool:
        return not self.beyond


def observe_filtering(loaded_rules: Loaded, firewall_intent: Intent, surroundings: Surroundings) -> Filtering:
    """CouldNotLook: a rule that isn't understood decides it."""
    open_families = [f"IPv{family}" for family in surroundings.families if not _shuts(loaded_rules.rules, family)]
    views = {"the loaded rules": loaded_rules.rules}
    if firewall_intent.rules is not None:
        views[firewall_intent.tool] = firewall_intent.rules
    reason = f"no loaded rule keeps anybody out over {' and '.join(open_families)}" if open_families else ""
    return Filtering(
        not open_families,
        _default(views, surroundings, outgoing=False),
        _default(views, surroundings, outgoing=True),
        reason,
        loaded_rules.evidence,
    )


def _shuts(rules: Ruleset, family: int) -> bool:
    chains = rules.asked("input", family)
    ends = {rule.action for chain in chains for rule in chain.rules}
    policies = {chain.policy for chain in chains if chain.hook == "input"}
    return bool(policies) and bool((ends | policies) & {Verdict.DENY, Verdict.REJECT})


def _default(views: dict[str, Ruleset], around: Surroundings, *, outgoing: bool) -> str:
    found: dict[str, list[str]] = {}
    for name, rules in views.items():
        for family in around.families:
            verdict = default_of(rules, around, family, outgoing=outgoing)
            if not isinstance(verdict, Verdict):
                raise _not_understood(verdict)
            found.setdefault(verdict.value, []).append(f"{name} over IPv{family}")
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(f"{verdict} by {' and '.join(who)}" for verdict, who in found.items())


def _not_understood(rule: str) -> CouldNotLook:
    return CouldNotLook(
        f"it hangs on a rule that Readygate doesn't understand: {rule}",
        mend="say it by plainer matches, or let a scan answer for it and waive this",
    )


def observe_admission(
    host: Any,
    server: Spec,
    firewall: Firewall,
    loaded_rules: Loaded,
    firewall_intent: Intent,
    surroundings: Surroundings,
) -> Admission:
    """What is let in by the rules, and by what the tool was told. CouldNotLook: one can't tell of some port."""
    declared = allowances_in(firewall.allow)
    views = [view_of("the loaded rules", loaded_rules.rules, surroundings, declared)]
    if firewall_intent.rules is not None:
        views.append(view_of(firewall_intent.tool, firewall_intent.rules, surroundings, declared))
    admission = compare(views, declared)
    if admission.doubt:
        raise _not_understood(admission.doubt)
    if told := _containers_told(host, server, admission):
        return replace(admission, reason=f"{admission.reason}. {told}")
    return admission


def _containers_told(host: Any, server: Spec, admission: Admission) -> str:
    """Which containers are behind ports that are let in beyond what is declared, as far as one can ask."""
    told: dict[str, None] = {}
    with suppress(CouldNotLook):
        for gap in admission.beyond[:_MOST_NAMED]:
            names = containers_behind(host, server, gap.first, gap.last, gap.protocol)
            told |= dict.fromkeys(f"{gap.ports} is published by container {name}" for name in names)
    return "; ".join(told)


def observe_shadows(loaded_rules: Loaded) -> Shadows:
    hidden = [rule.text for rule in loaded_rules.rules.shadowed()]
    return Shadows(len(hidden), "; ".join(hidden))


def observe_outside(host: Any, hosts: Callable[[str], Any], server: Any, firewall: Firewall, scan: Scan) -> Outside:
    """Knock at the server from every place declared, and compare with what is declared.

    CouldNotLook: nothing answered at all, so that nobody knows whether the knocks arrived.
    """
    declared = allowances_in(firewall.allow)
    wanted = [port for each in declared if each.protocol == "tcp" for port in range(each.first, each.last + 1)]
    ports = scan.numbers([*wanted, *_listening(host, server)])
    unreached: list[str] = []
    beyond: list[str] = []
    evidence: list[Evidence] = []
    for address in addresses_of(server.connect, scan):
        for vantage in scan.from_:
            given = vantage.partition("@")[2]
            if given and ip_address(given).version != ip_address(address).version:
                continue
            seen = look_from(vantage, address, ports, scan, hosts)
            _refuse_silence(seen, server.name)
            if not seen.seen_as and any(each.network for each in declared):
                raise CouldNotLook(
                    f"{vantage} doesn't know the address that it is seen as",
                    mend=f"write `from: {vantage}@ADDRESS`",
                )
            evidence.append(seen.evidence)
            entered = {port for port in wanted if seen.may_enter(port, declared)}
            unreached += [
                f"{port}/tcp of {address} does not answer {vantage}"
                for port in sorted(entered)
                if seen.states[port] == FILTERED
            ]
            found = [port for port in seen.ports(OPEN) if port not in entered]
            beyond += [
                f"{port}/tcp of {address} answers {vantage} ({who_answers(host, server, port)})"
                for port in found[:_MOST_NAMED]
            ]
            if found[_MOST_NAMED:]:
                beyond.append(f"and {len(found) - _MOST_NAMED} more: {', '.join(map(str, found[_MOST_NAMED:]))}")
            beyond += [
                f"{port}/tcp of {address} lets {vantage} through, though nothing waits there"
                for port in sorted(set(wanted) - entered)
                if seen.states[port] == CLOSED and _denies(firewall)
            ]
    if not evidence:
        raise CouldNotLook("no place to scan from has an address of the server's kind", mend="mend `from`")
    return Outside("; ".join(unreached), "; ".join(beyond), tuple(evidence))


def _listening(host: Any, server: Any) -> list[int]:
    """TCP ports that the server itself knows of; a scan is bounded by the declared ports where it can't be asked."""
    try:
        sockets = observe_sockets(host, server)
    except CouldNotLook:
        return []
    return sorted({each.port for each in sockets if each.protocol == "tcp"})


def _refuse_silence(seen: Sighting, server: str) -> None:
    if not seen.ports(OPEN) and not seen.ports(CLOSED):
        raise CouldNotLook(
            f"nothing of {server} answers {seen.vantage} at {seen.address}, not even to refuse; "
            "that is also what a host that is off, or another network, looks like",
            cause=f"silent:{server}",
            mend="scan an `address` where at least one declared port answers",
        )


def _denies(firewall: Firewall) -> bool:
    expected = firewall.default.incoming if firewall.default else None
    return (
        expected is not None and bool(expected.judge(Verdict.DENY.value)) and not expected.judge(Verdict.REJECT.value)
    )


FACTS: dict[str, Callable[..., Any]] = {
    "loaded_rules": observe_loaded_rules,
    "firewall_intent": observe_firewall_intent,
    "surroundings": observe_surroundings,
    "filtering": observe_filtering,
    "persistence": observe_persistence,
    "admission": observe_admission,
    "shadows": observe_shadows,
    "outside": observe_outside,
}
