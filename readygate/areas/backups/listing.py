"""What files of a backup there are on a server: listed by one command, each dated by its name or its last change."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from operator import or_
from pathlib import PurePosixPath
from shlex import quote
from statistics import median
from typing import Any

from readygate.areas.asking import ask
from readygate.areas.backups.artifacts import Artifact
from readygate.areas.backups.due import moment_in
from readygate.areas.servers.files import absolute, age_s
from readygate.errors import CouldNotLook, Mistake
from readygate.results import Evidence
from readygate.units import show_size

_ENTRY = re.compile(
    r"(?P<size>\d+) (?P<mode>[0-9a-f]+) (?P<changed_at>-?\d+) (?P<inode>\d+:\d+) "
    r"(?P<wall>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\S*(?: [+-]\d{4})? (?P<name>/.*)",
    re.DOTALL,
)
# A job may name its files by another zone than the server's.
_ZONES_APART_S = 26 * 3600
# Of lines with a size and a mode: all sizes together, then each mode once.
_SUM = """awk '{sum += $1; modes[$2]} END {printf "%.0f", sum; for (mode in modes) printf " %s", mode; print ""}'"""
_WALKING_S = 120.0  # through folders of some thousand files each
WILD = re.compile(r"(\*|\?|\[!?[^]/]+\])")


def glob_path(path: str) -> str:
    """The path, whose names may hold *, ? and [abc]."""
    if "**" in path:
        raise Mistake(f"'{path}' has a **, which a shell does not know", "write a * for each folder between")
    return absolute(path)


@dataclass(frozen=True, slots=True)
class Artifacts:
    """The files of a backup, the newest first; without any, nothing is known but that."""

    found: tuple[Artifact, ...]
    asked_at: int
    evidence: tuple[Evidence, ...] = ()
    utc_offset: int = 0

    @property
    def kept(self) -> tuple[Artifact, ...]:
        """Those that one could go back to: there is something in them."""
        return tuple(each for each in self.found if not each.is_hollow)

    @property
    def newest(self) -> Artifact | None:
        return self.found[0] if self.found else None

    @property
    def count(self) -> int:
        return len(self.kept)

    @property
    def age_s(self) -> int | None:
        """Of the newest that one could go back to: a job that leaves an empty file has saved nothing."""
        return age_s(self.kept[0].made_at, self.asked_at) if self.kept else None

    @property
    def oldest_s(self) -> int | None:
        return age_s(self.kept[-1].made_at, self.asked_at) if self.kept else None

    @property
    def size(self) -> int | None:
        return self.newest.weight if self.newest else None

    @property
    def mode(self) -> int | None:
        return self.newest.mode if self.newest else None

    @property
    def shrink_percent(self) -> float | None:
        """How much smaller the newest is than usual. CouldNotLook: there is no earlier one."""
        if not self.newest:
            return None
        earlier = [each.weight for each in self.found[1:] if not each.is_hollow]
        if not earlier:
            raise CouldNotLook(
                "there is no earlier backup to compare the newest with", mend="look again after the next one"
            )
        usual = median(earlier)
        return max(0.0, 100 * (1 - self.newest.weight / usual)) if usual else 0.0


def quoted_glob(path: str) -> str:
    """The path for a shell that has to expand its wildcards, and nothing else in it."""
    return "".join(part if WILD.fullmatch(part) else part and quote(part) for part in WILD.split(path))


def observe_artifacts(host: Any, backup: Any) -> Artifacts:
    """All files of a backup on its server."""
    return list_artifacts(host, backup.on, backup.path, backup.dated)


def list_artifacts(host: Any, server: str, path: str, dated: str | None) -> Artifacts:
    """All files that the path means, by one command. CouldNotLook: a folder on the way is closed to us."""
    # A shell that may not read a folder finds nothing in it, and says nothing.
    parts = PurePosixPath(path).parts
    gates = "\n".join(
        f"gate {'r' if WILD.search(parts[depth]) else 'x'} {quoted_glob(str(PurePosixPath(*parts[:depth])))}"
        for depth in range(1, len(parts))
    )
    # No file name has a slash in it, so `//` and a line break end an entry whatever the name holds.
    script = f"""
