"""Faults of a server: its services, jobs, packages, users, files, ports, processes, disks and kernel."""

from tests.lab.faults import AreaFaults, Fault

SOUND = """\
servers:
  target:
    connect: ${LAB_HOST}
    sudo: true
    system: {os: debian, release: "12", timezone: UTC}
    updates: {reboot_required: false}
    services:
      nginx: {running: true, enabled: true, failed: false}
      cron: {running: true, enabled: true, masked: false}
      redis-server: {running: true, enabled: true, restarts: 0}
      postgresql: {running: true, enabled: true}
    failed_units: 0
    cron:
      backup: {command: /usr/local/bin/shop-backup, scheduled: true, schedule: "0 1 * * *", user: postgres}
      certbot by cron: {command: certbot, scheduled: false}
    timers:
      certbot: {scheduled: true, schedule: "*-*-* 00,12:00:00", next_run: 25h}
    packages:
      nginx: {version: ">=1.22"}
      rclone: {installed: true}
      logrotate: {installed: true}
    users:
      deploy:
        exists: true
        uid: 1000
        groups: [deploy, sudo, www-data]
        password_login: false
        sudo: ["(ALL : ALL) ALL", "(ALL : ALL) NOPASSWD: ALL"]
        authorised_key_count: 1
      shop: {exists: true, shell: /usr/sbin/nologin, sudo_rules: 0}
    user_groups:
      sudo: {exists: true, gid: 27, members: [deploy]}
    sudoers: [root, "%sudo", deploy]
    superusers: [root]
    open_accounts: 0
    sshd: {PermitRootLogin: "no", PasswordAuthentication: "no"}
    files:
      /etc/shop/shop.env:
        {exists: true, type: file, mode: "0600", owner: deploy, contains: {^LOG_LEVEL=info$: true},
         keys: {LOG_LEVEL: info, WORKERS: 2}}
      /etc/cron.d/shop-backup:
        {owner: root, contains: {'^0 1 \\* \\* \\* postgres /usr/local/bin/shop-backup$': true}}
      /var/backups/shop/latest.dump: {age: 26h, size: ">=1K"}
    permissions: {under: [/etc, /usr/local, /srv], world_writable: 0, unowned: 0, setuid_unpackaged: 0}
    nginx: {config: valid}
    listening_only: [22, 80, 443]
    reaches: localhost:5432
    interfaces:
      eth0: {exists: true, up: true, mtu: 1500}
    ports:
      80: {listening: true}
      443: {listening: true}
      6379: {addresses: [127.0.0.1]}
      7777: {listening: false}
    processes:
      redis-server: {running: true, users: [redis], open_files: 50%, limits: {nofile: 1024}}
    disk:
      /srv/shop:
        {mounted: true, filesystem: tmpfs, options: {contains: [rw]}, used: {warn: 70%, fail: 85%}, inodes_used: 85%}
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

LIMIT_REQ_IN_SERVER = "limit_req_zone $binary_remote_addr zone=api:10m rate=10r/s;"
REDIS_CRASHES = """\
kill -KILL "$(pidof redis-server)"
until [ "$(systemctl show --property=NRestarts --value redis-server)" = 1 ] && redis-cli ping; do sleep 0.05; done
"""
A_SECOND_KEY = """\
ssh-keygen -q -t ed25519 -N '' -C someone@who-left -f /root/second
cat /etc/ssh/authorized_keys.lab /root/second.pub > /etc/ssh/authorized_keys.both
echo 'AuthorizedKeysFile /etc/ssh/authorized_keys.both' > /etc/ssh/sshd_config.d/00-keys.conf
systemctl reload ssh
"""
CLOSED = ("port.listening", "server.listening_only")
CRON = ("cron.scheduled", "cron.schedule", "cron.user")

FAULTS = AreaFaults(
    "servers",
    SOUND,
    (
        Fault("service-stopped", ("service.running", *CRON), "systemctl stop cron"),
        Fault("service-disabled", ("service.enabled",), "systemctl disable --quiet nginx"),
        Fault(
            "service-masked",
            ("service.running", "service.enabled", "service.masked", *CRON),
            "systemctl mask --now --quiet cron",
        ),
        Fault("service-crashes-and-comes-back", ("service.restarts",), REDIS_CRASHES, unsure=("service.running",)),
        Fault(
            "database-down-behind-its-wrapper",
            ("service.running", "server.reaches"),
            "systemctl stop postgresql@15-main; systemctl is-active postgresql",
        ),
        Fault(
            "service-does-not-come-back",
            ("service.running", "service.failed", "server.failed_units", "command.output", "nginx.config", *CLOSED),
            "echo nonsense >> /etc/nginx/nginx.conf; systemctl restart nginx || :",
        ),
        Fault("unit-failed", ("command.output", "server.failed_units"), NIGHTLY_FAILS),
        Fault("package-missing", ("package.installed",), "dpkg --purge rclone"),
        Fault("package-removed-but-its-settings-kept", ("package.installed",), "dpkg --remove logrotate"),
        Fault("user-missing", ("user.exists", "user.shell", "user.sudo_rules"), "userdel shop"),
        Fault("user-left-its-group", ("user.groups",), "gpasswd --delete deploy www-data"),
        Fault("system-user-may-log-in", ("user.shell",), "usermod --shell /bin/bash shop"),
        Fault(
            "file-missing",
            ("file.exists", "file.type", "file.mode", "file.owner", "file.contains", "file.keys"),
            "rm /etc/shop/shop.env",
        ),
        Fault("secret-readable-by-all", ("file.mode",), "chmod 0644 /etc/shop/shop.env"),
        Fault("file-of-another-owner", ("file.owner",), "chown root /etc/shop/shop.env"),
        Fault("file-is-a-link", ("file.type",), "cd /etc/shop; mv shop.env real.env; ln -s real.env shop.env"),
        Fault("debug-left-on", ("file.contains", "file.keys"), "sed -i s/info/debug/ /etc/shop/shop.env"),
        Fault("setting-commented-out", ("file.contains", "file.keys"), "sed -i 's/^/# /' /etc/shop/shop.env"),
        Fault("file-stale", ("file.age",), "touch -d '3 days ago' /var/backups/shop/latest.dump"),
        Fault("file-empty", ("file.size",), ": > /var/backups/shop/latest.dump"),
        Fault("cron-entry-missing", ("file.owner", "file.contains", *CRON), "rm /etc/cron.d/shop-backup"),
        Fault(
            "cron-entry-only-on-sundays",
            ("file.contains", "cron.schedule"),
            "sed -i 's/^0 1 . . ./0 1 * * 0/' /etc/cron.d/shop-backup",
        ),
        Fault(
            "port-closed-though-the-service-runs",
            ("port.listening", "server.listening_only"),
            "sed -i '/listen 443/d' /etc/nginx/sites-available/default; systemctl restart nginx",
        ),
        Fault(
            "private-port-on-every-address",
            ("port.addresses", "server.listening_only"),
            "sed -i 's/^bind .*/bind 0.0.0.0/' /etc/redis/redis.conf; systemctl restart redis-server",
        ),
        Fault(
            "unexpected-listener",
            ("port.listening", "server.listening_only"),
            f"systemd-run --quiet nc -lk 7777; {UNTIL_7777_LISTENS}",
        ),
        Fault("process-runs-as-root", ("process.users",), REDIS_AS_ROOT),
        Fault("disk-nearly-full", ("disk.used",), "head -c 15M /dev/zero > /srv/shop/orders.log"),
        Fault("inodes-nearly-gone", ("disk.inodes_used",), "cd /srv/shop; seq 950 | xargs touch"),
        Fault("sysctl-wrong", ("server.sysctl",), lambda host: host.set_sysctl("net.ipv4.tcp_syncookies", "0")),
        Fault("firewall-off", ("command.output",), "ufw disable"),
        Fault("firewall-lets-everything-in", ("command.output",), "ufw default allow incoming"),
        Fault("cron-entry-that-others-may-write", CRON, "chmod 0664 /etc/cron.d/shop-backup"),
        Fault(
            "cron-entry-with-a-dot-in-its-name",
            ("file.owner", "file.contains", *CRON),
            "cd /etc/cron.d; mv shop-backup shop-backup.cron",
        ),
        Fault(
            "cron-entry-as-root",
            ("file.contains", "cron.user"),
            "sed -i s/postgres/root/ /etc/cron.d/shop-backup",
        ),
        Fault("timer-stopped", ("timer.scheduled", "timer.next_run"), "systemctl stop certbot.timer"),
        Fault(
            "timer-due-once-a-month",
            ("timer.schedule", "timer.next_run"),
            "mkdir /etc/systemd/system/certbot.timer.d; cd /etc/systemd/system/certbot.timer.d; "
            "printf '[Timer]\\nOnCalendar=\\nOnCalendar=2099-01-01\\n' > rare.conf; "
            "systemctl daemon-reload; systemctl restart certbot.timer",
        ),
        Fault("timer-with-nothing-to-start", ("timer.scheduled",), "systemctl mask --quiet certbot.service"),
        Fault(
            "cron-entry-beside-a-wrong-one",
            CRON,
            "echo '99 * * * * root true' >> /etc/cron.d/shop-backup",
        ),
        Fault(
            "web-server-at-home-only",
            ("server.listening_only",),
            "sed -i 's/listen 443/listen 127.0.0.1:443/' /etc/nginx/sites-available/default; systemctl restart nginx",
        ),
        Fault("reboot-is-due", ("updates.reboot_required",), "touch /run/reboot-required"),
        Fault("other-time-zone", ("system.timezone",), "ln -sfn /usr/share/zoneinfo/Asia/Almaty /etc/localtime"),
        Fault(
            "passwords-let-in-again",
            ("server.sshd",),
            "echo 'PasswordAuthentication yes' > /etc/ssh/sshd_config.d/00-cloud.conf; systemctl reload ssh",
        ),
        Fault(
            "passwords-let-in-for-one",
            ("server.sshd",),
            "printf 'Match User shop\\n PasswordAuthentication yes\\n' >> /etc/ssh/sshd_config; systemctl reload ssh",
        ),
        Fault("password-set", ("user.password_login",), "echo deploy:deploy | chpasswd"),
        Fault("second-key", ("user.authorised_key_count",), A_SECOND_KEY),
        Fault(
            "service-account-may-sudo",
            ("user.sudo_rules", "server.sudoers"),
            "echo 'shop ALL=(root) NOPASSWD: /bin/sh' > /etc/sudoers.d/shop",
        ),
        Fault(
            "one-rule-of-sudo-more",
            ("user.sudo",),
            "echo 'deploy ALL=(postgres) NOPASSWD: /bin/sh' > /etc/sudoers.d/more",
        ),
        Fault("one-more-in-the-group", ("group.members", "user.sudo_rules"), "gpasswd --add shop sudo"),
        Fault("second-root", ("server.superusers",), "useradd --non-unique --uid 0 toor"),
        Fault("account-without-a-password", ("server.open_accounts",), "passwd --delete shop"),
        Fault(
            "backdoor-left-behind",
            ("permissions.setuid_unpackaged",),
            "cp /bin/sh /usr/local/bin/.sh; chmod 4755 /usr/local/bin/.sh",
        ),
        Fault("script-that-all-may-write", ("permissions.world_writable",), "chmod 0777 /usr/local/bin/shop-backup"),
        Fault("files-of-a-deleted-user", ("permissions.unowned",), "chown 4242 /usr/local/bin/shop-backup"),
        Fault(
            "limit-req-zone-in-the-wrong-place",
            ("nginx.config",),
            f"sed -i '2i {LIMIT_REQ_IN_SERVER}' /etc/nginx/sites-available/default",
        ),
        Fault(
            "database-walled-off",
            ("server.reaches",),
            "iptables --insert OUTPUT --protocol tcp --dport 5432 --jump REJECT; "
            "ip6tables --insert OUTPUT --protocol tcp --dport 5432 --jump REJECT",
        ),
        Fault("small-packets-only", ("interface.mtu",), "ip link set eth0 mtu 1280"),
        Fault(
            "limit-too-low",
            ("process.limits",),
            "printf '[Service]\\nLimitNOFILE=100\\n' > /etc/systemd/system/redis-server.service.d/limit.conf; "
            "systemctl daemon-reload; systemctl restart redis-server",
        ),
    ),
)
