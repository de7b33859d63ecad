"""The shell over real ssh: an sshd of the test's own on loopback, for the user who runs the tests."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import testinfra
from testinfra.host import Host

from readygate.errors import CouldNotLook
from readygate.fleet.ahead import run_ahead
from readygate.fleet.backend import ShellBackend, begin_check
from readygate.fleet.hub import HUB, Hub

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/bin:/usr/local/sbin")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Sshd:
    """A running sshd and what a client needs to reach it."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def ssh_config(self) -> str:
        return str(self.folder / "ssh_config")

    def open(self, hub: Hub | None = None, **options: object) -> Host:
        given = {"ssh_config": self.ssh_config, "ssh_identity_file": str(self.folder / "id"), **options}
        backend = ShellBackend("target", hub=hub or HUB, **given)  # type: ignore[arg-type]
        host = Host(backend)
        backend.set_host(host)
        return host

    def stop_serving(self) -> None:
        """Every connection is cut at once, and no new one is taken."""
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True
        )
        for pid in (*children.stdout.split(), str(self.process.pid)):
            with suppress(ProcessLookupError):  # a child may have ended meanwhile
                os.kill(int(pid), signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def start_sshd(tmp_path: Path) -> Iterator[Callable[..., Sshd]]:
    if not SSHD:
        pytest.skip("no sshd is installed: the package is openssh-server")
    started: list[Sshd] = []

    def start(*settings: str, client: str = "") -> Sshd:
        folder = tmp_path / f"sshd{len(started)}"
        folder.mkdir()
        for name in ("host_key", "id"):
            keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(keygen, check=True)
        port = free_port()
        (folder / "authorized_keys").write_text((folder / "id.pub").read_text())
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {(folder / 'host_key.pub').read_text()}")
        (folder / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder}/host_key\nPidFile none\nStrictModes no\n"
            f"AuthorizedKeysFile {folder}/authorized_keys\nPasswordAuthentication no\nUsePAM no\n"
            + "".join(f"{setting}\n" for setting in settings)
        )
        (folder / "ssh_config").write_text(
            f"{client}\nHost target\n  HostName 127.0.0.1\n  Port {port}\n  User {getpass.getuser()}\n"
            f"  UserKnownHostsFile {folder}/known_hosts\n  GlobalKnownHostsFile /dev/null\n  IdentitiesOnly yes\n"
        )
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # where sshd as root separates its privileges
        command = [str(SSHD), "-D", "-e", "-f", str(folder / "sshd_config")]
        process = subprocess.Popen(command, stderr=(folder / "log").open("wb"), start_new_session=True)
        started.append(Sshd(folder, port, process))
        for _ in range(100):
            with socket.socket() as client_socket:
                if client_socket.connect_ex(("127.0.0.1", port)) == 0:
                    return started[-1]
            time.sleep(0.05)
        pytest.skip(f"sshd does not start: {(folder / 'log').read_text()[-300:]}")

    yield start
    HUB.close()
    for sshd in started:
        sshd.process.kill()
        sshd.process.wait()


@pytest.fixture
def sshd(start_sshd: Callable[..., Sshd]) -> Sshd:
    return start_sshd()


def failure(host: Host, command: str = "true") -> CouldNotLook:
    with pytest.raises(CouldNotLook) as caught:
        host.run(command)
    return caught.value


def test_commands_are_answered_over_ssh(sshd: Sshd) -> None:
    result = sshd.open().run("echo %s; echo e >&2; exit 3", "it's")
    assert (result.rc, result.stdout, result.stderr) == (3, "it's\n", "e\n")


def test_banner_and_motd_are_swallowed(start_sshd: Callable[..., Sshd], tmp_path: Path) -> None:
    banner = tmp_path / "banner"
    banner.write_text("Authorised use only\n" * 20)
    result = start_sshd(f"Banner {banner}").open().run("echo clean")
    assert (result.stdout, result.stderr) == ("clean\n", "")


