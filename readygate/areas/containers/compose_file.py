"""Compose files as one means them: merged, with their variables filled in, for the chosen profiles."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import yaml
from pydantic import Field, field_validator

from readygate.areas.containers.compose_networks import (
    ComposeNetwork,
    networks_of,
    regular_networks,
    uncompared_networks,
)
from readygate.areas.containers.compose_notation import (
    ComposePort,
    ComposeVolume,
    bound,
    mounted_files,
    named,
    ports_of,
    volume_of,
)
from readygate.areas.containers.compose_settings import BY_KEY
from readygate.areas.containers.compose_start import NO_CHECK, is_off, meant_check, regular_check, words
from readygate.areas.containers.compose_variables import (
    UNKNOWN,
    cannot,
    env_file,
    environment_of,
    files_of,
    filled,
    interpolated,
)
from readygate.errors import CouldNotLook, Mistake
from readygate.expectation import AtMostCount
from readygate.spec import Spec
from readygate.units import parse_size

Aspect = Literal[
    "image", "restart", "memory", "memory_reservation", "cpus", "pids", "user", "privileged", "read_only",
    "capabilities", "environment", "ports", "volumes", "replicas", "health",
    "command", "entrypoint", "healthcheck", "networks",
    "cgroup", "cgroup_parent", "container_name", "cpu_shares", "cpuset", "device_cgroup_rules", "devices", "dns",
    "dns_opt", "dns_search", "domainname", "extra_hosts", "group_add", "hostname", "init", "ipc", "labels", "logging",
    "mem_swappiness", "memswap_limit", "oom_kill_disable", "oom_score_adj", "pid", "runtime", "security_opt",
    "shm_size", "stdin_open", "stop_grace_period", "stop_signal", "storage_opt", "sysctls", "tmpfs", "tty", "ulimits",
    "userns_mode", "uts", "working_dir",
    # These are not compared: whoever has one of them in a file has to say so.
    "annotations", "blkio_config", "configs", "cpu_count", "cpu_percent", "cpu_rt_period", "cpu_rt_runtime",
    "credential_spec", "deploy_devices", "external_links", "gpus", "isolation", "label_file", "links", "mac_address",
    "models", "network_settings", "platform", "post_start", "pre_stop", "provider", "secrets", "use_api_socket",
    "volume_driver", "volume_settings", "volumes_from",
]  # fmt: skip

# What is compared in its own way, or has no effect on a container that is there.
_KNOWN_KEYS = {
    "image", "restart", "mem_limit", "mem_reservation", "cpus", "cpu_quota", "cpu_period", "pids_limit", "user",
    "privileged", "read_only", "scale", "profiles", "healthcheck", "cap_add", "cap_drop", "environment", "env_file",
    "ports", "volumes", "secrets", "configs", "depends_on", "command", "entrypoint", "networks", "network_mode",
    "deploy", "extends", "build", "expose", "pull_policy", "develop", "attach",
    *BY_KEY,
}  # fmt: skip

_NOT_UNDERSTOOD = object()


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
    def _arenamed(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        if not all(path.strip() for path in paths):
            raise Mistake("a compose file has no name", "write e.g. docker-compose.yml")
        return paths


@dataclass(frozen=True, slots=True)
class ComposeService:
    """A service as the files have it; None where they leave it to the image or the engine.

    Of a variable that is None only its name is known here. Others may wait until the service is healthy, or until it
    has ended well.
    """

    name: str
    project: str = ""
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
    command: tuple[str, ...] | None = field(default=None, repr=False)
    entrypoint: tuple[str, ...] | None = field(default=None, repr=False)
    health_check: Mapping[str, Any] | None = field(default=None, repr=False)
    network_mode: str | None = None
    networks: Mapping[str, ComposeNetwork] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    uncompared: frozenset[str] = frozenset()
    to_be_healthy: bool = False
    to_end: bool = False
    ignoring: frozenset[str] = frozenset()

    @property
    def health_checked(self) -> bool:
        """Whether the files themselves say how its health is asked."""
        return bool(self.health_check and self.health_check.get("test") and not is_off(self.health_check))


def read_services(declared: ComposeFile, project: str) -> tuple[ComposeService, ...]:
    """The services that the files start with these profiles. CouldNotLook: not all of the files is understood."""
    written = env_file(Path(declared.env_file)) if declared.env_file else {}
    variables = {**{name: filled(value, os.environ) for name, value in written.items()}, **os.environ}
    merged: dict[str, Any] = {}
    for path in map(Path, declared.paths):
        merged = _laid_over(merged, _regular(path, variables))
    active = {
        name: told
        for name, told in merged["services"].items()
        if not told.get("profiles") or set(told["profiles"]) & set(declared.profiles)
    }
    awaited = {(on, condition) for told in active.values() for on, condition in told["depends_on"].items()}
    return tuple(
        replace(
            _service(name, told, project, merged, frozenset(declared.ignoring)),
            to_be_healthy=(name, "service_healthy") in awaited,
            to_end=(name, "service_completed_successfully") in awaited,
        )
        for name, told in active.items()
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError) as error:
        raise cannot(f"it can't be read: {getattr(error, 'strerror', None) or error}", path) from None
    except yaml.YAMLError as error:
        # What the error quotes may be a password.
        mark = getattr(error, "problem_mark", None)
        raise cannot(f"it is not YAML{f', from line {mark.line + 1} on' if mark else ''}", path) from None
    if not isinstance(tree, dict) or not isinstance(tree.get("services", {}), dict):
        raise cannot("it has no services", path)
    if not tree.get("services") and not tree.get("include"):
        raise cannot("it has no services", path)
    return tree


def _regular(path: Path, variables: Mapping[str, str], within: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The file, and those that it includes, with all variables filled in and the many notations brought to one."""
    if path in within:
        raise cannot("it includes itself", path)
    tree = _read(path)
    regular: dict[str, Any] = {}
    for each in tree.get("include") or ():
        entry = interpolated(each if isinstance(each, dict) else {"path": each}, variables)
        paths = [path.parent / one for one in _listed(entry["path"])]
        if "project_directory" in entry:
            raise cannot("`project_directory` of `include` is not understood here", path)
        beside = [path.parent / one for one in _listed(entry.get("env_file"))] or _there(paths[0].parent / ".env")
        own = {name: value for file in beside for name, value in env_file(file).items()}
        for one in paths:
            regular = _laid_over(regular, _regular(one, {**own, **variables}, (*within, path)))
    services = {name: _extended(tree, name, path, variables) for name in tree.get("services") or ()}
    kinds = ("volumes", "secrets", "configs", "networks")
    others = {key: interpolated(tree.get(key) or {}, variables) for key in kinds}
    merged: dict[str, Any] = _laid_over(regular, {"services": services, **others})
    return merged


