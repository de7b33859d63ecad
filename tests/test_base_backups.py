"""Base backups of a real server with tablespaces come back to life, and nothing outside of the drill is touched."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from readygate.areas.backups.backup import Backup
from readygate.areas.backups.listing import observe_artifacts
from readygate.areas.backups.restore_drills import Drill, drill_now
from readygate.drills import base_backup, confined, records, warden
from readygate.drills.outcome import Questions
from readygate.drills.scratch import Limits, scratch
from readygate.errors import CouldNotLook
from tests.database_servers import PROGRAMS, Postgres, do, folder_of, new_postgres
from tests.holding import LOCAL, held

HELD = {"select count(*) from orders": 500, "select count(*) from customers": 40}


@dataclass(frozen=True, slots=True)
class Made:
    """A server with two tablespaces in `live`, and backups of it in `folder`, by name."""

    server: Postgres
    live: Path
    folder: Path


@pytest.fixture(scope="module")
def made() -> Iterator[Made]:
    with new_postgres() as server, folder_of("postgres") as home:
        live, folder = home / "live", home / "backups"
        for each in (live, folder, live / "fast", live / "idle"):
            each.mkdir()
            if os.geteuid() == 0:
                shutil.chown(each, "postgres")
        server.do(f"create tablespace fast location '{live / 'fast'}'", name="postgres")
        server.do(f"create tablespace idle location '{live / 'idle'}'", name="postgres")
        server.do(
            "create table orders (id integer primary key) tablespace fast",
            "insert into orders select generate_series(1, 500)",
            "create table customers (id integer)",
            "insert into customers select generate_series(1, 40)",
        )
        taken = Made(server, live, folder)
        back_up(taken, "tar", "-Ft", "-X", "stream")
        back_up(taken, "packed", "-Ft", "-z", "-X", "stream")
        beside = [f"--tablespace-mapping={live / name}={folder / 'plain' / name}" for name in ("fast", "idle")]
        back_up(taken, "plain/base", "-Fp", "-X", "stream", f"--waldir={folder / 'plain/wal'}", *beside)
        yield taken


def back_up(made: Made, name: str, *words: object) -> None:
    where = ["-d", made.server.by_socket, "-c", "fast", "-D", made.folder / name]
    do(PROGRAMS / "pg_basebackup", *where, *words, user="postgres")


def drilled(path: Path, on: str | None = None, **more: Any) -> Drill:
    drill = {"into": "scratch", "database": "shop", "expect": HELD, **({"on": on} if on else {}), **more}
    spec = Backup.model_validate({"on": "app-1", "path": str(path / "backup_manifest"), "restore_drill": drill})
    spec._named("shop")
    assert spec.restore_drill
    return drill_now(LOCAL, spec, spec.restore_drill, observe_artifacts(LOCAL, spec), lambda name: LOCAL)


@pytest.fixture(autouse=True)
def kept(tmp_path: Path) -> None:
    records.keep_in(tmp_path)


def state_of(*folders: Path) -> dict[str, tuple[int, int]]:
    """What is there: every file with its size, and when it was last changed."""
    files = [file for folder in folders for file in folder.rglob("*")]
    return {str(each): (each.lstat().st_size, each.lstat().st_mtime_ns) for each in files}


NAMES = {"tar": "tar", "packed": "packed", "plain": "plain/base"}


@pytest.mark.parametrize("on", [None, "app-1"], ids=["here", "where it lies"])
@pytest.mark.parametrize("name", NAMES)
def test_a_base_backup_with_tablespaces_comes_back_to_life(made: Made, name: str, on: str | None) -> None:
    before = state_of(made.live, made.folder)
    seen = drilled(made.folder / NAMES[name], on)
    assert {question: seen.answer(question) for question in HELD} == HELD, seen.reason
    assert state_of(made.live, made.folder) == before


@pytest.mark.parametrize("name", NAMES)
def test_a_base_backup_with_tablespaces_is_sound(made: Made, name: str) -> None:
    path = made.folder / NAMES[name] / "backup_manifest"
    assert held("backups", {"on": "app-1", "path": str(path), "sound": True})["backup.sound"]


def spoil_a_row(folder: Path) -> None:
    largest = max((folder / "pg_tblspc").resolve().rglob("[0-9]*"), key=lambda each: each.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-1] + b"!")


def gone(pattern: str) -> Callable[[Path], object]:
    def take_away(folder: Path) -> None:
        for each in folder.glob(pattern):
            shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()

    return take_away


def cut(pattern: str) -> Callable[[Path], object]:
    def cut_short(folder: Path) -> None:
        largest = max(folder.glob(pattern), key=lambda each: each.stat().st_size)
        os.truncate(largest, largest.stat().st_size // 2)

    return cut_short


SPOILED: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "the tar of a tablespace was not copied": ("tar", gone("[0-9]*.tar"), "tablespace [0-9]+ is not in it"),
    "a packed tablespace was not copied": ("packed", gone("[0-9]*.tar.gz"), "tablespace [0-9]+ is not in it"),
    "a tablespace was cut short": ("tar", cut("[0-9]*.tar"), "tar stopped|manifest"),
    "the links were not copied": ("plain/base", gone("pg_tblspc/*"), "tablespace [0-9]+ is not in it"),
    "the folder of a tablespace is gone": ("plain/base", gone("../fast"), "tablespace [0-9]+ is not in it"),
    "a file in a tablespace is cut": ("plain/base", cut("../fast/PG_*/*/[0-9]*"), "manifest"),
    "a tablespace is there without its files": ("plain/base", gone("../fast/PG_*/*/[0-9]*"), "manifest"),
}


def spoiled(made: Made, to: Path, damage: str) -> tuple[Path, str]:
    name, spoil, reason = SPOILED[damage]
    around = name.partition("/")[0]
    shutil.copytree(made.folder / around, to / around, symlinks=True)
    for link in (to / around).rglob("*"):
        if link.is_symlink() and link.readlink().is_absolute():
            beside = to / around / link.readlink().name
            link.unlink()
            link.symlink_to(beside)
    spoil(to / name)
    return to / name, reason


@pytest.mark.parametrize("damage", SPOILED)
def test_a_base_backup_without_all_of_its_tablespaces_does_not_restore(
    made: Made, tmp_path: Path, damage: str
) -> None:
    before = state_of(made.live)
    path, reason = spoiled(made, tmp_path, damage)
    seen = drilled(path, "app-1" if "copied" in damage else None)
    assert seen.answer("select count(*) from orders") is None
    assert re.search(reason, seen.reason), seen.reason
    assert state_of(made.live) == before


@pytest.mark.parametrize("damage", SPOILED)
def test_a_base_backup_without_all_of_its_tablespaces_is_not_sound(made: Made, tmp_path: Path, damage: str) -> None:
    path, _ = spoiled(made, tmp_path, damage)
    declared = {"on": "app-1", "path": str(path / "backup_manifest"), "sound": True}
    assert not held("backups", declared)["backup.sound"]


@pytest.mark.parametrize("on", [None, "app-1"], ids=["here", "where it lies"])
def test_a_link_to_the_living_tablespace_is_no_backup_of_it(made: Made, tmp_path: Path, on: str | None) -> None:
    """What `cp -a` makes of a server's folder: the drill would read, and write, what the server itself lives on."""
    shutil.copytree(made.folder / "plain/base", tmp_path / "copied/base", symlinks=True)
    for link in (tmp_path / "copied/base/pg_tblspc").iterdir():
        name = link.readlink().name
        link.unlink()
        link.symlink_to(made.live / name)
    (tmp_path / "copied/base/pg_wal").unlink()
    shutil.copytree(made.folder / "plain/wal", tmp_path / "copied/base/pg_wal")
    before = state_of(made.live)
    with pytest.raises(CouldNotLook, match="which is not a part of the backup"):
        drilled(tmp_path / "copied/base", on)
    assert state_of(made.live) == before


