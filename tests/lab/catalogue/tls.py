"""Faults of a site's TLS: two nodes of nginx, certificates of a private CA, its OCSP responder, and its logs."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from datetime import timedelta
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from tests.lab.docker import LabError
from tests.lab.faults import AreaFaults, Fault
from tests.lab.host import Lab, Target
from tests.tls_flaws import signed_with_sha1
from tests.vouching import Log, listing, ocsp_response, stamped
from tests.web import DAY, Signed, authority

SOUND = """\
sites:
  shop:
    url: https://www.shop.lab
    resolve: ${LAB_ADDRESS}
    nodes: ["${LAB_ADDRESS}:443", "${LAB_ADDRESS}:8443"]
    tls:
      ca: ${LAB_CA}
      trusted: true
      matches_host: true
      covers: [shop.lab, www.shop.lab]
      renew_before: {warn: 30d, fail: 14d}
      issuer: Lab Trust Intermediate
      key_type: RSA
      key_bits: 2048
      signature: sha256
      protocols: [TLSv1.2, TLSv1.3]
      ciphers: [ECDHE-RSA-AES128-GCM-SHA256, ECDHE-RSA-AES256-GCM-SHA384]
      forward_secrecy: true
      server_preference: true
      profile: intermediate
      alpn: h2
      stapled: true
      scts: 2
      ct_logs: ${LAB_CA}.logs
      same_on_every_node: true
"""

HOSTS = ("www.shop.lab", "shop.lab")
ROOT = authority()
INTERMEDIATE = ROOT.issue("Lab Trust Intermediate", authority=True)
LOGS = (Log("A"), Log("B"))

SITE = """\
server {
    listen PORT ssl http2;
    ssl_certificate NODE/chain.pem;
    ssl_certificate_key NODE/key.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384;
    ssl_prefer_server_ciphers on;
    ssl_stapling on;
    ssl_stapling_verify on;
    ssl_stapling_responder http://127.0.0.1:2560;
    ssl_trusted_certificate /etc/ssl/issuers.pem;
    return 204;
}
"""
RESPONDER = """\
[Service]
ExecStart=openssl ocsp -port 2560 -index /etc/ssl/index.txt -ndays 1 \\
    -CA /etc/ssl/issuer.pem -rsigner /etc/ssl/issuer.pem -rkey /etc/ssl/issuer.pem
"""
NODES = {"/etc/nginx/node-1": "443", "/etc/nginx/node-2": "8443"}
*_, OTHER = NODES


@cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def certificate(
    *hosts: str,
    signer: Signed = INTERMEDIATE,
    bits: int = 2048,
    ends: timedelta = 90 * DAY,
    logs: Iterable[Log] = LOGS,
) -> Signed:
    """A certificate as it should be, but for what is said."""
    plain = signer.issue(*(hosts or HOSTS), key=rsa_key(bits), ends=ends)
    return stamped(plain, *logs) if logs else plain


def deploy(host: Target, *chain: Signed, nodes: Iterable[str] = NODES) -> None:
    """Serve this chain on these nodes; the responder of its issuer knows of it from then on."""
    shown = chain[0]
    signer = shown.signer or shown
    until, number = shown.certificate.not_valid_after_utc, f"{shown.certificate.serial_number:X}"
    number = number.zfill(len(number) + len(number) % 2)
    files = {
        "/etc/ssl/issuer.pem": signer.pem + signer.key_pem,
        "/etc/ssl/issuers.pem": ROOT.pem + signer.pem,
        **{f"{node}/chain.pem": b"".join(each.pem for each in chain) for node in nodes},
        **{f"{node}/key.pem": shown.key_pem for node in nodes},
    }
    written = "\n".join(f"cat > {path} <<'END'\n{text.decode()}END" for path, text in files.items())
    host.run(f"""set -eu
{written}
printf 'V\\t{until:%y%m%d%H%M%SZ}\\t\\t{number}\\tunknown\\t/CN={number}\\n' >> /etc/ssl/index.txt
systemctl restart ocsp
until ss -ltn | grep -q :2560; do sleep 0.02; done
systemctl restart nginx""")


def edited(change: str, node: str = "/etc/nginx/node-*") -> str:
    """A script that changes the settings of these nodes, and loads them."""
    return f"sed -i '{change}' {node}/site.conf; systemctl restart nginx"


def boot(lab: Lab) -> Target:
    """A host with both nodes and the responder, and here the files of whom and what to trust."""
    host = lab.boot("tls")
    try:
        host.certificate.write_bytes(ROOT.pem)
        Path(f"{host.certificate}.logs").write_text(listing(*(log.listed() for log in LOGS)))
        host.run(f"mkdir {' '.join(NODES)}; iptables --insert INPUT --protocol tcp --dport 8443 --jump ACCEPT")
        for node, port in NODES.items():
            host.write(f"{node}/site.conf", SITE.replace("NODE", node).replace("PORT", port))
        host.write("/etc/nginx/sites-available/default", "include /etc/nginx/node-*/site.conf;")
        host.write("/run/systemd/system/ocsp.service", RESPONDER)
        deploy(host, certificate(), INTERMEDIATE)
    except LabError:
        host.stop()
        raise
    return host


def weakly(host: Target, shown: Signed) -> None:
    """What a server serves that has been up since before OpenSSL refused it."""
    host.run("sed -i s/-SHA384/-SHA384:@SECLEVEL=0/ /etc/nginx/node-*/site.conf")
    deploy(host, shown, INTERMEDIATE)


def with_an_expired_intermediate(host: Target) -> None:
    """As of Let's Encrypt in 2021: the same key, and a certificate of it that has run out."""
    expired = ROOT.issue("Lab Trust Intermediate", authority=True, key=INTERMEDIATE.key, begins=-90 * DAY, ends=-DAY)
    deploy(host, certificate(), expired)


