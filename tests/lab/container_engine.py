"""A docker engine of a test's own, beside the machine's: nobody else's containers are on it."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from tests.lab.docker import STARTS_WITHIN_S, LabError, docker, execute
from tests.lab.host import Target
from tests.lab.image import tiny_image

IMAGE = "shop/api:1.4.2"
BASE = "shop/base:1"
ENGINE_FLAGS = ("--live-restore", "--log-driver=local")  # as a careful operator sets the daemon
# Long paths don't fit into the address of a socket.
FOLDERS = Path("/run/readygate-engines")
ADDRESSES = IPv4Network("10.208.0.0/13")  # for all private engines together, a block each
BLOCK = 19  # half of it for the bridge, half for 256 networks that are made on the engine


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
        pool = f"--default-address-pool=base={_bridged(bridge)},size=28"
        # The rules of the machine's own engine stay as they are.
        untouched = ("--iptables=false", "--ip6tables=false", "--ip-masq=false")
        with _daemon(engine, folder, ("--bridge", bridge, pool, *untouched, *flags)):
            _load(engine, image)
            engine.clear()
            yield engine
            engine.clear()
    finally:
        execute(["ip", "link", "delete", bridge], check=False)
        _forget(folder)


@contextmanager
def engine_on(host: Target, *flags: str) -> Iterator[PrivateEngine]:
    """Start dockerd as if on a host of the lab, in its network and among its rules, where `docker` asks it.

    It has the tiny image, as `shop/api:1.4.2`.
    """
    pid = docker("inspect", "--format", "{{.State.Pid}}", host.container)
    docker("cp", "--follow-link", str(shutil.which("docker")), f"{host.container}:/usr/bin/docker")
    FOLDERS.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="rg-", dir=FOLDERS))
    engine = PrivateEngine(f"unix:///proc/{pid}/root/run/docker.sock")
    try:
        with _daemon(engine, folder, flags, ("nsenter", "--target", pid, "--net")):
            _load(engine, tiny_image())
            engine.clear()
            yield engine
            engine.clear()
    finally:
        _forget(folder)


def _load(engine: PrivateEngine, image: str) -> None:
    engine.run(f"DOCKER_HOST= docker save {image} | docker load; docker tag {image} {BASE}; docker rmi {image}")


def _forget(folder: Path) -> None:
    # The network of the host stays mounted where a container was in it.
    execute(["umount", str(folder / "exec/netns/default")], check=False)
    shutil.rmtree(folder)


def _bridged(bridge: str) -> IPv4Network:
    """Make a bridge; gives the addresses that nobody else takes as long as it is there."""
    # Two runs that look at the same time would find the same block free.
    with (FOLDERS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lower, upper = _free_block().subnets()
        execute(["ip", "link", "add", bridge, "type", "bridge"])
        execute(["ip", "address", "add", f"{lower[1]}/28", "dev", bridge])
        execute(["ip", "link", "set", bridge, "up"])
    return upper


def _free_block() -> IPv4Network:
    """The first block to which no route of this machine leads yet."""
    routes = json.loads(execute(["ip", "-json", "-4", "route", "show", "table", "all"]).stdout)
    taken = [IPv4Network(route["dst"]) for route in routes if route["dst"] != "default"]
    blocks = ADDRESSES.subnets(new_prefix=BLOCK)
    free = (block for block in blocks if not any(block.overlaps(each) for each in taken))
    if (block := next(free, None)) is None:
        raise LabError(f"no addresses of {ADDRESSES} are left on this machine for a docker engine")
    return block


@contextmanager
def _daemon(
    engine: PrivateEngine, folder: Path, flags: tuple[str, ...], where: tuple[str, ...] = ()
) -> Iterator[None]:
    # A run that is killed takes its engine along.
    command = ["setpriv", "--pdeathsig", "TERM", *where, "dockerd", "--host", engine.socket]
    command += ["--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")]
    command += ["--pidfile", str(folder / "pid"), *flags]
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
