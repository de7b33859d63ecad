"""Whether the rules of a server are there again after a reboot."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from readygate.areas.asking import ask
from readygate.areas.firewall.admission import view_of
from readygate.areas.firewall.boot import Listings, Strays, strays
from readygate.areas.firewall.intent import Intent
from readygate.areas.firewall.loaded import PATHS, Loaded
from readygate.areas.firewall.rules import Ruleset
from readygate.areas.firewall.surroundings import Surroundings
from readygate.errors import CouldNotLook
from readygate.spec import Spec

# What is loaded at boot, by whoever does it. A tool reads its own file of rules, in a network that is nobody's.
_AT_BOOT = (
    PATHS
    + r"""
enabled() { systemctl -q is-enabled $1 2>/dev/null; }
echo "= units"
for unit in ufw firewalld nftables netfilter-persistent; do
    echo "$unit $(systemctl is-enabled $unit 2>/dev/null)"
done
if [ -e /etc/ufw/ufw.conf ]; then
    echo "= ufw.conf"; cat /etc/ufw/ufw.conf || exit 1
    echo "= ufw.rules"; cat /etc/ufw/*.rules || exit 1
fi
if enabled netfilter-persistent; then
    for six in "" 6; do
        file=/etc/iptables/rules.v${six:-4}
        [ -e $file ] || continue
        echo "= ip${six}tables-save"
        unshare -n sh -c "ip${six}tables-restore <$file && ip${six}tables-save" 2>/dev/null || echo unable
    done
fi
if enabled nftables; then
    file=$(systemctl show --property=ExecStart nftables | sed -n 's/.* -f \(\/[^ ;]*\).*/\1/p')
    # A rule with `iif eth0` takes an interface of that name; those that services make are not there yet at boot.
    names=
    for link in /sys/class/net/*; do
        [ -e $link/tun_flags ] || grep -qs ^DEVTYPE=[^w] $link/uevent || grep -qs ^DEVTYPE=wireguard $link/uevent ||
            names="$names ${link##*/}"
    done
    echo "= nft"
    unshare -n sh -c '
        file=$1; shift
        for name; do
            for type in dummy bridge veth; do ip link add "$name" type $type 2>/dev/null && break; done
        done
        said=$(nft -f "$file" 2>&1) && nft -j list ruleset || printf "unable: %s\n" "${said%%
*}"' nft "${file:-/etc/nftables.conf}" $names 2>/dev/null || echo unable
fi
"""
)

# All that firewalld can be told for now only, each asked twice.
_FIREWALLD = (
    PATHS
    + r"""
told() {
    echo "= $1 $2"; shift
    shift; said=$(firewall-cmd "$@" 2>&1); code=$?
    case $code:$said in
        0:*) printf '%s\n' "$said" ;;
        *unrecognized*) ;;
        *) printf '%s\n' "$said" >&2; exit 1 ;;
    esac
}
both() {
    what=$1; shift
    told now "$what" "$@"
    told boot "$what" --permanent "$@"
}
both zones --list-all-zones
both policies --list-all-policies
for kind in chains rules passthroughs; do both direct-$kind --direct --get-all-$kind; done
both helpers --get-helpers
both ipsets --get-ipsets
for set in $(firewall-cmd --get-ipsets); do both ipset-$set --info-ipset=$set; done
services=$(firewall-cmd --list-all-zones | sed -n 's/^  services: //p' | tr ' ' '\n' | sort -u)
for service in $services; do both service-$service --info-service=$service; done
told now default-zone --get-default-zone
echo "= boot default-zone"; sed -n 's/^DefaultZone=//p' /etc/firewalld/firewalld.conf || exit 1
# NetworkManager puts an interface into the zone that its saved profile names, or else into the default zone. Of a
# profile in /run only those come back that netplan writes.
echo "= boot profiles"
if command -v nmcli >/dev/null && systemctl -q is-active NetworkManager; then
    nmcli -t -f DEVICE,AUTOCONNECT,FILENAME connection show --active | while IFS=: read -r device starts file; do
        case $starts:$file in
            no:*) continue ;;
            yes:/run/NetworkManager/system-connections/netplan-*) ;;
            yes:/run/*) file=/dev/null ;;
        esac
        echo "$device $(sed -n "s/^[Zz][Oo][Nn][Ee]=[\"']*\([^\"']*\).*/\1/p" "$file" | head -n 1)"
    done
