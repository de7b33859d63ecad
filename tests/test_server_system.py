"""What a server is and has to give, shown on this machine: its system, groups, mounts, load, modules and commands."""

from __future__ import annotations

import grp
import os
import platform
import socket
from pathlib import Path

import pytest

from readygate.areas.servers.accounts import parse_sudoers
from readygate.areas.servers.clock import parse_clock
from readygate.areas.servers.kernel import observe_modules
from readygate.areas.servers.platform import parse_system
from readygate.areas.servers.resources import parse_mounts
from readygate.areas.servers.server import Server
from readygate.areas.servers.services import parse_service
from readygate.areas.servers.sshd import parse_sshd
from readygate.areas.servers.updates import parse_apk, parse_apt, parse_dnf, parse_reboot, parse_upgrade
from readygate.errors import CouldNotLook
from tests.holding import LOCAL
from tests.server_checks import here, reasons_on

# The system.

SYSTEM = """\
kernel=6.1.0-18-amd64
architecture=x86_64
hostname=app-1
cpus=4
uptime=4435.38
localtime=/usr/share/zoneinfo/Asia/Almaty
timezone=Etc/UTC
LANG="ru_RU.UTF-8"
VERSION_ID="12"
VERSION_CODENAME=bookworm
ID=debian
"""


def test_a_system_is_read_as_it_describes_itself() -> None:
    system = parse_system(SYSTEM)
    assert (system.os, system.release, system.codename) == ("debian", "12", "bookworm")
    assert (system.kernel, system.cpus, system.uptime_s) == ("6.1.0-18-amd64", 4, 4435.38)
    assert (system.timezone, system.locale) == ("Asia/Almaty", "ru_RU.UTF-8")


@pytest.mark.parametrize(
    ("localtime", "zone"),
    [("", "UTC"), ("localtime=/usr/share/zoneinfo/Etc/UTC", "UTC"), ("localtime=/etc/localtime", "Etc/UTC")],
)
def test_the_time_zone_is_the_one_that_programs_follow(localtime: str, zone: str) -> None:
    text = SYSTEM.replace("localtime=/usr/share/zoneinfo/Asia/Almaty", localtime)
    assert parse_system(text).timezone in (zone, "UTC")


def test_a_system_holds_and_fails() -> None:
    right = {
        "kernel": platform.release().partition("-")[0],
        "architecture": platform.machine(),
        "hostname": socket.gethostname(),
        "cpus": 1,
        "uptime": "1s",
        "codename": platform.freedesktop_os_release()["VERSION_CODENAME"],
    }
    assert all(here(system=right).values())
    wrong = {"kernel": "<2", "architecture": "vax", "hostname": "other", "cpus": 4096, "uptime": "9999d"}
    wrong |= {"os": "plan9", "release": "<0.1", "codename": "none", "timezone": "Mars/Olympus", "locale": "tlh"}
    assert len(here(system=wrong)) == 10
    assert not any(here(system=wrong).values())


def test_a_service_that_came_up_just_now_is_not_up_for_long() -> None:
    up = "Now=1795226400\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled\nNRestarts=2\n"
    service = parse_service(f"{up}ActiveEnterTimestamp=Sat 2026-11-21 01:59:00 UTC\n")
    assert (service.up_for_s, service.restarts) == (60, 2)
    assert service.running
    crashing = parse_service(f"{up}ActiveEnterTimestamp=Sat 2026-11-21 01:59:30 UTC\n")
    with pytest.raises(CouldNotLook, match="came back by itself 30 s ago"):
        crashing.running  # noqa: B018
    down = parse_service(up.replace("active", "inactive"))
    assert (down.up_for_s, down.restarts) == (None, None)


# Updates. Recorded on a Debian 12 and an Ubuntu 22.04.

UPGRADE = """\
Inst base-files [12.4+deb12u1] (12.4+deb12u5 Debian:12.5/stable [amd64])
Inst openssl [3.0.11-1] (3.0.13-1~deb12u1 Debian-Security:12/stable-security [amd64])
Inst libc6 [2.35-0ubuntu3.1] (2.35-0ubuntu3.8 Ubuntu:22.04/jammy-updates, Ubuntu:22.04/jammy-security [amd64])
Inst linux-image-6.1.0-21-amd64 (6.1.90-1 Debian-Security:12/stable-security [amd64])
Conf openssl (3.0.13-1~deb12u1 Debian-Security:12/stable-security [amd64])
"""


def test_security_updates_are_told_from_others() -> None:
    updates = parse_upgrade(UPGRADE)
    assert updates.all == ("base-files", "openssl", "libc6")
    assert updates.security == ("openssl", "libc6")


