"""What must hold on the servers: files, processes, ports, services, packages, users, disk, memory."""

import pytest


@pytest.mark.check("file.exists")
def test_file_is_there_or_is_not_as_declared(file, actual_file):
    """A missing configuration is found at the next restart, which is when nobody has time for it.

    Mend: put the file there by the same means that deploys the rest, or take it away.
    """
    assert actual_file.exists in file.exists


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


@pytest.mark.check("process.running", severity="blocker")
def test_process_is_running_or_is_not_as_declared(process, actual_process):
    """Whatever else is green, a program that isn't running serves nobody.

    Mend: start its service, and read its log for why it stopped.
    """
    assert actual_process.running in process.running


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


@pytest.mark.check("port.listening", severity="blocker")
def test_port_is_open_or_closed_as_declared(port, actual_port):
    """No one waits behind a closed port; and behind one that was forgotten someone else's tool does.

    Mend: start or stop the service that this port belongs to.
    """
    assert actual_port.listening in port.listening


@pytest.mark.check("port.addresses", severity="blocker")
def test_port_is_open_on_the_declared_addresses_only(port, actual_port):
    """A database that listens on 0.0.0.0 has only the firewall between it and everybody.

    Mend: set the listen or bind address in the service's configuration, and restart it.
    """
    assert actual_port.addresses in port.addresses


@pytest.mark.check("port.listeners")
def test_port_is_held_by_the_declared_process(port, listeners):
    """When the wrong program has taken the port, the right one can't start after the next crash.

    Mend: stop the program that took the port, and start the one that it belongs to.
    """
    assert listeners in port.listeners


@pytest.mark.check("service.running", severity="blocker")
def test_service_is_running_or_is_not_as_declared(service, actual_service):
    """A service that is down serves nobody, and nothing brings it up but you.

    Mend: run `systemctl status` and `journalctl -u` for it, mend the cause, then start it.
    """
    assert actual_service.running in service.running


@pytest.mark.check("service.enabled")
def test_service_comes_back_by_itself_after_a_reboot(service, actual_service):
    """Started by hand, it runs until the first reboot, and then nobody remembers by whom.

    Mend: run `systemctl enable` for it.
    """
    assert actual_service.enabled in service.enabled


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


@pytest.mark.check("user.exists")
def test_user_exists_or_does_not_as_declared(user, actual_user):
    """The account of someone who left is a door that nobody watches.

    Mend: add the account, or remove it with its keys and its jobs.
    """
    assert actual_user.exists in user.exists


@pytest.mark.check("user.uid")
def test_user_has_the_declared_number(user, actual_user):
    """Files on a shared volume belong to numbers: the same name with another number can't read them.

    Mend: change it by `usermod -u`, and the owner of the files with it.
    """
    assert actual_user.uid in user.uid


@pytest.mark.check("user.gid")
def test_user_has_the_declared_primary_group(user, actual_user):
    """New files get the primary group, so it decides who else can read them.

    Mend: change it by `usermod -g`, and the group of the files with it.
    """
    assert actual_user.gid in user.gid


@pytest.mark.check("user.groups")
def test_user_is_in_the_declared_groups_only(user, actual_user):
    """Whoever is in the group docker or sudo is root in all but name.

    Mend: run `gpasswd -d` or `usermod -aG`; it takes effect at the next login.
    """
    assert actual_user.groups in user.groups


@pytest.mark.check("user.home")
def test_user_has_the_declared_home(user, actual_user):
    """Keys and settings are looked for in the home directory, and nowhere else.

    Mend: run `usermod -d`, with -m to take along what is there.
    """
    assert actual_user.home in user.home


@pytest.mark.check("user.shell")
def test_user_has_the_declared_shell(user, actual_user):
    """An account for a service needs no shell; with one it can be logged in to.

    Mend: run `usermod -s`, with /usr/sbin/nologin for a service.
    """
    assert actual_user.shell in user.shell


@pytest.mark.check("disk.mounted", severity="blocker")
def test_disk_is_mounted(disk, actual_disk):
    """When a volume isn't mounted, all that was meant for it fills the root disk instead, out of sight.

    Mend: run `mount` for it and read why it failed; see that /etc/fstab has it.
    """
    assert actual_disk.mounted in disk.mounted, actual_disk.absence


@pytest.mark.check("disk.used", severity="blocker")
def test_disk_has_room(disk, actual_disk):
    """On a full disk databases stop, logs end in the middle, and nobody can log in to mend it.

    Mend: find what grew by `du -x`, rotate or remove it, or enlarge the disk.
    """
    assert actual_disk.used_percent in disk.used, actual_disk.absence


@pytest.mark.check("disk.free", severity="blocker")
def test_disk_has_enough_left_to_write(disk, actual_disk):
    """The next backup or the next release needs this much, and stops halfway without it.

    Mend: find what grew by `du -x`, rotate or remove it, or enlarge the disk.
    """
    assert actual_disk.free_bytes in disk.free, actual_disk.absence


@pytest.mark.check("disk.inodes_used")
def test_disk_has_inodes_left(disk, actual_disk):
    """Without inodes a disk is full although df shows room: sessions, mails and caches do that.

    Mend: find the folder with the most files by `du --inodes -x`, and clear it.
    """
    assert actual_disk.inodes_used_percent in disk.inodes_used, actual_disk.absence


@pytest.mark.check("memory.available")
def test_server_has_memory_left(memory, actual_memory):
    """When memory runs out, the kernel picks a process and ends it; often it picks the database.

    Mend: see who takes it, limit that, or give the server more.
    """
    assert actual_memory.available in memory.available


@pytest.mark.check("memory.used")
def test_memory_is_not_used_up(memory, actual_memory):
    """A server that is close to its limit when quiet passes it under load.

    Mend: see who takes it, limit that, or give the server more.
    """
    assert actual_memory.used_percent in memory.used


@pytest.mark.check("memory.swap_used")
def test_server_does_not_live_on_swap(memory, actual_memory):
    """Memory on a disk is a thousand times slower: requests time out while nothing is down.

    Mend: see who takes the memory, then limit it or give the server more.
    """
    assert actual_memory.swap_used_percent in memory.swap_used


@pytest.mark.check("server.sysctl")
def test_kernel_is_set_as_declared(kernel_setting, expected):
    """What was set by hand is gone after a reboot; what stands in a file may never have been loaded.

    Mend: put it in a file under /etc/sysctl.d and run `sysctl --system`.
    """
    assert kernel_setting in expected


@pytest.mark.check("command.exit")
def test_command_ends_as_declared(command, actual_command):
    """Whoever declared this command knew what its exit code stands for.

    Mend: run the command on the server by hand and see what it complains of.
    """
    assert actual_command.exit in command.exit


@pytest.mark.check("command.output")
def test_command_prints_what_is_declared(command, actual_command):
    """Whoever declared this command knew what its answer stands for.

    Mend: run the command on the server by hand and see what it prints.
    """
    assert actual_command.output in command.output
