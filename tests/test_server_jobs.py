"""Jobs that run by the clock: what a schedule means, which crontab counts, and how the last run ended."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from readygate.areas.servers.cron import Crontabs, observe_cron_job, parse_cron_run, parse_crontabs
from readygate.areas.servers.schedules import cron_schedule
from readygate.areas.servers.server import Server
from readygate.areas.servers.timers import ActualTimer, parse_timer
from readygate.errors import CouldNotLook, Mistake

# What a schedule means.


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("0 1 * * *", "0 1 * * *"),
        ("00 01 * * *", "0 1 * * *"),
        ("0\t1  * * *", "0 1 * * *"),
        ("@daily", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@reboot", "@reboot"),
        ("0 0 * * 7", "0 0 * * 0"),
        ("0 0 * * sun", "0 0 * * 0"),
        ("0 0 * * MON-FRI", "0 0 * * 1-5"),
        ("0 0 * * 0-6", "0 0 * * *"),
        ("0 0 * jan,feb,mar *", "0 0 * 1-3 *"),
        ("*/5 * * * *", "*/5 * * * *"),
        ("0,15,30,45 * * * *", "0,15,30,45 * * * *"),
        ("0-59 * * * *", "* * * * *"),
        ("*/1 * * * *", "* * * * *"),
        ("10-30/10 * * * *", "10,20,30 * * * *"),
        ("0 0 1-31 * 1", "0 0 * * *"),
        ("0 0 13 * 5", "0 0 13 * 5"),
    ],
)
def test_a_schedule_has_one_form_for_each_time_that_is_meant(text: str, form: str) -> None:
    assert cron_schedule(text) == form


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 1 * *", "not a schedule of cron"),
        ("0 25 * * *", "'25' is no hour; write 0 to 23"),
        ("60 * * * *", "no minute"),
        ("5/15 * * * *", "no step of a minute"),
        ("*/0 * * * *", "no step of a minute"),
        ("30-10 * * * *", "ends before it begins"),
        ("0 0 31 feb *", "never comes"),
        ("0 0 * * funday", "no day of the week"),
    ],
)
def test_a_schedule_that_cron_would_not_take_is_refused(text: str, message: str) -> None:
    with pytest.raises(Mistake, match=message):
        cron_schedule(text)
    with pytest.raises(ValidationError, match=message):
        declared({"backup": {"schedule": text}})


def test_a_schedule_is_compared_by_what_it_means() -> None:
    job = declared({"backup": {"schedule": "00 01 * * *"}})
    assert cron_schedule("0 1 * * *") in job.schedule
    assert cron_schedule("0 1 * * 0") not in job.schedule
    assert cron_schedule("0 3 * * *") in declared({"backup": {"schedule": ["@daily", "0 03 * * *"]}}).schedule


def declared(cron: dict[str, Any]) -> Any:
    """The one job of a server."""
    jobs = Server.model_validate({"connect": "local://", "cron": cron}).cron or {}
    ((name, job),) = jobs.items()
    job._named(name)
    return job


# Which crontab counts. Of the packages of Debian 12, which do nothing where systemd runs.

CERTBOT = """\
SHELL=/bin/sh
PATH=/usr/local/sbin:/usr/local/bin:/sbin:/bin:/usr/sbin:/usr/bin

0 */12 * * * root test -x /usr/bin/certbot -a \\! -d /run/systemd/system && perl -e 'sleep 1' && certbot -q renew
"""
LOGROTATE = """\
#!/bin/sh

# skip in favour of systemd timer
if [ -d /run/systemd/system ]; then
    exit 0
