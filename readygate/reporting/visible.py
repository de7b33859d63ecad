"""Text from a target made safe to show: what could steer a terminal or hide from a reader becomes visible."""

from __future__ import annotations

import re

# Controls except tab and newline; bidirectional and zero-width marks, which can make text read as what it is
# not (CVE-2021-42574); line separators; lone surrogates and noncharacters, which neither UTF-8 nor XML holds.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\uffff\ud800-\udfff]"
)


def visible(text: str) -> str:
    """The text with ESC as `␛`, NUL as `␀`, and marks without a picture by their number, as in `[U+202E]`."""
    return _UNSEEN.sub(_pictured, text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """The visible text with all of its whitespace, newlines included, as single spaces."""
    return " ".join(visible(text).split())


def cut(text: str, most: int) -> str:
    """At most so many characters, ending in `…` where something was left off."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _pictured(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"[U+{code:04X}]"
