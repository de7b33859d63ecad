"""What follows the verdict: the outputs that go elsewhere, the profile's hook, who is told. None of it changes it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from readygate.grounds import Grounds
from readygate.history import Kept
from readygate.notifying import notify
from readygate.profile import Profile
from readygate.redaction import REDACTOR
from readygate.results import Run
from readygate.store import write_atomically
from readygate.units import show_duration
from readygate.verdict import Verdict, Word

HEEDS_WITHIN = 10.0  # seconds that an interrupted hook has, such as a rollback, to end by itself

_MOST_SAID = 500


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that was done after the verdict; `said` is how it went."""

    what: str
    is_done: bool
    said: str

    def __str__(self) -> str:
        return f"{self.what}: {'' if self.is_done else 'FAILED, '}{self.said}"


def follow_up(run: Run, verdict: Verdict, profile: Profile, out: Path, root: Path, before: Kept | None) -> list[Deed]:
    """Do what the profile asks for, and note in afterwards.json beside the report how it went."""
    deeds = [
        *_copies(profile, out, root),
        *_hook(run, verdict, profile, out, root),
        *(Deed(*each) for each in notify(run, verdict, profile, before)),
    ]
    if deeds:
        noted = json.dumps([asdict(each) for each in deeds], ensure_ascii=False, indent=1)
        write_atomically(out / "afterwards.json", REDACTOR.redact(noted))
    return deeds


def keep(run: Run, verdict: Verdict, grounds: Grounds) -> list[Deed]:
    """Keep the run in the history and let go of what is too old; only what went wrong is told."""
    limit_s, history = grounds.profile.history.keep, grounds.history
    try:
        history.keep(run, verdict)
        if limit_s is not None:
            history.forget(run, limit_s, datetime.now(UTC))
    except OSError as error:
        return [Deed("keep in history", False, f"{error.filename or history.folder}: {error.strerror or error}")]
    return []


def _copies(profile: Profile, out: Path, root: Path) -> Iterator[Deed]:
    for name, wanted in profile.outputs.items():
        path = root / wanted
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, (out / name).read_text(encoding="utf-8"))
        except OSError as error:
            yield Deed(f"copy {name}", False, f"{wanted}: {error.strerror or error}")
        else:
            yield Deed(f"copy {name}", True, f"written to {wanted}")


def _hook(run: Run, verdict: Verdict, profile: Profile, out: Path, root: Path) -> Iterator[Deed]:
    if verdict.word is Word.NO_GO:
        name, command = "on_no_go", profile.on_no_go
    elif verdict.word in (Word.GO, Word.GO_WITH_WAIVERS):
        name, command = "on_go", profile.on_go
    else:
        return  # what was not proven is no reason to roll back
    if command is None:
        return
    told = {
        "READYGATE_WORD": verdict.word.value,
        "READYGATE_RUN": run.run_id,
        "READYGATE_OUT": str(out),
        "READYGATE_VERSION": run.subject.version,
        "READYGATE_ENVIRONMENT": run.subject.environment,
    }
    code, said = _ended(command, root, {**os.environ, **told}, profile.hook_limit)
    yield Deed(name, code == 0, said)


def _ended(command: str, root: Path, environ: dict[str, str], limit_s: float) -> tuple[int | None, str]:
    """The exit code, None where the time ran out, and how it ended in words."""
    running = subprocess.Popen(  # noqa: S602 - a shell command is what the profile holds
        command,
        shell=True,
        cwd=root,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        printed, _ = running.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()  # not for its output, which a process that got away may hold open
        return None, f"stopped after {show_duration(limit_s)}"
    except KeyboardInterrupt:
        for each in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(running.pid, each)
                running.communicate(timeout=HEEDS_WITHIN)
        raise
    said = REDACTOR.redact(" ".join(printed.split()))[-_MOST_SAID:]  # cut, a secret would not be known any more
    ended = f"exit code {running.returncode}"
    return running.returncode, f"{ended}: {said}" if said else ended
