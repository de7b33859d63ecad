"""What a site must not give away or let in, shown on sound sites and on ones with a single flaw each."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import ValidationError

from readygate.areas.sites.exposure import observe_exposure
from readygate.areas.sites.fetch import fetch
from readygate.areas.sites.metrics_text import metric_names
from readygate.areas.sites.site import Site, origin_of
from readygate.errors import CouldNotLook
from tests.web import Answer, failing, nginx, reply, self_signed, site, tls_context, web_server, write_chain

APP = "https://app.example"
ADMIN = "https://admin.example"
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def failed(answer: Answer, **declared: Any) -> set[str]:
    with web_server(answer) as port:
        return failing("sites", {"url": f"http://127.0.0.1:{port}", "timeout": "5s", **declared})


def at(path: str = "/api", **endpoint: Any) -> dict[str, Any]:
    return {"endpoints": {path: endpoint}}


def always(status: int = 200, body: bytes = b"hello", **headers: str) -> Answer:
    return lambda request: reply(request, status, body, **headers)


def test_headers_on_errors_are_those_of_a_page_that_is_not_there(tmp_path: Path) -> None:
    declared = {"headers": {"X-Frame-Options": "DENY"}, "headers_on_errors": {"X-Frame-Options": "DENY"}}
    (tmp_path / "index.html").write_text("home")
    for end, expected in (("always", set()), ("", {"site.headers_on_errors"})):
        with nginx(tmp_path, f"root {tmp_path}; add_header X-Frame-Options DENY {end};") as port:
            assert failing("sites", {"url": f"http://127.0.0.1:{port}", **declared}) == expected


@pytest.mark.parametrize(
    "page",
    [
        b"<p>You're seeing this error because you have <code>DEBUG = True</code> in your settings</p>",
        b"<pre>Traceback (most recent call last):\n  File</pre>",
        b"Error: x\n    at next (/srv/app/node_modules/express/lib/router/index.js:280:10)",
        b"java.lang.NullPointerException\n\tat com.shop.Order.total(Order.java:42)",
        b"goroutine 7 [running]:\nmain.handler",
    ],
)
def test_a_stack_trace_on_an_error_page_is_seen(page: bytes) -> None:
    assert failed(always(500, page), shows_debug=False) == {"site.shows_debug"}


def test_a_plain_error_page_shows_no_debug() -> None:
    assert not failed(always(500, b"<h1>Something went wrong</h1> We look at it. "), shows_debug=False)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/.git/HEAD", b"ref: refs/heads/main\n"),
        ("/.env", b"# shop\nDATABASE_URL=postgres://\n"),
        ("/.env", b"# shop\n\nspring.datasource.password = hunter2\n"),
        ("/.env", b"export db_password=hunter2\n"),
        ("/backup.sql", b"--\n-- PostgreSQL database dump\n"),
        ("/backup.zip", b"PK\x03\x04rest"),
        ("/phpinfo.php", b"<title>PHP 8.2 - phpinfo()</title>"),
        ("/debug/pprof/", b"<title>/debug/pprof/</title>"),
    ],
)
def test_what_was_left_lying_about_is_found(path: str, content: bytes) -> None:
    def careless(request: BaseHTTPRequestHandler) -> None:
        reply(request, *((200, content) if request.path == path else (404, b"")))

    assert failed(careless, exposes_files=False) == {"site.exposes_files"}
    assert not failed(always(404), exposes_files=False)


def test_what_lies_at_the_root_of_the_host_is_found_also_where_the_url_has_a_prefix(tmp_path: Path) -> None:
    with nginx(tmp_path, f"root {tmp_path};") as port:
        declared = {"url": f"http://127.0.0.1:{port}/shop", "exposes_files": False}
        assert not failing("sites", declared)
        (tmp_path / ".env").write_text("SECRET_KEY=1")
        assert failing("sites", declared) == {"site.exposes_files"}
        assert observe_exposure(origin_of(site(**declared))).paths == ("/.env",)
        (tmp_path / ".env").unlink()
        (tmp_path / "shop").mkdir()
        (tmp_path / "shop" / "dump.sql").write_text("-- MySQL dump 10\n")
        assert observe_exposure(origin_of(site(**declared))).paths == ("/shop/dump.sql",)


def test_a_site_that_shows_one_page_for_everything_exposes_and_hides_well() -> None:
    for body in (
        b"<!doctype html><script src=/app.js></script>",
        b"<script>\npath = 1\n</script>",
        b"No such page: /a=b",
    ):
        assert not failed(always(body=body), exposes_files=False, hides=["/.git/config", "/metrics"])


def test_a_hidden_path_that_is_served_fails(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("[core]\n")
    declared = {"hides": ["/.git/config", "/metrics"], "exposes_files": False}
    for rule, expected in (("location ~ /\\. { deny all; }", set()), ("", {"site.hides", "site.exposes_files"})):
        with nginx(tmp_path, f"root {tmp_path}; {rule}") as port:
            assert failing("sites", {"url": f"http://127.0.0.1:{port}", **declared}) == expected


@pytest.mark.parametrize(
    ("page", "status"),
    [("No such page: {path}", 200), ('"next": "{path}"', 404), ("<script>\nPATH = '{path}'\n", 200)],
)
def test_a_page_for_everything_that_repeats_its_path_gives_nothing_away(page: str, status: int) -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        reply(request, status, page.format(path=request.path).encode())

    assert not failed(answer, exposes_files=False, hides=["/metrics", "/debug/pprof/"])


def test_a_login_that_remembers_where_one_came_from_hides_well() -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        reply(request, 302, Location=f"/login?next={quote(request.path, safe='')}")

    assert not failed(answer, hides=["/metrics"])


@pytest.mark.parametrize("status", [429, 502, 503, 504])
@pytest.mark.parametrize("declared", [{"exposes_files": False}, {"hides": ["/metrics"]}, {"shows_debug": False}])
def test_what_a_rate_limit_or_an_outage_answers_for_was_not_seen(status: int, declared: dict[str, Any]) -> None:
    with pytest.raises(CouldNotLook, match=f"with {status}, so what is there was not seen"):
        failed(always(status), **declared)


def test_behind_a_limit_of_nginx_all_is_seen_more_slowly(tmp_path: Path) -> None:
    (tmp_path / "dump.sql").write_text("-- MySQL dump 10\n")
    zone = "limit_req_zone $binary_remote_addr zone=api:1m rate=20r/s;"
    with nginx(tmp_path, f"limit_req zone=api burst=2 nodelay; root {tmp_path};", http=zone) as port:
        site = {"url": f"http://127.0.0.1:{port}", "exposes_files": False}
        assert failing("sites", site) == {"site.exposes_files"}
        (tmp_path / "dump.sql").unlink()
        assert not failing("sites", site)


def test_what_a_strict_limit_keeps_back_was_not_seen(tmp_path: Path) -> None:
    (tmp_path / "dump.sql").write_text("-- MySQL dump 10\n")
    zone = "limit_req_zone $binary_remote_addr zone=api:1m rate=1r/m;"
    with nginx(tmp_path, f"limit_req zone=api burst=2 nodelay; root {tmp_path};", http=zone) as port:
        with pytest.raises(CouldNotLook, match="with 503, so what is there was not seen"):
            failing("sites", {"url": f"http://127.0.0.1:{port}", "exposes_files": False})
        with pytest.raises(CouldNotLook, match="with 503, so what is there was not seen"):
            failing("sites", {"url": f"http://127.0.0.1:{port}", "hides": ["/metrics"]})


def test_an_archive_that_the_server_says_is_packed_is_found_by_what_was_packed() -> None:
    def careless(request: BaseHTTPRequestHandler) -> None:
        packed = gzip.compress(b"--\n-- PostgreSQL database dump\n")
        is_there = request.path == "/backup.sql.gz"
        reply(request, 200 if is_there else 404, packed, Content_Encoding="gzip")

    assert failed(careless, exposes_files=False) == {"site.exposes_files"}


def test_nginx_that_closes_without_a_word_hides_and_refuses(tmp_path: Path) -> None:
    closes = "if ($host = stranger.invalid) { return 444; } location ~ /\\. { return 444; } root /nowhere;"
    declared = {"hides": ["/.git/config"], "exposes_files": False, "refuses_other_hosts": True}
    with nginx(tmp_path, closes) as port:
        assert not failing("sites", {"url": f"http://127.0.0.1:{port}", **declared})
    chain, key = write_chain(tmp_path, self_signed("shop.example"))
    secured = f"ssl_certificate {chain}; ssl_certificate_key {key}; {closes}"
    with nginx(tmp_path, secured, listen="ssl") as port:
        tls = {"resolve": "127.0.0.1", "tls": {"ca": str(chain), "trusted": True}}
        assert not failing("sites", {"url": f"https://shop.example:{port}", **tls, **declared})
    with nginx(tmp_path, "return 444;") as port, pytest.raises(CouldNotLook, match="closes the connection without"):
        failing("sites", {"url": f"http://127.0.0.1:{port}", "hides": ["/.git/config"]})


def test_requests_for_another_host_have_to_be_refused() -> None:
    def careful(request: BaseHTTPRequestHandler) -> None:
        reply(request, 200 if request.headers["Host"].startswith("127.0.0.1") else 400)

    assert not failed(careful, refuses_other_hosts=True)
    assert failed(always(), refuses_other_hosts=True) == {"site.refuses_other_hosts"}
    assert failed(always(404), refuses_other_hosts=True) == {"site.refuses_other_hosts"}


def cors(lets_in: Callable[[str], str | None], **more: str) -> Answer:
    """A service with CORS: `lets_in` gives what to answer to an origin."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        allowed = lets_in(request.headers.get("Origin", ""))
        headers = {"Access_Control_Allow_Origin": allowed} if allowed else {}
        reply(request, **headers, **(more if request.command == "OPTIONS" else {}))

    return answer


