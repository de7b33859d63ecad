"""The network as a server sees it: names, what can be reached from there, its interfaces and routes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_network
from shlex import quote
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from readygate.areas.asking import ask
from readygate.errors import CouldNotLook, Mistake
from readygate.expectation import AtLeastCount, Flag, TextSet
from readygate.results import Evidence
from readygate.spec import Spec

_CONNECT_WITHIN_S = 5


class DnsName(Spec):
    """A name that a server has to resolve."""

    area: ClassVar[str] = "dns"
    noun: ClassVar[str] = "dns_name"

    resolvable: Flag | None = Field(None, description="Whether the server finds any address for the name.")
    addresses: TextSet | None = Field(None, description="The addresses that it finds, of both families.")


class Interface(Spec):
    """A network interface of a server."""

    area: ClassVar[str] = "interface"
    noun: ClassVar[str] = "interface"

    exists: Flag | None = Field(None, description="Whether the server has it.")
    up: Flag | None = Field(None, description="Whether it is up, and has a carrier where it needs one.")
    mtu: AtLeastCount | None = Field(None, description="How large a packet it takes.")
    addresses: TextSet | None = Field(None, description="Its addresses with their prefix: 10.0.0.5/24.")


def host_and_port(text: str) -> str:
    """The text, if it says which host and which TCP port: db.internal:5432, or [fd00::5]:5432."""
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):(\d{1,5})", text)
    if not found or not 0 < int(found[2]) < 65536:
        raise Mistake(f"'{text}' is not a host with a port", "write e.g. db.internal:5432")
    return text


def _each_is_reached(raw: object) -> object:
    """A name, or a list of names, stands for all of them to be reached."""
    match raw:
        case str():
            return {raw: True}
        case list():
            return {str(each): True for each in raw}
        case _:
            return raw


def destination(text: str) -> str:
    """`default`, or the network that packets go to."""
    try:
        return text if text == "default" else str(ip_network(text))
    except ValueError:
        raise Mistake(f"'{text}' is not a destination", "write default, or a network: 10.0.0.0/8") from None


HostAndPort = Annotated[str, AfterValidator(host_and_port)]
Reaches = Annotated[
    dict[HostAndPort, Flag],
    BeforeValidator(_each_is_reached),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "examples": ["db.internal:5432"]},
                {"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": True},
                {"type": "object", "additionalProperties": {"type": ["boolean", "string"]}, "minProperties": 1},
            ]
        }
    ),
]
Destination = Annotated[str, AfterValidator(destination)]


@dataclass(frozen=True, slots=True)
class Resolved:
    """The addresses of a name as the server's resolver gives them; None where it gives none.

    `resolvable` is None where it gave no answer at all, as `told` says.
    """

    addresses: tuple[str, ...] | None
    resolvable: bool | None
    told: str = ""


@dataclass(frozen=True, slots=True)
class Reached:
    """Whether a connection came about, and what was said if not; None where nobody knew whom to connect to."""

    connected: bool | None
    told: str = ""


@dataclass(frozen=True, slots=True)
class ActualInterface:
    """An interface as the kernel has it; None where there is none."""

    exists: bool
    up: bool | None = None
    mtu: int | None = None


# Of a name that doesn't exist and of a resolver that is down, getent says the same.
_RESOLVE = """
getent ahosts {name}; code=$?
[ $code != 0 ] || exit 0
[ $code = 2 ] || exit 1
if command -v python3 >/dev/null; then
    python3 - {name} <<'END'
import socket, sys
try:
    socket.getaddrinfo(sys.argv[1], None)
except socket.gaierror as error:
    if error.errno not in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None)):
        print("silence", error.strerror)
END
elif command -v perl >/dev/null; then
    perl -MSocket=:addrinfo -e '
        my ($e) = getaddrinfo($ARGV[0]); print "silence $e\\n" if $e && $e != EAI_NONAME && $e != EAI_NODATA' {name}
else
    echo 'getent finds nothing, and neither python3 nor perl is there to tell why' >&2; exit 1
fi"""
_NO_ADDRESS = re.compile(r"name resolution|not known|getaddrinfo|bad address|no address", re.IGNORECASE)


def observe_dns_name(host: Any, server: Spec, dns_name: Spec) -> Resolved:
    """What getent says, which asks as programs do: /etc/hosts, then DNS.

    CouldNotLook: it finds nothing, and the server has neither python3 nor perl to tell whether anyone answered.
    """
    text = ask(host, server.name, _RESOLVE.format(name=quote(dns_name.name)), within=60).text
    if silence := re.search(r"^silence (.*)$", text, re.MULTILINE):
        return Resolved(None, None, f"the resolver gave no answer: {silence[1]}")
    addresses = sorted({line.split()[0] for line in text.splitlines() if line.strip()})
    return Resolved(tuple(addresses) or None, bool(addresses))


def observe_reached(host: Any, server: Spec, key: str) -> Reached:
    """Whether a TCP connection from the server comes about within 5 s. CouldNotLook: it has no bash or nc."""
    name, _, port = key.rpartition(":")
    whom = f"{quote(name.strip('[]'))} {port}"
    script = f"""
