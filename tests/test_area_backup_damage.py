"""Damage as it is found in life, planted into real artifacts: each kind is caught by the check that is for it."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import re
import shutil
import sqlite3
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from readygate.areas.backups.artifacts import ends_with_a_command
from readygate.areas.backups.backup import Backup, observe_missed, observe_soundness
from readygate.areas.backups.dump_lines import read_dump_lines
from readygate.areas.backups.listing import observe_artifacts, parse_artifacts
from readygate.areas.backups.offsite import copies_in, parse_listing
from readygate.areas.backups.shelf import DISKS
from readygate.areas.backups.soundness import Look
from readygate.areas.backups.wal_archive import fault_of_archive
from readygate.drills import postgres
from readygate.errors import CouldNotLook
from tests.holding import LOCAL, held
from tests.test_area_backup_mongodump import WHOLE as MONGODUMP
from tests.test_area_backups import MARIADB, declared, listed_as, tar_of, write, zip_of
from tests.test_drills import APPENDED_SPOILED, append_only, dumps, snapshot  # noqa: F401 - fixtures

needs_postgres = pytest.mark.skipif(not postgres.installed(), reason="there is no PostgreSQL on this machine")
needs_redis = pytest.mark.skipif(not shutil.which("redis-server"), reason="there is no Redis on this machine")


def why(path: Path) -> str | None:
    """What is wrong with one artifact; None where it is whole."""
    backup = Backup.model_validate({"on": "app-1", "path": str(path), "sound": True})
    seen = observe_soundness(LOCAL, backup, observe_artifacts(LOCAL, backup))
    return None if seen.sound else seen.reason


# One week of a real database, and what befalls it.


DAYS = 8
DATED = "shop_%Y%m%d_%H%M%S"
WEEK = {
    "rpo": "20h",
    "missed": 0,
    "count": 8,
    "distinct": 8,
    "size": "4K",
    "shrink": "30%",
    "sound": True,
    "holds": {"users": 100, "public.orders": 2000, '"Odd ""named"" one"': 1},
    "retention": {"daily": 8},
}


class Week:
    """Eight nights of the dump of a shop, the newest one hour old."""

    def __init__(self, folder: Path, sql: bytes, others: Path) -> None:
        self.folder, self.sql, self.others = folder, sql, others
        self.now = datetime.now().replace(microsecond=0) - timedelta(hours=1)
        for day in range(DAYS):
            self.put(day, gzip.compress(sql.replace(b"user7@", f"user7_{day}@".encode())))

    def path(self, day: int) -> Path:
        return self.folder / f"shop_{self.now - timedelta(days=day):%Y%m%d_%H%M%S}.sql.gz"

    def put(self, day: int, data: bytes) -> Path:
        return write(self.path(day), data, hours_old=24 * day + 1)

    def put_sql(self, sql: bytes) -> None:
        self.put(0, gzip.compress(sql))

    def other(self, name: str) -> bytes:
        return (self.others / name).read_bytes()

    def held(self) -> dict[str, bool | None]:
        """By check, whether it holds; None where one could not look."""
        settings = {"schedule": f"{self.now.minute} {self.now.hour} * * *", "grace": "10m", "dated": DATED}
        found: dict[str, bool | None] = {}
        for field, expected in WEEK.items():
            try:
                found |= held("backups", declared(self.folder, "*.sql.gz", **settings, **{field: expected}))
            except CouldNotLook:
                found[f"backup.{field}"] = None
        return found


@pytest.fixture
def week(tmp_path: Path, dumps: Path) -> Week:  # noqa: F811
    return Week(tmp_path, (dumps / "shop.sql").read_bytes(), dumps)


@needs_postgres
def test_a_sound_week_holds(week: Week) -> None:
    holds = week.held()
    assert len(holds) == len(WEEK)
    assert all(holds.values()), holds


def cut_before(sql: bytes, mark: bytes, more: int = 0) -> bytes:
    return sql[: sql.index(mark) + more]


TRAILER = b"\n--\n-- PostgreSQL database dump complete\n--\n\n"
COMPLAINT = b"pg_dump: error: connection to server at localhost, port 5432 failed: Connection refused\n"
ORDERS = b"COPY public.orders"


def relinked(week: Week, link: Callable[[Path, Path], object]) -> None:
    for day in range(1, DAYS):
        week.path(day).unlink()
        link(week.path(0), week.path(day))


def renamed(week: Week, day: int) -> None:
    """Every name moves on by one, and no dump is made."""
    for each in range(DAYS):
        os.rename(week.path(each), week.folder / f"kept-{each}")
    for each in range(DAYS):
        os.rename(week.folder / f"kept-{each}", week.path(each - day) if each >= day else week.path(DAYS + each))


def many_zipped() -> bytes:
    return zip_of(**{"a.sql": "one " * 3000, "b.sql": "two " * 3000})


SPOILED: dict[str, tuple[Callable[[Week], object], set[str]]] = {
    # What is in it.
    "only what pg_dump complained of": (lambda week: week.put_sql(COMPLAINT), {"backup.sound", "backup.size"}),
    "a complaint, then a whole dump": (lambda week: week.put_sql(COMPLAINT + week.sql), {"backup.sound"}),
    "a complaint at the end of the first of two dumps": (
        lambda week: week.put_sql(cut_before(week.sql, ORDERS) + COMPLAINT + week.sql),
        {"backup.sound"},
    ),
    "one cut in its rows, then a whole one": (
        lambda week: week.put_sql(cut_before(week.sql, ORDERS, 3000) + week.sql),
        {"backup.sound"},
    ),
    "one cut between tables, then a whole one": (
        lambda week: week.put_sql(cut_before(week.sql, ORDERS) + week.sql),
        {"backup.sound"},
    ),
    "cut in its rows, with a trailer": (
        lambda week: week.put_sql(cut_before(week.sql, ORDERS, 3000) + TRAILER),
        {"backup.sound"},
    ),
    "cut between tables, with a trailer": (
        lambda week: week.put_sql(cut_before(week.sql, ORDERS) + TRAILER),
        {"backup.holds", "backup.shrink"},
    ),
    "half of the rows, with their end and a trailer": (
        lambda week: week.put_sql(
            b"\n".join(cut_before(week.sql, ORDERS, 30000).split(b"\n")[:-1]) + b"\n\\.\n" + TRAILER
        ),
        {"backup.holds"},
    ),
    "of an empty database": (lambda week: week.put_sql(week.other("empty.sql")), {"backup.holds", "backup.size"}),
    "of a template": (lambda week: week.put_sql(week.other("template.sql")), {"backup.holds", "backup.size"}),
    "of the schema only": (lambda week: week.put_sql(week.other("schema.sql")), {"backup.holds", "backup.size"}),
    "without one table's rows": (lambda week: week.put_sql(week.other("partial.sql")), {"backup.holds"}),
    "of another database": (
        lambda week: week.put_sql(week.sql.replace(b" public.orders", b" public.bookings")),
        {"backup.holds"},
    ),
    "the first half of a gzip, then a whole one": (
        lambda week: week.put(0, gzip.compress(week.sql)[:9000] + gzip.compress(week.sql)),
        {"backup.sound"},
    ),
    "a zip of two files by the name of gzip": (lambda week: week.put(0, many_zipped()), {"backup.sound"}),
    "xz by the name of gzip": (lambda week: week.put(0, lzma.compress(week.sql)), {"backup.sound"}),
    "its bytes in another order": (
        lambda week: week.put(0, gzip.compress(week.sql)[:5000][::-1] + gzip.compress(week.sql)[5000:]),
        {"backup.sound"},
    ),
    "a sparse file of the right size": (
        lambda week: os.truncate(week.put(0, b""), 12_000),
        {"backup.sound"},
    ),
    # What it is called, and when it was written.
    "touched and renamed, not written": (lambda week: renamed(week, 1), {"backup.rpo", "backup.missed"}),
    "yesterday's once more, by a link": (
        lambda week: (week.path(0).unlink(), week.path(0).symlink_to(week.path(1))),
        {"backup.rpo", "backup.missed", "backup.count"},
    ),
    "yesterday's once more, by a copy that keeps its time": (
        lambda week: (week.path(0).unlink(), shutil.copy2(week.path(1), week.path(0))),
        {"backup.rpo", "backup.missed", "backup.distinct"},
    ),
    "one dump by eight links": (lambda week: relinked(week, os.link), {"backup.count", "retention.daily"}),
    "one dump by eight symbolic links": (
        lambda week: relinked(week, lambda target, link: link.symlink_to(target)),
        {"backup.count", "retention.daily"},
    ),
    "one dump by eight copies": (lambda week: relinked(week, shutil.copyfile), {"backup.distinct"}),
    "an old one that was copied back without its time": (
        lambda week: (week.path(0).unlink(), os.utime(week.path(1))),
        {"backup.rpo", "backup.missed", "backup.count"},
    ),
    "tonight's has nothing in it": (
        lambda week: week.put(0, gzip.compress(b"")),
        {"backup.rpo", "backup.missed", "backup.count", "backup.size", "backup.sound", "retention.daily"},
    ),
    "a week of dumps with nothing in them before it": (
        lambda week: [week.put(day, gzip.compress(b"")) for day in range(1, DAYS)],
        {"backup.count", "retention.daily"},
    ),
}


@needs_postgres
@pytest.mark.parametrize("damage", SPOILED)
def test_a_spoiled_week_fails_where_it_should(week: Week, damage: str) -> None:
    spoil, fails = SPOILED[damage]
    spoil(week)
    holds = week.held()
    assert fails <= {check for check, holding in holds.items() if holding is False}, holds


# What each kind shows, cut at every power of two, filled up with zeros, or of the right size only.


AOF = b"".join(b"*3\r\n$3\r\nSET\r\n$4\r\nk%03d\r\n$5\r\na\r\n*1\r\n" % number for number in range(200))
REFUSAL = b'{"message": "Internal Server Error", "status": 500}'


def sqlite_bytes(folder: Path) -> bytes:
    with sqlite3.connect(folder / "made") as database:
        database.execute("create table parcels (id integer primary key, name text)")
        database.executemany("insert into parcels (name) values (?)", [(f"parcel {n}" * 9,) for n in range(400)])
    database.close()
    return (folder / "made").read_bytes()


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rows", os.urandom(9000))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> dict[str, bytes]:
    """A sound artifact of each kind that this machine can make."""
    files = {f"f{number}": os.urandom(3000).hex() for number in range(5)}
    made = {
        "media.tar": tar_of(**files),
        "media.tar.gz": gzip.compress(tar_of(**files)),
        "media.zip": zipped(),
        "users.json": json.dumps([{"model": "auth.user", "pk": n, "fields": {}} for n in range(300)]).encode(),
        "app.sqlite": sqlite_bytes(tmp_path_factory.mktemp("sqlite")),
        "appendonly.aof": AOF,
        "maria.sql": MARIADB.encode(),
        "shop.archive": MONGODUMP,
    }
    if postgres.installed():
        folder: Path = request.getfixturevalue("dumps")
        made |= {"shop.sql": (folder / "shop.sql").read_bytes(), "shop.dump": (folder / "shop.dump").read_bytes()}
        made["shop.pgdump"] = (folder / "shop.pg.tar").read_bytes()
        made["shop.sql.gz"] = gzip.compress(made["shop.sql"])
    if shutil.which("redis-server"):
        made["cache.rdb"] = request.getfixturevalue("snapshot").read_bytes()
    return made


NAMES = ["shop.sql", "shop.sql.gz", "shop.dump", "shop.pgdump", "maria.sql", "media.tar", "media.tar.gz"]
NAMES += ["media.zip", "users.json", "app.sqlite", "cache.rdb", "appendonly.aof", "shop.archive"]


@pytest.fixture(params=NAMES)
def kind(request: pytest.FixtureRequest, kinds: dict[str, bytes], tmp_path: Path) -> tuple[Path, bytes]:
    if request.param not in kinds:
        pytest.skip(f"nothing on this machine makes {request.param}")
    return tmp_path / request.param, kinds[request.param]


def powers(size: int) -> Iterator[int]:
    yield from (2**power for power in range(size.bit_length()) if 2**power < size)


def test_a_file_cut_at_any_power_of_two_is_not_sound(kind: tuple[Path, bytes]) -> None:
    path, data = kind
    assert why(write(path, data)) is None
    unseen = [size for size in powers(len(data)) if why(write(path, data[:size])) is None]
    assert not unseen


def test_a_file_whose_end_is_zeros_is_not_sound(kind: tuple[Path, bytes]) -> None:
    path, data = kind
    # tar has no checksum of what is in a file, and may pad an archive by 10 KiB.
    told = [
        size for size in powers(len(data)) if path.suffix not in (".tar", ".pgdump") or len(data) - size > 2 * 10240
    ]
    unseen = [size for size in told if why(write(path, data[:size].ljust(len(data), b"\0"))) is None]
    assert not unseen


@pytest.mark.parametrize("wrong", ["noise", "zeros", "refused", "page", "complaint", "another"])
def test_a_file_of_the_right_size_with_other_bytes_is_not_sound(
    kind: tuple[Path, bytes], kinds: dict[str, bytes], wrong: str
) -> None:
    path, data = kind
    other = kinds["media.zip" if path.suffix != ".zip" else "media.tar"]
    bytes_of = {
        "noise": os.urandom(len(data)),
        "zeros": bytes(len(data)),
        "refused": REFUSAL,
        "page": b"<html><title>502 Bad Gateway</title></html>",
        "complaint": COMPLAINT,
        "another": other,
    }
    assert why(write(path, bytes_of[wrong].ljust(len(data)) if len(bytes_of[wrong]) < 100 else bytes_of[wrong]))


# What only a kind of its own can suffer.


def test_a_command_of_redis_may_hold_anything_and_still_has_one_end() -> None:
    assert ends_with_a_command(AOF)
    assert ends_with_a_command(AOF[7:])  # begun in the middle of a command, as the end of a large file is
    assert ends_with_a_command(b"#TS:1\r\n" + AOF)
    assert not any(ends_with_a_command(AOF[:-cut]) for cut in range(1, 34))


def test_a_packed_append_only_file_is_told_by_its_bytes(tmp_path: Path) -> None:
    assert why(write(tmp_path / "cache.gz", gzip.compress(AOF))) is None
    assert "in the middle of a command" in (why(write(tmp_path / "cache.gz", gzip.compress(AOF[:-5]))) or "")


@needs_redis
@pytest.mark.parametrize("damage", [*APPENDED_SPOILED, "its manifest names nothing"])
def test_an_append_only_file_in_parts_is_sound_until_one_is_not(
    append_only: Path,  # noqa: F811
    tmp_path: Path,
    damage: str,
) -> None:
    folder = Path(shutil.copytree(append_only, tmp_path / "appendonlydir"))
    manifest = folder / "appendonly.aof.manifest"
    assert why(manifest) is None
    assert held("backups", declared(folder, "*.aof.manifest", size="1K"))["backup.size"]
    if damage == "its manifest names nothing":
        manifest.write_text("\n")
    elif damage == "a command that is none":
        pytest.skip("only a drill runs the commands")
    else:
        APPENDED_SPOILED[damage][0](folder)
    assert why(manifest)


@needs_redis
def test_a_snapshot_of_another_redis_is_not_called_damaged(tmp_path: Path, snapshot: Path) -> None:  # noqa: F811
    data = snapshot.read_bytes()
    for name, pack in {"dump.rdb": bytes, "dump.rdb.gz": gzip.compress}.items():
        write(tmp_path / name, pack(data[:5] + b"0099" + data[9:]))
        with pytest.raises(CouldNotLook, match="of a newer Redis"):
            why(tmp_path / name)


def test_a_database_without_its_write_ahead_log_is_told_by_what_it_holds(tmp_path: Path) -> None:
    live = tmp_path / "app.db"
    with sqlite3.connect(live) as database:
        database.execute("pragma journal_mode=wal")
        database.execute("create table orders (id)")
        database.execute("pragma wal_checkpoint(truncate)")
        database.executemany("insert into orders values (?)", [(n,) for n in range(100)])
        database.commit()
        shutil.copyfile(live, tmp_path / "app.sqlite")
    assert why(tmp_path / "app.sqlite") is None
    assert not held("backups", declared(tmp_path, "*.sqlite", holds={"orders": 100}))["backup.holds"]
    subprocess.run(["sqlite3", live, f".backup {tmp_path}/app.sqlite"], check=True)
    assert held("backups", declared(tmp_path, "*.sqlite", holds={"orders": 100}))["backup.holds"]
    database.close()


LOST = "mysqldump: Error 2013: Lost connection to MySQL server during query"
OF_GTIDS = (
    "Warning: A partial dump from a server that has GTIDs will by default include the GTIDs of all transactions"
)
MYSQL_SPOILED = {
    "a warning in its first line": (
        "mysqldump: [Warning] Using a password on the command line can be insecure.\n" + MARIADB,
        "complained of",
    ),
    "a warning of GTIDs": (f"{OF_GTIDS}\n{MARIADB}", "complained of .*GTIDs"),
    "an error at its end": (MARIADB.rpartition("-- Dump")[0] + LOST, "it ends with .*Lost connection"),
    "an error, then a whole one": (
        "mysqldump: Got error: 1045: Access denied for user\n" + MARIADB,
        "complained of .*Access denied",
    ),
    "two, of which the first was cut": (MARIADB.rpartition("-- Dump")[0] + MARIADB, "another dump begins"),
    "nothing but an error": ("mysqldump: Got error: 1045: Access denied for user\n", "said: .*Access denied"),
    "nothing but the shell's": ("/opt/backup.sh: line 7: mysqldump: command not found\n", "said: .*not found"),
}


@pytest.mark.parametrize("damage", MYSQL_SPOILED)
def test_a_dump_of_mysql_that_ended_badly_is_not_sound(tmp_path: Path, damage: str) -> None:
    assert why(write(tmp_path / "shop.sql", MARIADB.encode())) is None
    assert why(write(tmp_path / "shop.sql", (MARIADB + MARIADB).encode())) is None
    dump, reason = MYSQL_SPOILED[damage]
    assert re.search(reason, why(write(tmp_path / "shop.sql", dump.encode())) or "")


@needs_postgres
@pytest.mark.parametrize("name", ["shop.sql", "shop.dump", "schema.dump", "schema.sql", "partial.sql"])
def test_rows_are_counted_where_a_dump_lies(dumps: Path, tmp_path: Path, name: str) -> None:  # noqa: F811
    shutil.copyfile(dumps / name, tmp_path / name)
    users = {"schema": None, "partial": None}.get(name.partition(".")[0], 100)
    assert counted(tmp_path / name, "users", "orders", "nobody") == {
        "users": users,
        "orders": None if "schema" in name else 2000,
        "nobody": None,
    }


def counted(path: Path, *tables: str) -> dict[str, int | None]:
    (artifact,) = observe_artifacts(LOCAL, Backup.model_validate({"on": "a", "path": str(path), "count": 1})).found
    return Look(LOCAL, "app-1", artifact, 60).counted(tables)


def test_objects_are_counted_in_what_dumpdata_wrote(tmp_path: Path, kinds: dict[str, bytes]) -> None:
    write(tmp_path / "users.json", kinds["users.json"])
    assert counted(tmp_path / "users.json", "auth.user", "shop.order") == {"auth.user": 300, "shop.order": None}
    assert not held("backups", declared(tmp_path, "*.json", holds={"shop.order": ">0"}))["backup.holds"]


def test_rows_that_a_dump_does_not_tell_are_not_guessed() -> None:
    twice = read_dump_lines("rows\t5\tCOPY a.orders (id) FROM stdin;\nrows\t6\tCOPY b.orders (id) FROM stdin;")
    assert twice.count("a.orders") == 5
    with pytest.raises(CouldNotLook, match="more than one table orders"):
        twice.count("orders")
    both = read_dump_lines("rows\t5\tCOPY public.orders FROM stdin;\nrows\t6\tCOPY public.orders FROM stdin;")
    with pytest.raises(CouldNotLook, match="more than one table"):
        both.count("orders")
    with pytest.raises(CouldNotLook, match="written as INSERT"):
        read_dump_lines("insert\t`orders`").count("orders")


# While one looks, and how many there are.


def test_a_file_that_is_still_written_is_neither_sound_nor_damaged(tmp_path: Path) -> None:
    path = write(tmp_path / "shop.sql.gz", gzip.compress(MARIADB.encode()))
    backup = Backup.model_validate({"on": "app-1", "path": str(path), "sound": True})
    seen = observe_artifacts(LOCAL, backup)
    for then in (path.read_bytes()[:-9], path.read_bytes() + gzip.compress(b"more")):
        path.write_bytes(then)
        with pytest.raises(CouldNotLook, match="still being written"):
            observe_soundness(LOCAL, backup, seen)


def test_an_upload_that_is_not_done_is_of_no_kind(tmp_path: Path) -> None:
    write(tmp_path / "shop-1.sql.gz", gzip.compress(MARIADB.encode()), hours_old=24)
    write(tmp_path / "shop-2.sql.gz.part", gzip.compress(MARIADB.encode())[:300])
    with pytest.raises(CouldNotLook, match="no way is known"):
        held("backups", declared(tmp_path, "shop-*", sound=True))


def test_a_backup_of_the_future_has_missed_nothing_only_for_all_we_know(tmp_path: Path) -> None:
    write(tmp_path / "shop.sql", b"x", hours_old=-48)
    for expected in ({"rpo": "26h"}, {"missed": 0, "schedule": "0 1 * * *"}):
        with pytest.raises(CouldNotLook, match="in the future"):
            held("backups", declared(tmp_path, "*.sql", **expected))
    later = datetime.now() + timedelta(days=40)
    write(tmp_path / f"shop_{later:%Y%m%d}.sql", b"x")
    with pytest.raises(CouldNotLook, match="yet to come"):
        held("backups", declared(tmp_path, "shop_*.sql", dated="shop_%Y%m%d", rpo="26h"))


def test_twenty_thousand_backups_are_listed(tmp_path: Path) -> None:
    for number in range(20_000):
        os.close(os.open(tmp_path / f"shop_{number:06}.sql", os.O_CREAT | os.O_WRONLY))
    write(tmp_path / "shop_newest.sql", b"x")
    seen = observe_artifacts(LOCAL, Backup.model_validate(declared(tmp_path, "*.sql", count=1)))
    assert (len(seen.found), seen.count) == (20_001, 1)


@pytest.mark.parametrize(("then", "now"), [("+0200", "+0100"), ("+0100", "+0200")])
def test_a_backup_keeps_its_hour_over_a_change_of_the_clocks(then: str, now: str) -> None:
    backup = Backup.model_validate({"on": "app-1", "path": "/b/*", "schedule": "0 1 * * *", "missed": 0})
    made = datetime.strptime(f"2026-10-25 01:05 {then}", "%Y-%m-%d %H:%M %z")
    listing = listed_as(0, then, [(1000, "8180", int(made.timestamp()), "/b/shop.sql")]).partition("\n")[2]
    for hour, missed in (("23:00", 0), ("23:59", 0)):
        asked = datetime.strptime(f"2026-10-25 {hour} {now}", "%Y-%m-%d %H:%M %z")
        seen = parse_artifacts("/b/*", f"{int(asked.timestamp())} {now}\n{listing}")
        assert seen.found[0].made_local == datetime(2026, 10, 25, 1, 5)
        assert observe_missed(backup, seen) == missed


# Disks, copies, keys.


def test_volumes_of_one_disk_are_not_apart(tmp_path: Path) -> None:
    """The kernel's tree of a server with two volumes and a partition on sda, and one of them on sdb too."""
    block = tmp_path / "block"
    for path in ("sda/sda1", "sda/sda2", "sdb", "dm-0/slaves", "dm-1/slaves"):
        (block / path).mkdir(parents=True)
    for part in ("sda1", "sda2"):
        (block / "sda" / part / "partition").write_text("1")
    for volume, part in (("dm-0", "sda/sda1"), ("dm-1", "sda/sda2"), ("dm-1", "sdb")):
        (block / volume / "slaves" / part.rpartition("/")[2]).symlink_to(block / part)

    def disks(device: str) -> set[str]:
        script = f'{DISKS}\nbelow "{block}/{device}"'
        return set(subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.split())

    assert (disks("sda/sda1"), disks("dm-0"), disks("sdb")) == ({"sda"}, {"sda"}, {"sdb"})
    assert disks("dm-1") == {"sda", "sdb"}


