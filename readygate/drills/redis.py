"""A scratch Redis: it loads a snapshot (RDB) or an append-only file, listens on a unix socket only, and is asked."""

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

MANIFESTS = "*.manifest"  # of an append-only file in parts, as Redis writes it from 7 on
_STARTS_WITHIN_S = 60.0
_TOO_NEW = "RDB format version"
_WRONG = re.compile(
    r"(?:--- RDB ERROR DETECTED ---\n(?:\[offset \d+\] )?|# )(.*(?:RDB|Short read|rror|hecksum|EOF|only file).*)"
    r"|^(0x +\w+: .*|Cannot open file .*|AOF .* is not valid|RDB preamble .* not sane)",
    re.MULTILINE,
)


def restore_redis(scratch: Scratch, source: Path, questions: Questions, *, is_aof: bool = False) -> Restored:
    """Load a snapshot, an append-only file or the folder of one; a question is a command that only reads.

    NotRestorable: Redis can't read it to its end.
    """
    check = "redis-check-aof" if is_aof else "redis-check-rdb"
    programs = [shutil.which(name) for name in ("redis-server", "redis-cli", check)]
    server, client, checker = programs
    if not (server and client and checker):
        raise CouldNotLook(
            "this machine has no Redis", mend="install redis-server on the machine that runs the drill"
        )
    if questions.moments:
        raise CouldNotLook("Redis has no newest row", mend="leave `newest` out, and ask by `expect`")
    # Redis opens the last part of an append-only file to add to it, so that it needs one of its own.
    target = scratch.folder / "held" if is_aof else source
    if is_aof:
        scratch.run(["cp", "-R", source, target])
    named = next((each.name.removesuffix(".manifest") for each in source.glob(MANIFESTS)), "")
    if named and int(_version(scratch, server).partition(".")[0] or 0) < 7:
        raise CouldNotLook(
            "its append-only file is in parts, which Redis knows from 7 on", mend="install that Redis on this machine"
        )
    with scratch.step("check it"):
        checked = scratch.run([checker, target / f"{named}.manifest" if named else target])
        if checked.exit:
            raise _fault(checked.text)
    socket, log = scratch.folder / "redis.sock", scratch.folder / "redis.log"
    with scratch.step("load it into a scratch Redis"):
        if named:
            what = ["--appendonly", "yes", "--appenddirname", target.name, "--appendfilename", named]
        elif is_aof:
            what = ["--appendonly", "yes", "--appendfilename", target.name]
        else:
            what = ["--appendonly", "no", "--dbfilename", target.name]
        reached = ["--dir", str(scratch.folder), "--port", "0", "--unixsocket", str(socket), "--daemonize", "no"]
        quiet = ["--aof-load-truncated", "no", "--auto-aof-rewrite-percentage", "0", "--logfile", str(log)]
        scratch.serve([server, *what, *reached, "--save", "", *quiet], ends_by=signal.SIGKILL)
        end = time.monotonic() + _STARTS_WITHIN_S
        while (answer := scratch.run([client, "-s", socket, "ping"]).text.strip()) != "PONG":
            if answer.startswith("LOADING"):  # as long as that goes on, only the drill's own time ends it
                end = time.monotonic() + _STARTS_WITHIN_S
            said = log.read_text(errors="replace") if log.exists() else ""
            if time.monotonic() > end or " the append only file" in said:
                raise _fault(said)
            time.sleep(0.03)
    with scratch.step(ASKING):
        values = {}
        for question in questions.values:
            said = scratch.run([client, "--no-raw", "-s", socket, *shlex.split(question)]).text.strip()
            values[question] = _value(question, said)
        return Restored(f"Redis {_version(scratch, server)}".strip(), values=values)


def _version(scratch: Scratch, server: str) -> str:
    told = re.search(r"v=(\S+)", scratch.run([server, "--version"]).text)
    return told[1] if told else ""


def _fault(said: str) -> Exception:
    lines = [(found[1] or found[2]).strip() for found in _WRONG.finditer(said)]
    why = lines[0] if lines else "Redis did not load it"
    if _TOO_NEW in said and "handle" in said:
        return CouldNotLook(f"it is of a newer Redis: {why}", mend="install that Redis on this machine")
    return NotRestorable(f"Redis can't load it: {why}")


def _value(question: str, said: str) -> object:
    if said == "(nil)":
        return None
    if said.startswith("(error)"):
        raise CouldNotLook(f"Redis can't answer '{question}': {said}", mend="write a command that reads")
    if number := re.fullmatch(r"\(integer\) (-?\d+)", said):
        return int(number[1])
    return said.removeprefix('"').removesuffix('"')
