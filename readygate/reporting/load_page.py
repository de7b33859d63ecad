"""What the page shows of the load that a run has sent: its charts, and how far they can be trusted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from markupsafe import Markup

from readygate.load.outcome import EARLIER, Outcome
from readygate.load.trust import saturation
from readygate.reporting.load_charts import distribution_chart, errors_chart, latency_chart, rate_chart, users_chart
from readygate.results import Result, Run
from readygate.store import write_atomically
from readygate.units import parse_duration

FOLDER = "load"

_LIMIT = re.compile(r"(?:at most|below) ([\d.]+ ?[a-z]+)")


@dataclass(frozen=True, slots=True)
class LoadCharts:
    """One plan's; `charts` are pairs of the key of a title and the chart under it."""

    outcome: Outcome
    anchor: str
    saturation: str
    charts: tuple[tuple[str, Markup], ...]


def load_outcomes(run: Run, out: Path) -> tuple[Outcome, ...]:
    """What the plans of this run have left in its folder; a file of an earlier run is none of its.

    One that can't be read is left out: the results say already what became of the plan.
    """
    found = []
    for path in sorted((out / FOLDER).glob("*.json")):
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            outcome = Outcome.read(path)
            begun = datetime.fromisoformat(run.started_at).replace(microsecond=0)  # an outcome tells the second
            if outcome.seconds and datetime.fromisoformat(outcome.started_at) >= begun:
                found.append(outcome)
    return tuple(found)


def bring_outcomes(results: Sequence[Path], out: Path) -> None:
    """Bring what the plans of several runs have left into the folder of the run that they make together."""
    for each in results:
        folder = (each if each.is_dir() else each.parent) / FOLDER
        for path in (*folder.glob("*.json"), *folder.glob(f"*{EARLIER}")):
            (out / FOLDER).mkdir(exist_ok=True)
            with suppress(OSError):  # one that can't be read, or is there already
                write_atomically(out / FOLDER / path.name, path.read_text(encoding="utf-8"))


def load_charts(results: Sequence[Result], outcomes: Sequence[Outcome]) -> Iterator[LoadCharts]:
    """The charts of each plan, with the limits that its results name."""
    for number, outcome in enumerate(outcomes):
        limits = _limits(results, outcome.plan)
        anchor = f"load-{number}"
        drawn = {
            "latency": latency_chart(outcome, limits, labelled_by=f"{anchor}-latency"),
            "distribution": distribution_chart(outcome, labelled_by=f"{anchor}-distribution"),
            "rate": rate_chart(outcome, labelled_by=f"{anchor}-rate"),
            "users": users_chart(outcome, labelled_by=f"{anchor}-users"),
        }
        if any(each.failed for each in outcome.seconds):
            drawn["errors"] = errors_chart(outcome, labelled_by=f"{anchor}-errors")
        charts = tuple((name, Markup(chart)) for name, chart in drawn.items())  # noqa: S704 - matplotlib's, escaped
        yield LoadCharts(outcome, anchor, saturation(outcome, limits), charts)


def _limits(results: Sequence[Result], plan: str) -> dict[str, float]:
    """Seconds by percentile, out of how an expectation reads: that is all a stored run has of it."""
    limits = {}
    for each in results:
        area, _, name = each.check.partition(".")
        said = _LIMIT.search(each.expected)
        if area == "load" and each.target == plan and name.startswith("p") and said:
            with suppress(ValueError):
                limits[name] = parse_duration(said[1])
    return limits
