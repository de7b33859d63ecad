"""Everything that can be declared has a suite that verifies it, a description, and a place in the docs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from readygate.areas import SECTIONS
from readygate.inventory import load
from readygate.spec import Spec, _specs_in, known_checks

ROOT = Path(__file__).parent.parent
CHECKS = sorted({check for spec in SECTIONS.values() for check in known_checks(spec)})
DOCS = {path.name: path.read_text() for path in sorted((ROOT / "docs" / "areas").glob("*.md"))}
PAGES = DOCS | {"inventory.md": (ROOT / "docs" / "inventory.md").read_text()}
EXAMPLES = [
    pytest.param(example, id=f"{name}-{number}")
    for name, text in PAGES.items()
    for number, example in enumerate(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL))
]


def specs(spec: type[Spec]) -> Iterator[type[Spec]]:
    yield spec
    for info in spec.model_fields.values():
        for nested in _specs_in(info.annotation):
            yield from specs(nested)


ALL_SPECS = sorted({each for spec in SECTIONS.values() for each in specs(spec)}, key=lambda each: each.__name__)


def suite_functions() -> list[ast.FunctionDef]:
    trees = [ast.parse(path.read_text()) for path in sorted((ROOT / "suites").glob("test_*.py"))]
    return [
        node
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


def marked() -> list[str]:
    return [
        call.args[0].value
        for function in suite_functions()
        for call in function.decorator_list
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.check"
    ]


def test_every_check_has_exactly_one_shipped_test() -> None:
    assert sorted(marked()) == CHECKS


@pytest.mark.parametrize("function", suite_functions(), ids=lambda function: function.name)
def test_a_suite_says_why_and_how_to_mend(function: ast.FunctionDef) -> None:
    text = ast.get_docstring(function) or ""
    assert re.search(r"^Mend: \S", text, re.MULTILINE), "a docstring with why it matters and a line `Mend:`"
    assert len([node for node in ast.walk(function) if isinstance(node, ast.Assert)]) == 1


@pytest.mark.parametrize("spec", ALL_SPECS, ids=lambda spec: spec.__name__)
def test_every_key_is_described(spec: type[Spec]) -> None:
    assert not [name for name, info in spec.model_fields.items() if not info.description]


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_is_documented(check: str) -> None:
    assert any(f"`{check}`" in text for text in DOCS.values())


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_documented_example_can_be_loaded(example: str, tmp_path: Path) -> None:
    path = tmp_path / "inventory.yml"
    text = example if re.search(r"^project:", example, re.MULTILINE) else f"project: docs\n{example}"
    path.write_text(text)
    environ = dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "8080")
    assert load(path, None, environ).leaves
    assert yaml.safe_load(text)
