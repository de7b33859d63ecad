"""Faults of a firewall: off, open, shut, forgotten at boot, bypassed."""

from tests.lab.faults import AreaFaults, Fault
from tests.lab.host import Target

SOUND = """\
servers:
  target:
    connect: ${LAB_HOST}
    sudo: true
    firewall:
      enabled: true
      persistent: true
      default: {incoming: deny, outgoing: allow}
      allow: [22/tcp, 80/tcp, 443/tcp, {port: 9090/tcp, from: 203.0.113.0/24}]
      shadowed: 0
      scan: {from: runner, ports: "20-100,8080"}
"""

NC_AT_7777 = "systemd-run --quiet nc -lk 7777; until ss -ltn | grep -q :7777; do sleep 0.02; done"


def open_ipv6(host: Target) -> None:
    """What is left where IPv6 came after the firewall was set up."""
    host.set_sysctl("net.ipv6.conf.all.disable_ipv6", "0")
    host.run("ip6tables -P INPUT ACCEPT; ip6tables -F")


FAULTS = AreaFaults(
    "firewall",
    SOUND,
    (
        Fault(
            "firewall-switched-off",
            (
                "firewall.enabled",
                "firewall.persistent",
                "firewall.incoming",
                "firewall.allow",
                "firewall.nothing_else",
            ),
            "ufw disable",
        ),
        Fault(
            "firewall-defaults-to-allow",
            ("firewall.incoming", "firewall.allow", "firewall.nothing_else"),
            "ufw default allow incoming",
        ),
        Fault("nothing-may-leave", ("firewall.outgoing",), "ufw default deny outgoing"),
        Fault("firewall-not-started-at-boot", ("firewall.persistent",), "systemctl disable --quiet ufw"),
        Fault(
            "firewall-forgotten-at-boot",
            ("firewall.persistent",),
            "sed -i s/ENABLED=yes/ENABLED=no/ /etc/ufw/ufw.conf",
        ),
        Fault(
            "rule-typed-into-the-kernel",
            ("firewall.persistent", "firewall.allow"),
            "iptables -I INPUT -p tcp --dport 7777 -j ACCEPT",
        ),
        Fault(
            "undeclared-service-is-public",
            ("firewall.allow", "firewall.nothing_else"),
            f"{NC_AT_7777}; ufw allow 7777/tcp",
        ),
        Fault("admin-port-open-to-all", ("firewall.allow", "firewall.nothing_else"), "ufw allow 9090/tcp"),
        Fault("declared-port-shut", ("firewall.allow", "firewall.reachable"), "ufw delete allow 80/tcp"),
        Fault(
            "deny-before-its-allow",
            ("firewall.allow", "firewall.reachable", "firewall.shadowed"),
            "ufw insert 1 deny 80:81/tcp",
        ),
        Fault(
            "rule-that-never-matches",
            ("firewall.shadowed",),
            "ufw allow proto tcp from 198.51.100.0/24 to any port 80",
        ),
        Fault("ipv6-left-open", ("firewall.enabled", "firewall.incoming", "firewall.allow"), open_ipv6),
        Fault(
            "port-led-past-the-firewall",
            ("firewall.persistent", "firewall.allow", "firewall.nothing_else"),
            "iptables -t nat -A PREROUTING -p tcp --dport 8080 -j REDIRECT --to-ports 80",
        ),
    ),
)
