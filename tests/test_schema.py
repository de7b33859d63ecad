"""The JSON Schemas: what Readygate reads is valid by them, and what it refuses is marked by an editor."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from readygate.inventory import source
from readygate.schema import inventory_schema, results_schema
from tests.projects import Project

ROOT = Path(__file__).parent.parent
INVENTORY, RESULTS = inventory_schema(), results_schema()
EXAMPLES = [
    pytest.param(example, id=f"{page.stem}-{number}")
    for page in sorted((ROOT / "docs" / "areas").glob("*.md"))
    for number, example in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL))
]


def complaints(text: str) -> list[str]:
    """What an editor would mark; YAML 1.2, as editors read it, in which `on` is a text."""
    data = source.to_data(source.parse(text, "inventory.yml"))
    return [error.message for error in Draft202012Validator(INVENTORY).iter_errors(data)]


@pytest.mark.parametrize("schema", [INVENTORY, RESULTS], ids=["inventory", "results"])
def test_it_is_a_json_schema(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)


def test_the_shipped_inventory_is_valid() -> None:
    assert not complaints((ROOT / "inventory.yml").read_text())


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_documented_example_is_valid(example: str) -> None:
    assert not complaints(example)


@pytest.mark.parametrize(
    "example", sorted((ROOT / "examples").glob("*/inventory.yml")), ids=lambda path: path.parent.name
)
def test_every_example_system_is_valid(example: Path) -> None:
    assert not complaints(example.read_text())


COMPOSED = """\
project: shop
include: [more.yml]
defaults: {servers: {sudo: true}, sites: {tls: {renew_before: 30d}}}
groups: {web: {connect: "ssh://app-1", services: {nginx: {running: true}}}}
servers: {app-1: {groups: [web]}}
sites: {shop: {headers: {X-Frame-Options: DENY}}}
environments:
  staging: {without: [sites.shop.headers], sites: {shop: {url: https://staging.shop.example}}, x-team: {lead: anna}}
  production: {sites: {shop: {url: https://shop.example}}}
x-team: {lead: boris}
.frame: &frame DENY
"""


def test_what_is_merged_from_elsewhere_needs_not_stand_in_each_place() -> None:
    assert not complaints(COMPOSED)


@pytest.mark.parametrize(
    ("right", "typo"),
    [
        ("sites: {shop", "sitse: {shop"),
        ("headers: {X", "header: {X"),
        ("sudo: true", "sudoo: true"),
        ("sudo: true", "sudo: often"),
        ("renew_before: 30d", "renew_befor: 30d"),
        ("renew_before: 30d", "renew_before: [[30d]]"),
        ("url: https://shop.example", "urll: https://shop.example"),
        ("groups: [web]", "groups: web"),
        ("without: [sites.shop.headers]", "without: sites.shop.headers"),
        ("include: [more.yml]", "include: more.yml"),
        ("environments:\n", "environment:\n"),
        ("{groups: [web]}", "[web]"),
    ],
)
def test_a_mistake_is_marked(right: str, typo: str) -> None:
    assert right in COMPOSED
    assert complaints(COMPOSED.replace(right, typo))


def test_every_key_has_a_description_for_the_editor_to_show() -> None:
    parts = {"": INVENTORY, **INVENTORY["$defs"]}
    for name, part in parts.items():
        for key, each in part.get("properties", {}).items():
            meant = parts[each.get("$ref", "").rpartition("/")[2]]  # what is said there needs not be said again
            assert each.get("description") or (meant is not INVENTORY and meant.get("description")), f"{name}.{key}"


def test_the_command_prints_both(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert json.loads(project.readygate("schema").stdout) == INVENTORY
    assert json.loads(project.readygate("schema", "--results").stdout) == RESULTS


def test_results_json_is_valid_by_its_schema_and_a_strange_outcome_is_not(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write(
        "inventory.yml",
        "project: shop\nservers: {here: {connect: 'local://', files: {/etc/passwd: {exists: true, mode: '0000'}}}}\n",
    )
    run = project.readygate("run").run
    validator = Draft202012Validator(RESULTS)
    assert not list(validator.iter_errors(run))
    run["results"][0]["outcome"] = "fine"
    assert list(validator.iter_errors(run))
