"""Logs on a server: whether they are written, in which form, what they say, and whether they are rotated."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from shlex import quote
from typing import Any, ClassVar

from pydantic import Field

from readygate.areas.asking import ask, forbidden
from readygate.areas.servers.files import LOOK, AbsolutePath, Pattern, absolute, age_s
from readygate.areas.servers.software import OneName
from readygate.areas.servers.systemd import WHOLE_JOURNAL
from readygate.expectation import AtLeastPercent, AtMostCount, AtMostDuration, Flag, TextSet
from readygate.spec import Spec

_MOST_READ = 4 * 1024 * 1024
_LEVEL_KEYS = ("level", "levelname", "severity", "log.level", "lvl", "loglevel")
# Python, Go, Java, syslog and nginx each have their own words for the same five.
_LEVELS = {
    "trace": "DEBUG", "debug": "DEBUG", "info": "INFO", "information": "INFO", "notice": "INFO",
    "warn": "WARNING", "warning": "WARNING", "error": "ERROR", "err": "ERROR", "severe": "ERROR",
    "critical": "CRITICAL", "crit": "CRITICAL", "fatal": "CRITICAL", "alert": "CRITICAL", "emerg": "CRITICAL",
    "panic": "CRITICAL",
}  # fmt: skip
_BAD = ("ERROR", "CRITICAL")
_UNIT = re.compile(r"\.(service|socket|timer|mount|scope|slice|path|target|swap|automount|device)$")


class Log(Spec):
    """A log on a server: a file, or the journal of a unit; its last lines stand for it."""

    area: ClassVar[str] = "log"
    noun: ClassVar[str] = "log"

    path: AbsolutePath | None = Field(None, description="A setting: its file, if the key is a name of your own.")
    unit: OneName | None = Field(None, description="A setting: the unit of systemd whose journal it is, not a file.")
    lines: int = Field(200, description="A setting: how many of its last lines are read.", ge=1, le=10_000)
    age: AtMostDuration | None = Field(None, description="How long ago the last line was written.")
    json_lines: AtLeastPercent | None = Field(None, description="How many of the lines are a JSON object.")
    fields: TextSet | None = Field(None, description="The fields that every line has: {contains: [correlation_id]}.")
    levels: TextSet | None = Field(None, description="The levels that occur: {lacks: [DEBUG]}.")
    errors: AtMostCount | None = Field(None, description="How many of the lines are of level ERROR or CRITICAL.")
    contains: dict[Pattern, Flag] | None = Field(
        None, description="By regular expression: whether some line holds it. What is in the log is never shown."
    )
    rotated: AtMostDuration | None = Field(None, description="How long ago logrotate last rotated it.")

    def refuse_name(self, name: str) -> None:
        if self.path is None and self.unit is None:
            absolute(name)

    @property
    def place(self) -> str:
        return self.path or self.name


@dataclass(frozen=True, slots=True)
class LogLines:
    """The last lines of a log; none where there is no log, of which nothing is known. No traceback shows them.

    `own` are those that a unit's own processes wrote, where systemd's about it are among the `lines`.
    """

    lines: tuple[str, ...] = field(repr=False)
    own: tuple[str, ...] | None = field(default=None, repr=False)

    @property
    def told(self) -> str:
        """Why nothing is known of it, where that is so."""
        if not self.lines:
            return "there is no log, or no line in it"
        return "" if self._counts() else "no line tells a level"

    @property
    def json_told(self) -> str:
        return "" if self._formatted else "there is no log, or no line in it that its own program wrote"

    @property
    def json_percent(self) -> float | None:
        return 100 * len(list(self._objects())) / len(self._formatted) if self._formatted else None

    @property
    def fields(self) -> tuple[str, ...] | None:
        """The fields that all lines have in common; a line that isn't JSON has none."""
        objects = list(self._objects())
        if not self._formatted or len(objects) < len(self._formatted):
            return () if self._formatted else None
        return tuple(sorted(set.intersection(*(set(each) for each in objects))))

    @property
    def levels(self) -> tuple[str, ...] | None:
        """The levels that occur, in capitals and by Python's names; None where no line tells one."""
        return tuple(sorted(self._counts())) or None

    @property
    def errors(self) -> int | None:
        counts = self._counts()
        return sum(counts[level] for level in _BAD) if counts else None

    def has(self, pattern: str) -> bool | None:
        return any(re.search(pattern, line) for line in self.lines) if self.lines else None

    @property
    def _formatted(self) -> tuple[str, ...]:
        """The lines whose form is up to the program."""
        return self.lines if self.own is None else self.own

    def _objects(self) -> Iterator[dict[str, Any]]:
        for line in self._formatted:
            if line.lstrip().startswith("{"):
                try:
                    value = json.loads(line)
                except ValueError:
                    continue
                if isinstance(value, dict):
                    yield value

    def _counts(self) -> Counter[str]:
        found = (_level(line) for line in self.lines)
        return Counter(level for level in found if level)


