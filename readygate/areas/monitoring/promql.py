"""Takes the expression of an alert apart, as far as is needed to ask whether it can ever be true."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_SET = re.compile(r"\b(?:and|or|unless)\b", re.IGNORECASE)
_COMPARISON = re.compile(r"(?<![=!<>~])(==|!=|>=|<=|>|<)(?!~)")
_MATCHING = re.compile(
    r"^\s*(?:bool\b\s*)?(?:(?:on|ignoring)\s*\([^)]*\)\s*)?(?:group_(?:left|right)\s*(?:\([^)]*\))?)?"
)
_PAIRS = {"(": ")", "{": "}", "[": "]"}


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of an alert: what is measured, and, where it is compared, with what."""

    measured: str
    sign: str = ""
    limit: str = ""

    @property
    def threshold(self) -> float | None:
        """The number that it is compared with, if it is one."""
        try:
            return float(self.limit)
        except ValueError:
            return None

    @property
    def wants_none_counted(self) -> bool:
        """Whether it waits for a `count` of less than one, which there never is: of nothing there is no count."""
        plain = " ".join(_blanked(_unwrapped(self.measured)).lower().split())
        if plain not in ("count", "count by", "count without") or self.threshold is None:
            return False
        return self.threshold < 1 if self.sign in ("==", "<=") else self.sign == "<" and self.threshold <= 1

    @property
    def is_ratio(self) -> bool:
        """Whether what is measured is one thing divided by another, and not by a mere number."""
        divided = _halves(_unwrapped(self.measured), re.compile("/"))
        return divided is not None and re.fullmatch(r"[\d.eE+-]+", divided[2]) is None


def conditions_of(expression: str) -> list[Condition]:
    """The conditions that `and`, `or` and `unless` join; after `unless` stands what must not be."""
    return list(_conditions(expression))


def _conditions(expression: str) -> Iterator[Condition]:
    text = _unwrapped(expression)
    if (operands := list(_operands(text))) != [text]:
        for each in operands:
            yield from _conditions(each)
    elif compared := _halves(text, _COMPARISON):
        yield Condition(_unwrapped(compared[0]), compared[1], _unwrapped(_MATCHING.sub("", compared[2])))
    else:
        yield Condition(text)


def _operands(text: str) -> Iterator[str]:
    """What set operators join. `unless` takes one operand, as it binds as tightly as `and`: that one is left out."""
    word, rest = "", text
    while joined := _halves(rest, _SET):
        operand, next_word, rest = joined
        if word != "unless":
            yield _MATCHING.sub("", operand) if word else operand
        word = next_word.lower()
    if word != "unless":
        yield _MATCHING.sub("", rest) if word else rest


def _halves(text: str, pattern: re.Pattern[str]) -> tuple[str, str, str] | None:
    """What stands left and right of the first match that is in no bracket and in no text."""
    plain = _blanked(text)
    found = pattern.search(plain)
    return (text[: found.start()].strip(), found[0], text[found.end() :].strip()) if found else None


def _blanked(text: str) -> str:
    """The expression with whatever is in brackets, texts and comments blanked out, at the same places."""
    kept, waiting, index = [], "", 0
    while index < len(text):
        letter = text[index]
        end = index + 1
        if letter in "\"'`":
            end = _end_of_text(text, index)
        elif letter == "#":
            end = text.find("\n", index) if "\n" in text[index:] else len(text)
        elif letter in _PAIRS:
            waiting += _PAIRS[letter]
        elif waiting and letter == waiting[-1]:
            waiting = waiting[:-1]
        is_plain = end == index + 1 and not waiting and letter not in ")}]"
        kept.append(letter if is_plain else " " * (end - index))
        index = end
    return "".join(kept)


def _end_of_text(text: str, start: int) -> int:
    index = start + 1
    while index < len(text) and text[index] != text[start]:
        index += 2 if text[index] == "\\" and text[start] != "`" else 1
    return min(index + 1, len(text))


def _unwrapped(text: str) -> str:
    """Without brackets around all of it."""
    text = text.strip()
    while text.startswith("(") and not _blanked(text).strip() and _closes_at_end(text):
        text = text[1:-1].strip()
    return text


def _closes_at_end(text: str) -> bool:
    depth, index = 0, 0
    while index < len(text):
        if text[index] in "\"'`":
            index = _end_of_text(text, index)
            continue
        depth += {"(": 1, ")": -1}.get(text[index], 0)
        if depth == 0:
            return index == len(text) - 1
        index += 1
    return False
