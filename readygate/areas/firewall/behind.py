"""Who answers at a port: the container that is published there, or the process that waits at it."""

from __future__ import annotations

import re
from typing import Any

from readygate.areas.asking import ask
from readygate.areas.servers.processes import observe_processes, observe_socket_holders, observe_sockets
from readygate.errors import CouldNotLook
from readygate.spec import Spec

_PUBLISHED = """
for engine in docker podman; do
    ! command -v $engine >/dev/null || $engine ps --format '{{.Names}}\t{{.Ports}}' 2>/dev/null
done
exit 0"""


def who_answers(host: Any, server: Spec, port: int) -> str:
    """In words, as far as the server can be asked."""
    try:
        for line in ask(host, server.name, _PUBLISHED).text.splitlines():
            name, _, ports = line.partition("\t")
            if publishes(ports, port):
                return f"container {name}"
        inodes = [each.inode for each in observe_sockets(host, server) if (each.protocol, each.port) == ("tcp", port)]
        holders = observe_socket_holders(host, server)
        pids = {pid for inode in inodes for pid in holders.get(inode, ())}
        names = observe_processes(host, server).names(pids)
    except CouldNotLook as error:
        return f"by whom is not known: {error.reason}"
    if names:
        return f"process {', '.join(names)}"
    return "some process" if inodes else "no process of its own: it is led on to another host or a container"


def publishes(ports: str, port: int) -> bool:
    """Whether `0.0.0.0:8080->80/tcp, [::]:9000-9002->9000-9002/tcp` has this port of the host."""
    spans = re.findall(r":(\d+)(?:-(\d+))?->[^,]*/tcp", ports)
    return any(int(first) <= port <= int(last or first) for first, last in spans)
