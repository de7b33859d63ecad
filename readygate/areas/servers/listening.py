"""All that listens on a server for whoever is not on it, so that nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Annotated, Any

from readygate.areas.servers.proc import Socket
from readygate.areas.servers.processes import numbered
from readygate.expectation import Expectation, Expects
from readygate.kinds import MEMBERS, Kind
from readygate.results import Evidence


def with_protocol(port: object) -> str:
    """The port as the fact writes it: 443/tcp for 443."""
    name = numbered(str(port))
    return name if "/" in name else f"{name}/tcp"


PORT = Kind("port", "443/tcp", with_protocol, with_protocol, str, json_types=("integer", "string"))
PortSet = Annotated[Expectation, Expects(MEMBERS(PORT))]


@dataclass(frozen=True, slots=True)
class OpenPorts:
    """The ports that wait on any other address than the loopback's."""

    names: tuple[str, ...]
    evidence: tuple[Evidence, ...] = ()


def observe_open_ports(sockets: tuple[Socket, ...]) -> OpenPorts:
    """Ports such as 443/tcp; what only the server itself can reach doesn't count."""
    waiting = sorted((each for each in sockets if not _is_loopback(each.address)), key=lambda each: each.port)
    shown = "\n".join(f"{each.address} {each.port}/{each.protocol}" for each in waiting)
    names = dict.fromkeys(f"{each.port}/{each.protocol}" for each in waiting)
    return OpenPorts(tuple(names), (Evidence("/proc/net/{tcp,tcp6,udp,udp6}", shown),))


def _is_loopback(address: str) -> bool:
    ip = ip_address(address)
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
        return ip.ipv4_mapped.is_loopback
    return ip.is_loopback


FACTS: dict[str, Callable[..., Any]] = {"open_ports": observe_open_ports}
