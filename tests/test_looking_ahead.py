"""What needs no host is observed before any test runs: several targets at once, and each fact only once."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Barrier, BrokenBarrierError, Thread
from types import SimpleNamespace
from typing import Any

from readygate.areas import FACTS, ahead_of
from readygate.facts import Facts
from readygate.rehearsal import _needs_host
from tests.projects import Project
from tests.web import reply, site, web_server

SITES = 4


def test_sites_are_looked_at_together(tmp_path: Path) -> None:
    """Each answers only once all of them have been asked."""
    together = Barrier(SITES)
    asked: list[str] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        try:
            together.wait(timeout=20)
        except BrokenBarrierError:
            reply(request, 503)
        else:
            reply(request)

    project = Project(tmp_path)
    with web_server(answer) as port:
        sites = "".join(
            f"  s{number}:\n    url: http://127.0.0.1:{port}/{number}\n    timeout: 60s\n"
            "    endpoints: {/a: {status: 200}}\n"
            for number in range(SITES)
        )
        project.write("inventory.yml", f"project: shop\nsites:\n{sites}")
        ended = project.readygate("run")
    assert ended.code == 0, ended.stdout
    assert sorted(asked) == [f"/{number}/a" for number in range(SITES)]


def test_what_is_measured_or_sent_waits_for_its_turn() -> None:
    for declared in ({"within": "1s"}, {"samples": 2, "status": 200}, {"method": "POST", "status": 200}):
        assert site("http://shop.example", endpoints={"/a": declared}).endpoints["/a"].is_live
    assert not site("http://shop.example", endpoints={"/a": {"status": 200}}).endpoints["/a"].is_live


def test_no_fact_that_is_observed_ahead_needs_a_host() -> None:
    ahead = ahead_of()
    assert not [name for name in ahead if _needs_host(name, FACTS)]
    assert FACTS.keys() >= ahead


def test_two_threads_get_one_observation() -> None:
    begun = Barrier(2)
    looks: list[int] = []

    def observe() -> Any:
        looks.append(1)
        return object()

    facts = Facts({"thing": observe}, lambda leaf, name=None: None)
    leaf: Any = SimpleNamespace(trail=())
    got: list[Any] = []

    def ask() -> None:
        begun.wait(timeout=10)
        got.append(facts.get("thing", leaf))

    threads = [Thread(target=ask) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(looks) == 1
    assert got[0] is got[1]
