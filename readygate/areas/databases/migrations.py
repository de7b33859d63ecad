"""Which migrations a database has had, and which of those in a folder it has not."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from readygate.errors import CouldNotLook, Mistake
from readygate.expectation import AtMostCount, Text
from readygate.spec import Spec

Rows = Callable[[str], Sequence[Sequence[Any]]]

# Each gives a version, whether it is applied for good, and stands in the order in which they were applied.
_APPLIED = {
    "alembic": "select version_num, 1 from alembic_version order by 1",
    "django": "select concat(app, '.', name), 1 from django_migrations order by id",
    "goose": "select version_id, is_applied from goose_db_version where version_id > 0 order by id",
    "flyway": "select version, success from flyway_schema_history where version is not null order by installed_rank",
}
FILES = {
    "goose": re.compile(r"0*(\d+)_.+\.(?:sql|go)$"),
    "flyway": re.compile(r"V([\d._]+?)__.+\.(?:sql|java|class)$"),
}
_DJANGO = re.compile(r"\d{4}_\w+\.py$")


class Migrations(Spec):
    """How far the schema has come; the tool's own table in the database is read."""

    area: ClassVar[str] = "migrations"
    noun: ClassVar[str] = "migrations"

    tool: Literal["alembic", "django", "goose", "flyway"] = Field(description="A setting: what applies them.")
    files: str | None = Field(
        None,
        description="A setting: the folder here that has them all; for django that of the project.",
    )

    head: Text | None = Field(None, description="The newest that is applied, e.g. 4f2a1bc9d0e1 or 20261101120000.")
    pending: AtMostCount | None = Field(None, description="How many of those in the folder are not applied.")
    unknown: AtMostCount | None = Field(None, description="How many are applied that the folder doesn't have.")
    failed: AtMostCount | None = Field(None, description="How many were begun and did not end well.")

    irreversible: AtMostCount | None = Field(None, description="Of goose: how many files have no way back.")
    untransacted: AtMostCount | None = Field(
        None, description="Of goose: how many run outside of a transaction, without a comment above that says why."
    )
    breaking: AtMostCount | None = Field(
        None, description="Of goose: how many that are pending take away what the release before still uses."
    )

    @model_validator(mode="after")
    def _has_files(self) -> Migrations:
        read = (self.irreversible, self.untransacted, self.breaking)
        if any(read) and self.tool != "goose":
            raise Mistake(f"the files of {self.tool} are not read", "leave out irreversible, untransacted, breaking")
        if (self.pending or self.unknown) and not self.files:
            raise Mistake("`pending` and `unknown` compare with a folder", "write e.g. files: migrations beside them")
        if any(read) and not self.files:
            raise Mistake("nobody knows where the files are", "write e.g. files: migrations beside them")
        return self


@dataclass(frozen=True, slots=True)
class MigrationState:
    """The newest that is applied, and how the database differs from the folder; versions as the tool has them."""

    head: str | None
    pending: tuple[str, ...]
    unknown: tuple[str, ...]
    failed: tuple[str, ...]


def look_at_migrations(migrations: Migrations, rows: Rows) -> MigrationState:
    """Read the tool's table, and the folder. CouldNotLook: either isn't there."""
    told = [(str(version), bool(int(good))) for version, good in rows(_APPLIED[migrations.tool])]
    last = dict(told)  # goose writes a row for each step up and down; the last one holds
    applied = [version for version in last if last[version]]
    # goose notes a step back as not applied, flyway one that broke off.
    failed = tuple(version for version, good in told if not good) if migrations.tool == "flyway" else ()
    head = _newest(migrations.tool, applied)
    if not migrations.files:
        return MigrationState(head, (), (), failed)
    folder = Path(migrations.files)
    if not folder.is_dir():
        raise CouldNotLook(f"there is no folder {folder} here", mend="correct `files`, from where readygate is run")
    if migrations.tool == "alembic":
        pending, unknown = _compare_alembic(folder, applied)
    else:
        known = {_plain(each) for each in _in_folder(folder, migrations.tool)}
        done = {_plain(each) for each in applied}
        squashed = _squashed_in(folder) if migrations.tool == "django" else {}
        # One that stands for others is applied where all of them are, and notes it with the next `migrate`.
        pending = known - done - {each for each, others in squashed.items() if others and others <= done}
        unknown = done - known - {other for others in squashed.values() for other in others}
        if migrations.tool == "django":  # the apps that the project takes from elsewhere have no files in it
            apps = {each.partition(".")[0] for each in known}
            unknown = {each for each in unknown if each.partition(".")[0] in apps}
    return MigrationState(head, tuple(sorted(pending)), tuple(sorted(unknown)), failed)


