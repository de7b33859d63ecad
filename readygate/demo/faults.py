"""Ways to break the demo, one thing at a time, and the checks that must notice each of them.

A fault changes either the settings before the shop is prepared, or the prepared directory before it serves.
"""

from __future__ import annotations

import gzip
import os
import sqlite3
import ssl
import time
import warnings
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from readygate.demo.backups import newest_database_backup
from readygate.demo.certificates import CHAIN, KEY
from readygate.demo.pages import ShopPages
from readygate.demo.settings import Settings
from readygate.demo.shop import CONFIG, DATABASE

Adjust = Callable[[Settings], Settings]
Spoil = Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to be broken.

    `caught_by` are the ids of all checks that no longer pass; it is empty where there is nothing left to look at.
    """

    name: str
    summary: str
    caught_by: tuple[str, ...] = ()
    adjust: Adjust = lambda settings: settings
    spoil: Spoil = lambda directory: None


FAULTS: dict[str, Fault] = {}


def _in_settings(name: str, summary: str, *caught_by: str) -> Callable[[Adjust], Adjust]:
    def register(adjust: Adjust) -> Adjust:
        FAULTS[name] = Fault(name, summary, caught_by, adjust=adjust)
        return adjust

    return register


def _in_directory(name: str, summary: str, *caught_by: str) -> Callable[[Spoil], Spoil]:
    def register(spoil: Spoil) -> Spoil:
        FAULTS[name] = Fault(name, summary, caught_by, spoil=spoil)
        return spoil

    return register


# Certificate and protocol


@_in_settings("expired-certificate", "The certificate ran out yesterday.", "tls.renew_before", "tls.trusted")
def _expired_certificate(settings: Settings) -> Settings:
    return replace(settings, certificate_left=timedelta(days=-1))


@_in_settings("wrong-hostname", "The certificate is for another name.", "tls.matches_host")
def _wrong_hostname(settings: Settings) -> Settings:
    return replace(settings, certificate_names=("shop.example",))


@_in_directory("untrusted-chain", "The server does not send the intermediate certificate.", "tls.trusted")
def _untrusted_chain(directory: Path) -> None:
    chain = directory / CHAIN
    end = "-----END CERTIFICATE-----\n"
    leaf, _, _ = chain.read_text().partition(end)
    chain.write_text(leaf + end)


def _old_protocol(settings: Settings) -> Settings:
    return replace(settings, oldest_protocol=ssl.TLSVersion.TLSv1, ciphers="DEFAULT:@SECLEVEL=0")


def _speaks_old_protocols() -> bool:
    """Whether the local OpenSSL still can: some distributions build it without TLS 1.0 and 1.1."""
    if not (ssl.HAS_TLSv1 and ssl.HAS_TLSv1_1):
        return False
    try:
        with warnings.catch_warnings(action="ignore"):
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).minimum_version = ssl.TLSVersion.TLSv1
    except ValueError:
        return False
    return True


if _speaks_old_protocols():
    _in_settings("old-protocol", "The server still accepts TLS 1.0 and 1.1.", "tls.protocols")(_old_protocol)


# HTTP


@_in_settings("slow-endpoint", "The list of products takes 1.5 seconds.", "http.within")
def _slow_endpoint(settings: Settings) -> Settings:
    return replace(settings, pages=_SlowPages)


class _SlowPages(ShopPages):
    def products(self) -> None:
        time.sleep(1.5)
        super().products()


@_in_settings("wrong-version", "The release before this one is still running.", "http.json")
def _wrong_version(settings: Settings) -> Settings:
    return replace(settings, version="1.4.1")


@_in_directory("failing-health", "The database was not migrated, so /health answers 503.", "http.status", "http.json")
def _failing_health(directory: Path) -> None:
    with closing(sqlite3.connect(directory / DATABASE)) as database:
        database.execute("pragma user_version = 6")


@_in_settings("missing-header", "Strict-Transport-Security is not sent.", "site.headers", "http.headers")
def _missing_header(settings: Settings) -> Settings:
    kept = tuple(header for header in settings.headers if header[0] != "Strict-Transport-Security")
    return replace(settings, headers=kept)


@_in_settings("no-redirect", "Plain HTTP serves the shop instead of redirecting.", "site.redirects_http")
def _no_redirect(settings: Settings) -> Settings:
    return replace(settings, plain_pages=ShopPages)


# Server


@_in_settings("open-port", "A port that must be closed answers.", "port.listening")
def _open_port(settings: Settings) -> Settings:
    return replace(settings, open_ports=(settings.extra_port,))


@_in_directory("readable-secret", "Everyone on the server can read the secrets.", "file.mode")
def _readable_secret(directory: Path) -> None:
    (directory / CONFIG).chmod(0o644)


@_in_directory("dead-service", "The service dies as it starts: its private key is gone.")
def _dead_service(directory: Path) -> None:
    (directory / KEY).unlink()


# Backups


@_in_settings("stale-backup", "The newest backups are three days old.", "backup.rpo")
def _stale_backup(settings: Settings) -> Settings:
    return replace(settings, newest_backup=timedelta(days=3))


@_in_settings("missing-backups", "Only two days of backups are left.", "backup.count")
def _missing_backups(settings: Settings) -> Settings:
    return replace(settings, backups=2)


@_in_directory("corrupt-backup", "Bytes in the newest database backup have flipped.", "backup.sound", "backup.holds")
def _corrupt_backup(directory: Path) -> None:
    def flip(packed: bytes) -> bytes:
        middle = len(packed) // 2
        flipped = bytes(byte ^ 0xFF for byte in packed[middle : middle + 16])
        return packed[:middle] + flipped + packed[middle + 16 :]

    _rewrite_newest(directory, flip)


@_in_directory(
    "truncated-database-backup",
    "The newest backup unpacks to half a database.",
    "backup.sound",
    "backup.holds",
    "backup.size",
    "backup.shrink",
)
def _truncated_database_backup(directory: Path) -> None:
    def halve(packed: bytes) -> bytes:
        database = gzip.decompress(packed)
        return gzip.compress(database[: len(database) // 2])

    _rewrite_newest(directory, halve)


@_in_directory(
    "empty-backup",
    "The newest backup is 20 bytes: the dump failed and gzip packed nothing.",
    "backup.rpo",
    "backup.sound",
    "backup.holds",
    "backup.size",
    "backup.shrink",
    "backup.count",
)
def _empty_backup(directory: Path) -> None:
    _rewrite_newest(directory, lambda _: gzip.compress(b""))


@_in_directory("empty-table", "The newest backup restores, but without any orders.", "backup.holds")
def _empty_table(directory: Path) -> None:
    def lose_orders(packed: bytes) -> bytes:
        restored = directory / "restored.db"
        restored.write_bytes(gzip.decompress(packed))
        with closing(sqlite3.connect(restored)) as database, database:
            # The bytes of the rows stay in free pages, so that the size gives nothing away.
            database.execute("pragma secure_delete = off")
            database.execute("delete from orders")
        emptied = restored.read_bytes()
        restored.unlink()
        return gzip.compress(emptied)

    _rewrite_newest(directory, lose_orders)


def _rewrite_newest(directory: Path, change: Callable[[bytes], bytes]) -> None:
    """Change the newest database backup and keep its age, which is another fault's matter."""
    backup = newest_database_backup(directory)
    age = backup.stat()
    backup.write_bytes(change(backup.read_bytes()))
    os.utime(backup, ns=(age.st_atime_ns, age.st_mtime_ns))
