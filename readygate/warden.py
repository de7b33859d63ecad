"""A small process that outlives the run: it stops what the run started, even where the run was killed.

The run writes one JSON line (`up`, `down`, `scratch`) to its standard input and keeps the pipe open. The end
of that pipe, for whatever reason, is the sign to clean up. Signals from the run's terminal don't reach it.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

STOP_WITHIN = 5.0
DOWN_WITHIN = 120.0


def main() -> None:
    order = json.loads(sys.stdin.readline())
    scratch = Path(order["scratch"])
    with (scratch / "lifecycle.log").open("ab") as log:
        up = subprocess.Popen(
            ["sh", "-c", order["up"]],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _watch(up)
        finally:
            _clean_up(up, order["down"], log.fileno())
            shutil.rmtree(scratch, ignore_errors=True)


def _watch(up: subprocess.Popen[bytes]) -> None:
    """Tell the run when `up` has ended, and wait for the end of the pipe."""
    told = False
    while True:
        readable, _, _ = select.select([sys.stdin], [], [], 0.05 if not told else None)
        if readable and not sys.stdin.readline():
            return
        if not told and up.poll() is not None:
            print(up.returncode, flush=True)  # noqa: T201 - the run reads it
            told = True


def _clean_up(up: subprocess.Popen[bytes], down: str | None, log: int) -> None:
    if down:
        try:
            subprocess.run(
                ["sh", "-c", down], stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=DOWN_WITHIN, check=False
            )
        except subprocess.TimeoutExpired:
            os.write(log, b"down did not end in time\n")
    _signal(up.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        up.wait(STOP_WITHIN)
    # The shell may be gone while its children still hold the group.
    _signal(up.pid, signal.SIGKILL)
    up.wait()


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)


if __name__ == "__main__":
    main()
