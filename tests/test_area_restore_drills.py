"""What is declared of a restore: it holds for a sound backup, fails for a broken one, and is not done too often."""

from __future__ import annotations

import gzip
import hashlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import testinfra
from pydantic import ValidationError

from readygate.areas import FACTS
from readygate.areas.backups.artifacts import Artifact
from readygate.areas.backups.backup import Backup
from readygate.areas.backups.fetching import fetch
from readygate.areas.backups.listing import Artifacts, observe_artifacts
from readygate.areas.backups.restore_drills import Drill, drill_now, observe_drill
from readygate.drills import postgres, records, there
from readygate.errors import CouldNotLook
from readygate.facts import Facts
from readygate.spec import leaves
from tests.database_servers import folder_of
from tests.holding import LOCAL, held, suite_functions
from tests.lab.host import Target
from tests.test_area_backups import write
from tests.test_drills import dumps  # noqa: F401 - a fixture

pytestmark = pytest.mark.skipif(not postgres.installed(), reason="there is no PostgreSQL on this machine")

EXPECTED: dict[str, Any] = {
    "every": "30d",
    "rto": "5m",
    "expect": {"users": 100, "select count(*) from orders where cents > 500": ">1000"},
    "newest": {"select max(created_at) from orders": "26h"},
    "tables": 3,
    "constraints": 6,
    "sequences_behind": 0,
    "indexes": 5,
    "extensions": {"contains": "pg_trgm"},
}


@pytest.fixture(autouse=True)
def kept_here(tmp_path: Path) -> None:
    records.keep_in(tmp_path)


@pytest.fixture
def backup(tmp_path: Path, dumps: Path) -> Path:  # noqa: F811
    return write(tmp_path / "shop.sql.gz", gzip.compress((dumps / "shop.sql").read_bytes()))


def declared(path: Path, **drill: Any) -> Backup:
    spec = Backup.model_validate({"on": "app-1", "path": str(path), "restore_drill": {"into": "scratch", **drill}})
    spec._named("shop")
    return spec


def judged(spec: Backup) -> dict[str, bool]:
    """By check, whether all that is declared of the drill holds, by the shipped suite."""
    functions = dict(suite_functions("restore_drills"))
    facts = Facts(FACTS, lambda leaf: LOCAL)
    outcomes: dict[str, bool] = {}
    for leaf in leaves(spec, "shop", ("backups", "shop")):
        wanted = inspect.signature(functions[leaf.check]).parameters
        try:
            functions[leaf.check](**{name: facts.get(name, leaf) for name in wanted})
            holds = True
        except AssertionError:
            holds = False
        outcomes[leaf.check] = outcomes.get(leaf.check, True) and holds
    return outcomes


def test_a_sound_backup_meets_all_that_is_declared_of_its_restore(backup: Path, dumps: Path) -> None:  # noqa: F811
    live = {"url": f"postgresql://postgres@/shop?host={dumps / 'socket'}", "rows": "1%"}
    holds = judged(declared(backup, **EXPECTED, live=live))
    assert set(holds) == {f"drill.{field}" for field in (*EXPECTED, "rows")}
    assert all(holds.values()), holds


TOO_MUCH: dict[str, Any] = {
    "rto": "10ms",
    "expect": {"users": 101},
    "newest": {"select min(created_at) from orders": "1h"},
    "tables": 4,
    "constraints": 7,
    "indexes": 6,
    "extensions": {"contains": "postgis"},
}


def test_what_a_restore_does_not_show_fails(backup: Path) -> None:
    holds = judged(declared(backup, **TOO_MUCH))
    assert holds == {f"drill.{field}": False for field in TOO_MUCH}


def test_a_dump_of_a_logical_replica_gives_keys_once_more(backup: Path, dumps: Path) -> None:  # noqa: F811
    """Its rows are those of the primary, and its sequences stand where they began."""
    counted = b"ALTER TABLE public.users ALTER id SET DEFAULT nextval('public.numbers');"
    end = b"\n--\n-- PostgreSQL database dump complete"
    sql = (dumps / "shop.sql").read_bytes().replace(end, b"\nCREATE SEQUENCE public.numbers;\n" + counted + end)
    write(backup, gzip.compress(sql))
    spec = declared(backup, sequences_behind=0, expect={"users": 100})
    assert judged(spec) == {"drill.sequences_behind": False, "drill.expect": True}
    assert drilled(spec).sequences_behind == ("public.numbers",)


