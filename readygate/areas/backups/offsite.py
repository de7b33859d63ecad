"""The copy of the backups elsewhere, in any store that rclone knows, looked at by the server's own rclone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from shlex import join, quote
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, model_validator

from readygate.areas.asking import Answer, ask
from readygate.areas.backups.artifacts import Artifact, is_hollow
from readygate.areas.backups.due import moment_in
from readygate.areas.backups.listing import glob_path, list_artifacts
from readygate.areas.servers.files import age_s
from readygate.errors import CouldNotLook, Mistake
from readygate.expectation import AtLeastCount, AtLeastDuration, AtMostDuration, Flag, Seconds
from readygate.results import Evidence
from readygate.spec import Spec
from readygate.units import show_size

# As rclone says that a store, or a folder in it, isn't there.
_ABSENT = ("directory not found", "NoSuchBucket", "object not found")
# Of a file that it may not ask for, rclone tells the present moment as its time, and ends with 0.
_UNDATED = re.compile(r"(?P<path>[^:\n]*): Failed to (?:read metadata|(?:read|get) mod\w* ?time)\b.*", re.IGNORECASE)
# What rclone says of a file that crypt can't decrypt: damaged, not by it, or by another key.
_DAMAGED = ("unexpected EOF", "bad magic string", "bad password")
Hosts = Callable[[str], Any]
_ENDED = re.compile(r"^exit \d+$", re.MULTILINE)


class Offsite(Spec):
    """A copy of the backups in another place: in a store that rclone knows, or on another server."""

    area: ClassVar[str] = "offsite"
    noun: ClassVar[str] = "offsite"

    rclone: str | None = Field(
        None, description="A setting: where the copies are, as rclone writes it, e.g. b2:shop-backups/db."
    )
    config: str | None = Field(
        None, description="A setting: rclone's configuration on the server, if not its usual one."
    )
    command: str | None = Field(
        None, description="A setting: how rclone is called there, if not rclone, e.g. docker exec backup rclone."
    )
    on: str | None = Field(None, description="A setting: the name of the server that has the copies, without rclone.")
    path: Annotated[str, AfterValidator(glob_path)] | None = Field(
        None, description="A setting: with `on`, the absolute path of the copies there, e.g. /srv/copies/*.sql.gz."
    )
    within: Seconds = Field(120.0, description="A setting: how long the store may take to answer.")

    read_through: bool = Field(
        False, description="A setting: whether rclone reads a copy whose digest the store does not tell, as of crypt."
    )

    rpo: AtMostDuration | None = Field(None, description="How old the newest copy may be.")
    count: AtLeastCount | None = Field(None, description="How many copies there must be.")
    same: Flag | None = Field(None, description="Whether the newest backup is there, with the same size and digest.")
    versioned: Flag | None = Field(None, description="Whether the bucket keeps what is overwritten or deleted.")

    locked: AtLeastDuration | None = Field(
        None, description="How long yet nobody can delete the newest copy, by the object lock of S3."
    )

    @property
    def place(self) -> str:
        """Where the copies are, in words."""
        return f"{self.path} on {self.on}" if self.on else str(self.rclone)

    @model_validator(mode="after")
    def _is_one_place(self) -> Offsite:
        if bool(self.rclone) == bool(self.on):
            raise Mistake("a copy is in one place", "write either `rclone`, or `on` and `path`")
        if bool(self.on) != bool(self.path):
            raise Mistake("`on` and `path` say together where a copy is", "write both, or `rclone` alone")
        of_rclone = ("config", "command", "versioned", "locked", "read_through")
        given = [name for name in of_rclone if getattr(self, name) not in (None, False)]
        if self.on and given:
            raise Mistake(f"`{given[0]}` is of a store that rclone knows", "leave it out, or write `rclone`")
        return self


@dataclass(frozen=True, slots=True)
class Copy:
    """One file in the store, by its path below the place; times are in seconds since 1970."""

    path: str
    size: int
    made_at: int
    changed_at: int = 0

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name


@dataclass(frozen=True, slots=True)
class Copies:
    """What of the backups is in the store, the newest first."""

    found: tuple[Copy, ...]
    asked_at: int
    evidence: tuple[Evidence, ...] = ()

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


class _Unreadable(Exception):
    """The copy is there, and no backup can be got out of it."""


@dataclass(frozen=True, slots=True)
class Sameness:
    """Whether the newest backup and its copy are the same bytes."""

    same: bool
    reason: str
    evidence: tuple[Evidence, ...] = ()


def observe_copies(host: Any, backup: Any, offsite: Offsite, artifacts: Any, hosts: Hosts) -> Copies:
    """All copies whose names fit the backup's own, and that aren't empty. CouldNotLook: the store can't be listed."""
    if offsite.on:
        if (other := hosts(offsite.on)) is host:
            raise CouldNotLook(
                f"{offsite.on} is {backup.on} by another name, and a copy on it is lost with it",
                mend="give each its own `connect`",
            )
        return copies_on_server(other, backup, offsite)
    listed = rclone(offsite, "lsjson", "--recursive", "--files-only", "--no-mimetype")
    script = f'date +%s; {listed} {quote(offsite.place)} || echo "exit $?" >&2'
    answer = ask_store(host, backup, offsite, script)
    asked_at, _, listing = answer.text.partition("\n")
    if any(each in answer.errors for each in _ABSENT):
        return Copies((), int(asked_at), (Evidence(f"rclone lsjson {offsite.place}", "there is nothing there"),))
    if _ENDED.search(answer.errors):  # it may have listed a part of what is there
        raise CouldNotLook(
            f"{offsite.place} can't be listed: {complaint_of(answer.errors)}", mend="try `rclone lsf` there by hand"
        )
    if undated := _UNDATED.search(answer.errors):
        raise CouldNotLook(
            f"{offsite.place} does not tell when its files are from: {undated[0].strip()}",
            mend="let the key read them, or write `command: rclone --use-server-modtime`: when they were uploaded",
        )
    found = copies_in(parse_listing(listing, backup.dated, artifacts.utc_offset), PurePosixPath(backup.path).name)
    told = "\n".join(f"{show_size(each.size)} {each.path}" for each in found[:10]) or "nothing that fits"
    return Copies(found, int(asked_at), (Evidence(f"rclone lsjson {offsite.place}", told),))


