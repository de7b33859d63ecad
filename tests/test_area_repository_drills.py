"""A restore out of a repository of restic or borg: what is sound comes back to life, and what is not fails."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from readygate.areas.backups.repositories import BackupRepository
from readygate.drills import postgres, records
from readygate.drills.there import found
from readygate.errors import CouldNotLook
from tests.database_servers import folder_of
from tests.test_area_repositories import BORG_MAY, PACKS, shell
from tests.test_area_restore_drills import age, drilled, judged
from tests.test_drills import dumps  # noqa: F401 - a fixture

pytestmark = pytest.mark.skipif(not postgres.installed(), reason="there is no PostgreSQL on this machine")

FILE = "/var/backups/shop-*.sql.gz"
DRILL: dict[str, Any] = {
    "every": "30d",
    "rto": "5m",
    "expect": {"users": 100},
    "newest": {"select max(created_at) from orders": "26h"},
    "tables": 3,
}
MAKE = {"restic": "restic init -q -r repo", "borg": "borg init -e none repo"}
ADD = {
    "restic": "restic backup -q -r repo {words} var",
    "borg": f"{BORG_MAY}\nborg create repo::{{words}}$(date +%s.%N) var",
}


@pytest.fixture(autouse=True)
def kept_here(tmp_path: Path) -> None:
    records.keep_in(tmp_path)


@pytest.fixture
def scratch_place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where all drills of a test make their folders, and nobody else's do."""
    with folder_of("nobody") as folder:
        monkeypatch.setenv("TMPDIR", str(folder))
        yield folder


@pytest.fixture(params=MAKE)
def repository(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    dumps: Path,  # noqa: F811
    scratch_place: Path,
) -> dict[str, Any]:
    """One with a dump of yesterday, which has no rows in it, and that of today, which has."""
    tool = request.param
    if not shutil.which(tool):
        pytest.skip(f"there is no {tool} on this machine")
    (tmp_path / "env").write_text("RESTIC_PASSWORD=ours\n")
    (tmp_path / "var" / "backups").mkdir(parents=True)
    write(tmp_path, "shop-1.sql.gz", gzip.compress((dumps / "empty.sql").read_bytes()), hours_old=24)
    write(tmp_path, "shop-2.sql.gz", gzip.compress((dumps / "shop.sql").read_bytes()), hours_old=1)
    write(tmp_path, "[shop]*.txt", b"of today")
    shell(tmp_path, MAKE[tool])
    add(tmp_path, tool)
    return {"on": "app-1", "tool": tool, "at": f"{tmp_path}/repo", "settings": f"{tmp_path}/env"}


def write(folder: Path, name: str, data: bytes, *, hours_old: float = 0) -> None:
    path = folder / "var" / "backups" / name
    path.write_bytes(data)
    at = time.time() - hours_old * 3600
    os.utime(path, (at, at))


def add(folder: Path, tool: str, words: str = "") -> None:
    shell(folder, ADD[tool].format(words=words))


def declared(repository: dict[str, Any], **drill: Any) -> BackupRepository:
    spec = BackupRepository.model_validate({**repository, "restore_drill": {"into": "scratch", **drill}})
    spec._named("shop")
    return spec


def test_a_sound_dump_in_a_repository_comes_back_to_life(repository: dict[str, Any], scratch_place: Path) -> None:
    holds = judged(declared(repository, file=FILE, **DRILL))
    assert holds == {f"drill.{field}": True for field in DRILL}
    record = records.read("shop")
    assert record and record.artifact.endswith(":/var/backups/shop-2.sql.gz")
    assert [name.partition(" ")[0] for name, _ in record.steps][:3] == ["look", "bring", "unpack"]
    assert not list(scratch_place.iterdir())


