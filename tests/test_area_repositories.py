"""Repositories of restic, borg and pgBackRest, made by the tools themselves, sound and damaged."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from readygate.areas.backups.repositories import (
    BackupRepository,
    Snapshot,
    parse_borg,
    parse_pgbackrest,
    parse_restic,
)
from readygate.drills import postgres
from readygate.errors import CouldNotLook
from tests.database_servers import as_user, folder_of
from tests.holding import held

EXPECTED = {"rpo": "1h", "count": 2, "size": "250K", "whole": True}


def shell(folder: Path, script: str, user: str | None = None) -> None:
    """Run a script in the folder with nothing of our surroundings, and say what it said where it failed."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "RESTIC_PASSWORD": "ours", "LC_ALL": "C"}
    ran = subprocess.run(
        [*as_user(user), "sh", "-ec", script],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        umask=0o022,
        timeout=300,
        check=False,
    )
    assert not ran.returncode, f"{ran.stdout[-2000:]}\n{ran.stderr[-2000:]}"


def restic(folder: Path) -> dict[str, Any]:
    (folder / "env").write_text("RESTIC_PASSWORD=ours\n")
    (folder / "data").write_bytes(os.urandom(300_000))
    shell(folder, "restic init -q -r repo; for n in 1 2; do restic backup -q -r repo data; done")
    return {"tool": "restic", "at": f"{folder}/repo", "settings": f"{folder}/env"}


def borg(folder: Path) -> dict[str, Any]:
    (folder / "data").write_bytes(os.urandom(300_000))
    shell(folder, "borg init -e none repo; for n in 1 2; do borg create repo::$n data; done")
    return {"tool": "borg", "at": f"{folder}/repo"}


def pgbackrest(folder: Path) -> dict[str, Any]:
    _, programs = postgres.programs_for(1)
    user = "nobody" if os.geteuid() == 0 else None
    where = f"repo1-path={folder}/repo\nlog-path={folder}\nlock-path={folder}/lock\nspool-path={folder}/spool"
    waits = "start-fast=y\narchive-timeout=250"  # a busy machine takes its time
    server = f"pg1-user=postgres\npg1-socket-path={folder}\npg1-path={folder}/data"
    (folder / "conf").write_text(f"[global]\n{where}\n{waits}\n[shop]\n{server}\n")
    ask = f"pgbackrest --config={folder}/conf --stanza=shop"
    settings = "-c listen_addresses= -c fsync=off -c shared_buffers=16MB -c dynamic_shared_memory_type=mmap"
    control = f"{programs}/pg_ctl -D data -w -t 250"
    shell(
        folder,
        f"{programs}/initdb -D data -A trust -N -U postgres --locale=C >/dev/null\n"
        f"echo \"archive_mode=on\narchive_command='{ask} archive-push %p'\" >> data/postgresql.conf\n"
        f"{control} -l log -o '-k {folder} {settings}' start\n"
        f"trap '{control} -m immediate stop' EXIT\n"
        f"{ask} stanza-create; {ask} backup --type=full\n"
        f"psql='{programs}/psql -X -q -h {folder} -U postgres -d postgres'\n"
        'for n in 1 2 3; do $psql -c "create table t$n as select 1" -c "select pg_switch_wal()" >/dev/null; done\n'
        f"{ask} backup --type=full",
        user,
    )
    return {"tool": "pgbackrest", "at": "shop", "settings": f"{folder}/conf"}


MADE: dict[str, Callable[[Path], dict[str, Any]]] = {"restic": restic, "borg": borg, "pgbackrest": pgbackrest}
PACKS = {"restic": "repo/data/*/*", "borg": "repo/data/0/*", "pgbackrest": "repo/backup/shop/*F/pg_data/base/1/*.gz"}


