"""Checkouts of git on a server: whether what lies there is the release, and nothing but the release."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from shlex import quote
from typing import Any, ClassVar

from pydantic import Field

from readygate.areas.asking import ask
from readygate.areas.servers.files import LOOK
from readygate.errors import CouldNotLook
from readygate.expectation import Flag, Text
from readygate.spec import Spec


class Checkout(Spec):
    """A working tree of git, by its absolute path."""

    area: ClassVar[str] = "checkout"
    noun: ClassVar[str] = "checkout"

    head: Text | None = Field(None, description="The commit that is checked out, all 40 digits of it.")
    branch: Text | None = Field(None, description="The branch that is checked out.")
    clean: Flag | None = Field(None, description="Whether no file differs from the commit, and none is added.")


@dataclass(frozen=True, slots=True)
class ActualCheckout:
    """A checkout as it is; None is what there is not, as the branch where a commit was checked out."""

    head: str | None = None
    branch: str | None = None
    changed: tuple[str, ...] | None = None

    @property
    def clean(self) -> bool | None:
        return None if self.changed is None else not self.changed

    @property
    def told(self) -> str:
        return f"changed are {', '.join(self.changed[:5])}" if self.changed else ""


def observe_checkout(host: Any, server: Spec, checkout: Spec) -> ActualCheckout:
    """What git says, asked as the owner of the tree: a tree may name programs that git then runs.

    CouldNotLook: there is no git on the server.
    """
    path = quote(checkout.name)
    # Without the lock, git only looks; otherwise `status` would write what it learnt into the index.
    script = f"""{LOOK}
[ -n "$(look -c %f -- {path}/.git)" ] || exit 0
git() {{ command git --no-optional-locks -c core.fsmonitor=false -C {path} "$@"; }}
if [ "$(id -u)" = 0 ] && [ "$(stat -c %u {path})" != 0 ]; then
    owner=$(stat -c %U {path})
    git() {{ runuser -u "$owner" -- git --no-optional-locks -c core.fsmonitor=false -C {path} "$@"; }}
fi
command -v git >/dev/null && command git --version >/dev/null || exit 127
head=$(git rev-parse HEAD) || exit 1
echo "head $head"
echo "branch $(git symbolic-ref --quiet --short HEAD)"
# What its own settings would hide is asked for by name, and so are files that git was told to take for unchanged.
status=$(git status --porcelain --untracked-files=normal --ignore-submodules=none) || exit 1
files=$(git ls-files -v) || exit 1
printf '%s\\n' "$status" | sed '/./s/^/changed /'
printf '%s\\n' "$files" | sed -n 's/^[a-z] /changed ?? /p'"""
    return parse_checkout(ask(host, server.name, script, within=120).text)


def parse_checkout(text: str) -> ActualCheckout:
    """Read lines such as `head 1f0c...`, `branch main` and `changed  M app.py`."""
    if not text.strip():
        return ActualCheckout()
    head = re.search(r"^head ([0-9a-f]{40,64})$", text, re.MULTILINE)
    if not head:
        raise CouldNotLook("git told no commit; is the checkout still empty?")
    branch = re.search(r"^branch (\S+)$", text, re.MULTILINE)
    changed = re.findall(r"^changed ...(.+)$", text, re.MULTILINE)
    return ActualCheckout(head[1], branch[1] if branch else None, tuple(changed))


FACTS: dict[str, Callable[..., Any]] = {"actual_checkout": observe_checkout}
