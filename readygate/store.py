"""results.json: written so that a crash at any moment leaves the truth so far or nothing, and never a GO.

At the start the file says that a run is under way and that nothing was verified. Each result is then appended
to a journal beside it, and the end replaces the file at one stroke. Whoever reads a file whose run never came
to its end gets what the journal holds, and a state that can't be GO.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from readygate.errors import UsageError
from readygate.profile import Output
from readygate.redaction import REDACTOR
from readygate.results import SCHEMA_VERSION, Outcome, Result, Run
from readygate.verdict import Verdict

RESULTS = "results.json"
JOURNAL = "results.journal"
# What is drawn from a finished run; an unfinished one leaves none of an earlier run's beside its own results.
OUTPUTS = (*get_args(Output), "afterwards.json")

_RUN = TypeAdapter(Run)
_RESULT = TypeAdapter(Result)


def encode(result: Result) -> dict[str, Any]:
    """A result as plain JSON data, redacted."""
    data: dict[str, Any] = REDACTOR.redact_data(_RESULT.dump_python(result, mode="json"))
    return data


def decode(data: Any) -> Result:
    return _RESULT.validate_python(data)


class Store:
    """The folder that a run's results are written to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._journal = folder / JOURNAL

    def begin(self, run: Run) -> None:
        """Replace whatever an earlier run left: from now on the file says that nothing is known yet.

        Raises UsageError where the folder can't be written to.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for stale in (RESULTS, JOURNAL, *OUTPUTS):
                (self.folder / stale).unlink(missing_ok=True)
            self._write(run, None)
        except OSError as error:
            said = (error.strerror or "unusable").lower()
            raise UsageError(f"{self.folder}: can't be written to: {said}; name another folder") from None

    def append(self, result: dict[str, Any]) -> None:
        """Note one result so that it survives whatever comes next."""
        with self._journal.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(result, ensure_ascii=False) + "\n")

    def finish(self, run: Run, verdict: Verdict) -> Path:
        """Replace the file by the whole truth; returns its path."""
        self._write(run, verdict)
        self._journal.unlink(missing_ok=True)
        return self.folder / RESULTS

    def _write(self, run: Run, verdict: Verdict | None) -> None:
        write_atomically(self.folder / RESULTS, document(run, verdict, indent=1))


def document(run: Run, verdict: Verdict | None, indent: int | None = None) -> str:
    """A run and what `decide` said of it, as they are stored: redacted JSON.

    The results stand as they were seen; `excused` says by identity which of them counted as waived or attested.
    """
    data = _RUN.dump_python(run, mode="json")
    data["verdict"] = verdict and {
        "word": verdict.word.value,
        "sentence": verdict.sentence,
        "exit_code": int(verdict.exit_code),
        "coverage": asdict(verdict.coverage),
        "excused": {
            each.id: each.outcome.value
            for each in verdict.results
            if each.outcome in (Outcome.WAIVED, Outcome.ATTESTED)
        },
    }
    return json.dumps(REDACTOR.redact_data(data), ensure_ascii=False, indent=indent)


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that its reader sees the old text or the new one, also after a power cut."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def load(path: Path) -> Run:
    """A stored run, from a results.json or the folder that holds one.

    Raises UsageError where there is none, or where it is of another schema version.
    """
    file = path / RESULTS if path.is_dir() else path
    data = read_document(file)
    data.pop("verdict", None)
    try:
        run = _RUN.validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{file}: {where}: {first['msg'].lower()}; run `readygate run` again") from None
    return _with_journal(run, file.with_name(JOURNAL))


def read_document(file: Path) -> dict[str, Any]:
    """What `document` wrote, unchecked but for its schema version. Raises UsageError as `load` does."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{file}: {(error.strerror or 'unreadable').lower()}; run `readygate run` first") from None
    except ValueError:
        raise UsageError(f"{file}: not a results file; it should be JSON that `readygate run` wrote") from None
    if not isinstance(data, dict) or data.get("schema_version") != SCHEMA_VERSION:
        found = data.get("schema_version") if isinstance(data, dict) else None
        raise UsageError(f"{file}: schema version {found!r}; this Readygate reads {SCHEMA_VERSION}")
    return data


def _with_journal(run: Run, journal: Path) -> Run:
    if not journal.exists():
        return run
    seen: list[Result] = []
    # As bytes: texts have line breaks that JSON leaves as they are, and the last line may end within a character.
    for line in journal.read_bytes().splitlines():
        try:
            seen.append(decode(json.loads(line)))
        except ValueError:
            break  # the line that was being written when the run was killed
    return replace(run, results=tuple(merge(seen, run.results)))


_WORST_FIRST = (Outcome.FAILED, Outcome.ERROR, Outcome.NOT_RUN)


def merge(seen: Iterable[Result], planned: Iterable[Result]) -> Iterable[Result]:
    """One result an id, in the order of the plan: the worst that was seen, else what was planned."""
    worst: dict[str, Result] = {}
    for result in seen:
        known = worst.get(result.id)
        if known is None or _badness(result) > _badness(known):
            worst[result.id] = result
    for result in planned:
        yield worst.pop(result.id, result)
    yield from worst.values()


def _badness(result: Result) -> int:
    return len(_WORST_FIRST) - _WORST_FIRST.index(result.outcome) if result.outcome in _WORST_FIRST else 0
