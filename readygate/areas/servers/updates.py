"""Updates that wait to be installed on a server, and whether those that are need a reboot."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar

from pydantic import Field

from readygate.areas.asking import ask
from readygate.errors import CouldNotLook
from readygate.expectation import AtMostCount, AtMostDuration, Flag
from readygate.results import Evidence
from readygate.spec import Spec
from readygate.units import DAY, readable_duration, show_duration

# Security updates come at any hour; whoever hasn't asked for a week doesn't know of them.
_STALE_S = 7 * DAY


class Updates(Spec):
    """The updates of a server's packages, by apt, apk or dnf."""

    area: ClassVar[str] = "updates"
    noun: ClassVar[str] = "updates"

    security: AtMostCount | None = Field(None, description="How many packages have a security update waiting.")
    pending: AtMostCount | None = Field(None, description="How many packages have any update waiting.")
    lists_age: AtMostDuration | None = Field(None, description="How long ago the server asked for updates.")
    reboot_required: Flag | None = Field(None, description="Whether an update takes effect only after a reboot.")


@dataclass(frozen=True, slots=True)
class PendingUpdates:
    """Names of the packages that have an update, and of those for which it mends a hole, where anyone tells these."""

    all: tuple[str, ...]
    advised: tuple[str, ...] | None
    evidence: tuple[Evidence, ...] = ()

    @property
    def security(self) -> tuple[str, ...]:
        """CouldNotLook: the repositories don't say what an update is for."""
        if self.advised is None:
            raise CouldNotLook(
                "the server's repositories do not say which updates are for security",
                mend="add the source of security updates, or declare `pending` instead",
            )
        return self.advised


@dataclass(frozen=True, slots=True)
class Reboot:
    """Whether a reboot is required, and why."""

    required: bool
    told: str = ""


_LISTS_AGE = r"""
if [ -s /var/lib/dpkg/status ] && command -v apt-get >/dev/null; then
    update='apt-get update'; set -- /var/lib/apt/lists/*Release
    fetched='/var/lib/apt/lists /var/lib/apt/lists/partial'
elif command -v apk >/dev/null; then
    update='apk update'; set -- /var/cache/apk/APKINDEX.* /etc/apk/cache/APKINDEX.*
    [ -e "$1" ] || shift; fetched=$*
elif command -v dnf >/dev/null; then
    update='dnf makecache'
    set -- /var/cache/dnf/*/repodata/repomd.xml /var/cache/libdnf5/*/repodata/repomd.xml; fetched=$*
    [ -e "$1" ] || shift
else
    echo 'it has neither apt nor apk nor dnf to ask for updates' >&2; exit 1
fi
[ -e "$1" ] || { echo "it has no lists of packages; run $update" >&2; exit 1; }
date +%s
stat -c %Y $fetched 2>/dev/null | sort -n | tail -n 1"""

# Apk ends with 0 whatever it can't use of its repositories, and warns of it unless it is told to be quiet.
# Dnf ends with 100 where it has any; of repositories that publish no advisories it lists none, old or new.
_PENDING = """
if [ -s /var/lib/dpkg/status ] && command -v apt-get >/dev/null; then
    echo apt; date +%s
    grep -hiE '^(Valid-Until|Suite|Label|Codename):' /var/lib/apt/lists/*Release || [ $? = 1 ] || exit 1
    echo '= upgrade'; apt-get --simulate --quiet --ignore-hold -o Debug::NoLocking=true dist-upgrade
elif command -v apk >/dev/null; then
    echo apk; apk version -l '<' 2>&1 || exit 1
    echo '= indexes'; apk version --indexes
else
    echo dnf; dnf --cacheonly --quiet check-update || [ $? = 100 ] || exit 1
    echo '= advisories'; dnf --cacheonly --quiet updateinfo list --all || exit 1
    echo '= security'; dnf --cacheonly --quiet updateinfo list --security
fi"""


def observe_lists_age(host: Any, server: Spec) -> int:
    """Seconds since the server last asked for updates. CouldNotLook: it never did, or can't."""
    now, fetched = ask(host, server.name, _LISTS_AGE).text.split()
    return max(0, int(now) - int(fetched))


def observe_pending_updates(host: Any, server: Spec, lists_age: int) -> PendingUpdates:
    """What an upgrade would install, by what the server knows. CouldNotLook: it hasn't asked for a week."""
    if lists_age > _STALE_S:
        age = show_duration(readable_duration(lists_age))
        raise CouldNotLook(
            f"{server.name} last asked for updates {age} ago, so it knows none of the newer",
            mend="run `apt-get update`, `apk update` or `dnf makecache`, and see why its timer does not",
        )
    text = ask(host, server.name, _PENDING, within=120).text
    manager, _, told = text.partition("\n")
    return {"apt": parse_apt, "apk": parse_apk, "dnf": parse_dnf}[manager](told)