def copies_on_server(host: Any, backup: Any, offsite: Offsite) -> Copies:
    """What another server has of it, by its own clock. CouldNotLook: it can't be reached, or does not let us look."""
    there = list_artifacts(host, str(offsite.on), str(offsite.path), backup.dated)
    listed = (Copy(each.path, each.size, each.made_at, each.changed_at) for each in there.kept)
    return Copies(copies_in(listed, PurePosixPath(backup.path).name), there.asked_at, there.evidence)


def parse_listing(listing: str, dated: str | None = None, utc_offset: int = 0) -> tuple[Copy, ...]:
    """Read what `rclone lsjson` prints."""
    return tuple(Copy(each["Path"], each["Size"], _made_at(each, dated, utc_offset)) for each in json.loads(listing))


def copies_in(listed: Iterable[Copy], pattern: str) -> tuple[Copy, ...]:
    """Those whose names fit the pattern and that aren't empty, the newest first."""
    kept = [
        each for each in listed if PurePosixPath(each.name).match(pattern) and not is_hollow(each.name, each.size)
    ]
    return tuple(sorted(kept, key=lambda each: (each.made_at, each.path), reverse=True))


def _made_at(entry: Mapping[str, Any], dated: str | None, utc_offset: int) -> int:
    """An upload says when it was uploaded; what was uploaded is no younger than its name says."""
    uploaded = int(datetime.fromisoformat(entry["ModTime"].replace("Z", "+00:00")).timestamp())
    named = moment_in(entry["Path"], dated, utc_offset) if dated else None
    return uploaded if named is None else min(uploaded, named)


def observe_sameness(
    host: Any, backup: Any, offsite: Offsite, artifacts: Any, copies: Copies, hosts: Hosts
) -> Sameness:
    """Whether the newest backup is there as it is here. CouldNotLook: the store tells no digest to compare."""
    newest: Artifact | None = artifacts.newest
    if newest is None:
        return Sameness(False, f"there is no file at {backup.path}")
    copy = copies.of(newest)
    if copy is None:
        return Sameness(False, f"{newest.as_named} is not at {offsite.place}")
    if copy.size != newest.size:
        return Sameness(False, f"{copy.path} has {copy.size} bytes there, and {newest.size} here")
    at = Artifact(copy.path, copy.size, 0, copy.made_at)
    theirs: Mapping[str, str | None]
    if offsite.on:
        ours = _digests(host, backup.on, newest, offsite.within)
        theirs = _digests(hosts(offsite.on), offsite.on, at, offsite.within)
    else:
        try:
            ours, theirs = _digests_by_rclone(host, backup, offsite, newest, at)
        except _Unreadable as error:
            return Sameness(False, f"{copy.path} can't be read at {offsite.place}: {error}")
    fault = _fault_of(ours, theirs, offsite, at)
    reason = fault or f"{copy.path} is the same there"
    return Sameness(fault is None, reason, (Evidence(f"digests of {newest.as_named}, here and there", reason),))


