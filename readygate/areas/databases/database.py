"""What a running database may be declared to be, and how it is looked at without a change."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, SecretStr, model_validator

from readygate.areas.databases import migration_files
from readygate.areas.databases.migrations import Migrations, MigrationState, look_at_migrations
from readygate.areas.databases.mysql import MysqlState, Talk, look_at_mysql
from readygate.areas.databases.pooling import Patroni, PgBouncer, observe_patroni, observe_pools
from readygate.areas.databases.postgres import Psql, Sql, Wire, count_of, rows_of, served_by_index
from readygate.areas.databases.postgres_state import PostgresState, look_at_postgres, slowest_of
from readygate.areas.databases.redis import (
    Line,
    RedisCli,
    RedisState,
    parse_info,
    persistence_of,
    redis_setting,
    refuses_strangers,
)
from readygate.areas.databases.url import Address, Engine, NoAnswer, parse_database_url
from readygate.areas.databases.wal_archiving import Archiving, look_at_archiving
from readygate.errors import CouldNotLook, Mistake
from readygate.expectation import (
    AtLeastCount,
    AtLeastVersion,
    AtMostCount,
    AtMostDuration,
    AtMostPercent,
    AtMostSize,
    Count,
    Flag,
    Json,
    Seconds,
    Size,
    Text,
    TextSet,
    among,
)
from readygate.results import Evidence
from readygate.spec import Spec

Hosts = Callable[[str], Any]
Session = Sql | Line | RedisCli | Talk
State = PostgresState | RedisState | MysqlState

_QUERY = re.compile(r"\s*(select|with|values|table)\b", re.IGNORECASE)
_TABLE = re.compile(r'[\w.$"]+')


def a_query(text: str) -> str:
    """A query that gives rows; raises Mistake."""
    if not _QUERY.match(text):
        raise Mistake(f"'{text}' is not a query", "begin it with select or with")
    return text


def a_query_or_table(text: str) -> str:
    return text if _TABLE.fullmatch(text) else a_query(text)


def a_url(url: SecretStr) -> SecretStr:
    parse_database_url(url.get_secret_value())
    return url


Query = Annotated[str, AfterValidator(a_query)]


class OfPostgres(Spec):
    """What can only be expected of PostgreSQL."""

    area: ClassVar[str] = "database"
    noun: ClassVar[str] = "database"

    standby: Flag | None = Field(None, description="Whether it only follows a primary.")
    replication_behind: AtMostSize | None = Field(None, description="How much WAL the worst replica must yet replay.")
    unused_slots: AtMostCount | None = Field(None, description="How many replication slots nobody reads from.")
    held_by_slots: AtMostSize | None = Field(None, description="How much WAL the worst slot keeps on the disk.")
    archive_lag: AtMostDuration | None = Field(
        None, description="How long the oldest segment of WAL has waited to be archived."
    )
    longest_transaction: AtMostDuration | None = Field(
        None, description="How long the longest transaction has been open, prepared ones too."
    )
    idle_in_transaction: AtMostDuration | None = Field(
        None, description="How long the idlest open transaction has done nothing."
    )
    wraparound: AtMostPercent | None = Field(
        None, description="The share of transaction ids that the oldest unfrozen row has used up."
    )
    dead_rows: AtMostPercent | None = Field(
        None, description="The share of dead rows in the worst table of 10000 rows and more."
    )
    invalid_indexes: AtMostCount | None = Field(None, description="How many indexes were left unfinished.")
    unvalidated: AtMostCount | None = Field(None, description="How many constraints are NOT VALID for older rows.")
    unvacuumed: AtMostCount | None = Field(None, description="How many tables have their autovacuum switched off.")
    sequences_used: AtMostPercent | None = Field(None, description="How far the sequence has come that is fullest.")
    extensions: TextSet | None = Field(None, description="The extensions of this database.")
    superusers: TextSet | None = Field(None, description="Exactly the roles that may log in and do everything.")
    slowest_query: AtMostDuration | None = Field(
        None, description="Mean time of the slowest statement that has run ten times, by pg_stat_statements."
    )
    indexed: dict[Query, Flag] | None = Field(
        None, description="By query: whether indexes can serve it without reading a table whole."
    )
    pgbouncer: PgBouncer | None = Field(None, description="The PgBouncer before it.")
    patroni: Patroni | None = Field(None, description="The Patroni that runs its cluster.")


class OfRedis(Spec):
    """What can only be expected of Redis."""

    area: ClassVar[str] = "database"
    noun: ClassVar[str] = "database"

    role: Annotated[Text, among("master", "slave")] | None = Field(
        None, description="master or slave, as Redis calls them."
    )
    maxmemory: Size | None = Field(None, description="How much memory it may take; without a limit this fails.")
    memory_used: AtMostPercent | None = Field(None, description="The share of maxmemory that is used.")
    eviction: Text | None = Field(None, description="What gives way when memory is full, e.g. noeviction.")
    persistence: TextSet | None = Field(None, description="What a restart is survived by: rdb, aof or both.")
    last_save_worked: Flag | None = Field(None, description="Whether the last snapshot and the last AOF write did.")
    unsaved: AtMostDuration | None = Field(None, description="How old the last snapshot is, if anything has changed.")
    auth_required: Flag | None = Field(None, description="Whether a stranger without a password is sent away.")


class Database(OfPostgres, OfRedis):
    """A database: PostgreSQL, Redis, or MySQL and MariaDB, by the scheme of its URL."""

    url: Annotated[SecretStr, AfterValidator(a_url)] = Field(
        description="A setting: as ${A_VARIABLE}, its URL, e.g. postgresql://user:password@host/name."
    )
    on: str | None = Field(
        None, description="A setting: the server that psql or redis-cli is run on; else one asks from here."
    )
    run_as: str | None = Field(None, description="A setting: with `on`, the system user that asks there.")
    within: Seconds = Field(5.0, description="A setting: how long connecting, and each answer, may take.")

    reachable: Flag | None = Field(None, description="Whether it answers where one looks from.")
    tls: Flag | None = Field(None, description="Whether the connection is encrypted.")
    version: AtLeastVersion | None = Field(None, description="The version of the server.")
    query_within: AtMostDuration | None = Field(
        None, description="How long the smallest query takes: the middle one of five on an open connection."
    )
    connections: AtMostCount | None = Field(None, description="How many connections there are, but for ours.")
    connections_used: AtMostPercent | None = Field(None, description="Their share of what there may be.")
    max_connections: AtLeastCount | None = Field(None, description="How many there may be.")
    replicas: AtLeastCount | None = Field(None, description="How many replicas follow it at this moment.")
    replication_lag: AtMostDuration | None = Field(
        None, description="By how long the worst replica is behind, or this one if it is one."
    )
    settings: dict[str, Json] | None = Field(
        None, description="By name: a setting as the server has it in effect; on and off are flags."
    )
    invariants: dict[Query, Json] | None = Field(None, description="By query: the one value that it gives.")
    rows: dict[Annotated[str, AfterValidator(a_query_or_table)], Count] | None = Field(
        None, description="By table or query: how many rows there are; 0 for what must not be there."
    )
    migrations: Migrations | None = Field(None, description="How far the schema has come.")

    @property
    def address(self) -> Address:
        """Where it is, and how one logs in."""
        return parse_database_url(self.url.get_secret_value())

    @model_validator(mode="after")
    def _can_be_asked(self) -> Database:
        address = self.address
        own = set(Spec.model_fields)
        beyond = set[str]()
        if address.engine is not Engine.POSTGRES:
            beyond |= set(OfPostgres.model_fields) - own
        if address.engine is not Engine.REDIS:
            beyond |= set(OfRedis.model_fields) - own
        else:
            beyond |= {"invariants", "rows", "migrations"}
        if asked := sorted(each for each in beyond if getattr(self, each) is not None):
            raise Mistake(f"{address.engine} has no `{asked[0]}`", "take it out, or see the scheme of the URL")
        if self.on is not None:
            self._can_be_asked_there(address)
        return self

    def _can_be_asked_there(self, address: Address) -> None:
        if address.engine is Engine.MYSQL:
            raise Mistake("MySQL is asked from here only", "leave `on` out")
        if address.password:
            raise Mistake(
                "a password would stand in the process list of the server",
                "leave it out of the URL, and let peer or ~/.pgpass there do; or leave `on` out",
            )


@contextmanager
def session(database: Database, hosts: Hosts) -> Iterator[Session]:
    """A way to ask it, which is closed in the end. CouldNotLook: nobody answers, or nobody lets us in."""
    opened = _open(database, hosts)
    try:
        yield opened
    finally:
        opened.close()


def _open(database: Database, hosts: Hosts) -> Session:
    address, within, server = database.address, database.within, database.on
    match address.engine:
        case Engine.POSTGRES if server:
            return Psql(hosts(server), server, address, database.run_as, within)
        case Engine.REDIS if server:
            return RedisCli(hosts(server), server, address, within)
        case Engine.POSTGRES:
            return Wire(address, within)
        case Engine.REDIS:
            return Line(address, within)
        case Engine.MYSQL:
            return Talk(address, within)


@dataclass(frozen=True, slots=True)
class Reach:
    """Whether anybody answers, and if not, why."""

    reachable: bool
    reason: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Slowest:
    """The slowest of the statements that run often, and how long it takes on average."""

    mean_s: float
    query: str


def observe_reach(database: Database, hosts: Hosts) -> Reach:
    """Whether it answers a question. CouldNotLook: it answers, but doesn't let us in."""
    asked = f"connect to {database.address.place}"
    try:
        with session(database, hosts) as asking:
            if isinstance(asking, Line | RedisCli):
                asking.ask("PING")
            elif isinstance(asking, Talk):
                asking.rows("select 1")
            else:
                asking.text("select 1")
    except NoAnswer as error:
        return Reach(False, error.reason, (Evidence(asked, error.reason),))
    return Reach(True, "it answers", (Evidence(asked, "it answers"),))


