"""Runs a plan: Locust in a process of its own, watched, stopped at once when asked, and its outcome kept."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from readygate.errors import CouldNotLook
from readygate.load.outcome import Outcome
from readygate.load.plan import Plan

GENERATOR = Path(__file__).with_name("generator.py")

_SETTLE_S = 60  # beyond the schedule itself and the sign-in: workers that connect, answers that come late
_CONNECT_S = 5
_WORKERS_S = 60  # how long workers elsewhere may take to connect


def run(plan: Plan, out: Path, say: Callable[[str], None]) -> Outcome:
    """Send the load, and return what was measured; `out` is the file that all of it is written to.

    Raises CouldNotLook where the target can't be reached or the generator broke. KeyboardInterrupt passes once
    what was measured until then is written.
    """
    _reach(plan)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="readygate-load-") as scratch:
        order = Path(scratch, "plan.json")
        order.touch(mode=0o600)  # the headers in it may hold credentials
        order.write_text(plan.to_json())
        log = Path(scratch, "log")
        with log.open("w") as errors, _started(plan, order, out, errors.fileno()) as process:
            _follow(process, plan, say)
        if not out.exists():
            said = log.read_text(errors="replace").strip().splitlines()
            if said and "waiting for workers" in said[-1]:
                raise CouldNotLook(
                    f"{plan.generators} workers were to connect to {plan.bind} within {_WORKERS_S} s, and did not",
                    mend="start as many, and see that they reach this port: load/README.md",
                )
            reason = f"the load generator ended with {process.returncode} and no outcome"
            raise CouldNotLook(f"{reason}: {said[-1]}" if said else reason, mend="run its Locust file by hand")
    return Outcome.read(out)


def _reach(plan: Plan) -> None:
    """Whoever does not answer at all is not slow, but unreachable."""
    parts = urlsplit(plan.target)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=_CONNECT_S).close()
    except OSError as error:
        raise CouldNotLook(
            f"{plan.target} can't be reached: {error}",
            cause=f"unreachable:{parts.hostname}",
            mend="see whether it runs, and whether this machine may reach it",
        ) from None


@contextmanager
def _started(plan: Plan, order: Path, out: Path, errors: int) -> Iterator[subprocess.Popen[str]]:
    environ = {**os.environ, "READYGATE_LOAD_PLAN": str(order), "READYGATE_LOAD_OUT": str(out)}
    # In a session of its own, so that Ctrl-C reaches us alone, and we say what happens to the load.
    process = subprocess.Popen(
        command(plan), env=environ, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        _kill(process)  # its workers too
        process.wait()


def command(plan: Plan) -> list[str]:
    """How Locust is called for a plan."""
    files = [str(GENERATOR), *([plan.locustfile] if plan.locustfile else [])]
    called = [sys.executable, "-m", "locust", "-f", ",".join(files), "--headless", "--only-summary"]
    called += ["--loglevel", "WARNING", "--host", plan.target]
    called += ["--users", str(plan.users), "--spawn-rate", str(plan.users)]
    if plan.workers:
        host, _, port = plan.bind.rpartition(":")
        called += ["--master", "--expect-workers", str(plan.workers), "--expect-workers-max-wait", str(_WORKERS_S)]
        called += ["--master-bind-host", host, "--master-bind-port", port]
    elif plan.processes > 1:
        port = str(_free_port())
        called += ["--processes", str(plan.processes), "--master-bind-host", "127.0.0.1"]
        called += ["--master-bind-port", port, "--master-port", port, "--expect-workers-max-wait", "30"]
    return called


def _free_port() -> int:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _follow(process: subprocess.Popen[str], plan: Plan, say: Callable[[str], None]) -> None:
    limit = threading.Timer(plan.sign_in_s + plan.schedule.seconds + plan.timeout + _SETTLE_S, _kill, (process,))
    limit.daemon = True
    limit.start()
    try:
        for line in process.stdout or ():
            if line.startswith('{"second"'):
                say(progress(plan, json.loads(line)))
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        raise
    finally:
        limit.cancel()


def _kill(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def progress(plan: Plan, at: dict[str, Any]) -> str:
    """One line on how the run goes."""
    p95 = f"{at['p95'] * 1000:.0f} ms" if at["p95"] is not None else "no answers"
    left = max(0, plan.schedule.seconds - at["second"])
    return (
        f"load {plan.name}: {at['rate']:.0f}/s, {at['users']:.0f} users, p95 {p95}, "
        f"{at['errors']:.1%} errors, {left} s left"
    )
