"""Shards: one inventory looked at by several runs, and the one run that they make together."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from readygate.accounting import ANOTHER_SHARD
from readygate.errors import UsageError
from readygate.excuses import CLOCKS_APART
from readygate.results import Outcome, Result, Run, State
from readygate.spec import Leaf, Path
from readygate.store import merge
from readygate.units import show_duration

_CALLED = {"images": "image", "pointed": "--target"}


@dataclass(frozen=True, slots=True)
class Shard:
    """One part of a split inventory: the entries whose turn it is, counting them round."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """From `3/8`. Raises UsageError."""
        found = re.fullmatch(r"([1-9]\d{0,3})/([1-9]\d{0,3})", text)
        if not found or int(found[1]) > int(found[2]):
            raise UsageError(f"'{text}' is not a shard; write e.g. 3/8")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def entries(self, leaves: Iterable[Leaf]) -> frozenset[Path]:
        """The entries of this shard; what is declared of one server or site is never parted."""
        every = sorted({entry_of(leaf) for leaf in leaves}, key=str)
        return frozenset(every[self.number - 1 :: self.of])


def entry_of(leaf: Leaf) -> Path:
    """The top-level entry that a leaf stands in; data of the user's own, under an x- key, is one entry."""
    return leaf.path[: 1 if str(leaf.path[0]).startswith("x-") else 2]


def merged(runs: Sequence[Run], *, oldest_s: float, now: datetime) -> Run:
    """One run out of several of the same question; what is missing or stale is left unverified and named.

    Of the same shard the newest counts; of one result, the worst that any run saw. Raises UsageError for runs
    that can't be of one question.
    """
    _refuse_strangers(runs)
    newest = max(runs, key=lambda each: each.started_at)
    usable: list[Run] = []
    problems: list[str] = []
    for run in _latest_of_each_shard(runs):
        if wrong := _wrong_with(run, newest, oldest_s, now):
            problems.append(f"{_name(run)} can't be used: {wrong}")
        else:
            usable.append(run)
    problems += [f"shard {each} is missing" for each in _missing(runs)]
    problems += [f"{_name(run)}: {problem}" for run in usable for problem in run.problems]
    return replace(
        newest,
        run_id=f"{newest.run_id.partition('-')[0]}-{secrets.token_hex(3)}",
        state=_state(usable),
        started_at=min(each.started_at for each in usable or [newest]),
        finished_at=max(each.finished_at for each in usable or [newest]),
        results=_joined(usable or [replace(newest, results=())]),
        not_asked=tuple(dict.fromkeys(each for run in runs for each in run.not_asked)),
        problems=tuple(problems),
        shard="",
    )


def _refuse_strangers(runs: Sequence[Run]) -> None:
    if not runs:
        raise UsageError("there is nothing to merge; name two or more results.json or their folders")
    questions = {(each.subject.project, each.subject.environment, each.profile) for each in runs}
    if len(questions) > 1:
        said = ", ".join(sorted(" ".join(part for part in each if part) for each in questions))
        raise UsageError(f"these runs are of several projects, environments or profiles: {said}; merge those of one")
    splits = {Shard.parse(each.shard).of for each in runs if each.shard}
    if len(splits) > 1:
        said = " and ".join(map(str, sorted(splits)))
        raise UsageError(f"the inventory was split into {said} shards; merge those of one split")


def _latest_of_each_shard(runs: Sequence[Run]) -> Iterator[Run]:
    latest = {each.shard: each for each in sorted(runs, key=lambda each: each.started_at) if each.shard}
    yield from (each for each in runs if not each.shard or latest[each.shard] is each)


def _wrong_with(run: Run, newest: Run, oldest_s: float, now: datetime) -> str:
    age = now - datetime.fromisoformat(run.started_at)
    if run.inventory_digest != newest.inventory_digest:
        return f"it is of another inventory ({run.inventory_digest[:12]}, not {newest.inventory_digest[:12]})"
    for name in ("version", "commit", "images", "pointed"):
        if getattr(run.subject, name) != getattr(newest.subject, name):
            return f"it is of another {_CALLED.get(name, name)}"
    if age < -CLOCKS_APART:
        return f"it is dated {run.started_at}, which is yet to come"
    if age > timedelta(seconds=oldest_s):
        return f"it is older than the {show_duration(oldest_s)} that the profile allows"
    return ""


def _missing(runs: Sequence[Run]) -> Iterator[Shard]:
    shards = {Shard.parse(each.shard) for each in runs if each.shard}
    of = max((each.of for each in shards), default=0)
    yield from (Shard(number, of) for number in range(1, of + 1) if Shard(number, of) not in shards)


def _state(runs: Sequence[Run]) -> State:
    states = {each.state for each in runs}
    return next((each for each in (State.RUNNING, State.INTERRUPTED) if each in states), State.FINISHED)


def _joined(runs: Sequence[Run]) -> tuple[Result, ...]:
    """In the order of the inventory; of a line, what one run did not look at counts only where no other has."""
    everything = [each for run in runs for each in run.results]
    looked_at = {(each.id, each.path) for each in everything if each.outcome is not Outcome.NOT_RUN}
    telling = [each for each in everything if each.cause != ANOTHER_SHARD]
    seen = [each for each in telling if each.outcome is not Outcome.NOT_RUN or (each.id, each.path) not in looked_at]
    own = tuple(f"{each.path}." for each in seen if each.path.startswith("x-"))
    # A suite of the user's own answers for a line under an id that only the shard that ran it knows.
    planned = {each.id: each for each in everything if not (own and each.path.startswith(own))}
    return tuple(merge(seen, planned.values()))


def _name(run: Run) -> str:
    return f"shard {run.shard}" if run.shard else f"run {run.run_id}"
