"""The copy on another server, on two real hosts: seen by rclone over sftp, and by our own connection there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import testinfra
from pydantic import ValidationError

from readygate.areas.backups.backup import Backup
from readygate.areas.backups.listing import observe_artifacts
from readygate.areas.backups.restore_drills import drill_now
from readygate.drills import records
from readygate.errors import CouldNotLook
from tests.holding import held
from tests.lab.host import Lab, Target
from tests.test_area_backups import DUMP

CONFIG = "/root/rclone.conf"
# Without these rclone tries them out, and writes what it found into its configuration.
TOLD = "shell_type = unix\nmd5sum_command = md5sum\nsha1sum_command = sha1sum\n"
REMOTE = f"""\
[vault]
type = sftp
host = vault
user = keeper
key_file = /root/.ssh/id_ed25519
known_hosts_file = /root/.ssh/known_hosts
{TOLD}"""
WEEK = """
for day in 0 1 2; do
    file=/backups/shop-$(date -ud "-$day days" +%Y%m%d).sql.gz
    { gzip -dc < /root/dump.gz; echo "-- the night $day days ago"; } | gzip > $file
    touch -d "-$day days" $file
done
"""
UPLOAD = f"rclone --config {CONFIG} copy /backups vault:copies"
DECLARED = {"rpo": "48h", "count": 3, "same": True}  # by their names they are of midnight


@dataclass(frozen=True)
class Servers:
    """`shop` makes the backups, and `vault` has the copies, in /home/keeper/copies."""

    shop: Target
    vault: Target

    def declared(self, way: str, **offsite: Any) -> dict[str, Any]:
        places = {
            "sftp": {"rclone": "vault:copies", "config": CONFIG},
            "ssh": {"on": "vault", "path": "/home/keeper/copies/shop-*.sql.gz"},
        }
        path = {"on": "shop", "path": "/backups/shop-*.sql.gz", "dated": "shop-%Y%m%d"}
        return {**path, "offsite": {**places[way], **(offsite or DECLARED)}}

    @property
    def hosts(self) -> dict[str, Any]:
        targets = {"shop": self.shop, "vault": self.vault}
        return {name: testinfra.get_host(each.hostspec, sudo=True) for name, each in targets.items()}

    def failing(self, way: str, **offsite: Any) -> set[str]:
        holds = held("backups", self.declared(way, **offsite), self.hosts["shop"], others=self.hosts)
        return {check.partition(".")[2] for check, holding in holds.items() if not holding}


@pytest.fixture(scope="module")
def servers(lab: Lab) -> Iterator[Servers]:
    with lab.boot("shop") as shop, lab.boot("vault") as vault:
        shop.run("mkdir -p /backups /root/.ssh; ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519")
        login = shop.run("cat /root/.ssh/id_ed25519.pub").stdout
        vault.run("useradd --create-home --shell /bin/sh keeper; su - keeper -c 'mkdir -m 700 .ssh copies'")
        vault.write("/home/keeper/.ssh/authorized_keys", login)
        vault.write(
            "/etc/ssh/sshd_config.d/keeper.conf", "Match User keeper\nAuthorizedKeysFile .ssh/authorized_keys\n"
        )
        vault.run("systemctl reload ssh")
        keys = vault.run("cat /etc/ssh/ssh_host_*.pub").stdout.splitlines()
        shop.write("/root/.ssh/known_hosts", "".join(f"vault {each}\n" for each in keys))
        shop.write(CONFIG, REMOTE)
        shop.write("/root/dump", DUMP)
        shop.run(f"gzip < /root/dump > /root/dump.gz; {WEEK}{UPLOAD}")
        yield Servers(shop, vault)


@pytest.fixture
def whole(servers: Servers) -> Iterator[Servers]:
    """Everything is as it should be, and is so again afterwards."""
    yield servers
    servers.vault.run("chown keeper /home/keeper/copies; chmod 755 /home/keeper/copies; rm -rf /home/keeper/copies/*")
    servers.shop.run(f"rm -f /backups/*; {WEEK}{UPLOAD}")


@pytest.mark.parametrize("way", ["sftp", "ssh"])
def test_sound_copies_on_another_server_hold(servers: Servers, way: str) -> None:
    before = servers.shop.run(f"sha256sum {CONFIG}").stdout
    assert servers.failing(way) == set()
    assert servers.shop.run(f"sha256sum {CONFIG}").stdout == before


NEWEST = "newest=$(ls /home/keeper/copies/* | tail -n 1)"
FAULTS: dict[str, tuple[str, set[str]]] = {
    "other bytes of the same size": (
        f"{NEWEST}; size=$(stat -c %s $newest); head -c $size /dev/urandom > $newest",
        {"same"},
    ),
    "one byte is other, and its time is kept": (
        f"{NEWEST}; touch -r $newest /t\n"
        "printf x | dd of=$newest bs=1 seek=40 conv=notrunc 2>/dev/null; touch -r /t $newest",
        {"same"},
    ),
    "the upload broke off": (f"{NEWEST}; truncate --size=100 $newest", {"same"}),
    "the newest is missing": (f"{NEWEST}; rm $newest", {"count", "same"}),
    "the newest is empty": (f"{NEWEST}; gzip < /dev/null > $newest", {"count", "same"}),
    "nothing since two days": (f"{NEWEST}; rm $newest; {NEWEST}; rm $newest", {"rpo", "count", "same"}),
    "an old one under the newest's name": (
        f"{NEWEST}; cp -p $(ls /home/keeper/copies/* | head -n 1) $newest",
        {"same"},
    ),
    "nothing is there": ("rm /home/keeper/copies/*", {"rpo", "count", "same"}),
    "the folder is gone": ("rm -r /home/keeper/copies", {"rpo", "count", "same"}),
}


@pytest.mark.parametrize("way", ["sftp", "ssh"])
@pytest.mark.parametrize("fault", FAULTS)
def test_broken_copies_on_another_server_fail(whole: Servers, way: str, fault: str) -> None:
    script, fails = FAULTS[fault]
    whole.vault.run(script)
    try:
        assert whole.failing(way) == fails
    finally:
        whole.vault.run("su - keeper -c 'mkdir -p copies'")


@pytest.mark.parametrize("way", ["sftp", "ssh"])
def test_a_server_that_is_down_has_no_copies_for_all_we_know(lab: Lab, servers: Servers, way: str) -> None:
    with lab.refusing_host() as down:
        address = servers.shop.run("getent hosts vault").stdout.split()[0]
        servers.shop.run(f"sed -i 's/^host = .*/host = {down.address}/' {CONFIG}")
        lost = Servers(servers.shop, down)
        try:
            with pytest.raises(CouldNotLook, match=r"can't be (listed|reached)"):
                lost.failing(way)
        finally:
            servers.shop.run(f"sed -i 's/^host = .*/host = vault/' {CONFIG}")
        assert address


def test_copies_that_one_may_not_see_are_not_missing(whole: Servers) -> None:
    whole.vault.run("chown root /home/keeper/copies; chmod 700 /home/keeper/copies")
    with pytest.raises(CouldNotLook, match=r"can't be listed: .*ermission denied"):
        whole.failing("sftp")
    unprivileged = {**whole.hosts, "vault": testinfra.get_host(whole.vault.hostspec)}
    with pytest.raises(CouldNotLook, match="does not let this user look"):
        held("backups", whole.declared("ssh"), whole.hosts["shop"], others=unprivileged)


def test_an_account_without_a_shell_tells_no_digest(whole: Servers) -> None:
    """Where only sftp is let in, nobody there can run md5sum."""
    only = "Match User keeper\nAuthorizedKeysFile .ssh/authorized_keys\nForceCommand internal-sftp\n"
    whole.vault.write("/etc/ssh/sshd_config.d/keeper.conf", only)
    whole.vault.run("systemctl reload ssh")
    try:
        assert whole.failing("sftp", rpo="48h", count=3) == set()
        with pytest.raises(CouldNotLook, match="tells no digest"):
            whole.failing("sftp", same=True)
        assert whole.failing("ssh") == set()
    finally:
        whole.vault.write("/etc/ssh/sshd_config.d/keeper.conf", only.replace("ForceCommand internal-sftp\n", ""))
        whole.vault.run("systemctl reload ssh")


@pytest.mark.parametrize("way", ["sftp", "ssh"])
def test_the_copy_on_another_server_is_what_is_drilled(whole: Servers, way: str, tmp_path: Path) -> None:
    records.keep_in(tmp_path)
    whole.shop.run("rm /backups/*")  # as when its disks are gone
    drill = {"into": "scratch", "source": "offsite", "expect": {"parcels": 2000}}
    spec = Backup.model_validate({**whole.declared(way), "restore_drill": drill})
    spec._named("shop")
    assert spec.restore_drill
    hosts = whole.hosts

    def drilled() -> Any:
        assert spec.restore_drill
        return drill_now(
            hosts["shop"], spec, spec.restore_drill, observe_artifacts(hosts["shop"], spec), hosts.__getitem__
        )

    seen = drilled()
    assert seen.answer("parcels") == 2000, seen.reason
    whole.vault.run(f"{NEWEST}; truncate --size=2000 $newest")
    assert "can't be restored" in drilled().reason


def test_a_server_by_another_name_is_no_other_place(tmp_path: Path) -> None:
    (tmp_path / "shop.sql").write_text(DUMP)
    offsite = {"on": "vault", "path": f"{tmp_path}/*.sql", "rpo": "1d"}
    with pytest.raises(CouldNotLook, match="vault is shop by another name"):
        held("backups", {"on": "shop", "path": f"{tmp_path}/*.sql", "offsite": offsite})


@pytest.mark.parametrize(
    ("offsite", "said"),
    [
        ({"rpo": "1d"}, "a copy is in one place"),
        ({"rclone": "b2:x", "on": "vault", "path": "/c/*", "rpo": "1d"}, "a copy is in one place"),
        ({"on": "vault", "rpo": "1d"}, "say together where a copy is"),
        ({"rclone": "b2:x", "path": "/c/*", "rpo": "1d"}, "say together where a copy is"),
        ({"on": "vault", "path": "/c/*", "versioned": True}, "`versioned` is of a store that rclone knows"),
        ({"on": "vault", "path": "/c/*", "config": "/etc/r.conf", "rpo": "1d"}, "`config` is of a store"),
        ({"on": "vault", "path": "copies/*", "rpo": "1d"}, "not an absolute path"),
        ({"on": "shop", "path": "/c/*", "rpo": "1d"}, "a copy on shop is lost with that server"),
    ],
)
def test_a_place_that_is_none_is_refused(offsite: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Backup.model_validate({"on": "shop", "path": "/backups/*.sql.gz", "offsite": offsite})


def test_a_whole_run_gates_on_the_copy_on_another_server(whole: Servers, tmp_path: Path) -> None:
    servers = "\n".join(
        f"  {name}: {{connect: '{each.hostspec}', sudo: true, memory: {{used: '<100%'}}}}"
        for name, each in (("shop", whole.shop), ("vault", whole.vault))
    )
    (tmp_path / "inventory.yml").write_text(f"""\
project: shop
servers:
{servers}
backups:
  by ssh:
    on: shop
    path: /backups/shop-*.sql.gz
    dated: shop-%Y%m%d
    offsite: {{on: vault, path: "/home/keeper/copies/shop-*.sql.gz", rpo: 48h, count: 3, same: true}}
  by sftp:
    on: shop
    path: /backups/shop-*.sql.gz
    dated: shop-%Y%m%d
    offsite: {{rclone: "vault:copies", config: {CONFIG}, rpo: 48h, count: 3, same: true}}
""")

    def run() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "readygate", "run"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=200)

    sound = run()
    assert sound.returncode == 0, sound.stdout
    whole.vault.run(f"{NEWEST}; rm $newest")
    broken = run()
    assert broken.returncode == 1, broken.stdout
    for name in ("by ssh", "by sftp"):
        assert f"offsite.same @ {name}" in broken.stdout
