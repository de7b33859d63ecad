"""Composes one inventory from its files, defaults and groups, and the overlay of one environment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from glob import glob
from pathlib import Path

from readygate.errors import InventoryError, Position, Problem
from readygate.inventory import source
from readygate.inventory.source import Entry, Mapping, Node, Scalar, Sequence
from readygate.results import SourceFile
from readygate.spec import Path as TreePath
from readygate.spec import dotted


@dataclass(frozen=True, slots=True)
class Composed:
    """An inventory as one environment sees it, and all the files that were read for it.

    Every position in `tree` is where the value was written: in a default, a group, an overlay or an include.
    """

    tree: Mapping
    files: tuple[SourceFile, ...]
    environments: tuple[str, ...]


def compose(path: Path, env: str | None) -> Composed:
    """Read the file and what it includes, and merge, from the lowest: defaults, groups, entries.

    The overlay `env` is merged over all three before that, once what its `without` names has been taken away.
    Raises InventoryError.
    """
    files = _Files()
    base = files.read(path)
    _stop_at(files.problems)

    problems: list[Problem] = []
    overlays = _mappings_under(base, "environments", problems)
    base = _leave_out(base, ("environments",))
    for name, overlay in overlays.items():
        problems += _misplaced(overlay, ("environments", name), ("include", "environments"))
    if env is not None and env not in overlays:
        known = f"environments are: {', '.join(overlays)}" if overlays else "add it, or leave out --env"
        position = Position(source.name_of(path))
        problems.append(Problem(position, "environments", f"no environment is called '{env}'", known))
    _stop_at(problems)

    tree = base
    removals = _Removals((), ())
    if env is not None:
        where = ("environments", env, "without")
        removals = _Removals(where, _texts(overlays[env], "without", where, problems))
        tree = _merged(removals.applied(base), _leave_out(overlays[env], ("without",)))
    written = [base, *overlays.values()]
    tree = _Inheritance(tree, written, problems).applied(removals)
    problems += removals.problems(base, tree)
    _stop_at(problems)
    return Composed(tree, tuple(files.read_so_far), tuple(overlays))


class _Files:
    """Reads a file and all that it includes; no value may be written in two of them."""

    def __init__(self) -> None:
        self.read_so_far: list[SourceFile] = []
        self.problems: list[Problem] = []
        self._known: set[Path] = set()

    def read(self, path: Path, chain: tuple[Path, ...] = ()) -> Mapping:
        try:
            text = source.text_of(path)  # before all else: a circle of links can't be resolved
            self._known.add(path.resolve())
            self.read_so_far.append(SourceFile(source.name_of(path), text))
            tree = source.parse(text, source.name_of(path))
        except InventoryError as error:
            self.problems += error.problems
            return Mapping(Position(source.name_of(path)), {})
        patterns = _texts(tree, "include", ("include",), self.problems)
        anchors = tuple(key for key in tree.entries if key.startswith("."))
        tree = _leave_out(tree, ("include", *anchors))
        for pattern in patterns:
            for included in self._matches(pattern, path, (*chain, path)):
                tree = self._joined(tree, self.read(included, (*chain, path)), ())
        return tree

    def _matches(self, pattern: Scalar, path: Path, chain: tuple[Path, ...]) -> Iterator[Path]:
        names = glob(pattern.text, root_dir=path.parent, recursive=True)  # noqa: PTH207 - takes absolute ones too
        found = [path.parent / name for name in sorted(names)]
        if not found:
            self._refuse(pattern, f"'{pattern.text}' matches no file", f"patterns are relative to {path.name}")
        for match in found:
            here = match.resolve()
            if here in [each.resolve() for each in chain]:
                circle = " -> ".join(each.name for each in (*chain, match))
                self._refuse(pattern, f"goes round in a circle: {circle}", "delete one of these includes")
            elif here not in self._known:
                yield match

    def _refuse(self, at: Node, wrong: str, mend: str) -> None:
        self.problems.append(Problem(at.position, "include", wrong, mend))

    def _joined(self, one: Mapping, other: Mapping, path: TreePath) -> Mapping:
        entries = dict(one.entries)
        for key, entry in other.entries.items():
            first = entries.setdefault(key, entry)
            if first is entry:
                continue
            if isinstance(first.node, Mapping) and isinstance(entry.node, Mapping):
                joined = self._joined(first.node, entry.node, (*path, key))
                entries[key] = Entry(first.key_position, joined)
            else:
                wrong = f"is also written at {first.key_position}"
                mend = "keep one of the two; to override a value, use environments"
                self.problems.append(Problem(entry.key_position, dotted((*path, key)), wrong, mend))
        return Mapping(one.position, entries)


class _Removals:
    """The paths that an overlay's `without` takes away; each has to be there, written or inherited."""

    def __init__(self, where: TreePath, items: tuple[Scalar, ...]) -> None:
        self._where = dotted(where)
        self._items = items
        self._found: dict[str, TreePath] = {}

    def applied(self, tree: Mapping, under: tuple[str, ...] = ()) -> Mapping:
        """What is left of a tree; `under` is where that tree stands in the inventory."""
        prefix = "".join(f"{step}." for step in under)
        wanted = [item.text for item in self._items if item.text.startswith(prefix)]
        found = {text: path for text in wanted if (path := _locate(tree, text.removeprefix(prefix)))}
        for text, path in found.items():
            self._found[text] = (*under, *path)
            tree = _removed(tree, path)
        return tree

    def problems(self, before: Mapping, after: Mapping) -> Iterator[Problem]:
        emptied: set[TreePath] = set()
        for item in self._items:
            if item.text not in self._found:
                known = (dotted(path) for tree in (before, after) for path in source.positions(tree).keys)
                mend = _nearest(item.text, known, "delete it, or write the path as it stands in the file")
                yield Problem(item.position, self._where, f"there is no {item.text} to remove", mend)
            elif (parent := self._found[item.text][:-1]) not in emptied and _is_empty(after, parent):
                emptied.add(parent)
                wrong, mend = (
                    f"leaves nothing of {dotted(parent)}",
                    f"write {dotted(parent)} to remove all of it",
                )
                yield Problem(item.position, self._where, wrong, mend)


