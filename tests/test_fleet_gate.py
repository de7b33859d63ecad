"""The fleet as a user meets it: plain Testinfra suites over ssh, many hosts, some of them dead."""

from __future__ import annotations

import re
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.lab.host import Lab, Target
from tests.projects import Ended, Project

PLAIN = """\
import pytest

@pytest.mark.parametrize("name", ["nginx", "rclone", "no-such-package"])
def test_package(host, name):
    package = host.package(name)
    assert package.is_installed
    assert package.version

class TestNginx:
    def test_service(self, host):
        nginx = host.service("nginx")
        assert nginx.is_running
        assert nginx.is_enabled

    def test_no_such_service(self, host):
        assert host.service("no-such-service").is_running

    def test_configuration(self, host):
        file = host.file("/etc/nginx/nginx.conf")
        assert file.exists
        assert file.user == "root"
        assert file.mode == 0o644
        assert file.contains("worker_processes")

def test_users(host):
    assert host.user("deploy").shell == "/bin/bash"
    assert "sudo" in host.user("deploy").groups

def test_secret_needs_root(host):
    assert host.file("/etc/shadow").content_string

def test_with_sudo(host):
    with host.sudo():
        assert "root:" in host.file("/etc/shadow").content_string
    assert host.run("id -un").stdout.strip() == "deploy"

def test_socket(host):
    assert host.socket("tcp://22").is_listening
    assert not host.socket("tcp://7777").is_listening

def test_missing_file(host):
    assert not host.file("/no/such/file").exists

def test_user_of_a_missing_file(host):
    assert host.file("/no/such/file").user == "root"
"""

ENDS = {"failure": "failed", "error": "error", "skipped": "skipped"}


def outcomes(file: Path) -> dict[str, str]:
    """By test and parameters, how it ended, of a JUnit file."""
    found = {}
    for case in ET.parse(file).iter("testcase"):
        name = re.sub(r"\[[^\]]*?([\w.-]*)\]$", r"[\1]", case.attrib["name"])
        found[name] = next((ENDS[child.tag] for child in case if child.tag in ENDS), "passed")
    return found


def project_on(folder: Path, servers: dict[str, str]) -> Project:
    """A project whose servers are these host specs; the suites are plain and verify nothing that is declared."""
    project = Project(folder)
    lines = [f"  {name}: {{connect: '{spec}', sysctl: {{kernel.ostype: Linux}}}}" for name, spec in servers.items()]
    project.write("inventory.yml", "project: fleet\nservers:\n" + "\n".join(lines) + "\n")
    return project


def checked(ended: Ended) -> dict[str, str]:
    return {f"{each['check']} @ {each['target']}": each["outcome"] for each in ended.run["results"]}


def test_a_plain_suite_gives_the_results_that_testinfra_itself_gives(tmp_path: Path, sound_host: Target) -> None:
    project = project_on(tmp_path, {"target": sound_host.hostspec})
    project.write("suites/test_plain.py", PLAIN)
    theirs = project.pytest("suites", "-p", "no:readygate", f"--hosts={sound_host.hostspec}", "--junitxml=theirs.xml")
    ours = project.pytest("suites", "--desk", "--junitxml=ours.xml")
    assert theirs.code == ours.code == 1
    assert len(outcomes(tmp_path / "theirs.xml")) == 12
    assert list(outcomes(tmp_path / "ours.xml").values()) == list(outcomes(tmp_path / "theirs.xml").values())


def test_asking_ahead_changes_no_result(tmp_path: Path, sound_host: Target) -> None:
    project = project_on(tmp_path, {"target": sound_host.hostspec})
    project.write("suites/test_plain.py", PLAIN)
    ahead = checked(project.readygate("run"))
    assert ahead == checked(project.readygate("run", "--", "--no-ahead"))
    assert set(ahead.values()) == {"passed", "failed", "error"}


def test_a_check_keeps_the_commands_that_it_asked_as_evidence(tmp_path: Path, sound_host: Target) -> None:
    project = project_on(tmp_path, {"target": sound_host.hostspec})
    project.write("suites/test_plain.py", PLAIN)
    evidence = project.readygate("run").result("plain.missing_file")["evidence"]
    assert evidence == [{"asked": "test -e /no/such/file", "answered": "exit code 1"}]


def test_a_hung_command_fails_only_its_own_check_and_leaves_no_process(tmp_path: Path, fresh_host: Target) -> None:
    project = project_on(tmp_path, {"target": fresh_host.hostspec})
    project.write(
        "suites/test_hang.py",
        """\
        def test_hang(host):
            assert host.run("sleep 4321").rc == 0

        def test_fine(host):
            assert host.file("/etc").exists
        """,
    )
    ended = project.readygate("run", "--", "--timeout=3", "--no-ahead")
    assert ended.result("hang.hang")["outcome"] == "error"
    assert ended.result("hang.fine")["outcome"] == "passed"
    assert fresh_host.run("pgrep -fx 'sleep 4321'", check=False).stdout == ""


def test_forty_hosts_of_which_three_are_dead_in_different_ways(tmp_path: Path, lab: Lab, sound_host: Target) -> None:
    config = tmp_path / "ssh_config"
    aliases = [f"app-{number:02}" for number in range(1, 38)]
    sound = sound_host.ssh_config.read_text().replace(f"Host {sound_host.name}", f"Host {' '.join(aliases)}", 1)
    with lab.refusing_host() as refusing, lab.black_holed_host() as silent, lab.impostor() as impostor:
        dead = {"refusing": refusing, "silent": silent, "impostor": impostor}
        config.write_text("\n".join([sound, *(host.ssh_config.read_text() for host in dead.values())]))
        servers = {name: f"ssh://{name}?ssh_config={config}" for name in aliases}
        alive = project_on(tmp_path / "alive", servers)
        servers |= {name: f"ssh://{host.name}?ssh_config={config}" for name, host in dead.items()}
        project = project_on(tmp_path / "all", servers)

        begun = time.monotonic()
        assert alive.readygate("run").word == "GO"
        alive_s = time.monotonic() - begun
        begun = time.monotonic()
        ended = project.readygate("run")
        all_s = time.monotonic() - begun

    assert (ended.code, ended.word) == (3, "INCOMPLETE")
    blind = [each for each in ended.run["results"] if each["outcome"] != "passed"]
    assert sorted(each["target"].split(":")[0] for each in blind) == ["impostor", "refusing", "silent"]
    assert len({each["cause"] for each in blind}) == 3
    said = " ".join(each["message"] for each in blind)
    assert "refuse" in said
    assert "host key" in said
    assert all_s < alive_s + 5 + 5, "one connect timeout later at most, and some room for a busy machine"


@pytest.mark.parametrize("jobs", ["--no-ahead", "--desk"])
def test_one_dead_host_is_one_reason_however_many_checks_it_blinds(tmp_path: Path, lab: Lab, jobs: str) -> None:
    with lab.refusing_host() as dead:
        project = Project(tmp_path)
        files = "\n".join(f"      /etc/file-{number}: {{exists: true, mode: '0644'}}" for number in range(25))
        project.write(
            "inventory.yml", f"project: dead\nservers:\n  app:\n    connect: {dead.hostspec}\n    files:\n{files}\n"
        )
        begun = time.monotonic()
        ended = project.readygate("run", "--", jobs)
    assert time.monotonic() - begun < 20
    assert ended.code == 3
    assert "50 checks" in ended.stdout
    assert len({each["cause"] for each in ended.run["results"]}) == 1
