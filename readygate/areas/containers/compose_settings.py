"""Settings of a service that compose hands on to the engine, and where `inspect` has each of them."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from readygate.areas.containers.actual import is_podman
from readygate.areas.containers.compose_durations import duration_s
from readygate.units import parse_size

Told = Mapping[str, Any]

# Labels that an engine or compose itself puts on a container.
_LABELS_OF_TOOLS = ("com.docker.compose.", "io.podman.", "io.container", "PODMAN_", "desktop.docker.io/")

# What `inspect` shows of a namespace that is the container's own.
OWN_NAMESPACE = ("", "private", "shareable")


def _as_it_is(told: Any) -> Any:
    return told


def _listed(told: Any) -> list[str]:
    return [told] if isinstance(told, str) else [str(each) for each in told or ()]


def _mapped(told: Any) -> dict[str, str]:
    """A mapping, or a list of `name=value`."""
    if isinstance(told, dict):
        return {str(name): _plain(value) for name, value in told.items()}
    return dict(str(each).partition("=")[::2] for each in told or ())


def _plain(value: object) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _hosts(told: Any) -> dict[str, str]:
    """By name and address, since one name may have several: {db:10.0.0.1: ''}."""
    if isinstance(told, dict):
        pairs = [(name, each) for name, value in told.items() for each in _listed(value)]
    else:
        pairs = [tuple(str(each).replace("=", ":", 1).split(":", 1)) for each in told or ()]  # type: ignore[misc]
    return {f"{name}:{address.strip().strip('[]')}": "" for name, address in pairs}


def _devices(told: Any) -> dict[str, str]:
    """By the path in the container, as compose merges them."""
    found = {}
    for each in told or ():
        if isinstance(each, dict):
            outer, inner, rights = each["source"], each.get("target"), each.get("permissions")
        else:
            outer, inner, rights = [*str(each).split(":"), None, None][:3]
        if not str(outer).startswith("/"):
            raise ValueError(outer)
        found[str(inner or outer)] = f"{outer}:{rights or 'rwm'}"
    return found


def _tmpfs(told: Any) -> dict[str, str]:
    return dict(each.partition(":")[::2] for each in _listed(told))


def _ulimits(told: Any) -> dict[str, dict[str, int]]:
    limits = {name: each if isinstance(each, dict) else {"soft": each, "hard": each} for name, each in told.items()}
    return {name: {"soft": int(each["soft"]), "hard": int(each["hard"])} for name, each in limits.items()}


def _option(told: str) -> str:
    """A security option: `a:b` and `a=b` are the same, and `no-new-privileges` is true by itself."""
    option = str(told).replace(":", "=", 1)
    return option.removesuffix("=true") if option.startswith("no-new-privileges") else option


def _security(told: Any) -> list[str]:
    options = [_option(each) for each in told or ()]
    if any(each.startswith("seccomp=") and each != "seccomp=unconfined" for each in options):
        raise ValueError("a profile of seccomp")  # the engine keeps what is in the file
    return options


def _held_security(told: Told) -> frozenset[str]:
    held, wanted = told["HostConfig"], {_option(each) for each in told["HostConfig"].get("SecurityOpt") or ()}
    shares = held.get("Privileged") or "host" in (held.get("PidMode"), held.get("IpcMode"))
    return frozenset(wanted - {"label=disable"} if shares else wanted)


def _size(told: Any) -> int:
    text = str(told).strip()
    return int(text) if text.lstrip("-").isdigit() else parse_size(text.rstrip("bB"))


def _signal(told: Any) -> int:
    name = str(told).upper()
    return int(name) if name.isdigit() else int(signal.Signals[name if name.startswith("SIG") else f"SIG{name}"])


def _labels(told: Told) -> dict[str, str]:
    labels = told["Config"].get("Labels") or {}
    return {name: value for name, value in labels.items() if not name.startswith(_LABELS_OF_TOOLS)}


def _switch(value: str) -> str:
    """Version 1 of compose makes `True` of a label that is true, and version 2 `true`."""
    return value.lower() if value in ("True", "False") else value


def _logging(told: Any) -> dict[str, Any]:
    options = {name: _plain(value) for name, value in (told.get("options") or {}).items()}
    return {"options": options} | ({"driver": told["driver"]} if told.get("driver") else {})


def _held_logging(told: Told) -> dict[str, Any]:
    logs = told["HostConfig"].get("LogConfig") or {}
    kind = "json-file" if logs.get("Type") == "k8s-file" else logs.get("Type")  # podman calls its own so
    return {"driver": kind, "options": logs.get("Config") or {}}


def _within(meant: Any, held: Any) -> bool:
    """Whether all that is meant is held; the engine's own settings may add more."""
    if isinstance(meant, Mapping) and isinstance(held, Mapping):
        return all(key in held and _within(value, held[key]) for key, value in meant.items())
    return bool(meant == held)