def _listed(told: Any) -> list[str]:
    return [told] if isinstance(told, str) else list(told or ())


def _there(file: Path) -> list[Path]:
    return [file] if file.exists() else []


def _extended(
    tree: dict[str, Any], name: str, path: Path, variables: Mapping[str, str], within: tuple[Any, ...] = ()
) -> dict[str, Any]:
    """A service, laid over the one that it extends."""
    if name not in tree.get("services", {}) or (path, name) in within:
        raise cannot(f"`extends` leads to {name}, which " + ("is itself" if within[1:] else "is not there"), path)
    told = interpolated(tree["services"][name] or {}, variables)
    own = _regular_service(told, path, variables)
    extends = told.get("extends")
    if not extends:
        return own
    base = {"service": extends} if isinstance(extends, str) else extends
    there = path.parent / base["file"] if base.get("file") else path
    lower = _extended(_read(there), base["service"], there, variables, (*within, (path, name)))
    merged: dict[str, Any] = _laid_over(lower, own)
    return merged


def _regular_service(told: dict[str, Any], path: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    deploy = told.get("deploy") or {}
    limits = (deploy.get("resources") or {}).get("limits") or {}
    reserved = (deploy.get("resources") or {}).get("reservations") or {}
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
        "replicas": deploy.get("replicas", told.get("scale")),
        "profiles": told.get("profiles"),
        "healthcheck": regular_check(told.get("healthcheck")),
        "cap_add": told.get("cap_add"),
        "cap_drop": told.get("cap_drop"),
        "env_file": files_of(told, path),
        "environment": environment_of(told.get("environment"), variables),
        "ports": [port for each in told.get("ports") or () for port in ports_of(each, path)],
        "volumes": dict(volume_of(each, path) for each in told.get("volumes") or ()),
        "secrets": mounted_files(told.get("secrets"), "/run/secrets/"),
        "configs": mounted_files(told.get("configs"), "/"),
        "depends_on": _conditions(told.get("depends_on")),
        "command": _whole(told.get("command")),
        "entrypoint": _whole(told.get("entrypoint")),
        "networks": regular_networks(told.get("networks")),
        "network_mode": told.get("network_mode", told.get("net")),
        "cpu_quota": told.get("cpu_quota"),
        "cpu_period": told.get("cpu_period"),
        "settings": {key: _setting(key, told[key]) for key in BY_KEY if told.get(key) is not None},
        "uncompared": [key for key in told if key not in _KNOWN_KEYS and not key.startswith("x-")]
        + (["deploy_devices"] if reserved.get("devices") else []),
    }
    return {key: value for key, value in regular.items() if value is not None}


