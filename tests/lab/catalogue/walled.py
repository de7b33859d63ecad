"""Faults of firewalls other than ufw: what was only said to the kernel, or to firewalld for now, is gone at boot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.lab.docker import LabError
from tests.lab.faults import AreaFaults, Fault
from tests.lab.host import Lab, Target
from tests.lab.image import walled_image

SOUND = """\
servers:
  target:
    connect: ${LAB_HOST}
    sudo: true
    firewall: {persistent: true}
"""

FIREWALLD = """
firewall-offline-cmd --quiet --add-service=http
firewall-offline-cmd --quiet --add-rich-rule='rule family=ipv4 source address=192.0.2.0/24 accept'
firewall-offline-cmd --quiet --new-ipset=banned --type=hash:net
firewall-offline-cmd --quiet --ipset=banned --add-entry=198.51.100.0/24
firewall-offline-cmd --quiet --direct --add-rule ipv4 filter INPUT 0 -p tcp --dport 8443 -j ACCEPT
systemctl enable --quiet --now firewalld
firewall-cmd --quiet --add-interface=eth0  # as NetworkManager does it; to the default zone, where it would be anyhow
"""

NFTABLES = """
cat > /etc/nftables.conf <<'RULES'
flush ruleset
table inet filter {
    set admins { type ipv4_addr; flags interval; elements = { 203.0.113.0/24 } }
    set seen { type ipv4_addr; flags dynamic, timeout; timeout 1h; }
    map ways { type inet_service : verdict; elements = { 22 : accept, 80 : accept } }
    chain input {
        type filter hook input priority 0; policy drop;
        ct state established,related counter accept
        iif lo accept
        iif eth0 tcp dport 443 accept
        tcp dport vmap @ways
        tcp dport 9090 ip saddr @admins add @seen { ip saddr } accept
    }
    chain forward { type filter hook forward priority 0; policy drop; }
    chain output { type filter hook output priority 0; policy accept; }
}
RULES
systemctl enable --quiet --now nftables
nft add element inet filter seen '{ 203.0.113.9 }'
"""

IPTABLES = """
for iptables in iptables ip6tables; do
    $iptables -A INPUT -i lo -j ACCEPT
    $iptables -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    $iptables -A INPUT -p tcp --dport 22 -j ACCEPT
    $iptables -P INPUT DROP
