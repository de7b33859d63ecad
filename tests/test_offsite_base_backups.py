"""Base backups whose copy is elsewhere: the whole folder is compared, and the whole folder is what is drilled."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from readygate.areas.backups.backup import Backup
from readygate.areas.backups.listing import observe_artifacts
from readygate.areas.backups.restore_drills import Drill, drill_now
from readygate.drills import records
from tests.database_servers import do
from tests.holding import LOCAL, held
from tests.test_area_offsite import rclone_environ, s3  # noqa: F401 - fixture
from tests.test_base_backups import HELD, NAMES, Made, made  # noqa: F401 - fixture

pytestmark = pytest.mark.skipif(not shutil.which("rclone"), reason="there is no rclone on this machine")


class Elsewhere:
    """A store of its own: `disk` or `s3`, and what was uploaded there."""

    def __init__(self, folder: Path, remote: str, endpoint: str) -> None:
        keys = "access_key_id = testing\nsecret_access_key = testing"
        self.config, self.remote = folder / "rclone.conf", f"{remote}:shop-backups"
        (folder / "store").mkdir()
        self.config.write_text(
            f"[disk]\ntype = alias\nremote = {folder}/store\n"
            f"[s3]\ntype = s3\nprovider = Other\n{keys}\nendpoint = {endpoint}\n"
        )
        self.rclone("mkdir", self.remote)

    def rclone(self, *words: object) -> None:
        command = ["rclone", "--config", self.config, *words]
        subprocess.run([str(each) for each in command], check=True, capture_output=True, env=rclone_environ())

    def upload(self, folder: Path, *options: str) -> None:
        self.rclone("copy", folder, f"{self.remote}/{folder.name}", *options)

    def declared(self, folder: Path, name: str, **more: Any) -> dict[str, Any]:
        offsite = {"rclone": self.remote, "config": str(self.config), "rpo": "1h", **more}
        return {"on": "app-1", "path": str(folder / name), "offsite": offsite}

    def same(self, folder: Path, name: str = "backup_manifest") -> bool:
        return held("backups", self.declared(folder, name, same=True))["offsite.same"]

    def drilled(self, folder: Path, name: str = "backup_manifest") -> Drill:
        database = {"database": "shop"} if name == "backup_manifest" else {}
        drill = {"into": "scratch", "source": "offsite", "expect": HELD, **database}
        spec = Backup.model_validate({**self.declared(folder, name), "restore_drill": drill})
        spec._named("shop")
        assert spec.restore_drill
        return drill_now(LOCAL, spec, spec.restore_drill, observe_artifacts(LOCAL, spec), lambda name: LOCAL)


@pytest.fixture
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Elsewhere:
    for name in set(os.environ) - set(rclone_environ()):
        monkeypatch.delenv(name)
    records.keep_in(tmp_path)
    remote = getattr(request, "param", "disk")
    return Elsewhere(tmp_path, remote, request.getfixturevalue("s3") if remote == "s3" else "")


@pytest.mark.parametrize(
    ("elsewhere", "name"),
    [("disk", "tar"), ("disk", "packed"), ("s3", "packed")],
    indirect=["elsewhere"],
)
def test_a_base_backup_elsewhere_comes_back_to_life(elsewhere: Elsewhere, made: Made, name: str) -> None:  # noqa: F811
    folder = made.folder / NAMES[name]
    elsewhere.upload(folder)
    assert elsewhere.same(folder)
    seen = elsewhere.drilled(folder)
    assert {question: seen.answer(question) for question in HELD} == HELD, seen.reason
    assert f"{elsewhere.remote}/{folder.name}/backup_manifest" in seen.reason
    if elsewhere.remote.startswith("s3"):
        elsewhere.rclone("purge", elsewhere.remote)


def put(store: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    path = store / name
    path.write_bytes(change(path.read_bytes()))


SPOILED: dict[str, tuple[Callable[[Path], object], str]] = {
    "only the manifest was uploaded": (
        lambda store: [each.unlink() for each in store.iterdir() if each.name != "backup_manifest"],
        "the tablespace",
    ),
    "the WAL was not uploaded": (lambda store: (store / "pg_wal.tar").unlink(), "checkpoint"),
    "an archive was cut short": (lambda store: put(store, "base.tar", lambda data: data[: len(data) // 2]), ""),
    "other bytes of the same size": (
        lambda store: put(store, "base.tar", lambda data: data[:100_000] + bytes(50_000) + data[150_000:]),
        "",
    ),
    "a tablespace is missing": (
        lambda store: next(each for each in store.iterdir() if each.stem.isdigit()).unlink(),
        "the tablespace",
    ),
}


@pytest.mark.parametrize("fault", SPOILED)
def test_a_base_backup_that_is_not_whole_elsewhere_is_neither_the_same_nor_restored(
    elsewhere: Elsewhere,
    made: Made,  # noqa: F811
    tmp_path: Path,
    fault: str,
) -> None:
    folder = made.folder / "tar"
    elsewhere.upload(folder)
    spoil, told = SPOILED[fault]
    spoil(tmp_path / "store" / "shop-backups" / "tar")
    assert not elsewhere.same(folder)
    seen = elsewhere.drilled(folder)
    assert "can't be restored" in seen.reason
    assert told in seen.reason


def test_a_dump_in_the_directory_format_comes_back_from_elsewhere(
    elsewhere: Elsewhere,
    made: Made,  # noqa: F811
    tmp_path: Path,
) -> None:
    dump = tmp_path / "dump"
    do("pg_dump", "--format=directory", f"--file={dump}", made.server.url())
    elsewhere.upload(dump)
    assert elsewhere.same(dump, "toc.dat")
    seen = elsewhere.drilled(dump, "toc.dat")
    assert {question: seen.answer(question) for question in HELD} == HELD, seen.reason
    rows = max((tmp_path / "store/shop-backups/dump").glob("*.gz"), key=lambda each: each.stat().st_size)
    rows.unlink()
    assert not elsewhere.same(dump, "toc.dat")
    assert "can't be restored" in elsewhere.drilled(dump, "toc.dat").reason


def test_what_lies_behind_a_link_is_a_part_of_the_backup(elsewhere: Elsewhere, made: Made) -> None:  # noqa: F811
    folder = made.folder / NAMES["plain"]
    elsewhere.upload(folder)
    assert not elsewhere.same(folder)
    elsewhere.upload(folder, "--copy-links")
    assert elsewhere.same(folder)


def test_the_copy_of_another_base_backup_is_not_this_one(elsewhere: Elsewhere, made: Made) -> None:  # noqa: F811
    elsewhere.upload(made.folder / "tar")
    assert elsewhere.same(made.folder / "tar")
    assert not elsewhere.same(made.folder / "packed")
    elsewhere.upload(made.folder / "packed")
    assert elsewhere.same(made.folder / "tar")
    assert elsewhere.same(made.folder / "packed")
