"""Facts about the targets: each is observed once in a run, and whoever asks gets the same answer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from threading import RLock
from typing import Any, TypeAlias

from readygate.fleet import EVIDENCE
from readygate.spec import Leaf

Observers: TypeAlias = Mapping[str, Callable[..., Any]]


@dataclass(frozen=True, slots=True)
class _Observation:
    """What an observer returned or raised, and the commands that it asked.

    `asked` keeps the arguments alive, as their ids are the key.
    """

    fact: Any
    error: Exception | None
    asked: tuple[Any, ...]
    commands: tuple[tuple[str, int, str, str], ...]


class Facts:
    """Remembers what was observed; several threads may ask, and one of them observes.

    `observers` maps the name of a fact to the function that observes it; its parameters are filled by name, as
    `readygate.areas.Area` says. `host_of` opens the Testinfra host of a leaf; given a name besides, that of the
    server of this name.
    """

    def __init__(self, observers: Observers, host_of: Callable[..., Any]) -> None:
        self.observers = observers
        self._host_of = host_of
        self._hosts = partial(host_of, None)
        self._seen: dict[tuple[Any, ...], _Observation] = {}
        self._turns: dict[tuple[Any, ...], RLock] = {}

    def get(self, name: str, leaf: Leaf) -> Any:
        """What a parameter of this name means for this leaf; raises what the observer raised."""
        for spec in leaf.trail:
            if spec.noun == name:
                return spec
        match name:
            case "expected":
                return leaf.expected
            case "key":
                return leaf.key
            case "entry":
                return leaf.trail[0]
            case "host":
                return self._host_of(leaf)
            case "hosts":
                return self._hosts
        return self._observe(name, leaf)

    def _observe(self, name: str, leaf: Leaf) -> Any:
        observer = self.observers[name]
        asked = tuple(self.get(parameter, leaf) for parameter in inspect.signature(observer).parameters)
        key = (name, *(id(each) for each in asked))
        # One that the same thread could enter twice, as greenlets of the fleet take turns in one thread.
        with self._turns.setdefault(key, RLock()):
            if key not in self._seen:
                self._seen[key] = _look(observer, asked)
        seen = self._seen[key]
        if hear := EVIDENCE.get():
            for command in seen.commands:
                hear(*command)
        if seen.error is not None:
            raise seen.error
        return seen.fact


def _look(observer: Callable[..., Any], asked: tuple[Any, ...]) -> _Observation:
    commands: list[tuple[str, int, str, str]] = []
    hearing = EVIDENCE.set(lambda *command: commands.append(command))
    try:
        return _Observation(observer(*asked), None, asked, tuple(commands))
    except Exception as error:  # noqa: BLE001 - whatever it was, every check that asks has to hear it
        return _Observation(None, error, asked, tuple(commands))
    finally:
        EVIDENCE.reset(hearing)
