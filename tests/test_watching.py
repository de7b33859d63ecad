"""A steady watch, as after a switch of traffic: it looks again and again, and forgives as much as it is told to."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.projects import Ended, Project
from tests.web import Answer, reply, web_server


def watched(folder: Path, answer: Answer, *arguments: str) -> Ended:
    project = Project(folder)
    with web_server(answer) as port:
        sites = f'{{api: {{url: "http://127.0.0.1:{port}", endpoints: {{/health: {{status: 200}}}}}}}}'
        project.write("inventory.yml", f"project: watch\nsites: {sites}\n")
        return project.readygate("watch", *arguments)


def failing_at(*looks: int) -> Answer:
    """Answers 503 at these looks, counted from 1."""
    count = iter(range(1, 1000))

    def answer(request: BaseHTTPRequestHandler) -> None:
        reply(request, 503 if next(count) in looks else 200)

    return answer


def test_a_watch_without_a_failure_is_go(tmp_path: Path) -> None:
    ended = watched(tmp_path, failing_at(), "--for", "3s", "--every", "100ms")
    assert (ended.code, ended.word) == (0, "GO"), ended.stderr
    assert "look 2: GO; 0 of 2 no GO, 0 tolerated" in ended.stdout


def test_a_failure_that_is_tolerated_is_forgiven(tmp_path: Path) -> None:
    ended = watched(tmp_path, failing_at(1), "--for", "3s", "--every", "100ms", "--tolerate", "1")
    assert (ended.code, ended.word) == (0, "GO"), ended.stderr
    assert "look 1: NO-GO; 1 of 1 no GO, 1 tolerated" in ended.stdout


def test_one_failure_more_ends_the_watch_at_once_with_its_report(tmp_path: Path) -> None:
    ended = watched(tmp_path, failing_at(1, 2), "--for", "10m", "--every", "100ms", "--tolerate", "1")
    assert (ended.code, ended.word) == (1, "NO-GO"), ended.stderr
    assert ended.result("http.status")["actual"] == "503"
    assert (tmp_path / "readygate-out" / "report.html").exists()


@pytest.mark.parametrize("wrong", ["soon", "5"])
def test_a_time_that_is_none_is_a_usage_error(wrong: str, tmp_path: Path) -> None:
    assert watched(tmp_path, failing_at(), "--for", wrong).code == 2