@pytest.fixture(scope="session", params=MADE)
def made(request: pytest.FixtureRequest) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A sound repository, and how it is declared; it takes its tool a while to make."""
    if not shutil.which(request.param) or (request.param == "pgbackrest" and not postgres.installed()):
        pytest.skip(f"there is no {request.param} on this machine")
    with folder_of("nobody") as folder:
        yield folder, MADE[request.param](folder)


@pytest.fixture
def repository(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> dict[str, Any]:
    """A copy of it, to break."""
    folder, settings = made
    shutil.copytree(folder / "repo", tmp_path / "repo")
    copied = {key: value.replace(str(folder), str(tmp_path)) for key, value in settings.items()}
    for name in ("env", "conf"):
        if (folder / name).exists():
            (tmp_path / name).write_text((folder / name).read_text().replace(str(folder), str(tmp_path)))
    return copied


def declared(repository: dict[str, Any], **expected: Any) -> dict[str, Any]:
    return {"on": "app-1", **repository, **expected}


def test_a_sound_repository_holds(repository: dict[str, Any]) -> None:
    holds = held("backup_repositories", declared(repository, **EXPECTED))
    assert len(holds) == len(EXPECTED)
    assert all(holds.values()), holds


def test_a_repository_with_other_bytes_in_it_is_not_whole(repository: dict[str, Any], tmp_path: Path) -> None:
    pack = max(tmp_path.glob(PACKS[repository["tool"]]), key=lambda path: path.stat().st_size)
    pack.chmod(0o600)
    data = pack.read_bytes()
    at = len(data) // 2
    pack.write_bytes(data[:at] + bytes(each ^ 255 for each in data[at : at + 8]) + data[at + 8 :])
    assert not held("backup_repositories", declared(repository, whole=True))["backup_repository.whole"]


TODAY = datetime.now(UTC).replace(microsecond=0)
LADDER = {"daily": 3, "weekly": 2, "monthly": 2, "oldest": "80d", "reaches": "30d"}


def made_at(tool: str, folder: Path, ages: Iterable[timedelta]) -> dict[str, Any]:
    """A repository with a backup of each age, in the tool's own words."""
    (folder / "data").write_bytes(b"kept")
    (folder / "env").write_text("RESTIC_PASSWORD=ours\n")
    moments = [TODAY - age for age in ages]
    if tool == "restic":
        each = [f"restic backup -q -r repo --time '{at.astimezone():%Y-%m-%d %H:%M:%S}' data" for at in moments]
        shell(folder, "\n".join(["restic init -q -r repo", *each]))
        return {"tool": "restic", "at": f"{folder}/repo", "settings": f"{folder}/env"}
    each = [f"borg create --timestamp {at:%Y-%m-%dT%H:%M:%S} repo::{n} data" for n, at in enumerate(moments)]
    shell(folder, "\n".join(["borg init -e none repo", *each]))
    return {"tool": "borg", "at": f"{folder}/repo"}


@pytest.mark.parametrize("tool", ["restic", "borg"])
def test_a_schedule_and_a_ladder_hold_or_fail_in_a_repository(tool: str, tmp_path: Path) -> None:
    if not shutil.which(tool):
        pytest.skip(f"there is no {tool} on this machine")
    hour = f"{TODAY.astimezone() - timedelta(hours=1):%M %H} * * *"
    kept = [timedelta(days=days, hours=1) for days in (0, 1, 2, 8, 33)]
    whole = declared(made_at(tool, tmp_path, kept), schedule=hour, grace="10m", missed=0, retention=LADDER)
    assert all(held("backup_repositories", whole).values())
    (tmp_path / "late").mkdir()
    late = [timedelta(days=2, hours=2), timedelta(days=5), timedelta(days=100)]
    holds = held("backup_repositories", {**whole, **made_at(tool, tmp_path / "late", late)})
    failing = {"backup_repository.missed", *(f"repository_retention.{rung}" for rung in ("daily", "oldest"))}
    assert failing <= {check for check, holding in holds.items() if not holding}
    (tmp_path / "short").mkdir()
    holds = held("backup_repositories", {**whole, **made_at(tool, tmp_path / "short", kept[:2])})
    assert {check.rpartition(".")[2] for check, holding in holds.items() if not holding} >= {"daily", "reaches"}
    with pytest.raises(ValidationError, match="counts the runs of a schedule"):
        BackupRepository.model_validate(declared({"tool": tool, "at": "repo"}, missed=0))


