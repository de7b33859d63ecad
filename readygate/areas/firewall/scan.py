"""Knocking at a server's TCP ports from outside: from the machine that runs Readygate, and from other servers."""

from __future__ import annotations

import inspect
import socket
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from shlex import quote
from typing import Annotated, Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from pydantic import BeforeValidator, Field
from testinfra.backend.base import BaseBackend

from readygate.announcing import announce
from readygate.areas.asking import ask
from readygate.areas.firewall import knocking
from readygate.areas.firewall.allowances import Allowance, parse_allowance
from readygate.areas.firewall.knocking import CLOSED, FILTERED, OPEN
from readygate.errors import CouldNotLook, Mistake
from readygate.expectation import Expectation, Flag, Seconds
from readygate.kinds import FLAG
from readygate.results import Evidence
from readygate.spec import Spec

RUNNER = "runner"
_TRUE = Expectation.parse(True, FLAG)

# The system's own ports, and those that databases, caches, brokers, dashboards and tools commonly wait at.
_COMMON = (
    "1-1024,1080,1099,1194,1337,1433,1434,1521,1723,1812,1883,1935,2000-2010,2049,2082,2083,2086,2087,2181,2222,"
    "2375-2380,2424,2480,2525,3000-3020,3128,3260,3268,3269,3306-3310,3333,3389,3478,3690,4000-4010,4040,4222,4243,"
    "4369,4433,4443,4444,4505,4506,4567,4646-4648,4848,5000-5010,5044,5050,5060,5061,5101,5173,5222,5269,5353,5355,"
    "5432-5440,5555,5601,5666,5671-5673,5800,5900-5910,5984-5986,6000-6010,6060,6080,6100,6181,6379-6385,6432,6443,"
    "6660-6669,6697,6831,6832,7000-7010,7070,7077,7199,7443,7474,7547,7610,7657,7687,7777,7946,8000-8100,8123,8126,"
    "8140,8161,8172,8200,8201,8222,8265,8300-8302,8332,8333,8388,8400,8443,8444,8500-8503,8529,8545,8600,8649,8686,"
    "8765,8787,8834,8848,8880-8890,8983,9000-9010,9042,9050,9060,9080-9100,9104,9113-9121,9160,9187,9200-9205,9229,"
    "9300-9305,9333,9411,9418,9443,9500,9527,9600,9999,10000-10010,10050,10051,10080,10250-10259,11211,11434,"
    "13306,14250,14268,15432,15672,15692,16379,16686,18080,19999,20000,22222,25565,25672,26257,26379,27017-27020,"
    "28015,28017,30000-30010,32400,33060,35729,40000,44818,50000,50051,50070,51820,54321,55432,61613-61616"
)


def port_list(written: object) -> str:
    """The ports to knock at, if these are some: `common`, `all`, or numbers and ranges."""
    text = ",".join(map(str, written)) if isinstance(written, list) else str(written)
    if text in ("common", "all"):
        return text
    for part in text.split(","):
        if parse_allowance(part.strip()).protocol != "tcp":
            raise Mistake("only TCP ports can be scanned", "leave /udp out; its rules are walked instead")
    return text.replace(" ", "").replace("/tcp", "")


def vantages(written: object) -> tuple[str, ...]:
    """From where to knock, `NAME` or `NAME@ADDRESS`."""
    listed = [written] if isinstance(written, str) else written
    if not isinstance(listed, list | tuple) or not listed or not all(isinstance(each, str) for each in listed):
        raise Mistake("`from` names no place", "write e.g. from: runner, or [runner, bastion]")
    for each in listed:
        name, at, address = each.partition("@")
        try:
            if at:
                ip_address(address)
        except ValueError:
            raise Mistake(f"'{address}' is not an address", f"write e.g. {name}@203.0.113.7") from None
    return tuple(listed)


def addresses(written: object) -> object:
    return (written,) if isinstance(written, str) else written


