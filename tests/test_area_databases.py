"""The area of databases, shown on real ones: sound, and broken as they break in life."""

from __future__ import annotations

import inspect
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from readygate.areas import FACTS
from readygate.areas.databases.database import Database
from readygate.areas.databases.migration_files import breaks
from readygate.areas.databases.postgres_state import PostgresState
from readygate.areas.databases.redis import parse_info
from readygate.errors import CouldNotLook
from readygate.facts import Facts
from readygate.spec import leaves
from tests.database_servers import (
    PASSWORD,
    PROGRAMS,
    MariaDb,
    Postgres,
    Redis,
    answers,
    do,
    folder_of,
    free_port,
    hosts_of,
    needed,
    new_mariadb,
    new_postgres,
    new_redis,
    served,
    started_postgres,
)
from tests.holding import LOCAL, suite_functions
from tests.monitoring_servers import web
from tests.patroni_cluster import new_cluster
from tests.projects import Project

FUNCTIONS = dict(suite_functions("databases"))


def reasons(url: str, **declared: Any) -> dict[str, str]:
    """By check, why it doesn't hold; an empty text where it does."""
    facts = Facts(FACTS, hosts_of(LOCAL))
    outcomes: dict[str, str] = {}
    for leaf in leaves(Database.model_validate({"url": url, **declared}), "main", ("databases", "main")):
        function = FUNCTIONS[leaf.check]
        try:
            function(**{name: facts.get(name, leaf) for name in inspect.signature(function).parameters})
            why = ""
        except AssertionError as error:
            why = str(error) or f"not {leaf.expected}"
        outcomes[leaf.check] = outcomes.get(leaf.check, "") + why
    return outcomes


def failing(url: str, **declared: Any) -> set[str]:
    """Which of what is declared does not hold."""
    return {check.partition(".")[2] for check, why in reasons(url, **declared).items() if why}


def why_blind(url: str, **declared: Any) -> CouldNotLook:
    with pytest.raises(CouldNotLook) as caught:
        reasons(url, **declared)
    assert PASSWORD not in f"{caught.value} {caught.value.mend} {caught.value.cause}"
    return caught.value


# PostgreSQL

SCHEMA = (
    "create table orders (id serial primary key, total numeric not null, customer int)",
    "insert into orders (total, customer) select n, n % 50 from generate_series(1, 1000) n",
    "create extension pg_stat_statements",
    "create role app login password 'bright-otter-412'",
    "create role watcher login password 'bright-otter-412' in role pg_monitor",
    "grant select on orders to app",
    "analyze",
)
SOUND: dict[str, Any] = {
    "reachable": True,
    "tls": True,
    "version": ">=15",
    "query_within": "1s",
    "connections": 5,
    "connections_used": "80%",
    "max_connections": 20,
    "settings": {"max_connections": ">=20", "fsync": False, "shared_buffers": "16MB", "wal_level": "replica"},
    "standby": False,
    "unused_slots": 0,
    "held_by_slots": "1G",
    "longest_transaction": "1m",
    "idle_in_transaction": "1m",
    "wraparound": "10%",
    "dead_rows": "20%",
    "invalid_indexes": 0,
    "unvalidated": 0,
    "unvacuumed": 0,
    "sequences_used": "50%",
    "extensions": {"contains": ["pg_stat_statements"]},
    "superusers": ["owner"],
    "slowest_query": "1s",
    "indexed": {"select * from orders where id = 7": True, "select * from orders order by id limit 5": True},
    "invariants": {"select count(*) from orders where total < 0": 0, "select max(total) from orders": ">=1000"},
    "rows": {"orders": ">=1000", "select * from orders where customer = 666": 0},
}


@pytest.fixture(scope="module")
def primary() -> Iterator[Postgres]:
    with new_postgres() as server:
        server.do(*SCHEMA, *["select count(*) from orders"] * 12)
        yield server


@pytest.fixture(scope="module")
def standby(primary: Postgres) -> Iterator[Postgres]:
    data = primary.folder.parent / "standby"
    source = ["-d", primary.url(name="postgres"), "-R", "-C", "-S", "standby", "-c", "fast", "--no-sync"]
    do(PROGRAMS / "pg_basebackup", "-D", data, *source, user="postgres")
    with started_postgres(data) as server:
        until(lambda: primary.do("select count(*) from pg_stat_replication where state = 'streaming'") == "1")
        yield server
    primary.do("select pg_drop_replication_slot('standby')")


def until(holds: Any) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_sound_postgres_holds_all_that_is_declared(primary: Postgres) -> None:
    assert failing(primary.url(), **SOUND) == set()


def test_psql_on_a_server_sees_the_same(primary: Postgres) -> None:
    there = {key: value for key, value in SOUND.items() if key != "tls"}
    assert failing(primary.by_socket, on="db-1", run_as="postgres", **there) == set()


def test_a_monitoring_role_sees_the_same(primary: Postgres) -> None:
    not_its_own = ("rows", "invariants", "indexed", "slowest_query", "sequences_used")
    seen = {key: value for key, value in SOUND.items() if key not in not_its_own}
    assert failing(primary.url("watcher"), **seen) == set()


@pytest.mark.parametrize(
    "declared",
    [
        {"longest_transaction": "1m"},
        {"idle_in_transaction": "1m"},
        {"replicas": 1},
        {"replication_lag": "10s"},
        {"replication_behind": "1M"},
    ],
    ids=lambda declared: next(iter(declared)),
)
def test_what_an_ordinary_role_may_not_see_is_never_taken_for_nothing(
    primary: Postgres, declared: dict[str, Any]
) -> None:
    assert "pg_monitor" in why_blind(primary.url("app"), **declared).mend


