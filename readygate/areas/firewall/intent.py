"""What ufw and firewalld say that they let in: their own words, read as rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from readygate.areas.firewall.ranges import ranges, span_of
from readygate.areas.firewall.rules import CALM, UNKNOWN, Action, Chain, Jump, Match, Rule, Ruleset, Verdict

_UFW = {"allow": Verdict.ALLOW, "deny": Verdict.DENY, "reject": Verdict.REJECT, "limit": Verdict.ALLOW}
_UFW_RULE = re.compile(
    r"^(?P<to>\S.*?) +(?P<action>ALLOW|DENY|REJECT|LIMIT)(?: (?P<way>IN|OUT|FWD))? +(?P<peer>\S.*)$"
)
_FIREWALLD = {"ACCEPT": Verdict.ALLOW, "DROP": Verdict.DENY, "%%REJECT%%": Verdict.REJECT, "default": Verdict.REJECT}
_BOTH = frozenset({4, 6})


@dataclass(frozen=True, slots=True)
class Intent:
    """What the tool in charge was told; `rules` is None where there is no such tool, or it is switched off."""

    tool: str
    rules: Ruleset | None


def parse_ufw(status: str) -> Intent:
    """What `ufw status verbose` prints."""
    if "Status: active" not in status:
        return Intent("ufw", None)
    defaults = {way: policy for policy, way in re.findall(r"(\w+) \((incoming|outgoing)\)", status)}
    rules: dict[str, list[Rule]] = {"input": [], "output": []}
    for line in status.partition("\n--")[2].splitlines()[1:]:
        if not (found := _UFW_RULE.match(line.partition(" # ")[0].rstrip())) or found["way"] == "FWD":
            continue
        ends = (found["to"], found["peer"]) if found["way"] != "OUT" else (found["peer"], found["to"])
        matches = [_family(line), *_ufw_end(ends[0], "destination"), *_ufw_end(ends[1], "source")]
        if found["action"] == "LIMIT":
            matches.append(CALM)
        hook = "output" if found["way"] == "OUT" else "input"
        rules[hook].append(Rule(tuple(matches), _UFW[found["action"].lower()], " ".join(line.split())))
    policies = {"input": defaults.get("incoming", "deny"), "output": defaults.get("outgoing", "deny")}
    return Intent(
        "ufw",
        Ruleset({hook: Chain(hook, _BOTH, tuple(rules[hook]), hook, policy=_UFW[policies[hook]]) for hook in rules}),
    )


def _family(text: str) -> Match:
    is_six = "(v6)" in text or re.search(r"[0-9a-f]*:[0-9a-f]*:", text)
    return Match("family", names=frozenset({"6" if is_six else "4"}))


def _ufw_end(text: str, side: str) -> Iterator[Match]:
    """One end of a rule: `22/tcp`, `80,443/tcp (Nginx Full)`, `10.0.0.1 22/tcp on eth1`, `Anywhere (v6)`."""
    words, _, interface = re.sub(r"\s*\([^)]*\)", "", text).strip().partition(" on ")
    if interface:
        yield Match("in" if side == "destination" else "out", names=frozenset({interface.strip()}))
    for word in words.split():
        bare, slash, protocol = word.rpartition("/")
        if slash and protocol in ("tcp", "udp", "ah", "esp", "gre", "ipv6", "igmp"):
            yield Match("protocol", names=frozenset({protocol}))
            word = bare
        if word == "Anywhere":
            continue
        if re.fullmatch(r"[\d,:]+", word) and not word.startswith(":") and "::" not in word:
            spans = [part.partition(":") for part in word.split(",")]
            numbers = ranges(*((int(first), int(last or first)) for first, _, last in spans))
            yield Match("port" if side == "destination" else "source port", numbers)
        else:
            yield _network(side, word)


def _network(side: str, text: str) -> Match:
    try:
        family, span = span_of(text)
    except ValueError:
        return UNKNOWN
    return Match(side, ranges(span), family=family)


def parse_firewalld(default_zone: str, zones: str, services: str) -> Intent:
    """What `--get-default-zone`, `--list-all-zones` and `--info-service` for each service print."""
    ports = {name: tuple(_service(block)) for name, block in _blocks(services)}
    chains: dict[str, Chain] = {}
    by_source: list[Rule] = []
    by_interface: list[Rule] = []
    for name, block in _blocks(zones):
        rules = tuple(_zone_rules(block, ports))
        end = _FIREWALLD.get(block["target"][0] if block["target"] else "", Verdict.REJECT)
        chains[name] = Chain(name, _BOTH, (*rules, Rule((), end, f"{name} target: {end}")))
        for source in block.get("sources", ()):
            by_source.append(Rule((_network("source", source),), Jump(name, False), f"{name} sources: {source}"))
        for interface in block.get("interfaces", ()):
            named = Match("in", names=frozenset({interface}))
            by_interface.append(Rule((named,), Jump(name, False), f"{name} interfaces: {interface}"))
    last = Rule((), Jump(default_zone.strip(), False), f"default zone: {default_zone.strip()}")
    chains["input"] = Chain("input", _BOTH, (*by_source, *by_interface, last), "input", policy=Verdict.REJECT)
    return Intent("firewalld", Ruleset(chains))


def _blocks(text: str) -> Iterator[tuple[str, dict[str, list[str]]]]:
    """Each zone or service with what stands under it: words by key, and of the rich rules whole lines."""
    for paragraph in re.split(r"\n(?=\S)", text.strip("\n")):
        head, *lines = paragraph.splitlines() or [""]
        block: dict[str, list[str]] = {"target": [], "rich rules": []}
        for line in lines:
            if line.startswith("\t"):
                block["rich rules"].append(line.strip())
            elif ":" in line:
                key, _, value = line.strip().partition(":")
                block.setdefault(key, []).extend(value.split())
        if head:
            yield head.split()[0], block


def _service(block: dict[str, list[str]]) -> Iterator[tuple[Match, ...]]:
    where = [each.partition(":") for each in block.get("destination", ())]
    if block.get("includes") or block.get("source-ports"):
        yield (UNKNOWN,)
    for port in block.get("ports", ()):
        if not where:
            yield _port(port)
        for _, _, network in where:
            yield (*_port(port), _network("destination", network))


def _port(text: str) -> tuple[Match, ...]:
    number, _, protocol = text.partition("/")
    first, _, last = number.partition("-")
    if not first.isdigit() or (last and not last.isdigit()):
        return (UNKNOWN,)
    return Match("protocol", names=frozenset({protocol})), Match("port", ranges((int(first), int(last or first))))


def _zone_rules(block: dict[str, list[str]], services: dict[str, tuple[tuple[Match, ...], ...]]) -> Iterator[Rule]:
    rich = [rule for text in block["rich rules"] for rule in _rich(text, services)]
    # firewalld asks for logs first, then for what is denied, then for what is allowed.
    yield from sorted(rich, key=lambda rule: rule.action is Verdict.ALLOW)
    for service in block.get("services", ()):
        for matches in services.get(service, ((UNKNOWN,),)):
            yield Rule(matches, Verdict.ALLOW, f"service {service}")
    for port in block.get("ports", ()):
        yield Rule(_port(port), Verdict.ALLOW, f"port {port}")
    if block.get("source-ports") or block.get("protocols") or block.get("forward-ports"):
        yield Rule((UNKNOWN,), Verdict.ALLOW, "source-ports, protocols or forward-ports")


def _rich(text: str, services: dict[str, tuple[tuple[Match, ...], ...]]) -> Iterable[Rule]:
    words = dict(re.findall(r'(family|service name|port port|protocol|priority)="([^"]*)"', text))
    told = re.sub(r'"[^"]*"', '""', text)  # what a log is to say is no word of the rule
    found = re.search(r" (accept|drop|reject)\b", told)
    if not found:
        return ()
    action: Action = {"accept": Verdict.ALLOW, "drop": Verdict.DENY, "reject": Verdict.REJECT}[found[1]]
    matches: list[Match] = []
    if "family" in words:
        matches.append(Match("family", names=frozenset({words["family"].removeprefix("ipv")})))
    if re.search(r"destination|ipset|mac=|priority|source-port|forward-port|icmp|protocol value", told):
        matches.append(UNKNOWN)
    if " limit " in told[found.end() :]:  # one before it is that of a log
        matches.append(CALM if action is Verdict.ALLOW else UNKNOWN)
    if source := re.search(r'source (NOT )?address="([^"]*)"', text):
        matches.append(replace(_network("source", source[2]), negated=bool(source[1])))
    if "port port" in words:
        matches.extend(_port(f"{words['port port']}/{words.get('protocol', 'tcp')}"))
    if "service name" in words:
        return [Rule((*matches, *each), action, text) for each in services.get(words["service name"], ((UNKNOWN,),))]
    return (Rule(tuple(matches), action, text),)
