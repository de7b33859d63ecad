"""Repositories of restic, borg and pgBackRest: what is in them, how old it is, and whether it can still be read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from shlex import quote
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from readygate.areas.asking import Answer, ask, run
from readygate.areas.backups.due import MANY, Timetable, backup_schedule
from readygate.areas.backups.restore_drills import RepositoryDrill
from readygate.areas.backups.retention import Ladder, RepositoryRetention, ladder_of
from readygate.areas.backups.wal_archive import fault_of_archive
from readygate.areas.servers.files import age_s
from readygate.errors import CouldNotLook, Mistake
from readygate.expectation import AtLeastCount, AtLeastSize, AtMostCount, AtMostDuration, Flag, Seconds
from readygate.results import Evidence
from readygate.spec import Spec


class BackupRepository(Spec):
    """A repository of backups that a tool of its own keeps, looked at by that tool on a server."""

    area: ClassVar[str] = "backup_repository"
    noun: ClassVar[str] = "backup_repository"

    on: str = Field(description="A setting: the name of the server whose tool is asked.")
    tool: Literal["restic", "borg", "pgbackrest"] = Field(description="A setting: restic, borg or pgbackrest.")
    at: str = Field(description="A setting: where restic or borg has it, or the stanza of pgbackrest.")
    settings: str | None = Field(
        None, description="A setting: a file there with the tool's variables, or pgbackrest's configuration."
    )
    host: str | None = Field(None, description="A setting, of restic: whose backups, where several share it.")
    path: str | None = Field(None, description="A setting, of restic: backups of which absolute path.")
    tag: str | None = Field(None, description="A setting, of restic: backups with which tag.")
    archives: str | None = Field(None, description="A setting, of borg: archives of which names, e.g. shop-*.")
    within: Seconds = Field(3600.0, description="A setting: how long reading all of it may take.")

    schedule: Annotated[str, AfterValidator(backup_schedule)] | None = Field(
        None, description='A setting: when the job runs, in crontab\'s five columns: "0 1 * * *".'
    )
    grace: Seconds = Field(3600.0, description="A setting: how long after that the backup may take to be there.")

    rpo: AtMostDuration | None = Field(None, description="How old the newest backup in it may be.")
    missed: AtMostCount | None = Field(None, description="How many runs by the schedule may have left no backup.")
    count: AtLeastCount | None = Field(None, description="How many backups there must be in it.")
    size: AtLeastSize | None = Field(None, description="How large what the newest backup holds must be.")
    lock_age: AtMostDuration | None = Field(
        None, description="Of restic: how long ago the oldest lock on it was last renewed."
    )
    whole: Flag | None = Field(None, description="Whether all of it can be read, and is what was written.")
    retention: RepositoryRetention | None = Field(None, description="What is kept of the earlier ones.")
    restore_drill: RepositoryDrill | None = Field(
        None, description="Of restic and borg: what a restore of the newest has to show."
    )

    @model_validator(mode="after")
    def _is_asked_of_its_tool(self) -> BackupRepository:
        for name, tool in (*_ONLY, ("lock_age", "restic")):
            if getattr(self, name) is not None and self.tool != tool:
                raise Mistake(f"`{name}` is of {tool}, and this is a repository of {self.tool}", "leave it out")
        if self.missed and not self.schedule:
            raise Mistake("`missed` counts the runs of a schedule", 'write e.g. schedule: "0 1 * * *" beside it')
        if self.restore_drill and self.tool == "pgbackrest":
            raise Mistake("no drill restores from pgbackrest", "restore it by hand, and attest that")
        return self


# Which of the backups count, where several servers share a repository: how the tool is told.
_ONLY = {
    ("host", "restic"): "--host",
    ("path", "restic"): "--path",
    ("tag", "restic"): "--tag",
    ("archives", "borg"): "--glob-archives",
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A backup in a repository, by the tool's name for it; its moment is in seconds since 1970.

    `size` is what it holds, in bytes; None where the list does not tell.
    """

    made_at: int
    name: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Snapshots:
    """The backups in a repository that count, the newest first."""

    found: tuple[Snapshot, ...]
    asked_at: int
    evidence: tuple[Evidence, ...] = ()

    @property
    def count(self) -> int:
        return len(self.found)

    @property
    def age_s(self) -> int | None:
        return age_s(self.found[0].made_at, self.asked_at) if self.found else None

    @property
    def oldest_s(self) -> int | None:
        return age_s(self.found[-1].made_at, self.asked_at) if self.found else None


