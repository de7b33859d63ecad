"""A certificate authority that speaks ACME: pebble, with a name server that leads every name to one host."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab.fixtures import unable
from tests.web import authority, free_port, write_chain


@dataclass(frozen=True)
class Acme:
    """Where it answers, the CA of its own certificate, and the root of those that it issues."""

    directory: str
    ca: Path
    root: Path


@contextmanager
def pebble(folder: Path, address: str, host: str) -> Iterator[Acme]:
    """Serves on this address of ours, and asks the host for its challenges."""
    if not (shutil.which("pebble") and shutil.which("pebble-challtestsrv")):
        unable("pebble is not installed: apt-get install pebble")
    ours = authority("Lab ACME")
    certificate, key = write_chain(folder, ours.issue(address))
    ca, root = folder / "acme.pem", folder / "root.pem"
    ca.write_bytes(ours.pem)
    listen, manage, names, control = (free_port() for _ in range(4))
    settings = {
        "listenAddress": f"{address}:{listen}",
        "managementListenAddress": f"{address}:{manage}",
        "certificate": str(certificate),
        "privateKey": str(key),
        "httpPort": 80,
        "tlsPort": 443,
        "certificateValidityPeriod": 90 * 86400,
    }
    (folder / "pebble.json").write_text(json.dumps({"pebble": settings}))
    name_server = ["pebble-challtestsrv", "-defaultIPv4", host, "-defaultIPv6", "", "-dns01", f"127.0.0.1:{names}"]
    name_server += ["-management", f"127.0.0.1:{control}", "-http01", "", "-https01", "", "-tlsalpn01", ""]
    acme = ["pebble", "-config", str(folder / "pebble.json"), "-dnsserver", f"127.0.0.1:{names}"]
    with ExitStack() as running, (folder / "pebble.log").open("w") as log:
        for command in (name_server, acme):
            running.enter_context(_started(command, log))
        context = ssl.create_default_context(cafile=str(ca))
        _wait_for(address, manage)
        with urllib.request.urlopen(f"https://{address}:{manage}/roots/0", context=context, timeout=10) as answer:
            root.write_bytes(answer.read())
        yield Acme(f"https://{address}:{listen}/dir", ca, root)


@contextmanager
def _started(command: list[str], log: object) -> Iterator[None]:
    quick = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PATH": "/usr/bin:/bin"}
    quick["PEBBLE_AUTHZREUSE"] = "0"  # else every other order is granted on an earlier answer, unasked
    process = subprocess.Popen(command, stdout=log, stderr=log, env=quick)  # type: ignore[call-overload]
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(address: str, port: int) -> None:
    for _ in range(500):
        with socket.socket() as probe:
            if probe.connect_ex((address, port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"nothing listens at {address}:{port}")
