"""Zones and rich rules on a real firewalld: what it was told, what it has loaded and what is seen from here agree."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import testinfra

from readygate.areas.firewall.admission import view_of
from readygate.areas.firewall.allowances import parse_allowance
from readygate.areas.firewall.knocking import FILTERED, knock_at
from readygate.areas.firewall.loaded import observe_firewall_intent, observe_loaded_rules
from readygate.areas.firewall.surroundings import observe_surroundings
from readygate.areas.servers.server import Server
from tests.lab.catalogue.walled import booted_with
from tests.lab.host import Lab, Target

FIREWALLD = """
firewall-offline-cmd --quiet --new-ipset=office --type=hash:net
firewall-offline-cmd --quiet --ipset=office --add-entry=198.51.100.0/24
systemctl enable --quiet --now firewalld
"""
PORT = 7001
AT_PORT = f"port port={PORT} protocol=tcp"
OPEN = f"--add-port={PORT}/tcp"
FROM_HERE = "family=ipv4 source address={here}"


@pytest.fixture(scope="module")
def walled(lab: Lab) -> Iterator[Target]:
    with booted_with(FIREWALLD)(lab) as host:
        yield host


# What is told beyond letting in ssh, and whom it lets in to the port: everybody, {here} or nobody.
TOLD = {
    "nothing": ((), ""),
    "a port": ((OPEN,), "all"),
    "a protocol": (("--add-protocol=tcp",), "all"),
    "a forward port": ((f"--add-forward-port=port={PORT}:proto=tcp:toport=22",), "all"),
    "a log alone": ((f"rule {AT_PORT} log prefix=accept limit value=3/m",), ""),
    "a log and a limit": ((f"rule {AT_PORT} log prefix=drop_ limit value=3/m accept limit value=5/s",), "all"),
    "a drop with a limit": ((f"rule {AT_PORT} drop limit value=1/m",), ""),
    "a drop before an accept": ((f"rule priority=-10 {AT_PORT} drop", f"rule priority=-5 {AT_PORT} accept"), ""),
    "an accept for one before": ((f"rule priority=-9 {FROM_HERE} accept", f"rule {AT_PORT} drop"), "here"),
    "a drop that comes too late": ((OPEN, f"rule priority=9 {AT_PORT} drop"), "all"),
    "a drop without a priority": ((OPEN, f"rule {AT_PORT} drop"), ""),
    "a rule that leads on": ((f"rule family=ipv4 forward-{AT_PORT} to-port=22",), "all"),
    "to another address": ((f"rule family=ipv4 destination address=203.0.113.7 {AT_PORT} accept",), ""),
    "an ipset": (("rule source ipset=office accept",), "198.51.100.0/24"),
    "a zone by its source": (("--zone=work --add-source={here}", f"--zone=work {OPEN}"), "here"),
    "a zone by an ipset": (("--zone=trusted --add-source=ipset:office",), "198.51.100.0/24"),
    "a narrower zone that comes second": (
        ("--zone=block --add-source={here}/16", "--zone=work --add-source={here}", f"--zone=work {OPEN}"),
        "",
    ),
    "a zone whose service includes another": (("--zone=internal --add-source=203.0.113.0/24",), ""),
}  # fmt: skip


@pytest.mark.parametrize("what", TOLD)
def test_what_firewalld_was_told_loaded_and_does_is_the_same(walled: Target, what: str) -> None:
    told, allowed = TOLD[what]
    here = walled.run("ip route | awk '/default/ {print $3}'").stdout.strip()
    walled.run("firewall-cmd --quiet --reload")
    for each in told:
        words = each.format(here=here)
        walled.run(
            f"firewall-cmd --quiet --add-rich-rule='{words}'"
            if words.startswith("rule")
            else f"firewall-cmd --quiet {words}"
        )
    server = Server.model_validate({"connect": walled.hostspec, "firewall": {"enabled": True}})
    server._named("walled")
    host = testinfra.get_host(f"docker://{walled.container}")
    around = observe_surroundings(host, server)
    intent = observe_firewall_intent(host, server)
    assert intent.rules
    rules = observe_loaded_rules(host, server).rules
    loaded = view_of("loaded", rules, around, ())
    by_intent = view_of("told", intent.rules, around, ())
    assert (by_intent.doubts, loaded.doubts) == ((), ())
    assert by_intent.gaps == loaded.gaps

    networks = {"all": "0.0.0.0/0", "here": here}
    declared = [parse_allowance(f"{PORT}/tcp from {networks.get(allowed, allowed)}")] if allowed else []
    beyond = view_of("loaded", rules, around, declared).gaps
    assert not [gap for gap in beyond if gap.first <= PORT <= gap.last and gap.protocol == "tcp"]
    state = knock_at(walled.address, [PORT], 100, 1.2)[PORT]
    assert (state != FILTERED) is (allowed in ("all", "here"))
