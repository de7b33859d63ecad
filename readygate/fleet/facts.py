"""Fewer questions for the same answers: what Testinfra asks one attribute at a time is asked once.

This works on the text of commands, below Testinfra: its `stat -Lc %U PATH` is sent as one `stat` of all
attributes, and the answer that `stat -Lc %U PATH` would have given is cut out of that. So modules, results
and failures are Testinfra's own. What isn't known here is asked as it stands, and so is a question whose
answer isn't plain.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from readygate.fleet.question import Answer

# What nearly every suite asks first, each after the answer to the one before: sent along with the greeting.
FIRST_QUESTIONS = (
    "uname -s",
    "cat /etc/os-release",
    "uname -m",
    "command -v command",
    "test -d /run/systemd/system/",
    "command -v ss",
)


@dataclass(frozen=True, slots=True)
class Fact:
    """A wider command, and how to cut the answer of the narrow one from its answer (None: it can't be)."""

    command: str
    narrow: Callable[[Answer], Answer | None]


@lru_cache(maxsize=8192)  # each is asked ahead and then in earnest, and many of every server
def widen(command: str) -> Fact | None:
    """The fact that holds the answer to `command`, if there is one."""
    for pattern, fact in _FACTS:
        if match := pattern.fullmatch(command):
            return fact(*match.groups())
    return None


_WORD = r"""((?!-)[\w@%+=:,./-]+|'(?:[^']|'"'"')*')"""  # as shlex.quote writes it; an option is none
_STAT_FIELDS = "UuGgaYsi"  # of stat(1); no user or group name contains the colon that stands between
_STAT = f"stat -Lc {':'.join(f'%{each}' for each in _STAT_FIELDS)}"
_ID_FLAGS = {"u", "g", "ng", "G", "nG"}
_ID = re.compile(rb"uid=(\d+)\(.*?\) gid=(\d+)\(([^()]+)\) groups=(.+)\n")
_PACKAGE = re.compile(rb"^(\S+) (\w+ \w+ [\w-]+) (\S*)$", re.MULTILINE)
_ID_GROUP = re.compile(rb"(\d+)\(([^()\s,]+)\)")


def _stat(field: str, path: str) -> Fact:
    index = _STAT_FIELDS.index(field)

    def narrow(answer: Answer) -> Answer | None:
        if answer.rc:
            return answer
        values = answer.stdout.removesuffix(b"\n").split(b":")
        if len(values) != len(_STAT_FIELDS):
            return None
        return replace(answer, stdout=values[index] + b"\n")

    return Fact(f"{_STAT} {path}", narrow)


def _exists(path: str) -> Fact:
    def narrow(answer: Answer) -> Answer | None:
        # Also where there is no such stat(1): then it says nothing of the file.
        return None if answer.rc else replace(answer, stdout=b"", stderr=b"")

    return Fact(f"{_STAT} {path}", narrow)


def _package(wanted: str, name: str) -> Fact:
    def narrow(answer: Answer) -> Answer | None:
        found = None if answer.rc else _packages(answer.stdout).get(name.encode())
        if found is None:  # not there, or for several architectures: dpkg-query says it best itself
            return None
        status, version = found
        return replace(answer, stdout=status + b" " + version if "Version" in wanted else status)

    return Fact("dpkg-query -f '${Package} ${Status} ${Version}\\n' -W", narrow)


@lru_cache(maxsize=256)
def _packages(listing: bytes) -> Mapping[bytes, tuple[bytes, bytes]]:
    """Status and version of each package that is listed just once."""
    found: dict[bytes, tuple[bytes, bytes] | None] = {}
    for name, status, version in _PACKAGE.findall(listing):
        found[name] = None if name in found else (status, version)
    return {name: each for name, each in found.items() if each}


def _identity(flag: str | None, user: str) -> Fact:
    def narrow(answer: Answer) -> Answer | None:
        if answer.rc or flag is None:
            return answer
        if not (match := _ID.fullmatch(answer.stdout)):
            return None
        uid, gid, group, listed = match.groups()
        groups = _ID_GROUP.findall(listed)
        if b",".join(b"%s(%s)" % each for each in groups) != listed:
            return None
        values = {
            "u": uid,
            "g": gid,
            "ng": group,
            "G": b" ".join(number for number, _ in groups),
            "nG": b" ".join(name for _, name in groups),
        }
        return replace(answer, stdout=values[flag] + b"\n")

    return Fact(f"id {user}", narrow)


def _group(name: str, field: str) -> Fact:
    def narrow(answer: Answer) -> Answer:
        if answer.rc:  # `cut` had nothing to cut, and was content
            return replace(answer, rc=0)
        return replace(answer, stdout=answer.stdout.removesuffix(b"\n").split(b":")[int(field) - 1] + b"\n")

    return Fact(f"getent group {name}", narrow)


_FACTS: tuple[tuple[re.Pattern[str], Callable[..., Fact]], ...] = (
    (re.compile(rf"stat -Lc %([{_STAT_FIELDS}]) {_WORD}", re.ASCII), _stat),
    (re.compile(rf"test -e {_WORD}", re.ASCII), _exists),
    (re.compile(r"dpkg-query -f '(\$\{Status\}(?: \$\{Version\})?)' -W ([a-z0-9][a-z0-9+.-]+)"), _package),
    (re.compile(rf"id(?: -({'|'.join(_ID_FLAGS)}))? {_WORD}", re.ASCII), _identity),
    (re.compile(rf"getent group {_WORD} \| cut -d':' -f([34])", re.ASCII), _group),
)
