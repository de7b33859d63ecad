"""How fast a plain Testinfra suite runs: Readygate against pytest-testinfra, goss and no checks at all.

    python -m benchmarks.fleet [--rtt 20] [--rounds 1] [--hosts 1] [--names 1] [--runs 3] [--peers NAMES] [--local]

Needs the lab (root, docker), but for `--local`, which looks at this machine (a Debian). Each command is run whole, as
a user would, in turn: stock, ours, stock, ours. The suite is written for plain Testinfra and is the same for both;
ours gets an inventory that names the hosts. goss (its binary named by GOSS) gets a gossfile of as many checks, and is
started over ssh on all hosts at once. It counts what is asserted: 3,403 "tests" where pytest has 2,000.
"""

from __future__ import annotations

import argparse
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path

import yaml

from tests.lab.delay import delayed
from tests.lab.docker import docker
from tests.lab.gate import open_lab


@dataclass(frozen=True, slots=True)
class Asked:
    """What there is to look at."""

    files: tuple[str, ...]
    packages: tuple[str, ...]
    services: tuple[str, ...]
    users: tuple[str, ...]
    ports: tuple[str, ...]
    directories: tuple[str, ...] = ("/etc", "/usr", "/var", "/opt", "/srv", "/boot", "/home")


LAB = Asked(
    files=(
        *("/etc/passwd", "/etc/group", "/etc/hosts", "/etc/hostname", "/etc/ssh/sshd_config"),
        *("/etc/crontab", "/etc/nginx/nginx.conf", "/etc/sudoers", "/etc/shadow", "/etc/profile"),
    ),
    packages=("nginx", "rclone", "cron", "openssh-server", "sudo", "curl", "openssl", "iproute2", "procps", "ufw"),
    services=("nginx", "cron", "ssh", "redis-server"),
    users=("root", "www-data", "redis", "postgres", "deploy"),
    ports=("22", "0.0.0.0:80", "0.0.0.0:443"),
)


def here(ports: tuple[str, ...]) -> Asked:
    """What any Debian has, booted or not."""
    return Asked(
        files=("/etc/passwd", "/etc/group", "/etc/hosts", "/etc/hostname", "/etc/shadow", "/etc/profile"),
        packages=("bash", "coreutils", "dpkg", "grep", "gzip", "hostname", "login", "sed", "tar", "util-linux"),
        services=(),
        users=("root", "daemon", "bin", "www-data", "nobody"),
        ports=ports,
    )


# As people write it: 200 checks, which make stock Testinfra ask some 420 commands.
SUITE = """\
import pytest

FILES, PACKAGES, SERVICES, USERS, PORTS, DIRECTORIES = {lists}
again = lambda times: pytest.mark.parametrize("again", range(max(1, int({rounds} * times))))

@pytest.mark.parametrize("path", [*FILES, *(f"{{directory}}/." for directory in DIRECTORIES)])
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

if SERVICES:
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

@pytest.mark.parametrize("port", PORTS)
@again(6)
def test_socket(host, port, again):
    assert host.socket(f"tcp://{{port}}").is_listening

@pytest.mark.parametrize("number", range(17))
@again(2)
def test_command(host, number, again):
    assert host.run("test -e /etc/passwd && echo %s", f"{{number}}-{{again}}").stdout.startswith(str(number))
"""


# What ours asked, for one run that is not timed.
COUNTING = """\
from pathlib import Path
from readygate.fleet import HUB

def pytest_unconfigure():
    trips = [shell.bursts for shell in HUB._shells if shell.asked]
    Path("counted").write_text(f"{HUB.progress.asked} commands, {max(trips)} round trips a host at most")
"""


def gossfile(asked: Asked, rounds: float) -> dict[str, dict[str, dict[str, object]]]:
    """As much as the suite asks, in goss's words; a port can't be asked twice there, so commands stand in."""

    def again(times: int) -> range:
        return range(max(1, int(rounds * times)))

    files = [path.replace("/", "/" * (turn + 1)) for path in asked.files for turn in again(4)]
    files += [f"{path}{'/.' * turn}" for path in asked.directories for turn in again(4)]
    return {
        "file": {path: {"exists": True, "owner": "root"} for path in files},
        "package": {
            f"{name}-{turn}": {"name": name, "installed": True} for name in asked.packages for turn in again(4)
        },
        "service": {
            f"{name}-{turn}": {"name": name, "running": True, "enabled": True}
            for name in asked.services
            for turn in again(5)
        },
        "user": {f"{name}-{turn}": {"username": name, "exists": True} for name in asked.users for turn in again(4)},
        "port": {f"tcp:{port.rpartition(':')[2]}": {"listening": True} for port in asked.ports},
        "command": {
            f"{number}-{turn}": {
                "exec": f"test -e /etc/passwd && echo {number}",
                "exit-status": 0,
                "stdout": [str(number)],
            }
            for number in range(26)
            for turn in again(2)
        },
    }


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
    passed = next((line for line in reversed(done.stdout.splitlines()) if " passed" in line or "Count:" in line), "")
    if ("failed" in passed or not passed) if "pytest" in command else done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-2000:]}")
    return Timing(ended - begun, cpu, passed.strip("= "))


