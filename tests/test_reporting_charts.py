"""Charts and trend lines: the same bytes for the same run, the page's colours, and only text from a target."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

from readygate.reporting.charts import headroom_chart
from readygate.reporting.load_page import bring_outcomes, load_outcomes
from readygate.reporting.sparklines import sparkline, trends
from tests.reporting_runs import CERTIFICATE, DISK, DRILL, EXPIRED_SOON, HOSTILE, run
from tests.test_load_outcome import written


def drawn(*results):
    return ET.fromstring(headroom_chart(results, labelled_by="a b"))


def test_a_bar_is_coloured_by_what_is_left():
    beyond, tight, roomy = (
        [each.get("class") for each in drawn(result).iter("path") if each.get("class") not in ("track", "ink")]
        for result in (EXPIRED_SOON, DISK, DRILL)
    )
    assert (beyond, tight, roomy) == (["bad"], ["tight"], ["good"])


def test_it_carries_no_style_link_or_colour_of_its_own():
    text = headroom_chart((EXPIRED_SOON, DISK, CERTIFICATE), labelled_by="a b")
    assert not any(part in text for part in ("style", "href", "http", "#", "url("))
    assert 'role="img" aria-labelledby="a b"' in text.replace("'", '"')


def test_the_same_results_draw_the_same_bytes():
    results = (EXPIRED_SOON, DISK, CERTIFICATE)
    assert headroom_chart(results, labelled_by="a") == headroom_chart(results, labelled_by="a")


def test_text_from_a_target_stays_text():
    bad = drawn(replace(DISK, target=HOSTILE, actual="$\\frac{1}{0}$", expected=HOSTILE))
    assert {each.tag for each in bad.iter()} == {"svg", "path", "text"}
    assert any("<script>" in (each.text or "") for each in bad.iter("text"))
    assert any("$\\frac{1}{0}$" in (each.text or "") for each in bad.iter("text"))


def points(line):
    return [each.get("points").split() for each in ET.fromstring(line).iter("polyline")]


def test_a_trend_rises_where_the_value_does_and_breaks_where_there_was_none():
    assert points(sparkline([0, 1], "0 → 1")) == [["2.0,18.0", "94.0,2.0"]]
    assert [len(piece) for piece in points(sparkline([1, 2, None, 3], "1 → 3"))] == [2, 1]


def test_a_trend_of_one_value_is_none():
    assert sparkline([1], "1") == sparkline([None, 1, None], "1") == ""
    assert trends(run(DISK), (), (DISK,)) is None


def test_a_value_that_never_changes_is_a_level_line():
    assert points(sparkline([0, 0, 0], "0 → 0")) == [["2.0,2.0", "48.0,2.0", "94.0,2.0"]]


def test_earlier_runs_are_put_in_order_and_a_result_that_was_not_there_has_no_line():
    old, older = (
        replace(run(replace(DISK, headroom=share)), started_at=day) for share, day in ((0.2, "B"), (0.4, "A"))
    )
    seen = trends(replace(run(DISK, CERTIFICATE), started_at="C"), (old, older), (DISK, CERTIFICATE))
    assert seen.runs == 3 and seen.unmet == (0, 0, 0)
    assert "+40% → +5%" in seen.headroom_lines[DISK.id]
    assert CERTIFICATE.id not in seen.headroom_lines


def test_a_label_can_not_end_its_attribute():
    assert ET.fromstring(sparkline([0, 1], '"><script>')).get("aria-label") == '"><script>'


def test_what_the_shards_have_measured_is_drawn_from_the_whole(tmp_path: Path):
    for shard, plan in (("part-1", "steady"), ("part-2", "spike")):
        (tmp_path / shard / "load").mkdir(parents=True)
        outcome = written(tmp_path / shard / "load", started_at="2026-03-04T09:12:00+00:00")
        outcome.rename(outcome.with_name(f"{plan}.json"))
    (tmp_path / "part-3").mkdir()
    (tmp_path / "whole").mkdir()
    parts = (tmp_path / "part-1", tmp_path / "part-2" / "results.json", tmp_path / "part-3")
    bring_outcomes(parts, tmp_path / "whole")
    begun = replace(run(DISK), started_at="2026-03-04T09:12:00.700Z")
    assert len(load_outcomes(begun, tmp_path / "whole")) == 2


def test_only_what_this_run_has_measured_under_load_is_its_own(tmp_path: Path):
    (tmp_path / "load").mkdir()
    written(tmp_path / "load", started_at="2026-03-04T09:12:00+00:00").rename(tmp_path / "load" / "now.json")
    written(tmp_path / "load", started_at="2026-03-03T09:12:00+00:00").rename(tmp_path / "load" / "stale.json")
    (tmp_path / "load" / "torn.json").write_text('{"plan": ')
    (tmp_path / "load" / "list.json").write_text("[]")
    begun = replace(run(DISK), started_at="2026-03-04T09:12:00.700Z")
    assert [each.started_at for each in load_outcomes(begun, tmp_path)] == ["2026-03-04T09:12:00+00:00"]
    assert load_outcomes(begun, tmp_path / "nowhere") == ()
