"""The inventory: what production must be, read from `inventory.yml` and checked down to the last key."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from readygate.inventory import source
from readygate.inventory.compose import compose
from readygate.inventory.pointing import TARGET, point
from readygate.inventory.source import Places
from readygate.inventory.variables import resolve
from readygate.lifecycle import provide
from readygate.redaction import REDACTOR
from readygate.results import SourceFile
from readygate.spec import Leaf, Severity, Spec

if TYPE_CHECKING:
    from readygate.inventory.model import Lifecycle, Release


@dataclass(frozen=True, slots=True)
class Inventory:
    """One environment's inventory, complete and checked.

    `leaves` is every expectation in the order of the document; `data` holds what stands under `x-` keys;
    `environments` are all that have an overlay; `variables` are those that were provided for this run, such as
    free ports; `pointed` are the entries that are elsewhere in this run than the files say, as in
    `sites.api=https://green.example.com`.
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
    environments: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    pointed: tuple[str, ...] = ()

    @property
    def sections(self) -> tuple[str, ...]:
        """The sections under which something is declared."""
        return tuple(section for section, entries in self.entries.items() if entries)

    @property
    def digest(self) -> str:
        """SHA-256 over the files as they were read."""
        digest = hashlib.sha256()
        for file in self.files:
            digest.update(f"{file.path}\0{file.text}\0".encode())
        return digest.hexdigest()


def load(
    path: FilePath,
    environment: str | None,
    environ: Mapping[str, str],
    *,
    meanwhile: Callable[[Mapping[str, Any]], None] | None = None,
) -> Inventory:
    """Read, compose, resolve and check an inventory.

    `meanwhile` is given what is written before that is checked, to begin with what takes its time.
    Raises InventoryError with every problem found.
    """
    with _uncollected():
        return _load(path, environment, environ, meanwhile)


def _load(
    path: FilePath,
    environment: str | None,
    environ: Mapping[str, str],
    meanwhile: Callable[[Mapping[str, Any]], None] | None,
) -> Inventory:
    composed = compose(path, environment)
    variables = provide(_asked_ports(source.to_data(composed.tree)), environ)
    pointed = tuple(environ.get(TARGET, "").split())
    tree = resolve(point(composed.tree, pointed), {**environ, **variables}, REDACTOR)
    if meanwhile:
        meanwhile(source.to_data(tree))
    # The areas take longest of all to import.
    from readygate.inventory.checking import checked

    inventory = checked(tree, composed.files, path, environment or "", environ)
    return replace(inventory, environments=composed.environments, variables=variables, pointed=pointed)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the collector of circles: a tree has none, and is walked in vain for most of the time that it takes."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


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


__all__ = ["Inventory", "Severity", "load", "server_of"]
