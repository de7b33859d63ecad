"""The area of backups, shown on artifacts that are sound and on artifacts damaged as they are in life."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import re
import sqlite3
import subprocess
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import testinfra
from pydantic import ValidationError

from readygate.areas.backups import soundness
from readygate.areas.backups.artifacts import Artifact, kind_of
from readygate.areas.backups.backup import Backup, observe_soundness
from readygate.areas.backups.listing import observe_artifacts, parse_artifacts, quoted_glob
from readygate.errors import CouldNotLook
from tests.holding import LOCAL, held

HOUR = 3600

# As pg_dump and pg_dumpall of PostgreSQL 15 and mysqldump of MariaDB write them, but for the length.
ROWS = "".join(f"{number}\tparcel {number}\n" for number in range(2000))
DUMP = f"""\
--
-- PostgreSQL database dump
--

\\restrict 5hKbLrZ3

SET client_encoding = 'UTF8';
CREATE TABLE public.parcels (id integer NOT NULL, name text);
COPY public.parcels (id, name) FROM stdin;
{ROWS}\\.

ALTER TABLE ONLY public.parcels ADD CONSTRAINT parcels_pkey PRIMARY KEY (id);

--
-- PostgreSQL database dump complete
--

\\unrestrict 5hKbLrZ3

"""
CLUSTER = f"""\
--
-- PostgreSQL database cluster dump
--

CREATE ROLE shop;
{DUMP}
--
-- PostgreSQL database cluster dump complete
--

