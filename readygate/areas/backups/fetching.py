"""Bringing one artifact from its server to a file here, piece by piece, so that its size does not matter."""

from __future__ import annotations

import base64
import hashlib
import time
from pathlib import Path
from shlex import quote
from typing import Any

from readygate.areas.asking import ask
from readygate.areas.backups.artifacts import Artifact
from readygate.errors import CouldNotLook

_PIECE_MIB = 8


def fetch(host: Any, server: str, artifact: Artifact, target: Path, *, within: float) -> str:
    """Copy the artifact; returns the SHA-256 of what came, in hexadecimal. CouldNotLook: it changed meanwhile."""
    end = time.monotonic() + within
    path = quote(artifact.path)
    digest = hashlib.sha256()
    with target.open("wb") as file:
        for skipped in range(0, artifact.size, _PIECE_MIB * 1024 * 1024):
            left = end - time.monotonic()
            if left <= 0:
                raise CouldNotLook(f"{artifact.shown} could not be fetched in time", mend="declare a longer `within`")
            read = f"dd if={path} bs=1048576 skip={skipped // 1048576} count={_PIECE_MIB} 2>/dev/null"
            piece = base64.b64decode(ask(host, server, f"{_may_be_read(path)}\n{read} | base64", within=left).output)
            digest.update(piece)
            file.write(piece)
        came = file.tell()
    now = ask(host, server, f"{_may_be_read(path)}\nstat -L -c '%s %Y' -- {path}").text.split()
    if came != artifact.size or now != [str(artifact.size), str(artifact.changed_at)]:
        raise CouldNotLook(f"{artifact.shown} changed while it was fetched", mend="drill when no backup is running")
    return digest.hexdigest()


def _may_be_read(path: str) -> str:
    gone = f"[ -e {path} ] || {{ echo 'it was taken away meanwhile' >&2; exit 1; }}"
    return f"{gone}\n[ -r {path} ] || {{ echo {path}: Permission denied >&2; exit 1; }}"
