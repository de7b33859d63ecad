"""The pytest plugin's door: options, and the gate itself where there is an inventory to judge against."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

INVENTORY = "inventory.yml"
_OURS = re.compile(rb"^(project|include)\s*:", re.MULTILINE)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("readygate", "readiness gate")
    for option, explanation in {
        "--inventory": f"The inventory to judge against (default: {INVENTORY} in the root directory).",
        "--env": "The environment whose overlay is merged over the inventory.",
        "--profile": "The report profile in reports/ whose question is asked (default: release).",
        "--shard": "Look only at this part of the inventory, as in 3/8; `readygate merge` brings the parts together.",
        "--results": "The folder that results.json is written to (default: readygate-out).",
    }.items():
        try:
            group.addoption(option, metavar=option[2:].upper(), help=explanation)
        except ValueError:  # another plugin was first; ours is still there as --readygate-...
            group.addoption(
                f"--readygate-{option[2:]}", dest=option[2:], metavar=option[2:].upper(), help=explanation
            )
    group.addoption(
        "--desk",
        action="store_true",
        help="Exit as plain pytest does: for work at a desk, where a part of the suites is run on purpose.",
    )
    group.addoption(
        "--no-ahead",
        action="store_false",
        dest="ahead",
        help="Ask hosts only when a test asks them, not all that the tests will ask at once beforehand.",
    )


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "check(id, severity='major', each=None): this test verifies the check `id` on every target that "
        "declares it; `each` is a pattern of paths under an x- key of the inventory.",
    )
    config.addinivalue_line("markers", "live: never run ahead of its turn, as it waits, changes or counts.")
    inventory = _inventory_of(config)
    if inventory is not None:
        from readygate.session import session_of

        session = session_of(config, inventory)
        from readygate.gate import engage

        engage(config, session)


def _inventory_of(config: pytest.Config) -> Path | None:
    """The inventory this session is about; None leaves pytest as it is without Readygate.

    Other tools call their files inventory.yml too, so one that was not named on the command line has to look
    like ours; and a session that was asked for other tests only, such as unit tests, is not a gate.
    """
    named = config.getoption("inventory", None)
    if named:
        return Path(named)
    file = config.rootpath / INVENTORY
    if not file.is_file() or not _OURS.search(file.read_bytes()[:65536]):
        return None
    suites = config.rootpath / "suites"
    asked = [Path(config.invocation_params.dir, str(each).split("::")[0]).resolve() for each in config.args]
    return file if any(_overlap(each, suites.resolve()) for each in asked) else None


def _overlap(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)
