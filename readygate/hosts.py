"""The Testinfra hosts of a session: each server of the inventory is opened once, and nothing else ever is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import pytest

from readygate.errors import CouldNotLook
from readygate.fleet import HUB, open_host
from readygate.inventory import Inventory, server_of
from readygate.spec import Leaf

NO_SERVER = "no server"


class Hosts:
    """Opens servers by name.

    Testinfra looks at the machine that runs it where no host is named. Here that only happens where the
    inventory says `connect: local://`.
    """

    def __init__(self, inventory: Inventory, config: pytest.Config) -> None:
        self._servers = inventory.entries.get("servers", {})
        self._config = config
        self._open: dict[str, Any] = {}

    def name_for(self, leaf: Leaf) -> str:
        return server_of(leaf) or NO_SERVER

    def of(self, leaf: Leaf | None, named: str | None = None) -> Any:
        """The host of a leaf, or of another server that a check looks from; nobody goes where no inventory says."""
        if named is not None and named not in self._servers:
            raise CouldNotLook(f"no server is called '{named}'", mend="add it under servers, or write its name right")
        return self.open(named or (self.name_for(leaf) if leaf else NO_SERVER))

    def for_plain_test(self, module: Any) -> list[str]:
        """The servers that a test without a check mark looks at: as for Testinfra, but never by default us."""
        named = self._config.getoption("hosts", None)
        if named:
            return [str(each) for each in named.split(",")]
        return list(getattr(module, "testinfra_hosts", None) or self._servers) or [NO_SERVER]

    def open(self, name: str) -> Any:
        """The host of a server's name, or of a Testinfra host spec. Raises CouldNotLook where there is none."""
        if name == NO_SERVER:
            raise CouldNotLook(
                "this check names no server to look at",
                mend="add the server to the inventory; for this very machine write connect: local://",
            )
        if name not in self._open:
            server: Any = self._servers.get(name)
            if server is None:
                self._open[name] = open_host(name)
            else:
                self._open[name] = _host(server.connect, server.sudo, server.sudo_user)
        return self._open[name]

    def connect(self, names: Iterable[str]) -> None:
        """Begin to connect to servers that will be asked; doesn't wait."""
        for name in names:
            begin = getattr(self.open(name).backend, "connect", None)
            if begin is not None:  # what only Testinfra can reach connects when it is asked
                begin()


def connect_early(data: Mapping[str, Any]) -> None:
    """Begin to connect to the servers of an inventory that isn't checked yet; doesn't wait.

    Only to a few, as one shard or profile may not want them all, and where none has to be brought up first.
    """
    servers = data.get("servers")
    if not isinstance(servers, dict) or len(servers) > HUB.jobs or "lifecycle" in data:
        return
    for server in servers.values():
        with suppress(Exception):  # what is wrong with it is told where it is checked
            sudo = server.get("sudo", False)
            if isinstance(sudo, bool):  # text, such as that of a variable, is not understood yet
                _host(server["connect"], sudo, server.get("sudo_user")).backend.connect()


def _host(connect: str, sudo: bool, sudo_user: str | None) -> Any:
    return open_host(connect, sudo=sudo, sudo_user=sudo_user)