"""
MARIADB = f"""\
/*M!999999\\- enable the sandbox mode */
-- MariaDB dump 10.19  Distrib 10.11.6-MariaDB, for debian-linux-gnu (x86_64)
INSERT INTO `parcels` VALUES {ROWS!r};
-- Dump completed on 2026-11-21  1:00:00
"""


def declared(folder: Path, pattern: str, **expectations: Any) -> dict[str, Any]:
    return {"on": "app-1", "path": f"{folder}/{pattern}", **expectations}


def write(path: Path, data: bytes, hours_old: float = 1) -> Path:
    path.write_bytes(data)
    then = time.time() - hours_old * HOUR
    os.utime(path, (then, then))
    return path


def listed_as(now: int, zone: str, files: Iterable[tuple[int, str, int, str]]) -> str:
    """What the server answers to the listing, of files by their size, mode, time and name."""
    offset = datetime.strptime(zone, "%z").utcoffset() or timedelta()
    entries = []
    for number, (size, mode, at, name) in enumerate(files):
        wall = f"{datetime.fromtimestamp(at, UTC) + offset:%Y-%m-%d %H:%M:%S}.500000000"
        entries.append(f"{size} {mode} {at} 1:{number} {wall} {zone} {name}//\n")
    return f"{now} {zone}\n{''.join(entries)}"


def why(path: Path) -> str | None:
    """What is wrong with one artifact; None where it is whole."""
    backup = Backup.model_validate({"on": "app-1", "path": str(path), "sound": True})
    seen = observe_soundness(LOCAL, backup, observe_artifacts(LOCAL, backup))
    assert seen.sound is not None
    assert held("backups", {"on": "app-1", "path": str(path), "sound": True}) == {"backup.sound": seen.sound}
    return None if seen.sound else seen.reason.removeprefix(f"{path}: ")


# Real artifacts.


def tar_of(**files: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def zip_of(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


@pytest.fixture(params=["delete", "wal"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> bytes:
    """A SQLite database of some pages, as an application leaves it in either mode of journal."""
    path = tmp_path / "made-elsewhere"
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA journal_mode={request.param}")
        connection.execute("CREATE TABLE parcels (id INTEGER PRIMARY KEY, name TEXT)")
        connection.execute("CREATE INDEX by_name ON parcels (name)")
        connection.executemany("INSERT INTO parcels (name) VALUES (?)", [(f"parcel {n}" * 5,) for n in range(500)])
    connection.close()
    return path.read_bytes()


ARCHIVE = tar_of(a="first " * 1000, b="second " * 1000)
SOUND = {
    "shop.sql": DUMP.encode(),
    "shop.sql.gz": gzip.compress(DUMP.encode()),
    "cluster.sql.bz2": bz2.compress(CLUSTER.encode()),
    "maria.sql.xz": lzma.compress(MARIADB.encode()),
    "lite.sql": b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE t (a);\nCOMMIT;\n",
    "notes.gz": gzip.compress(b"short"),
    "media.tar": ARCHIVE,
    "media.tar.gz": gzip.compress(ARCHIVE),
    "media.tgz": gzip.compress(ARCHIVE),
    "pages.zip": zip_of(a="one", b="two"),
    "state.json": json.dumps({"orders": list(range(100))}).encode(),
    "state.json.gz": gzip.compress(b'{"orders": 3}'),
}


def cut(data: bytes, share: float = 0.5) -> bytes:
    return data[: int(len(data) * share)]


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


ERROR_PAGE = b"<html><body><h1>502 Bad Gateway</h1></body></html>\n"
DAMAGED = {
    "an empty file": ("shop.sql.gz", b"", "it is empty"),
    "an empty gzip stream": ("shop.sql.gz", gzip.compress(b""), "pg_dump .* must have failed"),
    "a gzip stream cut short": ("shop.sql.gz", cut(SOUND["shop.sql.gz"]), "damaged: gzip: .*unexpected end"),
    "a flipped byte in gzip": ("shop.sql.gz", flipped(SOUND["shop.sql.gz"], 3000), "damaged: gzip"),
    "SQL cut inside COPY": ("shop.sql.gz", gzip.compress(cut(DUMP.encode())), "cut short.*dump complete"),
    "constraints missing": (
        "shop.sql.gz",
        gzip.compress(DUMP.partition("ALTER TABLE")[0].encode()),
        "cut short",
    ),
    "an error page, gzipped": ("shop.sql.gz", gzip.compress(ERROR_PAGE), "said: <html>.*502 Bad Gateway"),
    "an error page": ("shop.sql", ERROR_PAGE, "said: <html>.*502 Bad Gateway"),
    "a cluster cut after its first database": (
        "cluster.sql",
        CLUSTER.rpartition("--\n-- PostgreSQL database cluster")[0].encode(),
        "cut short.*cluster dump complete",
    ),
    "MariaDB's dump cut short": ("maria.sql.xz", lzma.compress(cut(MARIADB.encode())), "Dump completed"),
    "an xz stream cut short": ("maria.sql.xz", cut(SOUND["maria.sql.xz"]), "damaged: xz"),
    "rows that only speak of the trailer": (
        "shop.sql",
        cut(DUMP.encode()) + b"\n-- PostgreSQL database dump complete\n7\tafter\n",
        "cut short",
    ),
    "a tar cut inside a file": ("media.tar", cut(ARCHIVE), "cut short|damaged"),
    "a tar cut between two files": ("media.tar", ARCHIVE[: 512 + 6144], "cut short"),
    "a tar without files": ("media.tar", tar_of(), "nothing inside"),
    "a flipped byte in a header of tar": ("media.tar", flipped(ARCHIVE, 512 + 6144 + 3), "damaged"),
    "a tar cut, then gzipped": ("media.tar.gz", gzip.compress(cut(ARCHIVE)), "cut short|damaged"),
    "a zip cut short": ("pages.zip", cut(SOUND["pages.zip"]), "not a whole archive"),
    "a flipped byte in a zip": ("pages.zip", flipped(SOUND["pages.zip"], 32), "is damaged"),
    "a zip without files": ("pages.zip", zip_of(), "nothing in it"),
    "JSON cut short": ("state.json", cut(SOUND["state.json"]), "not whole JSON"),
    "JSON of nothing": ("state.json", b"{}\n", "nothing in it"),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_whole_artifact_is_sound(tmp_path: Path, name: str) -> None:
    assert why(write(tmp_path / name, SOUND[name])) is None


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_artifact_is_not_sound(tmp_path: Path, damage: str) -> None:
    name, data, reason = DAMAGED[damage]
    said = why(write(tmp_path / name, data))
    assert re.search(reason, said or "nothing")


def test_a_dump_that_failed_at_once_is_told_in_plain_words(tmp_path: Path) -> None:
    dump = write(tmp_path / "shop.sql.gz", gzip.compress(b"", mtime=0))
    assert why(dump) == "the dump is 20 bytes with nothing inside; pg_dump (or mysqldump) must have failed"


# As two of the guides' own scripts write it; only the folder is another, and pg_dump fails.


def run_script(folder: Path, script: str, *, pg_dump: str) -> subprocess.CompletedProcess[str]:
    """What cron would see of a script, with a pg_dump that does this."""
    tools = folder / "bin"
    tools.mkdir()
    (tools / "pg_dump").write_text(f"#!/bin/sh\n{pg_dump}\n")
    (tools / "pg_dump").chmod(0o755)
    environ = {"PATH": f"{tools}:{os.environ['PATH']}", "BACKUP_DIR": str(folder)}
    return subprocess.run(["bash", "-c", script], env=environ, capture_output=True, text=True, check=False)


NIGHTLY = """
set -e
TIMESTAMP=$(date +"%Y%m%d_%H%M%S")
BACKUP_FILE="${BACKUP_DIR}/zenzefi_backup_${TIMESTAMP}.sql.gz"
pg_dump -h localhost -U zenzefi -d zenzefi_db | gzip > "${BACKUP_FILE}"
echo "Backup completed: ${BACKUP_FILE}"
"""
TWO_STEPS = """
DATE=$(date +%Y%m%d_%H%M%S)
BACKUP_FILE="zakupai_backup_${DATE}.sql"
pg_dump -h db -U zakupai -d zakupai > $BACKUP_DIR/$BACKUP_FILE
gzip $BACKUP_DIR/$BACKUP_FILE
echo "Backup completed: ${BACKUP_FILE}.gz"
"""
FAILING = "echo 'pg_dump: error: connection to server failed' >&2; exit 1"


@pytest.mark.parametrize(("script", "size"), [(NIGHTLY, 20), (TWO_STEPS, 55)])
def test_a_script_that_hides_the_failure_of_pg_dump_is_found_out(tmp_path: Path, script: str, size: int) -> None:
    ran = run_script(tmp_path, script, pg_dump=FAILING)
    assert (ran.returncode, "Backup completed" in ran.stdout) == (0, True)
    (dump,) = tmp_path.glob("*.sql.gz")
    assert dump.stat().st_size == size
    expected = {"rpo": "25h", "size": "1K", "sound": True}
    holds = held("backups", declared(tmp_path, "*.sql.gz", **expected))
    assert holds == {"backup.rpo": False, "backup.size": False, "backup.sound": False}
    assert why(dump) == f"the dump is {size} bytes with nothing inside; pg_dump (or mysqldump) must have failed"


@pytest.mark.parametrize("script", [NIGHTLY, TWO_STEPS])
def test_the_same_script_with_a_pg_dump_that_works_is_sound(tmp_path: Path, script: str) -> None:
    (tmp_path / "made").write_text(DUMP)
    run_script(tmp_path, script, pg_dump=f"cat {tmp_path}/made")
    assert all(held("backups", declared(tmp_path, "*.sql.gz", rpo="25h", size="1K", sound=True)).values())


# SQLite.


@pytest.mark.parametrize("name", ["shop.db", "shop.sqlite", "shop.sqlite3", "shop.sqlite.gz"])
def test_a_whole_database_is_sound(tmp_path: Path, database: bytes, name: str) -> None:
    data = gzip.compress(database) if name.endswith(".gz") else database
    assert why(write(tmp_path / name, data)) is None


DAMAGED_DATABASES: dict[str, Callable[[bytes], bytes]] = {
    "a page overwritten": lambda data: data[:8192] + b"\xff" * 4096 + data[12288:],
    "cut short": lambda data: data[: len(data) // 2],
    "another file": lambda data: ERROR_PAGE,
}


@pytest.mark.parametrize("damage", DAMAGED_DATABASES)
def test_a_damaged_database_is_not_sound(tmp_path: Path, database: bytes, damage: str) -> None:
    assert why(write(tmp_path / "shop.db", DAMAGED_DATABASES[damage](database)))


def test_a_large_database_is_checked_on_its_server(
    tmp_path: Path, database: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soundness, "LARGEST_FETCHED", 1024)
    assert why(write(tmp_path / "it's 100% a shop?.db", database)) is None
    assert why(write(tmp_path / "broken.db", DAMAGED_DATABASES["a page overwritten"](database)))
    assert sorted(path.name for path in tmp_path.glob("*.db*")) == ["broken.db", "it's 100% a shop?.db"]


def test_a_large_packed_database_is_not_called_sound(
    tmp_path: Path, database: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soundness, "LARGEST_FETCHED", 1024)
    with pytest.raises(CouldNotLook, match="holds more than 1K"):
        why(write(tmp_path / "shop.db.gz", gzip.compress(database)))


def test_what_a_database_holds_is_counted(tmp_path: Path, database: bytes) -> None:
    write(tmp_path / "shop.sqlite.gz", gzip.compress(database))
    questions = {"parcels": ">0", "select count(*) from parcels where id > 400": 100}
    assert held("backups", declared(tmp_path, "*.sqlite.gz", holds=questions))["backup.holds"]
    assert not held("backups", declared(tmp_path, "*.sqlite.gz", holds={"parcels": ">500"}))["backup.holds"]


@pytest.mark.parametrize("question", ["orders", 'parcels"; drop table parcels', "select price from parcels"])
def test_what_a_database_lacks_fails_whatever_is_declared_of_it(
    tmp_path: Path, database: bytes, question: str
) -> None:
    write(tmp_path / "shop.db", database)
    assert not held("backups", declared(tmp_path, "*.db", holds={question: "!=7"}))["backup.holds"]


@pytest.mark.parametrize("question", ["select name from parcels", "select 1, 2", "select 1; select 2", "select 1 +"])
def test_a_question_without_one_number_for_an_answer_is_refused(
    tmp_path: Path, database: bytes, question: str
) -> None:
    write(tmp_path / "shop.db", database)
    with pytest.raises(CouldNotLook):
        held("backups", declared(tmp_path, "*.db", holds={question: ">0"}))


def test_a_damaged_database_is_not_asked(tmp_path: Path, database: bytes) -> None:
    write(tmp_path / "shop.db", cut(database, 0.9))
    with pytest.raises(CouldNotLook, match="can't be trusted"):
        held("backups", declared(tmp_path, "*.db", holds={"parcels": ">0"}))


def test_only_what_has_rows_can_be_asked() -> None:
    for path, question, message in (
        ("/backups/*.tar.gz", "orders", "asks databases and dumps"),
        ("/backups/*.sql.gz", "select count(*) from orders", "a dump can't be asked"),
    ):
        with pytest.raises(ValidationError, match=message):
            Backup.model_validate({"on": "app-1", "path": path, "holds": {question: ">0"}})


# What can't be told.


@pytest.mark.parametrize("name", ["shop", "shop.bak"])
def test_an_artifact_of_unknown_kind_is_never_sound(tmp_path: Path, name: str) -> None:
    with pytest.raises(CouldNotLook, match="no way is known"):
        why(write(tmp_path / name, b"PGDMP"))


def test_a_tool_that_is_missing_says_nothing_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("sh", "timeout", "date", "xargs", "stat", "dd", "tail", "cat"):
        (tools / tool).symlink_to(next(p / tool for p in map(Path, ("/bin", "/usr/bin")) if (p / tool).exists()))
    dump = write(tmp_path / "shop.sql.gz", SOUND["shop.sql.gz"])
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(CouldNotLook, match="gzip"):
        why(dump)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
@pytest.mark.parametrize("expectations", [{"sound": True}, {"count": ">=1"}])
def test_a_folder_that_may_not_be_read_is_not_an_empty_one(tmp_path: Path, expectations: dict[str, Any]) -> None:
    tmp_path.chmod(0o700)
    write(tmp_path / "shop.sql", SOUND["shop.sql"])
    nobody = testinfra.get_host("local://", sudo=True, sudo_user="nobody")
    with pytest.raises(CouldNotLook, match="does not let this user look") as caught:
        held("backups", declared(tmp_path, "*.sql", **expectations), nobody)
    assert "`sudo: true` for app-1" in caught.value.mend


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_an_artifact_that_may_not_be_read_is_not_a_damaged_one() -> None:
    # The folders of pytest let nobody else in, so a file is used that every machine has.
    nobody = testinfra.get_host("local://", sudo=True, sudo_user="nobody")
    with pytest.raises(CouldNotLook, match="does not let this user look"):
        soundness.Look(nobody, "app-1", Artifact("/etc/shadow", 9, 0o600, 1690000000), 9).fetched()


def test_an_artifact_that_is_taken_away_meanwhile_is_not_a_damaged_one(tmp_path: Path) -> None:
    dump = write(tmp_path / "shop.sql", SOUND["shop.sql"])
    backup = Backup.model_validate(declared(tmp_path, "*.sql", sound=True))
    artifacts = observe_artifacts(LOCAL, backup)
    dump.unlink()
    with pytest.raises(CouldNotLook, match="taken away meanwhile"):
        observe_soundness(LOCAL, backup, artifacts)


def test_an_artifact_from_the_future_has_no_age(tmp_path: Path) -> None:
    write(tmp_path / "shop.sql", b"x", hours_old=-48)
    with pytest.raises(CouldNotLook, match="in the future"):
        held("backups", declared(tmp_path, "*.sql", rpo="26h"))


def test_a_first_backup_has_nothing_to_be_compared_with(tmp_path: Path) -> None:
    write(tmp_path / "shop.sql", b"x")
    with pytest.raises(CouldNotLook, match="no earlier backup"):
        held("backups", declared(tmp_path, "*.sql", shrink="50%"))


def test_a_server_out_of_reach_is_not_one_without_backups() -> None:
    host = testinfra.get_host("docker://no-such-container")
    with pytest.raises(CouldNotLook) as caught:
        held("backups", {"on": "app-1", "path": "/backups/*.sql", "count": ">=1"}, host)
    assert caught.value.cause == "unreachable:app-1"


# The folder as a whole.


EVERYTHING = {"rpo": "26h", "count": 3, "size": "900", "shrink": "20%", "mode": "0600"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three backups: of 1000, of 1000 and, the newest, of 900 bytes."""
    for hours_old, size in ((49, 1000), (25, 1000), (1, 900)):
        write(tmp_path / f"shop {hours_old:02}.sql", b"x" * size, hours_old).chmod(0o600)
    return tmp_path