def parse_apt(text: str) -> PendingUpdates:
    """Read the time, what the lists say of themselves, and below `= upgrade` what apt would do.

    CouldNotLook: one of the lists is older than it may be, so its source has not answered for a while.
    """
    head, _, upgrade = text.partition("= upgrade\n")
    now, _, lists = head.partition("\n")
    for until in re.findall(r"^Valid-Until: (.+)$", lists, re.MULTILINE):
        if parsedate_to_datetime(until).timestamp() < float(now):
            raise CouldNotLook(
                f"a list of packages was valid until {until} only, so its source has not answered since",
                mend="run `apt-get update`, and see which source it complains of",
            )
    updates = parse_upgrade(upgrade)
    # Where no source is one of security updates, none of them is ever seen to wait.
    from_security = re.search(r"^(Suite|Label|Codename):.*security", lists, re.MULTILINE | re.IGNORECASE)
    return updates if from_security else replace(updates, advised=None)


def parse_upgrade(text: str) -> PendingUpdates:
    """Read lines such as `Inst nginx [1.22.1-9] (1.22.1-9+deb12u1 Debian-Security:12/stable-security [amd64])`."""
    lines = [line for line in text.splitlines() if line.startswith("Inst ")]
    # One without its old version in brackets is new: pulled in, and not an update of what is there.
    updates = [line for line in lines if re.match(r"Inst \S+ \[", line)]
    security = [line for line in updates if re.search(r"\(\S+ .*security", line, re.IGNORECASE)]
    evidence = (Evidence("apt-get --simulate dist-upgrade", "\n".join(updates) or "nothing to install"),)
    return PendingUpdates(_names(updates), _names(security), evidence)


def parse_apk(text: str) -> PendingUpdates:
    """Read lines such as `busybox-1.36.1-r0 < 1.36.1-r5`, and below `= indexes` the repositories that apk can use.

    CouldNotLook: it could not use one of its repositories, or has none.
    """
    versions, _, indexes = text.partition("= indexes\n")
    if unusable := re.search(r"^(?:WARNING|ERROR): (.+)$", versions, re.MULTILINE):
        raise CouldNotLook(
            f"apk can't use one of its repositories: {unusable[1]}", mend="run `apk update`, and mend it"
        )
    if not indexes.strip():
        raise CouldNotLook("apk has no repository to have updates from", mend="name one in /etc/apk/repositories")
    names = re.findall(r"^(\S+)-\d[^-\s]*-r\d+ +< ", versions, re.MULTILINE)
    return PendingUpdates(tuple(names), None, (Evidence("apk version -l '<'", versions.strip()),))


def parse_dnf(text: str) -> PendingUpdates:
    """Read `bash.x86_64  5.1.8-6.el9_1  baseos`, and below `= security` `RHSA-1 Low/Sec. bash-5.1-6.x86_64`.

    Dnf 5 has a heading there, and the time of issue behind the package.
    """
    updates, _, rest = text.partition("= advisories\n")
    every, _, security = rest.partition("= security\n")
    updates, _, _ = updates.partition("Obsoleting Packages")
    names = re.findall(r"^(\S+)\.\w+ +\S+ +\S+$", updates, re.MULTILINE)
    advised = set(re.findall(r"^\S+ .*?(?<= )(\S+)-[^-\s]+-[^-\s]+\.\w+(?: |$)", security, re.MULTILINE))
    evidence = (Evidence("dnf check-update", updates.strip() or "nothing to install"),)
    return PendingUpdates(
        tuple(names), tuple(sorted(advised)) if re.search(r"\.\w+(?: |$)", every, re.MULTILINE) else None, evidence
    )


def _names(lines: list[str]) -> tuple[str, ...]:
    return tuple(line.split()[1] for line in lines)


_REBOOT = r"""
echo "$(uname -r)"
for kernel in /boot/vmlinuz-*; do [ ! -e "$kernel" ] || printf '%s ' "${kernel#/boot/vmlinuz-}"; done; echo
for modules in /lib/modules/*; do [ ! -e "$modules/modules.dep" ] || printf '%s ' "${modules##*/}"; done; echo
[ ! -e /run/reboot-required ] || { echo required; cat /run/reboot-required.pkgs 2>/dev/null || :; }"""


def observe_reboot(host: Any, server: Spec) -> Reboot:
    """Whether Debian's note of it is there, or a newer kernel is installed than the one that runs."""
    return parse_reboot(ask(host, server.name, _REBOOT).text)


def parse_reboot(text: str) -> Reboot:
    """Read the kernel that runs, those that are installed, their modules, and the note with who left it."""
    running, installed, modules, *note = text.splitlines()
    if note:
        return Reboot(True, f"asked for by {', '.join(note[1:]) or 'a package'}")
    # Alpine's kernels have a name without a number, as `lts`, and its updates replace the modules as well.
    flavours = [each for each in installed.split() if not _order(each) and running.endswith(f"-{each}")]
    if flavours and running not in modules.split():
        return Reboot(True, f"it runs {running}, and its modules are gone")
    kernels = installed.split()
    # A container runs a kernel that is none of its own, and so may a host that boots over the network.
    newest = max(kernels, key=_order, default=running)
    if running in kernels and _order(newest) > _order(running):
        return Reboot(True, f"it runs {running}, and {newest} is installed")
    return Reboot(False)


def _order(kernel: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", kernel)]


FACTS: dict[str, Callable[..., Any]] = {
    "lists_age": observe_lists_age,
    "pending_updates": observe_pending_updates,
    "reboot": observe_reboot,
}
