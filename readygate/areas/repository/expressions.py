"""GitHub's expressions, as far as they are known beforehand: what is not known is never guessed."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from readygate.errors import CouldNotLook


class Unknown:
    """A value that only the run itself will know."""

    def __repr__(self) -> str:
        return "unknown"


UNKNOWN: Final = Unknown()
Before = Literal["success", "failure", "skipped"]

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?(?![\w.]))|(?P<name>[A-Za-z_][\w-]*)"
    r"|(?P<sign>&&|\|\||==|!=|<=|>=|[!<>().,\[\]*]))"
)
_STATUS = re.compile(r"\b(success|failure|always|cancelled)\s*\(")
_WRAPPED = re.compile(r"\s*\$\{\{(?P<inner>(?:(?!\}\}).)*)\}\}\s*", re.DOTALL)


def asks_for_status(condition: str | None) -> bool:
    """Whether a condition says itself what happens after a failure, instead of leaving it to GitHub."""
    return condition is not None and bool(_STATUS.search(condition))


def holds(condition: str | None, known: Mapping[str, Any], before: Before = "success") -> bool | Unknown:
    """Whether an `if` lets what it stands at run, after this came of what it waits for.

    `known` has values by dotted name, such as github.ref; UNKNOWN is what rests on any other. CouldNotLook: it
    is no expression.
    """
    if condition is None or not condition.strip():
        return before == "success"
    wrapped = _WRAPPED.fullmatch(condition)
    if wrapped is None and "${{" in condition:
        return before == "success"  # a text around an expression is a text that isn't empty, which is true
    told = truth(_Expression(wrapped["inner"] if wrapped else condition, known, before).value())
    return told if asks_for_status(condition) or before == "success" else False


def truth(value: Any) -> bool | Unknown:
    """What GitHub takes for true."""
    return value if isinstance(value, Unknown) else bool(value)


class _Expression:
    """A parser that evaluates as it reads: `||` over `&&` over `!` over comparisons."""

    def __init__(self, text: str, known: Mapping[str, Any], before: Before) -> None:
        self._text = text
        self._known = known
        self._before = before
        self._tokens: list[tuple[str, str]] = []
        position = 0
        while text[position:].strip():
            found = _TOKEN.match(text, position)
            if not found:
                raise self._broken()
            kind = found.lastgroup or ""
            self._tokens.append((kind, found[kind]))
            position = found.end()
        self._at = 0

    def value(self) -> Any:
        value = self._either()
        if self._at < len(self._tokens):
            raise self._broken()
        return value

    def _broken(self) -> CouldNotLook:
        return CouldNotLook(f"'{self._text.strip()}' is no expression that is understood here", mend="mend the `if`")

    def _next(self, *signs: str) -> str | None:
        """The next token, if it is one of these signs."""
        if self._at < len(self._tokens) and self._tokens[self._at] in {("sign", sign) for sign in signs}:
            self._at += 1
            return self._tokens[self._at - 1][1]
        return None

    def _need(self, sign: str) -> None:
        if not self._next(sign):
            raise self._broken()

    def _either(self) -> Any:
        value = self._both()
        while self._next("||"):
            other = self._both()
            known = truth(value)
            if isinstance(known, Unknown):
                value = other if truth(other) is True else UNKNOWN
            else:
                value = value if known else other
        return value

    def _both(self) -> Any:
        value = self._compared()
        while self._next("&&"):
            other = self._compared()
            known = truth(value)
            if isinstance(known, Unknown):
                value = other if truth(other) is False else UNKNOWN
            else:
                value = other if known else value
        return value

    def _compared(self) -> Any:
        value = self._negated()
        while sign := self._next("==", "!=", "<", ">", "<=", ">="):
            value = _compare(sign, value, self._negated())
        return value

    def _negated(self) -> Any:
        if self._next("!"):
            known = truth(self._negated())
            return known if isinstance(known, Unknown) else not known
        return self._single()

    def _single(self) -> Any:
        if self._next("("):
            value = self._either()
            self._need(")")
            return value
        if self._at >= len(self._tokens):
            raise self._broken()
        kind, token = self._tokens[self._at]
        self._at += 1
        match kind:
            case "text":
                return token[1:-1].replace("''", "'")
            case "number":
                return float(token)
            case "name" if token in ("true", "false", "null"):
                return {"true": True, "false": False, "null": None}[token]
            case "name":
                return self._called(token) if self._next("(") else self._looked_up(token)
        raise self._broken()

    def _called(self, name: str) -> Any:
        arguments: list[Any] = []
        while not self._next(")"):
            arguments.append(self._either())
            if not self._next(","):
                self._need(")")
                break
        match name.lower():
            case "success":
                return self._before == "success"
            case "failure":
                return self._before == "failure"
            case "always":
                return True
            case "cancelled":
                return False
        function = _FUNCTIONS.get(name.lower())
        if function is None or any(isinstance(each, Unknown) for each in arguments):
            return UNKNOWN
        try:
            return function(*arguments)
        except (TypeError, ValueError):
            raise self._broken() from None

    def _looked_up(self, name: str) -> Any:
        path = name
        while True:
            if self._next("."):
                if self._next("*"):
                    path += ".*"
                    continue
                if self._at >= len(self._tokens) or self._tokens[self._at][0] != "name":
                    raise self._broken()
                path += f".{self._tokens[self._at][1]}"
                self._at += 1
            elif self._next("["):
                path += f".{self._either()}"
                self._need("]")
            else:
                return self._known.get(path, UNKNOWN)


def _compare(sign: str, one: Any, other: Any) -> Any:
    """As GitHub compares: texts without regard to case, and different kinds as numbers."""
    if isinstance(one, Unknown) or isinstance(other, Unknown):
        return UNKNOWN
    if isinstance(one, str) and isinstance(other, str):
        one, other = one.lower(), other.lower()
    elif type(one) is not type(other):
        one, other = _number(one), _number(other)
    match sign:
        case "==":
            return one == other
        case "!=":
            return one != other
    try:
        return {"<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge}[sign](one, other)
    except TypeError:
        return False


def _number(value: Any) -> float:
    if value is None or value == "":
        return 0.0
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def _contains(where: Any, what: Any) -> bool:
    if isinstance(where, list):
        return any(_compare("==", each, what) for each in where)
    return str(what).lower() in str(where).lower()


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "contains": _contains,
    "startswith": lambda text, start: str(text).lower().startswith(str(start).lower()),
    "endswith": lambda text, end: str(text).lower().endswith(str(end).lower()),
    "fromjson": json.loads,
    "tojson": json.dumps,
}
