"""What a dump of PostgreSQL needs to find where it is restored: a version, roles, tablespaces."""

from __future__ import annotations

import re
from dataclasses import dataclass

_WRITTEN_BY = re.compile(r"^(?:--|;)\s+Dumped (?:from database version|by pg_dump version):? (\d+)", re.MULTILINE)
# The lines of a dump that say what it needs. A row of data that looks like one adds a role too many, no more.
TELLING = (
    "^(-- Dumped |ALTER |DROP |GRANT |REVOKE |CREATE (ROLE|SCHEMA|POLICY|TABLESPACE|USER MAPPING) "
    "|SET (default_tablespace = |SESSION AUTHORIZATION )|;  *Dumped )"
)
_ROLE = r'("(?:[^"\n]|"")+"|[\w$]+)'
_OWNER = re.compile(
    rf"^(?:ALTER .* OWNER TO|ALTER DEFAULT PRIVILEGES FOR ROLE|CREATE SCHEMA .* AUTHORIZATION) {_ROLE}", re.M
)
_GRANTEE = re.compile(rf"^(?:ALTER DEFAULT PRIVILEGES .*|GRANT .*|REVOKE .*) (?:TO|FROM) {_ROLE}", re.M)
_USER = re.compile(rf"^(?:CREATE USER MAPPING FOR|ALTER ROLE(?= .* IN DATABASE )) {_ROLE}", re.M)
_SESSION = re.compile(r"^SET SESSION AUTHORIZATION '((?:[^'\n]|'')+)'", re.M)
# A policy may be for several, and its condition may have the word in it.
_POLICY = re.compile(rf"^CREATE POLICY .*? TO ({_ROLE}(?:, {_ROLE})*)", re.M)
_TABLESPACE = re.compile(rf"^SET default_tablespace = {_ROLE};", re.M)
_MAKES_TABLESPACE = re.compile(rf"^CREATE TABLESPACE {_ROLE} OWNER {_ROLE} LOCATION '.*';$", re.M)
_MAKES_ROLE = re.compile(rf"^CREATE ROLE {_ROLE}", re.M)
_MAKES_PUBLIC = re.compile(r"^CREATE SCHEMA public(?: AUTHORIZATION \S+)?;", re.M)
_DROPS_FIRST = re.compile(
    r"^(?:DROP (?!.* IF EXISTS)|ALTER TABLE (?!IF EXISTS).* DROP CONSTRAINT (?!IF EXISTS))", re.M
)
_NO_ROLE = ("PUBLIC", "CURRENT_USER", "SESSION_USER", "CURRENT_ROLE")


@dataclass(frozen=True, slots=True)
class Needs:
    """What a dump needs to find where it is restored: at least which major, which roles and which tablespaces."""

    majors: tuple[int, ...]
    roles: tuple[str, ...]
    tablespaces: tuple[str, ...]
    makes_tablespace: str | None
    makes_public: bool
    drops_first: bool


def needs_in(text: str) -> Needs:
    """Of the lines of a dump that tell it."""
    written = {found[1] for pattern in (_OWNER, _GRANTEE, _USER) for found in pattern.finditer(text)}
    written |= {role for found in _POLICY.finditer(text) for role in re.findall(_ROLE, found[1])}
    named = {_in_quotes(role) for role in written if role.upper() not in _NO_ROLE}
    named |= {quoted_name(found[1].replace("''", "'")) for found in _SESSION.finditer(text)}
    named -= {_in_quotes(found[1]) for found in _MAKES_ROLE.finditer(text)}
    return Needs(
        tuple(int(found[1]) for found in _WRITTEN_BY.finditer(text)),
        tuple(sorted(named)),
        tuple(sorted({found[1] for found in _TABLESPACE.finditer(text)} - {"pg_default"})),
        made[1] if (made := _MAKES_TABLESPACE.search(text)) else None,
        bool(_MAKES_PUBLIC.search(text)),
        bool(_DROPS_FIRST.search(text)),
    )


def _in_quotes(role: str) -> str:
    """A role as a dump has it, which quotes only what needs it."""
    return role if role.startswith('"') else f'"{role}"'


def quoted_name(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'
