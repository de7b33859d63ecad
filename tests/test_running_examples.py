"""The databases and the monitoring of the example systems: loadable, and each expectation names its requirement."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from readygate.inventory import load

EXAMPLES = Path(__file__).parent.parent / "examples"
FILES = [path for area in ("databases", "monitoring") for path in sorted(EXAMPLES.glob(f"*/{area}.yml"))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_expectation_of_an_example_names_its_requirement(path: Path, tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(f"project: {path.parent.name}\ninclude: [{path}]\n")
    lines = path.read_text().splitlines()
    leaves = [leaf for leaf in load(inventory, None, {}).leaves if leaf.path[0] == path.stem]
    assert leaves
    for leaf in leaves:
        place = leaf.position.line - 1
        assert re.search(r"# .*[A-Z]{2}-\d+", "\n".join(lines[place - 1 : place + 1])), leaf.dotted
