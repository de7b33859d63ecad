"""What the backups on a server may be declared to be, and how the artifacts are looked through."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import PurePosixPath
from shlex import quote
from statistics import median
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, model_validator

from readygate.areas.asking import ask
from readygate.areas.backups import repositories
from readygate.areas.backups.artifacts import Artifact, cipher_of, kind_of
from readygate.areas.backups.due import Timetable, backup_schedule, check_date_pattern, date_in
from readygate.areas.backups.offsite import Offsite, observe_copies, observe_sameness, observe_versioning
from readygate.areas.backups.restore_drills import RestoreDrill, observe_drill
from readygate.areas.backups.retention import Retention, observe_ladder
from readygate.areas.backups.soundness import LARGEST_FETCHED, Look
from readygate.areas.backups.sqlite_copy import ask_database
from readygate.areas.servers.files import AbsolutePath, absolute, age_s
from readygate.errors import CouldNotLook, Mistake
from readygate.expectation import (
    AtLeastCount,
    AtLeastSize,
    AtMostCount,
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

# Partitions of one disk fail together, so the disk is what counts, where the kernel tells it.
_DISK_OF = """
disk_of() {
    [ -e "$1" ] || { echo; return; }
    number=$(stat -L -c %d -- "$1")
    device=$(( (number >> 8) & 4095 )):$(( (number & 255) | ((number >> 12) & 1048320) ))
    disk=$(readlink -f "/sys/dev/block/$device")
    [ -e "$disk/partition" ] && disk=${disk%/*}
    [ -e "$disk" ] && echo "${disk##*/}" || echo "$device"
}"""
_MANY = 1000
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
    dated: Annotated[str, AfterValidator(check_date_pattern)] | None = Field(
        None, description="A setting: how the name tells when it was made, e.g. shop_%Y%m%d_%H%M%S."
    )
    schedule: Annotated[str, AfterValidator(backup_schedule)] | None = Field(
        None, description='A setting: when the job runs, in crontab\'s five columns: "0 1 * * *".'
    )
    grace: Seconds = Field(3600.0, description="A setting: how long after that the backup may take to be there.")

    missed: AtMostCount | None = Field(None, description="How many runs by the schedule the newest may have missed.")
    count: AtLeastCount | None = Field(None, description="How many there must be.")
    size: AtLeastSize | None = Field(None, description="How large the newest one must be.")
    shrink: AtMostPercent | None = Field(
        None, description="How much smaller than the median of the earlier ones the newest may be."
    )
    mode: Mode | None = Field(None, description='Who may read and write the newest one, in quotes: "0600".')
    sound: Flag | None = Field(None, description="Whether the newest one is whole, as far as its kind can show.")
    encrypted: Flag | None = Field(None, description="Whether the newest begins as age, OpenPGP or OpenSSL encrypt.")
    apart_from: dict[AbsolutePath, Flag] | None = Field(
        None, description="By path: whether the newest lies on another disk than what is there."
    )
    room_for: AtLeastCount | None = Field(None, description="How many more like the newest fit on its disk.")
    holds: dict[str, Count] | None = Field(
        None, description="Of a SQLite database, by table or by query: how many rows, or what number."
    )
    retention: Retention | None = Field(None, description="What is kept of the earlier ones.")
    offsite: Offsite | None = Field(None, description="The copy in another place.")
    restore_drill: RestoreDrill | None = Field(None, description="What a restore of the newest has to show.")

    @model_validator(mode="after")
    def _can_be_asked(self) -> Backup:
        if self.holds and kind_of(self.path).content != "sqlite":
            raise Mistake(
                f"`holds` asks SQLite databases, and {self.path} promises none",
                "name files such as *.sqlite.gz",
            )
        if self.missed and not self.schedule:
            raise Mistake("`missed` counts the runs of a schedule", 'write e.g. schedule: "0 1 * * *" beside it')
        return self


@dataclass(frozen=True, slots=True)
class Artifacts:
    """The files of a backup, the newest first; without any, nothing is known but that."""

    found: tuple[Artifact, ...]
    asked_at: int
    evidence: tuple[Evidence, ...] = ()
    utc_offset: int = 0

    def local(self, moment: int) -> datetime:
        """The moment by the server's own clock on the wall."""
        return datetime.fromtimestamp(moment, timezone(timedelta(seconds=self.utc_offset)))

    @property
    def newest(self) -> Artifact | None:
        return self.found[0] if self.found else None

    @property
    def count(self) -> int:
        return len(self.found)

    @property
    def age_s(self) -> int | None:
        return age_s(self.newest.made_at, self.asked_at) if self.newest else None

    @property
    def oldest_s(self) -> int | None:
        return age_s(self.found[-1].made_at, self.asked_at) if self.found else None

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