def _level(line: str) -> str | None:
    """The level of a line: that of its field, or else the first word in capitals or brackets that is one."""
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    if isinstance(value, dict):
        named = next((value[key] for key in _LEVEL_KEYS if isinstance(value.get(key), str)), "")
        return _LEVELS.get(named.lower(), named.upper() or None)
    for found in re.finditer(r"\b([A-Z]{3,11})\b|\[([a-z]{3,11})\]|\blevel=\"?(\w+)", line):
        word = next(group for group in found.groups() if group)
        if word.lower() in _LEVELS:
            return _LEVELS[word.lower()]
    return None


def observe_log_lines(host: Any, server: Spec, log: Log) -> LogLines:
    """The last lines, at most 4 MiB of them."""
    if log.unit:
        name = log.unit if _UNIT.search(log.unit) else f"{log.unit}.service"
        read = f"journalctl --no-pager --quiet --output=cat --lines={log.lines}"
        answer = ask(
            host,
            server.name,
            f"{WHOLE_JOURNAL}{read} --unit={quote(log.unit)} | tail -c {_MOST_READ} && printf '\\0' && "
            f"{read} {quote(f'_SYSTEMD_UNIT={name}')} | tail -c {_MOST_READ}",
        )
        every, _, own = answer.output.partition(b"\0")
        return LogLines(_lines(every), _lines(own))
    # Just after it was rotated a log is empty, and its last lines are in the one before.
    script = f"""{LOOK}
for log in {quote(log.place + ".1")} {quote(log.place)}; do
    [ -z "$(look -L -c %f -- "$log")" ] || tail -n {log.lines} -- "$log"
done | tail -n {log.lines}"""
    return LogLines(_lines(ask(host, server.name, f"{script} | tail -c {_MOST_READ}").output))


def _lines(output: bytes) -> tuple[str, ...]:
    return tuple(line for line in output.decode(errors="replace").splitlines() if line.strip())


def observe_log_age(host: Any, server: Spec, log: Log) -> int | None:
    """Seconds since the log was last written; None where there is none."""
    if log.unit:
        last = f"journalctl --no-pager --quiet --output=short-unix --lines=1 --unit={quote(log.unit)}"
        script = f"{WHOLE_JOURNAL}date +%s; {last} | cut -d . -f 1"
    else:
        script = f"{LOOK}date +%s; look -L -c %Y -- {quote(log.place)}"
    now, *changed = ask(host, server.name, script).text.split()
    return age_s(int(changed[0]), int(now)) if changed and changed[0].isdigit() else None


@dataclass(frozen=True, slots=True)
class Rotation:
    """Seconds since a log was last rotated, None where that is nobody's business; and why it is so."""

    ago_s: float | None
    told: str = ""


# logrotate says itself which logs it looks after, globs and all; with --debug it changes nothing and runs no script.
_ROTATED = """
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
echo "$(date +%s) $(date +%z) $(id -u)"
for conf in /etc/logrotate.conf /usr/etc/logrotate.conf; do
    [ ! -e $conf ] || ! command -v logrotate >/dev/null ||
        { logrotate --debug $conf 2>&1 | grep '^considering log '; break; }
done
for state in /var/lib/logrotate/status /var/lib/logrotate/logrotate.status /var/lib/logrotate.status; do
    [ ! -e $state ] || { cat $state || exit 1; break; }
done"""


def observe_log_rotation(host: Any, server: Spec, log: Log) -> Rotation:
    """Seconds since logrotate rotated the file, or first saw it, by its own record.

    The record outlives the configuration, so it only counts for a log that logrotate still looks after.
    CouldNotLook: a folder that takes root may hold the log.
    """
    rotation = parse_rotation(text := ask(host, server.name, _ROTATED).text, log.place)
    if rotation.ago_s is None and text.split()[2] != "0":
        raise forbidden(server.name, "what logrotate looks after")
    return rotation


def parse_rotation(text: str, path: str) -> Rotation:
    """Read the time with its zone, and lines such as `"/var/log/app.log" 2026-11-21-6:25:1`."""
    head, *lines = text.splitlines()
    now, zone, *_ = head.split()
    if f"considering log {path}" not in lines:
        return Rotation(None, f"no configuration of logrotate names {path}")
    offset_s = (1 if zone[0] == "+" else -1) * (int(zone[1:3]) * 3600 + int(zone[3:5]) * 60)
    for line in lines:
        found = re.fullmatch(r'"?(.*?)"? (\d+)-(\d+)-(\d+)(?:-(\d+):(\d+):(\d+))?', line)
        if found and found[1] == path:
            moment = datetime(*(int(part or 0) for part in found.groups()[1:]), tzinfo=UTC)  # type: ignore[misc,arg-type]
            return Rotation(max(0.0, float(now) - (moment.timestamp() - offset_s)))
    return Rotation(None, "logrotate has not yet run since it was told of it")


FACTS: dict[str, Callable[..., Any]] = {
    "log_lines": observe_log_lines,
    "log_age": observe_log_age,
    "log_rotation": observe_log_rotation,
}
