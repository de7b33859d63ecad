"""A scratch Redis: it loads a snapshot (RDB), listens on a unix socket only, and is asked by commands."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import time
from pathlib import Path

from readygate.drills.outcome import ASKING, NotRestorable, Questions, Restored
from readygate.drills.scratch import Scratch
from readygate.errors import CouldNotLook

_STARTS_WITHIN_S = 60.0
_TOO_NEW = "RDB format version"
_WRONG = re.compile(
    r"(?:--- RDB ERROR DETECTED ---\n(?:\[offset \d+\] )?|# )(.*(?:RDB|Short read|rror|hecksum|EOF).*)"
)


def restore_redis(scratch: Scratch, snapshot: Path, questions: Questions) -> Restored:
    """Load a snapshot; a question is a Redis command that only reads, such as `dbsize` or `exists config`.

    NotRestorable: Redis can't read it to its end.
    """
    server, client, check = (shutil.which(f"redis-{name}") for name in ("server", "cli", "check-rdb"))
    if not (server and client and check):
        raise CouldNotLook(
            "this machine has no Redis", mend="install redis-server on the machine that runs the drill"
        )
    if questions.moments:
        raise CouldNotLook("Redis has no newest row", mend="leave `newest` out, and ask by `expect`")
    with scratch.step("check the snapshot"):
        checked = scratch.run([check, snapshot])
        if checked.exit:
            raise _fault(checked.text)
    socket, log = scratch.folder / "redis.sock", scratch.folder / "redis.log"
    with scratch.step("load it into a scratch Redis"):
        where = ["--dir", str(scratch.folder), "--dbfilename", snapshot.name]
        reached = ["--port", "0", "--unixsocket", str(socket)]
        quiet = ["--save", "", "--appendonly", "no", "--daemonize", "no", "--logfile", str(log)]
        scratch.serve([server, *where, *reached, *quiet], ends_by=signal.SIGKILL)
        end = time.monotonic() + min(_STARTS_WITHIN_S, scratch.left_s)
        while scratch.run([client, "-s", socket, "ping"]).text.strip() != "PONG":
            if time.monotonic() > end:
                raise _fault(log.read_text(errors="replace"))
            time.sleep(0.03)
    with scratch.step(ASKING):
        version = scratch.run([client, "-s", socket, "info", "server"]).text
        named = re.search(r"redis_version:(\S+)", version)
        values = {}
        for question in questions.values:
            said = scratch.run([client, "--no-raw", "-s", socket, *shlex.split(question)]).text.strip()
            values[question] = _value(question, said)
        return Restored(f"Redis {named[1] if named else ''}".strip(), values=values)


def _fault(said: str) -> Exception:
    lines = [found[1].strip() for found in _WRONG.finditer(said)]
    why = lines[0] if lines else "Redis did not load it"
    if _TOO_NEW in said and "handle" in said:
        return CouldNotLook(f"the snapshot is of a newer Redis: {why}", mend="install that Redis on this machine")
    return NotRestorable(f"Redis can't load it: {why}")


def _value(question: str, said: str) -> object:
    if said == "(nil)":
        return None
    if said.startswith("(error)"):
        raise CouldNotLook(f"Redis can't answer '{question}': {said}", mend="write a command that reads")
    if number := re.fullmatch(r"\(integer\) (-?\d+)", said):
        return int(number[1])
    return said.removeprefix('"').removesuffix('"')