@pytest.mark.parametrize("made", ["restic"], indirect=True)
def test_a_lock_that_a_killed_backup_left_is_seen(repository: dict[str, Any], tmp_path: Path) -> None:
    locked = declared(repository, lock_age="1s", rpo="1h")
    assert all(held("backup_repositories", locked).values())
    endless = (
        "restic backup -q -r repo --stdin </dev/zero & while ! ls repo/locks/* >/dev/null 2>&1; do sleep 0.1; done"
    )
    shell(tmp_path, f"{endless}; kill -9 $!; sleep 2")
    assert held("backup_repositories", locked) == {"backup_repository.lock_age": False, "backup_repository.rpo": True}
    assert held("backup_repositories", {**locked, "lock_age": "1h"})["backup_repository.lock_age"]
    with pytest.raises(ValidationError, match="`lock_age` is of restic"):
        BackupRepository.model_validate(declared({"tool": "borg", "at": "repo"}, lock_age="1h"))


@pytest.mark.parametrize("made", ["borg", "pgbackrest"], indirect=True)  # restic asks for it for 40 s
def test_a_repository_with_a_pack_gone_is_not_whole(repository: dict[str, Any], tmp_path: Path) -> None:
    max(tmp_path.glob(PACKS[repository["tool"]]), key=lambda path: path.stat().st_size).unlink()
    assert not held("backup_repositories", declared(repository, whole=True))["backup_repository.whole"]


def test_a_repository_that_nothing_was_added_to_fails(repository: dict[str, Any]) -> None:
    time.sleep(2.1)
    holds = held("backup_repositories", declared(repository, rpo="1s", count=3))
    assert holds == {"backup_repository.rpo": False, "backup_repository.count": False}


@pytest.mark.parametrize("field", [{"rpo": "1h"}, {"whole": True}])
def test_a_repository_that_is_not_there_is_never_a_sound_one(
    repository: dict[str, Any], field: dict[str, Any]
) -> None:
    nowhere = declared({**repository, "at": f"{repository['at']}-not"}, **field)
    try:
        assert not any(held("backup_repositories", nowhere).values())
    except CouldNotLook as error:
        assert "can't open the repository" in error.reason


def test_a_wrong_password_says_nothing_of_the_repository(tmp_path: Path) -> None:
    if not shutil.which("restic"):
        pytest.skip("there is no restic on this machine")
    made = restic(tmp_path)
    (tmp_path / "env").write_text("RESTIC_PASSWORD=another\n")
    for field in ({"rpo": "1h"}, {"whole": True}):
        with pytest.raises(CouldNotLook, match="wrong password"):
            held("backup_repositories", declared(made, **field))


def test_a_tool_that_is_missing_says_nothing_of_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/sbin:/sbin")
    (tmp_path / "bin").mkdir()
    for tool in ("sh", "timeout", "date", "mktemp", "rm"):
        (tmp_path / "bin" / tool).symlink_to(
            next(p for p in (Path("/bin", tool), Path("/usr/bin", tool)) if p.exists())
        )
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for tool in MADE:
        for field in ({"rpo": "1h"}, {"whole": True}):
            with pytest.raises(CouldNotLook, match="not found"):
                held("backup_repositories", declared({"tool": tool, "at": "/nowhere"}, **field))


