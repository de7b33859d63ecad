"""Ports that a real docker engine publishes past ufw, over IPv4 and IPv6: seen by the rules and from outside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import testinfra

from readygate.areas.firewall.admission import Admission
from readygate.areas.firewall.firewall import Outside, observe_admission, observe_outside
from readygate.areas.firewall.loaded import observe_firewall_intent, observe_loaded_rules
from readygate.areas.firewall.surroundings import observe_surroundings
from readygate.areas.servers.server import Server
from tests.lab.container_engine import IMAGE, PrivateEngine, engine_on
from tests.lab.host import Lab, Target

DECLARED = ("22/tcp", "80/tcp", "443/tcp", "9090/tcp from 203.0.113.0/24")
WITH_IPV6 = ("--ipv6", "--fixed-cidr-v6", "fd77:0:0:1::/64", "--experimental", "--ip6tables")


@pytest.fixture(scope="module")
def pair(lab: Lab) -> Iterator[tuple[Target, Target]]:
    """A host with ufw, and another to scan it from, that reach each other over IPv4 and IPv6."""
    with lab.boot("published") as host, lab.boot("outside") as other:
        for number, each in enumerate((host, other), 1):
            each.set_sysctl("net.ipv6.conf.all.disable_ipv6", "0")
            each.run(f"ip -6 address add fd77::{number}/64 dev eth0 nodad")
        yield host, other


@pytest.fixture(scope="module", params=[(), WITH_IPV6], ids=["ipv4-only", "with-ipv6"])
def engine(pair: tuple[Target, Target], request: pytest.FixtureRequest) -> Iterator[PrivateEngine]:
    with engine_on(pair[0], *request.param) as running:
        yield running


def look(host: Target, other: Target, *more: str) -> tuple[Admission, Outside]:
    """By the rules, and from outside."""
    scan = {"from": "outside", "ports": "22,80,8080", "address": [host.address, "fd77::1"], "patience": "1500ms"}
    firewall = {"allow": [*DECLARED, *more], "scan": scan}
    server = Server.model_validate({"connect": f"docker://{host.container}", "firewall": firewall})
    server._named("published")
    assert server.firewall
    assert server.firewall.scan
    there = testinfra.get_host(f"docker://{host.container}")
    known = observe_loaded_rules(there, server), observe_firewall_intent(there, server)
    by_rules = observe_admission(there, server, server.firewall, *known, observe_surroundings(there, server))

    def hosts(name: str) -> Any:
        return testinfra.get_host(f"docker://{other.container}")

    return by_rules, observe_outside(there, hosts, server, server.firewall, server.firewall.scan)


def publish(engine: PrivateEngine, at: str) -> None:
    engine.clear()
    engine.run(f"docker run --detach --name shop-api --publish {at}:80 {IMAGE} httpd -f -p 80")


# Without rules of its own for IPv6, docker lets a process lead on what comes there, and that ufw keeps out.
PUBLISHED = {
    "8080": (4, 6),
    "0.0.0.0:8080": (4,),
    "[::]:8080": (6,),
    "{address}:8080": (4,),
    "[fd77::1]:8080": (6,),
    "127.0.0.1:8080": (),
}


@pytest.mark.parametrize("at", PUBLISHED)
def test_a_published_port_is_seen_with_its_container_wherever_it_bypasses_ufw(
    pair: tuple[Target, Target], engine: PrivateEngine, request: pytest.FixtureRequest, at: str
) -> None:
    host, other = pair
    publish(engine, at.format(address=host.address))
    by_rules, outside = look(host, other)
    past = [each for each in PUBLISHED[at] if each == 4 or "with-ipv6" in request.node.callspec.id]
    if not past:
        assert (by_rules.allowed, outside.beyond) == (DECLARED, "")
        return
    assert by_rules.reason.endswith(". 8080/tcp is published by container shop-api")
    over = "" if len(past) == 2 else f" over IPv{past[0]}"
    assert by_rules.allowed == (*DECLARED, f"8080/tcp from elsewhere{over} by the loaded rules")
    addresses = {4: host.address, 6: "fd77::1"}
    assert set(outside.beyond.split("; ")) == {
        f"8080/tcp of {addresses[each]} answers outside (container shop-api)" for each in past
    }


def test_a_published_port_that_is_declared_and_that_ufw_knows_of_is_sound(
    pair: tuple[Target, Target], engine: PrivateEngine
) -> None:
    host, other = pair
    publish(engine, "8080")
    host.run("ufw allow 8080/tcp")
    try:
        by_rules, outside = look(host, other, "8080/tcp")
        assert (by_rules.reason, outside.unreached, outside.beyond) == ("", "", "")
    finally:
        host.run("ufw delete allow 8080/tcp")
