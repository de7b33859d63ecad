"""What must hold of the repositories of restic, borg and pgBackRest: added to, kept, and readable to the end."""

import pytest

pytestmark = pytest.mark.timeout(0)  # reading all of it ends by its own `within`


@pytest.mark.check("backup_repository.rpo", severity="blocker")
def test_newest_backup_in_the_repository_is_young_enough(backup_repository, snapshots):
    """A repository that is always there hides that nothing was added to it.

    Mend: run the backup by hand on the server, and see whether a lock was left or a password changed.
    """
    assert snapshots.age_s in backup_repository.rpo


@pytest.mark.check("backup_repository.count")
def test_repository_holds_enough_backups(backup_repository, snapshots):
    """Damage that is noticed after three days needs a backup from before it.

    Mend: see what the tool's retention keeps, and when it last ran.
    """
    assert snapshots.count in backup_repository.count


@pytest.mark.check("backup_repository.size", severity="blocker")
def test_newest_backup_in_the_repository_holds_something(backup_repository, newest_size):
    """A backup of a folder whose disk was not mounted is young, whole, and empty.

    Mend: see on the server what the job backs up, and let it end with an error where that isn't there.
    """
    assert newest_size in backup_repository.size


@pytest.mark.check("backup_repository.whole", severity="blocker")
def test_all_of_the_repository_can_be_read(backup_repository, wholeness):
    """Each backup builds on those before, so one pack with other bytes in it can take them all away.

    Mend: repair it as the tool's manual says, make a full backup now, and have the disk looked at.
    """
    assert wholeness.whole in backup_repository.whole, wholeness.reason


@pytest.mark.check("backup_repository.missed", severity="blocker")
def test_repository_missed_no_run_of_its_schedule(backup_repository, repository_missed):
    """An RPO of 26 h lets one night pass unseen when it is looked at in the morning; the schedule does not.

    Mend: see on the server why the job didn't run or didn't end: its log, and a lock that was left in the repository.
    """
    assert repository_missed in backup_repository.missed


@pytest.mark.check("repository_retention.daily")
def test_no_day_is_without_a_backup_in_the_repository(repository_retention, repository_ladder):
    """The day that is missing is the one before the mistake.

    Mend: see in the job's log why it failed on that day, and what `forget`, `prune` or `expire` keep.
    """
    assert repository_ladder.daily in repository_retention.daily


@pytest.mark.check("repository_retention.weekly")
def test_no_week_is_without_a_backup_in_the_repository(repository_retention, repository_ladder):
    """Damage that is found after the daily ones are gone needs a weekly one.

    Mend: see that what is kept includes one of each week.
    """
    assert repository_ladder.weekly in repository_retention.weekly


@pytest.mark.check("repository_retention.monthly")
def test_no_month_is_without_a_backup_in_the_repository(repository_retention, repository_ladder):
    """What was deleted last quarter is in no backup of this week.

    Mend: see that what is kept includes one of each month.
    """
    assert repository_ladder.monthly in repository_retention.monthly


@pytest.mark.check("repository_retention.oldest")
def test_no_backup_is_kept_too_long_in_the_repository(repository_retention, repository_ladder):
    """Data that had to be forgotten live on in old backups.

    Mend: see why `forget`, `prune` or `expire` doesn't run; a lock that was left keeps them from it.
    """
    assert repository_ladder.oldest_s in repository_retention.oldest


@pytest.mark.check("repository_retention.reaches")
def test_repository_reaches_back_far_enough(repository_retention, repository_ladder):
    """A retention with a wrong number deletes what the audit asks for.

    Mend: see what `forget`, `prune` or `expire` are told to keep, and whose backups they group together.
    """
    assert repository_ladder.oldest_s in repository_retention.reaches


@pytest.mark.check("backup_repository.lock_age")
def test_no_lock_was_left_on_the_repository(backup_repository, oldest_lock):
    """A lock that a killed `prune` left stops each backup after it; one of a killed backup, each `forget`.

    Mend: see that nobody works on it any more, then run `restic unlock`, and find out what was killed.
    """
    assert oldest_lock.age_s in backup_repository.lock_age, oldest_lock.reason
