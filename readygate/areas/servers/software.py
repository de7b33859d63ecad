"""Packages that are installed on a server."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from shlex import quote
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from readygate.areas.asking import ask
from readygate.errors import Mistake
from readygate.expectation import Flag, Version
from readygate.spec import Spec


def one_name(name: str) -> str:
    """The name, if it is that of one package or service; a pattern could mean many, or none."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9@:+._\\-]*", name):
        raise Mistake(f"'{name}' is not the name of one package or service", "write e.g. nginx")
    return name


OneName = Annotated[str, AfterValidator(one_name)]


class Package(Spec):
    """A package of the server's distribution."""

    area: ClassVar[str] = "package"
    noun: ClassVar[str] = "package"

    installed: Flag | None = Field(None, description="Whether it is installed, with its files and all.")
    version: Version | None = Field(None, description='The version of the software, e.g. ">=1.22".')


@dataclass(frozen=True, slots=True)
class ActualPackage:
    """What the package manager knows of one package."""

    installed: bool
    version: str | None = None


def observe_package(host: Any, server: Spec, package: Spec) -> ActualPackage:
    """What apk, dpkg or rpm knows, whichever the server has."""
    name = quote(package.name)
    # Each exits with 1 where it doesn't know the package, and prints "installed" only where it is. One that
    # knows of no package at all, as busybox's rpm or the dpkg of Fedora, is not what the server is made of.
    script = f"""
for database in /lib/apk/db/installed /usr/lib/apk/db/installed; do
    [ -e $database ] || continue
    entry=$(grep -Fx -A1 P:{name} $database) || [ $? = 1 ] || exit 1
    printf '%s\\n' "$entry" | sed -n 's/^V:/installed /p'
    exit 0
done
if [ -s /var/lib/dpkg/status ] && command -v dpkg-query >/dev/null; then
    dpkg-query -W -f '${{db:Status-Status}} ${{Version}}\\n' -- {name} 2>/dev/null || [ $? = 1 ]
elif command -v rpm >/dev/null && [ -n "$(rpm -qa 2>/dev/null | head -n 1)" ]; then
    said=$(rpm -q --qf 'installed %{{VERSION}}-%{{RELEASE}}\\n' -- {name} 2>&1) ||
        case $said in *"is not installed"*) ;; *) printf '%s\\n' "$said" >&2; exit 1 ;; esac
    printf '%s\\n' "$said"
else
    echo 'it has no packages of apk, dpkg or rpm' >&2; exit 1
fi"""
    return parse_package(ask(host, server.name, script).text)


def parse_package(text: str) -> ActualPackage:
    """Read lines such as `installed 1.22.1-9`; a package whose settings only were kept is not installed."""
    for line in text.splitlines():
        state, _, version = line.partition(" ")
        if state == "installed" and version:
            return ActualPackage(installed=True, version=version)
    return ActualPackage(installed=False)


FACTS: dict[str, Callable[..., Any]] = {"actual_package": observe_package}
