"""The URL of a database: which engine answers there, and how one comes to it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from readygate.areas.tls.trust import describing_context, verifying_context
from readygate.errors import CouldNotLook, Mistake

_MEND = "write e.g. ${DATABASE_URL}, where it is postgresql://user:password@host:5432/name"
_MODES = ("disable", "prefer", "require", "verify-ca", "verify-full")


class Engine(StrEnum):
    """The kind of database, by the scheme of its URL."""

    POSTGRES = "PostgreSQL"
    REDIS = "Redis"
    MYSQL = "MySQL"


_SCHEMES = {
    "postgresql": Engine.POSTGRES,
    "postgres": Engine.POSTGRES,
    "redis": Engine.REDIS,
    "rediss": Engine.REDIS,
    "mysql": Engine.MYSQL,
    "mariadb": Engine.MYSQL,
}
_PORTS = {Engine.POSTGRES: 5432, Engine.REDIS: 6379, Engine.MYSQL: 3306}


class NoAnswer(CouldNotLook):
    """Nobody answers at the address: refused, closed, or too slow."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is. `encryption` is one of libpq's sslmodes; `socket` a path instead of host and port."""

    engine: Engine
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    name: str
    encryption: str
    ca: str | None
    socket: str | None

    @property
    def place(self) -> str:
        """Where it is, as a report may show it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.socket or f"{host}:{self.port}"

    def context(self) -> ssl.SSLContext | None:
        """How the server has to prove itself; None where nothing is encrypted."""
        if self.encryption == "disable":
            return None
        if not self.encryption.startswith("verify"):
            return describing_context()
        context = verifying_context(self.ca)
        context.check_hostname = self.encryption == "verify-full"
        return context

    def lets_nobody_in(self, said: object, mend: str) -> CouldNotLook:
        """What a refused login comes to; each that is refused for another reason is a cause of its own."""
        return CouldNotLook(f"{self.place} lets nobody in: {said}", cause=f"login:{self.place}:{said}", mend=mend)

    def failed(self, error: BaseException, within: float) -> CouldNotLook:
        """What a connection broke off with; the same cause for all that can't be seen of this database."""
        reason = None
        if isinstance(error, ConnectionRefusedError):
            reason = f"{self.place} refuses the connection"
        elif isinstance(error, TimeoutError):
            reason = f"{self.place} does not answer within {within:g} s"
        cause = f"unreachable:{self.place}"
        mend = "see that it runs, and that this machine may reach it"
        if reason or isinstance(error, ConnectionError | EOFError | FileNotFoundError):
            return NoAnswer(reason or f"{self.place} does not answer: {error}", cause=cause, mend=mend)
        return CouldNotLook(f"{self.place} can't be asked: {error}", cause=cause, mend=mend)


def parse_database_url(url: str) -> Address:
    """Read a URL; its Mistake never repeats it, as there may be a password in it."""
    try:
        parts = urlsplit(url)
        engine = _SCHEMES[parts.scheme.partition("+")[0]]
        given = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        port = int(given.get("port", parts.port or _PORTS[engine]))
    except (ValueError, KeyError):
        raise Mistake("this is not the URL of PostgreSQL, Redis, MySQL or MariaDB", _MEND) from None
    encryption = given.get("sslmode", _usual_encryption(parts, given))
    if encryption not in _MODES:
        raise Mistake("the URL has a sslmode that is none", f"write one of {', '.join(_MODES)}")
    host = unquote(parts.hostname or "")
    folder = given.get("host", host)
    return Address(
        engine=engine,
        host=host or "localhost",
        port=port,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        name=unquote(parts.path.lstrip("/")),
        encryption="disable" if folder.startswith("/") else encryption,
        ca=given.get("sslrootcert"),
        socket=f"{folder}/.s.PGSQL.{port}" if folder.startswith("/") else None,
    )


def _usual_encryption(parts: SplitResult, given: dict[str, str]) -> str:
    """As the usual clients take it: rediss:// verifies, redis:// is open, and the others encrypt where they can."""
    if parts.scheme.startswith("redis"):
        return "verify-full" if parts.scheme == "rediss" else "disable"
    return "verify-ca" if "sslrootcert" in given else "prefer"