def listed(origin: str) -> str | None:
    return origin if origin in (APP, ADMIN) else None


RIGHT = {
    "Access_Control_Allow_Methods": "GET, POST,PUT, DELETE",
    "Access_Control_Allow_Headers": "Accept, authorization, Content-Type",
    "Access_Control_Max_Age": "43200",
    "Access_Control_Allow_Credentials": "true",
}
DECLARED = {
    "origins": [APP, ADMIN],
    "any_origin": False,
    "methods": ["GET", "POST", "PUT", "DELETE"],
    "headers": ["Authorization", "Content-Type"],
    "max_age": "12h",
    "credentials": True,
}


def test_cors_as_declared_is_sound() -> None:
    assert not failed(cors(listed, **RIGHT), cors=DECLARED)


@pytest.mark.parametrize(
    "lets_in",
    [
        lambda origin: origin or None,
        lambda origin: "*",
        lambda origin: origin if origin.endswith("app.example") or origin == ADMIN else None,
        lambda origin: origin if origin.startswith(APP) or origin == ADMIN else None,
        lambda origin: origin if origin.endswith("admin.example") or origin == APP else None,
        lambda origin: origin if origin == "null" else listed(origin),
        lambda origin: (
            origin if origin.removeprefix("http").removeprefix("s") in ("://app.example", ADMIN[5:]) else None
        ),
        lambda origin: origin if re.fullmatch("https://(app|admin).example", origin) else None,
    ],
    ids=[
        "reflected",
        "everybody",
        "any that ends so",
        "any that begins so",
        "so ends the second",
        "null",
        "http",
        ".",
    ],
)
def test_an_origin_that_nobody_declared_is_found(lets_in: Callable[[str], str | None]) -> None:
    found = {"cors.origins", "cors.any_origin"}
    # Whoever comes with cookies is not let in by `*`.
    assert failed(cors(lets_in, **RIGHT), cors=DECLARED) == found | ({"cors.credentials"} if lets_in("") else set())


