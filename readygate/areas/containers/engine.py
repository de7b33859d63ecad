"""Asking a server's docker or podman: its containers, images, leftovers and settings, by few commands."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from posixpath import normpath
from typing import Any

from readygate.areas.asking import forbidden, run
from readygate.areas.containers.actual import ActualContainer, image_id, read_container, seconds, tag_of
from readygate.areas.servers.files import age_s
from readygate.errors import CouldNotLook
from readygate.fleet import EVIDENCE

# Both engines answer within a second, unless their storage hangs.
_WITHIN_S = 60


@dataclass(frozen=True, slots=True)
class OnEngine:
    """All containers that an engine has, running or not."""

    found: tuple[ActualContainer, ...]

    def of_service(self, project: str, service: str) -> tuple[ActualContainer, ...]:
        """The containers of a compose service, without those of `compose run`."""
        return tuple(
            each for each in self.found if each.project == project and each.service == service and not each.one_off
        )

    def joined(self, mode: str, project: str) -> str:
        """A namespace of another container, `container:<id>`, by the name that compose writes: `service:db`."""
        kind, _, identity = mode.partition(":")
        if kind != "container":
            return mode
        for each in self.found:
            if identity in (each.name, each.inspected.get("Id")):
                ours = each.project == project and each.service is not None
                return f"service:{each.service}" if ours else f"container:{each.name}"
        return mode

    def named(self, name: str) -> tuple[ActualContainer, ...]:
        return tuple(each for each in self.found if each.name == name)


@dataclass(frozen=True, slots=True)
class Image:
    """The image that a container was made from; None where the engine has none, or it came from nowhere."""

    digest: str | None = None
    built_at: int | None = None
    asked_at: int = 0
    is_current: bool | None = None

    @property
    def age_s(self) -> int | None:
        return None if self.built_at is None else age_s(self.built_at, self.asked_at)


@dataclass(frozen=True, slots=True)
class Images:
    """The images that an engine has, by id, and which of them each name means now."""

    by_id: Mapping[str, Mapping[str, Any]]
    asked_at: float

    def config_of(self, container: ActualContainer) -> Mapping[str, Any] | None:
        """What the image of a container sets for all that are made from it; None where it is gone."""
        held = self.by_id.get(container.image_id or "")
        return None if held is None else held.get("Config") or {}

    def of(self, container: ActualContainer) -> Image:
        """The image of a container; it is current if a restart from the same name would use no other."""
        held = self.by_id.get(container.image_id or "")
        if held is None or container.image is None:
            return Image()
        repository = _repository(container.image)
        digests = [each.partition("@") for each in held.get("RepoDigests") or ()]
        own = [digest for owner, _, digest in digests if owner in (repository, _familiar(repository))]
        meant = next((one for one, image in self.by_id.items() if _goes_by(image, container.image)), None)
        return Image(
            digest=own[0] if own else None,
            built_at=int(seconds(held["Created"])),
            asked_at=int(self.asked_at),
            is_current=None if meant is None else meant == container.image_id,
        )


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What takes space and belongs to nothing: images without a name, volumes without a container."""

    images: tuple[str, ...]
    volumes: tuple[str, ...]


def ask_engine(host: Any, server: str, engine: str, script: str) -> str:
    """What a script of ours prints that calls the engine's command line.

    CouldNotLook: there is no such engine, it doesn't answer, or does not let this user look.
    """
    there = f"command -v {engine} >/dev/null || {{ echo 'there is no {engine} on its path' >&2; exit 1; }}"
    # What `inspect` prints has every password in it: it is no evidence to show.
    unheard = EVIDENCE.set(None)
    try:
        answer = run(host, server, f"export LC_ALL=C\n{there}\n{script}", within=_WITHIN_S, is_ours=True)
    finally:
        EVIDENCE.reset(unheard)
    if answer.exit:
        said = (answer.errors.strip().splitlines() or [f"exit {answer.exit}"])[-1]
        if "permission denied" in said.lower():
            raise forbidden(server, f"only some may talk to {engine}")
        raise CouldNotLook(
            f"{engine} on {server} could not tell: {said}",
            cause=f"engine:{server}:{engine}",
            mend=f"run `{engine} ps` there by hand",
        )
    return answer.text


