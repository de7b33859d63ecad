"""attestations.yml and attestations/*.yml: a person's word, with evidence, for what no machine can see."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import yaml
from pydantic import Field

from readygate.conditions import Bound
from readygate.errors import InventoryError, Mistake, Problem
from readygate.excuses import ATTESTATION, CLOCKS_APART, Attestation
from readygate.expectation import Expectation
from readygate.kinds import DURATION
from readygate.listed import Moment, Said, add_entry, read_entries
from readygate.results import Result
from readygate.signatures import Signature
from readygate.spec import Setting

FILE = "attestations.yml"
FOLDER = "attestations"


class AttestationEntry(Setting):
    """One attestation as it is written."""

    name: Said = Field(description="What is attested, as the inventory has it under `attestations`.")
    by: Said = Field(description="Who says so.")
    at: Moment = Field(description="When it was so, in UTC: a day, or a time such as 2026-03-31T12:00Z.")
    evidence: Said = Field(description="What shows it: a link, or a sentence.")


@dataclass(frozen=True, slots=True)
class Word:
    """What somebody said, when; how long it holds is for the inventory to say. `at` is aware."""

    name: str
    by: str
    at: datetime
    evidence: str
    place: str
    signature: Signature | None = None

    @property
    def file(self) -> str:
        return self.place.rpartition(":")[0]


def read_attestations(root: Path, now: datetime) -> tuple[Word, ...]:
    """Those beside the inventory. Raises InventoryError with every mistake, a date to come among them."""
    words: list[Word] = []
    problems: list[Problem] = []
    for path in (root / FILE, *sorted((root / FOLDER).glob("*.yml"))):
        name = path.relative_to(root).as_posix()
        for entry, position in read_entries(path, name, "attestations", AttestationEntry):
            if entry.at > now + CLOCKS_APART:
                wrong = f"{entry.at:%Y-%m-%d %H:%M} UTC is yet to come"
                problems.append(Problem(position, "attestations", wrong, "attest what has been done, and when"))
            place = f"{position.file}:{position.line}"
            words.append(Word(entry.name, entry.by, entry.at, entry.evidence, place))
    if problems:
        raise InventoryError(problems)
    return tuple(words)


def holding(words: Iterable[Word], results: Sequence[Result]) -> Iterator[Attestation]:
    """Each word with the day, or the moment, until which it holds, by what the inventory expects of its age."""
    ages = {each.target: _ages(each.expected) for each in results if each.check == ATTESTATION}
    for word in words:
        warn, fail = ages.get(word.name, (None, None))
        expires = word.at + fail if fail is not None else word.at
        warns = (word.at + warn).date() if warn is not None else None
        ends = expires if expires - word.at < timedelta(days=1) else None
        yield Attestation(word.name, word.by, word.evidence, expires.date(), warns, word.place, word.signature, ends)


def attest(root: Path, name: str, *, by: str, at: datetime, evidence: str) -> str:
    """Add an attestation to the file beside the inventory; returns the text that was added."""
    fields = {"name": name, "by": by, "at": f"{at:%Y-%m-%dT%H:%MZ}", "evidence": evidence}
    return add_entry(root / FILE, "attestations", AttestationEntry, fields)


def _ages(expected: str) -> tuple[timedelta | None, timedelta | None]:
    """From which age on it warns, and fails; `expected` is the inventory's `every` as it was written."""
    try:
        every = Expectation.parse(yaml.safe_load(expected), DURATION, "<=")
    except (Mistake, yaml.YAMLError):
        return None, timedelta(0)
    return _limit(every.warn), _limit(every.fail)


def _limit(conditions: Iterable[object]) -> timedelta | None:
    limits = [each.limit for each in conditions if isinstance(each, Bound) and "<" in each.sign]
    return timedelta(seconds=min(limits)) if limits else None
