"""What must hold of what the servers have to give: disks, memory, load, the clock, the kernel."""

import pytest


@pytest.mark.check("disk.mounted", severity="blocker")
def test_disk_is_mounted(disk, actual_disk):
    """When a volume isn't mounted, all that was meant for it fills the root disk instead, out of sight.

    Mend: run `mount` for it and read why it failed; see that /etc/fstab has it.
    """
    assert actual_disk.mounted in disk.mounted, actual_disk.told


@pytest.mark.check("disk.used", severity="blocker")
def test_disk_has_room(disk, actual_disk):
    """On a full disk databases stop, logs end in the middle, and nobody can log in to mend it.

    Mend: find what grew by `du -x`, rotate or remove it, or enlarge the disk.
    """
    assert actual_disk.used_percent in disk.used, actual_disk.told


@pytest.mark.check("disk.free", severity="blocker")
def test_disk_has_enough_left_to_write(disk, actual_disk):
    """The next backup or the next release needs this much, and stops halfway without it.

    Mend: find what grew by `du -x`, rotate or remove it, or enlarge the disk.
    """
    assert actual_disk.free_bytes in disk.free, actual_disk.told


@pytest.mark.check("disk.inodes_used")
def test_disk_has_inodes_left(disk, actual_disk):
    """Without inodes a disk is full although df shows room: sessions, mails and caches do that.

    Mend: find the folder with the most files by `du --inodes -x`, and clear it.
    """
    assert actual_disk.inodes_used_percent in disk.inodes_used, actual_disk.told


@pytest.mark.check("disk.filesystem")
def test_disk_has_the_declared_filesystem(disk, actual_mount):
    """What is thought to be a disk and is a tmpfs, is gone with the next reboot.

    Mend: see what /etc/fstab has for the path, and mount that.
    """
    assert actual_mount.filesystem in disk.filesystem


@pytest.mark.check("disk.source")
def test_disk_is_the_declared_one(disk, actual_mount):
    """Disks change their names from boot to boot, and then data goes where nobody backs it up.

    Mend: mount by UUID in /etc/fstab, then mount it anew.
    """
    assert actual_mount.source in disk.source


@pytest.mark.check("disk.options")
def test_disk_is_mounted_with_the_declared_options(disk, actual_mount):
    """After an error a disk is mounted `ro` and the database stops; without `noexec` an upload can be run.

    Mend: set the options in /etc/fstab and run `mount -o remount`; after `ro`, read `dmesg` first.
    """
    assert actual_mount.options in disk.options


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


@pytest.mark.check("load_average.one_minute")
def test_server_is_not_overloaded_now(load_average, actual_load):
    """More than one waiting process for each processor, and every request waits with them.

    Mend: see with `top` who runs, or waits for a disk.
    """
    assert actual_load.one_minute in load_average.one_minute


@pytest.mark.check("load_average.five_minutes")
def test_server_has_not_been_overloaded_for_minutes(load_average, actual_load):
    """Five minutes are longer than any peak: this is how it is going to stay.

    Mend: see with `top` who runs, or waits for a disk; give the server more, or take work from it.
    """
    assert actual_load.five_minutes in load_average.five_minutes


@pytest.mark.check("load_average.fifteen_minutes")
def test_server_is_not_overloaded_all_the_time(load_average, actual_load):
    """A server that is busy before the launch has nothing to give at the launch.

    Mend: give the server more, or take work from it.
    """
    assert actual_load.fifteen_minutes in load_average.fifteen_minutes


@pytest.mark.check("server.open_files")
def test_kernel_has_file_descriptors_left(server, open_files):
    """At this limit no program can open a file or take a connection any more, not even sshd.

    Mend: find who keeps the most open, or raise fs.file-max.
    """
    assert open_files in server.open_files


@pytest.mark.check("clock.synchronised")
def test_clock_is_kept_right(clock, actual_clock):
    """Tokens, certificates and one-time passwords fail when the clock is off, and logs no longer fit together.

    Mend: see with `chronyc sources` or `timedatectl timesync-status` why no time server answers.
    """
    assert actual_clock.synchronised in clock.synchronised, actual_clock.told


@pytest.mark.check("clock.drift")
def test_clock_is_right(clock, actual_clock):
    """A clock that jumps, runs jobs twice or not at all, and lets sessions expire.

    Mend: run `chronyc makestep`, then see why the clock was off.
    """
    assert actual_clock.drift_s in clock.drift, actual_clock.told


@pytest.mark.check("server.sysctl")
def test_kernel_is_set_as_declared(kernel_setting, expected):
    """What was set by hand is gone after a reboot; what stands in a file may never have been loaded.

    Mend: put it in a file under /etc/sysctl.d and run `sysctl --system`.
    """
    assert kernel_setting in expected


@pytest.mark.check("server.modules")
def test_kernel_module_is_there_or_is_not_as_declared(module_loaded, expected):
    """Rarely used protocols and filesystems are where the holes of kernels are found.

    Mend: write `install NAME /bin/false` into a file of /etc/modprobe.d, or load it by /etc/modules-load.d.
    """
    assert module_loaded in expected
