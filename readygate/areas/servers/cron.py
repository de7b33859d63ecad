"""Jobs of cron on a server: whether cron will run them, when, as whom, and how the last run ended."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from posixpath import basename
from shlex import quote, split
from typing import Any, ClassVar

from pydantic import Field

from readygate.areas.asking import ask
from readygate.areas.servers.accounts import has_expired
from readygate.areas.servers.proc import ProcessEntry
from readygate.areas.servers.processes import Processes
from readygate.areas.servers.schedules import CronSchedule, NeverDue, cron_schedule
from readygate.areas.servers.systemd import WHOLE_JOURNAL
from readygate.errors import CouldNotLook, Mistake
from readygate.expectation import AtMostDuration, Flag, Text
from readygate.results import Evidence
from readygate.spec import Spec

_DAEMONS = ("cron", "crond", "fcron", "busybox")
# The folders whose scripts `run-parts` starts; the last is Alpine's.
_PERIODIC = re.compile(r"/etc/(cron\.(hourly|daily|weekly|monthly)|periodic/\w+)/")
_LOGS_FAILURES = 4  # Of the bits of `cron -L`, as cron(8) of Debian tells them.


class CronJob(Spec):
    """A job of cron, by a part of its command line."""

    area: ClassVar[str] = "cron"
    noun: ClassVar[str] = "cron_job"

    command: str | None = Field(
        None, description="A setting: what its command line contains, if the key is a name of your own.", min_length=1
    )
    scheduled: Flag | None = Field(None, description="Whether a crontab that cron takes has it, and cron runs.")
    schedule: CronSchedule | None = Field(None, description='When it is due: "0 1 * * *", or "@daily".')
    user: Text | None = Field(None, description="Whom it runs as.")
    last_ran: AtMostDuration | None = Field(None, description="How long ago cron last started it, by the journal.")
    ended_well: Flag | None = Field(
        None, description="Whether its last run ended with 0; cron tells only if it runs with `-L 5`."
    )

    @property
    def sought(self) -> str:
        return self.command or self.name


@dataclass(frozen=True, slots=True)
class CronEntry:
    """One line of a crontab, or one script of e.g. /etc/cron.daily; `idle` is why cron does nothing for it."""

    source: str
    schedule: str
    user: str
    command: str = field(repr=False)
    idle: str = ""


@dataclass(frozen=True, slots=True)
class Crontabs:
    """Every entry that cron has on a server, and how cron logs; `logging` is None where no cron runs."""

    entries: tuple[CronEntry, ...]
    logging: int | None


@dataclass(frozen=True, slots=True)
class ActualCronJob:
    """What becomes of a job; `told` says why nothing does. What more than one entry disagrees on is None."""

    scheduled: bool
    schedule: str | None = None
    user: str | None = None
    command: str = field(default="", repr=False)
    told: str = ""
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class CronRun:
    """How long ago a job was started, and whether it ended with 0; None is not known."""

    ago_s: float
    ended_well: bool | None


# A folder that may not be listed would look like an empty one.
_READ = r"""
[ ! -d /run/systemd/system ] || printf 'systemd '
[ ! -e /etc/debian_version ] || printf 'debian '
for folder in /etc/cron.d /var/spool/cron /var/spool/cron/crontabs /etc/crontabs; do
    [ ! -d $folder ] || [ -r $folder ] || { echo "$folder: Permission denied" >&2; exit 1; }
done
for file in /etc/crontab /etc/cron.d/* /var/spool/cron/crontabs/* /var/spool/cron/* /etc/crontabs/* \
    /etc/cron.hourly/* /etc/cron.daily/* /etc/cron.weekly/* /etc/cron.monthly/* /etc/periodic/*/*; do
    [ -f "$file" ] || continue
    status=$(stat -L -c '%a %h %U' "$file") || exit 1
    printf '\0%s\0%s\0' "$file" "$status"
    cat -- "$file" || exit 1
