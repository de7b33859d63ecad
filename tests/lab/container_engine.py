"""A docker engine of a test's own, beside the machine's: nobody else's containers are on it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab.docker import LabError, execute
from tests.lab.image import tiny_image

IMAGE = "shop/api:1.4.2"
BASE = "shop/base:1"
ENGINE_FLAGS = ("--live-restore", "--log-driver=local")  # as a careful operator sets the daemon
STARTS_WITHIN_S = 30
# Long paths don't fit into the address of a socket.
FOLDERS = Path("/run/readygate-engines")


@dataclass(frozen=True, slots=True)
class PrivateEngine:
    """Reached by `DOCKER_HOST`; `run` takes shell scripts that call docker, as an operator would."""

    socket: str
    hostspec: str = "local://"

    @property
    def environ(self) -> dict[str, str]:
        """By what one gets to it, and what the catalogue's inventory takes from the environment."""
        return {"DOCKER_HOST": self.socket, "LAB_HOST": self.hostspec}

    def run(self, script: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a script; with `check`, one that fails raises LabError."""
        command = ["env", f"DOCKER_HOST={self.socket}", "sh", "-c", script]
        return execute(command, check=check, timeout=120)

    def clear(self) -> None:
        """Remove all that runs or lies about on it, but for its images with a name."""
        self.run(
            "docker ps --all --quiet | xargs -r docker rm --force --volumes\n"
            "docker volume ls --quiet | xargs -r docker volume rm\n"
            "docker network ls --quiet --filter type=custom | xargs -r docker network rm\n"
            f"docker tag {BASE} {IMAGE}\n"
            "docker image prune --force"
        )


@contextmanager
def private_engine(*flags: str) -> Iterator[PrivateEngine]:
    """Start dockerd with these flags, and put a tiny image on it, as `shop/api:1.4.2`; LabError says why not.

    The lab has to be open, since the image comes from its engine.
    """
    for tool in ("dockerd", "ip", "setpriv"):
        if not shutil.which(tool):
            raise LabError(f"there is no {tool} on this machine")
    image = tiny_image()
    FOLDERS.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="rg-", dir=FOLDERS))
    bridge = folder.name
    engine = PrivateEngine(f"unix://{folder}/socket")
    try:
        execute(["ip", "link", "add", bridge, "type", "bridge"])
        third, fourth = divmod(hash(bridge) % 2**12, 16)
        execute(["ip", "address", "add", f"10.213.{third}.{fourth * 16 + 1}/28", "dev", bridge])
        execute(["ip", "link", "set", bridge, "up"])
        with _daemon(engine, folder, bridge, flags):
            engine.run(
                f"DOCKER_HOST= docker save {image} | docker load; docker tag {image} {BASE}; docker rmi {image}"
            )
            engine.clear()
            yield engine
            engine.clear()
    finally:
        execute(["ip", "link", "delete", bridge], check=False)
        # The network of the host stays mounted where a container was in it.
        execute(["umount", str(folder / "exec/netns/default")], check=False)
        shutil.rmtree(folder)


@contextmanager
def _daemon(engine: PrivateEngine, folder: Path, bridge: str, flags: tuple[str, ...]) -> Iterator[None]:
    # A run that is killed takes its engine along.
    command = ["setpriv", "--pdeathsig", "TERM", "dockerd", "--host", engine.socket, "--bridge", bridge]
    command += ["--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")]
    # The rules of the machine's own engine stay as they are.
    command += ["--pidfile", str(folder / "pid"), "--iptables=false", "--ip6tables=false", "--ip-masq=false", *flags]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as daemon:
        try:
            deadline = time.monotonic() + STARTS_WITHIN_S
            while engine.run("docker ps", check=False).returncode:
                if daemon.poll() is not None or time.monotonic() > deadline:
                    raise LabError(f"dockerd did not start: {(folder / 'log').read_text()[-1000:].strip()}")
                time.sleep(0.05)
            yield
        finally:
            daemon.terminate()
