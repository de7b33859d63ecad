"""Reads one YAML file into a tree in which every value knows the line and column it was written at."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from select import select
from typing import Any, NoReturn, TypeAlias

import yaml

from readygate.errors import InventoryError, Position, Problem
from readygate.inventory.plain_words import in_plain_words
from readygate.spec import Path as TreePath
from readygate.spec import dotted

MAX_BYTES = 10 * 1024 * 1024
MAX_DEPTH = 100
MAX_NODES = 1_000_000
PIPE_WITHIN = 10.0  # seconds until a pipe has to say something

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # some platforms have PyYAML without libyaml

Event: TypeAlias = Any  # types-PyYAML leaves out most of the attributes that events have


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value; `text` is how it was written, for whoever must tell `1.10` from `1.1`."""

    position: Position
    value: str | int | float | bool
    text: str


@dataclass(frozen=True, slots=True)
class Sequence:
    position: Position
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Mapping:
    position: Position
    entries: dict[str, Entry]


@dataclass(frozen=True, slots=True)
class Entry:
    key_position: Position
    node: Node


Node: TypeAlias = Scalar | Sequence | Mapping

NOWHERE = Position("")  # for what no file says


def to_data(node: Node) -> Any:
    """The tree as plain dicts, lists and scalars."""
    if isinstance(node, Mapping):
        return {key: to_data(entry.node) for key, entry in node.entries.items()}
    if isinstance(node, Sequence):
        return [to_data(item) for item in node.items]
    return node.value


@dataclass(frozen=True, slots=True)
class Places:
    """Where each path of a tree was written, its key and its value, and how, where that is a single value."""

    keys: dict[TreePath, Position]
    values: dict[TreePath, Position]
    texts: dict[TreePath, str] = field(compare=False)

    def of(self, path: TreePath) -> Position:
        """Where the path's key stands, or the list item, or else the nearest thing above that was written."""
        while path not in self.keys and path:
            path = path[:-1]
        return self.keys.get(path, NOWHERE)

    def of_value(self, path: TreePath) -> Position:
        """Where the path's value begins, or else the place of what is above it."""
        return self.values.get(path) or self.of(path)


def positions(tree: Node) -> Places:
    """The places of everything in a tree; a list item and the tree itself stand where their value begins."""
    places = Places({}, {}, {})

    def note(node: Node, path: TreePath, key_position: Position) -> None:
        places.keys[path] = key_position
        places.values[path] = node.position
        if isinstance(node, Mapping):
            for key, entry in node.entries.items():
                note(entry.node, (*path, key), entry.key_position)
        elif isinstance(node, Sequence):
            for index, item in enumerate(node.items):
                note(item, (*path, index), item.position)
        else:
            places.texts[path] = node.text

    note(tree, (), tree.position)
    return places


def read(path: Path) -> Mapping:
    """Reads the file, or raises InventoryError with every mistake that could be found in it.

    Plain scalars follow the YAML 1.2 core schema (yaml.org/spec/1.2.2, 10.3.2), so `on`, `yes`, `0600`,
    `22:30` and dates are text. Text too, unlike there: octal and hexadecimal numbers, which operators write
    as file modes and hashes; infinities and NaN, which no expectation could fail or meet.
    """
    return parse(text_of(path), name_of(path))


def name_of(path: Path) -> str:
    """How a file is named in messages and results: from the current folder on, where it lies in that."""
    here = Path.cwd()
    name = path.relative_to(here) if path.is_relative_to(here) else path
    return os.fsencode(name).decode(errors="backslashreplace")


def parse(text: str, file: str) -> Mapping:
    """What `read` does, with the text at hand and the name that problems call the file by."""
    return _Composer(file, text).document()


def text_of(path: Path) -> str:
    """The file's text, without a byte order mark."""

    def refuse(wrong: str, mend: str, line: int = 0, column: int = 0) -> NoReturn:
        raise InventoryError([Problem(Position(name_of(path), line, column), "", wrong, mend)])

    try:
        if path.is_dir():
            refuse("is a directory", "name the inventory file in it")
        if path.stat().st_size > MAX_BYTES:
            refuse("is larger than 10 MB", "an inventory is written by hand; is this the right file?")
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            if not select([file], [], [], PIPE_WITHIN)[0]:
                refuse("is a pipe that nothing comes out of", "name a file, or see what should write into it")
            os.set_blocking(file.fileno(), True)
            raw = file.read(MAX_BYTES + 1)  # a pipe or a device has no size to be judged by
    except FileNotFoundError:
        refuse("does not exist", "run `readygate init` to write one, or name another with --inventory")
    except OSError as error:
        refuse(f"can't be read: {error.strerror or error}", "mend its permissions, or name another file")
    if len(raw) > MAX_BYTES:
        refuse("is larger than 10 MB", "an inventory is written by hand; is this the right file?")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        refuse("is written in UTF-16", "save it as UTF-8")
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8")
        refuse(f"byte 0x{raw[error.start]:02x} is not UTF-8", "save the file as UTF-8", *_place(before))
    if stray := _UNPRINTABLE.search(text):
        code = f"U+{ord(stray[0]):04X}"
        refuse(f"holds the unprintable character {code}", "delete it", *_place(text[: stray.start()]))
    if odd := _ODD_INDENTATION.search(text):
        refuse("a no-break space is used as indentation", "indent with spaces", *_place(text[: odd.end() - 1]))
    return text


