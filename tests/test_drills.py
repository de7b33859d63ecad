"""Restore drills, with real servers: what is sound comes back to life, what is damaged doesn't, and nothing stays."""

from __future__ import annotations

import bz2
import fcntl
import gzip
import io
import lzma
import os
import pwd
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from readygate.drills import mariadb, postgres
from readygate.drills.copied import opened
from readygate.drills.live import count_live_rows
from readygate.drills.outcome import NotRestorable, Questions, Restored
from readygate.drills.restore import restore
from readygate.drills.scratch import Limits, Scratch, scratch
from readygate.drills.warden import PREFIX, Warden, sweep
from readygate.errors import CouldNotLook
from tests.database_servers import do, folder_of, new_mariadb
from tests.test_area_backup_mongodump import BY_MONGODUMP

LIMITS = Limits(within=120, disk=2 * 1024**3, memory=2 * 1024**3)
needs_postgres = pytest.mark.skipif(not postgres.installed(), reason="there is no PostgreSQL on this machine")
needs_redis = pytest.mark.skipif(not shutil.which("redis-server"), reason="there is no Redis on this machine")
needs_mariadb = pytest.mark.skipif(
    not (shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin") and shutil.which("mariadb-dump")),
    reason="there is no MariaDB on this machine",
)

SHOP = """
create role shop;
create role "night reader";
create database shop owner shop;
\\connect shop
create extension pg_trgm;
set role shop;
create table users (id integer primary key, email text not null unique);
create table orders (id integer primary key, user_id integer not null references users,
                     cents integer not null check (cents > 0), created_at timestamptz not null);
create table "Odd ""named"" one" (id integer primary key);
insert into users select n, 'user' || n || '@shop.lab' from generate_series(1, 100) n;
insert into orders select n, 1 + n % 100, 100 + n, now() - n * interval '1 minute' from generate_series(1, 2000) n;
insert into "Odd ""named"" one" values (1);
create index orders_by_time on orders (created_at);
grant select on users to "night reader";
create policy own on users for select to shop, "night reader" using (email <> ' TO nobody ');
reset role;
create database empty;
"""
DUMPS = {
    "shop.sql": ["pg_dump", "shop"],
    "shop.dump": ["pg_dump", "--format=custom", "shop"],
    "shop.pg.tar": ["pg_dump", "--format=tar", "shop"],
    "created.sql": ["pg_dump", "--create", "--clean", "--if-exists", "shop"],
    "dropping.sql": ["pg_dump", "--clean", "shop"],
    "rows.sql": ["pg_dump", "--data-only", "shop"],
    "unowned.sql": ["pg_dump", "--no-owner", "--no-acl", "shop"],
    "sessions.sql": ["pg_dump", "--use-set-session-authorization", "shop"],
    "cluster.sql": ["pg_dumpall"],
    "empty.sql": ["pg_dump", "empty"],
    "template.sql": ["pg_dump", "template1"],
    "schema.sql": ["pg_dump", "--schema-only", "shop"],
    "schema.dump": ["pg_dump", "--format=custom", "--schema-only", "shop"],
    "partial.sql": ["pg_dump", "--exclude-table-data=users", "shop"],
}
QUESTIONS = Questions(
    values=("users", "select sum(cents) from orders", "select email from users where id = 7"),
    moments=("select max(created_at) from orders",),
)


@pytest.fixture(scope="session")
def dumps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A live server with a shop in it, and its dumps in every form, in a folder; `socket` there leads to it."""
    folder = tmp_path_factory.mktemp("dumps")
    with scratch(LIMITS) as place:
        _, programs = postgres.programs_for(1)
        server = postgres.ScratchServer(place, programs, "postgres", {"wal_level": "replica", "max_wal_senders": "4"})
        server.start()
        script = place.folder / "shop.psql"
        script.write_text(SHOP)
        script.chmod(0o644)
        assert not place.run([*server._psql("postgres"), f"--file={script}"]).exit
        where = [f"--host={place.folder}", "--username=postgres"]
        for name, (tool, *words) in DUMPS.items():
            # For the tar format, pg_dump needs a file in /tmp, which no drill may write to.
            done = place.run([programs / tool, *where, *words], writes=name, as_us=True)
            assert not done.exit, done.said
            shutil.copyfile(done.output, folder / name)
        (folder / "socket").symlink_to(place.folder)
        yield folder


def drilled(path: Path, questions: Questions = QUESTIONS, limits: Limits = LIMITS, **options: str) -> Restored:
    with scratch(limits) as place:
        packed = place.folder / "artifact"
        shutil.copyfile(path, packed)
        packed.chmod(0o644)
        return restore(place, packed, questions, **options)


# PostgreSQL.


@needs_postgres
@pytest.mark.parametrize(
    "name", ["shop.sql", "shop.dump", "shop.pg.tar", "created.sql", "unowned.sql", "sessions.sql"]
)
def test_a_dump_in_any_form_comes_back_to_life(dumps: Path, name: str) -> None:
    restored = drilled(dumps / name)
    assert restored.values == {
        "users": 100,
        "select sum(cents) from orders": 2201000,
        "select email from users where id = 7": "user7@shop.lab",
    }
    assert 0 <= (restored.ages["select max(created_at) from orders"] or -1) < 3600
    assert restored.rows == {'public."Odd ""named"" one"': 1, "public.orders": 2000, "public.users": 100}
    assert (restored.constraints, restored.indexes) == (6, 5)
    assert restored.extensions == ("pg_trgm", "plpgsql")
    assert restored.server.startswith("PostgreSQL ")


def packed_by(tool: str, data: bytes) -> bytes:
    return subprocess.run([tool, "-qc"], input=data, capture_output=True, check=True).stdout


PACKERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}
for tool in ("zstd", "lz4"):
    if shutil.which(tool):
        PACKERS[tool] = partial(packed_by, tool)


@needs_postgres
@pytest.mark.parametrize("packer", PACKERS)
def test_a_packed_dump_is_told_by_its_bytes_and_not_by_its_name(dumps: Path, tmp_path: Path, packer: str) -> None:
    (tmp_path / "shop").write_bytes(PACKERS[packer]((dumps / "shop.sql").read_bytes()))
    assert drilled(tmp_path / "shop").values["users"] == 100


@needs_postgres
def test_a_dump_of_a_whole_cluster_is_asked_in_the_database_that_is_named(dumps: Path) -> None:
    assert drilled(dumps / "cluster.sql", Questions(("users",), database="shop")).values == {"users": 100}
    with pytest.raises(CouldNotLook, match="holds the databases empty, shop"):
        drilled(dumps / "cluster.sql")


@needs_postgres
def test_a_dump_of_an_empty_database_restores_and_holds_nothing(dumps: Path) -> None:
    restored = drilled(dumps / "empty.sql")
    assert (restored.rows, restored.values["users"]) == ({}, None)


@needs_postgres
def test_rows_without_their_tables_do_not_restore(dumps: Path) -> None:
    with pytest.raises(NotRestorable, match=r"does not exist; nothing in the dump makes it, .*--data-only"):
        drilled(dumps / "rows.sql")


COUNTED = b"""
CREATE SEQUENCE public.numbers;
CREATE TABLE public.parcels (id bigint GENERATED ALWAYS AS IDENTITY, n integer DEFAULT nextval('public.numbers'));
CREATE TABLE public.unused (id serial);
INSERT INTO public.parcels DEFAULT VALUES;
INSERT INTO public.parcels DEFAULT VALUES;
"""


@needs_postgres
@pytest.mark.parametrize(
    ("said", "behind"),
    [
        (b"", ()),
        (b"SELECT setval('public.numbers', 3, false);", ()),
        (b"SELECT setval('public.numbers', 2, false);", ("public.numbers",)),
        (b"SELECT setval('public.parcels_id_seq', 1, false);", ("public.parcels_id_seq",)),
    ],
)
def test_a_sequence_that_would_give_a_key_once_more_is_seen(
    dumps: Path, tmp_path: Path, said: bytes, behind: tuple[str, ...]
) -> None:
    sql = (dumps / "shop.sql").read_bytes()
    (tmp_path / "shop.sql").write_bytes(
        changed(sql, b"CREATE TABLE public.orders", COUNTED + said + b"\nCREATE TABLE public.orders")
    )
    assert drilled(tmp_path / "shop.sql").behind == behind


@needs_postgres
def test_a_function_that_relies_on_a_path_is_told_as_that(dumps: Path, tmp_path: Path) -> None:
    """It works in the live database, where `public` is in the path, and stops every restore."""
    made = b"""
CREATE FUNCTION public.known(n integer) RETURNS boolean LANGUAGE plpgsql
    AS $$ BEGIN RETURN EXISTS (SELECT FROM users WHERE id = n); END $$;
CREATE TABLE public.orders"""
    sql = changed((dumps / "shop.sql").read_bytes(), b"CREATE TABLE public.orders", made)
    check = b"user_id integer NOT NULL CHECK (public.known(user_id)),"
    (tmp_path / "shop.sql").write_bytes(changed(sql, b"user_id integer NOT NULL,", check))
    with pytest.raises(NotRestorable, match="a function finds it by the search_path only"):
        drilled(tmp_path / "shop.sql")


def changed(sql: bytes, old: bytes, new: bytes) -> bytes:
    assert old in sql
    return sql.replace(old, new, 1)


ERROR_PAGE = b"<html><body><h1>502 Bad Gateway</h1></body></html>\n"
FIRST_ORDER = b"\n1\t2\t101\t"
DAMAGES: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "an empty file": ("shop.sql", lambda sql: b"", "nothing inside"),
    "an empty gzip stream": ("shop.sql", lambda sql: gzip.compress(b""), "nothing inside"),
    "a gzip stream cut short": ("shop.sql", lambda sql: gzip.compress(sql)[:-2000], "damaged: .*unexpected end"),
    "a flipped bit in gzip": (
        "shop.sql",
        lambda sql: (packed := gzip.compress(sql))[:9000] + bytes([packed[9000] ^ 16]) + packed[9001:],
        "damaged: .*gzip",
    ),
    "SQL cut inside COPY": ("shop.sql", lambda sql: sql[: sql.index(FIRST_ORDER) + 900], "cut short"),
    "the constraints missing": ("shop.sql", lambda sql: sql[: sql.index(b"ADD CONSTRAINT")], "cut short"),
    "an error page, gzipped": ("shop.sql", lambda sql: gzip.compress(ERROR_PAGE), "no dump, database or archive"),
    "an error page": ("shop.sql", lambda sql: ERROR_PAGE, "no dump, database or archive"),
    "an archive cut at its half": ("shop.dump", lambda data: data[: len(data) // 2], "pg_restore|stopped at"),
    "an archive without its list": ("shop.dump", lambda data: data[:40], "pg_restore can't read it"),
    "a flipped byte in the data of an archive": (
        "shop.dump",
        lambda data: data[:-3000] + bytes([data[-3000] ^ 255]) + data[-2999:],
        "stopped at|pg_restore",
    ),
    "an archive in tar cut at its half": (
        "shop.pg.tar",
        lambda data: data[: len(data) // 2],
        "the end of the archive is missing",
    ),
    "one row twice": ("shop.sql", lambda sql: changed(sql, b"\n2\t3\t102\t", FIRST_ORDER), "could not create unique"),
    "a row that refers to nobody": (
        "shop.sql",
        lambda sql: changed(sql, FIRST_ORDER, b"\n1\t999\t101\t"),
        "foreign key",
    ),
    "a row that the check refuses": (
        "shop.sql",
        lambda sql: changed(sql, FIRST_ORDER, b"\n1\t2\t-1\t"),
        "check constraint",
    ),
    "a column too few": (
        "shop.sql",
        lambda sql: changed(sql, FIRST_ORDER, b"\n1\t2101\t"),
        "missing data|invalid input",
    ),
    "a number that is none": (
        "shop.sql",
        lambda sql: changed(sql, FIRST_ORDER, b"\n1\ttwo\t101\t"),
        "invalid input syntax",
    ),
    "bytes that are no UTF-8": (
        "shop.sql",
        lambda sql: changed(sql, b"user9@", b"user\xff@"),
        "invalid byte sequence",
    ),
    "a table lost": (
        "shop.sql",
        lambda sql: changed(sql, b"CREATE TABLE public.orders", b"CREATE TABLE public.gone"),
        "does not exist",
    ),
    "two dumps run into each other": (
        "shop.sql",
        lambda sql: sql[:-3000] + sql[sql.index(b"CREATE TABLE") :],
        "stopped at",
    ),
    "an error message in the middle": (
        "shop.sql",
        lambda sql: changed(sql, b"CREATE INDEX", b"pg_dump: error: query failed: server closed\nCREATE INDEX"),
        "syntax error",
    ),
}


@needs_postgres
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_dump_does_not_restore(dumps: Path, tmp_path: Path, damage: str) -> None:
    name, broken, reason = DAMAGES[damage]
    (tmp_path / "shop").write_bytes(broken((dumps / name).read_bytes()))
    with pytest.raises(NotRestorable, match=reason):
        drilled(tmp_path / "shop")


@needs_postgres
@pytest.mark.parametrize(
    ("old", "new", "reason", "mend"),
    [
        (b"from database version 1", b"from database version 991", "PostgreSQL 991", "install postgresql-991"),
        (
            b"EXISTS pg_trgm WITH",
            b"EXISTS postgis_of_ours WITH",
            "not available",
            "install the extension postgis_of_ours",
        ),
        (b"SET lock_timeout", b"SET transaction_patience", "unrecognized configuration", "newer PostgreSQL"),
    ],
)
def test_what_this_machine_lacks_is_not_the_fault_of_the_dump(
    dumps: Path, tmp_path: Path, old: bytes, new: bytes, reason: str, mend: str
) -> None:
    (tmp_path / "shop").write_bytes(changed((dumps / "shop.sql").read_bytes(), old, new))
    with pytest.raises(CouldNotLook, match=reason) as caught:
        drilled(tmp_path / "shop")
    assert mend in caught.value.mend


@needs_postgres
def test_a_dump_that_drops_first_can_not_be_tried_on_an_empty_server(dumps: Path) -> None:
    with pytest.raises(CouldNotLook, match="drops what an empty server does not have") as caught:
        drilled(dumps / "dropping.sql")
    assert "--if-exists" in caught.value.mend


@needs_postgres
def test_a_machine_without_postgresql_has_not_looked(dumps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "PLACES", ("/nowhere/*/bin",))
    for name in ("shop.sql", "shop.dump"):
        with pytest.raises(CouldNotLook, match=r"this machine has no(ne| PostgreSQL)"):
            drilled(dumps / name)


@needs_postgres
@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("select id, email from users", "does not give one value"),
        ("select email from users", "does not give one value"),
        ("select nothing +", "syntax error"),
    ],
)
def test_a_question_without_one_value_for_an_answer_is_refused(dumps: Path, question: str, reason: str) -> None:
    with pytest.raises(CouldNotLook, match=reason):
        drilled(dumps / "shop.sql", Questions((question,)))


@needs_postgres
def test_what_the_restored_data_lack_is_answered_by_nothing(dumps: Path) -> None:
    lacking = ("customers", "select price from orders", "no schema.users", "select id from users where id = 0")
    assert drilled(dumps / "shop.sql", Questions(lacking)).values == dict.fromkeys(lacking)


@needs_postgres
def test_a_newest_row_that_is_yet_to_come_has_no_age(dumps: Path) -> None:
    with pytest.raises(CouldNotLook, match="yet to come"):
        drilled(dumps / "shop.sql", Questions(moments=("select now() + interval '2 hours'",)))


@needs_postgres
def test_live_rows_are_counted_by_table(dumps: Path) -> None:
    url = f"postgresql://postgres@/shop?host={dumps / 'socket'}"
    assert count_live_rows(url, within=10)["public.orders"] == 2000
    with pytest.raises(CouldNotLook, match="live database can't be asked"):
        count_live_rows(url.replace("/shop?", "/nowhere?"), within=10)


# Other servers.


def sqlite_file(path: Path) -> Path:
    with sqlite3.connect(path) as connection:
        connection.execute("create table parcels (id integer primary key, name text, made text)")
        rows = [(f"parcel {n}" * 9, "2026-01-01 00:00:00") for n in range(500)]
        connection.executemany("insert into parcels (name, made) values (?, ?)", rows)
    connection.close()
    return path


def test_a_sqlite_database_is_asked(tmp_path: Path) -> None:
    asked = Questions(("parcels", "select max(id) from parcels", "letters"), ("select max(made) from parcels",))
    restored = drilled(sqlite_file(tmp_path / "db"), asked)
    assert restored.values == {"parcels": 500, "select max(id) from parcels": 500, "letters": None}
    assert restored.rows == {"parcels": 500}
    assert (restored.ages["select max(made) from parcels"] or 0) > 86400


def test_a_sqlite_dump_is_run_and_may_open_no_other_file(tmp_path: Path) -> None:
    with sqlite3.connect(sqlite_file(tmp_path / "db")) as connection:
        sql = "PRAGMA foreign_keys=OFF;\n" + "\n".join(connection.iterdump()) + "\n"
    (tmp_path / "dump").write_text(sql)
    assert drilled(tmp_path / "dump", Questions(("parcels",))).values == {"parcels": 500}
    escape = f"attach '{tmp_path}/escaped' as out;\nCOMMIT;"
    (tmp_path / "dump").write_text(sql.replace("COMMIT;", escape))
    with pytest.raises(NotRestorable, match="not authorized"):
        drilled(tmp_path / "dump", Questions(("parcels",)))
    assert not (tmp_path / "escaped").exists()


@pytest.mark.parametrize("keep", [0.9, 0.5])
def test_a_sqlite_database_cut_short_does_not_restore(tmp_path: Path, keep: float) -> None:
    data = sqlite_file(tmp_path / "db").read_bytes()
    (tmp_path / "db").write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(NotRestorable, match="SQLite"):
        drilled(tmp_path / "db")


def test_an_archive_of_files_is_unpacked(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for number in range(12):
            entry = tarfile.TarInfo(f"media/{number}.png")
            entry.size = 4000
            archive.addfile(entry, io.BytesIO(os.urandom(4000)))
    (tmp_path / "media").write_bytes(buffer.getvalue())
    asked = Questions(("media/*.png", "/media/3.png", "media/*.gif"))
    assert list(drilled(tmp_path / "media", asked).values.values()) == [12, 1, 0]
    (tmp_path / "media").write_bytes(gzip.compress(gzip.decompress(buffer.getvalue())[:20_000]))
    with pytest.raises(NotRestorable, match="tar stopped at"):
        drilled(tmp_path / "media", asked)


def test_a_document_of_dumpdata_is_read_and_counted_by_model(tmp_path: Path) -> None:
    (tmp_path / "db.json").write_text('[{"model": "auth.user", "fields": {}}, {"model": "auth.user", "fields": {}}]')
    assert drilled(tmp_path / "db.json", Questions(("auth.user", "shop.order"))).values == {
        "auth.user": 2,
        "shop.order": 0,
    }
    for damaged in ('[{"model": "auth.user", "fie', "[]"):
        (tmp_path / "db.json").write_text(damaged)
        with pytest.raises(NotRestorable, match=r"not whole JSON|nothing in it"):
            drilled(tmp_path / "db.json", Questions(("auth.user",)))


@contextmanager
def new_redis_at(folder: Path, *settings: str) -> Iterator[Callable[[str], object]]:
    """A Redis in a folder; what it gives runs lines of redis-cli."""
    sock = folder / "s"
    command = [
        "redis-server",
        "--port",
        "0",
        "--unixsocket",
        str(sock),
        "--dir",
        str(folder),
        "--save",
        "",
        *settings,
    ]
    client = ["redis-cli", "-s", str(sock)]

    def told(lines: str) -> str:
        return subprocess.run(client, input=lines, text=True, check=True, capture_output=True).stdout

    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        while subprocess.run([*client, "ping"], capture_output=True).stdout != b"PONG\n":
            time.sleep(0.02)
        yield told
        server.terminate()


KEYS = "".join(f"set session:{n} {'x' * 50}{n}\n" for n in range(100)) + "rpush queue a b c\n"


@pytest.fixture(scope="session")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a real Redis saved: a hundred keys and a list."""
    folder = tmp_path_factory.mktemp("redis")
    with new_redis_at(folder) as told:
        told(f"{KEYS}save\n")
    return folder / "dump.rdb"


@pytest.fixture(scope="session")
def append_only(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as an append-only file of Redis 7, in parts: what was there when it was rewritten, and since then."""
    folder = tmp_path_factory.mktemp("redis")
    with new_redis_at(folder, "--appendonly", "yes") as told:
        told(f"{KEYS}bgrewriteaof\n")
        while "aof_rewrite_in_progress:1" in (state := told("info persistence\n")) or "scheduled:1" in state:
            time.sleep(0.05)
        told("set last 1\n")
    if not (folder / "appendonlydir").exists():
        pytest.skip("this Redis is older than 7, and writes one append-only file")
    return folder / "appendonlydir"


APPENDED = Questions(("dbsize", "llen queue", "get last"))


def drilled_folder(folder: Path, asked: Questions) -> Restored:
    with scratch(LIMITS) as place:
        return restore(place, opened(Path(shutil.copytree(folder, place.folder / "artifact"))), asked)


def in_one_file(folder: Path) -> bytes:
    """As Redis 4 to 6 write it, and 7 reads it yet."""
    (base,), (since,) = folder.glob("*.base.rdb"), folder.glob("*.incr.aof")
    return base.read_bytes() + since.read_bytes()


@needs_redis
def test_an_append_only_file_is_loaded_and_asked(append_only: Path, tmp_path: Path) -> None:
    there = {"dbsize": 102, "llen queue": 3, "get last": "1"}
    assert drilled_folder(append_only, APPENDED).values == there
    (tmp_path / "appendonly.aof").write_bytes(in_one_file(append_only))
    assert drilled(tmp_path / "appendonly.aof", APPENDED).values == there


def changed_in(folder: Path, pattern: str, change: Callable[[bytes], bytes]) -> None:
    (path,) = folder.glob(pattern)
    path.write_bytes(change(path.read_bytes()))


APPENDED_SPOILED: dict[str, tuple[Callable[[Path], object], str]] = {
    "its last command was cut": (lambda folder: changed_in(folder, "*.incr.aof", lambda data: data[:-4]), "Expected"),
    "its base was cut": (lambda folder: changed_in(folder, "*.base.rdb", lambda data: data[:-30]), "EOF"),
    "its base is gone": (lambda folder: next(folder.glob("*.base.rdb")).unlink(), "No such file"),
    "a byte of its base": (
        lambda folder: changed_in(folder, "*.base.rdb", lambda data: data.replace(b"session:", b"sessions", 1)),
        "hecksum|CRC|sane",
    ),
    "a command that is none": (
        lambda folder: changed_in(folder, "*.incr.aof", lambda data: data.replace(b"set", b"sxt")),
        "Unknown command",
    ),
}


@needs_redis
@pytest.mark.parametrize("damage", APPENDED_SPOILED)
def test_a_damaged_append_only_file_is_not_loaded(append_only: Path, tmp_path: Path, damage: str) -> None:
    spoil, reason = APPENDED_SPOILED[damage]
    spoil(Path(shutil.copytree(append_only, tmp_path / "appendonlydir")))
    with pytest.raises(NotRestorable, match=reason):
        drilled_folder(tmp_path / "appendonlydir", APPENDED)


@needs_redis
def test_a_snapshot_of_redis_is_loaded_and_asked(snapshot: Path) -> None:
    asked = Questions(("dbsize", "llen queue", "exists session:7", "get no:such", "lindex queue 0"))
    assert list(drilled(snapshot, asked).values.values()) == [101, 3, 1, None, "a"]


@needs_redis
def test_a_snapshot_of_a_newer_redis_is_not_the_fault_of_the_snapshot(snapshot: Path, tmp_path: Path) -> None:
    data = snapshot.read_bytes()
    (tmp_path / "dump.rdb").write_bytes(data[:5] + b"0099" + data[9:])
    with pytest.raises(CouldNotLook, match="of a newer Redis"):
        drilled(tmp_path / "dump.rdb", Questions(("dbsize",)))


@needs_redis
@pytest.mark.parametrize(
    "broken",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:900] + bytes([data[900] ^ 255]) + data[901:],
        lambda data: data[:-8] + b"8 bytes.",
    ],
    ids=["cut short", "a flipped byte", "a wrong checksum"],
)
def test_a_damaged_snapshot_is_not_loaded(snapshot: Path, tmp_path: Path, broken: Callable[[bytes], bytes]) -> None:
    (tmp_path / "dump.rdb").write_bytes(broken(snapshot.read_bytes()))
    with pytest.raises(NotRestorable, match="Redis can't load it"):
        drilled(tmp_path / "dump.rdb", Questions(("dbsize",)))


MARIADB = """\
-- MariaDB dump 10.19  Distrib 10.11.6-MariaDB, for debian-linux-gnu (x86_64)
CREATE TABLE `users` (`id` int NOT NULL, `email` varchar(80) NOT NULL, PRIMARY KEY (`id`), UNIQUE KEY `e` (`email`));
CREATE TABLE `orders` (`id` int NOT NULL, `user_id` int NOT NULL, `made` datetime, PRIMARY KEY (`id`),
  CONSTRAINT `of` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`));
INSERT INTO `users` VALUES (1,'a@shop.lab'),(2,'b@shop.lab');
INSERT INTO `orders` VALUES (1,1,'2026-01-01 00:00:00'),(2,2,NULL);
-- Dump completed on 2026-11-21  1:00:00
"""


@needs_mariadb
def test_a_dump_of_mariadb_comes_back_to_life(tmp_path: Path) -> None:
    (tmp_path / "shop.sql").write_text(MARIADB)
    asked = Questions(("users", "select max(id) from orders", "letters"), ("select max(made) from orders",))
    restored = drilled(tmp_path / "shop.sql", asked)
    assert restored.values == {"users": 2, "select max(id) from orders": 2, "letters": None}
    assert (restored.rows, restored.constraints) == ({"orders": 2, "users": 2}, 4)
    assert (restored.ages["select max(made) from orders"] or 0) > 86400


@needs_mariadb
@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("(2,2,NULL)", "(2,9,NULL)", "foreign key constraint fails"),
        ("(2,'b@shop.lab')", "(1,'b@shop.lab')", "Duplicate entry"),
        ("-- Dump completed", "-- cut", "cut short"),
    ],
)
def test_a_damaged_dump_of_mariadb_does_not_restore(tmp_path: Path, old: str, new: str, reason: str) -> None:
    (tmp_path / "shop.sql").write_text(MARIADB.replace(old, new))
    with pytest.raises(NotRestorable, match=reason):
        drilled(tmp_path / "shop.sql")


@needs_mariadb
def test_the_keys_that_a_dump_of_mariadb_does_not_check_are_checked(tmp_path: Path) -> None:
    """Each that is not written by hand switches the checks off, so that its tables may come in any order."""
    unchecked = MARIADB.replace("CREATE TABLE `users`", "SET FOREIGN_KEY_CHECKS=0;\nCREATE TABLE `users`")
    (tmp_path / "shop.sql").write_text(unchecked)
    assert drilled(tmp_path / "shop.sql", Questions(("users",))).values == {"users": 2}
    users = next(line for line in MARIADB.splitlines() if line.startswith("CREATE TABLE `users`"))
    rows = next(line for line in MARIADB.splitlines() if line.startswith("INSERT INTO `users`"))
    without = unchecked.replace(rows, "")
    for lost in (unchecked.replace(",(2,'b@shop.lab')", ""), without, without.replace(users, "")):
        (tmp_path / "shop.sql").write_text(lost)
        with pytest.raises(NotRestorable, match="rows of orders refer by of to rows of users that are not in it"):
            drilled(tmp_path / "shop.sql")


# As mysqldump 8.0 writes it of a server with GTIDs, but for the length.
MYSQL = """\
-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)
--
-- Host: localhost    Database: shop
-- ------------------------------------------------------
-- Server version\t8.0.36-2ubuntu3

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */;
SET @@SESSION.SQL_LOG_BIN= 0;
SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ '0e2a2637-ebbe-11f1-862b-02fc00000001:1-40';
CREATE TABLE `orders` (`id` int NOT NULL AUTO_INCREMENT, `cents` int NOT NULL,
  `twice` int GENERATED ALWAYS AS ((`cents` * 2)) STORED,
  PRIMARY KEY (`id`), CONSTRAINT `above` CHECK ((`cents` > 0))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;
INSERT INTO `orders` (`id`, `cents`) VALUES (1,150),(2,200);
/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */;

-- Dump completed on 2026-11-29  6:30:57
"""
needs_mysql = pytest.mark.skipif("MySQL" not in mariadb.installed(), reason="there is no MySQL on this machine")


@needs_mysql
def test_a_dump_of_mysql_comes_back_to_life(tmp_path: Path) -> None:
    (tmp_path / "shop.sql").write_text(MYSQL)
    restored = drilled(tmp_path / "shop.sql", Questions(("orders", "select sum(twice) from orders"), ()))
    assert restored.server.startswith("MySQL ")
    assert restored.values == {"orders": 2, "select sum(twice) from orders": 700}


@needs_mysql
def test_a_damaged_dump_of_mysql_does_not_restore(tmp_path: Path) -> None:
    (tmp_path / "shop.sql").write_text(MYSQL.replace("(2,200)", "(2,-200)"))
    with pytest.raises(NotRestorable, match="Check constraint 'above' is violated"):
        drilled(tmp_path / "shop.sql")


@needs_mariadb
def test_a_dump_of_mysql_is_not_called_damaged_where_there_is_only_mariadb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only = {"MariaDB": mariadb.installed()["MariaDB"]}
    monkeypatch.setattr(mariadb, "installed", lambda: only)
    (tmp_path / "shop.sql").write_text(MYSQL)
    with pytest.raises(CouldNotLook, match=r"of MySQL, and this machine only has MariaDB: .*GTID_PURGED"):
        drilled(tmp_path / "shop.sql")


@needs_mariadb
def test_a_real_dump_of_mariadb_without_comments_comes_back_to_life(tmp_path: Path) -> None:
    with new_mariadb() as server:
        server.do("create table shop.orders (id int primary key)", "insert into shop.orders values (1), (2)")
        dump = do("mariadb-dump", f"--socket={server.socket}", "--user=root", "--skip-comments", "shop")
    (tmp_path / "shop.sql").write_text(dump)
    assert drilled(tmp_path / "shop.sql", Questions(("orders",), ())).values == {"orders": 2}
    (tmp_path / "shop.sql").write_text(dump.rpartition("/*!40111 SET SQL_NOTES")[0])
    with pytest.raises(NotRestorable, match="cut short"):
        drilled(tmp_path / "shop.sql")


def test_an_archive_of_mongodump_is_not_called_damaged(tmp_path: Path) -> None:
    (tmp_path / "shop.archive").write_bytes(BY_MONGODUMP)
    with pytest.raises(CouldNotLook, match="no drill restores archives of mongodump"):
        drilled(tmp_path / "shop.archive")


# Encrypted.


@pytest.mark.skipif(not shutil.which("openssl"), reason="there is no openssl on this machine")
def test_an_encrypted_backup_is_decrypted_by_the_command_that_is_declared(tmp_path: Path) -> None:
    sqlite_file(tmp_path / "db")
    (tmp_path / "key").write_text("secret of ours")
    (tmp_path / "key").chmod(0o600)
    crypt = f"openssl enc -aes-256-cbc -pbkdf2 -pass file:{tmp_path}/key"
    subprocess.run(f"gzip -c {tmp_path}/db | {crypt} > {tmp_path}/db.enc", shell=True, check=True)
    assert drilled(tmp_path / "db.enc", Questions(("parcels",)), decrypt=f"{crypt} -d").values == {"parcels": 500}
    with pytest.raises(CouldNotLook, match="encrypted by OpenSSL"):
        drilled(tmp_path / "db.enc", Questions(("parcels",)))
    for absent in ("/nowhere/openssl enc -d", crypt.replace("key", "no-key") + " -d"):
        with pytest.raises(CouldNotLook, match="`decrypt` can't be run"):
            drilled(tmp_path / "db.enc", Questions(("parcels",)), decrypt=absent)
    (tmp_path / "key").write_text("another")
    with pytest.raises(NotRestorable, match="can't be decrypted"):
        drilled(tmp_path / "db.enc", Questions(("parcels",)), decrypt=f"{crypt} -d")


# The scratch folder.


def test_a_drill_has_no_network(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, scratch(LIMITS) as place:
        if not place.is_offline:
            pytest.skip("this machine lets nobody leave its network")
        visit = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), 2)"
        ended = place.run(["python3", "-c", visit, str(server.getsockname()[1])])
        assert "unreachable" in ended.said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_a_drill_of_root_runs_as_nobody_and_lets_nobody_look_in() -> None:
    with scratch(LIMITS) as place:
        assert place.run(["id", "-un"]).text == "nobody\n"
        assert place.folder.stat().st_mode & 0o777 == 0o700
        assert place.run(["cat", "/etc/shadow"]).exit


def limited(**changes: float) -> Limits:
    return Limits(**{"within": 30, "disk": 1024**3, "memory": 1024**3, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("limits", "command", "reason"),
    [
        (limited(within=0.3), ["sleep", "60"], "did not end within 300ms"),
        (limited(disk=10 * 1024**2), ["sh", "-c", "cat /dev/zero > large"], "more than 10M of disk"),
        (limited(memory=64 * 1024**2), ["tail", "/dev/zero"], "drill could not go on|ended by"),
        (limited(), ["sh", "-c", "kill -KILL $$"], "ended by SIGKILL"),
        (limited(), ["no-such-program"], "could not start"),
    ],
    ids=["time", "disk", "memory", "killed", "missing"],
)
def test_a_drill_that_runs_into_a_limit_says_nothing_of_the_backup(
    limits: Limits, command: list[str], reason: str
) -> None:
    with pytest.raises(CouldNotLook, match=reason), scratch(limits) as place:
        place.run(command)


def test_a_drill_needs_the_room_that_it_may_use() -> None:
    with pytest.raises(CouldNotLook, match=r"has .* of room") as caught, scratch(limited(disk=1024**5)):
        pass
    assert "TMPDIR" in caught.value.mend


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's drills are run by somebody else")
def test_a_folder_that_the_drills_user_may_not_enter_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as closed:
        (Path(closed) / "tmp").mkdir()
        monkeypatch.setenv("TMPDIR", f"{closed}/tmp")
        with pytest.raises(CouldNotLook, match=f"may not enter {closed}"), scratch(LIMITS):
            pass
        assert not list((Path(closed) / "tmp").iterdir())


def test_nothing_of_a_drill_is_left_not_even_what_hides_from_it() -> None:
    hidden = "setsid sh -c 'trap \"\" TERM HUP; while :; do sleep 1; done' & echo $!"
    with scratch(LIMITS) as place:
        place.serve(["sh", "-c", f"{hidden} > child; wait"], ends_by=signal.SIGTERM)
        child = place.folder / "child"
        wait_until(lambda: child.exists() and child.read_text().strip() != "")
        pid = int(child.read_text())
        assert Path(f"/proc/{pid}").exists()
    assert not Path(f"/proc/{pid}").exists()
    assert not place.folder.exists()


def test_no_process_outlives_a_warden_that_is_killed() -> None:
    with pytest.raises(CouldNotLook, match="warden"), scratch(LIMITS) as place:
        place.serve(["sleep", "600"], ends_by=signal.SIGTERM)
        wait_until(lambda: bool(processes_of(str(place.folder))))
        place._warden.kill()
        wait_until(lambda: not processes_of(str(place.folder)))
        place.run(["true"])
    assert not place.folder.exists()


def test_a_folder_that_is_closed_to_its_owner_is_removed_as_well() -> None:
    """As in a backup of files; root goes in anyway, and so does who is root of a namespace."""
    with folder_of("nobody") as place:
        child = os.fork()
        if not child:
            try:
                if os.geteuid() == 0:
                    os.setuid(pwd.getpwnam("nobody").pw_uid)
                (place / "drill/closed/inner").mkdir(parents=True)
                (place / "drill/closed/inner/file").touch()
                for name, mode in (("closed/inner", 0o500), ("closed", 0)):
                    (place / "drill" / name).chmod(mode)
                Warden(place / "drill", 0, 0).clean_up()
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        assert not list(place.iterdir())


def test_what_a_killed_warden_leaves_is_swept_up_by_the_next_one(tmp_path: Path) -> None:
    left, kept, other = (tmp_path / name for name in (f"{PREFIX}1", f"{PREFIX}2", "other"))
    for folder in (left, kept, other):
        (folder / "data").mkdir(parents=True)
    (tmp_path / f"{PREFIX}link").symlink_to(other)
    held = os.open(kept, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)  # as its warden does
    later = time.time() + 3600
    try:
        sweep(tmp_path)
        assert left.exists()  # it is young
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(time, "time", lambda: later)
            sweep(tmp_path)
    finally:
        os.close(held)
    assert not left.exists()
    assert (kept / "data").exists()
    assert (other / "data").exists()


def test_a_drill_and_its_warden_that_are_both_killed_leave_no_process(tmp_path: Path) -> None:
    with folder_of("nobody") as place:
        script = "from readygate.drills.scratch import *; import signal, time\n"
        script += "with scratch(Limits(60, 2**20, 2**31)) as place:\n"
        script += " place.serve(['sleep', '600'], ends_by=signal.SIGTERM)\n"
        script += " print(place._warden.pid, flush=True); time.sleep(600)"
        environ = {**os.environ, "TMPDIR": str(place)}
        with subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environ
        ) as drill:
            assert drill.stdout
            warden = int(drill.stdout.readline())
            wait_until(lambda: bool(processes_of(str(place))))
            drill.kill()
            with suppress(ProcessLookupError):
                os.kill(warden, signal.SIGKILL)
        wait_until(lambda: not processes_of(str(place)))


KILLED = """
import shutil, sys
from pathlib import Path
from readygate.drills.outcome import Questions
from readygate.drills.restore import restore
from readygate.drills.scratch import Limits, scratch
with scratch(Limits(60, 2**31, 2**31), lambda step: print(step, flush=True)) as place:
    print(place.folder, flush=True)
    packed = place.folder / "artifact"
    shutil.copyfile(sys.argv[1], packed)
    packed.chmod(0o644)
    restore(place, packed, Questions(("users", "select pg_sleep(60)::text")))
"""


@needs_postgres
@pytest.mark.parametrize("moment", ["/", "start PostgreSQL", "restore", "ask what is there"])
def test_a_drill_that_is_killed_leaves_nothing_behind(dumps: Path, moment: str) -> None:
    command = [sys.executable, "-c", KILLED, str(dumps / "shop.sql")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as drill:
        assert drill.stdout
        folder = drill.stdout.readline().strip()
        line = folder
        while not line.startswith(moment):
            line = drill.stdout.readline()
            assert line, "the drill ended by itself"
        if moment == "start PostgreSQL":
            wait_until(lambda: bool(processes_of(folder)))
        drill.send_signal(signal.SIGKILL)
    wait_until(lambda: not Path(folder).exists() and not processes_of(folder))


def processes_of(folder: str) -> list[int]:
    """The processes that work in the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.readlink(entry / "cwd").startswith(folder):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def wait_until(holds: Callable[[], bool], within_s: float = 15) -> None:
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_each_step_is_told_as_it_begins(tmp_path: Path) -> None:
    told: list[str] = []
    with scratch(LIMITS, told.append) as place:
        packed = place.folder / "artifact"
        packed.write_bytes(gzip.compress(sqlite_file(tmp_path / "db").read_bytes()))
        packed.chmod(0o644)
        restore(place, packed, Questions(("parcels",)))
        assert told == ["unpack gzip", "restore", "ask what is there"]
        assert [name for name, _ in place.steps] == told
        assert isinstance(place, Scratch)
