"""GitHub annotations: each thing that is not in order, shown at the line of the inventory that asks for it."""

from __future__ import annotations

from collections.abc import Iterator

from readygate.reporting.reading import WARNED, badness, kind
from readygate.reporting.visible import cut, one_line
from readygate.results import Outcome, Run
from readygate.verdict import Verdict

_LONGEST = 1_000

# GitHub shows ten errors and ten warnings of a step; the worst come first.
_LEVELS = {
    Outcome.FAILED.value: "error",
    Outcome.ERROR.value: "error",
    Outcome.NOT_RUN.value: "error",
    WARNED: "warning",
    Outcome.WAIVED.value: "notice",
}


def render_annotations(run: Run, verdict: Verdict) -> str:
    """Workflow commands, a line each, to be printed in a job; a failure that does not block is a warning."""
    return "".join(f"{line}\n" for line in _lines(verdict))


def _lines(verdict: Verdict) -> Iterator[str]:
    blocking = {each.id for reason in verdict.reasons for each in reason.results}
    for reason in verdict.reasons:
        if not reason.results:
            yield _command("error", "", verdict.word.value, f"{reason.title}. {reason.detail}")
    for result in sorted(verdict.results, key=badness):
        if level := _LEVELS.get(kind(result)):
            if result.outcome is Outcome.FAILED and result.id not in blocking:
                level = "warning"
            said = result.warning or result.message
            owner = f"\nowner: {result.owner}" if result.owner else ""
            mend = f"\nmend: {result.mend}" if result.mend else ""
            yield _command(level, result.place, result.id, f"{said}{owner}{mend}")
    for finding in verdict.findings:
        yield _command("warning", finding.place, "waivers and attestations", f"{finding.title}; {finding.mend}")


def _command(level: str, place: str, title: str, message: str) -> str:
    file, _, line = place.rpartition(":")
    where = {"file": file or place, "line": line if file else "", "title": cut(one_line(title), _LONGEST)}
    properties = ",".join(f"{name}={_property(value)}" for name, value in where.items() if value)
    text = "\n".join(cut(one_line(each), _LONGEST) for each in message.split("\n"))
    return f"::{level} {properties}::{_data(text)}"


def _data(text: str) -> str:
    """Escaped as actions/toolkit does, so that nothing in it can end the command or begin another."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
