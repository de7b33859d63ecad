"""The page: it says what the verdict says, loads nothing, and lets nothing that it shows run."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from readygate.excuses import Waiver
from readygate.load.outcome import Outcome as Outcomes
from readygate.reporting.messages import LANGUAGES, words
from readygate.results import Evidence, NotAsked, Outcome
from readygate.spec import Severity
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
    UNREACHABLE,
    WAIVED,
    hostile,
    judged,
    many,
    page,
    run,
)
from tests.test_load_outcome import written

VOID = {"meta", "input", "rect", "link", "br", "img", "hr", "path", "polyline", "circle"}
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
    assert "db-1 could not be reached 2 results: db-1:/, db-1:/var" in read.said


def test_checks_with_the_same_cause_are_one_reason():
    other = replace(UNREACHABLE[0], check="file.mode", target="db-1:/etc/shadow")
    said = Page(page(judged(run(DISK, *UNREACHABLE, other)))).said
    assert "db-1 could not be reached 3 results: disk.used @ db-1:/" in said
    assert "+2 with the same cause" in said


def test_failures_of_one_check_that_are_mended_alike_are_one_reason():
    failures = [replace(EXPIRED_SOON, target=f"site-{number}") for number in range(8)]
    elsewhere = replace(EXPIRED_SOON, target="other", owner="others")
    reasons = re.search(r'<ol class="reasons">(.*?)</ol>', page(judged(run(*failures, elsewhere))), re.DOTALL)[1]
    assert reasons.count("<li>") == 2
    assert f"{EXPIRED_SOON.message} 8 results: site-0, site-1, site-2 +5 more" in Page(reasons).said
    assert f"other: {EXPIRED_SOON.message}" in Page(reasons).said


def test_a_heading_that_only_gives_values_says_of_what():
    told = replace(EXPIRED_SOON, message="renew before is 9d, expected at least 14d (warns unless at least 30d)")
    said = Page(page(judged(run(told)))).said
    assert "api: tls renew before is 9d, expected at least 14d Why it matters" in said


def test_a_message_that_only_repeats_its_values_is_not_said_twice():
    told = replace(EXPIRED_SOON, message=f"renew before is {EXPIRED_SOON.actual}, expected {EXPIRED_SOON.expected}")
    assert "<p class=said>" not in page(judged(run(told)))
    assert "<p class=said>" in page(judged(run(EXPIRED_SOON)))


def test_at_most_five_reasons_stand_on_the_first_screen_and_the_rest_is_counted():
    failures = [replace(EXPIRED_SOON, check=f"tls.promise_{number}") for number in range(8)]
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


def test_the_question_stands_above_its_answer():
    said = Page(page(NO_GO, question="May it go out?")).said
    assert "May it go out? NO-GO Do not release" in said


def test_what_the_profile_leaves_out_is_counted_with_its_reason():
    left_out = (NotAsked("load.*", "the launch profile asks for it", 7), NotAsked("dns.*", "nightly does", 2))
    said = Page(page(judged(replace(GO[0], not_asked=left_out)))).said
    assert "9 not asked for by this profile load.* 7: the launch profile asks for it dns.* 2: nightly does" in said
    assert "not asked for" not in Page(page(GO)).said


def test_a_shard_says_that_it_is_only_a_part():
    said = Page(page(judged(replace(INCOMPLETE[0], shard="3/8")))).said
    assert "`readygate merge` of all parts gives the answer. Part 3/8" in said


def test_a_waiver_says_who_answers_for_what_until_when_and_why():
    waiver = Waiver("backup.*", "*", "lands in 1.43", "Dana", date(2026, 3, 20), approver="Bo", ticket="OPS-7")
    both = judged(run(SLOW_DRILL, replace(SLOW_DRILL, target="media")), waiver)
    said = Page(page(both)).said
    assert "backup.* @ * 2 results · Dana until 2026-03-20: lands in 1.43 approved by Bo · OPS-7" in said
    assert f"{SLOW_DRILL.id} Dana until 2026-03-20: parallel restore lands in 1.43" in Page(page(WAIVED)).said


def test_an_attestation_says_who_gave_it_and_how_long_it_holds():
    said = "Attested: somebody's word rollback-rehearsed attested by Ilya: the protocol of 3 February"
    assert f"{said} good until 2026-05-01" in Page(page(GO)).said


def test_a_failure_that_does_not_block_is_named_and_no_reason():
    minor = replace(EXPIRED_SOON, severity=Severity.MINOR)
    said = Page(page(judged(run(minor)))).said
    assert f"Nothing stands in the way. Failed, below what blocks {minor.id} {minor.message}" in said


def test_what_should_be_tidied_up_is_listed_and_leaves_the_word():
    stray = Waiver("dns.*", "*", "a typo", "Dana", date(2026, 3, 20), place="waivers.yml:9")
    case = judged(GO[0], stray)
    said = Page(page(case)).said
    assert "To tidy up The waiver dns.* @ * by Dana matches nothing in this run; correct" in said
    assert "waivers.yml:9" in said and " GO " in said


def cells(table: str) -> str:
    return Page(re.sub("<(?=t[hd]|a )", " <", table)).said


def test_the_matrix_shows_the_worst_of_each_entry_and_area_by_sign_and_number():
    case = judged(run(DISK, replace(DISK, target="app-2:/", warning=""), *UNREACHABLE, EXPIRED_SOON, DRILL))
    tables = re.findall(r"<table>(.*?)</table>", page(case), re.DOTALL)
    assert [cells(table) for table in tables] == [
        "servers disk db-1 ! 2 could not look app-1 ! 1 warning app-2 ✓ 1 passed",
        "sites tls api ✕ 1 failed",
        "backups backup db ✓ 1 passed",
    ]


def test_a_cell_carries_what_leaves_only_its_results_in_the_list():
    text = page(NO_GO)
    link = re.search(r"<a class=bad href=#(a\d+) data-e=(\d+) data-a=(a\d+)>✕ 1", text)
    area = re.search(rf'<details class="area" id={link[1]}.*?</details>\n</section>', text, re.DOTALL)[0]
    assert link[1] == link[3]
    assert EXPIRED_SOON.check in area and f'class="failed blocker" data-e={link[2]}>' in area


def test_a_matrix_of_many_keeps_the_worst_and_counts_the_rest():
    fleet = [replace(DISK, target=f"host-{number:03}:/", warning="") for number in range(100)]
    fleet[77] = replace(fleet[77], outcome=Outcome.FAILED)
    table = cells(re.search(r'<div class="wide".*?</div>', page(judged(run(*fleet))), re.DOTALL)[0])
    assert table.startswith("servers disk host-077 ✕ 1 failed host-000 ✓ 1")
    assert table.endswith("+60 more, none worse than these")


def test_trends_are_drawn_from_earlier_runs_only():
    earlier = [
        replace(run(replace(DISK, headroom=0.3), EXPIRED_SOON), started_at=f"2026-03-0{day}T09:00:00+00:00")
        for day in (1, 2, 3)
    ]
    text = page(GO, earlier=earlier)
    assert "0 not met 4 runs" in Page(text).said
    assert 'aria-label="1 → 0"' in text and 'aria-label="+30% → +5%"' in text
    assert "<polyline" not in page(GO)


def test_what_a_load_plan_measured_is_drawn_with_its_limit(tmp_path: Path):
    measured = replace(DISK, check="load.p99", target="steady", path="load.steady.p99", expected="at most 500ms")
    text = page(judged(run(measured)), loads=[Outcomes.read(written(tmp_path))])
    assert "p99 limit 500ms" in text
    for title in ("Response time, second by second", "Response time by percentile", "Throughput", "Users"):
        assert title in Page(text).said
    assert "Under load" not in Page(page(GO)).said


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
    assert '<details id=r1 class="failed blocker"' in text


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


@pytest.mark.parametrize("fails", [False, True], ids=["few failed", "all failed"])
def test_ten_thousand_results_stay_below_five_megabytes(fails):
    case = many(10_000, all_failed=fails)
    text = page(case)
    assert len(text.encode()) < 5_000_000
    assert len(re.findall(r"<details id=r\d+ ", text)) == 10_000
    assert case[1].results[0].why.strip() in text


def test_ten_thousand_failures_that_are_each_mended_in_their_own_way_stay_below_it_too():
    failed, _ = many(10_000, all_failed=True)
    own = (replace(each, mend=f"On {each.target}: find what grew, archive it, " * 2) for each in failed.results)
    text = page(judged(replace(failed, results=tuple(own))))
    assert len(text.encode()) < 5_000_000
    assert "what differs from it for some is in results.json" in text
    assert text.count("find what grew") > 1_000


def test_the_same_run_gives_the_same_page():
    assert page(WAIVED, previous=GO[0]) == page(WAIVED, previous=GO[0])


BLOCKS = re.findall(r"{% block (\w+) %}", (TEMPLATES / "report.html.j2").read_text())


@pytest.mark.parametrize("name", BLOCKS)
def test_every_block_can_be_overridden_and_extended(tmp_path: Path, name: str):
    own = f"{{% block {name} %}}/* own */{{{{ super() }}}}{{% endblock %}}"
    (tmp_path / "report.html.j2").write_text('{% extends "shipped/report.html.j2" %}' + own)
    shipped = page(NO_GO, previous=GO[0])
    assert page(NO_GO, previous=GO[0], template_dirs=(tmp_path, TEMPLATES)).replace("/* own */", "") == shipped
    (tmp_path / "report.html.j2").write_text(
        '{% extends "shipped/report.html.j2" %}' + own.replace("{{ super() }}", "")
    )
    assert page(NO_GO, previous=GO[0], template_dirs=(tmp_path, TEMPLATES)).count("/* own */") == 1


def test_every_block_is_documented():
    said = (TEMPLATES.parent / "docs" / "outputs.md").read_text()
    table = said[said.index("## A page of your own") :]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == BLOCKS


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
    charts = {"latency", "distribution", "rate", "users", "errors"}  # named by load_page.load_charts
    assert said["en"].keys() - quoted == from_changes | charts


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