done"""


def observe_crontabs(host: Any, server: Spec, processes: Processes) -> Crontabs:
    """Every crontab and every script that `run-parts` starts from one, as this server's cron would take it."""
    text = ask(host, server.name, _READ).text
    named = tuple(parse_crontabs(text))
    users = {entry.user for entry in named}
    unknown = _unknown(host, server, users - set(processes.user_names.values()))
    dead = _dead(host, server, {_program(entry.command) for entry in named} - {""})
    entries = parse_crontabs(text, unknown, _expired(host, server, users), dead)
    logging = max((_logging(entry.command) for entry in processes.entries if _is_cron(entry)), default=None)
    return Crontabs(tuple(entries), logging)


def _unknown(host: Any, server: Spec, users: Collection[str]) -> Collection[str]:
    """Those users whom the server doesn't know; a directory need not list all whom it knows."""
    names = " ".join(quote(user) for user in sorted(users))
    script = f'for user in {names}; do id -u -- "$user" >/dev/null 2>&1 || printf \'%s\\n\' "$user"; done'
    return ask(host, server.name, script).text.split() if users else ()


def _expired(host: Any, server: Spec, users: Collection[str]) -> Collection[str]:
    """Those users whom PAM no longer lets in, so that cron runs nothing as them, by /etc/shadow."""
    script = f"""
[ -e /etc/pam.d/cron ] || [ -e /etc/pam.d/crond ] || exit 0
[ -e /etc/shadow ] || exit 0
echo "$(($(date +%s) / 86400))"
export users={quote(f" {' '.join(sorted(users))} ")}
awk -F : 'index(ENVIRON["users"], " " $1 " ") {{ print $1 ":" $3 ":" $5 ":" $8 }}' /etc/shadow"""
    today, *accounts = ask(host, server.name, script).text.split() or ["0"]
    days = {name: rest for name, *rest in (account.split(":") for account in accounts)}
    return {
        name for name, (changed, longest, ends) in days.items() if has_expired(changed, longest, ends, int(today))
    }


def _program(command: str) -> str:
    """The program that a command begins with, where it is told by its whole path."""
    found = re.match(r"/[\w./@+-]+(?=[\s;&|<>]|$)", command)
    return found[0] if found else ""


def _dead(host: Any, server: Spec, programs: Collection[str]) -> Collection[str]:
    """Those programs that can't be started: they aren't there, or aren't executable."""
    names = " ".join(quote(program) for program in sorted(programs))
    # In a folder that this user may not look into, nobody knows.
    script = f"""
for program in {names}; do
    if [ -f "$program" ] && [ -x "$program" ]; then continue; fi
    [ -d "${{program%/*}}" ] && [ ! -x "${{program%/*}}" ] || printf '%s\\n' "$program"
done"""
    return ask(host, server.name, script).text.split() if programs else ()


def _is_open(command: str) -> bool:
    """Whether a shell would wait for the end of a quote or of a `$(`, as where a bare % has cut it off."""
    plain = re.sub(r"'[^']*'", "", command)
    try:
        split(command, comments=True)
    except ValueError:
        return True
    return plain.count("$(") > plain.count(")")


def _is_cron(process: ProcessEntry) -> bool:
    """Whether it is the server's own cron: that of a container reads the crontabs of the container."""
    names = {basename(word) for word in process.command[:2]}
    return process.name in _DAEMONS and bool(names & {"cron", "crond", "fcron"}) and not process.contained


def _logging(command: tuple[str, ...]) -> int:
    """The bits after `-L`; cron logs the beginning of each job if nobody says otherwise."""
    found = re.search(r" -L ?(\d+)", " ".join(command))
    return int(found[1]) if found else 1


