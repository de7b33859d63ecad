"""The answer as one self-contained HTML page: nothing on it is fetched, and nothing it shows can run."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import sha256
from html import escape
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined
from markupsafe import Markup

from readygate.load.outcome import Outcome
from readygate.reporting import reading
from readygate.reporting.annotated import annotated, line_anchors
from readygate.reporting.charts import headroom_chart
from readygate.reporting.load_page import load_charts
from readygate.reporting.matrix import entries, entry, matrices
from readygate.reporting.messages import words
from readygate.reporting.sparklines import trends
from readygate.reporting.visible import cut, one_line, visible
from readygate.results import Result, Run
from readygate.verdict import Verdict

_MOST_REASONS = 5
_MOST_MARGINS = 5
_MOST_BARS = 12
_SPELLED_OUT = 1_000  # results, above which the rows leave out what they share
_ONE_ANSWER = 2_000  # characters of evidence
_ALL_ANSWERS = 500_000  # on a page
_PAGE = 4_700_000  # without what frames it, so that it can still be sent by mail
_ROW = 330  # of a page's characters, besides its own texts: its tags, and its line of the inventory
_TERM = 60  # the tags of one thing more that a row says


def render_html(
    run: Run,
    verdict: Verdict,
    *,
    now: datetime,
    template_dirs: Sequence[Path],
    language: str = "en",
    question: str = "",
    previous: Run | None = None,
    earlier: Sequence[Run] = (),
    loads: Sequence[Outcome] = (),
    valid_until: datetime | None = None,
) -> str:
    """Fill `report.html.j2`, looked up in `template_dirs`: the user's first and the shipped one last.

    `now` and `valid_until` are aware. `question` is what the verdict answers. `previous` is the last green run of
    the same profile and environment, and `earlier` are their latest runs, whatever their verdicts. `loads` are
    what the load plans of this run have measured.
    """
    said = words(verdict)
    anchors = {each.id: f"r{number}" for number, each in enumerate(verdict.results)}
    measured = reading.tightest(verdict.results, _MOST_BARS)
    areas = tuple(_areas(verdict.results))
    numbers = entries(verdict)
    reasons = reading.joined(verdict.reasons)
    room = _PAGE - _length(verdict.results)
    mends = dict(_own_mends(areas, room))
    page = _templates(template_dirs, said[language]).get_template("report.html.j2")
    return page.render(
        run=run,
        verdict=verdict,
        question=question,
        language=language,
        words=said,
        nonce=_nonce(run, verdict),
        now=now,
        valid_until=valid_until,
        previous=previous,
        changes=reading.changes(run, verdict, previous) if previous else None,
        reasons=reasons[:_MOST_REASONS],
        more_reasons=reasons[_MOST_REASONS:],
        accepted=reading.accepted(verdict),
        attested=tuple(each for each in verdict.results if reading.kind(each) == "attested"),
        warned=sorted((each for each in verdict.results if each.warning), key=reading.badness),
        counts=Counter(map(reading.kind, verdict.results)),
        margins=measured[:_MOST_MARGINS],
        chart=Markup(headroom_chart(measured, labelled_by="headroom headroom-said")) if measured else None,  # noqa: S704
        trends=trends(run, earlier, measured[:_MOST_MARGINS]),
        loads=tuple(load_charts(verdict.results, loads)),
        spelled_out=len(verdict.results) <= _SPELLED_OUT,
        areas=areas,
        matrices=tuple(matrices(verdict, numbers, {each.name: number for number, each in enumerate(areas)})),
        entries={each.id: numbers[entry(each)] for each in verdict.results},
        mends=mends,
        evidence=_evidence(verdict.results, room - sum(_TERM + len(each) for each in mends.values())),
        anchors=anchors,
        lines=line_anchors(run),
        files=tuple(annotated(run, verdict, anchors)),
    )


def _nonce(run: Run, verdict: Verdict) -> str:
    """Not random, so that the same run gives the same page; and what the page shows can't have known it."""
    took = [(each.id, each.actual, each.duration_s) for each in run.results]
    whole = repr((run.run_id, run.started_at, run.finished_at, verdict.sentence, took))
    return sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Promise:
    """One check and every target that it was asked of, the worst first."""

    check: str
    why: str
    mend: str
    results: tuple[Result, ...]

    def has_more(self, mends: Mapping[str, str]) -> bool:
        """Whether some of its results are mended in a way that the page has no room for."""
        return any(each.mend != self.mend and each.id not in mends for each in self.results)


