"""What goose's migrations would do to a release that is still running, as their own SQL has it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from readygate.areas.databases.migrations import FILES, Migrations, MigrationState
from readygate.errors import CouldNotLook

_MARK = re.compile(r"^--\s*\+goose\s+(Up|Down|NO TRANSACTION)\b.*$", re.MULTILINE | re.IGNORECASE)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_OPENS_A_REASON = re.compile(r"^--\s*(?!\+goose)\S", re.IGNORECASE)

# What the release before this one still reads or writes may not go away, or ask for what it doesn't know.
_BREAKS = re.compile(
    r"\bDROP\s+(?:TABLE|VIEW|SCHEMA|TYPE|COLUMN)\b"
    r"|\bALTER\s+TABLE\b.*\bDROP\s+(?!CONSTRAINT\b|DEFAULT\b|NOT\b|IDENTITY\b|EXPRESSION\b)\w"
    r"|\bRENAME\b"
    r"|\bSET\s+NOT\s+NULL\b"
    r"|\bALTER\s+(?:COLUMN\s+)?\S+\s+(?:SET\s+DATA\s+)?TYPE\b",
    re.DOTALL | re.IGNORECASE,
)
_ADDED = re.compile(
    r"\bADD\s+(?:COLUMN\s+)?(?!CONSTRAINT\b)\w.*?(?=,\s*(?:ADD|ALTER|DROP)\b|\Z)", re.DOTALL | re.IGNORECASE
)
_DEMANDED = re.compile(r"\bNOT\s+NULL\b", re.IGNORECASE)
_GIVEN = re.compile(r"\b(?:DEFAULT|GENERATED|SERIAL|BIGSERIAL)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MigrationFiles:
    """By name: those without a way back, those outside of a transaction, and those that break the release before."""

    irreversible: tuple[str, ...]
    untransacted: tuple[str, ...]
    breaking: tuple[str, ...]


def observe_migration_files(migrations: Migrations, migration_state: MigrationState) -> MigrationFiles:
    """Read all files in the folder; only what is pending can still break. CouldNotLook: one is no SQL."""
    versions = {path: FILES["goose"].fullmatch(path.name) for path in sorted(Path(migrations.files or "").rglob("*"))}
    texts = {path: (_sql(path), str(int(match[1]))) for path, match in versions.items() if match}
    return MigrationFiles(
        irreversible=_named(texts, lambda sql, _: not _code(_part(sql, "down"))),
        untransacted=_named(texts, lambda sql, _: not _is_transacted(sql)),
        breaking=_named(texts, lambda sql, version: version in migration_state.pending and breaks(_part(sql, "up"))),
    )


def breaks(sql: str) -> bool:
    """Whether a statement takes away, or demands, what the release before knows otherwise."""
    return any(_BREAKS.search(each) or _demands(each) for each in _code(sql).split(";"))


def _demands(statement: str) -> bool:
    if not re.search(r"\bALTER\s+TABLE\b", statement, re.IGNORECASE):
        return False
    return any(_DEMANDED.search(each) and not _GIVEN.search(each) for each in _ADDED.findall(statement))


def _is_transacted(sql: str) -> bool:
    """Whether it runs in a transaction, or says in a comment right above why it can't."""
    before = ""
    for line in sql.splitlines():
        mark = _MARK.match(line)
        if mark and mark[1].upper() == "NO TRANSACTION" and not _OPENS_A_REASON.match(before):
            return False
        before = line
    return True


def _part(sql: str, wanted: str) -> str:
    """What stands below `-- +goose Up` or `-- +goose Down`."""
    parts, name = {"up": "", "down": ""}, ""
    for line in sql.splitlines():
        mark = _MARK.match(line)
        if mark and mark[1].lower() in parts:
            name = mark[1].lower()
        elif name:
            parts[name] += f"{line}\n"
    return parts[wanted]


def _code(sql: str) -> str:
    return _COMMENT.sub(" ", sql).strip()


def _named(texts: Mapping[Path, tuple[str, str]], holds: Callable[[str, str], bool]) -> tuple[str, ...]:
    return tuple(path.name for path, (sql, version) in texts.items() if holds(sql, version))


def _sql(path: Path) -> str:
    if path.suffix != ".sql":
        raise CouldNotLook(f"{path} is no SQL, so what it does is not known", mend="look by eye, and waive it")
    return path.read_text(encoding="utf-8", errors="replace")


FACTS: dict[str, Callable[..., Any]] = {"migration_files": observe_migration_files}
