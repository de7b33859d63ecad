"""What a pytest session judges, and on what grounds; servers are connected to while the rest is imported."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from readygate.errors import UsageError
from readygate.hosts import connect_early
from readygate.inventory import Inventory, load
from readygate.redaction import REDACTOR

if TYPE_CHECKING:
    from readygate.binding import Check
    from readygate.grounds import Grounds
    from readygate.merging import Shard
    from readygate.results import Run
    from readygate.verdict import Verdict


@dataclass(slots=True, eq=False)
class Session:
    """What a caller that has loaded everything hands to pytest.main, and where it finds the answer afterwards."""

    inventory: Inventory
    grounds: Grounds
    out: Path
    asks_for_all: bool = True
    shard: Shard | None = None
    bound: dict[str, list[Check]] = field(default_factory=dict)  # by the path of the leaf
    run: Run | None = None
    verdict: Verdict | None = None


def session_of(config: pytest.Config, path: Path) -> Session:
    """The session that was handed over, or one by pytest's own options.

    Raises pytest.UsageError where the inventory can't be used.
    """
    plugins = config.pluginmanager.get_plugins()
    return next((each for each in plugins if isinstance(each, Session)), None) or _opened(config, path)


def _opened(config: pytest.Config, path: Path) -> Session:
    try:
        inventory = load(path, config.getoption("env"), os.environ, meanwhile=_meanwhile(config))
        from readygate.grounds import Grounds
        from readygate.merging import Shard
        from readygate.policy import Policy

        profile = Policy(inventory.root).profile(config.getoption("profile") or "release")
        grounds = Grounds.of(inventory.root, profile, datetime.now(UTC))
        shard = Shard.parse(config.getoption("shard")) if config.getoption("shard") else None
    except UsageError as error:
        raise pytest.UsageError(REDACTOR.redact(str(error))) from None
    out = config.getoption("results") or inventory.root / "readygate-out"
    return Session(inventory, grounds, Path(out), asks_for_all=False, shard=shard)


def _meanwhile(config: pytest.Config) -> Callable[[Mapping[str, Any]], None] | None:
    """Where it is this process that will ask, and ask ahead."""
    asks = config.getoption("ahead") and not config.option.collectonly and not hasattr(config, "workerinput")
    return connect_early if asks and not config.getoption("numprocesses", None) else None
