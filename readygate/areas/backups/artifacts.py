"""The kinds of backup artifact, and what is wrong with one, told from bytes that were read of it."""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath

from readygate.drills.dumps import Ends
from readygate.errors import CouldNotLook

# What reads the stream to its end on the server, and there checks what checksums it carries.
_UNPACKERS = {".gz": "gzip -dc", ".bz2": "bzip2 -dc", ".xz": "xz -dc", ".zst": "zstd -dcq", ".lz4": "lz4 -dcq"}
_CONTENTS = {
    ".sql": "sql",
    ".tar": "tar",
    ".zip": "zip",
    ".json": "json",
    ".db": "sqlite",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
    ".dump": "dump",
    ".pgdump": "dump",
    ".backup": "dump",
    ".rdb": "rdb",
    ".aof": "aof",
    ".archive": "mongodump",
    ".age": "encrypted",
    ".gpg": "encrypted",
    ".pgp": "encrypted",
    ".asc": "encrypted",
    ".enc": "encrypted",
}
# A file that stands for the folder around it: of `pg_dump --format=directory`, of pg_basebackup, and of an append-
# only file in parts, whose name Redis lets one choose.
_FOLDERS = {"toc.dat": "dump folder", "backup_manifest": "base backup"}
_AOF_FOLDER = "aof folder"

# What lies in a backup whose errors were kept instead of its data, and an answer of a service in JSON.
_REFUSAL = re.compile(
    rb"\s*(?:<!doctype html|<html|<\?xml[^>]*>\s*<Error|(?:error|fatal|usage)\b|(?:[\w./ -]+: )+"
    rb"(?:error|got error|fatal|could not|cannot|can't|unable|(?:command )?not found|permission denied|no such file))"
    rb"[^\r\n]*",
    re.IGNORECASE,
)
_OF_A_REFUSAL = {"error", "errors", "message", "detail", "details", "status", "code", "title", "type", "reason"}
# gzip's wrapping of nothing has 20 bytes, and the name of the file where it was given one.
_LARGEST_HOLLOW = 64
_RDB_END = b"\xff"  # then eight bytes of checksum


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file is by its name: how the server unpacks it, and what is inside; None is neither."""

    unpacker: str | None
    content: str | None

    @property
    def is_known(self) -> bool:
        return bool(self.unpacker or self.content)


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file of a backup; times are in seconds of the server's clock. `dated` is the one that its name tells.

    `utc_offset` is the server's own when the file was written, in seconds; `inode` tells it from another name of it;
    `total` is the size of all files in the folder that it stands for.
    """

    path: str
    size: int
    mode: int
    changed_at: int
    utc_offset: int = 0
    inode: str = ""
    dated: int | None = None
    total: int | None = None

    @property
    def weight(self) -> int:
        """Bytes that all of it takes."""
        return self.size if self.total is None else self.total

    @property
    def made_at(self) -> int:
        """What lies in a file is no younger than its name says, nor than its last change: a copy may keep either."""
        return self.changed_at if self.dated is None else min(self.dated, self.changed_at)

    @property
    def made_local(self) -> datetime:
        """By the server's clock on the wall."""
        return datetime.fromtimestamp(self.made_at + self.utc_offset, UTC).replace(tzinfo=None)

    @property
    def is_hollow(self) -> bool:
        return is_hollow(self.path, self.size)

    @property
    def shown(self) -> str:
        """The path as it can be printed, even where it isn't UTF-8."""
        return self.path.encode(errors="surrogateescape").decode(errors="backslashreplace")

    @property
    def kind(self) -> Kind:
        return kind_of(self.path)

    @property
    def is_folder(self) -> bool:
        """Whether the file stands for the folder around it."""
        return stands_for_folder(self.path)

    @property
    def whole(self) -> str:
        """The path of all that it is: of a file that stands for the folder around it, that folder."""
        return str(PurePosixPath(self.path).parent) if self.is_folder else self.path

    @property
    def as_named(self) -> str:
        """By what it is known in another place."""
        path = PurePosixPath(self.path)
        return f"{path.parent.name}/{path.name}" if self.is_folder else path.name


def kind_of(name: str) -> Kind:
    """The kind that the file's name promises."""
    path = PurePosixPath(name.lower())
    if path.suffix == ".tgz":
        return Kind("gzip -dc", "tar")
    if path.name in _FOLDERS:
        return Kind(None, _FOLDERS[path.name])
    if path.name.endswith(".aof.manifest"):
        return Kind(None, _AOF_FOLDER)
    unpacker = _UNPACKERS.get(path.suffix)
    inner = path.with_suffix("") if unpacker else path
    return Kind(unpacker, _CONTENTS.get(inner.suffix))


