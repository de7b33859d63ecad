"""The copy elsewhere, on a disk and in a store that speaks S3: there, the same, young enough; or not."""

from __future__ import annotations

import gzip
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import boto3
import pytest
from pydantic import ValidationError

from readygate.areas.backups.backup import Backup
from readygate.areas.backups.listing import observe_artifacts
from readygate.areas.backups.offsite import observe_copies, observe_sameness
from readygate.areas.backups.restore_drills import Drill, drill_now
from readygate.drills import records
from readygate.errors import CouldNotLook
from tests.holding import LOCAL, held
from tests.test_area_backups import write

pytestmark = pytest.mark.skipif(not shutil.which("rclone"), reason="there is no rclone on this machine")

DECLARED = {"rpo": "26h", "count": 2, "same": True}


@dataclass(frozen=True, slots=True)
class Store:
    """A place for copies that rclone knows as `remote`."""

    folder: Path
    remote: str

    @property
    def config(self) -> Path:
        return self.folder / "rclone.conf"

    def rclone(self, *words: str) -> str:
        command = ["rclone", "--config", str(self.config), *words]
        return subprocess.run(command, check=True, capture_output=True, env=rclone_environ(), text=True).stdout

    def declared(self, **offsite: Any) -> dict[str, Any]:
        where = {"rclone": f"{self.remote}shop-backups/db", "config": str(self.config)}
        return {"on": "app-1", "path": f"{self.folder}/backups/shop-*.sql.gz", "offsite": {**where, **offsite}}


def rclone_environ() -> dict[str, str]:
    # A test speaks to this machine alone, whatever proxy or CA the environment names.
    return {
        name: value for name, value in os.environ.items() if name != "AWS_CA_BUNDLE" and "proxy" not in name.lower()
    }


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The URL of a store that speaks S3."""
    command = shutil.which("moto_server")
    if not command:
        pytest.skip("there is no moto_server on this machine")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen(
        [command, "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        end = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > end:
                    pytest.skip("moto_server does not start on this machine")
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
        server.terminate()


@pytest.fixture(params=["disk", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Three backups, and a sound copy of each in a folder of its month."""
    for name in set(os.environ) - set(rclone_environ()):
        monkeypatch.delenv(name)
    (tmp_path / "backups").mkdir()
    (tmp_path / "bucket").mkdir()
    settings = [f"[disk]\ntype = alias\nremote = {tmp_path}/bucket\n"]
    if request.param == "s3":
        endpoint = request.getfixturevalue("s3")
        keys = "access_key_id = testing\nsecret_access_key = testing"
        settings.append(f"[s3]\ntype = s3\nprovider = Other\n{keys}\nendpoint = {endpoint}\n")
    store = Store(tmp_path, f"{request.param}:")
    store.config.write_text("\n".join(settings))
    store.rclone("mkdir", f"{store.remote}shop-backups")
    for number, hours in enumerate((49, 25, 1)):
        write(tmp_path / "backups" / f"shop-{number}.sql.gz", os.urandom(5000), hours_old=hours)
    store.rclone("copy", str(tmp_path / "backups"), f"{store.remote}shop-backups/db/2026/11")
    yield store
    if request.param == "s3":
        store.rclone("purge", "s3:shop-backups")


def test_sound_copies_hold(store: Store) -> None:
    holds = held("backups", store.declared(**DECLARED))
    assert holds == {"offsite.rpo": True, "offsite.count": True, "offsite.same": True}


def deleted(store: Store, name: str) -> None:
    store.rclone("deletefile", f"{store.remote}shop-backups/db/2026/11/{name}")


def replaced(store: Store, data: bytes, hours_old: float = 1) -> None:
    other = store.folder / "other"
    other.mkdir()
    write(other / "shop-2.sql.gz", data, hours_old)
    store.rclone("copy", "--ignore-times", str(other), f"{store.remote}shop-backups/db/2026/11")


