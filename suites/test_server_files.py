"""What must hold of the files on the servers: settings, secrets, checkouts, logs, permissions."""

import pytest


@pytest.mark.check("file.exists")
def test_file_is_there_or_is_not_as_declared(file, actual_file):
    """A missing configuration is found at the next restart, which is when nobody has time for it.

    Mend: put the file there by the same means that deploys the rest, or take it away.
    """
    assert actual_file.exists in file.exists, actual_file.told


@pytest.mark.check("file.type")
def test_file_is_of_the_declared_type(file, actual_file):
    """Docker makes a directory where the file of a bind mount is missing, and the service starts without it.

    Mend: stop what uses the path, put there what belongs there, and start it again.
    """
    assert actual_file.type in file.type


@pytest.mark.check("file.mode", severity="blocker")
def test_file_can_be_read_and_written_by_no_one_else(file, actual_file):
    """One look at a world-readable .env gives away every password in it.

    Mend: run `chmod` with the declared mode; if others could read secrets in it, change these secrets.
    """
    assert actual_file.mode in file.mode


@pytest.mark.check("file.owner")
def test_file_belongs_to_the_declared_user(file, actual_file):
    """Whoever breaks into a service can change what it owns; what it doesn't own, it may fail to read.

    Mend: run `chown` with the declared owner, and see which job wrote the file as someone else.
    """
    assert actual_file.owner in file.owner


@pytest.mark.check("file.group")
def test_file_belongs_to_the_declared_group(file, actual_file):
    """The group decides who besides the owner can read the file, or can't.

    Mend: run `chgrp` with the declared group, and see which job wrote the file with another one.
    """
    assert actual_file.group in file.group


@pytest.mark.check("file.size")
def test_file_has_the_declared_size(file, actual_file):
    """An empty certificate is there, and a log without rotation is there until the disk is full.

    Mend: see what writes the file, and whether it still does, or does too much.
    """
    assert actual_file.size in file.size


@pytest.mark.check("file.age")
def test_file_was_written_lately_enough(file, actual_file):
    """A file that a job should renew, and didn't, says that the job has stopped.

    Mend: look at the log and the timer of the job that writes it.
    """
    assert actual_file.age_s in file.age


@pytest.mark.check("file.links_to")
def test_link_leads_to_the_declared_target(file, actual_file):
    """A release that is switched by a link runs whatever the link says, not what was deployed last.

    Mend: run `ln -sfn` with the declared target, then restart what reads it.
    """
    assert actual_file.links_to in file.links_to


@pytest.mark.check("file.sha256")
def test_file_is_to_the_byte_what_was_reviewed(file, digest):
    """A change by hand on the server is lost at the next deployment, or was never meant to be there.

    Mend: compare it with the file that was reviewed; deploy that again, or review this one.
    """
    assert digest in file.sha256


@pytest.mark.check("file.contains")
def test_file_says_what_it_must_and_nothing_that_it_must_not(contents, key, expected):
    """One line of a configuration makes the difference between closed and open.

    Mend: change the line in the source of the configuration, deploy it and reload what reads it.
    """
    assert contents.has(key) in expected


@pytest.mark.check("file.uid")
def test_file_belongs_to_the_declared_number(file, actual_file):
    """In a container the name may be another's, and the number is what counts.

    Mend: run `chown` with the declared number, and see which job wrote the file as someone else.
    """
    assert actual_file.uid in file.uid


@pytest.mark.check("file.gid")
def test_file_belongs_to_the_group_of_the_declared_number(file, actual_file):
    """In a container the group's name may be another's, and the number is what counts.

    Mend: run `chgrp` with the declared number, and see which job wrote the file with another one.
    """
    assert actual_file.gid in file.gid


@pytest.mark.check("file.keys", severity="blocker")
def test_setting_has_the_declared_value(file_settings, key, expected):
    """DEBUG shows every visitor the settings, and the wrong database takes the orders of a staging test.

    Mend: change the value in the source of the configuration, deploy it and restart what reads it.
    """
    assert file_settings.at(key, expected) in expected


@pytest.mark.check("secret.set", severity="blocker")
def test_secret_is_set(secret, secret_value):
    """An empty password often means: let everybody in.

    Mend: put the secret there from where secrets are kept, and restart what reads it.
    """
    assert secret_value.set in secret.set


@pytest.mark.check("secret.min_length", severity="blocker")
def test_secret_is_long_enough(secret, secret_value):
    """A short key is guessed offline, and then every session can be forged.

    Mend: make a new one, e.g. by `openssl rand -base64 48`, and restart what reads it.
    """
    assert secret_value.length in secret.min_length


