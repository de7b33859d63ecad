"""The verdict as a small SVG for a README or a wiki page."""

from __future__ import annotations

from xml.sax.saxutils import escape

from readygate.reporting.visible import cut, one_line
from readygate.results import Run
from readygate.verdict import Verdict, Word

# Dark enough for white letters: a contrast of 4.5 to 1 or more (WCAG 2.2, 1.4.3).
_COLOURS = {Word.GO: "#1a7f37", Word.GO_WITH_WAIVERS: "#8a6100", Word.NO_GO: "#c62828", Word.INCOMPLETE: "#8a6100"}
_LETTER = 7.2  # of 11 px Verdana, the widest of the fonts
_ROOM = 12
_LONGEST = 40


def render_badge(run: Run, verdict: Verdict) -> str:
    """Two fields, `readiness` (and the environment) and the word; it needs no font or file from elsewhere."""
    label = cut(one_line(f"readiness {run.subject.environment}"), _LONGEST)
    word = verdict.word.value
    left, right = (round(len(text) * _LETTER + _ROOM) for text in (label, word))
    title = escape(one_line(f"{label}: {word}"), {'"': "&quot;"})
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" aria-label="{title}">
<title>{title}</title>
<clipPath id="c"><rect width="{left + right}" height="20" rx="3"/></clipPath>
<g clip-path="url(#c)"><rect width="{left}" height="20" fill="#444"/>\
<rect x="{left}" width="{right}" height="20" fill="{_COLOURS[verdict.word]}"/></g>
<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">\
<text x="{left / 2}" y="14">{escape(label)}</text><text x="{left + right / 2}" y="14">{word}</text></g>
</svg>
"""
