"""The area of firewalls: rules recorded on real hosts and walked, knocks at real ports, and hosts of the lab."""

from __future__ import annotations

import inspect
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import testinfra
from pydantic import ValidationError

from readygate.areas.firewall import knocking
from readygate.areas.firewall.admission import Admission, compare, default_of, view_of
from readygate.areas.firewall.allowances import allowances_in, parse_allowance
from readygate.areas.firewall.behind import publishes, who_answers
from readygate.areas.firewall.firewall import Firewall, observe_outside
from readygate.areas.firewall.firewalld import parse_firewalld
from readygate.areas.firewall.intent import parse_ufw
from readygate.areas.firewall.iptables import parse_iptables
from readygate.areas.firewall.knocking import CLOSED, FILTERED, OPEN, knock_at
from readygate.areas.firewall.loaded import observe_loaded_rules, parse_rules
from readygate.areas.firewall.nft import parse_nft
from readygate.areas.firewall.ranges import ranges
from readygate.areas.firewall.rules import Knock, Ruleset, Verdict, everybody
from readygate.areas.firewall.scan import Scan
from readygate.areas.firewall.surroundings import Surroundings, parse_surroundings
from readygate.areas.servers.server import Server
from readygate.errors import CouldNotLook
from tests.holding import LOCAL
from tests.lab.host import Lab, Target

RECORDED = Path(__file__).parent / "firewall"
OWN = int(ip_address("172.29.0.4"))
AROUND = Surroundings(
    {4: (OWN,), 6: (int(ip_address("2001:db8::4")),)},
    {4: {"eth0": everybody(4)}, 6: {"eth0": everybody(6)}},
)
DECLARED = ["22/tcp", "80/tcp", "443/tcp", "9090/tcp from 203.0.113.0/24"]


def recorded(name: str) -> str:
    return (RECORDED / name).read_text()


def ufw(extra: str = "", before: str = "-A ufw-user-input -p tcp -m tcp --dport 22") -> Ruleset:
    """The loaded rules of the lab's host, with one more before its own for IPv4."""
    four = recorded("ufw.iptables-save")
    assert before in four
    four = four.replace(before, f"{extra}\n{before}", 1) if extra else four
    return Ruleset(parse_iptables(four, 4) | parse_iptables(recorded("ufw.ip6tables-save"), 6))


def fate(rules: Ruleset, port: int, peer: str = "198.51.100.9", protocol: str = "tcp") -> str:
    """What becomes of one connection: a verdict, or `?`."""
    address = ip_address(peer)
    of = address.version
    found = rules.fate(Knock(of, protocol, port, AROUND.own[of], AROUND.interfaces[of]))
    if int(address) in found.undetermined:
        return "?"
    (verdict,) = [verdict for verdict in Verdict if int(address) in found.surely(verdict)]
    return verdict.value


def admitted(rules: Ruleset, declared: list[str] | None = None, **others: Ruleset) -> Admission:
    allowed = [parse_allowance(each) for each in (DECLARED if declared is None else declared)]
    views = [view_of(name, each, AROUND, allowed) for name, each in {"the loaded rules": rules, **others}.items()]
    return compare(views, allowed)


