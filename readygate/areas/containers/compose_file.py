"""Compose files as one means them: merged, with their variables filled in, for the chosen profiles."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import yaml
from pydantic import Field, field_validator

from readygate.errors import CouldNotLook, Mistake
from readygate.expectation import AtMostCount
from readygate.spec import Spec
from readygate.units import parse_size

Aspect = Literal[
    "image", "restart", "memory", "memory_reservation", "cpus", "pids", "user", "privileged", "read_only",
    "capabilities", "environment", "ports", "volumes", "replicas",
]  # fmt: skip

_REFERENCE = re.compile(
    r"\$(?:\$|(?P<plain>[A-Za-z_]\w*)|\{(?P<name>[A-Za-z_]\w*)(?:(?P<how>:?[-?+])(?P<instead>[^{}]*))?\})"
)
# Stands for a variable that isn't known here.
_UNKNOWN = re.compile("⟦(\\w+)⟧")
_ENV_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][\w.]*)\s*=\s*(.*?)\s*")


class ComposeFile(Spec):
    """The compose files that a project is started from, here, where Readygate runs."""

    area: ClassVar[str] = "compose"
    noun: ClassVar[str] = "compose_file"

    paths: tuple[str, ...] = Field(
        description="A setting: the files, each laid over those before it, as with `docker compose -f`.", min_length=1
    )
    profiles: tuple[str, ...] = Field((), description="A setting: the profiles that must be active.")
    env_file: str | None = Field(None, description="A setting: the file that fills in the variables of the files.")
    ignoring: tuple[Aspect, ...] = Field((), description="A setting: what is not compared.")

    missing: AtMostCount | None = Field(None, description="How many services of the files don't run.")
    differences: AtMostCount | None = Field(
        None, description="In how many points what is there is not what the files say."
    )

    @field_validator("paths")
    @classmethod
    def _are_named(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        if not all(path.strip() for path in paths):
            raise Mistake("a compose file has no name", "write e.g. docker-compose.yml")
        return paths


@dataclass(frozen=True, slots=True)
class ComposePort:
    """A published port; the engine chooses the outer one where it is None."""

    address: str
    outer: str | None
    inner: str


@dataclass(frozen=True, slots=True)
class ComposeVolume:
    """A mount; `source` is a path or the volume's full name, and ends the true one if `is_relative`."""

    source: str
    writable: bool
    is_relative: bool = False


@dataclass(frozen=True, slots=True)
class ComposeService:
    """A service as the files have it; None where they leave it to the image or the engine.

    Of a variable that is None only its name is known here.
    """

    name: str
    image: str | None = None
    restart: str = "no"
    memory: int | None = None
    memory_reservation: int | None = None
    cpus: float | None = None
    pids: int | None = None
    user: str | None = None
    privileged: bool = False
    read_only: bool = False
    added_capabilities: frozenset[str] = frozenset()
    dropped_capabilities: frozenset[str] = frozenset()
    environment: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    ports: frozenset[ComposePort] = frozenset()
    volumes: Mapping[str, ComposeVolume] = field(default_factory=dict)
    replicas: int = 1
    health_checked: bool = False
    ignoring: frozenset[str] = frozenset()


def read_services(declared: ComposeFile, project: str) -> tuple[ComposeService, ...]:
    """The services that the files start with these profiles. CouldNotLook: not all of the files is understood."""
    written = _env_file(Path(declared.env_file)) if declared.env_file else {}
    variables = {**{name: _filled(value, os.environ) for name, value in written.items()}, **os.environ}
    merged: dict[str, Any] = {}
    for path in map(Path, declared.paths):
        merged = _laid_over(merged, _regular(_read(path), path, variables))
    volumes = merged.get("volumes", {})
    return tuple(
        _service(name, told, project, volumes, frozenset(declared.ignoring))
        for name, told in merged.get("services", {}).items()
        if not told.get("profiles") or set(told["profiles"]) & set(declared.profiles)
    )


def _cannot(reason: str, path: Path) -> CouldNotLook:
    return CouldNotLook(
        f"{path}: {reason}",
        cause=f"compose:{path}",
        mend="mend the file; or render it with `docker compose config`, and name what that prints",
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError) as error:
        raise _cannot(f"it can't be read: {getattr(error, 'strerror', None) or error}", path) from None
    except yaml.YAMLError as error:
        # What the error quotes may be a password.
        mark = getattr(error, "problem_mark", None)
        raise _cannot(f"it is not YAML{f', from line {mark.line + 1} on' if mark else ''}", path) from None
    if not isinstance(tree, dict) or not isinstance(tree.get("services"), dict):
        raise _cannot("it has no services", path)
    if "include" in tree:
        raise _cannot("`include` is not understood here", path)
    return tree


