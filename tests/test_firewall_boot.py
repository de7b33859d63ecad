"""Rules as they are at boot beside those that are loaded now: what is the same, and what nobody stands behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from readygate.areas.firewall.boot import Listings, iptables_difference, strays

RECORDED = Path(__file__).parent / "firewall"
SAVED = """\
*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
COMMIT
"""


def test_counters_and_what_services_make_anew_are_no_difference() -> None:
    now = SAVED.replace("[0:0]", "[17:1040]").replace("-A INPUT -i", "[3:180] -A INPUT -i")
    now = now.replace(":FORWARD ACCEPT", ":FORWARD DROP").replace(
        "COMMIT",
        ":DOCKER - [0:0]\n:DOCKER-USER - [0:0]\n:f2b-sshd - [0:0]\n"
        "-A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd\n-A FORWARD -j DOCKER-USER\n"
        "-A FORWARD -i docker0 ! -o docker0 -j ACCEPT\n-A DOCKER-USER -j RETURN\n"
        "-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT\n"
        "-A f2b-sshd -s 198.51.100.7/32 -j REJECT\nCOMMIT",
    )
    assert iptables_difference(SAVED, now) == ""


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        ("-A INPUT -i lo -j ACCEPT\n", "", "is loaded at boot is not there now: -A INPUT -i lo"),
        ("COMMIT", "-A INPUT -i docker0 -j ACCEPT\nCOMMIT", "nothing loads at boot what is loaded now"),
        ("COMMIT", ":DOCKER-USER - [0:0]\n-A DOCKER-USER -s 192.0.2.0/24 -j DROP\nCOMMIT", "-s 192.0.2.0/24"),
        ("INPUT DROP", "INPUT ACCEPT", "the policy of filter INPUT is ACCEPT, and at boot DROP"),
        (":FORWARD ACCEPT", ":FORWARD DROP", "the policy of filter FORWARD"),
    ],
)
def test_what_differs_is_named(was: str, becomes: str, told: str) -> None:
    assert told in iptables_difference(SAVED, SAVED.replace(was, becomes))


@pytest.mark.parametrize("recording", ["ufw.iptables-save", "docker.iptables-save", "firewalld.nft.json"])
def test_behind_what_ufw_docker_and_firewalld_load_they_stand_themselves(recording: str) -> None:
    tool = "nft" if recording.endswith("json") else "iptables-save"
    found = strays(Listings({tool: (RECORDED / recording).read_text()}))
    assert (found.sure, found.unsure) == ((), ())


def test_a_typed_rule_is_a_stray_unless_some_file_may_have_it_in_other_words() -> None:
    typed = SAVED.replace("COMMIT", "-A INPUT -s 192.0.2.1/32 -j ACCEPT\nCOMMIT")
    listed = Listings({"iptables-save": typed})
    assert len(strays(listed).sure) == 3
    known = ["-A INPUT -i lo -j ACCEPT", "-A INPUT -p tcp --dport 22 -j ACCEPT"]
    found = strays(listed, known)
    assert (found.sure, found.unsure) == ((), ("-A INPUT -s 192.0.2.1/32 -j ACCEPT, in table filter",))
    assert not strays(listed, [*known, "-I INPUT -s 192.0.2.1 -j ACCEPT"]).unsure


def test_what_packets_put_into_a_set_is_no_difference_and_what_an_operator_puts_there_is() -> None:
    listing = json.loads((RECORDED / "native.nft.json").read_text())
    where = {"family": "inet", "table": "filter"}
    sets = [
        {"set": {**where, "name": "seen", "flags": ["dynamic"], "handle": 90}},
        {"set": {**where, "name": "own", "handle": 91}},
    ]
    boot = Listings({"nft": json.dumps({"nftables": [*listing["nftables"], *sets]})})
    sets[0]["set"]["elem"] = [{"elem": {"val": "192.0.2.1", "expires": 3}}]
    assert not boot.difference_to(Listings({"nft": json.dumps({"nftables": [*listing["nftables"], *sets]})}))
    sets[1]["set"]["elem"] = ["192.0.2.1"]
    now = Listings({"nft": json.dumps({"nftables": [*listing["nftables"], *sets]})})
    assert boot.difference_to(now) == "set own in table inet filter is another at boot than now"


def test_a_rule_of_the_old_interface_is_a_difference_beside_a_table_of_that_name() -> None:
    table = {"nftables": [{"table": {"family": "ip", "name": "filter", "handle": 1}}]}
    at_boot = Listings({"nft": json.dumps(table)})
    old = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp --dport 4711 -j ACCEPT\nCOMMIT\n"
    now = Listings({**at_boot.by_tool, "iptables-legacy-save": old})
    assert "--dport 4711" in at_boot.difference_to(now)
    assert not at_boot.difference_to(Listings({**at_boot.by_tool, "iptables-legacy-save": "*filter\nCOMMIT\n"}))