class Scan(Spec):
    """A look at the server from outside, by connecting to its TCP ports."""

    area: ClassVar[str] = "firewall"
    noun: ClassVar[str] = "scan"

    from_: Annotated[tuple[str, ...], BeforeValidator(vantages)] = Field(
        (RUNNER,),
        alias="from",
        description="A setting: `runner`, the machine that runs Readygate, or servers by name; `bastion@203.0.113.7` "
        "says which of its addresses is used, or seen.",
    )
    ports: Annotated[str, BeforeValidator(port_list)] = Field(
        "common",
        description="A setting: `common`, `all`, or such as 1-1000. What is declared, and what the server says that "
        "it listens at, is always asked.",
    )
    address: Annotated[tuple[str, ...], BeforeValidator(addresses)] | None = Field(
        None, description="A setting: where to knock, if not at the host that `connect` names."
    )
    rate: int = Field(1000, gt=0, description="A setting: at most this many new connections a second.")
    patience: Seconds = Field(
        2.5, description="A setting: how long to wait for an answer; a packet that was lost is sent again after 1s."
    )
    reachable: Flag = Field(_TRUE, description="Whether each declared port lets through whom it is declared for.")
    nothing_else: Flag = Field(
        _TRUE, description="Whether only declared ports answer, to whom they are declared for."
    )

    @property
    def servers_named(self) -> tuple[tuple[str, str], ...]:
        names = (place.partition("@")[0] for place in self.from_)
        return tuple(("from", name) for name in names if name != RUNNER)

    def numbers(self, besides: Iterable[int]) -> tuple[int, ...]:
        """The ports, in an order that meets a service before it meets a thousand closed doors."""
        text = {"common": _COMMON, "all": "1-65535"}.get(self.ports, self.ports)
        spans = (parse_allowance(part) for part in text.split(","))
        wanted = {number for span in spans for number in range(span.first, span.last + 1)}
        first = dict.fromkeys(besides)
        return (*first, *sorted(wanted - set(first)))


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one place saw of one address; `seen_as` is its own address, empty where that isn't known."""

    vantage: str
    address: str
    seen_as: str
    states: Mapping[int, str]

    def ports(self, state: str) -> tuple[int, ...]:
        return tuple(sorted(port for port, found in self.states.items() if found == state))

    def may_enter(self, port: int, declared: Iterable[Allowance]) -> bool:
        """Whether the declaration lets this place in at the port."""
        peer = ip_address(self.seen_as) if self.seen_as else None
        return any(
            each.protocol == "tcp"
            and each.first <= port <= each.last
            and (not each.network or (peer is not None and int(peer) in each.peers(peer.version)))
            for each in declared
        )

    @property
    def evidence(self) -> Evidence:
        closed, filtered = len(self.ports(CLOSED)), len(self.ports(FILTERED))
        shown = ", ".join(map(str, self.ports(OPEN))) or "none"
        asked = (
            f"connects to {len(self.states)} TCP ports of {self.address} from {self.vantage} as {self.seen_as or '?'}"
        )
        return Evidence(asked, f"open: {shown}; closed: {closed}; filtered: {filtered}")


def look_from(vantage: str, address: str, ports: Sequence[int], scan: Scan, hosts: Callable[[str], Any]) -> Sighting:
    """Knock at the ports of an address from one place, after saying so in the log.

    CouldNotLook: one can't knock from there.
    """
    name, _, source = vantage.partition("@")
    announce(f"scan: {len(ports)} connects to {address} from {vantage}, at most {scan.rate} a second")
    if name != RUNNER:
        return _look_from_server(name, source, address, ports, scan, hosts(name), vantage)
    try:
        seen_as = source or knocking.seen_as(address)
        bound = source if knocking.is_own(source) else None
        states = knocking.knock_at(address, ports, scan.rate, scan.patience, bound)
    except OSError as error:
        raise _no_way(vantage, address, str(error)) from error
    return Sighting(vantage, address, seen_as, states)


