"""Bringing the system up: what serves, what returns, what fails; and nothing is left, however the run ended."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from readygate.errors import CouldNotLook
from readygate.inventory.model import Lifecycle
from readygate.lifecycle import SCRATCH, brought_up, provide
from tests.projects import Project


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """What a run brings along; the folder is made when it comes up."""
    return {SCRATCH: str(tmp_path / "scratch")}


def lifecycle(up: str, **more: object) -> Lifecycle:
    return Lifecycle.model_validate({"up": up, **more})


def alive(pid: int) -> bool:
    """Whether the process runs; one that nobody has waited for doesn't."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(condition: Callable[[], object], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(condition())


def pid_in(file: Path) -> int:
    return int(file.read_text())


# Up and down again.


def test_what_serves_is_stopped_with_its_children_and_the_scratch_folder_goes(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    serving = lifecycle("sleep 300 & echo $! > child; echo $$ > pid; wait", ready={"command": "test -s pid"})
    with brought_up(serving, tmp_path, variables):
        child, shell = pid_in(tmp_path / "child"), pid_in(tmp_path / "pid")
        assert alive(child) and alive(shell)
        assert Path(variables[SCRATCH]).stat().st_mode & 0o777 == 0o700
    assert not alive(child)
    assert not alive(shell)
    assert not Path(variables[SCRATCH]).exists()


def test_what_returns_is_up_when_it_has_returned(tmp_path: Path, variables: dict[str, str]) -> None:
    with brought_up(lifecycle("sleep 0.2; touch up", down="rm up; touch down"), tmp_path, variables):
        assert (tmp_path / "up").exists()
    assert not (tmp_path / "up").exists()
    assert (tmp_path / "down").exists()


def test_what_a_returning_up_left_running_is_stopped(tmp_path: Path, variables: dict[str, str]) -> None:
    with brought_up(lifecycle("sleep 300 & echo $! > child"), tmp_path, variables):
        child = pid_in(tmp_path / "child")
        assert alive(child)
    assert not alive(child)


def test_what_ignores_to_be_stopped_is_killed(tmp_path: Path, variables: dict[str, str]) -> None:
    stubborn = lifecycle("trap '' TERM; echo $$ > pid; while :; do sleep 1; done", ready={"command": "test -s pid"})
    with brought_up(stubborn, tmp_path, variables):
        pid = pid_in(tmp_path / "pid")
    assert not alive(pid)


def test_down_runs_when_the_block_fails(tmp_path: Path, variables: dict[str, str]) -> None:
    with pytest.raises(RuntimeError), brought_up(lifecycle("true", down="touch down"), tmp_path, variables):
        raise RuntimeError
    assert (tmp_path / "down").exists()


def test_the_commands_know_the_variables_and_our_python(tmp_path: Path, variables: dict[str, str]) -> None:
    shown = lifecycle(
        "python -c 'import sys; print(sys.executable)' > python; echo $SHOP_PORT > port", down="cp port seen"
    )
    with brought_up(shown, tmp_path, {**variables, "SHOP_PORT": "4443"}):
        # A wrapper of the interpreter's own may stand first in the path; its packages are what counts.
        assert Path((tmp_path / "python").read_text().strip()).parent == Path(sys.executable).parent
    assert (tmp_path / "seen").read_text() == "4443\n"


# Not up.


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"up": "echo no space left; exit 7"}, "`up` ended with exit status 7: no space left"),
        ({"up": "exit 7", "ready": {"command": "false"}}, "`up` ended with exit status 7"),
        ({"up": "sleep 300", "ready": {"command": "exit 4", "within": "300ms"}}, "kept ending with 4 within 0.3 s"),
        ({"up": "sleep 300", "ready": {"tcp": "127.0.0.1:1", "within": "300ms"}}, "127.0.0.1:1 did not accept"),
        (
            {"up": "sleep 300", "ready": {"url": "http://127.0.0.1:1/", "within": "300ms"}},
            "http://127.0.0.1:1/ did not",
        ),
        ({"up": "true", "ready": {"command": "false", "within": "300ms"}}, "kept ending with 1"),
        ({"up": "kill -9 $$"}, "`up` ended with exit status -9"),
    ],
)
def test_what_does_not_come_up_could_not_be_looked_at_and_is_cleaned_up(
    tmp_path: Path, variables: dict[str, str], made: dict[str, object], said: str
) -> None:
    broken = lifecycle(**made, down="touch down")  # type: ignore[arg-type]
    with pytest.raises(CouldNotLook) as error, brought_up(broken, tmp_path, variables):
        pytest.fail("it was taken for up")
    assert said in error.value.reason
    assert error.value.mend
    assert (tmp_path / "down").exists()
    assert not Path(variables[SCRATCH]).exists()