def test_lists_that_are_too_old_or_not_for_security_say_nothing_of_it() -> None:
    lists = "1795226400\nSuite: stable-security\nValid-Until: {}\n= upgrade\n"
    assert parse_apt(lists.format("Sat, 28 Nov 2026 09:00:00 UTC")).security == ()
    with pytest.raises(CouldNotLook, match="has not answered since"):
        parse_apt(lists.format("Fri, 20 Nov 2026 09:00:00 UTC"))
    plain = parse_apt(f"1795226400\nSuite: stable\n= upgrade\n{UPGRADE}")
    assert len(plain.all) == 3
    with pytest.raises(CouldNotLook, match="which updates are for security"):
        plain.security  # noqa: B018


# As apk 2.14.9 and 3.0.6, and dnf 4.14, print it.
APK = """\
Installed:                                Available:
busybox-1.36.1-r0                       < 1.36.1-r5
libcrypto3-3.3.2-r1                     < 3.3.3-r0
"""
INDEXES = "= indexes\n [http://alpine.lab/x86_64/Packages.adb]\n"
DNF = """
NetworkManager.x86_64       1:1.42.2-8.el9_2        baseos
bash.x86_64                 5.1.8-6.el9_1           baseos
Obsoleting Packages
grub2.x86_64                1:2.06-61.el9           baseos
= advisories
{}
= security
"""


def test_updates_of_alpine_are_told_without_what_they_are_for() -> None:
    assert parse_apk(APK + INDEXES).all == ("busybox", "libcrypto3")
    assert parse_apk(APK.partition("\n")[0] + INDEXES).all == ()
    with pytest.raises(CouldNotLook, match="which updates are for security"):
        parse_apk(APK + INDEXES).security  # noqa: B018


def test_of_a_repository_that_apk_cant_use_no_update_is_known() -> None:
    warning = "WARNING: opening from cache http://alpine.lab/main: No such file or directory\n"
    with pytest.raises(CouldNotLook, match="use one of its repositories: opening from cache"):
        parse_apk(warning + APK + INDEXES)
    with pytest.raises(CouldNotLook, match="no repository"):
        parse_apk(APK.partition("\n")[0] + "= indexes\n")


def test_updates_by_dnf_are_for_security_only_as_far_as_advisories_say() -> None:
    advisory = "RHSA-2023:3722 Moderate/Sec. openssl-1:3.0.7-16.el9_2.x86_64\n"
    updates = parse_dnf(f"{DNF.format(advisory)}{advisory}")
    assert updates.all == ("NetworkManager", "bash")
    assert updates.security == ("openssl",)
    assert parse_dnf(DNF.format(advisory)).security == ()
    # As dnf 5 prints it: a heading, and when each was issued.
    heading = "Name                   Type     Severity                      Package              Issued\n"
    five = (
        f"{heading}FEDORA-2024-635a54eb7e security Important glib2-devel-2.80.2-1.fc40.x86_64 2024-05-12 04:16:43\n"
    )
    assert parse_dnf(f"{DNF.format(five)}{five}").security == ("glib2-devel",)
    with pytest.raises(CouldNotLook, match="which updates are for security"):
        parse_dnf(f"{DNF.format(heading)}{heading}").security  # noqa: B018
    with pytest.raises(CouldNotLook, match="which updates are for security"):
        parse_dnf(DNF.format("")).security  # noqa: B018


@pytest.mark.parametrize(
    ("text", "required", "told"),
    [
        ("6.1.0-9-amd64\n6.1.0-9-amd64 6.1.0-21-amd64 \n\n", True, "6.1.0-21-amd64 is installed"),
        ("6.1.0-21-amd64\n6.1.0-9-amd64 6.1.0-21-amd64 \n\n", False, ""),
        ("6.1.0-21-amd64\n\n\n", False, ""),
        ("5.15.0-1-cloud\n6.1.0-21-amd64 \n6.1.0-21-amd64\n", False, ""),
        ("6.6.1-0-lts\nlts \n6.6.2-0-lts \n", True, "its modules are gone"),
        ("6.6.2-0-lts\nlts \n6.6.2-0-lts \n", False, ""),
        ("5.15.0-1-cloud\nlts \n6.6.2-0-lts \n", False, ""),
        ("6.1.0-21-amd64\n\n\nrequired\nlibc6\ndbus\n", True, "asked for by libc6, dbus"),
    ],
)
def test_a_reboot_is_due_for_a_newer_kernel_or_if_a_package_asks(text: str, required: bool, told: str) -> None:
    reboot = parse_reboot(text)
    assert reboot.required is required
    assert told in reboot.told


# The clock.

