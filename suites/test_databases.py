"""What must hold of databases while they run: PostgreSQL, Redis, MySQL and MariaDB, and what stands before them."""

import pytest


@pytest.mark.check("database.reachable", severity="blocker")
def test_database_answers_where_it_is_looked_at_from(database, database_reach):
    """Without its database the application is an error page; and one that answers everybody is tomorrow's leak.

    Mend: see that the server runs, what it listens on, and which firewall stands between.
    """
    assert database_reach.reachable in database.reachable, database_reach.reason


@pytest.mark.check("database.tls")
def test_connection_to_the_database_is_encrypted(database, database_tls):
    """In the clear, whoever is on the way reads every row, and the password before that.

    Mend: switch TLS on in the server, and demand it in the URL, as by sslmode=verify-full.
    """
    assert database_tls in database.tls


@pytest.mark.check("database.version")
def test_database_has_the_declared_version(database, database_state):
    """A version out of support keeps its holes, and a dump of a newer one does not load into an older.

    Mend: upgrade the server, or declare the version that was meant.
    """
    assert database_state.version in database.version


@pytest.mark.check("database.query_within")
def test_smallest_query_is_answered_in_time(database, database_pace_s):
    """A page makes dozens of queries, so that every millisecond here is paid dozens of times.

    Mend: see how far the database is, and how busy its processors and disks are.
    """
    assert database_pace_s in database.query_within


@pytest.mark.check("database.connections")
def test_few_connections_are_open(database, database_state):
    """Connections that pile up are a pool that leaks, or one worker too many.

    Mend: see who holds them, in pg_stat_activity, CLIENT LIST or SHOW PROCESSLIST, and limit its pool.
    """
    assert database_state.connections in database.connections


@pytest.mark.check("database.connections_used", severity="blocker")
def test_connections_are_left_for_the_peak(database, database_state):
    """The next one after the last is refused, for everybody at once and in the busiest minute.

    Mend: limit the pools so that their sum fits, or put PgBouncer before it.
    """
    assert database_state.connections_used in database.connections_used


@pytest.mark.check("database.max_connections")
def test_database_takes_as_many_connections_as_the_pools_may_open(database, database_state):
    """Pools that may open more than the server takes fail only under load.

    Mend: raise max_connections, or make the pools smaller.
    """
    assert database_state.max_connections in database.max_connections


@pytest.mark.check("database.replicas", severity="blocker")
def test_replicas_follow_the_primary(database, database_state):
    """A replica that stopped to follow is found out when one fails over to last week's data.

    Mend: see the replica's log, and whether the primary still has the WAL that it needs.
    """
    assert database_state.streaming in database.replicas


@pytest.mark.check("database.replication_lag")
def test_replica_is_not_far_behind(database, database_state):
    """By so much is what customers lose when the primary dies, and what they don't see after they saved.

    Mend: see the network between both, the replica's disks, and long queries on it.
    """
    assert database_state.replication_lag_s in database.replication_lag, database_state.replication_told


@pytest.mark.check("database.replication_behind")
def test_replica_has_replayed_what_was_written(database, database_state):
    """A replica that receives and does not replay looks connected, and is of no use when it is needed.

    Mend: see pg_is_wal_replay_paused() on it, and queries there that hold the replay up.
    """
    assert database_state.replication_behind in database.replication_behind


@pytest.mark.check("database.settings")
def test_setting_is_in_effect(expected, database_setting):
    """A file that was changed and never loaded changes nothing, and looks as if it did.

    Mend: set it in the server's configuration, then reload or restart it.
    """
    assert database_setting in expected


@pytest.mark.check("database.invariants", severity="blocker")
def test_invariant_of_the_data_holds(expected, database_answer):
    """Data that break their own rules break the code that relies on them, one customer at a time.

    Mend: find the rows by the query, mend them, and let a constraint keep them right.
    """
    assert database_answer in expected


@pytest.mark.check("database.rows", severity="blocker")
def test_as_many_rows_are_there_as_declared(expected, row_count):
    """Seed data in production is a login that everybody knows; an empty table is a release that forgot its data.

    Mend: where rows are missing, load them again or restore them from a backup that holds them; where there are too
    many, look at them by the query and delete them.
    """
    assert row_count in expected


@pytest.mark.check("database.standby", severity="blocker")
def test_database_is_primary_or_standby_as_declared(database, database_state):
    """After a failover that nobody noticed the application writes to a server that only reads.

    Mend: see who leads, and let the URL follow it.
    """
    assert database_state.standby in database.standby