def _newest(tool: str, applied: Sequence[str]) -> str | None:
    if not applied:
        return None
    if tool == "alembic":
        return ", ".join(sorted(applied))  # several heads, where branches are not merged
    return applied[-1] if tool == "django" else max(applied, key=_order)


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _plain(version: str) -> str:
    """Flyway takes 1_2 in a file's name for 1.2, and 001 for 1."""
    return ".".join(map(str, _order(version))) if re.fullmatch(r"[\d._]+", version) else version


def _in_folder(folder: Path, tool: str) -> set[str]:
    """The versions of all migrations in the folder. CouldNotLook: there is none."""
    if tool == "django":
        found = {_named(path) for path in _of_django(folder)}
    else:
        found = {match[1] for path in folder.rglob("*") if (match := FILES[tool].fullmatch(path.name))}
    if not found:
        raise CouldNotLook(f"there are no migrations of {tool} in {folder}", mend="correct `files`")
    return found


def _of_django(folder: Path) -> list[Path]:
    files = (path for path in folder.rglob("migrations/*.py") if _DJANGO.fullmatch(path.name))
    return [path for path in files if "site-packages" not in path.parts]


def _named(path: Path) -> str:
    return f"{path.parent.parent.name}.{path.stem}"


def _squashed_in(folder: Path) -> dict[str, set[str]]:
    """By migration of django, the others that it replaces."""
    found = {}
    for path in _of_django(folder):
        classes = [each for each in _statements(path) if isinstance(each, ast.ClassDef)]
        replaced = (_literals(each.body).get("replaces") for each in classes)
        found[_named(path)] = {f"{app}.{name}" for others in replaced for app, name in others or ()}
    return found


def _compare_alembic(folder: Path, applied: Iterable[str]) -> tuple[set[str], set[str]]:
    """The database only names its heads; all that these came from are applied, too."""
    parents = {}
    for path in folder.rglob("*.py"):
        said = _assigned(path)
        if isinstance(said.get("revision"), str):
            below = said.get("down_revision") or ()
            parents[said["revision"]] = (below,) if isinstance(below, str) else tuple(below)
    if not parents:
        raise CouldNotLook(f"there are no migrations of alembic in {folder}", mend="correct `files`")
    todo, done = list(applied), set[str]()
    while todo:
        revision = todo.pop()
        if revision not in done:
            done.add(revision)
            todo += parents.get(revision, ())
    return set(parents) - done, done - set(parents)


def _assigned(path: Path) -> Mapping[str, Any]:
    """What a Python file assigns to plain names at its top, without running it."""
    return _literals(_statements(path))


def _statements(path: Path) -> list[ast.stmt]:
    try:
        return ast.parse(path.read_text(encoding="utf-8")).body
    except (SyntaxError, UnicodeDecodeError) as error:
        raise CouldNotLook(f"{path} can't be read: {error}", mend="mend the migration") from None


def _literals(statements: Iterable[ast.stmt]) -> Mapping[str, Any]:
    said = {}
    for each in statements:
        if isinstance(each, ast.Assign):
            targets, value = each.targets, each.value
        elif isinstance(each, ast.AnnAssign) and each.value is not None:
            targets, value = [each.target], each.value
        else:
            continue
        for target in targets:
            if isinstance(target, ast.Name):
                with suppress(ValueError):  # what is computed is neither a revision nor what it came from
                    said[target.id] = ast.literal_eval(value)
    return said
