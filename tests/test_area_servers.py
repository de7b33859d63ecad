"""The area of servers, shown on this machine's own files, processes and sockets, sound and broken."""

from __future__ import annotations

import getpass
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra
from pydantic import ValidationError

from readygate.areas.asking import ask, framed, run, script_in
from readygate.areas.servers.cron import observe_crontabs
from readygate.areas.servers.proc import ProcessEntry, parse_meminfo, parse_processes, parse_space
from readygate.areas.servers.processes import Processes
from readygate.areas.servers.resources import ActualMemory, parse_disk
from readygate.areas.servers.server import Server
from readygate.areas.servers.services import parse_service
from readygate.areas.servers.software import parse_package
from readygate.errors import CouldNotLook
from readygate.spec import misnamed
from tests.holding import LOCAL
from tests.lab.host import Target
from tests.server_checks import held_on, here, reasons_on

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away and become nobody")


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
        held_on(host, files={"/etc/nologin": {"exists": False}})
    assert caught.value.cause == "unreachable:here"


@pytest.mark.parametrize("script", ["trap '' TERM; while :; do sleep 1; done", "kill -TERM $$"])
def test_a_command_that_was_killed_gave_no_answer(script: str) -> None:
    # By the first signal of busybox' timeout, or by the second of any.
    with pytest.raises(CouldNotLook, match="no answer within 1 s"):
        run(LOCAL, "app-1", script, within=1)


def test_an_answer_that_does_not_come_in_time_is_none() -> None:
    with pytest.raises(CouldNotLook, match="no answer within 1 s"):
        run(LOCAL, "app-1", "sleep 60", within=1)


def test_a_command_that_is_not_there_says_nothing_of_what_it_would_have_told() -> None:
    with pytest.raises(CouldNotLook, match="no-such-command"):
        here(commands={"queue": {"run": "no-such-command", "output": "!~ stuck"}})


@pytest.mark.parametrize("script", ["df -P", "echo 'it is'\nid"])
def test_a_command_is_shown_without_the_frame_around_it(script: str) -> None:
    assert script_in(framed(script, 9)) == script_in(script) == script


def test_an_answer_that_looks_like_our_own_frame_is_kept_whole() -> None:
    said = "readygate:begun\nreadygate:ended 7\n"
    assert run(LOCAL, "app-1", f"printf '{said}'", within=9).text == said