def test_an_origin_that_is_shut_out_fails() -> None:
    assert failed(cors(lambda origin: APP if origin == APP else None, **RIGHT), cors=DECLARED) == {"cors.origins"}


@pytest.mark.parametrize(
    ("header", "value", "check"),
    [
        ("Access_Control_Allow_Methods", "GET, POST, PUT, DELETE, PATCH", "cors.methods"),
        ("Access_Control_Allow_Headers", "Content-Type", "cors.headers"),
        ("Access_Control_Max_Age", "600", "cors.max_age"),
        ("Access_Control_Allow_Credentials", "false", "cors.credentials"),
    ],
)
def test_a_preflight_that_allows_something_else_fails(header: str, value: str, check: str) -> None:
    assert failed(cors(listed, **RIGHT | {header: value}), cors=DECLARED) == {check}


@pytest.mark.parametrize(
    "answer",
    [
        lambda request: reply(
            request, 405 if request.command == "OPTIONS" else 200, Access_Control_Allow_Origin=APP, **RIGHT
        ),
        lambda request: reply(
            request, Access_Control_Allow_Origin=ADMIN if request.command == "OPTIONS" else APP, **RIGHT
        ),
    ],
    ids=["405", "to another origin"],
)
def test_a_preflight_that_browsers_refuse_allows_nothing(answer: Answer) -> None:
    preflight = {"methods": DECLARED["methods"], "max_age": "12h", "credentials": True}
    assert failed(answer, cors={"asks_as": APP, **preflight}) == {"cors.methods", "cors.max_age", "cors.credentials"}


