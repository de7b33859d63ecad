"""waivers.yml: failures that somebody answers for until a day; read here, judged by `decide`."""

from __future__ import annotations

from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import Field, model_validator

from readygate.errors import Mistake
from readygate.excuses import Waiver
from readygate.listed import Day, Said, add_entry, read_entries
from readygate.spec import Setting

FILE = "waivers.yml"

# Nobody's check and nobody's target: a glob that matches both of a pair is meant for everything.
_STRANGERS = ("q0.q0", "zz.zz"), ("q0", "zz:zz")


class WaiverEntry(Setting):
    """One waiver as it is written."""

    check: Said = Field(description="The id of a check, or a glob such as `tls.*`.")
    target: Said = Field("*", description="What it is waived on, or a glob such as `app-1:*`.")
    reason: Said = Field(description="Why the release may go out all the same.")
    owner: Said = Field(description="Who answers for it and mends it.")
    approver: Said | None = Field(None, description="Who agreed.")
    ticket: Said | None = Field(None, description="Where the mending is tracked.")
    since: Day | None = Field(None, description="Its first day in UTC, from which its age is counted.")
    expires: Day = Field(description="Its last day in UTC, that day included, as in 2026-03-31.")
    environment: Said | None = Field(None, description="The only environment that it is for.")
    covers_errors: bool = Field(False, description="Also excuse that the check could not look.")

    @model_validator(mode="after")
    def _makes_sense(self) -> WaiverEntry:
        checks, targets = _STRANGERS
        if all(fnmatchcase(each, self.check) for each in checks) and all(
            fnmatchcase(each, self.target) for each in targets
        ):
            raise Mistake("waives everything", "name the check, the target, or an area such as tls.*")
        if self.since is not None and self.expires < self.since:
            raise Mistake(f"ends on {self.expires}, before it begins on {self.since}", "correct one of the two days")
        return self


def read_waivers(root: Path) -> tuple[Waiver, ...]:
    """Those beside the inventory. Raises InventoryError with every mistake in the file."""
    return tuple(
        Waiver(
            check=entry.check,
            target=entry.target,
            reason=entry.reason,
            owner=entry.owner,
            expires=entry.expires,
            covers_errors=entry.covers_errors,
            approver=entry.approver or "",
            ticket=entry.ticket or "",
            since=entry.since,
            environment=entry.environment or "",
            place=f"{place.file}:{place.line}",
        )
        for entry, place in read_entries(root / FILE, FILE, "waivers", WaiverEntry)
    )


def waive(
    root: Path,
    check: str,
    target: str,
    *,
    reason: str,
    owner: str,
    since: date,
    expires: date,
    approver: str = "",
    ticket: str = "",
    environment: str = "",
    covers_errors: bool = False,
) -> str:
    """Add a waiver to the file beside the inventory; returns the text that was added."""
    fields: dict[str, str | bool] = {
        "check": check,
        "target": target,
        "reason": reason,
        "owner": owner,
        "approver": approver,
        "ticket": ticket,
        "since": since.isoformat(),
        "expires": expires.isoformat(),
        "environment": environment,
        "covers_errors": covers_errors,
    }
    return add_entry(root / FILE, "waivers", WaiverEntry, fields)
