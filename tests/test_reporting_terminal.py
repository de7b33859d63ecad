"""The terminal summary: short when all is well, complete where it isn't, and steered by nobody else."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from readygate.reporting.terminal import render_terminal
from tests.reporting_runs import ALL, GO, NO_GO, WAIVED, hostile, many


def shown(case, width=80, colour=False):
    return render_terminal(*case, width=width, colour=colour)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_the_terminal(name, width):
    assert max(map(len, shown(ALL[name], width).splitlines())) <= width


@pytest.mark.parametrize("name", ALL)
def test_it_begins_with_the_verdict_and_counts_what_it_counts(name):
    verdict = ALL[name][1]
    text = " ".join(shown(ALL[name]).split())
    assert text.startswith(f"{verdict.word} shop 1.42.0 in production {verdict.sentence}")
    seen = verdict.coverage
    for count, word in (
        (seen.failed, "failed"),
        (seen.waived, "waived"),
        (seen.attested, "attested"),
        (seen.errors, "could not look"),
        (seen.not_run, "not run"),
        (seen.warnings, "warned"),
    ):
        assert (f" {count} {word}" in text.partition("coverage ")[2]) is bool(count)


def test_a_go_is_a_few_lines():
    assert len(shown(GO).splitlines()) <= 10


def test_a_failure_says_where_what_and_how_to_mend():
    text = shown(NO_GO)
    for part in (
        "tls.renew_before @ api",
        "expected  >=14d",
        "actual    9d (-5d)",
        "where     inventory.yml:9",
        "owner     web",
        "mend      Run certbot renew.",
    ):
        assert part in text


def test_what_the_message_tells_already_is_not_told_twice():
    run, verdict = NO_GO
    reason = next(each for each in verdict.reasons if each.worst and each.worst.check == "tls.renew_before")
    worst = replace(reason.worst, message="renew before is 9d, expected >=14d")

    def told(result):
        return shown((run, replace(verdict, reasons=(replace(reason, results=(result,)),))))

    assert "expected  " not in told(worst)
    assert "actual    9d (-5d)" in told(worst)
    assert "actual  " not in told(replace(worst, margin=""))


def test_checks_blinded_by_one_cause_are_one_entry():
    text = shown(NO_GO)
    assert "2 checks, the first is disk.used @ db-1:/" in text
    assert text.count("db-1 could not be reached") == 1


def test_what_is_excused_is_named_with_who_answers_for_it():
    assert "waived by Dana until 2026-03-20" in " ".join(shown(WAIVED).split())


def test_a_long_list_of_failures_is_cut_and_counted():
    case = many(1_000)
    assert len(case[1].reasons) == 30
    assert "  +10 more, in the report" in shown(case)


def test_colour_adds_nothing_but_colour():
    assert re.sub(r"\x1b\[[0-9;]*m", "", shown(NO_GO, colour=True)) == shown(NO_GO)


def test_hostile_text_neither_steers_the_terminal_nor_forges_a_line():
    text = shown(hostile())
    text.encode()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert not any(line.startswith("# heading") for line in text.splitlines())
    coloured = re.sub(r"\x1b\[[0-9;]*m", "", shown(hostile(), colour=True))
    assert "\x1b" not in coloured