def test_a_drill_of_a_repository_is_not_done_again_until_it_is_due(repository: dict[str, Any]) -> None:
    spec = declared(repository, file=FILE, **DRILL)
    assert drilled(spec).age_s == 0  # type: ignore[arg-type]
    age(29)
    assert drilled(spec).age_s == pytest.approx(29 * 86400, abs=60)  # type: ignore[arg-type]
    age(29)
    assert drilled(declared(repository, file="/var/backups/shop-2*", **DRILL)).age_s == 0  # type: ignore[arg-type]


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "the dump is empty": (lambda folder: write(folder, "shop-3.sql.gz", b""), "nothing inside"),
    "the dump has 20 bytes": (lambda folder: write(folder, "shop-3.sql.gz", gzip.compress(b"")), "nothing inside"),
    "the dump was cut short": (
        lambda folder: os.truncate(folder / "var/backups/shop-2.sql.gz", 4000),
        "it is damaged",
    ),
    "the dump is not in it": (
        lambda folder: [each.unlink() for each in (folder / "var/backups").glob("*.gz")].clear(),
        "there is no /var/backups/shop-",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_dump_that_does_not_restore_fails_everything(
    repository: dict[str, Any], tmp_path: Path, fault: str, scratch_place: Path
) -> None:
    spoil, reason = BROKEN[fault]
    spoil(tmp_path)
    add(tmp_path, repository["tool"])
    spec = declared(repository, file=FILE, **DRILL)
    assert judged(spec) == {f"drill.{field}": False for field in DRILL}
    assert reason in drilled(spec).reason  # type: ignore[arg-type]
    assert records.read("shop") is None
    assert not list(scratch_place.iterdir())


def test_the_dump_of_another_day_fails_by_what_it_holds(repository: dict[str, Any], tmp_path: Path) -> None:
    """The job that dumps has stopped, and that which backs up goes on."""
    (tmp_path / "var/backups/shop-2.sql.gz").unlink()
    add(tmp_path, repository["tool"])
    failing = {check for check, holds in judged(declared(repository, file=FILE, **DRILL)).items() if not holds}
    assert failing == {"drill.expect", "drill.newest", "drill.tables"}


def flip(pack: Path) -> None:
    data = pack.read_bytes()
    at = len(data) // 2
    pack.write_bytes(data[:at] + bytes(each ^ 255 for each in data[at : at + 8]) + data[at + 8 :])


def cut(pack: Path) -> None:
    os.truncate(pack, pack.stat().st_size // 2)


@pytest.mark.parametrize("file", [FILE, None], ids=["one file", "all"])
@pytest.mark.parametrize(
    ("repository", "spoil"),
    [("restic", flip), ("borg", flip), ("borg", cut)],  # restic asks for what is cut for 40 s
    indirect=["repository"],
)
def test_a_pack_that_is_damaged_fails(
    repository: dict[str, Any], tmp_path: Path, spoil: Callable[[Path], None], file: str | None
) -> None:
    pack = max(tmp_path.glob(PACKS[repository["tool"]]), key=lambda path: path.stat().st_size)
    pack.chmod(0o600)
    spoil(pack)
    assert judged(declared(repository, every="30d", file=file)) == {"drill.every": False}


def test_without_a_file_the_files_that_came_back_are_counted(
    repository: dict[str, Any], tmp_path: Path, scratch_place: Path
) -> None:
    outside = tmp_path / "var" / "live"
    outside.symlink_to("/etc")
    add(tmp_path, repository["tool"])
    counted = {"/var/backups/shop-*.gz": 2, "/var/backups/*": 3, "/var/live": 1, "/var/live/passwd": 0}
    assert judged(declared(repository, expect=counted, rto="5m")) == {"drill.expect": True, "drill.rto": True}
    assert not judged(declared(repository, expect={"/var/backups/*.gz": 3}))["drill.expect"]
    assert not list(scratch_place.iterdir())


def test_a_name_that_looks_like_a_pattern_is_brought_back(repository: dict[str, Any]) -> None:
    assert "no dump" in drilled(declared(repository, every="30d", file="/var/backups/*.txt")).reason  # type: ignore[arg-type]


OTHERS = {"restic": ("--host other", {"host": "other"}), "borg": ("other-", {"archives": "other-*"})}


def test_the_newest_of_another_server_does_not_stand_for_ours(repository: dict[str, Any], tmp_path: Path) -> None:
    words, theirs = OTHERS[repository["tool"]]
    for name in ("shop-1.sql.gz", "shop-2.sql.gz"):
        (tmp_path / "var/backups" / name).rename(tmp_path / name)
    write(tmp_path, "shop-9.sql.gz", gzip.compress(b""))
    add(tmp_path, repository["tool"], words)
    expected = {"file": FILE, "expect": {"users": 100}}
    assert not judged(declared({**repository, **theirs}, **expected))["drill.expect"]
    ours = {"restic": {"host": os.uname().nodename}, "borg": {"archives": "[0-9]*"}}[repository["tool"]]
    assert judged(declared({**repository, **ours}, **expected))["drill.expect"]
    nobody = {"restic": {"host": "nobody"}, "borg": {"archives": "nobody-*"}}[repository["tool"]]
    assert "there is no backup in" in drilled(declared({**repository, **nobody}, **expected)).reason  # type: ignore[arg-type]


@pytest.mark.parametrize("repository", ["restic"], indirect=True)
def test_a_password_that_is_wrong_says_nothing_of_the_backup(repository: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "env").write_text("RESTIC_PASSWORD=another\n")
    with pytest.raises(CouldNotLook, match="wrong password"):
        drilled(declared(repository, every="30d", file=FILE))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("limit", "says"), [({"within": "300ms"}, "did not end within"), ({"disk": 4096}, "of disk")]
)
def test_what_runs_into_a_limit_is_neither_passed_nor_failed(
    repository: dict[str, Any], limit: dict[str, Any], says: str, scratch_place: Path
) -> None:
    with pytest.raises(CouldNotLook, match=says):
        drilled(declared(repository, every="30d", file=FILE, **limit))  # type: ignore[arg-type]
    assert not list(scratch_place.iterdir())


def inventory(tmp_path: Path, repository: dict[str, Any], users: int | str) -> None:
    told = ", ".join(f"{key}: {value}" for key, value in repository.items())
    drill = f'into: scratch, every: 30d, file: "{FILE}", expect: {{"{users}": 100}}'
    (tmp_path / "inventory.yml").write_text(
        'project: shop\nservers: {app-1: {connect: "local://", memory: {used: "<100%"}}}\n'
        f"backup_repositories: {{shop: {{{told}, restore_drill: {{{drill}}}}}}}\n"
    )


def test_readygate_drill_lists_and_does_it(repository: dict[str, Any], tmp_path: Path) -> None:
    inventory(tmp_path, repository, "users")
    line = [sys.executable, "-m", "readygate", "drill"]
    said = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert f"shop: the newest {FILE} in the newest backup in {repository['at']} is brought back" in said.stdout
    said = subprocess.run([*line, "shop"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
    assert "shop-2.sql.gz was restored now into PostgreSQL" in said.stdout


@pytest.mark.parametrize("after_s", [1.0, 2.0, 4.0])
def test_a_drill_that_is_killed_leaves_nothing(
    repository: dict[str, Any], tmp_path: Path, after_s: float, scratch_place: Path
) -> None:
    inventory(tmp_path, repository, "select pg_sleep(60)::text")
    line = [sys.executable, "-m", "readygate", "drill", "shop"]
    drill = subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(after_s)
    assert drill.poll() is None
    drill.kill()
    drill.wait()
    end = time.monotonic() + 15
    while any(scratch_place.iterdir()):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_dump_that_is_a_folder_comes_back_to_life(
    repository: dict[str, Any],
    tmp_path: Path,
    dumps: Path,  # noqa: F811
) -> None:
    _, programs = postgres.programs_for(1)
    place = tmp_path / "var/backups/shop.dir"
    where = ["-h", str(dumps / "socket"), "-U", "postgres"]
    subprocess.run([programs / "pg_dump", *where, "-Fd", "-f", place, "shop"], check=True)
    add(tmp_path, repository["tool"])
    spec = declared(repository, file="/var/backups/shop.dir/toc.dat", **DRILL)
    assert judged(spec) == {f"drill.{field}": True for field in DRILL}
    max(place.glob("*.gz"), key=lambda path: path.stat().st_size).unlink()
    add(tmp_path, repository["tool"])
    assert not any(judged(declared(repository, file="/var/backups/*/toc.dat", **DRILL)).values())


@pytest.mark.skipif(not shutil.which("borg"), reason="there is no borg on this machine")
def test_a_store_that_does_not_answer_any_more_says_nothing_of_the_backup() -> None:
    kept = {"called": "borg 1", "listing": "borg list ssh://127.0.0.1:1/repo::1", "restoring": "false", "file": FILE}
    limits = {"within": 60, "disk": 2**20, "memory": 2**31}
    assert "could not be asked" in found(kept=kept, questions={}, decrypt=None, **limits)["unseen"]


def test_two_drills_of_one_name_are_refused(repository: dict[str, Any], tmp_path: Path) -> None:
    inventory(tmp_path, repository, "users")
    with (tmp_path / "inventory.yml").open("a") as file:
        file.write("backups: {shop: {on: app-1, path: /b/*.sql, restore_drill: {into: scratch, rto: 1h}}}\n")
    line = [sys.executable, "-m", "readygate", "drill"]
    said = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said.returncode == 2
    assert "two restore drills are called 'shop'" in said.stderr


def test_a_drill_of_pgbackrest_is_refused() -> None:
    with pytest.raises(ValidationError, match="no drill restores from pgbackrest"):
        declared({"on": "app-1", "tool": "pgbackrest", "at": "shop"}, every="30d")
