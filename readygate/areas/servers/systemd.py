"""Reading what systemd tells of its units."""

from __future__ import annotations

from datetime import UTC, datetime

# To begin a script with that asks journalctl, which says nothing of what it may not show of a unit.
WHOLE_JOURNAL = """
readable() {
    for journal in /var/log/journal/*/system.journal /run/log/journal/*/system.journal; do
        [ ! -r "$journal" ] || return 0
    done
    return 1
}
if ! readable; then
    [ "$(id -u)" = 0 ] && echo 'it keeps no journal' >&2 || echo 'journal of the system: Permission denied' >&2
    exit 1
fi
"""


def parse_properties(text: str) -> dict[str, str]:
    """What `systemctl show` prints: one property a line; of one that is there twice the values are joined."""
    known: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals:
            known[name] = f"{known[name]}\n{value}" if name in known else value
    return known


def parse_moment(text: str) -> float | None:
    """Seconds since 1970 of `Sat 2026-11-21 01:46:20 UTC`, as printed with TZ=UTC; None for `n/a` or nothing."""
    _, _, moment = text.partition(" ")
    if not moment.endswith(" UTC"):
        return None
    return datetime.strptime(moment, "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC).timestamp()
