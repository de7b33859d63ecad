"""Where the newest backup lies: its disks, those of what it protects, and the room that is left."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from shlex import quote
from typing import Any

from readygate.areas.asking import ask
from readygate.results import Evidence
from readygate.units import show_size

# Partitions of one disk fail together, and so do volumes of one group: the disks below them are what counts,
# where the kernel tells them. A filesystem without a device of its own is told by what it is mounted from.
DISKS = """
below() {
    device=$(readlink -f "$1")
    volumes=$(ls "$device/slaves" 2>/dev/null)
    if [ -n "$volumes" ]; then
        for volume in $volumes; do (below "$device/slaves/$volume"); done
        return
    fi
    [ -e "$device/partition" ] && device=${device%/*}
    echo "${device##*/}"
}
disks_of() {
    [ -e "$1" ] || return
    number=$(stat -L -c %d -- "$1")
    device=$(( (number >> 8) & 4095 )):$(( (number & 255) | ((number >> 12) & 1048320) ))
    source=$(df -P -- "$1" | tail -n 1); source=${source%% *}
    [ ! -e "/sys/dev/block/$device" ] && [ -b "$source" ] &&
        device=$(( 0x$(stat -L -c %t -- "$source") )):$(( 0x$(stat -L -c %T -- "$source") ))
    if [ -e "/sys/dev/block/$device" ]; then below "/sys/dev/block/$device"; return; fi
    case $source in
        *:/*) echo "${source%%:*}" ;;
        [!/]*/*) echo "${source%%/*}" ;;
        *) echo "$device" ;;
    esac
}
"""

# Of a line of df -P: before the share that is used, which some filesystems don't tell.
_FREE = re.compile(r" (\d+) +(?:\d+%|-) ")


@dataclass(frozen=True, slots=True)
class Shelf:
    """How many more like the newest fit beside it, the disks that it lies on, and those of other paths."""

    room_for: int | None
    disks: frozenset[str]
    others: Mapping[str, frozenset[str]]
    evidence: tuple[Evidence, ...] = ()

    def is_apart_from(self, path: str) -> bool | None:
        """None where nothing is at the path, which then needs no protection, and is no proof of any."""
        others = self.others.get(path)
        return self.disks.isdisjoint(others) if others and self.disks else None


def observe_shelf(host: Any, backup: Any, artifacts: Any) -> Shelf:
    """The disks of the newest, and those of what it has to be apart from."""
    if artifacts.newest is None:
        return Shelf(None, frozenset(), {})
    protected = tuple(backup.apart_from or ())
    paths = " ".join(quote(path) for path in (artifacts.newest.path, *protected))
    folder = quote(str(PurePosixPath(artifacts.newest.path).parent))
    script = (
        f'{DISKS}\ndf -Pk {folder} | tail -n 1\nfor path in {paths}; do disks_of "$path" | tr "\\n" " "; echo; done'
    )
    free, *told = ask(host, backup.on, script).text.splitlines()
    ours, *theirs = (frozenset(disks.split()) for disks in told)
    kibibytes = int(_FREE.findall(free)[-1])
    return Shelf(
        kibibytes * 1024 // max(artifacts.newest.weight, 1),
        ours,
        dict(zip(protected, theirs, strict=True)),
        (Evidence(f"df {folder}", f"{show_size(kibibytes * 1024)} free on {', '.join(sorted(ours))}"),),
    )