def test_a_copy_is_no_younger_than_its_name_and_one_of_nothing_is_none() -> None:
    entry = {
        "Path": "2026/11/shop_20261101.sql.gz",
        "Name": "shop_20261101.sql.gz",
        "ModTime": "2026-11-21T01:00:00Z",
    }
    listing = json.dumps([{**entry, "Size": 9000}, {**entry, "Size": 20, "Path": "empty.sql.gz"}])
    (copy,) = copies_in(parse_listing(listing, "shop_%Y%m%d"), "shop_*.sql.gz")
    assert copy.made_at == datetime.fromisoformat("2026-11-01T00:00:00+00:00").timestamp()
    (undated,) = copies_in(parse_listing(listing), "shop_*.sql.gz")
    assert undated.made_at == datetime.fromisoformat("2026-11-21T01:00:00+00:00").timestamp()


@pytest.mark.skipif(not shutil.which("gpg"), reason="there is no gpg on this machine")
def test_a_message_that_is_only_packed_is_not_encrypted(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    write(tmp_path / "plain", b"rows " * 500)
    gpg = ["gpg", "--homedir", tmp_path, "--batch", "--armor", "--output", tmp_path / "shop.sql.asc", "--store"]
    subprocess.run([*gpg, tmp_path / "plain"], check=True, capture_output=True)
    subprocess.run(["gpgconf", "--homedir", tmp_path, "--kill", "all"], check=False)
    assert b"BEGIN PGP MESSAGE" in (tmp_path / "shop.sql.asc").read_bytes()
    assert not held("backups", declared(tmp_path, "*.asc", encrypted=True))["backup.encrypted"]


# Archives of WAL.


def segments(*numbers: int, per_log: int = 256, timeline: str = "00000001") -> list[str]:
    return [f"{timeline}{number // per_log:08X}{number % per_log:08X}" for number in numbers]


@pytest.mark.parametrize(
    ("names", "backups", "missing"),
    [
        (segments(*range(250, 260)), (), False),
        (segments(*range(250, 255), 256), (), True),  # the last one of a log
        (segments(*range(5), 6), (), True),
        (segments(*range(60, 200), per_log=64), (), False),  # of 64 MiB
        ([*segments(1, 2), *segments(2, 3, timeline="00000002")], (), False),
        ([*segments(1, 2), "00000002.history", "000000010000000000000003.partial"], (), False),
        (segments(1, 2, 3, 9, 10), [(segments(2)[0], segments(3)[0]), (segments(9)[0], segments(9)[0])], False),
        (segments(1, 2, 3, 10), [(segments(2)[0], segments(3)[0]), (segments(9)[0], segments(9)[0])], True),
        (segments(1, 2, 4, 9), [(segments(2)[0], segments(3)[0]), (segments(9)[0], segments(9)[0])], True),
    ],
)
def test_a_gap_in_the_log_is_found(names: list[str], backups: list[tuple[str, str]], missing: bool) -> None:
    assert (fault_of_archive(names, backups) is not None) is missing


def test_an_archive_of_the_log_has_no_gap_or_fails(tmp_path: Path) -> None:
    for name in segments(*range(254, 259)):
        write(tmp_path / f"{name}.gz", gzip.compress(os.urandom(900)))
    sound = {"continuous": True}
    assert held("backups", declared(tmp_path, "*.gz", **sound)) == {"backup.continuous": True}
    write(tmp_path / f"{segments(256)[0]}.gz", gzip.compress(b""))
    assert held("backups", declared(tmp_path, "*.gz", **sound)) == {"backup.continuous": False}
    assert held("backups", declared(tmp_path, "*.none", **sound)) == {"backup.continuous": False}