@pytest.mark.parametrize(
    "declared",
    [
        {"tls": False},
        {"version": ">=99"},
        {"query_within": "<1us"},
        {"max_connections": 400},
        {"settings": {"fsync": True}},
        {"settings": {"max_connections": ">=200"}},
        {"standby": True},
        {"extensions": ["plpgsql"]},
        {"replicas": 1},
        {"replication_lag": "10s"},
        {"replication_behind": "1M"},
        {"reachable": False},
    ],
    ids=lambda declared: next(iter(declared)),
)
def test_what_is_otherwise_than_declared_fails(primary: Postgres, declared: dict[str, Any]) -> None:
    assert failing(primary.url(), **declared) == set(declared)


def test_connections_that_pile_up_are_seen(primary: Postgres) -> None:
    with ExitStack() as held:
        for _ in range(15):
            held.enter_context(primary.holding("select 1"))
        wanted = {"connections": 5, "connections_used": "80%"}
        assert failing(primary.url(), **wanted) == set(wanted)


def test_a_transaction_that_somebody_forgot_is_seen(primary: Postgres) -> None:
    with primary.holding("begin", "select 1"):
        time.sleep(0.3)
        assert failing(primary.url(), longest_transaction="200ms", idle_in_transaction="200ms") == {
            "longest_transaction",
            "idle_in_transaction",
        }


def test_a_prepared_transaction_that_nobody_ends_is_seen(primary: Postgres) -> None:
    primary.do("begin; update orders set customer = 1 where id = 1; prepare transaction 'forgotten'")
    try:
        time.sleep(0.2)
        assert failing(primary.url(), longest_transaction="100ms") == {"longest_transaction"}
    finally:
        primary.do("rollback prepared 'forgotten'")


def test_a_slot_that_nobody_reads_is_seen(primary: Postgres) -> None:
    primary.do("select pg_create_physical_replication_slot('left_over', true)")
    primary.do("create table filler as select n, repeat('x', 500) from generate_series(1, 5000) n")
    try:
        seen = reasons(primary.url(), unused_slots=0, held_by_slots="1M")
        assert "left_over" in seen["database.unused_slots"]
        assert seen["database.held_by_slots"]
    finally:
        primary.do("drop table filler", "select pg_drop_replication_slot('left_over')")


def test_a_table_full_of_dead_rows_is_seen(primary: Postgres) -> None:
    primary.do(
        "create table ledger with (autovacuum_enabled = off) as select n from generate_series(1, 20000) n",
        "update ledger set n = n + 1",
    )
    try:
        until(lambda: int(primary.do("select n_dead_tup from pg_stat_user_tables where relname = 'ledger'")) > 1000)
        assert "ledger" in reasons(primary.url(), dead_rows="20%")["database.dead_rows"]
    finally:
        primary.do("drop table ledger")


def test_an_index_that_was_left_unfinished_is_seen(primary: Postgres) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        primary.do("create unique index concurrently one_each on orders (customer)")
    try:
        assert "one_each" in reasons(primary.url(), invalid_indexes=0)["database.invalid_indexes"]
    finally:
        primary.do("drop index one_each")


def test_what_wears_out_unseen_is_seen(primary: Postgres) -> None:
    primary.do(
        "create table worn (id serial, total int) with (autovacuum_enabled = false)",
        "alter table worn add constraint positive check (total > 0) not valid",
        "select setval('worn_id_seq', 2000000000)",
    )
    wanted = {"unvalidated": 0, "unvacuumed": 0, "sequences_used": "80%"}
    try:
        seen = reasons(primary.url(), **wanted)
        assert ["worn" in why for why in seen.values()] == [True] * 3
        assert failing(primary.url(), unvalidated=1, unvacuumed=1, sequences_used="95%") == set()
        assert "sequences" in why_blind(primary.url("app"), sequences_used="80%").reason
    finally:
        primary.do("drop table worn")


@pytest.mark.parametrize("limited", ["role app", "database shop"])
def test_a_limit_of_its_own_counts_where_it_is_nearer(primary: Postgres, limited: str) -> None:
    primary.do(f"alter {limited} connection limit 3")
    try:
        with ExitStack() as held:
            for _ in range(2):
                held.enter_context(primary.holding("select 1", user="app"))
            assert failing(primary.url(), connections_used="60%") == {"connections_used"}
            assert failing(primary.url("app"), connections=1) == {"connections"}
    finally:
        primary.do(f"alter {limited} connection limit -1")


def test_who_may_become_superuser_is_one(primary: Postgres) -> None:
    primary.do("create role deputy login", "grant owner to deputy")
    try:
        assert failing(primary.url(), superusers=["owner"]) == {"superusers"}
    finally:
        primary.do("drop role deputy")


def test_statistics_that_have_just_begun_call_nothing_fast(primary: Postgres) -> None:
    primary.do("select pg_stat_statements_reset()")
    try:
        assert "ten times" in why_blind(primary.url(), slowest_query="1s").reason
    finally:
        primary.do(*["select count(*) from orders"] * 12)


def test_a_second_superuser_is_seen(primary: Postgres) -> None:
    primary.do("create role intruder superuser login")
    try:
        assert failing(primary.url(), superusers=["owner"]) == {"superusers"}
    finally:
        primary.do("drop role intruder")


def test_a_slow_statement_that_runs_often_is_seen(primary: Postgres) -> None:
    primary.do(*["select pg_sleep(0.02)"] * 10)
    seen = reasons(primary.url(), slowest_query="10ms")
    assert "pg_sleep" in seen["database.slowest_query"]


