"""The rules that a server's kernel has loaded, and what the tool in charge of them was told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from readygate.areas.asking import ask
from readygate.areas.firewall.intent import Intent, parse_firewalld, parse_ufw
from readygate.areas.firewall.iptables import parse_iptables
from readygate.areas.firewall.nft import parse_nft
from readygate.areas.firewall.rules import Chain, Ruleset
from readygate.errors import CouldNotLook
from readygate.results import Evidence
from readygate.spec import Spec

PATHS = "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin\n"
_LISTING = re.compile(r"^= (\S+)\n", re.MULTILINE)
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
! command -v nft >/dev/null || {{ echo "= nft"; nft -j list ruleset || exit 1; }}
"""
_TOOLS = f"""{PATHS}
if command -v ufw >/dev/null; then echo "= ufw"; ufw status verbose || exit 1; fi
if command -v firewall-cmd >/dev/null && firewall-cmd --state >/dev/null 2>&1; then
    echo "= default"; firewall-cmd --get-default-zone || exit 1
    echo "= zones"; zones=$(firewall-cmd --list-all-zones) || exit 1; printf '%s\\n' "$zones"
    echo "= services"
    for service in $(printf '%s\\n' "$zones" | sed -n 's/^  services: //p' | tr ' ' '\\n' | sort -u); do
        firewall-cmd --info-service="$service" || exit 1
    done
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
    if not listings:
        raise CouldNotLook(
            f"{server.name} has neither iptables-save nor nft, so nobody can list its rules",
            mend="install nftables or iptables there",
        )
    try:
        chains = parse_rules(listings)
    except (AttributeError, ValueError, KeyError, TypeError, IndexError) as error:
        raise CouldNotLook(f"the rules of {server.name} can't be read: {error}") from error
    evidence = tuple(Evidence(tool, text) for tool, text in listings.items() if tool != "nft")
    return Loaded(Ruleset(chains), evidence, listings)


def parse_rules(listings: dict[str, str]) -> dict[str, Chain]:
    """The chains in what each tool printed; what iptables-nft lists better is not read from nft again."""
    chains: dict[str, Chain] = {}
    known: set[tuple[str, str]] = set()
    for tool, text in listings.items():
        if tool != "nft":
            family = 6 if tool.startswith("ip6") else 4
            chains |= parse_iptables(text, family, variant=" legacy" if "legacy" in tool else "")
            if "(nf_tables)" in text:
                known |= {
                    ("ip6" if family == 6 else "ip", table) for table in re.findall(r"^\*(\S+)", text, re.MULTILINE)
                }
    if "nft" in listings:
        chains |= parse_nft(listings["nft"], skip=known)
    return chains


def observe_firewall_intent(host: Any, server: Spec) -> Intent:
    """What ufw or firewalld was told, whichever is active; without either, the loaded rules are all there is."""
    told = _listings(ask(host, server.name, _TOOLS, within=60).text)
    if "zones" in told:
        return parse_firewalld(told["default"], told["zones"], told["services"])
    if "ufw" in told:
        return parse_ufw(told["ufw"])
    return Intent("", None)


def _listings(text: str) -> dict[str, str]:
    _, *parts = _LISTING.split(text)
    return dict(zip(parts[::2], parts[1::2], strict=True))
