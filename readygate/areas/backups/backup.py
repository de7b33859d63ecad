"""What the backups on a server may be declared to be, and how the artifacts are looked through."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from shlex import quote
from statistics import median
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, model_validator

from readygate.areas.asking import ask
from readygate.areas.backups import repositories
from readygate.areas.backups.artifacts import Artifact, cipher_of, kind_of
from readygate.areas.backups.distinct import observe_distinct
from readygate.areas.backups.due import Timetable, backup_schedule, check_date_pattern, date_in
from readygate.areas.backups.offsite import Offsite, observe_copies, observe_sameness, observe_versioning
from readygate.areas.backups.restore_drills import RestoreDrill, observe_drill
from readygate.areas.backups.retention import Retention, observe_ladder
from readygate.areas.backups.shelf import observe_shelf
from readygate.areas.backups.soundness import LARGEST_FETCHED, Look
from readygate.areas.backups.sqlite_copy import ask_database
from readygate.areas.backups.wal_archive import fault_of_archive, segments_in
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

_MANY = 1000
_QUERY = re.compile(r"\s*(select|with)\s", re.IGNORECASE)
# What is asked for its rows where it lies.
_COUNTABLE = ("sqlite", "sql", "dump", "dump folder", "json")
_ENTRY = re.compile(
    r"(?P<size>\d+) (?P<mode>[0-9a-f]+) (?P<changed_at>-?\d+) (?P<inode>\d+:\d+) "
    r"(?P<wall>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\S*(?: [+-]\d{4})? (?P<name>/.*)",
    re.DOTALL,
)
# A job may name its files by another zone than the server's.
_ZONES_APART_S = 26 * 3600
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

    rpo: AtMostDuration | None = Field(
        None, description="How old the newest may be that isn't empty: what a loss costs."
    )
    dated: Annotated[str, AfterValidator(check_date_pattern)] | None = Field(
        None, description="A setting: how the name tells when it was made, e.g. shop_%Y%m%d_%H%M%S."
    )
    schedule: Annotated[str, AfterValidator(backup_schedule)] | None = Field(
        None, description='A setting: when the job runs, in crontab\'s five columns: "0 1 * * *".'
    )
    grace: Seconds = Field(3600.0, description="A setting: how long after that the backup may take to be there.")

    missed: AtMostCount | None = Field(
        None, description="How many runs by the schedule may have left nothing, or only an empty file."
    )
    count: AtLeastCount | None = Field(None, description="How many there must be.")
    distinct: AtLeastCount | None = Field(
        None, description="How many must differ from each other: one dump under seven names is one."
    )
    size: AtLeastSize | None = Field(None, description="How large the newest one must be.")
    shrink: AtMostPercent | None = Field(
        None, description="How much smaller than the median of the earlier ones the newest may be."
    )
    mode: Mode | None = Field(None, description='Who may read and write the newest one, in quotes: "0600".')
    sound: Flag | None = Field(None, description="Whether the newest one is whole, as far as its kind can show.")
    continuous: Flag | None = Field(
        None, description="Of an archive of PostgreSQL's WAL: whether no segment is missing from first to last."
    )
    encrypted: Flag | None = Field(None, description="Whether the newest begins as age, OpenPGP or OpenSSL encrypt.")
    apart_from: dict[AbsolutePath, Flag] | None = Field(
        None, description="By path: whether the newest lies on another disk than what is there."
    )
    room_for: AtLeastCount | None = Field(None, description="How many more like the newest fit on its disk.")
    holds: dict[str, Count] | None = Field(
        None, description="By table, and of SQLite by query too: how many rows are in the newest, or what number."
    )
    retention: Retention | None = Field(None, description="What is kept of the earlier ones.")
    offsite: Offsite | None = Field(None, description="The copy in another place.")
    restore_drill: RestoreDrill | None = Field(None, description="What a restore of the newest has to show.")

    @model_validator(mode="after")
    def _can_be_asked(self) -> Backup:
        content = kind_of(self.path).content
        if self.holds and content not in _COUNTABLE:
            raise Mistake(
                f"`holds` asks databases and dumps, and {self.path} promises none",
                "name files such as *.sqlite.gz, *.sql.gz, *.dump or *.json",
            )
        query = next((each for each in self.holds or () if _QUERY.match(each)), None)
        if query and content != "sqlite":
            raise Mistake(f"a dump can't be asked '{query}'", "name a table, or ask it by a `restore_drill`")
        if self.restore_drill and self.restore_drill.on not in (None, self.on):
            raise Mistake(
                f"the backup is on {self.on}, so it can't be drilled on {self.restore_drill.on}",
                f"write on: {self.on}, or leave it out to drill on the machine that runs this",
            )
        drill = self.restore_drill
        if drill and drill.source == "offsite" and (drill.on or not self.offsite):
            raise Mistake(
                "a copy elsewhere is drilled on the machine that runs this, from what `offsite` declares",
                "leave `on` out, and write `offsite` beside `restore_drill`",
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
        return self.newest.size if self.newest else None

    @property
    def mode(self) -> int | None:
        return self.newest.mode if self.newest else None

    @property
    def shrink_percent(self) -> float | None:
        """How much smaller the newest is than usual. CouldNotLook: there is no earlier one."""
        if not self.newest:
            return None
        earlier = [each.size for each in self.found[1:] if not each.is_hollow]
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
class Continuity:
    """Whether the files are all segments from the first to the last; None where there is none."""

    continuous: bool | None
    reason: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Cipher:
    """Whether the newest artifact is encrypted; None where there is none."""

    encrypted: bool | None
    reason: str
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
date '+%s %z'
for file in {quoted_glob(backup.path)}; do [ -f "$file" ] && printf '%s\\0' "$file"; done |
    xargs -0 -r stat -L -c '%s %f %Y %d:%i %y %n//' --"""
    return parse_artifacts(backup.path, ask(host, backup.on, script).text, backup.dated)


