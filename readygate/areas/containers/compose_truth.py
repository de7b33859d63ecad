"""Where the containers of a project are not what its compose files say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from readygate.areas.containers.actual import ActualContainer, Mounted, user_of
from readygate.areas.containers.compose_file import ComposeService
from readygate.areas.containers.compose_networks import network_differences
from readygate.areas.containers.compose_notation import ComposePort, ComposeVolume
from readygate.areas.containers.compose_settings import SERVICE_KEYS, differs
from readygate.areas.containers.compose_start import (
    NO_CHECK,
    held_check,
    meant_check,
    meant_start,
    start_differences,
)
from readygate.areas.containers.engine import Images, OnEngine
from readygate.errors import CouldNotLook
from readygate.units import plain, show_size

# Variables that an engine, or compose with a proxy in its client's settings, gives to every container.
_SET_BY_TOOLS = re.compile(r"PATH|HOME|HOSTNAME|TERM|container|(?i:(http|https|ftp|no|all)_proxy)")


@dataclass(frozen=True, slots=True)
class Differences:
    """The services that don't run, and each point in which one that is there is not as its file says."""

    missing: tuple[str, ...]
    found: tuple[str, ...]
    uncompared: tuple[str, ...] = ()

    @property
    def compared_in_full(self) -> bool:
        """CouldNotLook: the files say more of what runs than can be compared."""
        if self.uncompared:
            aspects = sorted({each.rpartition(" of ")[0] for each in self.uncompared})
            raise CouldNotLook(
                f"not compared with what runs: {', '.join(self.uncompared)}",
                mend=f"declare what it has to be by other keys, and write `ignoring: [{', '.join(aspects)}]`",
            )
        return True

    @property
    def told(self) -> str:
        return "; ".join(self.found)


def compare(
    project: str,
    services: Iterable[ComposeService],
    on_engine: OnEngine,
    images: Images,
    internal: Mapping[str, bool],
) -> Differences:
    """Compare the containers of a project with its services; what the files leave open is as the image has it.

    `internal` says of each network of the engine whether it leads nowhere else.
    """
    missing, found = [], []
    uncompared: set[str] = set()
    for service in services:
        replicas = on_engine.of_service(project, service.name)
        running = sum(each.running for each in replicas)
        if service.to_end:
            if not replicas:
                missing.append(service.name)
            found += [f"{service.name}: {_unended(each)}" for each in replicas if each.exit_code != 0]
            continue
        if not running and service.replicas:
            missing.append(service.name)
            continue
        if running != service.replicas and "replicas" not in service.ignoring:
            found.append(f"{service.name}: {running} replicas, not {service.replicas}")
        uncompared |= {f"{key} of {service.name}" for key in service.uncompared}
        told: list[str] = []
        for each in replicas:
            image = images.config_of(each)
            compared = (
                *_differences(service, each),
                *_earlier(each, images),
                *_started(service, each, image),
                *_networked(service, each, on_engine, internal),
                *_set(service, each, image, on_engine),
            )
            for aspect, difference in compared:
                if aspect in service.ignoring:
                    continue
                if difference is None:
                    uncompared.add(f"{aspect} of {service.name}")
                else:
                    told.append(f"{service.name}: {difference}")
        found += dict.fromkeys(told)
    return Differences(tuple(missing), tuple(found), tuple(sorted(uncompared)))


def _unended(actual: ActualContainer) -> str:
    if actual.exit_code is None:
        return f"it is {actual.status}, and others wait for its end"
    return f"it ended with {actual.exit_code}, and others wait for it to end well"


def _earlier(actual: ActualContainer, images: Images) -> Iterator[tuple[str, str]]:
    """Whether it was made from an image that has lost its name to a later one: compose would make it anew."""
    if images.of(actual).is_current is False:
        yield "image", f"image is an earlier {actual.image}"


def _differences(service: ComposeService, actual: ActualContainer) -> Iterator[tuple[str, str]]:
    """The aspect and the difference, which never has the value of a variable in it."""

    def unless_same(aspect: str, is_: object, should_be: object) -> Iterator[tuple[str, str]]:
        if is_ != should_be:
            yield aspect, f"{aspect.replace('_', ' ')} is {_shown(is_)}, not {_shown(should_be)}"

    if service.to_be_healthy and actual.health != "healthy":
        yield "health", f"health is {actual.health or 'unknown'}, and others wait for it to be healthy"
    if service.image is not None:
        yield from unless_same("image", actual.image, service.image)
    yield from unless_same("restart", actual.restart, service.restart)
    yield from unless_same("memory", _size(actual.memory), _size(service.memory))
    # Docker sets the reservation to the limit where only the limit is given.
    if service.memory_reservation is not None:
        yield from unless_same(
            "memory_reservation", _size(actual.memory_reservation), _size(service.memory_reservation)
        )
    yield from unless_same("cpus", actual.cpus, service.cpus)
    if service.pids is not None:
        yield from unless_same("pids", actual.pids, service.pids)
    if service.user is not None:
        root = service.user.partition(":")[0] in ("", "0", "root")
        yield from unless_same("user", actual.user, "root" if root else service.user)
    yield from unless_same("privileged", actual.privileged, service.privileged)
    yield from unless_same("read_only", actual.read_only, service.read_only)
    added, dropped = actual.added_capabilities, actual.dropped_capabilities
    if (added, dropped) != (service.added_capabilities, service.dropped_capabilities):
        yield "capabilities", "its capabilities are not those of the file"
    for name, value in service.environment.items():
        if name not in actual.environment:
            yield "environment", f"variable {name} is not set"
        elif value is None and not actual.environment[name]:
            yield "environment", f"variable {name} is empty"
        elif value is not None and actual.environment[name] != value:
            yield "environment", f"variable {name} is not what the file says"
    yield from (("ports", each) for each in _ports(service.ports, actual.published or frozenset()))
    for path, volume in service.volumes.items():
        yield from (("volumes", each) for each in _volumes(path, volume, actual.mounts.get(path)))
    for path, mounted in actual.mounts.items():
        # Volumes that nobody asked for come from the image; folders of the server don't.
        if mounted.type == "bind" and path not in service.volumes:
            yield "volumes", f"{mounted.source} is mounted at {path}, and not in the file"


