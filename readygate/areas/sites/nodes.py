"""The nodes behind one name: each is asked by itself, since a balancer shows only the one it likes."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator

from readygate.areas.sites.fetch import Response
from readygate.areas.sites.http import Endpoint, request_of
from readygate.areas.sites.origin import Origin
from readygate.areas.sites.patience import see
from readygate.errors import Mistake, NobodyListens, NoWayThere
from readygate.expectation import Expectation
from readygate.results import Evidence

Seen = TypeVar("Seen")


@dataclass(frozen=True, slots=True)
class NodeAnswers:
    """What each node answered, by its address and port."""

    answers: tuple[tuple[str, Response], ...]
    evidence: tuple[Evidence, ...] = ()

    def worst(self, path: str, expected: Expectation) -> Any:
        """The value at this path of the first node that falls short, or else of the first node."""
        return expected.worst(answer.value_at(path) for _, answer in self.answers)

    def told(self, path: str) -> str:
        """What every node has there."""
        return "; ".join(f"{node}: {answer.value_at(path)}" for node, answer in self.answers)


def nodes_of(origin: Origin) -> tuple[Origin, ...]:
    """The site at each of its declared nodes, or at each address that its name resolves to.

    CouldNotLook: the name does not resolve.
    """
    if origin.nodes:
        return tuple(replace(origin, connect_to=host, port_at=port) for host, port in map(split_node, origin.nodes))
    try:
        found = socket.getaddrinfo(origin.connect_to, origin.dialled, type=socket.SOCK_STREAM)
    except OSError as error:
        raise origin.unreachable(error) from error
    addresses = dict.fromkeys(str(each[4][0]) for each in found)
    return tuple(replace(origin, connect_to=address) for address in addresses)


def at_each_address(origin: Origin, observe: Callable[[Origin], Seen]) -> tuple[list[Seen], list[Evidence]]:
    """What is seen at each declared node, or at each address that the name resolves to; and what was passed over.

    Where no nodes are declared, that is an address that refuses the connection, or that this machine has no way to:
    clients do so, too (RFC 8305). CouldNotLook: there is no other, or one can't be looked at for another reason.
    """
    seen, refused = [], []
    for place in nodes_of(origin):
        try:
            seen.append(observe(place))
        except (NobodyListens, NoWayThere) as error:
            if origin.nodes:
                raise
            refused.append(error)
    if not seen:
        raise refused[0]
    return seen, [Evidence("passed over", error.reason) for error in refused]


def observe_on_every_node(origin: Origin, endpoint: Endpoint) -> NodeAnswers:
    """Ask every node the same. CouldNotLook: one of them can't be reached, so what it serves isn't known."""
    request = request_of(endpoint)
    answers = tuple((node.at, see(node, endpoint.where, request)) for node in nodes_of(origin))
    told = "; ".join(f"{at}: {answer.status}" for at, answer in answers)
    return NodeAnswers(answers, (Evidence(f"{origin.url(endpoint.where)} on {len(answers)} nodes", told),))


def is_node(text: str) -> bool:
    """Whether this reads as `host`, `host:port`, an address, or `[address]:port`."""
    try:
        host, port = split_node(text)
    except ValueError:
        return False
    return bool(host) and not any(character.isspace() or character == "/" for character in host) and port != 0


def _node(text: str) -> str:
    if not is_node(text):
        raise Mistake(f"'{text}' is not a node", "write e.g. 10.0.0.7, app-1:8443 or [2001:db8::7]:443")
    return text


Node = Annotated[str, AfterValidator(_node)]


def split_node(node: str) -> tuple[str, int | None]:
    """Host and port of `host`, `host:port`, an address, or `[address]:port`; raises ValueError for another port."""
    try:
        return str(ipaddress.ip_address(node)), None
    except ValueError:
        host, colon, port = node.rpartition(":")
        return (host.strip("[]"), int(port)) if colon else (node, None)


FACTS: Mapping[str, Callable[..., Any]] = {"node_answers": observe_on_every_node}
