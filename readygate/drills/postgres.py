"""A scratch PostgreSQL: started from nothing, reached by a unix socket only, restored into, and asked."""
# ruff: noqa: S608 - what is asked comes from the inventory, and goes to a scratch server

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from readygate.drills.dumps import ends_of, fault_of_archive_end, fault_of_dump
from readygate.drills.needs import TELLING, Needs, needs_in, quoted_name
from readygate.drills.outcome import ASKING, NotRestorable, Questions, Restored
from readygate.drills.scratch import Scratch
from readygate.errors import CouldNotLook

# Where Debian, Red Hat and a build of one's own put the programs.
PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql*/bin",
)

# A name that no dump creates a role by, so that `CREATE ROLE postgres` is new to the server.
_SUPERUSER = "readygate_drill"
_DATABASE = "readygate_drill"
_STARTS_WITHIN_S = 60.0
_COUNTED_AT_ONCE = 45  # a function of PostgreSQL takes a hundred arguments at most

# Nothing in it has to survive, so it waits for no disk.
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "1GB",
    "autovacuum": "off",
    "jit": "off",
    "shared_buffers": "64MB",
    "maintenance_work_mem": "128MB",
    "dynamic_shared_memory_type": "mmap",
    "max_connections": "20",
    "logging_collector": "off",
}

_MAJOR = re.compile(r"\) (\d+)")
_ERROR = re.compile(
    r"^(?:psql:\S+ |pg_restore: error: )?.*?(?:ERROR|FATAL):\s+(?:(?P<state>[0-9A-Z]{5}): )?(?P<said>.*)"
)

# The scratch server lacks something that the real one has; the backup may well be right.
_LACKS = (
    (r'extension "([^"]+)" is not available', "install the extension {0} for the PostgreSQL of this machine"),
    (r'could not open extension control file ".*/([^"/]+)\.control"', "install the extension {0} on this machine"),
    (r'could not access file "([^"]+)"', "install what brings {0} on this machine"),
    (r'invalid (?:LC_\w+ )?locale name: "([^"]+)"', "add the locale {0} to this machine"),
    (r'(?:collation "([^"]+)" for encoding .* does not exist)', "add the collation {0} to this machine"),
    (
        r'unrecognized configuration parameter "([^"]+)"',
        "install a newer PostgreSQL on this machine, which knows {0}",
    ),
    (r'access method "([^"]+)" does not exist', "install the extension that brings {0} on this machine"),
    (r'tablespace "([^"]+)" does not exist', "dump with --no-tablespaces; this machine has no {0}"),
    (r'parameter "default_tablespace": "([^"]+)"', "dump with --no-tablespaces; this machine has no {0}"),
)

# What nothing in the dump has made before it is used.
_IS_MISSING = re.compile(r"(?:schema|type|relation|function|sequence|collation) .* does not exist$")
_IN_A_FUNCTION = re.compile(r"^CONTEXT: .*function", re.MULTILINE)
_BY_ITS_PATH = "; a function finds it by the search_path only, so name its schema there, or give the function a path"
_A_PART = "; nothing in the dump makes it, as where it holds a part only (--schema, --table, --data-only)"

# The tables of users, by their quoted names; partitions count with the table that they are parts of.
TABLES = """
select coalesce(json_agg(format('%I.%I', nspname, relname) order by nspname, relname), '[]')
from pg_class join pg_namespace on pg_namespace.oid = relnamespace
where relkind in ('r', 'p') and not relispartition and nspname !~ '^pg_' and nspname <> 'information_schema'
"""
_CONTENTS = f"""
select json_build_object(
  'tables', ({TABLES}),
  'constraints', (select count(*) from pg_constraint join pg_namespace on pg_namespace.oid = connamespace
                  where contype in ('p', 'u', 'f', 'c', 'x')
                  and nspname !~ '^pg_' and nspname <> 'information_schema'),
  'indexes', (select count(*) from pg_indexes where schemaname !~ '^pg_' and schemaname <> 'information_schema'),
  'extensions', (select coalesce(json_agg(extname order by extname), '[]') from pg_extension))
"""
# Each sequence that counts up for a column of whole numbers: as its own, or as its default.
_SEQUENCES = """
select coalesce(json_agg(json_build_array(
  format('%I.%I', sn.nspname, s.relname), format('%I.%I', tn.nspname, t.relname), quote_ident(attname))), '[]')
from (select objid as seq, refobjid as rel, refobjsubid as number from pg_depend
      where classid = 'pg_class'::regclass and refclassid = 'pg_class'::regclass and deptype in ('a', 'i')
      union select refobjid, adrelid, adnum from pg_depend join pg_attrdef as d on d.oid = objid
      where classid = 'pg_attrdef'::regclass and refclassid = 'pg_class'::regclass) as used
join pg_sequence on seqrelid = seq and seqincrement > 0
join pg_class as s on s.oid = seq join pg_namespace as sn on sn.oid = s.relnamespace
join pg_class as t on t.oid = rel join pg_namespace as tn on tn.oid = t.relnamespace
join pg_attribute on attrelid = rel and attnum = number
  and atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
"""
_OTHERS = (
    "select coalesce(json_agg(datname), '[]') from pg_database "
    f"where not datistemplate and datname not in ('postgres', '{_DATABASE}')"
)


