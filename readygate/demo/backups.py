"""The shop's daily backups, as its cron job would have left them behind."""

from __future__ import annotations

import gzip
import os
import sqlite3
import tarfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from readygate.demo.shop import DATABASE, UPLOADS

BACKUPS = "backups"


def make_backups(directory: Path, *, count: int, newest: timedelta) -> None:
    """Back up the database and the uploads on each of `count` days, for the last time `newest` ago."""
    (directory / BACKUPS).mkdir()
    last = datetime.now(UTC) - newest
    for moment in (last - timedelta(days=day) for day in range(count)):
        for backup in (_back_up_database(directory, moment), _back_up_uploads(directory, moment)):
            os.utime(backup, (moment.timestamp(), moment.timestamp()))


def newest_database_backup(directory: Path) -> Path:
    """The backup that a restore would take."""
    return max((directory / BACKUPS).glob("shop-*.db.gz"))


def _back_up_database(directory: Path, moment: datetime) -> Path:
    """A copy of the database as it was at that moment, without the orders that came later."""
    copy = directory / BACKUPS / "shop.db.part"
    with (
        closing(sqlite3.connect(directory / DATABASE)) as database,
        closing(sqlite3.connect(copy)) as target,
    ):
        database.backup(target)
        target.execute("delete from orders where ordered_at > ?", (moment.isoformat(timespec="seconds"),))
        target.commit()
    backup = directory / BACKUPS / f"shop-{moment:%Y%m%d}.db.gz"
    backup.write_bytes(gzip.compress(copy.read_bytes()))
    copy.unlink()
    return backup


def _back_up_uploads(directory: Path, moment: datetime) -> Path:
    backup = directory / BACKUPS / f"media-{moment:%Y%m%d}.tar.gz"
    with tarfile.open(backup, "w:gz") as archive:
        archive.add(directory / UPLOADS, arcname=UPLOADS)
    return backup