def test_what_the_backup_lacks_fails_whatever_is_declared_of_it(backup: Path) -> None:
    expected = {"customers": "!=7", "select price from orders": ["a", "b"]}
    assert not judged(declared(backup, expect=expected))["drill.expect"]


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "20 bytes": lambda sql: gzip.compress(b""),
    "cut inside COPY": lambda sql: gzip.compress(sql[: sql.index(b"COPY public.orders") + 5000]),
    "an error page": lambda sql: gzip.compress(b"<html>502</html>\n"),
    "the constraints missing": lambda sql: gzip.compress(sql[: sql.index(b"ADD CONSTRAINT")]),
    "one row twice": lambda sql: gzip.compress(sql.replace(b"\n2\t3\t102\t", b"\n1\t3\t102\t", 1)),
    "gzip cut short": lambda sql: gzip.compress(sql)[:-500],
}


@pytest.mark.parametrize("damage", BROKEN)
def test_a_backup_that_does_not_restore_fails_everything(backup: Path, damage: str) -> None:
    write(backup, BROKEN[damage](gzip.decompress(backup.read_bytes())))
    holds = judged(declared(backup, **EXPECTED))
    assert len(holds) == len(EXPECTED)
    assert not any(holds.values()), holds
    assert records.read("shop") is None


def test_a_dump_of_an_empty_database_fails_by_what_it_holds(backup: Path, dumps: Path) -> None:  # noqa: F811
    write(backup, gzip.compress((dumps / "empty.sql").read_bytes()))
    holds = judged(declared(backup, **EXPECTED))
    empty = {"drill.every", "drill.rto", "drill.sequences_behind"}
    assert {check for check, holding in holds.items() if holding} == empty


def test_without_a_backup_everything_fails(tmp_path: Path) -> None:
    assert not any(judged(declared(tmp_path / "*.sql.gz", **EXPECTED)).values())


@pytest.mark.parametrize(
    ("table", "tolerance", "holds"), [("orders", "5%", True), ("orders", "1%", False), ("lost", "50%", False)]
)
def test_a_backup_is_held_against_the_live_rows(
    backup: Path,
    dumps: Path,  # noqa: F811
    table: str,
    tolerance: str,
    holds: bool,
) -> None:
    url = f"postgresql://postgres@/shop?host={dumps / 'socket'}"
    rows = "select n, 1, 1, now() from generate_series(9001, 9050) n"
    change, back = {
        "orders": (f"insert into orders {rows}", "delete from orders where id > 9000"),
        "lost": ("create table lost as select 1 as id", "drop table lost"),
    }[table]
    ask(url, change)
    try:
        assert judged(declared(backup, live={"url": url, "rows": tolerance}))["drill.rows"] is holds
    finally:
        ask(url, back)


def ask(url: str, statement: str) -> None:
    _, programs = postgres.programs_for(1)
    subprocess.run([programs / "psql", "-q", "-d", url, "-c", statement], check=True)


# Records.


def drilled(spec: Backup) -> Drill:
    facts = Facts(FACTS, lambda leaf: LOCAL)
    leaf = next(iter(leaves(spec, "shop", ("backups", "shop"))))
    found: Drill = facts.get("drill", leaf)
    return found


def age(days: float) -> None:
    """Make the record of the last drill that much older, as time would."""
    record = records.read("shop")
    assert record
    records.write(replace(record, at=int(time.time() - days * 86400)))


def test_a_drill_that_is_recorded_is_not_done_again_until_it_is_due(backup: Path) -> None:
    spec = declared(backup, **EXPECTED)
    first = drilled(spec)
    assert first.age_s == 0
    age(29)
    kept = drilled(spec)
    assert kept.age_s == pytest.approx(29 * 86400, abs=60)
    assert "restored 29d ago" in kept.reason
    assert kept.record and first.record and kept.record.digest == first.record.digest
    age(31)
    assert drilled(spec).age_s == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"expect": {"users": 100, "orders": ">0"}},
        {"newest": {"select min(created_at) from orders": "90d"}},
        {"expect": {"users": ">=101"}},
    ],
    ids=["another question", "another moment", "what was recorded would fail"],
)
def test_a_drill_is_done_again_where_its_record_does_not_answer(backup: Path, changes: dict[str, Any]) -> None:
    drilled(declared(backup, **{**EXPECTED, "expect": {"users": 100}}))
    age(5)
    assert drilled(declared(backup, **{**EXPECTED, "expect": {"users": 100}, **changes})).age_s == 0


