"""Faults of a site, as it is seen from outside: its TLS, its renewal, what it answers and what it gives away."""

from tests.lab.faults import AreaFaults, Fault

SOUND = """\
servers:
  target: {connect: "${LAB_HOST}", sudo: true, services: {nginx: {running: true}}}
sites:
  shop:
    url: https://shop.lab
    resolve: ${LAB_ADDRESS}
    shows_debug: false
    exposes_files: false
    hides: [/.env, /backup.sql]
    tls:
      trusted: false
      matches_host: true
      renew_before: {warn: 30d, fail: 14d}
      protocols: [TLSv1.2, TLSv1.3]
      forward_secrecy: true
      key_type: ECDSA
      key_bits: 2048
      signature: sha256
      deployed: {on: target, path: /etc/ssl/certs/shop.pem, served: true}
      renewal: {on: target, timer: certbot, scheduled: true, time_left: 20d}
    endpoints:
      /health: {status: 200, json: {status: ok, version: 1.4.2}}
      upload: {path: /health, method: POST, body_limit: 1M}
"""

SITE = "/etc/nginx/sites-available/default"
OLD_TLS = "ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3; ssl_ciphers ALL:!aNULL:!eNULL:@SECLEVEL=0;"
MONTHLY = """\
mkdir /etc/systemd/system/certbot.timer.d
printf '[Timer]\\nOnCalendar=\\nOnCalendar=monthly\\n' > /etc/systemd/system/certbot.timer.d/monthly.conf
systemctl daemon-reload
systemctl restart certbot.timer
"""


def certificate(name: str = "shop.lab", days: int = 365, key: str = "ec -pkeyopt ec_paramgen_curve:P-256") -> str:
    """A script that puts another certificate in place; it isn't served until nginx is reloaded."""
    return (
        f"openssl req -x509 -newkey {key} -nodes -days {days} -subj /CN={name} -addext subjectAltName=DNS:{name} "
        "-keyout /etc/ssl/private/shop.key -out /etc/ssl/certs/shop.pem 2>/dev/null\n"
    )


RELOAD = "systemctl restart nginx\n"

FAULTS = AreaFaults(
    "sites",
    SOUND,
    (
        Fault("certificate-about-to-expire", ("tls.renew_before",), certificate(days=5) + RELOAD),
        Fault("certificate-of-another-host", ("tls.matches_host",), certificate("other.lab") + RELOAD),
        Fault("certificate-renewed-but-not-loaded", ("deployed.served",), certificate()),
        Fault(
            "certificate-with-an-rsa-key",
            ("tls.key_type", "tls.forward_secrecy"),
            certificate(key="rsa:2048") + RELOAD,
        ),
        Fault("old-tls-left-on", ("tls.protocols",), f"sed -i 's/ssl_protocols.*/{OLD_TLS}/' {SITE}\n{RELOAD}"),
        Fault("renewal-stopped", ("renewal.scheduled", "renewal.time_left"), "systemctl stop certbot.timer"),
        Fault("renewal-only-once-a-month", ("renewal.time_left",), MONTHLY),
        Fault("old-release-served", ("http.json",), f"sed -i s/1.4.2/1.4.1/ {SITE}\n{RELOAD}"),
        Fault(
            "site-in-maintenance",
            ("http.status", "http.json"),
            f"sed -i 's/return 200.*/return 503;/' {SITE}\n{RELOAD}",
        ),
        Fault(
            "uploads-without-a-limit", ("http.body_limit",), f"sed -i '1a client_max_body_size 0;' {SITE}\n{RELOAD}"
        ),
        Fault("env-in-the-web-root", ("site.exposes_files", "site.hides"), "echo SECRET_KEY=1 > /var/www/html/.env"),
        Fault(
            "dump-in-the-web-root",
            ("site.exposes_files", "site.hides"),
            "echo 'CREATE TABLE t();' > /var/www/html/backup.sql",
        ),
    ),
)
