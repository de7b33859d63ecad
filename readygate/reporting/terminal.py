"""The run as calm text for a terminal: the verdict, what stands in the way, who mends it and how."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from readygate.excuses import Finding
from readygate.reporting.reading import badness, excused, headroom, tightest, unsaid
from readygate.reporting.visible import cut, one_line
from readygate.results import Outcome, Result, Run
from readygate.verdict import Reason, Verdict, Word

_MOST_REASONS = 20
_MOST_NOTES = 5
_NARROWEST = 40

_Thing = TypeVar("_Thing")

_STYLES = {"red": "31", "amber": "33", "green": "32", "bold": "1", "dim": "2"}
_COLOURS = {Word.GO: "green", Word.GO_WITH_WAIVERS: "amber", Word.NO_GO: "red", Word.INCOMPLETE: "amber"}


def render_terminal(run: Run, verdict: Verdict, *, width: int, colour: bool) -> str:
    """A few lines for a GO, and for anything else as many as its reasons need; `width` is in characters."""
    return "\n".join(_Page(max(width, _NARROWEST), colour).lines(run, verdict)) + "\n"


@dataclass(frozen=True, slots=True)
class _Page:
    width: int
    colour: bool

    def lines(self, run: Run, verdict: Verdict) -> Iterator[str]:
        failures = [each for each in verdict.reasons if _is_failure(each)]
        unverified = [each for each in verdict.reasons if not _is_failure(each)]
        warned = sorted((each for each in verdict.results if each.warning), key=badness)

        yield from self.headline(run, verdict)
        yield from self.section("Failed", "red", failures, self.reason, _MOST_REASONS)
        yield from self.section("Not verified", "amber", unverified, self.reason, _MOST_REASONS)
        yield from self.section("Excused", "amber", excused(verdict), self.note, _MOST_NOTES)
        yield from self.section("Warnings", "amber", warned, self.note, _MOST_NOTES)
        yield from self.section("To tidy up", "amber", verdict.findings, self.finding, _MOST_NOTES)
        yield ""
        yield from self.coverage(verdict)
        yield from self.margins(verdict)

    def headline(self, run: Run, verdict: Verdict) -> Iterator[str]:
        subject = run.subject
        what = f"{subject.project} {subject.version}" + (f" in {subject.environment}" if subject.environment else "")
        room = self.width - len(verdict.word) - 2
        yield f"{self.paint(verdict.word, 'bold', _COLOURS[verdict.word])}  {cut(one_line(what), room)}"
        yield from self.wrapped(verdict.sentence)
        for pointed in subject.pointed:
            yield from self.wrapped(f"looked for elsewhere: {one_line(pointed)}")

    def section(
        self,
        title: str,
        colour: str,
        things: Sequence[_Thing],
        show: Callable[[_Thing], Iterator[str]],
        most: int,
    ) -> Iterator[str]:
        if things:
            yield ""
            yield self.paint(title, "bold", colour)
            for thing in things[:most]:
                yield from show(thing)
            if len(things) > most:
                yield f"  +{len(things) - most} more, in the report"

    def reason(self, reason: Reason) -> Iterator[str]:
        worst, more = reason.worst, len(reason.results) - 1
        if worst is None:
            yield from self.wrapped(reason.title, "  ", styles=("bold",))
            yield from self.wrapped(reason.detail, "    ")
            return
        title = f"{more + 1} checks, the first is {worst.id}" if more else worst.id
        yield from self.wrapped(title, "  ", styles=("bold",))
        yield from self.wrapped(worst.message or worst.outcome.value, "    ")
        actual = f"{worst.actual} ({worst.margin})" if worst.margin else worst.actual
        is_told = bool(worst.message) and not unsaid(worst)  # in the line above already
        yield from self.labelled("expected", "" if more or is_told else worst.expected)
        yield from self.labelled("actual", "" if more or (is_told and not worst.margin) else actual)
        yield from self.labelled("where", f"{worst.place} and {more} more" if more else worst.place)
        yield from self.labelled("owner", worst.owner)
        yield from self.labelled("mend", reason.detail)

    def note(self, result: Result) -> Iterator[str]:
        said = result.warning or result.message
        yield from self.wrapped(f"{result.id}: {said}", "  ", "    ")
        yield from self.wrapped(result.place, "    ", styles=("dim",))

    def finding(self, finding: Finding) -> Iterator[str]:
        yield from self.wrapped(f"{finding.title}; {finding.mend}", "  ", "    ")
        yield from self.wrapped(finding.place, "    ", styles=("dim",))

    def coverage(self, verdict: Verdict) -> Iterator[str]:
        seen = verdict.coverage
        counted = (
            (seen.failed, "failed"),
            (seen.waived, "waived"),
            (seen.attested, "attested"),
            (seen.errors, "could not look"),
            (seen.not_run, "not run"),
            (seen.warnings, "warned"),
        )
        parts = [f"{seen.declared} declared", f"{seen.verified} verified"]
        parts += [f"{count} {name}" for count, name in counted if count]
        yield from self.labelled("coverage", ", ".join(parts), "")

    def margins(self, verdict: Verdict) -> Iterator[str]:
        label = "tightest"
        for each in tightest(verdict.results, 1 if verdict.word is Word.GO else 3):
            yield from self.labelled(label, f"{each.id}: {each.actual}, limit {each.expected}, {headroom(each)}", "")
            label = ""

    def labelled(self, label: str, text: str, indent: str = "    ") -> Iterator[str]:
        column = f"{label:<10}"
        lines = self.wrapped(text, indent + column, indent + " " * len(column))
        for number, line in enumerate(lines):
            yield line if number else line.replace(label, self.paint(label, "dim"), 1)

    def wrapped(
        self, text: str, indent: str = "", rest: str | None = None, *, styles: Sequence[str] = ()
    ) -> Iterator[str]:
        """The text in lines, none for no text; as one paragraph, so that it can't forge a line of ours."""
        for line in textwrap.wrap(
            one_line(text),
            self.width,
            initial_indent=indent,
            subsequent_indent=indent if rest is None else rest,
            break_on_hyphens=False,
        ):
            yield self.paint(line, *styles)

    def paint(self, text: str, *styles: str) -> str:
        if not (self.colour and styles):
            return text
        return f"\x1b[{';'.join(_STYLES[style] for style in styles)}m{text}\x1b[0m"


def _is_failure(reason: Reason) -> bool:
    return reason.worst is not None and reason.worst.outcome is Outcome.FAILED
