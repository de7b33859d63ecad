"""Plain Testinfra on our backend: the same results as its own, fewer questions, honest polling."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra
from testinfra.host import Host

from readygate.errors import CouldNotLook, Mistake
from readygate.fleet.ahead import Leader, run_ahead
from readygate.fleet.backend import EVIDENCE, ShellBackend, begin_check, forget_answers, open_host
from readygate.fleet.facts import widen
from readygate.fleet.question import Answer
from tests.fleet_hosts import this_machine


@pytest.fixture
def host() -> Iterator[Host]:
    with this_machine() as ours:
        yield ours


@pytest.fixture
def tricky(tmp_path: Path) -> Path:
    path = tmp_path / 'it\'s a: 50% "tricky" name'
    path.write_bytes("grüße\n".encode())
    path.chmod(0o640)
    return path


def asked(host: Host) -> int:
    """How many commands the host was asked beyond what it is asked on connecting."""
    return sum(shell.asked for shell in host.backend.shells)


def outcome(look: Callable[[Host], object], host: Host) -> object:
    """What a look gives, be it an error; without what names the backend."""
    try:
        return look(host)
    except Exception as error:  # noqa: BLE001 - whatever stock raises, ours has to raise
        backend = f"backend={host.backend!r}"
        return type(error), str(error).replace(backend, "")


STEADY: dict[str, Callable[[Host], Any]] = {
    "file.user": lambda host: host.file("/etc/passwd").user,
    "file.uid": lambda host: host.file("/etc/passwd").uid,
    "file.group": lambda host: host.file("/etc/shadow").group,
    "file.gid": lambda host: host.file("/etc/shadow").gid,
    "file.mode": lambda host: host.file("/etc/shadow").mode,
    "file.size": lambda host: host.file("/etc/passwd").size,
    "file.inode": lambda host: host.file("/etc/passwd").inode,
    "file.mtime": lambda host: host.file("/etc/passwd").mtime,
    "file.sha256sum": lambda host: host.file("/etc/passwd").sha256sum,
    "file.content": lambda host: host.file("/etc/passwd").content,
    "file.contains": lambda host: host.file("/etc/passwd").contains("^root"),
    "file.listdir": lambda host: host.file("/etc").listdir(),
    "file.is_directory": lambda host: host.file("/etc").is_directory,
    "file.linked_to": lambda host: host.file("/bin/sh").linked_to,
    "file.is_symlink": lambda host: host.file("/proc/self").is_symlink,
    "missing file.exists": lambda host: host.file("/no such").exists,
    "missing file.mode": lambda host: host.file("/no such").mode,
    "missing file.user": lambda host: host.file("/no such").user,
    "missing file.content": lambda host: host.file("/no such").content,
    "package": lambda host: host.package("bash").is_installed,
    "package.version": lambda host: host.package("bash").version,
    "missing package": lambda host: host.package("no-such-package").is_installed,
    "missing package.version": lambda host: host.package("no-such-package").version,
    "package by pattern": lambda host: host.package("bas*").is_installed,
    "package of an architecture": lambda host: host.package("libc6:amd64").version,
    "ill-named package": lambda host: host.package("No Such").is_installed,
    "user.exists": lambda host: host.user("root").exists,
    "user.uid": lambda host: host.user("daemon").uid,
    "user.gid": lambda host: host.user("daemon").gid,
    "user.group": lambda host: host.user("daemon").group,
    "user.groups": lambda host: host.user("www-data").groups,
    "user.gids": lambda host: host.user("www-data").gids,
    "user.home": lambda host: host.user("root").home,
    "user.shell": lambda host: host.user("root").shell,
    "own user": lambda host: host.user().name,
    "missing user": lambda host: host.user("nobody-here").exists,
    "missing user.uid": lambda host: host.user("nobody-here").uid,
    "missing user.groups": lambda host: host.user("nobody-here").groups,
    "group.exists": lambda host: host.group("adm").exists,
    "group.gid": lambda host: host.group("adm").gid,
    "group.members": lambda host: host.group("adm").members,
    "missing group": lambda host: host.group("no-such").exists,
    "missing group.gid": lambda host: host.group("no-such").gid,
    "missing group.members": lambda host: host.group("no-such").members,
    "process": lambda host: [p.args for p in host.process.filter(pid=os.getpid())],
    "no process": lambda host: host.process.filter(comm="no-such-process"),
    "one process missing": lambda host: host.process.get(comm="no-such-process"),
    "mount_point": lambda host: host.mount_point("/proc").filesystem,
    "missing mount_point": lambda host: host.mount_point("/no such").exists,
    "command": lambda host: host.command("echo x").stdout,
    "exit code": lambda host: host.run("exit 9").rc,
    "check_output": lambda host: host.check_output("exit 9"),
    "quoting": lambda host: host.run("printf '%%s|' %s", "it's; $HOME").stdout,
    "exists": lambda host: (host.exists("sh"), host.exists("no-such-program")),
    "find_command": lambda host: host.find_command("ss"),
    "environment": lambda host: {name: host.environment()[name] for name in ("PATH", "HOME")},
    "system_info": lambda host: vars(type(host.system_info)) and host.system_info.sysinfo,
    "interface": lambda host: host.interface("lo").exists,
    "sysctl": lambda host: host.sysctl("kernel.ostype"),
}


@pytest.mark.parametrize("name", STEADY)
def test_result_is_that_of_stock_testinfra(host: Host, name: str) -> None:
    stock = testinfra.get_host("local://")
    expected = outcome(STEADY[name], stock)
    assert outcome(STEADY[name], host) == expected
    assert outcome(STEADY[name], host) == expected  # asked once more within the check
    begin_check()
    assert outcome(STEADY[name], host) == expected  # from memory


@pytest.mark.parametrize("attribute", ["user", "mode", "size", "mtime", "content_string", "sha256sum", "is_file"])
def test_file_with_a_tricky_name_is_looked_at_as_stock_does(host: Host, tricky: Path, attribute: str) -> None:
    stock = testinfra.get_host("local://")
    assert getattr(host.file(str(tricky)), attribute) == getattr(stock.file(str(tricky)), attribute)


def test_listening_socket_is_seen_as_by_stock(host: Host) -> None:
    if not shutil.which("ss"):
        pytest.skip("ss is not installed: the package is iproute2")
    stock = testinfra.get_host("local://")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        spec = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        assert host.socket(spec).is_listening is stock.socket(spec).is_listening is False
        listener.listen()
        begin_check(live=True)
        assert host.socket(spec).is_listening is stock.socket(spec).is_listening is True


def test_service_is_seen_as_by_stock(host: Host) -> None:
    if not Path("/run/systemd/system").is_dir():
        pytest.skip("systemd does not run this machine")
    stock = testinfra.get_host("local://")
    for name in ("cron", "ssh", "no-such-service"):
        for state in ("is_running", "is_enabled"):

            def look(host: Host, name: str = name, state: str = state) -> object:
                return getattr(host.service(name), state)

            assert outcome(look, host) == outcome(look, stock)


def test_all_attributes_of_a_file_are_one_question(host: Host, tricky: Path) -> None:
    file = host.file(str(tricky))
    before = asked(host)
    assert (file.user, file.uid, file.group, file.gid, oct(file.mode), file.size)[4:] == ("0o640", 8)
    assert file.inode
    assert file.mtime
    assert asked(host) == before + 1


def test_all_packages_are_one_question(host: Host) -> None:
    if not shutil.which("dpkg-query"):
        pytest.skip("this machine has no dpkg")
    host.package("bash")
    before = asked(host)
    for name in ("bash", "coreutils", "dpkg"):
        assert host.package(name).is_installed
        assert host.package(name).version
    assert asked(host) == before + 1


def test_all_ids_of_a_user_are_one_question(host: Host) -> None:
    user = host.user("daemon")
    before = asked(host)
    seen = (user.exists, user.uid, user.gid, user.group, user.groups, user.gids)
    assert seen == (True, 1, 1, "daemon", ["daemon"], [1])
    assert asked(host) == before + 1


def test_same_question_in_another_check_is_not_asked_again(host: Host, tmp_path: Path) -> None:
    count = f"echo x >> {tmp_path}/count; wc -l < {tmp_path}/count"
    first = host.run(count).stdout
    begin_check()
    assert host.run(count).stdout == first == "1\n"


def test_check_that_polls_gets_a_fresh_answer_each_time(host: Host, tmp_path: Path) -> None:
    count = f"echo x >> {tmp_path}/count; wc -l < {tmp_path}/count"
    polled = [host.run(count).stdout for _ in range(3)]
    begin_check()
    assert [host.run(count).stdout for _ in range(3)] == polled == ["1\n", "2\n", "3\n"]


def test_check_that_polls_a_file_sees_it_change_and_never_an_older_state(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "grows"
    path.write_text("")
    path.chmod(0o600)
    file = host.file(str(path))
    assert file.size == 0
    path.write_text("now")
    path.chmod(0o644)
    assert file.size == 3
    assert file.mode == 0o644


def test_live_check_is_never_answered_from_memory(host: Host, tmp_path: Path) -> None:
    count = f"echo x >> {tmp_path}/count; wc -l < {tmp_path}/count"
    host.run(count)
    begin_check(live=True)
    assert host.run(count).stdout == "2\n"


def test_after_a_change_answers_can_be_forgotten(host: Host, tmp_path: Path) -> None:
    assert not host.file(str(tmp_path / "new")).exists
    (tmp_path / "new").touch()
    forget_answers()
    begin_check()
    assert host.file(str(tmp_path / "new")).exists


def test_evidence_is_heard_with_the_command_as_testinfra_asked_it(host: Host) -> None:
    heard: list[tuple[str, int, str, str]] = []
    token = EVIDENCE.set(lambda *what: heard.append(what))
    try:
        _ = host.file("/etc/passwd").user
        host.run("echo out; echo err >&2; exit 3")
    finally:
        EVIDENCE.reset(token)
    assert heard[-2:] == [
        ("stat -Lc %U /etc/passwd", 0, "root\n", ""),
        ("echo out; echo err >&2; exit 3", 3, "out\n", "err\n"),
    ]


def test_running_ahead_fills_the_memory_for_the_real_run(host: Host, tmp_path: Path) -> None:
    def check(number: int) -> Callable[[], object]:
        return lambda: host.run(f"echo x >> {tmp_path}/{number}; wc -l < {tmp_path}/{number}").stdout

    checks = [check(number) for number in range(50)]
    run_ahead(checks)
    before = asked(host)
    for each in checks:
        begin_check()
        assert each() == "1\n"
    assert asked(host) == before


def test_results_with_and_without_running_ahead_are_the_same(host: Host) -> None:
    plain = {name: outcome(look, host) for name, look in STEADY.items()}
    forget_answers()
    run_ahead([lambda look=look: look(host) for look in STEADY.values()])
    for name, look in STEADY.items():
        begin_check()
        assert outcome(look, host) == plain[name], name


@pytest.mark.parametrize(
    "error", [AssertionError, RuntimeError, SystemExit, pytest.skip.Exception, pytest.fail.Exception]
)
def test_body_that_raises_ahead_stops_nobody(host: Host, error: type[BaseException]) -> None:
    heard: list[str] = []

    def raises() -> None:
        host.run("true")
        raise error("on purpose")

    run_ahead([raises, lambda: heard.append(host.run("echo heard").stdout)])
    assert heard == ["heard\n"]


@pytest.mark.parametrize("ending", ["true", "nowhere"])
def test_followers_begin_when_their_leader_has_ended_however_it_ends(host: Host, ending: str) -> None:
    order: list[str] = []

    def look(name: str, command: str) -> Callable[[], object]:
        def body() -> None:
            try:
                host.run_expect([0], command)
            finally:
                order.append(name)

        return body

    run_ahead([Leader(look("leader", f"sleep 0.1; {ending}"), [look("follower", "true")] * 3), look("other", "true")])
    assert order == ["leader", "other", "follower", "follower", "follower"]


def test_ctrl_c_is_not_swallowed_ahead(host: Host) -> None:
    def interrupts() -> None:
        host.run("true")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_ahead([interrupts])


def test_evidence_of_the_rehearsal_is_not_heard(host: Host) -> None:
    heard: list[object] = []
    token = EVIDENCE.set(lambda *what: heard.append(what))
    try:
        run_ahead([lambda: host.run("echo rehearsed")])
    finally:
        EVIDENCE.reset(token)
    assert heard == []


def test_sudo_of_one_check_is_not_that_of_another(host: Host) -> None:
    """Two bodies take turns inside and outside of `host.sudo()` on the shared backend."""
    if not shutil.which("sudo") or os.getuid():
        pytest.skip("sudo without a password takes root here")
    users: dict[str, list[str]] = {"root": [], "daemon": [], "plain": []}

    def inside(user: str) -> Callable[[], object]:
        def body() -> None:
            for turn in range(5):
                with host.sudo(user):
                    users[user].append(host.check_output(f"id -un; : {turn}"))

        return body

    def outside() -> None:
        for turn in range(10):
            users["plain"].append(host.check_output(f"printenv SUDO_USER; id -un; : {turn}"))

    run_ahead([inside("daemon"), outside, inside("root")])
    assert users == {"root": ["root"] * 5, "daemon": ["daemon"] * 5, "plain": ["root"] * 10}


def test_nested_sudo_becomes_the_inner_user_and_comes_back(host: Host) -> None:
    if not shutil.which("sudo") or os.getuid():
        pytest.skip("sudo without a password takes root here")
    with host.sudo("daemon"):
        with host.sudo("root"):
            assert not host.run("id -un").succeeded  # daemon may not become root
        assert host.check_output("id -un") == "daemon"
        assert host.file("/etc/passwd").user == "root"
    assert host.check_output("id -un") == "root"


def test_one_shell_serves_all_commands_of_a_sudo_user(host: Host) -> None:
    if not shutil.which("sudo") or os.getuid():
        pytest.skip("sudo without a password takes root here")
    with host.sudo("daemon"):
        assert len({host.check_output(f"echo $$; : {turn}") for turn in range(5)}) == 1


def test_connecting_begins_before_the_first_question_and_saves_asking(host: Host) -> None:
    host.backend.connect()
    (shell,) = host.backend.shells
    assert shell.connection
    before = asked(host)
    assert host.system_info.type == "linux"
    assert asked(host) == before


def test_what_only_the_stock_backend_can_do_is_still_there() -> None:
    stock = testinfra.get_host("local://").backend
    stock.run_ansible = lambda module: f"ran {module}"
    stock.HAS_RUN_ANSIBLE = True
    try:
        ours = ShellBackend("local", stock=stock)
        assert ours.HAS_RUN_ANSIBLE
        assert ours.run_ansible("setup") == "ran setup"
        with pytest.raises(AttributeError):
            _ = ours.no_such_thing
    finally:
        del stock.run_ansible, stock.HAS_RUN_ANSIBLE


def test_same_spec_is_the_same_host() -> None:
    assert open_host("local://") is open_host("local://")
    assert isinstance(open_host("local://").backend, ShellBackend)


def test_spec_that_only_testinfra_can_reach_keeps_its_own_backend() -> None:
    host = open_host("chroot:///srv/root", sudo=True)
    assert type(host.backend).__name__ == "ChrootBackend"
    assert host.backend.sudo


def test_unknown_connection_is_a_mistake_with_its_mend() -> None:
    with pytest.raises(Mistake, match="shh:// is no connection"):
        open_host("shh://app-1")


def test_ansible_inventory_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(CouldNotLook, match="Ansible's inventory could not be read"):
        open_host(f"ansible://web?ansible_inventory={tmp_path}/missing")


def test_down_host_gives_every_check_the_same_cause() -> None:
    host = open_host("ssh://nowhere.invalid", connect_timeout=2.0)
    causes = set()
    for command in ("true", "false", "echo"):
        with pytest.raises(CouldNotLook) as caught:
            host.run(command)
        causes.add(caught.value.cause)
    assert causes == {"unreachable:nowhere.invalid"}


@pytest.mark.parametrize(
    "command",
    [
        "stat -Lc %U /a /b",
        "stat -Lc %U /a; echo b",
        "stat -Lc %U $(echo /a)",
        "stat -Lc %U /a | cat",
        "id -u root; id",
        "id -u",
        "dpkg-query -f '${Status}' -W 'a*'",
        "getent group adm | cut -d':' -f1",
    ],
)
def test_command_that_only_resembles_a_fact_is_asked_as_it_stands(command: str) -> None:
    assert widen(command) is None


def narrowed(command: str, stdout: bytes, rc: int = 0) -> bytes | None:
    fact = widen(command)
    assert fact
    answer = fact.narrow(Answer(rc, stdout, b""))
    return answer.stdout if answer else None


def test_ids_are_read_off_the_one_line() -> None:
    line = b"uid=1000(deploy) gid=1000(deploy) groups=1000(deploy),27(sudo),998(docker)\n"
    assert narrowed("id -u deploy", line) == b"1000\n"
    assert narrowed("id -G deploy", line) == b"1000 27 998\n"
    assert narrowed("id -nG deploy", line) == b"deploy sudo docker\n"


@pytest.mark.parametrize(
    "line",
    [
        b"uid=1000(deploy) gid=1000(deploy) groups=1000(deploy),4242\n",
        b"uid=1000(AD\\me) gid=513(domain users) groups=513(domain users),27(sudo)\n",
        b"uid=1000(deploy) gid=1000(deploy) groups=1000(deploy) context=unconfined_u\n",
        b"uid=1000 gid=1000 groups=1000\n",
    ],
)
def test_ids_that_are_not_plain_are_asked_for_themselves(line: bytes) -> None:
    assert narrowed("id -nG deploy", line) is None


def test_package_states_are_read_off_the_listing() -> None:
    listing = b"bash install ok installed 5.2\nnano deinstall ok config-files 7.2\nlibc6 install ok installed 2.36\n"
    assert narrowed("dpkg-query -f '${Status}' -W bash", listing) == b"install ok installed"
    assert narrowed("dpkg-query -f '${Status} ${Version}' -W nano", listing) == b"deinstall ok config-files 7.2"
    assert narrowed("dpkg-query -f '${Status}' -W vim", listing) is None
    assert narrowed("dpkg-query -f '${Status}' -W libc6", listing + b"libc6 install ok installed 2.36\n") is None


def test_only_of_a_file_that_is_there_its_attributes_tell_so() -> None:
    assert narrowed("test -e /etc", b"root:0:root:0:755:1:4096:7\n") == b""
    assert narrowed("test -e /etc", b"", rc=1) is None  # by GNU's stat it is absent; another knows no such option
    assert narrowed("test -e /etc", b"", rc=127) is None


def test_one_question_tells_that_a_file_is_there_and_whose_it_is(host: Host, tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert not host.file(f"{tmp_path}/dangling").exists
    assert not host.file(f"{tmp_path}/nowhere").exists
    before = asked(host)
    begin_check()
    file = host.file(str(tmp_path))
    assert file.exists
    assert file.user
    assert file.mode == 0o700
    assert asked(host) == before + 1
