"""`readygate run` and `readygate report`: from an inventory, or from a stored run, to the written answer."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from readygate.errors import ExitCode, ReadygateError
from readygate.gate import Session
from readygate.inventory import load
from readygate.policy import Policy
from readygate.redaction import REDACTOR
from readygate.reporting.html import render_html
from readygate.reporting.junit import render_junit
from readygate.reporting.markdown import render_markdown
from readygate.reporting.terminal import render_terminal
from readygate.results import Run, State
from readygate.store import load as load_run
from readygate.store import write_atomically
from readygate.verdict import Verdict, decide

CHECK_LIMIT = 120  # seconds that one check may take, unless pytest's configuration says otherwise

_CONFIGURATIONS = ("pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")


def run(
    path: Path, environment: str | None, profile: str, out: Path, *, extra: Sequence[str] = (), cache: bool = True
) -> int:
    """Look at everything that the inventory declares, write the outputs, return the exit code.

    Raises UsageError before anything is looked at.
    """
    inventory = load(path, environment, os.environ)
    policy = Policy(inventory.root)
    session = Session(inventory, policy.profile(profile), out.absolute())
    config = next((inventory.root / name for name in _CONFIGURATIONS if (inventory.root / name).is_file()), None)
    status = pytest.main(
        [
            *(str(suite) for suite in policy.suites()),
            f"--rootdir={inventory.root}",
            f"--inventory={path.absolute()}",
            f"--results={session.out}",
            f"--profile={profile}",
            *([f"--env={environment}"] if environment else []),
            f"--config-file={config or os.devnull}",
            f"--timeout={CHECK_LIMIT}",
            *("-p", "no:locust"),
            *([] if cache else ["-p", "no:cacheprovider"]),
            *("-q", "--no-header", "--no-summary", "--tb=no", "--show-capture=no"),
            *("--import-mode=importlib", "--continue-on-collection-errors"),
            *extra,
        ],
        plugins=[session],
    )
    gate = session.gate
    if gate is None or gate.run is None or gate.verdict is None:
        if status == pytest.ExitCode.USAGE_ERROR:
            return ExitCode.USAGE
        raise ReadygateError(f"pytest ended with {int(status)} before there was anything to judge")
    _write(gate.run, gate.verdict, session.out, policy, "en")
    print(f"report: {_shown(session.out / 'report.html')}")  # noqa: T201
    return ExitCode.INTERRUPTED if gate.run.state is State.INTERRUPTED else gate.verdict.exit_code


def redraw(results: Path, root: Path, profile: str | None, language: str) -> int:
    """Judge a stored run again and draw its outputs beside it; returns the exit code of the verdict."""
    stored = load_run(results)
    policy = Policy(root.resolve())
    verdict = decide(stored, policy.profile(profile or stored.profile), now=datetime.now(UTC))
    out = results if results.is_dir() else results.parent
    _write(stored, verdict, out, policy, language)
    width = min(os.get_terminal_size().columns, 100) if sys.stdout.isatty() else 80
    text = render_terminal(stored, verdict, width=width, colour=sys.stdout.isatty())
    print(REDACTOR.redact(text))  # noqa: T201
    print(f"report: {_shown(out / 'report.html')}")  # noqa: T201
    return verdict.exit_code


def _write(run: Run, verdict: Verdict, out: Path, policy: Policy, language: str) -> None:
    page = render_html(
        run, verdict, now=datetime.now(UTC), language=language, template_dirs=policy.template_folders()
    )
    outputs = {
        "report.html": page,
        "junit.xml": render_junit(run, verdict),
        "summary.md": render_markdown(run, verdict),
    }
    for name, text in outputs.items():
        write_atomically(out / name, REDACTOR.redact(text))


def _shown(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
