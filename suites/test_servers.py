"""What must hold of the servers themselves: system, updates, packages, services, processes, commands."""

import pytest


@pytest.mark.check("system.os")
def test_system_is_of_the_declared_distribution(system, actual_system):
    """Whoever mends it at night types the commands of the distribution that the runbook is for.

    Mend: set the server up anew from the image that was meant, or declare this one.
    """
    assert actual_system.os in system.os


@pytest.mark.check("system.release")
def test_system_is_of_the_declared_release(system, actual_system):
    """A release that is out of support gets no more security updates, and nothing says so.

    Mend: upgrade the server to a release that is supported.
    """
    assert actual_system.release in system.release


@pytest.mark.check("system.codename")
def test_system_has_the_declared_codename(system, actual_system):
    """Package sources are named by it; those of another release break the next upgrade.

    Mend: upgrade the server, or see which sources of packages it was set up with.
    """
    assert actual_system.codename in system.codename


@pytest.mark.check("system.kernel")
def test_kernel_is_of_the_declared_version(system, actual_system):
    """A new kernel that is installed mends nothing until the server has booted it.

    Mend: install the kernel and reboot in the next maintenance window.
    """
    assert actual_system.kernel in system.kernel


@pytest.mark.check("system.architecture")
def test_system_is_of_the_declared_architecture(system, actual_system):
    """An image for another architecture starts with an exec format error, or runs emulated and slow.

    Mend: move to a server of this architecture, or build the images for both.
    """
    assert actual_system.architecture in system.architecture


@pytest.mark.check("system.hostname")
def test_server_calls_itself_by_the_declared_name(system, actual_system):
    """Logs and alerts carry this name, and lead whoever is on call to the wrong server.

    Mend: run `hostnamectl set-hostname`, and see that /etc/hosts has the name.
    """
    assert actual_system.hostname in system.hostname


@pytest.mark.check("system.timezone")
def test_server_is_in_the_declared_time_zone(system, actual_system):
    """Cron counts in this zone: a backup at 01:00 runs in the middle of another one's day, or twice in October.

    Mend: run `timedatectl set-timezone` with the declared zone, then restart cron.
    """
    assert actual_system.timezone in system.timezone


@pytest.mark.check("system.locale")
def test_server_has_the_declared_locale(system, actual_system):
    """A database that is made under another locale sorts otherwise, and a program under C fails at the first umlaut.

    Mend: run `localectl set-locale`, or write LANG into /etc/default/locale, and log in anew.
    """
    assert actual_system.locale in system.locale


@pytest.mark.check("system.cpus")
def test_server_has_the_declared_processors(system, actual_system):
    """A server that was made smaller to save money serves less, and shows it only under load.

    Mend: resize the server, or declare what it is to have.
    """
    assert actual_system.cpus in system.cpus


@pytest.mark.check("system.uptime")
def test_server_has_not_booted_just_now(system, actual_system):
    """A reboot that nobody ordered was a crash, and the next one is under way.

    Mend: read `journalctl -b -1 -e` and `last -x` for what ended the time before.
    """
    assert actual_system.uptime_s in system.uptime


@pytest.mark.check("updates.security", severity="blocker")
def test_no_security_update_is_waiting(updates, pending_updates):
    """The hole is public from the day of the update, and so is the way in.

    Mend: run `apt-get upgrade`, and let unattended-upgrades do it from then on.
    """
    assert len(pending_updates.security) in updates.security, f"waiting are {', '.join(pending_updates.security)}"


@pytest.mark.check("updates.pending")
def test_few_updates_are_waiting(updates, pending_updates):
    """Whoever lets updates pile up gets a hundred changes at once, on the night when one can't wait.

    Mend: run `apt-get upgrade` in the next maintenance window.
    """
    assert len(pending_updates.all) in updates.pending, f"waiting are {', '.join(pending_updates.all)}"


@pytest.mark.check("updates.lists_age")
def test_server_has_asked_for_updates_lately(updates, lists_age):
    """A server that doesn't ask knows of no update, and looks like one that has them all.

    Mend: run `apt-get update`, and see why apt-daily.timer does not.
    """
    assert lists_age in updates.lists_age


@pytest.mark.check("updates.reboot_required")
def test_no_update_waits_for_a_reboot(updates, reboot):
    """Until the reboot the old kernel and the old libraries run on, holes and all.

    Mend: reboot in the next maintenance window.
    """
    assert reboot.required in updates.reboot_required, reboot.told


@pytest.mark.check("package.installed")
def test_package_is_installed_or_is_not_as_declared(package, actual_package):
    """What was installed by hand on one server is missing on the one that replaces it.

    Mend: install or remove it by the same means that sets up all servers.
    """
    assert actual_package.installed in package.installed


