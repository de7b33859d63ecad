"""Asking a SQLite database that was fetched: whether it is whole, and what it holds."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from readygate.errors import CouldNotLook

_MAGIC = b"SQLite format 3\0"
_WITHIN_S = 60.0


def fault_of_database(data: bytes) -> str | None:
    """What SQLite's own integrity check finds in a database, opened in memory."""
    if not data.startswith(_MAGIC):
        return "it does not begin as a SQLite database does"
    try:
        with _opened(data) as database:
            return fault_in_report(database.execute("PRAGMA integrity_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        return f"SQLite can't read it: {error}"


def fault_in_report(said: str) -> str | None:
    """What `PRAGMA integrity_check` complains of; None where it says ok."""
    words = " ".join(said.split())
    return None if words == "ok" else f"SQLite's integrity check says: {words[:300]}"


def ask_database(data: bytes, questions: Iterable[str]) -> Mapping[str, int | None]:
    """The number that each query gives, or each table has rows; None where there is no such thing.

    CouldNotLook: the database is damaged, or a query can't be answered by one whole number.
    """
    if fault := fault_of_database(data):
        raise CouldNotLook(f"what the database holds can't be trusted: {fault}")
    with _opened(data) as database:
        return {question: _number(database, question) for question in questions}


def _number(database: sqlite3.Connection, question: str) -> int | None:
    is_query = re.match(r"(select|with)\s", question.strip(), re.IGNORECASE)
    # A name is quoted, so nothing in it is ever read as SQL.
    name = question.replace('"', '""')
    try:
        row = database.execute(question if is_query else f'select count(*) from "{name}"').fetchone()  # noqa: S608
    except sqlite3.Error as error:
        if re.match("no such (table|column)", str(error)):
            return None
        raise CouldNotLook(f"SQLite can't answer '{question}': {error}", mend="correct the query") from error
    if row is None:
        return None
    if len(row) != 1 or not isinstance(row[0], int):
        mend = "write e.g. select count(*) from orders"
        raise CouldNotLook(f"'{question}' does not give one whole number", mend=mend)
    return row[0]


@contextmanager
def _opened(data: bytes) -> Iterator[sqlite3.Connection]:
    """A copy of the database in memory: nothing that is in a backup comes to the runner's disk.

    CouldNotLook: a query took too long.
    """
    # Bytes 18 and 19 say that it was written with a write-ahead log, which a database in memory can't have.
    copy = data[:18] + b"\x01\x01" + data[20:]
    end = time.monotonic() + _WITHIN_S
    database = sqlite3.connect(":memory:")
    try:
        database.deserialize(copy)
        database.set_progress_handler(lambda: time.monotonic() > end, 100_000)
        yield database
    except sqlite3.OperationalError as error:
        if str(error) != "interrupted":
            raise
        raise CouldNotLook(f"SQLite had no answer within {_WITHIN_S:g} s", mend="ask for less") from error
    finally:
        database.close()
