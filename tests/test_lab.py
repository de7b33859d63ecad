"""The lab itself is sound: its hosts are what they claim to be, the living and the dead."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from ipaddress import IPv4Network
from itertools import product
from pathlib import Path

import pytest
import testinfra

from readygate.inventory import load
from tests.holding import suite_functions
from tests.lab.catalogue import AREAS
from tests.lab.container_engine import PrivateEngine, private_engine
from tests.lab.delay import delayed, netem
from tests.lab.docker import LabError, docker
from tests.lab.faults import AreaFaults
from tests.lab.host import Lab, Target
from tests.lab.image import tiny_image

ROOT = Path(__file__).parents[1]
# Each check of these is caught by a fault of the catalogue.
PLANTED_SUITES = ("dns", "firewall", "http", "tls")
KILLED_RUN = """
import os, signal
from tests.lab.gate import open_lab
with open_lab():
    os.kill(os.getpid(), signal.SIGKILL)
"""


def ssh(config: Path, name: str, command: str, stdin: bytes = b"") -> bytes:
    done = subprocess.run(["ssh", "-F", config, name, command], input=stdin, capture_output=True, check=True)
    return done.stdout


def test_sound_host_has_no_failed_unit(sound_host: Target) -> None:
    assert sound_host.run("systemctl is-system-running").stdout.strip() == "running"


def test_ssh_logs_in_as_deploy_who_may_sudo(sound_host: Target) -> None:
    assert sound_host.ssh("id -un; sudo -n id -un").stdout.split() == ["deploy", "root"]


def test_nginx_answers_over_http_and_https(sound_host: Target) -> None:
    for url in ("http://shop.lab/health", "https://shop.lab/health"):
        here = "--cacert /etc/ssl/certs/shop.pem --connect-to ::127.0.0.1:"
        assert '"status": "ok"' in sound_host.run(f"curl -sf {here} {url}").stdout


def test_postgresql_holds_the_shop(sound_host: Target) -> None:
    count = "psql -At shop -c 'select (select count(*) from users), (select count(*) from orders)'"
    assert sound_host.run(f'su postgres -c "{count}"').stdout.strip() == "100|1000"


def test_redis_keeps_what_it_is_given(sound_host: Target) -> None:
    assert sound_host.run("redis-cli set greeting hello; redis-cli get greeting").stdout.split() == [
        "OK",
        "hello",
    ]


def test_ufw_drops_what_it_does_not_allow(fresh_host: Target) -> None:
    fresh_host.run("systemd-run --quiet nc -lk 7777; until ss -ltn | grep -q :7777; do sleep 0.02; done")
    assert answers(fresh_host, 80)
    assert not answers(fresh_host, 7777)
    fresh_host.run("ufw allow 7777/tcp")
    assert answers(fresh_host, 7777)


def test_clock_is_kept_by_chrony(sound_host: Target) -> None:
    assert "Leap status     : Normal" in sound_host.run("chronyc tracking").stdout


def test_cron_runs_its_jobs_and_the_first_backup_is_there(sound_host: Target) -> None:
    assert sound_host.run("systemctl is-active cron").stdout.strip() == "active"
    assert sound_host.run("find /var/backups/shop -name 'shop-*.dump' -mmin -60").stdout.count("\n") == 1


def test_certbot_and_rclone_run(sound_host: Target) -> None:
    assert sound_host.run("certbot --version").stdout.startswith("certbot ")
    assert sound_host.run("rclone version").stdout.startswith("rclone v")


def test_nftables_are_there_beside_iptables(fresh_host: Target) -> None:
    fresh_host.run("nft add table inet probe")
    assert "table inet probe" in fresh_host.run("nft list tables").stdout


def test_fresh_hosts_are_independent(lab: Lab) -> None:
    with lab.boot("left") as left, lab.boot("right") as right:
        left.run("systemctl stop nginx; rm /etc/shop/shop.env")
        left.set_sysctl("net.ipv4.ip_default_ttl", "33")
        assert not answers(left, 80)
        assert answers(right, 80)
        right.run("test -e /etc/shop/shop.env")
        ttl = [host.run("cat /proc/sys/net/ipv4/ip_default_ttl").stdout.strip() for host in (left, right)]
        assert ttl == ["33", "64"]


def test_hosts_reach_each_other_by_name(lab: Lab, sound_host: Target, fresh_host: Target) -> None:
    assert '"ok"' in fresh_host.run("curl -sf http://sound/health").stdout


def test_what_is_written_keeps_the_owner_and_mode_of_the_file(fresh_host: Target) -> None:
    fresh_host.write("/etc/shop/shop.env", "LOG_LEVEL='debug'\n")
    assert fresh_host.run("cat /etc/shop/shop.env; stat -c '%a %U' /etc/shop/shop.env").stdout == (
        "LOG_LEVEL='debug'\n600 deploy\n"
    )


def test_a_command_that_fails_is_an_error_with_what_it_said(sound_host: Target) -> None:
    with pytest.raises(LabError, match="exited 3: so it goes"):
        sound_host.run("echo so it goes >&2; exit 3")


def test_refusing_host_refuses(lab: Lab) -> None:
    with lab.refusing_host() as host:
        assert "Connection refused" in host.ssh("true").stderr


def test_black_holed_host_lets_a_connect_time_out(lab: Lab) -> None:
    with lab.black_holed_host() as host:
        assert "timed out" in host.ssh("true", connect_within_s=1).stderr


def test_mute_host_accepts_and_says_nothing(lab: Lab) -> None:
    with lab.mute_host() as host:
        assert answers(host, 22)
        assert "timed out during banner exchange" in host.ssh("true", connect_within_s=1).stderr


def test_impostor_has_another_host_key(lab: Lab) -> None:
    with lab.impostor() as host:
        assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in host.ssh("true").stderr


def test_a_delayed_host_is_late_by_the_round_trip_and_loses_nothing(sound_host: Target) -> None:
    rtt_s = 0.1
    with delayed(sound_host, rtt_ms=1000 * rtt_s) as config:
        assert rtt_s <= echo_takes_s(config, sound_host.name) < 2 * rtt_s
        payload = bytes(range(256)) * 4_000
        assert ssh(config, sound_host.name, "cat", payload) == payload


def test_netem_delays_where_the_kernel_has_it(fresh_host: Target) -> None:
    rtt_s = 0.1
    try:
        with netem(fresh_host, rtt_ms=1000 * rtt_s):
            assert rtt_s <= echo_takes_s(fresh_host.ssh_config, fresh_host.name) < 2 * rtt_s
    except LabError as reason:
        pytest.skip(f"this kernel has no netem: {reason}")


def test_tiny_image_runs_busybox(lab: Lab) -> None:
    assert docker("run", "--rm", tiny_image(), "echo", "tiny") == "tiny"


def test_no_two_private_engines_share_addresses(lab: Lab) -> None:
    def networks(engine: PrivateEngine) -> list[IPv4Network]:
        subnet = "{{(index .IPAM.Config 0).Subnet}}"
        made = engine.run(f"docker network create a >&2; docker network inspect --format '{subnet}' a bridge")
        return [IPv4Network(line) for line in made.stdout.split()]

    with private_engine() as one, private_engine() as other:
        ones, others = networks(one), networks(other)
        assert (len(ones), len(others)) == (2, 2)
        assert not [pair for pair in product(ones, others) if pair[0].overlaps(pair[1])]


def test_the_next_run_tidies_up_after_one_that_was_killed(sound_host: Target) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED_RUN], cwd=ROOT) as killed:
        pass
    left = [["ps", "--all", "--quiet"], ["network", "ls", "--quiet"]]
    its = ["--filter", f"name=readygate-lab-{killed.pid}"]
    assert all(docker(*listing, *its) for listing in left)
    subprocess.run([sys.executable, "-m", "tests.lab.gate"], cwd=ROOT, check=True)
    assert not any(docker(*listing, *its) for listing in left)
    sound_host.run("true")


def test_no_two_faults_of_an_area_have_one_name() -> None:
    for area in AREAS:
        assert len({fault.name for fault in area.faults}) == len(area.faults)


@pytest.mark.parametrize("area", AREAS, ids=lambda area: area.area)
def test_every_fault_is_to_be_caught_by_what_the_sound_inventory_declares(area: AreaFaults, tmp_path: Path) -> None:
    (tmp_path / "inventory.yml").write_text(f"project: shop\n{area.sound}")
    inventory = load(
        tmp_path / "inventory.yml", None, {"LAB_HOST": "ssh://target", "LAB_ADDRESS": "192.0.2.1", "LAB_CA": "ca.pem"}
    )
    declared = {leaf.check for leaf in inventory.leaves}
    for fault in area.faults:
        noticed = (*fault.caught_by, *fault.unsure)
        assert noticed and declared.issuperset(noticed), fault.name


@pytest.mark.parametrize("suite", PLANTED_SUITES)
def test_every_check_of_a_suite_has_a_fault_that_it_catches(suite: str) -> None:
    caught = {check for area in AREAS for fault in area.faults for check in fault.caught_by}
    assert not {check for check, _ in suite_functions(suite)} - caught


def test_testinfra_reaches_a_host_by_its_hostspec(sound_host: Target) -> None:
    assert testinfra.get_host(sound_host.hostspec).service("nginx").is_running


def answers(host: Target, port: int) -> bool:
    """Whether a connect from outside gets through within a second."""
    try:
        socket.create_connection((host.address, port), timeout=1).close()
    except OSError:
        return False
    return True


def echo_takes_s(config: Path, name: str) -> float:
    """The shortest of five round trips through one `cat` behind ssh."""
    with subprocess.Popen(
        ["ssh", "-F", config, name, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as cat:
        assert cat.stdin
        assert cat.stdout
        times = []
        for _ in range(6):
            start = time.monotonic()
            cat.stdin.write(b"?")
            cat.stdout.read(1)
            times.append(time.monotonic() - start)
        cat.stdin.close()
    return min(times[1:])
