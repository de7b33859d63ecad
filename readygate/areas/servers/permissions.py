"""Surprises among a server's files: what anyone may write, and what runs as someone else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from shlex import quote
from typing import Any, ClassVar

from pydantic import Field

from readygate.areas.asking import ask
from readygate.areas.servers.files import AbsolutePath
from readygate.errors import CouldNotLook
from readygate.expectation import AtMostCount, Seconds
from readygate.results import Evidence
from readygate.spec import Spec

# The layers of images hold files of their own, which run in their containers only.
_LAYERS = ("/var/lib/docker", "/var/lib/containerd", "/var/lib/containers")
_SHOWN = 20
# Whoever runs one of these runs whatever he likes as its owner, so no package ships it with the bit.
_RUN_ANYTHING = (
    "(ba|da|z|k|c|tc|fi|a)?sh|busybox|env|find|xargs|nice|timeout|strace|gdb|(python|perl|ruby|lua|php|node)[0-9.]*"
    "|vim?([.].+)?|nano|ed|sed|[gm]?awk|tee|cp|mv|dd|install|ln|chmod|chown|tar|cat|less|more|head|tail|docker|systemctl"
)


class Permissions(Spec):
    """The files of a server all together; what is mounted below a path of `under` is not searched."""

    area: ClassVar[str] = "permissions"
    noun: ClassVar[str] = "permissions"

    under: tuple[AbsolutePath, ...] = Field(("/",), description="A setting: where to search, each on one filesystem.")
    without: tuple[AbsolutePath, ...] = Field((), description="A setting: paths to leave out with all below them.")
    within: Seconds = Field(120.0, description="A setting: how long the search may take.")
    setuid_unpackaged: AtMostCount | None = Field(
        None,
        description="How many setuid or setgid programs are there that came with no package, or got the bit later.",
    )
    world_writable: AtMostCount | None = Field(
        None, description="How many files anyone may write, and folders where anyone may remove others' files."
    )
    unowned: AtMostCount | None = Field(None, description="How many files belong to a user who doesn't exist.")


@dataclass(frozen=True, slots=True)
class Surprises:
    """The paths that were found."""

    paths: tuple[str, ...]
    evidence: tuple[Evidence, ...] = ()

    @property
    def count(self) -> int:
        return len(self.paths)

    @property
    def told(self) -> str:
        rest = f" and {self.count - _SHOWN} more" if self.count > _SHOWN else ""
        return f"found {', '.join(self.paths[:_SHOWN])}{rest}"


def observe_world_writable(host: Any, server: Spec, permissions: Permissions) -> Surprises:
    """Files, and folders without the sticky bit, that everybody may write."""
    return _found(host, server, permissions, r"\( -type f -o -type d ! -perm -1000 \) -perm -0002")


def observe_unowned(host: Any, server: Spec, permissions: Permissions) -> Surprises:
    """Files whose owner or group has no name."""
    return _found(host, server, permissions, r"\( -nouser -o -nogroup \)")


def observe_setuid(host: Any, server: Spec, permissions: Permissions) -> Surprises:
    """Programs with a setuid or setgid bit that came with no package, or whose package gives them no such bit.

    CouldNotLook: there is no dpkg, rpm or apk.
    """
    found = _found(host, server, permissions, r"-type f \( -perm -4000 -o -perm -2000 \)")
    if not found.paths:
        return found
    # A package may know /usr/bin/su as /bin/su, or the other way round, where the one folder has become a link to
    # the other. dpkg would take a name with a star for a pattern; it also keeps no record of modes.
    script = f"""
if [ -s /var/lib/dpkg/status ] && command -v dpkg-query >/dev/null; then
    owns() {{ dpkg-query -S "$1" >/dev/null 2>&1; }}
elif command -v rpm >/dev/null && [ ! -e /lib/apk/db/installed ]; then owns() {{ rpm -qf "$1" >/dev/null 2>&1; }}
elif command -v apk >/dev/null; then owns() {{ apk info -W "$1" 2>/dev/null | grep -q 'owned by'; }}
else echo 'it has neither apk nor dpkg-query nor rpm' >&2; exit 1
fi
for path in {" ".join(quote(path) for path in found.paths)}; do
    printf '%s\\n' "${{path##*/}}" | grep -qxE {quote(_RUN_ANYTHING)} && {{ printf '%s\\0' "$path"; continue; }}
    case $path in *[\\*?[\\\\]*) printf '%s\\0' "$path"; continue ;; esac
    for known in "$path" "${{path#/usr}}" "/usr$path"; do
        [ "$known" -ef "$path" ] && owns "$known" && continue 2
    done
    printf '%s\\0' "$path"
done"""
    strangers = ask(host, server.name, script, within=permissions.within).text
    return Surprises(tuple(path for path in strangers.split("\0") if path), found.evidence)


def _found(host: Any, server: Spec, permissions: Permissions, what: str) -> Surprises:
    left_out = " -o ".join(f"-path {quote(path)}" for path in (*_LAYERS, *permissions.without))
    where = " ".join(quote(path) for path in permissions.under)
    # find ends with 1 for a file that vanished meanwhile, which is no trouble, and for any other trouble.
    # A folder that isn't there would look like one without surprises.
    search = f"find -H {where} -xdev \\( {left_out} \\) -prune -o {what} -print0 || [ $? = 1 ]"
    script = f"ls -d -- {where} >/dev/null || exit 1; {search}"
    answer = ask(host, server.name, script, within=permissions.within)
    for line in answer.errors.splitlines():
        if "No such file" not in line:
            raise CouldNotLook(f"the files of {server.name} could not all be searched: {line}")
    kept = tuple(sorted(path for path in answer.text.split("\0") if path))
    return Surprises(kept, (Evidence(f"find {where} {what}", "\n".join(kept) or "nothing"),))


FACTS: dict[str, Callable[..., Any]] = {
    "world_writable": observe_world_writable,
    "unowned": observe_unowned,
    "setuid_strangers": observe_setuid,
}
