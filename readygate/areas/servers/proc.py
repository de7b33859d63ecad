"""Reading what the Linux kernel tells in /proc and df about processes, sockets, memory and disks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address


@dataclass(frozen=True, slots=True)
class ProcessEntry:
    """One process; `name` is the kernel's, which is cut to 15 bytes, and `command` the whole command line.

    `contained` is one of a container on this server, which has a number of its own in there. A `stopped` one is kept
    from doing anything until someone tells it to go on.
    """

    pid: int
    name: str
    uid: int
    command: tuple[str, ...] = ()
    contained: bool = False
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Socket:
    """A socket that waits for peers: a TCP socket that listens, or a UDP socket bound to no peer."""

    protocol: str
    address: str
    port: int
    inode: int


@dataclass(frozen=True, slots=True)
class Space:
    """One line of `df -P`, in its blocks or inodes; `available` is without what is reserved for root."""

    mount: str
    used: int
    available: int

    @property
    def used_percent(self) -> float:
        """As df reckons it; where nothing is counted, as the inodes of btrfs, nothing can run out."""
        whole = self.used + self.available
        return 100 * self.used / whole if whole else 0.0


def parse_processes(status: str, command_lines: str) -> Iterator[ProcessEntry]:
    """The processes that are alive, from `grep -H` over the `status` and, with -z, the `cmdline` files."""
    fields: dict[int, dict[str, str]] = {}
    for pid, key, value in re.findall(r"^/proc/(\d+)/status:(\w+):\t(.*)$", status, re.MULTILINE):
        fields.setdefault(int(pid), {})[key] = value
    commands: dict[int, list[str]] = {}
    for record in command_lines.split("\0"):
        if found := re.match(r"/proc/(\d+)/cmdline:", record):
            commands.setdefault(int(found[1]), []).append(record[found.end() :])
    for pid, known in fields.items():
        # One that ended while it was read has left only a part; a zombie (Z) and a dead one (X) do nothing.
        if {"Name", "State", "Uid"} <= known.keys() and known["State"][0] not in "ZX":
            uid = int(known["Uid"].split()[1])
            contained = len(known.get("NSpid", "").split()) > 1
            yield ProcessEntry(
                pid, known["Name"], uid, tuple(commands.get(pid, ())), contained, known["State"][0] == "T"
            )


def parse_sockets(protocol: str, table: str) -> Iterator[Socket]:
    """The waiting sockets of /proc/net/tcp, tcp6, udp or udp6, which the kernel documents in proc_net_tcp."""
    waiting = {"tcp": "0A", "udp": "07"}[protocol[:3]]
    for line in table.splitlines():
        columns = line.split()
        if len(columns) < 10 or columns[3] != waiting:
            continue
        address, port = columns[1].split(":")
        yield Socket(protocol[:3], _address(address), int(port, 16), int(columns[9]))


def _address(digits: str) -> str:
    """The kernel prints each 32-bit word in the byte order of the machine: little-endian wherever we go."""
    words = [bytes.fromhex(digits[at : at + 8])[::-1] for at in range(0, len(digits), 8)]
    packed = b"".join(words)
    return str(IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed))


def parse_socket_holders(listing: str) -> dict[int, set[int]]:
    """Which processes hold each socket, by inode, from `ls -l` over the `fd` folders."""
    holders: dict[int, set[int]] = {}
    pid = 0
    for line in listing.splitlines():
        if folder := re.fullmatch(r"/proc/(\d+)/fd/?:", line):
            pid = int(folder[1])
        elif link := re.search(r" -> socket:\[(\d+)\]$", line):
            holders.setdefault(int(link[1]), set()).add(pid)
    return holders


def parse_meminfo(text: str) -> Mapping[str, int]:
    """Bytes by the name that the kernel gives, e.g. `MemAvailable`."""
    found = re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)
    return {name: int(kilobytes) * 1024 for name, kilobytes in found}


def parse_space(line: str) -> Space | None:
    """The space of the filesystem that a line of `df -P` is about; names in it may hold spaces."""
    number = r"\s+(-|-?\d+)"
    found = re.search(rf"{number}{number}{number}\s+(?:-|-?\d+%)\s+(/.*)$", line)
    if not found:
        return None
    used, available = (0 if figure == "-" else int(figure) for figure in found.group(2, 3))
    return Space(found[4], used, available)
