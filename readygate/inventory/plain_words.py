"""The YAML parser's complaints, in words for somebody who never read the YAML specification."""

from __future__ import annotations

import re

import yaml


def in_plain_words(error: yaml.MarkedYAMLError, text: str) -> tuple[yaml.Mark | None, str, str]:
    """Where the parser stopped, what is wrong there, and what to write instead."""
    mark = error.problem_mark or error.context_mark
    said = f"{error.context or ''}: {error.problem or ''}"
    lines = text.splitlines()
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return mark, "a tab is used as indentation", "indent with spaces"
    for pattern, at_context, wrong, mend in _PLAIN_WORDS:
        if re.search(pattern, said):
            mark = error.context_mark if at_context and error.context_mark else mark
            column = mark.column if mark else 0
            return mark, wrong.replace("CHARACTER", line[column : column + 1]), mend
    return mark, f"is not YAML: {error.problem}", "quote the value, or compare with the lines around it"


_QUOTE = "put the value in quotes"
_ALIGN = "align it with the keys beside it, or put a value with special characters in quotes"

# What libyaml and PyYAML's own parser say; whether the place where the construct began is the one to show;
# what is wrong; what to write.
_PLAIN_WORDS = (
    ("cannot start any token", False, "a value can't begin with CHARACTER", _QUOTE),
    ("mapping keys are not allowed", False, "a value can't begin with ?", _QUOTE),
    ("found unexpected ':'", False, "a ':' inside of [ ] or { } needs a space after it", f"add one, or {_QUOTE}"),
    ("could not find expected ':'", True, "this line has no ':' after its key", "write `key: value`"),
    (
        "mapping values are not allowed",
        False,
        "a ':' is not expected here",
        f"{_QUOTE}, or mend the indentation or the line above",
    ),
    (
        "sequence entries are not allowed",
        False,
        "a list can't begin on this line",
        "begin the list on the next one",
    ),
    (
        "flow sequence: .*(expected ',' or)",
        True,
        "this list is not closed",
        "close it with ], commas between members; text that holds , [ ] { } or : goes in quotes",
    ),
    (
        "flow mapping: .*(expected ',' or)",
        True,
        "this mapping is not closed",
        "close it with }, commas between entries; text that holds , [ ] { } or : goes in quotes",
    ),
    ("quoted scalar: found unexpected", True, "this quote is never closed", "close it"),
    (
        "unknown escape|hexdecimal|hexadecimal",
        False,
        "the text in double quotes has an unknown \\ escape",
        "use single quotes, or write \\\\ for a backslash",
    ),
    ("scanning an (alias|anchor)", True, "a value can't begin with * or & unless it is an anchor", _QUOTE),
    ("tag handle|scanning a tag", False, "a value can't begin with ! unless it is a tag", _QUOTE),
    ("expected (the )?node content", False, "a value is missing here", f"write it, or {_QUOTE}"),
    ("block scalar", False, "text after | or > begins on the next line", "move it there, indented"),
    (
        "block collection",
        False,
        "this is not a member of the list above it",
        "begin it with '- ', or mend the indentation",
    ),
    ("block mapping", False, "this does not line up with the keys above it", _ALIGN),
    ("directive|incompatible", False, "a line can't begin with %", "delete it, or put the text in quotes"),
    ("document start", False, "something follows the end of the document", "delete the `...` line above it"),
)
