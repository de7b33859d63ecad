"""A container as its engine has it, read from what `inspect` tells."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from readygate.errors import CouldNotLook

_PROJECT, _SERVICE, _ONE_OFF = (f"com.docker.compose.{label}" for label in ("project", "service", "oneoff"))

_SOCKET = re.compile(r"(docker|podman|containerd)\.sock$")
# Whoever has one of these folders of the host has the socket in it, too.
_FOLDERS_OF_SOCKETS = re.compile(r"/|(/var)?/run(/podman|/containerd|/user(/\d+(/podman)?)?)?|/var")

_ENDED = ("exited", "stopped", "dead")
# What crashes over and over is up in between, as the engine waits longer each time, up to a minute.
_SETTLES_S = 60

_PLACEHOLDER = re.compile(r"\$\{[A-Za-z_]\w*")
# Docker reads the sizes of logs with powers of 1000, and those of memory with powers of 1024.
_LOG_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]?)b?", re.IGNORECASE)
_LOG_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3}
_FRACTION = re.compile(r"(?<=\.\d{6})\d+")


@dataclass(frozen=True, slots=True)
class Mounted:
    """Something of the host that is mounted in a container; `source` is a path, or a volume's name."""

    type: str
    source: str
    writable: bool


@dataclass(frozen=True, slots=True)
class ActualContainer:
    """A container as its engine has it; None, of one that isn't there, and where there is nothing to tell.

    Times are in seconds of the server's clock, sizes in bytes. Its environment, its command line and all that was
    inspected are in no text that is made of this, so that no report shows them by accident.
    """

    name: str = ""
    exists: bool = True
    project: str | None = None
    service: str | None = None
    one_off: bool = False
    status: str | None = None
    health: str | None = None
    failing_streak: int | None = None
    uptime_s: float | None = None
    exit_code: int | None = None
    oom_killed: bool | None = None
    restart: str | None = None
    restarts: int | None = None
    image: str | None = None
    image_id: str | None = None
    memory: int | None = None
    memory_reservation: int | None = None
    cpus: float | None = None
    pids: int | None = None
    user: str | None = None
    privileged: bool | None = None
    added_capabilities: frozenset[str] | None = None
    dropped_capabilities: frozenset[str] | None = None
    read_only: bool | None = None
    new_privileges: bool | None = None
    networks: frozenset[str] | None = None
    published: frozenset[str] | None = None
    published_on: frozenset[str] | None = None
    mounts: Mapping[str, Mounted] = field(default_factory=dict)
    log_driver: str | None = None
    log_options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict, repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    command: tuple[str, ...] = field(default=(), repr=False)
    inspected: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def running(self) -> bool:
        """Whether it serves: one that is paused, or restarts over and over, does not.

        CouldNotLook: it crashed and was restarted a moment ago.
        """
        if self.status == "running" and self.restarts and self.uptime_s is not None and self.uptime_s < _SETTLES_S:
            raise CouldNotLook(
                f"{self.name} came back from a crash {self.uptime_s:.0f} s ago; whether it stays up is not known",
                mend="read in its log why it ended; or ask again in a minute",
            )
        return self.status == "running"

    @property
    def is_up(self) -> bool:
        """Whether it holds on to its ports and memory, serving or not."""
        return self.status in ("running", "restarting", "paused")

    @property
    def pinned(self) -> bool | None:
        """Whether its image is named by digest, or by a tag other than `latest`."""
        return None if self.image is None else is_pinned(self.image)

    def has_engine_socket(self, folders: Mapping[str, str]) -> bool | None:
        """Whether it can reach the engine, and by that become root on the server.

        `folders` are those of the server that volumes stand for, by the volume's name.
        """
        if not self.exists:
            return None
        mounts = [each for each in self.mounts.values() if each.type in ("bind", "volume")]
        sources = [each.source if each.type == "bind" else folders.get(each.source, "") for each in mounts]
        return any(_SOCKET.search(source) or _FOLDERS_OF_SOCKETS.fullmatch(source) for source in sources)

    @property
    def log_space(self) -> int | None:
        """The most that its logs can take; None where there is no limit. CouldNotLook: others keep its logs."""
        if self.log_driver is None:
            return None
        if self.log_driver == "none":
            return 0
        if self.log_driver not in ("json-file", "local", "k8s-file"):
            raise CouldNotLook(
                f"the logs of {self.name} go to {self.log_driver}, and their size is not up to the engine",
                mend="declare its `log_driver`, and look after the logs where they go",
            )
        local = self.log_driver == "local"
        size = _log_size(self.log_options.get("max-size", "20m" if local else "-1"))
        return None if size is None else size * int(self.log_options.get("max-file", "5" if local else "1"))

    @property
    def filled(self) -> bool | None:
        """Whether every variable has a value."""
        return not self.unfilled if self.exists else None

    @property
    def unfilled(self) -> tuple[str, ...]:
        """The variables that are empty, or still hold a `${PLACEHOLDER}`."""
        named = self.environment.items()
        return tuple(sorted(name for name, value in named if not value.strip() or _PLACEHOLDER.search(value)))

    def environment_has(self, pattern: str) -> bool | None:
        """Whether the expression finds something in the lines NAME=value."""
        lines = "\n".join(f"{name}={value}" for name, value in self.environment.items())
        return self._finds(pattern, lines)

    def command_has(self, pattern: str) -> bool | None:
        """Whether the expression finds something in the command line, its words joined by blanks."""
        return self._finds(pattern, " ".join(self.command))

    def _finds(self, pattern: str, text: str) -> bool | None:
        return bool(re.search(pattern, text, re.MULTILINE)) if self.exists else None


