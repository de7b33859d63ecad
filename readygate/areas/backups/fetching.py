"""Bringing one artifact from its server to a file here, piece by piece, so that its size does not matter."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import Any

from readygate.areas.asking import ask
from readygate.areas.backups.artifacts import Artifact
from readygate.drills.base_backup import ELSEWHERE
from readygate.drills.copied import digest_of
from readygate.errors import CouldNotLook

_PIECE_MIB = 8
PIECE = _PIECE_MIB * 1024 * 1024
_NAMES = 60_000  # a command has room for some more than so many bytes

# The links by which a base backup is in several places, with the slash by which one goes in; they have to lie in or
# beside its folder: what is elsewhere may as well be the server that it was made of.
_ROOTS = """around=$(cd -P .. && pwd -P); roots=
for link in pg_wal pg_tblspc/*; do
    [ -L "$link" ] && [ -d "$link" ] || continue
    case $(cd "$link" && pwd -P) in
        "$around"/*) roots="$roots $link/" ;;
        *) echo "elsewhere $link"; readlink -f "$link"; exit 0 ;;
    esac
done"""


def fetch(host: Any, server: str, artifact: Artifact, target: Path, *, within: float) -> str:
    """Copy the artifact; returns the SHA-256 of what came, in hexadecimal. CouldNotLook: it changed meanwhile."""
    path = quote(artifact.path)

    def read(skipped: int) -> str:
        blocks = f"bs=1048576 skip={skipped // 1048576} count={_PIECE_MIB}"
        return f"{_may_be_read(path)}\ndd if={path} {blocks} 2>/dev/null | base64"

    digest = fetch_pieces(host, server, artifact, target, read, within=within)
    now = ask(host, server, f"{_may_be_read(path)}\nstat -L -c '%s %Y' -- {path}").text.split()
    if now != [str(artifact.size), str(artifact.changed_at)]:
        raise CouldNotLook(f"{artifact.shown} changed while it was fetched", mend="drill when no backup is running")
    return digest


def fetch_pieces(
    host: Any,
    server: str,
    artifact: Artifact,
    target: Path,
    read: Callable[[int], str],
    *,
    within: float,
    piece: int = PIECE,
) -> str:
    """Write to the target what `read` has the server print in base64, from each multiple of a piece on.

    Returns the SHA-256 of it. CouldNotLook: not all of it came, or not in time.
    """
    end = time.monotonic() + within
    digest = hashlib.sha256()
    with target.open("wb") as file:
        for skipped in range(0, artifact.size, piece):
            left = end - time.monotonic()
            if left <= 0:
                raise CouldNotLook(f"{artifact.shown} could not be fetched in time", mend="declare a longer `within`")
            came = base64.b64decode(ask(host, server, read(skipped), within=left).output)
            digest.update(came)
            file.write(came)
        if file.tell() != artifact.size:
            raise CouldNotLook(
                f"{artifact.shown} changed while it was fetched", mend="drill when no backup is running"
            )
    return digest.hexdigest()


def fetch_folder(host: Any, server: str, artifact: Artifact, target: Path, *, within: float) -> str:
    """Copy the folder around the artifact; returns the digest of its files. CouldNotLook: it changed meanwhile."""
    end = time.monotonic() + within
    folder = quote(artifact.whole)
    listing = f"cd {folder} && {_ROOTS}\nfind . $roots -type f -exec stat -c '%s %Y %n' {{}} + | sort"
    listed = ask(host, server, listing, within=within).text
    if listed.startswith("elsewhere "):
        link, to = listed.removeprefix("elsewhere ").splitlines()[:2]
        raise CouldNotLook(
            f"{artifact.whole}/{link} is a link to {to}, which is not a part of the backup", mend=ELSEWHERE
        )
    files = [(int(size), int(changed_at), name) for size, changed_at, name in map(_split, listed.splitlines())]
    target.mkdir()
    told = ask(host, server, f"cd {folder} && {_ROOTS}\nfind . $roots -type d -print0 | base64").output
    for inner in base64.b64decode(told).split(b"\0")[:-1]:
        (target / os.fsdecode(inner)).mkdir(parents=True, exist_ok=True)
    batch: list[str] = []
    room = PIECE
    for size, changed_at, name in files:
        left = max(1.0, end - time.monotonic())
        if size > PIECE:
            large = Artifact(f"{artifact.whole}/{name}", size, 0, changed_at)
            fetch(host, server, large, target / name, within=left)
            continue
        if batch and (size > room or sum(map(len, batch)) > _NAMES):
            _fetch_some(host, server, folder, batch, target, left)
            batch, room = [], PIECE
        batch.append(name)
        room -= size
    if batch:
        _fetch_some(host, server, folder, batch, target, max(1.0, end - time.monotonic()))
    if ask(host, server, listing, within=within).text != listed:
        raise CouldNotLook(f"{artifact.shown} changed while it was fetched", mend="drill when no backup is running")
    return digest_of(target)


def _split(line: str) -> list[str]:
    return line.split(" ", 2)


def _fetch_some(host: Any, server: str, folder: str, names: list[str], target: Path, within: float) -> None:
    words = " ".join(quote(name) for name in names)
    _unpack(target, ask(host, server, f"cd {folder} && tar -cf - -- {words} | base64", within=within).output)


def _unpack(target: Path, packed: bytes) -> None:
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(packed))) as archive:
        archive.extractall(target, filter="data")


def _may_be_read(path: str) -> str:
    gone = f"[ -e {path} ] || {{ echo 'it was taken away meanwhile' >&2; exit 1; }}"
    return f"{gone}\n[ -r {path} ] || {{ echo {path}: Permission denied >&2; exit 1; }}"
