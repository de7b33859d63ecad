"""This machine as a host of the fleet's, for tests of what is asked of it and how."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import testinfra
from testinfra.host import Host

from readygate.fleet.backend import ShellBackend, begin_check
from readygate.fleet.hub import HUB


@contextmanager
def this_machine() -> Iterator[Host]:
    """Asked by our backend, and hung up on at the end."""
    backend = ShellBackend("local", stock=testinfra.get_host("local://").backend)
    host = Host(backend)
    backend.set_host(host)
    begin_check()
    yield host
    HUB.close()
    begin_check(live=True)
