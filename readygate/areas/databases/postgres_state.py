"""How a PostgreSQL is doing: connections, replication, vacuum, roles and settings, all by one query."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from readygate.areas.databases.postgres import Sql
from readygate.errors import CouldNotLook
from readygate.results import Evidence
from readygate.units import parse_number

_SMALL = 10_000  # rows; how many are dead in a table of fewer costs nothing
_PATIENCE_S = 5
_SELDOM = 10  # calls; a statement that ran less often, such as a migration, is no slow query

# A replica that stands still goes on to show its last lag until it replies, which may be ten seconds later. A standby
# asks for WAL from the beginning of a segment on, so that after a restart it may have replayed more than it received.
_STATE = f"""
select json_build_object(
 'version', current_setting('server_version'),
 'encrypted', (select ssl from pg_stat_ssl where pid = pg_backend_pid()),
 'sees_all', pg_has_role('pg_read_all_stats', 'usage'),
 'standby', pg_is_in_recovery(),
 'connections', case when pg_has_role('pg_read_all_stats', 'usage')
   then (select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid())
   else (select sum(numbackends) - 1 from pg_stat_database) end,
 'of_its_limit', greatest(0,
   (select max(100.0 * n / rolconnlimit) from pg_roles
    join (select usesysid, count(*) as n from pg_stat_activity where pid <> pg_backend_pid() group by 1) as roles
    on oid = usesysid where rolconnlimit > 0 and not rolsuper),
   (select max(100.0 * numbackends / datconnlimit) from pg_database
    join pg_stat_database on datid = oid where datconnlimit > 0)),
 'max_connections', current_setting('max_connections')::int,
 'reserved', current_setting('superuser_reserved_connections')::int,
 'longest_transaction_s', greatest(0,
   (select max(extract(epoch from clock_timestamp() - xact_start)) from pg_stat_activity
    where backend_type = 'client backend' and pid <> pg_backend_pid()),
   (select max(extract(epoch from clock_timestamp() - prepared)) from pg_prepared_xacts)),
 'idle_in_transaction_s', greatest(0,
   (select max(extract(epoch from clock_timestamp() - state_change)) from pg_stat_activity
    where state like 'idle in transaction%')),
 'replicas', (select coalesce(json_agg(json_build_object(
     'name', application_name, 'streams', state = 'streaming',
     'behind', pg_wal_lsn_diff(here.lsn, replay_lsn),
     'lag_s', extract(epoch from coalesce(replay_lag, '0') + case when here.lsn > replay_lsn
       then greatest('0', clock_timestamp() - reply_time) else '0' end))), '[]')
   from pg_stat_replication where (state in ('startup', 'catchup') or replay_lsn is not null)
   and pid not in (select active_pid from pg_replication_slots where slot_type = 'logical' and active)),
 'receives', (select count(*) > 0 from pg_stat_wal_receiver where status = 'streaming'),
 'paused', case when pg_is_in_recovery() then pg_is_wal_replay_paused() end,
 'replayed_s', case when pg_is_in_recovery() and pg_is_wal_replay_paused() then null
   when pg_last_wal_replay_lsn() >= received.lsn then 0
   else extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()) end,
 'received', received.lsn::text,
 'slots', (select coalesce(json_agg(json_build_object(
     'name', slot_name, 'active', active, 'lost', to_jsonb(slot)->>'wal_status' = 'lost',
     'held', pg_wal_lsn_diff(here.lsn, restart_lsn))), '[]')
   from pg_replication_slots as slot),
 'wraparound_percent', (select max(100.0 * greatest(age(datfrozenxid), mxid_age(datminmxid)) / 2147483648)
   from pg_database),
 'dead_rows', (select json_build_array(100.0 * n_dead_tup / (n_live_tup + n_dead_tup), relid::regclass::text)
   from pg_stat_user_tables where n_live_tup + n_dead_tup >= {_SMALL}
   order by 1.0 * n_dead_tup / (n_live_tup + n_dead_tup) desc limit 1),
 'invalid_indexes', (select coalesce(json_agg(indexrelid::regclass::text), '[]') from pg_index where not indisvalid),
 'unvalidated', (select coalesce(json_agg(conrelid::regclass || '.' || conname), '[]')
   from pg_constraint where not convalidated),
 'unvacuumed', (select coalesce(json_agg(oid::regclass::text), '[]') from pg_class
   where exists (select from unnest(reloptions) as option where option ~* '^autovacuum_enabled=(f|n|of|0)')),
 'hidden_sequences', (select count(*) from pg_class
   where case when relkind = 'S' then not has_sequence_privilege(oid, 'select') end),
 'sequences', (select coalesce(json_agg(json_build_array(
     format('%I.%I', schemaname, sequencename),
     100.0 * (last_value - start_value)
       / nullif(case when increment_by > 0 then max_value else min_value end - start_value, 0))), '[]')
   from pg_sequences where last_value is not null and not cycle),
 'extensions', (select coalesce(json_agg(extname), '[]') from pg_extension),
 'superusers', (select json_agg(rolname) from pg_roles as each where rolcanlogin and (rolsuper or exists (
   select from pg_roles as other where other.rolsuper and pg_has_role(each.oid, other.oid, 'member')))),
 'settings', (select json_object_agg(name, current_setting(name, true)) from pg_settings)
)::text
from (select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end) as here(lsn),
 (select greatest(pg_last_wal_receive_lsn(), max(latest_end_lsn)) from pg_stat_wal_receiver) as received(lsn)
