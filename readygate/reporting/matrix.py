"""What is declared beside its areas: where in the system it is red, at a glance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from readygate.reporting.reading import Standing, area, badness, standing
from readygate.results import Result
from readygate.verdict import Verdict

_MOST_ROWS = 40  # of a section; the others are better, and in the list


@dataclass(frozen=True, slots=True)
class Cell:
    """What became of one area of one entry; `area` is the number that the page gives it."""

    area: int
    standing: Standing | None


@dataclass(frozen=True, slots=True)
class Row:
    """A server, a site, a backup: `number` is what its results carry on the page."""

    name: str
    number: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """One section of the inventory, the worst entry first; `left_off` counts those that there was no room for."""

    section: str
    areas: tuple[str, ...]
    rows: tuple[Row, ...]
    left_off: int


Entry = tuple[str, str]


def entry(result: Result) -> Entry:
    """The section and the name of what was declared at the top level; a suite's own test has no section."""
    return result.path.partition(".")[0], result.target.partition(":")[0]


def entries(verdict: Verdict) -> dict[Entry, int]:
    """A number for each entry, in the order of the run."""
    return {each: number for number, each in enumerate(dict.fromkeys(map(entry, verdict.results)))}


def matrices(verdict: Verdict, numbers: Mapping[Entry, int], areas: Mapping[str, int]) -> Iterator[Matrix]:
    """One matrix a section, with only those areas that it has."""
    sections: dict[str, dict[str, list[Result]]] = defaultdict(lambda: defaultdict(list))
    for result in verdict.results:
        section, name = entry(result)
        sections[section][name].append(result)
    for section, found in sections.items():
        columns = tuple(sorted({area(each) for results in found.values() for each in results}))
        worst_first = sorted(found.items(), key=lambda each: (min(map(badness, each[1]))[:2], each[0]))
        rows = tuple(
            Row(name, numbers[section, name], tuple(_cells(results, columns, areas)))
            for name, results in worst_first[:_MOST_ROWS]
        )
        yield Matrix(section, columns, rows, len(found) - len(rows))


def _cells(results: Sequence[Result], columns: Sequence[str], areas: Mapping[str, int]) -> Iterator[Cell]:
    by_area: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        by_area[area(result)].append(result)
    for column in columns:
        yield Cell(areas[column], standing(by_area[column]) if column in by_area else None)
