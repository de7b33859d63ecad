"""What may be written after an option of the command, and what is wrong where something else is."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Iterable
from pathlib import Path

from readygate.errors import Mistake, UsageError

_NOT_FOR_PYTEST = {
    "--profile": "write `readygate run PROFILE`",
    "--results": "write `readygate run --out FOLDER`",
    **{option: f"write {option} before the --" for option in ("--inventory", "--env", "--shard")},
}


def count(text: str) -> int:
    """A whole number from 0 on."""
    if not (text.isascii() and text.isdigit()):
        raise ArgumentTypeError(f"'{text}' is not a number; write e.g. 3")
    return int(text)


def folder(text: str) -> Path:
    """A folder; an empty one is what a variable leaves that is not set, and would be the current folder."""
    if not text.strip():
        raise ArgumentTypeError("is empty; name a folder")
    return Path(text)


def existing(text: str) -> Path:
    """A folder that is there: in a misspelt one the shipped profiles would judge, and no waivers."""
    if not folder(text).is_dir():
        raise ArgumentTypeError(f"'{text}' is no folder; name the one that the inventory is in")
    return Path(text)


def seconds(text: str) -> float:
    """A duration. Raises UsageError."""
    from readygate.units import parse_duration

    try:
        return parse_duration(text)
    except Mistake as mistake:
        raise UsageError(str(mistake)) from None


def refuse_ours(words: Iterable[str]) -> None:
    """Raise UsageError for options of ours among those for pytest: the run that they are given to has its own."""
    for word in words:
        if mend := _NOT_FOR_PYTEST.get(word.partition("=")[0]):
            raise UsageError(f"after -- {word.partition('=')[0]} would not be heard; {mend}")
