"""Asks a PostgreSQL: over the network, or by psql on a server; always in a transaction that only reads."""

from __future__ import annotations

import importlib
import json
import re
import socket
import ssl
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from shlex import quote
from statistics import median
from typing import Any

from readygate.areas.asking import run
from readygate.areas.databases.url import Address, NoAnswer
from readygate.errors import CouldNotLook

ROUNDS = 5  # how often a latency is measured; the middle one counts
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_TIMED_OUT, _REFUSED_LOGIN = "57014", ("28000", "28P01", "3D000", "53300", "57P03")
_PSQL = "psql -X -q -w -A -t -v ON_ERROR_STOP=1 -v VERBOSITY=verbose -v SHOW_CONTEXT=never"
_SAID = re.compile(
    r"^(?:psql: )?(?:error: )?(?:ERROR|FATAL):\s+(?:(?P<state>[0-9A-Z]{5}): )?(?P<said>.*)", re.MULTILINE
)
_NOBODY = ("Connection refused", "No such file or directory", "timeout expired", "Connection timed out")


class Wire:
    """A connection of ours, which knows whether it is encrypted."""

    def __init__(self, address: Address, within: float, *, name: str = "") -> None:
        self._address = address
        self._within = within
        native = driver("pg8000.native", "PostgreSQL")
        self._errors: tuple[type[Exception], ...] = (native.Error, OSError, struct.error, EOFError)
        try:
            opened = _open(address, within)
        except OSError as error:
            raise address.failed(error, within) from None
        self.tls: bool | None = isinstance(opened, ssl.SSLSocket)
        try:
            self._connection = native.Connection(
                user=address.user or "postgres",
                password=address.password or None,
                database=name or address.name or None,
                application_name="readygate",
                sock=opened,
                ssl_context=False,
            )
        except self._errors as error:
            opened.close()
            raise self._failed(error, "") from None

    def text(self, query: str, *before: str) -> str:
        """The one value of a query. CouldNotLook: it took too long, or PostgreSQL refuses it."""
        try:
            for command in (*_reading_only(self._within), *before):
                self._connection.run(command)
            ((value,),) = self._connection.run(query)
            self._connection.run("rollback")
        except self._errors as error:
            raise self._failed(error, query) from None
        return value if isinstance(value, str) else json.dumps(value)

    def say(self, command: str) -> list[dict[str, Any]]:
        """What an administrative console, such as PgBouncer's, answers to one command."""
        try:
            rows = self._connection.run(command)
        except self._errors as error:
            raise self._failed(error, command) from None
        names = [column["name"] for column in self._connection.columns]
        return [dict(zip(names, row, strict=True)) for row in rows]

    def pace_s(self) -> float:
        """How long one small answer takes, on a connection that stands already."""
        return pace_of(lambda: self._connection.run("select 1"))

    def close(self) -> None:
        with suppress(*self._errors):
            self._connection.close()

    def _failed(self, error: Exception, query: str) -> CouldNotLook:
        told = error.args[0] if error.args else ""
        if isinstance(told, dict):
            return refused(self._address, told.get("C", ""), str(told.get("M", "")), query, self._within)
        root = error.__cause__ if isinstance(error.__cause__, OSError) else error
        if isinstance(root, ssl.SSLError) or not isinstance(root, OSError):
            return CouldNotLook(f"{self._address.place} can't be asked: {told}", mend="try the URL by hand")
        return self._address.failed(root, self._within)


@dataclass(frozen=True, slots=True)
class Psql:
    """psql on a server, as the user that the URL and `run_as` name; without a password."""

    host: Any
    server: str
    address: Address
    run_as: str | None
    within: float
    tls: bool | None = None

    def text(self, query: str, *before: str) -> str:
        return self._asked(*_reading_only(self.within), *before, query, asked=query).strip()

    def pace_s(self) -> float:
        printed = self._asked("\\timing on", *["select 1"] * ROUNDS, asked="select 1")
        return median(float(each) / 1000 for each in re.findall(r"^Time: ([\d.]+) ms", printed, re.MULTILINE))

    def close(self) -> None:
        """There is nothing to close: each question has a connection of its own."""

    def _asked(self, *commands: str, asked: str) -> str:
        given = " ".join(f"-c {quote(each)}" for each in commands)
        become = f"runuser -u {quote(self.run_as)} -- " if self.run_as else ""
        script = f"export LC_ALL=C PGCONNECT_TIMEOUT=5; cd /; {become}{_PSQL} -d {quote(self._conninfo())} {given}"
        answer = run(self.host, self.server, script, within=self.within + 10)
        if answer.exit == 0:
            return answer.text
        told = _SAID.search(answer.errors)
        if told and told["state"]:
            raise refused(self.address, told["state"], told["said"], asked, self.within)
        said = answer.errors.splitlines()[0].strip() if answer.errors else f"exit {answer.exit}"
        kind = NoAnswer if any(each in answer.errors for each in _NOBODY) else CouldNotLook
        raise kind(
            f"psql on {self.server} does not come to the database: {said}",
            cause=f"unreachable:{self.server}:{self.address.place}",
            mend="try psql there by hand; for the login of a system user write e.g. run_as: postgres",
        )

    def _conninfo(self) -> str:
        local = self.address.host == "localhost" and not self.address.socket
        host = self.address.socket.rpartition("/")[0] if self.address.socket else "" if local else self.address.host
        parts = {
            "host": host,
            "port": str(self.address.port),
            "user": self.address.user,
            "dbname": self.address.name or "postgres",
            "application_name": "readygate",
            "sslmode": self.address.encryption,
        }
        return " ".join(f"{name}='{value}'" for name, value in parts.items() if value)


