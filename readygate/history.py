"""Every run that was ended, kept unchanged under .readygate/history: the last green one, what changes, what flaps."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from readygate.errors import UsageError
from readygate.results import Outcome, Result, Run
from readygate.store import SEAL, document, is_sealed, load, read_document, write_atomically
from readygate.verdict import Verdict, Word

FOLDER = Path(".readygate") / "history"

FORGOTTEN = ".forgotten"  # what an empty file ends in that stands for a run that retention has deleted

_GREEN = (Word.GO, Word.GO_WITH_WAIVERS)
_READ_ONLY = 0o444


@dataclass(frozen=True, slots=True)
class Kept:
    """One kept run in short; `outcomes` by the identity of each result, as they counted.

    `follows` is the id and the seal of the one that was kept before it.
    """

    path: Path
    run_id: str
    profile: str
    environment: str
    pointed: tuple[str, ...]
    version: str
    commit: str
    started_at: datetime
    word: str
    counts: dict[str, int]
    outcomes: dict[str, str]
    seal: str
    follows: tuple[str, str] | None

    @property
    def is_green(self) -> bool:
        return self.word in _GREEN


@dataclass(frozen=True, slots=True)
class History:
    """The runs that are kept beside an inventory, the oldest first."""

    root: Path

    @property
    def folder(self) -> Path:
        return self.root / FOLDER

    def keep(self, run: Run, verdict: Verdict) -> Path:
        """Keep a run for good. Raises OSError where it can't be written, or was kept before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{run.run_id}.json"
        beside = path.with_suffix(".new")
        newest = self.newest()
        write_atomically(beside, document(run, verdict, follows=newest and [newest.run_id, newest.seal]))
        beside.chmod(_READ_ONLY)
        try:
            os.link(beside, path)  # unlike a rename, this never replaces what is there
        finally:
            beside.unlink()
        return path

    def runs(self) -> Iterator[Kept]:
        """Each kept run; a file that can't be read is passed over, since it says nothing of any other."""
        for path in self._paths():
            with suppress(UsageError, KeyError, ValueError):
                yield _in_short(path)

    def wounds(self, since: Run | None = None) -> Iterator[tuple[str, str]]:
        """The runs that are missing, or not as they were kept, by id; the newest can go without a trace.

        `since` leaves out what was kept before that one.
        """
        paths = [path for path in self._paths() if since is None or path.stem >= since.run_id]
        whole: dict[str, Kept] = {}
        for path in paths:
            try:
                whole[path.stem] = _in_short(path)
            except (UsageError, KeyError, ValueError):
                yield path.stem, "can't be read, or was changed after it was kept"
        for earlier, seal in dict.fromkeys(each.follows for each in whole.values() if each.follows):
            if earlier in whole and whole[earlier].seal != seal:
                yield earlier, "is not the run that was kept under this id"
            elif not any((self.folder / f"{earlier}{ending}").exists() for ending in (".json", FORGOTTEN)):
                yield earlier, "is missing"

    def newest(self) -> Kept | None:
        """The last run that was kept, of whatever question."""
        for path in reversed(self._paths()):
            with suppress(UsageError, KeyError, ValueError):
                return _in_short(path)
        return None

    def last_green(self, run: Run) -> Run | None:
        """The newest GO before this run with the same profile, environment and `--target`."""
        for path in reversed(self._paths()):
            with suppress(UsageError, KeyError, ValueError):
                kept = _in_short(path)
                if kept.is_green and _is_earlier(kept, run):
                    return load(path)
        return None

    def latest(self, run: Run, most: int) -> tuple[Run, ...]:
        """The newest runs before this one that asked the same, the oldest of them first."""
        found: list[Run] = []
        for path in reversed(self._paths()):
            with suppress(UsageError, KeyError, ValueError):
                if len(found) < most and _is_earlier(_in_short(path), run):
                    found.append(load(path))
        return tuple(reversed(found))

    def last(self, run: Run) -> Kept | None:
        """The newest run before this one that asked the same, whatever its verdict."""
        earlier = [each for each in self.runs() if _is_earlier(each, run)]
        return earlier[-1] if earlier else None

    def find(self, name: str) -> Run:
        """A kept run by its id or the beginning of it, or any stored run by its path. Raises UsageError."""
        if Path(name).exists():
            return load(Path(name))
        found = [path for path in self._paths() if path.stem.startswith(name)]
        if len(found) == 1:
            return load(found[0])
        if found:
            raise UsageError(f"{len(found)} kept runs begin with '{name}'; write more of the id")
        raise UsageError(
            f"no run is called '{name}'; name a results.json, its folder, or an id of `readygate history`"
        )

    def forget(self, run: Run, older_than_s: float, now: datetime) -> int:
        """Delete older runs that asked the same, but never the last green one; returns how many."""
        green = self.last_green(run)
        old = [
            each
            for each in self.runs()
            if _is_earlier(each, run)
            and now - each.started_at > timedelta(seconds=older_than_s)
            and not (green and each.run_id == green.run_id)
        ]
        for each in old:
            each.path.with_suffix(FORGOTTEN).touch()
            each.path.unlink(missing_ok=True)
        return len(old)

    def _paths(self) -> list[Path]:
        """The oldest first; ids tell the second, and within one the file that was written first comes first.

        What was forgotten stays so, though a bucket may bring it back.
        """
        paths = [path for path in self.folder.glob("*.json") if not path.with_suffix(FORGOTTEN).exists()]
        return sorted(paths, key=lambda path: (path.name.partition("-")[0], path.stat().st_mtime_ns))


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed from one run to another, by identity; results of the second, but for `gone`."""

    failing: tuple[Result, ...]
    mended: tuple[Result, ...]
    new: tuple[Result, ...]
    gone: tuple[Result, ...]
    still_open: tuple[Result, ...]


def compare(before: Run, after: Run) -> Difference:
    """As both were seen, before any waiver: what is met no more, met again, added and dropped."""
    earlier = {each.id: each for each in before.results}
    later = {each.id for each in after.results}
    both = [(each, _is_met(earlier[each.id]), _is_met(each)) for each in after.results if each.id in earlier]
    return Difference(
        failing=tuple(each for each, was_met, is_met in both if was_met and not is_met),
        mended=tuple(each for each, was_met, is_met in both if is_met and not was_met),
        new=tuple(each for each in after.results if each.id not in earlier),
        gone=tuple(each for each in before.results if each.id not in later),
        still_open=tuple(each for each, was_met, is_met in both if not was_met and not is_met),
    )


def flapping(runs: Sequence[Kept], at_least: int = 3) -> dict[str, int]:
    """Which checks went to and fro how many times, the worst first; not being able to look says nothing."""
    changes: dict[str, int] = {}
    latest: dict[str, bool] = {}
    for identity, is_met in ((identity, met) for run in runs for identity, met in _seen(run)):
        if latest.get(identity, is_met) is not is_met:
            changes[identity] = changes.get(identity, 0) + 1
        latest[identity] = is_met
    often = {identity: count for identity, count in changes.items() if count >= at_least}
    return dict(sorted(often.items(), key=lambda each: (-each[1], each[0])))


def times_to_mend(runs: Iterable[Kept]) -> tuple[float, ...]:
    """Seconds from the first run that saw a check fail to the first that saw it met again, for each time."""
    broken: dict[str, datetime] = {}
    times = []
    for run in runs:
        for identity, is_met in _seen(run):
            if not is_met:
                broken.setdefault(identity, run.started_at)
            elif identity in broken:
                times.append((run.started_at - broken.pop(identity)).total_seconds())
    return tuple(times)


def usual_time_to_mend(runs: Iterable[Kept]) -> float | None:
    """The median in seconds; None where nothing was ever mended."""
    times = times_to_mend(runs)
    return median(times) if times else None


def _seen(run: Kept) -> Iterator[tuple[str, bool]]:
    for identity, outcome in run.outcomes.items():
        if outcome in (Outcome.PASSED, Outcome.FAILED, Outcome.WAIVED):
            yield identity, outcome == Outcome.PASSED


def _is_met(result: Result) -> bool:
    return result.outcome in (Outcome.PASSED, Outcome.ATTESTED)


def _is_earlier(kept: Kept, run: Run) -> bool:
    """Whether it asked the same question before."""
    subject = run.subject
    question = (run.profile, subject.environment, subject.pointed)
    asks_the_same = (kept.profile, kept.environment, kept.pointed) == question
    return asks_the_same and kept.started_at < datetime.fromisoformat(run.started_at)


def _in_short(path: Path) -> Kept:
    data: dict[str, Any] = read_document(path)
    if not is_sealed(data) or data["run_id"] != path.stem:
        raise ValueError
    subject, verdict = data["subject"], data["verdict"] or {}
    excused = verdict.get("excused", {})
    identities = {f"{each['check']} @ {each['target']}": each["outcome"] for each in data["results"]}
    return Kept(
        path=path,
        run_id=data["run_id"],
        profile=data["profile"],
        environment=subject["environment"],
        pointed=tuple(subject.get("pointed", ())),
        version=subject["version"],
        commit=subject["commit"],
        started_at=datetime.fromisoformat(data["started_at"]),
        word=verdict.get("word", ""),
        counts=verdict.get("coverage", {}),
        outcomes={**identities, **excused},
        seal=data[SEAL],
        follows=tuple(data["follows"]) if data.get("follows") else None,
    )


def as_json(runs: Iterable[Kept]) -> str:
    """What a program needs of each run."""
    return json.dumps(
        [
            {
                "run_id": each.run_id,
                "started_at": each.started_at.isoformat(),
                "profile": each.profile,
                "environment": each.environment,
                "pointed": each.pointed,
                "version": each.version,
                "commit": each.commit,
                "word": each.word,
                "coverage": each.counts,
            }
            for each in runs
        ],
        indent=2,
        ensure_ascii=False,
    )
