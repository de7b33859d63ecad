"""CORS: which other sites may let their pages talk to this one, tried with origins that may not as well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from readygate.areas.mentioned import members
from readygate.areas.sites.fetch import Request
from readygate.areas.sites.origin import Origin, is_address
from readygate.areas.sites.patience import OUTAGES, see
from readygate.errors import Mistake
from readygate.expectation import Duration, Flag, TextSet
from readygate.results import Evidence
from readygate.spec import Spec

_STRANGER = "https://stranger.invalid"
# These need no permission (Fetch standard, "CORS-safelisted request-header").
_SAFELISTED = {"accept", "accept-language", "content-language"}


class Cors(Spec):
    """What is answered to the pages of other origins."""

    area: ClassVar[str] = "cors"
    noun: ClassVar[str] = "cors"

    path: str = Field("/", description="A setting: what to ask, below the site's url.", pattern=r"^/\S*$")
    origins: TextSet | None = Field(
        None, description="The origins that are let in, and no others; `*` is one that lets in everybody."
    )
    any_origin: Flag | None = Field(None, description="Whether an origin that nobody knows is let in.")
    methods: TextSet | None = Field(None, description="The methods that a preflight allows.")
    headers: TextSet | None = Field(None, description="The request headers that a preflight allows.")
    max_age: Duration | None = Field(None, description="How long a browser may remember a preflight.")
    credentials: Flag | None = Field(None, description="Whether cookies may come along.")
    asks_as: str | None = Field(
        None, description="A setting: the origin that a preflight comes from, unless it is the first of `origins`."
    )

    @property
    def welcome(self) -> str | None:
        """An origin that should be let in."""
        return self.asks_as or next((each for each in members(self.origins) if each != "*"), None)

    @model_validator(mode="after")
    def _asks_as_somebody(self) -> Cors:
        for each in (*members(self.origins), *([self.asks_as] if self.asks_as else [])):
            parts = urlsplit(each)
            if each not in ("*", "null") and (not (parts.scheme and parts.netloc) or parts.path):
                raise Mistake(f"'{each}' is not an origin", "write e.g. https://app.example.com, without a path")
        preflight = ("methods", "headers", "max_age", "credentials")
        if any(getattr(self, name) is not None for name in preflight) and not self.welcome:
            raise Mistake("a preflight has to come from somewhere", "add `asks_as: https://app.example.com`")
        return self


@dataclass(frozen=True, slots=True)
class LetIn:
    """The origins that may read an answer, of all that were tried."""

    origins: tuple[str, ...]
    strangers: tuple[str, ...]
    evidence: tuple[Evidence, ...] = ()

    @property
    def anybody(self) -> bool:
        return bool(self.strangers)


@dataclass(frozen=True, slots=True)
class Preflight:
    """What the answer to a preflight allows; None is what it doesn't say."""

    methods: tuple[str, ...]
    headers: tuple[str, ...]
    max_age_s: float | None
    credentials: bool
    evidence: tuple[Evidence, ...] = ()


def observe_let_in(origin: Origin, cors: Cors) -> LetIn:
    """Come from each declared origin, from a stranger, from nowhere, and from look-alikes of each."""
    declared = [each for each in members(cors.origins) if each != "*"]
    welcome = declared or ([cors.welcome] if cors.welcome else [])
    strangers = [_STRANGER, "null", *dict.fromkeys(alike for each in welcome for alike in _lookalikes(each))]
    strangers = [each for each in strangers if each not in declared]
    allowed = {each: _allowed(origin, cors.path, each) for each in (*declared, *strangers)}
    in_ = ["*"] if "*" in allowed.values() else [each for each, to in allowed.items() if to == each]
    told = ", ".join(f"{each}: {to or 'not let in'}" for each, to in allowed.items())
    wild = [each for each in strangers if allowed[each] in (each, "*")]
    return LetIn(tuple(in_), tuple(wild), (Evidence(f"origins at {origin.url(cors.path)}", told),))


def observe_preflight(origin: Origin, cors: Cors) -> Preflight:
    """Send the preflight that a browser would send for all that is declared (Fetch standard, section 4.8).

    One that isn't answered with 2xx, or not to this origin, allows nothing, whatever else it says.
    """
    asked = {
        "Origin": cors.welcome or "",
        "Access-Control-Request-Method": next(iter(members(cors.methods)), "GET"),
    }
    if wanted := members(cors.headers):
        asked["Access-Control-Request-Headers"] = ",".join(each.lower() for each in wanted)
    answer = see(origin, cors.path, Request("OPTIONS", tuple(asked.items()), is_public=True))
    age = answer.header("Access-Control-Max-Age") or ""
    spelt = {each.lower(): each for each in wanted}
    headers = [
        each for each in _list(answer.header("Access-Control-Allow-Headers")) if each.lower() not in _SAFELISTED
    ]
    told = ", ".join(f"{name}: {value}" for name, value in answer.fields if name.lower().startswith("access-control"))
    evidence = (Evidence(f"preflight from {cors.welcome}", f"{answer.status} {told or 'allows nothing'}"),)
    let_in = answer.header("Access-Control-Allow-Origin")
    if not (200 <= answer.status < 300 and let_in in ("*", cors.welcome)):
        return Preflight((), (), None, False, evidence)
    return Preflight(
        methods=_list(answer.header("Access-Control-Allow-Methods")),
        headers=tuple(spelt.get(each.lower(), each) for each in headers),
        max_age_s=float(age) if age.strip().isdigit() else None,
        # Browsers take no other spelling, and `*` for nobody who brings cookies.
        credentials=answer.header("Access-Control-Allow-Credentials") == "true" and let_in != "*",
        evidence=evidence,
    )


def _allowed(origin: Origin, path: str, visitor: str) -> str | None:
    answer = see(origin, path, Request(headers=(("Origin", visitor),), is_public=True))
    allowed = answer.header("Access-Control-Allow-Origin")
    if allowed is None and answer.status in OUTAGES:
        raise origin.limited(path, answer.status)
    return allowed


def _lookalikes(welcome: str) -> list[str]:
    """What passes a test that looks only at an end of an origin, not at its scheme, or with a `.` for any letter."""
    scheme, _, host = welcome.partition("://")
    alike = [f"{scheme}://stranger-{host}", f"{scheme}://{host}.stranger.invalid"]
    if scheme == "https":
        alike.append(f"http://{host}")
    if "." in host and not is_address(urlsplit(welcome).hostname or ""):
        alike.append(f"{scheme}://{host.replace('.', 'x', 1)}")
    return alike


def _list(value: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.strip() for each in (value or "").split(",") if each.strip()))


FACTS: Mapping[str, Callable[..., Any]] = {"let_in": observe_let_in, "preflight": observe_preflight}
