"""Replication, shown on real servers of MariaDB and PostgreSQL: followed, fallen behind, stopped, refused, unseen."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from readygate.areas.databases.mysql_replication import asked_of, channel_of
from tests.database_servers import (
    PASSWORD,
    PROGRAMS,
    MariaDb,
    do,
    folder_of,
    needed,
    new_mariadb,
    new_postgres,
    started_postgres,
)
from tests.test_area_databases import failing, reasons, until, why_blind

LAG = "database.replication_lag"
RUNS = {"Slave_IO_Running": "Yes", "Slave_SQL_Running": "Yes", "Seconds_Behind_Master": "0"}


@dataclass(frozen=True)
class Trio:
    """Two primaries, the first of which lets nobody in without TLS, and a server that may follow either or both."""

    primary: MariaDb
    second: MariaDb
    replica: MariaDb
    certificate: Path

    @property
    def encrypted(self) -> tuple[str, ...]:
        return self.trusting(self.certificate)

    def trusting(self, ca: object) -> tuple[str, ...]:
        return ("master_ssl=1", "master_ssl_verify_server_cert=1", f"master_ssl_ca='{ca}'")

    @contextmanager
    def following(self, channel: str, source: MariaDb, *more: str) -> Iterator[None]:
        words = [
            f"master_host='127.0.0.1', master_port={source.port}, master_user='repl'",
            f"master_password='{PASSWORD}', master_connect_retry=1, master_use_gtid=slave_pos",
            # A primary finds out that a replica went away when it next writes to it.
            "master_heartbeat_period=1",
            *more,
        ]
        self.replica.do(f"change master '{channel}' to {', '.join(words)}", f"start slave '{channel}'")
        try:
            yield
        finally:
            self.replica.do(f"stop slave '{channel}'", f"reset slave '{channel}' all")

    @contextmanager
    def sound(self) -> Iterator[None]:
        """The channel `orders` from the first, and `stock` from the second."""
        with (
            self.following("orders", self.primary, *self.encrypted),
            self.following("stock", self.second),
        ):
            for each in ("orders", "stock"):
                self.until(each, **RUNS)
            yield

    def until(self, channel: str, **wanted: str) -> None:
        until(lambda: wanted.items() <= self.state(channel).items())

    def state(self, channel: str) -> dict[str, str]:
        show = ["-u", "root", "-Ee", f"show slave '{channel}' status"]
        told = do(needed("mariadb", "mariadb-client"), f"--socket={self.replica.socket}", *show)
        parts = (line.partition(":") for line in told.splitlines())
        return {name.strip(): value.strip() for name, _, value in parts}

    def why(self, **declared: str) -> str:
        return reasons(self.replica.url, **{"replication_lag": "1h", **declared})[LAG]


@pytest.fixture(scope="module")
def trio() -> Iterator[Trio]:
    with folder_of("nobody") as folder:
        key, certificate = folder / "key.pem", folder / "certificate.pem"
        subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
        do("openssl", "req", "-x509", "-nodes", *subject, "-newkey", "rsa:2048", "-keyout", key, "-out", certificate)
        for each in (key, certificate):
            each.chmod(0o644)
        tls = (f"--ssl-cert={certificate}", f"--ssl-key={key}", "--require-secure-transport=on")
        log = ("--log-bin=binlog", "--binlog-format=row")
        with (
            new_mariadb(*log, *tls, "--server-id=1", "--gtid-domain-id=1") as primary,
            new_mariadb(*log, "--server-id=2", "--gtid-domain-id=2") as second,
            new_mariadb("--server-id=3") as replica,
        ):
            user, grant = (
                f"create user repl@localhost identified by '{PASSWORD}'",
                "grant replication slave on *.* to",
            )
            primary.do(f"{user} require ssl", f"{grant} repl@localhost", "reset master")
            second.do(user, f"{grant} repl@localhost", "reset master")
            for source, table in ((primary, "orders"), (second, "stock")):
                source.do(f"create table shop.{table} (id int primary key, note text)")
            yield Trio(primary, second, replica, certificate)


def test_replicas_that_follow_are_seen_from_both_ends(trio: Trio) -> None:
    with trio.sound():
        assert failing(trio.replica.url, replication_lag="30s", reachable=True) == set()
        assert failing(trio.primary.url, replicas=1) == set()
        assert failing(trio.primary.url, replicas=2) == {"replicas"}
        trio.primary.do("insert into shop.orders values (1, 'first')")
        until(lambda: trio.replica.do("select note from shop.orders").strip() == "first")


def test_a_replica_that_falls_behind_is_seen(trio: Trio) -> None:
    with trio.sound():
        trio.replica.do("stop slave 'stock'", "change master 'stock' to master_delay=3600", "start slave 'stock'")
        trio.second.do("replace into shop.stock values (1, 'late')")
        until(lambda: int(trio.state("stock")["Seconds_Behind_Master"].replace("NULL", "0")) >= 2)
        assert failing(trio.replica.url, replication_lag="1s") == {"replication_lag"}
        assert failing(trio.replica.url, replication_lag="1h") == set()
        trio.replica.do("stop slave 'stock'", "change master 'stock' to master_delay=0", "start slave 'stock'")
        trio.until("stock", **RUNS)
        assert failing(trio.replica.url, replication_lag="1s") == set()


@pytest.mark.parametrize("channel", ["orders", "stock"])
@pytest.mark.parametrize(
    ("thread", "told"),
    [("sql_thread", "receiving Yes, applying No"), ("io_thread", "receiving No, applying Yes")],
)
def test_one_of_two_channels_that_stopped_is_not_hidden_by_the_other(
    trio: Trio, channel: str, thread: str, told: str
) -> None:
    with trio.sound():
        trio.replica.do(f"stop slave '{channel}' {thread}")
        assert trio.why() == f"the channel {channel}: {told}"
        trio.replica.do(f"start slave '{channel}' {thread}")
        trio.until(channel, **RUNS)
        assert trio.why() == ""


def test_a_channel_that_broke_off_is_told_without_the_row(trio: Trio) -> None:
    with trio.sound():
        trio.replica.do("insert into shop.orders values (7, 'ours')")
        trio.primary.do("insert into shop.orders values (7, 'tiger77')")
        trio.until("orders", Slave_SQL_Running="No")
        assert "Duplicate entry" in trio.state("orders")["Last_SQL_Error"]
        why = trio.why()
        assert "the channel orders: receiving Yes, applying No, it broke off with error 1062" in why
        assert "Duplicate" not in why
        trio.replica.do("delete from shop.orders where id = 7", "start slave 'orders'")
        trio.until("orders", **RUNS)


def test_a_primary_that_demands_tls_lets_no_other_replica_in(trio: Trio) -> None:
    with trio.following("orders", trio.primary):
        until(lambda: trio.state("orders")["Last_IO_Error"] != "")
        assert "the channel orders: receiving Connecting, applying Yes, error connecting to master" in trio.why()
        assert PASSWORD not in trio.why()
    until(lambda: failing(trio.primary.url, replicas=1) == {"replicas"})


def test_a_replica_whose_primary_is_not_who_it_should_be_does_not_follow(trio: Trio) -> None:
    with trio.following("orders", trio.primary, *trio.trusting("/etc/ssl/certs/ca-certificates.crt")):
        until(lambda: "SSL connection error" in trio.state("orders")["Last_IO_Error"])
        assert "receiving Connecting" in trio.why()


def test_a_replica_whose_primary_went_away_is_not_called_up_to_date(trio: Trio) -> None:
    with (
        new_mariadb("--log-bin=binlog", "--server-id=9", "--gtid-domain-id=9") as passing,
        trio.sound(),
    ):
        passing.do(f"create user repl@localhost identified by '{PASSWORD}'")
        passing.do("grant replication slave on *.* to repl@localhost", "reset master")
        with trio.following("passing", passing):
            trio.until("passing", **RUNS)
            assert trio.why() == ""
            passing.do("shutdown")
            until(lambda: trio.state("passing")["Slave_IO_Running"] == "Connecting")
            assert "the channel passing: receiving Connecting" in trio.why()


def test_a_primary_that_demands_tls_is_asked_with_it_only(trio: Trio) -> None:
    assert failing(f"{trio.primary.url}?sslmode=verify-full&sslrootcert={trio.certificate}", tls=True) == set()
    assert failing(trio.primary.url, tls=True) == set()
    blind = why_blind(f"{trio.primary.url}?sslmode=disable", tls=False)
    assert ("lets nobody in" in blind.reason, "demands TLS" in blind.mend) == (True, True)
    assert "certificate verify failed" in why_blind(f"{trio.primary.url}?sslmode=verify-full", tls=True).reason


def test_a_primary_does_not_know_how_far_its_replicas_are_behind(trio: Trio) -> None:
    with trio.sound():
        blind = why_blind(trio.primary.url, replication_lag="1h")
        assert "it is a primary" in blind.reason
        assert "of each replica, by its own URL" in blind.mend
        assert failing(trio.replica.url, replicas=1, replication_lag="1h") == {"replicas"}


def test_a_server_that_follows_nobody_is_no_replica(trio: Trio) -> None:
    assert trio.why() == "it is no replica, and follows nobody"


def test_what_a_user_may_not_see_of_the_replication_is_never_taken_for_nothing(trio: Trio) -> None:
    for server in (trio.primary, trio.replica):
        # Not replicated: it would come after the grant below, and take it away.
        server.do("set sql_log_bin = 0", f"create or replace user looker@localhost identified by '{PASSWORD}'")
    primary, replica = (
        each.url.replace("shop:", "looker:", 1).removesuffix("shop") for each in (trio.primary, trio.replica)
    )
    with trio.sound():
        assert failing(replica, reachable=True, version=">=10") == set()
        blind = why_blind(replica, replication_lag="1h")
        assert "may not see the replication" in blind.reason
        assert "REPLICA MONITOR" in blind.mend
        for declared in ({"replicas": 1}, {"replicas": "<5"}):
            blind = why_blind(primary, **declared)
            assert "grant it PROCESS" in blind.mend
        trio.replica.do("grant replica monitor on *.* to looker@localhost")
        trio.primary.do("grant process on *.* to looker@localhost")
        assert failing(replica, replication_lag="1h") == set()
        assert failing(primary, replicas=1) == set()
        trio.replica.do("stop slave 'stock' sql_thread")
        assert failing(replica, replication_lag="1h") == {"replication_lag"}


@pytest.mark.parametrize(
    ("version", "asked"),
    [
        ("10.11.6-MariaDB-0+deb12u1-log", "show all slaves status"),
        ("5.5.5-10.3.39-MariaDB", "show all slaves status"),
        ("8.4.0", "show replica status"),
        ("9.1.0-commercial", "show replica status"),
        ("8.0.22-13", "show replica status"),
        ("8.0.21", "show slave status"),
        ("5.7.44-48-log", "show slave status"),
    ],
)
def test_each_version_is_asked_in_its_own_words(version: str, asked: str) -> None:
    assert asked_of(version) == asked


def test_the_words_of_every_version_are_understood() -> None:
    new = {"Replica_IO_Running": "Yes", "Replica_SQL_Running": "Yes", "Seconds_Behind_Source": 0, "Channel_Name": ""}
    old = {"Slave_IO_Running": "Yes", "Slave_SQL_Running": "Yes", "Seconds_Behind_Master": 3, "Connection_name": "a"}
    assert (channel_of(new).lag_s, channel_of(old).lag_s) == (0, 3)
    for told in (new, old):
        for stopped in list(told)[:3]:
            assert channel_of({**told, stopped: None}).lag_s is None
            assert channel_of({name: value for name, value in told.items() if name != stopped}).lag_s is None
        for word in ("No", "Connecting", "Preparing"):
            assert channel_of({**told, next(iter(told)): word}).lag_s is None


# PostgreSQL


def test_a_standby_that_was_restarted_while_its_primary_is_idle_is_not_called_far_behind() -> None:
    """It asks for WAL from the start of the segment on, and has replayed what it has not received again."""
    with new_postgres() as primary:
        data = primary.folder.parent / "standby"
        source = ["-d", primary.url(name="postgres"), "-R", "-C", "-S", "standby", "-c", "fast", "--no-sync"]
        do(PROGRAMS / "pg_basebackup", "-D", data, *source, user="postgres")

        def is_close() -> bool:
            now = primary.do("select pg_current_wal_lsn()")
            return standby.do(f"select pg_last_wal_replay_lsn() >= '{now}'") == "t"

        receives = "select count(*) from pg_stat_wal_receiver where status = 'streaming'"
        with started_postgres(data) as standby:
            primary.do("create table orders as select n from generate_series(1, 100000) n", "checkpoint")
            until(is_close)
        received_less = 0
        for _ in range(3):
            with started_postgres(data) as standby:
                until(lambda: standby.do(receives) == "1")
                until(is_close)
                received_less += standby.do("select pg_last_wal_receive_lsn() < pg_last_wal_replay_lsn()") == "t"
                assert reasons(standby.url(), replication_lag="1s") == {LAG: ""}
        assert received_less
        with started_postgres(data) as standby:
            until(lambda: standby.do(receives) == "1")
            standby.do("select pg_wal_replay_pause()")
            until(lambda: standby.do("select pg_get_wal_replay_pause_state()") == "paused")
            assert reasons(standby.url(), replication_lag="1h") == {LAG: "its replay is paused"}
            primary.do("insert into orders values (1)")
            assert failing(standby.url(), replication_lag="1h") == {"replication_lag"}


def test_a_standby_that_replays_its_first_transaction_after_a_night_is_not_a_night_behind() -> None:
    """Its last one is as old as the night. A delay of its own keeps it long enough in that moment to be looked at."""
    with new_postgres() as primary:
        data = primary.folder.parent / "standby"
        source = ["-d", primary.url(name="postgres"), "-R", "-C", "-S", "standby", "-c", "fast", "--no-sync"]
        do(PROGRAMS / "pg_basebackup", "-D", data, *source, user="postgres")
        with started_postgres(data) as standby:
            primary.do("create table orders (n int)")
            until(lambda: standby.do("select to_regclass('orders') is not null") == "t")

            def wakes(delay: str) -> None:
                standby.do(f"alter system set recovery_min_apply_delay = '{delay}'", "select pg_reload_conf()")
                until(lambda: standby.do("show recovery_min_apply_delay") == delay)
                time.sleep(4)
                primary.do("insert into orders values (1)")
                until(lambda: standby.do("select pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()") == "t")

            wakes("2s")
            assert reasons(standby.url(), replication_lag="3s") == {LAG: ""}
            wakes("2s")
            assert failing(standby.url(), replication_lag="500ms") == {"replication_lag"}
            wakes("1h")
            assert failing(standby.url(), replication_lag="4s") == {"replication_lag"}