@pytest.mark.check("database.unused_slots", severity="blocker")
def test_no_replication_slot_is_left_unused(database, database_state):
    """A slot that nobody reads keeps all WAL from then on, until the disk is full and the database stands.

    Mend: bring its reader back, or drop it with pg_drop_replication_slot().
    """
    unused = database_state.unused_slots
    assert len(unused) in database.unused_slots, f"nobody reads from {', '.join(unused)}"


@pytest.mark.check("database.held_by_slots")
def test_replication_slots_hold_little_back(database, database_state):
    """What a slow reader holds back fills the disk of the primary.

    Mend: see why the reader is slow, and set max_slot_wal_keep_size.
    """
    assert database_state.held_by_slots in database.held_by_slots


@pytest.mark.check("database.archive_lag", severity="blocker")
def test_log_gets_into_its_archive(database, wal_archiving):
    """A recovery ends where the archive does, and what waits to be archived fills the disk.

    Mend: read the server's log for what archive_command says, and try that by hand as the server's user.
    """
    assert wal_archiving.lag_s in database.archive_lag, wal_archiving.reason


@pytest.mark.check("database.longest_transaction")
def test_no_transaction_stays_open_for_long(database, database_state):
    """As long as one is open, vacuum cleans nothing that is younger, and a migration waits for its locks.

    Mend: find it in pg_stat_activity or pg_prepared_xacts, and end it.
    """
    assert database_state.longest_transaction_s in database.longest_transaction


@pytest.mark.check("database.idle_in_transaction")
def test_no_transaction_idles(database, database_state):
    """It holds its locks for nothing: somebody's code forgot it, and everybody waits.

    Mend: find it in pg_stat_activity, mend its code, and set idle_in_transaction_session_timeout.
    """
    assert database_state.idle_in_transaction_s in database.idle_in_transaction


@pytest.mark.check("database.wraparound", severity="blocker")
def test_transaction_ids_are_far_from_wrapping_around(database, database_state):
    """At the end PostgreSQL refuses every write, and the vacuum that mends it takes hours.

    Mend: see which table is oldest by age(relfrozenxid), what holds its vacuum up, and run `vacuum (freeze)`.
    """
    assert database_state.wraparound_percent in database.wraparound


@pytest.mark.check("database.dead_rows")
def test_vacuum_keeps_up_with_dead_rows(database, database_state):
    """Where vacuum does not keep up, tables grow without new rows, and every query reads the dead with the living.

    Mend: see what holds vacuum up, and make autovacuum_vacuum_scale_factor smaller for this table.
    """
    assert database_state.dead_rows_percent in database.dead_rows, f"most are in {database_state.deadest_table}"


@pytest.mark.check("database.invalid_indexes")
def test_no_index_was_left_unfinished(database, database_state):
    """It costs every write and serves no query; of a unique one, nothing is unique.

    Mend: drop it, and create it anew with `create index concurrently`.
    """
    left = database_state.invalid_indexes
    assert len(left) in database.invalid_indexes, f"unfinished are {', '.join(left)}"


@pytest.mark.check("database.unvalidated")
def test_every_constraint_holds_for_all_rows(database, database_state):
    """What is NOT VALID keeps new rows right, and says nothing of those that were there.

    Mend: mend the rows that break it, then `alter table ... validate constraint`.
    """
    left = database_state.unvalidated
    assert len(left) in database.unvalidated, f"not valid are {', '.join(left)}"


@pytest.mark.check("database.unvacuumed")
def test_autovacuum_is_on_for_every_table(database, database_state):
    """It was switched off for one import, and since then the table only grows.

    Mend: `alter table ... reset (autovacuum_enabled)`.
    """
    left = database_state.unvacuumed
    assert len(left) in database.unvacuumed, f"autovacuum is off for {', '.join(left)}"


@pytest.mark.check("database.sequences_used", severity="blocker")
def test_no_sequence_is_near_its_end(database, database_state):
    """With the last number of an integer key, every insert fails at once.

    Mend: make the column and its sequence bigint before it comes to that.
    """
    used, name = database_state.fullest_sequence
    assert used in database.sequences_used, f"the fullest is {name}"


@pytest.mark.check("database.extensions")
def test_extensions_are_there_as_declared(database, database_state):
    """The first query that needs a missing one fails, long after the release was called good.

    Mend: run `create extension` in this database, as its owner.
    """
    assert database_state.extensions in database.extensions


