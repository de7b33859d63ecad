"""Reading a backup artifact on its server, as far as it takes to tell whether it is whole."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from shlex import quote
from typing import Any
from urllib.parse import quote as url_quote

from readygate.areas.asking import Answer, ask
from readygate.areas.backups.artifacts import (
    Artifact,
    fault_of_aof,
    fault_of_json,
    fault_of_rdb,
    fault_of_tar_end,
    fault_of_zip,
)
from readygate.areas.backups.sqlite_copy import fault_in_report, fault_of_database
from readygate.drills.dumps import Ends, fault_of_dump, form_of
from readygate.errors import CouldNotLook
from readygate.units import show_size

# What has to be seen as a whole comes over the connection, up to this size.
LARGEST_FETCHED = 64 * 1024 * 1024
_READ_THROUGH = ("sql", "tar", "dump", "rdb", "aof")
# Debian keeps pg_verifybackup out of the way of users.
_POSTGRES_TOOLS = "for tools in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin; do PATH=$PATH:$tools; done"
_END = 4096
_EXIT = re.compile(rb"\nexit (\d+)\Z")

_INTEGRITY_CHECK = "PRAGMA integrity_check(1)"
_SQLITE = "sqlite3 -readonly -batch -init /dev/null"
_CHECK_IN_PYTHON = (
    f"import sqlite3, sys; print(sqlite3.connect(sys.argv[1], uri=True).execute('{_INTEGRITY_CHECK}').fetchone()[0])"
)


@dataclass(frozen=True, slots=True)
class Look:
    """One artifact, and the way to it; a reading may take `within` seconds, and nothing is ever written."""

    host: Any
    server: str
    artifact: Artifact
    within: float

    def fault(self) -> str | None:
        """What is wrong with it; None where it is whole, as far as its kind can show."""
        kind = self.artifact.kind
        if not self.artifact.size:
            return "it is empty"
        if kind.unpacker or kind.content in _READ_THROUGH:
            fault, ends = self._read_through()
            if fault:
                return fault
            if not ends.first:
                return self._fault_of_nothing()
            match kind.content:
                case "sql":
                    return fault_of_dump(ends)
                case "tar":
                    return fault_of_tar_end(ends) or self._fault_of_listing()
                case "dump":
                    return fault_of_dump(ends) if form_of(ends) == "sql" else self._fault_of_archive(ends)
                case "rdb":
                    return fault_of_rdb(ends) or self._fault_of_snapshot()
                case "aof":
                    return fault_of_aof(ends)
        match kind.content:
            case "sqlite":
                data = self.fetched()
                return self._fault_found_there() if data is None else fault_of_database(data)
            case "zip":
                return fault_of_zip(self._fetched_whole())
            case "json":
                return fault_of_json(self._fetched_whole())
            case "dump folder":
                return self._complaint(f"pg_restore --file=/dev/null {self._folder}")
            case "base backup":
                return self._complaint(f"pg_verifybackup --quiet {self._folder}")
            case "encrypted":
                raise CouldNotLook(
                    f"{self.artifact.shown} can't be read through without its key",
                    mend="declare `encrypted: true` instead, and a `restore_drill` with `decrypt`",
                )
        return None

    def beginning(self) -> bytes:
        """Its first bytes as they lie there, packed or not."""
        return base64.b64decode(self._ask(f"head -c 64 < {self._path} | base64").output)

    def fetched(self) -> bytes | None:
        """All that it holds, unpacked; None where that is more than LARGEST_FETCHED bytes."""
        if self.artifact.size > LARGEST_FETCHED:
            return None
        answer = self._ask(f"{self._stream} | head -c {LARGEST_FETCHED + 1} | base64")
        data = base64.b64decode(answer.output)
        return None if len(data) > LARGEST_FETCHED else data

    @property
    def _path(self) -> str:
        return quote(self.artifact.path)

    @property
    def _stream(self) -> str:
        return f"{self.artifact.kind.unpacker or 'cat'} < {self._path}"

    def _ask(self, script: str) -> Answer:
        # A file that the retention takes away meanwhile, or that may not be read, is not a damaged one.
        gone = f"[ -e {self._path} ] || {{ echo 'it was taken away meanwhile' >&2; exit 1; }}"
        closed = f"[ -r {self._path} ] || {{ echo {self._path}: Permission denied >&2; exit 1; }}"
        return ask(self.host, self.server, f"{gone}\n{closed}\n{script}", within=self.within)

    def _read_through(self) -> tuple[str | None, Ends]:
        """Unpack all of it, which checks its checksums, and keep the two ends."""
        ended = "printf '\\nexit %s' \"$?\""
        # dd takes no more than its block from the pipe, where head might.
        ends = f"{{ dd bs={_END} count=1 2>/dev/null; tail -c {_END + 16}; }}"
        fault, output = _outcome(self._ask(f"{{ {self._stream}; {ended}; }} | {ends}"))
        return fault, Ends(output[:_END], output[-_END:])

    def _fault_of_listing(self) -> str | None:
        """What tar complains of when it lists all that the archive holds."""
        ended = "printf '\\nexit %s' \"$?\""
        answer = self._ask(f"{{ {self._stream} | tar -tf -; {ended}; }} | tail -c {_END}")
        fault, names = _outcome(answer)
        return fault or (None if names.strip() else self._fault_of_nothing())

    def _fault_of_archive(self, ends: Ends) -> str | None:
        """What pg_restore complains of when it reads all of an archive: a list of it hides a flipped byte."""
        if form_of(ends) != "pgdump":
            return "it does not begin as a dump of pg_dump does"
        return self._complaint(f"{self._stream} | pg_restore --file=/dev/null")

    def _fault_of_snapshot(self) -> str | None:
        """What Redis' own tool finds, where it is there and the snapshot is not packed."""
        if self.artifact.kind.unpacker:
            return None
        complaint = "printf '%s' \"$said\" | grep -a -A1 -E 'ERROR|error' | tail -n 1"
        check = f"said=$(redis-check-rdb {self._path}) || {complaint}"
        said = self._ask(f"if command -v redis-check-rdb >/dev/null; then {check}; fi\nexit 0").text.strip()
        return f"it is damaged: {said}" if said else None

    def _complaint(self, reading: str) -> str | None:
        """What a tool of PostgreSQL complains of that reads it to its end."""
        ended = "printf '\\nexit %s' \"$?\""
        answer = self._ask(f"{_POSTGRES_TOOLS}\n{{ {reading}; {ended}; }}")
        if "unsupported version" in answer.errors:
            raise CouldNotLook(
                f"{self.server} has a pg_restore too old for {self.artifact.shown}",
                mend="install the client that wrote it there",
            )
        return _outcome(answer)[0]

    @property
    def _folder(self) -> str:
        return quote(str(PurePosixPath(self.artifact.path).parent))

    def _fault_of_nothing(self) -> str:
        size = self.artifact.size
        shown = f"{size} bytes" if size < 1024 else show_size(size)
        if self.artifact.kind.content in ("sql", "dump"):
            return f"the dump is {shown} with nothing inside; pg_dump (or mysqldump) must have failed"
        return f"it is {shown} with nothing inside; what wrote it must have failed"

    def _fault_found_there(self) -> str | None:
        """What SQLite on the server finds in a large database, opened so that it writes no journal."""
        if self.artifact.kind.unpacker:
            raise self._too_large()
        uri = quote(f"file:{url_quote(self.artifact.path)}?mode=ro&immutable=1")
        script = f"""
if command -v sqlite3 >/dev/null; then {_SQLITE} {uri} {quote(_INTEGRITY_CHECK)} 2>&1
elif command -v python3 >/dev/null; then python3 -c {quote(_CHECK_IN_PYTHON)} {uri} 2>&1
else echo 'neither sqlite3 nor python3 is there' >&2; exit 1
fi
exit 0"""
        said = self._ask(script).text.strip()
        if not said or "unable to open" in said:
            raise CouldNotLook(f"SQLite on {self.server} could not open {self.artifact.shown}: {said}")
        return fault_in_report(said.splitlines()[-1])

    def _fetched_whole(self) -> bytes:
        data = self.fetched()
        if data is None:
            raise self._too_large()
        return data

    def _too_large(self) -> CouldNotLook:
        return CouldNotLook(
            f"{self.artifact.shown} holds more than {show_size(LARGEST_FETCHED)}, too much to fetch",
            mend="declare a command on the server that tells whether it is whole",
        )


def _outcome(answer: Answer) -> tuple[str | None, bytes]:
    """What the program that read the file complained of, and what came before its exit code."""
    ended = _EXIT.search(answer.output)
    code = int(ended[1]) if ended else 127
    complaint = answer.errors.splitlines()[0] if answer.errors else f"it ended with {code}"
    # The program wasn't there, or was killed: that says nothing of the file.
    if not ended or code > 125:
        raise CouldNotLook(f"the file could not be read through: {complaint}")
    return (f"it is damaged: {complaint}" if code else None), answer.output[: ended.start()]