def _started(
    service: ComposeService, actual: ActualContainer, image: Mapping[str, Any] | None
) -> Iterator[tuple[str, str | None]]:
    """By which command, as whom and with which variables; None where its image is gone, and would tell."""
    config = actual.inspected["Config"]
    if image is None:
        yield from ((aspect, None) for aspect in ("command", "entrypoint", "healthcheck", "user", "environment"))
        return
    yield from start_differences(meant_start(service.command, service.entrypoint, image), config)
    meant = meant_check(service.health_check, held_check(image))
    held = held_check(config)
    if held == NO_CHECK != meant:
        yield "healthcheck", "it has no health check, and the file means it to have one"
    elif meant == NO_CHECK != held:
        yield "healthcheck", "it has a health check, and the file means it to have none"
    elif held != NO_CHECK:
        yield from (("healthcheck", each) for each in held.differences(meant))
    if service.user is None:
        should_be = user_of(image.get("User") or "")
        if actual.user != should_be:
            yield "user", f"user is {actual.user}, not {should_be}, as the image has it"
    of_image = dict(each.partition("=")[::2] for each in image.get("Env") or ())
    for name, value in actual.environment.items():
        if name not in service.environment and of_image.get(name) != value and not _SET_BY_TOOLS.fullmatch(name):
            yield "environment", f"variable {name} is set, and neither by the file nor by the image"


def _networked(
    service: ComposeService, actual: ActualContainer, on_engine: OnEngine, internal: Mapping[str, bool]
) -> Iterator[tuple[str, str | None]]:
    mode = on_engine.joined(actual.inspected["HostConfig"].get("NetworkMode") or "", service.project)
    told = network_differences(service.name, service.networks, service.network_mode, actual, mode)
    yield from (("networks", each) for each in told)
    if service.network_mode is not None:
        return
    for name, network in service.networks.items():
        if network.internal is not None and name in internal and internal[name] != network.internal:
            yield "networks", f"the network {name} is {'' if internal[name] else 'not '}internal"


def _set(
    service: ComposeService, actual: ActualContainer, image: Mapping[str, Any] | None, on_engine: OnEngine
) -> Iterator[tuple[str, str | None]]:
    """All other settings, by their keys; their values may be secret, as those of labels may be."""
    for key in SERVICE_KEYS:
        held = key.held(actual.inspected)
        if key.key in ("pid", "ipc", "uts"):
            held = on_engine.joined(held, service.project)
        told = differs(key, service.settings.get(key.key), actual.inspected, image, held)
        if told is None:
            yield key.key, None
        elif told:
            yield key.key, f"{key.key} is not what the file says"


def _size(size: int | None) -> str | None:
    return None if size is None else show_size(size)


def _shown(value: object) -> str:
    match value:
        case None:
            return "unlimited"
        case bool():
            return str(value).lower()
        case float():
            return plain(value)
        case _:
            return str(value)


def _ports(wanted: frozenset[ComposePort], published: frozenset[str]) -> Iterator[str]:
    left = set(published)
    for port in sorted(wanted, key=str):
        fits = (each for each in sorted(left) if _fits(port, each))
        if (match := next(fits, None)) is None:
            yield f"port {port.address}:{port.outer or ''}:{port.inner} is not published"
        else:
            left.remove(match)
    for each in sorted(left):
        yield f"port {each} is published, and not in the file"


def _fits(port: ComposePort, published: str) -> bool:
    address, outer, inner = published.rsplit(":", 2)
    return (address.strip("[]"), inner) == (port.address, port.inner) and port.outer in (None, outer)


def _volumes(path: str, volume: ComposeVolume, mounted: Mounted | None) -> Iterator[str]:
    if mounted is None:
        yield f"nothing is mounted at {path}"
        return
    if mounted.writable != volume.writable:
        yield f"{path} is {'writable' if mounted.writable else 'read-only'}"
    same = mounted.source.endswith(volume.source) if volume.is_relative else mounted.source == volume.source
    if volume.source and not same:
        yield f"{path} comes from {mounted.source}, not {volume.source}"
