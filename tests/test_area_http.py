"""The areas of sites and their endpoints, shown on web servers that the tests start themselves."""

from __future__ import annotations

import gzip
import json
import socket
import time
import zlib
from collections.abc import Callable
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from readygate.areas.sites.fetch import Response
from readygate.areas.sites.http import Endpoint, observe_response
from readygate.areas.sites.site import Site, observe_front_page, origin_of
from readygate.errors import CouldNotLook
from readygate.spec import misnamed
from tests.projects import Project
from tests.web import (
    DAY,
    Signed,
    authority,
    free_port,
    raw_server,
    reply,
    self_signed,
    site,
    tls_context,
    web_server,
)

HOST = "shop.example"
ROOT = authority()


def observed(port: int, path: str = "/health", scheme: str = "http", **endpoint: Any) -> tuple[Response, Endpoint]:
    declared = site(f"{scheme}://{HOST}:{port}", endpoints={path: endpoint})
    return observe_response(origin_of(declared), declared.endpoints[path]), declared.endpoints[path]


def test_status_is_compared() -> None:
    with web_server(lambda request: reply(request, 204, b"")) as port:
        response, endpoint = observed(port, status=204)
        assert response.status in endpoint.status
        assert response.status not in observed(port, status=200)[1].status
        assert response.status in observed(port, status=[200, 204])[1].status


def test_json_is_compared_by_dotted_path() -> None:
    answer = {"status": "ok", "items": [{"id": 7}], "ready": True, "error": None, "deep": {"list": [1, 2]}}
    with web_server(lambda request: reply(request, body=json.dumps(answer).encode())) as port:
        response, endpoint = observed(port, json={"status": "ok", "items.0.id": ">=7", "ready": True})
        _, other = observed(port, json={"status": "down", "items.0.id": 8, "ready": False, "error": "!=x"})
    for path, expected in endpoint.json.items():
        assert response.value_at(path) in expected
    for path, expected in other.json.items():
        assert response.value_at(path) not in expected


@pytest.mark.parametrize("path", ["nothing", "items.1.id", "items.x", "status.more", "items.-1"])
def test_a_value_that_is_not_there_meets_nothing(path: str) -> None:
    with web_server(lambda request: reply(request, body=b'{"status": "ok", "items": [{"id": 7}]}')) as port:
        response, endpoint = observed(port, json={path: "!=down"})
    assert response.value_at(path) is None
    assert response.value_at(path) not in endpoint.json[path]


def test_a_member_that_is_there_twice_tells_nothing() -> None:
    body = b'{"status": "down", "status": "ok", "version": "1.4.2", "db": {"up": false, "up": true}}'
    with web_server(lambda request: reply(request, body=body)) as port:
        response, endpoint = observed(port, json={"version": "1.4.2"})
    assert response.value_at("version") in endpoint.json["version"]
    for path in ("status", "db.up"):
        with pytest.raises(CouldNotLook, match="twice"):
            response.value_at(path)


def test_a_page_where_json_is_expected_meets_nothing() -> None:
    with web_server(lambda request: reply(request, body=b"<html>")) as port:
        response, endpoint = observed(port, json={"status": "!=down"})
    assert response.value_at("status") not in endpoint.json["status"]


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (
            b"<html>\n<h1>502 Bad Gateway</h1>" + b"x" * 99,
            "text/html",
            f"not JSON but text/html, and begins with '<html> <h1>502 Bad Gateway</h1>{'x' * 29}'",
        ),
        (b"", "application/json", "not JSON but application/json, and is empty"),
    ],
)
def test_what_is_no_json_is_told_as_what_it_is(body: bytes, kind: str, said: str, tmp_path: Path) -> None:
    with web_server(lambda request: reply(request, body=body, Content_Type=kind)) as port:
        project = Project(tmp_path)
        endpoints = "{/health: {status: 200, json: {version: 1}, cases: {a: {query: a, json: {b: 2}}}}}"
        project.write(
            "inventory.yml", f"project: p\nsites: {{s: {{url: 'http://127.0.0.1:{port}', endpoints: {endpoints}}}}}\n"
        )
        ended = project.readygate("run")
    assert ended.code == 1
    assert ended.result("http.status")["outcome"] == "passed"
    for check in ("http.json", "case.json"):
        assert ended.result(check)["outcome"] == "failed"
        assert ended.result(check)["message"] == f"the answer is {said}"


