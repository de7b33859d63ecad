"""What stands before a PostgreSQL: PgBouncer with its pools, and Patroni with its cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, SecretStr

from readygate.areas.asking_http import ApiUrl, api
from readygate.areas.databases.postgres import Wire
from readygate.areas.databases.url import Engine, parse_database_url
from readygate.errors import CouldNotLook, Mistake
from readygate.expectation import AtLeastCount, AtMostCount, AtMostDuration, AtMostSize, Flag, Seconds, Text, TextSet
from readygate.spec import Spec

_FOLLOWS = ("replica", "sync_standby", "quorum_standby")
_RUNNING = ("running", "streaming", "in archive recovery")


def _console(url: SecretStr) -> SecretStr:
    address = parse_database_url(url.get_secret_value())
    if address.engine is not Engine.POSTGRES:
        raise Mistake("the console of PgBouncer is at a postgresql:// URL", "write the URL with user, host and port")
    return url


class PgBouncer(Spec):
    """A PgBouncer before this database, as its administrative console tells."""

    area: ClassVar[str] = "pgbouncer"
    noun: ClassVar[str] = "pgbouncer"

    url: Annotated[SecretStr, AfterValidator(_console)] = Field(
        description="A setting: as ${A_VARIABLE}, its postgresql:// URL of a user in its admin_users or stats_users."
    )
    within: Seconds = Field(5.0, description="A setting: how long one answer may take.")

    pools: TextSet | None = Field(None, description="The databases that it has pools for, but for its own.")
    waiting: AtMostCount | None = Field(None, description="How many clients wait for a connection, in all pools.")
    longest_wait: AtMostDuration | None = Field(None, description="How long the client waits that waits longest.")
    mode: dict[str, Text] | None = Field(None, description="By database: session, transaction or statement.")


@dataclass(frozen=True, slots=True)
class Pools:
    """The mode of the pool of each database, and what SHOW POOLS says of those in use."""

    modes: Mapping[str, str]
    in_use: tuple[Mapping[str, Any], ...]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.modes)

    @property
    def waiting(self) -> int:
        return sum(int(each["cl_waiting"]) for each in self.in_use)

    @property
    def longest_wait_s(self) -> float:
        return max((int(each["maxwait"]) + int(each["maxwait_us"]) / 1e6 for each in self.in_use), default=0.0)


def observe_pools(pgbouncer: PgBouncer) -> Pools:
    """Three commands on the console. CouldNotLook: it does not answer, or does not let the user in."""
    wire = Wire(parse_database_url(pgbouncer.url.get_secret_value()), pgbouncer.within, name="pgbouncer")
    try:
        settings = {each["key"]: each["value"] for each in wire.say("show config")}
        databases = wire.say("show databases")
        in_use = wire.say("show pools")
    finally:
        wire.close()
    usual = str(settings["pool_mode"])
    return Pools(
        {str(each["name"]): str(each["pool_mode"] or usual) for each in databases if _serves(each)},
        tuple(each for each in in_use if each["database"] != "pgbouncer"),
    )


def _serves(database: Mapping[str, Any]) -> bool:
    """A pool that is paused or disabled lets every client wait, or sends it away."""
    stopped = any(str(database.get(each, "0")) == "1" for each in ("paused", "disabled"))
    return database["name"] != "pgbouncer" and not stopped


class Patroni(Spec):
    """The Patroni that runs this database's cluster, as its REST API tells."""

    area: ClassVar[str] = "patroni"
    noun: ClassVar[str] = "patroni"

    url: ApiUrl = Field(description="A setting: the URL of any member's REST API, e.g. http://db-1:8008.")

    leader: Text | None = Field(None, description='The member that leads; "~ ." where any running one will do.')
    replicas: AtLeastCount | None = Field(None, description="How many replicas run.")
    broken: AtMostCount | None = Field(None, description="How many members do not run.")
    lag: AtMostSize | None = Field(None, description="By how many bytes the worst replica is behind.")
    paused: Flag | None = Field(None, description="Whether failing over is switched off for maintenance.")


@dataclass(frozen=True, slots=True)
class PatroniCluster:
    """The members of a cluster, and whether it would fail over."""

    members: tuple[Mapping[str, Any], ...]
    paused: bool

    @property
    def leader(self) -> str | None:
        leaders = (each for each in self.members if each["role"] in ("leader", "master", "standby_leader"))
        return next((str(each["name"]) for each in leaders if each["state"] == "running"), None)

    @property
    def replicas(self) -> int:
        return sum(each["state"] in _RUNNING for each in self._followers)

    @property
    def broken(self) -> tuple[str, ...]:
        return tuple(f"{each['name']} is {each['state']}" for each in self.members if each["state"] not in _RUNNING)

    @property
    def lag(self) -> int | None:
        """None where no replica tells one; that of a replica nobody reaches is not known either."""
        lags = [each.get("lag") for each in self._followers]
        known = [each for each in lags if isinstance(each, int)]
        return max(known) if known and len(known) == len(lags) else None

    @property
    def _followers(self) -> tuple[Mapping[str, Any], ...]:
        return tuple(each for each in self.members if each["role"] in _FOLLOWS)


def observe_patroni(patroni: Patroni) -> PatroniCluster:
    """The cluster as any member's /cluster tells it."""
    told = api(f"patroni {patroni.name}", patroni.url).get("/cluster").json()
    if not told["members"]:
        raise CouldNotLook("Patroni knows no member of its cluster", mend="see that its DCS (etcd, Consul) is well")
    return PatroniCluster(tuple(told["members"]), bool(told.get("pause")))
