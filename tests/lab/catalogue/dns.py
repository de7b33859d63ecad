"""Faults of names in DNS, as two nsd serve them, an unbound resolves them, and a whois server has them registered."""

from __future__ import annotations

from tests.lab.docker import LabError
from tests.lab.faults import AreaFaults, Fault
from tests.lab.host import Lab, Target

SOUND = """\
servers:
  target:
    connect: ${LAB_HOST}
    sudo: true
    dns:
      db.shop.lab: {resolvable: true, addresses: [10.0.0.5]}
dns:
  shop.lab:
    A: [203.0.113.10, 203.0.113.11]
    AAAA: ["2001:db8::10"]
    MX: [10 mx1.shop.lab, 20 mx2.shop.lab]
    NS: [ns1.shop.lab, ns2.shop.lab]
    TXT: [v=spf1 mx -all]
    CAA: ['0 issue "letsencrypt.org"']
    ttl: 5m
    resolvers: ["${LAB_ADDRESS}", "${LAB_ADDRESS}:5353"]
    resolvers_agree: true
    registered_for: {warn: 60d, fail: 21d}
    whois: ${LAB_ADDRESS}
  blog.shop.lab: {CNAME: [shop.hosted.lab], A: [198.51.100.20], resolvers: ["${LAB_ADDRESS}:5300"]}
  old.shop.lab: {absent: [A, AAAA, CNAME], resolvers: ["${LAB_ADDRESS}:5300"]}
"""

SET_UP = r"""
address=$(hostname -i)
cd /etc/nsd
cat > shop.lab.zone <<'END'
$ORIGIN shop.lab.
$TTL 300
@     SOA    ns1 hostmaster 1 3600 600 86400 60
@     NS     ns1
@     NS     ns2
@     A      203.0.113.10
@     A      203.0.113.11
@     AAAA   2001:db8::10
@     MX     10 mx1
@     MX     20 mx2
@     TXT    "v=spf1 mx -all"
@     CAA    0 issue "letsencrypt.org"
blog  CNAME  shop.hosted.lab.
db    A      10.0.0.5
END
printf '%s\n' ns1 ns2 mx1 mx2 | sed "s/$/ A $address/" >> shop.lab.zone
cat > hosted.lab.zone <<'END'
$TTL 300
@     SOA    ns hostmaster 1 3600 600 86400 60
@     NS     ns
ns    A      192.0.2.53
shop  A      198.51.100.20
old   A      198.51.100.66
END

cat > /run/systemd/system/nsd@.service <<'END'
[Service]
Type=notify
ExecStart=nsd -d -c /etc/nsd/%i.conf
END
name_server() {  # by this name, at this port, with these zones
    cat > $1.conf <<END
server:
    ip-address: $address
    port: $2
    username: nsd
    zonesdir: /etc/nsd
    database: ""
    pidfile: /run/$1.pid
    xfrdir: /var/lib/nsd
    xfrdfile: /var/lib/nsd/$1.transfers
    zonelistfile: /var/lib/nsd/$1.zones
remote-control:
    control-enable: yes
    control-interface: /run/$1.control
$3
END
    systemctl start nsd@$1
}
name_server primary 53 "
zone:
    name: shop.lab
    zonefile: shop.lab.zone
    notify: $address@5353 NOKEY
    provide-xfr: $address NOKEY
zone:
    name: hosted.lab
    zonefile: hosted.lab.zone
"
name_server secondary 5353 "
zone:
    name: shop.lab
    zonefile: /var/lib/nsd/copy.zone
    allow-notify: $address NOKEY
    request-xfr: AXFR $address@53 NOKEY
"

cat > /etc/unbound/lab.conf <<END
server:
    interface: 127.0.0.1@53
    interface: $address@5300
    access-control: 0.0.0.0/0 allow
    module-config: iterator
    chroot: ""
    username: unbound
stub-zone:
    name: shop.lab
    stub-addr: $address@53
    stub-addr: $address@5353
stub-zone:
    name: hosted.lab
    stub-addr: $address@53
END
systemd-run --quiet --unit=resolver --property=Type=notify unbound -d -p -c /etc/unbound/lab.conf
echo nameserver 127.0.0.1 > /etc/resolv.conf

printf 'Domain Name: SHOP.LAB\nRegistry Expiry Date: %s\n' "$(date -ud '+1 year' +%FT%TZ)" > /srv/whois
systemd-run --quiet --unit=whois busybox nc -ll -p 43 -e sh -c 'read name; cat /srv/whois'

for port in 53 5300 5353; do iptables --insert INPUT --protocol udp --dport $port --jump ACCEPT; done
iptables --insert INPUT --protocol tcp --dport 43 --jump ACCEPT
"""


