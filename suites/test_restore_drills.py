"""What a restore has to show: a backup is proven by nothing else."""

import pytest

# A drill ends by its own `within`, and is never run ahead: it takes room and time on this machine.
pytestmark = [pytest.mark.live, pytest.mark.timeout(0)]


@pytest.mark.check("drill.every", severity="blocker")
def test_newest_backup_was_restored_not_long_ago(restore_drill, drill):
    """Until it was restored, a backup is a hope.

    Mend: run `readygate drill NAME`, and read at what the restore stopped.
    """
    assert drill.age_s in restore_drill.every, drill.reason


@pytest.mark.check("drill.rto")
def test_restore_is_as_quick_as_was_promised(restore_drill, drill):
    """This long everything stands still, after the decision to restore, on a machine like this.

    Mend: dump in the custom or directory format and restore it in parallel, or promise what is true.
    """
    assert drill.took_s in restore_drill.rto, drill.reason


@pytest.mark.check("drill.expect", severity="blocker")
def test_restored_data_answer_as_they_should(drill, key, expected):
    """A dump of the wrong or of an empty database restores without one error.

    Mend: see which database the job dumps, as which user, and with what it leaves out.
    """
    assert drill.answer(key) in expected, drill.reason


@pytest.mark.check("drill.newest", severity="blocker")
def test_newest_row_is_no_older_than_what_we_may_lose(drill, key, expected):
    """A fresh dump of a replica that stopped last week is a week old.

    Mend: see where the job dumps from, and whether that still follows its primary.
    """
    assert drill.newest_age_s(key) in expected, drill.reason


@pytest.mark.check("drill.tables", severity="blocker")
def test_all_tables_were_restored(restore_drill, drill):
    """A user who may not read a schema dumps all the others, and nobody is told.

    Mend: see what the dump leaves out: its `--table`, `--schema`, and the rights of its user.
    """
    assert drill.tables in restore_drill.tables, drill.reason


@pytest.mark.check("drill.constraints", severity="blocker")
def test_all_constraints_were_restored(restore_drill, drill):
    """They come last in a dump: all rows may be there, and nothing that keeps them right.

    Mend: see whether the dump ends as it should, and was not made with --data-only.
    """
    assert drill.constraints in restore_drill.constraints, drill.reason


@pytest.mark.check("drill.indexes")
def test_all_indexes_were_restored(restore_drill, drill):
    """Without its indexes the restored database is up, and too slow to serve.

    Mend: see whether the dump ends as it should, and was not made with --section=data.
    """
    assert drill.indexes in restore_drill.indexes, drill.reason


@pytest.mark.check("drill.sequences_behind", severity="blocker")
def test_restored_sequences_give_new_keys(restore_drill, drill):
    """All rows are there, and the first new one has the key of another: a replica gets rows, and no sequences.

    Mend: dump from the primary; after a restore set them by setval() to the largest key of their column.
    """
    behind = drill.sequences_behind
    why = f"behind: {', '.join(behind)}" if behind else drill.reason
    assert (None if behind is None else len(behind)) in restore_drill.sequences_behind, why


@pytest.mark.check("drill.extensions")
def test_needed_extensions_were_restored(restore_drill, drill):
    """What a query calls and nobody installed fails at the first visitor.

    Mend: install the extension where one restores, and see that the dump creates it.
    """
    assert drill.extensions in restore_drill.extensions, drill.reason


@pytest.mark.check("drill.rows", severity="blocker")
def test_restored_rows_are_about_as_many_as_the_live_ones(live_database, drill):
    """A table that the backup forgot is noticed by its rows before it is noticed by its users.

    Mend: compare the rows table by table; see what the dump leaves out, and how old it is.
    """
    assert drill.differs_percent in live_database.rows, drill.furthest
