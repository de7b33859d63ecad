"""What a server has left: disk, inodes, memory, swap, processors and open files."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from shlex import quote
from typing import Any, ClassVar

from pydantic import Field

from readygate.areas.asking import ask
from readygate.areas.servers.proc import parse_meminfo, parse_space
from readygate.errors import CouldNotLook
from readygate.expectation import AtLeastSize, AtMostNumber, AtMostPercent, Flag, Text, TextSet
from readygate.results import Evidence
from readygate.spec import Spec


class Disk(Spec):
    """A filesystem, by the path that it is mounted at."""

    area: ClassVar[str] = "disk"
    noun: ClassVar[str] = "disk"

    mounted: Flag | None = Field(None, description="Whether a filesystem is mounted at just this path.")
    used: AtMostPercent | None = Field(None, description="How much of it is used, as df reckons.")
    free: AtLeastSize | None = Field(None, description="How much ordinary users may still write.")
    inodes_used: AtMostPercent | None = Field(None, description="How many of its inodes are used.")
    filesystem: Text | None = Field(None, description="Its type, e.g. ext4 or tmpfs.")
    source: Text | None = Field(None, description="What is mounted, e.g. /dev/vdb1.")
    options: TextSet | None = Field(None, description="How it is mounted: {contains: [nodev, nosuid]}.")


class Memory(Spec):
    """The memory of a server."""

    area: ClassVar[str] = "memory"
    noun: ClassVar[str] = "memory"

    available: AtLeastSize | None = Field(None, description="What programs could still get without swapping.")
    used: AtMostPercent | None = Field(None, description="The share of the memory that isn't available.")
    swap_used: AtMostPercent | None = Field(None, description="The share of the swap space in use.")


class LoadAverage(Spec):
    """How much a server has to do, by the average number of processes that run or wait, for each processor."""

    area: ClassVar[str] = "load_average"
    noun: ClassVar[str] = "load_average"

    one_minute: AtMostNumber | None = Field(None, description="For each processor, over the last minute.")
    five_minutes: AtMostNumber | None = Field(None, description="For each processor, over five minutes.")
    fifteen_minutes: AtMostNumber | None = Field(None, description="For each processor, over a quarter of an hour.")


@dataclass(frozen=True, slots=True)
class ActualDisk:
    """A filesystem as it is; of a path where none is mounted only `told` is known: why that is so."""

    mounted: bool
    used_percent: float | None = None
    free_bytes: int | None = None
    inodes_used_percent: float | None = None
    told: str = ""
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class ActualMemory:
    """Memory in bytes; without any swap none of it is used."""

    total: int
    available: int
    swap_total: int
    swap_free: int

    @property
    def used_percent(self) -> float:
        return 100 * (1 - self.available / self.total)

    @property
    def swap_used_percent(self) -> float:
        return 100 * (1 - self.swap_free / self.swap_total) if self.swap_total else 0.0


@dataclass(frozen=True, slots=True)
class ActualMount:
    """How a filesystem is mounted; None is one that isn't."""

    source: str | None = None
    filesystem: str | None = None
    options: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ActualLoad:
    """The averages of the kernel, divided by the number of processors."""

    one_minute: float
    five_minutes: float
    fifteen_minutes: float


def observe_disk(host: Any, server: Spec, disk: Spec, actual_mount: ActualMount) -> ActualDisk:
    """What df says of the path, in KiB and in inodes; nothing is free where nothing can be written."""
    path = quote(disk.name)
    script = f"[ -e {path} ] || exit 0; df -P -k -- {path} && df -P -i -- {path}"
    actual = parse_disk(disk.name, ask(host, server.name, script).text)
    if actual.mounted and "ro" in (actual_mount.options or ()):
        return replace(actual, free_bytes=0, told="it is mounted read-only")
    return actual


def parse_disk(path: str, text: str) -> ActualDisk:
    """Read two tables of `df -P`.

    Of a path that is no mount point df tells about the filesystem around it: a volume that was not mounted
    would look as empty as the root disk. So this counts as absent.
    """
    evidence = (Evidence(f"df -P {path}", text.strip() or "No such file or directory"),)
    lines = [line for line in text.splitlines() if not line.startswith("Filesystem")]
    if not lines:
        return ActualDisk(mounted=False, told=f"there is no {path}", evidence=evidence)
    spaces = [parse_space(line) for line in lines]
    if len(spaces) != 2 or not (spaces[0] and spaces[1]):
        raise CouldNotLook(f"df told of {path} what could not be read: {text.strip()}")
    space, inodes = spaces[0], spaces[1]
    if space.mount != path:
        told = f"nothing is mounted at {path}, which is a part of {space.mount}"
        return ActualDisk(mounted=False, told=told, evidence=evidence)
    return ActualDisk(
        mounted=True,
        used_percent=space.used_percent,
        free_bytes=space.available * 1024,
        inodes_used_percent=inodes.used_percent,
        evidence=evidence,
    )


def observe_memory(host: Any, server: Spec) -> ActualMemory:
    """What /proc/meminfo says."""
    known = parse_meminfo(ask(host, server.name, "cat /proc/meminfo").text)
    try:
        return ActualMemory(*(known[each] for each in ("MemTotal", "MemAvailable", "SwapTotal", "SwapFree")))
    except KeyError as missing:
        raise CouldNotLook(f"/proc/meminfo of {server.name} has no {missing.args[0]}") from None


def observe_mounts(host: Any, server: Spec) -> dict[str, ActualMount]:
    """All mounts by their path, from /proc."""
    return parse_mounts(ask(host, server.name, "cat /proc/self/mounts").text)


def parse_mounts(text: str) -> dict[str, ActualMount]:
    """Read the kernel's table, which writes a space as \\040; of what is mounted over another, the last counts."""
    mounts = {}
    for line in text.splitlines():
        source, path, filesystem, options, *_ = (_unescaped(field) for field in line.split(" "))
        mounts[path] = ActualMount(source, filesystem, tuple(options.split(",")))
    return mounts


def _unescaped(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), field)


def observe_mount(disk: Spec, mounts: dict[str, ActualMount]) -> ActualMount:
    return mounts.get(disk.name, ActualMount())


def observe_load(host: Any, server: Spec) -> ActualLoad:
    """What /proc/loadavg says, for each of the processors that are online."""
    text = ask(host, server.name, "cat /proc/loadavg; grep -c ^processor /proc/cpuinfo").text
    averages, processors = text.splitlines()
    return ActualLoad(*(float(average) / int(processors) for average in averages.split()[:3]))


def observe_open_files(host: Any, server: Spec) -> float:
    """How much, in per cent, of the kernel's limit of open files is used up."""
    opened, _, most = ask(host, server.name, "cat /proc/sys/fs/file-nr").text.split()
    return 100 * int(opened) / int(most)


FACTS: dict[str, Callable[..., Any]] = {
    "actual_disk": observe_disk,
    "actual_memory": observe_memory,
    "mounts": observe_mounts,
    "actual_mount": observe_mount,
    "actual_load": observe_load,
    "open_files": observe_open_files,
}
