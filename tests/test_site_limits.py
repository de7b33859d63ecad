"""Rate limits, run into on nginx and on services that count as the guides do, rightly and wrongly."""

from __future__ import annotations

import itertools
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from readygate.areas.sites import turnstile
from readygate.areas.sites.fetch import fetch
from readygate.areas.sites.rate_limit import RateLimit, observe_burst, observe_recovery
from readygate.areas.sites.site import origin_of
from readygate.errors import CouldNotLook
from tests.web import failing, nginx, reply, site, web_server

ALL = {"rate_limit.rate", "rate_limit.burst", "rate_limit.answers", "rate_limit.retry_after", "rate_limit.recovers"}


@dataclass
class Limiter:
    """Counts in a window that slides, a member of a sorted set for each request, as one does with Redis.

    `member` names a request in the set; two of one name count once.
    """

    requests: int
    window_s: float
    member: Callable[[], object]
    entries: dict[object, float] = field(default_factory=dict)
    lock: Any = field(default_factory=threading.Lock)

    def lets_in(self) -> bool:
        with self.lock:
            now = time.time()
            self.entries = {each: at for each, at in self.entries.items() if at > now - self.window_s}
            if len(self.entries) >= self.requests:
                return False
            self.entries[self.member()] = now
            return True


def by_number() -> Callable[[], object]:
    """Each request is a member of its own."""
    count = itertools.count()
    return lambda: next(count)


def by_second() -> object:
    """All requests of a second are one member: the mistake of traps T8 and T9."""
    return int(time.time())


