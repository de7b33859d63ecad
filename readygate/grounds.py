"""What a run is judged on: the profile, and what stands beside the inventory: waivers, attestations, earlier runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from readygate.attestations import Word, holding, read_attestations
from readygate.excuses import CLOCKS_APART, Finding, Waiver
from readygate.history import FOLDER, History
from readygate.profile import Profile
from readygate.results import Run
from readygate.signatures import signature_of
from readygate.verdict import Verdict, decide
from readygate.waivers import read_waivers

_BRING_BACK = "bring it back from where the history is kept; until then each failure counts as new"
_SET_THE_CLOCK = "set the clock; until then each failure counts as new"
_MOST = 5


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
        waivers, words = read_waivers(root), read_attestations(root, now)
        if profile.signed is not None:
            names = {each.file for each in waivers} | {each.file for each in words}
            signatures = {name: signature_of(root / name, profile.signed, root) for name in names}
            waivers = tuple(replace(each, signature=signatures[each.file]) for each in waivers)
            words = tuple(replace(each, signature=signatures[each.file]) for each in words)
        return cls(profile, waivers, words, History(root))

    def previous(self, run: Run) -> Run | None:
        """The last green run of the same question."""
        return self.history.last_green(run)

    def judge(self, run: Run, now: datetime) -> Verdict:
        """Where the history is not whole, or the clock was set back, no failure counts as known from it."""
        previous = self.previous(run)
        wounds = self.history.wounds(previous) if previous else ()
        doubts = [Finding(f"The kept run {each} {why}", _BRING_BACK, str(FOLDER)) for each, why in wounds]
        newest = self.history.newest()
        if newest is not None and newest.started_at > now + CLOCKS_APART:
            doubts.append(Finding(f"The kept run {newest.run_id} is yet to come", _SET_THE_CLOCK, str(FOLDER)))
        verdict = decide(
            run,
            self.profile,
            now=now,
            waivers=self.waivers,
            attestations=tuple(holding(self.words, run.results)),
            previous=None if doubts else previous,
        )
        return replace(verdict, findings=(*verdict.findings, *doubts[:_MOST]))
