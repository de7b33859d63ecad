"""What test runs leave behind: results in JUnit's XML, coverage in Cobertura's, and any other fresh file."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar
from xml.etree import ElementTree

from pydantic import AfterValidator, Field

from readygate.areas.repository.source_files import inside
from readygate.areas.servers.files import age_s
from readygate.errors import CouldNotLook
from readygate.expectation import (
    AtLeastCount,
    AtLeastPercent,
    AtLeastSize,
    AtMostCount,
    AtMostDuration,
    Flag,
)
from readygate.spec import Spec

if TYPE_CHECKING:
    from readygate.areas.repository.git import Checkout

Glob = Annotated[str, AfterValidator(inside)]
_MOST_BYTES = 200_000_000


class TestReport(Spec):
    """Results of tests, as JUnit's XML has them."""

    area: ClassVar[str] = "test_report"
    noun: ClassVar[str] = "test_report"

    path: Glob = Field(description="A setting: the file, or a pattern of several: reports/junit-*.xml.")
    named: str | None = Field(
        None, description="A setting: only tests whose class or name has this in it are counted."
    )
    tests: AtLeastCount | None = Field(None, description="How many tests were run, without those that were skipped.")
    failures: AtMostCount | None = Field(None, description="How many failed or broke off.")
    skipped: AtMostCount | None = Field(None, description="How many were skipped.")
    age: AtMostDuration | None = Field(None, description="How long ago the oldest of the files was written.")
    of_commit: Flag | None = Field(None, description="Whether all were written after the commit that is checked out.")


class Coverage(Spec):
    """How much of the code is run by tests, as Cobertura's XML has it, which coverage.py writes too."""

    area: ClassVar[str] = "coverage"
    noun: ClassVar[str] = "coverage"

    path: Glob = Field(description="A setting: the file, e.g. coverage.xml.")
    lines: AtLeastPercent | None = Field(None, description="The share of lines.")
    branches: AtLeastPercent | None = Field(None, description="The share of branches; nothing if none were measured.")
    age: AtMostDuration | None = Field(None, description="How long ago it was written.")
    of_commit: Flag | None = Field(None, description="Whether it was written after the commit that is checked out.")


class Generated(Spec):
    """Any other files that a run leaves behind."""

    area: ClassVar[str] = "generated"
    noun: ClassVar[str] = "generated"

    path: Glob = Field(description="A setting: the file, or a pattern of several: test-reports/*.")
    count: AtLeastCount | None = Field(None, description="How many there are that aren't empty.")
    size: AtLeastSize | None = Field(None, description="The size of the smallest.")
    age: AtMostDuration | None = Field(None, description="How long ago the newest was written.")
    of_commit: Flag | None = Field(None, description="Whether the newest was written after the commit here.")


@dataclass(frozen=True, slots=True)
class Left:
    """Files that were left behind; their times in seconds since 1970."""

    paths: tuple[Path, ...]
    written_at: tuple[float, ...]
    sizes: tuple[int, ...]
    committed_at: int
    reason: str

    @property
    def count(self) -> int:
        return sum(size > 0 for size in self.sizes)

    @property
    def smallest(self) -> int | None:
        return min(self.sizes, default=None)

    def age_of_newest_s(self) -> float | None:
        return age_s(int(max(self.written_at)), int(time.time())) if self.written_at else None

    def age_of_oldest_s(self) -> float | None:
        return age_s(int(min(self.written_at)), int(time.time())) if self.written_at else None

    def newest_of_commit(self) -> bool | None:
        return max(self.written_at) >= self.committed_at if self.written_at else None

    def all_of_commit(self) -> bool | None:
        return min(self.written_at) >= self.committed_at if self.written_at else None


@dataclass(frozen=True, slots=True)
class TestResults:
    """What all the files count together; None where there is none."""

    tests: int | None = None
    failures: int | None = None
    skipped: int | None = None
    told: str = ""


@dataclass(frozen=True, slots=True)
class Covered:
    """Shares in per cent; None where nothing was measured."""

    lines: float | None = None
    branches: float | None = None


