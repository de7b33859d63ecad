"""`readygate demo`: gate the embedded service with the shipped inventory, sound or with one fault planted."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path

from readygate.demo.faults import FAULTS
from readygate.errors import ExitCode, UsageError
from readygate.policy import SHIPPED
from readygate.running import run

BREAK = "READYGATE_DEMO_BREAK"


def run_demo(fault: str | None, out: Path) -> int:
    """Run the release question against the demo. Raises UsageError for a fault that there isn't."""
    if fault is not None and fault not in FAULTS:
        close = get_close_matches(fault, FAULTS, 1)
        hint = f"did you mean '{close[0]}'?" if close else "see `readygate demo --list`"
        raise UsageError(f"no fault is called '{fault}'; {hint}")
    if fault is not None:
        print(f"planted: {fault} ({FAULTS[fault].summary})")  # noqa: T201
    os.environ[BREAK] = fault or ""
    return run(SHIPPED / "inventory.yml", None, "release", out, cache=False)


def list_faults() -> int:
    """Print what can be broken, and what should notice."""
    width = max(map(len, FAULTS))
    for fault in FAULTS.values():
        seen = f"seen by {', '.join(fault.caught_by)}" if fault.caught_by else "nothing is left to look at"
        print(f"{fault.name.ljust(width)}  {fault.summary} ({seen})")  # noqa: T201
    return ExitCode.GO