def test_what_the_tools_list_is_read() -> None:
    assert parse_restic('[{"time": "2026-11-21T02:38:47.629802194Z", "id": "a1"}]') == [Snapshot(1795228727, "a1")]
    borgs = '{"archives": [{"name": "one", "start": "2026-11-21T02:38:50.000000"}, {"name": "two.checkpoint"}]}'
    assert parse_borg(borgs) == [Snapshot(1795228730, "one")]
    backup = '"label": "5F", "info": {"size": 9}, "timestamp": {"stop": 5}'
    infos = f'[{{"backup": [{{"error": false, {backup}}}, {{"error": true, {backup}}}]}}]'
    assert parse_pgbackrest(infos) == [Snapshot(5, "5F", 9)]


# What only one of them can suffer.


@pytest.mark.parametrize("made", ["restic"], indirect=True)
def test_a_lock_that_was_left_in_a_repository_keeps_nobody_from_looking(
    repository: dict[str, Any], tmp_path: Path
) -> None:
    holding = subprocess.Popen(
        ["restic", "-q", "-r", f"{tmp_path}/repo", "backup", "--no-cache", "--stdin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "RESTIC_PASSWORD": "ours"},
    )
    end = time.monotonic() + 60
    while not any((tmp_path / "repo" / "locks").iterdir()):
        assert time.monotonic() < end
        time.sleep(0.05)
    holding.kill()
    holding.wait()
    assert all(held("backup_repositories", declared(repository, **EXPECTED)).values())


@pytest.mark.parametrize("made", ["pgbackrest"], indirect=True)
def test_an_archive_of_wal_with_a_gap_is_not_whole(repository: dict[str, Any], tmp_path: Path) -> None:
    segments = sorted(path for path in tmp_path.glob("repo/archive/shop/*/*/*") if path.suffix == ".gz")
    segments[len(segments) // 2].unlink()
    assert not held("backup_repositories", declared(repository, whole=True))["backup_repository.whole"]


# A repository that was copied is another one to borg.
BORG_MAY = "export BORG_RELOCATED_REPO_ACCESS_IS_OK=yes BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes"
SHARED = {
    "restic": (
        "mkdir empty; restic backup -q -r repo --host other --tag weekly empty",
        {"host": "other", "tag": "weekly"},
        {"path": "{folder}/data"},
    ),
    "borg": ("mkdir empty; borg create repo::other-1 empty", {"archives": "other-*"}, {"archives": "[12]"}),
}


@pytest.mark.parametrize("made", SHARED, indirect=True)
def test_an_empty_backup_of_another_server_does_not_stand_for_ours(
    repository: dict[str, Any], made: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    script, other, ours = SHARED[repository["tool"]]
    mine = {name: value.format(folder=made[0]) for name, value in ours.items()}
    time.sleep(8)
    begun = time.time()
    shell(tmp_path, f"{BORG_MAY}\n{script}")
    everything = declared(repository, size="250K", rpo=f"{int(time.time() - begun) + 8}s")
    size, rpo = "backup_repository.size", "backup_repository.rpo"
    assert held("backup_repositories", everything) == {size: False, rpo: True}
    assert held("backup_repositories", {**everything, **other}) == {size: False, rpo: True}
    assert held("backup_repositories", {**everything, **mine}) == {size: True, rpo: False}
    assert held("backup_repositories", {**everything, **mine, "rpo": "1h"}) == {size: True, rpo: True}


@pytest.mark.parametrize("made", ["restic", "borg"], indirect=True)
def test_of_nobody_there_is_no_backup(repository: dict[str, Any]) -> None:
    nobody = {"restic": {"host": "nobody"}, "borg": {"archives": "nobody-*"}}[repository["tool"]]
    holds = held("backup_repositories", declared(repository, **nobody, rpo="1h", count=1, size=1))
    assert not any(holds.values()), holds


def test_what_another_tool_does_not_know_is_refused() -> None:
    for tool, given in (("borg", {"host": "a"}), ("restic", {"archives": "a-*"}), ("pgbackrest", {"tag": "a"})):
        with pytest.raises(ValidationError, match=f"this is a repository of {tool}"):
            BackupRepository.model_validate({"on": "app-1", "tool": tool, "at": "x", "rpo": "1d", **given})