FAULTS: dict[str, tuple[Callable[[Store], object], set[str]]] = {
    "the newest was not uploaded": (lambda store: deleted(store, "shop-2.sql.gz"), {"offsite.same"}),
    "the upload broke off": (lambda store: replaced(store, os.urandom(3000)), {"offsite.same"}),
    "other bytes of the same size": (lambda store: replaced(store, os.urandom(5000)), {"offsite.same"}),
    "only one is there": (
        lambda store: [deleted(store, f"shop-{number}.sql.gz") for number in (0, 1)],
        {"offsite.count"},
    ),
    "no upload since two days": (
        lambda store: [deleted(store, f"shop-{number}.sql.gz") for number in (1, 2)],
        {"offsite.rpo", "offsite.count", "offsite.same"},
    ),
    "nothing is there": (
        lambda store: store.rclone("delete", f"{store.remote}shop-backups"),
        {"offsite.rpo", "offsite.count", "offsite.same"},
    ),
    "the bucket is gone": (
        lambda store: store.rclone("purge", f"{store.remote}shop-backups"),
        {"offsite.rpo", "offsite.count", "offsite.same"},
    ),
    "the uploads have another name": (
        lambda store: store.rclone("moveto", f"{store.remote}shop-backups/db", f"{store.remote}shop-backups/old"),
        {"offsite.rpo", "offsite.count", "offsite.same"},
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_copies_fail(store: Store, fault: str) -> None:
    break_it, fails = FAULTS[fault]
    break_it(store)
    try:
        holds = held("backups", store.declared(**DECLARED))
    finally:
        store.rclone("mkdir", f"{store.remote}shop-backups")
    assert {check for check, holding in holds.items() if not holding} == fails


@pytest.fixture
def crypt(store: Store) -> Store:
    """The same copies, encrypted by rclone on their way: the store's digests are not those of the backups."""
    encrypted = Store(store.folder, "crypt:")
    password = store.rclone("obscure", "bright-otter-412")
    section = f"[crypt]\ntype = crypt\nremote = {store.remote}shop-backups/crypt\npassword = {password}"
    store.config.write_text(f"{store.config.read_text()}\n{section}")
    encrypted.rclone("copy", str(store.folder / "backups"), "crypt:shop-backups/db/2026/11")
    return encrypted


def test_copies_behind_crypt_are_the_same_once_they_are_read(crypt: Store) -> None:
    with pytest.raises(CouldNotLook, match="tells no digest of"):
        held("backups", crypt.declared(**DECLARED))
    assert all(held("backups", crypt.declared(**DECLARED, read_through=True)).values())


def cut_below(crypt: Store) -> None:
    """Of the newest, two kilobytes are replaced by zeros where it lies."""
    below = crypt.config.read_text().rpartition("remote = ")[2].splitlines()[0]
    named = crypt.rclone("cryptdecode", "--reverse", "crypt:", "shop-backups/db/2026/11/shop-2.sql.gz").split()[-1]
    packed = crypt.folder / "packed"
    crypt.rclone("copyto", f"{below}/{named}", str(packed))
    size = packed.stat().st_size
    os.truncate(packed, size - 2000)
    os.truncate(packed, size)
    crypt.rclone("copyto", "--ignore-times", str(packed), f"{below}/{named}")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda crypt: replaced(crypt, os.urandom(5000)), "its digest is"),
        (cut_below, "can't be read at crypt:shop-backups"),
    ],
)
def test_a_copy_behind_crypt_that_is_other_or_damaged_is_not_the_same(
    crypt: Store, spoil: Callable[[Store], object], said: str
) -> None:
    spoil(crypt)
    declared = crypt.declared(**DECLARED, read_through=True)
    assert not held("backups", declared)["offsite.same"]
    backup = Backup.model_validate(declared)
    assert backup.offsite
    artifacts = observe_artifacts(LOCAL, backup)
    copies = observe_copies(LOCAL, backup, backup.offsite, artifacts, lambda name: LOCAL)
    same = observe_sameness(LOCAL, backup, backup.offsite, artifacts, copies, lambda name: LOCAL)
    assert said in same.reason


