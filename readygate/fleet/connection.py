"""One process that leads to one shell: its pipes, its framing, and sudo's question for a password."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress

from readygate.fleet.connect import SUDO_BEGUN, SUDO_PROMPT, Transport
from readygate.fleet.frames import Frames

CHUNK = 1 << 18
LAST_WORDS_AT_MOST = 1 << 24
FAREWELL = 0.3  # seconds that a process gets to leave its exit code


class Connection:
    """Non-blocking throughout; raises OSError where the transport's program can't be started."""

    def __init__(self, transport: Transport) -> None:
        self._process = subprocess.Popen(
            transport.argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # no terminal for it to ask on, and Ctrl-C is ours alone
            env={**os.environ, **transport.environment},
        )
        self._pipes = tuple(
            pipe for pipe in (self._process.stdin, self._process.stdout, self._process.stderr) if pipe
        )
        self.stdin, self.stdout, self.stderr = (pipe.fileno() for pipe in self._pipes)
        for pipe in self._pipes:
            os.set_blocking(pipe.fileno(), False)
        self._frames = Frames()
        self._outgoing = bytearray()
        self._password = transport.password
        self._has_shell = transport.password is None
        self._password_given = False

    def put(self, command: str) -> None:
        self._outgoing += self._frames.wrap(command)

    def flush(self) -> bool:
        """Write as much as the pipe takes; whether something is left that it will take later."""
        try:
            while self.has_more_to_send:
                del self._outgoing[: os.write(self.stdin, self._outgoing)]
        except BlockingIOError:
            return True
        except BrokenPipeError:
            self._outgoing.clear()  # the other pipes are about to tell the end
        return False

    def read(self, descriptor: int) -> bool:
        """Take in what has arrived; False when that was the end."""
        try:
            data = os.read(descriptor, CHUNK)
        except BlockingIOError:
            return True
        stream = self._frames.stdout if descriptor == self.stdout else self._frames.stderr
        stream.bytes += data
        return bool(data) and (self._has_shell or self._talk_to_sudo())

    @property
    def has_more_to_send(self) -> bool:
        return self._has_shell and bool(self._outgoing)

    def take(self) -> tuple[int, bytes, bytes] | None:
        """Exit code, stdout and stderr of the next command that has ended."""
        return self._frames.take() if self._has_shell else None

    @property
    def unread(self) -> int:
        """How many bytes have come that no finished command accounts for."""
        return len(self._frames.stdout.bytes) + len(self._frames.stderr.bytes)

    @property
    def last_words(self) -> str:
        """What was on stderr when it ended."""
        return self._frames.stderr.bytes.decode(errors="replace")

    @property
    def all_it_said(self) -> str:
        """Stdout as well, where docker puts some of its complaints."""
        return self._frames.stdout.bytes.decode(errors="replace") + "\n" + self.last_words

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def end(self, *, patient: bool) -> int | None:
        """Close it, hearing what was still on its way; the exit code of a process that ended by itself.

        Patience is for one that has closed its pipes and is about to leave its exit code.
        """
        with suppress(OSError):
            self._pipes[0].close()
        if patient:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(FAREWELL)
        rc = self._process.poll()
        with suppress(PermissionError):  # a local sudo is root's; the shell under it ends with its stdin
            self._process.kill()
        self._hear_last_words()
        for pipe in self._pipes[1:]:
            pipe.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(FAREWELL)
        return rc

    def _hear_last_words(self) -> None:
        for descriptor, stream in ((self.stdout, self._frames.stdout), (self.stderr, self._frames.stderr)):
            with suppress(BlockingIOError):
                while self.unread < LAST_WORDS_AT_MOST and (data := os.read(descriptor, CHUNK)):
                    stream.bytes += data

    def _talk_to_sudo(self) -> bool:
        """Answer sudo when it asks, once: the password is never sent unasked, and never to a shell."""
        prompts = self._frames.stderr.bytes.count(SUDO_PROMPT.encode())
        if SUDO_BEGUN.encode() in self._frames.stdout.bytes:
            self._has_shell = True
        elif prompts > 1:
            self._frames.stderr.bytes += b"\nsudo: 1 incorrect password attempt\n"
            return False
        elif prompts and not self._password_given:
            self._password_given = True
            with suppress(BrokenPipeError):
                os.write(self.stdin, f"{self._password}\n".encode())
        return True
