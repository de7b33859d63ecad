"""Repositories that tests make, and which of what is declared of one does not hold there."""

from __future__ import annotations

import inspect
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from readygate.areas import FACTS, SECTIONS
from readygate.facts import Facts
from readygate.spec import leaves
from tests.holding import LOCAL, suite_functions

FUNCTIONS = {check: each for suite in ("repository", "workflows") for check, each in suite_functions(suite)}
_NOBODY = {f"GIT_{who}_{what}": "lab@shop.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def git(root: Path, *words: str) -> str:
    environ = {**os.environ, **_NOBODY, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, env=environ)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def write(root: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        if path.endswith(".sh"):
            place.chmod(0o755)


def committed(root: Path, files: Mapping[str, str]) -> Path:
    """A new repository with one commit of these files on main; scripts are executable."""
    root.mkdir(parents=True, exist_ok=True)
    git(root, "init", "-q", "-b", "main")
    commit(root, files)
    return root


def commit(root: Path, files: Mapping[str, str]) -> None:
    write(root, files)
    git(root, "add", "--force", *files)
    git(root, "commit", "-q", "-m", "Change it")


def reasons(declared: Mapping[str, Any]) -> dict[str, str]:
    """By identity, why it doesn't hold; only of what does not. Raises what the facts raise."""
    facts = Facts(FACTS, lambda leaf, name=None: LOCAL)
    found = {}
    for leaf in leaves(SECTIONS["repositories"].model_validate(declared), "shop", ("repositories", "shop")):
        function = FUNCTIONS[leaf.check]
        try:
            function(**{name: facts.get(name, leaf) for name in inspect.signature(function).parameters})
        except AssertionError as error:
            found[leaf.id] = str(error).partition("\n")[0]
    return found


def failing(root: Path, **declared: Any) -> set[str]:
    """The checks that do not hold."""
    return {each.partition(" @ ")[0] for each in reasons({"path": str(root), **declared})}
