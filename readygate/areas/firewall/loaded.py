"""The rules that a server's kernel has loaded, and what the tool in charge of them was told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from shlex import quote
from typing import Any

from readygate.areas.asking import ask
from readygate.areas.firewall.firewalld import parse_firewalld
from readygate.areas.firewall.intent import Intent, parse_ufw
from readygate.areas.firewall.iptables import parse_iptables
from readygate.areas.firewall.nft import parse_nft
from readygate.areas.firewall.rules import Chain, Ruleset
from readygate.errors import CouldNotLook
from readygate.results import Evidence
from readygate.spec import Spec

PATHS = "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin\n"
_TABLES = "tables of nftables"
_FAMILIES = {"1": "inet", "2": "ip", "5": "netdev", "10": "ip6"}  # by whose rules an address is reached
_LISTING = re.compile(r"^= (.+)\n", re.MULTILINE)
# The tables that hold any chain, with their family's number, as the kernel tells them (linux/netfilter/nf_tables.h).
_NATIVE = r"""
import socket, struct
line = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
line.send(struct.pack("=IHHIIBBH", 20, 10 << 8 | 1, 0x301, 1, 0, 0, 0, 0))
while True:
    told = line.recv(1 << 20)
    while told:
        size, kind = struct.unpack_from("=IH", told)
        if kind == 2 and -struct.unpack_from("=i", told, 16)[0] == 1:
            raise SystemExit("Operation not permitted")
        if kind in (2, 3):
            raise SystemExit
        at, name, chains = 20, b"", 1
        while at < size:
            length, attribute = struct.unpack_from("=HH", told, at)
            value = told[at + 4 : at + length]
            if attribute == 1:
                name = value.rstrip(b"\0")
            elif attribute == 3:
                chains = struct.unpack(">I", value)[0]
            at += length + 3 & ~3
        if chains:
            print(told[16], name.decode())
        told = told[size + 3 & ~3 :]
"""
_RULES = f"""{PATHS}
for tool in iptables-save ip6tables-save; do
    ! command -v $tool >/dev/null || {{ echo "= $tool"; $tool || exit 1; }}
done
# Only where the old kernel interface is in use, as to ask would load it, and where iptables is not of it itself.
for six in "" 6; do
    tables=/proc/net/ip${{six}}_tables_names save=ip${{six}}tables-save old=ip${{six}}tables-legacy-save
    [ -e $tables ] && grep -q . $tables || continue
    ! command -v $save >/dev/null || $save -V 2>/dev/null | grep -q nf_tables || continue
    if ! command -v $old >/dev/null; then
        echo "rules of the old kernel interface are loaded, and without $old nobody can list them" >&2; exit 1
    fi
    echo "= $old"; $old || exit 1
done
builtin=/lib/modules/$(uname -r)/modules.builtin
if command -v nft >/dev/null; then
    echo "= nft"; nft -j list ruleset || exit 1
elif grep -qs '^nf_tables ' /proc/modules || [ ! -r $builtin ] || grep -q /nf_tables.ko $builtin; then
    if ! command -v python3 >/dev/null; then
        echo "rules of nftables may be loaded, and without nft nobody can list them" >&2; exit 1
    fi
    echo "= {_TABLES}"; python3 -c {quote(_NATIVE)} || exit 1
fi
"""
_TOOLS = f"""{PATHS}
if command -v ufw >/dev/null; then echo "= ufw"; ufw status verbose || exit 1; fi
if command -v firewall-cmd >/dev/null && firewall-cmd --state >/dev/null 2>&1; then
    echo "= default"; firewall-cmd --get-default-zone || exit 1
    echo "= zones"; zones=$(firewall-cmd --list-all-zones) || exit 1; printf '%s\\n' "$zones"
    echo "= services"; known=" "
    todo=$(printf '%s\\n' "$zones" | sed -n 's/^  services: //p; s/.*service name="\\([^"]*\\)".*/\\1/p')
    while [ "$todo" ]; do
        more=
        for service in $todo; do
            case $known in *" $service "*) continue ;; esac
            known="$known$service "
            said=$(firewall-cmd --info-service="$service") || exit 1; printf '%s\\n' "$said"
            more="$more$(printf '%s\\n' "$said" | sed -n 's/^  includes: *\\(.\\)/ \\1/p')"
        done
        todo=$more
    done
    echo "= ipsets"; for set in $(firewall-cmd --get-ipsets); do firewall-cmd --info-ipset="$set" || exit 1; done
fi
"""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The rules in the kernel, and as each tool lists them."""

    rules: Ruleset
    evidence: tuple[Evidence, ...] = ()
    listings: Mapping[str, str] = field(default_factory=dict, repr=False)


def observe_loaded_rules(host: Any, server: Spec) -> Loaded:
    """All rules that are loaded, whoever loaded them. CouldNotLook: there is no tool that lists them."""
    listings = _listings(ask(host, server.name, _RULES).text)
    native = listings.pop(_TABLES, "")
    if not listings:
        raise CouldNotLook(
            f"{server.name} has neither iptables-save nor nft, so nobody can list its rules",
            mend="install nftables or iptables there",
        )
    try:
        chains = parse_rules(listings)
    except (AttributeError, ValueError, KeyError, TypeError, IndexError) as error:
        raise CouldNotLook(f"the rules of {server.name} can't be read: {error}") from error
    _refuse_unlisted(server.name, native, _listed_as_nft(listings))
    evidence = tuple(Evidence(tool, text) for tool, text in listings.items() if tool != "nft")
    return Loaded(Ruleset(chains), evidence, listings)


def parse_rules(listings: dict[str, str]) -> dict[str, Chain]:
    """The chains in what each tool printed; what iptables-nft lists better is not read from nft again."""
    chains: dict[str, Chain] = {}
    for tool, text in listings.items():
        if tool != "nft":
            family = 6 if tool.startswith("ip6") else 4
            chains |= parse_iptables(text, family, variant=" legacy" if "legacy" in tool else "")
    if "nft" in listings:
        chains |= parse_nft(listings["nft"], skip=_listed_as_nft(listings))
    return chains


def _listed_as_nft(listings: Mapping[str, str]) -> set[tuple[str, str]]:
    """The tables of nftables, by family and name, that iptables-nft lists."""
    return {
        ("ip6" if tool.startswith("ip6") else "ip", table)
        for tool, text in listings.items()
        if "(nf_tables)" in text
        for table in re.findall(r"^\*(\S+)", text, re.MULTILINE)
    }


def _refuse_unlisted(server: str, native: str, listed: set[tuple[str, str]]) -> None:
    """CouldNotLook: nft isn't there, and some table that only it can list is."""
    told = (
        (_FAMILIES.get(family, ""), name) for family, _, name in (row.partition(" ") for row in native.splitlines())
    )
    for family, name in told:
        if family and (family, name) not in listed:
            raise CouldNotLook(
                f"the table {family} {name} of nftables is loaded on {server}, and without nft nobody can list it",
                mend="install nftables there",
            )


def observe_firewall_intent(host: Any, server: Spec) -> Intent:
    """What ufw or firewalld was told, whichever is active; without either, the loaded rules are all there is."""
    told = _listings(ask(host, server.name, _TOOLS, within=60).text)
    if "zones" in told:
        return parse_firewalld(told["default"], told["zones"], told["services"], told["ipsets"])
    if "ufw" in told:
        return parse_ufw(told["ufw"])
    return Intent("", None)


def _listings(text: str) -> dict[str, str]:
    _, *parts = _LISTING.split(text)
    return dict(zip(parts[::2], parts[1::2], strict=True))
