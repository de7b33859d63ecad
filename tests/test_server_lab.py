"""What takes a real server to show: jobs that ran, updates that wait, clocks, keys, and who may look at all that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import testinfra

from readygate.areas.servers.hardening import baseline
from readygate.errors import CouldNotLook
from tests.lab.docker import OWNER, docker, owner
from tests.lab.host import Lab, Target
from tests.lab.image import openrc_image, tiny_image
from tests.server_checks import held_on, reasons_on
from tests.test_server_sshd import RELOAD


def as_root(target: Target) -> Any:
    return testinfra.get_host(target.hostspec, sudo=True)


def as_deploy(target: Target) -> Any:
    return testinfra.get_host(target.hostspec)


# What an intruder leaves behind.


@pytest.mark.parametrize(
    "trace",
    ["chmod u+s /bin/bash", "chmod u+s /usr/bin/find", "cp /bin/true '/usr/bin/s?'; chmod u+s '/usr/bin/s?'"],
    ids=["shell", "find", "pattern"],
)
def test_a_way_back_in_is_found_whatever_package_the_program_came_with(fresh_host: Target, trace: str) -> None:
    declared = {"setuid_unpackaged": 0, "under": ["/usr", "/bin"]}
    assert reasons_on(as_root(fresh_host), permissions=declared)["permissions.setuid_unpackaged"] == ""
    fresh_host.run(trace)
    assert not held_on(as_root(fresh_host), permissions=declared)["permissions.setuid_unpackaged"]


# Services.


def test_a_service_that_crashed_a_moment_ago_has_not_been_up_for_long(fresh_host: Target) -> None:
    stays = {"nginx": {"up_for": "4s"}}
    fresh_host.run("sleep 4")
    assert held_on(as_root(fresh_host), services=stays)["service.up_for"]
    fresh_host.run("systemctl restart nginx")
    assert not held_on(as_root(fresh_host), services=stays)["service.up_for"]


OF_OLD = """
set -eu
cd /etc/init.d
printf '#!/bin/sh\n### BEGIN INIT INFO\n# Provides: legacy\n# Default-Start: 2 3 4 5\n' > legacy
printf '# Default-Stop: 0 1 6\n' >> legacy
printf '# Required-Start:\n# Required-Stop:\n### END INIT INFO\nexit 0\n' >> legacy
chmod +x legacy
systemctl daemon-reload
"""


def test_a_service_of_an_init_script_is_enabled_by_the_links_of_its_runlevels(fresh_host: Target) -> None:
    fresh_host.run(OF_OLD)
    enabled = {"legacy": {"enabled": True}}
    assert not held_on(as_root(fresh_host), services=enabled)["service.enabled"]
    fresh_host.run("systemctl enable legacy")
    assert held_on(as_root(fresh_host), services=enabled)["service.enabled"]


# Jobs.

# Cron runs these when it starts, if it doesn't find the mark that it has run them since the boot.
JOBS_OF_CRON = """
set -eu
printf '@reboot root /bin/true sound\n@reboot root /bin/false broken\n' > /etc/cron.d/jobs
{options}
rm -f /run/crond.reboot
systemctl restart cron
until [ "$(journalctl -t CRON | grep -c 'CMD (/bin')" = 2 ] && ! pgrep -x 'true|false'; do sleep 0.05; done
sleep 0.2
"""


def test_a_job_of_cron_holds_by_how_it_ended(fresh_host: Target) -> None:
    fresh_host.run(JOBS_OF_CRON.format(options="echo EXTRA_OPTS=\"'-L 5'\" >> /etc/default/cron"))
    host = as_root(fresh_host)
    declared = {"last_ran": "1h", "ended_well": True}
    assert all(held_on(host, cron={"/bin/true sound": declared}).values())
    assert held_on(host, cron={"/bin/false broken": declared}) == {"cron.last_ran": True, "cron.ended_well": False}
    assert not held_on(host, cron={"shop-backup": {"last_ran": "1h"}})["cron.last_ran"]


AGED = """
printf '@hourly ended true ended\n@hourly aged true aged\n@hourly deploy true deploy\n' > /etc/cron.d/aged
useradd ended; chage --expiredate 2020-01-01 ended
useradd aged; chage --lastday 2020-01-01 --maxdays 90 aged
"""


def test_cron_runs_nothing_for_an_account_that_has_expired(fresh_host: Target) -> None:
    fresh_host.run(AGED)
    scheduled = {"scheduled": True}
    jobs = {"true ended": scheduled, "true aged": scheduled}
    assert "whose account or password has expired" in reasons_on(as_root(fresh_host), cron=jobs)["cron.scheduled"]
    assert not held_on(as_root(fresh_host), cron={"true aged": scheduled})["cron.scheduled"]
    assert held_on(as_root(fresh_host), cron={"true deploy": scheduled})["cron.scheduled"]


def test_whether_a_unit_that_systemd_has_not_read_anew_comes_up_at_boot_is_not_known(fresh_host: Target) -> None:
    enabled = {"nginx": {"running": True, "enabled": True}}
    fresh_host.run("sleep 1; sed -i s,^ExecStart=.*,ExecStart=/gone, /lib/systemd/system/nginx.service")
    with pytest.raises(CouldNotLook, match="changed after systemd read it"):
        held_on(as_root(fresh_host), services=enabled)
    fresh_host.run("systemctl daemon-reload")
    assert all(held_on(as_root(fresh_host), services=enabled).values())


def test_a_job_whose_program_can_not_be_started_is_not_scheduled(fresh_host: Target) -> None:
    scheduled = {"scheduled": True}
    host = as_root(fresh_host)
    assert held_on(host, cron={"/usr/local/bin/shop-backup": scheduled})["cron.scheduled"]
    fresh_host.run("chmod -x /usr/local/bin/shop-backup")
    told = reasons_on(as_root(fresh_host), cron={"/usr/local/bin/shop-backup": scheduled})["cron.scheduled"]
    assert "is not there or not executable" in told


def test_how_a_job_ended_is_not_known_where_cron_logs_no_failures(fresh_host: Target) -> None:
    fresh_host.run(JOBS_OF_CRON.format(options=":"))
    with pytest.raises(CouldNotLook, match="logs no job that fails"):
        held_on(as_root(fresh_host), cron={"/bin/true sound": {"ended_well": True}})


TIMERS = """
set -eu
cd /etc/systemd/system
for job in true false; do
    printf '[Timer]\nOnBootSec=1s\nOnCalendar=daily\n' > $job.timer
    printf '[Service]\nType=oneshot\nExecStart=/bin/%s\n' $job > $job.service
