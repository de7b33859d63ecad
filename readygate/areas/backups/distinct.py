"""How many of the backups differ from each other: seven names of one dump are not a week of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from shlex import quote
from typing import Any

from readygate.areas.asking import ask
from readygate.areas.backups.artifacts import Artifact
from readygate.results import Evidence

_AT_ONCE = 100  # a command has room for some hundred paths


@dataclass(frozen=True, slots=True)
class Distinct:
    """How many there are that aren't the bytes of another, and two names of the same where there are any."""

    count: int | None
    reason: str
    evidence: tuple[Evidence, ...] = ()


def observe_distinct(host: Any, backup: Any, artifacts: Any) -> Distinct:
    """Only those of one size are read: of what is packed the end, which has its checksum, of others everything."""
    sizes = defaultdict[int, list[Artifact]](list)
    for each in artifacts.kept:
        sizes[each.size].append(each)
    alike = [each for group in sizes.values() if len(group) > 1 for each in group]
    digests = dict(zip(alike, _digests(host, backup, alike), strict=True))
    first: dict[tuple[int, str], Artifact] = {}
    repeated = ""
    for each in alike:
        known = first.setdefault((each.size, digests[each]), each)
        if known is not each:
            repeated = f"{each.shown} has the same bytes as {known.shown}"
    count = len(artifacts.kept) - len(alike) + len(first)
    reason = f"{count} of {len(artifacts.kept)} differ" + (f": {repeated}" if repeated else "")
    return Distinct(count if artifacts.found else None, reason, (Evidence(f"do {backup.path} differ?", reason),))


def _digests(host: Any, backup: Any, artifacts: Sequence[Artifact]) -> list[str]:
    digests: list[str] = []
    for start in range(0, len(artifacts), _AT_ONCE):
        some = artifacts[start : start + _AT_ONCE]
        reading = [f"{'tail -c 65536' if each.kind.unpacker else 'cat'} < {quote(each.path)}" for each in some]
        script = "\n".join(f"{each} | sha256sum" for each in reading)
        digests += ask(host, backup.on, f"set -e\n{script}", within=backup.within).text.split()[::2]
    return digests
