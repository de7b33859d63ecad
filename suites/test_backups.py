"""What must hold of every backup: young enough, large enough, whole, and nobody else's to read."""

import pytest

pytestmark = pytest.mark.timeout(0)  # reading one through ends by its own `within`


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


@pytest.mark.check("backup.distinct")
def test_backups_differ_from_each_other(backup, distinct):
    """A rotation that copies one dump on and on looks like a week of them until one needs last Tuesday.

    Mend: see which step of the job still writes a new dump, and which only renames or copies the last one.
    """
    assert distinct.count in backup.distinct, distinct.reason


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


@pytest.mark.check("backup.continuous", severity="blocker")
def test_no_segment_of_the_log_is_missing(backup, continuity):
    """A recovery goes on until the first segment that isn't there, and drops what was written after it.

    Mend: make a new base backup now, then see in the server's log why archive_command lost the segment.
    """
    assert continuity.continuous in backup.continuous, continuity.reason


@pytest.mark.check("backup.holds", severity="blocker")
def test_newest_backup_holds_the_data(held, key, expected):
    """A backup of an empty database is young, whole and worth nothing.

    Mend: count the same in the live database: if it is gone there too, restore it from a backup that still holds it;
    else see which database the job reads, and with which user.
    """
    assert held.get(key) in expected


@pytest.mark.check("backup.missed", severity="blocker")
def test_backup_missed_no_run_of_its_schedule(backup, missed):
    """An RPO of 26 h lets one night pass unseen when it is looked at in the morning; the schedule does not.

    Mend: see on the server why the job didn't run or didn't end: its log, the disk, a lock that was left.
    """
    assert missed in backup.missed


@pytest.mark.check("backup.encrypted", severity="blocker")
def test_newest_backup_is_encrypted(backup, cipher):
    """Whoever gets hold of an open backup has all of the data, and needs no password.

    Mend: pipe the dump through age or gpg before it is written, and delete those that lie open.
    """
    assert cipher.encrypted in backup.encrypted, cipher.reason


@pytest.mark.check("backup.apart_from")
def test_newest_backup_is_on_another_disk(shelf, key, expected):
    """A backup on the disk that it protects is lost in the same second.

    Mend: write it to another disk or server, or copy it elsewhere at once.
    """
    assert shelf.is_apart_from(key) in expected


@pytest.mark.check("backup.room_for")
def test_there_is_room_for_the_next_backups(backup, shelf):
    """The night that the disk fills up leaves half a dump, and maybe a database that can't write.

    Mend: make room, keep fewer of them here, or move them to a larger disk.
    """
    assert shelf.room_for in backup.room_for


@pytest.mark.check("retention.daily")
def test_no_day_is_without_a_backup(retention, ladder):
    """The day that is missing is the one before the mistake.

    Mend: see in the job's log why it failed on that day, and whether the retention takes away too much.
    """
    assert ladder.daily in retention.daily


@pytest.mark.check("retention.weekly")
def test_no_week_is_without_a_backup(retention, ladder):
    """Damage that is found after the daily ones are gone needs a weekly one.

    Mend: see that the rotation keeps one of each week.
    """
    assert ladder.weekly in retention.weekly


@pytest.mark.check("retention.monthly")
def test_no_month_is_without_a_backup(retention, ladder):
    """What was deleted last quarter is in no backup of this week.

    Mend: see that the rotation keeps one of each month.
    """
    assert ladder.monthly in retention.monthly


@pytest.mark.check("retention.oldest")
def test_no_backup_is_kept_too_long(retention, ladder):
    """Data that had to be forgotten live on in old backups, and these fill the disk.

    Mend: see why the job that deletes old ones doesn't, and delete them.
    """
    assert ladder.oldest_s in retention.oldest


@pytest.mark.check("retention.reaches")
def test_backups_reach_back_far_enough(retention, ladder):
    """A rotation with a wrong number deletes what the audit asks for.

    Mend: see what the rotation is set to, where it really runs, and what its default is.
    """
    assert ladder.oldest_s in retention.reaches


@pytest.mark.check("offsite.rpo", severity="blocker")
def test_newest_copy_elsewhere_is_young_enough(offsite, copies):
    """When the server is gone, only what is elsewhere counts.

    Mend: run the upload by hand, and see why the job's own doesn't: a variable not set, a key that expired.
    """
    assert copies.age_s in offsite.rpo


@pytest.mark.check("offsite.count")
def test_there_are_enough_copies_elsewhere(offsite, copies):
    """A single copy is overwritten by the next upload, sound or not.

    Mend: see what the bucket's lifecycle rules delete, and that uploads don't share one name.
    """
    assert copies.count in offsite.count


@pytest.mark.check("offsite.same", severity="blocker")
def test_newest_backup_is_the_same_elsewhere(offsite, sameness):
    """An upload that broke off leaves a file with the right name.

    Mend: upload it again, and let the job end with an error where an upload does.
    """
    assert sameness.same in offsite.same, sameness.reason


@pytest.mark.check("offsite.versioned")
def test_bucket_keeps_what_is_overwritten(offsite, versioning):
    """Whoever breaks in deletes the backups first.

    Mend: turn versioning or object lock on for the bucket, and give the server a key that can't delete.
    """
    assert versioning in offsite.versioned


@pytest.mark.check("offsite.locked")
def test_nobody_can_delete_the_newest_copy(offsite, lock):
    """A key that can delete is stolen with the server, and versions can be deleted, too.

    Mend: turn object lock on for the bucket, with a default retention in compliance mode.
    """
    assert lock.left_s in offsite.locked, lock.reason
