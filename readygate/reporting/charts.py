"""Charts as SVG inside the page: no colours of their own, so that they follow it in dark, light and print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from readygate.reporting.reading import headroom, limit
from readygate.reporting.svg import svg
from readygate.reporting.visible import cut, one_line
from readygate.results import Result

TIGHT = 0.1  # less than a tenth of the limit left

# Matplotlib wants real colours; each of these stands for a class that the page's style sheet colours.
_CLASSES = {
    "#010203": "ink",
    "#010204": "quiet",
    "#010205": "track",
    "#010206": "good",
    "#010207": "tight",
    "#010208": "bad",
}
_INK, _QUIET, _TRACK, _GOOD, _TIGHT, _BAD = _CLASSES

_WIDTH, _ROW, _AXIS = 340, 32, 16  # points
_LETTERS = 56  # that fit on a line of that width


def headroom_chart(results: Sequence[Result], *, labelled_by: str) -> str:
    """One bar a result: to the right what is left before its limit, to the left what is beyond it.

    More than 100% of the limit is drawn as 100%. `labelled_by` are the ids of the elements that name and
    describe the chart. The same results give the same bytes.
    """
    shares = [max(-1.0, min(1.0, each.headroom or 0.0)) for each in results]
    least = min(0.0, min(shares))
    height = _ROW * len(results) + _AXIS

    def draw(axes: Any) -> None:
        axes.set_xlim(least, 1.0)
        axes.set_ylim(height, 0)
        for number, (each, share) in enumerate(zip(results, shares, strict=True)):
            top = _AXIS + number * _ROW
            numbers = cut(one_line(f"{each.actual} / {limit(each)}  {headroom(each)}"), 32)
            name = cut(one_line(each.id), _LETTERS - len(numbers) - 2)
            axes.text(least, top + 13, name, color=_INK, ha="left", fontsize=9)
            axes.text(1.0, top + 13, numbers, color=_QUIET, ha="right", fontsize=9)
            axes.barh(top + 21, 1.0 - least, left=least, height=6, color=_TRACK, clip_on=False)
            axes.barh(top + 21, share, height=6, color=_colour(share), clip_on=False)
            axes.vlines(0, top + 16, top + 26, color=_INK, linewidth=1, clip_on=False)
        axes.text(0, 9, "0%", color=_QUIET, ha="center" if least < -0.05 else "left", fontsize=8)
        axes.text(1, 9, "+100%", color=_QUIET, ha="right", fontsize=8)

    return svg(
        (_WIDTH, height),
        (0.0, 0.0, 1.0, 1.0),
        draw,
        colours=frozenset(_CLASSES),
        dress=lambda colour, _: {"class": _CLASSES[colour]},
        by=labelled_by,
    )


def _colour(share: float) -> str:
    if share < 0:
        return _BAD
    return _TIGHT if share < TIGHT else _GOOD
