"""Archives of mongodump: sound as its own code writes them, and damaged as they are in life."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import re
import shutil
import struct
import zlib
from base64 import b64decode
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from readygate.areas.backups.mongo_archive import MAGIC, told
from readygate.errors import CouldNotLook
from tests.holding import held
from tests.test_area_backups import declared, flipped, why, write

# Written by the package common/archive of mongodb/mongo-tools itself: 3 orders, 2 users, and nothing else.
BY_MONGODUMP = zlib.decompress(
    b64decode("""
eNrNlctKw1AQhifBS10IxQcQObgsISlKqZeNRUEFBbciIW2OGkxySpJG2xq8PYVv4kJ8AHe+gi/RpU5OtE16TYtQz6adf87MfPOTptbn88M5AGQr
zK7UHIfanlphpkkrnsFsF2YwJ/rUcTHigSwpILrUQU391edQL0iytA6ix5jZ1jOoK7IsFaU1gNewk16GWfx0L1kVxM4c3qGGXV0QLeppuuZpcIta
k7AqByEbzSBHDFunNxSD0ybxUSKrds0qU2ff9sgGyRO8ckXrYUI19J68QgK8YGsWxQAvqCQ4y5EOxVGU4RwkgKxrNCjwM5KdWlWv/g/YOUeS/X0Y
+yKKGn71qdpt/9OUVojjJDd5GbZJ+GyWjYvYAo0pLYAUSe63YdzzKDJHT3ofTAk9AknSb//QC2HQ/dyzqsninvNLseIvPIXRDTK7x3sAS6WTErTP
OKVCb+lWStP7jV4Ol0CXeCCGrvGBDrtekWNZoSerxLJiTzY/AVm0WUlZOLx/VOq8fmesH/Qgayfo0sflzXQv9b82edzREfnHXQt8oXXAy4tpXiaD
zEtfPIln0Z/JoNnjlPeZ/g3iMhvj
""")
)
END = b"\xff\xff\xff\xff"


def crc64(data: bytes) -> int:
    """As Go's hash/crc64 with the table ECMA has it, bit by bit."""
    crc = 2**64 - 1
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xC96C5795D7870F42 if crc & 1 else 0)
    return crc ^ (2**64 - 1)


def bson(**fields: str | int | bool) -> bytes:
    """A document: a text, a flag, and a number of 64 bits or, by a name in small letters, of 32."""
    body = b""
    for name, value in fields.items():
        key = name.encode() + b"\0"
        if isinstance(value, str):
            body += b"\x02" + key + struct.pack("<l", len(value.encode()) + 1) + value.encode() + b"\0"
        elif isinstance(value, bool):
            body += b"\x08" + key + struct.pack("<?", value)
        else:
            body += (
                b"\x10" + key + struct.pack("<l", value)
                if name.islower()
                else b"\x12" + key + value.to_bytes(8, "little")
            )
    return struct.pack("<l", len(body) + 5) + body + b"\0"


def prelude(*listed: tuple[str, str, str], version: str = "0.1") -> bytes:
    """The list of collections, by database, name and type."""
    header = bson(concurrent_collections=4, version=version, server_version="7.0.5", tool_version="100.9.4")
    metadata = json.dumps({"options": {}, "indexes": [{"v": 2, "key": {"_id": 1}, "name": "_id_"}]})
    entries = [bson(db=db, collection=name, metadata=metadata, size=0, type=kind) for db, name, kind in listed]
    return MAGIC + header + b"".join(entries) + END


def block(db: str, name: str, documents: Iterable[bytes] = ()) -> bytes:
    return bson(db=db, collection=name, EOF=False, CRC=0) + b"".join(documents) + END


def end(db: str, name: str, documents: Iterable[bytes] = ()) -> bytes:
    return bson(db=db, collection=name, EOF=True, CRC=crc64(b"".join(documents))) + END


