"""`readygate waive` and `readygate attest`: a person's word, written beside the inventory."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path

from readygate import attestations, waivers
from readygate.errors import ExitCode, InventoryError, Mistake, UsageError
from readygate.inventory.compose import compose
from readygate.inventory.source import to_data
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
    """Add what somebody attests at this moment. UsageError: no environment of the inventory asks for it."""
    folder, declared = _folder(inventory), _attestations_of(inventory)
    if declared and name not in declared:
        close = get_close_matches(name, declared, 1)
        known = f"did you mean '{close[0]}'?" if close else f"declared are: {', '.join(declared)}"
        raise UsageError(f"no attestation is called '{name}'; {known}")
    added = attestations.attest(folder, name, by=by, at=datetime.now(UTC), evidence=evidence)
    print(f"added to {inventory.parent / attestations.FILE}:\n{added}", end="")  # noqa: T201
    return ExitCode.GO


def _attestations_of(inventory: Path) -> tuple[str, ...]:
    """The names that the inventory has, without its variables: whoever attests need not know its secrets."""
    try:
        composed = compose(inventory, None)
        every = [composed, *(compose(inventory, each) for each in composed.environments)]
    except InventoryError:
        return ()  # what is wrong with it is for `lint` to say
    trees = (to_data(each.tree).get("attestations") for each in every)
    return tuple(dict.fromkeys(name for tree in trees if isinstance(tree, dict) for name in tree))


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
