"""Bringing a copy here from the store that has it, by the rclone of the server."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from shlex import quote
from typing import Any

from readygate.areas.backups.artifacts import Artifact
from readygate.areas.backups.fetching import PIECE, fetch_pieces
from readygate.areas.backups.offsite import Copies, Offsite, ask_store, complaint_of, inside, rclone
from readygate.drills.copied import digest_of
from readygate.errors import CouldNotLook

_PIECE = 4 * PIECE  # each is a request of its own
_FILES = 200  # in one command, which starts an rclone for each


def newest_copy(offsite: Offsite, copies: Copies) -> Artifact | None:
    """The newest of them, by the name that its server or rclone has for it."""
    if not copies.found:
        return None
    newest = copies.found[0]
    if offsite.on:
        return Artifact(newest.path, newest.size, 0, newest.changed_at)
    return Artifact(inside(offsite.place, newest.path), newest.size, 0, newest.made_at)


def fetch_copy(host: Any, backup: Any, offsite: Offsite, copy: Artifact, target: Path, *, within: float) -> str:
    """Bring a copy here, piece by piece, or the folder that it stands for; returns its SHA-256."""
    if copy.is_folder:
        return _fetch_folder(host, backup, offsite, copy, target, within)

    def read(skipped: int) -> str:
        words = rclone(offsite, "cat", "--offset", str(skipped), "--count", str(_PIECE))
        # A pipe ends as its last command does, so that what rclone complains of is what tells.
        return f'{{ {words} {quote(copy.path)} || echo "exit $?" >&2; }} | base64'

    return fetch_pieces(host, backup.on, copy, target, read, within=within, piece=_PIECE)


def _fetch_folder(host: Any, backup: Any, offsite: Offsite, copy: Artifact, target: Path, within: float) -> str:
    """All that lies around the copy, with the folders that the store keeps. CouldNotLook: not all of it came."""
    end = time.monotonic() + within

    def left() -> float:
        return max(1.0, end - time.monotonic())

    folder, slash, _ = copy.path.rpartition("/")
    place = f"{folder}{slash}" or f"{copy.path.partition(':')[0]}:"
    listing = f"{rclone(offsite, 'lsjson', '--recursive')} {quote(place)}"
    listed = json.loads(ask_store(host, backup, offsite, listing, within=left()).text)
    target.mkdir()
    small: list[tuple[str, int]] = []
    for each in listed:
        path = target / _relative(each["Path"])
        (path if each["IsDir"] else path.parent).mkdir(parents=True, exist_ok=True)
        if each["IsDir"]:
            continue
        if each["Size"] > PIECE:
            large = Artifact(inside(place, each["Path"]), each["Size"], 0, copy.changed_at)
            fetch_copy(host, backup, offsite, large, path, within=left())
        else:
            small.append((each["Path"], each["Size"]))
    while small:
        some, room = list[tuple[str, int]](), PIECE
        while small and len(some) < _FILES and small[-1][1] <= room:
            some.append(small.pop())
            room -= some[-1][1]
        _fetch_some(host, backup, offsite, place, some, target, left())
    return digest_of(target)


def _fetch_some(
    host: Any, backup: Any, offsite: Offsite, place: str, files: list[tuple[str, int]], target: Path, within: float
) -> None:
    """Each as a line of base64."""
    words = rclone(offsite, "cat")
    script = "\n".join(f"{words} {quote(inside(place, path))} | base64 | tr -d '\\n'; echo" for path, _ in files)
    answer = ask_store(host, backup, offsite, script, within=within)
    for (path, size), line in zip(files, answer.text.splitlines(), strict=True):
        came = base64.b64decode(line)
        if len(came) != size:
            raise CouldNotLook(
                f"{path} could not be fetched from {place}: {complaint_of(answer.errors)}",
                mend="drill when no backup is running",
            )
        (target / _relative(path)).write_bytes(came)


def _relative(path: str) -> Path:
    """A path that a store told, if it stays below where it is put."""
    if path.startswith("/") or ".." in Path(path).parts:
        raise CouldNotLook(f"the store has a file by the name of {path!r}", mend="look at what it holds")
    return Path(path)
