"""Who answers at a port: the container that is published there, or the process that waits at it."""

from __future__ import annotations

import re
from typing import Any

from readygate.areas.asking import ask
from readygate.areas.servers.processes import observe_processes, observe_socket_holders, observe_sockets
from readygate.errors import CouldNotLook
from readygate.spec import Spec

_CONTAINERS = """
for engine in docker podman; do
    ! command -v $engine >/dev/null || $engine ps --format '{{.Names}}\t{{.Ports}}' 2>/dev/null
done
exit 0"""
_PUBLISHED = re.compile(r"(?P<at>\S+):(?P<first>\d+)(?:-(?P<last>\d+))?->[^,]*/(?P<protocol>tcp|udp)")
_NOT_FOR_OTHERS = re.compile(r"127\.|\[?::1\]?$")


def who_answers(host: Any, server: Spec, port: int) -> str:
    """In words, as far as the server can be asked."""
    try:
        if containers := containers_behind(host, server, port, port):
            return f"container {containers[0]}"
        inodes = [each.inode for each in observe_sockets(host, server) if (each.protocol, each.port) == ("tcp", port)]
        holders = observe_socket_holders(host, server)
        pids = {pid for inode in inodes for pid in holders.get(inode, ())}
        names = observe_processes(host, server).names(pids)
    except CouldNotLook as error:
        return f"by whom is not known: {error.reason}"
    if names:
        return f"process {', '.join(names)}"
    return "some process" if inodes else "no process of its own: it is led on to another host or a container"


def containers_behind(host: Any, server: Spec, first: int, last: int, protocol: str = "tcp") -> list[str]:
    """The containers that publish one of these ports, by name. CouldNotLook: the server can't be asked."""
    rows = (line.partition("\t") for line in ask(host, server.name, _CONTAINERS).text.splitlines())
    return [name for name, _, ports in rows if publishes(ports, first, last, protocol)]


def publishes(ports: str, first: int, last: int, protocol: str = "tcp") -> bool:
    """Whether `0.0.0.0:8080->80/tcp, [::]:9000-9002->9000-9002/tcp` has one of these ports, for others to reach."""
    return any(
        int(found["first"]) <= last and first <= int(found["last"] or found["first"])
        for found in _PUBLISHED.finditer(ports)
        if found["protocol"] == protocol and not _NOT_FOR_OTHERS.match(found["at"])
    )
