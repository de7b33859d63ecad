"""Reading an archive of `mongodump --archive` to its end: whether it is whole, and how much is in it.

It stands alone, on nothing but the library of Python 3.7, since its very source is run where the archive lies:
`python3 -c SOURCE < ARCHIVE` prints one line of JSON. The format is that of common/archive/spec.md in
mongodb/mongo-tools: a list of the collections, then blocks of their documents, in any order, and at the end of each
collection the checksum of all its documents.
"""

from __future__ import annotations

import json
import lzma
import struct
import sys
import zlib
from collections.abc import Iterator
from io import BufferedReader
from typing import Any

MAGIC = b"\x6d\xe2\x99\x81"
_VERSION = "0.1"
_TERMINATOR = b"\xff\xff\xff\xff"
_SMALLEST, _LARGEST = 5, 16 * 1024 * 1024  # of a document: mongorestore takes no others
_BUCKETS = "system.buckets."  # where servers before 8.3 have the data of a time series

# Of xz: the header of a stream that is checked by CRC-64, and that of a block of LZMA2.
_CHUNK = 65536
_STREAM_FLAGS = b"\x00\x04"
_BLOCK_HEADER = b"\x02\x00\x21\x01\x00\x00\x00\x00"


class Damaged(Exception):
    """What is wrong with the archive."""


class Unknown(Exception):
    """Why one can't tell."""


class _Documents:
    """How many documents of a collection there were, and their CRC-64.

    Python has none that is fast, but xz has the very same (ECMA-182, reflected): so they are handed to liblzma as
    a block that is not packed, whose checksum it compares.
    """

    def __init__(self) -> None:
        self.count = 0
        self._waiting = bytearray()
        self._given = 0
        self._xz = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        self._xz.decompress(b"\xfd7zXZ\x00" + _STREAM_FLAGS + struct.pack("<L", zlib.crc32(_STREAM_FLAGS)))
        self._xz.decompress(_BLOCK_HEADER + struct.pack("<L", zlib.crc32(_BLOCK_HEADER)))

    def add(self, document: bytes) -> None:
        self.count += 1
        self._waiting += document
        if len(self._waiting) >= _CHUNK:
            self._give()

    def have(self, checksum: int) -> bool:
        self._give()
        end = b"\x00".ljust(1 + -(self._given + 1) % 4, b"\x00")
        try:
            self._xz.decompress(end + struct.pack("<Q", checksum))
        except lzma.LZMAError:
            return False
        return True

    def _give(self) -> None:
        for at in range(0, len(self._waiting), _CHUNK):
            chunk = self._waiting[at : at + _CHUNK]
            self._xz.decompress(b"\x01" + struct.pack(">H", len(chunk) - 1) + chunk)
            self._given += 3 + len(chunk)
        self._waiting.clear()


def read_archive(archive: BufferedReader) -> dict[str, int]:
    """By collection, such as shop.orders, how many documents are in it. Damaged, Unknown."""
    if not lzma.is_check_supported(lzma.CHECK_CRC64):
        raise Unknown("its liblzma knows no CRC-64")
    if archive.read(len(MAGIC)) != MAGIC:
        raise Damaged("it does not begin as an archive of mongodump does")
    version = _fields(_document(archive)).get("version")
    if version != _VERSION:
        raise Unknown(f"it is of the format {version!r}, and only {_VERSION} is known")
    listed = list(_listed(archive))
    if not listed:
        raise Damaged("there is no collection in it")
    ended = _read_blocks(archive)
    for names in listed:
        if not any(name in ended for name in names):
            raise Damaged(f"it was cut short: {names[0]} is missing")
    return ended


def _listed(archive: BufferedReader) -> Iterator[list[str]]:
    """The collections of the list, each by the names that its documents may have."""
    for document in _block(archive):
        said = _fields(document)
        database, name, metadata = (said.get(key) for key in ("db", "collection", "metadata"))
        if not isinstance(database, str) or not isinstance(name, str) or not isinstance(metadata, str):
            raise Damaged("its list of collections is damaged")
        if metadata:
            try:
                json.loads(metadata)
            except ValueError:
                raise Damaged(f"the indexes and options of {database}.{name} are damaged") from None
        yield [f"{database}.{prefix}{name}" for prefix in ("", _BUCKETS)[: 1 + (said.get("type") == "timeseries")]]