def parse_crontabs(
    text: str, unknown: Collection[str] = (), expired: Collection[str] = (), dead: Collection[str] = ()
) -> Iterator[CronEntry]:
    """Read what stands between NULs: what system this is, then name, mode, links, owner and contents of each file.

    Nothing comes of an entry of a user who is `unknown`, or whose account or password has `expired`, nor of one that
    begins with a `dead` program.
    """
    system, *parts = text.split("\0")
    files = list(zip(parts[::3], parts[1::3], parts[2::3], strict=True))
    periodic: list[CronEntry] = []
    for path, status, held in files:
        if not _PERIODIC.match(path):
            found = list(_entries(path, held, unknown))
            # Debian's cron takes either the whole of a file or nothing of it.
            wrong = next((entry.idle for entry in found if entry.idle), "") if "debian" in system else ""
            ignored = _ignored(path, status, held, debian="debian" in system) or wrong
            found = [replace(entry, idle=ignored or _idles(entry, system, expired, dead)) for entry in found]
            periodic += [entry for entry in found if "run-parts" in entry.command]
            yield from found
    for path, status, held in files:
        for parent in periodic:
            if _PERIODIC.match(path) and path.rpartition("/")[0] in parent.command.split(" "):
                idle = parent.idle or _skipped(path, status.split()[0], held, system)
                yield CronEntry(path, parent.schedule, parent.user, path, idle)


def _entries(path: str, held: str, unknown: Collection[str]) -> Iterator[CronEntry]:
    """The lines of a crontab that name a job; `idle` is what cron can't use of one."""
    of_system = path == "/etc/crontab" or path.startswith("/etc/cron.d/")
    for line in held.split("\n"):
        ending, line = line[-1:], line.strip()
        if not line or line.startswith("#") or re.match(r"\w+\s*=", line):
            continue
        columns = line.split(None, 1 if line.startswith("@") else 5)
        user = path.rpartition("/")[2]
        command = columns.pop() if len(columns) in (2, 6) else ""
        if of_system:
            user, _, command = command.replace("\t", " ").partition(" ")
        schedule, idle = " ".join(columns), ""
        try:
            schedule = cron_schedule(schedule)
        except NeverDue:
            pass  # only this line does nothing, as `_idles` says
        except Mistake as mistake:
            idle = f"{path} has a line that cron can't read: {mistake.wrong}"
        if user in unknown:
            idle = idle or f"{path} has a line for {user}, whom the server does not know"
        if ending == "\r":
            idle = idle or f"{path} has lines that end as on Windows"
        # Of a command, cron passes on what follows a bare % as its input.
        yield CronEntry(path, schedule, user, re.split(r"(?<!\\)%", command)[0].replace("\\%", "%").strip(), idle)


def _idles(entry: CronEntry, system: str, expired: Collection[str], dead: Collection[str]) -> str:
    """Why nothing comes of a line that cron reads; Debian's packages bring some for where no systemd runs."""
    if entry.idle:
        return entry.idle
    if entry.user in expired:
        return f"cron runs nothing as {entry.user}, whose account or password has expired"
    try:
        cron_schedule(entry.schedule)
    except NeverDue as never:
        return never.wrong
    if _is_open(entry.command):
        return f"a command in {entry.source} ends within a quote or a $(; write \\% where a % is meant"
    if (program := _program(entry.command)) in dead:
        return f"{program}, which {entry.source} starts, is not there or not executable"
    steps_back = "systemd" in system and re.search(r"!\s+-d /run/systemd/system", entry.command)
    return "does nothing where systemd runs, which has a timer for it" if steps_back else ""


def _ignored(path: str, status: str, held: str, *, debian: bool) -> str:
    """Why cron ignores a whole file, by cron(8) of Debian and of cronie, and as their sources have it."""
    name, of_user = basename(path), path.startswith("/var/spool/")
    mode, links, owner = status.split()
    if path.startswith("/etc/cron.d/"):
        odd = not re.fullmatch(r"[A-Za-z0-9_-]+", name) if debian else re.search(r"^[.#]|~$|\.rpm\w+$", name)
        if odd:
            return f"cron passes over {path} for its name"
    if owner != "root" and not (of_user and owner == name):
        return f"cron ignores {path}, which belongs to {owner}"
    if int(mode, 8) & 0o022:
        return f"cron ignores {path}, which others may write"
    if debian and of_user and int(mode, 8) & 0o577 != 0o400:
        return f"cron ignores {path}, which others may read"
    if int(links) > 1:
        return f"cron ignores {path}, which has a second name"
    if debian and held and not held.endswith("\n"):
        return f"cron ignores {path}, whose last line has no end"
    return ""


