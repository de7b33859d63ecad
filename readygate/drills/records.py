"""What a drill found, kept beside the results until the next one is due."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from readygate.drills.outcome import Restored

# Set by whoever knows where the results go; relative to where `readygate` was started.
FOLDER = Path("readygate-out", "drills")
_folder = FOLDER


@dataclass(frozen=True, slots=True)
class Record:
    """One drill that restored: of which bytes, when (in seconds since 1970), how long it took, and what it found.

    `asked` is the digest of what was asked; `differs` says by table how far the live one was apart, in percent.
    """

    backup: str
    artifact: str
    digest: str
    asked: str
    at: int
    took_s: float
    steps: tuple[tuple[str, float], ...]
    restored: Restored
    differs: Mapping[str, float] | None = None


def keep_in(results: Path) -> None:
    """Keep the records of this process below the folder of the results."""
    global _folder
    _folder = results / "drills"


def read(backup: str) -> Record | None:
    """The record of the last drill that restored; None where there is none, or somebody has changed it."""
    try:
        data = json.loads(_path(backup).read_text())
        seal = data.pop("seal")
        if seal != _seal(data):
            return None
        steps = tuple((name, took) for name, took in data.pop("steps"))
        return Record(**{**data, "steps": steps, "restored": restored_of(data["restored"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write(record: Record) -> Path:
    """Keep a record, in place of the one before."""
    path = _path(record.backup)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = json.loads(json.dumps(asdict(record)))
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps({**data, "seal": _seal(data)}, indent=2, ensure_ascii=False) + "\n")
    part.replace(path)
    return path


def restored_of(told: Mapping[str, Any]) -> Restored:
    """What was restored, as JSON has it."""
    return Restored(**{**told, **{name: _tuple(told.get(name)) for name in ("extensions", "behind")}})


def digest_of(*words: object) -> str:
    """A digest of what a drill is asked, by which one knows whether it was asked the same."""
    return hashlib.sha256(json.dumps(words, default=str).encode()).hexdigest()


def _seal(data: Mapping[str, object]) -> str:
    """Over all that the record says, by the digest of the artifact that it says it of."""
    text = json.dumps(data, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(f"{data['digest']}\0{text}".encode()).hexdigest()


def _path(backup: str) -> Path:
    return _folder / f"{re.sub(r'[^A-Za-z0-9._-]', '_', backup)}.json"


def _tuple(members: list[str] | None) -> tuple[str, ...] | None:
    return None if members is None else tuple(members)
