"""An in-toto test-result statement about what was judged, ready to be signed (cosign attest, or any DSSE signer)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from readygate.results import Outcome, Result, Run
from readygate.verdict import Verdict, Word

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"

_DIGEST = re.compile(r"(?P<name>.+)@(?P<algorithm>sha256|sha512):(?P<value>[0-9a-f]{64,128})")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_RESULT = {Word.GO: "PASSED", Word.GO_WITH_WAIVERS: "WARNED", Word.NO_GO: "FAILED", Word.INCOMPLETE: "FAILED"}


def render_intoto(run: Run, verdict: Verdict) -> str | None:
    """The statement, over each image named by digest and the commit; None where there is neither to sign for.

    A waived check is a warned test; one that was not verified is a failed test, as there is no third way.
    """
    subject = list(_subjects(run))
    if not subject:
        return None
    statement: dict[str, Any] = {
        "_type": STATEMENT,
        "subject": subject,
        "predicateType": PREDICATE,
        "predicate": {
            "result": _RESULT[verdict.word],
            "configuration": [_inventory(run)],
            "passedTests": [each.id for each in verdict.results if _ending(each) == "passed"],
            "warnedTests": [each.id for each in verdict.results if _ending(each) == "warned"],
            "failedTests": [each.id for each in verdict.results if _ending(each) == "failed"],
        },
    }
    return json.dumps(statement, ensure_ascii=False, indent=1) + "\n"


def _inventory(run: Run) -> dict[str, Any]:
    described: dict[str, Any] = {"name": "inventory", "digest": {"sha256": run.inventory_digest}}
    return {**described, "annotations": {"pointed": list(run.subject.pointed)}} if run.subject.pointed else described


def _subjects(run: Run) -> Iterator[dict[str, Any]]:
    for image in run.subject.images:
        if found := _DIGEST.fullmatch(image):
            yield {"name": found["name"], "digest": {found["algorithm"]: found["value"]}}
    if _COMMIT.fullmatch(run.subject.commit):
        yield {"name": run.subject.project, "digest": {"gitCommit": run.subject.commit}}


def _ending(result: Result) -> str:
    if result.outcome in (Outcome.PASSED, Outcome.ATTESTED):
        return "warned" if result.warning else "passed"
    return "warned" if result.outcome is Outcome.WAIVED else "failed"
