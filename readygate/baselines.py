"""`readygate baselines`: asks the questions with known answers, and writes what is answered into the inventory."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from readygate.areas.sites.fetch import Response
from readygate.areas.sites.http import observe_case
from readygate.areas.sites.site import origin_of
from readygate.conditions import Bound
from readygate.errors import CouldNotLook, ExitCode, Mistake, ReadygateError, UsageError
from readygate.expectation import Expectation, Level
from readygate.inventory import Inventory, load, source
from readygate.lifecycle import brought_up
from readygate.redaction import REDACTOR
from readygate.spec import Leaf
from readygate.store import unwritable_file, write_atomically
from readygate.units import as_written

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*([ -][A-Za-z0-9_]+)*")


class _RefusedError(ReadygateError):
    """Why an answer is not taken for the right one."""


@dataclass(frozen=True, slots=True)
class _Change:
    """One answer that is another than the one that is written."""

    leaf: Leaf
    answer: str | int | float | bool
    written: object

    def __str__(self) -> str:
        return f"{_told(self.leaf)}: {as_written(self.leaf.expected.text)} -> {as_written(self.answer)}"


def update_baselines(
    path: Path, environment: str | None, targets: Sequence[str], *, writes: bool, in_ci: bool = False
) -> int:
    """Ask each case whose target matches, say which answers are others, and write those where `writes` is set.

    Never judges: GO's exit code only where every answer is the one that was written before, INCOMPLETE's otherwise.
    """
    if writes and not in_ci and os.environ.get("CI", "").lower() not in ("", "0", "false", "no"):
        raise UsageError(
            "answers are not written under CI, where nobody reads the diff; "
            "run this at a desk and commit it, or add --even-in-ci"
        )
    inventory = load(path, environment, os.environ)
    cases = _cases(inventory, targets)
    changes: list[_Change] = []
    refused = 0
    with brought_up(inventory.lifecycle, inventory.root, inventory.variables):
        for target, leaves in cases.items():
            try:
                changes += _asked(inventory, leaves)
            except (CouldNotLook, _RefusedError) as error:
                refused += 1
                _say(f"{target}: not taken: {error}")
    for change in changes:
        _say(str(change))
    edits = _edits(inventory, changes)
    for file, before, after in edits:
        _say("".join(difflib.unified_diff(before.splitlines(True), after.splitlines(True), file, file)).rstrip("\n"))
    if writes:
        for file, _, after in edits:
            _write(Path(file), after)
    _say(_summed_up(len(cases), len(changes), refused, writes=writes))
    return ExitCode.INCOMPLETE if changes or refused else ExitCode.GO


def _summed_up(cases: int, changes: int, refused: int, *, writes: bool) -> str:
    if not changes and not refused:
        return f"{_count(cases, 'case')} asked, and each answer is the one that is written"
    parts = [f"{_count(cases, 'case')} asked"]
    if changes:
        parts.append(f"{_count(changes, 'answer')} {'written' if writes else 'would be written: add --update'}")
    if refused:
        parts.append(f"{refused} not taken")
    return f"{'; '.join(parts)}. Nothing was judged: read the diff, then let `readygate run` give the verdict"


def _cases(inventory: Inventory, targets: Sequence[str]) -> dict[str, list[Leaf]]:
    """The expectations of each case by the target that a case has: site:endpoint:case."""
    found: dict[str, list[Leaf]] = {}
    for leaf in inventory.leaves:
        if leaf.trail and leaf.trail[-1].noun == "case":
            target = ":".join(spec.name for spec in leaf.trail)
            if not targets or any(fnmatchcase(target, each) for each in targets):
                found.setdefault(target, []).append(leaf)
    if not found:
        wanted = f" match {', '.join(targets)}" if targets else " are declared"
        raise UsageError(f"no cases{wanted}; they stand under an endpoint's `cases` (docs/areas/sites.md)")
    return found


def _asked(inventory: Inventory, leaves: list[Leaf]) -> list[_Change]:
    """What one case's answer changes. CouldNotLook, _RefusedError: it has none that may be written."""
    site: Any
    endpoint: Any
    case: Any
    site, endpoint, case = leaves[0].trail
    # Also where a TLS check tells of it: what anybody may have answered is nothing to compare with from now on.
    origin = replace(origin_of(site), judged_faults=frozenset())
    answer = observe_case(origin, endpoint, case)
    if case.status is not None and case.status.judge(answer.status).level is Level.FAIL:
        raise _RefusedError(f"it answers {answer.status}, where {case.status.expected} is declared")
    if case.status is None and not 200 <= answer.status < 300:
        raise _RefusedError(f"it answers {answer.status}; if that is right, declare `status: {answer.status}`")
    return [change for leaf in leaves if (change := _change(inventory, leaf, answer))]


