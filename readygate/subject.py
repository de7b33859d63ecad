"""What a run is about: project, version and commit, and when it was looked at."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from readygate import __version__
from readygate.inventory import Inventory
from readygate.profile import Profile
from readygate.results import NotAsked, Result, Run, State, Subject

# Where CI systems say which commit they build.
_CI_COMMITS = ("GITHUB_SHA", "CI_COMMIT_SHA", "BUILD_SOURCEVERSION", "CIRCLE_SHA1", "BITBUCKET_COMMIT")


def describe(
    inventory: Inventory,
    profile: Profile,
    state: State,
    results: tuple[Result, ...],
    problems: tuple[str, ...],
    not_asked: tuple[NotAsked, ...],
    started: datetime,
) -> Run:
    """A run of this inventory as it is stored; `started` is aware."""
    release = inventory.release
    return Run(
        run_id=f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
        subject=Subject(
            project=inventory.project,
            environment=inventory.environment,
            version=release.version,
            commit=release.commit or _commit(os.environ, inventory.root),
            images=release.images,
            pointed=inventory.pointed,
        ),
        profile=profile.name,
        state=state,
        started_at=_stamp(started),
        finished_at="" if state is State.RUNNING else _stamp(datetime.now(UTC)),
        tool_version=__version__,
        inventory_digest=inventory.digest,
        inventory=inventory.files,
        results=results,
        problems=problems,
        not_asked=not_asked,
    )


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _commit(environ: Mapping[str, str], root: Path) -> str:
    for name in _CI_COMMITS:
        if environ.get(name):
            return environ[name]
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
