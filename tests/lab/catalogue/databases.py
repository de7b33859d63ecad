"""Faults of databases as they run: PostgreSQL and Redis, asked by psql and redis-cli on their server."""

from tests.lab.faults import AreaFaults, Fault

SOUND = """\
servers:
  target: {connect: "${LAB_HOST}", sudo: true, system: {os: debian}}
databases:
  main:
    on: target
    run_as: postgres
    url: postgresql:///postgres
    reachable: true
    version: ">=15"
    query_within: 1s
    connections_used: 80%
    max_connections: 100
    settings: {fsync: true, password_encryption: scram-sha-256, archive_timeout: 0}
    standby: false
    unused_slots: 0
    held_by_slots: 1G
    longest_transaction: 2s
    idle_in_transaction: 2s
    wraparound: 50%
    dead_rows: 30%
    invalid_indexes: 0
    extensions: [plpgsql]
    superusers: [postgres]
    invariants: {"select count(*) from pg_database where not datallowconn": 1}
    rows: {"select 1 from pg_roles where rolname = 'demo'": 0}
  cache:
    on: target
    url: redis://localhost
    reachable: true
    version: ">=7"
    connections: 10
    connections_used: 50%
    max_connections: 1000
    settings: {protected-mode: true}
    role: master
    eviction: noeviction
    persistence: [rdb]
    last_save_worked: true
    unsaved: 2h
"""


def sql(statement: str) -> str:
    return f'cd /; runuser -u postgres -- psql -XqAt -v ON_ERROR_STOP=1 -c "{statement}"'


FORGOTTEN = """\
cd /
(echo 'begin; select 1;'; sleep 600) | setsid runuser -u postgres -- psql -Xq >/dev/null 2>&1 &
sleep 3
"""
SMALLER = f"""\
{sql("alter system set max_connections = 20")}
systemctl restart postgresql@15-main
until runuser -u postgres -- pg_isready -q; do sleep 0.1; done
"""
UNFINISHED = f"""\
{sql("create table twice as select 1 as n from generate_series(1, 2)")}
{sql("create unique index concurrently once on twice (n)")} || :
"""
DEAD = f"""\
{sql("create table ledger with (autovacuum_enabled = off) as select n from generate_series(1, 20000) n")}
{sql("update ledger set n = n + 1")}
sleep 1
"""
NO_SAVE = """\
mkdir /var/lib/redis/dump.rdb
touch /var/lib/redis/dump.rdb/x
redis-cli set key value
redis-cli bgsave
until redis-cli info persistence | grep -q rdb_last_bgsave_status:err; do sleep 0.1; done
"""

FAULTS = AreaFaults(
    "databases",
    SOUND,
    (
        Fault("superuser-of-an-application", ("database.superusers",), sql("create role intruder superuser login")),
        Fault("seed-role-left", ("database.rows",), sql("create role demo login password 'demo'")),
        Fault(
            "slot-left-behind",
            ("database.unused_slots",),
            sql("select pg_create_physical_replication_slot('left_behind', true)"),
        ),
        Fault("transaction-forgotten", ("database.longest_transaction", "database.idle_in_transaction"), FORGOTTEN),
        Fault("fewer-connections-than-the-pools", ("database.max_connections",), SMALLER),
        Fault(
            "fsync-off",
            ("database.settings",),
            sql("alter system set fsync = off") + "\n" + sql("select pg_reload_conf()") + "\nsleep 0.5",
        ),
        Fault("index-unfinished", ("database.invalid_indexes",), UNFINISHED),
        Fault("vacuum-does-not-keep-up", ("database.dead_rows",), DEAD),
        Fault("extension-nobody-declared", ("database.extensions",), sql("create extension dblink")),
        Fault("database-closed", ("database.invariants",), sql("create database x allow_connections false")),
        Fault("redis-evicts", ("database.eviction",), "redis-cli config set maxmemory-policy allkeys-lru"),
        Fault("redis-keeps-nothing", ("database.persistence",), "redis-cli config set save ''"),
        Fault("redis-follows-a-stranger", ("database.role",), "redis-cli replicaof 127.0.0.1 1"),
        Fault("redis-open-to-all", ("database.settings",), "redis-cli config set protected-mode no"),
        Fault("redis-can-not-save", ("database.last_save_worked",), NO_SAVE),
    ),
)