if command -v bash >/dev/null; then
    said=$(timeout {_CONNECT_WITHIN_S} bash -c 'exec 3<>"/dev/tcp/$0/$1"' {whom} 2>&1); code=$?
elif command -v nc >/dev/null; then
    said=$(nc -z -w {_CONNECT_WITHIN_S} {whom} 2>&1 </dev/null); code=$?
else
    echo 'it has neither bash nor nc to connect with' >&2; exit 1
fi
printf '%s\\n%s\\n' "$code" "$said" """
    code, _, said = ask(host, server.name, script).text.partition("\n")
    if code == "0":
        return Reached(True)
    if re.search(r"(invalid|unrecognized|unknown) option|/dev/tcp/.*No such file", said):
        raise CouldNotLook(
            f"{server.name} has no bash or nc that can connect", mend="install bash, or netcat-openbsd"
        )
    reason = said.strip().splitlines()[0].split(": ")[-1] if said.strip() else "no answer"
    waited = f"no answer within {_CONNECT_WITHIN_S} s"
    # Nothing is shut off that nobody could even name.
    connected = None if _NO_ADDRESS.search(said) else False
    return Reached(connected, f"{key} can't be reached from {server.name}: {waited if code == '124' else reason}")


def observe_interface(host: Any, server: Spec, interface: Spec) -> ActualInterface:
    """What /sys/class/net says."""
    path = quote(f"/sys/class/net/{interface.name}")
    # A tunnel has no state of its own; it is up while its flag says so, the lowest bit.
    script = f"[ -d {path} ] || exit 0; cat {path}/operstate {path}/flags {path}/mtu"
    lines = ask(host, server.name, script).text.split()
    if not lines:
        return ActualInterface(False)
    state, flags, mtu = lines
    return ActualInterface(True, state == "up" or (state == "unknown" and bool(int(flags, 16) & 1)), int(mtu))


def observe_addresses(
    host: Any, server: Spec, interface: Spec, actual_interface: ActualInterface
) -> tuple[str, ...] | None:
    """The addresses of an interface, by `ip`; None where there is no such interface."""
    if not actual_interface.exists:
        return None
    text = ask(host, server.name, f"ip -o addr show dev {quote(interface.name)}").text
    return tuple(sorted(re.findall(r"\sinet6? (\S+)", text)))


@dataclass(frozen=True, slots=True)
class Routes:
    """By destination, the way that packets take: `via 10.0.0.1 dev eth0`."""

    ways: dict[str, str]
    evidence: tuple[Evidence, ...] = ()


def observe_routes(host: Any, server: Spec) -> Routes:
    """The kernel's main table, of IPv4."""
    text = ask(host, server.name, "cat /proc/net/route").text
    return parse_routes(text, Evidence("/proc/net/route", text.strip()))


def parse_routes(text: str, *evidence: Evidence) -> Routes:
    """Read the kernel's table, whose numbers are in hexadecimal; of two ways to go, the cheaper one counts."""
    ways: dict[str, tuple[int, str]] = {}
    for line in text.splitlines()[1:]:
        device, target, gateway, flags, _, _, metric, mask, *_ = line.split()
        if not int(flags, 16) & 1:
            continue
        network = ip_network(f"{_ipv4(target)}/{_ipv4(mask)}")
        name = "default" if network.prefixlen == 0 else str(network)
        way = f"dev {device}" if int(gateway, 16) == 0 else f"via {_ipv4(gateway)} dev {device}"
        ways[name] = min((int(metric), way), ways.get(name, (int(metric), way)))
    return Routes({name: way for name, (_, way) in ways.items()}, evidence)


def _ipv4(digits: str) -> IPv4Address:
    if len(digits) != 8:
        raise CouldNotLook(f"/proc/net/route has {digits} where an address should be")
    return IPv4Address(bytes.fromhex(digits)[::-1])


FACTS: dict[str, Callable[..., Any]] = {
    "resolved": observe_dns_name,
    "reached": observe_reached,
    "actual_interface": observe_interface,
    "interface_addresses": observe_addresses,
    "routes": observe_routes,
}
