"""The backups of the example systems: loadable, and each expectation says which requirement asks for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from readygate.inventory import load
from readygate.spec import Leaf

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "examples").glob("*/backups.yml"))
ENVIRON = {"ZAKUPAI_DATABASE_URL": "postgresql://zakupai:secret-of-ours@db/zakupai"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_the_backups_of_an_example_load_beside_its_servers(path: Path, tmp_path: Path) -> None:
    for environment in (None, "staging") if "staging:" in path.read_text() else (None,):
        assert any(leaf.path[0] == "backups" for leaf in leaves_of(path, environment, tmp_path))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_every_expectation_of_an_example_names_its_requirement(path: Path, tmp_path: Path) -> None:
    lines = path.read_text().splitlines()
    for leaf in leaves_of(path, None, tmp_path):
        if leaf.path[0] == "backups":
            assert re.search(r"# .*[A-Z]{2}-\d+", lines[leaf.position.line - 1]), leaf.dotted


def leaves_of(path: Path, environment: str | None, folder: Path) -> tuple[Leaf, ...]:
    inventory = folder / "inventory.yml"
    files = [str(path.parent / "servers.yml"), str(path)]
    inventory.write_text(f"project: {path.parent.name}\ninclude: {files}\n")
    return load(inventory, environment, ENVIRON).leaves
