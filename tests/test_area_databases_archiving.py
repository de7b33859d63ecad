"""Whether the write-ahead log of a real PostgreSQL gets into its archive, and what is seen where it does not."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.database_servers import PASSWORD, PROGRAMS, Postgres, do, folder_of, new_postgres, started_postgres
from tests.test_area_databases import failing, reasons, until, why_blind


@pytest.fixture(scope="module")
def source() -> Iterator[Postgres]:
    with new_postgres() as server:
        server.do(f"create role app login password '{PASSWORD}'", f"create role watcher login password '{PASSWORD}'")
        server.do("grant pg_monitor to watcher")
        yield server


@contextmanager
def archiving(source: Postgres, command: str, *, mode: str = "on", replica: bool = False) -> Iterator[Postgres]:
    """A copy of it that archives by this command, with a segment of WAL that is full."""
    with folder_of("postgres") as folder:
        data = folder / "data"
        words = ["-R"] if replica else []
        do(
            PROGRAMS / "pg_basebackup",
            "-D",
            data,
            "-d",
            source.url(name="postgres"),
            "-c",
            "fast",
            *words,
            user="postgres",
        )
        (data / "archive").mkdir()
        shutil.chown(data / "archive", "postgres")
        with (data / "postgresql.auto.conf").open("a") as settings:
            settings.write(f"archive_mode = {mode}\narchive_command = '{command}'\n")
        with started_postgres(data) as server:
            if not replica:
                server.do("create table t (id int)", "select pg_switch_wal()")
            yield server


def test_a_log_that_is_archived_does_not_wait(source: Postgres) -> None:
    with archiving(source, "cp %p archive/%f") as server:
        until(lambda: list((Path(server.folder) / "archive").iterdir()))
        assert failing(server.url(), archive_lag="1s") == set()
        assert failing(server.url("watcher"), archive_lag="1s") == set()
        assert failing(server.by_socket, on="app-1", archive_lag="1s") == set()
        assert "permission denied" in why_blind(server.url("app"), archive_lag="1s").reason


@pytest.mark.parametrize("command", ["false", "cp %p /nowhere/%f", ""])
def test_a_log_that_is_not_archived_waits(source: Postgres, command: str) -> None:
    with archiving(source, command) as server:
        time.sleep(1.2)
        assert "has waited for" in reasons(server.url(), archive_lag="1s")["database.archive_lag"]
        assert failing(server.url(), archive_lag="1h") == set()


@pytest.mark.parametrize(
    ("command", "mode", "said"),
    [("true", "on", "keeps nothing"), ("/bin/true", "on", "keeps nothing"), ("cp %p archive/%f", "off", "is off")],
)
def test_what_keeps_nothing_is_no_archive(source: Postgres, command: str, mode: str, said: str) -> None:
    with archiving(source, command, mode=mode) as server:
        assert said in reasons(server.url(), archive_lag="1h")["database.archive_lag"]


def test_a_standby_that_archives_nothing_has_no_lag(source: Postgres) -> None:
    with archiving(source, "cp %p archive/%f", replica=True) as server:
        assert "a standby" in reasons(server.url(), archive_lag="1h")["database.archive_lag"]