Sql = Wire | Psql


def pace_of(ask: Callable[[], object]) -> float:
    """The middle of the times that one small answer takes, in seconds."""
    return median(_timed(ask) for _ in range(ROUNDS))


def _timed(ask: Callable[[], object]) -> float:
    begun = time.perf_counter()
    ask()
    return time.perf_counter() - begun


def driver(module: str, engine: str) -> Any:
    """A driver, which may not be there. CouldNotLook: it isn't."""
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise CouldNotLook(
            f"{engine} can't be asked without the driver {package}",
            cause=f"driver:{package}",
            mend="run `pip install 'readygate[databases]'`",
        ) from None


def refused(address: Address, state: str, said: str, query: str, within: float) -> CouldNotLook:
    """PostgreSQL itself said why not, with the code that its manual lists (appendix A)."""
    if state == _TIMED_OUT:
        reason = f"it had no answer to '{query}' within {within:g} s"
        return CouldNotLook(reason, mend="declare a longer `within`, or ask what is cheaper")
    if state in _REFUSED_LOGIN or not query:
        mend = "see the user, the password and the name in the URL, and pg_hba.conf"
        return address.lets_nobody_in(said, mend)
    shown = query if len(query) < 100 else f"{query[:100]}..."
    mend = "correct the query, or grant the user of the URL what it needs, such as pg_monitor"
    return CouldNotLook(f"PostgreSQL can't answer '{shown}': {said}", mend=mend)


def rows_of(sql: Sql, query: str, *, most: int | None = 2) -> list[list[Any]]:
    """What a query gives, at most so many rows of it; as a subselect it can't be anything but a query."""
    limit = f"limit {most}" if most else ""
    wrapped = f"select coalesce(json_agg(q), '[]')::text from (select * from ({_bare(query)}\n) q {limit}) q"  # noqa: S608
    rows: list[list[Any]] = json.loads(sql.text(wrapped), object_pairs_hook=lambda pairs: [each for _, each in pairs])
    return rows


def count_of(sql: Sql, query: str) -> int:
    """How many rows a query gives, or a table has."""
    wanted = f"table {query}" if re.fullmatch(r"[\w.\"$]+", query) else _bare(query)
    return int(sql.text(f"select count(*) from ({wanted}\n) q"))  # noqa: S608


def served_by_index(sql: Sql, query: str) -> bool:
    """Whether PostgreSQL can serve it without reading any table whole, however small the tables are today."""
    # A small table is always read whole; where the planner avoids that at any price, it shows what it could do.
    explained = sql.text(f"explain (format json) {_bare(query)}", "set local enable_seqscan = off")
    return not any(_reads_whole(each["Plan"]) for each in json.loads(explained))


def _reads_whole(node: dict[str, Any], limited: bool = False) -> bool:
    kind = node["Node Type"]
    if kind == "Seq Scan" or (kind in ("Index Scan", "Index Only Scan") and "Index Cond" not in node and not limited):
        return True
    return any(_reads_whole(each, limited or kind == "Limit") for each in node.get("Plans", ()))


def _reading_only(within: float) -> tuple[str, str]:
    return "begin transaction read only", f"set local statement_timeout = {int(within * 1000)}"


def _bare(query: str) -> str:
    return query.strip().rstrip(";")


def _open(address: Address, within: float) -> socket.socket:
    """A connection that is encrypted where the address asks for it."""
    if address.socket:
        opened = socket.socket(socket.AF_UNIX)
        opened.settimeout(within)
        opened.connect(address.socket)
        return opened
    opened = socket.create_connection((address.host, address.port), timeout=within)
    try:
        context = address.context()
        if context is None:
            return opened
        opened.sendall(_SSL_REQUEST)
        if opened.recv(1) == b"S":
            return context.wrap_socket(opened, server_hostname=address.host)
        if address.encryption == "prefer":
            return opened
        raise CouldNotLook(f"{address.place} does not encrypt, and the URL demands it", mend="switch `ssl` on there")
    except BaseException:
        opened.close()
        raise
