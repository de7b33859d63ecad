"""What the lines of a dump in SQL say from its beginning to its end, which its two ends alone don't tell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from readygate.errors import CouldNotLook

# Prints, of a dump of any size: how many rows each COPY has, which tables are inserted into, where each dump
# begins and ends, and what a program complained of where its errors were sent into the dump too. A row of data
# can't begin with a line break, so that outside of COPY a line is the dump's own; but values of INSERT keep theirs.
AWK = r"""
rows == "" && /^COPY .* FROM stdin;\r?$/ { rows = $0; n = 0; next }
/^-- (PostgreSQL|MySQL|MariaDB) (database |cluster )*dump/ || /^-- Dump completed/ { print "mark\t" $0; next }
rows != "" { if ($0 ~ /^\\\.\r?$/) { print "rows\t" n "\t" rows; rows = "" } else n++; next }
/^INSERT INTO / { inserts = 1; if (!($3 in seen)) { seen[$3]; print "insert\t" $3 }; next }
inserts { next }
/^(pg_dump|pg_dumpall|mysqldump|mariadb-dump|docker|kubectl|ssh)[^ ]*: |^Warning: A (partial )?dump from / {
    print "said\t" substr($0, 1, 300)
}
END { if (rows != "") print "open\t" rows }
"""

_TABLE = re.compile(r'(?:"((?:[^"]|"")*)"|([^\s".(]+))')
_ENDS = re.compile(r"dump complete$|-- Dump completed")
_CLUSTER = "cluster dump"


@dataclass(slots=True)
class DumpLines:
    """What the lines told: `rows` by the names that COPY has, which tables are inserted into, and the first fault."""

    rows: dict[str, int] = field(default_factory=dict)
    inserted: set[str] = field(default_factory=set)
    twice: set[str] = field(default_factory=set)
    fault: str | None = None

    def count(self, table: str) -> int | None:
        """How many rows the table has; None where it isn't in the dump. CouldNotLook: the dump can't tell."""
        wanted = _plain(table)
        named = [name for name in self.rows if name == wanted or name.partition(".")[2] == wanted]
        named = [name for name in named if name in (wanted, f"public.{wanted}")] or named
        if len(named) > 1 or any(name in self.twice for name in named):
            raise CouldNotLook(
                f"the dump has more than one table {table}",
                mend="name its schema too; of a dump of several databases ask a `restore_drill`",
            )
        if not named and any(name == wanted or name.endswith(f".{wanted}") for name in self.inserted):
            raise CouldNotLook(
                f"the rows of {table} are written as INSERT, where several may share a line",
                mend="ask a `restore_drill` for them",
            )
        return self.rows[named[0]] if named else None


def read_dump_lines(printed: str) -> DumpLines:
    """Understand what AWK printed."""
    told = DumpLines()
    open_dumps: list[str] = []
    for kind, words in _lines(printed):
        match kind:
            case "rows":
                count, _, statement = words.partition("\t")
                table = _plain(statement.removeprefix("COPY "))
                if table in told.rows:
                    told.twice.add(table)
                told.rows[table] = int(count)
            case "insert":
                told.inserted.add(_plain(words))
            case "mark":
                told.fault = told.fault or _fault_of_mark(words, open_dumps)
            case "said":
                told.fault = told.fault or f"what a program complained of stands in it: {words}"
            case "open":
                told.fault = told.fault or f"it was cut short: the rows of {_plain(words[5:])} have no end"
    if open_dumps and not told.fault:
        told.fault = "it was cut short: a dump that begins in it does not end"
    return told


def _lines(printed: str) -> Iterator[tuple[str, str]]:
    for line in printed.splitlines():
        kind, _, words = line.partition("\t")
        yield kind, words


def _fault_of_mark(words: str, open_dumps: list[str]) -> str | None:
    """Keep count of the dumps that have begun; only that of a cluster has others in it."""
    if _ENDS.search(words):
        if open_dumps:
            open_dumps.pop()
        return None
    inside = open_dumps[-1] if open_dumps else None
    open_dumps.append(words)
    if inside and _CLUSTER not in inside:
        return "it was cut short: another dump begins before the first one ends"
    return None


def _plain(name: str) -> str:
    """The name at the beginning, with its schema, and without quotes or what follows it."""
    parts = []
    while found := _TABLE.match(name):
        parts.append(found[1].replace('""', '"') if found[1] is not None else found[2].strip("`"))
        name = name[found.end() :]
        if not name.startswith("."):
            break
        name = name[1:]
    return ".".join(parts)