ORDERS = [bson(_id=number, name=f"order {number}") for number in range(30)]
USERS = [bson(_id=number, name="x" * 900) for number in range(100)]
LISTED = [("shop", "orders", ""), ("shop", "users", ""), ("shop", "none", ""), ("shop", "late", "view")]
LISTED += [("shop", "heat", "timeseries"), ("", "oplog", "")]
PARTS = {
    "prelude": prelude(*LISTED),
    "orders": block("shop", "orders", ORDERS[:10]),
    "users": block("shop", "users", USERS[:99]),
    "more orders": block("shop", "orders", ORDERS[10:]),
    "more users": block("shop", "users", USERS[99:]),
    "end of users": end("shop", "users", USERS),
    "none": block("shop", "none") + end("shop", "none"),
    "late": block("shop", "late") + end("shop", "late"),
    "heat": block("shop", "system.buckets.heat", ORDERS) + end("shop", "system.buckets.heat", ORDERS),
    "end of orders": end("shop", "orders", ORDERS),
    "oplog": block("", "oplog") + end("", "oplog"),
}
WHOLE = b"".join(PARTS.values())


def changed(**parts: bytes) -> bytes:
    """The archive with other parts, by their names with underscores."""
    return b"".join((PARTS | {name.replace("_", " "): part for name, part in parts.items()}).values())


def seen(data: bytes) -> dict[str, object]:
    return told(io.BufferedReader(io.BytesIO(data)))  # type: ignore[arg-type]


def test_the_checksum_is_the_one_that_go_has() -> None:
    assert crc64(b"123456789") == 0x995DC9BBDF1939FA


def test_what_mongodump_itself_wrote_is_understood(tmp_path: Path) -> None:
    counts = {".oplog": 0, "shop.active_users": 0, "shop.big": 0, "shop.empty": 0, "shop.orders": 3, "shop.users": 2}
    assert seen(BY_MONGODUMP) == {"holds": counts}
    assert why(write(tmp_path / "shop.archive", BY_MONGODUMP)) is None
    assert not [size for size in range(len(BY_MONGODUMP)) if "fault" not in seen(BY_MONGODUMP[:size])]


SOUND: dict[str, Callable[[bytes], bytes]] = {
    "shop.archive": bytes,
    "shop.archive.gz": gzip.compress,
    "shop.archive.bz2": bz2.compress,
    "shop.gz": gzip.compress,
}


@pytest.mark.parametrize("name", SOUND)
def test_a_whole_archive_is_sound(tmp_path: Path, name: str) -> None:
    assert why(write(tmp_path / name, SOUND[name](WHOLE))) is None
    assert why(write(tmp_path / name, SOUND[name](changed(end_of_users=b""))))


