"""A host of rpm's packages, and dnf's updates of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import testinfra

from readygate.errors import CouldNotLook
from tests.lab.host import Lab, Target
from tests.lab.image import rpm_image
from tests.server_checks import held_on

CURRENT = {"security": 0, "pending": 0, "lists_age": "1d"}


@pytest.fixture
def bare(lab: Lab) -> Iterator[Target]:
    with replace(lab, image=rpm_image()).bare_host() as bare:
        bare.run("dnf --quiet makecache")
        yield bare


def on(bare: Target) -> Any:
    return testinfra.get_host(f"docker://{bare.container}")


def test_packages_of_rpm_are_known_by_name_and_version(bare: Target) -> None:
    sound = {"lamp": {"installed": True, "version": "1.0-1"}, "telnet": {"installed": False}}
    assert all(held_on(on(bare), packages=sound).values())
    bare.run("rpm --erase lamp")
    assert not any(held_on(on(bare), packages={"lamp": sound["lamp"]}).values())


def test_updates_of_dnf_wait_until_they_are_installed(bare: Target) -> None:
    assert held_on(on(bare), updates=CURRENT) == {
        "updates.security": False,
        "updates.pending": False,
        "updates.lists_age": True,
    }
    bare.run("dnf --quiet --assumeyes upgrade")
    assert all(held_on(on(bare), updates=CURRENT).values())


def test_updates_without_advisories_are_of_unknown_use(bare: Target) -> None:
    bare.run("rm -r /srv/repository/repodata && createrepo_c --quiet /srv/repository")
    bare.run("dnf --quiet clean all && dnf --quiet makecache")
    assert not held_on(on(bare), updates={"pending": 0})["updates.pending"]
    with pytest.raises(CouldNotLook, match="which updates are for security"):
        held_on(on(bare), updates={"security": 0})


def test_a_server_that_never_asked_does_not_know_of_updates(bare: Target) -> None:
    bare.run("dnf --quiet clean all")
    with pytest.raises(CouldNotLook, match="run dnf makecache"):
        held_on(on(bare), updates=CURRENT)


def test_a_setuid_program_that_no_package_of_rpm_owns_is_found(bare: Target) -> None:
    known = {"setuid_unpackaged": 0}
    assert held_on(on(bare), permissions=known)["permissions.setuid_unpackaged"]
    bare.run("cp /bin/sh /usr/local/bin/hole; chmod 4755 /usr/local/bin/hole")
    assert not held_on(on(bare), permissions=known)["permissions.setuid_unpackaged"]
