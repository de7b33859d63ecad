"""The areas: what may be declared in each, and how the truth is observed.

An area is one plain module that satisfies `Area`; to add one, write it and name it in `AREAS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from readygate.spec import Spec

from . import (
    backups,
    containers,
    databases,
    dns,
    exposure,
    http,
    kubernetes,
    load,
    monitoring,
    servers,
    sites,
    tls,
    tls_ciphers,
)


class Area(Protocol):
    """What the engine asks of an area's module.

    `SECTIONS` maps a top-level key of the inventory to the kind of each entry under it. `FACTS` maps the name
    of a fixture to the function that observes it; the function's parameters are filled by name: a declaration
    by its noun, `host` by the Testinfra host of the server, `hosts` by what opens another server by its name,
    `expected`, `key`, or another fact.
    """

    SECTIONS: Mapping[str, type[Spec]]
    FACTS: Mapping[str, Callable[..., Any]]


AREAS: tuple[Area, ...] = (
    servers,
    sites,
    exposure,
    tls,
    tls_ciphers,
    http,
    dns,
    backups,
    load,
    containers,
    kubernetes,
    databases,
    monitoring,
)

SECTIONS: dict[str, type[Spec]] = {key: spec for area in AREAS for key, spec in area.SECTIONS.items()}
FACTS: dict[str, Callable[..., Any]] = {name: fact for area in AREAS for name, fact in area.FACTS.items()}
