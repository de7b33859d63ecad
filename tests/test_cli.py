"""The command: every way to end has its exit code and one line that says why, and never a traceback."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from readygate.cli import _internal_error
from readygate.demo.faults import FAULTS
from readygate.errors import ExitCode
from readygate.redaction import REDACTOR
from tests.projects import Project

INVENTORY = (
    "project: shop\nservers: {{here: {{connect: 'local://', files: {{{folder}/file: {{exists: true, size: 1}}}}}}}}\n"
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    made.write("file", "x")
    made.write("inventory.yml", INVENTORY.format(folder=tmp_path))
    return made


@pytest.fixture
def at_a_terminal(project: Project) -> Callable[..., str]:
    """What a command prints at a terminal of so many columns."""

    def printed(columns: int, *arguments: str, **environ: str) -> str:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        command = [sys.executable, "-m", "readygate", *arguments]
        environ = {key: value for key, value in {**os.environ, **environ}.items() if key != "COLUMNS"}
        with subprocess.Popen(command, cwd=project.folder, stdout=theirs, stderr=theirs, env=environ):
            os.close(theirs)
            said = b""
            with contextlib.suppress(OSError):  # how Linux says that nobody holds the other end any more
                while data := os.read(ours, 4096):
                    said += data
        os.close(ours)
        return said.decode()

    return printed


# What each command ends in.


def test_go(project: Project) -> None:
    ended = project.readygate("run")
    assert (ended.code, ended.word) == (0, "GO")
    assert ended.stderr == ""
    assert "report: readygate-out/report.html" in ended.stdout


def test_no_go_and_a_stored_run_is_judged_the_same(project: Project) -> None:
    (project.folder / "file").unlink()
    assert project.readygate("run", "--out", "elsewhere").code == 1
    assert project.readygate("report", "elsewhere").code == 1
    assert project.readygate("report", "elsewhere/results.json", "--profile", "launch", "--language", "ru").code == 1


def test_incomplete(project: Project) -> None:
    project.write("inventory.yml", INVENTORY.format(folder="").replace("local://", "docker://no-such-container"))
    assert project.readygate("run").code == 3
    assert project.readygate("report").code == 3


def test_a_plan_names_each_expectation_with_its_line_and_who_verifies_it(project: Project) -> None:
    ended = project.readygate("plan")
    assert ended.code == 0
    heading, *rows = ended.stdout.splitlines()
    assert heading.split()[:3] == ["CHECK", "TARGET", "SEVERITY"]
    assert [row.split()[0] for row in rows] == ["file.exists", "file.size"]
    assert all("inventory.yml:2" in row and "suites/test_" in row for row in rows)
    as_json = json.loads(project.readygate("plan", "--json").stdout)
    assert [row["check"] for row in as_json] == ["file.exists", "file.size"]


def test_a_plan_has_what_the_release_does_not_ask_for(project: Project) -> None:
    left_out = "leave_out: [{check: file.size, reason: asked at night}]"
    project.write("reports/release.yml", f"question: May it?\n{left_out}\n")
    ended = project.readygate("plan", "--json")
    assert ended.code == 0
    assert all("suites/test_" in row["verified by"] for row in json.loads(ended.stdout))


def test_a_plan_with_a_hole_is_incomplete(project: Project) -> None:
    text = (project.folder / "inventory.yml").read_text()
    project.write("inventory.yml", text + "x-payments: {kaspi: true}\n")
    ended = project.readygate("plan")
    assert ended.code == 3
    assert "1 of 3 expectations have no suite" in ended.stdout
    assert not (project.folder / "readygate-out").exists()


def test_lint_counts_what_is_declared(project: Project) -> None:
    ended = project.readygate("lint")
    assert (ended.code, ended.stdout) == (0, "inventory.yml: 2 expectations, all well-formed\n")


def test_lint_names_the_environments_that_it_did_not_merge(project: Project) -> None:
    overlays = "environments: {staging: {project: s}, production: {project: p}}\n"
    project.write("inventory.yml", (project.folder / "inventory.yml").read_text() + overlays)
    assert "not merged, so not checked: staging, production" in project.readygate("lint").stdout
    assert "not merged, so not checked: production" in project.readygate("lint", "--env", "staging").stdout


def test_a_full_disk_is_no_bug_of_ours(project: Project) -> None:
    command = [sys.executable, "-m", "readygate.cli", "schema"]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(command, cwd=project.folder, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (ended.returncode, ended.stderr) == (
        2,
        "stdout can't be written to: no space left on device; send it elsewhere\n",
    )


def test_a_run_that_nobody_can_hear_is_drawn_all_the_same(project: Project) -> None:
    for stdout, code in (("> /dev/full", 2), ("2>&1 | true", 130)):
        ended = in_a_shell(project, "run", stdout)
        assert (ended, (project.folder / "readygate-out" / "report.html").exists()) == (code, True)
        run = json.loads((project.folder / "readygate-out" / "results.json").read_text())
        assert (run["state"], run["verdict"]["word"]) == ("finished", "GO")
        (project.folder / "readygate-out" / "report.html").unlink()


def test_streams_that_are_closed_change_nothing(project: Project) -> None:
    assert in_a_shell(project, "run", "<&-") == 0
    (project.folder / "file").unlink()
    assert in_a_shell(project, "run", "<&- >&- 2>&-") == 1
    assert in_a_shell(project, "lint --env nowhere", "<&- >&- 2>&-") == 2


def in_a_shell(project: Project, arguments: str, streams: str) -> int:
    """The exit code of the command with its streams redirected like that."""
    line = f"{{ {sys.executable} -m readygate {arguments} {streams.partition('|')[0]}; echo $? >code; }}"
    piped = f"{line} | {streams.partition('|')[2]}" if "|" in streams else line
    done = subprocess.run(["sh", "-c", piped], cwd=project.folder, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stdout + done.stderr
    assert "INTERNALERROR" not in done.stdout + done.stderr
    return int((project.folder / "code").read_text())


def test_a_terminal_is_filled_and_coloured_as_it_wants(project: Project, at_a_terminal: Callable[..., str]) -> None:
    project.readygate("run")
    assert "\x1b[1;32mGO\x1b[0m" in at_a_terminal(80, "report")
    assert "\x1b" not in at_a_terminal(80, "report", NO_COLOR="1")
    unknown = at_a_terminal(0, "report", NO_COLOR="1")  # as in many a CI
    assert "Release: all that was asked for is met, 2 verified." in unknown


def test_a_folder_that_is_gone_and_links_that_lead_nowhere_are_told(project: Project) -> None:
    line = f"mkdir gone; cd gone; rmdir ../gone; exec {sys.executable} -m readygate run"
    gone = subprocess.run(["sh", "-c", line], cwd=project.folder, capture_output=True, text=True, timeout=60)
    assert (gone.returncode, gone.stderr.partition(",")[0]) == (2, "the current folder is gone")
    (project.folder / "circle.yml").symlink_to("circle.yml")
    for command in ("run", "lint", "plan"):
        ended = project.readygate(command, "--inventory", "circle.yml")
        assert ended.code == 2
        assert ended.stderr.startswith("circle.yml: can't be read: Too many levels of symbolic links; ")


def test_a_name_that_is_not_utf8_and_a_locale_without_letters_stop_nothing(project: Project) -> None:
    name = os.fsdecode(b"inventory-\xff.yml")
    (project.folder / "inventory.yml").rename(project.folder / name)
    ended = project.readygate("run", "--inventory", name)
    assert (ended.code, ended.result("file.size")["file"]) == (0, "inventory-\\xff.yml")
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    said = ("--reason=потом", "--owner=Зоя", "--for=3d", f"--inventory={name}")
    assert project.readygate("waive", "file.*", *said, **ascii_only).code == 0
    assert 'owner: "Зоя"' in (project.folder / "waivers.yml").read_text()
    refused = project.readygate("waive", os.fsdecode(b"\xff"), *said)
    assert (refused.code, refused.stderr) == (2, "'\\udcff' is not UTF-8; write it in that\n")


def test_what_a_terminal_can_not_show_is_written_another_way(project: Project) -> None:
    project.write("inventory.yml", (project.folder / "inventory.yml").read_text().replace("shop", "магазин — é"))
    for environ in ({"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}):
        ended = project.readygate("run", **environ)
        assert (ended.code, ended.word, ended.stderr) == (0, "GO", "")
        assert "GO" in ended.stdout


@pytest.mark.parametrize("command", ["run", "plan", "lint"])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--inventory", "missing.yml"], "missing.yml: does not exist; run `readygate init` to write one, or name"),
        (["--inventory", "."], ".: is a directory; name the inventory file in it"),
        (
            ["--env", "nowhere"],
            "inventory.yml environments: no environment is called 'nowhere'; add it, or leave out",
        ),
    ],
)
def test_an_inventory_that_can_not_be_used_is_one_line(
    project: Project, command: str, arguments: list[str], said: str
) -> None:
    ended = project.readygate(command, *arguments)
    assert (ended.code, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith(said)
    assert not (project.folder / "readygate-out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "releese"], "no report profile is called 'releese'; did you mean 'release'?"),
        (["report", "nowhere"], "nowhere: no such file or directory; run `readygate run` first"),
        (["plan", "--", "-k", "x"], "only `readygate run` takes arguments for pytest after --"),
        (["demo", "--break", "stale-backupp"], "no fault is called 'stale-backupp'; did you mean 'stale-backup'?"),
        (["run", "--out", ""], "readygate run: error: argument --out: is empty; name a folder"),
        (["run", "--", "--profile=nightly"], "after -- --profile would not be heard; write `readygate run PROFILE`"),
        (["run", "--", "--env", "x"], "after -- --env would not be heard; write --env before the --"),
        (["watch", "--tolerate=-1"], "argument --tolerate: '-1' is not a number; write e.g. 3"),
        (["attest", "a", "--by=me", "--evidence=x", "--inventory=/proc/version"], "/proc/attestations.yml: can't be"),
        (["report", "--root", "shp"], "argument --root: 'shp' is no folder; name the one that the inventory is in"),
        (["merge", "--root", "", "x"], "argument --root: is empty; name a folder"),
        (["run", "--shard", ""], "'' is not a shard; write e.g. 3/8"),
        (["run", "--out", "file"], "file: can't be written to: file exists; name another folder"),
        (["init", "file"], "file/inventory.yml: can't be written: "),
        (["run", "--", "--collect-only"], "pytest ran nothing, so nothing was judged; "),
        (["run", "--", "--no-such-option"], "unrecognized arguments: --no-such-option"),
        (["run", "--no-such-option"], "readygate: error: unrecognized arguments: --no-such-option"),
        (["rnu"], "readygate: error: argument COMMAND: invalid choice: 'rnu'"),
        ([], "readygate: error: the following arguments are required: COMMAND"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(project: Project, arguments: list[str], said: str) -> None:
    ended = project.readygate(*arguments)
    assert ended.code == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert not (project.folder / "readygate-out").exists()


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        (
            "question: May it?\nblock_on: [blocker]\n",
            ":2:1 block_on: unknown key 'block_on'; did you mean 'blocks_on'?",
        ),
        ("blocks_on: [blocker]\n", ":1:1 question: 'question' is missing; add it: "),
        ("question: May it?\nblocks_on: [high]\n", ":2:13 blocks_on[0]: 'high' is not known here; write 'blocker', "),
        ("question: [\n", ":1:"),
        ("", "is empty"),
    ],
)
def test_a_broken_profile_is_told_with_its_line(project: Project, profile: str, said: str) -> None:
    project.write("reports/ours.yml", profile)
    ended = project.readygate("run", "ours")
    assert ended.code == 2
    assert "reports/ours.yml" in ended.stderr
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a results file"),
        ("{", "not a results file"),
        ("[]", "schema version None"),
        ('{"schema_version": 99}', "schema version 99; this Readygate reads 1"),
        ('{"schema_version": 1, "run_id": 7}', "run_id: "),
    ],
)
def test_a_results_file_that_can_not_be_read_is_one_line(project: Project, text: str, said: str) -> None:
    project.write("readygate-out/results.json", text)
    ended = project.readygate("report")
    assert (ended.code, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("readygate-out/results.json: ")
    assert said in line


# Ending early.


def serving(project: Project) -> Path:
    """An environment that serves, and a suite that takes its time; returns where `down` leaves a note."""
    text = (project.folder / "inventory.yml").read_text()
    project.write(
        "inventory.yml",
        text + "x-slow: {thing: 1}\nlifecycle: {up: echo $READYGATE_SCRATCH > scratch; "
        "exec sleep 300, down: touch down, ready: {command: test -s scratch}}\n",
    )
    project.write(
        "suites/test_zzz.py",
        """
        import pathlib, time, pytest

        @pytest.mark.check("slow.thing", each="x-slow.thing")
        def test_slow(expected):
            pathlib.Path("begun").touch()
            time.sleep(60)
            assert expected
        """,
    )
    return project.folder / "down"


def begun(project: Project, *arguments: str, command: str = "readygate run") -> subprocess.Popen[str]:
    running = subprocess.Popen(
        [sys.executable, "-m", *command.split(), *arguments],
        cwd=project.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 30
    while not (project.folder / "begun").exists() and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return running


def test_ctrl_c_keeps_what_was_seen_cleans_up_and_is_never_go(project: Project) -> None:
    down = serving(project)
    running = begun(project)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does it, to all in the foreground
    _, complaint = running.communicate(timeout=20)
    assert running.returncode == 130
    assert "Traceback" not in complaint
    assert down.exists()
    assert not Path((project.folder / "scratch").read_text().strip()).exists()
    run = json.loads((project.folder / "readygate-out" / "results.json").read_text())
    assert (run["state"], run["verdict"]["word"]) == ("interrupted", "INCOMPLETE")
    assert {each["check"]: each["outcome"] for each in run["results"]}["file.size"] == "passed"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("how", [[], ["--wait", "5m"]])
def test_being_told_to_end_is_the_same_as_ctrl_c(project: Project, number: int, how: list[str]) -> None:
    down = serving(project)
    running = begun(project, *how)
    running.send_signal(number)
    running.send_signal(number)  # as `timeout` does
    said, complaint = running.communicate(timeout=20)
    assert (running.returncode, complaint) == (130, "")
    assert "was interrupted" in said
    assert down.exists()
    assert not Path((project.folder / "scratch").read_text().strip()).exists()
    assert (project.folder / "readygate-out" / "report.html").exists()
    run = json.loads((project.folder / "readygate-out" / "results.json").read_text())
    assert (run["state"], run["verdict"]["word"]) == ("interrupted", "INCOMPLETE")
    assert {each["check"]: each["outcome"] for each in run["results"]}["file.size"] == "passed"
    with pytest.raises(ProcessLookupError):
        os.killpg(running.pid, 0)  # nothing of it is left


def test_a_rollback_that_is_interrupted_ends_in_its_own_way(project: Project) -> None:
    (project.folder / "file").unlink()
    slow = "trap 'sleep 0.5; touch ended; exit' TERM; touch begun; sleep 60 & wait"
    project.write("reports/release.yml", f'question: May it?\non_no_go: "{slow}"\n')
    running = begun(project)
    running.terminate()
    running.communicate(timeout=20)
    assert running.returncode == 130
    assert (project.folder / "ended").exists()


def test_a_command_that_finds_a_secret_does_not_outlive_the_run(project: Project) -> None:
    secret = "x-secret: {value: '${command:echo $$ >begun; sleep 60; echo secret}'}\n"
    project.write("inventory.yml", (project.folder / "inventory.yml").read_text() + secret)
    running = begun(project)
    time.sleep(0.2)
    running.terminate()
    running.communicate(timeout=20)
    assert running.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int((project.folder / "begun").read_text()), 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_plain_pytest_that_is_told_to_end_leaves_what_was_seen(project: Project, number: int) -> None:
    down = serving(project)
    project.write("suites/test_own.py", "def test_own():\n    pass\n")
    running = begun(project, command="pytest")
    running.send_signal(number)
    said, _ = running.communicate(timeout=20)
    assert running.returncode == pytest.ExitCode.INTERRUPTED
    assert "was interrupted" in said
    assert down.exists()
    run = json.loads((project.folder / "readygate-out" / "results.json").read_text())
    assert (run["state"], run["verdict"]["word"]) == ("interrupted", "INCOMPLETE")
    assert {each["check"]: each["outcome"] for each in run["results"]}["own.own"] == "passed"


def ends_with(project: Project, statement: str, file: str = "suites/test_own.py") -> None:
    """A suite of the user's own that ends the process which it runs in, or a conftest.py that does."""
    project.write("suites/test_own.py", "def test_own():\n    pass\n")
    own = f"def test_own():\n    {statement}\n" if file.startswith("suites") else f"{statement}\n"
    project.write(file, f"import atexit, os, sys\n{own}")


