"""The area of servers, shown on this machine's own files, processes and sockets, sound and broken."""

from __future__ import annotations

import getpass
import grp
import hashlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra
from pydantic import ValidationError

from readygate.areas.asking import ask, run
from readygate.areas.files import parse_stat
from readygate.areas.proc import parse_meminfo, parse_processes, parse_socket_holders, parse_sockets, parse_space
from readygate.areas.resources import ActualMemory, parse_disk
from readygate.areas.servers import Server
from readygate.areas.software import parse_package, parse_service
from readygate.errors import CouldNotLook
from readygate.spec import misnamed
from tests.holding import LOCAL, held

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away and become nobody")


def here(**declared: Any) -> dict[str, bool]:
    """What holds of this machine."""
    return held("servers", {"connect": "local://", **declared})


@pytest.fixture
def nobody() -> Any:
    """This machine, looked at by someone who may do little."""
    if not shutil.which("sudo"):
        pytest.skip("there is no sudo to become nobody by")
    return testinfra.get_host("local://", sudo=True, sudo_user="nobody")


# What is declared.


def test_a_server_that_does_not_say_how_to_connect_is_refused() -> None:
    with pytest.raises(ValidationError, match="connect"):
        Server.model_validate({"memory": {"used": "90%"}})


@pytest.mark.parametrize(
    ("connect", "message"),
    [
        ("app-1", "does not say how to connect; write e.g. ssh://app-1"),
        ("shh://app-1", "'shh' is no way to connect"),
        ("ssh://", "names no host"),
    ],
)
def test_a_connection_to_nowhere_is_refused(connect: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Server.model_validate({"connect": connect, "memory": {"used": "90%"}})


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"ports": {"http": {"listening": True}}}, "'http' is not a port; write e.g. 443"),
        ({"ports": {"65536": {"listening": True}}}, "'65536' is not a port"),
        ({"ports": {"53/ucp": {"listening": True}}}, "write 53/tcp or 53/udp"),
        ({"files": {"etc/passwd": {"exists": True}}}, "not an absolute path; write e.g. /etc/passwd"),
        ({"files": {"/etc/../etc/passwd": {"exists": True}}}, "roundabout path; write /etc/passwd"),
        ({"files": {"/etc/passwd": {"contains": {"x*": True}}}}, "matches even an empty text"),
        ({"files": {"/etc/passwd": {"contains": {"(": True}}}}, "not a regular expression"),
        ({"packages": {"nginx*": {"installed": True}}}, "not the name of one package"),
        ({"sysctl": {"swappiness": 10}}, "not a kernel setting; write e.g. vm.swappiness"),
        ({}, "declares nothing to verify"),
    ],
)
def test_what_could_not_be_looked_for_is_refused(declared: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        server = Server.model_validate({"connect": "local://", **declared})
        for _, mistake in misnamed(server, "here", ("servers", "here")):
            raise mistake


# Not able to look.


@pytest.mark.parametrize(
    "host",
    [
        testinfra.get_host("ssh://nobody@127.0.0.1:1", ssh_extra_args="-o BatchMode=yes"),
        testinfra.get_host("docker://no-such-container"),
        testinfra.get_host("local://", sudo=True, sudo_user="no-such-user"),
    ],
    ids=["ssh", "docker", "sudo"],
)
def test_a_server_out_of_reach_is_never_looked_at_and_found_fine(host: Any) -> None:
    # Of a file that must not exist, an answer that never came would look like a good one.
    with pytest.raises(CouldNotLook) as caught:
        held("servers", {"connect": "local://", "files": {"/etc/nologin": {"exists": False}}}, host)
    assert caught.value.cause == "unreachable:here"


def test_an_answer_that_does_not_come_in_time_is_none() -> None:
    with pytest.raises(CouldNotLook, match="no answer within 1 s"):
        run(LOCAL, "app-1", "sleep 60", within=1)


def test_a_command_that_is_not_there_says_nothing_of_what_it_would_have_told() -> None:
    with pytest.raises(CouldNotLook, match="no-such-command"):
        here(commands={"queue": {"run": "no-such-command", "output": "!~ stuck"}})


def test_an_answer_that_looks_like_our_own_frame_is_kept_whole() -> None:
    said = "readygate:begun\nreadygate:ended 7\n"
    assert run(LOCAL, "app-1", f"printf '{said}'", within=9).text == said


@needs_root
def test_what_may_not_be_looked_at_asks_for_sudo(nobody: Any, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    file = {str(tmp_path / "hidden"): {"exists": False}}
    with pytest.raises(CouldNotLook, match="does not let this user look") as caught:
        held("servers", {"connect": "local://", "files": file}, nobody)
    assert "sudo: true" in caught.value.mend


def test_a_script_that_could_not_tell_is_no_answer() -> None:
    with pytest.raises(CouldNotLook, match="app-1 could not tell: the disk is gone"):
        ask(LOCAL, "app-1", "echo the disk is gone >&2; exit 3")


# Files.


def write_sound_file(path: Path) -> dict[str, Any]:
    path.write_text("PORT=8080\nDEBUG=false\n")
    path.chmod(0o640)
    return {
        "exists": True,
        "type": "file",
        "mode": "0640",
        "owner": getpass.getuser(),
        "group": grp.getgrgid(os.getegid()).gr_name,
        "size": "22",
        "age": "1h",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "contains": {"^PORT=8080$": True, "^DEBUG=true": False},
    }


def into_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


BROKEN_FILES: dict[str, Callable[[Path], Any]] = {
    "exists": Path.unlink,
    "type": into_directory,
    "mode": lambda path: path.chmod(0o644),
    "size": lambda path: path.write_text("PORT=8080\nDEBUG=false\n\n"),
    "age": lambda path: os.utime(path, (0, time.time() - 7200)),
    "sha256": lambda path: path.write_text("PORT=8081\nDEBUG=false\n"),
    "contains": lambda path: path.write_text("PORT=8080\nDEBUG=true \n"),
}


def test_a_sound_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "it's an app.env"
    holds = here(files={str(path): write_sound_file(path)})
    assert len(holds) == 9
    assert all(holds.values()), holds


@pytest.mark.parametrize("field", BROKEN_FILES)
def test_a_broken_file_fails(tmp_path: Path, field: str) -> None:
    path = tmp_path / "app.env"
    declared = write_sound_file(path)
    BROKEN_FILES[field](path)
    assert not here(files={str(path): {field: declared[field]}})[f"file.{field}"]


@needs_root
@pytest.mark.parametrize(("field", "ids"), [("owner", (65534, -1)), ("group", (-1, 65534))])
def test_a_file_of_someone_else_fails(tmp_path: Path, field: str, ids: tuple[int, int]) -> None:
    path = tmp_path / "app.env"
    declared = write_sound_file(path)
    os.chown(path, *ids)
    assert not here(files={str(path): {field: declared[field]}})[f"file.{field}"]


@needs_root
def test_an_owner_without_a_name_is_known_by_number(tmp_path: Path) -> None:
    path = tmp_path / "app.env"
    path.touch()
    os.chown(path, 54321, -1)
    assert here(files={str(path): {"owner": "54321"}})["file.owner"]


def test_a_file_that_is_absent_fails_whatever_is_declared_of_it(tmp_path: Path) -> None:
    declared = write_sound_file(tmp_path / "app.env") | {"contains": {"^DEBUG=true": False}}
    declared["owner"] = "!=somebody"
    assert not any(here(files={str(tmp_path / "absent"): declared}).values())


def test_a_link_is_told_from_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "v2").mkdir(mode=0o750)
    link = tmp_path / "current"
    link.symlink_to("v2")
    declared = {"type": "link", "links_to": "v2", "mode": "0750"}
    assert all(here(files={str(link): declared}).values())
    link.unlink()
    link.symlink_to("v1")
    assert here(files={str(link): declared | {"exists": True}}) == {
        "file.exists": True,
        "file.type": True,
        "file.mode": False,
        "file.links_to": False,
    }


def test_a_file_from_the_future_has_no_age(tmp_path: Path) -> None:
    path = tmp_path / "heartbeat"
    path.touch()
    os.utime(path, (0, time.time() + 86400))
    with pytest.raises(CouldNotLook, match="in the future"):
        here(files={str(path): {"age": "1h"}})


def test_a_file_that_is_too_large_to_search_is_not_searched_in_part(tmp_path: Path) -> None:
    path = tmp_path / "large.log"
    path.write_bytes(b"\n" * (4 * 1024 * 1024) + b"password\n")
    with pytest.raises(CouldNotLook, match="larger than 4 MiB"):
        here(files={str(path): {"contains": {"password": False}}})


def test_a_device_is_read_by_nobody() -> None:
    assert not here(files={"/dev/zero": {"contains": {"x": False}}})["file.contains"]


@pytest.mark.parametrize(
    ("raw_mode", "kind"),
    [("c1ed", "socket"), ("11a4", "pipe"), ("21b6", "device"), ("61b0", "device"), ("41ed", "directory")],
)
def test_the_raw_mode_says_what_kind_of_file_it_is(raw_mode: str, kind: str) -> None:
    text = f"1700000000\n{raw_mode}\n\n{raw_mode}\n0 root\n0 root\n0\n1690000000\n"
    assert parse_stat(text).type == kind


# Processes.


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a program that waits, under any name."""
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, *arguments: str) -> subprocess.Popen[bytes]:
        program = tmp_path / name
        if not program.exists():
            program.symlink_to(shutil.which("sleep") or "")
        started.append(subprocess.Popen([program, *(arguments or ("300",))]))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_running_process_holds_until_it_ends(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = start("rg-worker")
    declared = {"running": True, "count": 1, "users": [getpass.getuser()]}
    assert all(here(processes={"rg-worker": declared}).values())
    start("rg-worker")
    assert not here(processes={"rg-worker": {"count": 1}})["process.count"]
    assert not here(processes={"rg-worker": {"users": ["www-data"]}})["process.users"]
    assert not here(processes={"rg-worker": {"running": False}})["process.running"]
    process.kill()


def test_a_process_that_ended_is_not_running_although_nobody_has_waited_for_it(
    start: Callable[..., subprocess.Popen[bytes]],
) -> None:
    process = start("rg-zombie", "0")
    while " Z " not in Path(f"/proc/{process.pid}/stat").read_text():
        time.sleep(0.01)
    assert not any(here(processes={"rg-zombie": {"running": True, "users": ["root"]}}).values())


def test_names_that_the_kernel_cuts_are_told_apart(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    start("rg-worker-of-the-first-kind")
    holds = here(processes={"rg-worker-of-the-first-kind": {"running": True}})
    assert holds["process.running"]
    assert not here(processes={"rg-worker-of-the-second-kind": {"running": True}})["process.running"]


def test_a_process_can_be_found_by_its_command_line(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    start("rg-queue", "301")
    assert here(processes={"queue": {"matching": "rg-queue 301$", "count": 1}})["process.count"]
    assert not here(processes={"queue": {"matching": "rg-queue 302$", "running": True}})["process.running"]


def test_processes_are_read_with_strange_command_lines() -> None:
    status = (
        "/proc/1/status:Name:\tinit\n/proc/1/status:State:\tS (sleeping)\n/proc/1/status:Uid:\t0\t0\t0\t0\n"
        "/proc/7/status:Name:\tsh\n/proc/7/status:State:\tR (running)\n/proc/7/status:Uid:\t0\t33\t0\t0\n"
        "/proc/8/status:Name:\tgone\n"
        "/proc/9/status:Name:\tdone\n/proc/9/status:State:\tZ (zombie)\n/proc/9/status:Uid:\t0\t0\t0\t0\n"
    )
    commands = (
        "/proc/1/cmdline:/sbin/init\0/proc/7/cmdline:sh\0/proc/7/cmdline:-c\0/proc/7/cmdline:a\nb\0/proc/7/cmdline:\0"
    )
    init, shell = parse_processes(status, commands)
    assert (init.name, init.command) == ("init", ("/sbin/init",))
    assert (shell.pid, shell.uid, shell.command) == (7, 33, ("sh", "-c", "a\nb", ""))


# Ports. The tables were recorded on a Debian 12 with nginx, sshd and Redis.

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 55936 1 0 100 0 0 10 0
   1: 0100007F:18EB 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 55957 1 0 100 0 0 10 0
   2: 0100007F:18EB 0100007F:9C40 01 00000000:00000000 00:00000000 00000000   101        0 55958 1 0 100 0 0 10 0
"""
TCP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when
   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 \
00000000     0        0 57475 1 0 100 0 0 10 0
   1: 00000000000000000000000001000000:1538 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 \
00000000     0        0 57476 1 0 100 0 0 10 0
"""


def test_only_sockets_that_listen_are_read_from_the_kernels_tables() -> None:
    read = [(each.address, each.port, each.inode) for each in parse_sockets("tcp", TCP)]
    assert read == [("0.0.0.0", 443, 55936), ("127.0.0.1", 6379, 55957)]
    assert [(each.protocol, each.address, each.port) for each in parse_sockets("tcp6", TCP6)] == [
        ("tcp", "::", 22),
        ("tcp", "::1", 5432),
    ]


def test_the_holders_of_a_socket_are_read_from_the_listing() -> None:
    listing = """\
/proc/7/fd:
total 0
lrwx------ 1 root root 64 Nov 21 01:19 0 -> /dev/null
lrwx------ 1 root root 64 Nov 21 01:19 6 -> socket:[55936]

/proc/8/fd:
lrwx------ 1 root root 64 Nov 21 01:19 6 -> socket:[55936]
"""
    assert parse_socket_holders(listing) == {55936: {7, 8}}


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_a_port_holds_while_it_is_listened_at(listening: socket.socket) -> None:
    port = str(listening.getsockname()[1])
    me = Path("/proc/self/comm").read_text().strip()
    declared = {"listening": True, "addresses": ["127.0.0.1"], "listeners": [me]}
    assert all(here(ports={f"{port}/tcp": declared}).values())
    assert not here(ports={f"{port}/udp": {"listening": True}})["port.listening"]
    assert not here(ports={port: {"listening": False}})["port.listening"]
    assert not here(ports={port: {"listeners": ["nginx"]}})["port.listeners"]
    listening.close()
    assert not any(here(ports={port: declared}).values())


def test_a_port_that_is_open_to_everybody_fails_where_it_must_be_local() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = str(server.getsockname()[1])
        assert not here(ports={port: {"addresses": ["127.0.0.1"]}})["port.addresses"]


def test_a_udp_port_is_found() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        assert here(ports={f"{port}/udp": {"listening": True}})["port.listening"]


@needs_root
def test_who_listens_is_not_guessed_by_someone_who_may_not_see_it(nobody: Any, listening: socket.socket) -> None:
    ports = {str(listening.getsockname()[1]): {"listeners": ["nginx"]}}
    with pytest.raises(CouldNotLook, match="which process waits"):
        held("servers", {"connect": "local://", "ports": ports}, nobody)


# Services. Recorded on a Debian 12 run by systemd.


def unit(load: str, active: str, file: str) -> str:
    return f"LoadState={load}\nActiveState={active}\nUnitFileState={file}\n"


@pytest.mark.parametrize(
    ("text", "running", "enabled"),
    [
        (unit("loaded", "active", "enabled"), True, True),
        (unit("loaded", "active", "enabled-runtime"), True, True),
        (unit("loaded", "inactive", "disabled"), False, False),
        (unit("loaded", "failed", "enabled"), False, True),
        (unit("loaded", "activating", "static"), False, False),
        (unit("masked", "inactive", "masked"), False, False),
        (unit("not-found", "inactive", ""), False, False),
    ],
)
def test_a_service_is_read_from_systemd(text: str, running: bool, enabled: bool) -> None:
    service = parse_service(text)
    assert (service.running, service.enabled) == (running, enabled)


@pytest.mark.skipif(Path("/run/systemd/system").exists(), reason="this machine is run by systemd")
def test_without_systemd_no_service_is_down() -> None:
    with pytest.raises(CouldNotLook):
        here(services={"nginx": {"running": False}})


# Packages.


@pytest.mark.skipif(not shutil.which("dpkg-query"), reason="this machine has no dpkg")
def test_a_package_holds_where_it_is_installed() -> None:
    assert all(here(packages={"dpkg": {"installed": True, "version": ">=1.0"}}).values())
    assert not any(here(packages={"dpkg": {"installed": False, "version": "<1.0"}}).values())
    assert not any(here(packages={"no-such-package": {"installed": True, "version": "!=1.0"}}).values())


@pytest.mark.parametrize(
    ("text", "installed", "version"),
    [
        ("installed 1.22.1-9+deb12u10\n", True, "1.22.1-9+deb12u10"),
        ("not-installed \ninstalled 1:4.13-1\n", True, "1:4.13-1"),
        ("config-files 3.21.0-1\n", False, None),
        ("package nginx is not installed\n", False, None),
        ("", False, None),
    ],
)
def test_a_package_is_read_from_what_the_package_manager_says(
    text: str, installed: bool, version: str | None
) -> None:
    package = parse_package(text)
    assert (package.installed, package.version) == (installed, version)


# Users.


def test_a_user_holds_as_the_server_knows_it() -> None:
    declared = {"exists": True, "uid": 0, "gid": 0, "home": "/root", "groups": {"contains": "root"}}
    holds = here(users={"root": declared | {"shell": "!=/usr/sbin/nologin"}})
    assert len(holds) == 6
    assert all(holds.values()), holds


def test_a_user_that_is_otherwise_fails() -> None:
    declared = {"exists": False, "uid": 1, "gid": 1, "home": "/", "groups": ["wheel"], "shell": "/bin/false"}
    assert not any(here(users={"root": declared}).values())


@pytest.mark.parametrize("name", ["no-such-user", "0"])
def test_a_user_that_is_absent_fails_whatever_is_declared_of_it(name: str) -> None:
    declared = {"exists": True, "uid": "<9999", "gid": "<9999", "home": "!=/x", "shell": "!=/x"}
    assert not any(here(users={name: declared | {"groups": {"lacks": "docker"}}}).values())


# Disks and memory.

DF = """\
Filesystem     1024-blocks     Used Available Capacity Mounted on
/dev/vda1         40000000 30000000   8000000      79% /
Filesystem      Inodes  IUsed   IFree IUse% Mounted on
/dev/vda1      2621440 262144 2359296   10% /
"""


def test_a_disk_is_reckoned_without_what_is_reserved_for_root() -> None:
    disk = parse_disk("/", DF)
    assert disk.used_percent == pytest.approx(78.947, abs=0.001)
    assert disk.free_bytes == 8_000_000 * 1024
    assert disk.inodes_used_percent == pytest.approx(10)


def test_a_volume_that_is_not_mounted_is_not_taken_for_the_disk_around_it() -> None:
    disk = parse_disk("/data", DF)
    assert (disk.mounted, disk.used_percent, disk.free_bytes) == (False, None, None)
    assert disk.absence == "nothing is mounted at /data, which is a part of /"


def test_a_disk_without_a_number_of_inodes_does_not_run_out_of_them() -> None:
    btrfs = DF.replace("2621440 262144 2359296   10%", "0 0 0 -")
    assert parse_disk("/", btrfs).inodes_used_percent == 0


@pytest.mark.parametrize(
    ("line", "mount", "available"),
    [
        ("//nas/our share   100  60  40  60% /mnt/our share", "/mnt/our share", 40),
        ("tmpfs   100  0  100  0% /run", "/run", 100),
        ("/dev/sda1   100  99  -1  101% /", "/", -1),
    ],
)
def test_a_line_of_df_is_read_whatever_the_names(line: str, mount: str, available: int) -> None:
    space = parse_space(line)
    assert space
    assert (space.mount, space.available) == (mount, available)


def test_a_disk_holds_and_fails() -> None:
    sound = {"mounted": True, "used": "<100%", "free": "1k", "inodes_used": "<100%"}
    assert all(here(disk={"/": sound}).values())
    broken = {"mounted": False, "used": "<0.000001%", "free": "500000T", "inodes_used": "<0.000001%"}
    assert not any(here(disk={"/": broken}).values())


@pytest.mark.parametrize("path", ["/etc", "/no/such/path"])
def test_a_path_where_nothing_is_mounted_fails_whatever_is_declared_of_it(path: str) -> None:
    declared = {"mounted": True, "used": "<100%", "free": "1k", "inodes_used": "<100%"}
    assert not any(here(disk={path: declared}).values())


def test_memory_holds_and_fails() -> None:
    assert all(here(memory={"available": "1k", "used": "<100%"}).values())
    assert not any(here(memory={"available": "500000T", "used": "<0.000001%"}).values())


MEMINFO = "MemTotal:  8000000 kB\nMemAvailable:  2000000 kB\nSwapTotal: {} kB\nSwapFree: {} kB\nHugePages_Total: 0\n"


def test_swap_that_is_used_is_told_from_swap_that_is_not_there() -> None:
    known = parse_meminfo(MEMINFO.format(1000, 250))
    memory = ActualMemory(known["MemTotal"], known["MemAvailable"], known["SwapTotal"], known["SwapFree"])
    declared = Server.model_validate({"connect": "local://", "memory": {"swap_used": "50%"}}).memory
    assert declared
    assert declared.swap_used
    assert (memory.used_percent, memory.swap_used_percent) == (75, 75)
    assert memory.swap_used_percent not in declared.swap_used
    assert ActualMemory(8, 2, 0, 0).swap_used_percent in declared.swap_used


# The kernel and commands.


def test_a_kernel_setting_holds_and_fails() -> None:
    pid_max = int(Path("/proc/sys/kernel/pid_max").read_text())
    assert here(sysctl={"kernel.pid_max": pid_max, "kernel.ostype": "Linux"})["server.sysctl"]
    assert not here(sysctl={"kernel.pid_max": f">{pid_max}"})["server.sysctl"]
    assert not here(sysctl={"kernel.no_such_setting": "!=1"})["server.sysctl"]


def test_a_command_holds_and_fails() -> None:
    run = "echo two words; echo 'more %s' >&2; exit 3"
    assert all(here(commands={"x": {"run": run, "exit": 3, "output": "two words"}}).values())
    assert not any(here(commands={"x": {"run": run, "exit": 0, "output": "two"}}).values())


def test_a_command_that_sh_cannot_read_fails() -> None:
    assert not here(commands={"x": {"run": "echo 'never ends", "exit": 0}})["command.exit"]
