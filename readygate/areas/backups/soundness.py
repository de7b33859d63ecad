"""Reading a backup artifact on its server, as far as it takes to tell whether it is whole."""

from __future__ import annotations

import base64
import inspect
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from shlex import quote
from typing import Any
from urllib.parse import quote as url_quote

from readygate.areas.asking import Answer, ask
from readygate.areas.backups import mongo_archive
from readygate.areas.backups.artifacts import (
    Artifact,
    Kind,
    documents_in,
    ends_with_a_command,
    fault_of_aof,
    fault_of_json,
    fault_of_rdb,
    fault_of_words,
    fault_of_zip,
    models_in,
)
from readygate.areas.backups.dump_lines import AWK, DumpLines, read_dump_lines
from readygate.areas.backups.sqlite_copy import fault_in_report, fault_of_database
from readygate.drills.dumps import Ends, fault_of_archive_end, fault_of_dump, fault_of_tar_end, form_of
from readygate.errors import CouldNotLook
from readygate.units import show_size

# What has to be seen as a whole comes over the connection, up to this size.
LARGEST_FETCHED = 64 * 1024 * 1024
_READ_THROUGH = ("sql", "tar", "dump", "rdb", "aof", "mongodump")
# Debian keeps pg_verifybackup out of the way of users.
_POSTGRES_TOOLS = "for tools in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin; do PATH=$PATH:$tools; done"
_END = 4096
_COMMANDS = 1024 * 1024  # of an append-only file: no command is longer, or we say that it was cut
# Where tar -R finds the two blocks of zeros that end an archive; tar pads that to twenty, and few others do to more.
_END_OF_TAR = re.compile(r"block (\d+): \*\* Block of NULs \*\*")
_LARGEST_PADDING = 10240
# Of the archives of a base backup: tar leaps over what is in a file where it can, and lists one that was cut there,
# or between two files. GNU's says whether it met the end of the archive; others know no -R, and list it only.
_READ_THROUGH_EACH = """tar --version 2>/dev/null | grep -q GNU && block=R
read_through() {
    case $1 in
        *.tar) listed=$(cat "$1" | tar -t${block}f -) || return ;;
        *) listed=$(tar -t${block}f "$1") || return ;;
    esac
    case $block$listed in
        R*"** Block of NULs **" | [!R]*) ;;
        *) echo "the end of the archive $1 is missing" >&2; return 1 ;;
    esac
}
for file in *.tar *.tar.*; do [ ! -e "$file" ] || read_through "$file" || exit; done"""
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
            match _content_of(kind, ends):
                case "sql":
                    words = None if form_of(ends) else fault_of_words(ends)
                    return words or fault_of_dump(ends) or self._lines(f"{self._stream} |").fault
                case "tar":
                    return fault_of_tar_end(ends) or self._fault_of_listing()
                case "dump":
                    return self._fault_of_archive(ends)
                case "rdb":
                    return fault_of_rdb(ends) or self._fault_of_snapshot()
                case "aof":
                    return fault_of_aof(ends) or self._fault_of_commands()
                case "mongodump":
                    return self._read_collections().get("fault")
                case None:
                    return fault_of_words(ends)
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
                return self._fault_of_base_backup()
            case "aof folder":
                return self._fault_of_parts()
            case "encrypted":
                raise CouldNotLook(
                    f"{self.artifact.shown} can't be read through without its key",
                    mend="declare `encrypted: true` instead, and a `restore_drill` with `decrypt`",
                )
        return None

    def fault_now(self) -> str | None:
        """The same. CouldNotLook: it was still being written."""
        fault = self.fault()
        now = self._ask(f"stat -L -c '%s %Y' -- {self._path}").text.split()
        if now != [str(self.artifact.size), str(self.artifact.changed_at)]:
            raise CouldNotLook(
                f"{self.artifact.shown} changed while it was read, so it is still being written",
                mend="look when the job is done, and let it write to another name until then",
            )
        return fault

    def counted(self, tables: Iterable[str]) -> dict[str, int | None]:
        """By table, or by model of a dumpdata, how many rows there are; None where there is no such.

        CouldNotLook: it is damaged, or can't tell.
        """
        if fault := self.fault():
            raise CouldNotLook(f"what {self.artifact.shown} holds can't be trusted: {fault}")
        kind = self.artifact.kind
        if kind.content == "json":
            models = models_in(self._fetched_whole())
            return {each: models.get(each) for each in tables}
        if kind.content == "mongodump":
            collections = self._read_collections()["holds"]
            return {each: documents_in(collections, each) for each in tables}
        read = f"pg_restore --data-only --file=- {self._folder if kind.content == 'dump folder' else ''}"
        is_sql = kind.content == "sql" or (kind.content == "dump" and form_of(self._read_through()[1]) == "sql")
        lines = self._lines(f"{self._stream} |" if is_sql else f"{_POSTGRES_TOOLS}\n{self._stream} | {read} |")
        return {each: lines.count(each) for each in tables}

    def _lines(self, source: str) -> DumpLines:
        """What the lines say of a dump, of as many tables as anybody has."""
        return read_dump_lines(self._ask(f"{source} LC_ALL=C awk {quote(AWK)}").text)

    def beginning(self) -> bytes:
        """Its first bytes as they lie there, packed or not."""
        return base64.b64decode(self._ask(f"head -c 512 < {self._path} | base64").output)

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
        """What tar complains of when it lists all that the archive holds, and whether it ends where the file does."""
        ended = "printf '\\nexit %s' \"$?\""
        # GNU's tar says at which block it met the end of the archive; others know no -R, and list it only.
        gnu = "tar --version 2>/dev/null | grep -q GNU && block=R"
        answer = self._ask(f"{gnu}\n{{ {self._stream} | tar -t${{block}}f -; {ended}; }} | tail -c {_END}")
        fault, names = _outcome(answer)
        if fault:
            return fault
        *_, last = names.decode(errors="replace").splitlines() or [""]
        if not (end := _END_OF_TAR.match(last)):
            return None if names.strip() else self._fault_of_nothing()
        if names.count(b"\n") < 2 and int(end[1]) == 0:
            return self._fault_of_nothing()
        size = self.artifact.size if not self.artifact.kind.unpacker else self._size_unpacked()
        empty = size - int(end[1]) * 512
        return f"its last {show_size(empty)} are nothing but zeros" if empty > _LARGEST_PADDING else None

    def _size_unpacked(self) -> int:
        return int(self._ask(f"{self._stream} | wc -c").text)

    def _fault_of_archive(self, ends: Ends) -> str | None:
        """What pg_restore complains of when it reads all of an archive: a list of it hides a flipped byte."""
        if form_of(ends) != "pgdump":
            return "it does not begin as a dump of pg_dump does"
        if fault := fault_of_archive_end(ends) or self._complaint(f"{self._stream} | pg_restore --file=/dev/null"):
            return fault
        # It takes zeros for a list of nothing, and is content.
        listed = self._ask(f"{_POSTGRES_TOOLS}\n{self._stream} | pg_restore --list | grep -a 'TOC Entries: '")
        return "its list of contents is empty" if listed.text.strip().endswith(" 0") else None

    def _fault_of_snapshot(self) -> str | None:
        """What Redis' own tool finds, where it is there."""
        complaint = "printf '%s' \"$said\" | grep -a -A1 -E 'ERROR|error' | tail -n 1"
        check = f"said=$({self._stream} | redis-check-rdb /dev/stdin) || {complaint}"
        said = self._ask(f"if command -v redis-check-rdb >/dev/null; then {check}; fi\nexit 0").text.strip()
        if "handle RDB format version" in said:
            raise CouldNotLook(
                f"{self.artifact.shown} is of a newer Redis than the redis-check-rdb of {self.server}: {said}",
                mend="bring its redis-tools to the version of the Redis that wrote it",
            )
        return f"it is damaged: {said}" if said else None

    def _fault_of_commands(self) -> str | None:
        """Whether the last command of an append-only file is a whole one."""
        end = base64.b64decode(self._ask(f"{self._stream} | tail -c {_COMMANDS} | base64").output)
        return None if ends_with_a_command(end) else "it was cut short in the middle of a command"

    def _fault_of_parts(self) -> str | None:
        """The first part of an append-only file that is damaged, or missing; the last may have nothing in it."""
        script = f"cat {self._path} && cd {self._folder} && stat -L -c '%s %Y %n' -- *"
        told = self._ask(script).text
        there = {name: (int(size), int(at)) for size, at, name in re.findall(r"^(\d+) (\d+) (\S+)$", told, re.M)}
        parts = re.findall(r"^file (\S+) seq \d+ type [bi]", told, re.M)
        for name in parts:
            if name not in there:
                return f"{name}, which its manifest names, is not in it"
            size, changed_at = there[name]
            part = Artifact(f"{self.artifact.whole}/{name}", size, self.artifact.mode, changed_at)
            if (size or name != parts[-1]) and (fault := Look(self.host, self.server, part, self.within).fault()):
                return f"{name}: {fault}"
        return None if parts else "its manifest names no part"

    def _read_collections(self) -> Mapping[str, Any]:
        """Of an archive of mongodump its `fault`, or what it `holds`. CouldNotLook: the server can't tell."""
        reader = f"python3 -I -c {quote(inspect.getsource(mongo_archive))}"
        told: Mapping[str, Any] = json.loads(self._ask(f"{self._stream} | {reader}").text)
        if "fault" not in told and "holds" not in told:
            raise CouldNotLook(f"{self.artifact.shown} can't be read through on {self.server}: {told['unknown']}")
        return told

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
        return quote(self.artifact.whole)

    def _fault_of_base_backup(self) -> str | None:
        """What pg_verifybackup finds, which only knows the plain format: tar archives are listed to their ends."""
        archives = f'cd {self._folder} && for file in base.tar*; do [ -e "$file" ] && echo tar; done; exit 0'
        if not self._ask(archives).text.strip():
            return self._complaint(f"pg_verifybackup --quiet {self._folder}")
        return self._missing_tablespace() or self._complaint(f"(cd {self._folder} && {{ {_READ_THROUGH_EACH}\n}})")

    def _missing_tablespace(self) -> str | None:
        """The first that the manifest or base.tar tells of, and that has no archive of its own."""
        script = f"""
cd {self._folder} && {{
    grep -aoE '"Path": "pg_tblspc/[0-9]+' backup_manifest | grep -oE '[0-9]+$'
    for base in base.tar*; do tar -xOf "$base" tablespace_map 2>/dev/null | grep -oE '^[0-9]+ '; done
}} | sort -u | while read -r number; do
    set -- "$number".tar*
    [ -e "$1" ] || echo "$number"
done"""
        missing = self._ask(script).text.split()
        return f"the tablespace {missing[0]} is not in it" if missing else None

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


def _content_of(kind: Kind, ends: Ends) -> str | None:
    """What is inside by its name or, where that tells nothing, by its bytes."""
    form = form_of(ends)
    if kind.content == "dump" and form == "sql":
        return "sql"
    same = {each: each for each in ("sql", "tar", "rdb", "aof", "mongodump")}
    return kind.content or {**same, "pgdump": "dump"}.get(form or "")


def _outcome(answer: Answer) -> tuple[str | None, bytes]:
    """What the program that read the file complained of, and what came before its exit code."""
    ended = _EXIT.search(answer.output)
    code = int(ended[1]) if ended else 127
    complaint = answer.errors.splitlines()[0] if answer.errors else f"it ended with {code}"
    # The program wasn't there, or was killed: that says nothing of the file.
    if not ended or code > 125:
        raise CouldNotLook(f"the file could not be read through: {complaint}")
    return (f"it is damaged: {complaint}" if code else None), answer.output[: ended.start()]