def test_a_link_in_an_archive_leads_nowhere(made: Made, tmp_path: Path) -> None:
    """Tools other than pg_basebackup pack links as they are."""
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o777)
    outside.chmod(0o777)
    tmp_path.chmod(0o755)
    (tmp_path / "data").mkdir()
    do("tar", "-xf", made.folder / "tar/base.tar", "-C", tmp_path / "data")
    shutil.rmtree(tmp_path / "data/pg_wal", ignore_errors=True)
    (tmp_path / "data/pg_wal").symlink_to(outside)
    shutil.copytree(made.folder / "tar", tmp_path / "again")
    do("tar", "-cf", tmp_path / "again/base.tar", "-C", tmp_path / "data", ".")
    seen = drilled(tmp_path / "again")
    assert {question: seen.answer(question) for question in HELD} == HELD, seen.reason
    assert not list(outside.iterdir())


def test_a_tablespace_that_is_made_while_the_backup_runs_is_not_written_to(made: Made, tmp_path: Path) -> None:
    """Its place is told by the log alone; replaying that would empty the living one."""
    late = made.live.parent / "late"
    late.mkdir()
    if os.geteuid() == 0:
        shutil.chown(late, "postgres")
    back_up(made, "before", "-Fp", "-X", "none", *mapped(made, "before"))
    made.server.do(f"create tablespace late location '{late}'", name="postgres")
    made.server.do("create table kept (id integer) tablespace late", "insert into kept values (1)")
    try:
        made.server.do("select pg_switch_wal()")
        for segment in (made.server.folder / "pg_wal").glob("0*"):
            shutil.copy(segment, made.folder / "before/base/pg_wal") if segment.is_file() else None
        for each in (late, *late.rglob("*")):
            each.chmod(0o777)  # so that no missing right is what keeps the drill out
        before = state_of(late)
        with pytest.raises(CouldNotLook, match="a tablespace was made"):
            drilled(made.folder / "before/base")
        assert state_of(late) == before
    finally:
        made.server.do("drop table kept")
        made.server.do("drop tablespace late", name="postgres")


