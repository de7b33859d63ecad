"""Faults of a certificate's renewal: by a certbot whose CA is a pebble on the host, with a name server of its own."""

from __future__ import annotations

from tests.lab.catalogue.sites import RELOAD, SITE
from tests.lab.docker import LabError
from tests.lab.faults import AreaFaults, Fault
from tests.lab.host import Lab, Target

SOUND = """\
servers:
  target: {connect: "${LAB_HOST}", sudo: true, services: {nginx: {running: true}}}
sites:
  shop:
    url: https://shop.lab
    resolve: ${LAB_ADDRESS}
    tls:
      ca: ${LAB_CA}
      trusted: true
      matches_host: true
      renew_before: {warn: 30d, fail: 14d}
      deployed: {on: target, path: /etc/letsencrypt/live/shop.lab/fullchain.pem, served: true}
      renewal:
        {on: target, timer: certbot, certificate: shop.lab, scheduled: true, ended_well: true, time_left: 20d,
         dry_run: true}
"""

RENEWAL = "/etc/letsencrypt/renewal"
LIVE = "/etc/letsencrypt/live/shop.lab"
SET_UP = f"""
mkdir /srv/acme
cd /srv/acme
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 -subj /CN=acme.lab \\
    -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out acme.pem 2>/dev/null
cat acme.pem >> /etc/ssl/certs/ca-certificates.crt
cat > pebble.json <<'END'
{{"pebble": {{
    "listenAddress": "127.0.0.1:14000", "managementListenAddress": "127.0.0.1:15000",
    "certificate": "/srv/acme/acme.pem", "privateKey": "/srv/acme/key.pem",
    "httpPort": 80, "tlsPort": 443, "certificateValidityPeriod": 7776000
}}}}
END
systemd-run --quiet --unit=acme-names pebble-challtestsrv -defaultIPv4 127.0.0.1 -defaultIPv6 "" \\
    -dns01 127.0.0.1:8053 -management 127.0.0.1:8055 -http01 "" -https01 "" -tlsalpn01 ""
# Quick, and each order is asked anew for a challenge.
systemd-run --quiet --unit=acme -E PEBBLE_VA_NOSLEEP=1 -E PEBBLE_WFE_NONCEREJECT=0 -E PEBBLE_AUTHZREUSE=0 \\
    pebble -config /srv/acme/pebble.json -dnsserver 127.0.0.1:8053
until curl -sf https://127.0.0.1:15000/roots/0; do sleep 0.05; done

echo server = https://127.0.0.1:14000/dir > /etc/letsencrypt/cli.ini
certbot certonly --quiet --non-interactive --webroot -w /var/www/html -d shop.lab --agree-tos -m root@shop.lab \\
    --deploy-hook 'systemctl reload nginx' >&2
sed -i 's#ssl_certificate .*#ssl_certificate {LIVE}/fullchain.pem;#' {SITE}
sed -i 's#ssl_certificate_key .*#ssl_certificate_key {LIVE}/privkey.pem;#' {SITE}
systemctl restart certbot.timer nginx
systemctl start certbot
"""


def boot(lab: Lab) -> Target:
    """A host with a certificate of a CA that is at hand here, too."""
    host = lab.boot("renewal")
    try:
        host.certificate.write_text(host.run(f"set -eu\n{SET_UP}").stdout)
    except LabError:
        host.stop()
        raise
    return host


# Which is what certbot's unit is for: it says whether the last run ended well.
RUN = "systemctl start certbot || systemctl is-failed --quiet certbot\n"

FAULTS = AreaFaults(
    "renewal",
    SOUND,
    (
        Fault(
            "dotfiles-denied-and-the-challenge-with-them",
            ("renewal.dry_run",),
            f"sed -i '/root /a location ~ /[.] {{ deny all; }}' {SITE}\n{RELOAD}",
        ),
        Fault(
            "certificate-deleted-by-hand",
            ("renewal.ended_well",),
            f"sed s/shop.lab/old.lab/g {RENEWAL}/shop.lab.conf > {RENEWAL}/old.lab.conf\n{RUN}",
        ),
        Fault(
            "ca-out-of-reach-when-a-renewal-is-due",
            ("renewal.ended_well", "renewal.dry_run"),
            f"systemctl stop acme; sed -i '1i renew_before_expiry = 3650 days' {RENEWAL}/shop.lab.conf\n{RUN}",
        ),
    ),
    boot,
)