def _left(checkout: Checkout, pattern: str) -> Left:
    """The files of a pattern, without those that are committed: a checkout dates them anew."""
    found = sorted(path for path in checkout.root.glob(pattern) if path.is_file())
    new = [path for path in found if path.relative_to(checkout.root).as_posix() not in checkout.tracked]
    committed = f"{len(found) - len(new)} of them are committed, so they are no news" if len(new) < len(found) else ""
    return Left(
        paths=tuple(new),
        written_at=tuple(path.stat().st_mtime for path in new),
        sizes=tuple(path.stat().st_size for path in new),
        committed_at=checkout.committed_at,
        reason=committed or (f"there is no {pattern}" if not new else ""),
    )


def observe_test_files(checkout_here: Checkout, test_report: TestReport) -> Left:
    return _left(checkout_here, test_report.path)


def observe_coverage_file(checkout_here: Checkout, coverage: Coverage) -> Left:
    return _left(checkout_here, coverage.path)


def observe_generated(checkout_here: Checkout, generated: Generated) -> Left:
    return _left(checkout_here, generated.path)


def observe_test_results(test_files: Left, test_report: TestReport) -> TestResults:
    """The cases themselves are counted, since what a suite says of its own number may be old or wrong.

    CouldNotLook: a file can't be read as XML, or is of something else.
    """
    if not test_files.paths:
        return TestResults(told=test_files.reason)
    cases = [case for path in test_files.paths for case in _cases(path, test_report.named or "")]
    failed = [_name(case) for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = sum(case.find("skipped") is not None for case in cases)
    told = f"failed: {', '.join(failed[:5])}" if failed else ""
    return TestResults(len(cases) - skipped, len(failed), skipped, told)


def _cases(path: Path, named: str) -> Iterator[ElementTree.Element]:
    root = _xml(path)
    if root.tag not in ("testsuites", "testsuite"):
        raise CouldNotLook(f"{path.name} is no report of JUnit's", mend="write it by e.g. pytest --junitxml")
    return (case for case in root.iter("testcase") if named in _name(case))


def _name(case: ElementTree.Element) -> str:
    return f"{case.get('classname', '')}.{case.get('name', '')}".strip(".")


def observe_covered(coverage_file: Left) -> Covered:
    """What was measured. CouldNotLook: the file can't be read, or is of something else."""
    if not coverage_file.paths:
        return Covered()
    if len(coverage_file.paths) > 1:
        raise CouldNotLook("there are several files of coverage", mend="name one, or combine them beforehand")
    root = _xml(coverage_file.paths[0])
    if root.tag != "coverage" or root.get("line-rate") is None:
        raise CouldNotLook(
            f"{coverage_file.paths[0].name} is no report of Cobertura's", mend="write it by e.g. `coverage xml`"
        )
    lines = [line for each in root.iter("class") for line in each.iterfind("lines/line")]
    hit = sum(line.get("hits") != "0" for line in lines)
    has_branches = any(line.get("branch") == "true" for line in lines)
    return Covered(
        lines=100 * hit / len(lines) if lines else None,
        branches=_share(root.get("branch-rate")) if has_branches else None,
    )


def _share(rate: str | None) -> float | None:
    try:
        share = 100 * float(rate or "")
    except ValueError:
        return None
    return share if math.isfinite(share) else None


def _xml(path: Path) -> ElementTree.Element:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise CouldNotLook(f"{path.name} is larger than 200 MB")
        content = path.read_bytes()
        # Entities are how a small file of XML becomes a large one; no report has any.
        if b"<!ENTITY" in content:
            raise CouldNotLook(f"{path.name} defines entities, and is not read")
        return ElementTree.fromstring(content)  # noqa: S314
    except (OSError, ElementTree.ParseError) as error:
        raise CouldNotLook(
            f"{path.name} can't be read as XML: {error}", mend="see whether its run was cut off"
        ) from None


FACTS: dict[str, Callable[..., Any]] = {
    "test_files": observe_test_files,
    "test_results": observe_test_results,
    "coverage_file": observe_coverage_file,
    "covered": observe_covered,
    "generated_files": observe_generated,
}