def test_sound_backups_hold(folder: Path) -> None:
    holds = held("backups", declared(folder, "*.sql", **EVERYTHING))
    assert len(holds) == 5
    assert all(holds.values()), holds


def older(folder: Path) -> None:
    for path in folder.glob("*.sql"):
        then = path.stat().st_mtime - 26 * HOUR
        os.utime(path, (then, then))


BROKEN: dict[str, Callable[[Path], object]] = {
    "rpo": older,
    "count": lambda folder: (folder / "shop 49.sql").unlink(),
    "size": lambda folder: write(folder / "shop 00.sql", b"x" * 899, 0),
    "shrink": lambda folder: write(folder / "shop 00.sql", b"x" * 799, 0),
    "mode": lambda folder: (folder / "shop 01.sql").chmod(0o644),
}


@pytest.mark.parametrize("field", BROKEN)
def test_broken_backups_fail(folder: Path, field: str) -> None:
    BROKEN[field](folder)
    assert held("backups", declared(folder, "*.sql", **{field: EVERYTHING[field]})) == {f"backup.{field}": False}


@pytest.mark.parametrize("pattern", ["*.dump", "no/such/folder/*.sql", "shop 01.sql/*"])
def test_no_backup_at_all_fails_whatever_is_declared_of_it(folder: Path, pattern: str) -> None:
    holds = held("backups", declared(folder, pattern, **EVERYTHING, sound=True))
    assert len(holds) == 6
    assert not any(holds.values()), holds


