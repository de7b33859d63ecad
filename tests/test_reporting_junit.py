"""JUnit XML: stable names, every outcome in its element, well-formed whatever a target wrote."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from readygate.reporting.junit import render_junit
from tests.reporting_runs import ALL, EMPTY, GO, INCOMPLETE, INTERRUPTED, NO_GO, WAIVED, hostile


def case_of(judged, name):
    return next(each for each in ET.fromstring(render_junit(*judged)).iter("testcase") if each.get("name") == name)


@pytest.mark.parametrize("name", ALL)
def test_it_counts_what_the_verdict_counts(name):
    run, verdict = ALL[name]
    root = ET.fromstring(render_junit(run, verdict))
    gaps = sum(not reason.results for reason in verdict.reasons)
    seen = verdict.coverage
    expected = (seen.declared + gaps, seen.failed, seen.errors + seen.not_run + gaps, seen.waived)
    assert tuple(int(root.get(key)) for key in ("tests", "failures", "errors", "skipped")) == expected
    found = tuple(len(list(root.iter(tag))) for tag in ("testcase", "failure", "error", "skipped"))
    assert found == expected


def test_a_case_is_named_by_the_identity_of_its_result():
    names = {(each.get("classname"), each.get("name")) for each in ET.fromstring(render_junit(*GO)).iter("testcase")}
    assert names == {
        ("attestation", "attestation.every @ rollback-rehearsed"),
        ("backup", "backup.restore_rto @ db"),
        ("disk", "disk.used @ app-1:/"),
        ("tls", "tls.renew_before @ api"),
    }


def test_a_failure_tells_expected_actual_place_and_mend():
    failure = case_of(NO_GO, "tls.renew_before @ api").find("failure")
    assert failure.get("message") == "the certificate ends in 9 days and must have 14 left"
    for part in ("inventory.yml:9", "expected: >=14d", "actual: 9d", "mend: Run certbot renew."):
        assert part in failure.text


def test_what_could_not_be_looked_at_is_an_error():
    assert case_of(INCOMPLETE, "disk.used @ db-1:/").find("error").get("message") == "db-1 could not be reached"


def test_a_waived_failure_is_skipped_with_its_reason():
    said = case_of(WAIVED, "backup.restore_rto @ db").find("skipped").get("message")
    assert said.startswith("waived by Dana until 2026-03-20: parallel restore lands in 1.43")


def test_an_attested_check_passes_and_names_who_attested_it():
    case = case_of(GO, "attestation.every @ rollback-rehearsed")
    assert case.find("failure") is case.find("error") is case.find("skipped") is None
    assert case.find("properties/property[@name='attested']").get("value").startswith("attested by Ilya")


@pytest.mark.parametrize("case", [EMPTY, INTERRUPTED], ids=["empty", "interrupted"])
def test_a_run_that_lacks_something_as_a_whole_is_never_all_green(case):
    assert int(ET.fromstring(render_junit(*case)).get("errors")) >= 1


def test_hostile_text_stays_text():
    text = render_junit(*hostile())
    root = ET.fromstring(text)
    text.encode()
    assert {each.tag for each in root.iter()} <= {
        *("testsuites", "testsuite", "testcase", "properties", "property"),
        *("failure", "error", "skipped", "system-out"),
    }
    assert not any(character in text for character in "\x1b\x00\x9b\u202e\u2066")