@pytest.mark.check("secret.placeholder", severity="blocker")
def test_secret_is_no_placeholder(secret, secret_value):
    """What stands in the example file is known to everybody who can read the repository.

    Mend: put the real secret there, and restart what reads it.
    """
    assert secret_value.is_placeholder(secret) in secret.placeholder


@pytest.mark.check("checkout.head", severity="blocker")
def test_checkout_is_the_release(checkout, actual_checkout):
    """What runs isn't what was tested, when the server has pulled more or less than the release.

    Mend: run `git checkout` with the commit of the release, by the job that deploys.
    """
    assert actual_checkout.head in checkout.head


@pytest.mark.check("checkout.branch")
def test_checkout_is_on_the_declared_branch(checkout, actual_checkout):
    """The next `git pull` brings whatever is on this branch.

    Mend: run `git checkout` with the declared branch, by the job that deploys.
    """
    assert actual_checkout.branch in checkout.branch


@pytest.mark.check("checkout.clean")
def test_checkout_holds_nothing_but_the_commit(checkout, actual_checkout):
    """A mend that was made on the server by hand is lost at the next deployment, or stops it.

    Mend: bring the change into the repository, then run `git checkout .` on the server.
    """
    assert actual_checkout.clean in checkout.clean, actual_checkout.told


@pytest.mark.check("log.age")
def test_log_is_still_written(log, log_age):
    """A silent log looks like a quiet night.

    Mend: see whether the service runs, where it writes to, and whether it lost the file at the last rotation.
    """
    assert log_age in log.age


@pytest.mark.check("log.json_lines")
def test_log_lines_are_json(log, log_lines):
    """Lines that can't be parsed are dropped by what collects them, tracebacks first of all.

    Mend: set the JSON formatter for all loggers of the service, those of its libraries too.
    """
    assert log_lines.json_percent in log.json_lines, log_lines.json_told


@pytest.mark.check("log.fields")
def test_every_log_line_has_the_declared_fields(log, log_lines):
    """Without an id that goes through all services nobody can follow one request at night.

    Mend: set the field in the middleware that sees every request, and in every worker.
    """
    assert log_lines.fields in log.fields, log_lines.json_told


@pytest.mark.check("log.levels")
def test_log_has_the_declared_levels_only(log, log_lines):
    """DEBUG in production fills the disk, and writes down what nobody should read.

    Mend: set the log level in the configuration of the service, and restart it.
    """
    assert log_lines.levels in log.levels, log_lines.told


@pytest.mark.check("log.errors")
def test_log_is_free_of_errors(log, log_lines):
    """The release that breaks something says so in its log before the first customer does.

    Mend: read the errors in the log, newest first.
    """
    assert log_lines.errors in log.errors, log_lines.told


@pytest.mark.check("log.contains")
def test_log_says_what_it_must_and_nothing_that_it_must_not(log_lines, key, expected):
    """A job that ended says so in its log, and so does one that did not.

    Mend: read the log from where the last good run ended.
    """
    assert log_lines.has(key) in expected


@pytest.mark.check("log.rotated")
def test_log_is_rotated(log, log_rotation):
    """A log that nobody rotates fills the disk, on a weekend.

    Mend: put its path into a file of /etc/logrotate.d; try it by `logrotate --debug`.
    """
    assert log_rotation.ago_s in log.rotated, log_rotation.told


@pytest.mark.check("permissions.setuid_unpackaged", severity="blocker")
def test_no_setuid_program_came_from_nowhere(permissions, setuid_strangers):
    """A copy of the shell with the setuid bit is what an intruder leaves behind to come back.

    Mend: find out who made it and when, before you remove it; it may be the trace of a break-in.
    """
    assert setuid_strangers.count in permissions.setuid_unpackaged, setuid_strangers.told


@pytest.mark.check("permissions.world_writable")
def test_no_file_can_be_written_by_everybody(permissions, world_writable):
    """A script that anyone may write and root runs is a way to become root.

    Mend: run `chmod o-w`, or `chmod +t` for a folder that is shared, and see who made it so.
    """
    assert world_writable.count in permissions.world_writable, world_writable.told


@pytest.mark.check("permissions.unowned")
def test_every_file_belongs_to_someone(permissions, unowned):
    """The next account that gets the number of a deleted one, gets its files too.

    Mend: give them to someone by `chown`, or remove them.
    """
    assert unowned.count in permissions.unowned, unowned.told


@pytest.mark.check("nginx.config", severity="blocker")
def test_nginx_would_start_with_its_configuration(nginx, nginx_config):
    """A running nginx keeps its old configuration; a broken file shows at the next restart, all sites at once.

    Mend: run `nginx -t` and mend what it names; limit_req_zone, for one, belongs into `http`, not into `server`.
    """
    assert nginx_config.state in nginx.config, nginx_config.told