@dataclass(frozen=True, slots=True)
class Cipher:
    """Whether the newest artifact is encrypted; None where there is none."""

    encrypted: bool | None
    reason: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Shelf:
    """How many more like the newest fit beside it, the disk that it lies on, and those of other paths."""

    room_for: int | None
    disk: str | None
    disks: Mapping[str, str | None]
    evidence: tuple[Evidence, ...] = ()

    def is_apart_from(self, path: str) -> bool | None:
        """None where nothing is at the path, which then needs no protection, and is no proof of any."""
        other = self.disks.get(path)
        return other != self.disk if other and self.disk else None


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
date '+%s %z'
for file in {quoted_glob(backup.path)}; do [ -f "$file" ] && printf '%s\\0' "$file"; done |
    xargs -0 -r stat -L -c '%s %f %Y %n//' --"""
    return parse_artifacts(backup.path, ask(host, backup.on, script).text, backup.dated)


def parse_artifacts(path: str, text: str, dated: str | None = None) -> Artifacts:
    """Read the server's time and zone, and of each file the size, the raw mode in hexadecimal, the time and name."""
    clock, _, listing = text.partition("\n")
    asked_at, zone = clock.split()
    offset = int(f"{zone[0]}1") * (int(zone[1:3]) * 3600 + int(zone[3:5]) * 60)
    found = []
    for entry in listing.split("//\n")[:-1]:
        size, mode, changed_at, name = entry.split(" ", 3)
        at = _dated(name, dated, offset) if dated else None
        found.append(Artifact(name, int(size), int(mode, 16) & 0o7777, int(changed_at), at))
    found.sort(key=lambda each: (each.made_at, each.path), reverse=True)
    told = [f"{show_size(each.size)} {each.shown}" for each in found[:10]]
    answered = "\n".join([f"{len(found)} found, the newest first:", *told]) if found else "nothing found"
    return Artifacts(tuple(found), int(asked_at), (Evidence(path, answered),), offset)


def _dated(path: str, pattern: str, utc_offset: int) -> int:
    moment = date_in(path, pattern)
    if moment is None:
        raise CouldNotLook(
            f"the name of {path} does not tell a date by {pattern}", mend="correct `dated`, or make `path` narrower"
        )
    return int(moment.replace(tzinfo=UTC).timestamp()) - utc_offset


def observe_missed(backup: Backup, artifacts: Artifacts) -> int | None:
    """How often the job was due since the newest was made, but for one that may still be at it."""
    if artifacts.newest is None or backup.schedule is None:
        return None
    made = artifacts.local(artifacts.newest.made_at).replace(tzinfo=None)
    until = artifacts.local(int(artifacts.asked_at - backup.grace)).replace(tzinfo=None)
    return Timetable.of(backup.schedule).due_between(made, until, at_most=_MANY)


def observe_cipher(host: Any, backup: Backup, artifacts: Artifacts) -> Cipher:
    """What encrypted the newest, by its first bytes and not by its name."""
    if artifacts.newest is None:
        return Cipher(None, f"there is no file at {backup.path}")
    newest = artifacts.newest
    cipher = cipher_of(Look(host, backup.on, newest, backup.within).beginning())
    said = (
        f"{newest.shown} begins as {cipher} encrypts" if cipher else f"{newest.shown} lies open for whoever reads it"
    )
    return Cipher(cipher is not None, said, (Evidence(f"is {newest.shown} encrypted?", said),))


def observe_shelf(host: Any, backup: Backup, artifacts: Artifacts) -> Shelf:
    """The disk that the newest lies on, and those of what it has to be apart from."""
    if artifacts.newest is None:
        return Shelf(None, None, {})
    protected = tuple(backup.apart_from or ())
    paths = " ".join(quote(path) for path in (artifacts.newest.path, *protected))
    folder = quote(str(PurePosixPath(artifacts.newest.path).parent))
    script = f'{_DISK_OF}\ndf -Pk {folder} | tail -n 1\nfor path in {paths}; do disk_of "$path"; done'
    free, ours, *theirs = ask(host, backup.on, script).text.splitlines()
    kibibytes = int(free.split()[-3])
    return Shelf(
        kibibytes * 1024 // max(artifacts.newest.size, 1),
        ours,
        {path: disk or None for path, disk in zip(protected, theirs, strict=True)},
        (Evidence(f"df {folder}", f"{show_size(kibibytes * 1024)} free on {ours}"),),
    )


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


SECTIONS: Mapping[str, type[Spec]] = {"backups": Backup, **repositories.SECTIONS}

FACTS: Mapping[str, Callable[..., Any]] = {
    "artifacts": observe_artifacts,
    "soundness": observe_soundness,
    "held": observe_held,
    "missed": observe_missed,
    "cipher": observe_cipher,
    "shelf": observe_shelf,
    "ladder": observe_ladder,
    "copies": observe_copies,
    "sameness": observe_sameness,
    "versioning": observe_versioning,
    "drill": observe_drill,
    **repositories.FACTS,
}