@dataclass(frozen=True, slots=True)
class Moments:
    """When the backups were made, newest first, and `until` when one is due, by the server's clock on the wall."""

    made: tuple[datetime, ...]
    until: datetime


@dataclass(frozen=True, slots=True)
class OldestLock:
    """How long ago it was renewed, in seconds; 0 where there is none."""

    age_s: int
    reason: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Wholeness:
    """Whether the tool could read all of a repository."""

    whole: bool
    reason: str
    evidence: tuple[Evidence, ...] = ()


def parse_restic(text: str) -> list[Snapshot]:
    """What `restic snapshots --json` lists."""
    return [Snapshot(_seconds(each["time"].replace("Z", "+00:00")), each["id"]) for each in json.loads(text)]


def parse_borg(text: str) -> list[Snapshot]:
    """What `borg list --json` lists, asked in UTC; a checkpoint is a backup that broke off."""
    archives = (each for each in json.loads(text)["archives"] if ".checkpoint" not in each["name"])
    return [Snapshot(_seconds(f"{each['start']}+00:00"), each["name"]) for each in archives]


def parse_pgbackrest(text: str) -> list[Snapshot]:
    """What `pgbackrest info --output=json` lists; a backup that copied damaged pages counts for none."""
    backups = (each for stanza in json.loads(text) for each in stanza["backup"] if not each.get("error"))
    return [Snapshot(each["timestamp"]["stop"], each["label"], each["info"]["size"]) for each in backups]


def _seconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp())


@dataclass(frozen=True, slots=True)
class _Tool:
    """How a tool is asked, and understood; `{at}`, `{settings}`, `{only}` and `{name}` are filled in."""

    listing: str
    parse: Callable[[str], list[Snapshot]]
    reading: str
    fault_of: Callable[[Answer], str | None]
    weighing: str = ""
    size_of: Callable[[Any], int] = int


def _fault_of_restic(answer: Answer) -> str | None:
    if not answer.exit:
        return None
    if "repository contains errors" in answer.errors or "repository contains errors" in answer.text:
        lines = [line for line in f"{answer.text}\n{answer.errors}".splitlines() if _tells_of_damage(line)]
        return lines[0].strip() if lines else "restic says that it contains errors"
    raise _unreadable("restic", answer)


def _fault_of_borg(answer: Answer) -> str | None:
    if not answer.exit:
        return None
    if answer.exit == 1 and "rror" in answer.errors and "ock" not in answer.errors.splitlines()[-1]:
        lines = [line for line in answer.errors.splitlines() if _tells_of_damage(line)]
        return lines[0].strip() if lines else answer.errors.splitlines()[-1].strip()
    raise _unreadable("borg", answer)


def _fault_of_pgbackrest(answer: Answer) -> str | None:
    # It ends with 0 whatever it found, and prints nothing of a stanza that isn't there.
    lines = [line.strip() for line in answer.text.splitlines()]
    if answer.exit:
        raise _unreadable("pgbackrest", answer)
    if "status: ok" in lines and not any("status: invalid" in line for line in lines):
        return None
    return next((line for line in lines if "invalid" in line), None) or "pgbackrest does not say that it is ok"


_TOOLS: Mapping[str, _Tool] = {
    "restic": _Tool(
        "restic --repo {at} --no-lock --no-cache snapshots --json {only}",
        parse_restic,
        # Without --read-data a pack with other bytes in it goes unseen.
        "restic --repo {at} --no-lock --no-cache check --read-data",
        _fault_of_restic,
        "restic --repo {at} --no-lock --no-cache stats --json --mode restore-size {name}",
        lambda told: int(told["total_size"]),
    ),
    "borg": _Tool(
        "borg list --bypass-lock --json {only} {at}",
        parse_borg,
        "borg check {at}",
        _fault_of_borg,
        "borg info --bypass-lock --json {at}::{name}",
        lambda told: int(told["archives"][0]["stats"]["original_size"]),
    ),
    "pgbackrest": _Tool(
        "pgbackrest {settings} --stanza={at} --log-level-file=off info --output=json",
        parse_pgbackrest,
        "pgbackrest {settings} --stanza={at} --log-level-file=off verify --output=text --verbose",
        _fault_of_pgbackrest,
    ),
}

