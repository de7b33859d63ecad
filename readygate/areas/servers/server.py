"""What a server may be declared to be; each of its parts is observed by the module that describes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, model_validator
from testinfra.backend import BACKENDS

from readygate.areas.containers.containers import Containers
from readygate.areas.firewall import firewall
from readygate.areas.firewall.firewall import Firewall
from readygate.areas.servers import (
    accounts,
    checkouts,
    clock,
    commands,
    cron,
    files,
    kernel,
    listening,
    logs,
    network,
    nginx,
    permissions,
    platform,
    processes,
    resources,
    services,
    software,
    sshd,
    timers,
    updates,
)
from readygate.areas.servers.accounts import Group, User
from readygate.areas.servers.checkouts import Checkout
from readygate.areas.servers.clock import Clock
from readygate.areas.servers.commands import Command
from readygate.areas.servers.cron import CronJob
from readygate.areas.servers.files import AbsolutePath, File
from readygate.areas.servers.hardening import with_baseline
from readygate.areas.servers.kernel import KernelModule, KernelSetting
from readygate.areas.servers.listening import PortSet
from readygate.areas.servers.logs import Log
from readygate.areas.servers.network import Destination, DnsName, Interface, Reaches
from readygate.areas.servers.nginx import Nginx
from readygate.areas.servers.permissions import Permissions
from readygate.areas.servers.platform import System
from readygate.areas.servers.processes import Port, Process
from readygate.areas.servers.resources import Disk, LoadAverage, Memory
from readygate.areas.servers.services import Service
from readygate.areas.servers.software import OneName, Package
from readygate.areas.servers.sshd import SshdKeyword, SshdValue
from readygate.areas.servers.timers import Timer
from readygate.areas.servers.updates import Updates
from readygate.errors import Mistake
from readygate.expectation import AtMostCount, AtMostPercent, Flag, Json, Text, TextSet
from readygate.spec import Setting, Spec

_BY_SSH = ("ssh", "safe-ssh", "paramiko")
_PLACE = re.compile(r"(?:\[[0-9A-Fa-f:.]+(?:%\w+)?\]|[^:/\[\]\s]+)(?::(?P<port>\d+))?")


class Baseline(Setting):
    """A baseline of which some lines are left out."""

    name: str = Field(description="Which baseline: linux.")
    without: tuple[str, ...] = Field((), description="Paths of its lines that don't fit: sshd.MaxAuthTries.")


def host_spec(connect: str) -> str:
    """The Testinfra host spec, if it says by which way and whom to reach."""
    way, separator, whom = connect.partition("://")
    if not separator:
        raise Mistake(f"'{connect}' does not say how to connect", f"write e.g. ssh://{connect or 'app-1'}")
    if way not in BACKENDS:
        raise Mistake(f"'{way}' is no way to connect", "write e.g. ssh://app-1, docker://web or local://")
    if not whom.partition("?")[0] and way != "local":
        raise Mistake(f"'{connect}' names no host", f"write e.g. {way}://app-1")
    if whom.rpartition("@")[2].startswith("-"):  # which docker, kubectl and others take for an option
        raise Mistake(f"'{connect}' names an option instead of a host", f"write e.g. {way}://app-1")
    if way in _BY_SSH:
        place = _PLACE.fullmatch(whom.partition("?")[0].rpartition("@")[2])
        if not place or not 0 < int(place["port"] or 22) < 65536:
            raise Mistake(f"'{connect}' does not name a host, or a port", f"write e.g. {way}://deploy@app-1:22")
    return connect


class Server(Spec):
    """A machine or a container, and what must hold inside it."""

    area: ClassVar[str] = "server"
    noun: ClassVar[str] = "server"
    may_be_bare: ClassVar[bool] = True

    connect: Annotated[str, AfterValidator(host_spec)] = Field(
        description="A setting: the Testinfra host spec, e.g. ssh://deploy@app-1. The machine that runs "
        "Readygate is looked at only where this says local://."
    )
    sudo: bool = Field(False, description="A setting: whether to look as root, or as `sudo_user`, by sudo.")
    sudo_user: str | None = Field(None, description="A setting: whom to become instead of root.")

    baseline: str | Baseline | None = Field(
        None, description="A setting: a baseline that is declared beneath all that stands here, e.g. linux."
    )

    system: System | None = Field(None, description="Its distribution, kernel, time zone and the like.")
    updates: Updates | None = Field(None, description="The updates that wait, and whether a reboot is due.")
    packages: dict[OneName, Package] | None = Field(None, description="Packages, by name.")
    services: dict[OneName, Service] | None = Field(None, description="Services, by the name of the unit.")
    failed_units: AtMostCount | None = Field(None, description="How many units of systemd have failed.")
    processes: dict[str, Process] | None = Field(None, description="Processes, by name.")
    cron: dict[str, CronJob] | None = Field(None, description="Jobs of cron, by a part of their command line.")
    timers: dict[OneName, Timer] | None = Field(None, description="Timers of systemd, by name.")
    ports: dict[str, Port] | None = Field(None, description="Ports, such as 443 or 53/udp, or by name.")
    listening_only: PortSet | None = Field(
        None, description="All ports at which anything waits for others than the server itself: [22, 443, 53/udp]."
    )
    reaches: Reaches | None = Field(
        None, description="What the server can connect to, or can't: db.internal:5432, a list, or flags by host:port."
    )
    dns: dict[str, DnsName] | None = Field(None, description="Names, as the server resolves them.")
    interfaces: dict[OneName, Interface] | None = Field(None, description="Network interfaces, by name.")
    routes: dict[Destination, Text] | None = Field(
        None, description="Routes of IPv4 by destination, such as default: via 10.0.0.1 dev eth0."
    )
    files: dict[str, File] | None = Field(None, description="Files and directories, by absolute path or name.")
    checkouts: dict[AbsolutePath, Checkout] | None = Field(None, description="Checkouts of git, by absolute path.")
    logs: dict[str, Log] | None = Field(None, description="Logs, by absolute path or name.")
    permissions: Permissions | None = Field(None, description="Surprises among all files.")
    users: dict[OneName, User] | None = Field(None, description="Accounts, by name.")
    user_groups: dict[OneName, Group] | None = Field(None, description="Groups of accounts, by name.")
    sudoers: TextSet | None = Field(None, description='Whom the rules of sudo are for: [root, "%sudo"].')
    superusers: TextSet | None = Field(None, description="Names of all accounts with the number 0.")
    open_accounts: AtMostCount | None = Field(None, description="How many accounts have an empty password.")
    sshd: dict[SshdKeyword, SshdValue] | None = Field(
        None, description='Settings of sshd as it tells them, by keyword: {PermitRootLogin: "no"}.'
    )
    nginx: Nginx | None = Field(None, description="The configuration of nginx.")
    disk: dict[AbsolutePath, Disk] | None = Field(None, description="Filesystems, by mount point.")
    memory: Memory | None = Field(None, description="The server's memory.")
    load_average: LoadAverage | None = Field(None, description="How much it has to do, for each processor.")
    open_files: AtMostPercent | None = Field(
        None, description="How much of the kernel's limit of open files is used."
    )
    clock: Clock | None = Field(None, description="Whether its clock is kept right.")
    sysctl: dict[KernelSetting, Json] | None = Field(None, description="Settings of the kernel as it runs.")
    modules: dict[KernelModule, Flag] | None = Field(
        None, description="Modules of the kernel, by name: whether it has them now."
    )
    firewall: Firewall | None = Field(None, description="What is let in, and what is seen from outside.")
    containers: Containers | None = Field(None, description="The containers of its docker or podman.")
    commands: dict[str, Command] | None = Field(
        None, description="Commands of your own, by a name; each must only look."
    )

    @model_validator(mode="before")
    @classmethod
    def _on_its_baseline(cls, declared: Any) -> Any:
        return with_baseline(declared)


SECTIONS: Mapping[str, type[Spec]] = {"servers": Server}

_PARTS = (
    accounts,
    checkouts,
    clock,
    commands,
    cron,
    files,
    firewall,
    kernel,
    listening,
    logs,
    network,
    nginx,
    permissions,
    platform,
    processes,
    resources,
    services,
    software,
    sshd,
    timers,
    updates,
)
FACTS: Mapping[str, Callable[..., Any]] = {name: fact for part in _PARTS for name, fact in part.FACTS.items()}