gate() {{
    needed=$1; shift
    for folder; do
        [ ! -d "$folder" ] && continue
        [ -x "$folder" ] && [ -"$needed" "$folder" ] || {{ echo "$folder: Permission denied" >&2; exit 1; }}
    done
}}
{gates}
date '+%s %z'
for file in {quoted_glob(path)}; do [ -f "$file" ] && printf '%s\\0' "$file"; done |
    xargs -0 -r stat -L -c '%s %f %Y %d:%i %y %n//' --"""
    found = parse_artifacts(path, ask(host, server, script).text, dated)
    return _with_folders(host, server, path, found) if any(each.is_folder for each in found.found) else found


def _with_folders(host: Any, server: str, path: str, artifacts: Artifacts) -> Artifacts:
    """The same, where each that stands for a folder has the size of all files in it, and what any of them permits."""
    weigh = f"find -L . -type f -exec stat -L -c '%s %f' {{}} + | {_SUM}"
    script = "\n".join(f"cd {quote(each.whole)} && stat -L -c %f . || exit; {weigh}" for each in artifacts.found)
    lines = iter(ask(host, server, script, within=_WALKING_S).text.splitlines())
    whole = []
    for each, folder, told in zip(artifacts.found, lines, lines, strict=True):
        total, *modes = told.split()
        mode = reduce(or_, (int(mode, 16) & 0o7777 for mode in modes), each.mode)
        whole.append(replace(each, mode=mode & _lets_in(int(folder, 16)), total=int(total)))
    return replace(artifacts, found=tuple(whole), evidence=(_listed(path, whole),))


def _lets_in(folder: int) -> int:
    """Whose rights in a folder count: only who may go into it comes to its files."""
    return 0o7700 | (0o070 if folder & 0o010 else 0) | (0o007 if folder & 0o001 else 0)


def parse_artifacts(path: str, text: str, dated: str | None = None) -> Artifacts:
    """Read the server's time and zone, and what `stat` prints of each file; a file of two names is one."""
    clock, _, listing = text.partition("\n")
    asked_at, zone = clock.split()
    offset = int(f"{zone[0]}1") * (int(zone[1:3]) * 3600 + int(zone[3:5]) * 60)
    named = sorted((_artifact(each, int(asked_at), dated) for each in listing.split("//\n")[:-1]), key=_age_order)
    files = tuple(sorted({each.inode: each for each in named}.values(), key=_age_order, reverse=True))
    return Artifacts(files, int(asked_at), (_listed(path, files),), offset)


def _listed(path: str, files: Sequence[Artifact]) -> Evidence:
    told = [f"{show_size(each.weight)} {each.shown}{', empty' * each.is_hollow}" for each in files[:10]]
    return Evidence(path, "\n".join([f"{len(files)} found, the newest first:", *told]) if files else "nothing found")


def _age_order(artifact: Artifact) -> tuple[int, str]:
    return artifact.made_at, artifact.path


def _artifact(entry: str, asked_at: int, pattern: str | None) -> Artifact:
    """One entry. CouldNotLook: its name doesn't tell when it was made."""
    told = _ENTRY.fullmatch(entry)
    if told is None:
        raise CouldNotLook(f"what `stat` prints can't be understood: {entry[:200]!r}")
    changed_at = int(told["changed_at"])
    # What the clock on the wall showed is told without a zone by some, so that the zone is the difference.
    offset = int(datetime.fromisoformat(f"{told['wall']}+00:00").timestamp()) - changed_at
    artifact = Artifact(
        told["name"], int(told["size"]), int(told["mode"], 16) & 0o7777, changed_at, offset, told["inode"]
    )
    if pattern is None:
        return artifact
    at = moment_in(artifact.path, pattern, offset)
    if at is None:
        raise CouldNotLook(
            f"the name of {artifact.shown} does not tell a date by {pattern}",
            mend="correct `dated`, or make `path` narrower",
        )
    if at > asked_at + _ZONES_APART_S:
        raise CouldNotLook(
            f"the name of {artifact.shown} tells a moment that is yet to come", mend="correct `dated`, or the name"
        )
    return replace(artifact, dated=at)