def mapped(made: Made, name: str) -> list[str]:
    return [
        *(f"--tablespace-mapping={made.live / each}={made.folder / name / each}" for each in ("fast", "idle")),
        "-D",
        str(made.folder / name / "base"),
    ]


def test_without_what_keeps_it_in_its_folder_a_base_backup_is_not_brought_up(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base_backup, "unprivileged", lambda: None)
    with scratch(Limits(60, 2**30, 2**31)) as place:
        place.is_confined = False
        with pytest.raises(CouldNotLook, match="can't keep a base backup"):
            base_backup.restore_base_backup(place, made.folder / "tar", Questions((), (), None))


@pytest.mark.skipif(not hasattr(os, "O_PATH"), reason="this is no Linux")
def test_what_a_drill_starts_can_write_in_its_folder_only(tmp_path: Path) -> None:
    with folder_of("nobody") as outside, scratch(Limits(60, 2**30, 2**31)) as place:
        if not place.is_confined:
            pytest.skip("this kernel has no Landlock")
        (outside / "kept").write_text("kept")
        (outside / "kept").chmod(0o666)
        outside.chmod(0o777)
        for attempt in (
            f"echo changed > {outside / 'kept'}",
            f"rm -f {outside / 'kept'}",
            f"mv {outside / 'kept'} {place.folder}/taken",
            f"mkdir {outside / 'made'}",
            f"ln -s {outside} way; echo changed > way/kept",
        ):
            assert place.run(["sh", "-c", attempt]).exit, attempt
        assert state_of(outside).keys() == {str(outside / "kept")}
        assert (outside / "kept").read_text() == "kept"
        assert not place.run(["sh", "-c", "mkdir a b; touch a/here; mv a/here b; echo >/dev/null"]).exit


def test_a_kernel_without_landlock_has_no_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert warden.rules_for is confined.rules_for
    monkeypatch.setattr(confined, "_CREATE_RULESET", 10**6)  # as a kernel answers that does not know the call
    assert confined.rules_for(tmp_path) is None


@pytest.mark.parametrize(
    ("name", "words"),
    [("shop.sql", ["pg_dump"]), ("shop.dump", ["pg_dump", "--format=custom"]), ("all.sql", ["pg_dumpall"])],
)
def test_a_dump_of_a_database_with_tablespaces_is_restored_without_them(
    made: Made, tmp_path: Path, name: str, words: list[str]
) -> None:
    before = state_of(made.live)
    do(PROGRAMS / words[0], *words[1:], f"--dbname={made.server.by_socket}", f"--file={tmp_path / name}")
    drill = {"into": "scratch", "expect": HELD}
    spec = Backup.model_validate({"on": "app-1", "path": str(tmp_path / name), "restore_drill": drill})
    spec._named("shop")
    assert spec.restore_drill
    if name == "all.sql":  # it makes its tablespaces where the server had them
        with pytest.raises(CouldNotLook, match="makes the tablespace fast where") as caught:
            drill_now(LOCAL, spec, spec.restore_drill, observe_artifacts(LOCAL, spec), lambda name: LOCAL)
        assert "--no-tablespaces" in caught.value.mend
    else:
        seen = drill_now(LOCAL, spec, spec.restore_drill, observe_artifacts(LOCAL, spec), lambda name: LOCAL)
        assert {question: seen.answer(question) for question in HELD} == HELD, seen.reason
    assert state_of(made.live) == before


def failing(path: Path, **declared: Any) -> set[str]:
    holds = held("backups", {"on": "app-1", "path": str(path), **declared})
    return {check.partition(".")[2] for check, holding in holds.items() if not holding}


@pytest.mark.parametrize("name", ["tar", "plain"])
def test_all_of_a_base_backup_is_weighed_and_not_its_manifest(made: Made, tmp_path: Path, name: str) -> None:
    for day in (3, 2, 1):
        folder = tmp_path / f"day-{day}"
        shutil.copytree(made.folder / NAMES[name], folder)
        then = folder.stat().st_mtime - day * 86400
        os.utime(folder / "backup_manifest", (then, then))
    manifests, newest = tmp_path / "day-*" / "backup_manifest", tmp_path / "day-1"
    room = shutil.disk_usage(tmp_path).free // sum(
        each.stat().st_size for each in newest.rglob("*") if each.is_file()
    )
    assert failing(manifests, size="15M", shrink="10%", mode="0600", room_for=max(1, room * 3 // 4)) == set()
    assert failing(manifests, room_for=room * 4 // 3 + 2) == {"room_for"}
    largest = max((each for each in newest.rglob("*") if each.is_file()), key=lambda each: each.stat().st_size)
    largest.chmod(0o644)
    assert failing(manifests, mode="0600") == set()  # nobody else may go into the folder
    newest.chmod(0o755)
    assert failing(manifests, mode="0600") == {"mode"}
    for each in newest.rglob("*"):
        if each.is_file() and each.name != "backup_manifest":
            each.write_bytes(b"")
    assert failing(manifests, size="15M", shrink="10%") == {"size", "shrink"}
