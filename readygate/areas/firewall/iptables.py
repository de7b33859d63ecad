"""Reading what `iptables-save` and `ip6tables-save` print."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from ipaddress import ip_address

from readygate.areas.firewall.ranges import ranges, span_of
from readygate.areas.firewall.rules import (
    CALM,
    ELSEWHERE,
    NEVER,
    UNKNOWN,
    Action,
    Chain,
    Divert,
    Flow,
    Jump,
    Match,
    Rule,
    Verdict,
    undetermined,
)

# Where each table stands in a hook, as in the kernel's enum nf_ip_hook_priorities.
_PRIORITIES = {"raw": -300, "mangle": -150, "nat": -100, "filter": 0, "security": 50}
_VERDICTS = {"ACCEPT": Verdict.ALLOW, "DROP": Verdict.DENY, "REJECT": Verdict.REJECT}
_PASSES_ON = {"LOG", "NFLOG", "ULOG", "TRACE", "AUDIT", "MARK", "CONNMARK", "TCPMSS", "TOS", "DSCP"}
_PASSES_ON |= {"SET", "SECMARK", "CONNSECMARK", "CHECKSUM", "CLASSIFY", "TTL", "HL", "SNAT", "MASQUERADE", "RATEEST"}
_PROTOCOLS = {"6": "tcp", "17": "udp", "1": "icmp"}

# Modules that need no option of theirs, or whose options are read below.
_MODULES = {
    "tcp",
    "udp",
    "icmp",
    "icmp6",
    "multiport",
    "conntrack",
    "state",
    "addrtype",
    "comment",
    "limit",
    "recent",
}
_MODULES |= {"hashlimit", "connlimit", "iprange", "rt"}
# The first packet of a caller who does not hurry is within every limit, and on no list of those who did.
_HOLDS = {"--limit", "--limit-burst", "--hashlimit-upto", "--hashlimit", "--connlimit-upto", "--set"}
_DETAILS = {"--name", "--mask", "--seconds", "--hitcount", "--rsource", "--reap", "--rttl", "--limit-iface-in"}
_DETAILS |= {"--hashlimit-burst", "--hashlimit-mode", "--hashlimit-name", "--connlimit-mask", "--connlimit-saddr"}
_DETAILS |= {"--hashlimit-htable-expire", "--hashlimit-srcmask", "--hashlimit-htable-size"}
_EXCEEDS = {"--update", "--rcheck", "--hashlimit-above", "--connlimit-above"}
_TCP_FLAGS_OF_A_SYN = {"SYN"}


def parse_iptables(text: str, family: int, *, variant: str = "") -> dict[str, Chain]:
    """The chains of all tables, by their full names; `variant` sets apart those of another command."""
    chains: dict[str, Chain] = {}
    rules: dict[str, list[Rule]] = {}
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith(":"):
            name, policy = line[1:].split()[:2]
            full = _full(family, variant, table, name)
            base = Chain(full, frozenset({family}))
            if policy != "-":
                base = replace(
                    base,
                    hook=name.lower(),
                    priority=_PRIORITIES.get(table, 0),
                    policy=_VERDICTS.get(policy, Verdict.DENY),
                )
            chains[full] = base
            rules[full] = []
        elif line.startswith("-A "):
            _, name, *words = shlex.split(line)
            full = _full(family, variant, table, name)
            rules[full].extend(_rules(words, line, family, full.removesuffix(name), chains))
    return {name: replace(chain, rules=tuple(rules[name])) for name, chain in chains.items()}


def _full(family: int, variant: str, table: str, chain: str) -> str:
    return f"ip{'6' if family == 6 else ''}tables{variant} {table} {chain}"


def _rules(words: list[str], line: str, family: int, prefix: str, chains: Collection[str]) -> Iterable[Rule]:
    matches: list[Match] = []
    target, comes_back = "", True
    options: dict[str, str] = {}
    for is_negated, option, values in _options(words):
        if option in ("-j", "-g"):
            target, comes_back = values[0], option == "-j"
        elif target:
            options[option] = values[0] if values else ""
        else:
            matches.extend(_match(option, values, is_negated, family))
    action: Action
    if target == "NOTRACK" or "--notrack" in options:
        action = Flow.UNTRACK
    elif not target or target in _PASSES_ON or target == "CT":
        action = None
    elif target in _VERDICTS:
        action = _VERDICTS[target]
    elif target == "RETURN":
        action = Flow.RETURN
    elif prefix + target in chains:
        action = Jump(prefix + target, comes_back)
    elif target in ("DNAT", "REDIRECT"):
        to = options.get("--to-destination" if target == "DNAT" else "--to-ports", "")
        address, port = _goal(to) if target == "DNAT" else (None, to)
        is_known = (not port or port.isdigit()) and (target == "REDIRECT" or _is_address(address))
        action = Divert(address, int(port) if port else None) if is_known else ELSEWHERE
    elif " nat " in prefix:
        action = ELSEWHERE
    else:
        return undetermined(matches, line)
    return (Rule(tuple(matches), action, line),)


def _options(words: list[str]) -> Iterator[tuple[bool, str, list[str]]]:
    """Each option with what follows it, and whether a `!` stands before it."""
    is_negated, option = False, ""
    values: list[str] = []
    for word in [*words, "--"]:
        if word == "!" or (word.startswith("-") and not word.lstrip("-").isdigit()):
            if option:
                yield is_negated, option, values
                is_negated, option, values = False, "", []
            if word == "!":
                is_negated = True
            else:
                option = word
        else:
            values.append(word)


def _match(option: str, values: list[str], negated: bool, family: int) -> Iterator[Match]:
    first = values[0] if values else ""
    match option:
        case "-p":
            name = _PROTOCOLS.get(first, first)
            if name not in ("all", "0"):
                yield Match("protocol", names=frozenset({name}), negated=negated)
        case "-s" | "-d" | "--src-range" | "--dst-range":
            side = "source" if option in ("-s", "--src-range") else "destination"
            yield _addresses(side, first, family, negated)
        case "-i" | "-o":
            name = f"{first[:-1]}*" if first.endswith("+") else first
            yield Match("in" if option == "-i" else "out", names=frozenset({name}), negated=negated)
        case "--dport" | "--dports" | "--destination-port":
            yield _ports("port", first, negated)
        case "--sport" | "--sports" | "--source-port":
            yield _ports("source port", first, negated)
        case "--ctstate" | "--state":
            yield Match("state", names=frozenset(first.lower().split(",")), negated=negated)
        case "--dst-type":
            yield Match("destination type", names=frozenset(first.lower().split(",")), negated=negated)
        case "--tcp-flags":
            mask, wanted = ({flag for flag in each.split(",") if flag != "NONE"} for each in values[:2])
            if (_TCP_FLAGS_OF_A_SYN & mask == wanted) is negated:
                yield NEVER
        case "--syn":
            if negated:
                yield NEVER
        case "--icmp-type" | "--icmpv6-type":
            yield UNKNOWN
        case "--rt-type":
            yield NEVER
        case "-m":
            if first not in _MODULES:
                yield UNKNOWN
        case "--comment":
            pass
        case _ if option in _HOLDS:
            yield UNKNOWN if negated else CALM
        case _ if option in _DETAILS:
            pass
        case _ if option in _EXCEEDS:
            if not negated:
                yield NEVER
        case _:
            yield UNKNOWN


def _addresses(side: str, text: str, family: int, negated: bool) -> Match:
    first, dash, last = text.partition("-")
    try:
        version, (start, end) = span_of(first)
        if dash:
            end = span_of(last)[1][1]
    except ValueError:
        return UNKNOWN
    if version != family:
        return UNKNOWN
    return Match(side, ranges((start, end)), family=family, negated=negated)


def _ports(field: str, text: str, negated: bool) -> Match:
    spans = []
    for part in text.split(","):
        first, colon, last = part.partition(":")
        if not first.isdigit() or (colon and not last.isdigit()):
            return UNKNOWN
        spans.append((int(first), int(last) if colon else int(first)))
    return Match(field, ranges(*spans), negated=negated)


def _is_address(text: str | None) -> bool:
    try:
        return bool(ip_address(text or ""))
    except ValueError:
        return False


def _goal(text: str) -> tuple[str | None, str]:
    """Address and port of `192.0.2.1:80`, `[2001:db8::1]:80` or an address alone."""
    if text.startswith("["):
        address, _, port = text[1:].partition("]")
        return address, port.removeprefix(":")
    if text.count(":") > 1:
        return text, ""
    address, _, port = text.partition(":")
    return address or None, port