DAMAGED = {
    "empty": (b"", "it is empty"),
    "garbage": (b"\x07garbage" * 999, "does not begin as an archive of mongodump"),
    "an error page": (b"<html><body>502 Bad Gateway</body></html>", "does not begin as an archive of mongodump"),
    "no collection": (prelude(), "no collection in it"),
    "only the list": (PARTS["prelude"], "cut short: shop.orders is missing"),
    "a collection without its end": (changed(end_of_orders=b""), "cut short: shop.orders has no end"),
    "a view that is missing": (changed(late=b""), "cut short: shop.late is missing"),
    "a time series that is missing": (changed(heat=b""), "cut short: shop.heat is missing"),
    "a document that is missing": (
        changed(orders=block("shop", "orders", ORDERS[:9])),
        "orders don't have the checksum",
    ),
    "documents in another order": (
        changed(orders=PARTS["more orders"], more_orders=PARTS["orders"]),
        "orders don't have the checksum",
    ),
    "another checksum": (changed(end_of_users=end("shop", "users", USERS[1:])), "users don't have the checksum"),
    "a document after the end": (WHOLE + PARTS["orders"], "shop.orders goes on after its end"),
    "a document in the end": (
        changed(end_of_users=PARTS["end of users"][:-4] + USERS[0] + END),
        "users goes on after",
    ),
    "a block without a header": (changed(orders=END), "a header in it is damaged"),
    "garbage after its end": (WHOLE + b"\0" * 512, "something in it is no document"),
    "two archives in one": (WHOLE + WHOLE, "something in it is no document"),
    "the header of something else": (
        WHOLE + bson(db="shop", collection="more") + END,
        "header of a block is damaged",
    ),
    "indexes that are damaged": (
        WHOLE.replace(b'"indexes": [', b'"indexes": {', 1),
        "indexes and options of shop.orders",
    ),
    "a document without its end": (changed(orders=PARTS["orders"][:-5] + b"\1" + END), "has no end"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_archive_is_not_sound(tmp_path: Path, damage: str) -> None:
    data, reason = DAMAGED[damage]
    assert re.search(reason, why(write(tmp_path / "shop.archive", data)) or "sound")
    if data:
        assert re.search(reason, why(write(tmp_path / "shop.archive.gz", gzip.compress(data))) or "sound")


def test_an_archive_cut_anywhere_is_not_sound(tmp_path: Path) -> None:
    assert not [size for size in range(0, len(WHOLE), 101) if "fault" not in seen(WHOLE[:size])]
    between = [sum(map(len, list(PARTS.values())[:parts])) for parts in range(len(PARTS))]
    assert not [size for size in between if "fault" not in seen(WHOLE[:size])]
    packed = gzip.compress(WHOLE)
    for share in (0.01, 0.5, 0.99):
        assert why(write(tmp_path / "shop.archive.gz", packed[: int(len(packed) * share)]))


def test_a_flipped_byte_after_the_list_is_always_seen() -> None:
    begins = len(PARTS["prelude"])
    places = [*range(begins, begins + 999), *range(begins, len(WHOLE), 499), *range(len(WHOLE) - 999, len(WHOLE))]
    assert not [at for at in places if "fault" not in seen(flipped(WHOLE, at))]


def test_an_archive_of_an_unknown_format_is_not_called_sound(tmp_path: Path) -> None:
    write(tmp_path / "shop.archive", WHOLE.replace(b"\x000.1\x00", b"\x000.2\x00", 1))
    with pytest.raises(CouldNotLook, match=r"of the format '0\.2', and only 0\.1 is known"):
        why(tmp_path / "shop.archive")


def test_a_server_without_python_can_not_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ["sh", "timeout", "cat", "dd", "tail", "head", "stat", "find", "date", "base64", "xargs"]:
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    monkeypatch.setenv("PATH", str(tools))
    write(tmp_path / "shop.archive", WHOLE)
    with pytest.raises(CouldNotLook, match=r"python3.*not found"):
        why(tmp_path / "shop.archive")


def test_documents_are_counted(tmp_path: Path) -> None:
    write(tmp_path / "shop.archive.gz", gzip.compress(WHOLE))
    for holds, expected in (
        ({"orders": 30, "shop.users": ">99", "none": 0, "oplog": 0}, True),
        ({"orders": ">30"}, False),
        ({"nothing": "!=7"}, False),
    ):
        assert held("backups", declared(tmp_path, "*.archive.gz", holds=holds)) == {"backup.holds": expected}
    two = prelude(("shop", "orders", ""), ("old", "orders", ""))
    two += b"".join(block(db, "orders", ORDERS) + end(db, "orders", ORDERS) for db in ("shop", "old"))
    write(tmp_path / "shop.archive.gz", gzip.compress(two))
    assert held("backups", declared(tmp_path, "*.archive.gz", holds={"old.orders": 30})) == {"backup.holds": True}
    with pytest.raises(CouldNotLook, match="several databases have a collection orders"):
        held("backups", declared(tmp_path, "*.archive.gz", holds={"orders": 30}))
