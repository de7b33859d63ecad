"""The run as JUnit XML, for whatever already reads that: CI servers, dashboards, merge request widgets."""

from __future__ import annotations

from collections import defaultdict
from xml.etree import ElementTree as ET  # only ever writes here

from readygate.reporting.reading import area
from readygate.reporting.visible import cut, one_line, visible
from readygate.results import Outcome, Result, Run
from readygate.verdict import Verdict

_MOST_EVIDENCE = 1_000  # characters of one answer


def render_junit(run: Run, verdict: Verdict) -> str:
    """One suite an area, one case a result, named `check @ target` so that a CI server follows it over time.

    What the run lacks as a whole (it was interrupted, it checked nothing) is an error in a case of its own,
    since a file without one would read as green.
    """
    by_area: dict[str, list[Result]] = defaultdict(list)
    for result in verdict.results:
        by_area[area(result)].append(result)
    gaps = [reason for reason in verdict.reasons if not reason.results]

    root = ET.Element("testsuites", name=one_line(f"readygate {run.subject.project} {run.subject.environment}"))
    for name in sorted(by_area):
        suite = _suite(root, name, run, by_area[name])
        for result in sorted(by_area[name], key=lambda each: each.id):
            _case(suite, result)
    if gaps:
        suite = ET.SubElement(
            root,
            "testsuite",
            name="readygate",
            tests=str(len(gaps)),
            failures="0",
            errors=str(len(gaps)),
            skipped="0",
        )
        for gap in gaps:
            case = ET.SubElement(suite, "testcase", classname="readygate", name=one_line(gap.title), time="0")
            ET.SubElement(case, "error", message=one_line(gap.title), type="incomplete").text = visible(gap.detail)
    for total in ("tests", "failures", "errors", "skipped"):
        root.set(total, str(sum(int(suite.get(total, "0")) for suite in root)))
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(root: ET.Element, name: str, run: Run, results: list[Result]) -> ET.Element:
    def count(*outcomes: Outcome) -> str:
        return str(sum(each.outcome in outcomes for each in results))

    return ET.SubElement(
        root,
        "testsuite",
        name=one_line(name),
        tests=str(len(results)),
        failures=count(Outcome.FAILED),
        errors=count(Outcome.ERROR, Outcome.NOT_RUN),
        skipped=count(Outcome.WAIVED),
        time=f"{sum(each.duration_s for each in results):.3f}",
        timestamp=one_line(run.started_at),
    )


def _case(suite: ET.Element, result: Result) -> None:
    case = ET.SubElement(
        suite,
        "testcase",
        classname=one_line(area(result)),
        name=one_line(result.id),
        time=f"{result.duration_s:.3f}",
    )
    if result.line:
        case.set("file", one_line(result.file))
        case.set("line", str(result.line))
    properties = ET.SubElement(case, "properties")
    for name, value in (
        ("severity", result.severity.value),
        ("owner", result.owner),
        ("inventory", result.path),
    ):
        if value:
            ET.SubElement(properties, "property", name=name, value=one_line(value))

    message = one_line(result.message) or result.outcome.value
    match result.outcome:
        case Outcome.FAILED:
            ET.SubElement(case, "failure", message=message, type=result.severity.value).text = _account(result)
        case Outcome.ERROR | Outcome.NOT_RUN:
            ET.SubElement(case, "error", message=message, type=result.outcome.value).text = _account(result)
        case Outcome.WAIVED:
            ET.SubElement(case, "skipped", message=message)
        case Outcome.ATTESTED:
            ET.SubElement(properties, "property", name="attested", value=message)
        case Outcome.PASSED if result.warning:
            ET.SubElement(case, "system-out").text = visible(f"warning: {result.warning}")


def _account(result: Result) -> str:
    """What a person who sees only this case needs, a line each."""
    lines = (
        ("", result.place and f"{result.place} {result.path}"),
        ("expected: ", result.expected),
        ("actual: ", result.actual),
        ("margin: ", result.margin),
        ("why: ", result.why),
        ("mend: ", result.mend),
    )
    shown = [f"{label}{text}" for label, text in lines if text]
    shown += [f"$ {each.asked}\n{cut(each.answered, _MOST_EVIDENCE)}" for each in result.evidence]
    return visible("\n".join(shown))