def test_headers_are_compared_whatever_their_case() -> None:
    with web_server(lambda request: reply(request, Cache_Control="no-store", X_Frame="DENY")) as port:
        response, endpoint = observed(port, headers={"cache-control": "no-store", "X-FRAME": ["DENY", "SAMEORIGIN"]})
        _, other = observed(port, headers={"Cache-Control": "private", "X-Missing": "!=x"})
    for name, expected in endpoint.headers.items():
        assert response.header(name) in expected
    for name, expected in other.headers.items():
        assert response.header(name) not in expected


def test_body_is_compared_as_text_in_its_own_charset() -> None:
    answer = "Grüß Gott".encode("latin-1")
    with web_server(
        lambda request: reply(request, body=answer, Content_Type="text/plain; charset=ISO-8859-1")
    ) as port:
        response, endpoint = observed(port, body={"contains": ["Grüß"]})
        _, other = observed(port, body="~ Maintenance")
    assert response.text in endpoint.body
    assert response.text not in other.body


def test_within_is_the_time_to_the_last_byte() -> None:
    def slow(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "2")
        request.end_headers()
        request.wfile.write(b"o")
        request.wfile.flush()
        time.sleep(0.3)
        request.wfile.write(b"k")

    with web_server(slow) as port:
        response, endpoint = observed(port, within="250ms")
        assert response.time_s >= 0.3
        assert response.time_s not in endpoint.within
        assert response.time_s in observed(port, within="60s")[1].within


def test_samples_are_told_by_their_median_and_one_wrong_status_is_enough() -> None:
    waits, statuses = iter([0, 0.4, 0, 0.4, 0.4]), iter([200, 200, 503, 200, 200])

    def uneven(request: BaseHTTPRequestHandler) -> None:
        time.sleep(next(waits))
        reply(request, next(statuses))

    with web_server(uneven) as port:
        response, _ = observed(port, status=200, within="60s", samples=5)
    assert response.time_s >= 0.4
    assert response.status == 503


def test_retry_asks_until_the_status_is_right_and_counts_the_attempts() -> None:
    statuses = iter([503, 502, 200, 503])
    with web_server(lambda request: reply(request, next(statuses))) as port:
        response, endpoint = observed(port, status=200, retry={"times": 9, "every": "10ms"})
    assert (response.status, response.attempts) == (200, 3)
    assert response.status in endpoint.status


def test_retry_gives_up_after_its_last_attempt() -> None:
    with web_server(lambda request: reply(request, 503)) as port:
        response, endpoint = observed(port, status=200, retry={"times": 2, "every": "10ms"})
    assert response.attempts == 3
    assert response.status not in endpoint.status


def test_retry_does_not_turn_an_unreachable_site_into_a_verdict() -> None:
    with pytest.raises(CouldNotLook, match="refuses the connection"):
        observed(free_port(), status=200, retry={"times": 2, "every": "10ms"})


def test_what_is_declared_is_what_is_sent() -> None:
    seen: dict[str, Any] = {}

    def note(request: BaseHTTPRequestHandler) -> None:
        seen.update(method=request.command, path=request.path, **dict(request.headers))
        seen["sent"] = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        reply(request)

    with web_server(note) as port:
        declared = site(
            f"http://{HOST}:{port}/v1/",
            endpoints={
                "/orders?dry=1": {
                    "status": 200,
                    "method": "POST",
                    "send_json": {"a": [1]},
                    "request_headers": {"X-Token": "t"},
                }
            },
        )
        observe_response(origin_of(declared), declared.endpoints["/orders?dry=1"])
    assert (seen["method"], seen["path"], seen["sent"]) == ("POST", "/v1/orders?dry=1", {"a": [1]})
    assert (seen["Host"], seen["X-Token"]) == (f"{HOST}:{port}", "t")
    assert seen["Content-Type"] == "application/json"


def test_a_redirect_is_judged_itself_unless_it_is_to_be_followed() -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        if request.path == "/old":
            reply(request, 301, Location="/new?x=1")
        else:
            reply(request, body=request.path.encode())

    with web_server(answer) as port:
        assert observed(port, "/old", status=301)[0].status == 301
        followed, _ = observed(port, "/old", status=200, follow_redirects=True)
    assert (followed.status, followed.text) == (200, "/new?x=1")
    assert len(followed.evidence) == 2


