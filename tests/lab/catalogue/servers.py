"""Faults of a server: its services, packages, users, files, ports, processes, disks and kernel."""

from tests.lab.faults import AreaFaults, Fault

SOUND = """\
servers:
  target:
    connect: ${LAB_HOST}
    sudo: true
    services:
      nginx: {running: true, enabled: true}
      cron: {running: true, enabled: true}
      redis-server: {running: true, enabled: true}
      postgresql@15-main: {running: true}
    packages:
      nginx: {version: ">=1.22"}
      rclone: {installed: true}
      logrotate: {installed: true}
    users:
      deploy: {exists: true, uid: 1000, groups: [deploy, sudo, www-data]}
      shop: {exists: true, shell: /usr/sbin/nologin}
    files:
      /etc/shop/shop.env:
        {exists: true, type: file, mode: "0600", owner: deploy, contains: {^LOG_LEVEL=info$: true}}
      /etc/cron.d/shop-backup:
        {owner: root, contains: {'^0 1 \\* \\* \\* postgres /usr/local/bin/shop-backup$': true}}
      /var/backups/shop/latest.dump: {age: 26h, size: ">=1K"}
    ports:
      80: {listening: true}
      443: {listening: true}
      6379: {addresses: [127.0.0.1]}
      7777: {listening: false}
    processes:
      redis-server: {running: true, users: [redis]}
    disk:
      /srv/shop: {mounted: true, used: {warn: 70%, fail: 85%}, inodes_used: 85%}
    sysctl:
      net.ipv4.tcp_syncookies: 1
    commands:
      no failed units: {run: systemctl is-system-running, output: running}
      firewall: {run: ufw status verbose, output: "~ ^Status: active\\n(.*\\n)*Default: deny [(]incoming[)]"}
"""

UNTIL_7777_LISTENS = "until ss -ltn | grep -q :7777; do sleep 0.02; done"
NIGHTLY_FAILS = "systemd-run --quiet --wait --unit=nightly false || systemctl is-failed --quiet nightly"
REDIS_AS_ROOT = """\
cat > /etc/systemd/system/redis-server.service.d/user.conf <<END
[Service]
User=root
Group=root
CapabilityBoundingSet=CAP_DAC_OVERRIDE
END
systemctl daemon-reload
systemctl restart redis-server
"""

FAULTS = AreaFaults(
    "servers",
    SOUND,
    (
        Fault("service-stopped", ("service.running",), "systemctl stop cron"),
        Fault("service-disabled", ("service.enabled",), "systemctl disable --quiet nginx"),
        Fault("service-masked", ("service.running", "service.enabled"), "systemctl mask --now --quiet cron"),
        Fault("unit-failed", ("command.output",), NIGHTLY_FAILS),
        Fault("package-missing", ("package.installed",), "dpkg --purge rclone"),
        Fault("package-removed-but-its-settings-kept", ("package.installed",), "dpkg --remove logrotate"),
        Fault("user-missing", ("user.exists", "user.shell"), "userdel shop"),
        Fault("user-left-its-group", ("user.groups",), "gpasswd --delete deploy www-data"),
        Fault("system-user-may-log-in", ("user.shell",), "usermod --shell /bin/bash shop"),
        Fault(
            "file-missing",
            ("file.exists", "file.type", "file.mode", "file.owner", "file.contains"),
            "rm /etc/shop/shop.env",
        ),
        Fault("secret-readable-by-all", ("file.mode",), "chmod 0644 /etc/shop/shop.env"),
        Fault("file-of-another-owner", ("file.owner",), "chown root /etc/shop/shop.env"),
        Fault("file-is-a-link", ("file.type",), "cd /etc/shop; mv shop.env real.env; ln -s real.env shop.env"),
        Fault("debug-left-on", ("file.contains",), "sed -i s/info/debug/ /etc/shop/shop.env"),
        Fault("setting-commented-out", ("file.contains",), "sed -i 's/^/# /' /etc/shop/shop.env"),
        Fault("file-stale", ("file.age",), "touch -d '3 days ago' /var/backups/shop/latest.dump"),
        Fault("file-empty", ("file.size",), ": > /var/backups/shop/latest.dump"),
        Fault("cron-entry-missing", ("file.owner", "file.contains"), "rm /etc/cron.d/shop-backup"),
        Fault(
            "cron-entry-only-on-sundays",
            ("file.contains",),
            "sed -i 's/^0 1 . . ./0 1 * * 0/' /etc/cron.d/shop-backup",
        ),
        Fault(
            "port-closed-though-the-service-runs",
            ("port.listening",),
            "sed -i '/listen 443/d' /etc/nginx/sites-available/default; systemctl restart nginx",
        ),
        Fault(
            "private-port-on-every-address",
            ("port.addresses",),
            "sed -i 's/^bind .*/bind 0.0.0.0/' /etc/redis/redis.conf; systemctl restart redis-server",
        ),
        Fault(
            "unexpected-listener",
            ("port.listening",),
            f"systemd-run --quiet nc -lk 7777; {UNTIL_7777_LISTENS}",
        ),
        Fault("process-runs-as-root", ("process.users",), REDIS_AS_ROOT),
        Fault("disk-nearly-full", ("disk.used",), "head -c 15M /dev/zero > /srv/shop/orders.log"),
        Fault("inodes-nearly-gone", ("disk.inodes_used",), "cd /srv/shop; seq 950 | xargs touch"),
        Fault("sysctl-wrong", ("server.sysctl",), lambda host: host.set_sysctl("net.ipv4.tcp_syncookies", "0")),
        Fault("firewall-off", ("command.output",), "ufw disable"),
        Fault("firewall-lets-everything-in", ("command.output",), "ufw default allow incoming"),
    ),
)
