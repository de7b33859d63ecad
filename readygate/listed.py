"""YAML files that hold one list, such as waivers: read with positions, added to without touching the rest."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, PlainValidator, StringConstraints, ValidationError, WithJsonSchema, create_model

from readygate.errors import InventoryError, Position, Problem, UsageError
from readygate.inventory import source
from readygate.inventory.problems import problems_in
from readygate.redaction import REDACTOR
from readygate.spec import Setting
from readygate.store import unwritable_file, write_atomically
from readygate.units import not_a

_Entry = TypeVar("_Entry", bound=Setting)

_COMMENTS_ONLY = re.compile(r"(\s*(#.*)?\n)*\s*(#.*)?")
_PLAIN = re.compile(r"[A-Za-z/][\w./+-]*( [\w./+-]+)*")
_NOT_TEXT = ("true", "false", "null")


def _day(raw: object) -> date:
    """A day as YAML has it, which is text here."""
    if isinstance(raw, str):
        try:
            return date.fromisoformat(raw.strip())
        except ValueError:
            pass
    raise not_a("a day", raw, "write e.g. 2026-03-31")


def _moment(raw: object) -> datetime:
    """A day or a time; in UTC unless it says otherwise."""
    if isinstance(raw, str):
        try:
            moment = datetime.fromisoformat(raw.strip())
        except ValueError:
            pass
        else:
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    raise not_a("a day or a time", raw, "write e.g. 2026-03-31 or 2026-03-31T12:00Z")


# Redacted here, since each output escapes it in its own way.
Said = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(REDACTOR.redact)]
Day = Annotated[date, PlainValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
Moment = Annotated[datetime, PlainValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]


def read_entries(path: Path, name: str, key: str, model: type[_Entry]) -> Iterator[tuple[_Entry, Position]]:
    """The entries under `key`, and where each stands; `name` is what messages call the file.

    A file that isn't there, or holds nothing but comments, has none. Raises InventoryError with every mistake.
    """
    if path.exists():
        yield from _entries(source.text_of(path), name, key, model)


def add_entry(path: Path, key: str, model: type[_Entry], fields: Mapping[str, str | bool]) -> str:
    """Write one more entry at the end of the file, which is made where there is none; returns what was written.

    Raises InventoryError for an entry that can't be used, and UsageError for a file that does not end with its
    list; neither changes the file.
    """
    fields = {name: value if isinstance(value, bool) else _readable(value) for name, value in fields.items()}
    text = source.text_of(path) if path.exists() else ""
    before = [entry for entry, _ in _entries(text, path.name, key, model)]
    has_list = not _COMMENTS_ONLY.fullmatch(text)
    added = _as_yaml(fields, _indent(text) if has_list else "  ")
    whole = text + ("\n" if text and not text.endswith("\n") else "") + ("" if has_list else f"{key}:\n") + added
    try:
        after = [entry for entry, _ in _entries(whole, path.name, key, model)]
    except InventoryError as error:
        if _entries_stand_alone(added, path.name, key, model):
            raise UsageError(f"{path.name} does not end with its list; add this by hand:\n{added}") from None
        raise error from None
    if after[:-1] != before:
        raise UsageError(f"{path.name} would read differently with this at its end; add it by hand:\n{added}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, whole)
    except OSError as error:
        raise unwritable_file(path, error, f"add this by hand:\n{added}") from None
    return added


def _entries(text: str, name: str, key: str, model: type[_Entry]) -> Iterator[tuple[_Entry, Position]]:
    if _COMMENTS_ONLY.fullmatch(text):
        return
    tree = source.parse(text, name)
    places = source.positions(tree)
    document: Any = create_model("Document", __base__=Setting, **{key: (tuple[model, ...], ...)})  # type: ignore[valid-type, call-overload]
    try:
        found = getattr(document.model_validate(source.to_data(tree)), key)
    except ValidationError as error:
        raise InventoryError(_problems(error, places, key, model)) from None
    for number, entry in enumerate(found):
        yield entry, places.of((key, number))


def _problems(error: ValidationError, places: source.Places, key: str, model: type[_Entry]) -> Iterable[Problem]:
    """As if each entry stood under a name of its own, which is what the words for mistakes are made for."""
    by_number: Any = create_model("Document", __base__=Setting, **{key: (dict[int, model], ...)})  # type: ignore[valid-type, call-overload]
    return problems_in(error, places, by_number)


def _entries_stand_alone(added: str, name: str, key: str, model: type[_Entry]) -> bool:
    try:
        return len(list(_entries(f"{key}:\n{added}", name, key, model))) == 1
    except InventoryError:
        return False


def _readable(word: str) -> str:
    """A word of the command line, be the locale one that doesn't have its letters."""
    try:
        return os.fsencode(word).decode()
    except UnicodeError:
        raise UsageError(f"{word!a} is not UTF-8; write it in that") from None


def _indent(text: str) -> str:
    """How far the members of the list are indented."""
    found = re.search(r"^( *)- ", text, re.MULTILINE)
    return found[1] if found else "  "


def _as_yaml(fields: Mapping[str, str | bool], indent: str) -> str:
    lines = [f"{name}: {_scalar(value)}" for name, value in fields.items() if value not in ("", False)]
    return f"{indent}- " + f"\n{indent}  ".join(lines) + "\n"


def _scalar(value: str | bool) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    is_plain = _PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT
    return value if is_plain or re.fullmatch(r"\d{4}-\d\d-\d\d", value) else json.dumps(value, ensure_ascii=False)