@pytest.mark.parametrize("how", [["run"], ["run", "--wait", "1s"], ["watch", "--for", "1s"]], ids=" ".join)
@pytest.mark.parametrize(
    ("statement", "file"),
    [
        ("os._exit(0)", "suites/test_own.py"),
        ("os.execv('/bin/true', ['true'])", "suites/test_own.py"),
        ("sys.exit(0)", "conftest.py"),
    ],
)
def test_a_run_that_is_ended_from_within_is_incomplete(
    project: Project, how: list[str], statement: str, file: str
) -> None:
    ends_with(project, statement, file)
    ended = project.readygate(*how)
    assert ended.code == ExitCode.INCOMPLETE
    assert "the run was ended from within before its end" in ended.stderr


def test_what_is_left_to_do_at_exit_does_not_change_the_answer(project: Project) -> None:
    ends_with(project, "atexit.register(os._exit, 0); assert False")
    assert project.readygate("run").code == ExitCode.NO_GO
    ends_with(project, "atexit.register(os._exit, 9)")
    assert project.readygate("run").code == 9


def test_a_thread_that_a_suite_leaves_behind_does_not_keep_the_answer_from_being_given(project: Project) -> None:
    ends_with(project, "__import__('threading').Thread(target=__import__('time').sleep, args=[300]).start()")
    assert project.readygate("run", "--", "-k", "own").code == ExitCode.INCOMPLETE


