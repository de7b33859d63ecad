"""The network as a server sees it, shown on this machine's own sockets, names, interfaces and routes."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra
from pydantic import ValidationError

from readygate.areas.servers.listening import observe_open_ports
from readygate.areas.servers.network import parse_routes
from readygate.areas.servers.proc import Socket, parse_socket_holders, parse_sockets
from readygate.areas.servers.server import Server
from readygate.errors import CouldNotLook
from tests.holding import LOCAL
from tests.server_checks import held_on, here, reasons_on

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")


@pytest.fixture
def nobody() -> Any:
    """This machine, looked at by someone who may do little."""
    if not shutil.which("sudo"):
        pytest.skip("there is no sudo to become nobody by")
    return testinfra.get_host("local://", sudo=True, sudo_user="nobody")


# Ports. The tables were recorded on a Debian 12 with nginx, sshd and Redis.

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 55936 1 0 100 0 0 10 0
   1: 0100007F:18EB 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 55957 1 0 100 0 0 10 0
   2: 0100007F:18EB 0100007F:9C40 01 00000000:00000000 00:00000000 00000000   101        0 55958 1 0 100 0 0 10 0
"""
TCP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when
   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 \
00000000     0        0 57475 1 0 100 0 0 10 0
   1: 00000000000000000000000001000000:1538 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 \
00000000     0        0 57476 1 0 100 0 0 10 0
"""


def test_only_sockets_that_listen_are_read_from_the_kernels_tables() -> None:
    read = [(each.address, each.port, each.inode) for each in parse_sockets("tcp", TCP)]
    assert read == [("0.0.0.0", 443, 55936), ("127.0.0.1", 6379, 55957)]
    assert [(each.protocol, each.address, each.port) for each in parse_sockets("tcp6", TCP6)] == [
        ("tcp", "::", 22),
        ("tcp", "::1", 5432),
    ]


def test_the_holders_of_a_socket_are_read_from_the_listing() -> None:
    listing = """\
/proc/7/fd:
total 0
lrwx------ 1 root root 64 Nov 21 01:19 0 -> /dev/null
lrwx------ 1 root root 64 Nov 21 01:19 6 -> socket:[55936]

