"""Checks a composed inventory against what the areas let one declare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from readygate.areas import SECTIONS
from readygate.errors import InventoryError, Mistake, Problem
from readygate.inventory import Inventory, source
from readygate.inventory.model import Head, document_of
from readygate.inventory.problems import problems_in
from readygate.inventory.source import Places
from readygate.results import SourceFile
from readygate.spec import Leaf, Path, Spec, below, dotted, leaves, misnamed


def checked(
    tree: source.Mapping,
    files: tuple[SourceFile, ...],
    path: FilePath,
    environment: str,
    environ: Mapping[str, str],
) -> Inventory:
    """The inventory that a composed and resolved tree declares. Raises InventoryError with every problem found."""
    data, places = source.to_data(tree), source.positions(tree)
    own = {key: data.pop(key) for key in list(data) if key.startswith("x-")}
    try:
        document = document_of(frozenset(SECTIONS).intersection(data)).model_validate(data)
    except ValidationError as error:
        raise InventoryError(problems_in(error, places, document_of())) from None

    entries = {key: getattr(document, key, {}) for key in SECTIONS}
    found = tuple(_leaves(document, entries, own, places))
    refused = _refused_load(document, entries["load"], environment, environ)
    placed = _placed(refused, places)
    problems = [*_misnamed(entries, places), *_dangling(entries, places), *placed, *_alike(found)]
    if problems:
        raise InventoryError(problems)
    if not found:
        raise InventoryError([Problem(places.of(()), "", "declares nothing to verify", "add a server or a site")])
    return Inventory(
        project=document.project,
        environment=environment,
        release=document.release,
        lifecycle=document.lifecycle,
        leaves=found,
        entries=entries,
        data=own,
        places=places,
        files=files,
        root=path.resolve().parent,
    )


def _leaves(
    document: Head, entries: Mapping[str, Mapping[str, Spec]], own: Mapping[str, Any], places: Places
) -> Iterator[Leaf]:
    sections = {**entries, "attestations": document.attestations}
    declared = (
        leaf
        for key, section in sections.items()
        for name, spec in section.items()
        for leaf in leaves(spec, name, (key, name))
    )
    private = (leaf for key, value in own.items() for leaf in _private(value, key, (key,)))
    for leaf in (*declared, *private):
        yield replace(
            leaf,
            position=places.of(leaf.path),
            owner=leaf.owner or document.owned_by,
            severity=leaf.severity or document.severity,
        )


def _private(value: Any, key: str, path: Path) -> Iterator[Leaf]:
    """Each scalar under an `x-` key has to be claimed by a suite of the user's own."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _private(each, key, (*path, name))
    else:
        yield Leaf(key, ".".join(str(part) for part in path[1:]) or key, path, source.NOWHERE, value)


def _misnamed(entries: Mapping[str, Mapping[str, Spec]], places: Places) -> Iterator[Problem]:
    for key, section in entries.items():
        for name, spec in section.items():
            for path, mistake in misnamed(spec, name, (key, name)):
                yield Problem(places.of(path), dotted(path), mistake.wrong, mistake.mend)


def _alike(leaves: Iterable[Leaf]) -> Iterator[Problem]:
    """Two lines of one identity: a waiver would excuse both, and a result be of either. Once for two entries."""
    first: dict[str, Leaf] = {}
    told: set[tuple[Path, Path]] = set()
    for leaf in leaves:
        other = first.setdefault(leaf.id, leaf)
        pair = (other.path[:-1], leaf.path[:-1])
        if other is not leaf and pair not in told:
            told.add(pair)
            wrong = f"would be called {leaf.id}, as {other.dotted} at {other.position} is"
            yield Problem(leaf.position, leaf.dotted, wrong, "give one of the two another name")


def _refused_load(
    document: Head, plans: Mapping[str, Any], environment: str, environ: Mapping[str, str]
) -> Iterable[tuple[Path, Mistake]]:
    if not plans:
        return ()
    from readygate.areas.load.plan import forbidden

    return forbidden(plans, document.allow_load, environment, environ)


def _placed(mistakes: Iterable[tuple[Path, Mistake]], places: Places) -> Iterator[Problem]:
    for path, mistake in mistakes:
        yield Problem(places.of(path), dotted(path), mistake.wrong, mistake.mend)


def _dangling(entries: Mapping[str, Mapping[str, Spec]], places: Places) -> Iterator[Problem]:
    """Every name of a server that isn't declared, and every server that declares nothing and isn't named."""
    servers = entries.get("servers", {})
    known = f"servers are: {', '.join(servers)}" if servers else "add it under servers"
    named = set()
    for key, section in entries.items():
        for name, entry in section.items():
            for path, spec in below(entry, (key, name)):
                for field, wanted in spec.servers_named:
                    named.add(wanted)
                    if wanted not in servers:
                        where = (*path, field)
                        yield Problem(places.of_value(where), dotted(where), f"no server is called '{wanted}'", known)
    for name, server in servers.items():
        if server.is_bare and name not in named:
            where, mistake = ("servers", name), server.nothing_declared()
            yield Problem(places.of(where), dotted(where), mistake.wrong, mistake.mend)
