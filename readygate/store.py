"""results.json: written so that a crash at any moment leaves the truth so far or nothing, and never a GO.

At the start the file says that a run is under way and that nothing was verified. Each result is then appended
to a journal beside it, and the end replaces the file at one stroke. Whoever reads a file whose run never came
to its end gets what the journal holds, and a state that can't be GO.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, get_args

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from readygate.errors import UsageError
from readygate.profile import Output
from readygate.redaction import REDACTOR
from readygate.results import SCHEMA_VERSION, Outcome, Result, Run, State
from readygate.verdict import Verdict

RESULTS = "results.json"
JOURNAL = "results.journal"
# What is drawn from a finished run; an unfinished one leaves none of an earlier run's beside its own results.
OUTPUTS = (*get_args(Output), "afterwards.json")

SEAL = "sha256"  # the key of results.json that says what the rest of it was when it was written

_RUN = TypeAdapter(Run)
_RESULT = TypeAdapter(Result)
_RUN_ID = re.compile(r"\w[\w.-]*")  # it becomes the name of a file
_ONLY_DECIDED = (Outcome.WAIVED, Outcome.ATTESTED)
_HELD: dict[Path, int] = {}  # by folder; a look in a process of its own shares what the command holds


def encode(result: Result) -> dict[str, Any]:
    """A result as plain JSON data, redacted."""
    data: dict[str, Any] = REDACTOR.redact_data(_RESULT.dump_python(result, mode="json"))
    return data


def decode(data: Any) -> Result:
    return _RESULT.validate_python(data)


def unwritable(path: Path, error: OSError) -> UsageError:
    """What to say of a place that can't be written to."""
    return UsageError(f"{path}: can't be written to: {_said(error)}; name another folder")


def unwritable_file(file: Path, error: OSError, mend: str) -> UsageError:
    """What to say of a file of the user's own, which can't be another one."""
    return UsageError(f"{file}: can't be written: {_said(error)}; {mend}")


def _said(error: OSError) -> str:
    return (error.strerror or "unusable").lower()


def hold(folder: Path) -> None:
    """Keep every other run out of a folder until this process ends, however it ends. Raises UsageError."""
    folder = folder.absolute()
    is_in_its_hook = "READYGATE_RUN" in os.environ and os.environ.get("READYGATE_OUT") == str(folder)
    if folder in _HELD or is_in_its_hook:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise unwritable(folder, error) from None
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(opened)
        raise UsageError(
            f"{folder}: another run is writing there; wait for its end, or name another folder"
        ) from None
    except OSError:
        pass  # NFS locks no folders
    _HELD[folder] = opened


class Store:
    """The folder that a run's results are written to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._journal = folder / JOURNAL
        self._noting: BinaryIO | None = None

    def begin(self, run: Run) -> None:
        """Replace whatever an earlier run left: from now on the file says that nothing is known yet.

        Raises UsageError where the folder can't be written to, or another run is at it.
        """
        self.close()
        try:
            hold(self.folder)
            for stale in (RESULTS, JOURNAL, *OUTPUTS):
                (self.folder / stale).unlink(missing_ok=True)
                for left in self.folder.glob(f".{stale}.[0-9]*"):  # by a run that was killed while it wrote
                    left.unlink(missing_ok=True)
            self._write(run, None)
        except OSError as error:
            raise unwritable(self.folder, error) from None

    def append(self, result: dict[str, Any]) -> None:
        """Note one result so that it survives whatever comes next."""
        if self._noting is None:
            self._noting = self._journal.open("ab")
        self._noting.write(to_json(result) + b"\n")
        self._noting.flush()

    def close(self) -> None:
        """Let go of the journal, and leave it as it is."""
        if self._noting is not None:
            self._noting.close()
            self._noting = None

    def finish(self, run: Run, verdict: Verdict) -> Path:
        """Replace the file by the whole truth; returns its path."""
        self.close()
        self._write(run, verdict)
        self._journal.unlink(missing_ok=True)
        return self.folder / RESULTS

    def _write(self, run: Run, verdict: Verdict | None) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)  # an interruption may come before the beginning
        write_atomically(self.folder / RESULTS, document(run, verdict, indent=1))


def document(run: Run, verdict: Verdict | None, indent: int | None = None, **more: Any) -> str:
    """A run and what `decide` said of it, as they are stored: redacted JSON, sealed.

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
    data = REDACTOR.redact_data(data) | more
    return to_json({**data, SEAL: _seal(data)}, indent=indent).decode()


def _seal(data: dict[str, Any]) -> str:
    """Tells a changed file from a written one; it is no signature, and whoever can count can renew it."""
    rest = {key: value for key, value in data.items() if key != SEAL}
    return sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that its reader sees the old text or the new one, also after a power cut."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def load(path: Path) -> Run:
    """A stored run, from a results.json or the folder that holds one.

    Raises UsageError where there is none, where it is of another schema version, or isn't as a run wrote it.
    """
    file = path / RESULTS if path.is_dir() else path
    data = read_document(file)
    try:
        run = _RUN.validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{file}: {where}: {first['msg'].lower()}; run `readygate run` again") from None
    if wrong := _wrong_with(run) or ("" if is_sealed(data) else "it was changed after it was written"):
        raise UsageError(f"{file}: {wrong}; run `readygate run` again")
    return run if run.state is State.FINISHED else _with_journal(run, file.with_name(JOURNAL))


def is_sealed(data: dict[str, Any]) -> bool:
    """Whether what was read is what was written."""
    return data.get(SEAL) == _seal(data)


def _wrong_with(run: Run) -> str:
    """What no run of ours would have written."""
    if not _RUN_ID.fullmatch(run.run_id):
        return f"run_id: {run.run_id[:40]!r} is not the id of a run"
    for name, stamp in (("started_at", run.started_at), ("finished_at", run.finished_at)):
        if not (_is_moment(stamp) or (name == "finished_at" and not stamp)):
            return f"{name}: {stamp[:40]!r} is not a time"
    decided = next((each for each in run.results if each.outcome in _ONLY_DECIDED), None)
    return f"{decided.id} is {decided.outcome.value}, which is for the verdict to say" if decided else ""


def _is_moment(stamp: str) -> bool:
    try:
        return datetime.fromisoformat(stamp).tzinfo is not None
    except ValueError:
        return False


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
    seen = [each for each in seen if each.outcome not in _ONLY_DECIDED]
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
