"""What an expectation demands, condition by condition, and the refusal of what can't fail or can't be met."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, Protocol, TypeAlias

from readygate.errors import Mistake
from readygate.kinds import Kind, Value, same
from readygate.units import as_written, not_a

Bare: TypeAlias = Literal["==", ">=", "<="]

_ORDERS: dict[str, Callable[[Value, Value], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_WORDS = {">=": "at least ", "<=": "at most ", ">": "above ", "<": "below ", "==": "", "!=": "anything but "}
_MISSPELT = {"=": "==", "===": "==", "=>": ">=", "=<": "<=", "<>": "!=", "=~": "~", "~=": "~", "~~": "~"}
_MISSPELT |= {"≥": ">=", "≤": "<=", "≠": "!="}
_OPERATOR = re.compile(r"[<>=≥≤≠]+|!=+|!~|~[~=]?")
# A text is odd in many ways; a pattern that finds itself in all of these would find itself in anything.
_STRANGE_TEXTS = ("", " ", "0", "x", "\n", "\x00", "Zürich 北京", "8f14e45f-ceea {}\t[")


class Condition(Protocol):
    """One demand on a value that was read by its kind."""

    def holds(self, actual: Value) -> bool: ...

    def words(self, kind: Kind) -> str:
        """The demand as a person reads it: "at least 14d"."""


Conditions: TypeAlias = tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Bound:
    """A value to compare with: `>=14d`, `!= 0`, or a bare 200."""

    sign: str
    limit: Value

    def holds(self, actual: Value) -> bool:
        if isinstance(actual, tuple):
            return False
        if self.sign in ("==", "!="):
            return same(actual, self.limit) is (self.sign == "==")
        return _has_order(actual) and _ORDERS[self.sign](actual, self.limit)

    def words(self, kind: Kind) -> str:
        return _WORDS[self.sign] + kind.show(self.limit)

    def room(self, actual: Value) -> float | None:
        """How far the value is on the good side of the limit; negative on the other side."""
        if self.sign in ("==", "!=") or not (_is_number(actual) and _is_number(self.limit)):
            return None
        room: float = actual - self.limit if ">" in self.sign else self.limit - actual
        return room


@dataclass(frozen=True, slots=True)
class OneOf:
    """A list for a single fact."""

    values: tuple[Value, ...]

    def holds(self, actual: Value) -> bool:
        return _among(actual, self.values)

    def words(self, kind: Kind) -> str:
        shown = ", ".join(map(kind.show, self.values))
        return f"one of {shown}" if len(self.values) > 1 else shown


@dataclass(frozen=True, slots=True)
class Exactly:
    """A list for a fact that is a collection: these members, no less and no more."""

    values: tuple[Value, ...]

    def holds(self, actual: Value) -> bool:
        return not self.missing(actual) and not self.beyond(actual)

    def missing(self, actual: Value) -> list[Value]:
        return [value for value in self.values if not _among(value, actual)]

    def beyond(self, actual: Value) -> list[Value]:
        return [member for member in actual if not _among(member, self.values)]

    def words(self, kind: Kind) -> str:
        return f"exactly {kind.show(self.values)}"


@dataclass(frozen=True, slots=True)
class Contains:
    """Members of a collection, or parts of a text, that must all be there."""

    values: tuple[Value, ...]

    def holds(self, actual: Value) -> bool:
        return all(_holds_part(actual, value) for value in self.values)

    def words(self, kind: Kind) -> str:
        return f"containing {_and(self.values, kind)}"


@dataclass(frozen=True, slots=True)
class Lacks:
    """Members of a collection, or parts of a text, none of which may be there."""

    values: tuple[Value, ...]

    def holds(self, actual: Value) -> bool:
        if not isinstance(actual, str | tuple):
            return False
        return not any(_holds_part(actual, value) for value in self.values)

    def words(self, kind: Kind) -> str:
        return f"without {_and(self.values, kind)}"


@dataclass(frozen=True, slots=True)
class Matches:
    """A pattern found anywhere in a text, or, negated, nowhere."""

    pattern: re.Pattern[str]
    negated: bool = False

    def holds(self, actual: Value) -> bool:
        return isinstance(actual, str) and bool(self.pattern.search(actual)) is not self.negated

    def words(self, kind: Kind) -> str:
        return f"{'not ' if self.negated else ''}matching {self.pattern.pattern}"


def parse_conditions(raw: object, kind: Kind, bare: Bare) -> Conditions:
    """What must hold, from a scalar, an operator text, a list or a {contains, lacks} mapping."""
    match raw:
        case None:
            raise Mistake("null expects nothing", f"write e.g. {kind.example}, or leave the line out")
        case Mapping():
            return _parse_parts(raw, kind)
        case list() | tuple():
            return (_parse_list(raw, kind),)
        case str() if found := _OPERATOR.match(raw.strip()):
            return _parse_operators(raw.strip(), kind, found[0])
        case _:
            bounds = [Bound(bare, kind.parse(raw))]
            _refuse_idle(bounds, kind, raw)
            return tuple(bounds)


def refuse_looser_warning(warn: Conditions, fail: Conditions, kind: Kind) -> None:
    """Refuse a warning that comes only after the failure, wherever the two can be compared."""
    values = [value for condition in warn for value in _listed(condition)]
    if values:
        fits = all(condition.holds(value) for value in values for condition in fail)
    else:
        inner, outer = _Span.of(warn, kind), _Span.of(fail, kind)
        fits = not inner or not outer or inner.within(outer)
    if not fits:
        shown = [" and ".join(condition.words(kind) for condition in level) for level in (warn, fail)]
        raise Mistake(
            f"warn ({shown[0]}) is looser than fail ({shown[1]})",
            "both say what must hold, and warn is the stricter: swap the two, or turn one round",
        )


def check_keys(raw: Mapping[object, object], known: Sequence[str]) -> None:
    """Refuse a key that isn't known, and suggest the one that was meant."""
    for key in raw:
        if key not in known:
            close = get_close_matches(str(key), known, n=1)
            mend = f"did you mean {close[0]}?" if close else f"write {' or '.join(known)}"
            raise Mistake(f"unknown key '{as_written(key)}'", mend)