def stands_for_folder(name: str) -> bool:
    """Whether a file of this name stands for the folder around it."""
    return kind_of(name).content in (*_FOLDERS.values(), _AOF_FOLDER)


def is_hollow(name: str, size: int) -> bool:
    """Whether there is nothing in a file, by its size: the wrapping of nothing takes some bytes itself."""
    return size <= (_LARGEST_HOLLOW if kind_of(name).unpacker else 0)


def fault_of_zip(data: bytes) -> str | None:
    """What is wrong with a zip archive, every file of which is read."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            broken = archive.testzip()
            holds = bool(archive.namelist())
    except RuntimeError as error:
        raise CouldNotLook(f"the archive can't be read through: {error}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        return f"it is not a whole archive: {error}"
    if broken:
        return f"{broken} in it is damaged"
    return None if holds else "there is nothing in it"


def fault_of_json(data: bytes) -> str | None:
    """What is wrong with a JSON document."""
    try:
        held = json.loads(data)
    except (ValueError, RecursionError) as error:
        return f"it is not whole JSON: {error}"
    if held in (None, "", [], {}):
        return "there is nothing in it"
    if isinstance(held, dict) and held.keys() <= _OF_A_REFUSAL:
        return f"it is the answer to a request that failed: {json.dumps(held)[:200]}"
    if isinstance(held, list) and any(isinstance(each, dict) and "model" in each for each in held):
        whole = all(isinstance(each, dict) and {"model", "fields"} <= set(each) for each in held)
        return None if whole else "not every object in it has a model and fields, as dumpdata writes them"
    return None


def models_in(data: bytes) -> Counter[str]:
    """By model, how many objects a document of dumpdata has."""
    held = json.loads(data)
    objects = held if isinstance(held, list) else []
    return Counter(str(each["model"]) for each in objects if isinstance(each, dict) and "model" in each)


def documents_in(collections: Mapping[str, int], named: str) -> int | None:
    """How many documents the collection has, by its name with or without its database; None where there is none."""
    found = [each for each in collections if named in (each, each.partition(".")[2])]
    if len(found) > 1 and named not in collections:
        raise CouldNotLook(f"several databases have a collection {named}", mend="name its database too: shop.orders")
    return collections[named if named in collections else found[0]] if found else None


def fault_of_words(ends: Ends) -> str | None:
    """Of something unknown: whether it is what a program or a server says when it fails."""
    if not (refused := _REFUSAL.match(ends.first)):
        return None
    return f"it holds no backup but what a program said: {refused[0].decode(errors='replace')[:200]}"


def fault_of_rdb(ends: Ends) -> str | None:
    """What is wrong with a snapshot of Redis, by its two ends; versions before 5 had no checksum, and are gone."""
    if not ends.first.startswith(b"REDIS"):
        return "it does not begin as a snapshot of Redis does"
    return None if ends.last[-9:-8] == _RDB_END else "it was cut short: the end of the snapshot is missing"


def fault_of_aof(ends: Ends) -> str | None:
    """What is wrong with an append-only file of Redis, by its two ends."""
    if not ends.first.startswith((b"*", b"REDIS", b"#TS:")):
        return "it does not begin as an append-only file of Redis does"
    return None if ends.last.endswith(b"\r\n") else "it was cut short in the middle of a command"


def ends_with_a_command(end: bytes) -> bool:
    """Whether the last bytes of an append-only file are whole commands, from any place at which one may begin."""
    tried = set[int]()
    for begins in (0, *(found.start() for found in re.finditer(rb"\*\d+\r\n\$", end))):
        at: int | None = begins
        while at is not None and at not in tried:
            if at == len(end):
                return True
            tried.add(at)
            at = _after_command(end, at)
    return False


def _after_command(data: bytes, at: int) -> int | None:
    """Where the command ends that begins here, as Redis' protocol (RESP) writes it; None where it is none."""
    if data[at : at + 1] == b"#":  # a note of the time
        noted = data.find(b"\r\n", at)
        return noted + 2 if noted >= 0 else None
    words = re.compile(rb"\*(\d{1,9})\r\n").match(data, at)
    if words is None:
        return None
    at = words.end()
    for _ in range(int(words[1])):
        length = re.compile(rb"\$(\d{1,9})\r\n").match(data, at)
        if length is None:
            return None
        at = length.end() + int(length[1]) + 2
        if data[at - 2 : at] != b"\r\n":
            return None
    return at
