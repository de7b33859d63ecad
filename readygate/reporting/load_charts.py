"""Charts of a load run as SVG: in the page's own colour, so that they follow it in dark, light and print."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from readygate.load.histogram import Histogram, quantile, total
from readygate.load.outcome import Outcome, Second
from readygate.reporting.svg import svg
from readygate.units import show_duration

# Matplotlib wants real colours; each of these stands for a strength of the page's colour, and for a dash.
_PAINTS = {
    "#010203": (1.0, ""),
    "#010204": (0.6, ""),
    "#010205": (0.35, ""),
    "#010206": (0.1, ""),
    "#010207": (0.9, "4 3"),
}
_STRONG, _MIDDLE, _LIGHT, _FAINT, _DASHED = _PAINTS

_WIDTH, _HEIGHT = 560, 170  # points
_MARKS = (0.5, 0.9, 0.95, 0.99, 0.999)

Values = Sequence[float | None]


def latency_chart(outcome: Outcome, limits: Mapping[str, float], *, labelled_by: str) -> str:
    """p50, p95 and p99 of the response time of each second, with the limits on them; the warm-up is shaded."""
    paints = {"p50": _LIGHT, "p95": _MIDDLE, "p99": _STRONG}
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    lines = {
        name: ([quantile(each.response, share) for each in _sent(outcome)], paints[name])
        for name, share in shares.items()
    }
    drawn = {name: limit for name, limit in limits.items() if name in shares}
    return _over_time(outcome, lines, drawn, _duration, labelled_by)


def rate_chart(outcome: Outcome, *, labelled_by: str) -> str:
    """Journeys that were due, and right answers, in each second."""
    due: Values = [each.due for each in _sent(outcome)]
    ended: Values = [each.ended for each in _sent(outcome)]
    return _over_time(
        outcome, {"journeys due": (due, _LIGHT), "answers": (ended, _STRONG)}, {}, _per_second, labelled_by
    )


def users_chart(outcome: Outcome, *, labelled_by: str) -> str:
    """Users who were waiting for an answer, and visitors for whom no user was free."""
    busy: Values = [each.users for each in _sent(outcome)]
    backlog: Values = [each.backlog for each in _sent(outcome)]
    return _over_time(outcome, {"busy": (busy, _STRONG), "backlog": (backlog, _LIGHT)}, {}, _number, labelled_by)


def errors_chart(outcome: Outcome, *, labelled_by: str) -> str:
    """Errors in each second: a burst is another thing than a trickle."""
    failed: Values = [each.failed for each in _sent(outcome)]
    return _over_time(outcome, {"errors": (failed, _STRONG)}, {}, _per_second, labelled_by)


def distribution_chart(outcome: Outcome, *, labelled_by: str) -> str:
    """The response time by percentile, the rarer the further right, beside service time and earlier runs."""
    curves = {"service": (outcome.whole.service, _LIGHT), "response": (outcome.whole.response, _STRONG)}
    if outcome.earlier:
        curves["baseline"] = (outcome.earlier, _DASHED)
    shares = [1 - 10 ** (-number / 20) for number in range(61)]  # from 0 to 99.9%, evenly in nines
    points = {name: [_at(curve, share) for share in shares] for name, (curve, _) in curves.items()}

    def draw(axes: Any, top: float) -> None:
        for name, (_, paint) in curves.items():
            axes.plot(range(61), _gaps(points[name]), color=paint, linewidth=1.5)
        for mark in _MARKS:
            place = min(range(61), key=lambda number: abs(shares[number] - mark))
            axes.text(place, -0.09 * top, f"{mark * 100:g}%", color=_MIDDLE, ha="center", fontsize=8)

    highest = max((value for values in points.values() for value in values if value), default=0.0)
    return _figure(
        draw, (0, 60), highest, _duration, {name: paint for name, (_, paint) in curves.items()}, labelled_by
    )


def _sent(outcome: Outcome) -> list[Second]:
    """The seconds that something was sent in; those after it only wait for answers."""
    last = max((each.number for each in outcome.seconds if each.due), default=-1)
    return [each for each in outcome.seconds if each.number <= last]


def _at(curve: Histogram, share: float) -> float | None:
    return quantile(curve, share) if total(curve) else None


def _over_time(
    outcome: Outcome,
    lines: Mapping[str, tuple[Values, str]],
    limits: Mapping[str, float],
    words: Callable[[float], str],
    labelled_by: str,
) -> str:
    numbers = [each.number for each in _sent(outcome)] or [0]
    measured = set(outcome.measured)
    last = max(numbers[-1], 1)

    def draw(axes: Any, top: float) -> None:
        for number in numbers:
            if number not in measured:
                axes.axvspan(max(number - 0.5, 0), min(number + 0.5, last), color=_FAINT, linewidth=0)
        for values, paint in lines.values():
            axes.plot(numbers[: len(values)], _gaps(values), color=paint, linewidth=1.5)
        for name, limit in limits.items():
            axes.plot([0, last], [limit, limit], color=_DASHED, linewidth=1)
            axes.text(last, limit, f"{name} limit {words(limit)}", color=_STRONG, ha="right", va="bottom", fontsize=8)
        for number in sorted({0, last // 2, last}):
            axes.text(number, -0.09 * top, f"{number} s", color=_MIDDLE, ha="center", fontsize=8)

    seen = [value for values, _ in lines.values() for value in values if value is not None]
    highest = max([*seen, *limits.values()], default=0.0)
    return _figure(draw, (0, last), highest, words, {name: paint for name, (_, paint) in lines.items()}, labelled_by)


def _figure(
    draw: Callable[[Any, float], None],
    span: tuple[float, float],
    highest: float,
    words: Callable[[float], str],
    legend: Mapping[str, str],
    labelled_by: str,
) -> str:
    top = highest * 1.1 or 1.0

    def draw_all(axes: Any) -> None:
        axes.set_xlim(*span)
        axes.set_ylim(0, top)
        for part in (0.0, 0.5, 1.0):
            axes.plot(span, [highest * part] * 2, color=_FAINT, linewidth=1)
            axes.text(span[0], highest * part, f"{words(highest * part)} ", color=_MIDDLE, ha="right", fontsize=8)
        draw(axes, top)
        for number, (name, paint) in enumerate(legend.items()):
            left = span[0] + (span[1] - span[0]) * number * 0.16
            along = (span[1] - span[0]) * 0.03
            axes.plot([left, left + along], [top * 1.08] * 2, color=paint, linewidth=2, clip_on=False)
            axes.text(left + along * 1.3, top * 1.05, name, color=_MIDDLE, fontsize=8)

    box = (0.09, 0.12, 0.88, 0.74)
    return svg((_WIDTH, _HEIGHT), box, draw_all, colours=frozenset(_PAINTS), dress=_strength, by=labelled_by)


def _strength(paint: str, is_line: bool) -> dict[str, str]:
    opacity, dashes = _PAINTS[paint]
    dress = {"stroke" if is_line else "fill": "currentColor", "opacity": str(opacity)}
    return {**dress, "stroke-dasharray": dashes} if is_line and dashes else dress


def _gaps(values: Values) -> list[float]:
    """A line breaks where there is no value."""
    return [float("nan") if value is None else value for value in values]


def _duration(seconds: float) -> str:
    return show_duration(float(f"{seconds:.2g}"))


def _per_second(rate: float) -> str:
    return f"{rate:.3g}/s" if rate < 1000 else f"{rate:.0f}/s"


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
