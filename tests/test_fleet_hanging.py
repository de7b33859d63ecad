"""A daemon that hangs costs one wait a server, however many checks ask it, and keeps nothing else from being seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

from readygate.areas.asking import ask, run
from readygate.errors import CouldNotLook
from readygate.fleet.ahead import run_ahead
from tests.fleet_hosts import this_machine
from tests.lab.host import Target
from tests.projects import Project

SERVICES = 8


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """This machine, with a systemctl that sleeps, and a docker that answers."""
    for name, does in {"systemctl": "sleep 60", "docker": "echo sound"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\necho >> {tmp_path}/{name}.called\n{does}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with this_machine() as ours:
        yield ours


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < seconds


def reason(look: Callable[[], Any]) -> CouldNotLook:
    with pytest.raises(CouldNotLook) as caught:
        look()
    return caught.value


def test_many_who_ask_ahead_wait_once_and_have_one_cause(host: Host, tmp_path: Path) -> None:
    bodies = [lambda n=n: ask(host, "app-1", f"systemctl show {n}", within=1) for n in range(SERVICES)]
    bodies.insert(2, lambda: ask(host, "app-1", "docker ps", within=1))
    with at_most(4):
        run_ahead([*bodies, lambda: ask(host, "app-1", "echo fine", within=1)])
    with at_most(1):
        errors = [reason(body) for number, body in enumerate(bodies) if number != 2]
        assert ask(host, "app-1", "echo fine", within=1).text == "fine\n"
        assert ask(host, "app-1", "docker ps", within=1).text == "sound\n"
    assert {error.cause for error in errors} == {"too slow:app-1:systemctl"}
    assert errors[-1].reason == "app-1 had no answer of systemctl within 1 s"
    assert (tmp_path / "systemctl.called").read_text().count("\n") <= 2  # one more may have begun before we hung up


def test_who_asks_later_hears_it_at_once(host: Host) -> None:
    first = reason(lambda: ask(host, "app-1", "systemctl show a", within=1))
    with at_most(0.5):
        for script in ("systemctl show b", "[ -d / ] && systemctl is-enabled c", "docker ps; systemctl --failed"):
            assert reason(lambda script=script: ask(host, "app-1", script, within=30)).cause == first.cause
        assert ask(host, "app-1", "cat /etc/systemctl 2>/dev/null; echo ./systemctl", within=9).text


def test_of_two_daemons_in_one_script_neither_is_blamed_alone(host: Host) -> None:
    both = "docker ps; systemctl show a"
    assert reason(lambda: ask(host, "app-1", both, within=1)).cause == "too slow:app-1:docker and systemctl"
    assert ask(host, "app-1", "docker ps", within=1).text == "sound\n"
    with at_most(0.5):
        reason(lambda: ask(host, "app-1", both, within=9))


def test_a_slow_command_of_the_users_own_blames_no_daemon(host: Host) -> None:
    reason(lambda: run(host, "app-1", "docker exec shop true; sleep 60", within=1))
    assert ask(host, "app-1", "docker ps", within=1).text == "sound\n"


def test_it_is_asked_again_after_a_while(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("readygate.fleet.hanging._AGAIN_AFTER_S", 0)
    reason(lambda: ask(host, "app-1", "systemctl show a", within=1))
    begun = time.monotonic()
    reason(lambda: ask(host, "app-1", "systemctl show b", within=1))
    assert time.monotonic() - begun >= 1


def test_a_server_whose_systemctl_hangs_costs_one_wait_and_is_one_reason(tmp_path: Path, fresh_host: Target) -> None:
    fresh_host.write("/usr/local/bin/systemctl", "#!/bin/sh\nexec sleep 1000\n")
    fresh_host.run("chmod +x /usr/local/bin/systemctl")
    project = Project(tmp_path)
    services = "".join(f"      unit-{number}: {{running: true, enabled: true}}\n" for number in range(SERVICES))
    project.write(
        "inventory.yml",
        f"project: hung\nservers:\n  app:\n    connect: {fresh_host.hostspec}\n"
        f"    files: {{/etc/passwd: {{exists: true}}}}\n    services:\n{services}",
    )
    with at_most(60):
        ended = project.readygate("run")
    assert ended.code == 3
    assert ended.result("file.exists")["outcome"] == "passed"
    blind = [each for each in ended.run["results"] if each["check"].startswith("service.")]
    assert len(blind) == 2 * SERVICES
    assert {(each["outcome"], each["cause"]) for each in blind} == {("error", "too slow:app:systemctl")}
