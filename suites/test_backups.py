"""What must hold of every backup: young enough, large enough, whole, and nobody else's to read."""

import pytest


@pytest.mark.check("backup.rpo", severity="blocker")
def test_newest_backup_is_no_older_than_what_we_may_lose(backup, artifacts):
    """Whatever was written since the newest backup is lost with the disk.

    Mend: see on the server why the job didn't run: its timer or crontab, its log, the room on the disk.
    """
    assert artifacts.age_s in backup.rpo


@pytest.mark.check("backup.count")
def test_there_are_enough_backups_to_go_back_to(backup, artifacts):
    """Damage that is noticed after three days needs a backup from before it.

    Mend: see whether the job ran each time, and whether the retention takes away too much.
    """
    assert artifacts.count in backup.count


@pytest.mark.check("backup.size", severity="blocker")
def test_newest_backup_is_as_large_as_a_real_one(backup, artifacts):
    """A dump that failed at once is small, recent, and looks like a backup to everything but its size.

    Mend: run the job by hand with `set -o pipefail` and read its errors.
    """
    assert artifacts.size in backup.size


@pytest.mark.check("backup.shrink")
def test_newest_backup_has_not_shrunk(backup, artifacts):
    """A database seldom loses half of its rows overnight; a dump of the wrong one does.

    Mend: compare what the newest and the one before hold; if it is right, say so by a waiver that ends.
    """
    assert artifacts.shrink_percent in backup.shrink


@pytest.mark.check("backup.mode", severity="blocker")
def test_newest_backup_can_be_read_by_no_one_else(backup, artifacts):
    """A backup has all of the data in it, and none of the application's permissions.

    Mend: run `umask 077` at the start of the job, and `chmod` on what is there.
    """
    assert artifacts.mode in backup.mode


@pytest.mark.check("backup.sound", severity="blocker")
def test_newest_backup_is_whole(backup, soundness):
    """A dump that was cut short restores without an error, and without the rest of the rows.

    Mend: run the job by hand with `set -o pipefail`, see why it breaks off, and write a new one now.
    """
    assert soundness.sound in backup.sound, soundness.reason


@pytest.mark.check("backup.holds", severity="blocker")
def test_newest_backup_holds_the_data(held, key, expected):
    """A backup of an empty database is young, whole and worth nothing.

    Mend: see which database the job reads, and with which user.
    """
    assert held.get(key) in expected
