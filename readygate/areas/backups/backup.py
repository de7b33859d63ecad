"""What the backups on a server may be declared to be, and how the artifacts are looked through."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, model_validator

from readygate.areas.backups import repositories
from readygate.areas.backups.artifacts import kind_of
from readygate.areas.backups.distinct import observe_distinct
from readygate.areas.backups.due import MANY, Timetable, backup_schedule, check_date_pattern
from readygate.areas.backups.listing import Artifacts, glob_path, observe_artifacts
from readygate.areas.backups.object_lock import observe_lock
from readygate.areas.backups.offsite import Offsite, observe_copies, observe_sameness, observe_versioning
from readygate.areas.backups.repository_drills import observe_drill
from readygate.areas.backups.restore_drills import RestoreDrill
from readygate.areas.backups.retention import Retention, observe_ladder
from readygate.areas.backups.shelf import observe_shelf
from readygate.areas.backups.soundness import LARGEST_FETCHED, Look
from readygate.areas.backups.sqlite_copy import ask_database
from readygate.areas.backups.wal_archive import fault_of_archive, segments_in
from readygate.areas.servers.files import AbsolutePath
from readygate.drills.ciphers import cipher_of
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

_QUERY = re.compile(r"\s*(select|with)\s", re.IGNORECASE)
# What is asked for its rows where it lies.
_COUNTABLE = ("sqlite", "sql", "dump", "dump folder", "json", "mongodump")


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
        None,
        description="By table, collection or, of SQLite, query: how many rows are in the newest, or what number.",
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
                "name files such as *.sqlite.gz, *.sql.gz, *.dump, *.json or *.archive.gz",
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
        if self.offsite and self.offsite.on == self.on:
            raise Mistake(f"a copy on {self.on} is lost with that server", "name another server, or write `rclone`")
        if self.missed and not self.schedule:
            raise Mistake("`missed` counts the runs of a schedule", 'write e.g. schedule: "0 1 * * *" beside it')
        return self


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


def observe_missed(backup: Backup, artifacts: Artifacts) -> int | None:
    """How often the job was due since it last left more than an empty file, but for a run that may still be at it.

    CouldNotLook: that one is dated in the future, and would never miss a run.
    """
    if artifacts.age_s is None or backup.schedule is None:
        return None
    until = datetime.fromtimestamp(artifacts.asked_at - backup.grace + artifacts.utc_offset, UTC).replace(tzinfo=None)
    return Timetable.of(backup.schedule).due_between(artifacts.kept[0].made_local, until, at_most=MANY)


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
    "lock": observe_lock,
    "drill": observe_drill,
    **repositories.FACTS,
}