def test_credentials_are_allowed_as_browsers_read_it() -> None:
    answer = cors(listed, **RIGHT | {"Access_Control_Allow_Credentials": "True"})
    assert failed(answer, cors=DECLARED) == {"cors.credentials"}


def test_no_answer_to_a_preflight_allows_nothing() -> None:
    missing = failed(cors(listed), cors=DECLARED)
    assert missing == {"cors.methods", "cors.headers", "cors.max_age", "cors.credentials"}


def test_strangers_are_turned_away_only_where_the_service_asks_for_a_login() -> None:
    def guarded(request: BaseHTTPRequestHandler) -> None:
        reply(request, 200 if request.headers["Authorization"] else 401)

    endpoint = at(status=200, needs_login=True, request_headers={"Authorization": "Bearer t"})
    assert not failed(guarded, **endpoint)
    assert failed(always(), **endpoint) == {"http.needs_login"}


def test_a_login_that_everybody_knows_is_found() -> None:
    def with_password(password: str) -> Answer:
        token = "Basic " + base64.b64encode(f"admin:{password}".encode()).decode()
        return lambda request: reply(request, 200 if request.headers["Authorization"] == token else 401)

    assert not failed(with_password("Yb3-own"), **at(default_logins=False))
    assert failed(with_password("admin"), **at(default_logins=False)) == {"http.default_logins"}
    assert failed(always(), **at(default_logins=False)) == {"http.default_logins"}


def test_a_login_that_leads_on_is_one() -> None:
    token = "Basic " + base64.b64encode(b"admin:admin").decode()

    def answer(request: BaseHTTPRequestHandler) -> None:
        reply(request, 302 if request.headers["Authorization"] == token else 401, Location="/dashboard")

    assert failed(answer, **at(default_logins=False)) == {"http.default_logins"}


@pytest.mark.parametrize("status", [302, 404, 502])
def test_where_no_login_is_asked_for_none_is_tried(status: int) -> None:
    with pytest.raises(CouldNotLook, match=f"answers {status} to whoever has no login"):
        failed(always(status), **at(default_logins=False))


def test_a_service_that_fails_has_not_refused_a_login() -> None:
    with pytest.raises(CouldNotLook, match="answers /api with 500"):
        failed(
            lambda request: reply(request, 500 if request.headers["Authorization"] else 401),
            **at(default_logins=False),
        )


def test_a_method_that_is_not_answered_in_time_is_not_refused() -> None:
    def busy(request: BaseHTTPRequestHandler) -> None:
        time.sleep(1.5)
        reply(request)

    with pytest.raises(CouldNotLook, match="does not answer within 1s"):
        failed(busy, timeout="1s", **at(refuses_methods=["DELETE"]))


def test_what_is_no_secret_is_asked_of_a_server_without_trust_too(tmp_path: Path) -> None:
    declared = {"shows_debug": False, "refuses_other_hosts": True, "cors": {"any_origin": False}}
    with web_server(lambda request: reply(request), tls_context(tmp_path, self_signed("shop.example"))) as port:
        site = {"url": f"https://shop.example:{port}", "resolve": "127.0.0.1", "tls": {"trusted": True}, **declared}
        assert failing("sites", site) == {"tls.trusted", "site.refuses_other_hosts"}


def test_methods_that_are_served_are_not_refused(tmp_path: Path) -> None:
    declared = {"refuses_methods": ["DELETE", "TRACE"]}
    for rule, expected in (("limit_except GET { deny all; }", set()), ("", {"http.refuses_methods"})):
        with nginx(tmp_path, f"location / {{ {rule} proxy_pass http://127.0.0.1:1/; }}") as port:
            site = {"url": f"http://127.0.0.1:{port}", **at(**declared)}
            assert failing("sites", site) == expected