def test_a_database_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert not held("backups", declared(tmp_path, "*.db", holds={"orders": "!=1"}))["backup.holds"]


def test_folders_and_dead_links_are_not_backups(folder: Path) -> None:
    (folder / "a.sql").mkdir()
    (folder / "b.sql").symlink_to("nowhere")
    assert not held("backups", declared(folder, "*.sql", count=4))["backup.count"]


STRANGE = [
    "two\nlines.sql",
    "a//b".replace("//", "\n") + ".sql",
    ' it\'s $(date) `id` \\ "x".sql',
    "Алматы.sql",
    "-n.sql",
]


@pytest.mark.parametrize("name", STRANGE)
def test_strange_names_survive(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, SOUND["shop.sql"])
    backup = Backup.model_validate(declared(tmp_path, "*.sql", sound=True))
    artifacts = observe_artifacts(LOCAL, backup)
    assert [each.path for each in artifacts.found] == [str(tmp_path / name)]
    assert observe_soundness(LOCAL, backup, artifacts).sound


def test_a_path_is_matched_as_a_shell_does_and_never_run(tmp_path: Path) -> None:
    for name in ("a 1.sql", "b 1.sql", "c 2.sql"):
        (tmp_path / "daily $(touch gone)").mkdir(exist_ok=True)
        write(tmp_path / "daily $(touch gone)" / name, b"x")
    assert held("backups", declared(tmp_path, "daily $(touch gone)/[ab] ?.sql", count="==2"))["backup.count"]
    assert held("backups", declared(tmp_path, "*/*.sql", count="==3"))["backup.count"]


