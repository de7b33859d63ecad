"""The area of containers with podman: what it tells is read as what docker tells is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.docker import LabError, execute
from tests.lab.fixtures import unable
from tests.lab.host import Lab
from tests.lab.image import tiny_image
from tests.test_area_containers import failing

NAME = f"readygate-{os.getpid()}"
# So podman runs without systemd, and without the right to raise a limit.
PODMAN = (
    "podman",
    "--cgroup-manager=cgroupfs",
    "--runtime=runc",
    "run",
    "--ulimit=nofile=1024",
    "--ulimit=nproc=1000",
)
SOUND = (
    "--restart=always",
    "--memory=64m",
    "--pids-limit=100",
    "--user=1000:1000",
    "--read-only",
    "--env=LEVEL=info",
)
DECLARED = {
    "exists": True,
    "running": True,
    "health": "none",
    "restart": "always",
    "memory": "64M",
    "pids": 100,
    "user": "1000:1000",
    "read_only": True,
    "privileged": False,
    "docker_socket": False,
    "networks": ["host"],
    "environment": {"LEVEL": "info"},
    "volumes": {"/conf": {"source": "/etc/ssl", "writable": False}},
    "pinned": True,
    "current": True,
    "uptime": "<1h",
}


def run(*options: str) -> None:
    execute(["podman", "rm", "--force", "--ignore", NAME])
    always = ("--detach", f"--name={NAME}", "--network=host", "--volume=/etc/ssl:/conf:ro")
    execute([*PODMAN, *always, *options, tiny_image(), "sleep", "1000"])


@pytest.fixture(scope="module", autouse=True)
def _podman(lab: Lab) -> Iterator[None]:
    if not shutil.which("podman"):
        unable("there is no podman")
    try:
        execute(["sh", "-c", f"docker save {tiny_image()} | podman load"])
        run(*SOUND)
    except LabError as error:
        unable(f"podman can't run a container here: {error}")
    yield
    execute(["podman", "rm", "--force", NAME])


def podman(**declared: Any) -> dict[str, Any]:
    return {"containers": {"engine": "podman", "standalone": {NAME: declared}}}


def test_a_sound_container_passes() -> None:
    run(*SOUND)
    assert failing(podman(**DECLARED)) == set()


def test_a_careless_container_fails() -> None:
    run("--privileged", "--volume=/run:/host")
    limits = ("restart", "memory", "pids", "user", "read_only", "privileged", "docker_socket", "environment")
    assert failing(podman(**DECLARED)) == {f"container.{each}" for each in limits}


def test_a_stopped_container_does_not_run() -> None:
    run(*SOUND)
    execute(["podman", "stop", "--time=0", NAME])
    assert failing(podman(running=True, exit_code=0)) == {"container.running", "container.exit_code"}


def test_leftovers_are_counted() -> None:
    execute(["podman", "volume", "create", NAME])
    try:
        assert failing({"containers": {"engine": "podman", "dangling_volumes": 0}}) == {"containers.dangling_volumes"}
    finally:
        execute(["podman", "volume", "rm", NAME])