def test_a_drill_of_other_files_or_another_server_does_not_stand_for_this_one(
    backup: Path,
    tmp_path: Path,
    dumps: Path,  # noqa: F811
) -> None:
    drilled(declared(backup, **EXPECTED))
    age(5)
    other = write(tmp_path / "other.sql", (dumps / "shop.sql").read_bytes())
    assert drilled(declared(other, **EXPECTED)).age_s == 0
    age(5)
    spec = declared(other, **EXPECTED)
    assert spec.restore_drill
    elsewhere = testinfra.get_host("ssh://db-2.example.com")  # not asked for anything but its name
    seen = observe_artifacts(LOCAL, spec)
    with pytest.raises(CouldNotLook):
        observe_drill(elsewhere, spec, spec.restore_drill, seen, lambda name: LOCAL)
    assert drilled(spec).age_s == pytest.approx(5 * 86400, abs=60)
    write(other, b"")
    gone = observe_artifacts(LOCAL, spec)
    assert observe_drill(LOCAL, spec, spec.restore_drill, gone, lambda name: LOCAL).age_s is None


def test_a_drill_without_every_is_done_each_time(backup: Path) -> None:
    drilled(declared(backup, expect={"users": 100}))
    age(1)
    assert drilled(declared(backup, expect={"users": 100})).age_s == 0


@pytest.mark.parametrize("key", ["at", "took_s", "digest"])
def test_a_record_that_was_changed_by_hand_counts_for_nothing(backup: Path, tmp_path: Path, key: str) -> None:
    drilled(declared(backup, **EXPECTED))
    path = tmp_path / "drills" / "shop.json"
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, key: "0" * 64 if key == "digest" else data[key] + 1}))
    assert records.read("shop") is None


def test_a_record_says_of_which_bytes_it_is(backup: Path) -> None:
    drill = drilled(declared(backup, **EXPECTED))
    assert drill.record and drill.record.digest == hashlib.sha256(backup.read_bytes()).hexdigest()
    assert str(backup) in drill.reason


# Fetching, and what stands in its way.


def test_an_artifact_is_fetched_in_pieces_and_whole(tmp_path: Path) -> None:
    data = os.urandom(20 * 1024 * 1024 + 7)
    write(tmp_path / "it's large.tar", data)
    spec = declared(tmp_path / "*.tar", every="30d")
    newest = observe_artifacts(LOCAL, spec).newest
    assert newest
    fetch(LOCAL, "app-1", newest, tmp_path / "copy", within=60)
    assert (tmp_path / "copy").read_bytes() == data


def test_an_artifact_that_changes_meanwhile_is_not_drilled(backup: Path, tmp_path: Path) -> None:
    spec = declared(backup, every="30d")
    newest = observe_artifacts(LOCAL, spec).newest
    assert newest
    write(backup, backup.read_bytes(), hours_old=0)
    with pytest.raises(CouldNotLook, match="changed while it was fetched"):
        fetch(LOCAL, "app-1", newest, tmp_path / "copy", within=60)


def test_a_drill_has_to_be_allowed_by_name() -> None:
    with pytest.raises(ValidationError, match="into"):
        Backup.model_validate({"on": "app-1", "path": "/b/*.sql", "restore_drill": {"every": "30d"}})


def test_a_drill_that_runs_out_of_time_is_neither_passed_nor_failed(backup: Path) -> None:
    spec = declared(backup, every="30d", within="200ms")
    with pytest.raises(CouldNotLook, match=r"did not end within|in time"):
        drill_now(LOCAL, spec, spec.restore_drill, observe_artifacts(LOCAL, spec), lambda name: LOCAL)  # type: ignore[arg-type]


# The command.


def command(tmp_path: Path, backup: Path, *words: str, users: int = 100) -> subprocess.CompletedProcess[str]:
    (tmp_path / "inventory.yml").write_text(
        f"""
project: shop
servers: {{app-1: {{connect: "local://", memory: {{used: "<100%"}}}}}}
backups:
  shop: {{on: app-1, path: {backup}, restore_drill: {{into: scratch, every: 30d, expect: {{users: {users}}}}}}}
"""
    )
    line = [sys.executable, "-m", "readygate", "drill", *words]
    return subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)


def test_readygate_drill_lists_what_it_would_do_and_does_nothing(tmp_path: Path, backup: Path) -> None:
    said = command(tmp_path, backup)
    assert said.returncode == 0
    assert "shop: the newest of" in said.stdout
    assert "without a network, asked, and removed: at most 1h" in said.stdout
    assert not (tmp_path / "readygate-out").exists()


