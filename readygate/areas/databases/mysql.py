"""Asks a MySQL or MariaDB over the network, in a transaction that only reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from readygate.areas.databases.mysql_replication import NotGranted, Replication, look_at_replication
from readygate.areas.databases.postgres import driver, pace_of
from readygate.areas.databases.postgres_state import plain_setting
from readygate.areas.databases.url import Address
from readygate.errors import CouldNotLook
from readygate.results import Evidence

_REFUSED_LOGIN = (1044, 1045, 1049, 1698)
_NOT_GRANTED = 1227
_TOO_SLOW = (1969, 3024)
_LOST = 2013


class Talk:
    """A connection of ours."""

    def __init__(self, address: Address, within: float) -> None:
        self._address = address
        self._within = within
        pymysql = driver("pymysql", "MySQL")
        self._errors: tuple[type[Exception], ...] = (pymysql.err.Error, OSError)
        context = address.context()
        attempts = [context, None] if address.encryption == "prefer" else [context]
        for number, each in enumerate(attempts, 1):
            try:
                self._connection = pymysql.connect(
                    host=address.host,
                    port=address.port,
                    user=address.user or None,
                    password=address.password,
                    database=address.name or None,
                    ssl=each,
                    ssl_disabled=each is None,
                    connect_timeout=max(1, round(within)),
                    read_timeout=within + 1,  # the server itself cuts a query off at `within`, and says so
                    write_timeout=within,
                )
                break
            except self._errors as error:
                if number == len(attempts) or "SSL" not in str(error):
                    raise self._failed(error, "") from None
        self.tls: bool | None = each is not None

    def rows(self, query: str) -> list[list[Any]]:
        """What a query gives. CouldNotLook: it took too long, or the server refuses it."""
        try:
            with self._connection.cursor() as cursor:
                self._bound(cursor)
                cursor.execute("start transaction read only")
                cursor.execute(query)
                rows = [list(row) for row in cursor.fetchmany(100_000)]
                cursor.execute("rollback")
                return rows
        except self._errors as error:
            raise self._failed(error, query) from None

    def pairs(self, query: str) -> dict[str, str]:
        return {str(row[0]): str(row[1]) for row in self.rows(query)}

    def records(self, query: str) -> list[dict[str, Any]]:
        """The rows of what has many columns, by their names."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(query)
                names = [each[0] for each in cursor.description]
                return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        except self._errors as error:
            raise self._failed(error, query) from None

    def pace_s(self) -> float:
        return pace_of(self._answer_little)

    def close(self) -> None:
        with suppress(*self._errors):
            self._connection.close()

    def _answer_little(self) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute("select 1")
            cursor.fetchone()

    def _bound(self, cursor: Any) -> None:
        """MariaDB counts in seconds by one name, MySQL in milliseconds by another."""
        is_mariadb = "mariadb" in str(self._connection.get_server_info()).lower()
        name, amount = ("max_statement_time", 1.0) if is_mariadb else ("max_execution_time", 1000)
        cursor.execute(f"set session {name} = {self._within * amount:.0f}")

    def _failed(self, error: Exception, query: str) -> CouldNotLook:
        number, said = error.args if len(error.args) == 2 else (0, error)
        if number in _TOO_SLOW:
            mend = "declare a longer `within`, or ask what is cheaper"
            return CouldNotLook(f"it had no answer to '{query}' within {self._within:g} s", mend=mend)
        if number in _REFUSED_LOGIN:
            # MariaDB says no more than this to who comes in the clear, where it or the user demands TLS.
            mend = "see the URL" + ", and whether the server demands TLS" * (self._address.encryption == "disable")
            return self._address.lets_nobody_in(said, mend)
        root = getattr(error, "original_exception", None) or error
        if number == _LOST:
            root = TimeoutError()
        if query and not isinstance(root, OSError) and number < 2000:
            mend = "correct the query, or grant the user of the URL what it needs"
            kind = NotGranted if number == _NOT_GRANTED else CouldNotLook
            return kind(f"the server can't answer '{query[:100]}': {said}", mend=mend)
        return self._address.failed(root, self._within)


@dataclass(frozen=True, slots=True)
class MysqlState:
    """What the server says of itself."""

    variables: Mapping[str, str]
    status: Mapping[str, str]
    replication: Replication

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        used = f"{self.connections} of {self.max_connections} connections"
        return (Evidence("SHOW GLOBAL STATUS", f"{self.variables['version']}, {used}"),)

    @property
    def version(self) -> str | None:
        found = re.match(r"[\d.]+", self.variables["version"])
        return found[0].rstrip(".") if found else None

    @property
    def connections(self) -> int:
        """But for ours."""
        return int(self.status["Threads_connected"]) - 1

    @property
    def max_connections(self) -> int:
        return int(self.variables["max_connections"])

    @property
    def connections_used(self) -> float:
        return 100 * self.connections / max(1, self.max_connections)

    @property
    def streaming(self) -> int:
        """How many read its log."""
        return self.replication.streaming

    @property
    def replication_lag_s(self) -> float | None:
        """Of a replica; None where it is none, or has stopped. CouldNotLook: this user may not know."""
        return self.replication.lag_s

    @property
    def replication_told(self) -> str:
        return self.replication.told

    def setting(self, name: str) -> bool | float | str:
        if name not in self.variables:
            raise CouldNotLook(f"the server knows no setting {name}", mend="see its spelling")
        return plain_setting(self.variables[name])


def look_at_mysql(talk: Talk) -> MysqlState:
    """Everything at once; the replication last, as a server that is about to stop it lets nobody look."""
    variables, status = talk.pairs("show global variables"), talk.pairs("show global status")
    return MysqlState(variables, status, look_at_replication(talk.rows, talk.records, variables["version"]))
