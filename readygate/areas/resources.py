"""What a server has left: disk, inodes, memory and swap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from shlex import quote
from typing import Any, ClassVar

from pydantic import Field

from readygate.areas.asking import ask
from readygate.areas.proc import parse_meminfo, parse_space
from readygate.errors import CouldNotLook
from readygate.expectation import AtLeastSize, AtMostPercent, Flag
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


class Memory(Spec):
    """The memory of a server."""

    area: ClassVar[str] = "memory"
    noun: ClassVar[str] = "memory"

    available: AtLeastSize | None = Field(None, description="What programs could still get without swapping.")
    used: AtMostPercent | None = Field(None, description="The share of the memory that isn't available.")
    swap_used: AtMostPercent | None = Field(None, description="The share of the swap space in use.")


@dataclass(frozen=True, slots=True)
class ActualDisk:
    """A filesystem as it is; of a path where none is mounted only `absence` is known: why that is so."""

    mounted: bool
    used_percent: float | None = None
    free_bytes: int | None = None
    inodes_used_percent: float | None = None
    absence: str = ""
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


def observe_disk(host: Any, server: Spec, disk: Spec) -> ActualDisk:
    """What df says of the path, in KiB and in inodes."""
    path = quote(disk.name)
    script = f"[ -e {path} ] || exit 0; df -P -k -- {path} && df -P -i -- {path}"
    return parse_disk(disk.name, ask(host, server.name, script).text)


def parse_disk(path: str, text: str) -> ActualDisk:
    """Read two tables of `df -P`.

    Of a path that is no mount point df tells about the filesystem around it: a volume that was not mounted
    would look as empty as the root disk. So this counts as absent.
    """
    evidence = (Evidence(f"df -P {path}", text.strip() or "No such file or directory"),)
    lines = [line for line in text.splitlines() if not line.startswith("Filesystem")]
    if not lines:
        return ActualDisk(mounted=False, absence=f"there is no {path}", evidence=evidence)
    spaces = [parse_space(line) for line in lines]
    if len(spaces) != 2 or not (spaces[0] and spaces[1]):
        raise CouldNotLook(f"df told of {path} what could not be read: {text.strip()}")
    space, inodes = spaces[0], spaces[1]
    if space.mount != path:
        absence = f"nothing is mounted at {path}, which is a part of {space.mount}"
        return ActualDisk(mounted=False, absence=absence, evidence=evidence)
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


FACTS: dict[str, Callable[..., Any]] = {"actual_disk": observe_disk, "actual_memory": observe_memory}