def installed() -> dict[int, Path]:
    """The majors of PostgreSQL that this machine can start, each with the folder of its programs."""
    found = {}
    for place in PLACES:
        for programs in Path("/").glob(place.lstrip("/")):
            if all((programs / name).is_file() for name in ("initdb", "postgres", "psql", "pg_restore")):
                told = subprocess.run(
                    [programs / "postgres", "--version"], capture_output=True, text=True, check=False
                )
                if major := _MAJOR.search(told.stdout):
                    found[int(major[1])] = programs
    return found


def programs_for(major: int) -> tuple[int, Path]:
    """The programs of this major or, where it isn't there, of the next newer one. CouldNotLook: all are too old."""
    majors = installed()
    fitting = min((each for each in majors if each >= major), default=None)
    if fitting is None:
        have = f"has {max(majors)} at most" if majors else "has none"
        raise CouldNotLook(
            f"the dump is from PostgreSQL {major}, and this machine {have}",
            mend=f"install postgresql-{major} on the machine that runs the drill",
        )
    return fitting, majors[fitting]


def counting(tables: Sequence[str]) -> Iterator[str]:
    """Queries for how many rows each of these tables has; their names are quoted already."""
    for start in range(0, len(tables), _COUNTED_AT_ONCE):
        some = tables[start : start + _COUNTED_AT_ONCE]
        counts = ", ".join(f"{_literal(table)}, (select count(*) from {table})" for table in some)
        yield f"select json_build_object({counts})"


def restore_postgres(scratch: Scratch, dump: Path, *, is_sql: bool, questions: Questions) -> Restored:
    """Restore a dump of pg_dump or pg_dumpall, in any form that is one file, and ask what came of it.

    NotRestorable: the dump is at fault. CouldNotLook: this machine is.
    """
    fault_of_ends = fault_of_dump if is_sql else fault_of_archive_end
    if dump.is_file() and (fault := fault_of_ends(ends_of(dump))):
        raise NotRestorable(fault)
    script = dump if is_sql else _script_of(scratch, dump)
    needs = _needs_of(scratch, script)
    if needs.makes_tablespace:
        raise CouldNotLook(
            f"the dump makes the tablespace {needs.makes_tablespace} where its server had it, outside of the drill",
            mend="dump with --no-tablespaces, or drill a base backup",
        )
    major, programs = programs_for(max(needs.majors, default=1))
    server = ScratchServer(scratch, programs)
    with scratch.step(f"start PostgreSQL {major}"):
        server.start()
        for role in needs.roles:
            server.do(f"create role {role} superuser")
        server.do(f"create database {_DATABASE} template template0")
        for tablespace in needs.tablespaces if is_sql else ():
            server.do("set allow_in_place_tablespaces = on", f"create tablespace {tablespace} location ''")
        if needs.makes_public:
            server.do("drop schema public", database=_DATABASE)
    with scratch.step("restore"):
        try:
            server.load(dump, is_sql=is_sql)
        except NotRestorable as fault:
            if needs.drops_first and "does not exist" in str(fault):
                raise CouldNotLook(
                    f"the dump drops what an empty server does not have: {fault}",
                    mend="dump without --clean, or with --if-exists beside it",
                ) from fault
            raise
    with scratch.step(ASKING):
        return server.asked(questions)