"""  # noqa: S608

_SLOWEST = """
select coalesce(json_agg(json_build_array(mean_ms, query)), '[]')::text from (
 select coalesce(s->>'mean_exec_time', s->>'mean_time')::float as mean_ms, s->>'query' as query
 from (select to_jsonb(each) as s from {schema}.pg_stat_statements as each) as told
 where (s->>'calls')::bigint >= {seldom}
 and (s->>'dbid')::oid = (select oid from pg_database where datname = current_database())
 order by 1 desc limit 1) as slowest
"""
_WHERE_STATEMENTS = """
select coalesce(min(extnamespace::regnamespace::text), '') from pg_extension where extname = 'pg_stat_statements'
"""
_HAS_NO_SECRET = ("select", "insert", "update", "delete", "with")  # their constants are taken out, unlike others'


@dataclass(frozen=True, slots=True)
class Replica:
    """A standby as its primary sees it; `behind` is in bytes, and None is unknown."""

    name: str
    streams: bool
    lag_s: float | None
    behind: int | None


@dataclass(frozen=True, slots=True)
class Slot:
    """What holds WAL back for somebody; `held` is in bytes."""

    name: str
    active: bool
    lost: bool | None
    held: int | None


@dataclass(frozen=True, slots=True)
class PostgresState:
    """What one query saw. Without pg_monitor most columns of others' sessions read as if nothing were there."""

    told: Mapping[str, Any]

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        role = "standby" if self.standby else "primary"
        used = f"{self.connections} of {self.max_connections} connections"
        return (Evidence("how PostgreSQL is doing", f"{self.version}, {role}, {used}, {len(self.slots)} slots"),)

    @property
    def version(self) -> str:
        return str(self.told["version"]).split()[0]

    @property
    def standby(self) -> bool:
        return bool(self.told["standby"])

    @property
    def connections(self) -> int:
        return int(self.told["connections"])

    @property
    def max_connections(self) -> int:
        return int(self.told["max_connections"])

    @property
    def connections_used(self) -> float:
        """The share of what ordinary users may take or, where that is more, one role or database of its limit."""
        used = 100 * self.connections / max(1, self.max_connections - int(self.told["reserved"]))
        return max(used, float(self.told["of_its_limit"]))

    @property
    def longest_transaction_s(self) -> float:
        return float(self._of_others("longest_transaction_s"))

    @property
    def idle_in_transaction_s(self) -> float:
        return float(self._of_others("idle_in_transaction_s"))

    @property
    def replicas(self) -> tuple[Replica, ...]:
        return tuple(Replica(**each) for each in self._of_others("replicas"))

    @property
    def streaming(self) -> int:
        return sum(each.streams for each in self.replicas)

    @property
    def replication_lag_s(self) -> float | None:
        """Of a standby its own, of a primary the worst of its replicas; None where nothing is replicated."""
        if self.standby:
            replayed = self.told["replayed_s"]
            return None if replayed is None or not self._of_others("receives") else float(replayed)
        if not all(each.streams for each in self.replicas):
            return None  # one that has yet to catch up is behind by nobody knows how long
        return max((float(each.lag_s or 0) for each in self.replicas), default=None)

    @property
    def replication_told(self) -> str:
        """Why nobody knows how far it is behind, where nobody does."""
        if not self.standby:
            waiting = [each.name or "one" for each in self.replicas if not each.streams]
            return (
                f"{', '.join(waiting)} has yet to catch up" if waiting else "nobody follows it" * (not self.replicas)
            )
        if not self._of_others("receives"):
            return "it receives nothing from its primary"
        if self.told["paused"]:
            return "its replay is paused"
        return "it has replayed nothing since it started" if self.told["replayed_s"] is None else ""

    @property
    def replication_behind(self) -> int | None:
        """Bytes of WAL that the worst replica has not replayed."""
        behind = [each.behind for each in self.replicas]
        known = [each for each in behind if each is not None]
        return max(known, default=None) if len(known) == len(behind) else None

    @property
    def slots(self) -> tuple[Slot, ...]:
        return tuple(Slot(**each) for each in self.told["slots"])

    @property
    def unused_slots(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.slots if not each.active)

    @property
    def held_by_slots(self) -> int | None:
        """None where a slot has lost what it held: whoever reads it can't go on."""
        if any(each.lost for each in self.slots):
            return None
        return max((int(each.held or 0) for each in self.slots), default=0)

    @property
    def wraparound_percent(self) -> float:
        return float(self.told["wraparound_percent"])

    @property
    def dead_rows_percent(self) -> float:
        return float(self.told["dead_rows"][0]) if self.told["dead_rows"] else 0.0

    @property
    def deadest_table(self) -> str:
        return str(self.told["dead_rows"][1]) if self.told["dead_rows"] else ""

    @property
    def invalid_indexes(self) -> tuple[str, ...]:
        return tuple(self.told["invalid_indexes"])

    @property
    def unvalidated(self) -> tuple[str, ...]:
        return tuple(self.told["unvalidated"])

    @property
    def unvacuumed(self) -> tuple[str, ...]:
        everything = () if self.setting("autovacuum") else ("everything",)
        return (*everything, *self.told["unvacuumed"])

    @property
    def fullest_sequence(self) -> tuple[float, str]:
        """How far it has come, in per cent, and its name. CouldNotLook: one of them is closed to this user."""
        if self.told["hidden_sequences"]:
            mend = "grant pg_read_all_data, or select on the sequences, to the user of the URL"
            raise CouldNotLook("PostgreSQL does not show this user how far all sequences are", mend=mend)
        return max(((float(used or 0), str(name)) for name, used in self.told["sequences"]), default=(0.0, ""))

    @property
    def extensions(self) -> frozenset[str]:
        return frozenset(self.told["extensions"])

    @property
    def superusers(self) -> frozenset[str]:
        return frozenset(self.told["superusers"])

    def setting(self, name: str) -> bool | float | str:
        """As SHOW has it, with on and off as flags. CouldNotLook: there is none, or it is not for this user."""
        if name not in self.told["settings"]:
            mend = "see its spelling, or grant pg_read_all_settings"
            raise CouldNotLook(f"PostgreSQL shows this user no setting {name}", mend=mend)
        return plain_setting(self.told["settings"][name])

    def _of_others(self, key: str) -> Any:
        if not self.told["sees_all"]:
            raise CouldNotLook(
                "PostgreSQL shows this user nothing of other sessions",
                cause="no pg_monitor",
                mend="grant pg_monitor to the user of the URL",
            )
        return self.told[key]


