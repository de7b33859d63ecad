"""Talk to the docker engine: run its command line, start it if it sleeps, and leave nothing behind."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

RUNS = Path("/run/readygate-lab")  # A folder for each run that is alive, and dockerd's own files if we started it.
PIDFILE = RUNS / "dockerd.pid"
LOG = RUNS / "dockerd.log"
STARTS_WITHIN_S = 120  # An engine on a busy machine; one that can't start says so at once.
OWNER = "readygate-lab.owner"  # The label on everything that a run makes in docker: whose it is.


class LabError(Exception):
    """The lab could not do what it was asked; the message is the whole reason."""


def execute(
    command: Sequence[str], *, stdin: str | None = None, timeout: float = 60, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a command on this machine; with `check`, one that fails raises LabError with what it said."""
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout)
    except FileNotFoundError:
        raise LabError(f"there is no {command[0]} on this machine") from None
    except subprocess.TimeoutExpired:
        raise LabError(f"`{' '.join(command)}` did not end within {timeout:g} s") from None
    if check and done.returncode:
        said = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise LabError(f"`{' '.join(command)}` exited {done.returncode}: {said}")
    return done


def docker(*arguments: str, timeout: float = 60) -> str:
    """What `docker ...` prints; raises LabError when it fails."""
    return execute(["docker", *arguments], timeout=timeout).stdout.strip()


def owner() -> str:
    """This run, in a way that a later process with the same number can't be taken for it."""
    return f"{os.getpid()}.{_started(os.getpid())}"


@contextmanager
def machine_lock() -> Iterator[None]:
    """One run at a time on the whole machine, for what all runs share: the engine and the images."""
    RUNS.mkdir(mode=0o700, exist_ok=True)
    with (RUNS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def engine() -> Iterator[Path]:
    """A docker engine that answers, and a folder for this run's files.

    All that the run made is gone afterwards, and so is an engine that the lab had to start, once the last
    run that uses it has ended. Runs that were killed are tidied up after, too.
    """
    folder = RUNS / owner()
    with machine_lock():
        if not _answers():
            _start()
        _sweep(_is_over)
        folder.mkdir()
    try:
        yield folder
    finally:
        with machine_lock():
            _sweep(lambda run: run == owner() or _is_over(run))
            if _is_running(PIDFILE) and not _runs() and not docker("ps", "--quiet"):
                _stop()


def _sweep(is_over: Callable[[str], bool]) -> None:
    """Remove the containers, networks and files of the runs that are over."""
    label = f'{{{{.Label "{OWNER}"}}}}'
    for kind, remove in (("container", ["rm", "--force", "--volumes"]), ("network", ["rm"])):
        every = ["--all"] if kind == "container" else []
        rows = docker(kind, "ls", *every, "--filter", f"label={OWNER}", "--format", f"{{{{.ID}}}} {label}")
        for identity, run in (row.split() for row in rows.splitlines()):
            if is_over(run):
                execute(["docker", kind, *remove, identity], check=False)
    for folder in _runs():
        if is_over(folder.name):
            shutil.rmtree(folder)


def _runs() -> list[Path]:
    return [entry for entry in RUNS.iterdir() if entry.is_dir()]


def _is_over(run: str) -> bool:
    pid, _, started = run.partition(".")
    return _started(int(pid)) != started


def _started(pid: int) -> str:
    """When the process began, in clock ticks since boot; empty when it has ended (proc(5), fields 3 and 22)."""
    try:
        state, *_, began = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:20]
    except OSError:
        return ""
    return "" if state == "Z" else began


def _is_running(pidfile: Path) -> bool:
    return pidfile.exists() and bool(_started(int(pidfile.read_text())))


def _answers() -> bool:
    return execute(["docker", "info"], check=False, timeout=20).returncode == 0


def _start() -> None:
    """Start dockerd in a session of its own, so that a Ctrl-C at the tests doesn't end it before them."""
    if not shutil.which("dockerd"):
        raise LabError("no docker engine answers, and there is no dockerd on this machine to start")
    command = ["dockerd", "--pidfile", str(PIDFILE)]
    with LOG.open("wb") as log:
        daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + STARTS_WITHIN_S
    while not _answers():
        if daemon.poll() is not None or time.monotonic() > deadline:
            daemon.kill()
            raise LabError(f"dockerd did not start: {LOG.read_text()[-1000:].strip()}")
        time.sleep(0.1)


def _stop() -> None:
    """End the engine that this run, or one before it, had to start."""
    pid = int(PIDFILE.read_text())
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 30
    while _started(pid):
        if time.monotonic() > deadline:
            raise LabError(f"dockerd did not stop; see {LOG}")
        time.sleep(0.1)
    LOG.unlink()
