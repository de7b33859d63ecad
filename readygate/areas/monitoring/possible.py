"""Rewrites the expression of an alert so that it gives series wherever it could ever be true.

Prometheus itself then answers whether the alert can fire: labels are matched and names are looked up by the one that
will evaluate it, and not by a copy of its rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
      (?P<space>\s+|\#[^\n]*)
    | (?P<braces>\{(?:[^{}"'`]|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)*\})
    | (?P<range>\[[^\]]*\])
    | (?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)
    | (?P<number>\.?\d[\w.]*(?:(?<=[eE])[+-]\d+)?)
    | (?P<word>[A-Za-z_:][\w:]*)
    | (?P<comparison>==|!=|>=|<=|>|<)
    | (?P<other>.)
    """,
    re.VERBOSE,
)
_LISTS_LABELS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_SETS = {"and", "or", "unless"}
_ABSENT = {"absent", "absent_over_time"}
# No series has such a label, so whatever this is added to finds nothing.
_NEVER = '__readygate_never__=~".+"'


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str

    @property
    def word(self) -> str:
        """Keywords are read in any case."""
        return self.text.lower() if self.kind == "word" else ""


def possible(expression: str) -> str:
    """The expression without its conditions: comparisons are `bool`, nothing follows `unless`, what is absent is so.

    What gives no series thus can't be true as long as the same series are there.
    """
    tokens = [_Token(each.lastgroup or "", each[0]) for each in _TOKEN.finditer(expression)]
    return "".join(_rewritten([each for each in tokens if each.kind != "space"]))


def _rewritten(tokens: list[_Token]) -> Iterator[str]:
    index = 0
    while index < len(tokens):
        token = tokens[index]
        after = tokens[index + 1] if index + 1 < len(tokens) else _Token("", "")
        end = index + 1
        if token.word in _LISTS_LABELS and after.text == "(":
            end = _closing(tokens, index + 1) + 1
            yield _joined(tokens[index:end])
        elif token.word == "unless":
            end = _end_of_operand(tokens, index + 1)
        elif token.word in _ABSENT and after.text == "(":
            end = _closing(tokens, index + 1) + 1
            yield _absence(tokens[index:end])
        elif token.kind == "comparison" and after.word != "bool":
            yield f" {token.text} bool "
        else:
            yield _joined([token])
        index = end


def _absence(call: list[_Token]) -> str:
    """An absence that is one: of a selector with the labels that it would have, of anything else without any."""
    selector = [place for place, token in enumerate(call) if token.kind == "braces"]
    parts = ("word", "number", "braces", "range")
    plain = all(each.kind in parts and each.word not in _SETS for each in call[2:-1])
    if not (plain and len(selector) == 1):
        return " vector(1) "
    (place,) = selector
    inner = call[place].text[1:-1].strip().rstrip(",")
    braces = "{" + (f"{inner}, {_NEVER}" if inner else _NEVER) + "}"
    return _joined([*call[:place], _Token("braces", braces), *call[place + 1 :]])


def _joined(tokens: list[_Token]) -> str:
    """With space around words alone: they would run into one another."""
    return "".join(f" {each.text} " if each.kind in ("word", "number") else each.text for each in tokens)


def _closing(tokens: list[_Token], opening: int) -> int:
    """Where the bracket at `opening` is closed."""
    depth = 0
    for index in range(opening, len(tokens)):
        depth += {"(": 1, ")": -1}.get(tokens[index].text, 0)
        if depth == 0:
            return index
    return len(tokens) - 1


def _end_of_operand(tokens: list[_Token], start: int) -> int:
    """Where the operand ends that begins there: at the next set operator, comma or closing bracket around it."""
    index = start
    while index < len(tokens):
        token = tokens[index]
        if token.word in _LISTS_LABELS and index + 1 < len(tokens) and tokens[index + 1].text == "(":
            index = _closing(tokens, index + 1)
        elif token.text == "(":
            index = _closing(tokens, index)
        elif token.text in (")", ",") or token.word in _SETS:
            return index
        index += 1
    return index