def by_another_issuer(host: Target) -> None:
    proxy = ROOT.issue("Edge Proxy", authority=True)
    deploy(host, certificate(signer=proxy), proxy)


def with_a_staple_of_last_week(host: Target) -> None:
    """What remains where the job that fetched it for nginx is gone."""
    shown = certificate()
    deploy(host, shown, INTERMEDIATE)
    kept = base64.b64encode(ocsp_response(shown, begins=-8 * DAY, ends=-DAY)).decode()
    host.run(f"echo {kept} | base64 -d > /etc/ssl/staple.der")
    host.run(edited("s#stapling_responder.*#stapling_file /etc/ssl/staple.der;#"))


FAULTS = AreaFaults(
    "tls",
    SOUND,
    (
        Fault(
            "intermediate-missing-after-a-renewal",
            ("tls.trusted",),
            lambda host: deploy(host, certificate()),
            unsure=("tls.scts", "tls.stapled"),  # its key is needed to verify these
        ),
        Fault("intermediate-expired", ("tls.trusted",), with_an_expired_intermediate),
        Fault(
            "node-without-the-intermediate",
            ("tls.trusted",),
            f"sed -i '/-END/q' {OTHER}/chain.pem; systemctl restart nginx",
            unsure=("tls.stapled",),
        ),
        Fault(
            "node-with-the-old-certificate",
            ("tls.same_on_every_node", "tls.renew_before"),
            lambda host: deploy(host, certificate(ends=5 * DAY), INTERMEDIATE, nodes=(OTHER,)),
        ),
        Fault(
            "name-forgotten-at-a-renewal",
            ("tls.covers",),
            lambda host: deploy(host, certificate("*.shop.lab"), INTERMEDIATE),
        ),
        Fault("certificate-of-a-proxy-in-between", ("tls.issuer",), by_another_issuer),
        Fault(
            "certificate-that-no-log-knows",
            ("tls.scts",),
            lambda host: deploy(host, certificate(logs=()), INTERMEDIATE),
        ),
        Fault(
            "certificate-for-two-years",
            ("tls.profile",),
            lambda host: deploy(host, certificate(ends=700 * DAY), INTERMEDIATE),
        ),
        Fault(
            "signed-with-sha1",  # which no log takes, and by which nobody can tell who the issuer is
            ("tls.signature", "tls.trusted", "tls.scts"),
            lambda host: weakly(host, signed_with_sha1(INTERMEDIATE, *HOSTS, key=rsa_key(2048))),
            unsure=("tls.stapled",),
        ),
        Fault(
            "key-of-1024-bits",
            ("tls.key_bits", "tls.trusted", "tls.profile"),
            lambda host: weakly(host, certificate(bits=1024)),
        ),
        Fault(
            "cbc-left-on-at-one-node",
            ("tls.ciphers", "tls.profile"),
            edited("s/-SHA384/-SHA384:ECDHE-RSA-AES128-SHA/", OTHER),
        ),
        Fault(
            "client-chooses-the-cipher", ("tls.server_preference",), edited("s/server_ciphers on/server_ciphers off/")
        ),
        Fault("http2-lost-at-one-node", ("tls.alpn",), edited("s/ http2//", OTHER)),
        Fault("ocsp-responder-down", ("tls.stapled",), "systemctl stop ocsp; systemctl restart nginx"),
        Fault("staple-of-last-week", ("tls.stapled",), with_a_staple_of_last_week),
    ),
    boot,
)
