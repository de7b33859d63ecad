"""Files of a server, checkouts of git, logs and permissions, shown on this machine's own."""

from __future__ import annotations

import getpass
import grp
import hashlib
import json
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from readygate.areas.servers.files import parse_stat
from readygate.areas.servers.logs import LogLines, parse_rotation
from readygate.errors import CouldNotLook
from tests.holding import LOCAL
from tests.projects import Project, let_others_in
from tests.server_checks import here, reasons_on

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")

# What is at a path.


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
        "file.exists": False,
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


# Checkouts of git.


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    if not shutil.which("git"):
        pytest.skip("this machine has no git")
    path = tmp_path / "app"
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "one"]):
        path.mkdir(exist_ok=True)
        (path / "app.py").write_text("print(1)\n")
        git(path, *command)
    return path


def git(path: Path, *command: str) -> str:
    me = ["-c", "user.name=me", "-c", "user.email=me@example.com"]
    return subprocess.run(["git", *me, *command], cwd=path, check=True, capture_output=True, text=True).stdout.strip()


def test_a_checkout_holds_until_someone_works_in_it(checkout: Path) -> None:
    declared = {"head": git(checkout, "rev-parse", "HEAD"), "branch": "main", "clean": True}
    assert all(here(checkouts={str(checkout): declared}).values())
    (checkout / "mend.py").touch()
    assert here(checkouts={str(checkout): declared}) == {
        "checkout.head": True,
        "checkout.branch": True,
        "checkout.clean": False,
    }
    git(checkout, "checkout", "-q", "-b", "other")
    git(checkout, "add", ".")
    git(checkout, "commit", "-q", "-m", "two")
    assert here(checkouts={str(checkout): declared}) == {
        "checkout.head": False,
        "checkout.branch": False,
        "checkout.clean": True,
    }


@needs_root
def test_git_is_asked_as_the_owner_of_the_checkout(checkout: Path, tmp_path: Path) -> None:
    let_others_in(tmp_path)
    subprocess.run(["chown", "-R", "nobody", checkout], check=True)
    git_dir = checkout / ".git"
    (git_dir / "config").write_text(f"[core]\n\tfsmonitor = touch {tmp_path}/pwned\n")
    assert here(checkouts={str(checkout): {"clean": True}})["checkout.clean"]
    assert not (tmp_path / "pwned").exists()


def test_a_folder_that_is_no_checkout_fails(tmp_path: Path) -> None:
    assert not any(here(checkouts={str(tmp_path): {"head": "!= x", "branch": "!= x", "clean": True}}).values())


# Logs.

SOUND_LOG = [
    {"level": "INFO", "message": "started", "correlation_id": "a1"},
    {"level": "warning", "message": "slow", "correlation_id": "a2"},
]


def write_log(path: Path, *lines: str) -> None:
    path.write_text("".join(f"{line}\n" for line in lines))


def test_a_sound_log_holds_and_a_broken_one_fails(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    declared = {
        "age": "1h",
        "json_lines": "100%",
        "fields": {"contains": ["correlation_id"]},
        "levels": {"lacks": ["DEBUG"]},
        "errors": 0,
        "contains": {"started": True, "password": False},
    }
    write_log(path, *map(json.dumps, SOUND_LOG))
    holds = here(logs={str(path): declared})
    assert len(holds) == 6
    assert all(holds.values()), holds
    worse = {"level": "DEBUG", "message": "password hunter2"}
    write_log(path, json.dumps(worse), json.dumps({"level": "fatal"}), "Traceback (most recent call last):")
    os.utime(path, (0, time.time() - 7200))
    assert not any(here(logs={str(path): declared}).values())
    write_log(path, *map(json.dumps, SOUND_LOG), "plain")
    assert not here(logs={str(path): declared})["log.fields"]
    path.unlink()
    assert not any(here(logs={str(path): declared}).values())


def test_the_last_lines_of_a_log_that_was_just_rotated_are_in_the_one_before(tmp_path: Path) -> None:
    log = {"contains": {"second": True, "first": False}, "lines": 1}
    write_log(tmp_path / "app.log.1", "first", "second")
    write_log(tmp_path / "app.log")
    assert here(logs={str(tmp_path / "app.log"): log})["log.contains"]
    write_log(tmp_path / "app.log", "third")
    assert not here(logs={str(tmp_path / "app.log"): log})["log.contains"]


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("2026-11-21 01:00:00,123 ERROR app.views: no such order", "ERROR"),
        ("2026/11/21 01:00:00 [crit] 7#7: no space left on device", "CRITICAL"),
        ("time=2026-11-21T01:00:00Z level=warn msg=slow", "WARNING"),
        ('{"severity": "NOTICE", "message": "ERROR is only said"}', "INFO"),
        ("GET /health 200", None),
    ],
)
def test_the_level_of_a_line_is_known_by_its_words(line: str, level: str | None) -> None:
    assert LogLines((line,)).levels == ((level,) if level else None)