_LOCK = re.compile(r'"time": "([^"]+)".*?"hostname": "([^"]*)".*?"pid": (\d+)', re.DOTALL)
# borg keeps what it knows of repositories in the home of who asks; ours goes into a folder that goes away.
_BORG = """\
BORG_BASE_DIR=$(mktemp -d); trap 'rm -rf "$BORG_BASE_DIR"' EXIT
export BORG_BASE_DIR TZ=UTC BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes BORG_RELOCATED_REPO_ACCESS_IS_OK=yes
"""


def observe_snapshots(host: Any, backup_repository: BackupRepository) -> Snapshots:
    """What backups are in it. CouldNotLook: the tool can't open it."""
    tool = _TOOLS[backup_repository.tool]
    answer = _run(host, backup_repository, f"date +%s; {_filled(tool.listing, backup_repository)}")
    asked_at, _, listing = answer.text.partition("\n")
    if answer.exit:
        raise _unreadable(backup_repository.tool, answer)
    try:
        # They are listed oldest first, which tells those of one second apart.
        found = tuple(sorted(tool.parse(listing), key=lambda each: each.made_at)[::-1])
    except (ValueError, KeyError, TypeError) as error:
        raise CouldNotLook(f"what {backup_repository.tool} lists can't be understood: {error}") from error
    newest = f"; the newest is of {datetime.fromtimestamp(found[0].made_at, UTC):%Y-%m-%d %H:%M} UTC" if found else ""
    evidence = Evidence(_filled(tool.listing, backup_repository), f"{len(found)} backups{newest}")
    return Snapshots(found, int(asked_at), (evidence,))


def observe_moments(host: Any, backup_repository: BackupRepository, snapshots: Snapshots) -> Moments:
    """By the zone of the server, which may have changed its clocks between two backups."""
    until = int(snapshots.asked_at - backup_repository.grace)
    times = " ".join(str(at) for at in (until, *(each.made_at for each in snapshots.found)))
    script = f"for at in {times}; do date -d \"@$at\" '+%Y-%m-%dT%H:%M:%S' || exit; done"
    due, *made = map(datetime.fromisoformat, ask(host, backup_repository.on, script).text.split())
    return Moments(tuple(made), due)


def observe_repository_missed(
    backup_repository: BackupRepository, snapshots: Snapshots, moments: Moments
) -> int | None:
    """How often the job was due since it made the newest, but for a run that may still be at it.

    CouldNotLook: that one is dated in the future, and would never miss a run.
    """
    if snapshots.age_s is None or backup_repository.schedule is None:
        return None
    return Timetable.of(backup_repository.schedule).due_between(moments.made[0], moments.until, at_most=MANY)


def observe_repository_ladder(snapshots: Snapshots, moments: Moments) -> Ladder:
    """The ladder, by the days in the server's local time."""
    return ladder_of({each.date() for each in moments.made}, snapshots.oldest_s)


def observe_oldest_lock(host: Any, backup_repository: BackupRepository) -> OldestLock:
    """Of restic, whose locks are renewed each five minutes by whoever holds them. CouldNotLook: it can't open it."""
    asked = _filled("restic --repo {at} --no-lock --no-cache", backup_repository)
    script = (
        f"date +%s; for lock in $({asked} list locks); do {asked} cat lock $lock || exit; done; {asked} list locks"
    )
    answer = _run(host, backup_repository, script)
    if answer.exit:
        raise _unreadable("restic", answer)
    asked_at = int(answer.text.partition("\n")[0])
    held = [(_seconds(time.replace("Z", "+00:00")), who, pid) for time, who, pid in _LOCK.findall(answer.text)]
    if not held:
        return OldestLock(0, "nobody has a lock on it")
    renewed_at, who, pid = min(held)
    reason = f"the process {pid} of {who} has a lock on it that was last renewed {asked_at - renewed_at} s ago"
    return OldestLock(max(0, asked_at - renewed_at), reason, (Evidence(f"{asked} list locks", reason),))