def _options_within(meant: Mapping[str, str], held: Mapping[str, str]) -> bool:
    """The same paths, each with the options that are meant at least: podman adds some of its own."""
    return meant.keys() == held.keys() and all(
        set(filter(None, options.split(","))) <= set(held[path].split(",")) for path, options in meant.items()
    )


def _same(meant: Any, held: Any) -> bool:
    return bool(meant == held)


# The engine's own affair, where the files don't say.
LEFT_OPEN: Callable[[Told], Any] | None = None


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """A key of a service: how its notations become one, what is meant by that, and what the engine holds.

    `unset` says from the image's own settings what it is where the files are silent; None leaves that open.
    `held` finds nothing (None or empty) where the container was made without it.
    """

    key: str
    held: Callable[[Told], Any]
    regular: Callable[[Any], Any] = _as_it_is
    meant: Callable[[Any], Any] = _as_it_is
    unset: Callable[[Told], Any] | None = LEFT_OPEN
    same: Callable[[Any, Any], bool] = _same


def _host(key: str, *, empty: Any = None) -> Callable[[Told], Any]:
    return lambda told: told["HostConfig"].get(key) or empty


def _config(key: str, *, empty: Any = None) -> Callable[[Told], Any]:
    return lambda told: told["Config"].get(key) or empty


def _always(value: Any) -> Callable[[Told], Any]:
    return lambda image: value


def _listing(key: str, name: str) -> ServiceKey:
    return ServiceKey(key, _host(name, empty=[]), _listed, unset=_always([]))


def _set_of(key: str, name: str) -> ServiceKey:
    held = _host(name, empty=())
    return ServiceKey(key, lambda told: frozenset(map(str, held(told))), _listed, frozenset, _always(frozenset()))


def _number(key: str, name: str, unset: Callable[[Told], Any] | None = LEFT_OPEN) -> ServiceKey:
    return ServiceKey(key, _host(name, empty=0), meant=int, unset=unset)


