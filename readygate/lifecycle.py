"""Bringing the system under test up for a run, knowing when it is ready, and leaving nothing behind."""

from __future__ import annotations

import json
import os
import secrets
import select
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from readygate.errors import CouldNotLook
from readygate.redaction import REDACTOR

if TYPE_CHECKING:
    from readygate.inventory.model import Lifecycle, Ready

SCRATCH = "READYGATE_SCRATCH"
UP_WITHIN = 60.0  # seconds, where nothing says how one knows that it is ready


def provide(ports: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that a run brings along: a scratch folder's name and free loopback ports.

    What is already in `environ` is kept, so that all processes of a run agree.
    """
    variables = {
        SCRATCH: environ.get(SCRATCH) or str(Path(tempfile.gettempdir(), f"readygate-{secrets.token_hex(6)}"))
    }
    wanted = [name for name in ports if name not in environ]
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in wanted]
    for name, each in zip(wanted, sockets, strict=True):
        variables[name] = str(each.getsockname()[1])
        each.close()
    return variables


@contextmanager
def brought_up(lifecycle: Lifecycle | None, root: Path, variables: Mapping[str, str]) -> Iterator[None]:
    """Bring the environment up for the block, and clean it up afterwards whatever happens.

    Raises CouldNotLook where it doesn't become ready, with the last lines that it printed.
    """
    if lifecycle is None:
        yield
        return
    scratch = Path(variables[SCRATCH])
    try:
        scratch.mkdir(mode=0o700)
    except OSError as error:
        wrong = f"the scratch folder {scratch} can't be made: {(error.strerror or 'unusable').lower()}"
        raise CouldNotLook(
            wrong, cause="lifecycle", mend=f"unset {SCRATCH}, or name a folder that isn't there"
        ) from None
    warden = subprocess.Popen(
        [sys.executable, "-m", "readygate.warden"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=root,
        env={**os.environ, **variables, "PATH": _path_with_our_python()},
        start_new_session=True,
        text=True,
    )
    try:
        order = {"up": lifecycle.up, "down": lifecycle.down, "scratch": str(scratch)}
        _tell(warden, json.dumps(order))
        _wait_until_ready(lifecycle.ready, warden, scratch / "lifecycle.log", root)
        yield
    finally:
        if warden.stdin:
            warden.stdin.close()
        warden.wait()
        if warden.stdout:
            warden.stdout.close()


def _path_with_our_python() -> str:
    """`python` in a lifecycle command is the interpreter that runs Readygate."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def _tell(warden: subprocess.Popen[str], line: str) -> None:
    if warden.stdin:
        warden.stdin.write(line + "\n")
        warden.stdin.flush()


def _wait_until_ready(ready: Ready | None, warden: subprocess.Popen[str], log: Path, root: Path) -> None:
    within = ready.within if ready else UP_WITHIN
    deadline = time.monotonic() + within
    ended: int | None = None
    while True:
        if ended is None:
            ended = _exit_status(warden)
        if ended:
            raise _not_up(f"`up` ended with exit status {ended}", log)
        # A command that returns is only done when it has returned; one that serves never does.
        missing = _missing(ready, root) if ready else None if ended == 0 else "`up` has not returned"
        if missing is None:
            return
        if time.monotonic() > deadline:
            raise _not_up(f"{missing} within {within:g} s", log)
        time.sleep(0.05)


def _exit_status(warden: subprocess.Popen[str]) -> int | None:
    if warden.stdout and select.select([warden.stdout], [], [], 0)[0]:
        said = warden.stdout.readline()
        return int(said) if said.strip() else 1
    return None


def _not_up(what: str, log: Path) -> CouldNotLook:
    printed = log.read_text(errors="replace").strip().splitlines()[-5:] if log.exists() else []
    said = f": {' / '.join(printed)}" if printed else ""
    return CouldNotLook(
        REDACTOR.redact(f"the environment did not come up: {what}{said}"),
        cause="lifecycle",
        mend="run the `lifecycle.up` command by hand and see what it says",
    )


def _missing(ready: Ready, root: Path) -> str | None:
    """What is not there yet, in words; None when all is."""
    if ready.tcp and not _accepts(ready.tcp):
        return f"{ready.tcp} did not accept connections"
    if ready.url and not _answers(ready.url):
        return f"{ready.url} did not answer"
    if ready.command:
        try:
            done = subprocess.run(["sh", "-c", ready.command], cwd=root, capture_output=True, timeout=10, check=False)
        except subprocess.TimeoutExpired:
            return "the `ready` command did not end"
        if done.returncode:
            return f"the `ready` command kept ending with {done.returncode}"
    return None


def _accepts(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=1):
            return True
    except OSError:
        return False


def _answers(url: str) -> bool:
    """Whether anything below 400 comes back; what the certificate is worth is for the checks to say."""
    import requests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return requests.get(url, verify=False, timeout=2).status_code < 400  # noqa: S501
        except requests.RequestException:
            return False
