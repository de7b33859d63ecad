"""The servers of the example systems can be loaded, and each of their lines says which requirement it is for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from readygate.inventory import load

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*/servers.yml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_an_example_loads_by_itself_and_beside_the_firewall(path: Path, tmp_path: Path) -> None:
    for included in ([path], [path, path.parent / "firewall.yml"]):
        inventory = tmp_path / f"{len(included)}.yml"
        files = [str(each) for each in included if each.exists()]
        inventory.write_text(f"project: {path.parent.name}\ninclude: {files}\n")
        assert load(inventory, None, {}).leaves


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_every_expectation_of_an_example_names_its_requirement(path: Path, tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(f"project: example\ninclude: ['{path}']\n")
    lines = path.read_text().splitlines()
    for leaf in load(inventory, None, {}).leaves:
        line = lines[leaf.position.line - 1]
        assert re.search(r"# (PF|ZA|PO|TB|ZE)-\d+", line), line
