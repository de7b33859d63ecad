"""Users of a server, as its name service knows them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from shlex import quote
from typing import Any, ClassVar

from pydantic import Field

from readygate.areas.asking import ask
from readygate.expectation import Count, Flag, Text, TextSet
from readygate.spec import Spec


class User(Spec):
    """An account on a server."""

    area: ClassVar[str] = "user"
    noun: ClassVar[str] = "user"

    exists: Flag | None = Field(None, description="Whether the server knows the account.")
    uid: Count | None = Field(None, description="Its number.")
    gid: Count | None = Field(None, description="The number of its primary group.")
    groups: TextSet | None = Field(None, description="Names of all its groups, the primary one too.")
    home: Text | None = Field(None, description="Its home directory.")
    shell: Text | None = Field(None, description="What it is given at login.")


@dataclass(frozen=True, slots=True)
class ActualUser:
    """An account as it is; only `exists` is known of one that isn't there."""

    exists: bool
    uid: int | None = None
    gid: int | None = None
    groups: tuple[str, ...] | None = None
    home: str | None = None
    shell: str | None = None


def observe_user(host: Any, server: Spec, user: Spec) -> ActualUser:
    """What getent (or /etc/passwd where there is none) and id say."""
    name = quote(user.name)
    script = f"""
if command -v getent >/dev/null; then
    entry=$(getent passwd {name}) || [ $? = 2 ] || exit 1
else
    entry=$(grep -- {quote("^" + user.name + ":")} /etc/passwd) || [ $? = 1 ] || exit 1
fi
[ -n "$entry" ] || exit 0
printf '%s\\n' "$entry"
id -Gn -- {name}"""
    return parse_user(user.name, ask(host, server.name, script).text)


def parse_user(name: str, text: str) -> ActualUser:
    """Read a line of passwd, and one of the names of the groups."""
    entry, _, names = text.partition("\n")
    fields = entry.split(":")
    # Asked for `0`, getent answers with root.
    if len(fields) < 7 or fields[0] != name:
        return ActualUser(exists=False)
    return ActualUser(
        exists=True,
        uid=int(fields[2]),
        gid=int(fields[3]),
        groups=tuple(sorted(set(names.split()))),
        home=fields[5],
        shell=fields[6],
    )


FACTS: dict[str, Callable[..., Any]] = {"actual_user": observe_user}
