"""What a restore of the newest backup may be declared to show, and the drill that shows it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, SecretStr

from readygate.announcing import announce
from readygate.areas.asking import run
from readygate.areas.backups.artifacts import Artifact
from readygate.areas.backups.fetching import fetch, fetch_folder
from readygate.areas.backups.listing import glob_path
from readygate.areas.backups.offsite import Hosts, observe_copies
from readygate.areas.backups.offsite_fetching import fetch_copy, newest_copy
from readygate.drills import records, there
from readygate.drills.copied import opened
from readygate.drills.live import count_live_rows
from readygate.drills.outcome import ASKING, NotRestorable, Questions, Restored
from readygate.drills.records import Record
from readygate.drills.restore import restore
from readygate.drills.scratch import Limits, free_room, scratch, user_name
from readygate.errors import CouldNotLook
from readygate.expectation import (
    AtLeastCount,
    AtMostCount,
    AtMostDuration,
    AtMostPercent,
    Bytes,
    Expectation,
    Json,
    Seconds,
    TextSet,
)
from readygate.results import Evidence
from readygate.spec import Spec
from readygate.units import readable_size, show_duration, show_size

_CLEANS_UP_S = 30


class LiveDatabase(Spec):
    """The live PostgreSQL that a restored copy is held against; it is only read."""

    area: ClassVar[str] = "drill"
    noun: ClassVar[str] = "live_database"

    url: SecretStr = Field(description="A setting: its postgresql:// URL, as ${A_VARIABLE}.")
    rows: AtMostPercent | None = Field(None, description="By how much the rows of any table may differ.")


class ScratchDrill(Spec):
    """A restore of the newest backup into a server that Readygate starts for it, and removes again."""

    area: ClassVar[str] = "drill"
    noun: ClassVar[str] = "restore_drill"

    into: Literal["scratch"] = Field(description="A setting: `scratch`, a server of its own that is removed again.")
    decrypt: str | None = Field(
        None, description="A setting: the command that decrypts its input, e.g. age -d -i backup.key."
    )
    database: str | None = Field(None, description="A setting: which database to ask, where the dump holds several.")
    within: Seconds = Field(3600.0, description="A setting: how long the drill may take.")
    disk: Bytes | None = Field(
        None, description="A setting: how much disk it may use; left out, most of what is free."
    )
    memory: Bytes = Field(2 * 1024**3, description="A setting: how much memory each of its processes may use.")

    every: AtMostDuration | None = Field(None, description="How old the last drill that restored may be.")
    rto: AtMostDuration | None = Field(None, description="How long fetching and restoring may take together.")
    expect: dict[str, Json] | None = Field(
        None, description="What the restored data answer: to a query, or by table how many rows it has."
    )
    newest: dict[str, AtMostDuration] | None = Field(
        None, description="How old the moment may be that a query gives, such as that of the newest order."
    )
    tables: AtLeastCount | None = Field(None, description="How many tables there must be.")
    constraints: AtLeastCount | None = Field(None, description="How many constraints there must be.")
    indexes: AtLeastCount | None = Field(None, description="How many indexes there must be.")
    sequences_behind: AtMostCount | None = Field(
        None, description="How many sequences of PostgreSQL may be behind the keys that they gave."
    )
    extensions: TextSet | None = Field(None, description="Which extensions PostgreSQL must have.")
    live: LiveDatabase | None = Field(None, description="The live database that it is held against.")

    @property
    def questions(self) -> Questions:
        return Questions(tuple(self.expect or ()), tuple(self.newest or ()), self.database)

    @property
    def room(self) -> str:
        """What it may use up, in words."""
        disk = show_size(self.disk) if self.disk else "most of what is free"
        return f"at most {show_duration(self.within)}, {disk} of disk, {show_size(self.memory)} of memory a process"


class RestoreDrill(ScratchDrill):
    """A restore of the newest file, here or on the server that has it."""

    source: Literal["server", "offsite"] = Field(
        "server", description="A setting: `offsite` to restore the newest copy elsewhere, not the file on the server."
    )
    on: str | None = Field(
        None, description="A setting: the server that has the backup, where it is restored; else the copy comes here."
    )


class RepositoryDrill(ScratchDrill):
    """A restore of the newest backup in a repository, on the server whose tool is asked."""

    file: Annotated[str, AfterValidator(glob_path)] | None = Field(
        None,
        description="A setting: which file in it is restored into a server; left out, all comes back as files.",
    )


@dataclass(frozen=True, slots=True)
class Drill:
    """How the last drill went; where it did not restore, `reason` says why and there is nothing else."""

    reason: str
    record: Record | None = None
    age_s: float | None = None
    evidence: tuple[Evidence, ...] = ()

    @property
    def took_s(self) -> float | None:
        return self.record.took_s if self.record else None

    @property
    def _restored(self) -> Restored:
        return self.record.restored if self.record else Restored("")

    @property
    def tables(self) -> int | None:
        return len(self._restored.rows) if self._restored.rows is not None else None

    @property
    def constraints(self) -> int | None:
        return self._restored.constraints

    @property
    def indexes(self) -> int | None:
        return self._restored.indexes

    @property
    def sequences_behind(self) -> tuple[str, ...] | None:
        return self._restored.behind

    @property
    def extensions(self) -> tuple[str, ...] | None:
        return self._restored.extensions

    @property
    def differs_percent(self) -> float | None:
        """How far the table is from its live one that is furthest."""
        differs = self.record.differs if self.record else None
        return max(differs.values(), default=0.0) if differs is not None else None

    @property
    def furthest(self) -> str:
        """Which table that is, in words."""
        differs = self.record.differs if self.record else None
        if not differs:
            return self.reason
        table = max(differs, key=lambda each: differs[each])
        return f"{table} differs by {differs[table]:.1f}%; {self.reason}"

    def answer(self, question: str) -> object:
        return self._restored.values.get(question)

    def newest_age_s(self, moment: str) -> float | None:
        return self._restored.ages.get(moment)


def what_it_does(backup: Any, drill: RestoreDrill) -> str:
    """What a drill will do, for whoever has to allow it."""
    where = "this machine" if drill.on is None else drill.on
    user = user_name() if drill.on is None else "an unprivileged user"
    source, way = backup.path, f"from {backup.on}"
    if drill.source == "offsite":
        elsewhere = backup.offsite
        source, way = (
            (elsewhere.path, f"from {elsewhere.on}")
            if elsewhere.on
            else (elsewhere.rclone, f"by the rclone of {backup.on}")
        )
    compared = "; the rows of the live database are counted" if drill.live else ""
    return (
        f"the newest of {source} is copied {way} into a scratch folder on {where}, restored "
        f"there by {user} into a server without a network, asked, and removed: {drill.room}{compared}"
    )


def observe_drill(host: Any, backup: Any, restore_drill: RestoreDrill, artifacts: Any, hosts: Hosts) -> Drill:
    """The last drill, where it is not due again and all that it showed still holds; else a new one."""
    gone = restore_drill.source == "server" and not artifacts.kept
    asked = _asked(host, backup, restore_drill)
    kept = None if gone else recorded(backup.name, asked, restore_drill, artifacts.asked_at)
    if kept:
        return kept
    announce(f"drill {backup.name}: {what_it_does(backup, restore_drill)}")
    return drill_now(host, backup, restore_drill, artifacts, hosts)


def recorded(name: str, asked: str, drill: ScratchDrill, now: int) -> Drill | None:
    """The last drill, where it was asked the same, is not due again, and all that it showed still holds."""
    record = records.read(name)
    if not record or record.asked != asked or drill.every is None:
        return None
    kept = _drill_of(record, now, "recorded")
    return kept if _holds(kept, drill) else None


def drill_now(
    host: Any,
    backup: Any,
    drill: RestoreDrill,
    artifacts: Any,
    hosts: Hosts,
    tell: Callable[[str], object] = lambda step: None,
) -> Drill:
    """Restore the newest artifact, and keep a record of it where that succeeds. `tell` hears of each step."""
    newest: Artifact | None = artifacts.newest
    where = backup.path
    if drill.source == "offsite":
        where = backup.offsite.place
        newest = newest_copy(backup.offsite, observe_copies(host, backup, backup.offsite, artifacts, hosts))
    if newest is None:
        return Drill(f"there is no file at {where}")
    look = _drill_here if drill.on is None else _drill_there
    came = look(host, backup, drill, newest, hosts, tell)
    return concluded(backup.name, newest.shown, came, drill, _asked(host, backup, drill), what_it_does(backup, drill))


def concluded(name: str, artifact: str, came: Came, drill: ScratchDrill, asked: str, doing: str) -> Drill:
    """The drill that was done now, and is recorded where it restored."""
    if came.restored is None:
        why = f"{artifact} can't be restored: {came.fault}"
        return Drill(why, evidence=(_evidence(came, doing, came.fault),))
    record = Record(
        backup=name,
        artifact=artifact,
        digest=came.digest,
        asked=asked,
        at=int(time.time()),
        took_s=round(came.took_s, 3),
        steps=tuple((name, round(took, 3)) for name, took in came.steps),
        restored=came.restored,
        differs=_differing(drill, came.restored),
    )
    records.write(record)
    shown = _drill_of(record, record.at, "now")
    return Drill(shown.reason, record, 0.0, (_evidence(came, doing, shown.reason),))


@dataclass(frozen=True, slots=True)
class Came:
    """What came of one drill, wherever it was."""

    is_offline: bool
    steps: tuple[tuple[str, float], ...]
    restored: Restored | None = None  # without it, there is a fault
    digest: str = ""
    fault: str = ""
    artifact: str = ""  # what was restored, where only the drill can tell

    @property
    def took_s(self) -> float:
        return sum(took for name, took in self.steps if name != ASKING)


def _drill_here(
    host: Any, backup: Any, drill: RestoreDrill, newest: Artifact, hosts: Hosts, tell: Callable[[str], object]
) -> Came:
    with scratch(Limits(drill.within, drill.disk or free_room(), drill.memory), tell) as place:
        packed = place.folder / "artifact"
        try:
            server = (drill.source == "offsite" and backup.offsite.on) or backup.on
            with place.step(f"fetch {newest.shown} ({show_size(readable_size(newest.weight))}) from {server}"):
                digest = _bring(host, backup, drill, newest, packed, hosts, place.left_s)
            restored = restore(place, opened(packed), drill.questions, decrypt=drill.decrypt)
        except NotRestorable as fault:
            return Came(place.is_offline, tuple(place.steps), fault=str(fault))
        return Came(place.is_offline, tuple(place.steps), restored, digest)


def _bring(
    host: Any, backup: Any, drill: RestoreDrill, newest: Artifact, target: Path, hosts: Hosts, within: float
) -> str:
    server = backup.on
    if drill.source == "offsite":
        if not backup.offsite.on:
            return fetch_copy(host, backup, backup.offsite, newest, target, within=within)
        server = backup.offsite.on
        host = hosts(server)
    bring = fetch_folder if newest.is_folder else fetch
    return bring(host, server, newest, target, within=within)


def _drill_there(
    host: Any, backup: Any, drill: RestoreDrill, newest: Artifact, hosts: Hosts, tell: Callable[[str], object]
) -> Came:
    """The same, where the backup is."""
    tell(f"restore {newest.shown} on {backup.on}")
    return drilled_there(host, backup.on, drill, {"path": newest.whole})


def drilled_there(host: Any, server: str, drill: ScratchDrill, source: Mapping[str, Any]) -> Came:
    """A drill on that server, of what `source` names. CouldNotLook: it lacks what is needed, or can't be reached."""
    limits = {"within": drill.within, "disk": int(drill.disk) if drill.disk else None, "memory": int(drill.memory)}
    order = {**source, "questions": asdict(drill.questions), "decrypt": drill.decrypt, **limits}
    answer = run(host, server, there.command(order), within=drill.within + _CLEANS_UP_S)
    lines = answer.text.strip().splitlines()
    if answer.exit or not lines:
        said = next((line for line in reversed(answer.errors.splitlines()) if line.strip()), "it did not say why")
        otherwise = "; or leave out `on`" if "path" in source else ""
        raise CouldNotLook(
            f"{server} could not drill: {said}", mend=f"it needs Linux with python3 of 3.11{otherwise}"
        )
    came = json.loads(lines[-1])
    if "unseen" in came:
        raise CouldNotLook(f"on {server}: {came['unseen']}", mend=came["mend"])
    steps = tuple((name, took) for name, took in came["steps"])
    if "fault" in came:
        return Came(came["offline"], steps, fault=came["fault"])
    restored = records.restored_of(came["restored"])
    return Came(came["offline"], steps, restored, came["digest"], artifact=came.get("artifact", ""))