def test_without_pg_stat_statements_no_statement_is_called_fast(primary: Postgres) -> None:
    assert "create extension" in why_blind(primary.url(name="postgres"), slowest_query="1s").mend


def test_nearing_wraparound_is_seen(primary: Postgres) -> None:
    used = float(primary.do("select 100.0 * max(age(datfrozenxid)) / 2147483648 from pg_database"))
    assert failing(primary.url(), wraparound=f"{used / 2:.9f}%") == {"wraparound"}


@pytest.mark.parametrize(
    "query",
    ["select * from orders where customer = 7", "select * from orders where total > 5 order by id"],
    ids=["reads the table", "reads the index whole"],
)
def test_a_query_without_an_index_is_seen(primary: Postgres, query: str) -> None:
    assert failing(primary.url(), indexed={query: True}) == {"indexed"}


def test_data_that_break_their_rules_are_seen(primary: Postgres) -> None:
    primary.do("insert into orders (total, customer) values (-1, 666)")
    try:
        assert failing(primary.url(), invariants=SOUND["invariants"], rows=SOUND["rows"]) == {"invariants", "rows"}
    finally:
        primary.do("delete from orders where customer = 666")


def test_a_query_that_gives_no_row_is_nothing_and_fails(primary: Postgres) -> None:
    assert failing(primary.url(), invariants={"select total from orders where id < 0": 0}) == {"invariants"}


def test_a_query_that_gives_more_than_one_value_is_an_error(primary: Postgres) -> None:
    assert "more than one" in why_blind(primary.url(), invariants={"select id from orders": 1}).reason


def test_a_query_of_what_is_not_there_is_an_error(primary: Postgres) -> None:
    assert 'relation "nowhere" does not exist' in why_blind(primary.url(), rows={"nowhere": 0}).reason


@pytest.mark.parametrize("there", [{}, {"on": "db-1", "run_as": "postgres"}], ids=["by wire", "by psql"])
def test_a_query_can_change_nothing(primary: Postgres, there: dict[str, str]) -> None:
    primary.do("create or replace function wipe() returns int language sql as 'delete from orders returning 1'")
    url = primary.by_socket if there else primary.url()
    error = why_blind(url, invariants={"select wipe()": 1}, **there)
    assert "read-only transaction" in error.reason
    assert primary.do("select count(*) from orders") == "1000"


@pytest.mark.parametrize("there", [{}, {"on": "db-1", "run_as": "postgres"}], ids=["by wire", "by psql"])
def test_a_query_that_takes_too_long_is_cut_off(primary: Postgres, there: dict[str, str]) -> None:
    url = primary.by_socket if there else primary.url()
    begun = time.monotonic()
    assert "within 0.3 s" in why_blind(url, invariants={"select pg_sleep(30)": "x"}, within="300ms", **there).reason
    assert time.monotonic() - begun < 10


def test_a_replica_that_follows_is_seen_from_both_ends(primary: Postgres, standby: Postgres) -> None:
    wanted = {"replicas": 1, "replication_lag": "30s", "replication_behind": "16M", "unused_slots": 0}
    assert failing(primary.url(), standby=False, **wanted) == set()
    assert failing(standby.url(), standby=True, replication_lag="30s") == set()


def test_what_only_receives_is_no_replica(primary: Postgres, standby: Postgres, tmp_path: Path) -> None:
    with folder_of("postgres") as folder:
        command = [PROGRAMS / "pg_receivewal", "-D", folder, "-d", primary.url(name="postgres"), "--no-sync"]
        here = "where application_name = 'pg_receivewal' and state = 'streaming'"
        receives = f"select count(*) from pg_stat_replication {here}"
        with served(command, folder.parent / "log", lambda: primary.do(receives) == "1", user="postgres"):
            assert failing(primary.url(), replicas=2) == {"replicas"}
            assert failing(primary.url(), replicas=1, replication_lag="30s", replication_behind="16M") == set()


def test_a_replica_that_is_told_to_stand_still_is_seen_while_nothing_happens(
    primary: Postgres, standby: Postgres
) -> None:
    standby.do("select pg_wal_replay_pause()")
    try:
        until(lambda: standby.do("select pg_get_wal_replay_pause_state()") == "paused")
        assert failing(standby.url(), replication_lag="1h") == {"replication_lag"}
    finally:
        standby.do("select pg_wal_replay_resume()")


def test_a_replica_that_has_yet_to_catch_up_is_not_called_near() -> None:
    told = {"standby": False, "sees_all": True}
    near = {"name": "a", "streams": True, "lag_s": 0.1, "behind": 5}
    for other in ({**near, "streams": False}, {**near, "streams": False, "behind": None}):
        state = PostgresState({**told, "replicas": [near, other]})
        assert state.replication_lag_s is None
        assert state.replication_behind == (5 if other["behind"] else None)
    lost = {"name": "b", "active": False, "lost": True, "held": None}
    assert PostgresState({**told, "slots": [lost]}).held_by_slots is None


def test_a_replica_that_replays_nothing_is_seen(primary: Postgres, standby: Postgres) -> None:
    standby.do("select pg_wal_replay_pause()")
    primary.do("create table burst as select n, repeat('x', 100) from generate_series(1, 20000) n")
    try:
        until(lambda: standby.do("select pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()") == "t")
        time.sleep(0.3)
        wanted = {"replication_behind": "1M", "replication_lag": "200ms"}
        assert failing(primary.url(), replicas=1, **wanted) == set(wanted)
        assert failing(standby.url(), replication_lag="200ms") == {"replication_lag"}
    finally:
        standby.do("select pg_wal_replay_resume()")
        primary.do("drop table burst")


