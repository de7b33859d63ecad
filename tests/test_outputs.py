"""The outputs for machines: they agree with the verdict, and nothing from a target can break out of them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from readygate.excuses import Finding
from readygate.reporting.annotations import render_annotations
from readygate.reporting.badge import render_badge
from readygate.reporting.codequality import render_codequality
from readygate.reporting.intoto import render_intoto
from readygate.reporting.markdown import render_markdown
from readygate.reporting.prometheus import render_prometheus
from readygate.reporting.reading import kind
from readygate.reporting.terminal import render_terminal
from readygate.results import Outcome, Run, Subject
from readygate.verdict import Verdict, Word
from tests.reporting_runs import ALL, GO, INCOMPLETE, INTERRUPTED, NO_GO, WAIVED, hostile

NAMES = sorted(ALL)
DIGEST = "sha256:" + "4e1f" * 16
COMMIT = "9f31c2ab77d04e11" * 2 + "9f31c2ab"


def signed(case: tuple[Run, Verdict]) -> tuple[Run, Verdict]:
    """The same, of an image and a commit that a statement can be made about."""
    run, verdict = case
    subject = Subject("shop", "production", "1.42.0", COMMIT, (f"registry.example/api@{DIGEST}", "shop:latest"))
    return replace(run, subject=subject), verdict


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
@pytest.mark.parametrize("case", [*ALL.values(), hostile()], ids=[*ALL, "hostile"])
def test_promtool_finds_nothing_in_the_textfile(case: tuple[Run, Verdict]) -> None:
    text = render_prometheus(*case)
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def kinds(verdict: Verdict) -> Counter[str]:
    return Counter(map(kind, verdict.results))


# GitHub annotations


def commands(case: tuple[Run, Verdict]) -> list[tuple[str, dict[str, str], str]]:
    found = [re.fullmatch(r"::(\w+) ([^:]*)::(.*)", line) for line in render_annotations(*case).splitlines()]
    assert all(found)
    return [(each[1], dict(part.split("=", 1) for part in each[2].split(",")), each[3]) for each in found if each]


@pytest.mark.parametrize("name", NAMES)
def test_annotations_are_as_many_as_what_is_not_in_order(name: str) -> None:
    _, verdict = ALL[name]
    levels = Counter(level for level, _, _ in commands(ALL[name]))
    seen, gaps = kinds(verdict), sum(not reason.results for reason in verdict.reasons)
    assert levels["error"] == seen["failed"] + seen["error"] + seen["not_run"] + gaps
    assert (levels["warning"], levels["notice"]) == (seen["warned"] + len(verdict.findings), seen["waived"])


def test_an_annotation_stands_at_the_line_of_the_inventory() -> None:
    level, where, said = commands(NO_GO)[0]
    assert level == "error"
    assert where == {"file": "inventory.yml", "line": "9", "title": "tls.renew_before @ api"}
    assert said.startswith("the certificate ends in 9 days and must have 14 left%0Aowner: web%0Amend: Run certbot")


def test_a_failure_that_does_not_block_is_a_warning() -> None:
    run, verdict = NO_GO
    kept = tuple(each for each in verdict.reasons if each.worst and each.worst.outcome is not Outcome.FAILED)
    assert "error" not in {
        level
        for level, where, _ in commands((run, replace(verdict, reasons=kept)))
        if where["title"] == "tls.renew_before @ api"
    }


def test_a_finding_stands_at_its_waiver() -> None:
    run, verdict = GO
    finding = Finding("The waiver a @ b by ana ran out", "delete it", "waivers.yml:7")
    level, where, said = commands((run, replace(verdict, findings=(finding,))))[-1]
    assert (level, where["file"], where["line"]) == ("warning", "waivers.yml", "7")
    assert said == "The waiver a @ b by ana ran out; delete it"


def test_people_are_shown_the_findings_too() -> None:
    run, verdict = GO
    found = replace(verdict, findings=(Finding("The waiver a @ b by ana ran out", "delete it", "waivers.yml:7"),))
    for text in (render_terminal(run, found, width=100, colour=False), render_markdown(run, found)):
        section = text[text.index("To tidy up") :]
        assert "by ana ran out; delete it" in section
        assert "waivers.yml:7" in section


# Prometheus


SAMPLE = re.compile(r'(?P<name>\w+)\{(?P<labels>(?:\w+="(?:[^"\\\n]|\\.)*",?)*)\} (?P<value>[-\d.e+]+)')


def samples(case: tuple[Run, Verdict]) -> list[tuple[str, dict[str, str], float]]:
    lines = [line for line in render_prometheus(*case).split("\n") if line and not line.startswith("#")]
    found = [SAMPLE.fullmatch(line) for line in lines]
    assert all(found), lines
    label = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
    return [(each["name"], dict(label.findall(each["labels"])), float(each["value"])) for each in found if each]


@pytest.mark.parametrize("name", NAMES)
def test_prometheus_counts_what_the_verdict_counts(name: str) -> None:
    _, verdict = ALL[name]
    read = samples(ALL[name])
    counted: Counter[str] = Counter()
    for metric, labels, value in read:
        if metric == "readygate_results":
            counted[labels["outcome"]] += int(value)
    assert counted == Counter(each.outcome.value for each in verdict.results)
    assert [labels["word"] for metric, labels, value in read if metric == "readygate_verdict" and value == 1] == [
        verdict.word.value
    ]
    (declared,) = [value for metric, _, value in read if metric == "readygate_declared"]
    assert declared == verdict.coverage.declared


def test_prometheus_knows_when_the_gate_last_ran() -> None:
    ((_, _, seconds),) = [each for each in samples(GO) if each[0] == "readygate_last_run_timestamp_seconds"]
    assert seconds == 1772616391.0  # 2026-03-04 09:26:31 UTC


def test_each_metric_has_its_type_once_and_before_its_samples() -> None:
    told: set[str] = set()
    for line in render_prometheus(*NO_GO).splitlines():
        if line.startswith("# TYPE "):
            name = line.split()[2]
            assert name not in told
            told.add(name)
        elif not line.startswith("#"):
            assert line.partition("{")[0] in told


# Badge


@pytest.mark.parametrize("name", NAMES)
def test_the_badge_says_the_word(name: str) -> None:
    root = ET.fromstring(render_badge(*ALL[name]))
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["readiness production", ALL[name][1].word.value]
    assert root.get("aria-label") == f"readiness production: {ALL[name][1].word.value}"


def test_a_badge_can_be_read_against_its_colour() -> None:
    def light(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts]
        return sum(weight * each for weight, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    for case in ALL.values():
        for colour in re.findall(r'fill="(#[0-9a-f]{6})"', render_badge(*case)):
            assert 1.05 / (light(colour) + 0.05) >= 4.5


# in-toto


@pytest.mark.parametrize("name", NAMES)
def test_a_statement_has_every_check_once(name: str) -> None:
    case = signed(ALL[name])
    predicate = json.loads(render_intoto(*case) or "")["predicate"]
    listed = [each for part in ("passedTests", "warnedTests", "failedTests") for each in predicate[part]]
    assert sorted(listed) == sorted(each.id for each in case[1].results)


@pytest.mark.parametrize(
    ("case", "said"), [(GO, "PASSED"), (WAIVED, "WARNED"), (NO_GO, "FAILED"), (INCOMPLETE, "FAILED")]
)
def test_only_a_go_is_stated_as_passed(case: tuple[Run, Verdict], said: str) -> None:
    assert json.loads(render_intoto(*signed(case)) or "")["predicate"]["result"] == said


def test_a_statement_is_about_the_images_by_digest_and_the_commit() -> None:
    statement = json.loads(render_intoto(*signed(GO)) or "")
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert statement["subject"] == [
        {"name": "registry.example/api", "digest": {"sha256": "4e1f" * 16}},
        {"name": "shop", "digest": {"gitCommit": COMMIT}},
    ]
    assert statement["predicate"]["configuration"][0]["digest"]["sha256"] == GO[0].inventory_digest


def test_nothing_is_stated_about_nothing() -> None:
    run, verdict = GO
    assert (
        render_intoto(replace(run, subject=Subject("shop", version="1.42.0", images=("shop:latest",))), verdict)
        is None
    )


# GitLab


@pytest.mark.parametrize("name", NAMES)
def test_code_quality_lists_what_is_not_in_order(name: str) -> None:
    issues = json.loads(render_codequality(*ALL[name]))
    seen = kinds(ALL[name][1])
    assert len(issues) == seen["failed"] + seen["error"] + seen["not_run"] + seen["warned"]
    assert len({each["fingerprint"] for each in issues}) == len(issues)
    for each in issues:
        assert each["severity"] in ("info", "minor", "major", "critical", "blocker")
        assert each["location"]["path"] == "inventory.yml"
        assert each["location"]["lines"]["begin"] >= 1


def test_a_fingerprint_outlives_a_line_that_moves() -> None:
    run, verdict = NO_GO
    moved = replace(verdict, results=tuple(replace(each, line=each.line + 7) for each in verdict.results))
    assert [each["fingerprint"] for each in json.loads(render_codequality(run, verdict))] == [
        each["fingerprint"] for each in json.loads(render_codequality(run, moved))
    ]


# Nothing from outside breaks out.


def test_hostile_text_stays_inside_every_output() -> None:
    case = hostile()
    assert all(line.startswith("::") for line in render_annotations(*case).splitlines())
    assert len(commands(case)) == len(render_annotations(*case).splitlines())
    assert samples(case)
    root = ET.fromstring(render_badge(*case))
    assert {each.tag.rpartition("}")[2] for each in root.iter()} == {"svg", "title", "clipPath", "rect", "g", "text"}
    assert len(json.loads(render_codequality(*case))) == 4
    json.loads(render_intoto(*signed(case)) or "")
    for text in (render_annotations(*case), render_prometheus(*case), render_badge(*case)):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\x9b\u202e\ud800]", text)


def test_what_did_not_end_is_an_error_for_every_machine() -> None:
    assert INTERRUPTED[1].word is Word.INCOMPLETE
    assert commands(INTERRUPTED)[0][0] == "error"
    assert json.loads(render_intoto(*signed(INTERRUPTED)) or "")["predicate"]["result"] == "FAILED"