ROTATED = """\
1700000000 +0100 0
considering log /var/log/app.log
considering log /var/log/new.log
logrotate state -- version 2
"/var/log/app.log" 2023-11-14-1:0:0
"/var/log/dropped.log" 2023-11-14-1:0:0
"""


def test_rotation_is_read_from_the_record_of_logrotate_in_the_servers_time() -> None:
    assert parse_rotation(ROTATED, "/var/log/app.log").ago_s == 1700000000 - (1699923600 - 3600)
    assert parse_rotation(ROTATED, "/var/log/new.log").ago_s is None
    assert parse_rotation(ROTATED, "/var/log/dropped.log").ago_s is None


# Surprises.


@needs_root
def test_surprising_permissions_are_found(tmp_path: Path) -> None:
    declared = {"under": [str(tmp_path)], "world_writable": 0, "unowned": 0, "setuid_unpackaged": 0}
    (tmp_path / "fine").touch()
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o1777)
    assert all(here(permissions=declared).values())
    (tmp_path / "open to\nall").touch()
    (tmp_path / "open to\nall").chmod(0o666)
    shutil.copy("/bin/true", tmp_path / "tool")
    (tmp_path / "tool").chmod(0o755 | stat.S_ISUID)
    (tmp_path / "left").touch()
    os.chown(tmp_path / "left", 54321, 54321)
    reasons = reasons_on(LOCAL, permissions=declared)
    assert f"found {tmp_path}/tool" in reasons["permissions.setuid_unpackaged"]
    assert all(reasons.values())
    with pytest.raises(CouldNotLook, match="No such file"):
        here(permissions=declared | {"under": [str(tmp_path / "typo")]})
    assert all(here(permissions=declared | {"without": [str(tmp_path)], "under": ["/etc/apt"]}).values())


def test_a_dead_link_is_neither_there_nor_gone(tmp_path: Path) -> None:
    dead, loop = tmp_path / "current", tmp_path / "loop"
    dead.symlink_to("releases/42")
    loop.symlink_to("loop")
    for link in map(str, (dead, loop)):
        assert not here(files={link: {"exists": True}})["file.exists"]
        assert not here(files={link: {"exists": False}})["file.exists"]
        assert here(files={link: {"type": "link"}})["file.type"]
    reasons = reasons_on(LOCAL, files={str(dead): {"exists": True}})
    assert reasons["file.exists"].startswith("it leads to releases/42, and there is nothing")


def test_lines_that_end_as_on_windows_are_not_taken_for_others(tmp_path: Path) -> None:
    path = tmp_path / "app.env"
    path.write_bytes(b"DEBUG=true\r\nLEVEL=info\r\n")
    assert not here(files={str(path): {"contains": {"^DEBUG=true": False}}})["file.contains"]
    for wanted in (True, False):
        with pytest.raises(CouldNotLook, match="end as on Windows"):
            here(files={str(path): {"contains": {"^DEBUG=true$": wanted}}})


def test_a_link_is_searched_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "release").mkdir()
    (tmp_path / "release/run.sh").touch()
    (tmp_path / "release/run.sh").chmod(0o777)
    (tmp_path / "current").symlink_to("release")
    declared = {"under": [str(tmp_path / "current")], "world_writable": 0}
    assert not here(permissions=declared)["permissions.world_writable"]


def test_names_that_are_no_utf_8_stop_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    odd = os.fsencode(folder) + b"/caf\xe9.sh"
    os.close(os.open(odd, os.O_CREAT))
    os.chmod(odd, 0o777)
    os.symlink(b"v\xff1", os.fsencode(tmp_path / "current"))
    permissions = {"under": [str(folder)], "world_writable": 0}
    server = {"connect": "local://", "permissions": permissions, "files": {f"{tmp_path}/current": {"links_to": "v1"}}}
    (tmp_path / "inventory.yml").write_text(json.dumps({"project": "odd", "servers": {"here": server}}))
    ended = Project(tmp_path).readygate("run")
    assert (ended.word, ended.code) == ("NO-GO", 1)
    assert "caf\\\\udce9.sh" in ended.everything_written()
