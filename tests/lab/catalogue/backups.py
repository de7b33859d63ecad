"""Faults of backups: not made, not whole, not of the right data, not kept, not apart."""

from tests.lab.faults import AreaFaults, Fault

SOUND = """\
servers:
  target:
    connect: ${LAB_HOST}
    sudo: true
    services: {cron: {running: true}}
backups:
  shop:
    on: target
    path: /var/backups/shop/shop-*.dump
    dated: shop-%Y%m%dT%H%M%S%z
    rpo: 26h
    size: 4K
    mode: "0644"
    sound: true
    encrypted: false
    apart_from: {/srv/shop: true}
    room_for: 10
    retention: {daily: 1, oldest: 8d}
    restore_drill:
      into: scratch
      rto: 5m
      expect: {users: 100, orders: 1000, select email from users where id = 7: user7@shop.lab}
      tables: 2
      constraints: 5
      indexes: 3
"""

DRILL = ("drill.rto", "drill.expect", "drill.tables", "drill.constraints", "drill.indexes")
EVERYTHING = (
    "backup.rpo",
    "backup.size",
    "backup.mode",
    "backup.sound",
    "backup.encrypted",
    "backup.apart_from",
    "backup.room_for",
    "retention.daily",
    "retention.oldest",
    *DRILL,
)

IN_THE_FOLDER = "cd /var/backups/shop; dump=$(echo shop-*.dump)"
# What two of the guides' own scripts do where pg_dump fails: exit 0, and a file as fresh as any.
HIDDEN_FAILURE = f"""\
{IN_THE_FOLDER}
systemctl stop postgresql@15-main
su postgres -c "pg_dump --format=custom shop | cat > $dump"
systemctl start postgresql@15-main
"""

FAULTS = AreaFaults(
    "backups",
    SOUND,
    (
        Fault("backups-gone", EVERYTHING, "rm /var/backups/shop/shop-*.dump"),
        Fault(
            "backup-of-last-month",
            ("backup.rpo", "retention.oldest"),
            f"{IN_THE_FOLDER}; mv $dump shop-$(date -ud '-30 days' +%Y%m%dT%H%M%SZ).dump",
        ),
        Fault(
            "backup-of-last-month-touched-today",
            ("backup.rpo", "retention.oldest"),
            f"{IN_THE_FOLDER}; mv $dump shop-$(date -ud '-30 days' +%Y%m%dT%H%M%SZ).dump; touch shop-*.dump",
        ),
        Fault(
            "pg_dump-failed-behind-a-pipe",
            ("backup.rpo", "backup.size", "backup.sound", "retention.daily", "retention.oldest", *DRILL),
            HIDDEN_FAILURE,
        ),
        Fault(
            "dump-cut-short",
            ("backup.size", "backup.sound", *DRILL),
            f"{IN_THE_FOLDER}; truncate --size=-5000 $dump",
        ),
        Fault(
            "byte-flipped-in-the-data",
            ("backup.sound", *DRILL),
            f"{IN_THE_FOLDER}; at=$(($(stat -c %s $dump) - 3000))\n"
            "printf '\\377\\377\\377\\377' | dd of=$dump bs=1 seek=$at conv=notrunc status=none",
        ),
        Fault(
            "error-page-in-place-of-the-dump",
            ("backup.sound", *DRILL),
            f"{IN_THE_FOLDER}; yes '<h1>502 Bad Gateway</h1>' | head -c 20000 > $dump",
        ),
        Fault(
            "dump-of-an-empty-database",
            ("backup.size", "drill.expect", "drill.tables", "drill.constraints", "drill.indexes"),
            f'{IN_THE_FOLDER}; su postgres -c "createdb empty; pg_dump --format=custom --file=$dump empty"',
        ),
        Fault(
            "dump-without-the-newest-rows",
            ("drill.expect",),
            f"{IN_THE_FOLDER}; su postgres -c \"psql -q shop -c 'delete from orders where id > 900'\n"
            'pg_dump --format=custom --file=$dump shop"',
        ),
        Fault(
            "dump-without-its-constraints",
            ("drill.constraints", "drill.indexes"),
            f"{IN_THE_FOLDER}\n"
            'su postgres -c "pg_dump --format=custom --section=pre-data --section=data --file=$dump shop"',
        ),
        Fault(
            "table-left-out-of-the-dump",
            ("backup.size", "drill.expect", "drill.tables", "drill.constraints", "drill.indexes"),
            f'{IN_THE_FOLDER}; su postgres -c "pg_dump --format=custom --exclude-table=orders --file=$dump shop"',
        ),
        Fault("backup-open-to-all", ("backup.mode",), "chmod 0666 /var/backups/shop/shop-*.dump"),
        Fault(
            "backup-beside-what-it-protects",
            ("backup.apart_from",),
            "mv /var/backups/shop /srv/shop/backups; ln -s /srv/shop/backups /var/backups/shop",
        ),
        Fault(
            "old-backups-never-deleted",
            ("retention.oldest",),
            f"{IN_THE_FOLDER}; cp $dump shop-$(date -ud '-40 days' +%Y%m%dT%H%M%SZ).dump",
        ),
    ),
)
