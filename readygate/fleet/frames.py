"""How commands and answers share one pipe: what is sent round a command, and how the answer is cut out again.

Each command runs in a subshell of its own with nothing on stdin, so no `exit`, `cd`, trap or option of one
reaches the next. After it the shell writes its exit code and a token to stderr, and the token to stdout. The
token has 128 random bits and is only ever written into the shell's stdin: no argument list, variable or
function holds it, so no output contains it, neither by chance nor because a command went looking.

One thing is beyond this: what a command leaves a background process to write after the command has ended
counts to whatever runs then.
"""

from __future__ import annotations

import secrets
import shlex


class Stream:
    """Bytes as they arrive, cut at each occurrence of a token."""

    def __init__(self, token: bytes) -> None:
        self.bytes = bytearray()
        self._token = token
        self._searched = 0

    def find_end(self) -> int:
        """Where the first frame ends, or -1; looks at no byte twice, however large the frame."""
        end = self.bytes.find(self._token, self._searched)
        self._searched = end if end >= 0 else max(0, len(self.bytes) - len(self._token) + 1)
        return end

    def cut(self, end: int) -> bytes:
        frame = bytes(self.bytes[:end])
        del self.bytes[: end + len(self._token)]
        self._searched = 0
        return frame


class Frames:
    """The framing of one connection, with a token of its own."""

    def __init__(self) -> None:
        token = secrets.token_hex(16)
        self._tail = f"\n) </dev/null; printf %3d{token} $? >&2; printf {token}\n".encode()
        self.stdout = Stream(token.encode())
        self.stderr = Stream(token.encode())

    def wrap(self, command: str) -> bytes:
        """What to write to the shell; `eval` keeps syntax errors and open quotes inside the subshell."""
        return b"(eval " + shlex.quote(command).encode() + self._tail

    def take(self) -> tuple[int, bytes, bytes] | None:
        """Exit code, stdout and stderr of the next command that has ended; None while it hasn't."""
        stdout_end, stderr_end = self.stdout.find_end(), self.stderr.find_end()
        if stdout_end < 0 or stderr_end < 0:
            return None
        stdout, stderr = self.stdout.cut(stdout_end), self.stderr.cut(stderr_end)
        return int(stderr[-3:]), stdout, stderr[:-3]