def _script_of(scratch: Scratch, dump: Path) -> Path:
    """The SQL around the data of an archive, as the newest pg_restore of this machine writes it."""
    major, programs = max(installed().items(), default=(0, None))
    if programs is None:
        raise CouldNotLook("this machine has no PostgreSQL", mend="install it on the machine that runs the drill")
    listed = scratch.run([programs / "pg_restore", "--list", dump])
    if "unsupported version" in listed.said:
        raise CouldNotLook(
            f"the dump is of a newer pg_dump than PostgreSQL {major} reads",
            mend="install the PostgreSQL that wrote it on the machine that runs the drill",
        )
    around = ["--file=-", "--section=pre-data", "--section=post-data"]
    script = scratch.run([programs / "pg_restore", *around, dump])
    for ended in (listed, script):
        if ended.exit:
            raise NotRestorable(f"pg_restore can't read it: {_first_line(ended.said)}")
    script.output.write_text(listed.text + script.text)
    return script.output


def _needs_of(scratch: Scratch, script: Path) -> Needs:
    told = scratch.run(["grep", "-aE", TELLING, script])
    if told.exit > 1:
        raise CouldNotLook(f"the dump can't be searched: {_first_line(told.said)}")
    return needs_in(told.text)


@dataclass(frozen=True, slots=True)
class ScratchServer:
    """A server in the scratch folder; `settings` are added to ours, and `database` is asked where none is named."""

    scratch: Scratch
    programs: Path
    superuser: str = _SUPERUSER
    settings: Mapping[str, str] = field(default_factory=dict)
    database: str = _DATABASE

    @property
    def words(self) -> list[str]:
        """The settings, as words of the command that starts it."""
        settings = {**_SETTINGS, "unix_socket_directories": str(self.scratch.folder), **self.settings}
        return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]

    def start(self) -> None:
        data = self.scratch.folder / "data"
        options = [f"--username={self.superuser}", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        made = self.scratch.run([self.programs / "initdb", f"--pgdata={data}", *options, "--no-instructions"])
        if made.exit:
            raise CouldNotLook(f"no scratch PostgreSQL could be made: {_first_line(made.said)}")
        self.serve(data)

    def serve(self, data: Path) -> None:
        """Start it on the files of a server, and wait until it answers."""
        log = self.scratch.serve([self.programs / "postgres", "-D", data, *self.words], ends_by=signal.SIGQUIT)
        ready = [self.programs / "pg_isready", "--quiet", f"--host={self.scratch.folder}"]
        end = time.monotonic() + _STARTS_WITHIN_S
        while self.scratch.run(ready).exit:
            if time.monotonic() > end:
                raise CouldNotLook(f"the scratch PostgreSQL did not start: {log.read_text(errors='replace')[-300:]}")
            time.sleep(0.03)

    def load(self, dump: Path, *, is_sql: bool) -> None:
        as_sql = [*self._psql(_DATABASE), "--quiet", "--output=/dev/null", f"--file={dump}"]
        given = ["--exit-on-error", "--no-tablespaces", *self._where(_DATABASE)]
        as_archive = [self.programs / "pg_restore", *given, dump]
        command = as_sql if is_sql else as_archive
        ended = self.scratch.run(command)
        if ended.exit:
            raise _not_restorable(ended.said)

    def do(self, *statements: str, database: str = "postgres") -> None:
        commands = [f"--command={each}" for each in statements]
        ended = self.scratch.run([*self._psql(database), "--quiet", *commands])
        if ended.exit:
            raise CouldNotLook(f"the scratch PostgreSQL can't be prepared: {_first_line(ended.said)}")

    def asked(self, questions: Questions) -> Restored:
        database = questions.database or self._restored_database()
        held = self._json(database, _CONTENTS)
        rows: dict[str, int] = {}
        for query in counting(held["tables"]):
            rows |= self._json(database, query)
        return Restored(
            server=f"PostgreSQL {self._json(database, 'select to_json(current_setting($$server_version$$))')}",
            values={each: self._value(database, each) for each in questions.values},
            ages={each: self._age(database, each) for each in questions.moments},
            rows=rows,
            constraints=held["constraints"],
            indexes=held["indexes"],
            extensions=tuple(held["extensions"]),
            behind=tuple(self._sequences_behind(database)),
        )

    def _sequences_behind(self, database: str) -> Iterator[str]:
        told = self._json(database, _SEQUENCES)
        for start in range(0, len(told), _COUNTED_AT_ONCE):
            some = told[start : start + _COUNTED_AT_ONCE]
            tests = (
                f"coalesce((select max({column}) from {table}) > "
                f"(select last_value - (not is_called)::int from {sequence}), false)"
                for sequence, table, column in some
            )
            are_behind = self._json(database, f"select json_build_array({', '.join(tests)})")
            yield from (sequence for (sequence, _, _), is_behind in zip(some, are_behind, strict=True) if is_behind)

    def _restored_database(self) -> str:
        """Where the data are: a dump may bring databases of its own."""
        others = self._json("postgres", _OTHERS)
        if len(others) > 1:
            raise CouldNotLook(
                f"the dump holds the databases {', '.join(sorted(others))}",
                mend="say by `database` which of them the drill asks",
            )
        return str(others[0]) if others else self.database

    def _age(self, database: str, moment: str) -> float | None:
        age = self._value(database, f"select extract(epoch from now() - ({_bare(moment)}))::float8 as age")
        if age is not None and not isinstance(age, int | float):
            raise CouldNotLook(
                f"'{moment}' does not give one moment", mend="write e.g. select max(created_at) from orders"
            )
        if age is not None and age < -300:
            raise CouldNotLook(
                f"'{moment}' gives a moment that is yet to come",
                mend="a timestamp without time zone is read as UTC; write `at time zone` in the query",
            )
        return None if age is None else max(0.0, age)

    def _value(self, database: str, question: str) -> object:
        """The one value that a query gives, or how many rows a table has; None where there is no such thing."""
        is_query = re.match(r"\s*(select|with|values|table)\b", question, re.IGNORECASE)
        query = _bare(question) if is_query else f"select count(*) from {_quoted(question)}"
        ended = self._ask(database, f"select coalesce(json_agg(answer), '[]') from (\n{query}\n) as answer")
        if ended.exit:
            error = _ERROR.search(ended.said)
            # undefined table, column, schema, function
            if error and error["state"] in ("42P01", "42703", "3F000", "42883"):
                return None
            raise CouldNotLook(
                f"PostgreSQL can't answer '{question}': {_first_line(ended.said)}", mend="correct the query"
            )
        rows = json.loads(ended.text, object_pairs_hook=list)
        if not rows:
            return None
        if len(rows) != 1 or len(rows[0]) != 1:
            raise CouldNotLook(
                f"'{question}' does not give one value", mend="write a query with one row and one column"
            )
        return rows[0][0][1]

    def _json(self, database: str, query: str) -> Any:
        ended = self._ask(database, query)
        if ended.exit:
            raise CouldNotLook(f"the restored database can't be asked: {_first_line(ended.said)}")
        return json.loads(ended.text)

    def _ask(self, database: str, query: str) -> Any:
        return self.scratch.run([*self._psql(database), "--tuples-only", "--no-align", f"--command={query}"])

    def _psql(self, database: str) -> list[str | Path]:
        settings = ["-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose"]
        return [self.programs / "psql", "--no-psqlrc", *self._where(database), *settings]

    def _where(self, database: str) -> list[str]:
        return [f"--host={self.scratch.folder}", f"--username={self.superuser}", f"--dbname={database}"]


def _not_restorable(said: str) -> Exception:
    """Whose fault it is that the restore ended: this machine's, or the backup's."""
    for pattern, mend in _LACKS:
        if lacking := re.search(pattern, said):
            return CouldNotLook(
                f"the dump could not be restored here: {_first_line(said)}",
                mend=mend.format(next((each for each in lacking.groups() if each), "it")),
            )
    first = _first_line(said)
    why = ""
    if _IS_MISSING.match(first):
        why = _BY_ITS_PATH if _IN_A_FUNCTION.search(said) else _A_PART
    return NotRestorable(f"the restore stopped at: {first}{why}")


def _first_line(said: str) -> str:
    """The first error that a program complained of, without what psql puts before it."""
    error = next((found for line in said.splitlines() if (found := _ERROR.search(line))), None)
    if error:
        return error["said"]
    return next((line.strip() for line in said.splitlines() if line.strip()), "it did not say why")


def _bare(query: str) -> str:
    return query.strip().rstrip(";")


def _quoted(table: str) -> str:
    return ".".join(map(quoted_name, table.split(".")))


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