# What is declared.


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"allow": ["ssh"]}, "'ssh' is not a port; write e.g. 22/tcp"),
        ({"allow": ["70000/tcp"]}, "not a port"),
        ({"allow": ["53/ucp"]}, "write 53/tcp or 53/udp"),
        ({"allow": "22/tcp"}, r"a list; write e.g. \[22/tcp"),
        ({"allow": []}, "empty|nothing"),
        ({"allow": [{"port": "9090/tcp", "from": "office"}]}, "'office' is not a network"),
        ({"allow": [{"port": "9090/tcp"}]}, "has a port and a from"),
        ({"scan": {"from": "runner@office"}}, "'office' is not an address"),
        ({"scan": {"ports": "53/udp"}}, "only TCP ports"),
        ({"scan": {"rate": 0}}, "greater than 0"),
        ({}, "declares nothing to verify"),
    ],
)
def test_what_could_not_be_meant_is_refused(declared: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Firewall.model_validate(declared)


def test_an_allowance_is_the_same_however_it_is_written() -> None:
    written = [22, "22/tcp", {"port": "9090/tcp", "from": "203.0.113.0/24"}, "6000-6010/udp"]
    assert [str(each) for each in map(parse_allowance, written)] == [
        "22/tcp",
        "22/tcp",
        "9090/tcp from 203.0.113.0/24",
        "6000-6010/udp",
    ]


# The walk through the loaded rules.


@pytest.mark.parametrize(
    ("port", "peer", "protocol", "verdict"),
    [
        (22, "198.51.100.9", "tcp", "allow"),
        (22, "2001:db8::9", "tcp", "allow"),
        (22, "198.51.100.9", "udp", "deny"),
        (9090, "203.0.113.7", "tcp", "allow"),
        (9090, "203.0.114.7", "tcp", "deny"),
        (9090, "2001:db8::9", "tcp", "deny"),
        (68, "198.51.100.9", "udp", "deny"),
        (5353, "198.51.100.9", "udp", "deny"),
        (7777, "198.51.100.9", "tcp", "deny"),
    ],
)
def test_rules_that_ufw_loaded_are_understood(port: int, peer: str, protocol: str, verdict: str) -> None:
    assert fate(ufw(), port, peer, protocol) == verdict


@pytest.mark.parametrize(
    ("rule", "port", "peer", "verdict"),
    [
        ("-A INPUT -p tcp -m multiport --dports 7000,7070:7080 -j ACCEPT", 7075, "198.51.100.9", "allow"),
        ("-A INPUT -s 198.51.100.9/32 -j ACCEPT", 7777, "198.51.100.9", "allow"),
        ("-A INPUT ! -s 203.0.113.0/24 -p tcp -m tcp --dport 80 -j REJECT", 80, "198.51.100.9", "reject"),
        ("-A INPUT ! -s 203.0.113.0/24 -p tcp -m tcp --dport 80 -j REJECT", 80, "203.0.113.9", "allow"),
        ("-A INPUT -i eth0 -p tcp -m tcp --dport 7777 -j ACCEPT", 7777, "198.51.100.9", "allow"),
        ("-A INPUT -i wg+ -p tcp -m tcp --dport 7777 -j ACCEPT", 7777, "198.51.100.9", "deny"),
        (
            "-A INPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m tcp --dport 7777 -j ACCEPT",
            7777,
            "1.2.3.4",
            "allow",
        ),
        ("-A INPUT -m iprange --src-range 1.2.3.0-1.2.3.9 -j ACCEPT", 7777, "1.2.3.4", "allow"),
        ("-A INPUT -p tcp -m conntrack --ctstate ESTABLISHED -j ACCEPT", 7777, "1.2.3.4", "deny"),
        ("-A INPUT -p tcp -m recent --update --seconds 30 --hitcount 6 --name D -j DROP", 80, "1.2.3.4", "allow"),
    ],
)
def test_a_match_parts_the_peers(rule: str, port: int, peer: str, verdict: str) -> None:
    assert fate(ufw(rule, before="-A INPUT -j ufw-before-logging-input"), port, peer) == verdict


@pytest.mark.parametrize(
    "rule",
    [
        "-A INPUT -m set --match-set office src -j ACCEPT",
        "-A INPUT -m bpf --bytecode 1 -j ACCEPT",
        "-A INPUT -p tcp -m tcp --sport 53 -j ACCEPT",
        "-A INPUT -m mark --mark 0x1 -j ACCEPT",
        "-A INPUT -j NFQUEUE --queue-num 0",
        "-A INPUT -p tcp --dport https -j ACCEPT",
    ],
)
def test_what_is_not_understood_is_undetermined_and_never_shut(rule: str) -> None:
    rules = ufw(rule, before="-A INPUT -j ufw-before-logging-input")
    assert fate(rules, 7777) == "?"
    assert rule in admitted(rules).doubt


def test_what_is_not_understood_does_no_harm_where_both_ways_end_alike() -> None:
    rules = ufw("-A INPUT -m set --match-set office src -j ACCEPT", before="-A INPUT -j ufw-before-logging-input")
    assert fate(rules, 22) == "allow"


@pytest.mark.parametrize(
    ("port", "peer", "verdict"),
    [
        (22, "198.51.100.9", "allow"),
        (6005, "2001:db8::9", "allow"),
        (22, "192.0.2.9", "deny"),
        (8080, "198.51.100.9", "allow"),
        (8081, "198.51.100.9", "deny"),
        (7000, "2001:db8::9", "allow"),
        (7777, "198.51.100.9", "allow"),
        (2222, "198.51.100.9", "allow"),
        (8089, "198.51.100.9", "allow"),
        (3306, "198.51.100.9", "?"),
    ],
)
def test_native_rules_of_nft_are_understood(port: int, peer: str, verdict: str) -> None:
    assert fate(Ruleset(parse_nft(recorded("native.nft.json"))), port, peer) == verdict


def test_rules_and_intent_of_firewalld_agree() -> None:
    loaded = Ruleset(parse_nft(recorded("firewalld.nft.json")))
    told = parse_firewalld("public\n", recorded("firewalld.zones.txt"), recorded("firewalld.services.txt"))
    assert told.rules
    declared = ["22/tcp", "443/tcp", "8080-8081/tcp", "9090/tcp from 203.0.113.0/24", "1-65535/tcp from 10.9.0.0/16"]
    admission = admitted(loaded, [*declared, "1-65535/udp from 10.9.0.0/16"], firewalld=told.rules)
    assert admission.reason == ""
    assert admission.doubt == ""
    assert admitted(loaded, declared, firewalld=told.rules).reason == (
        "let in, though nobody declared it: 1-65535/udp from 10.9.0.0/16"
    )


@pytest.mark.parametrize(
    ("rich", "port", "verdict"),
    [
        (
            'rule port port="22" protocol="tcp" log prefix="to drop " limit value="3/m" accept',
            22,
            "allow",
        ),
        ('rule family="ipv4" port port="22" protocol="tcp" log prefix="will accept" drop', 22, "deny"),
        ('rule port port="22" protocol="tcp" accept limit value="10/m"', 22, "allow"),
        ('rule port port="22" protocol="tcp" drop limit value="10/m"', 22, "deny"),
        ('rule protocol value="gre" accept', 22, "?"),
        ('rule source NOT address="10.0.0.0/8" port port="22" protocol="tcp" accept', 22, "allow"),
        ('rule source NOT address="198.51.100.0/24" port port="22" protocol="tcp" accept', 22, "deny"),
        ('rule family="ipv4" destination address="192.0.2.9" port port="22" protocol="tcp" accept', 22, "deny"),
        ('rule family="ipv4" destination address="172.29.0.4" port port="22" protocol="tcp" accept', 22, "allow"),
        ('rule family="ipv4" destination NOT address="172.29.0.4" accept', 22, "deny"),
        ('rule source mac="00:11:22:33:44:55" accept', 22, "?"),
        ('rule source ipset="office" accept', 22, "allow"),
        ('rule source NOT ipset="office" accept', 22, "deny"),
        ('rule source ipset="banned" accept', 22, "?"),
        ('rule source ipset="six" accept', 22, "deny"),
        ('rule source ipset="gone" accept', 22, "?"),
        ('rule family="ipv4" forward-port port="22" protocol="tcp" to-port="2222"', 22, "allow"),
        ('rule priority="-1" service name="web" accept', 8443, "allow"),
        ('rule service name="gone" accept', 22, "?"),
        # Of two rules the one with the lower priority is asked first, those without one in the midst of them.
        ('rule priority="-2" accept\n\trule priority="-1" drop', 22, "allow"),
        ('rule priority="2" accept\n\trule priority="1" drop', 22, "deny"),
        ('rule priority="1" drop\n\trule port port="22" protocol="tcp" accept', 22, "allow"),
        ('rule priority="-1" accept\n\trule port port="22" protocol="tcp" drop', 22, "allow"),
        ('rule priority="1" drop', 80, "allow"),
        ('rule priority="-1" drop', 80, "deny"),
        ('rule priority="1" accept\n\trule priority="1" drop', 22, "?"),
    ],
)
def test_a_rich_rule_of_firewalld_means_what_it_says(rich: str, port: int, verdict: str) -> None:
    zone = "public (active)\n  target: DROP\n  interfaces: eth0\n  services: \n  ports: 80/tcp\n"
    services = "web\n  ports: \n  includes: secure\nsecure\n  ports: 8443/tcp\n"
    sets = "office\n  type: hash:net\n  options: \n  entries: 198.51.100.0/24 192.0.2.7\n"
    sets += "banned\n  type: hash:ip\n  options: timeout=60\n  entries: \n"
    sets += "six\n  type: hash:net\n  options: family=inet6\n  entries: 2001:db8::/32\n"
    told = parse_firewalld("public\n", f"{zone}  rich rules: \n\t{rich}\n", services, sets)
    assert told.rules
    assert fate(told.rules, port) == verdict


def test_what_a_zone_of_firewalld_leads_on_and_its_sets_of_sources_are_understood() -> None:
    zones = (
        "public (active)\n  target: default\n  interfaces: eth0\n  forward-ports: \n\tport=8080:proto=tcp:toport=80\n"
    )
    zones += "trusted (active)\n  target: ACCEPT\n  sources: ipset:office\nwork\n  protocols: udp\n"
    sets = "office\n  type: hash:ip\n  options: \n  entries: 198.51.100.7\n"
    told = parse_firewalld("public\n", zones, "", sets).rules
    assert told
    assert fate(told, 8080) == "allow"
    assert fate(told, 8081) == "reject"
    assert fate(told, 8081, "198.51.100.7") == "allow"
    at_work = parse_firewalld("work\n", zones, "", sets).rules
    assert at_work
    assert fate(at_work, 5000, protocol="udp") == "reject"  # the interface is in public
    at_work = parse_firewalld("work\n", zones.replace("eth0", "eth9"), "", sets).rules
    assert at_work
    assert fate(at_work, 5000, protocol="udp") == "allow"


def test_what_nft_shows_of_tables_of_iptables_is_read_from_iptables() -> None:
    listings = {"iptables-save": recorded("ufw.iptables-save"), "nft": '{"nftables": [{"chain": {"family": "ip", '}
    listings["nft"] += '"table": "filter", "name": "INPUT", "hook": "input", "prio": 0, "policy": "drop"}}]}'
    assert not [name for name in parse_rules(listings) if name.startswith("nft")]


def test_a_port_that_docker_publishes_is_seen_to_bypass_the_rules_of_the_host() -> None:
    docker = Ruleset(parse_iptables(recorded("docker.iptables-save"), 4))
    closed = Ruleset({
        name: chain if chain.hook != "input" else type(chain)(name, chain.families, (), "input", 0, Verdict.DENY)
        for name, chain in docker.chains.items()
    })  # fmt: skip
    behind = {
        "eth0": everybody(4) - ranges((172 << 24, (173 << 24) - 1)),
        "docker0": ranges((172 << 24, (173 << 24) - 1)),
    }
    found = closed.fate(Knock(4, "tcp", 8081, (OWN,), behind))
    assert int(ip_address("198.51.100.9")) in found.surely(Verdict.ALLOW)


@pytest.mark.parametrize(("at", "verdict"), [(OWN, "allow"), (OWN + 1, "allow"), (OWN + 2, "deny")])
def test_what_one_of_the_own_addresses_lets_in_is_let_in(at: int, verdict: str) -> None:
    rules = ufw(
        f"-A INPUT -d {ip_address(at)}/32 -p tcp --dport 7777 -j ACCEPT", "-A INPUT -j ufw-before-logging-input"
    )
    found = rules.fate(Knock(4, "tcp", 7777, (OWN, OWN + 1), AROUND.interfaces[4]))
    assert not found.undetermined
    assert int(ip_address("198.51.100.9")) in found.surely(Verdict(verdict))


# Intent, rules and declaration agree.


def test_a_sound_firewall_lets_in_what_is_declared() -> None:
    told = parse_ufw(recorded("ufw.status.txt")).rules
    assert told
    assert admitted(ufw(), ufw=told) == Admission(tuple(DECLARED), "")


def test_a_rule_that_only_the_kernel_has_is_named_with_who_says_so() -> None:
    told = parse_ufw(recorded("ufw.status.txt")).rules
    assert told
    admission = admitted(ufw("-A ufw-user-input -p tcp -m tcp --dport 7777 -j ACCEPT"), ufw=told)
    assert admission.allowed == (*DECLARED, "7777/tcp over IPv4 by the loaded rules")


def test_a_rule_that_was_told_but_not_loaded_is_kept_out() -> None:
    status = recorded("ufw.status.txt") + "8443/tcp                   ALLOW IN    Anywhere\n"
    told = parse_ufw(status).rules
    assert told
    assert "8443/tcp over IPv4 by ufw" in admitted(ufw(), ufw=told).reason


def test_an_earlier_deny_keeps_out_what_a_later_rule_allows() -> None:
    rules = ufw("-A ufw-user-input -p tcp -m tcp --dport 80 -j DROP")
    admission = admitted(rules)
    assert "80/tcp" not in admission.allowed
    assert admission.reason == "kept out: 80/tcp over IPv4 by the loaded rules"
    assert [rule.text for rule in rules.shadowed()] == ["-A ufw-user-input -p tcp -m tcp --dport 80 -j ACCEPT"]


def test_an_address_that_was_banned_is_no_contradiction_but_a_network_is() -> None:
    one, many = (f"-A ufw-user-input -s 192.0.2.{bits} -j DROP" for bits in ("7/32", "0/24"))
    assert admitted(ufw(one)).reason == ""
    assert "22/tcp from 192.0.2.0/24" in admitted(ufw(many)).reason


def test_a_restricted_port_that_is_open_to_all_is_told() -> None:
    rules = ufw("-A ufw-user-input -p tcp -m tcp --dport 9090 -j ACCEPT")
    assert "9090/tcp from elsewhere over IPv4 by the loaded rules" in admitted(rules).allowed


def test_a_limited_rule_hides_none_behind_it() -> None:
    limited = "-A ufw-user-input -p tcp -m tcp --dport 80 -m limit --limit 3/min -j ACCEPT"
    assert not ufw(limited).shadowed()
    assert not ufw().shadowed()


def test_the_default_is_what_becomes_of_most() -> None:
    six_open = recorded("ufw.ip6tables-save").replace(":INPUT DROP", ":INPUT ACCEPT")
    rules = Ruleset(parse_iptables(recorded("ufw.iptables-save"), 4) | parse_iptables(six_open, 6))
    assert default_of(rules, AROUND, 4, outgoing=False) is Verdict.DENY
    assert default_of(rules, AROUND, 6, outgoing=False) is Verdict.ALLOW
    assert default_of(rules, AROUND, 4, outgoing=True) is Verdict.ALLOW


@pytest.mark.parametrize(
    ("line", "port", "peer", "verdict"),
    [
        ("80,443/tcp (Nginx Full)    ALLOW IN    Anywhere", 443, "1.2.3.4", "allow"),
        ("6000:6100/tcp              LIMIT IN    Anywhere", 6050, "1.2.3.4", "allow"),
        ("53                         ALLOW IN    10.0.0.0/8                 # resolver", 53, "10.1.1.1", "allow"),
        ("53                         ALLOW IN    10.0.0.0/8", 53, "11.1.1.1", "deny"),
        ("Anywhere                   ALLOW IN    203.0.113.5", 5000, "203.0.113.5", "allow"),
        ("172.29.0.4 8080/tcp        ALLOW IN    Anywhere", 8080, "1.2.3.4", "allow"),
        ("8080/tcp on wg0            ALLOW IN    Anywhere", 8080, "1.2.3.4", "deny"),
        ("8080/tcp (v6)              ALLOW IN    Anywhere (v6)", 8080, "1.2.3.4", "deny"),
        ("8080/tcp (v6)              ALLOW IN    Anywhere (v6)", 8080, "2001:db8::9", "allow"),
        ("8080/tcp                   ALLOW IN    2001:db8::/64", 8080, "2001:db8::9", "allow"),
        ("8080/tcp                   ALLOW OUT   Anywhere", 8080, "1.2.3.4", "deny"),
    ],
)
def test_a_line_of_ufw_means_what_it_says(line: str, port: int, peer: str, verdict: str) -> None:
    head = "Status: active\nDefault: deny (incoming), allow (outgoing)\n\nTo   Action  From\n--   ------  ----\n"
    told = parse_ufw(head + line + "\n").rules
    assert told
    assert fate(told, port, peer) == verdict


def test_surroundings_are_read_from_proc() -> None:
    route = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n"
    route += "eth0\t00000000\t01001DAC\t0003\t0\t0\t0\t00000000\nwg0\t0000090A\t00000000\t0001\t0\t0\t0\t0000FFFF\n"
    trie = "  |-- 127.0.0.1\n     /32 host LOCAL\n  |-- 172.29.0.4\n     /32 host LOCAL\n"
    around = parse_surroundings(route, "", trie, "", "1\n")
    assert around.families == (4,)
    assert around.own[4] == (OWN,)
    assert int(ip_address("10.9.1.1")) in around.interfaces[4]["wg0"]
    assert int(ip_address("10.8.1.1")) in around.interfaces[4]["eth0"]
    assert parse_surroundings(route, "", trie, "", "0\n").families == (4, 6)


# Knocking.


@pytest.fixture
def service() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_open_and_closed_ports_are_told_apart(service: int) -> None:
    shut = free_port()
    assert knock_at("127.0.0.1", [service, shut], 1000, 2) == {service: OPEN, shut: CLOSED}


def test_a_thousand_ports_are_asked_and_each_has_an_answer(service: int) -> None:
    ports = [*range(1, 1001), service]
    states = knock_at("127.0.0.1", ports, 1e6, 2)
    assert set(states) == set(ports)
    assert states[service] == OPEN


def test_the_same_source_knocks_from_another_host(service: int) -> None:
    command = [sys.executable, "-c", inspect.getsource(knocking), "127.0.0.1", f"{service}", "1000", "2", "127.0.0.9"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert told.splitlines()[:2] == ["from 127.0.0.9", f"open {service}"]


def here(service: int | None, **scan: Any) -> Server:
    """This machine as a server, of which the service is declared, if there is one."""
    firewall = {"scan": {"ports": "1-20", "address": "127.0.0.1", **scan}}
    if service:
        firewall["allow"] = [service]
    server = Server.model_validate({"connect": "local://", "firewall": firewall})
    server._named("here")
    return server


def outside(server: Server, hosts: Any = None) -> Any:
    assert server.firewall
    assert server.firewall.scan
    return observe_outside(LOCAL, hosts, server, server.firewall, server.firewall.scan)


def test_an_undeclared_port_is_found_with_its_process(service: int) -> None:
    found = outside(here(None, ports=f"{service}"))
    assert found.reachable
    assert not found.nothing_else
    assert str(service) in found.beyond
    assert who_answers(LOCAL, here(service), service).startswith("process ")


def test_a_place_to_scan_from_that_no_inventory_names_is_refused(service: int) -> None:
    def hosts(name: str) -> Any:
        raise CouldNotLook(f"no server is called '{name}'")

    with pytest.raises(CouldNotLook, match="no server is called 'bastion'"):
        outside(here(service, **{"from": "bastion"}), hosts)


def test_a_container_is_known_by_the_port_that_it_publishes() -> None:
    ports = "0.0.0.0:8081->80/tcp, :::9000-9002->9000-9002/tcp, 443/tcp, 0.0.0.0:53->53/udp, 127.0.0.1:5432->5432/tcp"
    assert [port for port in (80, 8081, 9001, 443, 53, 5432) if publishes(ports, port, port)] == [8081, 9001]
    assert publishes(ports, 53, 53, "udp")
    assert publishes("[::]:8080->80/tcp", 8000, 8100)
    assert not publishes("[::1]:8080->80/tcp", 8000, 8100)


def test_common_ports_are_over_a_thousand_and_declared_ones_come_first() -> None:
    numbers = Scan().numbers([54321, 22])
    assert numbers[:2] == (54321, 22)
    assert len(numbers) == len(set(numbers)) > 1000


# In the lab: from inside and outside of an admin network, with and without Python.

ADMIN = ["22/tcp", "80/tcp", "443/tcp", {"port": "9090/tcp", "from": "203.0.113.0/24"}]


def look(target: Target, lab_hosts: dict[str, Any], **scan: Any) -> Any:
    server = Server.model_validate({
        "connect": target.hostspec, "sudo": True,
        "firewall": {
            "default": {"incoming": "deny"}, "allow": ADMIN,
            "scan": {"ports": "20-30,80,443", "patience": "1500ms", **scan},
        },
    })  # fmt: skip
    server._named("target")
    assert server.firewall
    assert server.firewall.scan
    host = testinfra.get_host(target.hostspec, sudo=True)
    return observe_outside(host, lab_hosts.__getitem__, server, server.firewall, server.firewall.scan)


def test_an_admin_port_is_proven_from_inside_and_outside_of_its_network(lab: Lab, fresh_host: Target) -> None:
    with lab.boot("bastion") as bastion:
        bastion.run("ip addr add 203.0.113.7/24 dev eth0")
        fresh_host.run("ip addr add 203.0.113.1/24 dev eth0")
        fresh_host.run("systemd-run --quiet nc -lk 9090; until ss -ltn | grep -q :9090; do sleep 0.02; done")
        hosts = {"bastion": testinfra.get_host(bastion.hostspec, sudo=True)}
        places = partial(look, fresh_host, hosts, **{"from": ["runner", "bastion", "bastion@203.0.113.7"]})

        sound = places()
        assert (sound.unreached, sound.beyond) == ("", "")

        fresh_host.run("ufw delete allow from 203.0.113.0/24 to any port 9090 proto tcp")
        assert places().unreached == f"9090/tcp of {fresh_host.address} does not answer bastion@203.0.113.7"

        fresh_host.run("ufw allow 9090/tcp")
        assert f"9090/tcp of {fresh_host.address} answers bastion (process nc)" in places().beyond

        fresh_host.run(
            "ufw reject 25/tcp; iptables -I INPUT -p tcp --dport 26 -j REJECT --reject-with icmp-host-prohibited"
        )
        states = knock_at(fresh_host.address, [22, 26, 27], 100, 1.5)
        assert states == {22: OPEN, 26: FILTERED, 27: FILTERED}

        bastion.run("mv /usr/bin/python3 /usr/bin/no-python3")
        by_bash = look(fresh_host, hosts, **{"from": "bastion"})
        assert f"9090/tcp of {fresh_host.address} answers bastion (process nc)" in by_bash.beyond


def test_ipv6_is_scanned_as_ipv4_is(lab: Lab, fresh_host: Target) -> None:
    """A service that only listens there, behind rules that somebody only wrote for IPv4."""
    with lab.boot("bastion") as bastion:
        for number, host in enumerate((fresh_host, bastion), 1):
            host.set_sysctl("net.ipv6.conf.all.disable_ipv6", "0")
            host.run(f"ip -6 address add fd77::{number}/64 dev eth0 nodad")
        fresh_host.run("systemd-run --quiet nc -6 -lk 7777; until ss -ltn | grep -q :7777; do sleep 0.02; done")
        hosts = {"bastion": testinfra.get_host(bastion.hostspec, sudo=True)}
        places = partial(look, fresh_host, hosts, **{"from": "bastion", "address": "fd77::1", "ports": "22,80,7777"})

        shut = places()
        assert (shut.unreached, shut.beyond) == ("", "")

        fresh_host.run("ip6tables -I INPUT -p tcp --dport 7777 -j ACCEPT")
        assert places().beyond == "7777/tcp of fd77::1 answers bastion (process nc)"

        fresh_host.run("ip6tables -I INPUT -p tcp --dport 22 -j DROP")
        assert places().unreached == "22/tcp of fd77::1 does not answer bastion"


def test_rules_of_the_old_interface_are_heeded_and_never_passed_over(fresh_host: Target) -> None:
    host = testinfra.get_host(fresh_host.hostspec, sudo=True)
    server = Server.model_validate({"connect": fresh_host.hostspec, "firewall": {"enabled": True}})
    server._named("target")
    fresh_host.run("iptables-legacy -A INPUT -p tcp --dport 4711 -j DROP")
    try:
        loaded = observe_loaded_rules(host, server)
        assert "--dport 4711" in loaded.listings["iptables-legacy-save"]
        fresh_host.run("mv /usr/sbin/iptables-legacy-save /usr/sbin/no-legacy-save")
        with pytest.raises(CouldNotLook, match="without iptables-legacy-save nobody can list them"):
            observe_loaded_rules(host, server)
    finally:
        fresh_host.run("iptables-legacy -F")


def test_native_rules_where_nobody_can_list_them_are_never_passed_over(fresh_host: Target) -> None:
    host = testinfra.get_host(fresh_host.hostspec, sudo=True)
    server = Server.model_validate({"connect": fresh_host.hostspec, "firewall": {"enabled": True}})
    server._named("target")
    fresh_host.run("cp /usr/sbin/nft /usr/sbin/another-nft && mv /usr/sbin/nft /usr/sbin/no-nft")
    observe_loaded_rules(host, server)
    fresh_host.run("another-nft add table inet mine")
    observe_loaded_rules(host, server)  # it holds nothing
    fresh_host.run("another-nft add chain inet mine in '{ type filter hook input priority 0; }'")
    with pytest.raises(CouldNotLook, match="the table inet mine of nftables is loaded"):
        observe_loaded_rules(host, server)
    fresh_host.run("another-nft delete table inet mine; mv /usr/bin/python3 /usr/bin/no-python3")
    with pytest.raises(CouldNotLook, match="may be loaded, and without nft"):
        observe_loaded_rules(host, server)


def test_a_host_that_answers_nothing_is_not_taken_for_a_well_shut_one(lab: Lab) -> None:
    with lab.black_holed_host() as silent, pytest.raises(CouldNotLook, match="not even to refuse"):
        look(silent, {}, ports="22")


def test_allowances_are_those_of_the_declaration() -> None:
    firewall = Firewall.model_validate({"allow": ADMIN})
    assert [str(each) for each in allowances_in(firewall.allow)] == DECLARED
