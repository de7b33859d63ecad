"""A real Patroni cluster that tests start: two members with a PostgreSQL each, and the etcd between them."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.database_servers import PROGRAMS, answers, folder_of, free_port, needed, served

_MEMBER = """\
scope: shop
name: {name}
restapi: {{listen: "127.0.0.1:{api}", connect_address: "127.0.0.1:{api}"}}
etcd3: {{host: "127.0.0.1:{etcd}"}}
bootstrap:
  dcs:
    ttl: 30
    loop_wait: 1
    retry_timeout: 5
    postgresql:
      parameters: {{dynamic_shared_memory_type: mmap, shared_buffers: 16MB, max_connections: 20, fsync: "off"}}
  initdb: [{{encoding: UTF8}}, no-sync]
  pg_hba: [host all all 127.0.0.1/32 trust, host replication all 127.0.0.1/32 trust, local all all trust]
postgresql:
  listen: 127.0.0.1:{port}
  connect_address: 127.0.0.1:{port}
  data_dir: {folder}/{name}
  bin_dir: {programs}
  pgpass: {folder}/{name}.pass
  authentication:
    superuser: {{username: postgres, password: unused}}
    replication: {{username: replicator, password: unused}}
  parameters: {{unix_socket_directories: "{folder}"}}
"""


@dataclass(frozen=True)
class Cluster:
    """A running one, by the REST API of its first member."""

    url: str

    def members(self) -> list[dict[str, Any]]:
        try:
            with urllib.request.urlopen(f"{self.url}/cluster", timeout=3) as answer:
                return json.load(answer)["members"]
        except OSError:
            return []

    def set_paused(self, paused: bool) -> None:
        wanted = json.dumps({"pause": paused or None}).encode()
        urllib.request.urlopen(
            urllib.request.Request(f"{self.url}/config", wanted, method="PATCH"), timeout=3
        ).close()


@contextmanager
def new_cluster() -> Iterator[Cluster]:
    patroni, etcd = needed("patroni", "patroni"), needed("etcd", "etcd-server")
    with folder_of("postgres") as folder, ExitStack() as running:
        port = free_port()
        running.enter_context(served(_etcd(etcd, folder, port), folder / "etcd.log", lambda: answers(port)))
        cluster = Cluster(f"http://127.0.0.1:{free_port()}")
        for name in ("db-1", "db-2"):
            api = int(cluster.url.rpartition(":")[2]) if name == "db-1" else free_port()
            places = {"api": api, "etcd": port, "port": free_port(), "folder": folder, "programs": PROGRAMS}
            config = folder / f"{name}.yml"
            config.write_text(_MEMBER.format(name=name, **places))

            def runs(name: str = name) -> bool:
                states = {each["name"]: each["state"] for each in cluster.members()}
                return states.get(name) in ("running", "streaming")

            running.callback(_stop_postgres, folder / name)
            running.enter_context(served([patroni, config], folder / f"{name}.log", runs, user="postgres"))
        yield cluster


def _stop_postgres(data: Path) -> None:
    """A Patroni that is paused leaves its PostgreSQL running when it ends."""
    with suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int((data / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)


def _etcd(program: str, folder: Path, port: int) -> list[object]:
    clients, peers = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{free_port()}"
    ours = ["--listen-client-urls", clients, "--advertise-client-urls", clients]
    theirs = ["--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers]
    return [program, "--data-dir", folder / "etcd", *ours, *theirs, "--initial-cluster", f"default={peers}"]
