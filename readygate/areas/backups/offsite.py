"""The copy of the backups elsewhere, in any store that rclone knows, looked at by the server's own rclone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from shlex import join, quote
from typing import Any, ClassVar

from pydantic import Field

from readygate.areas.asking import Answer, ask
from readygate.areas.backups.artifacts import Artifact, is_hollow
from readygate.areas.backups.due import date_in
from readygate.areas.servers.files import age_s
from readygate.errors import CouldNotLook
from readygate.expectation import AtLeastCount, AtMostDuration, Flag, Seconds
from readygate.results import Evidence
from readygate.spec import Spec
from readygate.units import show_size

# As rclone says that a store, or a folder in it, isn't there.
_ABSENT = ("directory not found", "NoSuchBucket", "object not found")
_ENDED = re.compile(r"^exit \d+$", re.MULTILINE)


class Offsite(Spec):
    """A copy of the backups in another place."""

    area: ClassVar[str] = "offsite"
    noun: ClassVar[str] = "offsite"

    rclone: str = Field(description="A setting: where the copies are, as rclone writes it, e.g. b2:shop-backups/db.")
    config: str | None = Field(
        None, description="A setting: rclone's configuration on the server, if not its usual one."
    )
    command: str = Field(
        "rclone", description="A setting: how rclone is called there, e.g. docker exec backup rclone."
    )
    within: Seconds = Field(120.0, description="A setting: how long the store may take to answer.")

    rpo: AtMostDuration | None = Field(None, description="How old the newest copy may be.")
    count: AtLeastCount | None = Field(None, description="How many copies there must be.")
    same: Flag | None = Field(None, description="Whether the newest backup is there, with the same size and digest.")
    versioned: Flag | None = Field(None, description="Whether the bucket keeps what is overwritten or deleted.")


@dataclass(frozen=True, slots=True)
class Copy:
    """One file in the store; `made_at` is in seconds since 1970, `hashes` are by their kind."""

    path: str
    size: int
    made_at: int
    hashes: Mapping[str, str]

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name


@dataclass(frozen=True, slots=True)
class Copies:
    """What of the backups is in the store, the newest first; `listed` is every file there, of what else too."""

    found: tuple[Copy, ...]
    asked_at: int
    evidence: tuple[Evidence, ...] = ()
    listed: tuple[Copy, ...] = ()

    @property
    def count(self) -> int:
        return len(self.found)

    def of(self, artifact: Artifact) -> Copy | None:
        """The one of its name; that of a folder is in a folder of its name, and only else in another."""
        path = PurePosixPath(artifact.path)
        named = [each for each in self.found if each.name == path.name]
        if artifact.is_folder:
            named.sort(key=lambda each: PurePosixPath(each.path).parent.name != path.parent.name)
        return named[0] if named else None

    @property
    def age_s(self) -> int | None:
        return age_s(self.found[0].made_at, self.asked_at) if self.found else None


@dataclass(frozen=True, slots=True)
class Sameness:
    """Whether the newest backup and its copy are the same bytes."""

    same: bool
    reason: str
    evidence: tuple[Evidence, ...] = ()


def observe_copies(host: Any, backup: Any, offsite: Offsite, artifacts: Any) -> Copies:
    """All copies whose names fit the backup's own, and that aren't empty. CouldNotLook: the store can't be listed."""
    script = f"date +%s; {rclone(offsite, 'lsjson', '--recursive', '--files-only', '--hash')} {quote(offsite.rclone)}"
    answer = ask_store(host, backup, offsite, f'{script} || echo "exit $?" >&2')
    asked_at, _, listing = answer.text.partition("\n")
    if any(each in answer.errors for each in _ABSENT):
        return Copies((), int(asked_at), (Evidence(f"rclone lsjson {offsite.rclone}", "there is nothing there"),))
    if _ENDED.search(answer.errors):  # it may have listed a part of what is there
        raise CouldNotLook(
            f"{offsite.rclone} can't be listed: {complaint_of(answer.errors)}", mend="try `rclone lsf` there by hand"
        )
    listed = parse_listing(listing, backup.dated, artifacts.utc_offset)
    found = copies_in(listed, PurePosixPath(backup.path).name)
    told = "\n".join(f"{show_size(each.size)} {each.path}" for each in found[:10]) or "nothing that fits"
    return Copies(found, int(asked_at), (Evidence(f"rclone lsjson {offsite.rclone}", told),), listed)


def parse_listing(listing: str, dated: str | None = None, utc_offset: int = 0) -> tuple[Copy, ...]:
    """Read what `rclone lsjson --hash` prints."""
    return tuple(
        Copy(each["Path"], each["Size"], _made_at(each, dated, utc_offset), each.get("Hashes") or {})
        for each in json.loads(listing)
    )


def copies_in(listed: Iterable[Copy], pattern: str) -> tuple[Copy, ...]:
    """Those whose names fit the pattern and that aren't empty, the newest first."""
    kept = [
        each for each in listed if PurePosixPath(each.name).match(pattern) and not is_hollow(each.name, each.size)
    ]
    return tuple(sorted(kept, key=lambda each: (each.made_at, each.path), reverse=True))


