"""Boot hosts on a network of their own: systemd ones that work, and ones that are dead in a known way."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tests.lab.docker import OWNER, LabError, docker, execute, owner
from tests.lab.image import target_image

BOOT_WITHIN_S = 30
USER = "deploy"


@dataclass(frozen=True, slots=True)
class Target:
    """A host of the lab; `ssh -F ssh_config name` logs in as `deploy`, who may sudo without a password."""

    name: str
    address: str
    ssh_config: Path
    container: str

    @property
    def hostspec(self) -> str:
        """How Testinfra, and `connect` in an inventory, write it."""
        return f"ssh://{self.name}?ssh_config={self.ssh_config}"

    @property
    def environ(self) -> dict[str, str]:
        """What the inventories of the catalogue take from the environment."""
        return {"LAB_HOST": self.hostspec, "LAB_ADDRESS": self.address, "LAB_CA": str(self.certificate)}

    @property
    def certificate(self) -> Path:
        """A copy of its certificate, to trust, where what booted it has made one."""
        return self.ssh_config.with_suffix(".pem")

    def run(self, script: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a shell script on it as root, past ssh; with `check`, a failure raises LabError."""
        return execute(["docker", "exec", self.container, "sh", "-c", script], check=check)

    def ssh(self, command: str, *, connect_within_s: int = 5) -> subprocess.CompletedProcess[str]:
        """What an operator who types `ssh name command` gets, be it good or bad."""
        patience = f"ConnectTimeout={connect_within_s}"
        return execute(["ssh", "-F", str(self.ssh_config), "-o", patience, self.name, command], check=False)

    def write(self, path: str, text: str) -> None:
        """Put a file there, in place of what there was; owner and mode stay those of a file that existed."""
        execute(["docker", "exec", "-i", self.container, "sh", "-c", 'cat > "$0"', path], stdin=text)

    def set_sysctl(self, name: str, value: str) -> None:
        """Set a `net.*` parameter of this host alone; from outside, for inside /proc/sys can't be written."""
        pid = docker("inspect", "--format", "{{.State.Pid}}", self.container)
        execute(["nsenter", "--target", pid, "--net", "sysctl", "--quiet", "--write", f"{name}={value}"])

    def stop(self) -> None:
        """Remove it, with everything that was changed on it."""
        docker("rm", "--force", "--volumes", self.container)

    def __enter__(self) -> Target:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.stop()


@dataclass(frozen=True, slots=True)
class Lab:
    """A network, a login key and an image, from which hosts are made."""

    network: str
    folder: Path
    image: str
    capabilities: tuple[str, ...] = ("NET_ADMIN",)

    def boot(self, name: str) -> Target:
        """A sound systemd host, about a second later; its unsound twins are made from it with `run`."""
        host = self._start(name)
        try:
            _wait_until_running(host)
            login = host.ssh("true")
            if login.returncode:
                raise LabError(f"{name} booted, but ssh does not let us in: {login.stderr.strip()}")
        except LabError:
            host.stop()
            raise
        return host

    def refusing_host(self) -> Target:
        """Its address answers, and nothing listens on port 22: refused at once."""
        return self._start("refusing", "sleep", "infinity")

    def bare_host(self) -> Target:
        """Nothing was booted there; a process 1 sees to the end of others, and that is all."""
        return self._start("bare", "tail", "-f", "/dev/null", flags=("--init",))

    def black_holed_host(self) -> Target:
        """Swallows every packet: a connect ends by its timeout only."""
        host = self._start("black-holed", "sleep", "infinity")
        host.run("iptables --insert INPUT --jump DROP")
        return host

    def mute_host(self) -> Target:
        """Accepts the connection, and then never says a word."""
        listen = "import signal, socket; server = socket.create_server(('', 22)); signal.pause()"
        host = self._start("mute", "python3", "-c", listen)
        host.run("until ss -ltn | grep -q :22; do sleep 0.02; done")
        return host

    def impostor(self) -> Target:
        """A host whose key is no longer the one that ssh_config's known hosts have for it."""
        host = self.boot("impostor")
        host.run("rm /etc/ssh/ssh_host_*; ssh-keygen -A; systemctl restart ssh")
        return host

    def _start(self, name: str, *command: str, flags: tuple[str, ...] = ()) -> Target:
        login = self.folder / "login.pub"
        container = f"{self.network}-{name}"
        docker(
            "run", "--detach", "--name", container, "--hostname", name, "--label", f"{OWNER}={owner()}",
            "--network", self.network, "--network-alias", name,
            *(f"--cap-add={each}" for each in self.capabilities),
            "--volume", f"{login}:/etc/ssh/authorized_keys.lab:ro",
            "--cgroupns=host", "--volume", f"/sys/fs/cgroup:/sys/fs/cgroup:{_cgroup_mode()}",
            "--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp",
            "--tmpfs", "/srv/shop:size=16m,nr_inodes=1000",
            *flags, self.image, *command,
        )  # fmt: skip
        address = docker("inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", container)
        host = Target(name, address, self.folder / f"{name}.ssh_config", container)
        key = host.run("cat /etc/ssh/ssh_host_ed25519_key.pub").stdout
        (self.folder / f"{name}.known_hosts").write_text(f"{name} {key}")
        write_ssh_config(host, host.ssh_config, address, 22)
        return host


def new_lab(folder: Path) -> Lab:
    """A lab with its image built and nothing booted; `docker.engine` gives the folder, and ends it all."""
    image = target_image()
    network = f"readygate-lab-{os.getpid()}"
    execute(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", network, "-f", f"{folder}/login"])
    docker("network", "create", "--label", f"{OWNER}={owner()}", network)
    return Lab(network, folder, image)


def write_ssh_config(host: Target, file: Path, address: str, port: int) -> None:
    """An ssh_config by which the host is reached at this address and port, and known by its own key only."""
    folder = host.ssh_config.parent
    file.write_text(f"""\
Host {host.name}
    HostName {address}
    Port {port}
    User {USER}
    IdentityFile {folder}/login
    IdentitiesOnly yes
    BatchMode yes
    HostKeyAlias {host.name}
    UserKnownHostsFile {folder}/{host.name}.known_hosts
    GlobalKnownHostsFile none
    StrictHostKeyChecking yes
""")


def _wait_until_running(host: Target) -> None:
    deadline = time.monotonic() + BOOT_WITHIN_S
    while (state := host.run("systemctl is-system-running --wait", check=False).stdout.strip()) != "running":
        if state == "degraded":
            failed = host.run("systemctl --failed --plain --no-legend").stdout.strip()
            raise LabError(f"{host.name} booted degraded: {failed}")
        if time.monotonic() > deadline:
            raise LabError(f"{host.name} did not boot within {BOOT_WITHIN_S} s: systemd says {state!r}")
        time.sleep(0.05)


def _cgroup_mode() -> str:
    """On cgroup v1 systemd's own hierarchy stays writable below a read-only mount; v2 has one mount."""
    return "rw" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "ro"