ABSENT = ActualContainer(exists=False)


def read_container(told: Mapping[str, Any], asked_at: float) -> ActualContainer:
    """Read one object of `inspect`; `asked_at` is the server's time, in seconds since 1970."""
    state, wanted, config = told["State"], told["HostConfig"], told["Config"]
    labels = config.get("Labels") or {}
    status = "restarting" if state.get("Restarting") else state["Status"]
    up = status == "running"
    health = state.get("Health") or state.get("Healthcheck") or {}
    logs = wanted.get("LogConfig") or {}
    return ActualContainer(
        name=told["Name"].removeprefix("/"),
        project=labels.get(_PROJECT),
        service=labels.get(_SERVICE),
        one_off=str(labels.get(_ONE_OFF)).lower() == "true",
        status=status,
        # Of a container that has stopped, the engine keeps the last health.
        health=(health.get("Status") or "none") if up else None,
        failing_streak=health.get("FailingStreak") if up and health.get("Status") else None,
        uptime_s=max(0.0, asked_at - seconds(state["StartedAt"])) if up else None,
        # One that never ran has an exit code of 0, too.
        exit_code=state.get("ExitCode") if status in _ENDED else None,
        oom_killed=bool(state.get("OOMKilled")),
        restart=_restart(wanted.get("RestartPolicy") or {}),
        restarts=told.get("RestartCount", 0),
        image=config.get("Image"),
        image_id=image_id(told["Image"]),
        memory=wanted.get("Memory") or None,
        memory_reservation=wanted.get("MemoryReservation") or None,
        cpus=_cpus(wanted),
        pids=limit if (limit := wanted.get("PidsLimit") or 0) > 0 else None,
        user=user_of(config.get("User") or ""),
        privileged=bool(wanted.get("Privileged")),
        added_capabilities=_capabilities(wanted.get("CapAdd")),
        dropped_capabilities=_capabilities(wanted.get("CapDrop")),
        read_only=bool(wanted.get("ReadonlyRootfs")),
        new_privileges=not _forbids_new_privileges(wanted.get("SecurityOpt") or ()),
        networks=frozenset(told["NetworkSettings"].get("Networks") or {wanted.get("NetworkMode") or "none"}),
        # On the server's own network it publishes nothing, and yet all its ports are open.
        published=_published(told) if up and wanted.get("NetworkMode") != "host" else None,
        published_on=_published_on(told) if up else None,
        mounts=_mounts(told),
        log_driver=logs.get("Type"),
        log_options=logs.get("Config") or {},
        labels=labels,
        environment=dict(each.partition("=")[::2] for each in config.get("Env") or ()),
        command=(told.get("Path") or "", *(told.get("Args") or ())),
        inspected=told,
    )


