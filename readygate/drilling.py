"""`readygate drill`: which restores are declared, and one of them now, step by step."""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from readygate.areas.backups.repository_drills import drill_now, what_it_does
from readygate.areas.backups.restore_drills import Drill, ScratchDrill, judged
from readygate.drills import records
from readygate.errors import ExitCode, UsageError
from readygate.expectation import Level, explain
from readygate.fleet import open_host
from readygate.inventory import Inventory, load
from readygate.redaction import REDACTOR


def list_drills(path: Path, environment: str | None) -> int:
    """Print what each declared drill would do; nothing is looked at."""
    inventory = load(path, environment, os.environ)
    drills = _declared(inventory)
    for name, backup in drills.items():
        _say(f"{name}: {what_it_does(backup)}")
    if not drills:
        _say("no backup has a `restore_drill`")
    return ExitCode.GO


def drill(path: Path, environment: str | None, name: str, out: Path) -> int:
    """Restore one backup now, say how it goes, and judge what is declared of it; returns the exit code."""
    inventory = load(path, environment, os.environ)
    drills = _declared(inventory)
    if name not in drills:
        close = get_close_matches(name, drills, 1)
        known = f"did you mean '{close[0]}'?" if close else f"declared are: {', '.join(drills) or 'none'}"
        raise UsageError(f"no restore drill is declared for '{name}'; {known}")
    backup = drills[name]
    records.keep_in(out)
    _say(f"{name}: {what_it_does(backup)}")

    def hosts(named: str) -> Any:
        server: Any = inventory.entries["servers"][named]
        return open_host(server.connect, sudo=server.sudo, sudo_user=server.sudo_user)

    seen = drill_now(hosts(backup.on), backup, hosts, lambda step: _say(f"  {step}"))
    return _judge(seen, backup.restore_drill)


def _judge(seen: Drill, declared: ScratchDrill) -> int:
    _say(seen.reason)
    failed = False
    for expectation, actual in judged(seen, declared):
        level = expectation.judge(actual).level
        failed = failed or level is Level.FAIL
        _say(f"  {level.upper():5} {explain(expectation, actual)}")
    return ExitCode.NO_GO if failed else ExitCode.GO


def _declared(inventory: Inventory) -> Mapping[str, Any]:
    """All that have a drill, by their names. UsageError: two have one name."""
    found: dict[str, Any] = {}
    for section in ("backups", "backup_repositories"):
        entries: Mapping[str, Any] = inventory.entries.get(section, {})
        for name, backup in entries.items():
            if backup.restore_drill and found.setdefault(name, backup) is not backup:
                raise UsageError(f"two restore drills are called '{name}'; give one of the two another name")
    return found


def _say(text: str) -> None:
    print(REDACTOR.redact(text), flush=True)  # noqa: T201 - the command's own output
