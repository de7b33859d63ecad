"""The page: it says what the verdict says, loads nothing, and lets nothing that it shows run."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from readygate.reporting.messages import LANGUAGES, words
from readygate.results import Evidence
from tests.reporting_runs import (
    ALL,
    CERTIFICATE,
    DISK,
    DRILL,
    EXPIRED_SOON,
    GO,
    INCOMPLETE,
    NO_GO,
    NOW,
    REHEARSAL,
    SLOW_DRILL,
    TEMPLATES,
    WAIVED,
    hostile,
    judged,
    many,
    page,
    run,
)

VOID = {"meta", "input", "rect", "link", "br", "img", "hr", "path"}
LEFT_OPEN = {"p", "li", "dt", "dd"}  # HTML lets their end tags be left out


class Page(HTMLParser):
    """What a browser would make of it: tags, text, ids and links."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID | LEFT_OPEN:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag):
        if tag not in VOID | LEFT_OPEN:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.text.append(data)

    @property
    def said(self) -> str:
        return " ".join("".join(self.text).split())

    def having(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.tags if name in attributes]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_says_the_verdict_and_its_sentence(name, language):
    case = ALL[name]
    read = Page(page(case, language=language))
    assert f" {case[1].word} " in read.said
    assert words(case[1])[language]["sentence"] in read.said


@pytest.mark.parametrize("name", ALL)
def test_the_page_counts_what_the_verdict_counts(name):
    text = page(ALL[name])
    seen = ALL[name][1].coverage
    counts = re.search(r'<ul class="counts">(.*?)</ul>', text, re.DOTALL)[1]
    assert {key: int(count) for count, key in re.findall(r"<b>(\d+)</b> <span data-t=(\w+)>", counts)} == {
        "declared": seen.declared,
        "verified": seen.verified,
        "failed": seen.failed,
        "waived": seen.waived,
        "attested": seen.attested,
        "error": seen.errors,
        "not_run": seen.not_run,
        "warned": seen.warnings,
    }
    rows = re.findall(r'<details id=r\d+ class="(\w+) \w+"', text)
    assert len(rows) == seen.declared
    assert [rows.count(kind) for kind in ("failed", "waived", "attested", "error", "not_run")] == [
        seen.failed,
        seen.waived,
        seen.attested,
        seen.errors,
        seen.not_run,
    ]


def test_a_reason_names_check_target_owner_line_and_fix():
    reasons = re.search(r'<ol class="reasons">(.*?)</ol>', page(NO_GO), re.DOTALL)[1]
    read = Page(reasons)
    assert reasons.count("<li>") == 2
    for part in (EXPIRED_SOON.message, EXPIRED_SOON.id, "owner web", "inventory.yml:9", "Fix Run certbot renew."):
        assert part in read.said
    assert "+1 with the same cause" in read.said


def test_at_most_five_reasons_stand_on_the_first_screen_and_the_rest_is_counted():
    failures = [replace(EXPIRED_SOON, target=f"site-{number}") for number in range(8)]
    text = page(judged(run(*failures)))
    assert re.search(r'<ol class="reasons">(.*?)</ol>', text, re.DOTALL)[1].count("<li>") == 5
    assert "+3 more" in Page(text).said


def test_what_was_judged_is_on_the_page():
    said = Page(page(GO, valid_until=NOW + timedelta(hours=24))).said
    for part in (
        "shop 1.42.0 in production",
        "9f31c2ab77d0",
        "c0ffee9d31aa",
        "registry.example/api@sha256:4e1f",
        "2026-03-04 09:26 UTC",
        "2026-03-05 09:30 UTC",
    ):
        assert part in said


def test_an_answer_that_has_run_out_says_so():
    warning = r'<p class="ran-out" role="alert"( hidden)?>'
    assert re.search(warning, page(GO, valid_until=NOW + timedelta(hours=1)))[1]
    assert not re.search(warning, page(GO, valid_until=NOW - timedelta(hours=1)))[1]


def test_changes_since_the_last_green_run_are_named():
    new = replace(DISK, target="app-1:/var", warning="")
    gone = replace(DISK, target="app-0:/")
    before = replace(run(CERTIFICATE, SLOW_DRILL, REHEARSAL, gone), subject=replace(GO[0].subject, version="1.41.0"))
    said = Page(page(judged(run(EXPIRED_SOON, DRILL, REHEARSAL, new)), previous=before)).said
    for part in (
        "Version 1.41.0 → 1.42.0",
        f"1 broke: {EXPIRED_SOON.id}",
        f"1 mended: {DRILL.id}",
        f"1 new: {new.id}",
        f"1 no longer declared: {gone.id}",
    ):
        assert part in said
    assert "Since the last green run" not in Page(page(GO)).said


def test_each_line_of_the_inventory_shows_what_became_of_it():
    lines = re.findall(r"<li id=i0-(\d+) class=(\w+)><a href=#r\d+>(.*?)</a>", page(NO_GO))
    assert lines == [
        ("4", "warn", "! 1"),
        ("6", "warn", "! 2"),
        ("9", "bad", "✕ 1"),
        ("11", "good", "✓ 1"),
        ("13", "good", "✓ 1"),
    ]


def test_a_line_of_several_checks_shows_and_links_the_worst():
    met = replace(DISK, check="disk.inodes", warning="")
    failed = replace(EXPIRED_SOON, line=met.line)
    text = page(judged(run(met, failed, REHEARSAL)))
    assert "<li id=i0-4 class=bad><a href=#r1>✕ 1/2</a>" in text
    assert '<details id=r1 class="failed blocker">' in text


