"""Pydantic's findings in the words of an inventory: what is wrong at which line, and what to write."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from types import NoneType
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from readygate.errors import Mistake, Position, Problem
from readygate.inventory.model import COMPOSED_KEYS, Head
from readygate.inventory.source import Places
from readygate.spec import Path, Spec, dotted


def problems_in(error: ValidationError, places: Places, document: type[BaseModel]) -> Iterator[Problem]:
    """Pydantic's findings about a document of this kind in the user's words, each at its line."""
    found = [(_path(each), each) for each in error.errors()]
    misspelt = {(*path[:-1], _meant(path, document)) for path, each in found if each["type"] == "extra_forbidden"}
    nameless = _nameless(found, document)
    for path, each in found:
        if each["type"] == "missing" and path in misspelt:
            continue  # it is there, under the key that is told of
        above = next((path[:end] for end in range(len(path)) if path[:end] in nameless), None)
        if above is not None and path[len(above)] in nameless[above].model_fields:
            continue  # it follows from the name that is missing
        if each["type"] == "too_short" and any(other[: len(path)] == path != other for other, _ in found):
            continue  # it has members, which can't be used
        wrong, mend = _in_words(each, path, document, places)
        yield Problem(_place(each, path, places), dotted(path), wrong, mend)
    for above, model in nameless.items():
        first = next(path for path, _ in found if path[:-1] == above and path[-1] in model.model_fields)
        wrong = f"the {model.noun.replace('_', ' ')} that this is of has no name"
        mend = f"write its name before '{first[-1]}', and indent under that what holds of it"
        yield Problem(places.of(first), dotted(first), wrong, mend)


def _path(error: Any) -> Path:
    found = tuple(part for part in error["loc"] if part != "[key]")
    mistake = error.get("ctx", {}).get("error")
    return (*found, *mistake.at) if isinstance(mistake, Mistake) else found


def _place(error: Any, path: Path, places: Places) -> Position:
    """Where the value begins, if that is what is wrong; else where its key stands."""
    is_a_key = error["type"] in ("extra_forbidden", "missing") or "[key]" in error["loc"]
    is_single = isinstance(error.get("input"), str | int | float)
    return places.of_value(path) if is_single and not is_a_key else places.of(path)


def _nameless(found: Iterable[tuple[Path, Any]], document: type[BaseModel]) -> dict[Path, type[Spec]]:
    """Where a key such as `connect` stands right under `servers`, where a name belongs, and what it is a key of."""
    nameless: dict[Path, type[Spec]] = {}
    for path, error in found:
        if error["type"] in ("dict_type", "model_type") and isinstance(error["input"], str | int | float):
            model = model_at(path, document)
            if (
                model
                and issubclass(model, Spec)
                and path[-1] in model.model_fields
                and not model_at(path[:-1], document)
            ):
                nameless[path[:-1]] = model
    return nameless


def _in_words(error: Any, path: Path, document: type[BaseModel], places: Places) -> tuple[str, str]:
    given, limits = error.get("input"), error.get("ctx", {})
    shown = _shown(given, places.texts.get(path))
    match error["type"]:
        case "value_error" if isinstance(mistake := limits["error"], Mistake):
            return mistake.wrong, mistake.mend
        case "extra_forbidden":
            meant = _meant(path, document)
            mend = f"did you mean '{meant}'?" if meant else f"known here: {', '.join(_keys_beside(path, document))}"
            return f"unknown key '{path[-1]}'{_foreign(str(path[-1]))}", mend
        case "missing":
            return f"'{path[-1]}' is missing", f"add it: {_description(path, document)}"
        case "dict_type" | "model_type" | "model_attributes_type" if isinstance(given, list):
            one = next((str(each) for each in given if isinstance(each, str | int)), "name")
            return "is a list, and these have names", f"write `{one}:` and what must hold of it, for each"
        case "dict_type" | "model_type" | "model_attributes_type":
            return f"{shown} is not a mapping", "write its keys below it, indented"
        case "string_type":
            return f"{shown} is not text", "write one text" if shown == "this" else f'put it in quotes: "{shown}"'
        case "bool_type" | "bool_parsing":
            return f"{shown} is neither true nor false", "write true or false"
        case "list_type" | "tuple_type":
            return f"{shown} is not a list", "write a list" if shown == "this" else f"write [{given}]"
        case "int_type" | "int_parsing" | "int_parsing_size" | "int_from_float":
            return f"{shown} is not a whole number", "write digits only"
        case "greater_than_equal":
            return f"{shown} is too small", f"write {limits['ge']} or more"
        case "less_than_equal":
            return f"{shown} is too large", f"write {limits['le']} or less"
        case "string_too_short":
            return "is empty", f"write it out: {_description(path, document)}"
        case "too_short":
            return "has too few members", f"write {limits['min_length']} or more"
        case "too_long":
            return "has too many members", f"write {limits['max_length']} or fewer"
        case "string_pattern_mismatch":
            return f"{shown} doesn't fit here", f"{_description(path, document)} It has the form {limits['pattern']}"
        case "enum" | "literal_error":
            return f"{shown} is not known here", f"write {limits['expected']}"
        case _:
            return f"{shown}: {error['msg'].lower()}", _description(path, document) or "see docs/inventory.md"


def _shown(given: object, written: str | None) -> str:
    """A value as it stands in YAML, such as 1.10; of a list or a mapping, the line says enough."""
    match given:
        case bool() | int() | float():
            return written or str(given).lower()
        case str():
            return f"'{given}'"
        case _:
            return "this"


def _foreign(key: str) -> str:
    """A letter that only looks like one of ours, told by its name."""
    letter = next((each for each in key if not each.isascii()), None)
    return f", where '{letter}' is {unicodedata.name(letter, 'an unknown sign')}" if letter else ""


def _meant(path: Path, document: type[BaseModel]) -> str | None:
    """The known key that an unknown one looks like."""
    return next(iter(get_close_matches(str(path[-1]), _keys_beside(path, document), 1)), None)


def _keys_beside(path: Path, document: type[BaseModel]) -> list[str]:
    model = model_at(path[:-1], document)
    keys = list(model.model_fields) if model else []
    if model is not None and issubclass(model, Head):
        return [*keys, *COMPOSED_KEYS]
    is_entry = issubclass(document, Head) and len(path) == 3 and model is not None and issubclass(model, Spec)
    return [*keys, "groups"] if is_entry else keys


def _description(path: Path, document: type[BaseModel]) -> str:
    model = model_at(path[:-1], document)
    field = model.model_fields.get(str(path[-1])) if model else None
    return (field.description or "").removeprefix("A setting: ") if field else ""


_MANY = (dict, list, tuple)


def model_at(path: Path, document: type[BaseModel]) -> type[BaseModel] | None:
    """The model that describes the mapping at a path, or None where the path leads to something else."""
    here: Any = document
    for part in path:
        here = _below(here, part)
    return here if isinstance(here, type) and issubclass(here, BaseModel) else None


def _below(here: Any, part: str | int) -> Any:
    if get_origin(here) in _MANY:
        return _bare(get_args(here)[1 if get_origin(here) is dict else 0])
    if isinstance(here, type) and issubclass(here, BaseModel) and str(part) in here.model_fields:
        return _bare(here.model_fields[str(part)].annotation)
    return None


def _bare(annotation: Any) -> Any:
    """The model, dict or list inside `X | None` and the like."""
    if get_origin(annotation) in _MANY or isinstance(annotation, type):
        return annotation
    return next((found for part in get_args(annotation) if (found := _bare(part)) not in (None, NoneType)), None)
