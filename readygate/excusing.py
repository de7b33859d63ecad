"""`readygate waive` and `readygate attest`: a person's word, written beside the inventory."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from readygate import attestations, waivers
from readygate.errors import ExitCode, Mistake, UsageError
from readygate.units import DAY, parse_duration


def write_waiver(
    inventory: Path,
    check: str,
    target: str,
    *,
    reason: str,
    owner: str,
    expires: str | None,
    lasting: str | None,
    approver: str,
    ticket: str,
    environment: str | None,
    covers_errors: bool,
) -> int:
    """Add a waiver from today on; exactly one of `expires` (a day) and `lasting` (such as 14d) says until when."""
    today = datetime.now(UTC).date()
    last = _last_day(today, expires, lasting)
    if last < today:
        raise UsageError(f"{last} has passed; a waiver is for what is still to come")
    added = waivers.waive(
        _folder(inventory),
        check,
        target,
        reason=reason,
        owner=owner,
        since=today,
        expires=last,
        approver=approver,
        ticket=ticket,
        environment=environment or "",
        covers_errors=covers_errors,
    )
    print(f"added to {inventory.parent / waivers.FILE}:\n{added}", end="")  # noqa: T201
    return ExitCode.GO


def write_attestation(inventory: Path, name: str, *, by: str, evidence: str) -> int:
    """Add what somebody attests at this moment."""
    added = attestations.attest(_folder(inventory), name, by=by, at=datetime.now(UTC), evidence=evidence)
    print(f"added to {inventory.parent / attestations.FILE}:\n{added}", end="")  # noqa: T201
    return ExitCode.GO


def _folder(inventory: Path) -> Path:
    """Where the inventory stands, since only a run of that reads what is written there."""
    if not inventory.is_file():
        raise UsageError(f"{inventory}: does not exist; go to its folder, or name it with --inventory")
    return inventory.parent


def _last_day(today: date, expires: str | None, lasting: str | None) -> date:
    if lasting is None:
        try:
            return date.fromisoformat(expires or "")
        except ValueError:
            raise UsageError(f"'{expires}' is not a day; write e.g. --expires {today + timedelta(14)}") from None
    try:
        seconds = parse_duration(lasting)
    except Mistake as mistake:
        raise UsageError(f"--for: {mistake}") from None
    if seconds < DAY or seconds > 3660 * DAY:
        raise UsageError(f"--for {lasting} is not a number of days; write e.g. --for 14d")
    return today + timedelta(seconds=seconds)