def _parse_operators(text: str, kind: Kind, first: str) -> Conditions:
    if first in ("~", "!~"):
        return (_parse_pattern(text.removeprefix(first).strip(), kind, negated=first == "!~"),)
    # A text may hold commas of its own.
    comma = r"\s*,\s*(?=[<>=!])" if kind.textual else r"\s*,\s*"
    parts = re.split(comma, text) if kind.ordered else [text]
    bounds = [_parse_bound(part, kind) for part in parts]
    _refuse_idle(bounds, kind, text)
    return tuple(bounds)


def _parse_bound(text: str, kind: Kind) -> Bound:
    found = _OPERATOR.match(text)
    if not found:
        raise Mistake(f"'{text}' has no operator", "write one before each part, e.g. >=1, <2")
    sign = found[0]
    if sign not in _WORDS:
        meant = f"did you mean {_MISSPELT[sign]}?" if sign in _MISSPELT else "write >=, <=, >, <, == or !="
        raise Mistake(f"unknown operator '{sign}' in '{text}'", meant + _or_literally(text, kind))
    rest = text.removeprefix(sign).strip()
    if not rest:
        raise Mistake(f"'{text}' compares with nothing", f"write e.g. {sign}{kind.example}")
    if kind.members:
        raise Mistake(f"'{sign}' compares single values, and this is a list", f"write e.g. {kind.example}")
    if sign in _ORDERS and not kind.ordered:
        raise Mistake(f"a {kind.name} has no order for '{sign}'", "write == or !=" + _or_literally(text, kind))
    limit = (kind.operand or kind.parse)(rest)
    if sign in _ORDERS and not _has_order(limit):
        raise Mistake(f"'{rest}' has no order for '{sign}'", "write a number" + _or_literally(text, kind))
    return Bound(sign, limit)


def _or_literally(text: str, kind: Kind) -> str:
    return f', or ["{text}"] for just this text' if kind.textual else ""


def _parse_pattern(text: str, kind: Kind, *, negated: bool) -> Matches:
    if not kind.textual:
        raise Mistake(f"'~' is for texts, and this is a {kind.name}", f"write e.g. {kind.example}")
    try:
        pattern = re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise Mistake(f"'{text}' is not a regular expression: {error}", "mend the pattern") from None
    if all(pattern.search(strange) for strange in _STRANGE_TEXTS):
        effect = "nothing could ever pass" if negated else "this could never fail"
        raise Mistake(f"'{text}' matches every text: {effect}", "write what sets the right text apart")
    return Matches(pattern, negated)


def _parse_list(raw: Sequence[object], kind: Kind) -> Condition:
    of = kind.members or kind
    values = _parse_values(raw, of)
    if not kind.members and all(isinstance(value, bool) for value in values) and len(values) == 2:
        raise Mistake(f"{as_written(raw)} is every flag there is: this could never fail", "write one of them")
    for value in values:
        _refuse_idle([Bound("==", value)], of, of.show(value))
    return Exactly(values) if kind.members else OneOf(values)


def _parse_values(raw: object, of: Kind) -> tuple[Value, ...]:
    written = raw if isinstance(raw, list | tuple) else [raw]
    if not written:
        raise Mistake("an empty list expects nothing", f"write e.g. [{of.example}], or leave the line out")
    values: list[Value] = []
    for each in written:
        value = of.parse(each)
        if _among(value, values):
            raise Mistake(f"'{as_written(each)}' is in the list twice", "write it once")
        values.append(value)
    return tuple(values)


