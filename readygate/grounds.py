"""What a run is judged on: the profile, and what stands beside the inventory: waivers, attestations, earlier runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from readygate.attestations import Word, holding, read_attestations
from readygate.history import History
from readygate.profile import Profile
from readygate.results import Run
from readygate.verdict import Verdict, Waiver, decide
from readygate.waivers import read_waivers


@dataclass(frozen=True, slots=True)
class Grounds:
    """All that `decide` needs beside the run itself."""

    profile: Profile
    waivers: tuple[Waiver, ...]
    words: tuple[Word, ...]
    history: History

    @classmethod
    def of(cls, root: Path, profile: Profile, now: datetime) -> Grounds:
        """As they stand in the inventory's folder. Raises InventoryError with the mistakes in them."""
        return cls(profile, read_waivers(root), read_attestations(root, now), History(root))

    def previous(self, run: Run) -> Run | None:
        """The last green run of the same question."""
        return self.history.last_green(run)

    def judge(self, run: Run, now: datetime) -> Verdict:
        return decide(
            run,
            self.profile,
            now=now,
            waivers=self.waivers,
            attestations=tuple(holding(self.words, run.results)),
            previous=self.previous(run),
        )