/proc/8/fd:
lrwx------ 1 root root 64 Nov 21 01:19 6 -> socket:[55936]
"""
    assert parse_socket_holders(listing) == {55936: {7, 8}}


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_a_port_holds_while_it_is_listened_at(listening: socket.socket) -> None:
    port = str(listening.getsockname()[1])
    me = Path("/proc/self/comm").read_text().strip()
    declared = {"listening": True, "addresses": ["127.0.0.1"], "listeners": [me]}
    assert all(here(ports={f"{port}/tcp": declared}).values())
    assert not here(ports={f"{port}/udp": {"listening": True}})["port.listening"]
    assert not here(ports={port: {"listening": False}})["port.listening"]
    assert not here(ports={port: {"listeners": ["nginx"]}})["port.listeners"]
    listening.close()
    assert not any(here(ports={port: declared}).values())


def test_a_port_that_is_open_to_everybody_fails_where_it_must_be_local() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = str(server.getsockname()[1])
        assert not here(ports={port: {"addresses": ["127.0.0.1"]}})["port.addresses"]


def test_a_udp_port_is_found() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        assert here(ports={f"{port}/udp": {"listening": True}})["port.listening"]


@needs_root
def test_who_listens_is_not_guessed_by_someone_who_may_not_see_it(nobody: Any, listening: socket.socket) -> None:
    ports = {str(listening.getsockname()[1]): {"listeners": ["nginx"]}}
    with pytest.raises(CouldNotLook, match="which process waits"):
        held_on(nobody, ports=ports)


# Nothing else listens.


def test_nothing_else_listens_holds_and_names_the_stranger() -> None:
    waiting = [Socket("tcp", "0.0.0.0", 443, 1), Socket("tcp", "::", 443, 2), Socket("udp", "10.0.0.5", 53, 3)]
    at_home = [
        Socket("tcp", "127.0.0.1", 6379, 4),
        Socket("tcp", "::1", 5432, 5),
        Socket("tcp", "::ffff:127.0.0.1", 1, 6),
    ]
    declared = Server.model_validate({"connect": "local://", "listening_only": [443, "53/udp"]}).listening_only
    assert declared is not None
    assert observe_open_ports((*waiting, *at_home)).names in declared
    judged = declared.judge(observe_open_ports((*waiting, *at_home, Socket("tcp", "0.0.0.0", 9229, 7))).names)
    assert judged.margin == "unexpected 9229/tcp"


def test_a_port_that_listens_for_all_is_found_here() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        assert here(listening_only={"contains": [port]})["server.listening_only"]
        assert not here(listening_only={"lacks": [port]})["server.listening_only"]


# What can be reached from there.


def test_what_the_server_reaches_holds_until_nobody_listens(listening: socket.socket) -> None:
    where = f"127.0.0.1:{listening.getsockname()[1]}"
    for declared in (where, [where], {where: True}):
        assert here(reaches=declared)["server.reaches"]
    assert not here(reaches={where: False})["server.reaches"]
    listening.close()
    reasons = reasons_on(LOCAL, reaches=where)
    assert "Connection refused" in reasons["server.reaches"]
    assert here(reaches={where: False})["server.reaches"]


def test_a_place_that_nobody_could_name_was_not_found_shut() -> None:
    assert not here(reaches={"no-such-host.invalid:80": False})["server.reaches"]


def test_a_name_that_nobody_knows_is_not_reached() -> None:
    assert (
        "no-such-host.invalid:80 can't be reached"
        in reasons_on(LOCAL, reaches="no-such-host.invalid:80")["server.reaches"]
    )


@pytest.mark.parametrize("where", ["db.internal", "db.internal:0", "db:65536", "http://db:80", "a b:1"])
def test_a_place_that_could_not_be_reached_is_refused(where: str) -> None:
    with pytest.raises(ValidationError, match="is not a host with a port"):
        Server.model_validate({"connect": "local://", "reaches": where})


# Names, interfaces and routes.


def test_a_name_holds_as_the_server_resolves_it() -> None:
    assert all(here(dns={"localhost": {"resolvable": True, "addresses": {"lacks": ["10.9.8.7"]}}}).values())
    assert not any(here(dns={"localhost": {"resolvable": False, "addresses": ["10.9.8.7"]}}).values())
    assert not any(here(dns={"no-such-host.invalid": {"resolvable": True, "addresses": {"lacks": ["::1"]}}}).values())


def test_an_interface_holds_as_the_kernel_has_it() -> None:
    mtu = int(Path("/sys/class/net/lo/mtu").read_text())
    assert all(here(interfaces={"lo": {"exists": True, "up": True, "mtu": mtu}}).values())
    assert not any(here(interfaces={"lo": {"exists": False, "up": False, "mtu": mtu + 1}}).values())
    assert not any(
        here(interfaces={"eth99": {"exists": True, "up": False, "mtu": 1, "addresses": {"lacks": ["x"]}}}).values()
    )


@pytest.mark.skipif(not shutil.which("ip"), reason="this machine has no iproute2")
def test_the_addresses_of_an_interface_hold_with_their_prefix() -> None:
    assert here(interfaces={"lo": {"addresses": {"contains": ["127.0.0.1/8"]}}})["interface.addresses"]
    assert not here(interfaces={"lo": {"addresses": {"contains": ["127.0.0.1/16"]}}})["interface.addresses"]


# Recorded on a Debian 12 with two ways to the default.
ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth1\t00000000\t0102A8C0\t0003\t0\t0\t200\t00000000\t0\t0\t0
eth0\t00000000\t010012AC\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
eth2\t0000000A\t00000000\t0000\t0\t0\t0\t000000FF\t0\t0\t0
"""


def test_routes_are_read_from_the_kernels_table() -> None:
    assert parse_routes(ROUTES).ways == {"default": "via 172.18.0.1 dev eth0", "172.18.0.0/16": "dev eth0"}


def test_a_route_holds_and_fails() -> None:
    ways = parse_routes(Path("/proc/net/route").read_text()).ways
    if not ways:
        pytest.skip("this machine has no route")
    where, way = next(iter(ways.items()))
    assert here(routes={where: way})["server.routes"]
    assert not here(routes={where: f"{way}0"})["server.routes"]
    assert not here(routes={"203.0.113.0/24": "!= dev eth0"})["server.routes"]
    with pytest.raises(ValidationError, match="is not a destination"):
        Server.model_validate({"connect": "local://", "routes": {"10.0.0.0": "dev eth0", "home": "x"}})
