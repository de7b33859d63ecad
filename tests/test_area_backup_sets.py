"""Backups as a set: on schedule, kept, encrypted, apart, with room; and the kinds that tools of their own read."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from readygate.areas.backups.artifacts import fault_of_aof, fault_of_json, fault_of_rdb
from readygate.areas.backups.backup import Backup, observe_missed, observe_soundness
from readygate.areas.backups.due import Timetable, backup_schedule, date_in, moment_in
from readygate.areas.backups.listing import observe_artifacts, parse_artifacts
from readygate.areas.backups.retention import observe_ladder
from readygate.drills import postgres
from readygate.drills.ciphers import cipher_of
from readygate.drills.dumps import Ends
from readygate.errors import CouldNotLook
from tests.holding import LOCAL, held
from tests.test_area_backups import DUMP, declared, listed_as, write
from tests.test_drills import dumps, snapshot  # noqa: F401 - fixtures

DAY = 86400
needs_postgres = pytest.mark.skipif(not postgres.installed(), reason="there is no PostgreSQL on this machine")


def listed(*ages_d: float, now: int = 1_800_000_000, zone: str = "+0000") -> str:
    """A listing of artifacts that are so many days old."""
    return listed_as(now, zone, [(1000, "8180", int(now - age * DAY), f"/b/{n}.sql") for n, age in enumerate(ages_d)])


# Schedules. 1800000000 is Friday, 15 January 2027, 08:00 UTC.


@pytest.mark.parametrize(
    ("schedule", "hours_old", "zone", "missed"),
    [
        ("0 1 * * *", 7, "+0000", 0),  # tonight's own
        ("0 1 * * *", 31, "+0000", 1),  # within an RPO of 32h, and tonight's is missing
        ("0 1 * * *", 55, "+0000", 2),
        ("30 7 * * *", 24, "+0000", 0),  # due half an hour ago: it may still be at it
        ("0 10 * * *", 20, "+0000", 0),  # due in two hours in UTC
        ("0 10 * * *", 20, "+0500", 1),  # due three hours ago in Almaty
        ("0 3 * * 0", 5 * 24, "+0000", 0),  # on Sundays only
        ("0 3 * * 0", 6 * 24, "+0000", 1),
        ("0 3 1 * *", 20 * 24, "+0000", 1),
        ("0 3 1 * 1", 5 * 24, "+0000", 1),  # on the first, and on Mondays
        ("*/30 * * * *", 3, "+0000", 4),
        ("@daily", 9, "+0000", 1),
    ],
)
def test_a_run_that_was_due_and_left_no_backup_is_counted(
    schedule: str, hours_old: float, zone: str, missed: int
) -> None:
    backup = Backup.model_validate({"on": "app-1", "path": "/b/*.sql", "schedule": schedule, "missed": 0})
    assert observe_missed(backup, parse_artifacts("/b/*.sql", listed(hours_old / 24, zone=zone))) == missed


def test_a_backup_that_did_not_run_today_fails_today(tmp_path: Path) -> None:
    write(tmp_path / "shop.sql", b"x", hours_old=2)
    due = datetime.now().astimezone() - timedelta(hours=1)
    expected = {"schedule": f"{due.minute} {due.hour} * * *", "rpo": "26h", "missed": 0}
    still = held("backups", declared(tmp_path, "*.sql", **expected, grace="2h"))
    assert still == {"backup.rpo": True, "backup.missed": True}
    assert held("backups", declared(tmp_path, "*.sql", **expected, grace="1m")) == {
        "backup.rpo": True,
        "backup.missed": False,
    }


@pytest.mark.parametrize(
    ("name", "nothing"), [("b.sql", b""), ("b.sql.gz", gzip.compress(b"", mtime=0)), ("b.dump", b"")]
)
def test_an_empty_file_is_no_backup_by_which_to_count_back(tmp_path: Path, name: str, nothing: bytes) -> None:
    write(tmp_path / f"a{name[1:]}", gzip.compress(DUMP.encode()), hours_old=30)
    hourly = declared(tmp_path, name.replace("b", "*", 1), schedule="0 * * * *", grace="1m")
    assert not all(held("backups", {**hourly, "rpo": "29h", "missed": 28}).values())
    assert all(held("backups", {**hourly, "rpo": "31h", "missed": 31}).values())
    write(tmp_path / name, nothing, hours_old=1)
    assert held("backups", {**hourly, "rpo": "29h", "missed": 28}) == {"backup.rpo": False, "backup.missed": False}
    assert all(held("backups", {**hourly, "rpo": "31h", "missed": 31}).values())
    (tmp_path / f"a{name[1:]}").unlink()
    assert held("backups", {**hourly, "rpo": "29h", "missed": 28}) == {"backup.rpo": False, "backup.missed": False}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"missed": 0}, "counts the runs of a schedule"),
        ({"missed": 0, "schedule": "0 1 * *"}, "not a schedule of cron"),
        ({"missed": 0, "schedule": "@reboot"}, "due at no time"),
        ({"rpo": "1d", "dated": "shop_%d"}, "names no day"),
        ({"rpo": "1d", "dated": "shop_%Y%m%d_%Q"}, "not a part of a date"),
        ({"rpo": "1d", "dated": "shop_%Y%m%dT%H%M%SZ"}, "write %z for it"),
    ],
)
def test_a_schedule_or_date_that_means_nothing_is_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Backup.model_validate({"on": "app-1", "path": "/b/*.sql", **keys})


def test_a_timetable_never_counts_beyond_its_limit() -> None:
    every_minute = Timetable.of(backup_schedule("* * * * *"))
    assert every_minute.due_between(datetime(2020, 1, 1), datetime(2026, 1, 1), at_most=1000) == 1000


# Dates in names.


@pytest.mark.parametrize(
    ("name", "pattern", "moment"),
    [
        ("/b/zakupai_backup_20261121_010203.sql.gz", "zakupai_backup_%Y%m%d_%H%M%S", datetime(2026, 11, 21, 1, 2, 3)),
        ("/b/db_20261121.sql.gz", "db_%Y%m%d", datetime(2026, 11, 21)),
        ("/b/pre-deploy-v1.0.1-20241227_183050/db.json", "-%Y%m%d_%H%M%S/", datetime(2024, 12, 27, 18, 30, 50)),
        ("/b/20200101/db_20261121.sql", "%Y%m%d", datetime(2026, 11, 21)),
        ("/b/db_latest.sql.gz", "db_%Y%m%d", None),
        ("/b/db_20261399.sql.gz", "db_%Y%m%d", None),
    ],
)
def test_a_name_tells_when_it_was_made(name: str, pattern: str, moment: datetime | None) -> None:
    assert date_in(name, pattern) == moment


def test_the_date_in_the_name_counts_where_the_file_was_touched_since(tmp_path: Path) -> None:
    for days in (3, 4, 5):
        made = datetime.now() - timedelta(days=days)
        write(tmp_path / f"db_{made:%Y%m%d_%H%M}.sql", b"x", hours_old=0)
    assert held("backups", declared(tmp_path, "*.sql", rpo="26h"))["backup.rpo"]
    dated = declared(tmp_path, "*.sql", dated="db_%Y%m%d_%H%M")
    assert not held("backups", {**dated, "rpo": "26h"})["backup.rpo"]
    assert held("backups", {**dated, "rpo": "73h"})["backup.rpo"]


@pytest.mark.parametrize(
    ("name", "moment"),
    [
        ("/b/db_20261121T233000Z.sql", "2026-11-21T23:30:00+00:00"),
        ("/b/db_20261122T053000+0600.sql", "2026-11-21T23:30:00+00:00"),
        ("/b/db_20261121T183000-05:00.sql", "2026-11-21T23:30:00+00:00"),
        ("/b/db_20261121T233000.sql", None),
    ],
)
def test_a_name_that_tells_its_zone_is_not_of_the_servers(name: str, moment: str | None) -> None:
    told = moment_in(name, "db_%Y%m%dT%H%M%S%z", 13 * 3600)
    assert told == (moment and datetime.fromisoformat(moment).timestamp())
    of_the_server = datetime(2026, 11, 20, 11, tzinfo=UTC).timestamp()
    assert moment_in("/b/db_20261121.sql", "db_%Y%m%d", 13 * 3600) == of_the_server


def test_a_name_in_utc_is_as_young_as_it_is_wherever_its_server_is() -> None:
    made = datetime.now(UTC) - timedelta(hours=1)
    listing = listed_as(
        int(time.time()), "+1300", [(9, "81a4", int(time.time()), f"/b/db_{made:%Y%m%dT%H%M%SZ}.sql")]
    )
    assert 3500 < (parse_artifacts("/b/*", listing, "db_%Y%m%dT%H%M%S%z").age_s or 0) < 3700


def test_a_name_without_its_date_is_not_taken_for_an_old_or_a_new_one(tmp_path: Path) -> None:
    write(tmp_path / "db_latest.sql", b"x")
    with pytest.raises(CouldNotLook, match="does not tell a date"):
        held("backups", declared(tmp_path, "*.sql", dated="db_%Y%m%d", rpo="26h"))


# Retention.


DAILIES, WEEKLIES, MONTHLIES = range(7), range(7, 35, 7), range(35, 370, 28)


@pytest.mark.parametrize(
    ("ages", "ladder"),
    [
        ([*DAILIES, *WEEKLIES, *MONTHLIES], (8, 6, 12)),
        (range(30), (30, 5, 2)),
        ([0, 1, 2, 4, 5, 6], (3, 2, 1)),  # a night is missing
        ([0], (1, 1, 1)),
        ([*DAILIES, *range(21, 35, 7)], (7, 2, 2)),  # a week is missing
    ],
)
def test_a_ladder_goes_back_to_the_first_gap(ages: list[int], ladder: tuple[int, int, int]) -> None:
    seen = observe_ladder(parse_artifacts("/b/*.sql", listed(*ages)))
    assert (seen.daily, seen.weekly, seen.monthly) == ladder


def test_a_day_begins_where_the_server_is() -> None:
    two = (0.33, 0.40)  # 00:04 of today, and 22:24 of yesterday, in UTC
    assert observe_ladder(parse_artifacts("/b/*.sql", listed(*two))).daily == 2
    assert observe_ladder(parse_artifacts("/b/*.sql", listed(*two, zone="+0500"))).daily == 1


KEPT = {"daily": 7, "weekly": 2, "monthly": 1, "oldest": "8d", "reaches": "6d"}


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    for days in range(8):
        write(tmp_path / f"{days}.sql", b"x", hours_old=24 * days + 0.01)
    return tmp_path


def test_what_is_kept_as_declared_holds(kept: Path) -> None:
    holds = held("backups", declared(kept, "*.sql", retention=KEPT))
    assert len(holds) == 5
    assert all(holds.values()), holds


UNKEPT: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "a day is missing": (lambda folder: (folder / "3.sql").unlink(), {"retention.daily"}),
    "one is kept too long": (lambda folder: write(folder / "9.sql", b"x", 24 * 9), {"retention.oldest"}),
    "they are deleted too early": (
        lambda folder: [(folder / f"{days}.sql").unlink() for days in range(1, 8)],
        {"retention.daily", "retention.weekly", "retention.reaches"},
    ),
    "nothing is left": (
        lambda folder: [path.unlink() for path in folder.glob("*.sql")],
        {f"retention.{field}" for field in KEPT},
    ),
}


@pytest.mark.parametrize("fault", UNKEPT)
def test_what_is_not_kept_fails(kept: Path, fault: str) -> None:
    break_it, fails = UNKEPT[fault]
    break_it(kept)
    holds = held("backups", declared(kept, "*.sql", retention=KEPT))
    assert {check for check, holding in holds.items() if not holding} == fails


def test_a_month_that_is_missing_fails(tmp_path: Path) -> None:
    for days in (0, 70):
        write(tmp_path / f"{days}.sql", b"x", 24 * days + 0.01)
    assert not held("backups", declared(tmp_path, "*.sql", retention={"monthly": 3}))["retention.monthly"]


# Encrypted.


def encrypted_by(tool: str, path: Path, home: Path) -> None:
    commands = {
        "age": f"age -e -r $(age-keygen -o {home}/key 2>&1 | sed 's/.*: //') -o {path}",
        "age -a": f"age -e -a -r $(age-keygen -o {home}/key 2>&1 | sed 's/.*: //') -o {path}",
        "gpg": f"gpg --homedir {home} --batch --passphrase ours --pinentry-mode loopback -c -o {path}",
        "gpg -a": f"gpg --homedir {home} --batch --passphrase ours --pinentry-mode loopback -a -c -o {path}",
        "openssl": f"openssl enc -aes-256-cbc -pbkdf2 -pass pass:ours -out {path}",
    }
    subprocess.run(commands[tool], input=DUMP.encode(), shell=True, check=True, capture_output=True)
    if tool.startswith("gpg"):  # it leaves an agent running
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)


@pytest.mark.parametrize("tool", ["age", "age -a", "gpg", "gpg -a", "openssl"])
def test_what_is_encrypted_is_told_by_its_bytes(tmp_path: Path, tool: str) -> None:
    if not shutil.which(tool.split()[0]):
        pytest.skip(f"there is no {tool.split()[0]} on this machine")
    tmp_path.chmod(0o700)
    encrypted_by(tool, tmp_path / "shop.sql.enc", tmp_path)
    assert held("backups", declared(tmp_path, "*.enc", encrypted=True))["backup.encrypted"]


OPEN = {
    "a dump with a name that lies": DUMP.encode(),
    "gzip": gzip.compress(DUMP.encode()),
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(60),
    "JSON": b'[{"model": "auth.user", "pk": 1, "fields": {}}]',
    "a dump in the custom format": b"PGDMP\x01\x0e\x00" + bytes(60),
    "zstd": b"\x28\xb5\x2f\xfd" + bytes(60),
    "xz": b"\xfd7zXZ\x00" + bytes(60),
    "nothing": b"",
}


@pytest.mark.parametrize("name", OPEN)
def test_what_lies_open_is_not_called_encrypted(tmp_path: Path, name: str) -> None:
    assert cipher_of(OPEN[name][:64]) is None
    write(tmp_path / "shop.sql.gpg", OPEN[name])
    assert not held("backups", declared(tmp_path, "*.gpg", encrypted=True))["backup.encrypted"]


def test_what_is_encrypted_can_not_be_called_sound_without_its_key(tmp_path: Path) -> None:
    write(tmp_path / "shop.sql.age", b"age-encryption.org/v1\n")
    with pytest.raises(CouldNotLook, match="without its key"):
        held("backups", declared(tmp_path, "*.age", sound=True))


# Disks.


def test_a_backup_beside_what_it_protects_fails(tmp_path: Path) -> None:
    write(tmp_path / "shop.sql", b"x")
    paths = {"/dev/shm": True, str(tmp_path.parent): False}
    assert held("backups", declared(tmp_path, "*.sql", apart_from=paths))["backup.apart_from"]
    assert not held("backups", declared(tmp_path, "*.sql", apart_from={str(tmp_path.parent): True}))[
        "backup.apart_from"
    ]
    assert not held("backups", declared(tmp_path, "*.sql", apart_from={"/no/such/data": True}))["backup.apart_from"]
    assert not held("backups", declared(tmp_path, "*.none", apart_from={"/dev/shm": True}))["backup.apart_from"]


def test_room_is_counted_in_backups_of_the_newest_size(tmp_path: Path) -> None:
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    with (tmp_path / "shop.sql").open("wb") as file:
        file.truncate(free // 4)  # it takes no room itself
    assert held("backups", declared(tmp_path, "*.sql", room_for=3))["backup.room_for"]
    assert not held("backups", declared(tmp_path, "*.sql", room_for=5))["backup.room_for"]
    assert not held("backups", declared(tmp_path, "*.none", room_for=1))["backup.room_for"]


# Kinds that tools of their own read.


def why(path: Path) -> str | None:
    backup = Backup.model_validate({"on": "app-1", "path": str(path), "sound": True})
    seen = observe_soundness(LOCAL, backup, observe_artifacts(LOCAL, backup))
    return None if seen.sound else seen.reason


@needs_postgres
def test_an_archive_of_pg_dump_is_read_to_its_end(dumps: Path, tmp_path: Path) -> None:  # noqa: F811
    data = (dumps / "shop.dump").read_bytes()
    at = len(data) - 3000
    flipped = data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :]
    for name in ("shop.dump", "shop.dump.gz"):
        pack = gzip.compress if name.endswith(".gz") else bytes
        assert why(write(tmp_path / name, pack(data))) is None
        assert "damaged" in (why(write(tmp_path / name, pack(data[: len(data) // 2]))) or "")
        assert "damaged" in (why(write(tmp_path / name, pack(flipped))) or "")
        assert "does not begin" in (why(write(tmp_path / name, pack(b"<html>"))) or "")
    assert why(write(tmp_path / "plain.dump", DUMP.encode())) is None
    assert "cut short" in (why(write(tmp_path / "plain.dump", DUMP.encode()[:4000])) or "")
    assert "pg_dump (or mysqldump) must have failed" in (
        why(write(tmp_path / "shop.dump.gz", gzip.compress(b""))) or ""
    )


@needs_postgres
def test_a_dump_in_a_folder_is_read_to_its_end(dumps: Path, tmp_path: Path) -> None:  # noqa: F811
    _, programs = postgres.programs_for(1)
    command = [programs / "pg_dump", "-h", dumps / "socket", "-U", "postgres", "-Fd", "-f", tmp_path / "shop", "shop"]
    subprocess.run(command, check=True)
    assert why(tmp_path / "shop" / "toc.dat") is None
    largest = max((tmp_path / "shop").glob("*.dat.gz"), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-500])
    assert "damaged" in (why(tmp_path / "shop" / "toc.dat") or "")
    largest.unlink()
    assert "damaged" in (why(tmp_path / "shop" / "toc.dat") or "")


@pytest.mark.skipif(not shutil.which("redis-server"), reason="there is no Redis on this machine")
def test_a_snapshot_of_redis_is_checked(snapshot: Path, tmp_path: Path) -> None:  # noqa: F811
    data = snapshot.read_bytes()
    assert why(write(tmp_path / "dump.rdb", data)) is None
    assert why(write(tmp_path / "dump.rdb.gz", gzip.compress(data))) is None
    for broken in (data[:-100], data[:900] + bytes([data[900] ^ 255]) + data[901:], b"<html>", b""):
        assert why(write(tmp_path / "dump.rdb", broken))
    assert why(write(tmp_path / "dump.rdb.gz", gzip.compress(data[:-100])))


def test_the_ends_of_what_redis_writes_tell_whether_it_was_cut() -> None:
    assert fault_of_rdb(Ends(b"REDIS0010", b"x" * 20 + b"\xff" + bytes(8))) is None
    assert "cut short" in (fault_of_rdb(Ends(b"REDIS0010", b"x" * 20)) or "")
    assert fault_of_aof(Ends(b"*2\r\n$6\r\nSELECT", b"$1\r\n0\r\n")) is None
    assert "cut short" in (fault_of_aof(Ends(b"*2\r\n$6\r\nSELECT", b"$1\r\n0")) or "")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b'[{"model": "shop.order", "pk": 1, "fields": {"cents": 5}}]', None),
        (b'[{"model": "shop.order", "fields": {}}, {"model": "shop.user"}]', "model and fields"),
        (b'[{"model": "shop.order", "pk": 1, "fields": {"cents', "not whole JSON"),
        (b"CommandError: Unable to serialize database", "not whole JSON"),
        (b"[]", "nothing in it"),
    ],
)
def test_what_dumpdata_writes_is_told_from_what_it_does_not(text: bytes, fault: str | None) -> None:
    found = fault_of_json(text)
    assert found is None if fault is None else fault in (found or "")


def test_the_time_is_told_in_seconds_of_the_servers_clock() -> None:
    now = int(time.time())
    listing = listed_as(now, "+0530", [(1, "8180", now - 60, "/b/db_20260101.sql")])
    artifacts = parse_artifacts("/b/*", listing, "db_%Y%m%d")
    assert artifacts.found[0].made_local == datetime(2026, 1, 1)