@pytest.mark.parametrize(
    ("path", "expanded"),
    [
        ("/b/*.sql", "/b/*.sql"),
        ("/b/it's [a-c]?.sql", "'/b/it'\"'\"'s '[a-c]?.sql"),
        ("/b/[!a]*", "/b/[!a]*"),
        ("/b/[x", "'/b/[x'"),
    ],
)
def test_only_wildcards_are_left_to_the_shell(path: str, expanded: str) -> None:
    assert quoted_glob(path) == expanded


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("backups/*.sql", "not an absolute path"),
        ("/backups/**/*.sql", "a shell does not know"),
        ("/b/", "roundabout"),
    ],
)
def test_a_path_that_means_nothing_is_refused(path: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Backup.model_validate({"on": "app-1", "path": path, "count": 1})


@pytest.mark.parametrize(
    ("name", "unpacker", "content"),
    [
        ("SHOP.SQL.GZ", "gzip -dc", "sql"),
        ("shop-2026.11.21.tar.zst", "zstd -dcq", "tar"),
        ("access.log.gz", "gzip -dc", None),
        ("shop.db", None, "sqlite"),
        ("shop.dump", None, "dump"),
        ("shop.sql.gz.age", None, "encrypted"),
    ],
)
def test_the_name_tells_the_kind(name: str, unpacker: str | None, content: str | None) -> None:
    kind = kind_of(f"/backups/{name}")
    assert (kind.unpacker, kind.content) == (unpacker, content)


def test_the_evidence_names_the_newest_first() -> None:
    files = [(20, "81a4", 1690000000, "/b/old.sql"), (1048576, "8180", 1699990000, "/b/new.sql")]
    text = listed_as(1700000000, "+0300", files)
    artifacts = parse_artifacts("/b/*.sql", text)
    assert artifacts.evidence[0].answered == "2 found, the newest first:\n1M /b/new.sql\n20B /b/old.sql"
    assert (artifacts.mode, artifacts.age_s) == (0o600, 10_000)
