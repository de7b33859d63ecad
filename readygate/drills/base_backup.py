"""A base backup of PostgreSQL: the files of a whole server, which is brought up from them and from their WAL."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from readygate.drills.outcome import ASKING, NotRestorable, Questions, Restored
from readygate.drills.postgres import ScratchServer, installed
from readygate.drills.scratch import Scratch
from readygate.errors import CouldNotLook

MANIFEST = "backup_manifest"
# What the server that was backed up was set to is of no use here, and may name what this machine lacks.
_NOT_HERE = ("postgresql.auto.conf", "standby.signal", "recovery.signal", "postmaster.pid", "postmaster.opts")
_SETTINGS = {
    "config_file": "{folder}/drill.conf",
    "hba_file": "{folder}/drill.hba",
    "ident_file": "{folder}/drill.ident",
    "shared_preload_libraries": "",
    "max_prepared_transactions": "100",
}
_BY_SIGNAL = 128
_WRONG = re.compile(r"(?:FATAL|PANIC): +(.*)")


def restore_base_backup(scratch: Scratch, folder: Path, questions: Questions) -> Restored:
    """Bring up the server whose files lie in the folder, as pg_basebackup wrote them, in plain or in tar format.

    NotRestorable: it doesn't come up. CouldNotLook: this machine lacks its PostgreSQL.
    """
    data = scratch.folder / "data"
    with scratch.step("unpack the base backup"):
        _laid_out(scratch, folder, data)
    major = _major_of(scratch, data)
    programs = installed().get(major)
    if programs is None:
        raise CouldNotLook(
            f"the base backup is of PostgreSQL {major}, and this machine has no such",
            mend=f"install postgresql-{major} on the machine that runs the drill",
        )
    server = ScratchServer(scratch, programs, settings=_settings(scratch), database="postgres")
    with scratch.step(f"recover with PostgreSQL {major}"):
        _recover(scratch, server, data)
        server.serve(data)
    with scratch.step(ASKING):
        return server.asked(questions)


def _laid_out(scratch: Scratch, folder: Path, data: Path) -> None:
    """Files as a server has them, where a server would have them."""
    archives = {path.name.partition(".tar")[0]: path for path in folder.iterdir() if ".tar" in path.name}
    if not archives:
        _do(scratch, "cp", "-a", folder, data)
    elif "base" not in archives:
        raise NotRestorable("there is no base.tar in it")
    else:
        if tablespaces := archives.keys() - {"base", "pg_wal"}:
            raise CouldNotLook(
                f"the base backup has tablespaces of its own: {', '.join(sorted(tablespaces))}",
                mend="restore it by hand once, and attest that",
            )
        for name, inside in (("base", data), ("pg_wal", data / "pg_wal")):
            _do(scratch, "mkdir", "-p", inside)
            if name in archives:
                _do(scratch, "tar", "-xf", archives[name], "-C", inside, "--no-same-owner")
    listed = scratch.run(["sh", "-c", 'ls "$0"/pg_tblspc', data])
    if listed.text.strip():
        raise CouldNotLook(
            "the base backup has tablespaces of its own", mend="restore it by hand once, and attest that"
        )
    for name in _NOT_HERE:
        _do(scratch, "rm", "-f", data / name)
    _do(scratch, "chmod", "0700", data)


def _major_of(scratch: Scratch, data: Path) -> int:
    told = scratch.run(["cat", data / "PG_VERSION"])
    if told.exit or not told.text.strip().isdigit():
        raise NotRestorable("there is no PG_VERSION in it, so it is no base backup")
    return int(told.text)


def _settings(scratch: Scratch) -> dict[str, str]:
    files = {"drill.conf": "", "drill.hba": "local all all trust\n", "drill.ident": ""}
    for name, text in files.items():
        path = scratch.folder / name
        path.write_text(text)
        path.chmod(0o644)
    return {name: value.format(folder=scratch.folder) for name, value in _SETTINGS.items()}


def _recover(scratch: Scratch, server: ScratchServer, data: Path) -> None:
    """Replay the WAL, and add a role that we can ask as: whose names are in it is not known."""
    role = scratch.folder / "role.sql"
    role.write_text(f"create role {server.superuser} superuser login;\n")
    role.chmod(0o644)
    alone = [server.programs / "postgres", "--single", "-D", data, *server.words, "template1"]
    # A shell turns the signal by which PostgreSQL ends itself into a code: here it is an answer.
    ended = scratch.run(["sh", "-c", '"$@"; exit $?', "sh", *alone], reads=role)
    if ended.exit > _BY_SIGNAL and ended.exit != _BY_SIGNAL + signal.SIGABRT:
        raise CouldNotLook(f"PostgreSQL was ended in the middle of the drill by signal {ended.exit - _BY_SIGNAL}")
    if ended.exit or "ERROR:" in ended.said:
        wrong = _WRONG.search(ended.said)
        raise NotRestorable(f"PostgreSQL can't recover it: {wrong[1] if wrong else ended.said[-300:]}")


def _do(scratch: Scratch, *command: object) -> None:
    ended = scratch.run(command)
    if ended.exit:
        raise NotRestorable(f"{command[0]} stopped at: {ended.said.splitlines()[0] if ended.said else ended.exit}")
