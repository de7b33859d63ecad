"""Asks a Redis or Valkey: over the network in its own protocol, or by redis-cli on a server; only by what reads."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedReader
from shlex import quote
from typing import Any

from readygate.areas.asking import run
from readygate.areas.databases.postgres import pace_of
from readygate.areas.databases.postgres_state import plain_setting
from readygate.areas.databases.url import Address, NoAnswer
from readygate.errors import CouldNotLook
from readygate.results import Evidence

_NOT_LOGGED_IN = ("NOAUTH", "WRONGPASS", "NOPERM", "ERR AUTH", "ERR invalid password")


class Line:
    """A connection of ours that speaks RESP, Redis' own protocol (version 2), and ends every wait."""

    def __init__(self, address: Address, within: float, *, as_stranger: bool = False) -> None:
        self._address = address
        self._within = within
        context = address.context()
        try:
            plain = socket.create_connection((address.host, address.port), timeout=within)
            self._socket = context.wrap_socket(plain, server_hostname=address.host) if context else plain
        except OSError as error:
            raise address.failed(error, within) from None
        self._answers: BufferedReader = self._socket.makefile("rb")
        self.tls: bool | None = context is not None
        if address.password and not as_stranger:
            self.ask("AUTH", *([address.user] if address.user else []), address.password)

    def ask(self, *words: str) -> Any:
        """What Redis answers to one command. CouldNotLook: an error, or nothing in time."""
        sent = b"".join(b"$%d\r\n%s\r\n" % (len(each), each) for each in map(str.encode, words))
        try:
            self._socket.sendall(b"*%d\r\n%s" % (len(words), sent))
            return self._answer(time.monotonic() + self._within, words[0])
        except (OSError, EOFError, ValueError) as error:
            raise self._address.failed(error, self._within) from None

    def pace_s(self) -> float:
        """How long one PING takes, on a connection that stands already."""
        return pace_of(lambda: self.ask("PING"))

    def close(self) -> None:
        self._answers.close()
        self._socket.close()

    def _answer(self, deadline: float, command: str) -> Any:
        if time.monotonic() > deadline:
            raise TimeoutError
        line = self._answers.readline(65536)
        if not line.endswith(b"\r\n"):
            raise EOFError("it hung up in the middle")
        kind, rest = line[:1], line[1:-2].decode(errors="replace")
        match kind:
            case b"+":
                return rest
            case b":":
                return int(rest)
            case b"-":
                raise said_no(self._address, command, rest)
            case b"$":
                return None if int(rest) < 0 else self._answers.read(int(rest) + 2)[:-2].decode(errors="replace")
            case b"*":
                return [self._answer(deadline, command) for _ in range(max(0, int(rest)))]
        raise ValueError("this is not Redis")


@dataclass(frozen=True, slots=True)
class RedisCli:
    """redis-cli on a server, without a password."""

    host: Any
    server: str
    address: Address
    within: float
    tls: bool | None = None

    def ask(self, *words: str) -> Any:
        """The answer as text; one line an item of a list."""
        encrypted = "" if self.address.encryption == "disable" else " --tls"
        place = f"-h {quote(self.address.host)} -p {self.address.port}{encrypted}"
        command = f"export LC_ALL=C; redis-cli {place} {' '.join(map(quote, words))} 2>&1"
        answer = run(self.host, self.server, command, within=self.within)
        said = answer.text.rstrip("\n")
        if "Could not connect" in said or answer.exit:
            cause = f"unreachable:{self.server}:{self.address.place}"
            raise NoAnswer(f"redis-cli on {self.server}: {said}", cause=cause, mend="see that Redis runs there")
        if said.partition(" ")[0] in ("NOAUTH", "NOPERM", "ERR", "LOADING", "MASTERDOWN", "(error)"):
            raise said_no(self.address, words[0], said)
        return said.splitlines() if words[:2] == ("CONFIG", "GET") else said

    def pace_s(self) -> float:
        """CouldNotLook: redis-cli does not time one answer."""
        mend = "leave `on` out and ask it by its URL from here"
        raise CouldNotLook("redis-cli does not tell how long one answer takes", mend=mend)

    def close(self) -> None:
        """There is nothing to close: each command has a connection of its own."""