def test_secrets_and_cookies_do_not_follow_a_redirect_to_another_port() -> None:
    seen: list[dict[str, str]] = []

    def note(request: BaseHTTPRequestHandler) -> None:
        seen.append(dict(request.headers))
        reply(request)

    with web_server(note) as other:
        location = f"http://{HOST}:{other}/"
        with web_server(
            lambda request: reply(request, 302, Location=location, Set_Cookie="session=1; Path=/")
        ) as port:
            response, _ = observed(port, status=200, follow_redirects=True, request_headers={"X-Token": "t"})
    assert response.status == 200
    assert not {"X-Token", "Cookie"} & set(seen[0])


def test_a_redirect_away_and_back_is_followed_to_the_sites_own_address() -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        if request.path == "/":
            reply(request, body=b"home")
        else:
            reply(request, 302, Location=away)

    with ExitStack() as servers:
        port = servers.enter_context(web_server(answer))
        back = f"http://{HOST}:{port}/"
        other = servers.enter_context(web_server(lambda request: reply(request, 302, Location=back)))
        away = f"http://127.0.0.1:{other}/"
        response, _ = observed(port, "/start", status=200, follow_redirects=True)
    assert (response.text, len(response.evidence)) == ("home", 3)


def test_secrets_are_in_no_repr() -> None:
    with web_server(lambda request: reply(request, Set_Cookie="hunter2")) as port:
        response, endpoint = observed(port, status=200, request_headers={"X-Token": "hunter2"})
    assert "hunter2" not in f"{response!r} {endpoint!r}"


def test_an_endless_redirect_is_not_an_answer() -> None:
    with (
        web_server(lambda request: reply(request, 302, Location="/health")) as port,
        pytest.raises(CouldNotLook, match="redirects more than 10 times"),
    ):
        observed(port, status=200, follow_redirects=True)


def test_of_a_huge_answer_only_what_was_not_read_stays_unknown() -> None:
    with web_server(lambda request: reply(request, body=b"x" * 6_000_000)) as port:
        response, endpoint = observed(port, status=200)
    assert response.status in endpoint.status
    assert len(response.content) == 5_000_000
    for look in (lambda: response.text, lambda: response.time_s, lambda: response.value_at("a")):
        with pytest.raises(CouldNotLook, match="longer than the 5 MB"):
            look()


def test_a_trickle_of_bytes_does_not_outlast_the_timeout() -> None:
    def trickle(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "1000")
        request.end_headers()
        for _ in range(100):
            request.wfile.write(b"x")
            time.sleep(0.1)

    with web_server(trickle) as port:
        declared = site(f"http://{HOST}:{port}", timeout="400ms", endpoints={"/": {"status": 200}})
        with pytest.raises(CouldNotLook, match=r"does not answer within 0\.4s"):
            observe_response(origin_of(declared), declared.endpoints["/"])


def test_a_trickle_of_headers_does_not_outlast_the_timeout_either() -> None:
    def trickle(connection: socket.socket) -> None:
        with suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Endless: ")
            for _ in range(100):
                connection.sendall(b"x")
                time.sleep(0.1)

    error = unanswered(trickle)
    assert (error.cause, error.reason[-27:]) == ("unreachable:api", "does not answer within 0.3s")


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nX: a", b"HTTP/1.1 200 OK\r\nX: a\r\n"])
def test_an_answer_whose_head_breaks_off_is_none(head: bytes) -> None:
    error = unanswered(lambda connection: connection.sendall(head))
    assert (error.cause, "breaks off" in error.reason) == ("unreachable:api", True)


@pytest.mark.parametrize(
    "first", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 2]
)
def test_hints_before_the_answer_are_not_the_answer(first: bytes) -> None:
    whole = first + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    with raw_server(lambda connection: connection.sendall(whole)) as port:
        response, _ = observed(port, status=200)
    assert (response.status, response.text) == (200, "ok")


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)],
)
def test_a_compressed_answer_is_read(encoding: str, pack: Callable[[bytes], bytes]) -> None:
    with web_server(lambda request: reply(request, body=pack(b'{"a": 1}'), Content_Encoding=encoding)) as port:
        assert observed(port, status=200)[0].value_at("a") == 1