CHRONY = "chrony={},{},3,1795226400.1,{},0.0002,0.0003,-1.2,0.0,0.1,0.01,0.02,64.0,{}\n"


@pytest.mark.parametrize(
    ("text", "synchronised", "drift_s"),
    [
        (CHRONY.format("C0A80001", "192.168.0.1", "-0.25", "Normal"), True, 0.25),
        (CHRONY.format("7F7F0101", "", "0.0", "Normal"), False, None),
        (CHRONY.format("00000000", "", "0.0", "Not synchronised"), False, None),
        ("NTPSynchronized=yes\nOffset=-1.204ms\n", True, 0.001204),
        ("NTPSynchronized=yes\n", True, None),
        ("NTPSynchronized=no\n", False, None),
    ],
)
def test_a_clock_is_read_from_its_keeper(text: str, synchronised: bool, drift_s: float | None) -> None:
    clock = parse_clock(text)
    assert (clock.synchronised, clock.offset_s) == (synchronised, pytest.approx(drift_s) if drift_s else drift_s)


def test_a_clock_whose_sources_fell_silent_is_not_kept_right() -> None:
    tracking = "C0A80001,192.168.0.1,3,{},0.0001,0.0,0.0,0.0,0.0,0.0,0.1,0.001,64.0,Normal"
    assert parse_clock(f"now=1795226400\nchrony={tracking.format('1795226000.5')}\n").synchronised
    silent = parse_clock(f"now=1795226400\nchrony={tracking.format('1795000000.5')}\n")
    assert (silent.synchronised, silent.told) == (False, "no source has answered for days")


def test_how_far_a_clock_is_off_is_not_guessed() -> None:
    with pytest.raises(CouldNotLook, match="does not say how far"):
        parse_clock("NTPSynchronized=yes\n").drift_s  # noqa: B018
    assert parse_clock("NTPSynchronized=no\n").drift_s is None


def test_a_keeper_that_tells_something_else_is_not_guessed_at() -> None:
    with pytest.raises(CouldNotLook):
        parse_clock("chrony=506 Cannot talk to daemon\n")


# Sshd. Recorded on a Debian 12.

SSHD = """\
port 22
port 2222
permitrootlogin without-password
maxauthtries 6
passwordauthentication no
=

Match all
# Match user ignored
PasswordAuthentication no
Match User backup
    PasswordAuthentication yes
    MaxAuthTries 6

Match all
X11Forwarding yes
"""


def test_sshd_is_read_with_what_holds_for_some() -> None:
    sshd = parse_sshd(SSHD)
    assert sshd.value("Port") == "22 2222"
    assert sshd.value("PermitRootLogin") == "prohibit-password"
    assert sshd.value("MaxAuthTries") == 6
    assert sshd.value("PasswordAuthentication") == "no, but yes for User backup"
    assert sshd.value("NoSuchKeyword") is None


INCLUDED = """\
readygate:begin
PasswordAuthentication no
Match User shop
readygate:begin
PasswordAuthentication yes
Match Address 10.0.0.0/8
X11Forwarding yes
readygate:end
MaxAuthTries 3
readygate:end
readygate:begin
PermitRootLogin no
readygate:end
"""


def test_an_included_file_belongs_to_the_block_that_includes_it() -> None:
    settings = parse_sshd(f"passwordauthentication no\nx11forwarding no\nmaxauthtries 6\n=\n{INCLUDED}")
    assert settings.value("PasswordAuthentication") == "no, but yes for User shop"
    assert settings.value("X11Forwarding") == "no, but yes for User shop and Address 10.0.0.0/8"
    assert settings.value("MaxAuthTries") == "6, but 3 for User shop"


SUDOERS = """\
Defaults env_reset
# comment ALL=(ALL) ALL
@includedir /etc/sudoers.d
User_Alias ADMINS = anna, boris : \\
    OPERATORS = carla, NIGHT # two shifts
User_Alias NIGHT = emil
OPERATORS ALL=(ALL) RESTART # by night
Cmnd_Alias RESTART = /usr/bin/systemctl restart shop
root ALL=(ALL:ALL) ALL
%sudo   ALL = (ALL:ALL) ALL
ADMINS, dora ALL=(ALL) RESTART
#1001 ALL=(root) NOPASSWD: ALL
"""


def test_sudoers_are_read_with_their_aliases() -> None:
    assert parse_sudoers(SUDOERS) == ("#1001", "%sudo", "anna", "boris", "carla", "dora", "emil", "root")