@pytest.mark.check("database.superusers", severity="blocker")
def test_nobody_else_is_superuser(database, database_state):
    """A superuser reads every database, and runs programs on the server.

    Mend: take it from the others with `alter role ... nosuperuser`, the application's own first.
    """
    assert database_state.superusers in database.superusers


@pytest.mark.check("database.slowest_query")
def test_no_frequent_statement_is_slow(database, slowest_statement):
    """One slow statement that runs often is what the whole server is busy with.

    Mend: look at it with `explain (analyze, buffers)`, and give it the index that it lacks.
    """
    assert slowest_statement.mean_s in database.slowest_query, f"slowest is: {slowest_statement.query}"


@pytest.mark.check("database.indexed")
def test_query_is_served_by_an_index(expected, index_use):
    """A table that is read whole is fast in the tests, and slower with every customer.

    Mend: create an index on what the query looks for.
    """
    assert index_use in expected


@pytest.mark.check("database.role", severity="blocker")
def test_redis_is_primary_or_replica_as_declared(database, database_state):
    """A replica refuses every write, so that nobody can log in.

    Mend: see which one leads, and let the URL follow it.
    """
    assert database_state.role in database.role


@pytest.mark.check("database.maxmemory")
def test_redis_has_a_limit_of_memory(database, database_state):
    """Without one it grows until the kernel kills something, and that is often the database beside it.

    Mend: set maxmemory below what the server can spare.
    """
    assert database_state.maxmemory in database.maxmemory


@pytest.mark.check("database.memory_used")
def test_redis_has_memory_left(database, database_state):
    """At the limit it throws keys away, or refuses to write, as its policy says.

    Mend: see the largest keys with `redis-cli --bigkeys`, give them an expiry, or raise maxmemory.
    """
    assert database_state.memory_used in database.memory_used


@pytest.mark.check("database.eviction")
def test_redis_gives_way_as_declared_when_memory_is_full(database, database_state):
    """With the wrong policy a full cache loses jobs from the queue, or refuses to cache.

    Mend: set maxmemory-policy: noeviction for queues and sessions, allkeys-lru for a cache.
    """
    assert database_state.eviction in database.eviction


@pytest.mark.check("database.persistence", severity="blocker")
def test_redis_survives_a_restart_as_declared(database, redis_persistence):
    """What it keeps in memory only is gone with the next update of its package.

    Mend: set `appendonly yes`, or `save`, as what it holds deserves.
    """
    assert redis_persistence in database.persistence


@pytest.mark.check("database.last_save_worked", severity="blocker")
def test_last_save_of_redis_worked(database, database_state):
    """A snapshot that fails is logged and nothing more; by default Redis then refuses every write.

    Mend: read its log; often the disk is full, or there is no memory to fork.
    """
    assert database_state.last_save_worked in database.last_save_worked


@pytest.mark.check("database.unsaved")
def test_redis_saved_its_changes_lately(database, database_state):
    """So much is lost when its server loses power.

    Mend: set `save` for the pace of your changes, or `appendonly yes`.
    """
    assert database_state.unsaved_s in database.unsaved


@pytest.mark.check("database.auth_required", severity="blocker")
def test_redis_sends_strangers_away(database, strangers_refused):
    """An open Redis is found within hours, and turned into a shell on its server.

    Mend: set requirepass or an ACL, and bind it to addresses that need it.
    """
    assert strangers_refused in database.auth_required


@pytest.mark.check("migrations.head", severity="blocker")
def test_newest_migration_is_the_declared_one(migrations, migration_state):
    """Code that is ahead of its schema fails at the first query for what isn't there.

    Mend: run the migrations, or release the code that fits.
    """
    assert migration_state.head in migrations.head


@pytest.mark.check("migrations.pending", severity="blocker")
def test_no_migration_is_pending(migrations, migration_state):
    """Code that is ahead of its schema fails at the first query for what isn't there.

    Mend: run the migrations before the release.
    """
    assert len(migration_state.pending) in migrations.pending, f"pending: {', '.join(migration_state.pending)}"


@pytest.mark.check("migrations.unknown")
def test_no_migration_is_unknown(migrations, migration_state):
    """The schema is of a newer or another release: a rollback of the code did not roll it back.

    Mend: see which release brought it, and whether this code works with it.
    """
    assert len(migration_state.unknown) in migrations.unknown, f"unknown: {', '.join(migration_state.unknown)}"


