"""A small process that runs a drill's commands in a scratch folder, and leaves nothing behind, whatever happens.

The drill writes one JSON line an order to its standard input, and reads one line of answer to each. The end of
that pipe, for whatever reason, is the sign to end every process and to remove the folder. So a drill that is
killed leaves as little behind as one that ended well. Signals from the drill's terminal don't reach the warden.
Where the warden itself was killed, and the drill with it, the next one sweeps up: a folder that nobody has locked is
nobody's any more.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import pwd
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from readygate.drills.confined import confine, rules_for

PREFIX = "readygate-drill-"
STOP_WITHIN = 5.0
_YOUNG_S = 60.0
_TICK, _WEIGH_EVERY = 0.02, 0.5  # seconds

# prctl(2) and unshare(2), which Python has no names for before 3.12.
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWNET = 0x08000000, 0x10000000, 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


class _PipeEnded(Exception):
    """The drill is over, or dead."""


@dataclass(slots=True)
class Warden:
    """The keeper of one scratch folder; `memory` and `disk` are in bytes."""

    folder: Path
    memory: int
    disk: int
    rules: int | None = None  # by which commands are kept in the folder
    servers: list[tuple[subprocess.Popen[bytes], int]] = field(default_factory=list)

    def run(self, order: dict[str, Any]) -> dict[str, Any]:
        """Run a command to its end, or to the end of its time or of the disk that it may use."""
        child = self._start(order)
        end = time.monotonic() + order["within"]
        weighed = time.monotonic()
        while child.poll() is None:
            if select.select([sys.stdin], [], [], _TICK)[0]:
                raise _PipeEnded
            now = time.monotonic()
            too_much = ""
            if now > end:
                too_much = "time"
            elif now > weighed + _WEIGH_EVERY:
                too_much = "disk" if _weight(self.folder) > self.disk else ""
                weighed = time.monotonic()
            if too_much:
                child.kill()
                child.wait()
                return {"exit": child.returncode, "stopped": too_much}
        # What was quick may be over it, too.
        return {"exit": child.returncode, "stopped": "disk" if _weight(self.folder) > self.disk else ""}

    def serve(self, order: dict[str, Any]) -> dict[str, Any]:
        """Start a command that goes on until the drill is over, and is then ended by its `signal`."""
        self.servers.append((self._start(order), order["signal"]))
        return {}

    def clean_up(self) -> None:
        """End all that was started, and what that started, and remove the folder."""
        for server, number in self.servers:
            if server.poll() is None:
                server.send_signal(number)
        end = time.monotonic() + STOP_WITHIN
        for server, _ in self.servers:
            with suppress(subprocess.TimeoutExpired):
                server.wait(max(0.0, end - time.monotonic()))
        # What its parent left behind becomes our child, so none escapes by a fork or a session of its own.
        with suppress(ChildProcessError):
            while True:
                for pid in _children():
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                os.waitpid(-1, 0)
        _open_up(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, order: dict[str, Any]) -> subprocess.Popen[bytes]:
        user = None if order["as_us"] else unprivileged()
        number = order.get("signal", signal.SIGKILL)
        command: list[str] = order["command"]
        with (
            Path(order["reads"]).open("rb") as reads,
            (self.folder / order["writes"]).open("wb") as writes,
            (self.folder / order["complains"]).open("wb") as complains,
        ):
            if user:
                os.fchown(writes.fileno(), user.pw_uid, user.pw_gid)
            return subprocess.Popen(
                command,
                stdin=reads,
                stdout=writes,
                stderr=complains,
                cwd=self.folder,
                env=order["environ"],
                start_new_session=True,
                preexec_fn=self._limited(number, None if order["as_us"] else self.rules),
                user=user.pw_uid if user else None,
                group=user.pw_gid if user else None,
                extra_groups=[] if user else None,
            )

    def _limited(self, number: int, rules: int | None) -> Callable[[], None]:
        def limit() -> None:
            if rules is not None:
                confine(rules)
            resource.setrlimit(resource.RLIMIT_AS, (self.memory, self.memory))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            _LIBC.prctl(_PR_SET_PDEATHSIG, number)  # should the warden itself be killed

        return limit


def main() -> None:
    line = sys.stdin.readline()
    if not line:
        return
    order = json.loads(line)
    if _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1):
        raise OSError(ctypes.get_errno(), "this system can't keep track of processes")
    offline = not order["online"] and _leave_the_network()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sweep(Path(tempfile.gettempdir()))
    warden = Warden(Path(tempfile.mkdtemp(prefix=PREFIX)), order["memory"], order["disk"])
    lock = os.open(warden.folder, os.O_RDONLY | os.O_DIRECTORY)  # held for as long as we live
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if user := unprivileged():
            os.chown(warden.folder, user.pw_uid, user.pw_gid)
        warden.rules = rules_for(warden.folder)
        _answer({"folder": str(warden.folder), "offline": offline, "confined": warden.rules is not None})
        for order in _orders():
            try:
                match order["do"]:
                    case "run":
                        _answer(warden.run(order))
                    case "serve":
                        _answer(warden.serve(order))
                    case "leave":
                        _answer({"offline": _leave_the_network()})
            except BrokenPipeError:
                return
            except OSError as error:
                _answer({"error": str(error)})
    except _PipeEnded:
        pass
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        warden.clean_up()


def sweep(place: Path) -> None:
    """Remove the folders there of wardens that were killed; a young one may not be locked yet."""
    for folder in place.glob(f"{PREFIX}*"):
        with suppress(OSError):
            held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(held).st_ctime < time.time() - _YOUNG_S:
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(held)


def unprivileged() -> pwd.struct_passwd | None:
    """As whom a drill runs that root started; None where it isn't root's, so that it runs as whoever started it."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _leave_the_network() -> bool:
    """Go where there is no network, not even a loopback; False where this machine doesn't let us."""
    apart = _CLONE_NEWNET | _CLONE_NEWIPC
    if _LIBC.unshare(apart) == 0:
        return True
    uid, gid = os.geteuid(), os.getegid()
    # Root could not become somebody else in a namespace that only knows root.
    if uid == 0 or _LIBC.unshare(apart | _CLONE_NEWUSER):
        return False
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    return True


def _orders() -> Iterator[dict[str, Any]]:
    while line := sys.stdin.readline():
        yield json.loads(line)


def _answer(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)  # noqa: T201 - the drill reads it


def _open_up(folder: Path) -> None:
    """Let ourselves into every folder below: one of a backup may be closed to its owner, whom root doesn't ask."""
    for parent, names, _ in os.walk(folder) if os.geteuid() else ():
        for each in (Path(parent, name) for name in names):
            if not each.is_symlink():
                each.chmod(0o700)


def _weight(folder: Path) -> int:
    """What the files below take up, in bytes."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512  # noqa: PTH118 - a thousand files, often
    return total


def _children() -> Iterator[int]:
    """The processes whose parent we are, by the fourth field of proc(5)'s stat."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                if int(parent) == os.getpid():
                    yield int(entry.name)


if __name__ == "__main__":
    main()