def observe_size(host: Any, backup_repository: BackupRepository, snapshots: Snapshots) -> int | None:
    """Bytes that the newest backup holds; None where there is none. CouldNotLook: the tool does not tell."""
    tool = _TOOLS[backup_repository.tool]
    if not snapshots.found or not tool.weighing:
        return snapshots.found[0].size if snapshots.found else None
    answer = _run(host, backup_repository, _filled(tool.weighing, backup_repository, snapshots.found[0].name))
    if answer.exit:
        raise _unreadable(backup_repository.tool, answer)
    try:
        return tool.size_of(json.loads(answer.text))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise CouldNotLook(f"what {backup_repository.tool} tells of it can't be understood: {error}") from error


def observe_wholeness(host: Any, backup_repository: BackupRepository) -> Wholeness:
    """Whether all of it can be read, by the tool's own check. CouldNotLook: the tool can't open it."""
    tool = _TOOLS[backup_repository.tool]
    asked = _filled(tool.reading, backup_repository)
    fault = tool.fault_of(_run(host, backup_repository, asked))
    if fault is None and backup_repository.tool == "pgbackrest":
        fault = _fault_of_wal(host, backup_repository)
    reason = f"{backup_repository.at} can be read to its end" if fault is None else f"{backup_repository.at}: {fault}"
    return Wholeness(fault is None, reason, (Evidence(asked, reason),))


def _fault_of_wal(host: Any, repository: BackupRepository) -> str | None:
    """The first gap in the WAL, of which `pgbackrest verify` says nothing."""
    listing = _run(host, repository, _filled(_TOOLS["pgbackrest"].listing, repository))
    if listing.exit:
        raise _unreadable("pgbackrest", listing)
    for stanza in json.loads(listing.text):
        ends = [(each["archive"]["start"], each["archive"]["stop"]) for each in stanza["backup"]]
        for archive in stanza["archive"]:
            path, key = quote(f"archive/{stanza['name']}/{archive['id']}"), archive["database"]["repo-key"]
            config = _filled("{settings}", repository)
            listed = f"pgbackrest {config} --repo={key} --log-level-file=off repo-ls --recurse {path}"
            names = _run(host, repository, listed)
            if names.exit:
                raise _unreadable("pgbackrest", names)
            if gap := fault_of_archive(names.text.splitlines(), ends):
                return gap
    return None


def _filled(command: str, repository: BackupRepository, name: str = "") -> str:
    config = f"--config={quote(repository.settings)}" if repository.settings else ""
    return command.format(at=quote(repository.at), settings=config, only=only(repository), name=quote(name))


def only(repository: BackupRepository) -> str:
    """How the tool is told which of the backups count."""
    told = {option: getattr(repository, field) for (field, _), option in _ONLY.items()}
    return " ".join(f"{option} {quote(value)}" for option, value in told.items() if value is not None)


def surroundings(repository: BackupRepository) -> str:
    """What a script begins with that asks the tool."""
    variables = ""
    if repository.settings and repository.tool != "pgbackrest":
        variables = f"set -a; . {quote(repository.settings)} || exit 1; set +a\n"
    return f"export LC_ALL=C\n{variables}{_BORG if repository.tool == 'borg' else ''}"


def _run(host: Any, repository: BackupRepository, script: str) -> Answer:
    return run(host, repository.on, f"{surroundings(repository)}{script}", within=repository.within)


def _tells_of_damage(line: str) -> bool:
    return any(word in line.lower() for word in ("error", "damaged", "does not match", "mismatch", "missing"))


def _unreadable(tool: str, answer: Answer) -> CouldNotLook:
    lines = [line.strip() for line in f"{answer.text}\n{answer.errors}".splitlines() if line.strip()]
    return CouldNotLook(
        f"{tool} can't open the repository: {lines[-1] if lines else f'exit {answer.exit}'}",
        mend="declare `settings` with its variables, and `sudo` or `sudo_user` for who may read it",
    )


SECTIONS: Mapping[str, type[Spec]] = {"backup_repositories": BackupRepository}

FACTS: Mapping[str, Callable[..., Any]] = {
    "snapshots": observe_snapshots,
    "newest_size": observe_size,
    "oldest_lock": observe_oldest_lock,
    "moments": observe_moments,
    "repository_missed": observe_repository_missed,
    "repository_ladder": observe_repository_ladder,
    "wholeness": observe_wholeness,
}