def service(limiter: Limiter, **refusal: Any) -> Callable[[BaseHTTPRequestHandler], None]:
    """Answers what the limiter lets in, 401 to a login; the rest gets `refusal`."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.rfile.read(int(request.headers.get("Content-Length") or 0))
        if limiter.lets_in():
            reply(request, 401 if "auth" in request.path else 200)
        else:
            reply(request, **refusal)

    return answer


def declared(port: int, **limit: Any) -> dict[str, Any]:
    return {"url": f"http://127.0.0.1:{port}", "rate_limit": {"path": "/api/v1/ping", **limit}}


LOGINS = {"path": "/api/v1/auth/login", "method": "POST", "send_json": {"user": "nobody"}, "rate": "5/h"}
SOUND = {"status": 429, "Retry_After": "2"}


def test_a_limit_that_counts_rightly_meets_everything() -> None:
    with web_server(service(Limiter(5, 1, by_number()), **SOUND)) as port:
        rules = {"rate": "5/s", "burst": 4, "answers": 429, "retry_after": True, "recovers": True}
        assert not failing("sites", declared(port, **rules))


def test_t7_a_refusal_that_becomes_500_fails() -> None:
    with web_server(service(Limiter(5, 3600, by_number()), status=500)) as port:
        assert failing("sites", declared(port, **LOGINS, answers=429)) == {"rate_limit.answers"}


def test_t8_twenty_logins_in_one_second_fail_a_limit_of_five_an_hour() -> None:
    with web_server(service(Limiter(5, 3600, by_second), **SOUND)) as port:
        limit = declared(port, **LOGINS, answers=429, at_most=20)
        assert failing("sites", limit) == {"rate_limit.rate", "rate_limit.answers"}


def test_t9_a_limit_that_can_never_fire_fails() -> None:
    with web_server(service(Limiter(100, 60, by_second), **SOUND)) as port:
        assert failing("sites", declared(port, rate="100/min", answers=429)) == {
            "rate_limit.rate",
            "rate_limit.answers",
        }


ZONE = "limit_req_zone $binary_remote_addr zone=api:1m rate=60r/m;"
PINGS = {"rate": "60/min", "burst": 5}


def test_nginx_lets_a_burst_pass_and_refuses_the_rest(tmp_path: Path) -> None:
    rules = "limit_req zone=api burst=5 nodelay; limit_req_status 429; root /nowhere;"
    with nginx(tmp_path, rules, http=ZONE) as port:
        assert not failing("sites", declared(port, **PINGS, answers=429, recovers=True))


def test_nginx_refuses_with_503_unless_it_is_told_otherwise(tmp_path: Path) -> None:
    with nginx(tmp_path, "limit_req zone=api burst=5 nodelay; root /nowhere;", http=ZONE) as port:
        assert failing("sites", declared(port, **PINGS, answers=429, retry_after=True)) == {
            "rate_limit.answers",
            "rate_limit.retry_after",
        }


def test_nginx_with_a_smaller_burst_refuses_too_early(tmp_path: Path) -> None:
    with nginx(tmp_path, "limit_req zone=api burst=2 nodelay; root /nowhere;", http=ZONE) as port:
        assert failing("sites", declared(port, **PINGS, answers=503)) == {"rate_limit.burst"}


def test_a_limit_that_delays_is_run_into_by_several_at_a_time(tmp_path: Path) -> None:
    zone = ZONE.replace("60r/m", "10r/s")
    pings = {"rate": "10/s", "burst": 5, "answers": 429, "at_a_time": 15}
    with nginx(tmp_path, "limit_req zone=api burst=5; limit_req_status 429; root /nowhere;", http=zone) as port:
        assert not failing("sites", declared(port, **pings, recovers=True))
    with nginx(tmp_path, "limit_req zone=api burst=2; limit_req_status 429; root /nowhere;", http=zone) as port:
        assert failing("sites", declared(port, **pings)) == {"rate_limit.burst"}
    with nginx(tmp_path, "root /nowhere;") as port:
        assert failing("sites", declared(port, **pings)) == {"rate_limit.rate", "rate_limit.answers"}


def test_a_limit_that_delays_lets_no_burst_pass_at_once(tmp_path: Path) -> None:
    limit = RateLimit.model_validate({"path": "/", "rate": "5/s", "burst": 5, "at_most": 8})
    zone = ZONE.replace("60r/m", "5r/s")
    with nginx(tmp_path, "limit_req zone=api burst=5; root /nowhere;", http=zone) as port:
        origin = origin_of(site(f"http://127.0.0.1:{port}", rate_limit=limit))
        burst = observe_burst(origin, limit)
    assert burst.beyond_the_first == 0
    assert burst.told.endswith("and none was refused, each but the first held back")
    for of_a_refusal in ("rate", "refused_with", "says_when"):
        with pytest.raises(CouldNotLook, match="too few to run into 5/s"):
            getattr(burst, of_a_refusal)
    with pytest.raises(CouldNotLook, match="too few to run into 5/s"):
        observe_recovery(origin, limit, burst)


def test_a_location_that_only_returns_is_not_limited_at_all(tmp_path: Path) -> None:
    with nginx(tmp_path, "limit_req zone=api burst=5 nodelay; return 200;", http=ZONE) as port:
        assert failing("sites", declared(port, **PINGS)) == {"rate_limit.rate"}


def test_a_limit_that_never_forgets_does_not_recover() -> None:
    with web_server(service(Limiter(5, 3600, by_number()), **SOUND)) as port:
        assert failing("sites", declared(port, rate="5/s", answers=429, recovers=True)) == {"rate_limit.recovers"}


def test_a_service_that_fails_after_the_burst_has_not_let_in_again() -> None:
    statuses = itertools.chain([200] * 5, [429], itertools.repeat(502))
    with (
        web_server(lambda request: reply(request, next(statuses))) as port,
        pytest.raises(CouldNotLook, match="answers 502, not 200"),
    ):
        failing("sites", declared(port, rate="5/s", answers=429, recovers=True))


def test_a_service_that_falls_over_is_no_limit() -> None:
    statuses = itertools.chain([200] * 3, itertools.repeat(502))
    with (
        web_server(lambda request: reply(request, next(statuses))) as port,
        pytest.raises(CouldNotLook, match="then 502, which is what a service answers that fails"),
    ):
        failing("sites", declared(port, rate="5/s"))


def test_retry_after_may_be_a_date() -> None:
    for written, expected in (
        (format_datetime(datetime.now(UTC) + timedelta(minutes=1), usegmt=True), set()),
        ("in a minute", {"rate_limit.retry_after"}),
        ("-5", {"rate_limit.retry_after"}),
    ):
        with web_server(service(Limiter(5, 60, by_number()), status=429, Retry_After=written)) as port:
            assert failing("sites", declared(port, rate="5/s", answers=429, retry_after=True)) == expected


def test_two_nodes_that_count_for_themselves_let_twice_as_much_pass(tmp_path: Path) -> None:
    nodes = Limiter(10, 60, by_number()), Limiter(10, 60, by_number())
    with web_server(service(nodes[0], **SOUND)) as one, web_server(service(nodes[1], **SOUND)) as other:
        upstream = f"upstream both {{ server 127.0.0.1:{one}; server 127.0.0.1:{other}; }}"
        with nginx(tmp_path, "location / { proxy_pass http://both; }", http=upstream) as port:
            assert failing("sites", declared(port, rate="10/min", answers=429)) == {
                "rate_limit.rate",
                "rate_limit.answers",
            }


def test_no_more_is_sent_than_is_allowed() -> None:
    asked: dict[str, int] = defaultdict(int)

    def count(request: BaseHTTPRequestHandler) -> None:
        asked[request.path] += 1
        reply(request)

    with web_server(count) as port:
        failing("sites", declared(port, rate="5/h", answers=429, at_most=7))
    assert asked == {"/api/v1/ping": 7}


def test_a_limit_that_is_used_up_already_is_not_a_verdict() -> None:
    with (
        web_server(lambda request: reply(request, 429)) as port,
        pytest.raises(CouldNotLook, match="earlier run may not be over, or others use it up"),
    ):
        failing("sites", declared(port, rate="5/h", answers=429))


@pytest.mark.parametrize("rate", ["60/min", "8/s"], ids=["quicker", "as slow as the limit"])
def test_too_slow_to_reach_the_limit_is_not_a_pass(rate: str) -> None:
    def slow(request: BaseHTTPRequestHandler) -> None:
        time.sleep(0.1)
        reply(request)

    limit = RateLimit.model_validate({"path": "/", "rate": rate, "burst": 5, "within": "300ms"})
    with web_server(slow) as port, pytest.raises(CouldNotLook, match=f"too few to run into {rate}"):
        observe_burst(origin_of(site(f"http://127.0.0.1:{port}", rate_limit=limit)), limit)


WHOLE_SITE = """
limit_req zone=api burst={burst} nodelay; limit_req_status {status}; root {folder};
add_header X-Frame-Options DENY always; auth_basic_user_file {folder}/users;
location /admin {{ auth_basic inside; limit_except GET {{ deny all; }} }}
"""
EVERYTHING = {
    "headers": {"X-Frame-Options": "DENY"},
    "exposes_files": False,
    "hides": ["/metrics", "/.git/config"],
    "cors": {"any_origin": False, "origins": ["https://app.example.com"]},
    "endpoints": {
        "/": {"status": 200, "cases": {"home": {"status": 200}}},
        "/admin/": {"status": 401, "needs_login": True, "refuses_methods": ["PUT"], "default_logins": False},
    },
}


@pytest.mark.parametrize("status", [429, 503])
def test_a_limit_over_the_whole_site_makes_no_other_check_fail_nor_they_the_limit(
    tmp_path: Path, status: int
) -> None:
    (tmp_path / "index.html").write_text("home")
    (tmp_path / "users").touch()
    zone = ZONE.replace("60r/m", "10r/s")
    site = {
        **EVERYTHING,
        "rate_limit": {"path": "/", "rate": "10/s", "burst": 5, "answers": status, "recovers": True},
    }
    for burst, expected in ((5, set()), (2, {"rate_limit.burst"})):
        rules = WHOLE_SITE.format(burst=burst, status=status, folder=tmp_path)
        with nginx(tmp_path, rules, http=zone) as port:
            # No origin is let in by these headers, which is the one thing that is wrong here.
            failed = failing("sites", {"url": f"http://127.0.0.1:{port}", **site})
            assert failed == expected | {"cors.origins"}


def test_a_limit_that_delays_the_whole_site_fails_its_burst_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("home")
    (tmp_path / "users").touch()
    rules = WHOLE_SITE.replace(" nodelay", "").format(burst=5, status=429, folder=tmp_path)
    limit = {"path": "/", "rate": "10/s", "burst": 5}
    with nginx(tmp_path, rules, http=ZONE.replace("60r/m", "10r/s")) as port:
        origin = origin_of(site(f"http://127.0.0.1:{port}", **EVERYTHING, rate_limit=limit))
        for _ in range(8):
            fetch(origin, "/")
        burst = observe_burst(origin, RateLimit.model_validate(limit))
        assert burst.beyond_the_first == 0
        with pytest.raises(CouldNotLook, match="too few to run into"):
            burst.rate  # noqa: B018 - it is what a check reads


@pytest.mark.parametrize(
    "check",
    [
        {"headers": {"X-Frame-Options": "DENY"}},
        {"refuses_other_hosts": True},
        {"cors": {"any_origin": False}},
        {"cors": {"methods": ["GET"], "asks_as": "https://app.example.com"}},
        *(
            {"endpoints": {"/": each}}
            for each in (
                {"status": 200},
                {"needs_login": True},
                {"default_logins": False},
                {"refuses_methods": ["DELETE"]},
                {"websocket": True},
                {"body_limit": "1M"},
                {"cases": {"home": {"status": 200}}},
                {"on_every_node": {"version": "1"}},
            )
        ),
    ],
)
def test_whom_a_limit_keeps_out_for_long_has_seen_nothing(
    check: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turnstile, "_LEAST_PATIENCE_S", 0.5)
    with web_server(lambda request: reply(request, 429)) as port, pytest.raises(CouldNotLook, match="429"):
        failing("sites", {"url": f"http://127.0.0.1:{port}", **check})


def test_a_long_wait_for_a_limit_is_told_beforehand(capsys: pytest.CaptureFixture[str]) -> None:
    statuses = iter((429, 429, 200))
    waiting = turnstile.Turnstile(pause_s=2, site="api")
    assert waiting.past(lambda: next(statuses), lambda status: status, {429}) == 200
    assert capsys.readouterr().err == "rate limit: api is asked again in 3s\n" * 2


def test_what_is_declared_to_be_refused_is_not_waited_for() -> None:
    with web_server(lambda request: reply(request, 429)) as port:
        begun = time.monotonic()
        assert not failing("sites", {"url": f"http://127.0.0.1:{port}", "endpoints": {"/": {"status": 429}}})
        assert time.monotonic() < begun + 3


def test_an_outage_lets_no_stranger_in_and_proves_nothing_of_cors() -> None:
    with web_server(lambda request: reply(request, 502)) as port, pytest.raises(CouldNotLook, match="with 502"):
        failing("sites", {"url": f"http://127.0.0.1:{port}", "cors": {"any_origin": False}})


def test_an_outage_is_no_limit_once_its_pause_is_over() -> None:
    site = {"rate_limit": {"path": "/ping", "rate": "5/s"}, "endpoints": {"/": {"status": 200}}}
    with web_server(lambda request: reply(request, 503 if request.path == "/" else 200)) as port:
        assert "http.status" in failing("sites", {"url": f"http://127.0.0.1:{port}", **site})


def test_a_slow_limit_that_others_may_have_used_up_is_no_verdict_on_its_burst() -> None:
    limiter = Limiter(3, 3600, by_number())
    with web_server(service(limiter, **SOUND)) as port:
        limit = {"rate": "5/h", "burst": 4, "answers": 429}
        with pytest.raises(CouldNotLook, match="may have been used up before"):
            failing("sites", declared(port, **limit))
        limiter.entries.clear()
        assert not failing("sites", declared(port, rate="5/h", answers=429))


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ({"rate": "100/min", "at_most": 100}, "write at_most: 101 or more"),
        ({"rate": "5/h", "recovers": True}, "leave `recovers` out"),
        ({"rate": "5000/min"}, "declare a path with a lower limit"),
        ({"rate": "lots"}, "is not a rate"),
        ({"rate": ">5/min"}, "write e.g. rate: 60/min"),
        ({"rate": "5/min", "path": "ping"}, "pattern"),
    ],
)
def test_a_limit_that_cannot_be_run_into_is_refused(limit: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RateLimit.model_validate({"path": "/ping", **limit})
