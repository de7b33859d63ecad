"""The page in a real browser: filter, search, expand, keyboard, language, theme, paper, phone and 10,000 results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.chromium import BINARY, Chromium, chromium
from tests.reporting_runs import (
    CERTIFICATE,
    DISK,
    DRILL,
    EXPIRED_SOON,
    GO,
    NOW,
    REHEARSAL,
    UNREACHABLE,
    hostile,
    judged,
    many,
    page,
    run,
)

pytestmark = pytest.mark.skipif(BINARY is None, reason="no chromium, chromium-browser or google-chrome on the PATH")

ROWS = "[...document.querySelectorAll('.area section > details')]"
SEEN = f"{ROWS}.filter(row => row.checkVisibility()).map(row => row.querySelector('summary span').textContent)"
SETTLED = "new Promise(done => setTimeout(done, 250))"

FLEET = [replace(DISK, target=f"app-{number}:/", path=f"servers.app-{number}.disk./.used") for number in range(1, 13)]
CASE = judged(run(*FLEET, EXPIRED_SOON, replace(CERTIFICATE, target="www"), DRILL, REHEARSAL, *UNREACHABLE))


@pytest.fixture(scope="module")
def started() -> Iterator[Chromium]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def browser(started: Chromium) -> Chromium:
    started.resize(1280, 800)
    started.show_as(scheme="light")
    return started


@pytest.fixture
def tab(browser: Chromium, tmp_path: Path) -> Chromium:
    file = tmp_path / "report.html"
    file.write_text(page(CASE))
    browser.open(file)
    return browser


def test_a_button_leaves_one_outcome_and_another_press_shows_all(tab: Chromium) -> None:
    tab.click("[data-kind=failed]")
    assert tab.ask(SEEN) == ["api"]
    assert tab.ask("document.getElementById('shown').textContent") == "1 of 18 shown"
    tab.click("[data-kind=error]")
    assert sorted(tab.ask(SEEN)) == ["api", "db-1:/", "db-1:/var"]
    tab.click("[data-kind=failed]")
    tab.click("[data-kind=error]")
    assert len(tab.ask(SEEN)) == 18


def test_text_finds_checks_targets_and_what_is_folded_away(tab: Chromium) -> None:
    tab.click("#text")
    tab.write("handshake www")
    tab.ask(SETTLED)
    assert tab.ask(SEEN) == ["www"]
    tab.write(" nowhere")
    tab.ask(SETTLED)
    assert tab.ask(SEEN) == []
    assert tab.ask("document.getElementById('shown').textContent") == "Nothing matches this filter."


def test_severity_is_a_filter_too(tab: Chromium) -> None:
    tab.ask("severity.value = 'blocker'; severity.dispatchEvent(new Event('change'))")
    assert sorted(tab.ask(SEEN)) == ["api", "www"]


def test_a_cell_of_the_matrix_leaves_what_it_counts(tab: Chromium) -> None:
    tab.click("td a.bad")
    assert tab.ask(SEEN) == ["api"]
    assert tab.ask("scope.checkVisibility() && scope.firstElementChild.textContent") == "api · tls"
    assert tab.ask("document.activeElement.id") == "checks"
    tab.click("#scope")
    assert len(tab.ask(SEEN)) == 18


def test_the_name_of_an_entry_leaves_that_one_alone(tab: Chromium) -> None:
    tab.ask("[...document.querySelectorAll('tbody th a')].find(a => a.textContent === 'app-1').click()")
    assert tab.ask(SEEN) == ["app-1:/"]  # and not app-10, which begins like it


def test_the_keyboard_alone_searches_opens_and_takes_back(tab: Chromium) -> None:
    tab.press("/")
    assert tab.ask("document.activeElement.id") == "text"
    tab.write("certificate api")
    tab.ask(SETTLED)
    tab.ask("document.querySelector('.area section > details:not([hidden]) > summary').focus()")
    tab.press("Enter")
    assert tab.ask(f"{ROWS}.filter(row => row.open).length") == 1
    tab.press("/")
    tab.press("Escape")
    assert len(tab.ask(SEEN)) == 18
    assert tab.ask("text.value") == ""


def test_tab_begins_with_the_way_past_the_first_screen(tab: Chromium) -> None:
    tab.press("Tab")
    tab.press("Enter")
    tab.until("location.hash === '#checks'")


def test_a_reason_opens_its_check(tab: Chromium) -> None:
    tab.click(".reasons .what a")
    opened = "document.querySelector('.area section > details[open]')"
    tab.until(opened)
    assert tab.ask(f"{opened}.querySelector('span').textContent") == "api"
    assert "not after 2026-05-05" in tab.ask(f"{opened}.innerText")
    tab.ask("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    top = tab.ask(f"{opened}.querySelector('summary').getBoundingClientRect().top")
    assert tab.ask("document.querySelector('.filter').getBoundingClientRect().bottom") <= top < 800


def test_a_link_to_a_check_opens_it_whatever_is_filtered(tab: Chromium) -> None:
    tab.click("[data-kind=failed]")
    tab.ask(f"location.hash = {ROWS}.find(row => row.textContent.includes('www')).id")
    tab.until("document.querySelector('.area section > details[open]')")
    assert "www" in tab.ask(SEEN)


def test_a_reason_opens_its_check_again_after_it_was_closed(tab: Chromium) -> None:
    opened = "document.querySelector('.area section > details[open]')"
    tab.click(".reasons .what a")
    tab.until(opened)
    tab.ask(f"{opened}.open = false")
    tab.click(".reasons .what a")
    tab.until(opened)


def test_the_language_changes_everything_fixed_and_nothing_else(tab: Chromium) -> None:
    tab.click("#language")
    assert tab.ask("document.documentElement.lang") == "ru"
    said = tab.ask("document.body.innerText")
    for part in ("Не выпускать", "Что мешает выпуску", "провалено", "блокирующая", EXPIRED_SOON.message):
        assert part in said
    for part in ("Do not release", "What stands in the way", "could not look"):
        assert part not in said
    assert tab.ask("text.placeholder") == "Отбор по любому тексту"
    tab.click("#language")
    assert "What stands in the way" in tab.ask("document.body.innerText")


def test_the_theme_follows_the_reader_until_he_chooses(tab: Chromium) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    light = tab.ask(paper)
    tab.show_as(scheme="dark")
    dark = tab.ask(paper)
    assert dark != light
    tab.click("#theme")
    assert tab.ask(paper) == light
    tab.click("#theme")
    assert tab.ask(paper) == dark


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_runs_over_the_edge(tab: Chromium, width: int) -> None:
    tab.resize(width, 800)
    tab.ask(f"{ROWS}.forEach(row => row.open = true)")
    assert tab.ask("document.documentElement.scrollWidth") <= width


def test_paper_shows_what_is_not_met_in_full(tab: Chromium) -> None:
    tab.ask("dispatchEvent(new Event('beforeprint'))")
    assert tab.ask(f"{ROWS}.filter(row => row.open && row.matches('.failed, .error')).length") == 3
    tab.show_as(media="print", scheme="dark")
    assert tab.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not tab.ask("document.querySelector('.filter').checkVisibility()")
    assert tab.paper().startswith(b"%PDF")


def test_an_answer_that_has_run_out_since_says_so(browser: Chromium, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(page(GO, valid_until=NOW + timedelta(hours=1)))  # which was sound when it was drawn
    browser.open(file)
    assert browser.ask("document.querySelector('.ran-out').checkVisibility()")


def test_nothing_that_a_target_said_runs_and_nothing_is_refused(browser: Chromium, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(page(hostile(), previous=GO[0], earlier=[GO[0]]))
    browser.open(file)
    browser.ask(f"{ROWS}.forEach(row => row.open = true)")
    browser.click("#language")
    assert browser.ask("document.querySelectorAll('img, a[href^=http], script:not([nonce], #words)').length") == 0
    assert browser.complaints == []


def test_ten_thousand_failures_can_still_be_searched(browser: Chromium, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(page(many(10_000, all_failed=True)))
    browser.open(file)
    browser.press("/")
    browser.write("host-0123")
    browser.ask(SETTLED)
    assert browser.ask("document.getElementById('shown').textContent") == "25 of 10000 shown"
    assert browser.complaints == []


def test_a_page_with_nothing_on_it_still_works(browser: Chromium, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(page(judged(run())))
    browser.open(file)
    browser.click("#language")
    assert "Пока не выпускать" in browser.ask("document.body.innerText")
    assert browser.complaints == []


def test_a_filter_unfolds_an_area_that_is_met(browser: Chromium, tmp_path: Path) -> None:
    met = [replace(DISK, target=f"host-{number}:/", warning="") for number in range(80)]
    file = tmp_path / "report.html"
    file.write_text(page(judged(run(*met, EXPIRED_SOON))))
    browser.open(file)
    assert browser.ask(SEEN) == ["api"]
    browser.click("#text")
    browser.write("host-7")
    browser.ask(SETTLED)
    assert len(browser.ask(SEEN)) == 11
