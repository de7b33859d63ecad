"""Whether the rules of a server are there again after a reboot."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from readygate.areas.asking import ask
from readygate.areas.firewall.admission import view_of
from readygate.areas.firewall.intent import Intent
from readygate.areas.firewall.loaded import PATHS, Loaded, parse_rules
from readygate.areas.firewall.rules import Ruleset
from readygate.areas.firewall.surroundings import Surroundings
from readygate.errors import CouldNotLook
from readygate.spec import Spec

# What is loaded at boot, by whoever does it. The file of nft is read by nft itself, in a network that is nobody's.
_AT_BOOT = (
    PATHS
    + """
echo "= units"
for unit in ufw firewalld nftables netfilter-persistent; do
    echo "$unit $(systemctl is-enabled $unit 2>/dev/null)"
done
if [ -e /etc/ufw/ufw.conf ]; then echo "= ufw.conf"; cat /etc/ufw/ufw.conf || exit 1; fi
if command -v firewall-cmd >/dev/null && firewall-cmd --state >/dev/null 2>&1; then
    echo "= running"; firewall-cmd --list-all-zones || exit 1
    echo "= permanent"; firewall-cmd --permanent --list-all-zones || exit 1
fi
if systemctl -q is-enabled netfilter-persistent 2>/dev/null; then
    for file in 4:iptables-save 6:ip6tables-save; do
        if [ -e /etc/iptables/rules.v${file%%:*} ]; then
            echo "= ${file#*:}"; cat /etc/iptables/rules.v${file%%:*} || exit 1
        fi
    done
fi
if systemctl -q is-enabled nftables 2>/dev/null; then
    listed=$(unshare -n sh -c 'nft -f /etc/nftables.conf && nft -j list ruleset' 2>&1) || listed=
    if [ "$listed" ]; then echo "= nft"; printf '%s\\n' "$listed"; fi
fi
"""
)


@dataclass(frozen=True, slots=True)
class Persistence:
    """Whether the rules come back, and why not."""

    persistent: bool
    reason: str


def observe_persistence(
    host: Any, server: Spec, loaded_rules: Loaded, firewall_intent: Intent, surroundings: Surroundings
) -> Persistence:
    """What would be loaded at boot, compared with what is. CouldNotLook: it can't be told without a reboot."""
    _, *parts = re.split(r"^= (\S+)\n", ask(host, server.name, _AT_BOOT, within=60).text, flags=re.MULTILINE)
    told = dict(zip(parts[::2], parts[1::2], strict=True))
    enabled = {line.split()[0] for line in told["units"].splitlines() if line.split()[1:] == ["enabled"]}
    match firewall_intent.tool if firewall_intent.rules else "":
        case "ufw":
            if "ufw" not in enabled:
                return Persistence(False, "the unit ufw is not enabled")
            if not re.search(r"^ENABLED=[\"']?yes[\"']?$", told.get("ufw.conf", ""), re.MULTILINE):
                return Persistence(False, "/etc/ufw/ufw.conf does not say ENABLED=yes")
            return Persistence(True, "")
        case "firewalld":
            if "firewalld" not in enabled:
                return Persistence(False, "the unit firewalld is not enabled")
            same = told["running"].replace(" (active)", "") == told["permanent"].replace(" (active)", "")
            return Persistence(same, "" if same else "what runs was not made permanent, or what is was not reloaded")
    loader = next((unit for unit in ("nftables", "netfilter-persistent") if unit in enabled), None)
    if loader is None:
        return Persistence(
            False, "nothing loads rules at boot: none of ufw, firewalld, nftables, netfilter-persistent is enabled"
        )
    listings = {name: text for name, text in told.items() if name in ("iptables-save", "ip6tables-save", "nft")}
    if not listings:
        raise CouldNotLook(
            f"what {loader} would load at boot can't be tried here without loading it",
            mend="look as root, where `unshare -n` is allowed, or attest a reboot",
        )
    return _compared(Ruleset(parse_rules(listings)), loaded_rules.rules, surroundings, loader)


def _compared(at_boot: Ruleset, now: Ruleset, around: Surroundings, loader: str) -> Persistence:
    """Whether both let in the same, port by port."""
    both = [view_of(name, rules, around, ()) for name, rules in (("boot", at_boot), ("now", now))]
    if both[0].gaps == both[1].gaps and both[0].doubts == both[1].doubts:
        return Persistence(True, "")
    return Persistence(False, f"what {loader} loads at boot lets in other than what is loaded now")