done
systemctl daemon-reload
systemctl start true.timer false.timer
until [ "$(systemctl show --property=ExecMainExitTimestamp true.service false.service | grep -c UTC)" = 2 ]; do
    sleep 0.05
done
"""


def test_a_timer_holds_by_how_its_job_ended(fresh_host: Target) -> None:
    fresh_host.run(TIMERS)
    declared = {"scheduled": True, "schedule": "daily", "next_run": "25h", "last_ran": "1h", "ended_well": True}
    assert all(held_on(as_root(fresh_host), timers={"true": declared}).values())
    holds = held_on(as_root(fresh_host), timers={"false.timer": declared})
    assert {check for check, held in holds.items() if not held} == {"timer.ended_well"}


def test_a_timer_that_has_not_elapsed_has_not_run(sound_host: Target) -> None:
    declared = {"last_ran": "1d", "ended_well": True}
    assert not any(held_on(as_root(sound_host), timers={"certbot": declared}).values())
    absent = {"scheduled": True, "schedule": "!= daily", "next_run": "1d", "last_ran": "1d", "ended_well": True}
    assert not any(held_on(as_root(sound_host), timers={"no-such-timer": absent}).values())


# Updates. A repository of one package, as apt takes it from a folder.

REPOSITORY = r"""
set -eu
mkdir -p /srv/shop/repo; cd /srv/shop/repo
build() {
    mkdir -p "$1/DEBIAN"
    printf 'Package: %s\nVersion: %s\n' "$2" "$3" > "$1/DEBIAN/control"
    printf 'Architecture: all\nMaintainer: lab\nDescription: lab\n' >> "$1/DEBIAN/control"
    dpkg-deb --build "$1" "$2_$3.deb" >/dev/null
}
offer() {
    cat "$1/DEBIAN/control"
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$2" "$(stat -c %s "$2")" "$(sha256sum "$2" | cut -d ' ' -f 1)"
}
build old lab-tool 1.0; dpkg --install lab-tool_1.0.deb >/dev/null
build new lab-tool 1.1
offer new lab-tool_1.1.deb > Packages
printf 'Label: Debian-Security\nSuite: stable-security\n' > Release
printf 'SHA256:\n %s %s Packages\n' "$(sha256sum Packages | cut -d ' ' -f 1)" "$(stat -c %s Packages)" >> Release
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
echo 'deb [trusted=yes] file:/srv/shop/repo ./' > /etc/apt/sources.list
apt-get -q update
"""


def test_updates_hold_once_they_are_installed(fresh_host: Target) -> None:
    host = as_root(fresh_host)
    declared = {"security": 0, "pending": 0}
    with pytest.raises(CouldNotLook, match="no lists of packages"):
        held_on(host, updates=declared)
    fresh_host.run(REPOSITORY)
    reasons = reasons_on(as_root(fresh_host), updates=declared | {"lists_age": "1h"})
    assert "waiting are lab-tool" in reasons["updates.security"]
    assert reasons["updates.pending"]
    assert not reasons["updates.lists_age"]
    fresh_host.run("apt-mark hold lab-tool")
    assert not any(held_on(as_root(fresh_host), updates=declared).values())
    fresh_host.run("dpkg --install --force-hold /srv/shop/repo/lab-tool_1.1.deb")
    assert all(held_on(as_root(fresh_host), updates=declared).values())


def test_a_server_that_has_not_asked_for_updates_for_a_week_knows_of_none(fresh_host: Target) -> None:
    fresh_host.run(f"{REPOSITORY}\nfind /var/lib/apt/lists /var/cache/apt -exec touch -d '9 days ago' {{}} +")
    assert not held_on(as_root(fresh_host), updates={"lists_age": "2d"})["updates.lists_age"]
    with pytest.raises(CouldNotLook, match="last asked for updates 9d ago"):
        held_on(as_root(fresh_host), updates={"security": 0})


# The clock.


def test_a_clock_holds_that_follows_another_than_itself(lab: Lab, fresh_host: Target) -> None:
    declared = {"synchronised": True, "drift": "1s"}
    reasons = reasons_on(as_root(fresh_host), clock=declared)
    assert reasons["clock.synchronised"].startswith("it follows no clock but its own")
    assert reasons["clock.drift"]
    with lab.boot("time") as source:
        source.run(
            "printf 'local stratum 3\nallow all\n' > /etc/chrony/chrony.conf; systemctl restart chrony; ufw disable"
        )
        fresh_host.run(
            f"printf 'server {source.address} iburst minpoll -4 maxpoll -4\ncmdport 0\n' > /etc/chrony/chrony.conf; "
            "systemctl restart chrony; chronyc -n waitsync 60 0 0 0.1"
        )
        assert all(held_on(as_root(fresh_host), clock=declared).values())
        assert not held_on(as_root(fresh_host), clock={"drift": "1us"})["clock.drift"]


# Keys, and who may look.


def test_a_key_that_opens_an_account_is_known_by_its_fingerprint(sound_host: Target) -> None:
    fingerprint = sound_host.run("ssh-keygen -lf /etc/ssh/authorized_keys.lab").stdout.split()[1]
    host = as_root(sound_host)
    assert held_on(host, users={"deploy": {"authorised_keys": [fingerprint]}})["user.authorised_keys"]
    assert not held_on(host, users={"deploy": {"authorised_keys": ["SHA256:other"]}})["user.authorised_keys"]
    assert not held_on(host, users={"nobody-there": {"authorised_keys": {"lacks": ["x"]}}})["user.authorised_keys"]


# As sshd takes them: a key after a tab, one after two blanks, and whoever has a certificate of an authority.
KEYS = r"""
set -eu
useradd --create-home shop-admin
for key in tab blanks authority; do ssh-keygen -q -t ed25519 -N '' -f /root/$key; done
mkdir -m 700 ~shop-admin/.ssh
{ tr ' ' '\t' </root/tab.pub; sed 's/ /  /' /root/blanks.pub; } > ~shop-admin/.ssh/authorized_keys
chown -R shop-admin: ~shop-admin/.ssh
settings='AuthorizedKeysFile .ssh/authorized_keys\nTrustedUserCAKeys /root/authority.pub\n'
printf "$settings" > /etc/ssh/sshd_config.d/0.conf
ssh-keygen -q -s /root/authority -I any -n shop-admin /root/authority.pub
"""


def test_every_key_counts_that_lets_in_however_it_is_written(fresh_host: Target) -> None:
    # Not by ssh, whose sshd is told of other keys.
    host = testinfra.get_host(f"docker://{fresh_host.container}")
    fresh_host.run(f"{KEYS}\n{RELOAD}")
    certificate = "-o CertificateFile=/root/authority-cert.pub"
    for key in ("tab", "blanks", f"authority {certificate}"):
        options = f"-i /root/{key} -o BatchMode=yes -o StrictHostKeyChecking=no"
        fresh_host.run(f"ssh {options} shop-admin@127.0.0.1 true")
    assert held_on(host, users={"shop-admin": {"authorised_key_count": 3}})["user.authorised_key_count"]


@pytest.mark.parametrize(
    "declared",
    [
        {"cron": {"certbot": {"scheduled": False}}},
        {"sshd": {"PermitRootLogin": "no"}},
        {"users": {"shop": {"sudo_rules": 0}}},
        {"users": {"shop": {"password_login": False}}},
        {"open_accounts": 0},
        {"nginx": {"config": "invalid"}},
        {"permissions": {"world_writable": 0, "under": ["/etc"]}},
        {"processes": {"nginx": {"open_files": "50%"}}},
        {"logs": {"cron": {"unit": "cron", "errors": 0}}},
        {"logs": {"cron": {"unit": "cron", "age": "1d"}}},
        {"cron": {"shop-backup": {"last_ran": "1d"}}},
    ],
    ids=lambda declared: next(iter(declared)),
)
def test_what_takes_root_is_not_guessed_without(sound_host: Target, declared: dict[str, Any]) -> None:
    held_on(as_root(sound_host), **declared)
    with pytest.raises(CouldNotLook):
        held_on(as_deploy(sound_host), **declared)


def test_an_account_that_has_ended_or_whose_password_is_too_old_has_expired(fresh_host: Target) -> None:
    # Not by ssh, which rightly shuts such an account out.
    host = testinfra.get_host(f"docker://{fresh_host.container}")
    users = {"deploy": {"expired": False, "password_login": False}}
    assert all(held_on(host, users=users).values())
    for change in ("--expiredate 2026-01-01", "--expiredate -1 --lastday 0", "--lastday 2020-01-01 --maxdays 90"):
        fresh_host.run(f"chage {change} deploy")
        assert held_on(host, users=users) == {"user.expired": False, "user.password_login": True}
    fresh_host.run("chage --maxdays -1 deploy; sed -i s/^deploy:x:/deploy::/ /etc/passwd")
    assert held_on(host, users=users) == {"user.expired": True, "user.password_login": False}
    fresh_host.run("sed -i s/^deploy::/deploy:x:/ /etc/passwd; sed -i /^deploy:/d /etc/shadow")
    with pytest.raises(CouldNotLook, match="is not in /etc/shadow"):
        held_on(host, users=users)


def test_a_resolver_that_is_down_has_not_said_that_there_is_no_such_name(fresh_host: Target) -> None:
    names = {"legacy.shop.invalid": {"resolvable": False}}
    fresh_host.run("echo 'hosts: files' >> /etc/nsswitch.conf; sed -i '/^hosts:.*dns/d' /etc/nsswitch.conf")
    assert held_on(as_root(fresh_host), dns=names)["dns.resolvable"]
    fresh_host.run(
        "sed -i 's/^hosts: files/hosts: files dns/' /etc/nsswitch.conf; echo nameserver 127.0.0.9 > /etc/resolv.conf"
    )
    assert "gave no answer" in reasons_on(as_root(fresh_host), dns=names)["dns.resolvable"]


def test_nothing_is_free_where_nothing_can_be_written(sound_host: Target) -> None:
    # This file is mounted read-only.
    disk = {"/etc/ssh/authorized_keys.lab": {"mounted": True, "free": "1B"}}
    assert held_on(as_root(sound_host), disk=disk) == {"disk.mounted": True, "disk.free": False}


# A server with a busybox and little else.

SPARSE = {
    "system": {"kernel": ">=3", "cpus": 1, "timezone": "UTC"},
    "processes": {"sleep": {"running": True, "count": 1, "users": ["root"], "limits": {"nofile": 10}}},
    "cron": {"backup": {"scheduled": False}},
    "ports": {"80": {"listening": False}},
    "interfaces": {"lo": {"up": True, "addresses": ["127.0.0.1/8"]}},
    "files": {
        "/etc/passwd": {"exists": True, "mode": "0644", "owner": "root", "age": "1h", "contains": {"^root": True}}
    },
    "permissions": {"world_writable": 0},
    "users": {"root": {"groups": ["root"], "password_login": False, "expired": False}, "ghost": {"exists": False}},
    "superusers": ["root"],
    "open_accounts": 0,
    "disk": {"/": {"mounted": True, "free": "1K"}},
    "memory": {"used": "99%"},
    "load_average": {"one_minute": 1000},
    "commands": {"hello": {"run": "echo hi", "output": "hi", "exit": 0}},
}


@pytest.fixture(scope="module")
def sparse(lab: Lab) -> Iterator[Any]:
    accounts = (
        "mkdir /etc; echo root:x:0:0:root:/root:/bin/sh > /etc/passwd; echo root:x:0: > /etc/group; "
        "echo 'root:*:19000:0:99999:7:::' > /etc/shadow"
    )
    name = f"{lab.network}-sparse"
    label = f"--label={OWNER}={owner()}"
    docker("run", "--detach", "--name", name, label, "--network", "none", tiny_image(), "sleep", "1000")
    docker("exec", name, "sh", "-c", accounts)
    yield testinfra.get_host(f"docker://{name}")
    docker("rm", "--force", name)


def test_a_server_with_a_busybox_only_is_looked_at_as_any(sparse: Any) -> None:
    assert {check for check, held in held_on(sparse, **SPARSE).items() if not held} == set()


@pytest.mark.parametrize(
    "declared",
    [
        {"updates": {"pending": 0}},
        {"packages": {"telnetd": {"installed": False}}},
        {"services": {"nginx": {"running": False}}},
        {"timers": {"certbot": {"scheduled": False}}},
        {"failed_units": 0},
        {"reaches": {"127.0.0.1:1": False}},
        {"dns": {"legacy.invalid": {"resolvable": False}}},
        {"permissions": {"unowned": 0}},
        {"sshd": {"PermitRootLogin": "no"}},
        {"nginx": {"config": "invalid"}},
        {"clock": {"synchronised": False}},
        {"commands": {"slow": {"run": "echo well; sleep 60", "within": "1s", "output": "well"}}},
    ],
    ids=lambda declared: next(iter(declared)),
)
def test_what_a_busybox_can_not_tell_is_never_a_pass(sparse: Any, declared: dict[str, Any]) -> None:
    with pytest.raises(CouldNotLook):
        held_on(sparse, **declared)


# Logs of units, and services without systemd.


def test_the_journal_of_a_unit_is_a_log(sound_host: Target) -> None:
    declared = {"unit": "cron", "age": "1h", "contains": {"[Ss]tarted": True}}
    assert all(held_on(as_root(sound_host), logs={"cron": declared}).values())
    assert not any(held_on(as_root(sound_host), logs={"x": declared | {"unit": "no-such-unit"}}).values())


SPEAKS = """
printf '[Service]\\nExecStart=/bin/sh -c "cat /srv/said; exec sleep 900"\\n' > /etc/systemd/system/speaks.service
echo {said} > /srv/said
systemctl daemon-reload
systemctl restart speaks
until [ -z {said} ] || journalctl _SYSTEMD_UNIT=speaks.service | grep -q tea; do sleep 0.1; done
"""


def test_the_form_of_a_log_is_that_of_what_the_unit_says_itself(fresh_host: Target) -> None:
    log = {"worker": {"unit": "speaks", "lines": 3, "json_lines": "100%", "fields": ["level", "said"], "errors": 0}}
    said = """'{"level": "INFO", "said": "tea"}'"""
    for _ in range(2):
        fresh_host.run(SPEAKS.format(said=said))
    assert all(held_on(as_root(fresh_host), logs=log).values())
    fresh_host.run(SPEAKS.format(said="'ERROR: no more tea'"))
    seen = held_on(as_root(fresh_host), logs=log)
    assert not any(seen.values())
    fresh_host.run("journalctl --rotate --vacuum-time=1s -q; " + SPEAKS.format(said="''"))
    seen = reasons_on(as_root(fresh_host), logs=log)
    assert seen["log.json_lines"] == "there is no log, or no line in it that its own program wrote"
    assert seen["log.errors"] == "no line tells a level"


def test_rotation_is_known_once_logrotate_has_run(fresh_host: Target) -> None:
    log = {"/var/log/nginx/access.log": {"rotated": "2d"}}
    assert not held_on(as_root(fresh_host), logs=log)["log.rotated"]
    fresh_host.run("logrotate /etc/logrotate.conf")
    assert held_on(as_root(fresh_host), logs=log)["log.rotated"]


def test_a_log_that_logrotate_no_longer_looks_after_is_not_rotated_whatever_its_record_says(
    fresh_host: Target,
) -> None:
    fresh_host.run("logrotate /etc/logrotate.conf")
    log = "/var/log/nginx/access.log"
    rotated = {log: {"rotated": "2d"}}
    fresh_host.run("sed -i 's/access/other/; s/[*].log/other.log/' /etc/logrotate.d/nginx")
    fresh_host.run(f"grep -q {log} /var/lib/logrotate/status")
    assert reasons_on(as_root(fresh_host), logs=rotated) == {
        "log.rotated": f"no configuration of logrotate names {log}"
    }
    fresh_host.run(f"printf '{log} /var/log/shop-*.log {{\\n daily\\n}}\\n' > /etc/logrotate.d/nginx")
    assert held_on(as_root(fresh_host), logs=rotated)["log.rotated"]
    fresh_host.run("chmod 0666 /etc/logrotate.d/nginx")  # which makes logrotate skip it
    assert not held_on(as_root(fresh_host), logs=rotated)["log.rotated"]
    fresh_host.run("rm /etc/logrotate.d/nginx")
    with pytest.raises(CouldNotLook):
        held_on(as_deploy(fresh_host), logs=rotated)


def test_without_systemd_an_init_script_tells_of_its_service(lab: Lab) -> None:
    declared = {"nginx": {"running": True, "enabled": True}}
    with lab.refusing_host() as bare:
        docker("exec", bare.container, "/etc/init.d/nginx", "start")
        host = testinfra.get_host(f"docker://{bare.container}")
        assert all(held_on(host, services=declared).values())
        assert not held_on(host, services={"nginx": {"restarts": 0}})["service.restarts"]
        docker("exec", bare.container, "sh", "-c", "/etc/init.d/nginx stop; update-rc.d nginx remove")
        assert not any(held_on(host, services=declared).values())


def test_of_two_names_for_one_number_the_first_is_shown(fresh_host: Target) -> None:
    fresh_host.run("useradd --non-unique --uid 0 toor; echo '+::::::' >> /etc/passwd")
    assert held_on(as_root(fresh_host), processes={"cron": {"users": ["root"]}})["process.users"]


def test_where_nothing_knows_of_packages_or_accounts_none_is_said_to_be_absent(fresh_host: Target) -> None:
    fresh_host.run(": > /var/lib/dpkg/status")
    with pytest.raises(CouldNotLook, match="no packages of apk, dpkg or rpm"):
        held_on(as_root(fresh_host), packages={"telnetd": {"installed": False}})
    host = testinfra.get_host(f"docker://{fresh_host.container}")
    fresh_host.run("rm /etc/passwd")
    with pytest.raises(CouldNotLook, match="/etc/passwd"):
        held_on(host, superusers={"lacks": ["toor"]})


WORKER = """\
#!/sbin/openrc-run
command=/bin/sleep
command_args=1000
command_background=true
pidfile=/run/worker.pid
"""
BEGUN = "mkdir -p /run/openrc; chmod +x /etc/init.d/worker; openrc sysinit; touch /run/openrc/softlevel"


def test_openrc_tells_of_its_services(lab: Lab) -> None:
    declared = {"worker": {"running": True, "enabled": True, "failed": False}}
    with replace(lab, image=openrc_image()).bare_host() as bare:
        bare.write("/etc/init.d/worker", WORKER)
        bare.run(f"{BEGUN}; rc-service worker start; rc-update add worker default")
        host = testinfra.get_host(f"docker://{bare.container}")
        assert all(held_on(host, services=declared).values())
        bare.run("rc-update delete worker default; rc-service worker stop")
        assert held_on(host, services=declared) == {
            "service.running": False,
            "service.enabled": False,
            "service.failed": True,
        }


# The baseline.

ELSEWHERE = ["updates", "clock", "sysctl"]  # a container has the kernel and the clock of its machine


def test_the_baseline_names_what_a_stock_server_lacks_until_it_is_mended(fresh_host: Target) -> None:
    taken = {"name": "linux", "without": ELSEWHERE}
    reasons = reasons_on(as_root(fresh_host), baseline=taken)
    assert len(reasons) >= 10
    assert {check for check, why in reasons.items() if why} == {"server.sshd"}
    mend = "X11Forwarding no\nMACs -umac-64@openssh.com\n"
    fresh_host.run(f"printf '{mend}' > /etc/ssh/sshd_config.d/00-hardened.conf; {RELOAD}")
    assert not any(reasons_on(as_root(fresh_host), baseline=taken).values())
    fresh_host.run("useradd --non-unique --uid 0 toor; chmod 0644 /etc/shadow")
    broken = {check for check, why in reasons_on(as_root(fresh_host), baseline=taken).items() if why}
    assert broken == {"server.superusers", "file.mode"}


def test_every_line_of_the_baseline_that_was_left_out_above_can_be_looked_at(sound_host: Target) -> None:
    assert set(ELSEWHERE) < set(baseline("linux"))
    held_on(as_root(sound_host), sysctl=dict(baseline("linux")["sysctl"]))
