"""The areas: what may be declared in each, and how the truth is observed.

An area is a folder of plain modules. The one that satisfies `Area` says what may be declared; to add an area,
write it and name it in `AREAS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from readygate.areas import dns
from readygate.areas.backups import backup
from readygate.areas.containers import containers
from readygate.areas.databases import database
from readygate.areas.kubernetes import namespace
from readygate.areas.load import plan
from readygate.areas.monitoring import monitoring
from readygate.areas.repository import repository
from readygate.areas.servers import server
from readygate.areas.sites import exposure, http, site
from readygate.areas.tls import ciphers, tls
from readygate.spec import Spec


class Area(Protocol):
    """What the engine asks of an area's module.

    `SECTIONS` maps a top-level key of the inventory to the kind of each entry under it. `FACTS` maps the name
    of a fixture to the function that observes it; the function's parameters are filled by name: a declaration
    by its noun, `host` by the Testinfra host of the server, `hosts` by what opens another server by its name,
    `expected`, `key`, or another fact. An area may also name in `AHEAD` those of its facts that are observed before
    any test runs, several targets at a time: they need no host, and only look.
    """

    SECTIONS: Mapping[str, type[Spec]]
    FACTS: Mapping[str, Callable[..., Any]]


AREAS: tuple[Area, ...] = (
    server,
    site,
    exposure,
    tls,
    ciphers,
    http,
    dns,
    backup,
    plan,
    containers,
    namespace,
    database,
    monitoring,
    repository,
)

SECTIONS: dict[str, type[Spec]] = {key: spec for area in AREAS for key, spec in area.SECTIONS.items()}
FACTS: dict[str, Callable[..., Any]] = {name: fact for area in AREAS for name, fact in area.FACTS.items()}
AHEAD: frozenset[str] = frozenset().union(*(getattr(area, "AHEAD", ()) for area in AREAS))
