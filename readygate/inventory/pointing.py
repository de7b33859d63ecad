"""Points an inventory elsewhere for one run: `sites.api=https://green.internal`, as before traffic is switched."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from readygate.errors import InventoryError, Mistake, Position, Problem, UsageError
from readygate.inventory.source import Entry, Mapping, Node, Scalar

TARGET = "READYGATE_TARGET"  # in the environment, so that xdist's workers and other processes look there, too

# A URL takes the place of an entry's own; of an address only the connection changes, and no name that is asked for.
_URLS = {"sites": "url", "servers": "connect", "load": "target"}
_ADDRESSES = {"sites": "resolve", "tls_ports": "resolve"}
_SECTIONS = ("sites", "tls_ports", "servers", "load")
_LEFT_BEHIND = ("resolve", "nodes")  # they lead to where it was
_OPTION = Position("--target")


@contextmanager
def pointed_to(targets: Sequence[str]) -> Iterator[None]:
    """Whatever loads an inventory meanwhile points it to these targets, if there are any."""
    before = os.environ.get(TARGET)
    for target in targets:
        if len(target.split()) != 1:
            raise UsageError(f"--target '{target}' is no target; write e.g. sites.api=https://green.example.com")
    if targets:
        os.environ[TARGET] = " ".join(targets)
    try:
        yield
    finally:
        os.environ.pop(TARGET, None)
        if before is not None:
            os.environ[TARGET] = before


def point(tree: Mapping, targets: Sequence[str]) -> Mapping:
    """The inventory with each of the targets, `SECTION.NAME=PLACE`, in its place.

    Raises InventoryError with every one that can't be understood, or that the inventory doesn't have.
    """
    problems = []
    seen = set()
    for target in targets:
        path, _, place = target.partition("=")
        try:
            if path in seen:
                raise Mistake("is pointed to two places", "keep one of them")
            tree = _pointed(tree, path, place)
        except Mistake as mistake:
            problems.append(Problem(_OPTION, path, mistake.wrong, mistake.mend))
        seen.add(path)
    if problems:
        raise InventoryError(problems)
    return tree


def _pointed(tree: Mapping, path: str, place: str) -> Mapping:
    section, _, name = path.partition(".")
    if section not in _SECTIONS or not (name and place) or "${" in place:
        sections = ", ".join(f"{each}.NAME" for each in _SECTIONS)
        raise Mistake("is no target", f"write e.g. sites.api=https://green.example.com; there are {sections}")
    fields = _URLS if "://" in place else _ADDRESSES
    if section not in fields:
        raise Mistake(f"can't be pointed to '{place}'", f"write {'a URL' if section in _URLS else 'host:port'}")
    entries = _below(tree, section)
    entry = _below(entries, name)
    if name not in entries.entries:
        known = ", ".join(f"{section}.{each}" for each in entries.entries)
        raise Mistake("the inventory does not have it", f"it has {known or f'no {section}'}")
    kept = {key: each for key, each in entry.entries.items() if key not in _LEFT_BEHIND}
    kept[fields[section]] = Entry(_OPTION, Scalar(_OPTION, place, place))
    return _with(tree, section, _with(entries, name, replace(entry, entries=kept)))


def _below(tree: Mapping, key: str) -> Mapping:
    """What stands under a key; nothing where it is no mapping, which the model says better."""
    node: Node | None = tree.entries[key].node if key in tree.entries else None
    return node if isinstance(node, Mapping) else Mapping(tree.position, {})


def _with(tree: Mapping, key: str, node: Node) -> Mapping:
    return replace(tree, entries={**tree.entries, key: replace(tree.entries[key], node=node)})