def _change(inventory: Inventory, leaf: Leaf, response: Response) -> _Change | None:
    if leaf.check == "case.status":
        return None
    answer = response.value_at(leaf.key) if leaf.key else response.text
    if leaf.expected.judge(answer).level is Level.MET:
        return None
    told = _told(leaf).rpartition(":")[2]
    if not _is_one_answer(leaf.expected):
        raise _RefusedError(f"{told} should be {leaf.expected.expected}, and which is right is for a person to say")
    if not isinstance(answer, str | int | float):
        kind = "nothing" if answer is None else "more than one value"
        raise _RefusedError(f"{told}: the answer has {kind} there")
    if REDACTOR.redact(str(answer)) != str(answer):
        raise _RefusedError(f"{told}: the answer holds a secret, which belongs in no file")
    _refuse_what_is_shared(inventory, leaf, told)
    return _Change(leaf, answer, _as_expectation(leaf.expected, answer, told))


def _is_one_answer(expected: Expectation) -> bool:
    (first, *more) = (*expected.fail, *expected.warn)
    return isinstance(first, Bound) and first.sign == "==" and not more


def _as_expectation(expected: Expectation, answer: str | int | float | bool, told: str) -> object:
    """The answer as the inventory has to have it, which is not always as it is: a text may begin with an operator."""
    if "${" not in str(answer):
        for written in (answer, f'=="{answer}"', f"=={answer}"):
            try:
                meant = Expectation.parse(written, expected.kind)
            except Mistake:
                continue
            if _is_one_answer(meant) and meant.judge(answer).level is Level.MET:
                return written
    raise _RefusedError(f"{told}: the answer can't be written as an expectation; write a pattern by hand")


def _refuse_what_is_shared(inventory: Inventory, leaf: Leaf, told: str) -> None:
    here = inventory.places.values.get(leaf.path)
    sharing = [path for path, place in inventory.places.values.items() if place == here]
    if here is None or len(sharing) > 1:
        raise _RefusedError(f"{told} is written once for several (by an anchor, defaults or a group); write its own")
    if not Path(here.file).resolve().is_relative_to(inventory.root.resolve()):
        raise _RefusedError(f"{told} is written in {here.file}, which is not of this project")


def _edits(inventory: Inventory, changes: list[_Change]) -> list[tuple[str, str, str]]:
    """Each file that is to be written: its name, its text, and what that becomes."""

    def file_of(change: _Change) -> str:
        return inventory.places.values[change.leaf.path].file

    edits = []
    for file, of_file in groupby(sorted(changes, key=file_of), key=file_of):
        before = source.text_of(Path(file))
        edits.append((file, before, _edited(inventory, file, before, list(of_file))))
    return edits


def _edited(inventory: Inventory, file: str, text: str, changes: list[_Change]) -> str:
    """The text with other answers, and not a character else changed."""
    # Python's own parser counts characters in its marks, whatever the line ends are.
    events = yaml.parse(text, Loader=yaml.SafeLoader)
    found: list[Any] = [event for event in events if isinstance(event, yaml.ScalarEvent)]
    scalars = {(event.start_mark.line + 1, event.start_mark.column + 1): event for event in found}
    spots = []
    for change in changes:
        place = inventory.places.values[change.leaf.path]
        event = scalars.get((place.line, place.column))
        written = event.value if event else ""
        if event is None or event.anchor or event.style in ("|", ">") or "${" in written:
            raise UsageError(
                f"{place.file}:{place.line} {change.leaf.dotted}: is no plain value that could be replaced; "
                f"write {as_written(change.written)} there by hand"
            )
        spots.append((event.start_mark.index, event.end_mark.index, _in_yaml(change.written, event.style)))
    for start, end, put in sorted(spots, reverse=True):
        text = text[:start] + put + text[end:]
    source.parse(text, file)
    return text


def _in_yaml(value: object, style: str | None) -> str:
    """The value as YAML, quoted as the one before it where that is possible."""
    if not isinstance(value, str):
        return json.dumps(value)
    if not style and _PLAIN.fullmatch(value) and value.lower() not in ("null", "true", "false"):
        return value
    if style == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    return json.dumps(value, ensure_ascii=False)


def _write(file: Path, text: str) -> None:
    there = file.resolve()
    mark = "\ufeff" if there.read_bytes().startswith(b"\xef\xbb\xbf") else ""
    mode = there.stat().st_mode & 0o777
    try:
        write_atomically(there, mark + text)
        there.chmod(mode)
    except OSError as error:
        raise unwritable_file(file, error, "mend that, and run it again") from None


def _told(leaf: Leaf) -> str:
    return f"{':'.join(spec.name for spec in leaf.trail)}:{leaf.key or 'body'}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _say(text: str) -> None:
    print(REDACTOR.redact(text), flush=True)  # noqa: T201 - the command's own output
