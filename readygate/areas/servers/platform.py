"""What a server is: its distribution, kernel and architecture, its name, its time zone and its locale."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from readygate.areas.asking import ask
from readygate.expectation import AtLeastCount, AtLeastDuration, Text, Version
from readygate.results import Evidence
from readygate.spec import Spec


class System(Spec):
    """The system that a server runs."""

    area: ClassVar[str] = "system"
    noun: ClassVar[str] = "system"

    os: Text | None = Field(None, description="The distribution as os-release calls it, e.g. debian or alpine.")
    release: Version | None = Field(None, description='The release of the distribution, e.g. "12".')
    codename: Text | None = Field(None, description="The release's name, e.g. bookworm.")
    kernel: Version | None = Field(None, description='The version of the kernel that runs, e.g. ">=5.10".')
    architecture: Text | None = Field(None, description="What the kernel runs on, e.g. x86_64 or aarch64.")
    hostname: Text | None = Field(None, description="What the server calls itself.")
    timezone: Text | None = Field(None, description="The time zone of its clock on the wall, e.g. UTC.")
    locale: Text | None = Field(None, description="LANG for whoever sets no other, e.g. C.UTF-8.")
    cpus: AtLeastCount | None = Field(None, description="How many processors are online.")
    uptime: AtLeastDuration | None = Field(None, description="How long ago it booted.")


@dataclass(frozen=True, slots=True)
class ActualSystem:
    """A system as it describes itself; None is what it doesn't say."""

    os: str | None
    release: str | None
    codename: str | None
    kernel: str
    architecture: str
    hostname: str
    timezone: str
    locale: str | None
    cpus: int
    uptime_s: float
    evidence: tuple[Evidence, ...] = ()


# Of two files that say the same, the first that is there counts, as for the programs that read them.
_LOOK = """
set -e
echo "kernel=$(uname -r)"
echo "architecture=$(uname -m)"
echo "hostname=$(cat /proc/sys/kernel/hostname)"
echo "cpus=$(grep -c ^processor /proc/cpuinfo)"
echo "uptime=$(cut -d ' ' -f 1 /proc/uptime)"
if [ -e /etc/localtime ]; then echo "localtime=$(readlink -f /etc/localtime)"; fi
if [ -e /etc/timezone ]; then echo "timezone=$(cat /etc/timezone)"; fi
for file in /etc/locale.conf /etc/default/locale; do [ ! -e $file ] || grep ^LANG= $file || :; done
for file in /etc/os-release /usr/lib/os-release; do
    [ ! -e $file ] || { grep -E '^(ID|VERSION_ID|VERSION_CODENAME)=' $file; break; }
done
"""


def observe_system(host: Any, server: Spec) -> ActualSystem:
    """What the kernel and the files that describe the system say."""
    text = ask(host, server.name, _LOOK).text
    return parse_system(text, Evidence("uname, /etc/os-release", text.strip()))


def parse_system(text: str, *evidence: Evidence) -> ActualSystem:
    """Read lines such as `kernel=6.1.0-18-amd64`; a value may be quoted as a shell would."""
    known: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        known.setdefault(name, " ".join(shlex.split(value)))
    return ActualSystem(
        os=known.get("ID"),
        release=known.get("VERSION_ID"),
        codename=known.get("VERSION_CODENAME"),
        kernel=known["kernel"],
        architecture=known["architecture"],
        hostname=known["hostname"],
        timezone=_timezone(known),
        locale=known.get("LANG"),
        cpus=int(known["cpus"]),
        uptime_s=float(known["uptime"]),
        evidence=evidence,
    )


def _timezone(known: dict[str, str]) -> str:
    """Programs follow /etc/localtime; where it is a copy, /etc/timezone tells of what; without it there is UTC."""
    if "localtime" not in known:
        return "UTC"
    zone = known["localtime"].partition("/zoneinfo/")[2] or known.get("timezone", "")
    return "UTC" if zone in ("Etc/UTC", "Universal", "Zulu", "Etc/Universal", "Etc/Zulu") else zone


FACTS: dict[str, Callable[..., Any]] = {"actual_system": observe_system}
