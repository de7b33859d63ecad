"""The kinds of backup artifact, and what is wrong with one, told from bytes that were read of it."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import PurePosixPath

from readygate.drills.dumps import Ends
from readygate.errors import CouldNotLook

# What reads the stream to its end on the server, and there checks what checksums it carries.
_UNPACKERS = {".gz": "gzip -dc", ".bz2": "bzip2 -dc", ".xz": "xz -dc", ".zst": "zstd -dcq"}
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
    ".rdb": "rdb",
    ".aof": "aof",
    ".age": "encrypted",
    ".gpg": "encrypted",
    ".pgp": "encrypted",
    ".asc": "encrypted",
    ".enc": "encrypted",
}
# A file that stands for the folder around it: of `pg_dump --format=directory`, and of pg_basebackup.
_FOLDERS = {"toc.dat": "dump folder", "backup_manifest": "base backup"}

# How encrypted files begin: age, OpenSSL, and OpenPGP in letters.
_CIPHERS = {
    b"age-encryption.org/v1\n": "age",
    b"-----BEGIN AGE ENCRYPTED FILE-----": "age",
    b"Salted__": "OpenSSL",
    b"-----BEGIN PGP MESSAGE-----": "OpenPGP",
}
# RFC 9580, 4.2 and 5: an encrypted message begins with a session key, encrypted to a key (1) or a password (3).
_OPENPGP_TAGS = (1, 3)
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
    """One file of a backup; times are in seconds of the server's clock. `dated` is the one that its name tells."""

    path: str
    size: int
    mode: int
    changed_at: int
    dated: int | None = None

    @property
    def made_at(self) -> int:
        return self.changed_at if self.dated is None else self.dated

    @property
    def shown(self) -> str:
        """The path as it can be printed, even where it isn't UTF-8."""
        return self.path.encode(errors="surrogateescape").decode(errors="backslashreplace")

    @property
    def kind(self) -> Kind:
        return kind_of(self.path)


def kind_of(name: str) -> Kind:
    """The kind that the file's name promises."""
    path = PurePosixPath(name.lower())
    if path.suffix == ".tgz":
        return Kind("gzip -dc", "tar")
    if path.name in _FOLDERS:
        return Kind(None, _FOLDERS[path.name])
    unpacker = _UNPACKERS.get(path.suffix)
    inner = path.with_suffix("") if unpacker else path
    return Kind(unpacker, _CONTENTS.get(inner.suffix))


def fault_of_tar_end(ends: Ends) -> str | None:
    """POSIX ends an archive with two blocks of zeros; tar itself lists one that was cut between two files."""
    return None if ends.last[-1024:] == bytes(1024) else "it was cut short: the end of the archive is missing"


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
    if isinstance(held, list) and any(isinstance(each, dict) and "model" in each for each in held):
        whole = all(isinstance(each, dict) and {"model", "fields"} <= set(each) for each in held)
        return None if whole else "not every object in it has a model and fields, as dumpdata writes them"
    return None


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


def cipher_of(first: bytes) -> str | None:
    """What encrypted it, by its first bytes; None where it lies open."""
    named = next((cipher for magic, cipher in _CIPHERS.items() if first.startswith(magic)), None)
    if named or not first or not first[0] & 0x80:
        return named
    tag = first[0] & 0x3F if first[0] & 0x40 else (first[0] & 0x3F) >> 2
    # The version of the packet follows its length; so a picture or a gzip stream is not taken for a message.
    versions = first[2:6]
    return "OpenPGP" if tag in _OPENPGP_TAGS and any(version in versions for version in (3, 4, 6)) else None
