"""The GitLab code-quality report: what is not in order, as the merge request's widget shows it at its line."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from readygate.reporting.reading import badness, kind
from readygate.reporting.visible import cut, one_line
from readygate.results import Outcome, Result, Run
from readygate.verdict import Verdict

_LONGEST = 500
_SHOWN = ("failed", "error", "not_run", "warned")


def render_codequality(run: Run, verdict: Verdict) -> str:
    """A JSON list; an issue keeps its fingerprint for as long as its identity is the same, whatever its line."""
    issues = [_issue(each) for each in sorted(verdict.results, key=badness) if kind(each) in _SHOWN]
    return json.dumps(issues, ensure_ascii=False, indent=1) + "\n"


def _issue(result: Result) -> dict[str, Any]:
    said = result.warning or result.message or kind(result)
    severity = "info" if result.outcome is Outcome.PASSED else result.severity.value
    return {
        "description": cut(one_line(f"{result.id}: {said}"), _LONGEST),
        "check_name": one_line(result.check),
        "fingerprint": sha256(result.id.encode("utf-8", "replace")).hexdigest(),
        "severity": severity,
        "location": {"path": one_line(result.file) or "inventory.yml", "lines": {"begin": max(result.line, 1)}},
    }