class _Inheritance:
    """What the entries of a section take from `defaults` and from the groups that they are in.

    `written` are the base and all overlays: a group that only another environment uses is not idle.
    """

    def __init__(self, tree: Mapping, written: list[Mapping], problems: list[Problem]) -> None:
        self._problems = problems
        self._defaults = _mappings_under(tree, "defaults", problems)
        self._groups = _mappings_under(tree, "groups", problems)
        self._tree = _leave_out(tree, ("defaults", "groups"))
        for layer, specs in (("defaults", self._defaults), ("groups", self._groups)):
            for name, spec in specs.items():
                problems += _misplaced(spec, (layer, name), ("groups",))
        self._refuse_idle(tree, written)

    def _refuse_idle(self, tree: Mapping, written: list[Mapping]) -> None:
        places = source.positions(tree)
        sections = {key for each in written for key in each.entries}
        for name in self._defaults.keys() - sections:
            path = ("defaults", name)
            mend = _nearest(name, sections, f"add {name}, or delete its defaults")
            self._problems.append(Problem(places.of(path), dotted(path), "no such section is declared", mend))
        used = {group.text for each in written for _, entry in _entries(each) for group in _texts(entry, "groups")}
        for name in self._groups.keys() - used:
            path = ("groups", name)
            mend = f"write `groups: [{name}]` in an entry, or delete the group"
            self._problems.append(Problem(places.of(path), dotted(path), "nothing is in this group", mend))

    def applied(self, removals: _Removals) -> Mapping:
        wholes: dict[str, dict[str, Mapping]] = {}
        for path, entry in _entries(self._tree):
            section, name = path
            layers = [self._defaults[section]] if section in self._defaults else []
            for group in _texts(entry, "groups", (*path, "groups"), self._problems):
                if group.text in self._groups:
                    layers.append(self._groups[group.text])
                    continue
                mend = _nearest(group.text, self._groups, "declare it under groups")
                wrong = f"no group is called '{group.text}'"
                self._problems.append(Problem(group.position, dotted((*path, "groups")), wrong, mend))
            inherited = Mapping(entry.position, {})
            for layer in layers:
                inherited = _merged(inherited, layer)
            whole = _merged(removals.applied(inherited, path), _leave_out(entry, ("groups",)))
            wholes.setdefault(section, {})[name] = whole
        self._refuse_unmergeable()
        replaced = {section: _with(self._tree.entries[section], nodes) for section, nodes in wholes.items()}
        return Mapping(self._tree.position, {**self._tree.entries, **replaced})

    def _refuse_unmergeable(self) -> None:
        """A default that can't go under an entry would be lost without a word."""
        for section in self._defaults.keys() & self._tree.entries.keys():
            node = self._tree.entries[section].node
            below = node.entries.items() if isinstance(node, Mapping) else ()
            suspects = [((section,), node), *(((section, name), entry.node) for name, entry in below)]
            for path, suspect in suspects:
                if not isinstance(suspect, Mapping):
                    wrong = f"defaults.{section} can't be merged under a single value"
                    mend = "write it as a mapping"
                    self._problems.append(Problem(suspect.position, dotted(path), wrong, mend))


