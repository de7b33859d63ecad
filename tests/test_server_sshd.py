"""What sshd of a real server does: what its files say, if it has read them and was not told otherwise."""

from __future__ import annotations

from typing import Any

import pytest
import testinfra

from readygate.errors import CouldNotLook
from tests.lab.host import Target
from tests.server_checks import held_on

# The signal is on its way when `reload` ends; a new PidFile says that it has arrived.
RELOAD = "rm /run/sshd.pid; systemctl reload ssh; until [ -s /run/sshd.pid ]; do sleep 0.02; done"
HARDENED = "/etc/ssh/sshd_config.d/00-hardened.conf"
DECLARED = {"X11Forwarding": "no"}


def as_root(target: Target) -> Any:
    return testinfra.get_host(target.hostspec, sudo=True)


def is_hardened(target: Target) -> bool:
    return held_on(as_root(target), sshd=DECLARED)["server.sshd"]


def keys(target: Target) -> dict[str, bool]:
    return held_on(as_root(target), users={"deploy": {"authorised_key_count": 1}})


def test_a_file_that_sshd_has_not_read_yet_hardens_nothing(fresh_host: Target) -> None:
    assert not is_hardened(fresh_host)
    # As a copy that keeps the time of its master does it.
    fresh_host.run(f"echo X11Forwarding no > {HARDENED}; touch -d '2 days ago' {HARDENED}")
    for look in (is_hardened, keys):
        with pytest.raises(CouldNotLook, match=r"sshd has not read /etc/ssh/sshd_config.d.* since it was changed"):
            look(fresh_host)
    fresh_host.run(RELOAD)
    assert is_hardened(fresh_host)
    assert all(keys(fresh_host).values())


@pytest.mark.parametrize(
    "change",
    [f"rm {HARDENED}", f"echo >> {HARDENED}", "sed -i 's/^X11Forwarding.*//' /etc/ssh/sshd_config"],
    ids=["removed", "changed", "main-file"],
)
def test_whatever_was_changed_since_sshd_read_its_files_is_noticed(fresh_host: Target, change: str) -> None:
    fresh_host.run(f"echo X11Forwarding no > {HARDENED}; {RELOAD}")
    assert is_hardened(fresh_host)
    fresh_host.run(change)
    with pytest.raises(CouldNotLook, match="reload it"):
        is_hardened(fresh_host)
    fresh_host.run("systemctl restart ssh")
    is_hardened(fresh_host)


def test_what_sshd_was_told_at_its_start_outweighs_its_files(fresh_host: Target) -> None:
    fresh_host.run(f"echo X11Forwarding no > {HARDENED}; {RELOAD}")
    assert is_hardened(fresh_host)
    fresh_host.run("echo SSHD_OPTS=-oX11Forwarding=yes > /etc/default/ssh; systemctl restart ssh")
    assert not is_hardened(fresh_host)
    fresh_host.run(
        "cp /etc/ssh/sshd_config /etc/ssh/other; echo SSHD_OPTS=-f/etc/ssh/other > /etc/default/ssh; "
        "systemctl restart ssh"
    )
    with pytest.raises(CouldNotLook, match="a file of its own"):
        is_hardened(fresh_host)


def test_an_sshd_without_a_pid_file_leaves_it_open_what_it_has_read(fresh_host: Target) -> None:
    fresh_host.run(f"echo X11Forwarding no > {HARDENED}; echo PidFile none >> {HARDENED}; systemctl restart ssh")
    with pytest.raises(CouldNotLook, match="only a PidFile would tell"):
        is_hardened(fresh_host)


PER_CONNECTION = """
set -eu
cd /etc/systemd/system
printf '[Socket]\\nListenStream=22\\nAccept=yes\\n' > each.socket
printf '[Service]\\nExecStart=-/usr/sbin/sshd -i\\nStandardInput=socket\\nRuntimeDirectory=sshd\\n' > each@.service
echo RuntimeDirectoryPreserve=yes >> each@.service
systemctl daemon-reload
systemctl stop ssh
systemctl start each.socket
"""


def test_an_sshd_that_is_started_for_each_connection_reads_its_files_for_each(fresh_host: Target) -> None:
    fresh_host.run(PER_CONNECTION)
    assert not is_hardened(fresh_host)
    fresh_host.run(f"echo X11Forwarding no > {HARDENED}")
    assert is_hardened(fresh_host)


def test_an_sshd_that_a_socket_started_once_is_held_to_what_it_read(fresh_host: Target) -> None:
    fresh_host.run("systemctl stop ssh; systemctl start ssh.socket")
    assert not is_hardened(fresh_host)
    fresh_host.run(f"echo X11Forwarding no > {HARDENED}")
    with pytest.raises(CouldNotLook, match="reload it"):
        is_hardened(fresh_host)


def test_keys_that_a_command_gives_are_not_passed_over(fresh_host: Target) -> None:
    settings = "AuthorizedKeysCommand /bin/true\\nAuthorizedKeysCommandUser nobody\\n"
    fresh_host.run(f"printf '{settings}' > /etc/ssh/sshd_config.d/00-keys.conf; {RELOAD}")
    with pytest.raises(CouldNotLook, match="asks a command for keys"):
        held_on(as_root(fresh_host), users={"deploy": {"authorised_key_count": 1}})


def test_a_block_in_an_included_file_is_found(fresh_host: Target) -> None:
    declared = {"PasswordAuthentication": "no"}
    assert held_on(as_root(fresh_host), sshd=declared)["server.sshd"]
    fresh_host.run(
        "mkdir /etc/ssh/more; echo PasswordAuthentication yes > /etc/ssh/more/shop.conf; "
        "printf 'Match User shop\\n  Include \"more/*.conf\"\\n' >> /etc/ssh/sshd_config; "
        f"{RELOAD}"
    )
    assert not held_on(as_root(fresh_host), sshd=declared)["server.sshd"]
