"""Trends as lines no longer than a word: what is open, and what is left before a limit, over the last runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

from markupsafe import Markup

from readygate.excuses import ATTESTATION
from readygate.reporting.reading import headroom, is_met
from readygate.results import Result, Run

_WIDTH, _HEIGHT, _EDGE = 96, 20, 2
_FEWEST = 2  # points that make a line


@dataclass(frozen=True, slots=True)
class Trends:
    """Over `runs` runs, this one included: what was not met in each, and the headroom of single results."""

    runs: int
    unmet: tuple[int, ...]
    unmet_line: Markup
    headroom_lines: dict[str, Markup]


def trends(run: Run, earlier: Sequence[Run], measured: Sequence[Result]) -> Trends | None:
    """From earlier runs of the same question, in any order; None where there is none."""
    if not earlier:
        return None
    runs = (*sorted(earlier, key=lambda each: each.started_at), run)
    # A run as it was seen knows of no attestation, so that those would always count as not met.
    unmet = tuple(sum(not is_met(each) and each.check != ATTESTATION for each in one.results) for one in runs)
    wanted = {each.id for each in measured}
    seen = [{each.id: each for each in one.results if each.id in wanted} for one in runs]
    lines = {each.id: _headroom_line([found.get(each.id) for found in seen]) for each in measured}
    return Trends(
        len(runs),
        unmet,
        sparkline(unmet, f"{unmet[0]} → {unmet[-1]}"),
        {identity: line for identity, line in lines.items() if line},
    )


def sparkline(values: Sequence[float | None], said: str) -> Markup:
    """A line from zero up, or from below it where a value is; broken where one is missing, with a dot on the last.

    `said` is what it shows in words or numbers. Empty for fewer than two values.
    """
    known = [each for each in values if each is not None]
    if len(known) < _FEWEST:
        return Markup()
    low, high = min(0.0, *known), max(0.0, *known)
    span = (high - low) or 1.0
    step = (_WIDTH - 2 * _EDGE) / (len(values) - 1)

    def point(number: int, value: float) -> str:
        return f"{_EDGE + number * step:.1f},{_EDGE + (high - value) / span * (_HEIGHT - 2 * _EDGE):.1f}"

    pieces: list[list[str]] = [[]]
    for number, value in enumerate(values):
        if value is None:
            pieces.append([])
        else:
            pieces[-1].append(point(number, value))
    drawn = "".join(f'<polyline points="{" ".join(piece)}"/>' for piece in pieces if piece)
    last = max(number for number, value in enumerate(values) if value is not None)
    x, y = point(last, known[-1]).split(",")
    zero = f"{_EDGE + high / span * (_HEIGHT - 2 * _EDGE):.1f}"
    return Markup(  # noqa: S704 - numbers and an escaped label
        f'<svg class="spark" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label={quoteattr(said)}>'
        f'<path d="M0 {zero}H{_WIDTH}"/>{drawn}<circle cx="{x}" cy="{y}" r="2"/></svg>'
    )


def _headroom_line(seen: Sequence[Result | None]) -> Markup:
    known = [each for each in seen if each is not None and each.headroom is not None]
    if len(known) < _FEWEST:
        return Markup()
    said = f"{headroom(known[0])} → {headroom(known[-1])}"
    # What has ten times the room is as well as what has twice; else it would flatten the rest of the line.
    shares = [each.headroom if each is not None else None for each in seen]
    return sparkline([share if share is None else min(share, 1.0) for share in shares], said)