def parse_artifacts(path: str, text: str, dated: str | None = None) -> Artifacts:
    """Read the server's time and zone, and what `stat` prints of each file; a file of two names is one."""
    clock, _, listing = text.partition("\n")
    asked_at, zone = clock.split()
    offset = int(f"{zone[0]}1") * (int(zone[1:3]) * 3600 + int(zone[3:5]) * 60)
    named = sorted((_artifact(each, int(asked_at), dated) for each in listing.split("//\n")[:-1]), key=_age_order)
    files = tuple(sorted({each.inode: each for each in named}.values(), key=_age_order, reverse=True))
    told = [f"{show_size(each.size)} {each.shown}{', empty' * each.is_hollow}" for each in files[:10]]
    answered = "\n".join([f"{len(files)} found, the newest first:", *told]) if files else "nothing found"
    return Artifacts(files, int(asked_at), (Evidence(path, answered),), offset)


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
    moment = date_in(artifact.path, pattern)
    if moment is None:
        raise CouldNotLook(
            f"the name of {artifact.shown} does not tell a date by {pattern}",
            mend="correct `dated`, or make `path` narrower",
        )
    at = int(moment.replace(tzinfo=UTC).timestamp()) - offset
    if at > asked_at + _ZONES_APART_S:
        raise CouldNotLook(
            f"the name of {artifact.shown} tells a moment that is yet to come", mend="correct `dated`, or the name"
        )
    return replace(artifact, dated=at)


def observe_missed(backup: Backup, artifacts: Artifacts) -> int | None:
    """How often the job was due since it last left more than an empty file, but for a run that may still be at it.

    CouldNotLook: that one is dated in the future, and would never miss a run.
    """
    if artifacts.age_s is None or backup.schedule is None:
        return None
    until = datetime.fromtimestamp(artifacts.asked_at - backup.grace + artifacts.utc_offset, UTC).replace(tzinfo=None)
    return Timetable.of(backup.schedule).due_between(artifacts.kept[0].made_local, until, at_most=_MANY)


def observe_continuity(backup: Backup, artifacts: Artifacts) -> Continuity:
    """Whether a segment of WAL is missing, by the names of those that aren't empty."""
    names = [each.path for each in artifacts.kept]
    if not any(segments_in(names).values()):
        return Continuity(None, f"there is no segment of WAL at {backup.path}")
    gap = fault_of_archive(names)
    reason = gap or f"{len(names)} segments follow each other"
    return Continuity(gap is None, reason, (Evidence(f"is a segment missing at {backup.path}?", reason),))


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
    fault = Look(host, backup.on, newest, backup.within).fault_now()
    reason = f"{newest.shown} is whole" if fault is None else f"{newest.shown}: {fault}"
    return Soundness(fault is None, reason, (Evidence(f"is {newest.shown} whole?", reason),))


def observe_held(host: Any, backup: Backup, artifacts: Artifacts) -> dict[str, int | None]:
    """What the newest database answers to each question of `holds`; nothing at all where there is none."""
    if artifacts.newest is None or not backup.holds:
        return {}
    look = Look(host, backup.on, artifacts.newest, backup.within)
    if artifacts.newest.kind.content != "sqlite":
        return look.counted(backup.holds)
    data = look.fetched()
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
    "continuity": observe_continuity,
    "distinct": observe_distinct,
    "cipher": observe_cipher,
    "shelf": observe_shelf,
    "ladder": observe_ladder,
    "copies": observe_copies,
    "sameness": observe_sameness,
    "versioning": observe_versioning,
    "drill": observe_drill,
    **repositories.FACTS,
}