def test_readygate_drill_says_each_step_and_the_answer(tmp_path: Path, backup: Path) -> None:
    said = command(tmp_path, backup, "shop")
    assert said.returncode == 0, said.stderr
    steps = ("  fetch", "  unpack gzip", "  start PostgreSQL", "  restore", "  ask what is there", "  MET")
    places = [said.stdout.index(f"\n{step}") for step in steps]
    assert places == sorted(places)
    assert (tmp_path / "readygate-out" / "drills" / "shop.json").exists()


@pytest.mark.parametrize(
    ("words", "users", "code", "says"),
    [(("shop",), 7, 1, "FAIL"), (("shup",), 100, 2, "did you mean 'shop'")],
)
def test_readygate_drill_ends_with_the_code_of_what_it_found(
    tmp_path: Path, backup: Path, words: tuple[str, ...], users: int, code: int, says: str
) -> None:
    said = command(tmp_path, backup, *words, users=users)
    assert said.returncode == code
    assert says in said.stdout + said.stderr


# Backups that are folders.


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, dumps: Path) -> Path:  # noqa: F811
    """The shop as a dump in the directory format, and as base backups in plain and in tar format."""
    _, programs = postgres.programs_for(1)
    folder = tmp_path_factory.mktemp("folders")
    where = ["-h", str(dumps / "socket"), "-U", "postgres"]
    subprocess.run([programs / "pg_dump", *where, "-Fd", "-f", folder / "dump", "shop"], check=True)
    for name, words in {"plain": ["-Fp"], "tar": ["-Ft", "-z"]}.items():
        command = [programs / "pg_basebackup", *where, *words, "-X", "stream", "-c", "fast", "-D", folder / name]
        subprocess.run(command, check=True, capture_output=True)
    return folder


FOLDERS = {"dump": "toc.dat", "plain": "backup_manifest", "tar": "backup_manifest"}


@pytest.mark.parametrize("on", [None, "app-1"])
@pytest.mark.parametrize("name", FOLDERS)
def test_a_backup_that_is_a_folder_comes_back_to_life(folders: Path, name: str, on: str | None) -> None:
    named = {} if name == "dump" else {"database": "shop"}
    spec = declared(folders / name / FOLDERS[name], on=on, **EXPECTED, **named)
    holds = judged(spec)
    assert all(holds.values()), (holds, drilled(spec).reason)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_in_an_archive_of_its_own_comes_back_to_life(folders: Path, tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / "shop.tar.gz", "w:gz") as archive:
        archive.add(folders / name, f"backups/{name}")
    named = {} if name == "dump" else {"database": "shop"}
    holds = judged(declared(tmp_path / "shop.tar.gz", **EXPECTED, **named))
    assert all(holds.values()), holds


def test_an_archive_of_a_folder_and_of_more_is_one_of_files(folders: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "all.tar", "w") as archive:
        archive.add(folders / "dump", "dump")
        archive.add(__file__, "code.py")
    spec = declared(tmp_path / "all.tar", expect={"dump/toc.dat": 1, "code.py": 1})
    assert judged(spec)["drill.expect"]


SPOILED: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "a table's rows are gone": ("dump", lambda folder: max(folder.glob("*.gz")).unlink(), "No such file"),
    "the WAL is gone": ("plain", lambda folder: [each.unlink() for each in wal_of(folder)], "checkpoint|WAL"),
    "the tar of the WAL is gone": ("tar", lambda folder: (folder / "pg_wal.tar.gz").unlink(), "checkpoint|WAL"),
    "the tar was cut short": ("tar", lambda folder: os.truncate(folder / "base.tar.gz", 900_000), "tar stopped"),
    "the control file is gone": ("plain", lambda folder: (folder / "global/pg_control").unlink(), "pg_control"),
}


def wal_of(folder: Path) -> list[Path]:
    return [each for each in (folder / "pg_wal").iterdir() if len(each.name) == 24]