def _parse_parts(raw: Mapping[object, object], kind: Kind) -> Conditions:
    if not raw:
        raise Mistake("an empty mapping expects nothing", f"write e.g. {kind.example}")
    if not (kind.textual or kind.members):
        check_keys(raw, ("warn", "fail"))
        raise not_a(f"a {kind.name}", raw, f"write e.g. {kind.example}")
    check_keys(raw, ("contains", "lacks"))
    of = kind.members or kind
    values = {key: _parse_values(raw[key], of) for key in ("contains", "lacks") if key in raw}
    for wanted in values.get("contains", ()):
        for unwanted in values.get("lacks", ()):
            if same(wanted, unwanted) or (not kind.members and _holds_part(wanted, unwanted)):
                raise Mistake(f"nothing contains '{wanted}' and lacks '{unwanted}'", "take one of them out")
    kinds: dict[str, type[Contains | Lacks]] = {"contains": Contains, "lacks": Lacks}
    return tuple(kinds[key](values[key]) for key in values)


def _listed(condition: Condition) -> tuple[Value, ...]:
    """The only values that meet the condition, where it lists them."""
    if isinstance(condition, OneOf):
        return condition.values
    if isinstance(condition, Bound) and condition.sign == "==":
        return (condition.limit,)
    return ()


def _refuse_idle(bounds: Sequence[Bound], kind: Kind, raw: object) -> None:
    """Refuse bounds that nothing meets, and bounds that everything meets."""
    whole = _Span(kind.floor, kind.ceiling)
    span = _Span.of(bounds, kind) or whole
    kept_out = {bound.limit for bound in bounds if bound.sign == "!=" and span.reaches(bound.limit)}
    points = [bound.limit for bound in bounds if bound.sign == "=="]
    only = points[:1] or ([span.low] if span.low is not None and span.low == span.high else [])
    met_by_nothing = (
        span.is_empty
        or any(not same(point, points[0]) or not span.reaches(point) for point in points)
        or any(same(value, each) for value in only for each in kept_out)
    )
    if met_by_nothing:
        why = _domain(kind) if len(bounds) == 1 else ""
        raise Mistake(f"nothing can meet '{as_written(raw)}'{why}", f"write e.g. {kind.example}")
    narrows = span != whole or kept_out or points
    if not narrows:
        raise Mistake(
            f"every {kind.name} meets '{as_written(raw)}': this could never fail",
            f"write e.g. {kind.example}",
        )


def _domain(kind: Kind) -> str:
    if kind.floor is None:
        return ""
    upper = f" nor above {kind.show(kind.ceiling)}" if kind.ceiling is not None else ""
    return f": a {kind.name} is never below {kind.show(kind.floor)}{upper}"


@dataclass(frozen=True, slots=True)
class _Span:
    """The values from `low` to `high`, both included unless open; None is no end."""

    low: Value = None
    high: Value = None
    low_open: bool = False
    high_open: bool = False

    @classmethod
    def of(cls, conditions: Sequence[Condition], kind: Kind) -> _Span | None:
        """What is left between the bounds; None where a condition is anything else than a bound."""
        low, low_open, high, high_open = kind.floor, False, kind.ceiling, False
        for bound in conditions:
            if not isinstance(bound, Bound):
                return None
            limit, is_open = bound.limit, bound.sign in ("<", ">")
            if bound.sign == "!=" or not _has_order(limit):
                continue
            if kind.whole and is_open:
                limit, is_open = limit + (1 if bound.sign == ">" else -1), False
            if "<" not in bound.sign and (low is None or (limit, is_open) > (low, low_open)):
                low, low_open = limit, is_open
            if ">" not in bound.sign and (high is None or (limit, not is_open) < (high, not high_open)):
                high, high_open = limit, is_open
        return cls(low, high, low_open, high_open)

    @property
    def is_empty(self) -> bool:
        if self.low is None or self.high is None:
            return False
        return bool(self.low > self.high or (self.low == self.high and (self.low_open or self.high_open)))

    def reaches(self, value: Value) -> bool:
        if not _has_order(value):
            return self.low is None and self.high is None
        above = self.low is None or value > self.low or (value == self.low and not self.low_open)
        return bool(above and (self.high is None or value < self.high or (value == self.high and not self.high_open)))

    def within(self, outer: _Span) -> bool:
        low = outer.low is None or (self.low is not None and (self.low, self.low_open) >= (outer.low, outer.low_open))
        high = outer.high is None or (
            self.high is not None and (self.high, not self.high_open) <= (outer.high, not outer.high_open)
        )
        return low and high


def _has_order(value: Value) -> bool:
    return not isinstance(value, bool | str | tuple)


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _among(value: Value, values: Sequence[Value]) -> bool:
    return any(same(value, each) for each in values)


def _holds_part(actual: Value, part: Value) -> bool:
    if isinstance(actual, str):
        return isinstance(part, str) and part in actual
    return isinstance(actual, tuple) and _among(part, actual)


def _and(values: Sequence[Value], kind: Kind) -> str:
    return " and ".join(map((kind.members or kind).show, values))


def rooms(conditions: Conditions, actual: Value) -> Iterator[tuple[float, Bound]]:
    """How far the value is from each limit that it can be measured against."""
    for condition in conditions:
        if isinstance(condition, Bound) and (room := condition.room(actual)) is not None:
            yield room, condition
