"""The kinds of backup artifact, and what is wrong with one, told from bytes that were read of it."""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import PurePosixPath

from readygate.errors import CouldNotLook

# What reads the stream to its end on the server, and there checks what checksums it carries.
_UNPACKERS = {".gz": "gzip -dc", ".bz2": "bzip2 -dc", ".xz": "xz -dc", ".zst": "zstd -dcq"}
_CONTENTS = {
    ".sql": "sql",
    ".tar": "tar",
    ".zip": "zip",
    ".json": "json",
    ".db": "sqlite",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
}

# How the dumps of each tool begin, and the line that they end with once all is written. A dump of a whole
# PostgreSQL cluster holds complete dumps of databases, so its own line is the only one that counts.
_DUMPS = {
    r"-- PostgreSQL database cluster dump": "-- PostgreSQL database cluster dump complete",
    r"-- PostgreSQL database dump": "-- PostgreSQL database dump complete",
    r"-- (?:MySQL|MariaDB) dump": "-- Dump completed",
    r"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;": "COMMIT;",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file is by its name: how the server unpacks it, and what is inside; None is neither."""

    unpacker: str | None
    content: str | None

    @property
    def is_known(self) -> bool:
        return bool(self.unpacker or self.content)


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file of a backup; `changed_at` is in seconds of the server's clock."""

    path: str
    size: int
    mode: int
    changed_at: int

    @property
    def shown(self) -> str:
        """The path as it can be printed, even where it isn't UTF-8."""
        return self.path.encode(errors="surrogateescape").decode(errors="backslashreplace")

    @property
    def kind(self) -> Kind:
        return kind_of(self.path)


@dataclass(frozen=True, slots=True)
class Ends:
    """The first and the last bytes of what a file holds, which overlap or touch where it is short."""

    first: bytes
    last: bytes


def kind_of(name: str) -> Kind:
    """The kind that the file's name promises."""
    path = PurePosixPath(name.lower())
    if path.suffix == ".tgz":
        return Kind("gzip -dc", "tar")
    unpacker = _UNPACKERS.get(path.suffix)
    inner = path.with_suffix("") if unpacker else path
    return Kind(unpacker, _CONTENTS.get(inner.suffix))


def fault_of_dump(ends: Ends) -> str | None:
    """What is wrong with a dump in SQL; None where it begins and ends as its tool writes it."""
    beginning, end = ends.first.decode(errors="replace"), ends.last.decode(errors="replace")
    trailer = next(
        (trailer for header, trailer in _DUMPS.items() if re.search(f"^{header}", beginning, re.MULTILINE)),
        None,
    )
    if trailer is None:
        return "it does not begin as a dump of PostgreSQL, MySQL, MariaDB or SQLite does"
    lines = [line.rstrip() for line in end.splitlines() if line.strip()]
    # pg_dump may add `\unrestrict`, and MySQL the date; data after the trailer means that it was data too.
    while lines and lines[-1].startswith(("--", "\\")) and not lines[-1].startswith(trailer):
        lines.pop()
    if not lines or not lines[-1].startswith(trailer):
        return f"it was cut short: its last line is not '{trailer}'"
    return None


def fault_of_tar_end(ends: Ends) -> str | None:
    """POSIX ends an archive with two blocks of zeros; tar itself lists one that was cut between two files."""
    return None if ends.last[-1024:] == bytes(1024) else "it was cut short: the end of the archive is missing"


def fault_of_zip(data: bytes) -> str | None:
    """What is wrong with a zip archive, every file of which is read."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            broken = archive.testzip()
            holds = bool(archive.namelist())
    except RuntimeError as error:
        raise CouldNotLook(f"the archive can't be read through: {error}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        return f"it is not a whole archive: {error}"
    if broken:
        return f"{broken} in it is damaged"
    return None if holds else "there is nothing in it"


def fault_of_json(data: bytes) -> str | None:
    """What is wrong with a JSON document."""
    try:
        held = json.loads(data)
    except (ValueError, RecursionError) as error:
        return f"it is not whole JSON: {error}"
    return "there is nothing in it" if held in (None, "", [], {}) else None
