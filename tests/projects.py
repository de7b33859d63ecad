"""Small projects that tests gate as a user would: with the command, in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def let_others_in(folder: Path) -> None:
    """Let other users reach a folder of pytest's, however deep it lies (xdist's workers have one more level)."""
    for each in (folder, *folder.parents):
        if each == Path(tempfile.gettempdir()):
            return
        each.chmod(0o755)


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it wrote."""

    code: int
    stdout: str
    stderr: str
    folder: Path

    @property
    def run(self) -> dict[str, Any]:
        return json.loads((self.folder / "readygate-out" / "results.json").read_text())

    @property
    def word(self) -> str:
        return self.run["verdict"]["word"]

    def result(self, check: str) -> dict[str, Any]:
        """The one result of a check."""
        (found,) = [each for each in self.run["results"] if each["check"] == check]
        return found

    def everything_written(self) -> str:
        files = [path for path in self.folder.rglob("*") if path.is_file() and "readygate-out" in path.parts]
        return "\n".join([self.stdout, self.stderr, *(path.read_text(errors="replace") for path in files)])


@dataclass(frozen=True)
class Project:
    """A folder with an inventory, and suites of its own where a test writes some."""

    folder: Path

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def readygate(self, *arguments: str, **environ: str) -> Ended:
        return self._call("-m", "readygate", *arguments, **environ)

    def pytest(self, *arguments: str, **environ: str) -> Ended:
        return self._call("-m", "pytest", "-p", "no:locust", *arguments, **environ)

    def _call(self, *arguments: str, **environ: str) -> Ended:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            timeout=120,
        )
        return Ended(done.returncode, done.stdout, done.stderr, self.folder)
