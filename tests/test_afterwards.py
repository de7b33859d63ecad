"""What follows a verdict: hooks, copies, notices and waiting; told in the end, and without a say in the verdict."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from readygate.notifying import message, notify
from readygate.policy import Policy
from readygate.profile import Profile
from tests.projects import Ended, Project
from tests.reporting_runs import GO, NO_GO, hostile

NEEDS_APPRISE = pytest.mark.skipif(find_spec("apprise") is None, reason="Apprise is not installed")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    made.write("secret.env", "KEY=value\n").chmod(0o600)
    made.write(
        "inventory.yml",
        f"""\
        project: shop
        release: {{version: 1.4.2}}
        servers: {{here: {{connect: local://, files: {{{tmp_path}/secret.env: {{mode: "0600", type: file}}}}}}}}
        """,
    )
    return made


def profile(project: Project, *lines: str) -> None:
    text = "\n".join(("question: May it?", "blocks_on: [blocker, major, minor]", *lines))
    project.write("reports/release.yml", text + "\n")


def spoil(project: Project) -> None:
    (project.folder / "secret.env").chmod(0o644)


def deeds(ended: Ended) -> dict[str, tuple[bool, str]]:
    data = json.loads((ended.folder / "readygate-out" / "afterwards.json").read_text())
    return {each["what"]: (each["is_done"], each["said"]) for each in data}


HOOKS = (
    'on_go: echo "$READYGATE_WORD $READYGATE_VERSION" > went; echo switched',
    "on_no_go: echo $READYGATE_WORD > went-back; echo rolled back",
)


def test_the_hook_of_a_go_runs_and_is_told(project: Project) -> None:
    profile(project, *HOOKS)
    ended = project.readygate("run")
    assert ended.code == 0
    assert (project.folder / "went").read_text() == "GO 1.4.2\n"
    assert deeds(ended) == {"on_go": (True, "exit code 0: switched")}
    assert "on_go: exit code 0: switched" in ended.stdout
    assert not (project.folder / "went-back").exists()


def test_the_hook_of_a_no_go_runs_and_changes_nothing(project: Project) -> None:
    profile(project, *HOOKS)
    spoil(project)
    ended = project.readygate("run")
    assert (ended.code, ended.word) == (1, "NO-GO")
    assert deeds(ended) == {"on_no_go": (True, "exit code 0: rolled back")}


def test_what_is_not_proven_rolls_nothing_back(project: Project) -> None:
    profile(project, *HOOKS)
    ended = project.readygate("run", "--", "-k", "no_such_test")
    assert ended.word == "INCOMPLETE"
    assert not {"went", "went-back"} & {each.name for each in project.folder.iterdir()}


def test_a_shard_calls_no_hook(project: Project) -> None:
    profile(project, *HOOKS)
    spoil(project)
    assert project.readygate("run", "--shard", "1/2").word == "NO-GO"
    assert not (project.folder / "went-back").exists()


def test_a_report_that_is_drawn_again_calls_no_hook(project: Project) -> None:
    project.readygate("run")
    profile(project, *HOOKS)
    assert project.readygate("report").code == 0
    assert not (project.folder / "went").exists()


@pytest.mark.parametrize(
    ("command", "said"),
    [("echo no; exit 3", "exit code 3: no"), ("sleep 60", "stopped after 1s"), ("sleep 60 & sleep 60", "stopped")],
)
def test_a_hook_that_fails_is_told_and_changes_nothing(project: Project, command: str, said: str) -> None:
    profile(project, f"on_go: {command}", "hook_limit: 1s")
    ended = project.readygate("run")
    assert (ended.code, ended.word) == (0, "GO")
    is_done, told = deeds(ended)["on_go"]
    assert (is_done, told.startswith(said)) == (False, True)
    assert "on_go: FAILED" in ended.stdout


def test_what_a_hook_prints_is_redacted(project: Project) -> None:
    text = (project.folder / "inventory.yml").read_text()
    project.write("inventory.yml", text + "x-token: {value: '${PAY_TOKEN}'}\n")
    project.write(
        "suites/test_pay.py",
        """\
        import pytest

        @pytest.mark.check("pay.token", each="x-token")
        def test_token(expected):
            assert expected
        """,
    )
    profile(project, "on_go: echo it is $PAY_TOKEN")
    ended = project.readygate("run", PAY_TOKEN="canary-4f1c-hunter2")
    assert deeds(ended)["on_go"] == (True, "exit code 0: it is [redacted PAY_TOKEN]")
    assert "canary" not in ended.everything_written()


def test_an_output_is_copied_to_where_it_is_collected(project: Project) -> None:
    profile(project, "outputs: {readygate.prom: collected/readygate.prom, in-toto.json: statement.json}")
    ended = project.readygate("run")
    assert 'word="GO"} 1' in (project.folder / "collected" / "readygate.prom").read_text()
    assert deeds(ended)["copy readygate.prom"] == (True, "written to collected/readygate.prom")
    assert deeds(ended)["copy in-toto.json"][0] is False  # there is no commit and no image to state it about
    assert ended.code == 0


def test_an_output_that_there_is_not_is_a_mistake_of_the_profile(project: Project) -> None:
    profile(project, "outputs: {readygate.pron: somewhere}")
    ended = project.readygate("run")
    assert ended.code == 2
    assert "release.yml:3" in ended.stderr


@pytest.mark.parametrize(
    "line",
    [
        "minimum_met: 0%",
        "minimum_met: most",
        "valid_for: a while",
        "waivers: {longest: 0d}",
        "history: {keep: long}",
        "notify: [{to: https://hooks.example/secret}]",
        "blocks_on_new: [terrible]",
        "waivers: {needs: [blessing]}",
        "on_nogo: echo",
    ],
)
def test_a_mistake_in_a_profile_is_named_with_its_line(project: Project, line: str) -> None:
    profile(project, line)
    ended = project.readygate("run")
    assert ended.code == 2
    assert "release.yml:3" in ended.stderr


@pytest.mark.parametrize("severities", ["[major]", "[minor, info]"])
def test_a_profile_that_would_release_a_failed_blocker_is_refused(project: Project, severities: str) -> None:
    project.write("reports/release.yml", f"question: May it?\nblocks_on: {severities}\n")
    ended = project.readygate("run")
    assert ended.code == 2
    assert "release.yml:2" in ended.stderr
    assert "would release what failed as a blocker; write at least [blocker]" in ended.stderr


def test_the_shipped_profiles_can_be_used() -> None:
    for name in ("release", "nightly", "launch"):
        assert Policy(Path(__file__).parent.parent).profile(name).valid_for >= 3600


def test_a_run_that_waits_ends_with_the_first_go(project: Project) -> None:
    spoil(project)
    command = [sys.executable, "-m", "readygate", "run", "--wait", "60s"]
    running = subprocess.Popen(command, cwd=project.folder, stdout=subprocess.PIPE, text=True)
    for line in running.stdout or ():
        if line.startswith("looking again"):
            (project.folder / "secret.env").chmod(0o600)
    assert running.wait() == 0
    assert len(list((project.folder / ".readygate" / "history").iterdir())) == 1


def test_a_run_that_waits_in_vain_ends_as_it_is(project: Project) -> None:
    spoil(project)
    ended = project.readygate("run", "--wait", "1s")
    assert "looking again" in ended.stdout
    assert (ended.code, ended.word) == (1, "NO-GO")


def test_a_wait_without_a_unit_is_a_usage_error(project: Project) -> None:
    assert project.readygate("run", "--wait", "5").code == 2


def test_on_github_the_annotations_are_printed(project: Project) -> None:
    spoil(project)
    assert "::error file=inventory.yml,line=3," in project.readygate("run", GITHUB_ACTIONS="true").stdout
    assert "::error" not in project.readygate("run", GITHUB_ACTIONS="").stdout


# Notices


def told(variable: str = "TELL", on: str = "change") -> Profile:
    return Profile.model_validate({"question": "May it?", "notify": [{"to": variable, "on": on}]})


def test_a_notice_without_its_variable_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TELL", raising=False)
    assert list(notify(*NO_GO, told(), None)) == [("notify TELL", False, "the environment variable TELL is not set")]


def test_a_message_has_the_word_the_worst_and_who_owns_it() -> None:
    title, text = message(*NO_GO)
    assert title == "NO-GO: shop 1.42.0 production"
    assert "tls.renew_before @ api: the certificate ends in 9 days and must have 14 left (web)" in text


def test_a_message_is_short_and_one_line_a_reason() -> None:
    title, text = message(*hostile())
    assert len(text) < 2000
    assert "\x1b" not in title + text
    assert "\n" not in title


class Inbox(BaseHTTPRequestHandler):
    received: list[dict[str, Any]]
    status = 200

    def do_POST(self) -> None:
        self.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def inbox() -> Iterator[tuple[type[Inbox], str]]:
    """A web hook that keeps what it is sent, and its Apprise URL."""
    kind = type("OwnInbox", (Inbox,), {"received": []})
    with HTTPServer(("127.0.0.1", 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield kind, f"json://127.0.0.1:{server.server_port}/canary-hook"
        server.shutdown()
        thread.join()


@NEEDS_APPRISE
def test_people_are_told_once_per_change(project: Project, inbox: tuple[type[Inbox], str]) -> None:
    kind, url = inbox
    profile(project, "notify: [{to: TELL}]")
    project.readygate("run", TELL=url)
    project.readygate("run", TELL=url)
    spoil(project)
    ended = project.readygate("run", TELL=url)
    assert deeds(ended)["notify TELL"] == (True, "delivered")
    assert "canary-hook" not in ended.everything_written()
    project.readygate("run", TELL=url)
    assert [each["title"] for each in kind.received] == ["GO: shop 1.4.2", "NO-GO: shop 1.4.2"]


@NEEDS_APPRISE
def test_a_notice_may_be_wanted_for_every_run(project: Project, inbox: tuple[type[Inbox], str]) -> None:
    profile(project, "notify: [{to: TELL, on: every run}]")
    project.readygate("run", TELL=inbox[1])
    project.readygate("run", TELL=inbox[1])
    assert len(inbox[0].received) == 2


@NEEDS_APPRISE
def test_a_notice_that_is_not_accepted_is_told_and_changes_nothing(
    project: Project, inbox: tuple[type[Inbox], str]
) -> None:
    inbox[0].status = 500
    profile(project, "notify: [{to: TELL}]")
    ended = project.readygate("run", TELL=inbox[1])
    assert (ended.code, ended.word) == (0, "GO")
    assert deeds(ended)["notify TELL"] == (False, "it was not accepted there")
    assert "notify TELL: FAILED" in ended.stdout


@NEEDS_APPRISE
def test_a_messenger_that_never_ends_its_answer_is_left_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("readygate.notifying._LIMIT_S", 2)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                while True:
                    connection.sendall(b"x")
                    time.sleep(0.2)

        threading.Thread(target=drip, daemon=True).start()
        monkeypatch.setenv("TELL", f"json://127.0.0.1:{server.getsockname()[1]}/canary-drip")
        assert list(notify(*GO, told(), None)) == [("notify TELL", False, "no answer from there in 2s")]


@pytest.mark.skipif(find_spec("apprise") is not None, reason="Apprise is installed")
def test_without_apprise_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELL", "json://127.0.0.1:9/hook")
    ((_, is_done, said),) = notify(*GO, told(), None)
    assert (is_done, said) == (False, "Apprise is not installed; pip install 'readygate[notify]'")
