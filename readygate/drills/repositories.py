"""A backup in a repository: brought back by the tool that keeps it, as the scratch folder still has a network."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from readygate.drills.copied import opened
from readygate.drills.outcome import NotRestorable
from readygate.drills.scratch import Ended, Scratch
from readygate.errors import CouldNotLook

# What restic and borg say of a repository that is damaged. What else they say, such as of a network, is not of it.
_DAMAGE = re.compile(
    r"no such file or directory|does not exist|not found|invalid data|ciphertext verification failed|integrity"
    r"|checksum|crc|corrupt|damaged|mismatch|missing (file )?chunk|unexpected eof|wrong (hash|size)|does not match",
    re.IGNORECASE,
)
_WILD = re.compile(r"[*?\[\]\\]")
_FILES = ("file", "-", "h")  # as restic calls them, and as borg does, which lists another name of one as `h`


@dataclass(frozen=True, slots=True)
class Kept:
    """One backup in a repository, and how its tool is asked, by two scripts of a shell.

    `listing` prints what is in it, an object of JSON a line. `restoring` puts the path that is its `$1`, or else all
    of it, below the folder `restored`; `$2` is the same path as a pattern. Of the files that `file` fits the newest
    is wanted, or the folder around it.
    """

    called: str
    listing: str
    restoring: str
    file: str | None = None
    is_folder: bool = False


def bring_back(place: Scratch, kept: Kept) -> tuple[Path, str]:
    """What was wanted, where it can be read by whoever restores it, and how it is called.

    NotRestorable: it is not in there, or is damaged. CouldNotLook: the tool could not be asked.
    """
    restored = place.folder / "restored"
    restored.mkdir(mode=0o700)
    called = kept.called
    wanted: list[str] = []
    if kept.file:
        with place.step(f"look for {kept.file}"):
            listed = _asked(place, kept.listing)
            found = max(_fitting(listed.text, kept.file), default=None)
        if found is None:
            raise NotRestorable(f"there is no {kept.file} in it")
        called = f"{called}:/{found[1]}"
        wanted = [os.path.dirname(found[1]) if kept.is_folder else found[1]]  # noqa: PTH120 - no path of this machine
    with place.step("bring it back"):
        _asked(place, kept.restoring, *wanted, *(_WILD.sub(r"\\\g<0>", each) for each in wanted))
    if not wanted:
        return restored, called
    brought, packed = restored / wanted[0], place.folder / "artifact"
    if brought.is_symlink() or not brought.exists():
        raise CouldNotLook(f"{called} was not brought back", mend="restore it by hand, and see what the tool says")
    if brought.is_dir() and (link := next((each for each in brought.rglob("*") if each.is_symlink()), None)):
        raise CouldNotLook(f"{called}: {link.name} is a link, and leads to what is not a part of the backup")
    return opened(brought.rename(packed)), called


def _fitting(listed: str, pattern: str) -> Iterator[tuple[datetime, str]]:
    """When each file was written that the pattern fits, and its path, without the slash that it begins with."""
    for line in listed.splitlines():
        told = json.loads(line)
        path = str(told.get("path", "")).lstrip("/")
        if told.get("type") in _FILES and PurePosixPath(f"/{path}").match(pattern):
            at = datetime.fromisoformat(told["mtime"].replace("Z", "+00:00"))
            yield (at if at.tzinfo else at.replace(tzinfo=UTC)), path


def _asked(place: Scratch, script: str, *words: str) -> Ended:
    # Its keys and its settings are where they are for whoever runs the tool by hand.
    home = {"HOME": os.environ.get("HOME", "/")}
    ended = place.run(["sh", "-c", script, "sh", *words], environ=home, as_us=True)
    if not ended.exit:
        return ended
    lines = [line.strip() for line in ended.said.splitlines() if line.strip()]
    if ended.was_run and (damage := next((line for line in lines if _DAMAGE.search(line)), None)):
        raise NotRestorable(damage)
    raise CouldNotLook(
        f"the repository could not be asked: {lines[-1] if lines else f'exit {ended.exit}'}",
        mend="restore it by hand there, and see what the tool says",
    )