def ask_containers(host: Any, server: str, engine: str) -> OnEngine:
    """Every container of the engine."""
    # A container may go between the two commands: then it is asked a second time.
    script = f"""
look() {{
    containers=$({engine} ps --all --quiet --no-trunc) || return
    [ -z "$containers" ] || {engine} inspect --type container $containers
}}
date +%s
found=$(look) || found=$(look) || exit
printf '%s\\n' "$found" """
    return parse_containers(ask_engine(host, server, engine, script))


def parse_containers(text: str) -> OnEngine:
    """Read the server's time, and what `inspect` prints of all containers."""
    asked_at, _, listing = text.partition("\n")
    return OnEngine(tuple(read_container(each, float(asked_at)) for each in _json(listing)))


def ask_images(host: Any, server: str, engine: str) -> Images:
    """Every image of the engine, those without a name too."""
    script = f"""
date +%s
images=$({engine} image ls --all --quiet --no-trunc) || exit
[ -z "$images" ] || {engine} image inspect $(printf '%s\\n' "$images" | sort -u)"""
    asked_at, _, listing = ask_engine(host, server, engine, script).partition("\n")
    return Images({image_id(each["Id"]): each for each in _json(listing)}, float(asked_at))


def ask_internal_networks(host: Any, server: str, engine: str) -> dict[str, bool]:
    """Every network of the engine by name, and whether it leads nowhere else."""
    script = f"""
networks=$({engine} network ls --quiet) || exit
[ -z "$networks" ] || {engine} network inspect $networks"""
    told = _json(ask_engine(host, server, engine, script))
    return {each.get("Name") or each["name"]: bool(each.get("Internal", each.get("internal"))) for each in told}


def ask_volume_folders(host: Any, server: str, engine: str) -> dict[str, str]:
    """By the name of each volume that stands for a folder of the server, and not for one of its own, that folder."""
    script = f"""
volumes=$({engine} volume ls --quiet) || exit
[ -z "$volumes" ] || {engine} volume inspect $volumes"""
    told = _json(ask_engine(host, server, engine, script))
    devices = {each["Name"]: (each.get("Options") or {}).get("device", "") for each in told}
    return {name: normpath(device) for name, device in devices.items() if device.startswith("/")}


def ask_leftovers(host: Any, server: str, engine: str) -> Leftovers:
    """The dangling images and volumes."""
    script = f"""
{engine} image ls --quiet --filter dangling=true || exit
echo volumes
{engine} volume ls --quiet --filter dangling=true"""
    images, _, volumes = ask_engine(host, server, engine, script).partition("volumes\n")
    return Leftovers(tuple(images.split()), tuple(volumes.split()))


def _json(text: str) -> Iterator[dict[str, Any]]:
    if not text.strip():
        return
    try:
        yield from json.loads(text)
    except json.JSONDecodeError as error:
        raise CouldNotLook(f"the engine's answer can't be read: {error}", mend="run its `inspect` by hand") from None


def _repository(image: str) -> str:
    """An image's name without its tag and its digest."""
    plain = image.partition("@")[0]
    tag = tag_of(plain)
    return plain.removesuffix(f":{tag}") if tag else plain


def _familiar(name: str) -> str:
    return name.removeprefix("docker.io/").removeprefix("library/")


def _goes_by(image: Mapping[str, Any], name: str) -> bool:
    """Whether this is the image that the name of a container's image means on the server now."""
    if digest := name.partition("@")[2]:
        meant, names = f"{_repository(name)}@{digest}", image.get("RepoDigests") or ()
    else:
        meant, names = (name if tag_of(name) else f"{name}:latest"), image.get("RepoTags") or ()
    return meant in names or _familiar(meant) in names or image_id(image["Id"]) == image_id(name)