SERVICE_KEYS: tuple[ServiceKey, ...] = (
    ServiceKey("container_name", lambda told: told["Name"].removeprefix("/"), meant=str),
    ServiceKey("hostname", _config("Hostname"), meant=str),
    ServiceKey("domainname", _config("Domainname"), meant=str),
    ServiceKey(
        "working_dir",
        _config("WorkingDir", empty="/"),
        meant=str,
        unset=lambda image: image.get("WorkingDir") or "/",
    ),
    ServiceKey("tty", lambda told: bool(told["Config"].get("Tty")), meant=bool, unset=_always(False)),
    ServiceKey("stdin_open", lambda told: bool(told["Config"].get("OpenStdin")), meant=bool, unset=_always(False)),
    ServiceKey(
        "labels",
        _labels,
        _mapped,
        unset=_always({}),
    ),
    ServiceKey("logging", _held_logging, _logging, same=_within),
    _listing("dns", "Dns"),
    _listing("dns_search", "DnsSearch"),
    _listing("dns_opt", "DnsOptions"),
    ServiceKey(
        "extra_hosts",
        lambda told: _hosts(told["HostConfig"].get("ExtraHosts")),
        _hosts,
        unset=_always({}),
    ),
    ServiceKey(
        "devices",
        lambda told: {
            each["PathInContainer"]: f"{each['PathOnHost']}:{each['CgroupPermissions'] or 'rwm'}"
            for each in told["HostConfig"].get("Devices") or ()
        },
        _devices,
        unset=_always({}),
    ),
    _set_of("device_cgroup_rules", "DeviceCgroupRules"),
    _set_of("group_add", "GroupAdd"),
    ServiceKey("security_opt", _held_security, _security, frozenset, _always(frozenset())),
    ServiceKey("tmpfs", _host("Tmpfs", empty={}), _tmpfs, unset=_always({}), same=_options_within),
    ServiceKey(
        "ulimits",
        lambda told: {
            each["Name"].lower().removeprefix("rlimit_"): {"soft": each["Soft"], "hard": each["Hard"]}
            for each in told["HostConfig"].get("Ulimits") or ()
        },
        _ulimits,
        same=_within,
    ),
    ServiceKey("sysctls", _host("Sysctls", empty={}), _mapped, unset=_always({})),
    ServiceKey("storage_opt", _host("StorageOpt", empty={}), _mapped, unset=_always({})),
    ServiceKey("init", lambda told: bool(told["HostConfig"].get("Init")), meant=bool, unset=_always(False)),
    ServiceKey(
        "stop_grace_period",
        lambda told: 10 if told["Config"].get("StopTimeout") is None else told["Config"]["StopTimeout"],
        meant=duration_s,
        unset=_always(10),
        same=lambda meant, held: abs(meant - held) < 1,  # the engine has whole seconds only
    ),
    ServiceKey(
        "stop_signal",
        lambda told: _signal(told["Config"].get("StopSignal") or "TERM"),
        meant=_signal,
        unset=lambda image: _signal(image.get("StopSignal") or "TERM"),
    ),
    ServiceKey("shm_size", _host("ShmSize"), meant=_size),
    ServiceKey("memswap_limit", _host("MemorySwap"), meant=_size),
    ServiceKey("mem_swappiness", lambda told: told["HostConfig"].get("MemorySwappiness"), meant=int),
    ServiceKey(
        "oom_kill_disable",
        lambda told: bool(told["HostConfig"].get("OomKillDisable")),
        meant=bool,
        unset=_always(False),
    ),
    _number("oom_score_adj", "OomScoreAdj", _always(0)),
    _number("cpu_shares", "CpuShares", _always(0)),
    ServiceKey("cpuset", _host("CpusetCpus", empty=""), meant=str, unset=_always("")),
    ServiceKey("cgroup_parent", _host("CgroupParent", empty=""), meant=str),
    ServiceKey("runtime", _host("Runtime"), meant=str),
    ServiceKey("pid", _host("PidMode", empty=""), meant=str, unset=_always(OWN_NAMESPACE)),
    ServiceKey("ipc", _host("IpcMode", empty=""), meant=str, unset=_always(OWN_NAMESPACE)),
    ServiceKey("uts", _host("UTSMode", empty=""), meant=str, unset=_always(OWN_NAMESPACE)),
    ServiceKey("userns_mode", _host("UsernsMode", empty=""), meant=str, unset=_always(OWN_NAMESPACE)),
    ServiceKey("cgroup", _host("CgroupnsMode", empty=""), meant=str),
)

BY_KEY: Mapping[str, ServiceKey] = {each.key: each for each in SERVICE_KEYS}


def differs(key: ServiceKey, meant: Any, told: Told, image: Told | None, held: Any) -> bool | None:
    """Whether what the engine holds isn't what is meant (None: the files are silent); None where nothing tells.

    Podman sets much of its own accord, and its `inspect` leaves some of it out.
    """
    podman = is_podman(told)
    if meant is None:
        if key.unset is None or podman:
            return False
        if image is None:
            return None
        meant = key.unset(image)
        if meant is OWN_NAMESPACE:
            return held not in OWN_NAMESPACE
    if key.key == "labels":
        own = (image or {}).get("Labels") or {}
        added = {name: value for name, value in held.items() if own.get(name) != value}
        meant, held, added = ({name: _switch(each[name]) for name in each} for each in (meant, held, added))
        return not _within(meant, held) or (not podman and image is not None and not _within(added, meant))
    if podman and meant and not held:
        return None
    return not key.same(meant, held)
