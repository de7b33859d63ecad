"""How the dumps of each tool begin and end, and what can be read from that."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

# How the dumps of each tool begin, and the line that they end with once all is written. A dump of a whole
# PostgreSQL cluster holds complete dumps of databases, so its own line is the only one that counts.
_DUMPS = (
    ("postgresql", r"-- PostgreSQL database cluster dump", "-- PostgreSQL database cluster dump complete"),
    ("postgresql", r"-- PostgreSQL database dump", "-- PostgreSQL database dump complete"),
    ("mariadb", r"-- (?:MySQL|MariaDB) dump", "-- Dump completed"),
    ("mariadb", r"-- Dump created by MySQL pump utility", "-- Dump end time:"),
    ("mariadb", r"/\*!401\d\d SET @OLD_", "/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */"),  # --skip-comments
    ("sqlite", r"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;", "COMMIT;"),
)
# Where a program's errors were sent into the dump, too.
_COMPLAINT = re.compile(r"(?:pg_dump|pg_dumpall|mysqldump|mariadb-dump)[^ ]*: ")
_END = 4096

# What a file is by its first bytes, whatever it is called.
_MAGIC = {
    b"PGDMP": "pgdump",
    b"SQLite format 3\0": "sqlite",
    b"REDIS": "rdb",
    b"\x6d\xe2\x99\x81": "mongodump",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
}
_COMMANDS = re.compile(rb"\*\d+\r\n\$|#TS:\d|REDIS.{0,200}aof-(?:base|preamble)\xc0\x01", re.DOTALL)
UNPACKERS = {"gzip": "gzip", "bzip2": "bzip2", "xz": "xz", "zstd": "zstd", "lz4": "lz4"}


@dataclass(frozen=True, slots=True)
class Ends:
    """The first and the last bytes of what a file holds, which overlap or touch where it is short."""

    first: bytes
    last: bytes


def ends_of(path: Path) -> Ends:
    """The ends of a file on this machine."""
    with path.open("rb") as file:
        first = file.read(_END)
        file.seek(max(0, path.stat().st_size - _END))
        return Ends(first, file.read())


def writer_of(ends: Ends) -> str | None:
    """Which server's dump in SQL it is, by how it begins."""
    found = _recognised(ends)
    return found[0] if found else None


def fault_of_dump(ends: Ends) -> str | None:
    """What is wrong with a dump in SQL; None where it begins and ends as its tool writes it."""
    found = _recognised(ends)
    if found is None:
        return "it does not begin as a dump of PostgreSQL, MySQL, MariaDB or SQLite does"
    _, trailer = found
    lines = [line.rstrip() for line in ends.last.decode(errors="replace").splitlines() if line.strip()]
    if lines and _COMPLAINT.match(lines[-1]):
        return f"it was cut short: it ends with '{lines[-1][:300]}'"
    # pg_dump may add `\unrestrict`, and MySQL the date; data after the trailer means that it was data too.
    while lines and lines[-1].startswith(("--", "\\")) and not lines[-1].startswith(trailer):
        lines.pop()
    if not lines or not lines[-1].startswith(trailer):
        return f"it was cut short: its last line is not '{trailer}'"
    return None


def fault_of_tar_end(ends: Ends) -> str | None:
    """POSIX ends an archive with two blocks of zeros; tar itself lists one that was cut between two files."""
    return None if ends.last[-1024:] == bytes(1024) else "it was cut short: the end of the archive is missing"


def fault_of_archive_end(ends: Ends) -> str | None:
    """Of a dump of pg_dump in tar format: pg_restore waits for ever where one was cut in the rows of a table."""
    return fault_of_tar_end(ends) if ends.first[257:262] == b"ustar" else None


def form_of(ends: Ends) -> str | None:
    """What a file is by its first bytes: a word of _MAGIC or UNPACKERS, aof, tar, sql, json; None is unknown."""
    # An append-only file of Redis is commands, most of which may be put as a snapshot at its beginning.
    if _COMMANDS.match(ends.first):
        return "aof"
    known = next((form for magic, form in _MAGIC.items() if ends.first.startswith(magic)), None)
    if known:
        return known
    if ends.first[257:262] == b"ustar":
        return "pgdump" if ends.first.startswith(b"toc.dat\0") else "tar"
    if _recognised(ends):
        return "sql"
    return "json" if ends.first.lstrip().startswith((b"[", b"{")) else None


def _recognised(ends: Ends) -> tuple[str, str] | None:
    beginning = ends.first.decode(errors="replace")
    for writer, header, trailer in _DUMPS:
        if re.search(f"^{header}", beginning, re.MULTILINE):
            return writer, trailer
    return None
