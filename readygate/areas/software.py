"""Packages that are installed on a server, and services that systemd keeps there."""

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
from readygate.results import Evidence
from readygate.spec import Spec

# Of the states that `systemctl is-enabled` calls enabled, those in which a unit comes up at boot by itself:
# a static or indirect one waits for another. Generators write "enabled-runtime" anew at each boot.
_AT_BOOT = {"enabled", "enabled-runtime", "alias", "generated"}


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


class Service(Spec):
    """A unit of systemd, such as nginx or certbot.timer."""

    area: ClassVar[str] = "service"
    noun: ClassVar[str] = "service"

    running: Flag | None = Field(None, description="Whether systemd says that it is active.")
    enabled: Flag | None = Field(None, description="Whether it comes up by itself when the server boots.")


@dataclass(frozen=True, slots=True)
class ActualPackage:
    """What the package manager knows of one package."""

    installed: bool
    version: str | None = None


@dataclass(frozen=True, slots=True)
class ActualService:
    """What systemd says of one unit; a unit that it doesn't know is neither running nor enabled."""

    running: bool
    enabled: bool
    evidence: tuple[Evidence, ...] = ()


def observe_package(host: Any, server: Spec, package: Spec) -> ActualPackage:
    """What apk, dpkg or rpm knows, whichever the server has."""
    name = quote(package.name)
    # Each exits with 1 where it doesn't know the package, and prints "installed" only where it is. Alpine's
    # busybox has an rpm without a database, so Alpine's own is looked for first.
    script = f"""
for database in /lib/apk/db/installed /usr/lib/apk/db/installed; do
    [ -e $database ] || continue
    entry=$(grep -Fx -A1 P:{name} $database) || [ $? = 1 ] || exit 1
    printf '%s\\n' "$entry" | sed -n 's/^V:/installed /p'
    exit 0
done
if command -v dpkg-query >/dev/null; then
    dpkg-query -W -f '${{db:Status-Status}} ${{Version}}\\n' -- {name} 2>/dev/null || [ $? = 1 ]
elif command -v rpm >/dev/null; then
    rpm -q --qf 'installed %{{VERSION}}-%{{RELEASE}}\\n' -- {name} || [ $? = 1 ]
else
    echo 'it has neither apk nor dpkg-query nor rpm' >&2; exit 1
fi"""
    return parse_package(ask(host, server.name, script).text)


def parse_package(text: str) -> ActualPackage:
    """Read lines such as `installed 1.22.1-9`; a package whose settings only were kept is not installed."""
    for line in text.splitlines():
        state, _, version = line.partition(" ")
        if state == "installed" and version:
            return ActualPackage(installed=True, version=version)
    return ActualPackage(installed=False)


def observe_service(host: Any, server: Spec, service: Spec) -> ActualService:
    """What `systemctl show` says. CouldNotLook: the server isn't run by systemd."""
    command = f"systemctl show --property=LoadState,ActiveState,UnitFileState -- {quote(service.name)}"
    text = ask(host, server.name, command).text
    return parse_service(text, Evidence(command, text.strip()))


def parse_service(text: str, *evidence: Evidence) -> ActualService:
    """Read the properties that `systemctl show` prints one a line."""
    known = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return ActualService(
        running=known["ActiveState"] in ("active", "reloading"),
        enabled=known["LoadState"] == "loaded" and known["UnitFileState"] in _AT_BOOT,
        evidence=evidence,
    )


FACTS: dict[str, Callable[..., Any]] = {"actual_package": observe_package, "actual_service": observe_service}
