"""Where a server stands in the network: its own addresses, and which peers are behind each interface."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from readygate.areas.asking import ask
from readygate.areas.firewall.ranges import Ranges, ranges
from readygate.areas.firewall.rules import everybody
from readygate.spec import Spec

# Where there is no address yet, the rules are judged by one that might be got (RFC 3849).
_SOME_ADDRESS = {6: (int(IPv6Address("2001:db8::1")),), 4: (int(IPv4Address("192.0.2.1")),)}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Own addresses and the peers by interface, both by family. A family that the kernel has off is not there."""

    own: Mapping[int, tuple[int, ...]]
    interfaces: Mapping[int, Mapping[str, Ranges]]

    @property
    def families(self) -> tuple[int, ...]:
        return tuple(self.own)


def observe_surroundings(host: Any, server: Spec) -> Surroundings:
    """What /proc/net tells, by one command."""
    script = """
for file in /proc/net/route /proc/net/ipv6_route /proc/net/fib_trie /proc/net/if_inet6 \\
    /proc/sys/net/ipv6/conf/all/disable_ipv6; do
    echo "= $file"
    [ ! -e $file ] || cat $file
done"""
    told = re.split(r"^= .*\n", ask(host, server.name, script).text, flags=re.MULTILINE)[1:]
    return parse_surroundings(*told)


def parse_surroundings(route: str, ipv6_route: str, fib_trie: str, if_inet6: str, disabled: str) -> Surroundings:
    """Read these files of /proc/net, and the switch that turns IPv6 off."""
    found = re.findall(r"\|-- (\S+)\n\s+/32 host LOCAL", fib_trie)
    fours = sorted({int(IPv4Address(each)) for each in found if not each.startswith("127.")})
    sixes = sorted({int(line.split()[0], 16) for line in if_inet6.splitlines() if line.strip()} - {1})
    own = {4: tuple(fours) or _SOME_ADDRESS[4]}
    if sixes or disabled.strip() == "0":
        beyond_the_link = tuple(each for each in sixes if each >> 118 != 0xFE80 >> 6)
        own[6] = beyond_the_link or _SOME_ADDRESS[6]
    routes = {4: _routes(route), 6: _routes6(ipv6_route)}
    return Surroundings(own, {family: _behind(family, routes[family]) for family in own})


def _routes(table: str) -> list[tuple[int, int, int, str]]:
    """Prefix length, metric, network and interface of each line; addresses are printed with their bytes reversed."""
    lines = [line.split() for line in table.splitlines()[1:]]
    return [
        (_reversed(line[7]).bit_count(), int(line[6]), _reversed(line[1]), line[0])
        for line in lines
        if len(line) > 7 and int(line[3], 16) & 1
    ]


def _reversed(digits: str) -> int:
    return int.from_bytes(bytes.fromhex(digits), "little")


def _routes6(table: str) -> list[tuple[int, int, int, str]]:
    lines = [line.split() for line in table.splitlines()]
    return [
        (int(line[1], 16), int(line[5], 16), int(line[0], 16), line[9])
        for line in lines
        if len(line) > 9 and int(line[8], 16) & 1
    ]


def _behind(family: int, routes: list[tuple[int, int, int, str]]) -> Mapping[str, Ranges]:
    """Whom each interface leads to: a peer's packets are taken to come in where those to it go out."""
    bits = 32 if family == 4 else 128
    left = everybody(family)
    found: dict[str, Ranges] = {}
    for length, _, network, interface in sorted(routes, key=lambda route: (-route[0], route[1])):
        there = left & ranges((network, network + (1 << (bits - length)) - 1))
        left = left - there
        if interface != "lo":
            found[interface] = found.get(interface, Ranges()) | there
    return found
