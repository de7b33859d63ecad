"""What runs and what listens on a server, read from /proc."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from readygate.areas.asking import ask, forbidden
from readygate.areas.servers.files import Pattern
from readygate.areas.servers.proc import ProcessEntry, Socket, parse_processes, parse_socket_holders, parse_sockets
from readygate.errors import CouldNotLook, Mistake
from readygate.expectation import AtLeastCount, AtMostPercent, Count, Flag, TextSet
from readygate.spec import Spec

_LONGEST_NAME = 15  # TASK_COMM_LEN of Linux, without the NUL


# As limits.conf(5) and systemd name them, and as /proc/PID/limits does.
_LIMITS = {
    "core": "Max core file size", "data": "Max data size", "fsize": "Max file size", "memlock": "Max locked memory",
    "nofile": "Max open files", "nproc": "Max processes", "stack": "Max stack size", "as": "Max address space",
}  # fmt: skip
_UNLIMITED = 2**63 - 1


def limit_name(name: str) -> str:
    """The name, if Linux has such a limit."""
    if name not in _LIMITS:
        raise Mistake(f"'{name}' is no limit of a process", f"write one of {', '.join(_LIMITS)}")
    return name


LimitName = Annotated[str, AfterValidator(limit_name)]


class Process(Spec):
    """The processes of one name on a server."""

    area: ClassVar[str] = "process"
    noun: ClassVar[str] = "process"

    running: Flag | None = Field(None, description="Whether there is at least one.")
    count: Count | None = Field(None, description="How many there are.")
    users: TextSet | None = Field(None, description="Names of the users that they run as.")
    open_files: AtMostPercent | None = Field(
        None, description="How much of its limit of open files is used, by that process which is nearest to it."
    )
    limits: dict[LimitName, AtLeastCount] | None = Field(
        None, description="The soft limits in force, such as nofile; the lowest, if there are more processes."
    )
    matching: Pattern | None = Field(
        None,
        description="A setting: a regular expression to find in the whole command line, instead of the name.",
    )
    where: Literal["server", "containers", "anywhere"] | None = Field(
        None, description="A setting: whether those in containers on this server are meant, or those outside of them."
    )


def numbered(port: str) -> str:
    """The port, if it is a number with or without its protocol."""
    number, _, protocol = port.partition("/")
    if not (number.isascii() and number.isdigit() and 0 < int(number) < 65536):
        raise Mistake(f"'{port}' is not a port", "write e.g. 443 or 53/udp")
    if "/" in port and protocol not in ("tcp", "udp"):
        raise Mistake(f"'{protocol}' is not a protocol of ports", f"write {number}/tcp or {number}/udp")
    return port


PortName = Annotated[
    str, BeforeValidator(str), AfterValidator(numbered), WithJsonSchema({"type": ["integer", "string"]})
]


class Port(Spec):
    """A port of a server, such as 443 or 53/udp; tcp unless it says otherwise."""

    area: ClassVar[str] = "port"
    noun: ClassVar[str] = "port"

    port: PortName | None = Field(
        None, description="A setting: which port it is, if the key is a name of your own, such as `debugger`."
    )
    listening: Flag | None = Field(None, description="Whether anything on the server waits at this port.")
    addresses: TextSet | None = Field(
        None, description='The addresses that it waits on; all of them are "0.0.0.0" and "::".'
    )
    listeners: TextSet | None = Field(None, description="Names of the processes that wait at it.")

    def refuse_name(self, name: str) -> None:
        if self.port is None:
            numbered(name)

    @property
    def number(self) -> int:
        return int((self.port or self.name).partition("/")[0])

    @property
    def protocol(self) -> str:
        return (self.port or self.name).partition("/")[2] or "tcp"


@dataclass(frozen=True, slots=True)
class Processes:
    """All that is alive on a server, and the names of its users by number."""

    entries: tuple[ProcessEntry, ...]
    user_names: dict[int, str]

    def found_by(self, process: Process) -> ActualProcess:
        """The processes that are meant. CouldNotLook: some are in containers, and nobody said what of them."""
        entries = [entry for entry in self.entries if is_meant(process, entry)]
        contained = sum(entry.contained for entry in entries)
        if contained and process.where is None:
            raise CouldNotLook(
                f"{contained} of {len(entries)} processes are in containers, and may not be those that are meant",
                mend="write `where: server`, `where: containers` or `where: anywhere`",
            )
        if process.where in ("server", "containers"):
            entries = [entry for entry in entries if entry.contained == (process.where == "containers")]
        users = {self.user_names.get(entry.uid, str(entry.uid)) for entry in entries}
        pids, stopped = tuple(entry.pid for entry in entries), sum(entry.stopped for entry in entries)
        return ActualProcess(len(entries), tuple(sorted(users)), pids, stopped)

    def names(self, pids: Iterable[int]) -> tuple[str, ...]:
        wanted = set(pids)
        return tuple(sorted({entry.name for entry in self.entries if entry.pid in wanted}))


@dataclass(frozen=True, slots=True)
class ActualProcess:
    """The processes that were meant: how many, as whom they run, and how many of them are stopped."""

    count: int
    users: tuple[str, ...]
    pids: tuple[int, ...] = ()
    stopped: int = 0

    @property
    def running(self) -> bool | None:
        """Whether there is any; None where all are stopped, which neither do anything nor are gone."""
        return None if self.stopped and self.stopped == self.count else self.count > 0

    @property
    def told(self) -> str:
        return f"{self.stopped} of {self.count} are stopped, as by SIGSTOP" if self.stopped else ""


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """The soft limits of each process that was meant, and how many files it has open."""

    limits: tuple[dict[str, int], ...]
    opened: tuple[int, ...]

    def lowest(self, name: str) -> int | None:
        return min((each[_LIMITS[name]] for each in self.limits), default=None)

    @property
    def open_files_percent(self) -> float | None:
        shares = zip(self.opened, self.limits, strict=True)
        return max((100 * opened / each[_LIMITS["nofile"]] for opened, each in shares), default=None)


@dataclass(frozen=True, slots=True)
class ActualPort:
    """The sockets that wait at a port."""

    sockets: tuple[Socket, ...]

    @property
    def listening(self) -> bool:
        return bool(self.sockets)

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(sorted({socket.address for socket in self.sockets}))


def is_meant(process: Process, entry: ProcessEntry) -> bool:
    """Whether the entry has the name, or, if that is asked for, a command line like this."""
    if process.matching:
        return bool(re.search(process.matching, " ".join(entry.command)))
    if len(process.name) <= _LONGEST_NAME:
        return entry.name == process.name
    # Of a script, the program is what reads it; one that names itself may tell more behind its name.
    program = re.compile(rf"(^|/){re.escape(process.name)}([: ]|$)")
    return entry.name == process.name[:_LONGEST_NAME] and any(map(program.search, entry.command[:3]))


def observe_processes(host: Any, server: Spec) -> Processes:
    """Everything that is alive. CouldNotLook: /proc is mounted so that it hides what others run."""
    # The commands that look are processes too, but none that anyone would name; -s passes over those that
    # end meanwhile. The search for command lines is separated by NUL, as these may hold line breaks.
    status = ask(host, server.name, "grep -asH -E '^(Name|State|Uid|NSpid):' /proc/[0-9]*/status; exit 0").text
    commands = ask(host, server.name, "grep -aszH '' /proc/[0-9]*/cmdline; exit 0").text
    users = ask(
        host, server.name, "if command -v getent >/dev/null; then getent passwd; else cat /etc/passwd; fi"
    ).text
    entries = tuple(parse_processes(status, commands))
    if all(entry.pid != 1 for entry in entries):
        raise forbidden(server.name, "/proc shows not even the first process")
    if not any(entry.command for entry in entries):
        raise CouldNotLook(f"{server.name} shows no command lines", mend="install a grep that knows -z")
    # Of two names for one number the first is the one that everybody shows.
    lines = (line.split(":") for line in reversed(users.splitlines()))
    return Processes(entries, {int(line[2]): line[0] for line in lines if len(line) > 2 and line[2].isdigit()})


def observe_process(process: Process, processes: Processes) -> ActualProcess:
    return processes.found_by(process)


def observe_process_limits(host: Any, server: Spec, actual_process: ActualProcess) -> ProcessLimits:
    """What /proc says of each; of one that has ended meanwhile, nothing. It takes root, or to be the same user."""
    pids = " ".join(map(str, actual_process.pids))
    script = f"""
