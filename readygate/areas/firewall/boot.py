"""Rules as they would be loaded at boot beside those that are loaded now, rule by rule."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# What services make anew whenever they start: their chains and tables, and what they say of their own bridges.
_OWNED_CHAIN = re.compile(
    r"(?:DOCKER(?!-USER)|f2b-|LIBVIRT_|sshguard|KUBE-|CNI-|NETAVARK|cali-|CILIUM|ts-|CROWDSEC|ufw6?-)"
)
_OWNED_TABLES = {"f2b-table", "crowdsec", "crowdsec6", "netavark", "libvirt_network", "docker-bridges", "firewalld"}
_OWNED_RULE = re.compile(
    r"-[io] (?:docker|br-[0-9a-f]{12}|virbr|cni|podman|lxcbr|tailscale)"
    r"|-s (\S+) -d \1 .*MASQUERADE|-d 127.0.0.1/32 ! -i lo"
)
_OWNED_TARGET = re.compile(r"-[jg] (?:DOCKER-USER\b|" + _OWNED_CHAIN.pattern + ")")
_NO_RULE = "-A DOCKER-USER -j RETURN"
# What the kernel counts, and the numbers by which it knows a thing, tell nothing of what was told to it.
_COUNTED = {"handle", "packets", "bytes", "expires", "used", "index"}


@dataclass(frozen=True, slots=True)
class Listings:
    """What the tools print of a whole set of rules, by the tool; one that isn't there printed nothing."""

    by_tool: Mapping[str, str]

    def difference_to(self, now: Listings) -> str:
        """What is otherwise in `now` than in this, which is loaded at boot, in words; nothing where nothing is."""
        native, native_now = _tables(self.by_tool.get("nft", "")), _tables(now.by_tool.get("nft", ""))
        for tool in dict.fromkeys((*self.by_tool, *now.by_tool)):
            if "iptables" in tool or "ip6tables" in tool:
                family = "ip6" if tool.startswith("ip6") else "ip"
                theirs = now.by_tool.get(tool, "")
                # The old kernel interface has tables of its own, whatever nft calls its own.
                skip = () if "legacy" in tool else {name for of, name in native if of == family}
                if found := iptables_difference(self.by_tool.get(tool, ""), theirs, skip):
                    return found
                if "(nf_tables)" in theirs:
                    listed = {(family, name) for name in re.findall(r"^\*(\S+)", theirs, re.MULTILINE)}
                    native_now = {
                        where: told for where, told in native_now.items() if where in native or where not in listed
                    }
        return _nft_difference(native, native_now)


def iptables_difference(at_boot: str, now: str, skip: Iterable[str] = ()) -> str:
    """The first chain of the tables of iptables that differs, but for those in `skip`."""
    boot, loaded = _chains(at_boot), _chains(now)
    is_docked = any(chain.startswith("DOCKER") for _, chain in loaded)
    for table, chain in dict.fromkeys((*boot, *loaded)):
        if table in skip or _OWNED_CHAIN.match(chain):
            continue
        policies, rules = zip(
            *(each.get((table, chain), ("ACCEPT", ())) for each in (boot, loaded)), strict=True
        )  # docker shuts the chain that forwards when it starts
        if found := _first_difference(*rules):
            return f"{found}, in {table} {chain}"
        if policies[0] != policies[1] and not (is_docked and chain == "FORWARD"):
            return f"the policy of {table} {chain} is {policies[1]}, and at boot {policies[0]}"
    return ""


@dataclass(frozen=True, slots=True)
class Strays:
    """What nobody stands behind; `unsure` are rules that may be known, written in another way."""

    sure: tuple[str, ...]
    unsure: tuple[str, ...] = ()