def _skipped(path: str, mode: str, held: str, system: str) -> str:
    """Why run-parts does nothing for a script."""
    strict = "debian" in system or path.startswith("/etc/periodic/")
    if strict and not re.fullmatch(r"[A-Za-z0-9_-]+", basename(path)):
        return f"run-parts passes over {path} for its name"
    if not int(mode, 8) & 0o111:
        return f"{path} is not executable"
    if "systemd" in system and re.search(r"-d /run/systemd/system \]\s*(;\s*then|&&)\s*exit 0", held):
        return "does nothing where systemd runs, which has a timer for it"
    return ""


def observe_cron_job(cron_job: CronJob, crontabs: Crontabs) -> ActualCronJob:
    """The entries whose command line contains what is sought, and what comes of them."""
    found = [entry for entry in crontabs.entries if cron_job.sought in entry.command]
    live = [entry for entry in found if not entry.idle]
    # Command lines are not shown: more than one has a password in it.
    shown = "\n".join(f"{each.source}: {each.schedule} {each.user}" for each in found)
    evidence = (Evidence(f"crontabs for {cron_job.sought}", shown or "no entry"),)
    if not live:
        told = found[0].idle if found else f"no crontab has {cron_job.sought}"
        return ActualCronJob(False, told=told, evidence=evidence)
    if crontabs.logging is None:
        return ActualCronJob(False, told="no cron runs on this server", evidence=evidence)
    schedules, users = ({each.schedule for each in live}, {each.user for each in live})
    return ActualCronJob(
        scheduled=True,
        schedule=live[0].schedule if len(schedules) == 1 else None,
        user=live[0].user if len(users) == 1 else None,
        command=live[0].command,
        told=f"{len(live)} entries run it" if len(live) > 1 else "",
        evidence=evidence,
    )


def observe_cron_run(host: Any, server: Spec, actual_cron_job: ActualCronJob, crontabs: Crontabs) -> CronRun | None:
    """The last run that isn't under way, by the journal; None where there is none.

    CouldNotLook: the server keeps no journal, or this user may not read it.
    """
    if not actual_cron_job.scheduled:
        return None
    started = quote(f"CMD ({actual_cron_job.command})")
    script = f"""{WHOLE_JOURNAL}
date +%s
journalctl --no-pager --output=short-unix --identifier=CRON --identifier=CROND --identifier=crond |
    grep -F -e {started} -e {quote(f"CMD (   {actual_cron_job.command})")} -e 'grandchild #'
echo alive: /proc/[0-9]*"""
    return parse_cron_run(ask(host, server.name, script).text, crontabs.logging or 0)


def parse_cron_run(text: str, logging: int) -> CronRun | None:
    """Read the time, lines of the journal such as `1700000000.1 app-1 CRON[7]: (root) CMD (true)`, and who lives."""
    now, *lines, alive = text.splitlines()
    alive_now = set(re.findall(r"/proc/(\d+)", alive))
    journal = "\n".join(lines)
    starts = list(re.finditer(r"^(\d+)\.\d+ \S+ \S+?\[(\d+)\]: \(.*?\) CMD ", journal, re.MULTILINE))
    ended = [start for start in starts if start[2] not in alive_now]
    if not ended:
        return CronRun(float(now) - float(starts[-1][1]), None) if starts else None
    last = ended[-1]
    well = f"grandchild #{last[2]} failed" not in journal[last.end() :]
    return CronRun(float(now) - float(last[1]), well if logging & _LOGS_FAILURES or not well else None)


def observe_cron_ending(server: Spec, cron_job: CronJob, cron_run: CronRun | None) -> bool | None:
    """Whether the last run ended with 0. CouldNotLook: cron doesn't say."""
    if cron_run is None:
        return None
    if cron_run.ended_well is None:
        raise CouldNotLook(
            f"cron of {server.name} logs no job that fails, so how {cron_job.name} ended is not known",
            mend="let cron run with `-L 5`, or let a systemd timer run the job, or declare the file that it leaves",
        )
    return cron_run.ended_well


FACTS: dict[str, Callable[..., Any]] = {
    "crontabs": observe_crontabs,
    "actual_cron_job": observe_cron_job,
    "cron_run": observe_cron_run,
    "cron_ending": observe_cron_ending,
}