def observe_state(database: Database, hosts: Hosts) -> State:
    """How it is doing, all that one look shows."""
    with session(database, hosts) as asking:
        if isinstance(asking, Line | RedisCli):
            return parse_info(asking.ask("INFO"))
        return look_at_mysql(asking) if isinstance(asking, Talk) else look_at_postgres(asking)


def observe_tls(database: Database, hosts: Hosts) -> bool:
    """Whether our own connection is encrypted. CouldNotLook: it does not go over a network."""
    address = database.address
    with session(database, hosts) as asking:
        if address.socket or (isinstance(asking, Psql) and address.host == "localhost"):
            mend = "write a host into the URL that is reached by the network"
            raise CouldNotLook("one comes to it by a local socket, which TLS has no part in", mend=mend)
        if isinstance(asking, Psql):
            return bool(look_at_postgres(asking).told["encrypted"])
        return address.encryption != "disable" if asking.tls is None else asking.tls


def observe_pace(database: Database, hosts: Hosts) -> float:
    """Seconds that the smallest query takes."""
    with session(database, hosts) as asking:
        return asking.pace_s()


def observe_setting(database: Database, hosts: Hosts, database_state: State, key: str) -> bool | float | str:
    """One setting in effect. CouldNotLook: there is none of this name."""
    if not isinstance(database_state, RedisState):
        return database_state.setting(key)
    with session(database, hosts) as asking:
        return redis_setting(asking, key)  # type: ignore[arg-type]  # what Redis said is asked by Redis' own