def strays(now: Listings, known: Iterable[str] = ()) -> Strays:
    """Rules that neither a tool such as ufw nor a service stands behind, and that are not `known`."""
    left = Counter(_plain(each) for each in known)
    is_sure = not left
    found: list[str] = []
    tables = _tables(now.by_tool.get("nft", ""))
    for tool, text in now.by_tool.items():
        if tool == "nft":
            continue
        family = "ip6" if tool.startswith("ip6") else "ip"
        for (table, chain), (_, rules) in _chains(text).items():
            if "(nf_tables)" in text:
                tables.pop((family, table), None)
            for rule in () if _OWNED_CHAIN.match(chain) else rules:
                if left[plain := _plain(rule)]:
                    left[plain] -= 1
                else:
                    found.append(f"{rule}, in table {table}")
    beside = tuple(
        f"table {' '.join(where)}"
        for where, told in tables.items()
        if where[1] not in _OWNED_TABLES and _does_something(told)
    )
    return Strays((*beside, *found)) if is_sure else Strays(beside, tuple(found))


def _first_difference(boot: tuple[str, ...], now: tuple[str, ...]) -> str:
    if boot == now:
        return ""
    typed = next(iter(Counter(now) - Counter(boot)), None)
    if typed:
        return f"nothing loads at boot what is loaded now: {typed}"
    lost = next(iter(Counter(boot) - Counter(now)), None)
    return f"what is loaded at boot is not there now: {lost}" if lost else "the order at boot is another"


def _chains(text: str) -> dict[tuple[str, str], tuple[str, tuple[str, ...]]]:
    """Policy and rules by table and chain, without what services add to chains that aren't theirs."""
    chains: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = {}
    table = ""
    for line in text.splitlines():
        line = re.sub(r"^\[\d+:\d+\] ", "", line)
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith(":"):
            name, policy = line[1:].split()[:2]
            chains[table, name] = ("ACCEPT" if policy == "-" else policy, ())
        elif line.startswith("-A "):
            name = line.split()[1]
            is_owned = _OWNED_TARGET.search(line) or line == _NO_RULE
            if not is_owned and (name in ("INPUT", "OUTPUT") or not _OWNED_RULE.search(line)):
                policy, rules = chains[table, name]
                chains[table, name] = (policy, (*rules, line))
    return chains


def _plain(rule: str) -> str:
    """A rule without what iptables adds of its own to what it was told."""
    words = re.sub(r" -m (?:tcp|udp)\b|(?<=\d)/(?:32|128)\b", "", rule).split()
    return " ".join(words[1:] if words[:1] in (["-A"], ["-I"]) else words)


def _tables(listing: str) -> dict[tuple[str, str], dict[str, Any]]:
    """All that stands in each table of nft, by its family and name: chains, sets, rules in their order."""
    tables: dict[tuple[str, str], dict[str, Any]] = {}
    for each in json.loads(listing)["nftables"] if listing.strip() else ():
        ((kind, thing),) = each.items()
        if kind == "metainfo":
            continue
        where = (thing["family"], thing["name"] if kind == "table" else thing["table"])
        told = tables.setdefault(where, {})
        if kind in ("set", "map") and {"dynamic", "timeout"} & set(_listed(thing.get("flags"))):
            thing = {name: value for name, value in thing.items() if name != "elem"}  # what packets put there
        if kind == "rule":
            told.setdefault(f"rules of {thing['chain']}", []).append(_still(thing["expr"]))
        elif kind != "table":
            told[f"{kind} {thing['name']}"] = _still(thing)
    return tables


def _listed(flags: Any) -> list[str]:
    return [flags] if isinstance(flags, str) else flags or []


def _still(thing: Any) -> Any:
    match thing:
        case dict():
            return {name: _still(value) for name, value in thing.items() if name not in _COUNTED}
        case list():
            return [_still(each) for each in thing]
    return thing


def _nft_difference(boot: Mapping[tuple[str, str], Any], now: Mapping[tuple[str, str], Any]) -> str:
    for where in dict.fromkeys((*boot, *now)):
        ours, theirs = boot.get(where, {}), now.get(where, {})
        if where not in boot and (where[1] in _OWNED_TABLES or not _does_something(theirs)):
            continue
        for name in dict.fromkeys((*ours, *theirs)):
            if ours.get(name) != theirs.get(name):
                return f"{name} in table {' '.join(where)} is another at boot than now"
    return ""


def _does_something(table: Mapping[str, Any]) -> bool:
    return any(
        name.startswith("rules of ") or (isinstance(told, dict) and told.get("policy") == "drop")
        for name, told in table.items()
    )
