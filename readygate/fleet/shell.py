"""The row of commands for one shell: sent together, answered in order, asked again after a loss."""

from __future__ import annotations

import random
import time
from collections import deque
from typing import Protocol

from readygate.errors import CouldNotLook
from readygate.fleet.connect import Transport
from readygate.fleet.connection import Connection
from readygate.fleet.hanging import Hanging
from readygate.fleet.question import Answer, Question
from readygate.fleet.reasons import explain_connection_failure, last_line, was_turned_away

OUTPUT_AT_MOST = 1 << 26  # bytes of one command; what writes more will hardly stop
CONNECT_GRACE = 1.0  # seconds, so that the client's own "timed out" is heard before we give up
TURNED_AWAY_AT_MOST = 5
FRUITLESS_AT_MOST = 3

# The shell's process group, to kill what hangs in it; under sudo that isn't the number of the shell itself.
GREETING = "read -r _ _ _ _ group _ </proc/$$/stat && echo $group || ps -o pgid= -p $$"


class Loop(Protocol):
    """What a shell needs of the loop that it lives in."""

    def add(self, shell: Shell) -> None: ...
    def wants_a_turn(self, shell: Shell) -> None: ...
    def greeted(self, shell: Shell) -> None: ...
    def gone(self, shell: Shell, connection: Connection) -> None: ...
    def settled(self, shell: Shell, question: Question, seconds: float) -> None: ...


