"""Keeps secrets out of whatever leaves the process: reports, logs, tracebacks, evidence, notifications."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, TextIO
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import quoteattr

from readygate.errors import Mistake

SHORTEST = 4
REPEATED = 400  # characters of the longest text that is remembered


class Redactor:
    """Knows the secrets of a run, and replaces them in text by `[redacted NAME]`."""

    def __init__(self) -> None:
        self._masks: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None
        self._redacted = lru_cache(maxsize=4096)(self._without_secrets)  # most texts of a run come again and again

    def add(self, value: str, name: str = "") -> None:
        """Keep a value, in every form it is likely to be printed in, out of what `redact` returns.

        Raises Mistake for a value below four characters: to replace each "7" of a report would spoil the
        report and, by where the gaps are, give the secret away.
        """
        if len(value.strip()) < SHORTEST:
            secret = f"the secret {name}" if name else "a secret"
            mend = f"use {SHORTEST} characters or more, or another name if it is no secret"
            raise Mistake(f"{secret} is too short to be kept out of reports", mend)
        mask = f"[redacted {name}]" if name else "[redacted]"
        for part in {value, value.strip(), *_long_lines(value)}:
            for form in _forms(part):
                self._masks.setdefault(form, mask)
        self._pattern = None
        self._redacted.cache_clear()

    def redact(self, text: str) -> str:
        """The text without secrets: those that were added, and what looks like one wherever it stands.

        What no file could be written with, such as a byte of a file's name that isn't UTF-8, becomes its escape.
        """
        text = text.encode(errors="backslashreplace").decode()
        if len(text) < SHORTEST:
            return text
        return self._redacted(text) if len(text) <= REPEATED else self._without_secrets(text)

    def _without_secrets(self, text: str) -> str:
        if self._masks:
            if self._pattern is None:
                self._pattern = re.compile(_alternation(self._masks))
            text = self._without_pieces(self._pattern.sub(lambda match: self._masks[match[0]], text))
        lowered = text.lower()
        for hint, pattern in _ALWAYS:
            if hint in lowered:
                text = pattern.sub(r"\g<kept>[redacted]", text)
        return text

    def _without_pieces(self, text: str) -> str:
        """The text without what is left of a secret beside an ellipsis: pytest, among others, shortens first."""
        parts = _ELLIPSIS.split(text)
        for index in range(0, len(parts) - 2, 2):
            parts[index] = self._without_last_piece(parts[index])
            parts[index + 2] = self._without_first_piece(parts[index + 2])
        return "".join(parts)

    def _without_last_piece(self, text: str) -> str:
        starts = ((_start_of_piece(text, form), mask) for form, mask in self._masks.items())
        start, mask = min(starts, key=lambda each: each[0])
        return text[:start] + mask if start < len(text) else text

    def _without_first_piece(self, text: str) -> str:
        ends = ((_end_of_piece(text, form), mask) for form, mask in self._masks.items())
        end, mask = max(ends, key=lambda each: each[0])
        return mask + text[end:] if end else text

    def redact_data(self, data: Any) -> Any:
        """Plain data with every text in it redacted, keys too; other types come back as they are."""
        if isinstance(data, str):
            return self.redact(data)
        if isinstance(data, dict):
            return {self.redact_data(key): self._redact_value(key, value) for key, value in data.items()}
        if isinstance(data, list):
            return [self.redact_data(item) for item in data]
        if isinstance(data, tuple):
            return tuple(self.redact_data(item) for item in data)
        return data

    def _redact_value(self, key: object, value: Any) -> Any:
        """A header's name and value are apart in data, so that no pattern would see them together."""
        if isinstance(key, str) and isinstance(value, str) and key.lower().endswith("authorization"):
            return "[redacted]"
        return self.redact_data(value)


# One for each process: a secret that any part has learnt must not leave through any other part.
REDACTOR = Redactor()


# The letters that pytest writes for each test, and a status line that writes over itself.
_PROGRESS = re.compile(r"[.FEsxX]*|\r.*")


class _RedactingStream(io.TextIOBase):
    """Holds each line back until it is complete, so that no secret slips through in two halves.

    `flush` gives out an unfinished line only where it is pytest's progress; `close` does in any case, and
    leaves the stream beneath open. There is no `fileno`, by which a child process could write past the redactor.
    """

    def __init__(self, stream: TextIO, redactor: Redactor) -> None:
        self._stream = stream
        self._redactor = redactor
        self._held = ""

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._stream.isatty()

    def write(self, text: str) -> int:
        self._held += text
        if "\n" in text and not _inside_private_key(self._held):
            lines, newline, self._held = self._held.rpartition("\n")
            self._stream.write(self._redactor.redact(lines + newline))
        return len(text)

    def flush(self) -> None:
        if _PROGRESS.fullmatch(self._held):
            self._stream.write(self._redactor.redact(self._held))
            self._held = ""
        self._stream.flush()

    def close(self) -> None:
        if not self.closed:
            self._stream.write(self._redactor.redact(self._held))
            self._held = ""
        super().close()


