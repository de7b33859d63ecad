"""A scratch MariaDB or MySQL: started from nothing, reached by a unix socket only, restored into, and asked."""
# ruff: noqa: S608 - what is asked comes from the inventory, and goes to a scratch server

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from readygate.drills.dumps import Ends, ends_of, fault_of_dump
from readygate.drills.outcome import ASKING, NotRestorable, Questions, Restored
from readygate.drills.scratch import Ended, Scratch
from readygate.errors import CouldNotLook

_DATABASE = "readygate_drill"
_STARTS_WITHIN_S = 60.0
_OWN = "('information_schema', 'mysql', 'performance_schema', 'sys')"
_FOREIGN_KEYS = f"""
select table_schema, table_name, constraint_name, column_name, referenced_table_schema, referenced_table_name,
 referenced_column_name from information_schema.key_column_usage
where referenced_table_name is not null and table_schema not in {_OWN} order by 1, 2, 3, ordinal_position
"""
# Unknown table, column, database; and what only a server of another version knows.
_NOTHING_SUCH = ("ERROR 1146", "ERROR 1054", "ERROR 1049")
_NOT_HERE = ("ERROR 1273", "ERROR 1286", "ERROR 1115", "ERROR 1193", "ERROR 1524")
# Whose data it is, which is not always the make of the program that dumped them.
_WRITTEN_BY = (r"^-- Server version:?\s+(.*)", r"^-- (?:MySQL|MariaDB) dump .* Distrib (.*)")


@dataclass(frozen=True, slots=True)
class Make:
    """A server that this machine can start, and how: what makes its data, and what serves them."""

    name: str
    making: tuple[str, ...]
    serving: tuple[str, ...]
    client: str


def installed() -> dict[str, Make]:
    """The makes that this machine can start, by their names."""
    found = {}
    daemon, install, client = _program("mariadbd"), _program("mariadb-install-db"), _program("mariadb")
    if daemon and install and client:
        making = (install, "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db")
        found["MariaDB"] = Make("MariaDB", making, (daemon, "--no-defaults"), client)
    daemon, client = _program("mysqld"), client or _program("mysql")
    if daemon and client and "MariaDB" not in _version(daemon):
        alone = (daemon, "--no-defaults", "--secure-file-priv=NULL")
        # Dumps of a server with GTIDs set which of them are to be skipped.
        serving = (*alone, "--mysqlx=OFF", "--skip-log-bin", "--gtid-mode=ON", "--enforce-gtid-consistency=ON")
        found["MySQL"] = Make("MySQL", (*alone, "--initialize-insecure"), serving, client)
    return found


def make_of(ends: Ends) -> str | None:
    """Which server's data a dump holds; None where it is written without comments."""
    beginning = ends.first.decode(errors="replace")
    told = next((found[1] for each in _WRITTEN_BY if (found := re.search(each, beginning, re.MULTILINE))), None)
    return told and ("MariaDB" if "MariaDB" in told else "MySQL")


def _program(name: str) -> str | None:
    return shutil.which(name, path=_PATH)


def _version(daemon: str) -> str:
    return subprocess.run([daemon, "--version"], capture_output=True, text=True, check=False).stdout


def restore_mariadb(scratch: Scratch, dump: Path, questions: Questions) -> Restored:
    """Restore a dump of mysqldump or mariadb-dump, and ask what came of it.

    NotRestorable: the dump is at fault. CouldNotLook: this machine is.
    """
    ends = ends_of(dump)
    if fault := fault_of_dump(ends):
        raise NotRestorable(fault)
    makes, wanted = installed(), make_of(ends)
    if not makes:
        raise CouldNotLook(
            f"this machine has no {wanted or 'MariaDB or MySQL'}",
            mend=f"install {(wanted or 'MariaDB').lower()}-server on the machine that runs the drill",
        )
    make = makes.get(wanted or "") or next(iter(makes.values()))
    server = _Server(scratch, make)
    with scratch.step(f"start {make.name}"):
        server.start()
    with scratch.step("restore"):
        ended = scratch.run([*server.words, "--database", _DATABASE], reads=dump)
        if ended.exit:
            raise _not_restorable(ended.said, make.name, wanted)
        server.compare_keys()
    with scratch.step(ASKING):
        return server.asked(questions)