def test_a_process_that_a_test_left_behind_neither_answers_nor_keeps_the_run_waiting(project: Project) -> None:
    ends_with(project, "os.fork() or __import__('time').sleep(60); os._exit(0)")
    command = [sys.executable, "-m", "readygate", "run"]
    ended = subprocess.run(command, cwd=project.folder, stdout=subprocess.DEVNULL, timeout=40, check=False)
    assert ended.returncode == ExitCode.INCOMPLETE


def test_a_second_run_into_the_same_folder_is_refused_and_spoils_nothing(project: Project) -> None:
    serving(project)
    running = begun(project)
    second, drawn = project.readygate("run"), project.readygate("report")
    elsewhere = project.readygate("run", "--out", "elsewhere", "--", "-k", "not slow")
    running.kill()
    running.communicate(timeout=20)
    assert (second.code, drawn.code, elsewhere.code) == (2, 2, 3)
    said = "another run is writing there; wait for its end, or name another folder"
    assert said in second.stderr + second.stdout
    assert said in drawn.stderr
    drawn = project.readygate("report")  # as soon as it has ended, however that was
    assert (drawn.code, drawn.run["state"]) == (3, "running")


def test_an_output_that_can_not_be_replaced_is_told_as_what_it_is(project: Project) -> None:
    project.readygate("run")
    page = project.folder / "readygate-out" / "report.html"
    page.unlink()
    page.mkdir()
    ended = project.readygate("report")
    assert ended.code == 2
    assert "report.html: can't be written to: is a directory; name another folder" in ended.stderr


