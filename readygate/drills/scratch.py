"""A scratch folder for a drill: commands run there within limits of time, disk and memory, and without a network."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from readygate.drills.warden import unprivileged
from readygate.errors import CouldNotLook
from readygate.units import show_duration, show_size

_SAID = 4000
# What a program says that the runner, and not the backup, is short of something.
_SHORT = (
    "No space left on device",
    "out of memory",
    "memory exhausted",
    "Cannot allocate memory",
    "Too many open files",
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a drill may use up: seconds of time, bytes of disk in all, and bytes of memory for each process."""

    within: float
    disk: int
    memory: int


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended; what it printed is in the file `output`, and `said` is what it complained of."""

    exit: int
    output: Path
    said: str

    @property
    def text(self) -> str:
        return self.output.read_text(errors="replace")

    @property
    def was_run(self) -> bool:
        """Whether there was such a program, and it may be run, as a shell says otherwise."""
        return self.exit not in (126, 127)


@dataclass(slots=True)
class Scratch:
    """The folder, and the warden that runs what is to be run there; `is_confined` where the kernel keeps that in it.

    `tell` hears of each step as it begins; `steps` says how many seconds each took.
    """

    folder: Path
    is_offline: bool
    is_confined: bool
    limits: Limits
    tell: Callable[[str], object]
    _warden: subprocess.Popen[str]
    _began: float
    steps: list[tuple[str, float]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    @property
    def took_s(self) -> float:
        return time.monotonic() - self._began

    @property
    def left_s(self) -> float:
        """The time that is left. CouldNotLook: none is."""
        left = self.limits.within - self.took_s
        if left <= 0:
            raise self._exceeded("time")
        return left

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        self.tell(name)
        began = time.monotonic()
        yield
        self.steps.append((name, time.monotonic() - began))

    def run(
        self,
        command: Sequence[object],
        *,
        reads: Path | None = None,
        writes: str | None = None,
        environ: Mapping[str, str] | None = None,
        as_us: bool = False,
    ) -> Ended:
        """Run a command, whose words may be paths, to its end; as an unprivileged user unless `as_us`.

        CouldNotLook: it ran into a limit, or was killed, which says nothing of the backup.
        """
        program = Path(str(command[0])).name
        number = next(self._numbers)
        output, complaints = self.folder / (writes or f"{number}.out"), self.folder / f"{number}.err"
        order = self._order("run", command, reads, output, complaints, environ, as_us)
        answer = self._ask({**order, "within": self.left_s})
        if answer["stopped"]:
            raise self._exceeded(answer["stopped"])
        said = complaints.read_text(errors="replace").strip()[-_SAID:]
        if answer["exit"] and (short := next((each for each in _SHORT if each in said), None)):
            raise CouldNotLook(
                f"the drill could not go on: {program} says '{short}'",
                mend="give the drill more: `disk`, `memory`, or room in the folder that TMPDIR names",
            )
        if answer["exit"] < 0:
            name = signal.Signals(-answer["exit"]).name
            raise CouldNotLook(f"{program} was ended by {name} in the middle of the drill")
        return Ended(answer["exit"], output, said)

    def serve(self, command: Sequence[object], *, ends_by: signal.Signals) -> Path:
        """Start a server that lives until the drill is over; returns the file that it writes its log to."""
        log = self.folder / f"{next(self._numbers)}.log"
        self._ask(
            self._order("serve", command, None, self.folder / "serve.out", log, None, False) | {"signal": ends_by}
        )
        return log

    def leave_the_network(self) -> None:
        """From here on nothing that is run has one, where the kernel allows that."""
        self.is_offline = self._ask({"do": "leave"})["offline"]

    def _order(
        self,
        do: str,
        command: Sequence[object],
        reads: Path | None,
        writes: Path,
        complains: Path,
        environ: Mapping[str, str] | None,
        as_us: bool,
    ) -> dict[str, Any]:
        ours = os.environ if as_us else {"PATH": os.environ.get("PATH", os.defpath)}
        settled = {"LC_ALL": "C", "TZ": "UTC", "HOME": str(self.folder), "TMPDIR": str(self.folder)}
        return {
            "do": do,
            "command": [str(word) for word in command],
            "reads": str(reads or os.devnull),
            "writes": str(writes),
            "complains": str(complains),
            "environ": {**ours, **settled, **(environ or {})},
            "as_us": as_us,
        }

    def _ask(self, order: Mapping[str, Any]) -> Any:
        return _told(self._warden, order)

    def _exceeded(self, what: str) -> CouldNotLook:
        if what == "disk":
            needed = show_size(self.limits.disk)
            return CouldNotLook(f"the drill needs more than {needed} of disk", mend="declare a larger `disk` for it")
        within = show_duration(self.limits.within)
        return CouldNotLook(f"the drill did not end within {within}", mend="declare a longer `within` for it")


@contextmanager
def scratch(
    limits: Limits, tell: Callable[[str], object] = lambda step: None, *, online: bool = False
) -> Iterator[Scratch]:
    """A scratch folder for the block, gone afterwards with all that ran in it, even where this process is killed.

    What runs there has no network or, if it begins `online`, none any more after `leave_the_network`.

    CouldNotLook: there is no room for one.
    """
    if not sys.platform.startswith("linux"):
        raise CouldNotLook("restore drills need Linux", mend="run them in CI, or in a container")
    warden = subprocess.Popen(
        [sys.executable, "-m", "readygate.drills.warden"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )
    folder = None
    try:
        began = _told(warden, {"memory": limits.memory, "disk": limits.disk, "online": online})
        folder = Path(began["folder"])
        _can_be_entered(folder)
        if (free := shutil.disk_usage(folder).free) < limits.disk:
            raise CouldNotLook(
                f"{folder.parent} has {show_size(free)} of room, and the drill may need {show_size(limits.disk)}",
                mend="make room there, set TMPDIR to a larger disk, or declare a smaller `disk` for the drill",
            )
        yield Scratch(folder, began["offline"], began["confined"], limits, tell, warden, time.monotonic())
    finally:
        # Its end tells the warden to clean up, which we wait for.
        if warden.stdin:
            with suppress(BrokenPipeError):
                warden.stdin.close()
        warden.wait()
        if warden.stdout:
            warden.stdout.close()
        if folder:  # of a warden that was killed
            shutil.rmtree(folder, ignore_errors=True)


def _can_be_entered(folder: Path) -> None:
    """CouldNotLook: whoever runs the commands of a drill is not let into a folder on the way to it."""
    user = unprivileged()
    closed = next((str(each) for each in reversed(folder.parents) if user and not each.stat().st_mode & 0o001), "")
    if user and closed:
        raise CouldNotLook(
            f"{user.pw_name}, who runs the drill's commands, may not enter {closed}",
            mend="set TMPDIR to a folder that everybody may enter, such as /var/tmp",
        )


def user_name() -> str:
    """Who runs the commands of a drill."""
    user = unprivileged()
    return user.pw_name if user else "this user"


def _told(warden: subprocess.Popen[str], order: Mapping[str, Any]) -> Any:
    if warden.stdin is None or warden.stdout is None:
        raise CouldNotLook("the drill's warden has no pipe")
    try:
        warden.stdin.write(json.dumps(order) + "\n")
        warden.stdin.flush()
        line = warden.stdout.readline()
    except OSError as error:
        raise CouldNotLook(f"the drill's warden has gone: {error}") from error
    if not line:
        raise CouldNotLook("the drill's warden ended in the middle of it", mend="run `readygate drill` again")
    answer = json.loads(line)
    if "error" in answer:
        raise CouldNotLook(f"the drill could not start what it needs: {answer['error']}")
    return answer


def free_room() -> int:
    """Most of what is free where scratch folders are made: the machine needs some for itself."""
    return shutil.disk_usage(tempfile.gettempdir()).free * 9 // 10
