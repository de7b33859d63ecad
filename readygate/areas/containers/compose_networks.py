"""The networks of a compose service, by the names that the engine knows: meant, and held."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from readygate.areas.containers.actual import ActualContainer

Told = Mapping[str, Any]

_COMPARED = {"aliases", "ipv4_address", "ipv6_address"}
_SETTINGS_COMPARED = {"name", "external", "internal", "labels", "attachable"}


@dataclass(frozen=True, slots=True)
class ComposeNetwork:
    """How a service is in a network; `internal` is None where others made the network."""

    aliases: frozenset[str] = frozenset()
    address: str | None = None
    address6: str | None = None
    internal: bool | None = None


def regular_networks(told: Any) -> dict[str, dict[str, Any]] | None:
    """By name, in one notation."""
    if told is None:
        return None
    named = told if isinstance(told, dict) else dict.fromkeys(told)
    return {str(name): each or {} for name, each in named.items()}


def networks_of(told: Told | None, project: str, networks: Told) -> dict[str, ComposeNetwork]:
    """By full name. ValueError: a network that no file describes."""
    found = {}
    for name, each in (told or {"default": {}}).items():
        if name not in networks and name != "default":
            raise ValueError(name)
        made = networks.get(name) or {}
        external = made.get("external")
        outer = external.get("name") if isinstance(external, dict) else None
        full = outer or made.get("name") or (name if external else f"{project}_{name}")
        found[str(full)] = ComposeNetwork(
            frozenset(map(str, each.get("aliases") or ())),
            each.get("ipv4_address"),
            each.get("ipv6_address"),
            None if external else bool(made.get("internal")),
        )
    return found


def uncompared_networks(told: Told, networks: Told) -> Iterator[str]:
    """Which aspects of it have more in the files than is compared."""
    if told.get("network_mode"):
        return
    named = told.get("networks") or {"default": {}}
    if any(set(each) - _COMPARED for each in named.values()):
        yield "networks"
    made = [networks.get(name) or {} for name in named]
    if any(not each.get("external") and set(each) - _SETTINGS_COMPARED - _usual(each) for each in made):
        yield "network_settings"


def _usual(network: Told) -> set[str]:
    return {"driver"} if network.get("driver") in (None, "default", "bridge") else set()


def network_differences(
    service: str, meant: Mapping[str, ComposeNetwork], mode: str | None, actual: ActualContainer, joined: str
) -> Iterator[str]:
    """Where a container is in other networks, or otherwise; `joined` is its network mode, with services by name."""
    held = actual.networks or frozenset()
    if mode is not None:
        wanted = {"default": "bridge"}.get(mode, mode)
        is_ = joined if ":" in joined else ", ".join(sorted(held))
        if is_ != wanted:
            yield f"its network is {is_}, not {wanted}"
        return
    if ":" in joined:
        yield f"its network is that of {joined}, not {', '.join(sorted(meant))}"
        return
    yield from (f"it is not in the network {name}" for name in sorted(set(meant) - held))
    yield from (f"it is in the network {name}, and the file has it in no such" for name in sorted(held - set(meant)))
    for name in sorted(held & set(meant)):
        yield from _inside(service, name, meant[name], actual)


def _inside(service: str, name: str, meant: ComposeNetwork, actual: ActualContainer) -> Iterator[str]:
    told = (actual.inspected["NetworkSettings"].get("Networks") or {}).get(name) or {}
    held = {*(told.get("Aliases") or ()), *(told.get("DNSNames") or ())}
    identity = actual.inspected["Id"]
    own = {service, actual.name, identity, identity[:12], actual.inspected["Config"].get("Hostname")}
    for alias in sorted(({service} | meant.aliases) - held):
        yield f"in the network {name} it does not go by {alias}"
    for alias in sorted(held - own - meant.aliases):
        yield f"in the network {name} it goes by {alias}, and not in the file"
    asked = told.get("IPAMConfig") or {}
    for wanted, fixed, now in (
        (meant.address, asked.get("IPv4Address"), told.get("IPAddress")),
        (meant.address6, asked.get("IPv6Address"), told.get("GlobalIPv6Address")),
    ):
        is_ = (fixed or now) if wanted else fixed
        if (is_ or None) != wanted:
            yield f"its address in the network {name} is {is_ or 'any'}, not {wanted or 'any'}"