def _drill_of(record: Record, now: int, when: str) -> Drill:
    age_s = max(0.0, float(now - record.at))
    done = "restored now" if when == "now" else f"restored {show_duration(round(age_s))} ago"
    steps = ", ".join(f"{name} {took:.1f}s" for name, took in record.steps)
    reason = f"{record.artifact} was {done} into {record.restored.server} in {record.took_s:.1f}s: {steps}"
    told = f"{reason}\nsha256 {record.digest}"
    return Drill(reason, record, age_s, (Evidence(f"the last drill of {record.backup}", told),))


def _evidence(came: Came, doing: str, told: str) -> Evidence:
    reach = "without a network" if came.is_offline else "on a unix socket only"
    return Evidence(f"restore drill, {reach}: {doing}", told)


def _differing(drill: ScratchDrill, restored: Restored) -> Mapping[str, float] | None:
    """By table, how many percent the restored rows are from the live ones."""
    if drill.live is None:
        return None
    alive = count_live_rows(drill.live.url.get_secret_value(), within=min(300.0, drill.within))
    rows = restored.rows or {}
    return {table: 100 * abs(rows.get(table, 0) - count) / max(count, 1) for table, count in alive.items()} | {
        table: 100.0 for table in alive if table not in rows
    }


def _asked(host: Any, backup: Any, drill: RestoreDrill) -> str:
    """What was asked, and of which backup: another place by the same name, as in another environment, is another."""
    questions = drill.questions
    place = backup.offsite.place if drill.source == "offsite" else backup.path
    asked = questions.values, questions.moments, questions.database, drill.live is not None, drill.on, drill.source
    return records.digest_of(*asked, host.backend.get_pytest_id(), place)


def _holds(kept: Drill, drill: ScratchDrill) -> bool:
    """Whether nothing that is declared would fail by what was recorded: a drill that failed is done again."""
    return all(expectation.judge(actual) for expectation, actual in judged(kept, drill))


def judged(seen: Drill, drill: ScratchDrill) -> list[tuple[Expectation, object]]:
    """Every expectation of a drill, beside what was observed for it."""
    alone: list[tuple[Expectation | None, object]] = [
        (drill.every, seen.age_s),
        (drill.rto, seen.took_s),
        (drill.tables, seen.tables),
        (drill.constraints, seen.constraints),
        (drill.indexes, seen.indexes),
        (drill.sequences_behind, None if seen.sequences_behind is None else len(seen.sequences_behind)),
        (drill.extensions, seen.extensions),
        (drill.live.rows if drill.live else None, seen.differs_percent),
        *((each, seen.answer(question)) for question, each in (drill.expect or {}).items()),
        *((each, seen.newest_age_s(moment)) for moment, each in (drill.newest or {}).items()),
    ]
    return [(expectation, actual) for expectation, actual in alone if expectation is not None]