def _setting(key: str, told: Any) -> Any:
    """In a notation that can be laid over that of another file."""
    try:
        return BY_KEY[key].regular(told)
    except (ValueError, KeyError, TypeError, AttributeError):
        # It is seen later whether that matters.
        return str(told) if UNKNOWN.search(str(told)) else _NOT_UNDERSTOOD


def _whole(told: Any) -> Any:
    """What a later file replaces as a whole, though it may be a list."""
    return tuple(told) if isinstance(told, list) else told


def _conditions(told: Any) -> dict[str, str]:
    """On which services it depends, and what it waits for."""
    if not isinstance(told, dict):
        return dict.fromkeys(told or (), "service_started")
    return {name: (each or {}).get("condition", "service_started") for name, each in told.items()}


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
    name: str, told: Mapping[str, Any], project: str, merged: Mapping[str, Any], ignoring: frozenset[str]
) -> ComposeService:
    def known(key: str, aspect: str = "", within: Mapping[str, Any] = told) -> Any:
        value = within.get(key)
        if unknown := UNKNOWN.search(str(value)):
            if (aspect or key) in ignoring:
                return value if key in ("image", "ports", "volumes") else None
            raise CouldNotLook(
                f"{key} of {name} rests on {unknown[1]}, which is not known here",
                mend=f"export {unknown[1]}, name an `env_file` that has it, or write `ignoring: [{aspect or key}]`",
            )
        return value

    def meant(key: str, read: Callable[[Any], Any], value: Any) -> Any:
        """What is meant by a value; None for one that doesn't matter."""
        try:
            if value is _NOT_UNDERSTOOD:
                raise ValueError(key)
            return None if value is None else read(value)
        except (ValueError, KeyError, TypeError, AttributeError):
            if key in ignoring:
                return None
            # What stands there isn't told: it may be a password.
            raise CouldNotLook(
                f"{key} of {name} is not understood", mend=f"correct it, or write `ignoring: [{key}]`"
            ) from None

    given = {**told["env_file"], **told["environment"]}
    environment = {key: None if UNKNOWN.search(value) else value for key, value in given.items()}
    check = known("healthcheck")
    meant("healthcheck", lambda it: meant_check(it, NO_CHECK), check)
    networks = meant("networks", lambda it: networks_of(it, project, merged["networks"]), known("networks") or {})
    quota = meant(
        "cpus", lambda it: float(it) / float(known("cpu_period", "cpus") or 100_000), known("cpu_quota", "cpus")
    )
    return ComposeService(
        name=name,
        project=project,
        image=known("image"),
        restart=known("restart") or "no",
        memory=_bytes(known("memory")),
        memory_reservation=_bytes(known("memory_reservation")),
        cpus=float(cpus) if (cpus := known("cpus")) else quota,
        pids=int(pids) if (pids := known("pids")) else None,
        user=None if (user := known("user")) is None else str(user),
        privileged=bool(known("privileged")),
        read_only=bool(known("read_only")),
        added_capabilities=_capabilities(known("cap_add", "capabilities")),
        dropped_capabilities=_capabilities(known("cap_drop", "capabilities")),
        environment=environment,
        ports=frozenset(known("ports")),
        volumes={
            **{path: named(each, project, merged["volumes"]) for path, each in known("volumes").items()},
            **bound(known("secrets", "volumes") or {}, merged["secrets"]),
            **bound(known("configs", "volumes") or {}, merged["configs"]),
        },
        replicas=1 if (replicas := known("replicas")) is None else int(replicas),
        command=meant("command", words, known("command")),
        entrypoint=meant("entrypoint", words, known("entrypoint")),
        health_check=check,
        network_mode=meant("networks", str, known("network_mode", "networks")),
        networks=networks or {},
        settings={
            key: meant(key, BY_KEY[key].meant, value)
            for key in told["settings"]
            if (value := known(key, within=told["settings"])) is not None
        },
        uncompared=frozenset(_uncompared(told, merged)) - ignoring,
        ignoring=ignoring,
    )


def _uncompared(told: Mapping[str, Any], merged: Mapping[str, Any]) -> Iterator[str]:
    """What a service has in the files that nothing is compared with."""
    yield from told["uncompared"]
    yield from uncompared_networks(told, merged["networks"])
    for kind in ("secrets", "configs"):
        if any(not (merged[kind].get(name) or {}).get("file") for name in told[kind].values()):
            yield kind
    made = (merged["volumes"].get(volume.source) or {} for volume in told["volumes"].values())
    if any(each.get("driver_opts") or each.get("driver", "local") != "local" for each in made):
        yield "volume_settings"


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
