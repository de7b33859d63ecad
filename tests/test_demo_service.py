"""The demo is sound, and each of its faults is really there: seen by plain clients, without Readygate."""

from __future__ import annotations

import gzip
import os
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tarfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from readygate.demo.faults import FAULTS

HEADERS = ("Strict-Transport-Security", "X-Content-Type-Options", "X-Frame-Options")


@dataclass(frozen=True, slots=True)
class Demo:
    """A demo that runs, and what a client needs to look at it."""

    process: subprocess.Popen[str]
    directory: Path
    port: int
    http_port: int
    extra_port: int

    def get(self, path: str) -> requests.Response:
        return requests.get(f"https://localhost:{self.port}{path}", verify=str(self.directory / "ca.pem"), timeout=5)

    def get_plainly(self, path: str) -> requests.Response:
        return requests.get(f"http://localhost:{self.http_port}{path}", allow_redirects=False, timeout=5)

    def tls(self, *, only: ssl.TLSVersion | None = None) -> str | None:
        """The version that a careful client and the service agree on."""
        context = ssl.create_default_context(cafile=self.directory / "ca.pem")
        # Python 3.13 and later are this strict on their own.
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        if only:
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
            with warnings.catch_warnings(action="ignore"):
                context.minimum_version = context.maximum_version = only
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as secure,
        ):
            return secure.version()

    def certificate_ends(self) -> datetime:
        context = ssl.create_default_context(cafile=self.directory / "ca.pem")
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as secure,
        ):
            ends = secure.getpeercert()["notAfter"]  # type: ignore[index]
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(ends)), UTC)

    def backups(self, pattern: str = "shop-*.db.gz") -> list[Path]:
        """The newest first."""
        return sorted((self.directory / "backups").glob(pattern), key=lambda file: file.stat().st_mtime, reverse=True)

    def restored(self, into: Path) -> sqlite3.Connection:
        into.write_bytes(gzip.decompress(self.backups()[0].read_bytes()))
        return sqlite3.connect(into)


