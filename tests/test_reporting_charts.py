"""The headroom chart: the same bytes for the same run, the page's colours, and only text from a target."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

from readygate.reporting.charts import headroom_chart
from tests.reporting_runs import CERTIFICATE, DISK, DRILL, EXPIRED_SOON, HOSTILE


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