for pid in {pids}; do
    [ -d /proc/$pid ] || continue
    [ -r /proc/$pid/fd ] && [ -x /proc/$pid/fd ] || {{ echo "/proc/$pid/fd: Permission denied" >&2; exit 1; }}
    limits=$(cat /proc/$pid/limits 2>/dev/null) || continue
    set -- /proc/$pid/fd/*
    echo "Opened $#"
    printf '%s\n' "$limits"
done"""
    return parse_limits(ask(host, server.name, script).text if pids else "")


def parse_limits(text: str) -> ProcessLimits:
    """Read how many files are open, and the table of limits, of one process after the other."""
    opened, limits = [], []
    for part in text.split("Opened ")[1:]:
        count, _, table = part.partition("\n")
        opened.append(int(count))
        rows = re.findall(r"^(Max [a-z ]+?)\s{2,}(\d+|unlimited)\s", table, re.MULTILINE)
        limits.append({name: _UNLIMITED if soft == "unlimited" else int(soft) for name, soft in rows})
    return ProcessLimits(tuple(limits), tuple(opened))


def observe_sockets(host: Any, server: Spec) -> tuple[Socket, ...]:
    """Every socket that waits for peers, by one command."""
    # A kernel without IPv6 has no tables of it.
    script = """
cat /proc/net/tcp >/dev/null || exit 1
for table in tcp tcp6 udp udp6; do
    echo "= $table"
    [ ! -e /proc/net/$table ] || cat /proc/net/$table
done"""
    tables = ask(host, server.name, script).text.split("= ")[1:]
    parted = (table.partition("\n") for table in tables)
    return tuple(socket for protocol, _, table in parted for socket in parse_sockets(protocol, table))


def observe_port(port: Port, sockets: tuple[Socket, ...]) -> ActualPort:
    at = (port.protocol, port.number)
    return ActualPort(tuple(socket for socket in sockets if (socket.protocol, socket.port) == at))


def observe_socket_holders(host: Any, server: Spec) -> dict[int, set[int]]:
    """Which processes hold each socket; without root only one's own are seen."""
    return parse_socket_holders(ask(host, server.name, "ls -l /proc/[0-9]*/fd 2>/dev/null; exit 0").text)


def observe_listeners(
    server: Spec,
    port: Port,
    actual_port: ActualPort,
    socket_holders: dict[int, set[int]],
    processes: Processes,
) -> tuple[str, ...] | None:
    """Names of the processes at the port; None where nothing listens."""
    if not actual_port.sockets:
        return None
    names: set[str] = set()
    for socket in actual_port.sockets:
        found = processes.names(socket_holders.get(socket.inode, ()))
        if not found:
            what = f"which process waits at {port.number}/{port.protocol} on {socket.address}"
            if getattr(server, "sudo", False):
                mend = "in a container root needs SYS_PTRACE to see that; else leave `listeners` out"
                raise CouldNotLook(f"{server.name} does not let even root look: {what}", mend=mend)
            raise forbidden(server.name, what)
        names.update(found)
    return tuple(sorted(names))


FACTS: dict[str, Callable[..., Any]] = {
    "processes": observe_processes,
    "actual_process": observe_process,
    "process_limits": observe_process_limits,
    "sockets": observe_sockets,
    "actual_port": observe_port,
    "socket_holders": observe_socket_holders,
    "listeners": observe_listeners,
}