def test_a_full_disk_is_told_as_what_it_is_and_is_no_go(project: Project) -> None:
    (project.folder / "file").write_text("x")
    done = subprocess.run(
        ["bash", "-c", f"ulimit -f 12; exec {sys.executable} -m readygate run"],
        cwd=project.folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == ExitCode.USAGE
    assert "no space is left to write" in done.stderr
    assert "a bug of ours" not in done.stderr


@pytest.mark.parametrize("command", ["plan", "run", "schema", "lint"])
def test_a_reader_that_goes_away_is_no_traceback_and_no_go(project: Project, command: str) -> None:
    (project.folder / "file").unlink()
    done = subprocess.run(
        ["sh", "-c", f"{{ {sys.executable} -m readygate {command}; echo $? >code; }} | true"],
        cwd=project.folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert int((project.folder / "code").read_text()) != ExitCode.GO


def test_a_bug_of_ours_is_one_line_and_a_log_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    REDACTOR.add("canary-of-the-log", "PAY_TOKEN")
    code = _internal_error("Traceback (most recent call last):\nRuntimeError: no canary-of-the-log")
    said = capsys.readouterr().err
    assert code == ExitCode.INTERNAL
    assert "readygate: internal error, a bug of ours: RuntimeError: no [redacted PAY_TOKEN]" in said
    (log,) = re.findall(r"the details are in (\S+);", said)
    text = Path(log).read_text()
    Path(log).unlink()
    assert "Traceback" in text
    assert "canary-of-the-log" not in text


# The demo.


@pytest.mark.parametrize("fault", ["empty-table", "empty-backup", "truncated-database-backup", "failing-health"])
def test_a_planted_fault_is_seen_by_the_checks_that_the_list_names(fault: str, tmp_path: Path) -> None:
    ended = Project(tmp_path).readygate("demo", "--break", fault)
    assert ended.code == 1
    failed = {each["check"] for each in ended.run["results"] if each["outcome"] != "passed"}
    assert failed == set(FAULTS[fault].caught_by)


def test_a_demo_that_does_not_start_says_why_and_what_to_do(tmp_path: Path) -> None:
    ended = Project(tmp_path).readygate("demo", "--break", "dead-service")
    assert ended.code == 3
    (problem,) = ended.run["problems"]
    assert "the shop cannot start: server.key is missing; run the `lifecycle.up` command by hand" in problem


# At once.


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"]])
def test_help_answers_at_once(arguments: list[str]) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "readygate", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "readygate" in imported
    assert not imported & {"pydantic", "pytest", "yaml", "testinfra", "requests", "locust", "gevent", "matplotlib"}


# Starting.


def test_init_writes_what_is_missing_and_never_overwrites(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("reports/release.yml", "question: Ours?\n")
    ended = project.readygate("init")
    assert ended.code == 0
    assert "kept     reports/release.yml" in ended.stdout
    assert (tmp_path / "reports" / "release.yml").read_text() == "question: Ours?\n"
    for name in ("inventory.yml", "suites/test_tls.py", "reports/nightly.yml", "templates/report.html.j2"):
        assert (tmp_path / name).is_file()
    assert (tmp_path / ".gitignore").read_text() == "readygate-out/\n"
    assert not list((tmp_path / "load").glob("*.py")), "these are about other people's systems"
    assert "written" not in project.readygate("init").stdout


def test_init_diff_shows_what_has_moved_and_nothing_else(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.readygate("init")
    assert project.readygate("init", "--diff").stdout == ""
    project.write("reports/release.yml", "question: Ours?\n")
    diff = project.readygate("init", "--diff").stdout
    assert diff.startswith("--- yours/reports/release.yml\n+++ shipped/reports/release.yml\n")
    assert "-question: Ours?" in diff


def test_what_init_writes_is_go(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.readygate("init")
    ended = project.readygate("run")
    assert (ended.code, ended.word) == (0, "GO"), ended.stdout