# For a host without Python; it can't know the address that it is seen as unless it has iproute2.
_BY_BASH = r"""
address=$1 patience=$2 source=$3; shift 3
seen_as=$(ip -o route get "$address" 2>/dev/null | sed -n 's/.* src \([^ ]*\).*/\1/p')
if [ "$source" ] && [ "$source" != "$seen_as" ]; then
    echo "without python3 it can't choose which of its addresses to knock from" >&2; exit 1
fi
echo "from $seen_as"
knock() {
    said=$({ timeout "$patience" bash -c "exec 3<>/dev/tcp/$address/$1"; } 2>&1)
    case $?:$said in
        0:*) echo "open $1" ;;
        *refused*|*reset*) echo "closed $1" ;;
        124:*|*"No route"*|*unreachable*|*"timed out"*|*prohibited*|*"not permitted"*) echo "filtered $1" ;;
        *) printf 'port %s: %s\n' "$1" "$said" >&2 ;;
    esac
}
n=0
for port; do
    knock "$port" & n=$((n + 1))
    [ $((n % 50)) -ne 0 ] || wait
done
wait
"""


def _look_from_server(
    name: str, source: str, address: str, ports: Sequence[int], scan: Scan, host: Any, vantage: str
) -> Sighting:
    listed = ",".join(map(str, ports))
    by_python = f"{inspect.getsource(knocking)}\n"
    settings = f"{address} {listed} {scan.rate} {scan.patience:g} {source}"
    script = f"""
if command -v python3 >/dev/null; then exec python3 -c {quote(by_python)} {settings}; fi
if command -v bash >/dev/null; then
    exec bash -c {quote(_BY_BASH)} knock {address} {scan.patience:g} {quote(source)} {" ".join(map(str, ports))}
fi
echo "it has neither python3 nor bash" >&2; exit 1"""
    within = 30 + len(ports) / scan.rate + (1 + len(ports) / 50) * (scan.patience + 1)
    try:
        answer = ask(host, name, script, within=within)
    except CouldNotLook as error:
        raise CouldNotLook(f"from {vantage}: {error.reason}", cause=error.cause, mend=error.mend) from error
    seen_as = source
    states: dict[int, str] = {}
    for line in answer.text.splitlines():
        word, *rest = line.split()
        if word == "from":
            seen_as = source or (rest[0] if rest else "")
        elif word in (OPEN, CLOSED, FILTERED):
            states |= dict.fromkeys(map(int, rest), word)
    if missing := set(ports) - set(states):
        raise _no_way(vantage, address, answer.errors or f"{len(missing)} ports were not asked")
    return Sighting(vantage, address, seen_as, states)


def _no_way(vantage: str, address: str, reason: str) -> CouldNotLook:
    return CouldNotLook(
        f"{vantage} can't knock at {address}: {reason}",
        mend="scan from where there is a way to it, or write the `address` that can be reached from there",
    )


def addresses_of(connect: str, scan: Scan) -> tuple[str, ...]:
    """Where to knock: each address, IPv4 and IPv6, behind the name that the inventory has for the server.

    CouldNotLook: it has none, or the name leads nowhere.
    """
    names = scan.address or (_name_in(connect),)
    found: dict[str, None] = {}
    for name in names:
        try:
            answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except OSError as error:
            raise CouldNotLook(f"{name} has no address: {error}", mend="write `address` under `scan`") from error
        found |= dict.fromkeys(str(answer[4][0]) for answer in answers)
    return tuple(found)


def _name_in(connect: str) -> str:
    way, _, whom = connect.partition("://")
    name = str(BaseBackend.parse_hostspec(whom.partition("?")[0]).name)
    if way == "local":
        return "127.0.0.1"
    if way not in ("ssh", "paramiko", "safe-ssh", "winrm", "ansible"):
        raise CouldNotLook(f"{connect} says no address to knock at", mend="write `address` under `scan`")
    config = parse_qs(urlsplit(connect).query).get("ssh_config", [])
    command = ["ssh", "-G", *(option for file in config for option in ("-F", file)), name]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return name
    return next((line.split()[1] for line in told.splitlines() if line.startswith("hostname ")), name)