@pytest.mark.parametrize("store", ["s3"], indirect=True)
def test_versioning_of_the_bucket_is_seen(store: Store) -> None:
    assert not held("backups", store.declared(versioned=True))["offsite.versioned"]
    store.rclone("backend", "versioning", "s3:shop-backups", "Enabled")
    assert held("backups", store.declared(versioned=True))["offsite.versioned"]
    store.rclone("backend", "versioning", "s3:shop-backups", "Suspended")
    assert not held("backups", store.declared(versioned=True))["offsite.versioned"]


@pytest.mark.parametrize("store", ["disk"], indirect=True)
def test_a_store_that_tells_nothing_of_versions_is_not_one_without(store: Store) -> None:
    with pytest.raises(CouldNotLook, match="does not say whether it keeps versions"):
        held("backups", store.declared(versioned=False))


@pytest.fixture
def locked(store: Store, s3: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, bool]]:
    """Puts a newer copy, by one name, into a bucket with object lock, and tells what then holds."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = boto3.client("s3", endpoint_url=s3, aws_access_key_id="testing", aws_secret_access_key="testing")
    bucket = f"locked-{time.time_ns()}"  # which no test could empty again
    client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)

    def look(expected: str, **put: Any) -> dict[str, bool]:
        client.put_object(Bucket=bucket, Key="db/2026/shop-9.sql.gz", Body=b"rows " * 100, **put)
        return held("backups", store.declared(rclone=f"s3:{bucket}/db", locked=expected))

    return look


def kept(days: float, mode: str = "COMPLIANCE") -> dict[str, Any]:
    until = datetime.now(UTC) + timedelta(days=days)
    return {"ObjectLockMode": mode, "ObjectLockRetainUntilDate": until}


@pytest.mark.parametrize("store", ["s3"], indirect=True)
def test_a_copy_that_nobody_can_delete_is_seen(locked: Callable[..., dict[str, bool]]) -> None:
    assert locked("29d", **kept(30)) == {"offsite.locked": True}
    assert locked("31d", **kept(30)) == {"offsite.locked": False}
    assert locked("29d", **kept(30, "GOVERNANCE")) == {"offsite.locked": False}
    assert locked("1m", ObjectLockLegalHoldStatus="ON") == {"offsite.locked": False}
    assert locked("1m") == {"offsite.locked": False}


@pytest.mark.parametrize("store", ["s3"], indirect=True)
def test_a_bucket_without_object_lock_locks_nothing(store: Store) -> None:
    assert not held("backups", store.declared(locked="1m"))["offsite.locked"]
    assert not held("backups", store.declared(rclone="s3:no-such-bucket/db", locked="1m"))["offsite.locked"]


@pytest.mark.parametrize("store", ["disk"], indirect=True)
def test_a_store_that_tells_nothing_of_locks_is_not_one_without(store: Store) -> None:
    with pytest.raises(CouldNotLook, match=r"does not tell whether .* is locked: it speaks no S3"):
        held("backups", store.declared(locked="1d"))
    with pytest.raises(ValidationError, match="`locked` is of a store that rclone knows"):
        Backup.model_validate({"on": "a", "path": "/b/*", "offsite": {"on": "b", "path": "/c/*", "locked": "1d"}})


@pytest.mark.parametrize("store", ["disk"], indirect=True)
@pytest.mark.parametrize(
    ("offsite", "reason"),
    [
        ({"rclone": "nobody:shop-backups"}, "knows no remote called nobody"),
        ({"command": "no-such-rclone"}, "not found|could not run"),
        ({"config": "/no/such/folder/rclone.conf"}, "knows no remote called disk"),
    ],
)
def test_a_store_that_can_not_be_listed_is_not_an_empty_one(
    store: Store, offsite: dict[str, str], reason: str
) -> None:
    with pytest.raises(CouldNotLook, match=reason):
        held("backups", store.declared(**{"rpo": "26h", **offsite}))


@pytest.mark.parametrize("store", ["s3"], indirect=True)
def test_a_store_out_of_reach_is_not_an_empty_one(store: Store) -> None:
    store.config.write_text(store.config.read_text().replace("127.0.0.1:", "127.0.0.1:1"))
    with pytest.raises(CouldNotLook, match="can't be listed"):
        held("backups", store.declared(rpo="26h"))
    store.config.write_text(store.config.read_text().replace("127.0.0.1:1", "127.0.0.1:"))


class _NoHead(BaseHTTPRequestHandler):
    """A way to a store, by which one may list and upload, and not ask for one object: a key for backups alone."""

    store = ""

    def do_GET(self) -> None:
        there = HTTPConnection(self.store.removeprefix("http://"), timeout=10)
        length = int(self.headers.get("Content-Length") or 0)
        there.request(self.command, self.path, self.rfile.read(length) if length else None, dict(self.headers))
        answer = there.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.send_error(403)

    def log_message(self, *words: object) -> None:
        pass


@pytest.mark.parametrize("store", ["s3"], indirect=True)
def test_a_key_that_may_only_list_does_not_make_every_copy_young(store: Store, s3: str) -> None:
    """rclone takes the present moment for the time of a file that it may not ask for."""
    deleted(store, "shop-2.sql.gz")
    deleted(store, "shop-1.sql.gz")
    assert not held("backups", store.declared(rpo="26h"))["offsite.rpo"]
    handler = type("Handler", (_NoHead,), {"store": s3})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        config = store.config.read_text()
        store.config.write_text(config.replace(s3, f"http://127.0.0.1:{server.server_port}"))
        try:
            with pytest.raises(CouldNotLook, match="does not tell when its files are from"):
                held("backups", store.declared(rpo="26h"))
            uploaded = store.declared(rpo="26h", command="rclone --use-server-modtime")
            assert held("backups", uploaded)["offsite.rpo"]
            with pytest.raises(CouldNotLook, match=r"does not tell whether 2026/11/shop-0\.sql\.gz is locked"):
                held("backups", store.declared(locked="1d", command="rclone --use-server-modtime"))
        finally:
            store.config.write_text(config)
            server.shutdown()


def test_the_copy_elsewhere_is_what_is_drilled(store: Store, tmp_path: Path) -> None:
    records.keep_in(tmp_path)
    rows = "".join(f"INSERT INTO t VALUES({number},'{os.urandom(400).hex()}');\n" for number in range(3000))
    sql = f"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE t(a,b);\n{rows}COMMIT;\n".encode()
    replaced(store, gzip.compress(sql, 1))
    (store.folder / "backups" / "shop-2.sql.gz").unlink()  # as when the server's disk is gone
    drill = {"into": "scratch", "source": "offsite", "expect": {"t": 3000}}
    spec = Backup.model_validate({**store.declared(rpo="26h"), "restore_drill": drill})
    spec._named("shop")

    def drilled() -> Drill:
        assert spec.restore_drill
        return drill_now(LOCAL, spec, spec.restore_drill, observe_artifacts(LOCAL, spec), lambda name: LOCAL)

    seen = drilled()
    assert seen.answer("t") == 3000, seen.reason
    assert f"{store.remote}shop-backups/db/2026/11/shop-2.sql.gz" in seen.reason
    (store.folder / "other" / "shop-2.sql.gz").unlink()
    (store.folder / "other").rmdir()
    replaced(store, gzip.compress(sql[:5000]), hours_old=0.5)
    assert "can't be restored" in drilled().reason
    for name in range(3):
        deleted(store, f"shop-{name}.sql.gz")
    assert "there is no file at" in drilled().reason


def test_a_copy_that_is_nowhere_declared_can_not_be_drilled() -> None:
    drill = {"into": "scratch", "source": "offsite", "every": "30d"}
    with pytest.raises(ValidationError, match="from what `offsite` declares"):
        Backup.model_validate({"on": "app-1", "path": "/b/*.sql", "restore_drill": drill})


def test_without_a_backup_there_is_nothing_to_be_the_same(store: Store) -> None:
    for path in (store.folder / "backups").iterdir():
        path.unlink()
    assert not held("backups", store.declared(same=True))["offsite.same"]
