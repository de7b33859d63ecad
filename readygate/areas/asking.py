"""Asking a server by a shell script: what it answered, or why one could not look."""

from __future__ import annotations

import math
from dataclasses import dataclass
from shlex import quote, split
from typing import Any

from readygate.errors import CouldNotLook
from readygate.fleet import EVIDENCE, WITHIN, ShellBackend, daemons_asked

# Some transports report their own failure as if it were the script's. What stands between
# these two lines, and nothing else, came from a script that was begun and ended on the server.
_BEGUN, _ENDED = b"readygate:begun\n", b"\nreadygate:ended "

# `timeout` on the server is to be the first that ends a script, and it needs some time for that.
_GRACE_S = 10

# Busybox' timeout ends with the 143 of what it ended; with 137 ends what did not heed the first signal.
_TIMED_OUT, _NOT_RUNNABLE = (124, 137, 143), (126, 127)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a script printed, and the exit code that it ended with."""

    exit: int
    output: bytes
    errors: str

    @property
    def text(self) -> str:
        """The output; bytes that aren't UTF-8, as in file names, survive as surrogates."""
        return self.output.decode(errors="surrogateescape")


def run(host: Any, server: str, script: str, *, within: float, is_ours: bool = False) -> Answer:
    """Run a POSIX shell script on the server, for at most `within` seconds.

    Where one of ours hangs, so does the daemon that it asks, which is then asked no more.

    CouldNotLook: the script did not run to its end, or what it called isn't there or may not be run.
    """
    seconds = math.ceil(within)
    # What a script reads may be secret: what of it is evidence, the fact says that is made of it.
    muted, granted = EVIDENCE.set(None), WITHIN.set(seconds + _GRACE_S)
    try:
        result = host.run(framed(script, seconds))
        output, errors = result.stdout_bytes, result.stderr_bytes.decode(errors="backslashreplace").strip()
    except (RuntimeError, OSError, UnicodeError) as error:
        raise _unreachable(server, _last_line(_said(error))) from error
    finally:
        EVIDENCE.reset(muted)
        WITHIN.reset(granted)
    _, begun, rest = output.partition(_BEGUN)
    answered, ended, code = rest.rpartition(_ENDED)
    if not (begun and ended and code.strip().isdigit()):
        raise _unreachable(server, _last_line(errors))
    answer = Answer(int(code), answered, errors)
    if answer.exit in _TIMED_OUT:
        raise _too_slow(host, server, script, seconds, is_daemon=is_ours and answer.exit == _TIMED_OUT[0])
    if answer.exit in _NOT_RUNNABLE:
        raise CouldNotLook(f"{server} could not run it: {_last_line(errors)}", mend="install what is missing")
    return answer


def _too_slow(host: Any, server: str, script: str, seconds: int, *, is_daemon: bool) -> CouldNotLook:
    asked = " and ".join(sorted(daemons_asked(script))) if is_daemon else ""
    error = CouldNotLook(
        f"{server} had no answer{' of ' if asked else ''}{asked} within {seconds} s",
        cause=f"too slow:{server}:{asked or script}",
        mend=f"call {asked} there by hand" if asked else "look at its load and its disks",
    )
    if asked and isinstance(host.backend, ShellBackend):
        host.backend.give_up_on(script, error)
    return error


def framed(script: str, seconds: int) -> str:
    """The command that runs a script for so long at most, and tells that it began and how it ended."""
    bounded = f"timeout -k 5 {seconds} sh -c {quote(script)} </dev/null"
    return rf"""printf 'readygate:begun\n'; {bounded}; printf '\nreadygate:ended %s\n' "$?" """


def script_in(command: str) -> str:
    """The script itself, in a command that is framed; another command as it is."""
    if "readygate:begun" not in command:
        return command
    words = split(command)
    return words[words.index("-c") + 1].removeprefix("export LC_ALL=C\n")


def ask(host: Any, server: str, script: str, *, within: float = 30) -> Answer:
    """Run a script of ours, which ends with 0 whenever it could look, whatever it found.

    CouldNotLook: it ended otherwise, or was not permitted to look.
    """
    answer = run(host, server, f"export LC_ALL=C\n{script}", within=within, is_ours=True)
    if "Permission denied" in answer.errors or "Operation not permitted" in answer.errors:
        raise forbidden(server, _last_line(answer.errors))
    if answer.exit:
        said = _last_line(answer.errors) or f"exit {answer.exit}"
        mend = "install what is missing" if "not found" in said else f"log in to {server}, and see what it says there"
        raise CouldNotLook(f"{server} could not tell: {said}", mend=mend)
    return answer


def forbidden(server: str, what: str) -> CouldNotLook:
    """One may not look at this as the user that one came as."""
    return CouldNotLook(
        f"{server} does not let this user look: {what}",
        mend=f"write `sudo: true` for {server}, or let the user that it names read this",
    )


def _unreachable(server: str, said: str) -> CouldNotLook:
    return CouldNotLook(
        f"{server} can't be reached" + (f": {said}" if said else ""),
        cause=f"unreachable:{server}",
        mend="try `connect` by hand; with `sudo: true`, sudo must work there without a password",
    )


def _said(error: Exception) -> str:
    """What the client said, of the whole result that Testinfra puts into its RuntimeError."""
    result = error.args[0] if error.args else ""
    stderr = getattr(result, "stderr_bytes", None)
    return stderr.decode(errors="backslashreplace") if stderr is not None else str(error)


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
