"""The verdict as a textfile for Prometheus' node exporter: to alert on it, and on a gate that stopped running."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from readygate.reporting.visible import one_line
from readygate.results import Outcome, Run
from readygate.verdict import Verdict, Word


def render_prometheus(run: Run, verdict: Verdict) -> str:
    """Text exposition format 0.0.4; write it at one stroke, since the exporter may read at any moment."""
    return "".join(f"{line}\n" for line in _lines(run, verdict))


def _lines(run: Run, verdict: Verdict) -> Iterator[str]:
    about = {"project": run.subject.project, "environment": run.subject.environment, "profile": run.profile}
    yield from _head("readygate_verdict", "The verdict of the last run: 1 for the word that it was.")
    for word in Word:
        yield _sample("readygate_verdict", {**about, "word": word.value}, int(word is verdict.word))
    yield from _head("readygate_results", "Results of the last run by outcome and severity.")
    counts = Counter((each.outcome, each.severity) for each in verdict.results)
    for (outcome, severity), count in sorted(counts.items()):
        yield _sample("readygate_results", {**about, "outcome": outcome.value, "severity": severity.value}, count)
    yield from _head("readygate_declared", "Expectations that the last run had to account for.")
    yield _sample("readygate_declared", about, verdict.coverage.declared)
    yield from _head("readygate_warnings", "Checks of the last run that passed beyond their warning level.")
    yield _sample("readygate_warnings", about, verdict.coverage.warnings)
    if (finished := _seconds(run.finished_at)) is not None:
        yield from _head("readygate_last_run_timestamp_seconds", "When the last run ended.")
        yield _sample("readygate_last_run_timestamp_seconds", about, finished)
    worst = (each for each in verdict.results if each.outcome in (Outcome.FAILED, Outcome.ERROR))
    owners = Counter(each.owner for each in worst)
    if owners:
        yield from _head("readygate_open_by_owner", "Failed checks and blind spots of the last run by owner.")
        for owner, count in sorted(owners.items()):
            yield _sample("readygate_open_by_owner", {**about, "owner": owner}, count)


def _head(name: str, explanation: str) -> Iterator[str]:
    yield f"# HELP {name} {explanation}"
    yield f"# TYPE {name} gauge"


def _sample(name: str, labels: dict[str, str], value: float) -> str:
    inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{inside}}} {value}"


def _escaped(text: str) -> str:
    return one_line(text).replace("\\", "\\\\").replace('"', '\\"')


def _seconds(iso: str) -> float | None:
    try:
        return datetime.fromisoformat(iso).timestamp()
    except ValueError:
        return None
