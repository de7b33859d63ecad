"""The areas: what may be declared in each, and how the truth is observed.

An area is a folder of plain modules. Those that satisfy `Area` say what may be declared and how it is observed; to
add one, write it and name it in `AREAS`. Only what is asked for is imported, since all of it takes half a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any, Protocol, cast

from readygate.spec import Spec


class Area(Protocol):
    """What the engine asks of an area's module.

    `SECTIONS` maps a top-level key of the inventory to the kind of each entry under it. `FACTS` maps the name
    of a fixture to the function that observes it; the function's parameters are filled by name: a declaration
    by its noun, `entry` by the outermost of them, `host` by the Testinfra host of the server, `hosts` by what opens
    another server by its name, `expected`, `key`, or another fact. An area may also name in `AHEAD` those of its
    facts that are observed before any test runs, several targets at a time: they need no host, and only look.
    """

    SECTIONS: Mapping[str, type[Spec]]
    FACTS: Mapping[str, Callable[..., Any]]


_SITES = ("sites.site", "sites.exposure", "tls.tls", "tls.ciphers", "tls.stapling", "sites.http")
_BACKUPS = ("backups.backup",)

# By section of the inventory, the modules that know all that may stand in it.
AREAS: Mapping[str, tuple[str, ...]] = {
    "servers": ("servers.server", "containers.containers"),
    "sites": _SITES,
    "tls_ports": _SITES,
    "dns": ("dns",),
    "backups": _BACKUPS,
    "backup_repositories": _BACKUPS,
    "load": ("load.plan",),
    "kubernetes": ("kubernetes.namespace",),
    "databases": ("databases.database",),
    "monitoring": ("monitoring.monitoring",),
    "repositories": ("repository.repository",),
}


class _Sections(Mapping[str, type[Spec]]):
    """The kind of each entry under a section; its area is imported when it is asked for."""

    def __getitem__(self, section: str) -> type[Spec]:
        return next(area.SECTIONS[section] for area in _areas([section]) if section in area.SECTIONS)

    def __contains__(self, section: object) -> bool:
        return section in AREAS

    def __iter__(self) -> Iterator[str]:
        return iter(AREAS)

    def __len__(self) -> int:
        return len(AREAS)


SECTIONS: Mapping[str, type[Spec]] = _Sections()


def facts_of(sections: Iterable[str] = SECTIONS) -> Mapping[str, Callable[..., Any]]:
    """What observes the facts about all that may stand in these sections, by the facts' names."""
    return {name: fact for area in _areas(sections) for name, fact in area.FACTS.items()}


class _Facts(Mapping[str, Callable[..., Any]]):
    """What observes any fact at all; every area is imported when the first is asked for."""

    def __getitem__(self, name: str) -> Callable[..., Any]:
        return facts_of()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(facts_of())

    def __len__(self) -> int:
        return len(facts_of())


FACTS: Mapping[str, Callable[..., Any]] = _Facts()


def ahead_of(sections: Iterable[str] = SECTIONS) -> frozenset[str]:
    """The facts among these that are observed before any test runs."""
    return frozenset().union(*(getattr(area, "AHEAD", ()) for area in _areas(sections)))


def _areas(sections: Iterable[str]) -> Iterator[Area]:
    for module in dict.fromkeys(module for section in sections for module in AREAS[section]):
        yield cast(Area, import_module(f"{__name__}.{module}"))