def test_a_compression_that_is_not_understood_is_no_verdict_on_the_body() -> None:
    with web_server(lambda request: reply(request, body=b"\x0b\x80x", Content_Encoding="exi")) as port:
        response, _ = observed(port, status=200)
    assert response.status == 200
    for look in (lambda: response.text, lambda: response.value_at("a")):
        with pytest.raises(CouldNotLook, match="compressed by 'exi'"):
            look()


def unanswered(answer: Callable[..., None]) -> CouldNotLook:
    with raw_server(answer) as port:
        declared = site(f"http://{HOST}:{port}", timeout="300ms", endpoints={"/": {"status": 200}})
        with pytest.raises(CouldNotLook) as error:
            observe_response(origin_of(declared), declared.endpoints["/"])
    return error.value


def test_no_answer_in_time_and_a_broken_answer_are_unreachable() -> None:
    errors = [
        unanswered(lambda connection: time.sleep(1)),
        unanswered(lambda connection: None),
        unanswered(lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")),
    ]
    assert {error.cause for error in errors} == {"unreachable:api"}
    assert errors[0].reason.endswith("does not answer within 0.3s")


def test_a_name_that_does_not_resolve_is_unreachable() -> None:
    declared = site("http://shop.invalid", resolve="shop.invalid", endpoints={"/": {"status": 200}})
    with pytest.raises(CouldNotLook, match=r"shop\.invalid does not resolve") as error:
        observe_response(origin_of(declared), declared.endpoints["/"])
    assert error.value.cause == "unreachable:api"


FAULTS = {
    "expired": (ROOT.issue(HOST, begins=-90 * DAY, ends=-DAY), {"trusted": True}),
    "self-signed": (self_signed(HOST), {"trusted": True}),
    "wrong host": (ROOT.issue("other.example"), {"matches_host": True}),
}


@pytest.fixture
def secured(tmp_path: Path) -> Any:
    """Serves https with one certificate, and declares the site that it is with this `tls`."""
    with ExitStack() as servers:

        def start(shown: Signed, tls: dict[str, Any] | None, **endpoint: Any) -> Site:
            (tmp_path / "ca.pem").write_bytes(ROOT.pem)
            port = servers.enter_context(web_server(context=tls_context(tmp_path, shown)))
            declared = {"tls": {"ca": str(tmp_path / "ca.pem"), **tls}} if tls else {}
            endpoints = {"/": {"status": 200, **endpoint}}
            return site(f"https://{HOST}:{port}", endpoints=endpoints, **declared)

        yield start


def test_content_is_read_over_a_trusted_chain(secured: Any) -> None:
    declared = secured(ROOT.issue(HOST), {"renew_before": "1d"}, request_headers={"X-Token": "t"})
    response = observe_response(origin_of(declared), declared.endpoints["/"])
    assert (response.status, len(response.evidence)) == (200, 1)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_trust_that_tls_judges_is_no_noise_in_http(secured: Any, fault: str) -> None:
    declared = secured(*FAULTS[fault])
    response = observe_response(origin_of(declared), declared.endpoints["/"])
    assert response.status in declared.endpoints["/"].status
    assert fault in response.evidence[0].answered


@pytest.mark.parametrize(
    "tls",
    [None, {"protocols": ["TLSv1.3"]}, {"matches_host": True}, {"renew_before": "1d"}],
    ids=["no tls", "only protocols", "only the host", "only the lifetime"],
)
def test_a_fault_of_trust_that_nobody_judges_blinds_http(secured: Any, tls: dict[str, Any] | None) -> None:
    declared = secured(self_signed(HOST), tls)
    with pytest.raises(CouldNotLook, match="anybody may have answered") as error:
        observe_response(origin_of(declared), declared.endpoints["/"])
    assert error.value.cause == "untrusted:api"


def test_nothing_of_ours_is_sent_to_a_server_without_trust(secured: Any) -> None:
    declared = secured(self_signed(HOST), {"trusted": True}, request_headers={"X-Token": "t"})
    with pytest.raises(CouldNotLook, match="no headers or data are sent"):
        observe_response(origin_of(declared), declared.endpoints["/"])


def test_what_is_no_tls_is_told_as_a_broken_handshake() -> None:
    with web_server() as port, pytest.raises(CouldNotLook, match="breaks the TLS handshake off") as error:
        observed(port, scheme="https", status=200)
    assert error.value.cause == "handshake:api"


def test_front_page_headers_are_those_of_the_sites_root() -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        reply(request, Server="nginx", **({"X_Root": "yes"} if request.path == "/shop/" else {}))

    with web_server(answer) as port:
        declared = site(f"http://{HOST}:{port}/shop", headers={"X-Root": "yes", "X-Missing": "yes"})
        page = observe_front_page(origin_of(declared))
    assert page.header("X-Root") in declared.headers["X-Root"]
    assert page.header("X-Missing") not in declared.headers["X-Missing"]


@pytest.mark.parametrize("location", ["https://[nowhere/", "https://a.example:99999/", "ftp://a.example/"])
def test_a_redirect_that_leads_nowhere_is_no_verdict(location: str) -> None:
    with (
        web_server(lambda request: reply(request, 302, Location=location)) as port,
        pytest.raises(CouldNotLook, match="can't be asked"),
    ):
        observed(port, status=200, follow_redirects=True)


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (
            {"url": "shop.example"},
            "'shop.example' is not the URL of a site; write e.g. https://api.example.com",
        ),
        ({"url": "ftp://shop.example"}, "is not the URL of a site"),
        ({"url": "https://"}, "is not the URL of a site"),
        ({"url": "https://shop.example:99999"}, "this is not a URL that can be asked"),
        ({"url": "https://shop.example/?a=1"}, "has a query or a fragment"),
        ({"url": "https://me:hunter2@shop.example"}, "must not hold a user or a password"),
        (
            {"url": "http://shop.example", "redirects_http": True},
            "redirects_http is declared, but the url is http://",
        ),
        ({"url": "http://shop.example", "tls": {"trusted": True}}, "tls is declared, but the url is http://"),
        ({"url": "https://shop..example"}, "this is not a URL that can be asked"),
        ({"url": "https://shop.example", "tls": {"protocols": ["TLS1.2"]}}, "'TLS1.2' is not a version of TLS"),
        ({"url": "https://shop.example"}, "declares nothing to verify"),
        (
            {"url": "https://shop.example", "endpoints": {"/": {"method": "GET"}}},
            "declares nothing to verify",
        ),
        (
            {
                "url": "https://shop.example",
                "endpoints": {"/": {"status": 200, "method": "POST", "follow_redirects": True}},
            },
            "a redirect of a POST is not followed",
        ),
        (
            {
                "url": "https://shop.example",
                "endpoints": {"/": {"status": 200, "request_headers": {"X-Token": "hunter2\nX: y"}}},
            },
            "the header 'X-Token' is not a single line",
        ),
    ],
    ids=str,
)
def test_a_site_that_cannot_be_asked_is_refused(declared: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as error:
        Site.model_validate(declared)
    messages = [each["msg"] for each in error.value.errors()]
    assert message in messages[0]
    assert "hunter2" not in messages[0]


@pytest.mark.parametrize("key", ["health", "/a b", "/a#b"])
def test_an_endpoint_without_a_path_is_refused(key: str) -> None:
    declared = Site.model_validate({"url": "https://shop.example", "endpoints": {key: {"status": 200}}})
    (found,) = misnamed(declared, "api", ("sites", "api"))
    assert found[1].mend == "begin it with a slash, or add `path: /...`"


@pytest.mark.parametrize(
    ("url", "netloc", "server_name"),
    [
        ("https://Shop.Example", "shop.example", "shop.example"),
        ("https://shop.example:8443/v1/", "shop.example:8443", "shop.example"),
        ("https://[::1]:8443", "[::1]:8443", None),
        ("https://müller.example", "xn--mller-kva.example", "xn--mller-kva.example"),
    ],
)
def test_a_site_is_asked_by_its_own_name(url: str, netloc: str, server_name: str | None) -> None:
    origin = origin_of(site(url, redirects_http=True))
    assert (origin.netloc, origin.server_name, origin.connect_to) == (netloc, server_name, "127.0.0.1")
