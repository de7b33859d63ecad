"""The kinds of value that an expectation can be about: how each is written, observed, compared and shown."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Set
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cache
from typing import Any, TypeAlias

from readygate import units
from readygate.errors import Mistake
from readygate.units import not_a

Value: TypeAlias = Any

_LARGEST = 1e300


def _as_it_is(value: Value) -> Value:
    return value


@dataclass(frozen=True, slots=True, repr=False)
class Kind:
    """One kind of value.

    `parse` takes what a person wrote and `read` what a probe saw; both raise Mistake for anything else.
    `operand` is what may follow an operator. `readable` rounds for the eye. No value lies outside of
    `floor` and `ceiling`, so that a limit beyond them is known to say nothing.
    """

    name: str
    example: str
    parse: Callable[[object], Value]
    read: Callable[[object], Value]
    show: Callable[[Value], str]
    ordered: bool = False
    textual: bool = False
    whole: bool = False
    floor: Value = None
    ceiling: Value = None
    readable: Callable[[Value], Value] = _as_it_is
    operand: Callable[[str], Value] | None = None
    members: Kind | None = None
    json_types: tuple[str, ...] = ("string",)

    def __repr__(self) -> str:
        return f"<Kind {self.name}>"


def same(one: Value, other: Value) -> bool:
    """Equal in value and in type: true is not 1, and the text 1.1 is not the number."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def unlike(actual: object) -> str:
    """How an observed value reads that is not of the kind expected."""
    match actual:
        case bool():
            return f"{units.as_written(actual)} (flag)"
        case str():
            return f"{actual!r} (text)"
        case int() | float() | Decimal():
            try:
                return f"{float(actual):g} (number)"
            except (OverflowError, ValueError):
                return "a number beyond measure"
        case Mapping():
            return "a mapping"
        case bytes():
            return "bytes"
        case Collection():
            return "a list"
        case _:
            return f"a {type(actual).__name__}"


def _read_number(actual: object) -> float:
    number = actual
    if isinstance(actual, Decimal):
        number = float(actual) if actual.is_finite() else None
    # One comparison refuses NaN, the infinities, and an int that no float can hold.
    if isinstance(number, int | float) and not isinstance(number, bool) and abs(number) <= _LARGEST:
        return number
    raise Mistake("not a number")


def _read_amount(actual: object) -> float:
    # Tools report -1 for "unknown", and unknown is never "at most 5".
    if (number := _read_number(actual)) >= 0:
        return number
    raise Mistake("less than nothing")


def _read_count(actual: object) -> int:
    if (number := _read_amount(actual)) == int(number):
        return int(number)
    raise Mistake("not a whole number")


def _read_duration(actual: object) -> float:
    match actual:
        case timedelta():
            return actual.total_seconds()
        case str():
            return units.parse_duration(actual)
        case _:
            return _read_number(actual)


def _read_size(actual: object) -> int:
    return units.parse_size(actual) if isinstance(actual, str) else _read_count(actual)


def _parse_percent(raw: object) -> float:
    # Whoever writes 0.85 has most likely meant 85%.
    if (percent := units.parse_percent(raw)) and abs(percent) < 1 and "%" not in str(raw):
        share = units.plain(round(percent * 100, 6))
        raise not_a("a percentage", raw, f"write {share}%, or {units.plain(percent)}% if so little is meant")
    return percent


def _read_percent(actual: object) -> float:
    return units.parse_percent(actual) if isinstance(actual, str) else _read_amount(actual)


def _read_rate(actual: object) -> float:
    return units.parse_rate(actual) if isinstance(actual, str) else _read_amount(actual)


def _read_version(actual: object) -> units.Version:
    if isinstance(actual, str | units.Version):
        return units.parse_version(actual)
    raise Mistake("not a version")


def _parse_text(raw: object) -> str:
    if not isinstance(raw, str):
        raise not_a("text", raw, f'put it in quotes, as it was meant: "{units.as_written(raw)}"')
    if not raw.strip():
        raise Mistake("an empty text expects nothing", 'write the text, or "~ ^$" where it must be empty')
    return raw


def _read_text(actual: object) -> str:
    # A member of a text enum is its value.
    if isinstance(actual, str):
        return str.__str__(actual)
    raise Mistake("not a text")


def _show_text(text: str) -> str:
    return text if text.isprintable() and text == text.strip() != "" else json.dumps(text, ensure_ascii=False)


