"""How fast a plain Testinfra suite runs over ssh: Readygate against pytest-testinfra, goss and no checks at all.

    python -m benchmarks.fleet [--rtt 20] [--rounds 1] [--hosts 1] [--runs 3] [--peers NAMES]

Needs the lab (root, docker). Each command is run whole, as a user would, in turn: stock, ours, stock, ours.
The suite is written for plain Testinfra and is the same for both; ours gets an inventory that names the hosts.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.lab.delay import delayed
from tests.lab.gate import open_lab

# As people write it: 200 checks, which make stock Testinfra ask some 420 commands.
SUITE = """\
import pytest

DIRECTORIES = ["/etc", "/usr", "/var", "/opt", "/srv", "/boot", "/home"]
FILES = ["/etc/passwd", "/etc/group", "/etc/hosts", "/etc/hostname", "/etc/ssh/sshd_config", "/etc/crontab",
         "/etc/nginx/nginx.conf", "/etc/sudoers", "/etc/shadow", "/etc/profile"]
PACKAGES = ["nginx", "rclone", "cron", "openssh-server", "sudo", "curl", "openssl", "iproute2", "procps", "ufw"]
SERVICES = ["nginx", "cron", "ssh", "redis-server"]
USERS = ["root", "www-data", "redis", "postgres", "deploy"]
again = lambda times: pytest.mark.parametrize("again", range(max(1, int({rounds} * times))))

@pytest.mark.parametrize("path", FILES + [f"{{directory}}/." for directory in DIRECTORIES])
@again(4)
def test_file(host, path, again):
    file = host.file(path + "/." * again if path.endswith("/.") else path.replace("/", "/" * (again + 1)))
    assert file.exists
    assert file.user == "root"
    assert file.mode & 0o400

@pytest.mark.parametrize("name", PACKAGES)
@again(4)
def test_package(host, name, again):
    package = host.package(name)
    assert package.is_installed
    assert package.version

@pytest.mark.parametrize("name", SERVICES)
@again(5)
def test_service(host, name, again):
    service = host.service(name)
    assert service.is_running
    assert service.is_enabled

@pytest.mark.parametrize("name", USERS)
@again(4)
def test_user(host, name, again):
    user = host.user(name)
    assert user.uid >= 0
    assert user.shell.startswith("/")

@pytest.mark.parametrize("port", ["22", "0.0.0.0:80", "0.0.0.0:443"])
@again(6)
def test_socket(host, port, again):
    assert host.socket(f"tcp://{{port}}").is_listening

@pytest.mark.parametrize("number", range(17))
@again(2)
def test_command(host, number, again):
    assert host.run("test -e /etc/passwd && echo %s", f"{{number}}-{{again}}").stdout.startswith(str(number))
"""


@dataclass(frozen=True, slots=True)
class Timing:
    """One whole command: wall and CPU seconds of it and its children."""

    wall_s: float
    cpu_s: float
    said: str


def timed(command: list[str], folder: Path) -> Timing:
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    # As installed: with bytecode, whatever the environment says of writing it.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    after, ended = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    passed = next((line for line in reversed(done.stdout.splitlines()) if " passed" in line), "")
    if "failed" in passed or not passed:
        sys.exit(f"{' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-2000:]}")
    return Timing(ended - begun, cpu, passed.strip("= "))


def prepare(folder: Path, hosts: list[tuple[str, Path]], rounds: float) -> tuple[list[str], dict[str, list[str]]]:
    """The suite, one ssh_config for all hosts, and the commands to compare."""
    (folder / "suites").mkdir()
    (folder / "suites" / "test_facts.py").write_text(SUITE.format(rounds=rounds))
    config = folder / "ssh_config"
    config.write_text("\n".join(path.read_text() for _, path in hosts))
    servers = "\n".join(
        f"  {name}: {{connect: 'ssh://{name}?ssh_config={config}', sysctl: {{kernel.ostype: Linux}}}}"
        for name, _ in hosts
    )
    (folder / "inventory.yml").write_text(f"project: benchmark\nservers:\n{servers}\n")
    # Without a ControlPath Testinfra connects for each command; with one it is as fast as it can be.
    theirs = folder / "ssh_config_theirs"
    theirs.write_text(f"{config.read_text()}\nHost *\n    ControlPath {folder}/%C\n")
    names = ",".join(f"ssh://{name}" for name, _ in hosts)
    pytest = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        *("-p", "no:cacheprovider", "-p", "no:locust"),
        *("-p", "no:hypothesispytest"),  # of our own tests; no user has it here
        "suites/test_facts.py",
    ]
    stock = [*pytest, "-p", "no:readygate", f"--hosts={names}", f"--ssh-config={theirs}"]
    return [*pytest, "--desk"], {"ssh://": stock, "ssh:// with xdist -n 2": [*stock, "-n", "2"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rtt", type=float, default=20, help="milliseconds")
    parser.add_argument("--rounds", type=float, default=1, help="200 checks each; 0.25 makes 56")
    parser.add_argument("--hosts", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peers", default="ssh://", help="comma-separated: ssh://, ssh:// with xdist -n 2")
    arguments = parser.parse_args()
    with ExitStack() as closing:
        folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="readygate-benchmark-")))
        lab, _ = closing.enter_context(open_lab())
        hosts = []
        for number in range(arguments.hosts):
            host = closing.enter_context(lab.boot(f"bench-{number}"))
            config = closing.enter_context(delayed(host, arguments.rtt)) if arguments.rtt else host.ssh_config
            hosts.append((host.name, config))
        ours, peers = prepare(folder, hosts, arguments.rounds)
        said = timed(ours, folder).said  # and whatever is slow only once has been
        print(f"{arguments.hosts} hosts, {said.split(' in ')[0]}, RTT {arguments.rtt:g} ms")
        print(f"medians of {arguments.runs}\n")
        print("| | wall s | CPU s | against ours |\n|---|---|---|---|")
        for name, command in peers.items():
            if name not in arguments.peers.split(","):
                continue
            pairs = [(timed(command, folder), timed(ours, folder)) for _ in range(arguments.runs)]
            theirs_s = statistics.median(each.wall_s for each, _ in pairs)
            theirs_cpu = statistics.median(each.cpu_s for each, _ in pairs)
            ours_s = statistics.median(each.wall_s for _, each in pairs)
            ours_cpu = statistics.median(each.cpu_s for _, each in pairs)
            ratio = statistics.median(a.wall_s / b.wall_s for a, b in pairs)
            print(f"| {name} | {theirs_s:.2f} | {theirs_cpu:.2f} | {ratio:.1f}x |")
            print(f"| Readygate | {ours_s:.2f} | {ours_cpu:.2f} | 1 |", flush=True)


if __name__ == "__main__":
    main()