done
netfilter-persistent save 2>/dev/null
systemctl enable --quiet --now netfilter-persistent
# As fail2ban and docker do it, each time that they start.
iptables -N f2b-sshd
iptables -A f2b-sshd -s 198.51.100.7 -j REJECT
iptables -I INPUT -p tcp -m multiport --dports 22 -j f2b-sshd
iptables -t nat -N DOCKER
iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
"""


# The profile keeps the address that docker gave, and says what zone the interface is in.
MANAGED = """
systemctl enable --quiet --now firewalld
cat > /etc/NetworkManager/system-connections/lan.nmconnection <<PROFILE
[connection]
id=lan
type=ethernet
interface-name=eth0
zone=internal
[ipv4]
method=manual
address1=$(ip -o -4 address show eth0 | awk '{print $4}'),$(ip route | awk '/default/ {print $3}')
[ipv6]
method=ignore
PROFILE
chmod 600 /etc/NetworkManager/system-connections/lan.nmconnection
systemctl enable --quiet --now NetworkManager
nmcli --wait 20 connection up lan >/dev/null
"""

FOR_NOW, FOR_GOOD = "firewall-cmd --quiet", "firewall-cmd --quiet --permanent"
AT_7777 = "-p tcp --dport 7777 -j ACCEPT"
OWN_TABLE = "nft add table inet mine; nft add chain inet mine out '{ type filter hook output priority 0; }'"


def booted_with(script: str) -> Callable[[Lab], Target]:
    """A host with all these firewalls, of which a script has set one up; it may ask what would be there at boot."""

    def boot(lab: Lab) -> Target:
        walled = replace(lab, image=walled_image(), capabilities=("NET_ADMIN", "SYS_ADMIN"))
        host = walled.boot("walled")
        try:
            host.run(f"set -eu\n{script}")
        except LabError:
            host.stop()
            raise
        return host

    return boot


def gone_at_boot(tool: str, **plants: str) -> tuple[Fault, ...]:
    return tuple(
        Fault(f"{tool}-{name.replace('_', '-')}", ("firewall.persistent",), plant) for name, plant in plants.items()
    )


FIREWALLD_FAULTS = AreaFaults(
    "firewalld",
    SOUND,
    gone_at_boot(
        "firewalld",
        port_for_now=f"{FOR_NOW} --add-port=7777/tcp",
        port_not_reloaded=f"{FOR_GOOD} --add-port=7777/tcp",
        zone_for_now=f"{FOR_NOW} --zone=trusted --change-interface=eth0",
        source_for_now=f"{FOR_NOW} --zone=trusted --add-source=198.51.100.0/24",
        rich_rule_for_now=f"{FOR_NOW} --add-rich-rule='rule service name=https accept'",
        policy_for_now=f"{FOR_NOW} --policy=allow-host-ipv6 --add-port=7777/tcp",
        direct_rule_for_now=f"{FOR_NOW} --direct --add-rule ipv4 filter INPUT 0 {AT_7777}",
        passthrough_for_now=f"{FOR_NOW} --direct --add-passthrough ipv4 -I INPUT {AT_7777}",
        chain_for_now=f"{FOR_NOW} --direct --add-chain ipv4 filter mine",
        entry_for_now=f"{FOR_NOW} --ipset=banned --add-entry=192.0.2.0/24",
        ipset_not_reloaded=f"{FOR_GOOD} --new-ipset=more --type=hash:ip",
        helper_not_reloaded=f"{FOR_GOOD} --new-helper=mine --module=nf_conntrack_ftp",
        service_not_reloaded=f"{FOR_GOOD} --service=http --add-port=7777/tcp",
        default_zone_not_read="sed -i s/^DefaultZone=.*/DefaultZone=trusted/ /etc/firewalld/firewalld.conf",
        not_started_at_boot="systemctl disable --quiet firewalld",
        rule_typed_into_its_table="nft insert rule inet firewalld filter_INPUT tcp dport 7777 accept",
        table_beside_it=f"{OWN_TABLE}; nft add rule inet mine out accept",
    ),
    booted_with(FIREWALLD),
)

LAN = "/etc/NetworkManager/system-connections/lan.nmconnection"
MANAGED_FAULTS = AreaFaults(
    "networkmanager",
    SOUND,
    gone_at_boot(
        "networkmanager",
        zone_changed_for_now=f"{FOR_NOW} --zone=work --change-interface=eth0",
        profile_for_now="nmcli connection modify --temporary lan connection.zone work; nmcli connection up lan",
        profile_edited=f"sed -i s/zone=internal/zone=work/ {LAN}",
        profile_without_a_zone=f"sed -i /zone=/d {LAN}",
    ),
    booted_with(MANAGED),
)

NFTABLES_FAULTS = AreaFaults(
    "nftables",
    SOUND,
    gone_at_boot(
        "nftables",
        rule_typed="nft insert rule inet filter input tcp dport 7777 accept",
        rule_typed_for_what_leaves="nft add rule inet filter output tcp dport 25 drop",
        rules_flushed="nft flush chain inet filter input; nft add rule inet filter input tcp dport 22 accept",
        element_added="nft add element inet filter admins '{ 198.51.100.0/24 }'",
        way_added="nft add element inet filter ways '{ 7777 : accept }'",
        interface_changed="nft add rule inet filter input iifname eth1 tcp dport 443 accept",
        policy_changed="nft chain inet filter forward '{ policy accept; }'",
        table_beside_it=f"{OWN_TABLE}; nft add rule inet mine out tcp dport 25 drop",
        rule_of_iptables="iptables -I INPUT -p tcp --dport 7777 -j ACCEPT",
        file_with_a_typo="sed -i 's/policy accept/policy acept/' /etc/nftables.conf",
        file_not_loaded="sed -i 's/80 : accept/443 : accept/' /etc/nftables.conf",
        not_started_at_boot="systemctl disable --quiet nftables",
    ),
    booted_with(NFTABLES),
)

IPTABLES_FAULTS = AreaFaults(
    "netfilter-persistent",
    SOUND,
    gone_at_boot(
        "iptables",
        rule_typed="iptables -A INPUT -p tcp --dport 7777 -j ACCEPT",
        rule_typed_for_ipv6="ip6tables -A INPUT -p tcp --dport 7777 -j ACCEPT",
        rule_typed_for_what_leaves="iptables -A OUTPUT -p tcp --dport 25 -j DROP",
        rule_typed_for_what_is_led_on="iptables -t nat -A PREROUTING -p tcp --dport 8080 -j REDIRECT --to-ports 22",
        rule_typed_for_containers="iptables -N DOCKER-USER; iptables -A DOCKER-USER -s 198.51.100.0/24 -j DROP",
        rule_deleted="iptables -D INPUT -i lo -j ACCEPT",
        order_changed="iptables -D INPUT -i lo -j ACCEPT; iptables -A INPUT -i lo -j ACCEPT",
        policy_changed="ip6tables -P INPUT ACCEPT",
        file_edited="sed -i '/--dport 22/d' /etc/iptables/rules.v4",
        table_of_nft="nft add table inet mine; nft add chain inet mine in '{ type filter hook input priority 0; }'; "
        "nft add rule inet mine in tcp dport 7777 drop",
        not_started_at_boot="systemctl disable --quiet netfilter-persistent",
    ),
    booted_with(IPTABLES),
)

FAULTS = (FIREWALLD_FAULTS, MANAGED_FAULTS, NFTABLES_FAULTS, IPTABLES_FAULTS)