def plain_setting(text: str) -> bool | float | str:
    """The value that a setting's text stands for, as YAML would read it."""
    if text.lower() in ("on", "off"):
        return text.lower() == "on"
    try:
        return parse_number(text)
    except ValueError:
        return text


def look_at_postgres(sql: Sql) -> PostgresState:
    """Everything that can be seen at once."""
    began = time.monotonic()
    told = json.loads(sql.text(_STATE))
    if told["standby"] and told["replayed_s"]:
        told["replayed_s"] = _lag_s(sql, told["received"], float(told["replayed_s"]), began)
    return PostgresState(told)


def _lag_s(sql: Sql, received: str, since_last_s: float, began: float) -> float:
    """How long it takes to replay what it had received; only where that takes too long, how old its last one is.

    Of a standby whose primary was idle the last transaction is as old as that, while it replays the first one after.
    """
    while (waited := time.monotonic() - began) < _PATIENCE_S:
        if sql.text(f"select (pg_last_wal_replay_lsn() >= '{received}')::text") == "true":
            return min(since_last_s, time.monotonic() - began)
        time.sleep(0.1)
    return max(since_last_s, waited)


def slowest_of(sql: Sql) -> tuple[float, str]:
    """Mean seconds of the slowest statement that runs often, and its text. CouldNotLook: nobody counts them."""
    schema = sql.text(_WHERE_STATEMENTS)
    if not schema:
        mend = "put it into shared_preload_libraries, restart, and `create extension pg_stat_statements`"
        raise CouldNotLook("the extension pg_stat_statements is not in this database", mend=mend)
    found = json.loads(sql.text(_SLOWEST.format(schema=schema, seldom=_SELDOM)))
    if not found:
        mend = "look again when it has served for a while: the statistics are new"
        raise CouldNotLook("no statement has run ten times since pg_stat_statements began to count", mend=mend)
    ((mean_ms, query),) = found
    text = " ".join((query or "").split())
    return mean_ms / 1000, text[:200] if text.lower().startswith(_HAS_NO_SECRET) else "a statement of another user"