@dataclass(frozen=True, slots=True)
class RedisState:
    """What INFO says of it."""

    info: Mapping[str, str]

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        names = ("redis_version", "role", "connected_clients", "used_memory", "maxmemory", "rdb_last_bgsave_status")
        return (Evidence("INFO", ", ".join(f"{name} {self.info.get(name)}" for name in names)),)

    @property
    def version(self) -> str | None:
        return self.info.get("valkey_version") or self.info.get("redis_version")

    @property
    def role(self) -> str | None:
        return self.info.get("role")

    @property
    def connections(self) -> int:
        """But for ours."""
        return max(0, self._number("connected_clients") - 1)

    @property
    def max_connections(self) -> int:
        return self._number("maxclients")

    @property
    def connections_used(self) -> float:
        return 100 * self.connections / max(1, self.max_connections)

    @property
    def maxmemory(self) -> int | None:
        """Bytes that it may take; None is no limit at all."""
        return self._number("maxmemory") or None

    @property
    def memory_used(self) -> float | None:
        """The share of what it may take, in per cent; None where nothing limits it."""
        return None if self.maxmemory is None else 100 * self._number("used_memory") / self.maxmemory

    @property
    def eviction(self) -> str | None:
        return self.info.get("maxmemory_policy")

    @property
    def last_save_worked(self) -> bool:
        """Whether the last snapshot and the last write of the append-only file did."""
        if "rdb_last_bgsave_status" not in self.info:
            raise CouldNotLook("Redis does not tell how its last snapshot ended", mend="see what ACL the user has")
        written = ("rdb_last_bgsave_status", "aof_last_write_status", "aof_last_bgrewrite_status")
        return all(self.info.get(each, "ok") == "ok" for each in written)

    @property
    def unsaved_s(self) -> int:
        """Seconds since the last snapshot, or since the start if there was none; 0 where nothing changed."""
        if not self._number("rdb_changes_since_last_save"):
            return 0
        saved = self._number("rdb_last_save_time")
        return max(0, self._number("server_time_usec") // 1_000_000 - saved)

    @property
    def streaming(self) -> int:
        """How many replicas are online, by what the primary says of each."""
        return sum(each.get("state") == "online" for each in self._replicas())

    @property
    def replication_lag_s(self) -> int | None:
        """Of a replica the time since it heard of its primary, if linked; of a primary the worst replica's."""
        if self.role == "slave":
            linked = self.info.get("master_link_status") == "up"
            return self._number("master_last_io_seconds_ago") if linked else None
        replicas = self._replicas()
        if any(each.get("state") != "online" for each in replicas):
            return None  # it is still being sent everything
        return max((int(each["lag"]) for each in replicas), default=None)

    @property
    def replication_told(self) -> str:
        """Why nobody knows how far it is behind, where nobody does."""
        if self.replication_lag_s is not None:
            return ""
        if self.role == "slave":
            return "its link to the primary is down"
        return "a replica is still being sent everything" if self._replicas() else "nobody follows it"

    def _replicas(self) -> list[dict[str, str]]:
        told = [value for name, value in self.info.items() if name.startswith("slave") and name[5:].isdigit()]
        return [dict(part.partition("=")[::2] for part in each.split(",")) for each in told]

    def _number(self, name: str) -> int:
        if name not in self.info:
            raise CouldNotLook(f"Redis does not tell its {name}", mend="see which version it is, and what ACL it has")
        return int(self.info[name])


def parse_info(text: str) -> RedisState:
    """Read what INFO answers: a name, a colon and a value a line."""
    lines = (line.strip().partition(":") for line in text.splitlines() if not line.startswith("#"))
    return RedisState({name: value for name, _, value in lines if value})


def redis_setting(line: Line | RedisCli, name: str) -> bool | float | str:
    """A setting as CONFIG GET has it. CouldNotLook: there is none of this name."""
    found = line.ask("CONFIG", "GET", name)
    if len(found) < 1 or found[0] != name:
        raise CouldNotLook(f"Redis knows no setting {name}", mend="see its spelling")
    return "" if len(found) < 2 else yes_or_no(found[1])


def yes_or_no(text: str) -> bool | float | str:
    return text == "yes" if text in ("yes", "no") else plain_setting(text)


def persistence_of(line: Line | RedisCli) -> frozenset[str]:
    """What survives a restart is written by: rdb, aof, both or nothing."""
    ways = {"rdb": redis_setting(line, "save") != "", "aof": redis_setting(line, "appendonly") is True}
    return frozenset(name for name, is_on in ways.items() if is_on)


def refuses_strangers(line: Line | RedisCli) -> bool:
    """Whether somebody who has not logged in is sent away."""
    try:
        line.ask("PING")
    except CouldNotLook as error:
        if "NOAUTH" in error.reason or "protected mode" in error.reason:
            return True
        raise
    return False


def said_no(address: Address, command: str, said: str) -> CouldNotLook:
    if said.startswith(_NOT_LOGGED_IN):
        mend = "see the user and the password in the URL, and Redis' ACL"
        return address.lets_nobody_in(said, mend)
    return CouldNotLook(f"Redis can't answer {command}: {said}", mend="see that it has loaded its data")