def test_a_margin_that_is_no_number_does_not_spoil_the_page():
    odd = [replace(DISK, target=f"app-1:/{share}", headroom=share) for share in (float("nan"), float("inf"))]
    assert "Tightest margins" not in Page(page(judged(run(*odd)))).said


@pytest.mark.parametrize("name", ALL)
def test_every_link_leads_somewhere_on_the_page(name):
    read = Page(page(ALL[name], previous=GO[0]))
    ids = read.having("id")
    assert len(ids) == len(set(ids))
    assert {link.removeprefix("#") for link in read.having("href")} <= set(ids)
    assert {part for names in read.having("aria-labelledby") for part in names.split()} <= set(ids)


@pytest.mark.parametrize("case", [*ALL.values(), hostile()], ids=[*ALL, "hostile"])
def test_the_page_loads_nothing_from_anywhere(case):
    text = page(case, previous=GO[0], valid_until=NOW)
    read = Page(text)
    assert not {"link", "img", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in read.tags}
    assert read.having("src") == []
    assert all(link.startswith("#") for link in read.having("href"))
    assert read.having("style") == []
    styles = "".join(re.findall(r"<style.*?</style>", text, re.DOTALL))
    assert "url(" not in styles and "@import" not in styles
    assert "default-src 'none'" in text


def test_only_scripts_of_our_own_may_run():
    text = page(hostile())
    nonce = re.search(r"script-src 'nonce-(\w+)'", text)[1]
    scripts = re.findall(r"<script[^>]*>", text)
    assert scripts == ['<script type="application/json" id="words">', f'<script nonce="{nonce}">']
    assert not [name for _, attributes in Page(text).tags for name in attributes if name.startswith("on")]
    assert nonce != re.search(r"script-src 'nonce-(\w+)'", page(GO))[1]


def test_words_for_the_script_are_json_that_cannot_end_its_element():
    case = hostile()
    case = (case[0], replace(case[1], sentence="</script><script>alert(1)</script>"))
    embedded = re.search(r'id="words">(.*?)</script>', page(case), re.DOTALL)[1]
    assert json.loads(embedded)["en"]["sentence"] == case[1].sentence


def test_characters_that_steer_or_hide_are_made_visible():
    text = page(hostile())
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\uffff\ud800-\udfff]", text
    )
    text.encode()
    assert "␛[2J" in text and "[U+202E]GO" in text


def test_evidence_is_cut_where_it_is_long_and_says_so():
    long = replace(EXPIRED_SOON, evidence=(Evidence("cat", "y" * 9000),))
    text = page(judged(run(long)))
    assert "y" * 2000 in text and "y" * 2001 not in text
    assert "cut here; the whole is in results.json" in text


def test_ten_thousand_results_stay_below_five_megabytes():
    case = many(10_000)
    text = page(case)
    assert len(text.encode()) < 5_000_000
    assert len(re.findall(r"<details id=r\d+ ", text)) == 10_000
    assert case[1].results[0].why.strip() in text


def test_the_same_run_gives_the_same_page():
    assert page(WAIVED, previous=GO[0]) == page(WAIVED, previous=GO[0])


def test_a_users_template_overrides_one_block_and_keeps_the_rest(tmp_path: Path):
    footer = "{% block footer %}<footer>Acme {{ run.subject.project }}</footer>{% endblock %}"
    (tmp_path / "report.html.j2").write_text('{% extends "shipped/report.html.j2" %}' + footer)
    said = Page(page(INCOMPLETE, template_dirs=(tmp_path, TEMPLATES))).said
    assert "Acme shop" in said and "Drawn" not in said
    assert INCOMPLETE[1].sentence in said


def test_every_fixed_word_is_used_and_every_used_one_is_there():
    said = words(GO[1])
    assert said["en"].keys() == said["ru"].keys()
    source = "".join(path.read_text() for path in sorted(TEMPLATES.iterdir()))
    source = re.sub(r"\{#.*?#\}", "", source, flags=re.DOTALL)
    quoted = set(re.findall(r"[\"']([a-z_]+)[\"']", source)) | set(re.findall(r"said\.(\w+)", source))
    called = set(re.findall(r"\b(?:t|say|term)\([\"'](\w+)[\"']", source))
    assert called <= said["en"].keys()
    from_changes = {"version"}  # named by reading.changes
    assert said["en"].keys() - quoted == from_changes


def test_text_stands_out_enough_in_dark_and_in_light():
    """WCAG 2.2, 1.4.3: 4.5 to 1 at least."""
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", (TEMPLATES / "report.css").read_text())
    for theme in (1, 2):
        colour = {pair[0]: pair[theme] for pair in pairs}
        for text in ("ink", "quiet", "link", "bad", "warn", "good"):
            assert _contrast(colour[text], colour["paper"]) >= 4.5, (text, theme)
        for text in ("bad", "warn", "good"):
            assert _contrast(colour[text], colour[f"{text}-wash"]) >= 4.5, (text, theme)
            assert _contrast(colour["ink"], colour[f"{text}-wash"]) >= 4.5, (text, theme)
            assert _contrast(colour["quiet"], colour[f"{text}-wash"]) >= 4.5, (text, theme)


def _contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)