def age(file: Path) -> timedelta:
    return timedelta(seconds=time.time() - file.stat().st_mtime)


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def start(directory: Path, fault: str) -> Demo:
    ports = free_ports(3)
    options = ["--dir", str(directory), "--break", fault]
    for name, port in zip(("--port", "--http-port", "--extra-port"), ports, strict=True):
        options += [name, str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", "readygate.demo", "serve", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return Demo(process, directory, *ports)


@contextmanager
def running(directory: Path, fault: str = "none") -> Iterator[Demo]:
    demo = start(directory, fault)
    try:
        deadline = time.monotonic() + 20
        # It has written this once it listens on all its ports.
        while not (log := directory / "demo.log").exists() or "serves on port" not in log.read_text():
            assert demo.process.poll() is None, demo.process.communicate()
            assert time.monotonic() < deadline, "the demo does not come up"
            time.sleep(0.02)
        yield demo
    finally:
        demo.process.kill()
        demo.process.communicate()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running(tmp_path_factory.mktemp("sound")) as demo:
        yield demo


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[Callable[[str], Demo]]:
    """Starts a demo with a fault; it is gone after the test."""
    with ExitStack() as demos:
        yield lambda fault: demos.enter_context(running(tmp_path / "shop", fault))


Break = Callable[[str], Demo]


# The sound service


def test_health_tells_status_version_and_database(sound: Demo) -> None:
    response = sound.get("/health")
    assert response.status_code == 200
    assert response.json() == {"status": "ok", "version": "1.4.2", "database": "ok"}


def test_products_and_orders_come_from_the_database(sound: Demo) -> None:
    assert len(sound.get("/api/products").json()["products"]) == 8
    assert sound.get("/api/orders/7").json()["id"] == 7


@pytest.mark.parametrize("path", ["/nope", "/api/orders/100000", "/api/orders/x", f"/api/orders/{10**40}", "/api"])
def test_what_is_not_there_is_a_404_in_json(sound: Demo, path: str) -> None:
    response = sound.get(path)
    assert response.status_code == 404
    assert "error" in response.json()


@pytest.mark.parametrize("path", ["/", "/health", "/api/products", "/nope"])
def test_security_headers_are_on_every_answer(sound: Demo, path: str) -> None:
    assert set(HEADERS) <= set(sound.get(path).headers)


def test_many_requests_share_one_connection(sound: Demo) -> None:
    with socket.create_connection(("127.0.0.1", sound.port), timeout=5) as plain:
        context = ssl.create_default_context(cafile=sound.directory / "ca.pem")
        with context.wrap_socket(plain, server_hostname="localhost") as secure:
            for _ in range(3):
                secure.sendall(b"HEAD /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert secure.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_client_that_says_nothing_keeps_nobody_out(sound: Demo) -> None:
    with socket.create_connection(("127.0.0.1", sound.port), timeout=5):
        assert sound.get("/health").status_code == 200


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_current_protocols_are_accepted(sound: Demo, version: ssl.TLSVersion) -> None:
    assert sound.tls(only=version)


def test_old_protocols_are_refused(sound: Demo) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        sound.tls(only=ssl.TLSVersion.TLSv1_1)


def test_certificate_has_most_of_90_days_left(sound: Demo) -> None:
    left = sound.certificate_ends() - datetime.now(UTC)
    assert timedelta(days=89) < left <= timedelta(days=90)


def test_plain_http_redirects_to_the_same_page(sound: Demo) -> None:
    response = sound.get_plainly("/api/products?page=1")
    assert response.status_code == 301
    assert response.headers["Location"] == f"https://localhost:{sound.port}/api/products?page=1"


def test_extra_port_is_closed(sound: Demo) -> None:
    assert not answers(sound.extra_port)


def test_a_week_of_backups_lies_there_and_the_newest_is_two_hours_old(sound: Demo) -> None:
    for pattern in ("shop-*.db.gz", "media-*.tar.gz"):
        backups = sound.backups(pattern)
        assert len(backups) == 7
        assert timedelta(hours=1, minutes=59) < age(backups[0]) < timedelta(hours=2, minutes=5)
        assert timedelta(days=6) < age(backups[-1]) < timedelta(days=7)


def test_backups_are_named_by_their_day(sound: Demo) -> None:
    for backup in sound.backups():
        assert backup.name == f"shop-{datetime.fromtimestamp(backup.stat().st_mtime, UTC):%Y%m%d}.db.gz"


def test_newest_database_backup_restores_with_its_rows(sound: Demo, tmp_path: Path) -> None:
    with closing(sound.restored(tmp_path / "restored.db")) as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
        assert database.execute("select count(*) from products").fetchone() == (8,)
        assert database.execute("select count(*) from orders").fetchone()[0] > 300


def test_media_backup_unpacks(sound: Demo) -> None:
    with tarfile.open(sound.backups("media-*.tar.gz")[0]) as archive:
        assert "uploads/teapot.svg" in archive.getnames()


@pytest.mark.parametrize("name", ["shop.env", "server.key"])
def test_secrets_are_for_the_owner_alone(sound: Demo, name: str) -> None:
    assert (sound.directory / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_and_quietly(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path) as demo:
        assert demo.get("/health").status_code == 200
        demo.process.send_signal(number)
        printed = demo.process.communicate(timeout=10)
        assert (demo.process.returncode, printed) == (0, ("", ""))
        assert not answers(demo.port)
        assert not answers(demo.http_port)


# The faults


def refusal(demo: Demo) -> str:
    with pytest.raises(ssl.SSLCertVerificationError) as refused:
        demo.tls()
    return refused.value.verify_message


def test_expired_certificate(broken: Break) -> None:
    assert refusal(broken("expired-certificate")) == "certificate has expired"


def test_wrong_hostname(broken: Break) -> None:
    assert "not valid for 'localhost'" in refusal(broken("wrong-hostname"))


def test_untrusted_chain(broken: Break) -> None:
    assert refusal(broken("untrusted-chain")) == "unable to get local issuer certificate"


@pytest.mark.skipif("old-protocol" not in FAULTS, reason="the local OpenSSL has no TLS 1.0 and 1.1")
def test_old_protocol(broken: Break) -> None:
    demo = broken("old-protocol")
    assert demo.tls(only=ssl.TLSVersion.TLSv1) == "TLSv1"
    assert demo.tls(only=ssl.TLSVersion.TLSv1_1) == "TLSv1.1"


def test_stale_backup(broken: Break) -> None:
    backups = broken("stale-backup").backups()
    assert len(backups) == 7
    assert age(backups[0]) > timedelta(days=3)


def test_corrupt_backup(broken: Break) -> None:
    newest, before, *_ = broken("corrupt-backup").backups()
    assert subprocess.run(["gzip", "-t", newest], capture_output=True).returncode != 0
    assert subprocess.run(["gzip", "-t", before], capture_output=True).returncode == 0


def test_truncated_database_backup(broken: Break, tmp_path: Path) -> None:
    demo = broken("truncated-database-backup")
    with closing(demo.restored(tmp_path / "restored.db")) as database, pytest.raises(sqlite3.DatabaseError):
        database.execute("select count(*) from orders").fetchone()


def test_empty_backup(broken: Break) -> None:
    newest = broken("empty-backup").backups()[0]
    assert newest.stat().st_size == 20
    assert gzip.decompress(newest.read_bytes()) == b""


def test_empty_table(broken: Break, tmp_path: Path) -> None:
    demo = broken("empty-table")
    with closing(demo.restored(tmp_path / "restored.db")) as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
        assert database.execute("select count(*) from orders").fetchone() == (0,)
        assert database.execute("select count(*) from products").fetchone() == (8,)
    assert demo.get("/api/orders/7").status_code == 200


@pytest.mark.parametrize("fault", ["corrupt-backup", "truncated-database-backup", "empty-backup", "empty-table"])
def test_a_spoilt_backup_is_as_young_as_a_sound_one(broken: Break, fault: str) -> None:
    demo = broken(fault)
    assert age(demo.backups()[0]) < timedelta(hours=2, minutes=5)
    assert len(demo.backups()) == 7


def test_missing_backups(broken: Break) -> None:
    demo = broken("missing-backups")
    assert len(demo.backups()) == len(demo.backups("media-*.tar.gz")) == 2


def test_slow_endpoint(broken: Break) -> None:
    demo = broken("slow-endpoint")
    assert demo.get("/api/products").elapsed > timedelta(seconds=1.5)
    assert demo.get("/health").json()["status"] == "ok"


def test_wrong_version(broken: Break) -> None:
    assert broken("wrong-version").get("/health").json() == {
        "status": "ok",
        "version": "1.4.1",
        "database": "ok",
    }


def test_failing_health(broken: Break) -> None:
    demo = broken("failing-health")
    response = demo.get("/health")
    assert response.status_code == 503
    assert response.json()["status"] == "failing"
    assert demo.get("/").status_code == 200


def test_missing_header(broken: Break) -> None:
    demo = broken("missing-header")
    for path in ("/", "/nope"):
        assert "Strict-Transport-Security" not in demo.get(path).headers
        assert "X-Frame-Options" in demo.get(path).headers


def test_no_redirect(broken: Break) -> None:
    response = broken("no-redirect").get_plainly("/")
    assert response.status_code == 200
    assert "tea shop" in response.text


def test_open_port(broken: Break) -> None:
    assert answers(broken("open-port").extra_port)


def test_readable_secret(broken: Break) -> None:
    assert (broken("readable-secret").directory / "shop.env").stat().st_mode & 0o777 == 0o644


def test_dead_service(tmp_path: Path) -> None:
    demo = start(tmp_path, "dead-service")
    printed, complaint = demo.process.communicate(timeout=20)
    assert (demo.process.returncode, printed) == (1, "")
    assert complaint.startswith("the shop cannot start: ")
    assert not answers(demo.port)


def test_every_fault_is_shown_here() -> None:
    shown = {name.removeprefix("test_").replace("_", "-") for name in globals() if name.startswith("test_")}
    assert set(FAULTS) <= shown


def test_an_unknown_fault_is_refused_by_name(tmp_path: Path) -> None:
    process = start(tmp_path, "no-such-thing").process
    _, complaint = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "no fault is called 'no-such-thing'; write one of expired-certificate, " in complaint


def test_the_environment_can_name_the_fault(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "readygate.demo", "serve", "--dir", tmp_path, "--port", "0"],
        env=os.environ | {"READYGATE_DEMO_BREAK": "dead-service"},
        capture_output=True,
        timeout=20,
    )
    assert done.returncode == 1
