"""What a server may be declared to be; each of its parts is observed by the module that describes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field
from testinfra.backend import BACKENDS

from readygate.areas import accounts, commands, files, processes, resources, software
from readygate.areas.accounts import User
from readygate.areas.commands import Command, KernelSetting
from readygate.areas.files import AbsolutePath, File
from readygate.areas.processes import Port, Process
from readygate.areas.resources import Disk, Memory
from readygate.areas.software import OneName, Package, Service
from readygate.errors import Mistake
from readygate.expectation import Json
from readygate.spec import Spec


def host_spec(connect: str) -> str:
    """The Testinfra host spec, if it says by which way and whom to reach."""
    way, separator, whom = connect.partition("://")
    if not separator:
        raise Mistake(f"'{connect}' does not say how to connect", f"write e.g. ssh://{connect or 'app-1'}")
    if way not in BACKENDS:
        raise Mistake(f"'{way}' is no way to connect", f"write one of {', '.join(sorted(BACKENDS))}")
    if not whom.partition("?")[0] and way != "local":
        raise Mistake(f"'{connect}' names no host", f"write e.g. {way}://app-1")
    return connect


class Server(Spec):
    """A machine or a container, and what must hold inside it."""

    area: ClassVar[str] = "server"
    noun: ClassVar[str] = "server"

    connect: Annotated[str, AfterValidator(host_spec)] = Field(
        description="A setting: the Testinfra host spec, e.g. ssh://deploy@app-1. The machine that runs "
        "Readygate is looked at only where this says local://."
    )
    sudo: bool = Field(False, description="A setting: whether to look as root, or as `sudo_user`, by sudo.")
    sudo_user: str | None = Field(None, description="A setting: whom to become instead of root.")

    files: dict[str, File] | None = Field(None, description="Files and directories, by absolute path or name.")
    processes: dict[str, Process] | None = Field(None, description="Processes, by name.")
    ports: dict[str, Port] | None = Field(None, description="Ports, such as 443 or 53/udp, or by name.")
    services: dict[OneName, Service] | None = Field(None, description="Units of systemd, by name.")
    packages: dict[OneName, Package] | None = Field(None, description="Packages, by name.")
    users: dict[OneName, User] | None = Field(None, description="Accounts, by name.")
    disk: dict[AbsolutePath, Disk] | None = Field(None, description="Filesystems, by mount point.")
    memory: Memory | None = Field(None, description="The server's memory.")
    sysctl: dict[KernelSetting, Json] | None = Field(None, description="Settings of the kernel as it runs.")
    commands: dict[str, Command] | None = Field(
        None, description="Commands of your own, by a name; each must only look."
    )


SECTIONS: Mapping[str, type[Spec]] = {"servers": Server}

FACTS: Mapping[str, Callable[..., Any]] = (
    accounts.FACTS | commands.FACTS | files.FACTS | processes.FACTS | resources.FACTS | software.FACTS
)
