"""A base backup of PostgreSQL: the files of a whole server, which is brought up from them and from their WAL."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from readygate.drills.outcome import ASKING, NotRestorable, Questions, Restored
from readygate.drills.postgres import ScratchServer, installed
from readygate.drills.scratch import Scratch
from readygate.drills.warden import unprivileged
from readygate.errors import CouldNotLook

MANIFEST = "backup_manifest"
ELSEWHERE = "map the tablespaces beside it by --tablespace-mapping, or make the backup in tar format"
# What the server that was backed up was set to is of no use here, and may name what this machine lacks.
_NOT_HERE = (
    "tablespace_map",
    "postgresql.auto.conf",
    "standby.signal",
    "recovery.signal",
    "postmaster.pid",
    "postmaster.opts",
)
_SETTINGS = {
    "config_file": "{folder}/drill.conf",
    "hba_file": "{folder}/drill.hba",
    "ident_file": "{folder}/drill.ident",
    "shared_preload_libraries": "",
    "max_prepared_transactions": "100",
}
_BY_SIGNAL = 128
# A tablespace has a number: in the paths of the manifest, and first in each line of tablespace_map.
_IN_MANIFEST = re.compile(r'"Path": "pg_tblspc/(\d+)/')
_IN_MAP = re.compile(r"^(\d+) ", re.MULTILINE)
_MADE_MEANWHILE = re.compile(r'directory "(/.*)" does not exist|could not (?:create|remove|access|set).*"(/.*)"')
_WRONG = re.compile(r"(?:FATAL|PANIC): +(.*)")


def restore_base_backup(scratch: Scratch, folder: Path, questions: Questions) -> Restored:
    """Bring up the server whose files lie in the folder, as pg_basebackup wrote them, in plain or in tar format.

    NotRestorable: it doesn't come up. CouldNotLook: this machine lacks its PostgreSQL, or can't keep it confined.
    """
    if not scratch.is_confined and not unprivileged():
        raise CouldNotLook(
            "this kernel can't keep a base backup from writing where the server had its tablespaces",
            mend="drill it on a Linux with Landlock, or as root, who becomes nobody for it",
        )
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
    with scratch.step("compare it with its manifest"):
        _verify(scratch, folder / MANIFEST, programs, data)
    server = ScratchServer(scratch, programs, settings=_settings(scratch), database="postgres")
    with scratch.step(f"recover with PostgreSQL {major}"):
        _recover(scratch, server, data)
        server.serve(data)
    with scratch.step(ASKING):
        return server.asked(questions)


def _laid_out(scratch: Scratch, folder: Path, data: Path) -> None:
    """Files as a server has them, where a server would have them, but for its tablespaces: those are ours."""
    archives = {path.name.partition(".tar")[0]: path for path in folder.iterdir() if ".tar" in path.name}
    tablespaces = scratch.folder / "tablespaces"
    _do(scratch, "mkdir", tablespaces)
    if not archives:
        _do(scratch, "cp", "-a", folder, data)
        _without_links(scratch, data)
    elif "base" not in archives:
        raise NotRestorable("there is no base.tar in it")
    else:
        _unpack(scratch, archives.pop("base"), data)
        _without_links(scratch, data)
        for name, archive in archives.items():
            _unpack(scratch, archive, data / "pg_wal" if name == "pg_wal" else data / "pg_tblspc" / name)
        _without_links(scratch, data)
    told = (folder / MANIFEST).read_text(errors="replace") if (folder / MANIFEST).exists() else ""
    mapped = (data / "tablespace_map").read_text(errors="replace") if (data / "tablespace_map").exists() else ""
    expected = {*_IN_MANIFEST.findall(told), *_IN_MAP.findall(mapped)}
    there = {each.name for each in (data / "pg_tblspc").iterdir()} if (data / "pg_tblspc").exists() else set[str]()
    if missing := expected - there:
        raise NotRestorable(f"the tablespace {min(missing)} is not in it")
    for name in sorted(there):
        _do(scratch, "mv", data / "pg_tblspc" / name, tablespaces / name)
        _do(scratch, "ln", "-s", tablespaces / name, data / "pg_tblspc" / name)
    _do(scratch, "chmod", "0700", data)


def _unpack(scratch: Scratch, archive: Path, inside: Path) -> None:
    _do(scratch, "mkdir", "-p", inside)
    _do(scratch, "tar", "-xf", archive, "-C", inside, "--no-same-owner")


def _without_links(scratch: Scratch, data: Path) -> None:
    """Where a link leads is not in the backup, and may be the server that it was made of."""
    _do(scratch, "find", data, "-type", "l", "-delete")


def _verify(scratch: Scratch, manifest: Path, programs: Path, data: Path) -> None:
    """Every file as it was when it was copied. What recovers it would follow afterwards is taken away."""
    given = [f"--manifest-path={manifest}", "--no-parse-wal", "--quiet", data]
    ended = scratch.run([programs / "pg_verifybackup", *given])
    if ended.exit:
        raise NotRestorable(f"it is not what its manifest says: {ended.said.splitlines()[0] if ended.said else ''}")
    for name in _NOT_HERE:
        _do(scratch, "rm", "-f", data / name)


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
        if elsewhere := _MADE_MEANWHILE.search(ended.said):
            raise CouldNotLook(
                f"a tablespace was made while the backup was, at {elsewhere[1]}, which the drill never writes to",
                mend="make a new base backup",
            )
        wrong = _WRONG.search(ended.said)
        raise NotRestorable(f"PostgreSQL can't recover it: {wrong[1] if wrong else ended.said[-300:]}")


def _do(scratch: Scratch, *command: object) -> None:
    ended = scratch.run(command)
    if ended.exit:
        raise NotRestorable(f"{command[0]} stopped at: {ended.said.splitlines()[0] if ended.said else ended.exit}")