def _fault_of(
    ours: Mapping[str, str], theirs: Mapping[str, str | None], offsite: Offsite, copy: Artifact
) -> str | None:
    """By path in the folder that it stands for, or by no name: what is missing there, or other; more may be there."""
    paths = {name: f"{copy.whole}/{name}" if name else copy.path for name in ours}
    for name, path in paths.items():
        if name not in theirs:
            return f"{path} is not at {offsite.place}"
    for name, path in paths.items():
        if not theirs[name]:
            raise CouldNotLook(
                f"{offsite.place} tells no digest of {path}, so only its size is known to be the same",
                mend="write `read_through: true` to have rclone read it, or use a store that keeps digests",
            )
        if ours[name] != theirs[name]:
            return f"{path} differs there: its digest is {ours[name]} here, and {theirs[name]} there"
    return None


def _digests_by_rclone(
    host: Any, backup: Any, offsite: Offsite, newest: Artifact, copy: Artifact
) -> tuple[dict[str, str], dict[str, str | None]]:
    """Of the newest and of its copy, of a kind that the store has."""

    def told(path: str, *words: str) -> dict[str, dict[str, str]]:
        # A backup whose WAL or tablespaces lie behind a link is none without them.
        which = ["--recursive", "--files-only", "--copy-links"] if newest.is_folder else ["--stat"]
        command = f"{rclone(offsite, 'lsjson', *which, '--hash', *words)} {quote(path)}"
        listed = json.loads(ask_store(host, backup, offsite, command).text)
        entries = listed if newest.is_folder else [{**listed, "Path": ""}]
        return {each["Path"]: each.get("Hashes") or {} for each in entries}

    def read(path: str) -> dict[str, str]:
        command = f"{rclone(offsite, 'hashsum', 'sha256', '--download', '--copy-links')} {quote(path)}"
        answer = ask_store(host, backup, offsite, f'{command} || echo "exit $?" >&2')
        if _ENDED.search(answer.errors):
            kind = _Unreadable if any(each in answer.errors for each in _DAMAGED) else CouldNotLook
            raise kind(complaint_of(answer.errors))
        lines = (line.partition("  ") for line in answer.text.splitlines())
        return {name if newest.is_folder else "": digest for digest, _, name in lines}

    there = inside(offsite.place, "" if copy.whole == "." else copy.whole)
    theirs = told(there)
    kind = next((kind for hashes in theirs.values() for kind in sorted(hashes) if hashes[kind]), None)
    if kind is None and offsite.read_through:
        return read(newest.whole), dict[str, str | None](read(there))
    ours = told(newest.whole, *(["--hash-type", kind] if kind else []))
    return (
        {path: hashes.get(kind or "", "") for path, hashes in ours.items()},
        {path: hashes.get(kind or "") for path, hashes in theirs.items()},
    )


def _digests(host: Any, server: str, artifact: Artifact, within: float) -> dict[str, str]:
    """What a server's own sha256sum says of it."""
    where, files = quote(artifact.whole), "find -L . -type f -exec sha256sum {} +"
    script = f"cd {where} && {files}" if artifact.is_folder else f"sha256sum < {where}"
    lines = ask(host, server, script, within=within).text.splitlines()
    told = {name.removeprefix("./"): digest for digest, _, name in (line.partition("  ") for line in lines)}
    return told if artifact.is_folder else {"": lines[0].split()[0]}


def inside(place: str, path: str) -> str:
    """A path as rclone writes it below a place."""
    return f"{place}{'' if place.endswith((':', '/')) or not path else '/'}{path}"


def observe_versioning(host: Any, backup: Any, offsite: Offsite) -> bool | None:
    """Whether the bucket keeps old versions; None where there is no bucket. CouldNotLook: it can't be told so."""
    # A path below the bucket has no versioning of its own.
    remote, _, path = offsite.place.partition(":")
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
    return f"{offsite.command or 'rclone'} {join([*words, *config, '--retries', '1', '--low-level-retries', '2'])}"


def ask_store(host: Any, backup: Any, offsite: Offsite, script: str, *, within: float | None = None) -> Answer:
    """What a script with rclone in it answers. CouldNotLook: it failed, or knows no such remote."""
    answer = ask(host, backup.on, script, within=within or offsite.within)
    if "didn't find section in config file" in answer.errors:
        raise CouldNotLook(
            f"rclone on {backup.on} knows no remote called {offsite.place.partition(':')[0]}",
            mend="declare `config`, or `sudo_user` for the server, by which it is known",
        )
    return answer