def observe_answer(database: Database, hosts: Hosts, key: str) -> object:
    """The one value that a query gives; None where it gives no row. CouldNotLook: it gives more than one value."""
    with session(database, hosts) as asking:
        rows = _rows(asking, key)
    if len(rows) > 1 or any(len(row) != 1 for row in rows):
        raise CouldNotLook(
            f"'{key}' gives more than one value", mend="select one value, or write the query below `rows` to count"
        )
    return rows[0][0] if rows else None


def observe_rows(database: Database, hosts: Hosts, key: str) -> int:
    """How many rows a table has or a query gives."""
    with session(database, hosts) as asking:
        if isinstance(asking, Wire | Psql):
            return count_of(asking, key)
        wanted = f"select * from {key}" if _TABLE.fullmatch(key) else key.strip().rstrip(";")  # noqa: S608
        return int(_rows(asking, f"select count(*) from ({wanted}\n) q")[0][0])  # noqa: S608


def _rows(asking: Session, query: str) -> Sequence[Sequence[Any]]:
    if isinstance(asking, Wire | Psql):
        return rows_of(asking, query)
    if isinstance(asking, Talk):
        return asking.rows(query)
    raise CouldNotLook("Redis has no rows")


def observe_index_use(database: Database, hosts: Hosts, key: str) -> bool:
    with session(database, hosts) as asking:
        return served_by_index(asking, key)  # type: ignore[arg-type]  # only PostgreSQL may declare it


def observe_slowest(database: Database, hosts: Hosts) -> Slowest:
    with session(database, hosts) as asking:
        return Slowest(*slowest_of(asking))  # type: ignore[arg-type]  # only PostgreSQL may declare it


def observe_archiving(database: Database, hosts: Hosts) -> Archiving:
    with session(database, hosts) as asking:
        return look_at_archiving(asking)  # type: ignore[arg-type]  # only PostgreSQL may declare it


def observe_persistence(database: Database, hosts: Hosts) -> frozenset[str]:
    with session(database, hosts) as asking:
        return persistence_of(asking)  # type: ignore[arg-type]  # only Redis may declare it


def observe_strangers(database: Database, hosts: Hosts) -> bool:
    """Whether Redis sends one away who has no password."""
    if database.on:
        with session(database, hosts) as asking:
            return refuses_strangers(asking)  # type: ignore[arg-type]  # only Redis may declare it
    line = Line(database.address, database.within, as_stranger=True)
    try:
        return refuses_strangers(line)
    finally:
        line.close()


def observe_migrations(database: Database, hosts: Hosts, migrations: Migrations) -> MigrationState:
    with session(database, hosts) as asking:
        return look_at_migrations(migrations, lambda query: _all_rows(asking, query))


def _all_rows(asking: Session, query: str) -> Sequence[Sequence[Any]]:
    return rows_of(asking, query, most=None) if isinstance(asking, Wire | Psql) else _rows(asking, query)


SECTIONS: Mapping[str, type[Spec]] = {"databases": Database}

FACTS: Mapping[str, Callable[..., Any]] = {
    "database_reach": observe_reach,
    "database_state": observe_state,
    "database_tls": observe_tls,
    "database_pace_s": observe_pace,
    "database_setting": observe_setting,
    "database_answer": observe_answer,
    "row_count": observe_rows,
    "index_use": observe_index_use,
    "slowest_statement": observe_slowest,
    "wal_archiving": observe_archiving,
    "redis_persistence": observe_persistence,
    "strangers_refused": observe_strangers,
    "migration_state": observe_migrations,
    **migration_files.FACTS,
    "pools": observe_pools,
    "patroni_cluster": observe_patroni,
}
