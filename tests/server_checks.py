"""Whether what is declared of a server holds, by all the shipped suites of servers, with no gate around them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from readygate.areas.servers.server import FACTS, Server
from readygate.facts import Facts
from readygate.spec import Leaf, leaves
from tests.holding import LOCAL, SUITES, suite_functions

FUNCTIONS = {
    check: function
    for path in sorted(SUITES.glob("test_server*.py"))
    for check, function in suite_functions(path.stem.removeprefix("test_"))
}


def held_on(host: Any, **declared: Any) -> dict[str, bool]:
    """By check, whether all leaves hold that it verifies; raises what the facts raise."""
    return {check: not why for check, why in reasons_on(host, **declared).items()}


def reasons_on(host: Any, **declared: Any) -> dict[str, str]:
    """By check, why it doesn't hold; an empty text where it does."""
    outcomes: dict[str, str] = {}
    for leaf, why in judged_on(host, **declared):
        outcomes[leaf.check] = outcomes.get(leaf.check, "") + why
    return outcomes


def judged_on(host: Any, **declared: Any) -> Iterator[tuple[Leaf, str]]:
    """Every leaf, and why it doesn't hold."""
    facts = Facts(FACTS, lambda leaf: host)
    server = Server.model_validate({"connect": "local://", **declared})
    for leaf in leaves(server, "here", ("servers", "here")):
        function = FUNCTIONS[leaf.check]
        try:
            function(**{name: facts.get(name, leaf) for name in inspect.signature(function).parameters})
            yield leaf, ""
        except AssertionError as error:
            yield leaf, str(error) or f"{leaf.target} is not {leaf.expected}"


def here(**declared: Any) -> dict[str, bool]:
    """What holds of this machine."""
    return held_on(LOCAL, **declared)
