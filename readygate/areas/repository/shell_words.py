"""The words and signs of a shell script, without its comments, here-documents and quotes."""

from __future__ import annotations

import re
from dataclasses import dataclass

_WORD_END = " \t\n;|&<>()"
_OPERATORS = ("&&", "||", ";;", "|&", "&>>", "&>", "<<<", "<<-", "<<", ">>", ">&", "<&", "<>", ">|")


@dataclass(frozen=True, slots=True)
class Token:
    text: str
    is_sign: bool


def tokens_of(script: str) -> list[Token]:
    """Words without their quotes, and signs; expressions of GitHub's are one word."""
    text = re.sub(
        r"\$\{\{.*?\}\}", lambda found: "{{" + re.sub(r"\W+", ".", found[0]) + "}}", script, flags=re.DOTALL
    )
    text = text.replace("\\\n", " ").replace("\r\n", "\n")
    tokens: list[Token] = []
    heredocs: list[str] = []
    position = 0
    while position < len(text):
        here = text[position]
        if here in " \t":
            position += 1
        elif here == "#":
            position = _line_end(text, position)
        elif here == "\n":
            tokens.append(Token("\n", True))
            position += 1
            for end in heredocs:
                position = _behind_heredoc(text, position, end)
            heredocs = []
        elif sign := next(
            (each for each in _OPERATORS if text.startswith(each, position)), here if here in ";|&<>()" else ""
        ):
            position += len(sign)
            if sign in ("<<", "<<-"):
                word, position = _word(text, position + len(text[position:]) - len(text[position:].lstrip(" \t")))
                heredocs.append(word)
            else:
                tokens.append(Token(sign, True))
        else:
            word, position = _word(text, position)
            tokens.append(Token(word, False))
    return tokens


def _line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def _behind_heredoc(text: str, position: int, end: str) -> int:
    while position < len(text):
        line_end = _line_end(text, position)
        line, position = text[position:line_end], line_end + 1
        if line.strip() == end:
            break
    return position


def _word(text: str, position: int) -> tuple[str, int]:
    """A word from here on, and where it ends; what stands in $(...) or in quotes is part of it."""
    word = ""
    while position < len(text) and text[position] not in _WORD_END:
        here = text[position]
        if here in "'\"":
            end = position + 1
            while end < len(text) and text[end] != here:
                end += 2 if here == '"' and text[end] == "\\" else 1
            word, position = word + text[position + 1 : end], end + 1
        elif here == "\\":
            word, position = word + text[position + 1 : position + 2], position + 2
        elif text.startswith("$(", position) or here == "`":
            end = _closing(text, position + 2) if here == "$" else text.find("`", position + 1) + 1 or len(text)
            word, position = word + text[position:end], end
        else:
            word, position = word + here, position + 1
    return word, position


def _closing(text: str, position: int) -> int:
    depth = 1
    while position < len(text) and depth:
        depth += {"(": 1, ")": -1}.get(text[position], 0)
        position += 1
    return position
