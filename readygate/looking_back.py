"""`readygate history` and `readygate diff`: the runs that were kept, and what changed between two of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from pathlib import Path

from readygate.errors import ExitCode
from readygate.history import Difference, History, Kept, as_json, compare, flapping, usual_time_to_mend
from readygate.redaction import REDACTOR
from readygate.reporting.visible import one_line
from readygate.results import Result, Run
from readygate.units import readable_duration, show_duration

_COLUMNS = ("run", "when", "profile", "environment", "version", "verdict", "declared", "failed", "waived", "not seen")


def print_history(root: Path, profile: str | None, environment: str | None, *, as_data: bool) -> int:
    """The kept runs, the newest last, then what flaps and how long mending takes."""
    runs = [
        each
        for each in History(root).runs()
        if profile in (None, each.profile) and environment in (None, each.environment)
    ]
    _say(as_json(runs) if as_data else "\n".join(_table(runs)))
    if not as_data:
        for run_id, why in History(root).wounds():
            _say(f"{run_id} {why}")
        for identity, count in flapping(runs).items():
            _say(f"flapping: {identity} changed {count} times")
        if (usual := usual_time_to_mend(runs)) is not None:
            _say(f"mended after {show_duration(readable_duration(usual))} (median)")
    return ExitCode.GO


def print_diff(root: Path, before: str, after: str) -> int:
    """What changed from one run to the other; NO_GO where something that was met is met no more."""
    history = History(root)
    first, second = history.find(before), history.find(after)
    difference = compare(first, second)
    _say(f"from {_described(first)}\nto   {_described(second)}")
    _say("\n".join(_sections(difference)) or "nothing changed")
    return ExitCode.NO_GO if difference.failing else ExitCode.GO


def _table(runs: Sequence[Kept]) -> list[str]:
    if not runs:
        return ["no run is kept here; `readygate run` keeps each"]
    rows = [_COLUMNS, *(_row(each) for each in runs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(run: Kept) -> tuple[str, ...]:
    unseen = run.counts.get("errors", 0) + run.counts.get("not_run", 0)
    return (
        run.run_id,
        f"{run.started_at.astimezone(UTC):%Y-%m-%d %H:%M}",
        run.profile,
        run.environment or "-",
        run.version or run.commit[:12] or "-",
        run.word or "-",
        *(str(run.counts.get(name, "-")) for name in ("declared", "failed", "waived")),
        str(unseen),
    )


def _sections(difference: Difference) -> list[str]:
    titled: dict[str, tuple[Result, ...]] = {
        "newly failing": difference.failing,
        "mended": difference.mended,
        "new": difference.new,
        "gone": difference.gone,
    }
    lines = [
        line
        for title, results in titled.items()
        if results
        for line in (f"{title} ({len(results)})", *(f"  {_line(each)}" for each in results))
    ]
    return [*lines, f"still open: {len(difference.still_open)}"] if difference.still_open else lines


def _line(result: Result) -> str:
    said = result.message if result.message else f"{result.actual}, expected {result.expected}".strip(", ")
    return one_line(f"{result.id}: {result.outcome.value.replace('_', ' ')}" + (f", {said}" if said else ""))


def _described(run: Run) -> str:
    subject = run.subject
    parts = (run.run_id, subject.project, subject.environment, subject.version, run.profile)
    return one_line(" ".join(part for part in parts if part))


def _say(text: str) -> None:
    print(REDACTOR.redact(text))  # noqa: T201
