"""The promises of a site behind HAProxy, Apache and Caddy: kept by a sound one, each broken by one mistake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fronts import HOST, MOST, application, front
from tests.web import failing

HSTS = {"Strict-Transport-Security": "max-age=31536000"}
LIMIT = {"path": "/v1/search", "rate": "5/s", "answers": 429, "recovers": True}
UPLOAD = {"/v1/upload": {"method": "POST", "body_limit": f"{MOST}"}}


@pytest.fixture(scope="module")
def app() -> Iterator[int]:
    with application() as port:
        yield port


def failed(kind: str, folder: Path, app: int, was: str = "", becomes: str = "") -> set[str]:
    """The checks that fail of all that is promised; of limits only what the server has means for."""
    with front(kind, folder, app, was, becomes) as (http, https):
        tls = {"trusted": True, "matches_host": True, "renew_before": "30d", "protocols": ["TLSv1.2", "TLSv1.3"]}
        site: dict[str, Any] = {
            "url": f"https://{HOST}:{https}",
            "resolve": "127.0.0.1",
            "http_port": http,
            "tls": {"ca": str(folder / "ca.pem"), "alpn": "h2", "forward_secrecy": True, **tls},
            "redirects_http": True,
            "headers": HSTS,
            "headers_on_errors": HSTS,
            "shows_debug": False,
            "exposes_files": False,
            "hides": ["/metrics", "/.git/config"],
            "refuses_other_hosts": True,
            "endpoints": {
                "/": {"status": 200, "json": {"version": "1.4.2"}, "refuses_methods": ["DELETE", "TRACE"]},
                "/admin/": {"needs_login": True, "default_logins": False},
                "/live": {"websocket": True},
                # Caddy 2.6 answers 502 to a body that is too large.
                **({} if kind == "caddy" else UPLOAD),
            },
            **({"rate_limit": LIMIT} if kind == "haproxy" else {}),
        }
        return failing("sites", site)


@pytest.mark.parametrize("kind", ["haproxy", "apache2", "caddy"])
def test_a_sound_front_keeps_every_promise(kind: str, app: int, tmp_path: Path) -> None:
    assert not failed(kind, tmp_path, app)


OLD_TLS = "ssl-min-ver TLSv1.0 ciphers ALL:@SECLEVEL=0"
OLD_SSL = "SSLProtocol all -SSLv3\nSSLCipherSuite ALL:@SECLEVEL=0"
LIMITED = {"rate_limit.rate", "rate_limit.answers", "rate_limit.recovers"}
FAULTS = [
    ("haproxy", "ssl-min-ver TLSv1.2", OLD_TLS, {"tls.protocols", "tls.forward_secrecy"}),
    ("haproxy", "alpn h2,http/1.1", "", {"tls.alpn"}),
    ("haproxy", "https://shop.example:{https}%", "https://shop.example%", {"site.redirects_http"}),
    (
        "haproxy",
        "http-after-response set-header",
        "http-request set-header",
        {"site.headers", "site.headers_on_errors"},
    ),
    (
        "haproxy",
        "deny_status 421 unless {{ hdr(host)",
        "deny_status 421 if {{ hdr(none)",
        {"site.refuses_other_hosts"},
    ),
    ("haproxy", "path_beg /metrics /.", "path_beg /metrics", {"site.exposes_files"}),
    ("haproxy", "path_beg /metrics /.", "path_beg /.", {"site.hides"}),
    ("haproxy", "method DELETE TRACE", "method TRACE", {"http.refuses_methods"}),
    ("haproxy", "gt 5 }}", "gt 500 }}", LIMITED),
    ("haproxy", "if {{ req.hdr(transfer-encoding) -m found }}", "if {{ path /none }}", {"http.body_limit"}),
    ("haproxy", "if {{ req.hdr_val(content-length)", "if {{ req.hdr_val(x-length)", {"http.body_limit"}),
    ("apache2", "SSLProtocol -all +TLSv1.2 +TLSv1.3", OLD_SSL, {"tls.protocols"}),
    ("apache2", "Protocols h2 http/1.1", "Protocols http/1.1", {"tls.alpn"}),
    ("apache2", "/ https://shop.example:{https}/", "/ http://shop.example:{http}/home/", {"site.redirects_http"}),
    # It is asked later than ProxyPass.
    ("apache2", "ProxyPassMatch ^/(metrics|\\.) !\n", "", {"site.exposes_files", "site.hides"}),
    ("apache2", "Redirect 403 /", "ProxyPass / http://127.0.0.1:{app}/", {"site.refuses_other_hosts"}),
    ("apache2", "AllowMethods GET HEAD POST OPTIONS", "", {"http.refuses_methods"}),
    ("apache2", "ProxyPass /live ws://127.0.0.1:{app}/live", "", {"http.websocket"}),
    # It says nothing of what is passed on.
    ("apache2", "RewriteEngine on", "LimitRequestBody {most}", {"http.body_limit"}),
    ("apache2", " || %{{HTTP:Transfer-Encoding}} =~ /chunked/", "", {"http.body_limit"}),
    ("caddy", "header Strict-Transport-Security", "header X-None", {"site.headers", "site.headers_on_errors"}),
    ("caddy", "/metrics /.*", "/metrics", {"site.exposes_files"}),
    ("caddy", "method DELETE TRACE", "method TRACE", {"http.refuses_methods"}),
    ("caddy", "    respond 421\n", "", {"site.refuses_other_hosts"}),
]


@pytest.mark.parametrize(("kind", "was", "becomes", "expected"), FAULTS)
def test_a_mistake_in_a_front_fails_what_it_breaks(
    kind: str, was: str, becomes: str, expected: set[str], app: int, tmp_path: Path
) -> None:
    assert failed(kind, tmp_path, app, was, becomes) == expected