def redacting_stream(stream: TextIO, redactor: Redactor) -> io.TextIOBase:
    """A text stream that writes to the given one what the redactor leaves of it."""
    return _RedactingStream(stream, redactor)


_PRIVATE_KEY = r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
_PRIVATE_KEY_END = r"-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"

# What to mask though nobody named it, each with a text in lower case without which the pattern can't match.
_ALWAYS = (
    ("private key", re.compile(rf"(?s)(?P<kept>){_PRIVATE_KEY}.*?(?:{_PRIVATE_KEY_END}|\Z)")),
    ("://", re.compile(r"(?P<kept>\w://[^\s:/?#@\"'<>]*:)[^\s/?#\"'<>]+(?=@)")),
    (
        "authorization",
        re.compile(
            # "the header" is how our own messages go on.
            r"(?i)(?P<kept>authorization[\"'\\]*\s*[:=]\s*[\"'\\]*(?!the header )(?:[a-z]+\s+)?)"
            r"(?![a-z]+\s+\[redacted)[^\s\"'\\,;<>\[]+"
        ),
    ),
    ("bearer", re.compile(r"(?i)(?P<kept>\bbearer\s+)[a-z0-9+/._~-]{16,}=*")),
    ("basic", re.compile(r"(?i)(?P<kept>\bbasic\s+)[a-z0-9+/._~-]{16,}=*")),
)


_ELLIPSIS = re.compile(r"(\.\.\.|…)")


def _start_of_piece(text: str, form: str) -> int:
    """Where the text goes over into the beginning of a secret that it doesn't finish; its length if it doesn't."""
    start = max(0, len(text) - len(form))
    while (start := text.find(form[:SHORTEST], start)) >= 0:
        if form.startswith(text[start:]):
            return start
        start += 1
    return len(text)


def _end_of_piece(text: str, form: str) -> int:
    """Up to where the text is the end of a secret; 0 if it doesn't begin with one."""
    end = len(form)
    while (start := text.rfind(form[-SHORTEST:], 0, end)) >= 0:
        end = start + SHORTEST
        if form.endswith(text[:end]):
            return end
        end -= 1
    return 0


def _inside_private_key(text: str) -> bool:
    *_, last = re.split(_PRIVATE_KEY, text)
    return last != text and not re.search(_PRIVATE_KEY_END, last)


def _long_lines(value: str) -> Iterator[str]:
    """The lines of a secret, such as a key file's, which are printed one by one with a margin before each."""
    for line in value.splitlines():
        if len(line.strip()) >= SHORTEST:
            yield line.strip()


def _forms(value: str) -> Iterator[str]:
    """The value, and as URLs, JSON, HTML, XML, shells, Python and base64 would write it; two of them at once, too."""
    yield value
    for once in {*_escaped(value)}:
        yield once
        yield from _escaped(once)  # a shell's command line in Python's repr, say
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for text in (value, value + "\n"):
            encoded = encode(text.encode()).decode()
            yield encoded
            yield encoded.rstrip("=")
        yield from _within(value, encode)


def _within(value: str, encode: Callable[[bytes], bytes]) -> Iterator[str]:
    """What of the value is the same in the base64 of any text around it, such as user:value, at each of three places.

    A letter of base64 holds six bits: those at either end hold bits of the neighbours too, and are left out.
    """
    content = value.encode()
    for before in range(3):
        first = -(-before * 8 // 6)
        last = (before + len(content)) * 8 // 6
        if last - first >= SHORTEST:
            yield encode(b"\0" * before + content).decode()[first:last]


def _escaped(value: str) -> Iterator[str]:
    for encoded in (quote(value), quote(value, safe=""), quote_plus(value)):
        yield encoded
        yield re.sub("%..", lambda code: code[0].lower(), encoded)
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield html.escape(value)
    yield html.escape(value, quote=False)
    yield html.escape(value, quote=False).replace('"', "&#34;").replace("'", "&#39;")  # as Jinja does
    yield quoteattr(value)[1:-1]
    yield shlex.quote(value).removeprefix("'").removesuffix("'")
    yield value.replace("'", "'\\''")
    for write in (repr, ascii):
        yield write(value)[1:-1]
        yield write(f"{value}\"'")[1:-4]  # where what stands around it has both kinds of quotes
    yield repr(value.encode())[2:-1]
    yield repr(f"{value}\"'".encode())[2:-4]


def _alternation(forms: Iterable[str], shared: int = 2) -> str:
    """A pattern for any of the forms, longest first; branched by their first characters, for speed."""
    if not shared:
        return "|".join(map(re.escape, forms))
    branches: dict[str, list[str]] = {}
    for form in sorted(forms, key=len, reverse=True):
        branches.setdefault(form[0], []).append(form[1:])
    return "|".join(f"{re.escape(first)}(?:{_alternation(rest, shared - 1)})" for first, rest in branches.items())
