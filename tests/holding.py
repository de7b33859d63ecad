"""Whether what is declared holds, by the shipped suites and the areas' facts, with no gate around them."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import testinfra

from readygate.areas import FACTS, SECTIONS
from readygate.facts import Facts
from readygate.spec import leaves

SUITES = Path(__file__).parent.parent / "suites"
LOCAL = testinfra.get_host("local://")


def suite_functions(area: str) -> Iterator[tuple[str, Callable[..., None]]]:
    """The tests of suites/test_<area>.py, by the id of their check."""
    path = SUITES / f"test_{area}.py"
    spec = importlib.util.spec_from_file_location(f"suite_{area}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for function in vars(module).values():
        for mark in getattr(function, "pytestmark", ()):
            if mark.name == "check":
                yield mark.args[0], function


def held(
    section: str, declared: dict[str, Any], host: Any = LOCAL, *, others: Mapping[str, Any] | None = None
) -> dict[str, bool]:
    """By check, whether all leaves of one entry hold that it verifies; raises what the facts raise.

    `others` are hosts by the name of their server.
    """
    functions = dict(suite_functions(section))
    facts = Facts(FACTS, lambda leaf, *name: (others or {}).get(name[0], host) if name else host)
    outcomes: dict[str, bool] = {}
    for leaf in leaves(SECTIONS[section].model_validate(declared), "here", (section, "here")):
        function = functions[leaf.check]
        try:
            function(**{name: facts.get(name, leaf) for name in inspect.signature(function).parameters})
            holds = True
        except AssertionError:
            holds = False
        outcomes[leaf.check] = outcomes.get(leaf.check, True) and holds
    return outcomes