def _parse_flag(raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    # What came from ${AN_ENVIRONMENT_VARIABLE} is always text.
    if isinstance(raw, str) and raw in ("true", "false"):
        return raw == "true"
    raise not_a("true or false", raw, "write true or false")


def _read_flag(actual: object) -> bool:
    if isinstance(actual, bool):
        return actual
    raise Mistake("not a flag")


def _parse_status(raw: object) -> int:
    text = str(raw).strip()
    if not isinstance(raw, bool) and re.fullmatch("[1-5][0-9]{2}", text):  # RFC 9110, section 15
        return int(text)
    raise not_a("a status code", raw, "write one from 100 to 599, e.g. 200")


def _parse_mode(raw: object) -> int:
    text = raw.strip() if isinstance(raw, str) else ""
    digits = text.removeprefix("0o")
    if digits.isascii() and digits.isdigit() and 3 <= len(digits) <= 5 and not set(digits) & {"8", "9"}:
        mode = int(digits, 8)
        if mode <= 0o7777:
            return mode
    # Without quotes YAML reads 0644 as 420, which looks like another valid mode.
    raise not_a("a file mode", raw, 'write it in quotes, e.g. "0600"')


def _read_mode(actual: object) -> int:
    mode = _parse_mode(actual) if isinstance(actual, str) else _read_count(actual)
    if mode <= 0o7777:
        return mode
    raise Mistake("not a file mode")


def _show_mode(mode: int) -> str:
    return f"{mode:04o}"


def _parse_json(raw: object) -> Value:
    match raw:
        case bool():
            return raw
        case int() | float():
            return units.parse_number(raw)
        case str():
            return _parse_text(raw)
        case _:
            raise not_a("a text, a number, true or false", raw, "write one of these")


def _json_operand(text: str) -> Value:
    """Behind an operator a number, true and false mean themselves; the text 5 is written in double quotes."""
    if text in ("true", "false"):
        return text == "true"
    if text == "null":
        raise Mistake("null can't be compared", "leave it out: a value that is absent always fails")
    if text.startswith('"'):
        try:
            return _parse_text(json.loads(text))
        except json.JSONDecodeError:
            raise not_a("a quoted text", text, "close the quotes") from None
    try:
        return units.parse_number(text)
    except Mistake:
        return _parse_text(text)


def _read_json(actual: object) -> Value:
    match actual:
        case bool():
            return actual
        case str():
            return _read_text(actual)
        case list() | tuple() if not any(isinstance(member, list | tuple) for member in actual):
            return tuple(_read_json(member) for member in actual)
        case _:
            return _read_number(actual)


def _show_json(value: Value) -> str:
    match value:
        case str():
            try:
                looks_like_text = isinstance(_json_operand(value), str)
            except Mistake:
                looks_like_text = False
            return _show_text(value) if looks_like_text else unlike(value)
        case bool():
            return units.as_written(value)
        case tuple():
            return f"[{', '.join(map(_show_json, value))}]"
        case _:
            return units.plain(value)


def _readable_json(value: Value) -> Value:
    return units.readable(value) if isinstance(value, float) else value


TEXT = Kind("text", "healthy", _parse_text, _read_text, _show_text, textual=True)
FLAG = Kind("flag", "true", _parse_flag, _read_flag, units.as_written, json_types=("boolean",))
COUNT = Kind(
    "count",
    "5",
    units.parse_count,
    _read_count,
    str,
    ordered=True,
    whole=True,
    floor=0,
    json_types=("integer", "string"),
)
STATUS = Kind(
    "status code",
    "200",
    _parse_status,
    _read_count,  # servers also send others, which is for the judgement to say
    str,
    ordered=True,
    whole=True,
    floor=100,
    ceiling=599,
    json_types=("integer", "string"),
)
NUMBER = Kind(
    "number",
    "0.5",
    units.parse_number,
    _read_number,
    units.plain,
    ordered=True,
    readable=units.readable,
    json_types=("number", "string"),
)
PERCENT = Kind(
    "percentage",
    "85%",
    _parse_percent,
    _read_percent,
    units.show_percent,
    ordered=True,
    floor=0,
    ceiling=100,
    readable=units.readable,
    json_types=("number", "string"),
)
DURATION = Kind(
    "duration",
    "26h",
    units.parse_duration,
    _read_duration,
    units.show_duration,
    ordered=True,
    floor=0,
    readable=units.readable_duration,
)
SIZE = Kind(
    "size",
    "512M",
    units.parse_size,
    _read_size,
    units.show_size,
    ordered=True,
    whole=True,
    floor=0,
    readable=units.readable_size,
    json_types=("integer", "string"),
)
RATE = Kind(
    "rate",
    "60/min",
    units.parse_rate,
    _read_rate,
    units.show_rate,
    ordered=True,
    floor=0,
    readable=units.readable,
)
VERSION = Kind(
    "version",
    "1.22",
    units.parse_version,
    _read_version,
    str,
    ordered=True,
    floor=units.parse_version("0"),
    json_types=("integer", "string"),
)
# Modes have no order: 0604 is the smaller number than 0640, and lets the world read.
MODE = Kind("file mode", "0600", _parse_mode, _read_mode, _show_mode)
ANY = Kind(
    "JSON value",
    "ok",
    _parse_json,
    _read_json,
    _show_json,
    ordered=True,
    textual=True,
    readable=_readable_json,
    operand=_json_operand,
    json_types=("string", "number", "boolean"),
)


@cache
def MEMBERS(of: Kind) -> Kind:  # noqa: N802 - it stands beside TEXT and COUNT, and reads as one of them
    """The kind of a fact that is a collection of `of`."""

    def parse(raw: object) -> Value:
        raise not_a("a list", raw, f"write a list, e.g. [{of.example}]")

    def read(actual: object) -> Value:
        if isinstance(actual, str | bytes | Mapping) or not isinstance(actual, Collection):
            raise Mistake("not a collection")
        members = tuple(of.read(member) for member in actual)
        # A set has no order of its own, and reports are compared from run to run.
        return tuple(sorted(members, key=of.show)) if isinstance(actual, Set) else members

    def show(members: Collection[Value]) -> str:
        return ", ".join(map(of.show, members)) or "empty"

    return Kind("collection", f"[{of.example}]", parse, read, show, members=of, json_types=("array",))
