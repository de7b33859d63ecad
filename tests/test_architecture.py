"""Imports run one way, along the line from the inventory to the reports."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "readygate"

# Each room may import from the rooms above it and from its own, and never from one below.
ROOMS = (
    ("errors",),
    ("units", "redaction", "signals", "streams", "witness"),
    ("arguments",),
    ("announcing",),
    ("kinds", "conditions", "expectation"),
    ("spec",),
    ("results",),
    ("fleet",),
    ("load",),
    ("drills",),
    ("areas",),
    ("lifecycle", "warden"),
    ("inventory",),
    ("profile",),
    ("signatures",),
    ("excuses",),
    ("verdict",),
    ("store",),
    ("accounting",),
    ("policy",),
    ("listed",),
    ("waivers", "attestations", "history", "merging"),
    ("grounds",),
    ("binding", "facts", "fixtures", "hosts", "recording", "rehearsal", "session", "subject"),
    ("reporting",),
    ("gate",),
    ("plugin",),
    ("afterwards", "notifying"),
    ("baselines", "drilling", "excusing", "looking_back", "running", "planning", "schema", "starting"),
    ("demo",),
    ("cli",),
    ("__main__",),
)
LEVEL = {name: level for level, room in enumerate(ROOMS) for name in room}


def modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    """The rooms that a module imports at run time; imports for annotations only don't count."""
    found: set[str] = set()

    class Imports(ast.NodeVisitor):
        def visit_If(self, node: ast.If) -> None:
            if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
                self.generic_visit(node)

        def visit_Import(self, node: ast.Import) -> None:
            for alias in node.names:
                if alias.name.startswith("readygate."):
                    found.add(alias.name.split(".")[1])

        def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
            parts = (node.module or "").split(".")
            if parts[0] == "readygate" and len(parts) > 1:
                found.add(parts[1])

    Imports().visit(ast.parse(path.read_text()))
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_along_the_line(path: Path) -> None:
    room = room_of(path)
    assert room in LEVEL, f"{room} has no place on the line yet; give it one in ROOMS"
    backwards = {name for name in imported_rooms(path) if LEVEL[name] > LEVEL[room]}
    assert not backwards, f"{room} is judged before {', '.join(backwards)} is known"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_engine_code_has_no_bare_assert(path: Path) -> None:
    asserts = [node.lineno for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Assert)]
    assert not asserts


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))
