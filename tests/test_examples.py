"""The example systems as a whole: each loads, and every expectation in it has a suite that verifies it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from readygate.policy import SHIPPED
from tests.projects import Project

SYSTEMS = sorted(path.parent for path in (SHIPPED / "examples").glob("*/inventory.yml"))


def test_all_five_systems_are_there() -> None:
    assert [path.name for path in SYSTEMS] == ["potter", "printfarm", "thebot", "zakupai", "zenzefi"]


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda path: path.name)
def test_every_expectation_of_an_example_has_a_suite(system: Path) -> None:
    inventory = os.path.relpath(system / "inventory.yml", SHIPPED)
    ended = Project(SHIPPED).readygate("plan", "--json", "--inventory", inventory, VERSION="1.0.0")
    assert ended.code == 0, ended.stdout[-3000:] + ended.stderr
    assert len(json.loads(ended.stdout)) > 50