_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class _Server:
    scratch: Scratch
    make: Make

    @property
    def socket(self) -> Path:
        return self.scratch.folder / "mariadb.sock"

    @property
    def words(self) -> list[str | Path]:
        return [
            self.make.client,
            "--no-defaults",
            f"--socket={self.socket}",
            "--user=root",
            "--batch",
            "--skip-column-names",
        ]

    def start(self) -> None:
        data = f"--datadir={self.scratch.folder / 'data'}"
        made = self.scratch.run([*self.make.making, data])
        if made.exit:
            raise CouldNotLook(f"no scratch {self.make.name} could be made: {made.said[-300:]}")
        quick = ["--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=128M"]
        apart = ["--skip-networking", f"--socket={self.socket}", f"--pid-file={self.scratch.folder / 'mariadb.pid'}"]
        log = self.scratch.serve([*self.make.serving, data, *quick, *apart], ends_by=signal.SIGKILL)
        end = time.monotonic() + min(_STARTS_WITHIN_S, self.scratch.left_s)
        while self.ask(f"create database if not exists {_DATABASE}").exit:
            if time.monotonic() > end:
                said = log.read_text(errors="replace")[-300:]
                raise CouldNotLook(f"the scratch {self.make.name} did not start: {said}")
            time.sleep(0.05)

    def ask(self, query: str, database: str = "") -> Ended:
        return self.scratch.run([*self.words, f"--database={database}", f"--execute={query}"])

    def compare_keys(self) -> None:
        """A dump switches the checks of foreign keys off. NotRestorable: rows refer to what is not in it."""
        parts = [line.split("\t") for line in self._lines(_FOREIGN_KEYS)]
        for (schema, table, name), key in groupby(parts, key=lambda part: part[:3]):
            pairs = [part[3:] for part in key]
            given = " and ".join(f"c.{_named(column)} is not null" for column, *_ in pairs)
            same = " and ".join(f"c.{_named(column)} = p.{_named(other)}" for column, *_, other in pairs)
            _, parent_schema, parent, other = pairs[0]
            parents = f"left join {_named(parent_schema)}.{_named(parent)} p on {same}"
            lost = f"{given} and p.{_named(other)} is null limit 1"
            ended = self.ask(f"select 1 from {_named(schema)}.{_named(table)} c {parents} where {lost}")
            if ended.exit and not any(each in ended.said for each in _NOTHING_SUCH):
                raise CouldNotLook(f"the restored database can't be asked: {ended.said}")
            if ended.exit or ended.text:
                raise NotRestorable(f"rows of {table} refer by {name} to rows of {parent} that are not in it")

    def asked(self, questions: Questions) -> Restored:
        database = questions.database or self._restored_database()
        tables = self._lines(
            f"select table_name from information_schema.tables where table_schema = '{database}' "
            "and table_type = 'BASE TABLE' order by 1"
        )
        counted = "information_schema.{} where constraint_schema = '" + database + "'"
        constraints = self._lines(f"select count(*) from {counted.format('table_constraints')}")
        indexed = "select count(distinct table_name, index_name) from information_schema.statistics"
        indexes = self._lines(f"{indexed} where table_schema = '{database}'")
        return Restored(
            server=f"{self.make.name} {self._lines('select version()')[0]}",
            values={each: self._value(database, each) for each in questions.values},
            ages={each: self._age(database, each) for each in questions.moments},
            rows={table: int(str(self._value(database, table))) for table in tables},
            constraints=int(constraints[0]),
            indexes=int(indexes[0]),
        )

    def _restored_database(self) -> str:
        others = self._lines(f"select schema_name from information_schema.schemata where schema_name not in {_OWN}")
        others = [each for each in others if each != _DATABASE]
        if len(others) > 1:
            raise CouldNotLook(
                f"the dump holds the databases {', '.join(sorted(others))}",
                mend="say by `database` which of them the drill asks",
            )
        return others[0] if others else _DATABASE

    def _lines(self, query: str) -> list[str]:
        ended = self.ask(query)
        if ended.exit:
            raise CouldNotLook(f"the restored database can't be asked: {ended.said}")
        return ended.text.splitlines()

    def _age(self, database: str, moment: str) -> float | None:
        age = self._value(database, f"select timestampdiff(second, ({moment.strip().rstrip(';')}), utc_timestamp())")
        return None if age is None else max(0.0, float(str(age)))

    def _value(self, database: str, question: str) -> object:
        is_query = re.match(r"\s*(select|with|values)\b", question, re.IGNORECASE)
        ended = self.ask(question if is_query else f"select count(*) from {_named(question)}", database)
        if ended.exit:
            if any(each in ended.said for each in _NOTHING_SUCH):
                return None
            raise CouldNotLook(f"{self.make.name} can't answer '{question}': {ended.said}", mend="correct the query")
        lines = ended.text.splitlines()
        if not lines or lines == ["NULL"]:
            return None
        if len(lines) != 1 or "\t" in lines[0]:
            raise CouldNotLook(
                f"'{question}' does not give one value", mend="write a query with one row and one column"
            )
        return _number(lines[0])


def _named(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _number(text: str) -> object:
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    return float(text) if re.fullmatch(r"-?\d+\.\d+", text) else text


def _not_restorable(said: str, make: str, wanted: str | None) -> Exception:
    """Whose fault it is that the restore ended: this machine's, or the backup's."""
    first = next((line for line in said.splitlines() if line.startswith("ERROR")), said[:300])
    mend = "install the server that wrote it on the machine that runs the drill"
    if wanted and wanted != make:
        return CouldNotLook(f"the dump is of {wanted}, and this machine only has {make}: {first}", mend=mend)
    if any(each in first for each in _NOT_HERE):
        return CouldNotLook(f"the dump could not be restored here: {first}", mend=mend)
    return NotRestorable(f"the restore stopped at: {first}")