def _merged(lower: Mapping, upper: Mapping) -> Mapping:
    """Mappings merge, everything else is replaced by what `upper` says."""
    entries = dict(lower.entries)
    for key, entry in upper.entries.items():
        below = entries.get(key)
        if below and isinstance(below.node, Mapping) and isinstance(entry.node, Mapping):
            entries[key] = Entry(entry.key_position, _merged(below.node, entry.node))
        else:
            entries[key] = entry
    return Mapping(upper.position, entries)


def _leave_out(tree: Mapping, keys: tuple[str, ...]) -> Mapping:
    return Mapping(tree.position, {key: entry for key, entry in tree.entries.items() if key not in keys})


def _with(section: Entry, nodes: dict[str, Mapping]) -> Entry:
    """The section with these entries replaced."""
    if not isinstance(section.node, Mapping):
        return section
    replaced = {name: Entry(section.node.entries[name].key_position, node) for name, node in nodes.items()}
    return Entry(section.key_position, Mapping(section.node.position, {**section.node.entries, **replaced}))


def _entries(tree: Mapping) -> Iterator[tuple[tuple[str, str], Mapping]]:
    """The entries of all sections; what stands under an `x-` key is the user's own and has none."""
    for section, each in tree.entries.items():
        if isinstance(each.node, Mapping) and not section.startswith("x-"):
            for name, entry in each.node.entries.items():
                if isinstance(entry.node, Mapping):
                    yield (section, name), entry.node


def _locate(tree: Node, text: str) -> tuple[str, ...] | None:
    """The path that a dotted text stands for; keys may have dots of their own."""
    if not isinstance(tree, Mapping):
        return None
    if text in tree.entries:
        return (text,)
    for key, entry in tree.entries.items():
        if text.startswith(f"{key}.") and (rest := _locate(entry.node, text[len(key) + 1 :])):
            return (key, *rest)
    return None


def _removed(tree: Mapping, path: tuple[str, ...]) -> Mapping:
    entries = dict(tree.entries)
    step, *rest = path
    entry = entries.pop(step, None)  # it may be gone already, with something above it
    if entry and rest and isinstance(entry.node, Mapping):
        entries = {**tree.entries, step: Entry(entry.key_position, _removed(entry.node, tuple(rest)))}
    return Mapping(tree.position, entries)


def _is_empty(tree: Node, path: TreePath) -> bool:
    for step in path:
        if not isinstance(tree, Mapping) or step not in tree.entries:
            return False
        tree = tree.entries[str(step)].node
    return bool(path) and isinstance(tree, Mapping) and not tree.entries


def _mappings_under(tree: Mapping, key: str, problems: list[Problem]) -> dict[str, Mapping]:
    """The mappings that stand under a key by name, such as the environments."""
    if key not in tree.entries:
        return {}
    whole = tree.entries[key].node
    found: dict[str, Mapping] = {}
    suspects: list[tuple[TreePath, Node]] = [((key,), whole)]
    if isinstance(whole, Mapping):
        found = {name: each.node for name, each in whole.entries.items() if isinstance(each.node, Mapping)}
        suspects += [((key, name), each.node) for name, each in whole.entries.items()]
    for path, node in suspects:
        if not isinstance(node, Mapping):
            mend = "write names below it, indented, each with its own keys"
            problems.append(Problem(node.position, dotted(path), "is not a mapping", mend))
    return found


def _texts(tree: Mapping, key: str, path: TreePath = (), problems: list[Problem] | None = None) -> tuple[Scalar, ...]:
    """The list of texts under a key; whatever else stands there is a problem, for whom it may concern."""
    if key not in tree.entries:
        return ()
    node = tree.entries[key].node
    items = node.items if isinstance(node, Sequence) else ()
    texts = tuple(item for item in items if isinstance(item, Scalar))
    if problems is not None and (not items or len(texts) < len(items)):
        mend = f"write [{node.text}]" if isinstance(node, Scalar) else "write a list like [one, two]"
        problems.append(Problem(node.position, dotted(path), "is not a list of texts", mend))
    return texts


def _misplaced(tree: Mapping, path: TreePath, keys: tuple[str, ...]) -> Iterator[Problem]:
    for key in keys:
        if key in tree.entries:
            where = tree.entries[key].key_position
            yield Problem(where, dotted((*path, key)), f"'{key}' has no meaning here", "move it out of here")


def _nearest(name: str, known: Iterable[str], otherwise: str) -> str:
    close = get_close_matches(name, list(known), 1)
    return f"did you mean '{close[0]}'?" if close else otherwise


def _stop_at(problems: list[Problem]) -> None:
    if problems:
        raise InventoryError(problems)