_ODD_INDENTATION = re.compile("^ *\u00a0", re.MULTILINE)  # from a web page; YAML takes it for the beginning of a key
# What YAML doesn't count as printable (yaml.org/spec/1.2.2, 5.1): binary files end here.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def _place(before: str) -> tuple[int, int]:
    """Line and column of what follows this text."""
    return before.count("\n") + 1, len(before) - before.rfind("\n")


@dataclass(frozen=True, slots=True)
class _Anchor:
    node: Node
    size: int
    height: int


class _Composer:
    """Builds the tree from the parser's events; PyYAML's own composer would exhaust the stack."""

    def __init__(self, file: str, text: str) -> None:
        self._file = file
        self._text = text
        self._problems: list[Problem] = []
        self._anchors: dict[str, _Anchor | None] = {}  # None while the anchored value is still being read
        self._nodes = 0
        self._deepest = 0
        self._events: Iterator[Event] = yaml.parse(text, Loader=_LOADER)

    def document(self) -> Mapping:
        try:
            root = self._document()
        except yaml.MarkedYAMLError as error:
            self._give_up(*in_plain_words(error, self._text))
        except yaml.YAMLError as error:
            self._give_up(None, f"is not YAML: {error}", "")
        if self._problems:
            raise InventoryError(self._problems)
        return root

    def _document(self) -> Mapping:
        next(self._events)  # the start of the stream
        if isinstance(next(self._events), yaml.StreamEndEvent):
            self._give_up(None, "is empty", "run `readygate init` in an empty folder for one to begin with")
        first = next(self._events)
        if not isinstance(first, yaml.MappingStartEvent):
            found = "a list" if isinstance(first, yaml.SequenceStartEvent) else "a single value"
            self._give_up(first.start_mark, f"{found} is not an inventory", "begin with a section, like `sites:`")
        root = self._node(first, (), 1)
        next(self._events)  # the end of the document
        if not isinstance(again := next(self._events), yaml.StreamEndEvent):
            self._problem(again, (), "a second document begins here", "delete the `---`; a file holds one inventory")
        return root if isinstance(root, Mapping) else Mapping(root.position, {})

    def _node(self, event: Event, path: TreePath, depth: int) -> Node:
        if depth > MAX_DEPTH:
            self._give_up(event.start_mark, f"is nested deeper than {MAX_DEPTH} levels", "flatten it")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path, depth)
        before, outer = self._nodes, self._deepest
        self._nodes, self._deepest = before + 1, depth
        self._check_tag(event, path)
        name = self._open_anchor(event, path)
        node: Node
        if isinstance(event, yaml.MappingStartEvent):
            node = self._mapping(event, path, depth)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(event, path, depth)
        else:
            node = self._scalar(event, path)
        if name:
            self._anchors[name] = _Anchor(node, self._nodes - before, self._deepest - depth)
        self._deepest = max(outer, self._deepest)
        return node

    def _scalar(self, event: Event, path: TreePath) -> Scalar:
        value = _resolved(event)
        if value is None:
            self._problem(event, path, "is empty", "write a value or delete the line")
            value = ""
        return Scalar(self._position(event.start_mark), value, event.value)

    def _sequence(self, event: Event, path: TreePath, depth: int) -> Sequence:
        items: list[Node] = []
        while not isinstance(item := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(item, (*path, len(items)), depth + 1))
        if not items:
            self._problem(event, path, "is an empty list and declares nothing", "write a member or delete the line")
        return Sequence(self._position(event.start_mark), tuple(items))

    def _mapping(self, event: Event, path: TreePath, depth: int) -> Mapping:
        entries: dict[str, Entry] = {}
        merged: list[Mapping] = []
        lines: dict[str, int] = {}
        empty = True
        while not isinstance(key_event := next(self._events), yaml.MappingEndEvent):
            empty = False
            if not isinstance(key_event, yaml.ScalarEvent):
                self._refuse_key(key_event, path, depth)
                continue
            key = self._key(key_event, path)
            node = self._node(next(self._events), (*path, key), depth + 1)
            if key in lines:
                wrong = f"is written twice, first on line {lines[key]}"
                self._problem(key_event, (*path, key), wrong, "keep one of the two")
                continue
            place = self._position(key_event.start_mark)
            lines[key] = place.line
            if key == "<<" and key_event.implicit[0]:
                merged += self._merged(node, (*path, key))
            else:
                entries[key] = Entry(place, node)
        if empty:
            self._problem(event, path, "is an empty mapping and declares nothing", "fill it or delete the line")
        for other in merged:
            for key, entry in other.entries.items():
                entries.setdefault(key, entry)
        return Mapping(self._position(event.start_mark), entries)

    def _key(self, event: Event, path: TreePath) -> str:
        self._check_tag(event, path)
        if _resolved(event) is None:
            self._problem(event, path, "has an empty key", "write a name before the ':', in quotes if it is null")
        return str(event.value)

    def _refuse_key(self, event: Event, path: TreePath, depth: int) -> None:
        mend = "write a name; text that begins with {, [ or * goes in quotes"
        self._problem(event, path, "has a key that is not text", mend)
        known = len(self._problems)
        self._node(event, path, depth + 1)
        self._node(next(self._events), path, depth + 1)
        del self._problems[known:]  # it wasn't meant as YAML, as in `{{ name }}`

    def _merged(self, node: Node, path: TreePath) -> list[Mapping]:
        """What `<<` brings in; of several, the earlier wins (yaml.org/type/merge.html)."""
        found = node.items if isinstance(node, Sequence) else (node,)
        mappings = [each for each in found if isinstance(each, Mapping)]
        if len(mappings) < len(found):
            wrong, mend = "can only merge mappings", "write `<<: *name` where &name marks a mapping"
            self._problems.append(Problem(node.position, dotted(path), wrong, mend))
        return mappings

    def _open_anchor(self, event: Event, path: TreePath) -> str:
        name: str = event.anchor or ""
        if name in self._anchors:
            self._problem(event, path, f"the anchor &{name} is defined twice", "give one of them another name")
        if name:
            self._anchors[name] = None
        return name

    def _alias(self, event: Event, path: TreePath, depth: int) -> Node:
        name: str = event.anchor
        nothing = Scalar(self._position(event.start_mark), "", "")
        if name not in self._anchors:
            wrong = f"*{name} refers to an anchor that is not above it"
            self._problem(event, path, wrong, f"define &{name} first, or put the value in quotes if it is text")
            return nothing
        anchor = self._anchors[name]
        if anchor is None:
            self._problem(event, path, f"*{name} is inside &{name}, so it never ends", "move one of them")
            return nothing
        self._nodes += anchor.size
        if self._nodes > MAX_NODES:
            wrong = f"*{name} makes the file expand to more than {MAX_NODES:,} values"
            self._give_up(event.start_mark, wrong, "repeat less by alias")
        self._deepest = max(self._deepest, depth + anchor.height)
        if self._deepest > MAX_DEPTH:
            self._give_up(event.start_mark, f"*{name} nests deeper than {MAX_DEPTH} levels", "flatten it")
        return anchor.node

    def _check_tag(self, event: Event, path: TreePath) -> None:
        if event.tag not in (None, "!", "tag:yaml.org,2002:str"):
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            mend = "delete it; a secret is written ${secret:NAME}, ${file:…} or ${command:…}"
            self._problem(event, path, f"the tag {tag} means nothing here", mend)

    def _position(self, mark: Any) -> Position:
        return Position(self._file, mark.line + 1, mark.column + 1) if mark else Position(self._file)

    def _problem(self, event: Event, path: TreePath, wrong: str, mend: str) -> None:
        self._problems.append(Problem(self._position(event.start_mark), dotted(path), wrong, mend))

    def _give_up(self, mark: Any, wrong: str, mend: str) -> NoReturn:
        """Raises what was found so far and this, after which the rest of the file can't be read."""
        raise InventoryError([*self._problems, Problem(self._position(mark), "", wrong, mend)])


_CONSTANTS: dict[str, bool | None] = dict.fromkeys(("", "~", "null", "Null", "NULL"))
_CONSTANTS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]*)?(\.[0-9]+([eE][-+]?[0-9]+)?|\.|[eE][-+]?[0-9]+)")


def _resolved(event: Event) -> str | int | float | bool | None:
    text: str = event.value
    if not event.implicit[0]:  # quoted, or tagged
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and any(map(str.isdigit, text)) and math.isfinite(number := float(text)):
        return number
    return text
