"""How long the newest copy can't be deleted by anybody, as a store that speaks S3 tells it of the file itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from shlex import quote
from typing import Any

from readygate.areas.backups.offsite import Copies, Offsite, ask_store, complaint_of, inside, rclone
from readygate.errors import CouldNotLook
from readygate.results import Evidence

# No command of rclone tells of locks, but the answers that it gets do, and those it can show. Of these only the
# lines that are needed leave the server; the date is of rclone's own request, which only S3 has so.
_WANTED = '^x-amz-(date|object-lock-(mode|retain-until-date)):|"IsDir": *false'


@dataclass(frozen=True, slots=True)
class Lock:
    """How long the newest copy is still locked; None where nothing keeps it, for the reason."""

    left_s: float | None
    reason: str
    evidence: tuple[Evidence, ...] = ()


def observe_lock(host: Any, backup: Any, offsite: Offsite, copies: Copies) -> Lock:
    """What the store says of the newest copy's retention. CouldNotLook: it speaks no S3, or can't be asked."""
    if not copies.found:
        return Lock(None, f"there is no copy at {offsite.place}")
    path = inside(offsite.place, copies.found[0].path)
    script = f"""
said=$({rclone(offsite, "lsjson", "--stat", "--dump", "headers")} {quote(path)} 2>&1)
ended=$?
printf '%s\\n' "$said" | grep -aiE {quote(_WANTED)}
[ "$ended" = 0 ] || {{ printf '%s\\n' "$said" | grep -aE ' ERROR : |Failed' | tail -n 1; echo "exit $ended"; }} >&2
exit 0"""
    answer = ask_store(host, backup, offsite, script)
    told = re.findall(r"^x-amz-(date|object-lock-mode|[a-z-]+-until-date): *(.*?)\r?$", answer.text, re.I | re.M)
    if answer.errors or not told or "IsDir" not in answer.text:
        why = complaint_of(answer.errors) if answer.errors else "it may not be asked" if told else "it speaks no S3"
        raise CouldNotLook(
            f"{offsite.place} does not tell whether {copies.found[0].path} is locked: {why}",
            mend="let rclone reach it by its S3 API; else look at it by hand, and write that as an attestation",
        )
    modes = {value for name, value in told if name.lower().endswith("mode")}
    until = min((value for name, value in told if name.lower().endswith("until-date")), default=None)
    lock = _lock(path, modes, until, copies.asked_at)
    return Lock(lock.left_s, lock.reason, (Evidence(f"is {path} locked?", lock.reason),))


def _lock(path: str, modes: set[str], until: str | None, asked_at: int) -> Lock:
    if not modes or until is None:
        return Lock(None, f"{path} has no retention, or the key may not see it (s3:GetObjectRetention)")
    if modes != {"COMPLIANCE"}:
        return Lock(None, f"{path} is locked in the mode {', '.join(sorted(modes))}, which a key may lift")
    try:
        left_s = datetime.fromisoformat(until.replace("Z", "+00:00")).timestamp() - asked_at
    except ValueError as error:
        raise CouldNotLook(f"{path} is locked until {until!r}, which is no time that is known") from error
    return Lock(left_s, f"{path} can't be deleted until {until}")
