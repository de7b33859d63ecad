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