def test_a_standby_that_lost_its_primary_is_not_called_up_to_date(primary: Postgres, standby: Postgres) -> None:
    conninfo = standby.do("show primary_conninfo")
    standby.do("alter system set primary_conninfo = 'host=127.0.0.1 port=1'", "select pg_reload_conf()")
    try:
        until(lambda: standby.do("select count(*) from pg_stat_wal_receiver") == "0")
        assert failing(standby.url(), replication_lag="1h") == {"replication_lag"}
        assert "replicas" in failing(primary.url(), replicas=1, replication_lag="1h", unused_slots=0)
    finally:
        quoted = conninfo.replace("'", "''")
        standby.do(f"alter system set primary_conninfo = '{quoted}'", "select pg_reload_conf()")
        until(lambda: primary.do("select count(*) from pg_stat_replication where state = 'streaming'") == "1")


def test_a_connection_in_the_clear_is_seen(primary: Postgres) -> None:
    assert failing(primary.url(sslmode="disable"), tls=True) == {"tls"}


def test_a_certificate_that_nobody_signed_is_not_trusted_where_the_url_demands_it(primary: Postgres) -> None:
    assert "certificate verify failed" in why_blind(primary.url(sslmode="verify-full"), version=">=15").reason
    signed = primary.url(sslmode="verify-ca", sslrootcert=str(primary.folder / "server.crt"))
    assert failing(signed, tls=True, version=">=15") == set()


def test_of_a_local_socket_nobody_asks_for_tls(primary: Postgres) -> None:
    assert "local socket" in why_blind(primary.by_socket, on="db-1", run_as="postgres", tls=True).reason


def test_two_logins_that_are_refused_for_different_reasons_are_two_findings(primary: Postgres) -> None:
    wrong = why_blind(primary.url().replace(PASSWORD, "wrong-one-771"), version=">=15")
    nowhere = why_blind(primary.url(name="nowhere"), version=">=15")
    assert wrong.cause != nowhere.cause
    assert "nowhere" in nowhere.reason


def test_a_wrong_password_is_an_error_and_never_shown(primary: Postgres) -> None:
    url = primary.url().replace(PASSWORD, "wrong-one-771")
    for declared in ({"reachable": True}, {"version": ">=15"}):
        error = why_blind(url, **declared)
        assert "password authentication failed" in error.reason
        assert "wrong-one-771" not in str(error)


@pytest.mark.parametrize("scheme", ["postgresql", "redis", "mysql"])
def test_where_nobody_listens_it_is_not_reachable_and_nothing_else_is_known(scheme: str) -> None:
    url = f"{scheme}://shop:{PASSWORD}@127.0.0.1:{free_port()}/shop"
    assert failing(url, reachable=True) == {"reachable"}
    assert failing(url, reachable=False) == set()
    assert why_blind(url, version=">=1").cause == why_blind(url, connections=1).cause


