"""The Markdown summary: the worst first, below what a comment may hold, and nothing in it is markup of others."""

from __future__ import annotations

import re

import pytest

from readygate.reporting.markdown import MOST_BYTES, escaped, render_markdown
from tests.reporting_runs import ALL, GO, NO_GO, hostile, many


@pytest.mark.parametrize("name", ALL)
def test_it_says_the_verdict_and_counts_what_it_counts(name):
    run, verdict = ALL[name]
    text = render_markdown(run, verdict)
    assert text.splitlines()[0].endswith(f" {verdict.word}")
    seen = verdict.coverage
    row = [seen.declared, seen.verified, seen.failed, seen.waived, seen.attested, seen.errors, seen.not_run]
    assert f"| {' | '.join(map(str, [*row, seen.warnings]))} |" in text


def test_the_failure_stands_before_what_could_not_be_looked_at():
    text = render_markdown(*NO_GO)
    assert 0 < text.index("tls.renew\\_before") < text.index("could not be reached")
    assert "mend: Run certbot renew." in text


def test_a_go_has_nothing_in_the_way():
    assert "stands in the way" not in render_markdown(*GO)


def test_it_stays_below_what_a_comment_may_hold_and_says_what_is_left_off():
    text = render_markdown(*many(10_000))
    assert len(text.encode()) < MOST_BYTES
    assert re.search(r"_\d+ more lines are left off here", text.splitlines()[-1])


def test_hostile_text_becomes_neither_markup_nor_a_line_nor_a_mention():
    text = render_markdown(*hostile())
    text.encode()
    assert not re.search(r"(?<!\\)<(?!!-- -->)", text)
    assert not re.search(r"(?<!\\)[`\[\]$]", text)
    assert not re.search(r"[@#]\w", text)
    assert not re.search(r"https?://|www\.", text)
    assert not re.search("[\x00\x1b\x9b\u202e\u2066]", text)
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "## 🔴 NO-GO",
        "### What stands in the way",
        "### Warnings",
        "### Tightest margins",
    ]


def test_a_bar_does_not_end_a_cell():
    assert escaped("a|b") == "a\\|b"
