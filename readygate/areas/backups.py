"""What the backups on a server may be declared to be, and how the artifacts are looked through."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from shlex import quote
from statistics import median
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, model_validator

from readygate.areas.artifacts import Artifact, kind_of
from readygate.areas.asking import ask
from readygate.areas.files import absolute, age_s
from readygate.areas.soundness import LARGEST_FETCHED, Look
from readygate.areas.sqlite_copy import ask_database
from readygate.errors import CouldNotLook, Mistake
from readygate.expectation import (
    AtLeastCount,
    AtLeastSize,
    AtMostDuration,
    AtMostPercent,
    Count,
    Flag,
    Mode,
    Seconds,
)
from readygate.results import Evidence
from readygate.spec import Spec
from readygate.units import show_size

_WILD = re.compile(r"(\*|\?|\[!?[^]/]+\])")


def glob_path(path: str) -> str:
    """The path, whose names may hold *, ? and [abc]."""
    if "**" in path:
        raise Mistake(f"'{path}' has a **, which a shell does not know", "write a * for each folder between")
    return absolute(path)


class Backup(Spec):
    """A kind of backup on a server: the files that one job writes there."""

    area: ClassVar[str] = "backup"
    noun: ClassVar[str] = "backup"

    on: str = Field(description="A setting: the name of the server that the files are on.")
    path: Annotated[str, AfterValidator(glob_path)] = Field(
        description="A setting: the absolute path of the files, e.g. /backups/*.sql.gz."
    )
    within: Seconds = Field(600.0, description="A setting: how long reading the newest one through may take.")

    rpo: AtMostDuration | None = Field(None, description="How old the newest one may be: what a loss would cost.")
    count: AtLeastCount | None = Field(None, description="How many there must be.")
    size: AtLeastSize | None = Field(None, description="How large the newest one must be.")
    shrink: AtMostPercent | None = Field(
        None, description="How much smaller than the median of the earlier ones the newest may be."
    )
    mode: Mode | None = Field(None, description='Who may read and write the newest one, in quotes: "0600".')
    sound: Flag | None = Field(None, description="Whether the newest one is whole, as far as its kind can show.")
    holds: dict[str, Count] | None = Field(
        None, description="Of a SQLite database, by table or by query: how many rows, or what number."
    )

    @model_validator(mode="after")
    def _can_be_asked(self) -> Backup:
        if self.holds and kind_of(self.path).content != "sqlite":
            raise Mistake(
                f"`holds` asks SQLite databases, and {self.path} promises none",
                "name files such as *.sqlite.gz",
            )
        return self


@dataclass(frozen=True, slots=True)
class Artifacts:
    """The files of a backup, the newest first; without any, nothing is known but that."""

    found: tuple[Artifact, ...]
    asked_at: int
    evidence: tuple[Evidence, ...] = ()

    @property
    def newest(self) -> Artifact | None:
        return self.found[0] if self.found else None

    @property
    def count(self) -> int:
        return len(self.found)

    @property
    def age_s(self) -> int | None:
        return age_s(self.newest.changed_at, self.asked_at) if self.newest else None

    @property
    def size(self) -> int | None:
        return self.newest.size if self.newest else None

    @property
    def mode(self) -> int | None:
        return self.newest.mode if self.newest else None

    @property
    def shrink_percent(self) -> float | None:
        """How much smaller the newest is than usual. CouldNotLook: there is no earlier one."""
        if not self.newest:
            return None
        earlier = [each.size for each in self.found[1:]]
        if not earlier:
            raise CouldNotLook(
                "there is no earlier backup to compare the newest with", mend="look again after the next one"
            )
        usual = median(earlier)
        return max(0.0, 100 * (1 - self.newest.size / usual)) if usual else 0.0


@dataclass(frozen=True, slots=True)
class Soundness:
    """Whether the newest artifact is whole; None where there is none."""

    sound: bool | None
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()


def quoted_glob(path: str) -> str:
    """The path for a shell that has to expand its wildcards, and nothing else in it."""
    return "".join(part if _WILD.fullmatch(part) else part and quote(part) for part in _WILD.split(path))


def observe_artifacts(host: Any, backup: Backup) -> Artifacts:
    """All files that the path means, by one command. CouldNotLook: a folder on the way is closed to us."""
    # A shell that may not read a folder finds nothing in it, and says nothing.
    parts = PurePosixPath(backup.path).parts
    gates = "\n".join(
        f"gate {'r' if _WILD.search(parts[depth]) else 'x'} {quoted_glob(str(PurePosixPath(*parts[:depth])))}"
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
date +%s
for file in {quoted_glob(backup.path)}; do [ -f "$file" ] && printf '%s\\0' "$file"; done |
    xargs -0 -r stat -L -c '%s %f %Y %n//' --"""
    return parse_artifacts(backup.path, ask(host, backup.on, script).text)


def parse_artifacts(path: str, text: str) -> Artifacts:
    """Read the server's time, and of each file the size, the raw mode in hexadecimal, the time and name."""
    asked_at, _, listing = text.partition("\n")
    found = []
    for entry in listing.split("//\n")[:-1]:
        size, mode, changed_at, name = entry.split(" ", 3)
        found.append(Artifact(name, int(size), int(mode, 16) & 0o7777, int(changed_at)))
    found.sort(key=lambda each: (each.changed_at, each.path), reverse=True)
    told = [f"{show_size(each.size)} {each.shown}" for each in found[:10]]
    answered = "\n".join([f"{len(found)} found, the newest first:", *told]) if found else "nothing found"
    return Artifacts(tuple(found), int(asked_at), (Evidence(path, answered),))


def observe_soundness(host: Any, backup: Backup, artifacts: Artifacts) -> Soundness:
    """Whether the newest artifact is whole. CouldNotLook: its name promises no known kind."""
    newest = artifacts.newest
    if newest is None:
        return Soundness(None, f"there is no file at {backup.path}")
    if not newest.kind.is_known:
        raise CouldNotLook(
            f"no way is known to tell whether {newest.shown} is whole",
            mend="name it by its kind, such as .sql.gz, .tar.gz, .sqlite, .zip or .json",
        )
    fault = Look(host, backup.on, newest, backup.within).fault()
    reason = f"{newest.shown} is whole" if fault is None else f"{newest.shown}: {fault}"
    return Soundness(fault is None, reason, (Evidence(f"is {newest.shown} whole?", reason),))


def observe_held(host: Any, backup: Backup, artifacts: Artifacts) -> dict[str, int | None]:
    """What the newest database answers to each question of `holds`; nothing at all where there is none."""
    if artifacts.newest is None or not backup.holds:
        return {}
    data = Look(host, backup.on, artifacts.newest, backup.within).fetched()
    if data is None:
        raise CouldNotLook(
            f"{artifacts.newest.shown} holds more than {show_size(LARGEST_FETCHED)}, too much to fetch",
            mend="declare a command on the server that asks it",
        )
    return dict(ask_database(data, backup.holds))


SECTIONS: Mapping[str, type[Spec]] = {"backups": Backup}

FACTS: Mapping[str, Callable[..., Any]] = {
    "artifacts": observe_artifacts,
    "soundness": observe_soundness,
    "held": observe_held,
}
