"""Where plain HTTP leads: to https:// on the site's own host and port, and neither back nor in a circle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from readygate.areas.sites.plain_http import HttpRedirect, observe_http_redirect
from readygate.areas.sites.site import origin_of
from readygate.errors import CouldNotLook
from tests.web import Answer, authority, failing, free_port, nginx, reply, site, tls_context, web_server, write_chain

HOST = "shop.example"
ROOT = authority()

Look = Callable[..., HttpRedirect]


@pytest.fixture
def look(tmp_path: Path) -> Iterator[Look]:
    """What is seen of a site whose http:// and https:// redirect so; `{port}` and `{plain}` are their ports."""
    (tmp_path / "ca.pem").write_bytes(ROOT.pem)
    with ExitStack() as servers:

        def observe(location: str, status: int = 301, secure: Answer = reply) -> HttpRedirect:
            context = tls_context(tmp_path, ROOT.issue(HOST))
            port = servers.enter_context(web_server(secure, context))
            plain = servers.enter_context(
                web_server(lambda request: reply(request, status, Location=location.format(port=port)))
            )
            tls = {"ca": str(tmp_path / "ca.pem"), "trusted": True}
            declared = site(f"https://{HOST}:{port}", http_port=plain, redirects_http=True, tls=tls)
            return observe_http_redirect(origin_of(declared), declared)

        yield observe


@pytest.mark.parametrize(
    ("status", "location", "sound"),
    [
        (301, f"https://{HOST}:{{port}}/", True),
        (308, f"https://{HOST}:{{port}}/shop?a=1#b", True),
        (308, f"https://{HOST}:8443/shop", False),
        (308, f"https://{HOST}/shop", False),
        (308, f"https://{HOST}:99999/", False),
        (308, "https://[nowhere/", False),
        (303, f"https://{HOST}:{{port}}/", False),
        (200, f"https://{HOST}:{{port}}/", False),
        (301, f"http://{HOST}/", False),
        (301, "/elsewhere", False),
        (302, "https://other.example/", False),
    ],
)
def test_only_a_redirect_to_https_on_the_same_host_will_do(
    look: Look, status: int, location: str, sound: bool
) -> None:
    assert look(location, status).to_https is sound


def redirecting(**ways: str) -> Answer:
    """Answers each path with a redirect, or with a page where it has none."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        port = request.server.server_address[1]  # type: ignore[index]
        to = ways.get(request.path.strip("/") or "root")
        reply(request, 302, Location=to.format(port=port)) if to else reply(request)

    return answer


@pytest.mark.parametrize(
    ("ways", "told"),
    [
        ({"root": "/"}, "leads in a circle"),
        ({"root": "/a", "a": "/b", "b": "/a"}, "/b leads in a circle, to"),
        ({"root": f"http://{HOST}/"}, f"leads back to http://{HOST}/"),
        ({"root": "/a", "a": f"http://{HOST}:8080/a"}, f"leads back to http://{HOST}:8080/a"),
        ({"root": "/1"} | {str(n): f"/{n + 1}" for n in range(1, 30)}, "the 10th redirect"),
    ],
)
def test_who_is_led_back_or_in_a_circle_gets_nowhere(look: Look, ways: dict[str, str], told: str) -> None:
    redirect = look(f"https://{HOST}:{{port}}/", secure=redirecting(**ways))
    assert redirect.to_https is None
    assert told in redirect.told


@pytest.mark.parametrize(
    "ways", [{"root": "/login", "login": ""}, {"root": "https://login.example/"}, {"root": "https://[nowhere/"}]
)
def test_what_https_leads_on_to_is_another_checks_concern(look: Look, ways: dict[str, str]) -> None:
    assert look(f"https://{HOST}:{{port}}/", secure=redirecting(**ways)).to_https is True


def redirected(folder: Path, port: int, plain: int, **more: Any) -> dict[str, Any]:
    """A site behind nginx, whose certificate is of the CA in the folder."""
    tls = {"ca": str(folder / "ca.pem"), "trusted": True}
    reached = {"url": f"https://{HOST}:8443", "resolve": f"127.0.0.1:{port}", "http_port": plain}
    return {**reached, "redirects_http": True, "tls": tls, **more}


def test_it_is_seen_as_nginx_sends_it_and_a_proxy_that_ends_tls_makes_a_circle_of_it(tmp_path: Path) -> None:
    chain, key = write_chain(tmp_path, ROOT.issue(HOST))
    (tmp_path / "ca.pem").write_bytes(ROOT.pem)
    redirect = "return 301 https://$http_host$request_uri;"
    for secure, caught in (("return 200;", set()), (redirect, {"site.redirects_http"})):
        plain = free_port()
        other = f"server {{ listen 127.0.0.1:{plain}; return 301 https://$host:8443$request_uri; }}"
        with nginx(tmp_path, f"ssl_certificate {chain}; ssl_certificate_key {key}; {secure}", "ssl", other) as port:
            conf = tmp_path / "nginx.conf"
            assert str(plain) in conf.read_text()
            assert failing("sites", redirected(tmp_path, port, plain)) == caught


@pytest.mark.parametrize(
    ("status", "sound"), [(200, False), (401, False), (302, False), (301, True), (403, True), (404, True)]
)
def test_what_is_declared_is_not_served_over_http_all_the_same(tmp_path: Path, status: int, sound: bool) -> None:
    """As by `location = / { return 301 ...; }` beside the locations of before."""
    chain, key = write_chain(tmp_path, ROOT.issue(HOST))
    (tmp_path / "ca.pem").write_bytes(ROOT.pem)
    plain = free_port()
    ways = {301: "return 301 https://$host:8443$request_uri;", 302: "return 302 http://$host/home;"}
    other = (
        f"server {{ listen 127.0.0.1:{plain}; location = / {{ {ways[301]} }} "
        f"location /cart {{ {ways.get(status, f'return {status};')} }} }}"
    )
    with nginx(tmp_path, f"ssl_certificate {chain}; ssl_certificate_key {key}; return 200;", "ssl", other) as port:
        declared = redirected(tmp_path, port, plain, endpoints={"/cart": {"status": 200}})
        assert failing("sites", declared) == (set() if sound else {"site.redirects_http"})


def test_plain_http_that_nobody_answers_is_unreachable() -> None:
    declared = site(f"https://{HOST}", http_port=free_port(), redirects_http=True)
    with pytest.raises(CouldNotLook) as error:
        observe_http_redirect(origin_of(declared), declared)
    assert error.value.cause == "unreachable:api"


def test_https_that_nobody_answers_leaves_it_open_whether_it_leads_back() -> None:
    port = free_port()
    with web_server(lambda request: reply(request, 301, Location=f"https://{HOST}:{port}/")) as plain:
        declared = site(f"https://{HOST}:{port}", http_port=plain, redirects_http=True)
        with pytest.raises(CouldNotLook) as error:
            observe_http_redirect(origin_of(declared), declared)
    assert error.value.cause == "unreachable:api"
