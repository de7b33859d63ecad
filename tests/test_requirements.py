"""Every requirement of the five guides is named in the example of its system, at a line that a check verifies.

An example names a requirement in a comment, `# ZE-27`, at the line of an expectation or right above it, or at a line
of a profile that tells somebody. A comment on anything else is a mistake.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from readygate.inventory import load
from readygate.policy import Policy
from tests.test_catalogue import marked

EXAMPLES = Path(__file__).parent.parent / "examples"
GUIDES = {
    "printfarm": ("PF", 83),
    "zakupai": ("ZA", 107),
    "potter": ("PO", 111),
    "thebot": ("TB", 169),
    "zenzefi": ("ZE", 94),
}
BY_ATTESTATION = "attestation.every"
ID = re.compile(r"\b[A-Z]{2}-\d+\b")
RANGE = re.compile(r"\b([A-Z]{2})-(\d+) to [A-Z]{2}-(\d+)\b")


def requirements(system: str) -> set[str]:
    guide, count = GUIDES[system]
    return {f"{guide}-{number:02}" for number in range(1, count + 1)}


def named(line: str) -> set[str]:
    """The requirements that the comment of a line names."""
    comment = (re.search(r"(?:^|\s)#(.*)", line) or [""])[0]
    between = {
        f"{guide}-{number:02}"
        for guide, first, last in RANGE.findall(comment)
        for number in range(int(first), int(last) + 1)
    }
    return between | set(ID.findall(comment))


def declared_lines(system: str) -> set[tuple[Path, int]]:
    """The lines of all expectations of an example, in whatever environment, that a shipped suite verifies."""
    inventory = EXAMPLES / system / "inventory.yml"
    verified = {*marked(), BY_ATTESTATION}
    overlays = [path.read_text().partition("\nenvironments:\n")[2] for path in inventory.parent.glob("*.yml")]
    environments = {name for text in overlays for name in re.findall(r"^  ([\w-]+):", text, re.MULTILINE)}
    return {
        (path, line)
        for environment in (None, *environments)
        for leaf in load(inventory, environment, {"VERSION": "1.0.0"}).leaves
        if leaf.check in verified
        for path in [Path(leaf.position.file).absolute()]
        for line in block(path.read_text().splitlines(), leaf.position.line)
    }


def block(lines: list[str], first: int) -> Iterator[int]:
    """A line, and those below that are indented deeper, as the items of a list are."""
    yield first
    for number in range(first + 1, len(lines) + 1):
        if indent(lines[number - 1]) <= indent(lines[first - 1]):
            return
        yield number


def indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def places(system: str) -> Iterator[tuple[Path, int, set[str], bool]]:
    """Every line of an example that names requirements, and whether an expectation stands there or right below."""
    expectations = declared_lines(system)
    for path in sorted((EXAMPLES / system).rglob("*.yml")):
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines, 1):
            if not named(line):
                continue
            below = number
            while below < len(lines) and lines[below - 1].lstrip().startswith("#"):
                below += 1
            asks = path.parent.name == "reports" and bool(lines[below - 1].partition("#")[0].strip())
            yield path, number, named(line), asks or (path.absolute(), below) in expectations


TRACES = {system: list(places(system)) for system in GUIDES}


@pytest.mark.parametrize("system", GUIDES)
def test_every_requirement_is_declared(system: str) -> None:
    declared = {each for _, _, ids, _ in TRACES[system] for each in ids}
    assert sorted(requirements(system) - declared) == [], "declare them in the example"


@pytest.mark.parametrize("system", GUIDES)
def test_no_requirement_is_named_that_the_guide_does_not_have(system: str) -> None:
    unknown = [f"{path.name}:{number} {each}" for path, number, ids, _ in TRACES[system] for each in ids]
    assert [each for each in unknown if each.split()[1] not in requirements(system)] == []


@pytest.mark.parametrize("system", GUIDES)
def test_every_requirement_is_named_at_a_line_that_is_verified(system: str) -> None:
    idle = [f"{path.parent.name}/{path.name}:{number}" for path, number, _, holds in TRACES[system] if not holds]
    assert idle == [], "no check verifies these lines: name the requirement where it is expected"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/reports/*.yml")), ids=lambda path: path.stem)
def test_a_profile_of_an_example_can_be_asked(path: Path) -> None:
    assert Policy(path.parent.parent).profile(path.stem).question
