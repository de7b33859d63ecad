"""What a firewall may let in, as the inventory writes it: `22/tcp`, or `{port: 9090/tcp, from: 203.0.113.0/24}`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from readygate.areas.firewall.ranges import Ranges, ranges, span_of
from readygate.areas.firewall.rules import everybody
from readygate.conditions import Exactly
from readygate.errors import Mistake
from readygate.expectation import Expectation, Expects
from readygate.kinds import MEMBERS, TEXT, Kind
from readygate.units import as_written


@dataclass(frozen=True, slots=True)
class Allowance:
    """Ports that are open, to everybody or to one network; written `9090/tcp from 203.0.113.0/24`."""

    first: int
    last: int
    protocol: str
    network: str = ""

    def __str__(self) -> str:
        ports = f"{self.first}-{self.last}" if self.last > self.first else f"{self.first}"
        return f"{ports}/{self.protocol}" + (f" from {self.network}" if self.network else "")

    def peers(self, family: int) -> Ranges:
        """Whom it lets in."""
        if not self.network:
            return everybody(family)
        of, span = span_of(self.network)
        return ranges(span) if of == family else Ranges()


def parse_allowance(raw: object) -> Allowance:
    """Read what was written. Raises Mistake."""
    port, network = raw, ""
    if isinstance(raw, Mapping):
        if set(raw) != {"port", "from"}:
            raise Mistake("an allowance has a port and a from", "write e.g. {port: 9090/tcp, from: 203.0.113.0/24}")
        port, network = raw["port"], str(raw["from"])
    text, _, written = as_written(port).partition(" from ")
    network = (written or network).strip()
    ports, slash, protocol = text.strip().partition("/")
    first, dash, last = ports.partition("-")
    if not (first.isdigit() and (not dash or last.isdigit()) and 0 < int(first) <= int(last or first) < 65536):
        raise Mistake(f"'{text}' is not a port", "write e.g. 22/tcp or 6000-6100/udp")
    if slash and protocol not in ("tcp", "udp"):
        raise Mistake(f"'{protocol}' is not a protocol of ports", f"write {ports}/tcp or {ports}/udp")
    if network:
        try:
            span_of(network)
        except ValueError:
            raise Mistake(f"'{network}' is not a network", "write e.g. 203.0.113.0/24") from None
    return Allowance(int(first), int(last or first), protocol or "tcp", network)


_ALLOWANCE = Kind("port that is let in", "22/tcp", lambda raw: str(parse_allowance(raw)), TEXT.read, str)


@dataclass(frozen=True, slots=True)
class _ExactlyThese(Expects):
    """A list, and nothing but a list: what else is open has to be known, too."""

    def parse(self, raw: object) -> Expectation:
        if isinstance(raw, Expectation):
            return raw
        if not isinstance(raw, list):
            raise Mistake("what is let in is a list", "write e.g. [22/tcp, 443/tcp]")
        return Expectation.parse([str(parse_allowance(each)) for each in raw], self.kind)

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return Expects.__get_pydantic_core_schema__(self, source, handler)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        limited = {
            "type": "object",
            "properties": {"port": {"type": ["string", "integer"]}, "from": {"type": "string"}},
            "required": ["port", "from"],
            "additionalProperties": False,
        }
        return {
            "description": "Exactly what is let in.",
            "examples": [["22/tcp", {"port": "9090/tcp", "from": "203.0.113.0/24"}]],
            "type": "array",
            "minItems": 1,
            "items": {"anyOf": [{"type": ["string", "integer"]}, limited]},
        }


Allowances = Annotated[Expectation, _ExactlyThese(MEMBERS(_ALLOWANCE))]


def allowances_in(expectation: Expectation | None) -> tuple[Allowance, ...]:
    """All that an expectation of this kind lists."""
    if expectation is None:
        return ()
    listed = (each.values for each in expectation.fail if isinstance(each, Exactly))
    return tuple(parse_allowance(text) for values in listed for text in values)