def _read_blocks(archive: BufferedReader) -> dict[str, int]:
    """By collection that came to its end, how many documents it has."""
    begun: dict[str, _Documents] = {}
    ended: dict[str, int] = {}
    while archive.peek(1):
        name, is_end, checksum = _block_header(_document(archive))
        if name in ended:
            raise Damaged(f"{name} goes on after its end")
        documents = begun.setdefault(name, _Documents())
        for document in _block(archive):
            if is_end:
                raise Damaged(f"{name} goes on after its end")
            documents.add(document)
        if is_end:
            if not documents.have(checksum):
                raise Damaged(f"the documents of {name} don't have the checksum that was written with them")
            ended[name] = begun.pop(name).count
    for name in begun:
        raise Damaged(f"it was cut short: {name} has no end")
    return ended


def _block_header(document: bytes) -> tuple[str, bool, int]:
    """The collection, whether this is its end, and the checksum, which only its end has."""
    said = _fields(document)
    is_end, checksum = said.get("EOF"), said.get("CRC")
    is_whole = set(said) == {"db", "collection", "EOF", "CRC"} and is_end in (0, 1) and isinstance(checksum, int)
    if not is_whole or (checksum and not is_end):
        raise Damaged("the header of a block is damaged")
    return f"{said['db']}.{said['collection']}", bool(is_end), int(checksum or 0) % 2**64


def _block(archive: BufferedReader) -> Iterator[bytes]:
    """The documents up to the end of the block."""
    while True:
        document = _document(archive)
        if document == _TERMINATOR:
            return
        yield document


def _document(archive: BufferedReader) -> bytes:
    """The next document, or the terminator of a block."""
    head = archive.read(4)
    if head == _TERMINATOR:
        return head
    size = int.from_bytes(head, "little")
    if len(head) == 4 and not _SMALLEST <= size <= _LARGEST:
        raise Damaged("something in it is no document")
    rest = archive.read(size - 4) if len(head) == 4 else b""
    if len(head) + len(rest) < max(size, 4):
        raise Damaged("it was cut short in the middle of a block")
    if rest[-1]:
        raise Damaged("a document in it has no end")
    return head + rest


def _fields(document: bytes) -> dict[str, Any]:
    """What a header says: BSON, of those kinds that mongodump writes there."""
    try:
        return dict(_each_field(document))
    except (ValueError, IndexError, struct.error):  # UnicodeDecodeError is a ValueError
        raise Damaged("a header in it is damaged") from None


def _each_field(document: bytes) -> Iterator[tuple[str, Any]]:
    at = 4
    while document[at]:
        kind = document[at]
        end = document.index(b"\x00", at + 1)
        name, at = document[at + 1 : end].decode(), end + 1
        if kind == 0x02:
            (size,) = struct.unpack_from("<L", document, at)
            text, at = document[at + 4 : at + 4 + size], at + 4 + size
            if text[-1]:
                raise ValueError(name)
            yield name, text[:-1].decode()
        else:
            form = {0x08: "<B", 0x10: "<l", 0x12: "<q"}.get(kind)
            if form is None:
                raise ValueError(name)
            yield name, struct.unpack_from(form, document, at)[0]
            at += struct.calcsize(form)
    if at != len(document) - 1:
        raise ValueError("there is more")


def told(archive: BufferedReader) -> dict[str, Any]:
    """What is wrong with it, why one can't tell, or how many documents are in it."""
    try:
        return {"holds": read_archive(archive)}
    except Damaged as fault:
        return {"fault": str(fault)}
    except Unknown as reason:
        return {"unknown": str(reason)}


if __name__ == "__main__":
    print(json.dumps(told(sys.stdin.buffer)))  # type: ignore[arg-type]  # noqa: T201 - whoever asked reads it