def test_rules_of_sudo_in_other_files_are_not_passed_over() -> None:
    assert parse_sudoers("root ALL=(ALL) ALL\n@includedir /etc/sudoers.d\n") == ("root",)
    with pytest.raises(CouldNotLook, match=r"takes rules from /etc/sudoers\.local"):
        parse_sudoers("root ALL=(ALL) ALL\n#include /etc/sudoers.local\n")


# Mounts, load, open files, modules.


def test_mounts_are_read_with_spaces_in_their_names_and_the_last_one_counts() -> None:
    mounts = parse_mounts("/dev/a /mnt/our\\040share ext4 rw 0 0\ntmpfs /mnt/our\\040share tmpfs ro,nosuid 0 0\n")
    assert mounts["/mnt/our share"].filesystem == "tmpfs"
    assert mounts["/mnt/our share"].options == ("ro", "nosuid")


def test_a_mount_holds_as_the_kernel_has_it() -> None:
    root = parse_mounts(Path("/proc/self/mounts").read_text())["/"]
    right = {"filesystem": root.filesystem, "source": root.source, "options": list(root.options or ())}
    assert all(here(disk={"/": right}).values())
    wrong = {"filesystem": "minix", "source": "/dev/fd0", "options": {"contains": ["umask=7"]}}
    assert not any(here(disk={"/": wrong}).values())
    absent = {"filesystem": "!= x", "source": "!= x", "options": {"lacks": ["x"]}}
    assert not any(here(disk={"/etc": absent}).values())


def test_load_and_open_files_hold_and_fail() -> None:
    averages = ("one_minute", "five_minutes", "fifteen_minutes")
    assert all(here(load_average=dict.fromkeys(averages, 10_000), open_files="99%").values())
    assert not any(here(load_average=dict.fromkeys(averages, "<0.000001"), open_files="<0.0000001%").values())


def test_a_module_holds_by_whether_the_kernel_has_it() -> None:
    server = Server.model_validate({"connect": "local://", "failed_units": 0})
    for name in sorted(observe_modules(LOCAL, server))[:1]:
        assert here(modules={name.replace("_", "-"): True})["server.modules"]
        assert not here(modules={name: False})["server.modules"]
    assert here(modules={"no_such_module": False})["server.modules"]
    assert not here(modules={"no_such_module": True})["server.modules"]


# Groups.


def test_a_group_holds_and_fails() -> None:
    group = grp.getgrgid(0)
    members = list(group.gr_mem) or ["nobody"]
    assert all(here(user_groups={group.gr_name: {"exists": True, "gid": 0}}).values())
    assert here(user_groups={group.gr_name: {"members": members}})["group.members"] is bool(group.gr_mem)
    assert not any(here(user_groups={group.gr_name: {"exists": False, "gid": 1, "members": ["toor"]}}).values())
    absent = {"exists": True, "gid": "<9999", "members": {"lacks": ["root"]}}
    assert not any(here(user_groups={"no-such-group": absent}).values())


def test_owners_hold_by_number(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    right = {"uid": os.geteuid(), "gid": (tmp_path / "file").stat().st_gid}
    assert all(here(files={str(tmp_path / "file"): right}).values())
    assert not any(here(files={str(tmp_path / "file"): {"uid": 54321, "gid": 54321}}).values())
    assert not any(here(files={str(tmp_path / "absent"): {"uid": "<54321", "gid": "<54321"}}).values())


# Commands.


def test_what_a_command_complains_of_holds_and_fails() -> None:
    run = "echo fine; echo oh dear >&2"
    assert here(commands={"x": {"run": run, "errors": "oh dear"}})["command.errors"]
    assert not here(commands={"x": {"run": run, "errors": "~ ^$"}})["command.errors"]


def test_a_command_that_fails_is_told_with_what_it_complained_of() -> None:
    failing = {"run": "echo first >&2; echo no route to the queue >&2; exit 7", "exit": 0, "output": "empty"}
    assert reasons_on(LOCAL, commands={"x": failing}) == dict.fromkeys(
        ("command.exit", "command.output"), "it ended with 7: no route to the queue"
    )


def test_a_command_is_run_again_until_it_is_as_declared(tmp_path: Path) -> None:
    run = f"echo . >> {tmp_path}/runs; wc -l < {tmp_path}/runs"
    command = {"run": run, "output": "3", "retry": {"times": 5, "every": "1ms"}}
    assert here(commands={"x": command})["command.output"]
    assert (tmp_path / "runs").read_text() == ".\n" * 3
    (tmp_path / "runs").unlink()
    reasons = reasons_on(LOCAL, commands={"x": command | {"output": "9", "retry": {"times": 1, "every": "1ms"}}})
    assert reasons["command.output"]
    assert (tmp_path / "runs").read_text() == ".\n" * 2