@pytest.mark.check("migrations.failed", severity="blocker")
def test_no_migration_broke_off(migrations, migration_state):
    """Half of it may be there, and no further one will run.

    Mend: see what it left, finish or undo that by hand, then run `flyway repair`.
    """
    assert len(migration_state.failed) in migrations.failed, f"broke off: {', '.join(migration_state.failed)}"


@pytest.mark.check("migrations.irreversible")
def test_every_migration_has_a_way_back(migrations, migration_files):
    """A release that has to be rolled back is, and its schema stays: the old code fails at what it doesn't know.

    Mend: write what undoes it below `-- +goose Down`.
    """
    assert len(migration_files.irreversible) in migrations.irreversible, ", ".join(migration_files.irreversible)


@pytest.mark.check("migrations.untransacted")
def test_migrations_run_in_a_transaction(migrations, migration_files):
    """What breaks off outside of a transaction leaves half of itself behind, and can't be run again.

    Mend: take `-- +goose NO TRANSACTION` out, or say in a comment right above it why it can't be done otherwise.
    """
    assert len(migration_files.untransacted) in migrations.untransacted, ", ".join(migration_files.untransacted)


@pytest.mark.check("migrations.breaking", severity="blocker")
def test_no_pending_migration_breaks_the_release_that_runs(migrations, migration_files):
    """Until the last instance is replaced, the old code goes on, and fails at the column that is gone.

    Mend: expand first, with a new column that may be empty; contract in a later release.
    """
    assert len(migration_files.breaking) in migrations.breaking, ", ".join(migration_files.breaking)


@pytest.mark.check("pgbouncer.pools")
def test_pgbouncer_has_the_declared_pools(pgbouncer, pools):
    """Who connects past the pool, or to a pool that isn't there, takes the connections that it was to save.

    Mend: name the database in pgbouncer.ini, and let the application connect to PgBouncer.
    """
    assert pools.names in pgbouncer.pools


@pytest.mark.check("pgbouncer.waiting")
def test_few_clients_wait_for_a_connection(pgbouncer, pools):
    """Each one that waits is a page that stands still.

    Mend: raise default_pool_size as far as max_connections allows, or make the transactions shorter.
    """
    assert pools.waiting in pgbouncer.waiting


@pytest.mark.check("pgbouncer.longest_wait")
def test_no_client_waits_for_long(pgbouncer, pools):
    """A long wait is a pool whose connections do not come back.

    Mend: see in pg_stat_activity what holds them.
    """
    assert pools.longest_wait_s in pgbouncer.longest_wait


@pytest.mark.check("pgbouncer.mode")
def test_pool_is_of_the_declared_mode(pgbouncer, pools, key, expected):
    """In session mode a pool saves nothing; in transaction mode prepared statements and locks may break.

    Mend: set pool_mode for this database.
    """
    assert pools.modes.get(key) in expected


@pytest.mark.check("patroni.leader", severity="blocker")
def test_cluster_has_a_leader(patroni, patroni_cluster):
    """Without one nobody can write, and with an unexpected one a failover went unnoticed.

    Mend: run `patronictl list`, and read the logs of Patroni and of its store.
    """
    assert patroni_cluster.leader in patroni.leader


@pytest.mark.check("patroni.replicas", severity="blocker")
def test_cluster_has_its_replicas(patroni, patroni_cluster):
    """With none left, the next failure is the end.

    Mend: run `patronictl list`, then `patronictl reinit` for the one that is broken.
    """
    assert patroni_cluster.replicas in patroni.replicas


@pytest.mark.check("patroni.broken")
def test_no_member_of_the_cluster_is_broken(patroni, patroni_cluster):
    """A member that does not run is a spare that is not there.

    Mend: read its log, then `patronictl reinit` it.
    """
    assert len(patroni_cluster.broken) in patroni.broken, ", ".join(patroni_cluster.broken)


@pytest.mark.check("patroni.lag")
def test_replica_of_the_cluster_is_not_far_behind(patroni, patroni_cluster):
    """Beyond maximum_lag_on_failover Patroni promotes nobody, and one is too far behind to be promoted at all.

    Mend: see the network between both, and the replica's disks.
    """
    assert patroni_cluster.lag in patroni.lag


@pytest.mark.check("patroni.paused", severity="blocker")
def test_cluster_would_fail_over(patroni, patroni_cluster):
    """A pause that was forgotten after maintenance is a cluster that watches its leader die.

    Mend: run `patronictl resume`.
    """
    assert patroni_cluster.paused in patroni.paused