def _regular(tree: dict[str, Any], path: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """The file with its variables filled in, and each of the notations that compose allows brought to one."""
    services = {}
    for name, told in tree["services"].items():
        told = _interpolated(told or {}, variables)
        if "extends" in told:
            raise _cannot(f"`extends` of {name} is not understood here", path)
        services[name] = _regular_service(told, path, variables)
    return {"services": services, "volumes": _interpolated(tree.get("volumes") or {}, variables)}


def _regular_service(told: dict[str, Any], path: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    limits = ((told.get("deploy") or {}).get("resources") or {}).get("limits") or {}
    reserved = ((told.get("deploy") or {}).get("resources") or {}).get("reservations") or {}
    regular = {
        "image": told.get("image"),
        "restart": _restart(told),
        "memory": limits.get("memory", told.get("mem_limit")),
        "memory_reservation": reserved.get("memory", told.get("mem_reservation")),
        "cpus": limits.get("cpus", told.get("cpus")),
        "pids": limits.get("pids", told.get("pids_limit")),
        "user": told.get("user"),
        "privileged": told.get("privileged"),
        "read_only": told.get("read_only"),
        "replicas": (told.get("deploy") or {}).get("replicas", told.get("scale")),
        "profiles": told.get("profiles"),
        "health": _is_health_checked(told.get("healthcheck")),
        "cap_add": told.get("cap_add"),
        "cap_drop": told.get("cap_drop"),
        "environment": {**_env_files(told, path), **_environment(told.get("environment"), variables)},
        "ports": [port for each in told.get("ports") or () for port in _ports(each, path)],
        "volumes": dict(_volume(each, path) for each in told.get("volumes") or ()),
    }
    return {key: value for key, value in regular.items() if value is not None}


def _laid_over(lower: Any, upper: Any) -> Any:
    """Mappings merge, lists are joined, everything else is replaced, as compose merges its files."""
    if isinstance(lower, dict) and isinstance(upper, dict):
        return {
            key: _laid_over(lower.get(key), upper[key]) if key in upper else lower[key] for key in {**lower, **upper}
        }
    if isinstance(lower, list) and isinstance(upper, list):
        return [*lower, *(each for each in upper if each not in lower)]
    return lower if upper is None else upper


def _service(
    name: str, told: Mapping[str, Any], project: str, volumes: Mapping[str, Any], ignoring: frozenset[str]
) -> ComposeService:
    def known(key: str, aspect: str = "") -> Any:
        value = told.get(key)
        unknown = _UNKNOWN.search(str(value)) if (aspect or key) not in ignoring else None
        if unknown:
            raise CouldNotLook(
                f"{key} of {name} rests on {unknown[1]}, which is not known here",
                mend=f"export {unknown[1]}, name an `env_file` that has it, or write `ignoring: [{aspect or key}]`",
            )
        return value

    environment = {key: None if _UNKNOWN.search(value) else value for key, value in told["environment"].items()}
    return ComposeService(
        name=name,
        image=known("image"),
        restart=known("restart") or "no",
        memory=_bytes(known("memory")),
        memory_reservation=_bytes(known("memory_reservation")),
        cpus=float(cpus) if (cpus := known("cpus")) else None,
        pids=int(pids) if (pids := known("pids")) else None,
        user=None if (user := known("user")) is None else str(user),
        privileged=bool(known("privileged")),
        read_only=bool(known("read_only")),
        added_capabilities=_capabilities(known("cap_add", "capabilities")),
        dropped_capabilities=_capabilities(known("cap_drop", "capabilities")),
        environment=environment,
        ports=frozenset(known("ports")),
        volumes={path: _named(each, project, volumes) for path, each in known("volumes").items()},
        replicas=1 if (replicas := known("replicas")) is None else int(replicas),
        health_checked=bool(told.get("health")),
        ignoring=ignoring,
    )


def _bytes(size: object) -> int | None:
    return None if size is None else parse_size(size if isinstance(size, int) else str(size).rstrip("bB"))


def _capabilities(names: list[str] | None) -> frozenset[str]:
    return frozenset(each.upper().removeprefix("CAP_") for each in names or ())


def _restart(told: Mapping[str, Any]) -> str | None:
    policy = (told.get("deploy") or {}).get("restart_policy")
    if "restart" in told:
        return str(told["restart"]) if told["restart"] else "no"  # YAML reads a bare no as false
    if not policy:
        return None
    tries = policy.get("max_attempts")
    condition = policy.get("condition", "any")
    after_failure = f"on-failure:{tries}" if tries else "on-failure"
    return {"any": "always", "none": "no"}.get(condition, after_failure)


def _is_health_checked(told: Any) -> bool | None:
    """Whether the file has a health check; None where it leaves that to the image, or to a file laid below."""
    if not isinstance(told, dict):
        return None
    test = told.get("test")
    first = test[0] if isinstance(test, list) and test else test
    return False if told.get("disable") or first == "NONE" else True if test else None


def _environment(told: Any, variables: Mapping[str, str]) -> dict[str, str]:
    """By name; a name alone takes its value from where compose runs."""
    if not isinstance(told, dict):
        parts = (str(each).partition("=") for each in told or ())
        told = {name: value if equals else None for name, equals, value in parts}
    return {
        str(name): variables.get(name, _unknown(name)) if value is None else _scalar(value)
        for name, value in told.items()
    }


def _scalar(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _env_files(told: Mapping[str, Any], path: Path) -> dict[str, str]:
    named = told.get("env_file") or ()
    found: dict[str, str] = {}
    for each in [named] if isinstance(named, str | dict) else named:
        file, required = (each["path"], each.get("required", True)) if isinstance(each, dict) else (each, True)
        if required or (path.parent / file).exists():
            found |= _env_file(path.parent / file)
    return found


def _env_file(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise _cannot(f"it can't be read: {getattr(error, 'strerror', None) or error}", path) from None
    found = (_ENV_LINE.fullmatch(line) for line in lines if not line.lstrip().startswith("#"))
    return {match[1]: _unquoted(match[2]) for match in found if match}


def _unquoted(value: str) -> str:
    if value[:1] in ("'", '"') and (end := value.find(value[0], 1)) > 0:
        return value[1:end]
    return re.sub(r"\s+#.*", "", value)


def _interpolated(node: Any, variables: Mapping[str, str]) -> Any:
    match node:
        case dict():
            return {key: _interpolated(value, variables) for key, value in node.items()}
        case list():
            return [_interpolated(each, variables) for each in node]
        case str():
            return _filled(node, variables)
        case _:
            return node


def _unknown(name: str) -> str:
    return f"⟦{name}⟧"


def _filled(text: str, variables: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        name = found["plain"] or found["name"]
        if not name:
            return "$"
        known, how, instead = variables.get(name), found["how"] or "", found["instead"] or ""
        there = known is not None and (bool(known) or not how.startswith(":"))
        if how.endswith("+"):
            return instead if there else ""
        if how.endswith("-") and not there:
            return instead
        return _unknown(name) if known is None else known

    return _REFERENCE.sub(value, text)


def _ports(told: Any, path: Path) -> Iterator[ComposePort]:
    if isinstance(told, dict):
        outer = told.get("published")
        protocol = told.get("protocol", "tcp")
        address, inner = told.get("host_ip", "0.0.0.0"), str(told["target"])  # noqa: S104
        ranges = None if outer is None else str(outer)
    else:
        text, _, protocol = str(told).partition("/")
        rest, _, inner = text.rpartition(":")
        address, _, outer = rest.rpartition(":")
        address, ranges = address.strip("[]") or "0.0.0.0", outer or None  # noqa: S104
    inners = _range(inner, path)
    outers: list[str | None] = [None] * len(inners) if ranges is None else [*_range(ranges, path)]
    if len(inners) != len(outers):
        raise _cannot(f"the ports {told} are not understood here", path)
    suffix = "" if protocol in ("", "tcp") else f"/{protocol}"
    for one, other in zip(outers, inners, strict=True):
        yield ComposePort(address, one, f"{other}{suffix}")


def _range(text: str, path: Path) -> list[str]:
    first, _, last = text.partition("-")
    if _UNKNOWN.search(text):
        return [text]
    if not first.isdigit() or not (last or first).isdigit():
        raise _cannot(f"the port {text} is not understood here", path)
    return [str(port) for port in range(int(first), int(last or first) + 1)]


def _volume(told: Any, path: Path) -> tuple[str, ComposeVolume]:
    if isinstance(told, dict):
        return told["target"], _source(str(told.get("source", "")), not told.get("read_only", False))
    source, target, *modes = str(told).split(":") if ":" in str(told) else ("", str(told))
    if len(modes) > 1:
        raise _cannot("a volume is not understood here", path)
    return target, _source(source, "ro" not in "".join(modes).split(","))


def _source(source: str, writable: bool) -> ComposeVolume:
    relative = source.startswith(("./", "../", "~", "."))
    return ComposeVolume(source.lstrip("./~") if relative else source, writable, relative)


def _named(volume: ComposeVolume, project: str, volumes: Mapping[str, Any]) -> ComposeVolume:
    """A volume by the name that the engine knows it by."""
    if volume.is_relative or not volume.source or volume.source.startswith("/"):
        return volume
    told = volumes.get(volume.source) or {}
    external = told.get("external")
    outer = external.get("name") if isinstance(external, dict) else None
    name = outer or told.get("name") or (volume.source if external else f"{project}_{volume.source}")
    return ComposeVolume(name, volume.writable)
