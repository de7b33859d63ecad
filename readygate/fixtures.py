"""The fixtures of a gate: one a noun and a fact, so that suites name what they need and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from readygate.areas import SECTIONS
from readygate.errors import UsageError
from readygate.facts import Facts
from readygate.hosts import Hosts
from readygate.inventory import Inventory
from readygate.recording import Recording
from readygate.spec import Leaf, nouns


def fixtures_of(inventory: Inventory, facts: Facts, hosts: Hosts) -> object:
    """A plugin with one fixture a noun and a fact, so that suites name what they need and nothing else."""
    fixtures: dict[str, Any] = {}

    def provide(name: str) -> None:
        def fixture(self: object, request: pytest.FixtureRequest, _leaf: Leaf | None) -> Any:
            if _leaf is None:
                raise UsageError(f"'{name}' is only known to a test with a check mark")
            fact = facts.get(name, _leaf)
            request.node.stash[Recording.KEY].used(fact)
            return fact

        fixtures[name] = pytest.fixture(name=name)(fixture)

    declared = {noun for section in inventory.sections for noun in nouns(SECTIONS[section])}
    for name in {*facts.observers, "expected", "key", *declared}:
        provide(name)

    class Fixtures:
        @pytest.fixture
        def _leaf(self, request: pytest.FixtureRequest) -> Leaf | None:
            return getattr(request, "param", None)

        @pytest.fixture(scope="module")
        def _readygate_host(self, request: pytest.FixtureRequest) -> Any:
            return hosts.open(request.param)

        @pytest.fixture(scope="module")
        def host(self, _readygate_host: Any) -> Any:
            """The Testinfra host of the server that the test is about."""
            return _readygate_host

        @pytest.fixture(scope="session")
        def inventory(self) -> Inventory:
            """The whole inventory, for suites of the user's own."""
            return inventory

    return type("Fixtures", (Fixtures,), fixtures)()
