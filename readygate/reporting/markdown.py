"""The run as Markdown for a job summary or a comment on a pull request, the worst first."""

from __future__ import annotations

import re
from collections.abc import Iterator

from readygate.reporting.reading import badness, excused, headroom, kind, tightest
from readygate.reporting.visible import cut, one_line
from readygate.results import Result, Run
from readygate.verdict import Reason, Verdict, Word

MOST_BYTES = 60_000  # GitHub refuses a comment of more than 65,536 characters

_MOST_TEXT = 400
_FOOTER_BYTES = 200
# A backslash before ASCII punctuation makes it literal (CommonMark 0.31, 2.4); `://` and `www.` would become
# links by themselves (GFM, 6.9). Mentions and references to issues are looked for after rendering, where the
# backslash is gone, and a comment parts them.
_MARKUP = re.compile(r"[\\`*_\[\]<>|~&$]|:(?=//)|(?<=www)\.", re.IGNORECASE)
_REFERENCE = re.compile(r"[@#](?=\w)")

_SIGNS = {Word.GO: "🟢", Word.GO_WITH_WAIVERS: "🟡", Word.NO_GO: "🔴", Word.INCOMPLETE: "🟠"}


def render_markdown(run: Run, verdict: Verdict) -> str:
    """At most `MOST_BYTES` in UTF-8; what does not fit is counted in the last line."""
    lines: list[str] = []
    room = MOST_BYTES - _FOOTER_BYTES
    left_off = 0
    for line in _lines(run, verdict):
        room -= len(line.encode()) + 1
        if room < 0:
            left_off += 1
        else:
            lines.append(line)
    if left_off:
        lines += ["", f"_{left_off} more lines are left off here; the whole is in the HTML report._"]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Text from outside as one line that Markdown shows literally; it must not begin a line of the page."""
    literal = _MARKUP.sub(r"\\\g<0>", cut(one_line(text), _MOST_TEXT))
    return _REFERENCE.sub(r"\g<0><!-- -->", literal)


def _lines(run: Run, verdict: Verdict) -> Iterator[str]:
    yield f"## {_SIGNS[verdict.word]} {verdict.word}"
    yield ""
    yield f"**{escaped(verdict.sentence)}**"
    yield ""
    yield from _subject(run)
    yield ""
    yield from _coverage(verdict)
    if verdict.reasons:
        yield ""
        yield "### What stands in the way"
        yield ""
        for reason in verdict.reasons:
            yield from _reason(reason)
    yield from _list("Excused", excused(verdict), "message")
    yield from _list("Warnings", tuple(each for each in verdict.results if each.warning), "warning")
    if verdict.findings:
        yield ""
        yield "### To tidy up"
        yield ""
        for finding in verdict.findings:
            yield f"- {escaped(finding.title)}; {escaped(finding.mend)} ({escaped(finding.place)})"
    yield from _margins(verdict)


def _subject(run: Run) -> Iterator[str]:
    subject = run.subject
    facts = (
        ("project", subject.project),
        ("version", subject.version),
        ("commit", subject.commit[:12]),
        ("environment", subject.environment),
        ("looked for elsewhere", " ".join(subject.pointed)),
        ("profile", run.profile),
        ("inventory", run.inventory_digest[:12]),
        ("finished", run.finished_at),
    )
    yield " · ".join(f"{name} **{escaped(value)}**" for name, value in facts if value)


def _coverage(verdict: Verdict) -> Iterator[str]:
    seen = verdict.coverage
    yield "| declared | verified | failed | waived | attested | could not look | not run | warned |"
    yield "|---:|---:|---:|---:|---:|---:|---:|---:|"
    counts = (
        seen.declared,
        seen.verified,
        seen.failed,
        seen.waived,
        seen.attested,
        seen.errors,
        seen.not_run,
        seen.warnings,
    )
    yield f"| {' | '.join(map(str, counts))} |"


def _reason(reason: Reason) -> Iterator[str]:
    worst, more = reason.worst, len(reason.results) - 1
    if worst is None:
        yield f"- **{escaped(reason.title)}**" + (f": {escaped(reason.detail)}" if reason.detail else "")
        return
    title = f"{escaped(worst.id)} and {more} more" if more else escaped(worst.id)
    owner = f", {escaped(worst.owner)}" if worst.owner else ""
    ended = kind(worst).replace("_", " ")
    yield f"- **{title}** ({ended}, {worst.severity}{owner}): {escaped(worst.message)}"
    if not more and (worst.expected or worst.actual):
        margin = f" ({escaped(worst.margin)})" if worst.margin else ""
        yield f"  - expected {escaped(worst.expected)}, actual {escaped(worst.actual)}{margin}"
    if worst.place:
        yield f"  - at {escaped(worst.place)}"
    if reason.detail:
        yield f"  - mend: {escaped(reason.detail)}"


def _list(title: str, results: tuple[Result, ...], said: str) -> Iterator[str]:
    if results:
        yield ""
        yield f"### {title}"
        yield ""
        for each in sorted(results, key=badness):
            yield f"- **{escaped(each.id)}** ({escaped(each.place)}): {escaped(getattr(each, said))}"


def _margins(verdict: Verdict) -> Iterator[str]:
    if rows := tightest(verdict.results, 5):
        yield ""
        yield "### Tightest margins"
        yield ""
        yield "| check | actual | limit | headroom |"
        yield "|---|---:|---:|---:|"
        for each in rows:
            cells = (each.id, each.actual, each.expected, headroom(each))
            yield f"| {' | '.join(escaped(cell) for cell in cells)} |"
