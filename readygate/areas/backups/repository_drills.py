"""The drill of a repository; and, of whatever has a drill, files or a repository, the one that is meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import PurePosixPath
from shlex import quote
from typing import Any

from readygate.announcing import announce
from readygate.areas.backups import restore_drills
from readygate.areas.backups.artifacts import stands_for_folder
from readygate.areas.backups.listing import WILD, observe_artifacts
from readygate.areas.backups.offsite import Hosts
from readygate.areas.backups.repositories import (
    BackupRepository,
    Snapshot,
    Snapshots,
    observe_snapshots,
    only,
    surroundings,
)
from readygate.areas.backups.restore_drills import Drill, concluded, drilled_there, recorded
from readygate.drills import records
from readygate.drills.repositories import Kept

# By tool, how it lists what is below a folder of a backup, and how it restores a path, or all where there is no `$1`.
_SCRIPTS: Mapping[str, tuple[str, str]] = {
    "restic": (
        "restic --repo {at} --no-lock --no-cache ls --json --recursive {name} {folder}",
        'restic --repo {at} --no-lock --no-cache restore {name} --target restored ${{2:+--include "/$2"}}',
    ),
    "borg": (
        "borg list --bypass-lock --json-lines --format '{{mtime}}' {at}::{name} pp:{folder}",
        'cd restored && borg extract --bypass-lock --noacls --noxattrs --noflags {at}::{name} ${{1:+"pp:$1"}}',
    ),
}


def what_it_does(entry: Any) -> str:
    """What the drill of a backup, or of a repository, will do, for whoever has to allow it."""
    drill = entry.restore_drill
    if not isinstance(entry, BackupRepository):
        return restore_drills.what_it_does(entry, drill)
    wanted, done = "all", "its files are counted, and it is removed"
    if drill.file:
        wanted = f"the newest {drill.file}"
        done = "restored there by an unprivileged user into a server without a network, asked, and removed"
    compared = "; the rows of the live database are counted" if drill.live else ""
    return (
        f"{wanted} in the newest backup in {entry.at} is brought back by the {entry.tool} of {entry.on} "
        f"into a scratch folder there, {done}: {drill.room}{compared}"
    )


def observe_drill(host: Any, entry: Any, hosts: Hosts) -> Drill:
    """The last drill, where it is not due again and all that it showed still holds; else a new one."""
    drill = entry.restore_drill
    if not isinstance(entry, BackupRepository):
        return restore_drills.observe_drill(host, entry, drill, observe_artifacts(host, entry), hosts)
    snapshots = observe_snapshots(host, entry)
    last = recorded(entry.name, _asked(host, entry), drill, snapshots.asked_at) if snapshots.found else None
    if last:
        return last
    announce(f"drill {entry.name}: {what_it_does(entry)}")
    return _restore(host, entry, snapshots)


def drill_now(host: Any, entry: Any, hosts: Hosts, tell: Callable[[str], object]) -> Drill:
    """Restore the newest now, and keep a record of it where that succeeds. `tell` hears of each step."""
    if isinstance(entry, BackupRepository):
        return _restore(host, entry, observe_snapshots(host, entry), tell)
    return restore_drills.drill_now(host, entry, entry.restore_drill, observe_artifacts(host, entry), hosts, tell)


def _restore(
    host: Any,
    repository: BackupRepository,
    snapshots: Snapshots,
    tell: Callable[[str], object] = lambda step: None,
) -> Drill:
    drill: Any = repository.restore_drill
    if not snapshots.found:
        return Drill(f"there is no backup in {repository.at}")
    kept = _kept(repository, snapshots.found[0])
    tell(f"restore {drill.file or 'all'} of {kept.called} on {repository.on}")
    came = drilled_there(host, repository.on, drill, {"kept": asdict(kept)})
    asked = _asked(host, repository)
    return concluded(repository.name, came.artifact or kept.called, came, drill, asked, what_it_does(repository))


def _kept(repository: BackupRepository, newest: Snapshot) -> Kept:
    file = repository.restore_drill.file if repository.restore_drill else None
    listing, restoring = (
        surroundings(repository)
        + script.format(at=quote(repository.at), name=quote(newest.name), folder=quote(_folder_of(file or "/")))
        for script in _SCRIPTS[repository.tool]
    )
    name = newest.name[:8] if repository.tool == "restic" else newest.name  # as restic shows a digest
    return Kept(f"{repository.tool} {name}", listing, restoring, file, stands_for_folder(file or ""))


def _folder_of(pattern: str) -> str:
    """The folder that all files lie in or below that a pattern fits."""
    parts = PurePosixPath(pattern).parent.parts
    fixed = next((depth for depth, part in enumerate(parts) if WILD.search(part)), len(parts))
    return str(PurePosixPath(*parts[:fixed]))


def _asked(host: Any, repository: BackupRepository) -> str:
    """What was asked, and of which backups: another place by the same name is another."""
    drill: Any = repository.restore_drill
    questions = drill.questions
    asked = questions.values, questions.moments, questions.database, drill.live is not None, drill.file
    return records.digest_of(*asked, host.backend.get_pytest_id(), repository.tool, repository.at, only(repository))
