"""The lab's fixtures: a test that asks for one skips, with the reason, where the lab can't run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NoReturn

import pytest

from tests.lab.docker import LabError
from tests.lab.gate import open_lab
from tests.lab.host import Lab, Target


def unable(reason: str) -> NoReturn:
    """Skip what can't be tried here, or fail it where it has to be."""
    if os.environ.get("LAB_REQUIRED") == "1":
        pytest.fail(f"LAB_REQUIRED=1, and {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def _open_lab() -> Iterator[tuple[Lab, Target]]:
    with ExitStack() as closing:
        try:
            opened = closing.enter_context(open_lab())
        except LabError as error:
            reason = f"the lab can't run here: {error}"
        else:
            yield opened
            return
    unable(reason)


@pytest.fixture(scope="session")
def lab(_open_lab: tuple[Lab, Target]) -> Lab:
    """Boots hosts: `with lab.boot("db-1") as host`."""
    return _open_lab[0]


@pytest.fixture(scope="session")
def sound_host(_open_lab: tuple[Lab, Target]) -> Target:
    """One host for the whole session, where everything is as it should be; look, and change nothing."""
    return _open_lab[1]


@pytest.fixture
def fresh_host(lab: Lab) -> Iterator[Target]:
    """A sound host of the test's own, to break."""
    with lab.boot("fresh") as host:
        yield host