def test_a_scratch_folder_that_is_there_already_is_left_alone(tmp_path: Path, variables: dict[str, str]) -> None:
    theirs = Path(variables[SCRATCH], "theirs")
    theirs.mkdir(parents=True)
    with pytest.raises(CouldNotLook, match="can't be made"), brought_up(lifecycle("true"), tmp_path, variables):
        pytest.fail("it was taken for up")
    assert theirs.exists()


def test_all_that_is_asked_for_has_to_be_ready(tmp_path: Path, variables: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        tcp = f"127.0.0.1:{server.getsockname()[1]}"
        ready = {"tcp": tcp, "command": "test -e ready", "within": "300ms"}
        with (
            pytest.raises(CouldNotLook, match="`ready` command"),
            brought_up(lifecycle("true", ready=ready), tmp_path, variables),
        ):
            pass
        (tmp_path / "ready").touch()
        with brought_up(lifecycle("true", ready=ready), tmp_path, variables):
            pass


# Killed.


PROJECT = """\
project: shop
servers: {here: {connect: 'local://', files: {/: {exists: true}}}}
lifecycle:
  up: echo $READYGATE_SCRATCH > scratch; sleep 300 & echo $! > child; wait
  down: touch down
  ready: {command: test -s child}
"""

SLOW = """\
import pathlib, time, pytest

@pytest.mark.check("file.exists")
def test_slow(file):
    pathlib.Path("begun").touch()
    time.sleep(60)
    assert file
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_run_that_is_killed_leaves_no_process_and_no_folder(tmp_path: Path, number: signal.Signals) -> None:
    project = Project(tmp_path)
    project.write("inventory.yml", PROJECT)
    project.write("suites/test_zzz.py", SLOW)
    running = subprocess.Popen(
        [sys.executable, "-m", "readygate", "run"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert until(lambda: (tmp_path / "begun").exists() or running.poll() is not None)
    child, scratch = pid_in(tmp_path / "child"), Path((tmp_path / "scratch").read_text().strip())
    assert alive(child) and scratch.is_dir()
    running.send_signal(number)
    running.wait(20)
    assert running.returncode not in (0, 1)
    assert until(lambda: not alive(child))
    assert until(lambda: not scratch.exists())
    assert (tmp_path / "down").exists()
    stored = json.loads((tmp_path / "readygate-out" / "results.json").read_text())
    assert (stored["verdict"] or {"word": "none"})["word"] in ("none", "INCOMPLETE")


def test_workers_share_one_environment(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("inventory.yml", PROJECT.replace("echo $READY", "echo up >> ups; echo $READY"))
    ended = project.readygate("run", "--", "-n", "2")
    assert (ended.code, ended.word) == (0, "GO")
    assert (tmp_path / "ups").read_text() == "up\n"


# What a run brings along.


def test_ports_are_free_and_different() -> None:
    variables = provide(["ONE", "TWO", "THREE"], {})
    ports = {int(variables[name]) for name in ("ONE", "TWO", "THREE")}
    assert len(ports) == 3
    for port in ports:
        socket.create_server(("127.0.0.1", port)).close()


def test_ports_and_folders_of_the_environment_are_kept() -> None:
    assert provide(["ONE"], {"ONE": "4443", SCRATCH: "/tmp/kept"}) == {SCRATCH: "/tmp/kept"}


def test_two_runs_never_share_a_folder() -> None:
    assert provide([], {})[SCRATCH] != provide([], {})[SCRATCH]


def test_without_a_lifecycle_nothing_is_made(tmp_path: Path, variables: dict[str, str]) -> None:
    with brought_up(None, tmp_path, variables):
        assert not os.listdir(tmp_path)