@pytest.mark.check("package.version")
def test_package_has_the_declared_version(package, actual_package):
    """An old version still has the holes that the new one was released for.

    Mend: upgrade the package, and restart what uses it.
    """
    assert actual_package.version in package.version


@pytest.mark.check("service.running", severity="blocker")
def test_service_is_running_or_is_not_as_declared(service, actual_service):
    """A service that is down serves nobody, and nothing brings it up but you.

    Mend: run `systemctl status` and `journalctl -u` for it, mend the cause, then start it.
    """
    assert actual_service.running in service.running, actual_service.told


@pytest.mark.check("service.enabled")
def test_service_comes_back_by_itself_after_a_reboot(service, actual_service):
    """Started by hand, it runs until the first reboot, and then nobody remembers by whom.

    Mend: run `systemctl enable` for it.
    """
    assert actual_service.enabled in service.enabled


@pytest.mark.check("service.masked")
def test_service_is_masked_or_is_not_as_declared(service, actual_service):
    """Nothing can start a masked service, neither a reboot nor whoever is on call.

    Mend: run `systemctl unmask` or `systemctl mask` for it.
    """
    assert actual_service.masked in service.masked


@pytest.mark.check("service.failed")
def test_service_has_not_failed(service, actual_service):
    """What ended badly stays down until someone looks.

    Mend: run `systemctl status` and `journalctl -u` for it, mend the cause, then start it.
    """
    assert actual_service.failed in service.failed


@pytest.mark.check("service.restarts")
def test_service_does_not_keep_crashing(service, actual_service):
    """Between two crashes it looks as if it ran.

    Mend: read why it ended with `journalctl -u`; `systemctl reset-failed` sets the count to 0 once that is mended.
    """
    assert actual_service.restarts in service.restarts


@pytest.mark.check("service.up_for")
def test_service_has_been_up_for_a_while(service, actual_service):
    """A service that came up a minute ago has not shown yet that it stays.

    Mend: read with `journalctl -u` what started it anew; if that was you, ask again later.
    """
    assert actual_service.up_for_s in service.up_for


@pytest.mark.check("server.failed_units")
def test_no_unit_has_failed(server, failed_units):
    """The job that failed at night is in this list long before anyone misses what it does.

    Mend: run `systemctl --failed`, mend the causes, then `systemctl reset-failed`.
    """
    assert failed_units.count in server.failed_units, failed_units.told


@pytest.mark.check("process.running", severity="blocker")
def test_process_is_running_or_is_not_as_declared(process, actual_process):
    """Whatever else is green, a program that isn't running serves nobody.

    Mend: start its service, and read its log for why it stopped.
    """
    assert actual_process.running in process.running, actual_process.told


@pytest.mark.check("process.count")
def test_process_runs_as_many_times_as_declared(process, actual_process):
    """Too few workers queue up the requests; a second scheduler runs every job twice.

    Mend: see what starts the process, and how many times it was told to.
    """
    assert actual_process.count in process.count


@pytest.mark.check("process.users")
def test_process_runs_as_the_declared_users(process, actual_process):
    """A hole in a service that runs as root is a hole in all of the server.

    Mend: set `User=` in its unit, or `user:` of its container, and restart it.
    """
    assert actual_process.users in process.users


@pytest.mark.check("process.open_files")
def test_process_has_file_descriptors_left(process, process_limits):
    """At its limit a server accepts no more connections, while nothing looks down.

    Mend: find what it keeps open by `ls -l /proc/PID/fd`, or raise `LimitNOFILE=` in its unit.
    """
    assert process_limits.open_files_percent in process.open_files


@pytest.mark.check("process.limits")
def test_process_runs_with_the_declared_limit(process_limits, key, expected):
    """A limit that stands in a file doesn't hold for a service that was started before, or by another way.

    Mend: set it in the unit of the service, e.g. `LimitNOFILE=`, then restart it.
    """
    assert process_limits.lowest(key) in expected


@pytest.mark.check("command.exit")
def test_command_ends_as_declared(command, actual_command):
    """Whoever declared this command knew what its exit code stands for.

    Mend: run the command on the server by hand and see what it complains of.
    """
    assert actual_command.exit in command.exit, actual_command.told


@pytest.mark.check("command.output")
def test_command_prints_what_is_declared(command, actual_command):
    """Whoever declared this command knew what its answer stands for.

    Mend: run the command on the server by hand and see what it prints.
    """
    assert actual_command.output in command.output, actual_command.told


@pytest.mark.check("command.errors")
def test_command_complains_of_what_is_declared_only(command, actual_command):
    """Warnings on the error output are the failures of tomorrow.

    Mend: run the command on the server by hand and see what it complains of.
    """
    assert actual_command.errors in command.errors
