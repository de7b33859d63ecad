"""What must hold of the jobs that run by the clock: those of cron, and of the timers of systemd."""

import pytest


@pytest.mark.check("cron.scheduled", severity="blocker")
def test_job_is_in_a_crontab_that_cron_takes(cron_job, actual_cron_job):
    """Cron passes over a file with a dot in its name, or that others may write, and says nothing.

    Mend: start cron where none runs, and see that the command can be started; else put the line into a file of
    /etc/cron.d that is named in letters only and that root alone may write.
    """
    assert actual_cron_job.scheduled in cron_job.scheduled, actual_cron_job.told


@pytest.mark.check("cron.schedule")
def test_job_is_due_when_declared(cron_job, actual_cron_job):
    """One column too many, and the nightly backup is a yearly one.

    Mend: write the declared schedule into the crontab.
    """
    assert actual_cron_job.schedule in cron_job.schedule, actual_cron_job.told


@pytest.mark.check("cron.user")
def test_job_runs_as_the_declared_user(cron_job, actual_cron_job):
    """As root it can do more harm than good; as another user it can't read what it should save.

    Mend: change the user in the crontab, which is the sixth column in /etc/cron.d.
    """
    assert actual_cron_job.user in cron_job.user, actual_cron_job.told


@pytest.mark.check("cron.last_ran")
def test_job_was_started_lately(cron_job, cron_run):
    """A line in a crontab is a wish; the journal says whether cron has fulfilled it.

    Mend: see with `systemctl status cron` (crond) whether cron runs, and with `journalctl -t CRON` whether it took
    the file.
    """
    assert (cron_run and cron_run.ago_s) in cron_job.last_ran


@pytest.mark.check("cron.ended_well", severity="blocker")
def test_job_ended_well_the_last_time(cron_job, cron_ending):
    """Cron mails its failures to a mailbox that nobody has opened in years.

    Mend: run the command by hand as the user that it runs as, with the few variables that cron sets.
    """
    assert cron_ending in cron_job.ended_well


@pytest.mark.check("timer.scheduled", severity="blocker")
def test_timer_is_active_and_will_elapse(timer, actual_timer):
    """A timer that was enabled and not started runs nothing until the next reboot.

    Mend: run `systemctl enable --now` for it.
    """
    assert actual_timer.scheduled in timer.scheduled, actual_timer.told


@pytest.mark.check("timer.schedule")
def test_timer_is_due_when_declared(timer, actual_timer):
    """A renewal once a month comes too late for a certificate that has a week left.

    Mend: set `OnCalendar=` by `systemctl edit`, with an empty one before it to drop what was there.
    """
    assert actual_timer.schedule in timer.schedule


@pytest.mark.check("timer.next_run")
def test_timer_is_due_soon(timer, actual_timer):
    """A time that never comes, as 31 February, looks like any other in the file.

    Mend: see with `systemd-analyze calendar` when the timer is due.
    """
    assert actual_timer.next_in_s in timer.next_run


@pytest.mark.check("timer.last_ran")
def test_timer_was_due_lately(timer, actual_timer):
    """A timer that hasn't elapsed has renewed nothing, however well it is set.

    Mend: see with `systemctl status` whether it is active, and since when.
    """
    assert actual_timer.last_ago_s in timer.last_ran


@pytest.mark.check("timer.ended_well", severity="blocker")
def test_what_the_timer_started_ended_well(timer, actual_timer):
    """The timer goes on while each of its runs fails.

    Mend: read `journalctl -u` for the service that the timer starts, mend the cause and start it once by hand.
    """
    assert actual_timer.ended_well in timer.ended_well, actual_timer.told
