"""`readygate init`: the policy folders in a repository of the user's own."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator
from pathlib import Path

from readygate.errors import ExitCode
from readygate.policy import SHIPPED
from readygate.store import unwritable_file

POLICY = ("inventory.yml", "conftest.py", "suites", "load", "reports", "templates")


def init(folder: Path) -> int:
    """Write what isn't there yet, and say for each file what was done.

    Raises UsageError where the folder can't be written to.
    """
    for relative in _shipped():
        there = folder / relative
        if there.exists():
            print(f"kept     {relative}")  # noqa: T201
            continue
        _write(there, (SHIPPED / relative).read_bytes())
        print(f"written  {relative}")  # noqa: T201
    if not (ignored := folder / ".gitignore").exists():
        _write(ignored, b"readygate-out/\n")
        print("written  .gitignore")  # noqa: T201
    print("\nnext: describe your system in inventory.yml, then `readygate run`")  # noqa: T201
    return ExitCode.GO


def _write(there: Path, content: bytes) -> None:
    try:
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(content)
    except OSError as error:
        raise unwritable_file(there, error, "mend that, or run it in another folder") from None


def show_diff(folder: Path) -> int:
    """Print what has moved between the folder and what is shipped, as a unified diff."""
    for relative in _shipped():
        there = folder / relative
        mine = there.read_text(encoding="utf-8").splitlines(keepends=True) if there.exists() else []
        ours = (SHIPPED / relative).read_text(encoding="utf-8").splitlines(keepends=True)
        sys.stdout.writelines(difflib.unified_diff(mine, ours, f"yours/{relative}", f"shipped/{relative}"))
    return ExitCode.GO


def _shipped() -> Iterator[Path]:
    for name in POLICY:
        top = SHIPPED / name
        files = [top] if top.is_file() else sorted(top.rglob("*"))
        for path in files:
            is_example = name == "load" and path.suffix in (".py", ".csv")
            if path.is_file() and "__pycache__" not in path.parts and not is_example:
                yield path.relative_to(SHIPPED)