@pytest.mark.parametrize("damage", SPOILED)
def test_a_folder_that_was_spoiled_does_not_restore(folders: Path, tmp_path: Path, damage: str) -> None:
    name, spoil, reason = SPOILED[damage]
    shutil.copytree(folders / name, tmp_path / name)
    spoil(tmp_path / name)
    spec = declared(tmp_path / name / FOLDERS[name], every="30d", database="shop")
    seen = drill_now(LOCAL, spec, spec.restore_drill, observe_artifacts(LOCAL, spec), lambda name: LOCAL)  # type: ignore[arg-type]
    assert seen.age_s is None
    assert re.search(reason, seen.reason)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_is_sound_until_something_in_it_is_cut(folders: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(folders / name, tmp_path / name)
    path = {"on": "app-1", "path": str(tmp_path / name / FOLDERS[name]), "sound": True}
    assert held("backups", path) == {"backup.sound": True}
    # Of the last segment of WAL only the beginning is a part of the backup.
    files = [each for each in (tmp_path / name).rglob("*") if each.is_file() and each.parent.name != "pg_wal"]
    largest = max(files, key=lambda each: each.stat().st_size)
    os.truncate(largest, largest.stat().st_size // 2)
    assert held("backups", path) == {"backup.sound": False}


# On the server that has the backup.


@pytest.fixture
def scratch_place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where all drills of a test make their folders, and nobody else's do."""
    with folder_of("nobody") as folder:
        monkeypatch.setenv("TMPDIR", str(folder))
        yield folder


def test_a_backup_is_drilled_where_it_lies(
    backup: Path,
    dumps: Path,  # noqa: F811
    scratch_place: Path,
) -> None:
    live = {"url": f"postgresql://postgres@/shop?host={dumps / 'socket'}", "rows": "1%"}
    holds = judged(declared(backup, on="app-1", **EXPECTED, live=live))
    assert len(holds) == len(EXPECTED) + 1
    assert all(holds.values()), holds
    record = records.read("shop")
    assert record and record.digest == hashlib.sha256(backup.read_bytes()).hexdigest()
    assert record.steps[0][0].startswith(f"copy {backup}")
    assert not list(scratch_place.iterdir())


def test_what_does_not_restore_where_it_lies_fails(backup: Path) -> None:
    write(backup, gzip.compress(gzip.decompress(backup.read_bytes())[:20000]))
    assert not any(judged(declared(backup, on="app-1", **EXPECTED)).values())
    assert not any(judged(declared(backup, on="app-1", **TOO_MUCH)).values())


@pytest.mark.parametrize(
    ("path", "programs", "reason"),
    [
        ("/nowhere", ("sh", "timeout"), "not found"),
        ("/nowhere", ("sh", "timeout", "python3"), "on app-1: .*No such file"),
    ],
)
def test_a_server_that_can_not_drill_says_nothing_of_the_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, programs: tuple[str, ...], reason: str
) -> None:
    (tmp_path / "bin").mkdir()
    for name in programs:
        (tmp_path / "bin" / name).symlink_to(sys.executable if name == "python3" else shutil.which(name) or name)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    spec = declared(Path(path), on="app-1", every="30d")
    seen = Artifacts((Artifact(path, 1000, 0o600, 0),), 0)
    with pytest.raises(CouldNotLook, match=reason):
        drill_now(LOCAL, spec, spec.restore_drill, seen, lambda name: LOCAL)  # type: ignore[arg-type]


def test_a_drill_is_on_the_server_of_the_backup_or_here() -> None:
    with pytest.raises(ValidationError, match="can't be drilled on db-2"):
        declared(Path("/b/shop.sql"), on="db-2", every="30d")


@pytest.mark.parametrize("after_s", [0.3, 0.8, 1.5])
def test_a_drill_elsewhere_ends_with_whoever_asked_for_it(backup: Path, after_s: float, scratch_place: Path) -> None:
    questions = {"values": ["select pg_sleep(60)::text"], "moments": [], "database": None}
    limits = {"decrypt": None, "within": 60, "disk": 2**30, "memory": 2**31}
    line = there.command({"path": str(backup), "questions": questions, **limits})
    drill = subprocess.Popen(["sh", "-c", line], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(after_s)
    assert drill.poll() is None
    assert drill.stdout and drill.stderr
    drill.stdout.close()
    drill.stderr.close()  # as a connection does that is lost
    drill.wait(20)
    end = time.monotonic() + 15
    while any(scratch_place.iterdir()):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_backup_is_drilled_on_a_real_server(fresh_host: Target, dumps: Path) -> None:  # noqa: F811
    fresh_host.run("mkdir -p /backups")
    fresh_host.write("/backups/shop.sql", (dumps / "shop.sql").read_text())
    host = testinfra.get_host(fresh_host.hostspec, sudo=True)
    spec = declared(Path("/backups/shop.sql"), on="app-1", expect={"users": 100})
    seen = drill_now(host, spec, spec.restore_drill, observe_artifacts(host, spec), lambda name: host)  # type: ignore[arg-type]
    assert seen.answer("users") == 100
    assert "PostgreSQL 15" in seen.reason
    assert host.run("ls -d /tmp/readygate-drill-*").exit_status
