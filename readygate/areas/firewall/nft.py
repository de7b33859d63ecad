"""Reading the rules of nftables, as `nft -j list ruleset` prints them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from readygate.areas.firewall.ranges import Span, ranges, span_of
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

_FAMILIES = {"ip": frozenset({4}), "ip6": frozenset({6}), "inet": frozenset({4, 6}), "netdev": frozenset({4, 6})}
_VERDICTS = {"accept": Verdict.ALLOW, "drop": Verdict.DENY, "reject": Verdict.REJECT}
_PASSES_ON = {
    "counter",
    "log",
    "comment",
    "mangle",
    "masquerade",
    "snat",
    "meta",
    "ct helper",
    "flow",
    "ct timeout",
    "last",
}
_ADDRESSES = {("ip", "saddr"): ("source", 4), ("ip", "daddr"): ("destination", 4)}
_ADDRESSES |= {("ip6", "saddr"): ("source", 6), ("ip6", "daddr"): ("destination", 6)}
_PORTS = {"dport": "port", "sport": "source port"}
_NAMES = {
    ("meta", "iifname"): "in",
    ("meta", "iif"): "in",
    ("meta", "oifname"): "out",
    ("meta", "oif"): "out",
    ("meta", "l4proto"): "protocol",
    ("ct", "state"): "state",
    ("ct", "status"): "status",
}
_IP_FAMILIES = {"ipv4": "4", "ipv6": "6", "ip": "4", "ip6": "6"}
_WRITTEN_OVER = ("dport", "daddr", "saddr", None)
_TYPE_OF_OWN = {"result": "type", "flags": ["daddr"]}


class _NotUnderstood(Exception):
    """Something that this reader doesn't know."""


@dataclass(frozen=True, slots=True)
class _Table:
    """The table that a rule stands in: the prefix of its chains, and its sets and maps by name."""

    prefix: str
    sets: Mapping[str, list[Any]]


def parse_nft(text: str, *, skip: Collection[tuple[str, str]] = ()) -> dict[str, Chain]:
    """The chains of all tables, by their full names; `skip` are tables, by family and name, that are read elsewhere.

    Version 1.0.6 names the table where the flags should be, and no device of a chain: of these it isn't known to what
    they apply.

    Raises ValueError where this isn't such a listing.
    """
    objects = json.loads(text)["nftables"]
    chains: dict[str, Chain] = {}
    sets: dict[str, dict[str, list[Any]]] = {}
    perhaps_dormant: set[str] = set()
    applies: dict[str, Match] = {}
    for kind, thing in (item for each in objects for item in each.items()):
        where = (thing.get("family", ""), thing.get("table", ""))
        prefix = f"nft {' '.join(where)} "
        if where in skip or where[0] not in _FAMILIES:
            continue
        if kind == "table":
            flags = set(_names(thing.get("flags", [])))
            if "dormant" in flags:
                skip = {*skip, (where[0], thing["name"])}
            elif flags - {"owner", "persist"}:
                perhaps_dormant.add(f"nft {where[0]} {thing['name']} ")
        elif kind == "chain":
            base = "hook" in thing
            chains[prefix + thing["name"]] = Chain(
                prefix + thing["name"],
                _FAMILIES[where[0]],
                hook=thing["hook"] if base else "",
                priority=thing["prio"] if base else 0,
                policy=_VERDICTS[thing.get("policy", "accept")],
            )
        elif kind in ("set", "map"):
            sets.setdefault(prefix, {})[thing["name"]] = thing.get("elem", [])
        elif kind == "rule":
            chain = chains[prefix + thing["chain"]]
            rules = _rules(thing["expr"], _Table(prefix, sets.get(prefix, {})))
            chains[chain.name] = replace(chain, rules=(*chain.rules, *rules))
        if kind == "chain" and base and prefix in perhaps_dormant:
            applies[prefix + thing["name"]] = UNKNOWN
        elif kind == "chain" and base and thing["hook"] in ("ingress", "egress"):
            applies[prefix + thing["name"]] = (
                Match("in", names=frozenset(_names(thing["dev"]))) if "dev" in thing else UNKNOWN
            )
    for name, condition in applies.items():
        chains |= _only_where(condition, chains[name])
    return chains


