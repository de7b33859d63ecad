"""The inventory as a coverage tool would show a source: each line with what became of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from readygate.reporting.reading import standing
from readygate.results import Result, Run
from readygate.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an inventory file; `tone` is empty where no check verifies it."""

    text: str
    anchor: str = ""
    tone: str = ""
    count: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class File:
    path: str
    lines: tuple[Line, ...]


def annotated(run: Run, verdict: Verdict, anchors: Mapping[str, str]) -> Iterator[File]:
    """Each file of the inventory; `anchors` are the ids of the results on the page."""
    here: dict[tuple[str, int], list[Result]] = defaultdict(list)
    for result in verdict.results:
        here[result.file, result.line].append(result)
    for number, file in enumerate(run.inventory):
        yield File(
            file.path,
            tuple(
                _line(text, f"i{number}-{at}", here.get((file.path, at), []), anchors)
                for at, text in enumerate(file.text.split("\n"), start=1)
            ),
        )


def line_anchors(run: Run) -> dict[str, str]:
    """By file, what the ids of its lines begin with."""
    return {file.path: f"i{number}-" for number, file in enumerate(run.inventory)}


def _line(text: str, anchor: str, results: list[Result], anchors: Mapping[str, str]) -> Line:
    if not results:
        return Line(text)
    found = standing(results)
    return Line(text, anchor, found.tone, found.said, anchors[found.worst.id])
