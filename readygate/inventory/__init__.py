"""The inventory: what production must be, read from `inventory.yml` and checked down to the last key."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from readygate.areas import SECTIONS
from readygate.areas.load.plan import forbidden
from readygate.errors import InventoryError, Mistake, Problem
from readygate.inventory import source
from readygate.inventory.compose import compose
from readygate.inventory.model import Document, Head, Lifecycle, Release
from readygate.inventory.pointing import TARGET, point
from readygate.inventory.problems import problems_in
from readygate.inventory.source import Places
from readygate.inventory.variables import resolve
from readygate.lifecycle import provide
from readygate.redaction import REDACTOR
from readygate.results import SourceFile
from readygate.spec import Leaf, Path, Severity, Spec, dotted, leaves, misnamed


@dataclass(frozen=True, slots=True)
class Inventory:
    """One environment's inventory, complete and checked.

    `leaves` is every expectation in the order of the document; `data` holds what stands under `x-` keys;
    `variables` are those that were provided for this run, such as free ports; `pointed` are the entries that
    are elsewhere in this run than the files say, as in `sites.api=https://green.example.com`.
    """

    project: str
    environment: str
    release: Release
    lifecycle: Lifecycle | None
    leaves: tuple[Leaf, ...]
    entries: Mapping[str, Mapping[str, Spec]]
    data: Mapping[str, Any]
    places: Places
    files: tuple[SourceFile, ...]
    root: FilePath
    variables: Mapping[str, str] = field(default_factory=dict)
    pointed: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 over the files as they were read."""
        digest = hashlib.sha256()
        for file in self.files:
            digest.update(f"{file.path}\0{file.text}\0".encode())
        return digest.hexdigest()


def load(path: FilePath, environment: str | None, environ: Mapping[str, str]) -> Inventory:
    """Read, compose, resolve and check an inventory.

    Raises InventoryError with every problem found.
    """
    composed = compose(path, environment)
    variables = provide(_asked_ports(source.to_data(composed.tree)), environ)
    pointed = tuple(environ.get(TARGET, "").split())
    tree = resolve(point(composed.tree, pointed), {**environ, **variables}, REDACTOR)
    data = source.to_data(tree)
    places = source.positions(tree)

    own = {key: data.pop(key) for key in list(data) if key.startswith("x-")}
    try:
        document = Document.model_validate(data)
    except ValidationError as error:
        raise InventoryError(problems_in(error, places)) from None

    entries = {key: getattr(document, key) for key in SECTIONS}
    found = tuple(_leaves(document, entries, own, places))
    refused = forbidden(entries["load"], document.allow_load, environment or "", environ)
    problems = [*_misnamed(entries, places), *_dangling(entries, places), *_placed(refused, places)]
    if problems:
        raise InventoryError(problems)
    if not found:
        raise InventoryError([Problem(places.of(()), "", "declares nothing to verify", "add a server or a site")])
    return Inventory(
        project=document.project,
        environment=environment or "",
        release=document.release,
        lifecycle=document.lifecycle,
        leaves=found,
        entries=entries,
        data=own,
        places=places,
        files=composed.files,
        root=path.resolve().parent,
        variables=variables,
        pointed=pointed,
    )


def server_of(leaf: Leaf) -> str | None:
    """The name of the server that a leaf is observed on, if it needs one."""
    for spec in leaf.trail:
        if spec.noun == "server":
            return spec.name
        if (named := getattr(spec, "on", None)) is not None:
            return str(named)
    return None


def _asked_ports(data: Any) -> list[str]:
    lifecycle = data.get("lifecycle")
    ports = lifecycle.get("ports") if isinstance(lifecycle, dict) else None
    return [str(each) for each in ports] if isinstance(ports, list) else []


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


def _placed(mistakes: Iterable[tuple[Path, Mistake]], places: Places) -> Iterator[Problem]:
    for path, mistake in mistakes:
        yield Problem(places.of(path), dotted(path), mistake.wrong, mistake.mend)


def _dangling(entries: Mapping[str, Mapping[str, Spec]], places: Places) -> Iterator[Problem]:
    """Every `on:` that names no declared server."""
    servers = list(entries.get("servers", {}))
    known = f"servers are: {', '.join(servers)}" if servers else "add it under servers"
    for key, section in entries.items():
        for name, spec in section.items():
            wanted = getattr(spec, "on", None)
            if wanted is not None and wanted not in servers:
                where = (key, name, "on")
                yield Problem(places.of(where), dotted(where), f"no server is called '{wanted}'", known)


__all__ = ["Inventory", "Severity", "load", "server_of"]
