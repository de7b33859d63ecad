"""Rules that lead a walk astray: what isn't understood leaves it open what becomes of a port, and never shuts it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from readygate.areas.firewall.firewall import _shuts
from readygate.areas.firewall.iptables import parse_iptables
from readygate.areas.firewall.nft import parse_nft
from readygate.areas.firewall.rules import Ruleset
from tests.test_area_firewall import fate

# By nft 1.0.6: rules that were loaded, how it lists them, and what becomes of a connection to port 4444.
ODD = [json.loads(line) for line in Path(__file__).with_name("firewall").joinpath("odd.nft.jsonl").open()]


@pytest.mark.parametrize("odd", [pytest.param(each, id=each["rules"]) for each in ODD])
def test_odd_rules_of_nft(odd: dict[str, Any]) -> None:
    assert fate(Ruleset(parse_nft(json.dumps(odd))), 4444) == odd["fate"]


def table_of(family: str, name: str, hook: str, **more: Any) -> list[dict[str, Any]]:
    where = {"family": family, "table": name}
    return [
        {"table": {"family": family, "name": name, "flags": more.pop("flags", [])}},
        {"chain": {**where, "name": "c", "type": "filter", "hook": hook, "prio": 0, "policy": "drop", **more}},
    ]


@pytest.mark.parametrize(
    ("tables", "verdict"),
    [
        (table_of("inet", "f", "input", flags=["dormant"]), "allow"),
        (table_of("inet", "f", "input", flags="dormant"), "allow"),
        (table_of("inet", "f", "input", flags=["owner"]), "deny"),
        (table_of("inet", "f", "input", flags="f"), "?"),
        (table_of("netdev", "n", "ingress", dev="lo"), "allow"),
        (table_of("netdev", "n", "ingress", dev=["lo", "eth0"]), "deny"),
        (table_of("netdev", "n", "ingress", dev="eth1"), "allow"),
    ],
)
def test_what_newer_versions_say_of_flags_and_devices_is_heeded(tables: list[dict[str, Any]], verdict: str) -> None:
    assert fate(Ruleset(parse_nft(json.dumps({"nftables": tables}))), 4444) == verdict


def test_a_table_that_may_be_dormant_is_no_firewall() -> None:
    sound = table_of("inet", "f", "input")
    assert _shuts(Ruleset(parse_nft(json.dumps({"nftables": sound}))), 4)
    for flags in ("f", "dormant"):
        odd = table_of("inet", "f", "input", flags=flags)
        assert not _shuts(Ruleset(parse_nft(json.dumps({"nftables": odd}))), 4)


FILTER = "*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n{}COMMIT\n"


def walked(before: str = "", rules: str = "") -> str:
    return fate(Ruleset(parse_iptables(before + FILTER.format(rules), 4)), 4444)


@pytest.mark.parametrize(
    ("target", "verdict"),
    [
        ("REDIRECT --to-ports 22", "allow"),
        ("REDIRECT --to-ports 23", "deny"),
        ("REDIRECT --to-ports 22-25", "?"),
        ("DNAT --to-destination 172.17.0.2:80", "allow"),
        ("DNAT --to-destination :22", "?"),
        ("DNAT --to-destination 10.0.0.1-10.0.0.9", "?"),
        ("DNAT --to-destination 10.0.0.1:80-90", "?"),
        ("NETMAP --to 10.0.0.0/24", "?"),
        ("SOMETHING --new", "?"),
    ],
)
def test_where_a_packet_is_led_that_one_can_not_follow_is_open(target: str, verdict: str) -> None:
    nat = f"*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --dport 4444 -j {target}\nCOMMIT\n"
    assert walked(nat) == verdict


@pytest.mark.parametrize("how", ["NOTRACK", "CT --notrack"])
@pytest.mark.parametrize(
    ("port", "states", "verdict"),
    [
        (4444, "RELATED,ESTABLISHED,UNTRACKED", "?"),
        (4444, "NEW", "?"),
        (4444, "NEW,UNTRACKED", "allow"),
        (4444, "ESTABLISHED", "deny"),
        (53, "UNTRACKED", "deny"),
    ],
)
def test_a_connection_that_is_not_tracked_may_be_in_no_state(how: str, port: int, states: str, verdict: str) -> None:
    raw = f"*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --dport {port} -j {how}\nCOMMIT\n"
    assert walked(raw, f"-A INPUT -m conntrack --ctstate {states} -j ACCEPT\n") == verdict


@pytest.mark.parametrize(
    "match",
    [
        "-m set --match-set ok src", "-m mark --mark 0x1", "-m string --string x --algo bm", "-m quota --quota 1000",
        "-m time --timestart 08:00", "-m mac --mac-source 00:11:22:33:44:55", "-m conntrack --ctorigdst 192.0.2.1",
        "-m statistic --mode random --probability 0.5", "-p tcp -m multiport --ports 4444", "-m owner --uid-owner 0",
        "-s 198.51.100.9/255.0.255.255", "! -f", "-m rpfilter --invert", "-m bpf --bytecode x",
        "-m policy --dir in --pol ipsec",
    ],
)  # fmt: skip
@pytest.mark.parametrize("target", ["ACCEPT", "DROP\n-A INPUT -j ACCEPT"])
def test_a_match_that_is_not_understood_shuts_nothing(match: str, target: str) -> None:
    assert walked(rules=f"-A INPUT {match} -j {target}\n") == "?"