def _names(one_or_more: str | list[str]) -> list[str]:
    return [one_or_more] if isinstance(one_or_more, str) else one_or_more


def _only_where(condition: Match, chain: Chain) -> dict[str, Chain]:
    """A chain that sees only some packets, such as those of its device, and perhaps none: all others go by it."""
    body = Chain(
        f"{chain.name} where it applies",
        chain.families,
        (*chain.rules, Rule((), chain.policy, f"policy of {chain.name}")),
    )
    to_it = Rule((condition,), Jump(body.name, comes_back=False), f"{chain.name}, if it applies")
    return {chain.name: replace(chain, rules=(to_it,), policy=Verdict.ALLOW), body.name: body}


def _rules(expressions: list[dict[str, Any]], table: _Table) -> Iterator[Rule]:
    """The rules that stand in one: those of a verdict map are one for each of its elements."""
    text = json.dumps(expressions)
    matches: list[Match] = []
    for expression in expressions:
        ((kind, content),) = expression.items()
        try:
            if kind == "match":
                matches.extend(_match(content, table))
            elif kind == "vmap":
                for element, verdict in _elements(content["data"], table):
                    on_it = _match({"op": "==", "left": content["key"], "right": element}, table)
                    ((name, value),) = verdict.items()
                    yield Rule((*matches, *on_it), _action(name, value, table), text)
            elif kind in ("limit", "ct count"):
                matches.append(NEVER if content.get("inv") else CALM)
            elif kind in ("set", "meter"):
                matches.extend(_kept_count(content.get("stmt") or []))
            elif kind == "quota":
                matches.append(UNKNOWN)
            elif kind not in _PASSES_ON or _is_led_on(kind, content):
                yield Rule(tuple(matches), _action(kind, content, table), text)
        except (_NotUnderstood, AttributeError, KeyError, TypeError, ValueError):
            if kind != "match":
                yield from undetermined(matches, text)
            matches.append(UNKNOWN)  # whatever the rule does then, it may not come to it


def _kept_count(statements: Any) -> Iterator[Match]:
    """What is counted for each element of a set, such as a rate for each peer."""
    for statement in statements if isinstance(statements, list) else [statements]:
        ((kind, content),) = statement.items()
        if kind != "counter":
            limits = kind in ("limit", "ct count")
            yield (NEVER if content.get("inv") else CALM) if limits else UNKNOWN


def _is_led_on(kind: str, content: Any) -> bool:
    """Whether a packet's own port or address is written over."""
    return (
        kind == "mangle" and "payload" in content["key"] and content["key"]["payload"].get("field") in _WRITTEN_OVER
    )


def _action(kind: str, content: Any, table: _Table) -> Action:
    if kind in _VERDICTS:
        return _VERDICTS[kind]
    if kind == "return":
        return Flow.RETURN
    if kind == "continue":
        return None
    if kind in ("jump", "goto"):
        return Jump(table.prefix + content["target"], kind == "jump")
    if kind == "notrack":
        return Flow.UNTRACK
    if kind == "mangle":
        return ELSEWHERE
    if kind in ("dnat", "redirect"):
        content = content or {}
        address, port = content.get("addr"), content.get("port")
        if isinstance(address, str | None) and isinstance(port, int | None) and (address or kind == "redirect"):
            return Divert(address, port)
        return ELSEWHERE
    raise _NotUnderstood