fi
/usr/sbin/logrotate /etc/logrotate.conf
"""
CRONTAB = "25 6\t* * *\troot\ttest -x /usr/sbin/anacron || ( cd / && run-parts --report /etc/cron.daily )\n"
BACKUP = "0 1 * * * postgres /usr/local/bin/backup\n"


def read(*files: tuple[str, str, str], system: str = "systemd debian ") -> Crontabs:
    """These files by path, mode (with links and owner, where it isn't root's own file) and text."""
    parts = (f"\0{path}\0{mode if ' ' in mode else f'{mode} 1 root'}\0{text}" for path, mode, text in files)
    entries = parse_crontabs(system + "".join(parts), unknown=("ghost",), dead=("/gone",))
    return Crontabs(tuple(entries), logging=1)


def found(crontabs: Crontabs, command: str = "/usr/local/bin/backup") -> Any:
    return observe_cron_job(declared({"job": {"command": command, "scheduled": True}}), crontabs)


def test_a_job_is_found_in_a_crontab_of_the_system() -> None:
    job = found(read(("/etc/cron.d/backup", "644", f"MAILTO=root\n# nightly\n{BACKUP}")))
    assert (job.scheduled, job.schedule, job.user) == (True, "0 1 * * *", "postgres")


def test_a_job_is_found_in_a_crontab_of_a_user() -> None:
    job = found(read(("/var/spool/cron/crontabs/deploy", "600", "@daily /usr/local/bin/backup --all\n")))
    assert (job.scheduled, job.schedule, job.user) == (True, "0 0 * * *", "deploy")


def test_a_script_that_run_parts_starts_is_a_job() -> None:
    script = ("/etc/cron.daily/backup", "755", "#!/bin/sh\n/usr/local/bin/pg-backup\n")
    job = found(read(("/etc/crontab", "644", CRONTAB), script), "/etc/cron.daily/backup")
    assert (job.scheduled, job.schedule, job.user) == (True, "25 6 * * *", "root")
    assert not found(read(script), "/etc/cron.daily/backup").scheduled


@pytest.mark.parametrize(
    ("command", "files", "told"),
    [
        ("certbot", [("/etc/cron.d/certbot", "644", CERTBOT)], "which has a timer for it"),
        (
            "/etc/cron.daily/logrotate",
            [("/etc/crontab", "644", CRONTAB), ("/etc/cron.daily/logrotate", "755", LOGROTATE)],
            "which has a timer for it",
        ),
        ("backup", [("/etc/cron.d/backup.cron", "644", BACKUP)], "for its name"),
        ("backup", [("/etc/cron.d/backup", "664", BACKUP)], "others may write"),
        ("backup", [("/etc/cron.d/backup", "644", BACKUP.rstrip())], "whose last line has no end"),
        ("backup", [("/etc/cron.d/backup", "644", BACKUP.replace("1", "25"))], "'25' is no hour"),
        ("backup", [("/etc/cron.d/backup", "644", f"{BACKUP}99 * * * * root true\n")], "'99' is no minute"),
        (
            "backup",
            [("/etc/cron.d/backup", "644", f"{BACKUP}0 1 * * * ghost true\n")],
            "whom the server does not know",
        ),
        ("backup", [("/etc/cron.d/backup", "644", BACKUP.replace("\n", "\r\n"))], "end as on Windows"),
        ("backup", [("/etc/cron.d/backup", "644 1 deploy", BACKUP)], "which belongs to deploy"),
        ("backup", [("/etc/cron.d/backup", "644 2 root", BACKUP)], "has a second name"),
        ("backup", [("/var/spool/cron/crontabs/deploy", "600 1 shop", "@daily backup\n")], "belongs to shop"),
        ("backup", [("/var/spool/cron/crontabs/deploy", "644 1 deploy", "@daily backup\n")], "others may read"),
        ("backup", [("/var/spool/cron/crontabs/ghost", "600 1 root", "@daily backup\n")], "does not know"),
        ("backup", [("/etc/cron.d/x", "644", "@daily root cd /$(date +%F) && backup\n")], "no crontab has backup"),
        (
            "cron.daily/backup",
            [("/etc/crontab", "644", CRONTAB), ("/etc/cron.daily/backup", "644", "#!/bin/sh\n")],
            "is not executable",
        ),
        ("backup", [("/etc/cron.d/x", "644", "@daily root backup $(date +%F)\n")], "within a quote or a $("),
        ("backup", [("/etc/cron.d/x", "644", '@daily root backup "%F"\n')], "within a quote or a $("),
        ("backup", [("/etc/cron.d/x", "644", "@daily root /gone; backup\n")], "is not there or not executable"),
        ("backup", [("/etc/cron.d/backup", "644", f"# {BACKUP}")], "no crontab has backup"),
    ],
)
def test_an_entry_that_cron_does_nothing_for_does_not_count(command: str, files: Any, told: str) -> None:
    job = found(read(*files), command)
    assert (job.scheduled, job.schedule, job.user) == (False, None, None)
    assert told in job.told


@pytest.mark.parametrize(
    "command",
    [
        "backup # don't wait",
        r"backup \"$(date +\%F)\"",
        "backup '$(' \"it's\"",
        "backup >/dev/null%words for it's input",
        "[ -x /gone ] && backup",
        "/gone/../backup",
    ],
)
def test_a_command_that_a_shell_can_run_counts(command: str) -> None:
    assert found(read(("/etc/cron.d/backup", "644", f"@daily root {command}\n")), "backup").scheduled


def test_a_line_parked_on_a_day_that_never_comes_stops_no_other() -> None:
    crontabs = read(("/etc/cron.d/backup", "644", f"{BACKUP}0 0 31 2 * root /off.sh\n"))
    assert found(crontabs).scheduled
    assert "never comes" in found(crontabs, "/off.sh").told


def test_a_cron_that_is_not_debian_s_leaves_out_the_wrong_line_only() -> None:
    files = ("/etc/cron.d/backup", "644", f"{BACKUP}99 * * * * root worse\n")
    assert found(read(files, system="systemd ")).scheduled
    assert not found(read(files, system="systemd "), "worse").scheduled


def test_a_script_of_alpine_is_a_job_unless_its_name_has_a_dot() -> None:
    crontab = ("/etc/crontabs/root", "600", "0 2 * * * run-parts /etc/periodic/daily\n")
    scripts = [(f"/etc/periodic/daily/{name}", "755", "#!/bin/sh\n") for name in ("backup", "rotate.sh")]
    crontabs = read(crontab, *scripts, system="")
    assert found(crontabs, "daily/backup").schedule == "0 2 * * *"
    assert "for its name" in found(crontabs, "daily/rotate.sh").told


def test_an_entry_that_steps_back_for_systemd_counts_where_there_is_none() -> None:
    assert found(read(("/etc/cron.d/certbot", "644", CERTBOT), system="debian "), "certbot").scheduled


def test_no_entry_counts_where_no_cron_runs() -> None:
    crontabs = read(("/etc/cron.d/backup", "644", BACKUP))
    assert "no cron runs" in found(Crontabs(crontabs.entries, None)).told


def test_two_entries_that_disagree_have_no_schedule() -> None:
    twice = read(("/etc/cron.d/a", "644", BACKUP), ("/etc/cron.d/b", "644", BACKUP.replace("1", "2")))
    job = found(twice)
    assert (job.scheduled, job.schedule, job.told) == (True, None, "2 entries run it")


# How the last run of cron ended. Recorded on a Debian 12.

JOURNAL = """\
1700000000
1699990000.1 app-1 CRON[70]: (root) CMD (/usr/local/bin/backup)
1699996400.2 app-1 CRON[80]: (root) CMD (/usr/local/bin/backup)
1699996410.3 app-1 CRON[79]: (CRON) error (grandchild #80 failed with exit status 3)
1699999990.4 app-1 CRON[90]: (root) CMD (/usr/local/bin/backup)
alive: /proc/1 /proc/{alive}
"""


def test_a_run_of_cron_that_failed_is_told() -> None:
    run = parse_cron_run(JOURNAL.format(alive=90), logging=5)
    assert run
    assert (round(run.ago_s), run.ended_well) == (3600, False)


@pytest.mark.parametrize(("logging", "ended_well"), [(5, True), (1, None)])
def test_a_run_that_logged_no_failure_ended_well_only_if_failures_are_logged(
    logging: int, ended_well: bool | None
) -> None:
    run = parse_cron_run(JOURNAL.format(alive=7), logging)
    assert run
    assert (round(run.ago_s), run.ended_well) == (10, ended_well)


def test_a_job_that_never_ran_has_no_run() -> None:
    assert parse_cron_run("1700000000\nalive: /proc/1\n", 5) is None


# Timers of systemd. Recorded on a Debian 12.

TIMER = """\
1795226400
4435.38
Unit=certbot.service
TimersCalendar={ OnCalendar=*-*-* 00,12:00:00 ; next_elapse=Sat 2026-11-21 12:00:00 UTC }
NextElapseUSecRealtime=Sat 2026-11-21 20:38:35 UTC
NextElapseUSecMonotonic=0
LastTriggerUSec=Sat 2026-11-21 01:00:00 UTC
ActiveState=active
=
Result=success
ActiveState=inactive
ExecMainExitTimestamp=Sat 2026-11-21 01:00:09 UTC
"""


def timer(**changed: str) -> ActualTimer:
    text = TIMER
    for key, value in changed.items():
        head, _, rest = text.rpartition(f"{key}=")
        text = f"{head}{key}={value}\n{rest.partition(chr(10))[2]}"
    return parse_timer(text)


def test_a_timer_is_read_with_its_times() -> None:
    sound = timer()
    assert (sound.scheduled, sound.schedule, sound.ended_well) == (True, "*-*-* 00,12:00:00", True)
    assert (sound.next_in_s, sound.last_ago_s) == (67_115, 3_600)


def test_a_timer_by_the_uptime_is_due_from_the_boot_on() -> None:
    boot = timer(NextElapseUSecRealtime="", NextElapseUSecMonotonic="1h 15min 3.5s", TimersCalendar="")
    assert boot.next_in_s == pytest.approx(4503.5 - 4435.38)
    assert (boot.scheduled, boot.schedule) == (True, None)


def test_a_timer_without_a_next_time_is_not_scheduled() -> None:
    assert not timer(NextElapseUSecRealtime="").scheduled
    assert timer(NextElapseUSecRealtime="", NextElapseUSecMonotonic="infinity").next_in_s is None


def test_a_timer_with_nothing_to_start_is_not_scheduled() -> None:
    masked = timer(ActiveState="inactive\nLoadState=masked")
    assert (masked.scheduled, masked.told) == (False, "certbot.service is masked, or isn't there")


def test_a_job_that_a_condition_kept_from_running_did_not_end_well() -> None:
    skipped = timer(Result="success\nConditionResult=no\nConditionTimestamp=Sat 2026-11-21 01:00:00 UTC")
    assert (skipped.ended_well, "did nothing" in skipped.told) == (False, True)
    assert timer(Result="success\nConditionResult=no\nConditionTimestamp=").ended_well


def test_a_job_that_failed_did_not_end_well() -> None:
    assert timer(Result="exit-code").ended_well is False


def test_a_timer_that_never_elapsed_has_no_last_run() -> None:
    never = timer(LastTriggerUSec="n/a")
    assert (never.last_ago_s, never.ended_well) == (None, None)


@pytest.mark.parametrize("changed", [{"ExecMainExitTimestamp": ""}, {"ActiveState": "activating"}])
def test_a_job_of_which_systemd_does_not_know_the_end_did_not_end_well_or_badly(changed: dict[str, str]) -> None:
    with pytest.raises(CouldNotLook):
        assert timer(**changed).ended_well


def test_a_calendar_can_be_declared_by_its_name() -> None:
    timers = Server.model_validate({"connect": "local://", "timers": {"a": {"schedule": "daily"}}}).timers or {}
    assert timers["a"].schedule
    assert "*-*-* 00:00:00" in timers["a"].schedule
