"""Updates that wait to be installed on a server, and whether those that are need a reboot."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from readygate.areas.asking import ask
from readygate.errors import CouldNotLook
from readygate.expectation import AtMostCount, AtMostDuration, Flag
from readygate.results import Evidence
from readygate.spec import Spec
from readygate.units import DAY, readable_duration, show_duration

# Security updates come at any hour; whoever hasn't asked for a week doesn't know of them.
_STALE_S = 7 * DAY


class Updates(Spec):
    """The updates of a server's packages, by apt."""

    area: ClassVar[str] = "updates"
    noun: ClassVar[str] = "updates"

    security: AtMostCount | None = Field(None, description="How many packages have a security update waiting.")
    pending: AtMostCount | None = Field(None, description="How many packages have any update waiting.")
    lists_age: AtMostDuration | None = Field(None, description="How long ago the server asked for updates.")
    reboot_required: Flag | None = Field(None, description="Whether an update takes effect only after a reboot.")


@dataclass(frozen=True, slots=True)
class PendingUpdates:
    """Names of the packages that have an update, and of those for which it mends a hole."""

    all: tuple[str, ...]
    security: tuple[str, ...]
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Reboot:
    """Whether a reboot is required, and why."""

    required: bool
    told: str = ""


_LISTS_AGE = r"""
command -v apt-get >/dev/null || { echo 'it has no apt to ask for updates' >&2; exit 1; }
set -- /var/lib/apt/lists/*Release
[ -e "$1" ] || { echo 'it has no lists of packages; run apt-get update' >&2; exit 1; }
date +%s
cd /var/lib/apt/lists; stat -c %Y . partial ../../../cache/apt/pkgcache.bin 2>/dev/null | sort -n | tail -n 1"""


def observe_lists_age(host: Any, server: Spec) -> int:
    """Seconds since the server last asked for updates. CouldNotLook: it never did, or has no apt."""
    now, fetched = ask(host, server.name, _LISTS_AGE).text.split()
    return max(0, int(now) - int(fetched))


def observe_pending_updates(host: Any, server: Spec, lists_age: int) -> PendingUpdates:
    """What `apt-get --simulate dist-upgrade` would install. CouldNotLook: it hasn't asked for a week."""
    if lists_age > _STALE_S:
        age = show_duration(readable_duration(lists_age))
        raise CouldNotLook(
            f"{server.name} last asked for updates {age} ago, so it knows none of the newer",
            mend="run `apt-get update`, and see why its timer does not",
        )
    text = ask(host, server.name, "apt-get --simulate --quiet -o Debug::NoLocking=true dist-upgrade", within=120).text
    return parse_upgrade(text)


def parse_upgrade(text: str) -> PendingUpdates:
    """Read lines such as `Inst nginx [1.22.1-9] (1.22.1-9+deb12u1 Debian-Security:12/stable-security [amd64])`."""
    lines = [line for line in text.splitlines() if line.startswith("Inst ")]
    # One without its old version in brackets is new: pulled in, and not an update of what is there.
    updates = [line for line in lines if re.match(r"Inst \S+ \[", line)]
    security = [line for line in updates if re.search(r"\(\S+ .*security", line, re.IGNORECASE)]
    evidence = (Evidence("apt-get --simulate dist-upgrade", "\n".join(updates) or "nothing to install"),)
    return PendingUpdates(_names(updates), _names(security), evidence)


def _names(lines: list[str]) -> tuple[str, ...]:
    return tuple(line.split()[1] for line in lines)


_REBOOT = r"""
echo "$(uname -r)"
for kernel in /boot/vmlinuz-*; do [ ! -e "$kernel" ] || printf '%s ' "${kernel#/boot/vmlinuz-}"; done; echo
[ ! -e /run/reboot-required ] || { echo required; cat /run/reboot-required.pkgs 2>/dev/null || :; }"""


def observe_reboot(host: Any, server: Spec) -> Reboot:
    """Whether Debian's note of it is there, or a newer kernel is installed than the one that runs."""
    return parse_reboot(ask(host, server.name, _REBOOT).text)


def parse_reboot(text: str) -> Reboot:
    """Read the kernel that runs, those that are installed, and the note with the packages that left it."""
    running, installed, *note = text.splitlines()
    if note:
        return Reboot(True, f"asked for by {', '.join(note[1:]) or 'a package'}")
    kernels = installed.split()
    # A container runs a kernel that is none of its own, and so may a host that boots over the network.
    newest = max(kernels, key=_order, default=running)
    if running in kernels and _order(newest) > _order(running):
        return Reboot(True, f"it runs {running}, and {newest} is installed")
    return Reboot(False)


def _order(kernel: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", kernel)]


FACTS: dict[str, Callable[..., Any]] = {
    "lists_age": observe_lists_age,
    "pending_updates": observe_pending_updates,
    "reboot": observe_reboot,
}