class Shell:
    """Connects when first asked, and again after a loss; gives up on a server that can't be reached.

    When the connection is lost or a command hangs, the command that was running takes the blame, and only
    those behind it are asked again. So nothing runs twice for someone who waits for each answer, as whoever
    changes something on a server does.
    """

    def __init__(
        self, transport: Transport, loop: Loop, *, connect_timeout: float = 5.0, command_timeout: float = 60.0
    ) -> None:
        """Limits are in seconds; a command's time counts from when the one before it was answered."""
        self.server = transport.server
        self.connection: Connection | None = None
        self.unreachable: CouldNotLook | None = None
        self.not_before = 0.0  # no connecting until then
        self.asked = 0
        self.bursts = 0  # how often something was sent while nothing was on its way: round trips
        self._transport = transport
        self._loop = loop
        self._connect_limit = connect_timeout + CONNECT_GRACE
        self._command_limit = command_timeout
        self._queued: deque[Question] = deque()
        self._sent: deque[Question] = deque()  # the shell is busy with the first
        self._busy_since = 0.0
        self._greeting: Question | None = None  # while it has no answer
        self._group = 0
        self._turned_away = 0
        self._fruitless = 0  # connections in a row that answered nothing
        self._hanging = Hanging()
        loop.add(self)

    def ask(self, command: str, within: float | None = None) -> Question:
        """Put the command in the row; the loop sees to the rest."""
        question = Question(command, within)
        question.abandon = lambda: self._abandon(question)
        if why := self.unreachable or self._hanging.why(command):
            question.settle(why)
        else:
            self.asked += 1
            self._queued.append(question)
            self._loop.wants_a_turn(self)
        return question

    def give_up_on(self, programs: frozenset[str], why: CouldNotLook) -> None:
        """These hang on the server: whoever waits for what calls them, or asks it later, hears so at once."""
        self._hanging.note(programs, why)
        if self.connection and not self._greeting and any(self._hanging.why(each.command) for each in self._sent):
            # Nothing that was sent can be taken back, so what is sound of it is asked anew.
            self._end(self.connection, patient=False)
            self._kill_group()
        for question in tuple(self._queued):
            if question is not self._greeting and (why_not := self._hanging.why(question.command)):
                self._queued.remove(question)
                self._settle(question, why_not)
        self._go_on()

    @property
    def is_idle(self) -> bool:
        return not self._queued and not self._sent

    # What the loop calls.

    def open(self) -> None:
        """Connect and greet: the greeting's answer swallows banners and what start-up files print.

        Raises OSError where the transport's program can't be started.
        """
        self.connection = Connection(self._transport)
        self._greeting = Question(GREETING)
        self._queued.appendleft(self._greeting)

    def send(self) -> bool:
        """Send the whole row; whether something is left that the pipe will take later."""
        if not self.connection:
            return False
        if self._queued and not self._sent:
            if not self._greeting and self.connection.has_ended:  # while nobody was asking
                self.hang_up()
                self._go_on()
                return False
            self._busy_since = time.monotonic()
            self.bursts += 1
        while self._queued:
            question = self._queued.popleft()
            self._sent.append(question)
            self.connection.put(question.command)
        return self.connection.flush()

    def receive(self, descriptor: int) -> None:
        """Take in what has arrived, and settle what it answers."""
        if not self.connection:
            return
        if not self.connection.read(descriptor):
            self._lost()
            return
        self._take_answers(self.connection)
        if self.connection.has_more_to_send:
            self._loop.wants_a_turn(self)
        if self.connection.unread > OUTPUT_AT_MOST:
            self._stuck(f"wrote more than {OUTPUT_AT_MOST >> 20} MiB", "ask for less")

    def check_clock(self, now: float) -> None:
        """Notice a process that has ended while others hold its pipes open, and a shell that keeps silent."""
        if not self.connection:
            return
        silent = now - self._busy_since
        if self.connection.has_ended:
            self._lost()
        elif self._greeting and silent > self._connect_limit:
            self._lost(waited=self._connect_limit)
        elif not self._greeting and self._sent and silent > (limit := self._sent[0].within or self._command_limit):
            self._stuck(f"gave no answer within {limit:g} s", "find out what it waits for")

    def cannot_start(self, error: OSError) -> None:
        """The transport's program isn't there, or may not be run."""
        program = self._transport.argv[0]
        wrong = f"{program} could not be started: {error.strerror}"
        self._give_up(
            CouldNotLook(wrong, cause=f"unreachable:{self.server}", mend=f"install {program} where PATH finds it")
        )

    def hang_up(self) -> None:
        """Close the connection; the next question opens another."""
        if self.connection:
            self._end(self.connection, patient=False)

    # How a row goes on.

    def _take_answers(self, connection: Connection) -> None:
        while self._sent and (frame := connection.take()):
            now = time.monotonic()
            answer, self._busy_since = Answer(*frame, seconds=now - self._busy_since), now
            question = self._sent.popleft()
            if question is self._greeting:
                self._greeting, self._turned_away = None, 0
                self._group = _last_number(answer.stdout)
                self._loop.greeted(self)
            else:
                self._fruitless = 0
                self._settle(question, answer, answer.seconds)

    def _lost(self, waited: float | None = None) -> None:
        """The connection has ended, or never came to be."""
        if not self.connection:
            return
        connection, never_greeted = self.connection, self._greeting is not None
        rc, running = self._end(connection, patient=waited is None)
        said = connection.all_it_said if never_greeted else connection.last_words
        if never_greeted and was_turned_away(said) and self._turned_away < TURNED_AWAY_AT_MOST:
            self._turned_away += 1
            pause = 0.1 * 2**self._turned_away * random.SystemRandom().uniform(0.5, 1.5)  # not all at once again
            self.not_before = time.monotonic() + pause
        elif never_greeted:
            self._give_up(explain_connection_failure(self.server, said, rc, waited=waited))
        else:
            said = f": {said}" if (said := last_line(said)) else ""
            self._blame(running, f"the connection was lost while it ran{said}", "look whether it kills its shell")
        self._go_on()

    def _stuck(self, how: str, mend: str) -> None:
        """Kill the running command with its offspring, by another connection: this shell won't listen."""
        if not self.connection:
            return
        hung = self._sent[0] if self._sent else None
        _, running = self._end(self.connection, patient=False)
        if running is hung:  # and hasn't answered at the last moment
            self._blame(running, how, mend)
        self._kill_group()
        self._go_on()

    def _kill_group(self) -> None:
        if self._group:
            self.asked += 1
            self._queued.appendleft(Question(f"kill -s KILL -- -{self._group}"))

    def _abandon(self, question: Question) -> None:
        """Nobody waits for this any more, so it must not keep the others waiting."""
        if self._sent and self._sent[0] is question:
            self._stuck("was given up by the check that asked it", "see why it takes so long")

    def _end(self, connection: Connection, *, patient: bool) -> tuple[int | None, Question | None]:
        """Take leave; gives the exit code and what was running. All without an answer is in the row again."""
        self._loop.gone(self, connection)
        rc = connection.end(patient=patient)
        if not self._greeting:
            self._take_answers(connection)
        self.connection = None
        running = self._sent[0] if self._sent and not self._greeting else None
        self._queued.extendleft(reversed(self._sent))
        self._sent.clear()
        if self._greeting:
            self._queued.remove(self._greeting)
            self._greeting = None
        return rc, running

    def _blame(self, running: Question | None, how: str, mend: str) -> None:
        """Settle what was running as not observed; a server where nothing ever ends well is given up."""
        self._fruitless += 1
        if not running:
            return
        self._queued.remove(running)
        self._settle(running, CouldNotLook(f"{self.server}: `{running.command}`: {how}", mend=mend))
        if self._fruitless >= FRUITLESS_AT_MOST:
            cause = f"unreachable:{self.server}"
            self._give_up(CouldNotLook(f"{self.server} hangs up again and again", cause=cause, mend=mend))

    def _go_on(self) -> None:
        if self._queued:
            self._loop.wants_a_turn(self)

    def _give_up(self, why: CouldNotLook) -> None:
        self.unreachable = why
        while self._queued:
            self._settle(self._queued.popleft(), why)

    def _settle(self, question: Question, outcome: Answer | CouldNotLook, seconds: float = 0.0) -> None:
        question.settle(outcome)
        self._loop.settled(self, question, seconds)


def _last_number(output: bytes) -> int:
    words = output.split()
    return int(words[-1]) if words and words[-1].isdigit() else 0