def copied(serial: int) -> str:
    """A script that waits until the secondary has this version of the zone."""
    state = "nsd-control -c /etc/nsd/secondary.conf zonestatus shop.lab"
    return f"until {state} | grep -q 'served-serial: \"{serial} '; do sleep 0.05; done\n"


def edited(*changes: str) -> str:
    """A script that edits the zone as one should: with a new serial, so that the secondary copies it."""
    scripts = " ".join(f"-e '{each}'" for each in ("s/hostmaster 1/hostmaster 2/", *changes))
    reload = "nsd-control -c /etc/nsd/primary.conf reload shop.lab"
    return f"cd /etc/nsd; sed -i {scripts} shop.lab.zone; {reload}\n{copied(2)}"


def boot(lab: Lab) -> Target:
    """A host with both name servers, a resolver that asks them, and a whois server."""
    host = lab.boot("names")
    try:
        host.run(f"set -eu\n{SET_UP}{copied(1)}")
    except LabError:
        host.stop()
        raise
    return host


RESTART = "systemctl restart nsd@primary\n"
WITHOUT_ITS_COPY = """\
systemctl stop nsd@secondary
rm -r /var/lib/nsd/*
sed -i /provide-xfr/d /etc/nsd/primary.conf
systemctl restart nsd@primary
systemctl start nsd@secondary
"""

FAULTS = AreaFaults(
    "dns",
    SOUND,
    (
        Fault("address-of-the-old-host", ("dns.A",), edited("s/203.0.113.11/203.0.113.77/")),
        Fault("ipv6-address-of-the-old-host", ("dns.AAAA",), edited("s/2001:db8::10/2001:db8::77/")),
        Fault("mail-servers-removed", ("dns.MX",), edited("/MX/d")),
        Fault("name-server-of-the-old-provider", ("dns.NS",), edited("/NS *ns2/a @ NS ns.elsewhere.lab.")),
        Fault("second-spf-record", ("dns.TXT",), edited('/TXT/a @ TXT "v=spf1 include:mail.lab ~all"')),
        Fault("caa-record-gone", ("dns.CAA",), edited("/CAA/d")),
        Fault("wildcard-left-behind", ("dns.absent",), edited("/CAA/a * A 203.0.113.10")),
        Fault("ttl-of-a-day-before-a-switch", ("dns.ttl",), edited("s/TTL 300/TTL 86400/")),
        Fault(
            "zone-edited-without-a-new-serial",
            ("dns.resolvers_agree",),
            edited("s/203.0.113.11/203.0.113.77/") + f"sed -i s/203.0.113.77/203.0.113.11/ shop.lab.zone\n{RESTART}",
        ),
        Fault("secondary-without-a-copy", (), WITHOUT_ITS_COPY, unsure=("dns.resolvers_agree",)),
        Fault("alias-to-the-old-service", ("dns.CNAME", "dns.A"), edited("s/shop.hosted/old.hosted/")),
        Fault("dangling-alias", ("dns.A",), f"sed -i /^shop/d /etc/nsd/hosted.lab.zone\n{RESTART}"),
        Fault(
            "zone-that-nobody-serves-any-more",
            (),
            f"sed -i '/hosted.lab$/,$d' /etc/nsd/primary.conf; sed -i '$d' /etc/nsd/primary.conf\n{RESTART}",
            unsure=("dns.A",),
        ),
        Fault("line-left-in-etc-hosts", ("dns.addresses",), "echo 10.0.0.4 db.shop.lab >> /etc/hosts"),
        Fault("name-gone-from-the-zone", ("dns.resolvable", "dns.addresses"), edited("/^db/d")),
        Fault(
            "resolver-down",
            ("dns.resolvable", "dns.addresses"),
            "systemctl stop resolver",
            unsure=("dns.CNAME", "dns.A", "dns.absent"),
        ),
        Fault(
            "domain-about-to-expire",
            ("dns.registered_for",),
            'sed -i "s/Date: .*/Date: $(date -ud +9days +%FT%TZ)/" /srv/whois',
        ),
        Fault("whois-that-has-enough-of-us", (), "echo Quota exceeded > /srv/whois", unsure=("dns.registered_for",)),
    ),
    boot,
)