def test_bash_stays_bash_where_it_is_the_login_shell(sshd: Sshd) -> None:
    """Any other login shell hands over to sh."""
    is_bash = os.path.basename(os.environ.get("SHELL", "/bin/sh")) == "bash"
    login = subprocess.run(["getent", "passwd", getpass.getuser()], capture_output=True, text=True).stdout
    is_bash = login.strip().endswith("/bash")
    assert sshd.open().run("[[ 1 == 1 ]] && echo yes").succeeded == is_bash


def test_hung_command_on_the_server_is_killed_with_its_group(sshd: Sshd) -> None:
    host = sshd.open(command_timeout=2.5)
    mark = f"246.{os.getpid()}"  # no other run of this test on the machine has it
    assert "no answer within 2.5 s" in failure(host, f"sleep {mark} & sleep 1{mark}").reason
    find = f"ps axww -o stat,args | grep -v ^Z | grep '[s]leep 1*{mark}'"
    # A killed process is still listed until the kernel next runs it, to die.
    assert host.run(f"for _ in 1 2 3 4 5 6 7 8 9; do {find} || exit 0; sleep 0.2; done; exit 1").succeeded


def test_changed_host_key_is_an_error_and_never_accepted(sshd: Sshd) -> None:
    known = sshd.folder / "known_hosts"
    other = (sshd.folder / "id.pub").read_text()
    known.write_text(f"[127.0.0.1]:{sshd.port} {other}")
    error = failure(sshd.open())
    assert "host key of target has changed" in error.reason
    assert error.cause == "unreachable:target"
    assert known.read_text().endswith(other)


def test_unknown_host_key_is_an_error_and_never_accepted(sshd: Sshd) -> None:
    known = sshd.folder / "known_hosts"
    known.write_text("")
    assert "host key of target is not known" in failure(sshd.open()).reason
    assert known.read_text() == ""


def test_refused_key_says_so(sshd: Sshd) -> None:
    (sshd.folder / "authorized_keys").write_text("")
    assert "accepts neither the key nor the user" in failure(sshd.open()).reason


def test_refused_connection_says_so(sshd: Sshd) -> None:
    sshd.stop_serving()
    assert "refused the connection" in failure(sshd.open()).reason


def test_name_that_does_not_resolve_says_so(sshd: Sshd) -> None:
    with (sshd.folder / "ssh_config").open("a") as config:
        config.write("Host target\n")
    (sshd.folder / "ssh_config").write_text("Host target\n  HostName nowhere.invalid\n")
    assert "does not resolve" in failure(sshd.open()).reason


def test_server_that_takes_the_connection_and_says_nothing_costs_one_timeout(sshd: Sshd) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        config = sshd.folder / "ssh_config"
        config.write_text(config.read_text().replace(str(sshd.port), str(mute.getsockname()[1])))
        host = sshd.open(connect_timeout=1.0)
        begun = time.monotonic()
        causes = {failure(host).cause for _ in range(20)}
        assert time.monotonic() - begun < 10
    assert causes == {"unreachable:target"}


def test_dead_host_costs_the_live_ones_nothing(sshd: Sshd) -> None:
    live = sshd.open()
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        dead = sshd.open(connect_timeout=3.0, ssh_extra_args=f"-p {mute.getsockname()[1]}")
        heard: list[str] = []
        begun = time.monotonic()
        answered_at: list[float] = []

        def look_at_live() -> None:
            heard.append(live.run("echo live").stdout)
            answered_at.append(time.monotonic() - begun)

        bodies: list[Callable[[], object]] = [lambda: dead.run("true")] * 5
        run_ahead([*bodies, look_at_live])
    assert heard == ["live\n"]
    assert answered_at[0] < time.monotonic() - begun