def prepare(
    folder: Path, asked: Asked, servers: dict[str, str], hosts: str, rounds: float, *options: str
) -> tuple[list[str], list[str]]:
    """The suite and its inventory, and the two commands to compare; `hosts` and `options` are for stock Testinfra."""
    (folder / "suites").mkdir()
    lists = tuple(getattr(asked, each.name) for each in fields(asked))
    (folder / "suites" / "test_facts.py").write_text(SUITE.format(rounds=rounds, lists=lists))
    (folder / "counting.py").write_text(COUNTING)
    listed = {name: {"connect": spec, "sysctl": {"kernel.ostype": "Linux"}} for name, spec in servers.items()}
    (folder / "inventory.yml").write_text(yaml.safe_dump({"project": "benchmark", "servers": listed}))
    pytest = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        *("-p", "no:cacheprovider", "-p", "no:locust"),
        *("-p", "no:hypothesispytest", "-p", "no:rerunfailures"),  # of our own tests; no user has them here
        "suites/test_facts.py",
    ]
    return [*pytest, "--desk"], [*pytest, "-p", "no:readygate", f"--hosts={hosts}", *options]


def prepare_local(folder: Path, rounds: float, closing: ExitStack) -> tuple[list[str], dict[str, list[str]]]:
    """The commands that look at this machine."""
    listening = [closing.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
    asked = here(tuple(f"127.0.0.1:{each.getsockname()[1]}" for each in listening))
    ours, stock = prepare(folder, asked, {"here": "local://"}, "local://", rounds)
    peers = {"local://": stock, "local:// with xdist -n 2": [*stock, "-n", "2"]}
    if goss := os.environ.get("GOSS"):
        (folder / "goss.yaml").write_text(yaml.safe_dump(gossfile(asked, rounds)))
        peers["goss"] = [goss, "-g", "goss.yaml", "validate"]
    return ours, peers


def prepare_remote(
    folder: Path, hosts: list[tuple[str, Path]], rounds: float
) -> tuple[list[str], dict[str, list[str]]]:
    """The commands that look at hosts, each by its name and its ssh_config."""
    config, theirs = folder / "ssh_config", folder / "ssh_config_theirs"
    config.write_text("\n".join(path.read_text() for path in dict.fromkeys(path for _, path in hosts)))
    # Without a ControlPath Testinfra connects for each command; with one it is as fast as it can be.
    theirs.write_text(f"{config.read_text()}\nHost *\n    ControlPath {folder}/%C\n")
    names = [name for name, _ in hosts]
    servers = {name: f"ssh://{name}?ssh_config={config}" for name in names}
    every = ",".join(f"ssh://{name}" for name in names)
    ours, stock = prepare(folder, LAB, servers, every, rounds, f"--ssh-config={theirs}")
    peers = {"ssh://": stock, "ssh:// with xdist -n 2": [*stock, "-n", "2"]}
    if os.environ.get("GOSS"):
        # One after the other, as sshd cuts some off where too many are about to log in.
        each = 'ssh -F {} {} sudo /usr/local/bin/goss -g /root/bench.yaml validate & pids="$pids $!"; sleep 0.02'
        lines = "\n".join(each.format(config, name) for name in names)
        peers["goss"] = ["sh", "-c", f"{lines}\nfor pid in $pids; do wait $pid || exit 1; done"]
    return ours, peers


def boot(arguments: argparse.Namespace, closing: ExitStack) -> list[tuple[str, Path]]:
    """The lab's hosts, each under as many names as are wanted."""
    lab, _ = closing.enter_context(open_lab())
    hosts = []
    for number in range(arguments.hosts):
        host = closing.enter_context(lab.boot(f"bench-{number}"))
        if goss := os.environ.get("GOSS"):
            host.write("/root/bench.yaml", yaml.safe_dump(gossfile(LAB, arguments.rounds)))
            docker("cp", goss, f"{host.container}:/usr/local/bin/goss")
        config = closing.enter_context(delayed(host, arguments.rtt)) if arguments.rtt else host.ssh_config
        config.write_text(config.read_text().replace(f"Host {host.name}\n", f"Host {host.name}*\n"))
        hosts += [(f"{host.name}-{alias}", config) for alias in range(arguments.names)]
    return hosts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rtt", type=float, default=20, help="milliseconds")
    parser.add_argument("--rounds", type=float, default=1, help="200 checks each; 0.25 makes 56")
    parser.add_argument("--hosts", type=int, default=1)
    parser.add_argument("--names", type=int, default=1, help="for each host, to ask more than can be booted")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--peers", default="ssh://", help="comma-separated: ssh://, ssh:// with xdist -n 2, local://, goss; or none"
    )
    parser.add_argument("--local", action="store_true", help="look at this machine, and compare with local://")
    arguments = parser.parse_args()
    with ExitStack() as closing:
        folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="readygate-benchmark-")))
        if arguments.local:
            where, (ours, peers) = "this machine", prepare_local(folder, arguments.rounds, closing)
        else:
            hosts = boot(arguments, closing)
            where = f"{len(hosts)} hosts, RTT {arguments.rtt:g} ms"
            ours, peers = prepare_remote(folder, hosts, arguments.rounds)
        said = timed([*ours, "-p", "counting"], folder).said  # and whatever is slow only once has been
        print(f"{where}, {said.split(' in ')[0]}: {(folder / 'counted').read_text()}")
        print(f"medians of {arguments.runs}\n")
        print("| | wall s | CPU s | against ours |\n|---|---|---|---|")
        if arguments.peers == "none":
            alone = [timed(ours, folder) for _ in range(arguments.runs)]
            wall_s, cpu_s = (
                statistics.median(each) for each in zip(*((a.wall_s, a.cpu_s) for a in alone), strict=True)
            )
            most_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
            print(f"| Readygate, at most {most_mb:.0f} MB a process | {wall_s:.2f} | {cpu_s:.2f} | 1 |")
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
