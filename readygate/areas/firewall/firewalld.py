"""What firewalld says that it lets in: its zones, with their rich rules, read as rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from readygate.areas.firewall.intent import BOTH, Intent, network
from readygate.areas.firewall.ranges import ranges, span_of
from readygate.areas.firewall.rules import CALM, UNKNOWN, Action, Chain, Jump, Match, Rule, Ruleset, Verdict

_TARGETS = {"ACCEPT": Verdict.ALLOW, "DROP": Verdict.DENY, "%%REJECT%%": Verdict.REJECT, "default": Verdict.REJECT}
_ACTIONS = {"accept": Verdict.ALLOW, "drop": Verdict.DENY, "reject": Verdict.REJECT}
_OF_ADDRESSES = ("hash:ip", "hash:net")
Block = Mapping[str, list[str]]
Matches = tuple[Match, ...]


@dataclass(frozen=True, slots=True)
class _Known:
    """What zones speak of by name: the ways in of each service, and whom each ipset holds."""

    services: Mapping[str, Block]
    sets: Mapping[str, Match]

    def service(self, name: str, seen: tuple[str, ...] = ()) -> Iterator[Matches]:
        block = self.services.get(name)
        if block is None or block.get("source-ports"):
            yield (UNKNOWN,)
        where = [each.partition(":")[2] for each in (block or {}).get("destination", ())]
        for port in (block or {}).get("ports", ()):
            if not where:
                yield _port(port)
            for goal in where:
                yield (*_port(port), network("destination", goal))
        for other in (block or {}).get("includes", ()):
            if other not in seen:
                yield from self.service(other, (*seen, name))

    def source(self, text: str) -> Match:
        """A source of a zone: a network, or `ipset:NAME`."""
        kind, _, name = text.partition(":")
        return self.sets.get(name, UNKNOWN) if kind == "ipset" else network("source", text)


def parse_firewalld(default_zone: str, zones: str, services: str, ipsets: str = "") -> Intent:
    """What `--get-default-zone`, `--list-all-zones`, and `--info-service` and `--info-ipset` for each print."""
    known = _Known(dict(_blocks(services)), {name: _set(block) for name, block in _blocks(ipsets)})
    chains: dict[str, Chain] = {}
    by_source: list[Rule] = []
    by_interface: list[Rule] = []
    for name, block in _blocks(zones):
        end = _TARGETS.get(block["target"][0] if block["target"] else "", Verdict.REJECT)
        chains[name] = Chain(name, BOTH, (*_zone_rules(block, known), Rule((), end, f"{name} target: {end}")))
        for source in block.get("sources", ()):
            by_source.append(Rule((known.source(source),), Jump(name, False), f"{name} sources: {source}"))
        for interface in block.get("interfaces", ()):
            named = Match("in", names=frozenset({interface}))
            by_interface.append(Rule((named,), Jump(name, False), f"{name} interfaces: {interface}"))
    last = Rule((), Jump(default_zone.strip(), False), f"default zone: {default_zone.strip()}")
    chains["input"] = Chain("input", BOTH, (*by_source, *by_interface, last), "input", policy=Verdict.REJECT)
    return Intent("firewalld", Ruleset(chains))


def _blocks(text: str) -> Iterator[tuple[str, dict[str, list[str]]]]:
    """Each zone, service or ipset with what stands under it: words by key, and whole lines of rich rules."""
    for paragraph in re.split(r"\n(?=\S)", text.strip("\n")):
        head, *lines = paragraph.splitlines() or [""]
        block: dict[str, list[str]] = {"target": [], "rich rules": []}
        key = ""
        for line in lines:
            if line.startswith("\t"):
                block.setdefault(key, []).append(line.strip())
            elif ":" in line:
                key, _, value = line.strip().partition(":")
                block.setdefault(key, []).extend(value.split())
        if head:
            yield head.split()[0], block


def _set(block: Block) -> Match:
    if block.get("type", [""])[0] not in _OF_ADDRESSES or any("timeout" in each for each in block.get("options", ())):
        return UNKNOWN
    try:
        spans = [span_of(each)[1] for each in block.get("entries", ())]
    except ValueError:
        return UNKNOWN
    return Match("source", ranges(*spans), family=6 if "family=inet6" in block.get("options", ()) else 4)


def _port(text: str) -> Matches:
    number, _, protocol = text.partition("/")
    first, _, last = number.partition("-")
    if not first.isdigit() or (last and not last.isdigit()):
        return (UNKNOWN,)
    return Match("protocol", names=frozenset({protocol})), Match("port", ranges((int(first), int(last or first))))


def _zone_rules(block: Block, known: _Known) -> Iterator[Rule]:
    """In the order in which firewalld asks: by priority; of those without one, first what is denied."""
    rich: dict[int, list[Rule]] = {}
    for text in block["rich rules"]:
        found = re.search(r'priority="(-?\d+)"', text)
        rich.setdefault(int(found[1]) if found else 0, []).extend(_rich(text, known))
    for priority in sorted(rich):
        if priority < 0:
            yield from _of_one_priority(rich[priority])
    yield from sorted(rich.get(0, ()), key=lambda rule: rule.action is Verdict.ALLOW)
    yield from _allowed(block, known)
    for priority in sorted(rich):
        if priority > 0:
            yield from _of_one_priority(rich[priority])


def _of_one_priority(rules: list[Rule]) -> Iterator[Rule]:
    """Nobody says in which order these are asked."""
    is_known = len({rule.action for rule in rules}) < 2
    for rule in rules:
        yield rule if is_known else replace(rule, matches=(*rule.matches, UNKNOWN))


def _allowed(block: Block, known: _Known) -> Iterator[Rule]:
    for service in block.get("services", ()):
        for matches in known.service(service):
            yield Rule(matches, Verdict.ALLOW, f"service {service}")
    for port in block.get("ports", ()):
        yield Rule(_port(port), Verdict.ALLOW, f"port {port}")
    for protocol in block.get("protocols", ()):
        yield Rule((Match("protocol", names=frozenset({protocol})),), Verdict.ALLOW, f"protocol {protocol}")
    for forward in block.get("forward-ports", ()):
        words = dict(part.partition("=")[::2] for part in forward.split(":"))
        yield Rule(_port(f"{words.get('port')}/{words.get('proto')}"), Verdict.ALLOW, f"forward-port {forward}")
    if block.get("source-ports"):
        yield Rule((UNKNOWN,), Verdict.ALLOW, "source-ports")


def _rich(text: str, known: _Known) -> Iterable[Rule]:
    words = dict(re.findall(r'(family|service name|port port|protocol)="([^"]*)"', text))
    told = re.sub(r'"[^"]*"', '""', text)  # what a log is to say is no word of the rule
    found = re.search(r" (accept|drop|reject|forward-port)\b", told)
    if not found:
        return ()
    # What is led on is let in, past all that stands in the zone.
    action: Action = _ACTIONS.get(found[1], Verdict.ALLOW)
    matches: list[Match] = []
    if "family" in words:
        matches.append(Match("family", names=frozenset({words["family"].removeprefix("ipv")})))
    if re.search(r"destination ipset|mac=|source-port|icmp|protocol value", told):
        matches.append(UNKNOWN)
    if " limit " in told[found.end() :]:  # one before it is that of a log
        matches.append(CALM if action is Verdict.ALLOW else UNKNOWN)
    for side, negated, kind, name in re.findall(r'(source|destination) (NOT )?(address|ipset)="([^"]*)"', text):
        match = network(side, name) if kind == "address" else known.sets.get(name, UNKNOWN)
        matches.append(replace(match, negated=bool(negated)))
    if "port port" in words:
        matches.extend(_port(f"{words['port port']}/{words.get('protocol', 'tcp')}"))
    if "service name" in words:
        return [Rule((*matches, *each), action, text) for each in known.service(words["service name"])]
    return (Rule(tuple(matches), action, text),)