def test_connection_cut_in_mid_run_is_named_and_the_rest_fails_at_once(sshd: Sshd) -> None:
    host = sshd.open()
    assert host.run("echo before").stdout == "before\n"
    shell = host.backend.shells[0]
    running, behind = shell.ask("sleep 30"), shell.ask("echo behind")
    for _ in range(3):
        HUB.turn()
    sshd.stop_serving()
    HUB.wait(running)
    HUB.wait(behind)
    with pytest.raises(CouldNotLook, match="connection was lost while it ran"):
        _ = running.answer
    with pytest.raises(CouldNotLook, match="refused the connection"):
        _ = behind.answer


def test_connection_cut_once_is_made_again_for_what_was_not_answered(sshd: Sshd) -> None:
    host = sshd.open()
    host.run("true")
    shell = host.backend.shells[0]
    running, behind = shell.ask("kill -9 $PPID; sleep 30"), shell.ask("echo behind")
    HUB.wait(behind)
    assert behind.answer.stdout == b"behind\n"
    assert running.is_settled


def test_refused_by_max_startups_is_tried_again(start_sshd: Callable[..., Sshd]) -> None:
    sshd = start_sshd("MaxStartups 2:60:4")
    hub = Hub(jobs=12)
    hosts = [sshd.open(hub) for _ in range(12)]
    heard: list[str] = []
    run_ahead([lambda host=host: heard.append(host.run("echo in").stdout) for host in hosts], hub=hub)
    hub.close()
    assert heard == ["in\n"] * 12


def test_one_session_a_host_is_enough_for_any_number_of_commands(start_sshd: Callable[..., Sshd]) -> None:
    host = start_sshd("MaxSessions 1").open()
    heard: list[str] = []
    run_ahead([lambda n=n: heard.append(host.run(f"echo {n}").stdout) for n in range(100)])
    assert sorted(heard, key=int) == [f"{n}\n" for n in range(100)]


def test_jump_host_and_settings_of_ssh_config_are_used(start_sshd: Callable[..., Sshd]) -> None:
    jump, target = start_sshd(), start_sshd()
    config = (
        f"Host jump\n  HostName 127.0.0.1\n  Port {jump.port}\n  IdentityFile {jump.folder}/id\n"
        f"  UserKnownHostsFile {jump.folder}/known_hosts\n"
    )
    path = target.folder / "ssh_config"
    path.write_text(
        config + path.read_text() + "  ProxyJump jump\n  RemoteCommand echo never\n  ControlMaster auto\n"
    )
    assert target.open().run("echo through").stdout == "through\n"
    assert "Accepted publickey" in (jump.folder / "log").read_text()


def test_all_is_asked_in_a_handful_of_round_trips(sshd: Sshd) -> None:
    host = sshd.open()

    def check(number: int) -> Callable[[], object]:
        def body() -> None:
            assert host.file(f"/etc/{number}").exists is False
            assert host.file("/etc/passwd").user == "root"
            assert host.user("root").home

        return body

    run_ahead([check(number) for number in range(100)])
    (shell,) = host.backend.shells
    assert shell.bursts <= 8


def test_plain_testinfra_reaches_the_backend_by_its_scheme(sshd: Sshd) -> None:
    host = testinfra.get_host(
        "readygate://target", ssh_config=sshd.ssh_config, ssh_identity_file=str(sshd.folder / "id")
    )
    assert host.file("/etc/passwd").is_file
    assert isinstance(host.backend, ShellBackend)


def test_results_over_ssh_are_those_of_stock_testinfra(sshd: Sshd) -> None:
    stock = testinfra.get_host(
        "ssh://target?controlpersist=0", ssh_config=sshd.ssh_config, ssh_identity_file=str(sshd.folder / "id")
    )
    ours = sshd.open()
    begin_check()
    for look in (
        lambda host: host.file("/etc/passwd").mode,
        lambda host: host.file("/etc/nothing").exists,
        lambda host: host.user("root").groups,
        lambda host: host.group("root").gid,
        lambda host: host.run("printf 'a\\nb'; exit 9").rc,
        lambda host: host.system_info.distribution,
        lambda host: host.environment()["PATH"],
        lambda host: host.environment()["HOME"],
    ):
        assert look(ours) == look(stock)
