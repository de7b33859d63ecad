"""Becoming another user, with and without a password: real sudo and accounts, in a mount namespace."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from readygate.errors import CouldNotLook
from readygate.fleet.connect import Sudo, Transport
from readygate.fleet.hub import Hub
from readygate.fleet.question import Answer
from readygate.fleet.shell import Shell

PASSWORD = "correct horse $(touch /tmp/never)"

Open = Callable[..., "As"]


class As:
    """A shell opened through sudo by the test's account `looker`."""

    def __init__(self, argv: list[str], sudo: Sudo) -> None:
        self.hub = Hub()
        self.shell = Shell(Transport("box", (*argv, *sudo.argv), sudo.password), self.hub)

    def __call__(self, command: str) -> Answer:
        question = self.shell.ask(command)
        self.hub.wait(question)
        return question.answer


@pytest.fixture
def become(tmp_path: Path) -> Open:
    """Opens a shell as `looker`, with the given line of sudoers; the machine's own files stay untouched."""
    for program in ("sudo", "unshare", "runuser", "openssl"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    tried = subprocess.run(["unshare", "-m", "true"], capture_output=True, text=True)
    if os.getuid() or tried.returncode:
        pytest.skip(f"accounts of the test's own take root and a mount namespace: {tried.stderr.strip()}")

    def open_as(rule: str, sudo: Sudo) -> As:
        hashed = subprocess.run(
            ["openssl", "passwd", "-6", "-stdin"], input=PASSWORD, capture_output=True, text=True, check=True
        ).stdout.strip()
        files = {
            "passwd": Path("/etc/passwd").read_text() + "looker:x:54321:54321::/:/bin/sh\n",
            "shadow": Path("/etc/shadow").read_text() + f"looker:{hashed}:19000:0:99999:7:::\n",
            "sudoers": f"root ALL=(ALL:ALL) ALL\n{rule}\n",
        }
        mounts = ""
        for name, text in files.items():
            path = tmp_path / name
            path.write_text(text)
            path.chmod(0o440 if name == "sudoers" else 0o644)
            mounts += f"mount --bind {path} /etc/{name} && "
        enter = mounts + 'exec runuser -u looker -- "$@"'
        return As(["unshare", "-m", "sh", "-c", enter, "sh"], sudo)

    return open_as


def test_sudo_without_password_is_one_shell_as_root(become: Open) -> None:
    assert become("looker ALL=(ALL) NOPASSWD: ALL", Sudo())("id -un").stdout == b"root\n"


def test_sudo_user_is_who_looks(become: Open) -> None:
    assert become("looker ALL=(ALL) NOPASSWD: ALL", Sudo("daemon"))("id -un").stdout == b"daemon\n"


def test_sudo_that_needs_a_password_says_so(become: Open) -> None:
    with pytest.raises(CouldNotLook, match="needs a password") as caught:
        become("looker ALL=(ALL) ALL", Sudo())("true")
    assert caught.value.cause == "unreachable:box"


def test_password_is_given_when_sudo_asks(become: Open) -> None:
    assert become("looker ALL=(ALL) ALL", Sudo(None, PASSWORD))("id -un").stdout == b"root\n"


def test_password_never_reaches_a_shell_where_sudo_does_not_ask(become: Open) -> None:
    answer = become("looker ALL=(ALL) NOPASSWD: ALL", Sudo(None, PASSWORD))("id -un")
    assert (answer.stdout, answer.stderr) == (b"root\n", b"")
    assert not Path("/tmp/never").exists()


def test_password_is_in_no_argument_list(become: Open) -> None:
    shell = become("looker ALL=(ALL) ALL", Sudo(None, PASSWORD))
    assert b"correct horse" not in shell("ps axww -o args").stdout
    assert "correct horse" not in repr(shell.shell._transport)


def test_wrong_password_is_tried_once_and_named(become: Open, tmp_path: Path) -> None:
    with pytest.raises(CouldNotLook, match="refused the password") as caught:
        become("looker ALL=(ALL) ALL", Sudo(None, "wrong-secret"))("true")
    assert "wrong-secret" not in str(caught.value) + caught.value.mend


def test_requiretty_is_named_with_its_mend(become: Open) -> None:
    with pytest.raises(CouldNotLook, match="requiretty"):
        become("Defaults requiretty\nlooker ALL=(ALL) NOPASSWD: ALL", Sudo())("true")


def test_user_without_sudo_is_named(become: Open) -> None:
    with pytest.raises(CouldNotLook, match="may not use sudo"):
        become("", Sudo(None, PASSWORD))("true")


def test_unknown_sudo_user_is_named(become: Open) -> None:
    with pytest.raises(CouldNotLook, match="not known"):
        become("looker ALL=(ALL) NOPASSWD: ALL", Sudo("no-such-user"))("true")


def test_hung_command_under_sudo_is_killed(become: Open) -> None:
    """The shell's process group isn't sudo's where sudo puts it on a pseudo-terminal of its own."""
    for defaults in ("Defaults use_pty", "Defaults !use_pty"):
        shell = become(f"{defaults}\nlooker ALL=(ALL) NOPASSWD: ALL", Sudo())
        shell.shell._command_limit = 1.0
        with pytest.raises(CouldNotLook, match="no answer within"):
            shell(f"sleep 357.{os.getpid()}")
        find = f"ps axww -o stat,args | grep -v ^Z | grep '[s]leep 357.{os.getpid()}'"
        shell.shell._command_limit = 60.0
        # A killed process is still listed until the kernel next runs it, to die.
        assert shell(f"for _ in 1 2 3 4 5 6 7 8 9; do {find} || exit 0; sleep 0.2; done; exit 1").rc == 0
