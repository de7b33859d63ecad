"""A real container registry that tests start, and images that they push to it."""

from __future__ import annotations

import base64
import hashlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.database_servers import answers, free_port, needed, served
from tests.github_server import SHA

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
PASSWORD = "a-password-of-the-lab"
_HTPASSWD = "lab:$2b$04$abcdefghijklmnopqrstuuP14ijNG1KlVawuEwQo0fJ4Cz0PKnSM2\n"
_CONFIG = "application/vnd.oci.image.config.v1+json"


@dataclass(frozen=True)
class Pushed:
    """What was pushed."""

    digest: str


@contextmanager
def registry(folder: Path, *, locked: bool = False) -> Iterator[str]:
    """The address of a registry on loopback; a locked one is for the user `lab` with PASSWORD alone."""
    port = free_port()
    config: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "images")}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": "for-the-lab"},
    }
    if locked:
        (folder / "htpasswd").write_text(_HTPASSWD)
        config["auth"] = {"htpasswd": {"realm": "lab", "path": str(folder / "htpasswd")}}
    (folder / "config.yml").write_text(json.dumps(config))
    command = [needed("docker-registry", "docker-registry"), "serve", str(folder / "config.yml")]
    with served(command, folder / "registry.log", lambda: answers(port)):
        yield f"127.0.0.1:{port}"


def pushed(
    address: str,
    name: str,
    tag: str,
    architectures: Sequence[str],
    *,
    days: float = 1,
    also: Sequence[str] = (),
) -> Pushed:
    """An image of no layers, for each architecture; several are joined by an index."""
    at = _At(f"http://{address}/v2/{name}")
    parts = []
    for architecture in architectures:
        config = json.dumps(
            {
                "os": "linux",
                "architecture": architecture,
                "created": (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S.123456789Z"),
                "config": {"Labels": {"org.opencontainers.image.revision": SHA}},
                "rootfs": {"type": "layers", "diff_ids": []},
            }
        ).encode()
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": {"mediaType": _CONFIG, **at.blob(config)},
                "layers": [],
            }
        ).encode()
        platform = {"os": "linux", "architecture": architecture}
        parts.append((manifest, {"mediaType": _MANIFEST, "platform": platform, **_described(manifest)}))
    whole, kind = parts[0][0], _MANIFEST
    if len(parts) > 1:
        for manifest, told in parts:
            at.manifest(told["digest"], manifest, _MANIFEST)
        index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [told for _, told in parts]}
        whole, kind = json.dumps(index).encode(), _INDEX
    for each in (tag, *also):
        at.manifest(each, whole, kind)
    return Pushed(_described(whole)["digest"])


def _described(content: bytes) -> dict[str, Any]:
    return {"digest": f"sha256:{hashlib.sha256(content).hexdigest()}", "size": len(content)}


@dataclass(frozen=True)
class _At:
    url: str

    def blob(self, content: bytes) -> dict[str, Any]:
        where = self._send("POST", f"{self.url}/blobs/uploads/", b"", "application/octet-stream")
        told = _described(content)
        sign = "&" if "?" in where else "?"
        self._send("PUT", f"{where}{sign}digest={told['digest']}", content, "application/octet-stream")
        return told

    def manifest(self, tag: str, content: bytes, kind: str) -> None:
        self._send("PUT", f"{self.url}/manifests/{tag}", content, kind)

    def _send(self, method: str, url: str, content: bytes, kind: str) -> str:
        request = urllib.request.Request(url, content, {"Content-Type": kind}, method=method)
        login = base64.b64encode(f"lab:{PASSWORD}".encode()).decode()
        request.add_header("Authorization", f"Basic {login}")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(answer.headers.get("Location") or "")