def _match(content: dict[str, Any], table: _Table) -> Iterator[Match]:
    left, negated = content["left"], content["op"] == "!="
    if content["op"] not in ("==", "!=", "in"):
        raise _NotUnderstood
    if not isinstance(left, dict):
        raise _NotUnderstood
    kind: str
    of: Any
    ((kind, of),) = left.items()
    if kind == "&" and of[0] == {"payload": {"protocol": "tcp", "field": "flags"}}:
        mask, wanted = (set([each] if isinstance(each, str) else each) for each in (of[1], content["right"]))
        yield Match("protocol", names=frozenset({"tcp"}))
        if ({"syn"} & mask == wanted) is negated:
            yield NEVER
        return
    if kind == "fib" and of.get("result") in ("oif", "check", "present"):
        # The check of the way back, rp_filter: a peer's packets come in where those to it go out.
        if (content["right"] is False) is not negated:
            yield NEVER
        return
    right = list(_flat(content["right"], table))
    names = frozenset(each for each in right if isinstance(each, str))
    if kind == "payload":
        yield from _payload(of["protocol"], of["field"], right, names, negated)
    elif kind == "fib" and of == _TYPE_OF_OWN:
        yield Match("destination type", names=names, negated=negated)
    elif kind == "meta" and of["key"] in ("nfproto", "protocol"):
        yield Match("family", names=frozenset(_IP_FAMILIES.get(each, "") for each in names), negated=negated)
    elif kind in ("meta", "ct") and (field := _NAMES.get((kind, of["key"]))) and len(names) == len(right):
        yield Match(field, names=names, negated=negated)
    else:
        raise _NotUnderstood


def _payload(protocol: str, field: str, right: list[Any], names: frozenset[str], negated: bool) -> Iterator[Match]:
    if (protocol, field) in _ADDRESSES:
        side, family = _ADDRESSES[protocol, field]
        spans = [_address_span(each) for each in right]
        yield Match("family", names=frozenset({str(family)}))
        yield Match(side, ranges(*spans), family=family, negated=negated)
    elif field in _PORTS and protocol in ("tcp", "udp", "th", "sctp", "dccp", "udplite"):
        if protocol != "th":
            yield Match("protocol", names=frozenset({protocol}))
        yield Match(_PORTS[field], ranges(*(_port_span(each) for each in right)), negated=negated)
    elif (protocol, field) in (("ip", "protocol"), ("ip6", "nexthdr")):
        yield Match("family", names=frozenset({"4" if protocol == "ip" else "6"}))
        yield Match("protocol", names=names, negated=negated)
    elif protocol.startswith("icmp"):
        yield Match("protocol", names=frozenset({protocol}))
        yield UNKNOWN
    else:
        raise _NotUnderstood


def _elements(data: Any, table: _Table) -> list[list[Any]]:
    elements = table.sets.get(data.removeprefix("@")) if isinstance(data, str) else data.get("set")
    if not isinstance(elements, list):
        raise _NotUnderstood
    return [[_bare(key), verdict] for key, verdict in elements]


def _flat(right: Any, table: _Table) -> Iterator[Any]:
    """What a value may be, one by one: sets by name and in place, and lists of flags."""
    if isinstance(right, str) and right.startswith("@"):
        if right[1:] not in table.sets:
            raise _NotUnderstood
        right = table.sets[right[1:]]
    elif isinstance(right, dict) and "set" in right:
        right = right["set"]
    yield from (_bare(each) for each in (right if isinstance(right, list) else [right]))


def _bare(element: Any) -> Any:
    """An element without its timeout, counter or comment."""
    return element["elem"]["val"] if isinstance(element, dict) and "elem" in element else element


def _port_span(value: Any) -> Span:
    match value:
        case int():
            return value, value
        case {"range": [int() as first, int() as last]}:
            return first, last
    raise _NotUnderstood


def _address_span(value: Any) -> Span:
    try:
        match value:
            case str():
                return span_of(value)[1]
            case {"prefix": {"addr": str() as address, "len": int() as bits}}:
                return span_of(f"{address}/{bits}")[1]
            case {"range": [str() as first, str() as last]}:
                return span_of(first)[1][0], span_of(last)[1][1]
    except ValueError:
        pass
    raise _NotUnderstood