@dataclass(frozen=True, slots=True)
class AreaOfChecks:
    """The promises of one area, and how many results of each kind it has."""

    name: str
    promises: tuple[Promise, ...]
    counts: Counter[str]

    @property
    def is_met(self) -> bool:
        return not self.counts.keys() - {"passed", "attested"}


@dataclass(frozen=True, slots=True)
class Answer:
    """Evidence as far as there is room for it."""

    asked: str
    answered: str
    is_cut: bool


def _areas(results: Sequence[Result]) -> Iterator[AreaOfChecks]:
    """The areas and in them the promises, both with the worst first."""
    areas: dict[str, dict[str, list[Result]]] = defaultdict(lambda: defaultdict(list))
    for result in sorted(results, key=reading.badness):
        areas[reading.area(result)][result.check].append(result)
    for name, checks in areas.items():
        promises = tuple(Promise(check, group[0].why, group[0].mend, tuple(group)) for check, group in checks.items())
        yield AreaOfChecks(name, promises, Counter(reading.kind(each) for group in checks.values() for each in group))


def _own_mends(areas: Sequence[AreaOfChecks], room: int) -> Iterator[tuple[str, str]]:
    """How to mend a result, by identity, where that isn't as its promise says: the worst, while there is room."""
    for promise in (each for area in areas for each in area.promises):
        for result in promise.results:
            if result.mend != promise.mend and room >= _TERM + len(result.mend):
                room -= _TERM + len(result.mend)
                yield result.id, result.mend


def _evidence(results: Sequence[Result], room: int) -> dict[str, tuple[Answer, ...]]:
    """What the unmet results have to show, then what the met ones have, while there is room."""
    room = min(_ALL_ANSWERS, room)
    shown: dict[str, tuple[Answer, ...]] = {}
    for result in sorted(results, key=reading.badness):
        answers = []
        for each in result.evidence:
            most = max(0, min(_ONE_ANSWER, room))
            room -= min(len(each.asked) + len(each.answered), most)
            answers.append(Answer(each.asked[:most], each.answered[:most], len(each.answered) > most))
        if answers and room > 0:
            shown[result.id] = tuple(answers)
    return shown


def _length(results: Sequence[Result]) -> int:
    """About how many characters they take on the page without their evidence and their own mends."""
    texts = sum(len(each.target + each.expected + each.actual + reading.unsaid(each)) for each in results)
    return _ROW * len(results) + texts


def _templates(template_dirs: Sequence[Path], said: Mapping[str, str]) -> Environment:
    """`shipped/report.html.j2` always names the last folder's, so that a user's own can extend it."""
    folders = [FileSystemLoader(folder) for folder in template_dirs]
    templates = Environment(
        loader=ChoiceLoader([*folders, PrefixLoader({"shipped": folders[-1]})]),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals |= {"t": partial(_translatable, said), "say": said.__getitem__}
    templates.filters |= {
        "kind": reading.kind,
        "tone": reading.tone,
        "headroom": reading.headroom,
        "headline": reading.headline,
        "limit": reading.limit,
        "unsaid": reading.unsaid,
        "text": _text,
        "moment": reading.moment,
        "said": reading.said,
        "cut": lambda text, most: cut(one_line(text), most),
        "data": _data,
    }
    return templates


def _shown(value: object) -> object:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _text(value: str) -> Markup:
    """Text between tags, where a quote is a quote; an inventory has too many to spell them out."""
    return Markup(escape(visible(value), quote=False))  # noqa: S704


def _translatable(said: Mapping[str, str], key: str) -> Markup:
    """A fixed word in an element of its own, which the page's script can fill in the other language."""
    return Markup("<span data-t={}>{}</span>").format(key, said[key])


def _data(value: object) -> Markup:
    """JSON that can stand in a script element, since no `<` is left in it that could end that."""
    plain = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Markup(visible(plain).replace("<", "\\u003c"))  # noqa: S704
