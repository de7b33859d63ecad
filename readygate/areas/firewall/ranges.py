"""Sets of numbers as ranges: of ports, and of the addresses of a whole network at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network, summarize_address_range

Network = IPv4Network | IPv6Network
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Ranges:
    """Disjoint ranges in rising order, first and last number of each; make one with `ranges`."""

    spans: tuple[Span, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.spans)

    def __contains__(self, number: int) -> bool:
        return any(first <= number <= last for first, last in self.spans)

    def __or__(self, other: Ranges) -> Ranges:
        return ranges(*self.spans, *other.spans)

    def __and__(self, other: Ranges) -> Ranges:
        if self == other:
            return self
        common = ((max(a, c), min(b, d)) for a, b in self.spans for c, d in other.spans)
        return Ranges(tuple(sorted((first, last) for first, last in common if first <= last)))

    def __sub__(self, other: Ranges) -> Ranges:
        left = list(self.spans)
        for first, last in other.spans:
            left = [piece for span in left for piece in _without(span, first, last)]
        return Ranges(tuple(left))

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return sum(last - first + 1 for first, last in self.spans)

    def networks(self, family: int) -> Iterator[Network]:
        """The numbers as addresses, in the fewest networks that hold just these."""
        for first, last in self.spans:
            if family == 4:
                yield from summarize_address_range(IPv4Address(first), IPv4Address(last))
            else:
                yield from summarize_address_range(IPv6Address(first), IPv6Address(last))


NOBODY = Ranges()


def ranges(*spans: Span) -> Ranges:
    """The numbers of all these spans, which may overlap and touch."""
    joined: list[Span] = []
    for first, last in sorted(spans):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return Ranges(tuple(joined))


def span_of(network: str) -> tuple[int, Span]:
    """The family, 4 or 6, and the first and last address of a network such as 10.0.0.0/8. Raises ValueError."""
    parsed = ip_network(network, strict=False)
    return parsed.version, (int(parsed.network_address), int(parsed.broadcast_address))


def _without(span: Span, first: int, last: int) -> list[Span]:
    before, after = (span[0], min(span[1], first - 1)), (max(span[0], last + 1), span[1])
    return [piece for piece in (before, after) if piece[0] <= piece[1]]