@pytest.mark.parametrize(("configured", "sound"), [("10m", True), ("1m", False), ("20m", False), ("0", False)])
def test_body_limit_is_what_nginx_has(configured: str, sound: bool, tmp_path: Path) -> None:
    rules = f"client_max_body_size {configured}; location / {{ proxy_pass http://127.0.0.1:1/; }}"
    with nginx(tmp_path, rules) as port:
        site = {"url": f"http://127.0.0.1:{port}", **at(body_limit="10M", method="POST")}
        assert failing("sites", site) == (set() if sound else {"http.body_limit"})


@contextmanager
def upload_backend(*, counts: bool) -> Iterator[tuple[int, list[int]]]:
    """A service that refuses by the length that is announced, and if it `counts` also what comes in chunks."""
    read = [0]

    class Backend(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if int(self.headers.get("Content-Length", 0)) > MOST or (self.chunked() > MOST and counts):
                return reply(self, 413)
            return reply(self, 201)

        def chunked(self) -> int:
            taken, is_chunked = 0, self.headers.get("Transfer-Encoding") == "chunked"
            while is_chunked and (left := int(self.rfile.readline() or b"0", 16)):
                while left and (piece := self.rfile.read1(left)):
                    taken, left = taken + len(piece), left - len(piece)
                    read[0] = max(read[0], taken)
                    if counts and taken > MOST:
                        return taken
                self.rfile.readline()
            return taken

        def log_message(self, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Backend) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server.server_port, read
        server.shutdown()


MOST = 3 << 20


@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("behind", [True, False])
def test_a_body_without_a_length_is_refused_as_well(tmp_path: Path, counts: bool, behind: bool) -> None:
    with upload_backend(counts=counts) as (backend, read), ExitStack() as closing:
        rules = "client_max_body_size 0; proxy_request_buffering off; proxy_http_version 1.1;"
        proxied = f"{rules} location / {{ proxy_pass http://127.0.0.1:{backend}; }}"
        port = closing.enter_context(nginx(tmp_path, proxied)) if behind else backend
        site = {"url": f"http://127.0.0.1:{port}", **at(body_limit=f"{MOST}", method="POST")}
        assert failing("sites", site) == (set() if counts else {"http.body_limit"})
        assert MOST < read[0] <= MOST + (512 << 10)


def test_a_proxy_that_collects_any_body_before_it_asks_takes_what_has_no_length(tmp_path: Path) -> None:
    with upload_backend(counts=True) as (backend, _):
        refused = "if ($content_length = 10000000) { return 413; }"
        rules = f"client_max_body_size 0; {refused} location / {{ proxy_pass http://127.0.0.1:{backend}; }}"
        site = at(body_limit="9999999", method="POST")
        with nginx(tmp_path, rules) as port:
            assert failing("sites", {"url": f"http://127.0.0.1:{port}", **site}) == {"http.body_limit"}


def test_more_than_is_ever_sent_has_to_be_refused_by_its_size(tmp_path: Path) -> None:
    site = at(body_limit="100M", method="POST")
    rules = "client_max_body_size {}; {} location / {{ proxy_pass http://127.0.0.1:1; }}"
    with nginx(tmp_path, rules.format("100m", "")) as port:
        assert not failing("sites", {"url": f"http://127.0.0.1:{port}", **site})
    by_length = rules.format(0, "if ($content_length = 104857601) { return 413; }")
    with nginx(tmp_path, by_length) as port, pytest.raises(CouldNotLook, match="goes on reading"):
        failing("sites", {"url": f"http://127.0.0.1:{port}", **site})


def test_who_reads_no_body_takes_none(tmp_path: Path) -> None:
    with nginx(tmp_path, "client_max_body_size 1m; location / { return 200; }") as port:
        assert not failing("sites", {"url": f"http://127.0.0.1:{port}", **at(body_limit="1M", method="POST")})


def test_a_body_limit_behind_a_login_was_not_seen() -> None:
    for status in (401, 429, 503):
        with pytest.raises(CouldNotLook, match=f"answers {status} before it looks at the size"):
            failed(always(status), **at(body_limit="10M", method="POST"))


def test_a_limit_in_front_of_an_outage_is_seen(tmp_path: Path) -> None:
    with nginx(tmp_path, "client_max_body_size 1m; location / { return 503; }") as port:
        site = {"url": f"http://127.0.0.1:{port}", **at(body_limit="1M", method="POST")}
        assert not failing("sites", site)


def test_websocket_opens_only_where_the_key_is_answered() -> None:
    def upgrading(request: BaseHTTPRequestHandler) -> None:
        digest = hashlib.sha1((request.headers["Sec-WebSocket-Key"] + GUID).encode()).digest()
        request.send_response(101)
        request.send_header("Upgrade", "websocket")
        request.send_header("Connection", "Upgrade")
        request.send_header("Sec-WebSocket-Accept", base64.b64encode(digest).decode())
        request.end_headers()

    assert not failed(upgrading, **at(websocket=True))
    assert failed(always(101), **at(websocket=True)) == {"http.websocket"}
    assert failed(always(), **at(websocket=True)) == {"http.websocket"}


def test_cookies_are_judged_by_their_attributes() -> None:
    declared = at(cookies={"session": {"contains": ["Secure", "HttpOnly", "SameSite=Lax"]}})
    sound = always(Set_Cookie="session=abc; path=/; secure; httponly; samesite=lax")
    assert not failed(sound, **declared)
    assert failed(always(Set_Cookie="session=abc; HttpOnly; SameSite=Lax"), **declared) == {"http.cookies"}
    assert failed(always(Set_Cookie="other=abc; Secure"), **declared) == {"http.cookies"}


def setting(*cookies: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        for each in cookies:
            request.send_header("Set-Cookie", each)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


@pytest.mark.parametrize(
    ("cookies", "sound"),
    [
        (("session=a; Secure", "session=b; Path=/admin; Secure"), True),
        (("session=a; Secure", "session=b; Path=/admin"), False),
        (("session=b; Path=/admin", "session=a; Secure"), False),
        (("session=a; Secure", "sessions=b"), True),
        (("session=; Path=/old; Max-Age=0", "session=a; Secure"), True),
        (("session=; Path=/old; Expires=Thu, 01-Jan-1970 00:00:00 GMT", "session=a; Secure"), True),
    ],
)
def test_each_of_several_cookies_of_one_name_is_judged(cookies: tuple[str, ...], sound: bool) -> None:
    declared = at(cookies={"session": {"contains": ["Secure"]}})
    assert failed(setting(*cookies), **declared) == (set() if sound else {"http.cookies"})


def test_of_an_attribute_that_is_there_twice_the_last_counts() -> None:
    declared = at(cookies={"session": {"contains": ["SameSite=Lax"]}})
    assert failed(setting("session=a; SameSite=Lax; samesite=none"), **declared) == {"http.cookies"}


def test_of_two_headers_on_https_the_first_counts_and_over_http_none(tmp_path: Path) -> None:
    name = "Strict-Transport-Security"
    chain, key = write_chain(tmp_path, self_signed("shop.example"))
    declared = {
        "resolve": "127.0.0.1",
        "headers": {name: "~ max-age=[0-9]{8}"},
        "headers_on_errors": {name: "~ max-age=[0-9]{8}"},
        "endpoints": {"/": {"headers": {name: "~ max-age=[0-9]{8}"}}},
    }
    checks = {"site.headers", "site.headers_on_errors", "http.headers"}
    for first, second, expected in ((31536000, 0, set()), (0, 31536000, checks)):
        rules = "".join(f'add_header {name} "max-age={age}" always;' for age in (first, second))
        secured = f"ssl_certificate {chain}; ssl_certificate_key {key}; {rules} root {tmp_path};"
        tls = {"tls": {"ca": str(chain), "trusted": True}}
        with nginx(tmp_path, secured, listen="ssl") as port:
            assert failing("sites", {"url": f"https://shop.example:{port}", **tls, **declared}) == expected
        with nginx(tmp_path, f"{rules} root {tmp_path};") as port:
            assert failing("sites", {"url": f"http://shop.example:{port}", **declared}) == checks
            seen = fetch(origin_of(site(f"http://shop.example:{port}", exposes_files=False)), "/")
            assert "browsers ignore it over http://" in seen.why_no_header(name)
            assert not seen.why_no_header("Server")


def test_headers_on_errors_are_not_those_of_a_page_for_everything() -> None:
    with pytest.raises(CouldNotLook, match="is answered 200, so no error was seen"):
        failed(always(X_Frame_Options="DENY"), headers_on_errors={"X-Frame-Options": "DENY"})


def test_the_time_of_redirects_that_are_followed_counts() -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        if request.path == "/api":
            time.sleep(0.3)
        reply(request, 302 if request.path == "/api" else 200, Location="/there")

    assert failed(answer, **at(within="250ms", follow_redirects=True)) == {"http.within"}
    assert not failed(answer, **at(within="5s", follow_redirects=True))


METRICS = (
    b'# TYPE http_requests_total counter\nhttp_requests_total{code="200",path="/a,}b"} 1.5e+03\nup 1 1700000000\n'
)


def test_metrics_have_to_be_readable_for_prometheus() -> None:
    declared = at(metrics={"contains": ["http_requests_total"]})
    assert not failed(always(body=METRICS), **declared)
    assert failed(always(body=b"up 1\n"), **declared) == {"http.metrics"}
    assert failed(always(body=METRICS + b"oops {\n"), **declared) == {"http.metrics"}
    assert failed(always(body=b"<html>"), **declared) == {"http.metrics"}


@pytest.mark.parametrize("text", ["", "# only a comment", 'a{b="c} 1', "a b", "1a 1", "a{} 1 2 3"])
def test_what_prometheus_could_not_read_has_no_names(text: str) -> None:
    assert metric_names(text) is None


def test_percentiles_are_by_the_nearest_rank() -> None:
    count = iter(range(1000))

    def seldom_slow(request: BaseHTTPRequestHandler) -> None:
        time.sleep(0.2 if next(count) % 10 == 0 else 0)
        reply(request)

    assert not failed(seldom_slow, **at(samples=20, within="150ms", p95="5s"))
    assert failed(seldom_slow, **at(samples=20, within="150ms", p95="150ms")) == {"http.p95"}
    assert failed(seldom_slow, **at(samples=100, p95="150ms", p99="150ms")) == {"http.p95", "http.p99"}


def test_one_node_with_the_old_release_is_found() -> None:
    def release(version: str) -> Answer:
        return always(body=json.dumps({"version": version}).encode())

    with (
        web_server(release("1.4.2")) as new,
        web_server(release("1.4.1")) as old,
        web_server(release("1.4.2")) as same,
    ):
        declared = at(json={"version": "1.4.2"}, on_every_node={"version": "1.4.2"})
        url = {"url": f"http://127.0.0.1:{new}", **declared}
        nodes = [f"127.0.0.1:{port}" for port in (new, same)]
        assert not failing("sites", url)
        assert not failing("sites", {**url, "nodes": nodes})
        assert failing("sites", {**url, "nodes": [*nodes, f"127.0.0.1:{old}"]}) == {"http.on_every_node"}
    with pytest.raises(CouldNotLook, match="refuses the connection"):
        failing("sites", {**url, "nodes": nodes})


def test_cases_are_asked_one_by_one() -> None:
    def adding(request: BaseHTTPRequestHandler) -> None:
        numbers = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        reply(request, body=json.dumps({"sum": sum(numbers)}).encode())

    def cases(**expected: Any) -> dict[str, Any]:
        case = {"send_json": [1, 2], **expected}
        return {"endpoints": {"adds up": {"path": "/sum", "method": "POST", "cases": {"two": case}}}}

    assert not failed(adding, **cases(status=200, json={"sum": 3}, body="~ ^..sum"))
    assert failed(adding, **cases(status=201, json={"sum": 4}, body="~ total")) == {
        "case.status",
        "case.json",
        "case.body",
    }


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"hides": [".git"]}, "begin it with a slash"),
        ({"shows_debug": False, "nodes": ["http://a"]}, "is not a node"),
        ({"cors": {"origins": ["app.example"]}}, "is not an origin"),
        ({"cors": {"methods": ["GET"]}}, "add `asks_as"),
        (at(p95="1s"), "write samples: 20"),
        (at(refuses_methods=["delete"]), "write it in capitals"),
        (at(body_limit=["1M", "2M"]), "is not one size to try"),
    ],
)
def test_what_cannot_be_tried_is_refused(declared: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Site.model_validate({"url": "https://shop.example", **declared})