fi
echo "= now panic"; firewall-cmd --query-panic
echo "= boot panic"; echo no
"""
)
# Docker, libvirt and podman bind their own bridges to a zone whenever they start.
_OWNED_BRIDGE = re.compile(r"(?:docker\d|br-[0-9a-f]{12}|virbr|cni|podman|lxcbr|tailscale)")


@dataclass(frozen=True, slots=True)
class Persistence:
    """Whether the rules come back, and why not."""

    persistent: bool
    reason: str


def observe_persistence(
    host: Any, server: Spec, loaded_rules: Loaded, firewall_intent: Intent, surroundings: Surroundings
) -> Persistence:
    """What would be loaded at boot, compared with what is. CouldNotLook: it can't be told without a reboot."""
    told = dict(_sections(ask(host, server.name, _AT_BOOT, within=60).text))
    enabled = {line.split()[0] for line in told["units"].splitlines() if line.split()[1:] == ["enabled"]}
    now = Listings(loaded_rules.listings)
    match firewall_intent.tool if firewall_intent.rules else "":
        case "ufw":
            if "ufw" not in enabled:
                return Persistence(False, "the unit ufw is not enabled")
            if not re.search(r"^ENABLED=[\"']?yes[\"']?$", told.get("ufw.conf", ""), re.MULTILINE):
                return Persistence(False, "/etc/ufw/ufw.conf does not say ENABLED=yes")
            return _unless_typed("ufw", strays(now, _rules_in(told.get("ufw.rules", ""))))
        case "firewalld":
            if "firewalld" not in enabled:
                return Persistence(False, "the unit firewalld is not enabled")
            return _of_firewalld(
                dict(_sections(ask(host, server.name, _FIREWALLD, within=120).text)),
                loaded_rules,
                firewall_intent.rules or Ruleset(),
                surroundings,
            )
    loader = next((unit for unit in ("nftables", "netfilter-persistent") if unit in enabled), None)
    if loader is None:
        return Persistence(
            False, "nothing loads rules at boot: none of ufw, firewalld, nftables, netfilter-persistent is enabled"
        )
    listings = {name: text for name, text in told.items() if name in ("iptables-save", "ip6tables-save", "nft")}
    if not listings:
        return Persistence(False, f"{loader} is enabled, and has no file of rules to load")
    if unable := next((text for text in listings.values() if text.startswith("unable")), ""):
        said = unable.strip().removeprefix("unable")
        if "syntax error" in said:
            return Persistence(False, f"what {loader} loads at boot is not understood{said}")
        raise CouldNotLook(
            f"what {loader} would load at boot can't be tried here without loading it{said}",
            mend="write iifname for an interface that may not be there yet"
            if "Interface" in said
            else "look as root, where `unshare -n` is allowed, or attest a reboot",
        )
    difference = Listings(listings).difference_to(now)
    return Persistence(not difference, difference)


def _rules_in(files: str) -> list[str]:
    """The rules for chains that aren't ufw's own."""
    return [line for line in files.splitlines() if re.match(r"-[AI] (?!ufw)", line)]


def _sections(text: str) -> Iterator[tuple[str, str]]:
    _, *parts = re.split(r"^= (.+)\n", text, flags=re.MULTILINE)
    yield from zip(parts[::2], parts[1::2], strict=True)


def _unless_typed(tool: str, typed: Strays) -> Persistence:
    if typed.sure:
        return Persistence(False, f"{tool} does not load it at boot: {typed.sure[0]}")
    if typed.unsure:
        raise CouldNotLook(
            f"whether {tool} loads it at boot can't be told from its own files: {typed.unsure[0]}",
            mend="write rules there as iptables-save prints them",
        )
    return Persistence(True, "")


def _of_firewalld(told: Mapping[str, str], loaded: Loaded, intent: Ruleset, around: Surroundings) -> Persistence:
    """Whether what it was told for now is what it was told for good, and nothing else is loaded beside it."""
    default = told["now default-zone"].strip()
    for name, text in told.items():
        when, _, what = name.partition(" ")
        if when != "now":
            continue
        at_boot = _lines(told[f"boot {what}"], default)
        if what == "zones":
            at_boot = _as_in_profiles(at_boot, told["boot profiles"], default)
        if differing := _lines(text, default) ^ at_boot:
            return Persistence(
                False, f"the {what.partition('-')[0]} of firewalld differ now and at boot: {min(differing)}"
            )
    direct = (*told["now direct-rules"].splitlines(), *told["now direct-passthroughs"].splitlines())
    known = [re.sub(r"^\S+ (?:\S+ (\S+) -?\d+ (?=-))?", r"-A \1 ", line) for line in direct]
    found = _unless_typed("firewalld", strays(Listings(loaded.listings), known))
    own = Ruleset({name: chain for name, chain in loaded.rules.chains.items() if "inet firewalld " in name})
    if not found.persistent or not own.chains or len(told["now policies"].strip().split("\n\n")) > 1:
        return found
    views = [view_of(name, rules, around, ()) for name, rules in (("told", intent), ("loaded", own))]
    if any(view.doubts for view in views) or views[0].gaps == views[1].gaps:
        return found
    return Persistence(False, "the table of firewalld lets in other than firewalld was told")


def _as_in_profiles(at_boot: set[str], profiles: str, default_zone: str) -> set[str]:
    """The same lines, but for the interfaces that NetworkManager puts into a zone, whatever firewalld was told."""
    zones = dict(line.split(" ", 1) for line in profiles.splitlines())
    kept = {line for line in at_boot if line.rpartition(": interface ")[2] not in zones}
    return kept | {f"{zone}: interface {device}" for device, zone in zones.items() if zone not in ("", default_zone)}


def _lines(text: str, default_zone: str) -> set[str]:
    """All lines, each with the zone or policy that it stands under; without what is the same without a line.

    Whatever is bound to no zone is in the default zone, so that an interface there needs no line.
    """
    found: set[str] = set()
    head = ""
    for line in text.splitlines():
        if line.strip() and not line[0].isspace():
            head = line.replace(" (active)", "").replace(" (default)", "")
            found.add(head)
        elif line.strip().startswith("interfaces:"):
            bound = [each for each in line.split()[1:] if not _OWNED_BRIDGE.match(each)]
            found |= {f"{head}: interface {each}" for each in bound if head.split(" ")[0] != default_zone}
        elif line.strip():
            found.add(f"{head}: {line.strip()}")
    return found
