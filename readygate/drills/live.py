"""The rows of a live PostgreSQL, counted without a lock or a change, to hold a restored copy against."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from readygate.drills.postgres import TABLES, counting, programs_for
from readygate.errors import CouldNotLook

_PR_SET_PDEATHSIG = 1
_PARAMETERS = {"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "host": "PGHOST", "port": "PGPORT"}


def count_live_rows(url: str, *, within: float) -> Mapping[str, int]:
    """By table, how many rows the database at a postgresql:// URL has now. CouldNotLook: it can't be asked."""
    environ = _environ(url, within)
    tables = list(_ask(TABLES, environ, within))
    rows: dict[str, int] = {}
    for query in counting(tables):
        rows |= _ask(query, environ, within)
    return rows


def _environ(url: str, within: float) -> dict[str, str]:
    """The password goes by the environment: the words of a command are there for all to read."""
    parts = urlsplit(url.replace("+psycopg2", "").replace("+psycopg", "").replace("+asyncpg", ""))
    if parts.scheme not in ("postgresql", "postgres"):
        raise CouldNotLook(
            "the live database is not at a postgresql:// URL", mend="write postgresql://user@host/name"
        )
    known = {
        "PGHOST": unquote(parts.hostname or ""),
        "PGPORT": str(parts.port or ""),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": unquote(parts.path.lstrip("/")),
    }
    given = {_PARAMETERS[name]: values[0] for name, values in parse_qs(parts.query).items() if name in _PARAMETERS}
    settled = {
        "PGOPTIONS": f"-c default_transaction_read_only=on -c statement_timeout={int(within * 1000)}",
        "PGCONNECT_TIMEOUT": "10",
        "LC_ALL": "C",
    }
    return {**os.environ, **{name: value for name, value in known.items() if value}, **given, **settled}


def _ask(query: str, environ: Mapping[str, str], within: float) -> dict[str, int]:
    _, programs = programs_for(1)
    plain = ["--no-psqlrc", "--no-password", "--tuples-only", "--no-align"]
    command: list[str | Path] = [programs / "psql", *plain, f"--command={query}"]
    try:
        told = subprocess.run(
            command,
            env=environ,
            capture_output=True,
            text=True,
            timeout=within + 15,
            stdin=subprocess.DEVNULL,
            preexec_fn=_ends_with_us,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CouldNotLook("the live database had no answer in time") from error
    if told.returncode:
        said = told.stderr.strip().splitlines()
        raise CouldNotLook(
            f"the live database can't be asked: {said[-1] if said else 'psql did not say why'}",
            mend="try its URL by hand, from the machine that runs the drill",
        )
    answer: dict[str, int] = json.loads(told.stdout)
    return answer


def _ends_with_us() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
