"""One select loop for all shells: who may connect, who has something to say, who has been silent too long."""

from __future__ import annotations

import atexit
import errno
import resource
import selectors
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import greenlet

from readygate.fleet.connection import Connection
from readygate.fleet.question import Question
from readygate.fleet.shell import Shell

SWEEP_EVERY = 0.1  # seconds between two looks at the clocks
OPEN_AT_MOST = 256  # each holds a client process of some megabytes
DESCRIPTORS_A_SHELL = 3
DESCRIPTORS_FOR_OTHERS = 64  # the program's own files, and what starting a process takes for a moment


@dataclass(frozen=True, slots=True)
class Progress:
    """How far all the asking has come; `slowest` is (server, command, seconds)."""

    hosts: int
    connected: int
    unreachable: int
    asked: int
    answered: int
    slowest: tuple[str, str, float] | None


class Runner(greenlet.greenlet):
    """A greenlet that may be put aside while its question travels."""


class Hub:
    """Serves any number of shells with a bounded number of connections, from the one thread that uses it."""

    def __init__(self, *, jobs: int = 10, most_open: int | None = None) -> None:
        """`jobs` is how many may be connecting at one time: sshd turns some away beyond ten (MaxStartups)."""
        self.jobs = jobs
        self.most_open = most_open or _descriptors_allow()
        self.on_progress: Callable[[Progress], None] | None = None
        self.answered = 0
        self.slowest: tuple[str, str, float] | None = None
        self._shells: list[Shell] = []
        self._in_line: deque[Shell] = deque()
        self._opening: set[Shell] = set()
        self._open: dict[Shell, None] = {}  # in the order in which they were opened
        self._wanting: set[Shell] = set()
        self._ready: deque[greenlet.greenlet] = deque()
        self._selector = selectors.DefaultSelector()
        self._next_sweep = 0.0

    # What shells call.

    def add(self, shell: Shell) -> None:
        self._shells.append(shell)

    def wants_a_turn(self, shell: Shell) -> None:
        """This shell has something to send, and perhaps no connection yet."""
        if shell in self._open:
            self._wanting.add(shell)
        elif shell not in self._in_line:
            self._in_line.append(shell)

    def greeted(self, shell: Shell) -> None:
        self._opening.discard(shell)

    def gone(self, shell: Shell, connection: Connection) -> None:
        """The connection is over; its descriptors are about to be closed."""
        for descriptor in (connection.stdin, connection.stdout, connection.stderr):
            if descriptor in self._selector.get_map():
                self._selector.unregister(descriptor)
        self._opening.discard(shell)
        self._wanting.discard(shell)
        self._open.pop(shell, None)

    def settled(self, shell: Shell, question: Question, seconds: float) -> None:
        """The question has its answer, or never will; whoever waits for it goes on."""
        self.answered += 1
        if self.slowest is None or seconds > self.slowest[2]:
            self.slowest = (shell.server, question.command, seconds)
        self._ready.extend(question.waiting)
        question.waiting.clear()

    # What askers call.

    def wait(self, question: Question) -> None:
        """Return when the question is settled; a runner makes room for the others meanwhile."""
        me = greenlet.getcurrent()
        try:
            while not question.is_settled:
                if isinstance(me, Runner) and me.parent is not None:
                    question.waiting.append(me)
                    me.parent.switch()
                else:
                    self.turn()
        except BaseException:  # such as a test's time limit or Ctrl-C
            question.abandon()
            raise

    def turn(self) -> None:
        """Go once around: connect, send, receive, look at the clocks, and let runners go on."""
        self.send_out()
        for key, _ in self._selector.select(0 if self._ready else SWEEP_EVERY):
            if self._selector.get_map().get(key.fd) is not key:
                continue  # an earlier event of this round has closed it
            if key.events == selectors.EVENT_WRITE:
                self._send(key.data)
            else:
                key.data.receive(key.fd)
        if (now := time.monotonic()) >= self._next_sweep:
            self._next_sweep = now + SWEEP_EVERY
            for shell in tuple(self._open):
                shell.check_clock(now)
            if self.on_progress:
                self.on_progress(self.progress)
        while self._ready:
            self._ready.popleft().switch()

    def send_out(self) -> None:
        """Begin what can begin, without waiting for anything to arrive."""
        self._connect_those_in_line()
        for shell in tuple(self._wanting):
            self._send(shell)

    @property
    def progress(self) -> Progress:
        unreachable = sum(shell.unreachable is not None for shell in self._shells)
        connected = len(self._open) - len(self._opening)
        asked = sum(shell.asked for shell in self._shells)
        return Progress(len(self._shells), connected, unreachable, asked, self.answered, self.slowest)

    def close(self) -> None:
        """Hang up everywhere; a shell that is asked again connects again."""
        for shell in tuple(self._open):
            shell.hang_up()

    # How it is done.

    def _connect_those_in_line(self) -> None:
        now = time.monotonic()
        for _ in range(len(self._in_line)):
            if len(self._opening) >= self.jobs or not self._has_room():
                return
            shell = self._in_line.popleft()
            if now < shell.not_before:
                self._in_line.append(shell)
                continue
            try:
                shell.open()
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE, errno.EAGAIN) or not self._open:
                    shell.cannot_start(error)
                    continue
                self.most_open = len(self._open)
                self._in_line.appendleft(shell)
                return
            self._open[shell] = None
            self._opening.add(shell)
            self._wanting.add(shell)
            if connection := shell.connection:
                self._selector.register(connection.stdout, selectors.EVENT_READ, shell)
                self._selector.register(connection.stderr, selectors.EVENT_READ, shell)

    def _has_room(self) -> bool:
        """Whether one more may be open, if need be after hanging up on one that has nothing to do."""
        if len(self._open) < self.most_open:
            return True
        idle = next((shell for shell in self._open if shell.is_idle), None)
        if idle:
            idle.hang_up()
        return idle is not None

    def _send(self, shell: Shell) -> None:
        self._wanting.discard(shell)
        if not (connection := shell.connection):
            return
        is_watched = connection.stdin in self._selector.get_map()
        has_more = shell.send()
        if has_more and not is_watched:
            self._selector.register(connection.stdin, selectors.EVENT_WRITE, shell)
        elif is_watched and not has_more:
            self._selector.unregister(connection.stdin)


def _descriptors_allow() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(OPEN_AT_MOST, max(1, (soft - DESCRIPTORS_FOR_OTHERS) // DESCRIPTORS_A_SHELL))


HUB = Hub()
atexit.register(HUB.close)