@needs_root
def test_what_may_not_be_looked_at_asks_for_sudo(nobody: Any, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    file = {str(tmp_path / "hidden"): {"exists": False}}
    with pytest.raises(CouldNotLook, match="does not let this user look") as caught:
        held_on(nobody, files=file)
    assert "sudo: true" in caught.value.mend


def test_a_script_that_could_not_tell_is_no_answer() -> None:
    with pytest.raises(CouldNotLook, match="app-1 could not tell: the disk is gone") as caught:
        ask(LOCAL, "app-1", "echo the disk is gone >&2; exit 3")
    assert caught.value.mend == "log in to app-1, and see what it says there"
    with pytest.raises(CouldNotLook, match="no-such-tool") as caught:
        ask(LOCAL, "app-1", "no-such-tool || exit 3")
    assert caught.value.mend == "install what is missing"


# Processes.


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a program that waits, under any name."""
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, *arguments: str) -> subprocess.Popen[bytes]:
        program = tmp_path / name
        if not program.exists():
            program.symlink_to(shutil.which("sleep") or "")
        process = subprocess.Popen([program, *(arguments or ("300",))])
        started.append(process)
        # It has its new name a moment after `Popen` takes it for started.
        while Path(f"/proc/{process.pid}/comm").read_text().strip() != name[:15]:
            time.sleep(0.001)
        return process

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


def test_a_process_that_is_stopped_neither_runs_nor_is_gone(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = start("rg-stopped")
    process.send_signal(signal.SIGSTOP)
    while " T " not in Path(f"/proc/{process.pid}/stat").read_text():
        time.sleep(0.01)
    for running in (True, False):
        reasons = reasons_on(LOCAL, processes={"rg-stopped": {"running": running, "count": 1}})
        assert reasons == {"process.running": "1 of 1 are stopped, as by SIGSTOP", "process.count": ""}
    process.send_signal(signal.SIGCONT)
    while " T " in Path(f"/proc/{process.pid}/stat").read_text():
        time.sleep(0.01)
    assert here(processes={"rg-stopped": {"running": True}})["process.running"]


def test_a_script_of_a_long_name_is_found_whatever_reads_it(tmp_path: Path) -> None:
    script = tmp_path / "rg-worker-that-is-a-script"
    script.write_text(f"#!{sys.executable} -u\nimport time; print(flush=True); time.sleep(300)\n")
    script.chmod(0o755)
    with subprocess.Popen([script], stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline()
        held = here(processes={script.name: {"running": True, "count": 1}})
        process.kill()
    assert held == {"process.running": True, "process.count": True}


def test_names_that_the_kernel_cuts_are_told_apart(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    start("rg-worker-of-the-first-kind")
    holds = here(processes={"rg-worker-of-the-first-kind": {"running": True}})
    assert holds["process.running"]
    assert not here(processes={"rg-worker-of-the-second-kind": {"running": True}})["process.running"]
    assert not here(processes={"rg-worker-of-the-first": {"running": True}})["process.running"]


def test_a_process_can_be_found_by_its_command_line(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    start("rg-queue", "301")
    assert here(processes={"queue": {"matching": "rg-queue 301$", "count": 1}})["process.count"]
    assert not here(processes={"queue": {"matching": "rg-queue 302$", "running": True}})["process.running"]


def test_processes_are_read_with_strange_command_lines() -> None:
    status = (
        "/proc/1/status:Name:\tinit\n/proc/1/status:State:\tS (sleeping)\n/proc/1/status:Uid:\t0\t0\t0\t0\n"
        "/proc/7/status:Name:\tsh\n/proc/7/status:State:\tR (running)\n/proc/7/status:Uid:\t0\t33\t0\t0\n"
        "/proc/7/status:NSpid:\t7\t1\n"
        "/proc/8/status:Name:\tgone\n"
        "/proc/9/status:Name:\tdone\n/proc/9/status:State:\tZ (zombie)\n/proc/9/status:Uid:\t0\t0\t0\t0\n"
    )
    commands = (
        "/proc/1/cmdline:/sbin/init\0/proc/7/cmdline:sh\0/proc/7/cmdline:-c\0/proc/7/cmdline:a\nb\0/proc/7/cmdline:\0"
    )
    init, shell = parse_processes(status, commands)
    assert (init.name, init.command, init.contained) == ("init", ("/sbin/init",), False)
    assert (shell.pid, shell.uid, shell.command, shell.contained) == (7, 33, ("sh", "-c", "a\nb", ""), True)


def test_a_process_of_a_container_is_not_taken_for_one_of_the_server(fresh_host: Target) -> None:
    fresh_host.run("systemd-run --quiet sleep 987654; until pgrep -f 'sleep 98765[4]'; do sleep 0.05; done")
    worker = {"matching": "sleep 987654$"}
    with pytest.raises(CouldNotLook, match="1 of 1 processes are in containers"):
        here(processes={"worker": {**worker, "running": True}})
    for where, running in (("server", False), ("containers", True), ("anywhere", True)):
        assert here(processes={"worker": {**worker, "running": running, "where": where}})["process.running"]
    assert held_on(testinfra.get_host(fresh_host.hostspec), processes={"worker": {**worker, "running": True}})


def test_the_cron_of_a_container_does_not_run_the_jobs_of_the_server() -> None:
    server = Server.model_validate({"connect": "local://", "superusers": ["root"]})
    for contained, logging in ((False, 1), (True, None)):
        cron = ProcessEntry(7, "cron", 0, ("/usr/sbin/cron", "-f"), contained)
        assert observe_crontabs(LOCAL, server, Processes((cron,), {})).logging == logging


def test_the_limits_of_a_process_hold_as_they_are_in_force(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = start("rg-limited")
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (100, 100))
    assert all(here(processes={"rg-limited": {"limits": {"nofile": 100}, "open_files": "50%"}}).values())
    assert not here(processes={"rg-limited": {"limits": {"nofile": 101}}})["process.limits"]
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (4, 100))
    assert not here(processes={"rg-limited": {"open_files": "50%"}})["process.open_files"]
    assert not any(here(processes={"rg-absent": {"limits": {"nofile": 1}, "open_files": "50%"}}).values())


# Services. Recorded on a Debian 12 run by systemd.


def unit(load: str, active: str, file: str) -> str:
    return f"Now=1700000000\nLoadState={load}\nActiveState={active}\nUnitFileState={file}\n"


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


def test_a_service_that_nobody_knows_has_neither_failed_nor_not() -> None:
    # Else a slip of the pen in its name would pass.
    service = parse_service(unit("not-found", "inactive", ""))
    assert (service.failed, service.masked) == (None, None)
    assert parse_service(unit("not-found", "failed", "")).failed


@pytest.mark.parametrize(("part", "running"), [("active", True), ("failed", False), ("inactive", False)])
def test_a_service_that_groups_others_runs_if_these_do(part: str, running: bool) -> None:
    text = unit("loaded", "active", "enabled") + f"\nPartId=postgresql@15-main.service\nPartActiveState={part}\n"
    service = parse_service(text)
    assert service.running is running
    assert running or service.told == "down is postgresql@15-main.service"


@pytest.mark.parametrize(
    ("text", "running", "failed"),
    [
        ("Status=0\n", True, False),
        ("Status=1\n", False, True),
        ("Status=3\n", False, False),
        ("Init=openrc\nStatus=0\n", True, False),
        ("Init=openrc\nStatus=8\n", False, False),
        ("Init=openrc\nStatus=32\n", False, True),
    ],
)
def test_a_service_is_read_from_its_init_script(text: str, running: bool, failed: bool) -> None:
    service = parse_service(text)
    assert (service.running, service.failed) == (running, failed)


def test_an_init_script_that_can_not_tell_is_no_answer() -> None:
    with pytest.raises(CouldNotLook, match="ended with 4"):
        parse_service("Status=4\n")


@pytest.mark.skipif(Path("/run/systemd/system").exists(), reason="this machine is run by systemd")
def test_without_systemd_no_service_is_down() -> None:
    with pytest.raises(CouldNotLook):
        here(services={"no-such-service": {"running": False}})


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
    assert disk.told == "nothing is mounted at /data, which is a part of /"


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
