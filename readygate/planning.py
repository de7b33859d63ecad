"""`readygate plan`: every expectation, and which suite verifies it, without looking at anything."""

from __future__ import annotations

import contextlib
import io
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from readygate.accounting import NO_SUITE
from readygate.attestations import FILE
from readygate.errors import ExitCode, UsageError
from readygate.excuses import ATTESTATION
from readygate.grounds import Grounds
from readygate.inventory import load
from readygate.policy import Policy
from readygate.redaction import REDACTOR
from readygate.session import Session
from readygate.spec import Leaf

_COLUMNS = ("check", "target", "severity", "owner", "line", "verified by")


def print_plan(path: Path, environment: str | None, *, as_json: bool) -> int:
    """Print the plan; exits INCOMPLETE where an expectation has no suite that verifies it."""
    rows = REDACTOR.redact_data(plan(path, environment))
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))  # noqa: T201
    else:
        widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in _COLUMNS}
        for row in ({name: name.upper() for name in _COLUMNS}, *rows):
            print("  ".join(row[name].ljust(widths[name]) for name in _COLUMNS).rstrip())  # noqa: T201
    missing = sum(row["verified by"] == NO_SUITE for row in rows)
    if missing and not as_json:
        print(f"\n{missing} of {len(rows)} expectations have no suite; such a run is INCOMPLETE")  # noqa: T201
    return ExitCode.INCOMPLETE if missing else ExitCode.GO


def plan(path: Path, environment: str | None) -> list[dict[str, str]]:
    """One row an expectation, in the order of the inventory, by column name."""
    inventory = load(path, environment, os.environ)
    policy = Policy(inventory.root)
    everything = policy.profile("release").model_copy(update={"leave_out": ()})
    grounds = Grounds.of(inventory.root, everything, datetime.now(UTC))
    session = Session(inventory, grounds, Path(os.devnull))
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = pytest.main(
            [
                *(str(suite) for suite in policy.suites()),
                f"--rootdir={inventory.root}",
                f"--inventory={path.absolute()}",
                f"--config-file={os.devnull}",
                *("--collect-only", "-q", "-p", "no:locust", "-p", "no:cacheprovider", "--import-mode=importlib"),
            ],
            plugins=[session],
        )
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise UsageError(f"the suites can't be collected:\n{said.getvalue().strip()}")
    bound = session.bound
    return [
        {
            "check": leaf.check,
            "target": leaf.target,
            "severity": str(leaf.severity or next((each.severity for each in bound.get(leaf.dotted, ())), "major")),
            "owner": leaf.owner or "",
            "line": str(leaf.position).rpartition(":")[0],
            "verified by": _verified_by(leaf, {each.suite for each in bound.get(leaf.dotted, ())}),
        }
        for leaf in inventory.leaves
    ]


def _verified_by(leaf: Leaf, suites: set[str]) -> str:
    return FILE if leaf.check == ATTESTATION else ", ".join(sorted(suites)) or NO_SUITE
