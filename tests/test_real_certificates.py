"""Certificates that an ACME server issues to certbot on a host, how they are renewed, and each way that breaks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import testinfra

from tests.acme import Acme, pebble
from tests.lab.docker import docker
from tests.lab.host import Lab, Target
from tests.web import failing

HOST = "shop.lab"
LIVE = f"/etc/letsencrypt/live/{HOST}"
CLI = "/etc/letsencrypt/cli.ini"
SITE = "/etc/nginx/sites-available/default"
RELOADS = "--deploy-hook 'systemctl reload nginx'"


@pytest.fixture(scope="module")
def issued(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Target, Acme]]:
    """A host whose nginx serves what certbot got for it, with the timer and the hook of a sound set-up."""
    folder = tmp_path_factory.mktemp("acme")
    gateway = docker("network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", lab.network)
    with lab.boot("acme") as host, pebble(folder, gateway, host.address) as acme:
        host.write("/usr/local/share/ca-certificates/acme.crt", acme.ca.read_text())
        host.run("update-ca-certificates")
        host.write(CLI, f"server = {acme.directory}\n")  # a dry run would go to Let's Encrypt otherwise
        asked = f"--webroot -w /var/www/html -d {HOST} --agree-tos -m root@shop.lab"
        host.run(f"certbot certonly --non-interactive {asked} {RELOADS}")
        host.run(f"sed -i 's#ssl_certificate .*#ssl_certificate {LIVE}/fullchain.pem;#' {SITE}")
        host.run(f"sed -i 's#ssl_certificate_key .*#ssl_certificate_key {LIVE}/privkey.pem;#' {SITE}")
        host.run("systemctl restart certbot.timer nginx; systemctl start certbot.service")
        yield host, acme


def failed(host: Target, acme: Acme) -> set[str]:
    renewal = {"on": "acme", "timer": "certbot", "scheduled": True, "ended_well": True, "time_left": "20d"}
    tls = {
        "ca": str(acme.root),
        "trusted": True,
        "matches_host": True,
        "renew_before": "30d",
        "deployed": {"on": "acme", "path": f"{LIVE}/fullchain.pem", "served": True},
        "renewal": {**renewal, "dry_run": True, "certificate": HOST},
    }
    declared = {"url": f"https://{HOST}", "resolve": host.address, "tls": tls}
    return failing("sites", declared, {"acme": testinfra.get_host(host.hostspec, sudo=True)})


def test_what_certbot_got_is_trusted_served_and_renewed(issued: tuple[Target, Acme]) -> None:
    assert failed(*issued) == set()


def test_a_renewal_that_nobody_loads_is_found(issued: tuple[Target, Acme]) -> None:
    host, acme = issued
    host.run(f"sed -i /renew_hook/d /etc/letsencrypt/renewal/{HOST}.conf")
    host.run("certbot renew --force-renewal --no-random-sleep-on-renew")
    assert failed(host, acme) == {"deployed.served"}
    host.run("systemctl restart nginx")
    assert failed(host, acme) == set()


def test_a_challenge_that_can_no_longer_be_reached_is_found(issued: tuple[Target, Acme]) -> None:
    """As after a redirect to the new web root: nothing is due for weeks, and the timer's runs end well."""
    host, acme = issued
    host.run("mv /var/www/html /var/www/elsewhere; mkdir /var/www/html; cp /var/www/elsewhere/* /var/www/html")
    host.run(f"sed -i 's#root .*#root /var/www/elsewhere;#' {SITE}; systemctl restart nginx")
    assert failed(host, acme) == {"renewal.dry_run"}
    host.run(f"sed -i 's#root .*#root /var/www/html;#' {SITE}; systemctl restart nginx")


def test_a_last_run_that_failed_is_found(issued: tuple[Target, Acme]) -> None:
    host, acme = issued
    conf = f"/etc/letsencrypt/renewal/{HOST}.conf"
    host.run(f"cp {CLI} {conf} /root/; sed -i '1i renew_before_expiry = 3650 days' {conf}")
    host.write(CLI, "server = https://127.0.0.1:9/dir\n")
    host.run("systemctl start certbot.service", check=False)
    assert failed(host, acme) == {"renewal.ended_well", "renewal.dry_run"}
    host.run(f"cp /root/cli.ini {CLI}; cp /root/{HOST}.conf {conf}; systemctl start certbot.service")


def test_a_dry_run_that_has_nothing_to_renew_is_no_pass(issued: tuple[Target, Acme]) -> None:
    host, acme = issued
    conf = f"/etc/letsencrypt/renewal/{HOST}.conf"
    host.run(f"mv {conf} /root/")
    assert "renewal.dry_run" in failed(host, acme)
    host.run(f"mv /root/{HOST}.conf {conf}")
