"""Archives of files, JSON documents and SQLite databases: read in the scratch folder, and looked through."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections import Counter
from pathlib import Path

from readygate.drills.dumps import ends_of, fault_of_dump
from readygate.drills.outcome import ASKING, NotRestorable, Questions, Restored
from readygate.drills.scratch import Scratch
from readygate.errors import CouldNotLook

_NOTHING_SUCH = re.compile("no such (table|column)")


def unpack_files(scratch: Scratch, archive: Path) -> Path:
    """The folder that a tar archive is unpacked into. NotRestorable: tar complains of the archive."""
    folder = scratch.folder / "files"
    with scratch.step("unpack the files"):
        for command in (["mkdir", folder], ["tar", "-xf", archive, "--no-same-owner", "-C", folder]):
            ended = scratch.run(command)
            if ended.exit:
                raise NotRestorable(f"tar stopped at: {ended.said.splitlines()[0] if ended.said else ended.exit}")
    return folder


def ask_files(scratch: Scratch, folder: Path, questions: Questions) -> Restored:
    """A question is a path in the archive, which may have wildcards, and its answer how many files fit."""
    with scratch.step(ASKING):
        return Restored("files", values={each: _matching(folder, each) for each in questions.values})


def _matching(folder: Path, pattern: str) -> int:
    if ".." in Path(pattern).parts:
        raise CouldNotLook(f"'{pattern}' leaves the archive", mend="write a path as the archive has it")
    found = folder.glob(pattern.removeprefix("./").lstrip("/"))
    inside = folder.resolve()
    # A link to a folder may lead out of the backup, to what is still there.
    ours = (each for each in found if each.parent.resolve().is_relative_to(inside))
    return sum(1 for each in ours if each.is_file() or each.is_symlink())


def restore_json(scratch: Scratch, document: Path, questions: Questions) -> Restored:
    """Read a document, such as Django's dumpdata writes; a question is a model, its answer how many objects it has.

    NotRestorable: it is not whole, or nothing is in it.
    """
    with scratch.step("read the document"):
        try:
            held = json.loads(document.read_bytes())
        except (ValueError, RecursionError) as error:
            raise NotRestorable(f"it is not whole JSON: {error}") from error
    if not held:
        raise NotRestorable("there is nothing in it")
    with scratch.step(ASKING):
        objects = held if isinstance(held, list) else [held]
        models = Counter(str(each["model"]) for each in objects if isinstance(each, dict) and "model" in each)
        return Restored("objects", values={each: models[each] for each in questions.values}, rows=dict(models))


def restore_sqlite(scratch: Scratch, copy: Path, *, is_sql: bool, questions: Questions) -> Restored:
    """Open a copy of a SQLite database, or run a dump of one, have it checked, and ask it.

    NotRestorable: the database is damaged.
    """
    if is_sql and (fault := fault_of_dump(ends_of(copy))):
        raise NotRestorable(fault)
    database = sqlite3.connect(scratch.folder / "restored.sqlite" if is_sql else copy)
    try:
        end = time.monotonic() + scratch.left_s
        database.set_progress_handler(lambda: time.monotonic() > end, 100_000)
        database.set_authorizer(_within_the_file)
        with scratch.step("restore"):
            if is_sql:
                database.executescript(copy.read_text(errors="surrogateescape"))
            said = database.execute("PRAGMA integrity_check(1)").fetchone()[0]
            broken = database.execute("PRAGMA foreign_key_check").fetchone()
        if said != "ok":
            raise NotRestorable(f"SQLite's integrity check says: {said}")
        if broken:
            raise NotRestorable(f"a row of {broken[0]} refers to one of {broken[2]} that is not there")
        with scratch.step(ASKING):
            return _asked(database, questions)
    except sqlite3.OperationalError as error:
        if str(error) == "interrupted":
            raise CouldNotLook("the drill did not end in time", mend="declare a longer `within` for it") from error
        raise NotRestorable(f"SQLite stopped at: {error}") from error
    except sqlite3.DatabaseError as error:
        raise NotRestorable(f"SQLite stopped at: {error}") from error
    finally:
        database.close()


def _within_the_file(action: int, *_: object) -> int:
    """A dump may do what it likes in its own database, and open no other file."""
    return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_ATTACH else sqlite3.SQLITE_OK


def _asked(database: sqlite3.Connection, questions: Questions) -> Restored:
    kinds = "('table', 'index')"
    named = database.execute(
        f"select type, name from sqlite_master where type in {kinds} and name not like 'sqlite_%'"  # noqa: S608
    ).fetchall()
    tables = [name for kind, name in named if kind == "table"]
    moment = "select strftime('%s', 'now') - strftime('%s', ({}))"
    return Restored(
        server=f"SQLite {sqlite3.sqlite_version}",
        values={each: _value(database, each) for each in questions.values},
        ages={each: _seconds(_value(database, moment.format(each), each)) for each in questions.moments},
        rows={table: int(str(_value(database, table))) for table in tables},
        indexes=sum(1 for kind, _ in named if kind == "index"),
    )


def _seconds(age: object) -> float | None:
    return None if age is None else max(0.0, float(str(age)))


def _value(database: sqlite3.Connection, question: str, shown: str = "") -> object:
    """The one value that a query gives, or how many rows a table has; None where there is no such thing."""
    is_query = re.match(r"\s*(select|with|values)\b", question, re.IGNORECASE)
    name = question.replace('"', '""')
    try:
        rows = database.execute(question if is_query else f'select count(*) from "{name}"').fetchmany(2)  # noqa: S608
    except sqlite3.Error as error:
        if _NOTHING_SUCH.match(str(error)):
            return None
        raise CouldNotLook(f"SQLite can't answer '{shown or question}': {error}", mend="correct the query") from error
    if not rows:
        return None
    if len(rows) != 1 or len(rows[0]) != 1:
        raise CouldNotLook(f"'{question}' does not give one value", mend="write a query with one row and one column")
    value: object = rows[0][0]
    return value