def is_podman(told: Mapping[str, Any]) -> bool:
    """Whether this is an answer of podman's `inspect`, which names the runtime of each container."""
    return "OCIRuntime" in told


def _restart(policy: Mapping[str, Any]) -> str:
    # Podman leaves the name of an unset policy empty.
    tries = policy.get("MaximumRetryCount") or 0
    return f"{policy.get('Name') or 'no'}{f':{tries}' if tries else ''}"


def _cpus(wanted: Mapping[str, Any]) -> float | None:
    if nano := wanted.get("NanoCpus"):
        return float(nano) / 1e9
    quota, period = wanted.get("CpuQuota") or 0, wanted.get("CpuPeriod") or 100_000
    return quota / period if quota > 0 else None


def user_of(user: str) -> str:
    """Who it runs as: root has several names, of which the empty one is the most common."""
    name = user.partition(":")[0]
    return "root" if name in ("", "root") or re.fullmatch(r"[+-]?0+", name) else user


def _capabilities(names: list[str] | None) -> frozenset[str]:
    return frozenset(each.upper().removeprefix("CAP_") for each in names or ())


def _forbids_new_privileges(options: Iterable[str]) -> bool:
    return any(each in ("no-new-privileges", "no-new-privileges:true", "no-new-privileges=true") for each in options)


def _bindings(told: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for port, bindings in (told["NetworkSettings"].get("Ports") or {}).items():
        for each in bindings or ():
            yield each.get("HostIp") or "0.0.0.0", each["HostPort"], port.removesuffix("/tcp")  # noqa: S104


def _published(told: Mapping[str, Any]) -> frozenset[str]:
    """As compose writes it, `127.0.0.1:8080:80`; what is on `0.0.0.0` and on `[::]` is there once."""
    bindings = set(_bindings(told))
    bindings -= {("::", outer, inner) for ip, outer, inner in bindings if ip == "0.0.0.0"}  # noqa: S104
    return frozenset(f"{f'[{ip}]' if ':' in ip else ip}:{outer}:{inner}" for ip, outer, inner in bindings)


def _published_on(told: Mapping[str, Any]) -> frozenset[str]:
    if (told["HostConfig"].get("NetworkMode") or "") == "host":
        return frozenset({"0.0.0.0", "::"})  # noqa: S104 - nothing stands between its ports and the host's addresses
    return frozenset(ip for ip, _, _ in _bindings(told))


def _mounts(told: Mapping[str, Any]) -> dict[str, Mounted]:
    tmpfs = (told["HostConfig"].get("Tmpfs") or {}).items()
    mounts = {path: Mounted("tmpfs", "", "ro" not in options.split(",")) for path, options in tmpfs}
    for each in told.get("Mounts") or ():
        source = each.get("Name") if each["Type"] == "volume" else each.get("Source")
        mounts[each["Destination"]] = Mounted(each["Type"], source or "", bool(each.get("RW")))
    return mounts


def _log_size(text: str) -> int | None:
    found = _LOG_SIZE.fullmatch(text.strip())
    return int(float(found[1]) * _LOG_UNITS[found[2].lower()]) if found else None


def seconds(timestamp: str) -> float:
    """Seconds since 1970 of a time as engines write it, with up to nine digits after the point."""
    return datetime.fromisoformat(_FRACTION.sub("", timestamp.replace("Z", "+00:00"))).timestamp()


def image_id(identity: str) -> str:
    return identity.removeprefix("sha256:")


def tag_of(image: str) -> str:
    """The tag in an image's name; a colon before a slash is that of a registry's port."""
    return image.rpartition("/")[2].partition(":")[2]


def is_pinned(image: str) -> bool:
    """Whether an image is named by digest, or by a tag other than `latest`."""
    name, _, digest = image.partition("@")
    return bool(digest) or tag_of(name) not in ("", "latest")
