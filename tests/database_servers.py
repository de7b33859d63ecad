"""Real databases that tests start: on loopback, in folders of their own, and gone in the end."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "bright-otter-412"
PROGRAMS = Path("/usr/lib/postgresql/15/bin")
STARTS_WITHIN_S = 40


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def needed(program: str, package: str) -> str:
    """The path of a program; without it the test skips, and says what to install."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    if not found:
        pytest.skip(f"{program} is not on this machine; install Debian's {package}")
    return found


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


@contextmanager
def served(
    command: Sequence[object],
    log: Path,
    is_ready: Callable[[], bool],
    *,
    user: str | None = None,
    ends_by: signal.Signals = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """A server while the block runs; it has to be ready within some seconds."""
    with log.open("ab") as said:
        process = subprocess.Popen(
            [str(each) for each in (*as_user(user), *command)],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            cwd=log.parent,
            start_new_session=True,
        )
    try:
        end = time.monotonic() + STARTS_WITHIN_S
        while not is_ready():
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{command[0]} did not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
        yield process
    finally:
        process.send_signal(ends_by)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(15)


def as_user(user: str | None) -> list[str]:
    """PostgreSQL and MariaDB refuse to run as root."""
    if not user or os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={user}", f"--regid={pwd.getpwnam(user).pw_gid}", "--clear-groups"]


def do(*command: object, user: str | None = None, **environ: str) -> str:
    return subprocess.run(
        [str(each) for each in (*as_user(user), *command)],
        env={**os.environ, **environ},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
        cwd="/",
    ).stdout


@contextmanager
def folder_of(user: str) -> Iterator[Path]:
    """A folder that this user may write; pytest's own are closed to everybody but root."""
    with tempfile.TemporaryDirectory(prefix="readygate-test-", ignore_cleanup_errors=True) as made:
        Path(made).chmod(0o755)
        folder = Path(made, "home")
        folder.mkdir()
        if os.geteuid() == 0:
            shutil.chown(folder, user)
        yield folder


@dataclass(frozen=True)
class Postgres:
    """A running PostgreSQL 15, its superuser `owner`, and a database `shop`."""

    port: int
    folder: Path

    def url(self, user: str = "owner", name: str = "shop", **parameters: str) -> str:
        asked = "&".join(f"{key}={value}" for key, value in parameters.items())
        return f"postgresql://{user}:{PASSWORD}@127.0.0.1:{self.port}/{name}?{asked}"

    @property
    def by_socket(self) -> str:
        return f"postgresql://owner@/shop?host={self.folder}&port={self.port}"

    def do(self, *statements: str, name: str = "shop") -> str:
        given = [word for each in statements for word in ("-c", each)]
        return do("psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", self.url(name=name), *given).strip()

    @contextmanager
    def holding(self, *statements: str, user: str = "owner") -> Iterator[None]:
        """A session of somebody else's, that has done this and stays."""
        with subprocess.Popen(
            ["psql", "-XqAt", "-d", self.url(user)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as session:
            if session.stdin is None or session.stdout is None:
                raise RuntimeError("psql has no pipes")
            session.stdin.write("".join(f"{each};\n" for each in statements) + "\\echo done\n")
            session.stdin.flush()
            while session.stdout.readline().strip() != "done":
                pass
            try:
                yield
            finally:
                session.stdin.close()


_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "shared_buffers": "16MB",
    "max_connections": "20",
    "dynamic_shared_memory_type": "mmap",
    "shared_preload_libraries": "pg_stat_statements",
    "max_prepared_transactions": "4",
    "ssl": "on",
    "wal_level": "replica",
    "autovacuum_naptime": "1h",
}


@contextmanager
def started_postgres(data: Path) -> Iterator[Postgres]:
    """A server on a folder of data that is made already."""
    port = free_port()
    settings = {**_SETTINGS, "port": str(port), "unix_socket_directories": str(data)}
    words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    ready = [PROGRAMS / "pg_isready", "-q", "-h", "127.0.0.1", "-p", port]

    def is_ready() -> bool:
        return subprocess.run([str(each) for each in ready], check=False).returncode == 0

    with served(
        [PROGRAMS / "postgres", "-D", data, *words],
        data.parent / f"{data.name}.log",
        is_ready,
        user="postgres",
        ends_by=signal.SIGINT,
    ):
        yield Postgres(port, data)


@contextmanager
def new_postgres() -> Iterator[Postgres]:
    """A PostgreSQL of its own, with TLS by a certificate that nobody signed."""
    if not (PROGRAMS / "initdb").exists():
        pytest.skip("there is no PostgreSQL 15 on this machine; install Debian's postgresql-15")
    with folder_of("postgres") as folder:
        data, secret = folder / "data", folder / "password"
        secret.write_text(PASSWORD)
        made = ["--username=owner", f"--pwfile={secret}", "--auth=scram-sha-256", "--auth-local=trust", "--no-sync"]
        do(PROGRAMS / "initdb", f"--pgdata={data}", *made, "--encoding=UTF8", "--locale=C", user="postgres")
        subject = [
            "-subj",
            "/CN=localhost",
            "-days",
            "2",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ]
        pair = ["-keyout", data / "server.key", "-out", data / "server.crt"]
        do("openssl", "req", "-x509", "-nodes", *subject, *pair, user="postgres")
        with started_postgres(data) as server:
            server.do("create database shop", name="postgres")
            yield server


@dataclass(frozen=True)
class Redis:
    """A running Redis with a password, or without one."""

    port: int
    password: str

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def do(self, *words: str) -> str:
        given = ["--pass", self.password, "--no-auth-warning"] if self.password else []
        return do(needed("redis-cli", "redis-tools"), "-p", self.port, *given, *words).strip()


@contextmanager
def new_redis(folder: Path, *, password: str = PASSWORD, **settings: str) -> Iterator[Redis]:
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    given = {"port": str(port), "bind": "127.0.0.1", "dir": str(folder), "logfile": "", **settings}
    if password:
        given["requirepass"] = password
    lines = "".join(f"{name.replace('_', '-')} {value or chr(34) * 2}\n" for name, value in given.items())
    (folder / "redis.conf").write_text(lines)
    server = needed("redis-server", "redis-server")
    with served([server, folder / "redis.conf"], folder / "redis.log", lambda: answers(port)):
        yield Redis(port, password)


@dataclass(frozen=True)
class MariaDb:
    """A running MariaDB, with a database `shop` and a user who may do everything."""

    port: int
    socket: Path

    @property
    def url(self) -> str:
        return f"mysql://shop:{PASSWORD}@127.0.0.1:{self.port}/shop"

    def do(self, *statements: str) -> str:
        client = needed("mariadb", "mariadb-client")
        return do(client, f"--socket={self.socket}", "-u", "root", "--delimiter=//", "-Ne", "//".join(statements))


@contextmanager
def new_mariadb(*more: str) -> Iterator[MariaDb]:
    """A MariaDB of its own; `more` are options of its command line."""
    server, install = needed("mariadbd", "mariadb-server-core"), needed("mariadb-install-db", "mariadb-server-core")
    with folder_of("nobody") as folder:
        data, port = folder / "data", free_port()
        as_nobody = ["--user=nobody"] if os.geteuid() == 0 else []
        do(install, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal", *as_nobody)
        options = [f"--datadir={data}", f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder / 'sock'}"]
        quick = ["--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=16M", "--max-connections=50"]
        command = [server, "--no-defaults", *options, *quick, *more, *as_nobody]
        mariadb = MariaDb(port, folder / "sock")
        # It opens its port first, and its socket only then.
        with served(command, folder / "log", lambda: listens(mariadb.socket)):
            user = f"create user shop@localhost identified by '{PASSWORD}'"
            mariadb.do("create database shop", user, "grant all on *.* to shop@localhost")
            yield mariadb


def hosts_of(host: Any) -> Callable[..., Any]:
    """What `Facts` opens hosts by: always this one."""
    return lambda leaf, name=None: host
