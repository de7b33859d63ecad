"""What a persistent shell has to survive, on real local shells."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from readygate.errors import CouldNotLook
from readygate.fleet.connect import LOGIN_SHELL, Transport
from readygate.fleet.frames import Frames
from readygate.fleet.hub import Hub
from readygate.fleet.question import Answer
from readygate.fleet.shell import Shell

SHELLS = [["/bin/sh"], ["bash", "--norc"], ["busybox", "sh"]]


class Asker:
    """A shell and its loop, asked the way that the backend asks."""

    def __init__(self, argv: list[str], *, hub: Hub | None = None, **options: float) -> None:
        self.hub = hub or Hub()
        environment = {"SHELL": argv[0]}
        transport = Transport("here", tuple(argv), environment=environment)
        self.shell = Shell(transport, self.hub, **options)

    def all(self, *commands: str) -> list[Answer | CouldNotLook]:
        questions = [self.shell.ask(command) for command in commands]
        outcomes: list[Answer | CouldNotLook] = []
        for question in questions:
            self.hub.wait(question)
            try:
                outcomes.append(question.answer)
            except CouldNotLook as error:
                outcomes.append(error)
        return outcomes

    def __call__(self, command: str) -> Answer:
        (outcome,) = self.all(command)
        if isinstance(outcome, CouldNotLook):
            raise outcome
        return outcome


@pytest.fixture(params=SHELLS, ids=lambda argv: os.path.basename(argv[0]))
def ask(request: pytest.FixtureRequest) -> Iterator[Asker]:
    if not shutil.which(request.param[0]):
        pytest.skip(f"{request.param[0]} is not installed")
    asker = Asker(request.param)
    yield asker
    asker.hub.close()


@pytest.fixture
def impatient() -> Iterator[Asker]:
    asker = Asker(["/bin/sh"], command_timeout=1.0)
    yield asker
    asker.hub.close()


def is_running(*marks: str) -> bool:
    """Whether a process with one of these arguments stays alive; one just killed is listed for a moment yet."""
    for _ in range(20):
        listed = subprocess.run(["ps", "axww", "-o", "stat=,args="], capture_output=True, text=True, check=True)
        lines = [line.split(None, 1) for line in listed.stdout.splitlines()]
        if not any(len(line) == 2 and line[0][0] != "Z" and line[1].startswith(marks) for line in lines):
            return False
        time.sleep(0.1)
    return True


def test_exit_code_stdout_and_stderr_come_back_apart(ask: Asker) -> None:
    answer = ask("echo out; echo err >&2; exit 7")
    assert (answer.rc, answer.stdout, answer.stderr) == (7, b"out\n", b"err\n")


def test_output_without_final_newline_stays_without(ask: Asker) -> None:
    assert ask("printf abc; printf def >&2").stdout == b"abc"
    assert ask("true").stdout == b""


@pytest.mark.parametrize("command", ["echo 'open", 'echo "open', "( echo", "} ; done ; esac", "echo `", "case"])
def test_syntax_error_fails_only_its_own_command(ask: Asker, command: str) -> None:
    broken, next_one = ask.all(command, "echo next")
    assert isinstance(broken, Answer)
    assert broken.rc != 0
    assert isinstance(next_one, Answer)
    assert next_one.stdout == b"next\n"


@pytest.mark.parametrize(
    ("command", "stdout"),
    [
        ("cat <<X\nline $((1+1))\nX", b"line 2\n"),
        ("cat <<X\nline $((1+1))\nX\n", b"line 2\n"),
        ("echo a # comment", b"a\n"),
        ("echo 'it'\"'\"'s'", b"it's\n"),
        ("echo a;\necho b", b"a\nb\n"),
        ("echo é日本", "é日本\n".encode()),
    ],
)
def test_awkward_but_sound_commands_work(ask: Asker, command: str, stdout: bytes) -> None:
    assert ask(command) == Answer(0, stdout, b"", pytest.approx(0, abs=60))


@pytest.mark.parametrize(
    ("command", "probe", "stdout"),
    [
        ("exit 3", "echo here", b"here\n"),
        ("exec false", "echo here", b"here\n"),
        ("exec >&- 2>&-", "echo here", b"here\n"),
        ("set -eu; false", "false; echo here$unset", b"here\n"),
        ("cd /usr", "[ $PWD = /usr ] || echo elsewhere", b"elsewhere\n"),
        ("LEAK=1; export LEAK", "echo [$LEAK]", b"[]\n"),
        ("umask 0123", "[ $(umask) = 0123 ] || echo own", b"own\n"),
        ("trap 'echo leaked' EXIT TERM", "true", b""),
        ("echo() { printf leaked; }", "echo here", b"here\n"),
        ("alias echo=false", "echo here", b"here\n"),
        ("exec 0<&-", "cat; echo here", b"here\n"),
    ],
)
def test_nothing_leaks_into_the_next_command(ask: Asker, command: str, probe: str, stdout: bytes) -> None:
    _, answer = ask.all(command, probe)
    assert isinstance(answer, Answer)
    assert answer.stdout == stdout


def test_exit_trap_runs_in_its_own_command(ask: Asker) -> None:
    answer = ask("trap 'echo bye' EXIT; exit 4")
    assert (answer.rc, answer.stdout) == (4, b"bye\n")


@pytest.mark.parametrize("command", ["cat", "read x; echo got:$x", "head -c 100"])
def test_command_that_reads_stdin_finds_it_empty(ask: Asker, command: str) -> None:
    answer, next_one = ask.all(command, "echo next")
    assert isinstance(answer, Answer)
    assert answer.stdout in (b"", b"got:\n")
    assert isinstance(next_one, Answer)
    assert next_one.stdout == b"next\n"


def test_death_by_signal_is_reported_as_a_shell_would(ask: Asker) -> None:
    assert ask("sh -c 'kill -SEGV $$'").rc == 139


def test_background_child_that_holds_stdout_open_is_not_waited_for(ask: Asker) -> None:
    begun = time.monotonic()
    first, second = ask.all("sleep 30 & echo started $!", "echo next")
    assert time.monotonic() - begun < 20
    assert isinstance(first, Answer)
    assert isinstance(second, Answer)
    assert second.stdout == b"next\n"
    os.kill(int(first.stdout.split()[1]), 9)


def test_binary_output_is_kept_byte_for_byte(ask: Asker) -> None:
    assert ask("printf 'a\\000b\\377\\n'").stdout == b"a\0b\xff\n"


def test_3_mb_on_both_streams_arrive_whole(ask: Asker) -> None:
    code = "import os; d = os.urandom(3 << 20); os.write(2, b''); "
    code += "import sys, hashlib; sys.stdout.buffer.write(d); sys.stderr.buffer.write(d)"
    answer = ask(f'{sys.executable} -c "{code}"')
    assert len(answer.stdout) == 3 << 20
    assert hashlib.sha256(answer.stdout).digest() == hashlib.sha256(answer.stderr).digest()


def test_command_of_200_kb_is_no_argument_list(ask: Asker) -> None:
    assert int(ask("printf %s " + "x" * 200_000 + " | wc -c").stdout) == 200_000


def test_thousands_of_commands_in_a_row_do_not_clog_the_pipes() -> None:
    asker = Asker(["/bin/sh"])
    answers = asker.all(*(f"echo {number} {'x' * 200}" for number in range(3000)))
    asker.hub.close()
    assert [int(answer.stdout.split()[0]) for answer in answers if isinstance(answer, Answer)] == list(range(3000))


def test_token_is_nowhere_to_be_found_on_the_host(ask: Asker) -> None:
    connection = None
    ask("true")
    connection = ask.shell.connection
    assert connection
    token = connection._frames.stdout._token
    answer = ask("ps axww -o args; cat /proc/$$/cmdline /proc/$$/environ /proc/$PPID/cmdline; set; env; typeset -f")
    assert token not in answer.stdout + answer.stderr
    assert len(token) == 32


def test_output_that_imitates_the_marker_is_only_output() -> None:
    frames, other = Frames(), Frames()
    imitation = other.wrap("x")
    frames.stdout.bytes += imitation
    assert frames.take() is None


def test_hung_command_alone_fails_and_leaves_no_process(impatient: Asker) -> None:
    child, parent = (f"sleep {seconds}.{os.getpid()}" for seconds in (135, 136))
    before, hung, after = impatient.all("echo before", f"{child} & {parent}", "echo after")
    assert isinstance(before, Answer)
    assert isinstance(hung, CouldNotLook)
    assert "no answer within 1 s" in hung.reason
    assert isinstance(after, Answer)
    assert after.stdout == b"after\n"
    assert not is_running(child, parent)


def test_command_that_writes_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch, impatient: Asker) -> None:
    monkeypatch.setattr("readygate.fleet.shell.OUTPUT_AT_MOST", 1 << 20)
    command = f"yes {os.getpid()}"
    endless, after = impatient.all(f"exec {command}", "echo after")
    assert isinstance(endless, CouldNotLook)
    assert isinstance(after, Answer)
    assert not is_running(command)


def test_killed_shell_fails_only_what_ran_then() -> None:
    asker = Asker(["/bin/sh"])
    killer, next_one = asker.all("kill -9 $$", "echo survived")
    asker.hub.close()
    assert isinstance(killer, CouldNotLook)
    assert "connection was lost while it ran" in killer.reason
    assert isinstance(next_one, Answer)
    assert next_one.stdout == b"survived\n"


def test_shell_killed_while_a_child_holds_its_pipes_is_noticed() -> None:
    asker = Asker(["/bin/sh"])
    killer, next_one = asker.all("sleep 20 & kill -9 $$", "echo survived")
    asker.hub.close()
    assert isinstance(killer, CouldNotLook)
    assert isinstance(next_one, Answer)


def test_server_that_hangs_up_at_every_command_is_given_up() -> None:
    asker = Asker(["/bin/sh"])
    outcomes = asker.all(*["kill -9 $$"] * 20)
    assert all(isinstance(outcome, CouldNotLook) for outcome in outcomes)
    assert {outcome.cause for outcome in outcomes[3:] if isinstance(outcome, CouldNotLook)} == {"unreachable:here"}


def test_shell_ended_while_idle_is_opened_again_in_silence() -> None:
    asker = Asker(["/bin/sh"])
    pid = int(asker("echo $$").stdout)
    os.kill(pid, 9)
    time.sleep(0.05)
    assert asker("echo again").stdout == b"again\n"


def test_command_that_never_ran_is_not_blamed_for_the_connections_end() -> None:
    asker = Asker(["/bin/sh"])
    pid = int(asker("echo $$").stdout)
    question = asker.shell.ask("echo innocent")
    os.kill(pid, 9)
    time.sleep(0.05)
    asker.shell.check_clock(time.monotonic())
    asker.hub.wait(question)
    assert question.answer.stdout == b"innocent\n"


def test_banner_and_start_up_noise_are_swallowed() -> None:
    noise = "echo Welcome; printf 'no newline'; echo motd >&2; exec sh"
    asker = Asker(["sh", "-c", noise])
    answer = asker("echo clean")
    asker.hub.close()
    assert (answer.stdout, answer.stderr) == (b"clean\n", b"")


@pytest.mark.parametrize("login_shell", ["fish", "tcsh", "csh", "zsh", "bash", "dash"])
def test_every_login_shell_hands_over_to_a_posix_shell(login_shell: str) -> None:
    if not (path := shutil.which(login_shell)):
        pytest.skip(f"{login_shell} is not installed")
    asker = Asker([path, "-c", LOGIN_SHELL])
    answer = asker("for x in 1 2; do echo $x; done; echo ${BASH_VERSION:+bash}")
    asker.hub.close()
    assert answer.stdout == b"1\n2\n" + (b"bash\n" if login_shell == "bash" else b"\n")


def test_login_shell_that_lets_nobody_in_is_named() -> None:
    asker = Asker(["sh", "-c", "echo This account is currently not available. >&2; exit 1"])
    (outcome,) = asker.all("true")
    assert isinstance(outcome, CouldNotLook)
    assert "login shell" in outcome.reason


def test_complaint_on_stdout_is_heard_too() -> None:
    asker = Asker(["sh", "-c", "echo unable to find user ghost: no matching entries in passwd file; exit 126"])
    (outcome,) = asker.all("true")
    assert isinstance(outcome, CouldNotLook)
    assert "the user to look as is not known" in outcome.reason


def test_transport_that_is_not_installed_is_named() -> None:
    asker = Asker(["readygate-no-such-program"])
    (outcome,) = asker.all("true")
    assert isinstance(outcome, CouldNotLook)
    assert outcome.cause == "unreachable:here"
    assert "install readygate-no-such-program" in outcome.mend


def test_shell_that_never_greets_is_given_up_within_the_limit() -> None:
    asker = Asker(["sleep", "30"], connect_timeout=0.2)
    begun = time.monotonic()
    outcomes = asker.all("true", "true")
    assert time.monotonic() - begun < 10
    assert {outcome.cause for outcome in outcomes if isinstance(outcome, CouldNotLook)} == {"unreachable:here"}


def test_more_hosts_than_may_be_open_are_served_by_hanging_up_on_idle_ones() -> None:
    hub = Hub(most_open=3)
    askers = [Asker(["/bin/sh"], hub=hub) for _ in range(10)]
    questions = [(n, asker.shell.ask(f"echo {n}")) for n, asker in enumerate(askers) for _ in range(3)]
    most = 0
    for number, question in questions:
        while not question.is_settled:
            hub.turn()
            most = max(most, hub.progress.connected)
        assert question.answer.stdout == b"%d\n" % number
    hub.close()
    assert most <= 3


def test_more_hosts_than_descriptors_are_served() -> None:
    """In a process of its own, whose limit is low."""
    code = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
from readygate.fleet.connect import Transport
from readygate.fleet.hub import Hub
from readygate.fleet.shell import Shell
hub = Hub(most_open=1000, jobs=1000)
questions = [Shell(Transport(str(n), ("sh",)), hub).ask(f"echo {n}") for n in range(60)]
for question in questions:
    hub.wait(question)
print(sum(int(question.answer.stdout) for question in questions))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == f"{sum(range(60))}\n", done.stderr


def test_no_more_than_jobs_connect_at_one_time() -> None:
    hub = Hub(jobs=2)
    askers = [Asker(["sh", "-c", "sleep 0.1; exec sh"], hub=hub) for _ in range(6)]
    questions = [asker.shell.ask("true") for asker in askers]
    while not all(question.is_settled for question in questions):
        hub.turn()
        assert len(hub._opening) <= 2
    hub.close()


def test_progress_tells_hosts_commands_and_the_slowest() -> None:
    asker = Asker(["/bin/sh"])
    heard = []
    asker.hub.on_progress = heard.append
    asker.all("true", "sleep 0.3", "true")
    asker.hub.close()
    assert heard
    progress = asker.hub.progress
    assert (progress.hosts, progress.asked, progress.answered) == (1, 3, 3)
    assert progress.slowest
    assert progress.slowest[:2] == ("here", "sleep 0.3")