def _made_at(entry: Mapping[str, Any], dated: str | None, utc_offset: int) -> int:
    """An upload says when it was uploaded; what was uploaded is no younger than its name says."""
    uploaded = int(datetime.fromisoformat(entry["ModTime"].replace("Z", "+00:00")).timestamp())
    named = date_in(entry["Path"], dated) if dated else None
    return min(uploaded, int(named.replace(tzinfo=UTC).timestamp()) - utc_offset) if named else uploaded


def observe_sameness(host: Any, backup: Any, offsite: Offsite, artifacts: Any, copies: Copies) -> Sameness:
    """Whether the newest backup is there as it is here. CouldNotLook: the store tells no digest to compare."""
    newest: Artifact | None = artifacts.newest
    if newest is None:
        return Sameness(False, f"there is no file at {backup.path}")
    copy = copies.of(newest)
    if copy is None:
        return Sameness(False, f"{newest.as_named} is not at {offsite.rclone}")
    if copy.size != newest.size:
        return Sameness(False, f"{copy.path} has {copy.size} bytes there, and {newest.size} here")
    kinds = [kind for kind, digest in sorted(copy.hashes.items()) if digest]
    if not kinds:
        raise _undigested(offsite, copy.path)
    kind = kinds[0]
    here = ["lsjson", "--stat", "--hash", "--hash-type", kind]
    local = json.loads(ask_store(host, backup, offsite, f"{rclone(offsite, *here)} {quote(newest.path)}").text)
    ours = (local.get("Hashes") or {}).get(kind, "")
    told = f"{kind} here {ours}, there {copy.hashes[kind]}"
    fault = None if ours == copy.hashes[kind] else f"{copy.path} differs there: {told}"
    if fault is None and newest.is_folder:
        fault = _fault_of_folder(host, backup, offsite, newest, copies, copy, kind)
    reason = fault or f"{copy.path} is the same there"
    return Sameness(fault is None, reason, (Evidence(f"{kind} of {newest.as_named}", fault or told),))


def _fault_of_folder(
    host: Any, backup: Any, offsite: Offsite, newest: Artifact, copies: Copies, copy: Copy, kind: str
) -> str | None:
    """What of the folder around the newest is not, or otherwise, around its copy; more may be there."""
    # A backup whose WAL or tablespaces are behind a link is none without them.
    listing = rclone(offsite, "lsjson", "--recursive", "--files-only", "--copy-links", "--hash", "--hash-type", kind)
    there = {each.path: each for each in copies.listed}
    for ours in json.loads(ask_store(host, backup, offsite, f"{listing} {quote(newest.whole)}").text):
        path = str(PurePosixPath(copy.path).parent / ours["Path"])
        theirs = there.get(path)
        if theirs is None:
            return f"{path} is not at {offsite.rclone}"
        if theirs.size != ours["Size"]:
            return f"{path} has {theirs.size} bytes there, and {ours['Size']} here"
        if not theirs.hashes.get(kind):
            raise _undigested(offsite, path)
        if theirs.hashes[kind] != (ours.get("Hashes") or {}).get(kind):
            return f"{path} differs there, by its {kind}"
    return None


def _undigested(offsite: Offsite, path: str) -> CouldNotLook:
    return CouldNotLook(
        f"{offsite.rclone} tells no digest of {path}, so only its size is known to be the same",
        mend="upload it in one part, or use a store or a hasher remote that keeps digests",
    )


def observe_versioning(host: Any, backup: Any, offsite: Offsite) -> bool | None:
    """Whether the bucket keeps old versions; None where there is no bucket. CouldNotLook: it can't be told so."""
    # A path below the bucket has no versioning of its own.
    remote, _, path = offsite.rclone.partition(":")
    bucket = f"{remote}:{path.split('/')[0]}"
    answer = ask_store(
        host, backup, offsite, f'{rclone(offsite, "backend", "versioning")} {quote(bucket)} || echo "exit $?" >&2'
    )
    if any(each in answer.errors for each in _ABSENT):
        return None
    said = answer.text.strip().strip('"')
    if said not in ("Enabled", "Suspended", "Unversioned"):
        raise CouldNotLook(
            f"{bucket} does not say whether it keeps versions: {complaint_of(answer.errors)}",
            mend="look at the bucket",
        )
    return bool(said == "Enabled")


def complaint_of(errors: str) -> str:
    """Why rclone failed, in its own last words."""
    lines = [line for line in errors.splitlines() if line.strip() and not _ENDED.match(line)]
    return lines[-1].strip() if lines else "rclone did not say why"


def rclone(offsite: Offsite, *words: str) -> str:
    """The command, as the server calls it."""
    config = ["--config", offsite.config] if offsite.config else []
    return f"{offsite.command} {join([*words, *config, '--retries', '1', '--low-level-retries', '2'])}"


def ask_store(host: Any, backup: Any, offsite: Offsite, script: str, *, within: float | None = None) -> Answer:
    """What a script with rclone in it answers. CouldNotLook: it failed, or knows no such remote."""
    answer = ask(host, backup.on, script, within=within or offsite.within)
    if "didn't find section in config file" in answer.errors:
        raise CouldNotLook(
            f"rclone on {backup.on} knows no remote called {offsite.rclone.partition(':')[0]}",
            mend="declare `config`, or `sudo_user` for the server, by which it is known",
        )
    return answer