@pytest.mark.parametrize("scheme", ["postgresql", "redis", "mysql"])
def test_a_server_that_says_nothing_is_given_up_in_time(scheme: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as mute:
        url = f"{scheme}://shop:{PASSWORD}@127.0.0.1:{mute.getsockname()[1]}/shop"
        begun = time.monotonic()
        assert failing(url, reachable=True, within="1s") == {"reachable"}
        assert time.monotonic() - begun < 6


def test_a_missing_driver_says_what_to_install(primary: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pg8000.native", None)
    assert "readygate[databases]" in why_blind(primary.url(), version=">=15").mend


# Migrations

ALEMBIC = {
    "a1_orders.py": 'revision = "a1"\ndown_revision = None\n',
    "b2_left.py": 'revision: str = "b2"\ndown_revision: str = "a1"\n',
    "c3_right.py": 'revision = "c3"\ndown_revision = "a1"\n',
    "d4_merge.py": 'revision = "d4"\ndown_revision = ("b2", "c3")\n',
}


def files_in(folder: Path, names: Any) -> str:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(names[name] if isinstance(names, dict) else "")
    return str(folder)


def migrated(server: Postgres, tmp_path: Path, tool: str, names: Any, **wanted: Any) -> dict[str, str]:
    folder = files_in(tmp_path, names)
    return reasons(server.url(), migrations={"tool": tool, "files": folder, **wanted})


def test_alembic_at_its_head_has_nothing_pending(primary: Postgres, tmp_path: Path) -> None:
    primary.do("create table alembic_version (version_num text)", "insert into alembic_version values ('d4')")
    try:
        seen = migrated(primary, tmp_path, "alembic", ALEMBIC, head="d4", pending=0, unknown=0, failed=0)
        assert not any(seen.values())
        primary.do("update alembic_version set version_num = 'b2'")
        seen = migrated(primary, tmp_path, "alembic", ALEMBIC, head="d4", pending=0, unknown=0)
        assert seen["migrations.head"]
        assert seen["migrations.pending"] == "pending: c3, d4"
        primary.do("update alembic_version set version_num = 'e5'")
        assert migrated(primary, tmp_path, "alembic", ALEMBIC, unknown=0)["migrations.unknown"] == "unknown: e5"
    finally:
        primary.do("drop table alembic_version")


GOOSE = {
    "001_schema.sql": "-- +goose Up\ncreate table a (id int);\n-- +goose Down\ndrop table a;\n",
    "002_index.sql": (
        "-- it takes an hour, and must not lock\n-- +goose NO TRANSACTION\n-- +goose Up\n"
        "create index concurrently on a (id);\n-- +goose Down\ndrop index a_id_idx;\n"
    ),
    "003_name.sql": "-- +goose Up\nalter table a add column name text;\n-- +goose Down\nalter table a drop name;\n",
}


def test_what_migrations_of_goose_would_do_is_read(primary: Postgres, tmp_path: Path) -> None:
    primary.do(
        "create table goose_db_version (id serial, version_id bigint, is_applied bool)",
        "insert into goose_db_version (version_id, is_applied) values (0, true), (1, true), (2, true)",
    )
    wanted = {"irreversible": 0, "untransacted": 0, "breaking": 0}
    careless = {
        "001_schema.sql": "-- +goose Up\ncreate table a (id int);\nalter table a rename to b;\n",
        "002_index.sql": f"-- +goose NO TRANSACTION\n{GOOSE['001_schema.sql']}",
        "003_name.sql": "-- +goose Up\nalter table a drop name;\n-- +goose Down\n-- nothing brings it back\n",
    }
    try:
        assert not any(migrated(primary, tmp_path, "goose", GOOSE, **wanted).values())
        seen = migrated(primary, tmp_path, "goose", careless, **wanted)
        told = {check: why.partition("\n")[0] for check, why in seen.items()}
        assert told == {
            "migrations.irreversible": "001_schema.sql, 003_name.sql",
            "migrations.untransacted": "002_index.sql",
            "migrations.breaking": "003_name.sql",
        }
        with pytest.raises(CouldNotLook, match="is no SQL"):
            migrated(primary, tmp_path, "goose", {"004_later.go": ""}, irreversible=0)
    finally:
        primary.do("drop table goose_db_version")


@pytest.mark.parametrize(
    ("statement", "is_one"),
    [
        ("create table a (name text not null)", False),
        ("alter table a add column name text", False),
        ("alter table a add name text not null", True),
        ("alter table a add name text not null default 'x', add size numeric(9, 2)", False),
        ("alter table a add name text default 'x', add column size int not null", True),
        ("alter table a add constraint positive check (size > 0 and name is not null)", False),
        ("alter table a alter column name set not null", True),
        ("alter table a alter name type varchar(9)", True),
        ("alter table a drop column name", True),
        ("alter table a drop constraint positive", False),
        ("alter table a alter name drop not null", False),
        ("alter table a rename name to title", True),
        ("drop table a", True),
        ("drop index a_name_idx", False),
        ("create index on a (name) -- drop table a", False),
        ("update a set name = 'x'; drop view b", True),
    ],
)
def test_what_the_release_before_can_not_live_with_is_told(statement: str, is_one: bool) -> None:
    assert breaks(statement) == breaks(statement.upper()) == is_one


def test_goose_counts_a_step_back_as_pending(primary: Postgres, tmp_path: Path) -> None:
    names = ["001_schema.sql", "002_schema_v2.sql", "003_indexes.go"]
    primary.do(
        "create table goose_db_version (id serial, version_id bigint, is_applied bool)",
        "insert into goose_db_version (version_id, is_applied) values (0, true), (1, true), (2, true), (3, true)",
    )
    try:
        assert not any(migrated(primary, tmp_path, "goose", names, head="3", pending=0, unknown=0).values())
        primary.do("insert into goose_db_version (version_id, is_applied) values (3, false)")
        seen = migrated(primary, tmp_path, "goose", names, head="3", pending=0, failed=0)
        assert seen["migrations.pending"] == "pending: 3"
        assert seen["migrations.head"]
        assert not seen["migrations.failed"]
    finally:
        primary.do("drop table goose_db_version")


def test_flyway_tells_what_broke_off(primary: Postgres, tmp_path: Path) -> None:
    names = ["V1__schema.sql", "V1_10__orders.sql", "V1_9__users.sql"]
    primary.do(
        "create table flyway_schema_history (installed_rank int, version text, success bool)",
        "insert into flyway_schema_history values (1, '1', true), (2, '1.9', true), (3, '1.10', true)",
    )
    try:
        wanted = {"head": "1.10", "pending": 0, "unknown": 0, "failed": 0}
        assert not any(migrated(primary, tmp_path, "flyway", names, **wanted).values())
        primary.do("update flyway_schema_history set success = false where version = '1.10'")
        seen = migrated(primary, tmp_path, "flyway", names, **wanted)
        assert seen["migrations.failed"] == "broke off: 1.10"
        assert seen["migrations.pending"]
        assert seen["migrations.head"]
    finally:
        primary.do("drop table flyway_schema_history")


def test_django_leaves_the_apps_of_others_alone(primary: Postgres, tmp_path: Path) -> None:
    names = ["shop/migrations/__init__.py", "shop/migrations/0001_initial.py", "shop/migrations/0002_total.py"]
    primary.do(
        "create table django_migrations (id serial, app text, name text)",
        "insert into django_migrations (app, name) values ('auth', '0001_initial'), ('shop', '0001_initial')",
    )
    try:
        seen = migrated(primary, tmp_path, "django", names, pending=0, unknown=0)
        assert seen == {"migrations.pending": "pending: shop.0002_total", "migrations.unknown": ""}
        primary.do("insert into django_migrations (app, name) values ('shop', '0002_total')")
        assert not any(
            migrated(primary, tmp_path, "django", names, pending=0, unknown=0, head="shop.0002_total").values()
        )
    finally:
        primary.do("drop table django_migrations")


def test_a_migration_of_django_that_stands_for_others_is_applied_with_them(primary: Postgres, tmp_path: Path) -> None:
    names = [f"shop/migrations/{name}.py" for name in ("__init__", "0001_initial", "0001_squashed_0002_total")]
    primary.do(
        "create table django_migrations (id serial, app text, name text)",
        "insert into django_migrations (app, name) values ('shop', '0001_initial')",
    )
    replaces = 'replaces = [("shop", "0001_initial"), ("shop", "0002_total")]'
    squashed = f"from django.db import migrations\n\nclass Migration(migrations.Migration):\n    {replaces}\n"
    try:
        files = files_in(tmp_path, names)
        (tmp_path / names[-1]).write_text(squashed)
        wanted = {"migrations": {"tool": "django", "files": files, "pending": 0, "unknown": 0}}
        assert failing(primary.url(), **wanted) == {"pending"}
        primary.do("insert into django_migrations (app, name) values ('shop', '0002_total')")
        assert failing(primary.url(), **wanted) == set()
        (tmp_path / names[1]).unlink()  # what it stands for may go then
        assert failing(primary.url(), **wanted) == set()
        (tmp_path / names[-1]).rename(tmp_path / "shop/migrations/0003_other.py")
        (tmp_path / "shop/migrations/0003_other.py").write_text("")
        assert failing(primary.url(), **wanted) == {"pending", "unknown"}
    finally:
        primary.do("drop table django_migrations")


def test_a_folder_without_migrations_is_never_up_to_date(primary: Postgres, tmp_path: Path) -> None:
    primary.do("create table alembic_version (version_num text)")
    try:
        error = why_blind(primary.url(), migrations={"tool": "alembic", "files": str(tmp_path), "pending": 0})
        assert "no migrations of alembic" in error.reason
    finally:
        primary.do("drop table alembic_version")


# PgBouncer and Patroni


@pytest.fixture(scope="module")
def pgbouncer(primary: Postgres) -> Iterator[str]:
    program, port = needed("pgbouncer", "pgbouncer"), free_port()
    with folder_of("postgres") as folder:
        (folder / "users.txt").write_text(f'"owner" "{PASSWORD}"\n')
        (folder / "pgbouncer.ini").write_text(f"""\
[databases]
shop = host=127.0.0.1 port={primary.port} user=owner password={PASSWORD}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users.txt
admin_users = owner
pool_mode = transaction
default_pool_size = 1
""")
        with served([program, folder / "pgbouncer.ini"], folder / "log", lambda: answers(port), user="postgres"):
            yield f"postgresql://owner:{PASSWORD}@127.0.0.1:{port}/shop"


def test_a_pool_with_room_holds_and_a_full_one_is_seen(primary: Postgres, pgbouncer: str) -> None:
    wanted = {"pools": ["shop"], "waiting": 0, "longest_wait": "100ms", "mode": {"shop": "transaction"}}
    assert failing(pgbouncer, rows={"orders": 1000}, pgbouncer={"url": pgbouncer, **wanted}) == set()
    with ExitStack() as held:
        for statement in ("begin; select 1;", "select 1;"):
            session = subprocess.Popen(
                ["psql", "-Xq", "-d", pgbouncer], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
            )
            held.callback(session.wait, 10)
            held.callback(session.kill)
            assert session.stdin is not None
            session.stdin.write(f"{statement}\n".encode())
            session.stdin.flush()
            time.sleep(0.4)
        wrong = {"pools": ["billing"], "mode": {"shop": "session"}}
        seen = failing(pgbouncer, pgbouncer={"url": pgbouncer, **wanted, **wrong})
        assert seen == {"pools", "waiting", "longest_wait", "mode"}


def test_a_real_cluster_of_patroni_holds_until_it_is_paused() -> None:
    with new_cluster() as cluster:
        wanted = {"leader": "db-1", "replicas": 1, "broken": 0, "lag": "16M", "paused": False}
        until(lambda: not failing("postgresql://db/shop", patroni={"url": cluster.url, **wanted}))
        cluster.set_paused(True)
        wrong = {"url": cluster.url, **wanted, "leader": "db-2", "replicas": 2}
        until(lambda: failing("postgresql://db/shop", patroni=wrong) == {"leader", "replicas", "paused"})


# As GET /cluster of Patroni 3.0 answers, but for the names.
MEMBERS = [
    {"name": "db-1", "role": "leader", "state": "running", "timeline": 4, "host": "10.0.0.1", "port": 5432},
    {"name": "db-2", "role": "sync_standby", "state": "streaming", "timeline": 4, "lag": 0},
    {"name": "db-3", "role": "replica", "state": "running", "timeline": 4, "lag": 2048},
]


PATRONI = {"leader": "db-1", "replicas": 2, "broken": 0, "lag": "1M", "paused": False}


def failing_of_patroni(told: dict[str, Any]) -> set[str]:
    with web({"/cluster": told}) as api:
        return failing("postgresql://db/shop", patroni={"url": api.url, **PATRONI})


def test_a_healthy_cluster_of_patroni_holds() -> None:
    assert failing_of_patroni({"members": MEMBERS, "scope": "shop"}) == set()


def test_a_cluster_of_patroni_that_would_not_fail_over_fails_by_each_of_its_faults() -> None:
    stopped = {**MEMBERS[0], "state": "stopped"}
    broken = {**MEMBERS[1], "state": "start failed", "lag": "unknown"}
    assert failing_of_patroni({"members": [stopped, broken], "pause": True}) == set(PATRONI)


def test_a_replica_of_patroni_whose_lag_is_not_known_is_not_called_up_to_date() -> None:
    members = [*MEMBERS[:2], {**MEMBERS[2], "lag": "unknown"}]
    assert failing_of_patroni({"members": members}) == {"lag"}


def test_a_cluster_without_members_is_none() -> None:
    with web({"/cluster": {"members": []}}) as api:
        assert "no member" in why_blind("postgresql://db/shop", patroni={"url": api.url, "broken": 0}).reason


def test_what_is_no_patroni_is_an_error() -> None:
    with web({"/cluster": (404, "nothing here")}) as api:
        assert "answers 404" in why_blind("postgresql://db/shop", patroni={"url": api.url, **PATRONI}).reason


# Redis

SOUND_REDIS: dict[str, Any] = {
    "reachable": True,
    "version": ">=6",
    "query_within": "1s",
    "connections": 5,
    "connections_used": "50%",
    "max_connections": 100,
    "settings": {"maxmemory-policy": "noeviction", "appendonly": True, "maxclients": ">=100"},
    "role": "master",
    "maxmemory": "64M",
    "memory_used": "80%",
    "eviction": "noeviction",
    "persistence": ["aof", "rdb"],
    "last_save_worked": True,
    "unsaved": "1h",
    "auth_required": True,
}


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    sound = {"maxmemory": "64mb", "appendonly": "yes", "save": "60 1", "maxclients": "100"}
    with new_redis(tmp_path_factory.mktemp("redis"), **sound) as server:
        server.do("set", "key", "value")
        yield server


@pytest.fixture(scope="module")
def careless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    settings = {"save": "", "maxclients": "20", "maxmemory_policy": "allkeys-lru"}
    with new_redis(tmp_path_factory.mktemp("careless"), password="", **settings) as server:
        yield server


def test_a_sound_redis_holds_all_that_is_declared(redis: Redis) -> None:
    assert failing(redis.url, **SOUND_REDIS) == set()


def test_a_careless_redis_fails_by_each_of_its_faults(careless: Redis) -> None:
    seen = failing(f"redis://127.0.0.1:{careless.port}", **SOUND_REDIS, tls=True)
    assert seen == {
        "auth_required", "eviction", "max_connections", "maxmemory", "memory_used", "persistence", "settings", "tls",
    }  # fmt: skip


def test_a_redis_that_encrypts_is_trusted_by_its_own_authority_only(tmp_path: Path) -> None:
    key, certificate, port = tmp_path / "key.pem", tmp_path / "certificate.pem", free_port()
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    make = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    do(*make, *names, "-keyout", key, "-out", certificate)
    files = {"tls_cert_file": str(certificate), "tls_key_file": str(key), "tls_auth_clients": "no"}
    with new_redis(tmp_path / "tls", password="", tls_port=str(port), **files):
        url = f"rediss://127.0.0.1:{port}"
        assert failing(f"{url}?sslrootcert={certificate}", tls=True, version=">=6", reachable=True) == set()
        assert "certificate verify failed" in why_blind(url, tls=True).reason


def test_redis_cli_on_a_server_sees_the_same(careless: Redis) -> None:
    there = {"on": "app-1", "url": f"redis://127.0.0.1:{careless.port}"}
    wanted = {"reachable": True, "version": ">=6", "role": "master", "settings": {"appendonly": False}}
    assert failing(**there, **wanted) == set()
    assert failing(**there, auth_required=True, persistence=["rdb"], maxmemory="1G") == {
        "auth_required",
        "persistence",
        "maxmemory",
    }


def test_redis_cli_that_is_not_let_in_is_an_error(redis: Redis) -> None:
    there = {"on": "app-1", "url": f"redis://127.0.0.1:{redis.port}"}
    assert "NOAUTH" in why_blind(**there, version=">=6").reason
    assert failing(**there, auth_required=True) == set()


def test_a_redis_full_of_connections_and_data_is_seen(careless: Redis) -> None:
    url = f"redis://127.0.0.1:{careless.port}"
    careless.do("config", "set", "maxmemory", "3mb")
    with ExitStack() as held:
        for _ in range(12):
            held.enter_context(socket.create_connection(("127.0.0.1", careless.port)))
        wanted = {"connections": 5, "connections_used": "50%", "memory_used": "10%"}
        assert failing(url, **wanted) == set(wanted)
    careless.do("config", "set", "maxmemory", "0")


def test_changes_that_are_not_saved_are_seen(careless: Redis) -> None:
    time.sleep(1.1)
    careless.do("set", "key", "value")
    assert failing(f"redis://127.0.0.1:{careless.port}", unsaved="<1s") == {"unsaved"}


def test_a_snapshot_that_failed_is_seen(tmp_path: Path) -> None:
    with new_redis(tmp_path / "full", password="", save="3600 1") as server:
        (tmp_path / "full" / "dump.rdb").mkdir()
        (tmp_path / "full" / "dump.rdb" / "x").touch()
        server.do("set", "key", "value")
        server.do("bgsave")
        until(lambda: "rdb_bgsave_in_progress:0" in server.do("info", "persistence"))
        url = f"redis://127.0.0.1:{server.port}"
        until(lambda: failing(url, last_save_worked=True) == {"last_save_worked"})


def test_a_replica_of_redis_is_seen_from_both_ends(tmp_path: Path) -> None:
    with new_redis(tmp_path / "one", password="") as one, ExitStack() as second:
        here = f"redis://127.0.0.1:{one.port}"
        assert failing(here, replicas=1, replication_lag="10s", role="slave") == {
            "replicas",
            "replication_lag",
            "role",
        }
        two = second.enter_context(
            new_redis(tmp_path / "two", password="", replicaof=f"127.0.0.1 {one.port}", repl_diskless_sync_delay="0")
        )
        there = f"redis://127.0.0.1:{two.port}"
        until(lambda: not failing(here, replicas=1, replication_lag="10s", role="master"))
        until(lambda: not failing(there, role="slave", replication_lag="15s"))
        two.do("replicaof", "127.0.0.1", "1")
        assert failing(there, role="slave", replication_lag="1h") == {"replication_lag"}


def test_a_replica_of_redis_that_is_still_being_sent_everything_is_seen() -> None:
    sent = "slave{}:ip=10.0.0.{},port=6379,state={},offset=5,lag=0\n"
    state = parse_info("role:master\n" + sent.format(0, 1, "online") + sent.format(1, 2, "send_bulk"))
    assert (state.streaming, state.replication_lag_s) == (1, None)
    with pytest.raises(CouldNotLook, match="how its last snapshot ended"):
        parse_info("role:master").last_save_worked  # noqa: B018


def test_a_wrong_password_of_redis_is_an_error(redis: Redis) -> None:
    error = why_blind(redis.url.replace(PASSWORD, "wrong-one-771"), reachable=True)
    assert "WRONGPASS" in error.reason
    assert "wrong-one-771" not in str(error)


def test_a_setting_that_redis_does_not_know_is_an_error(redis: Redis) -> None:
    assert "knows no setting" in why_blind(redis.url, settings={"maxmemry": "1"}).reason


# MySQL and MariaDB


@pytest.fixture(scope="module")
def mariadb() -> Iterator[MariaDb]:
    with new_mariadb() as server:
        server.do("create table shop.orders (id int, total int)", "insert into shop.orders values (1, 5), (2, -7)")
        yield server


def test_a_sound_mariadb_holds_all_that_is_declared(mariadb: MariaDb) -> None:
    wanted = {
        "reachable": True,
        "tls": False,
        "version": ">=10.5",
        "query_within": "1s",
        "connections": 5,
        "connections_used": "50%",
        "max_connections": 50,
        "settings": {"max_connections": ">=50", "read_only": False},
        "invariants": {"select count(*) from orders where total > 100": 0},
        "rows": {"orders": 2, "select * from orders where id > 9": 0},
    }
    assert failing(mariadb.url, **wanted) == set()


def test_a_mariadb_that_is_otherwise_fails(mariadb: MariaDb) -> None:
    wanted = {
        "tls": True,
        "version": ">=99",
        "query_within": "<1us",
        "max_connections": 400,
        "settings": {"read_only": True},
        "invariants": {"select count(*) from orders where total < 0": 0},
        "rows": {"orders": 3},
        "replicas": 1,
        "replication_lag": "1h",
    }
    assert failing(mariadb.url, **wanted) == set(wanted)


def test_a_query_of_mariadb_can_change_nothing(mariadb: MariaDb) -> None:
    mariadb.do("create function shop.wipe() returns int begin delete from shop.orders; return 1; end")
    assert "READ ONLY" in why_blind(mariadb.url, invariants={"select wipe()": 1}).reason
    assert mariadb.do("select count(*) from shop.orders").strip() == "2"


def test_a_query_of_mariadb_that_takes_too_long_is_cut_off(mariadb: MariaDb) -> None:
    assert "within 1 s" in why_blind(mariadb.url, invariants={"select sleep(20)": 0}, within="1s").reason


# What may be declared


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"url": "redis://h", "superusers": ["x"]}, "Redis has no `superusers`"),
        ({"url": "redis://h", "rows": {"orders": 1}}, "Redis has no `rows`"),
        ({"url": "postgresql://h/x", "eviction": "noeviction"}, "PostgreSQL has no `eviction`"),
        ({"url": "mysql://h/x", "wraparound": "5%"}, "MySQL has no `wraparound`"),
        ({"url": "oracle://scott:tiger77@h/x", "reachable": True}, "this is not the URL of PostgreSQL"),
        ({"url": "postgresql://h/x?sslmode=please", "reachable": True}, "a sslmode that is none"),
        ({"url": "postgresql://u:tiger77@h/x", "on": "db-1", "reachable": True}, "process list"),
        ({"url": "mysql://h/x", "on": "db-1", "reachable": True}, "MySQL is asked from here only"),
        ({"url": "postgresql://h/x", "invariants": {"drop table orders": 0}}, "is not a query"),
        ({"url": "postgresql://h/x", "migrations": {"tool": "goose", "pending": 0}}, "compare with a folder"),
        ({"url": "postgresql://h/x", "migrations": {"tool": "goose", "breaking": 0}}, "where the files are"),
        ({"url": "postgresql://h/x", "migrations": {"tool": "django", "breaking": 0}}, "of django are not read"),
        ({"url": "postgresql://h/x"}, "declares nothing to verify"),
    ],
)
def test_what_can_not_be_asked_is_refused_when_it_is_read(declared: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Database.model_validate(declared)
    assert said in str(caught.value)


def test_no_output_shows_the_password_of_a_database(primary: Postgres, tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write(
        "inventory.yml",
        """\
        project: shop
        databases:
          main: {url: "${DATABASE_URL}", version: ">=99", reachable: true, superusers: [nobody], rows: {nowhere: 0}}
          lost: {url: "${DATABASE_URL}wrong", version: ">=15"}
    """,
    )
    ended = project.readygate("run", DATABASE_URL=primary.url().rstrip("?"))
    assert ended.code == 1, ended.stderr
    assert ended.result("database.reachable")["outcome"] == "passed"
    assert ended.result("database.superusers")["outcome"] == "failed"
    assert ended.result("database.rows")["outcome"] == "error"
    assert PASSWORD not in ended.everything_written()
    assert json.dumps(ended.run)
