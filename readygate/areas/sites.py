"""What a site may be declared to be: where it answers, its TLS, its endpoints, its headers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import urljoin, urlsplit

from pydantic import AfterValidator, Field, model_validator

from readygate.areas.http import Endpoint
from readygate.areas.http_fetch import REDIRECTS, Response, fetch
from readygate.areas.origin import PORTS, Origin, ascii_name, parse_site_url
from readygate.areas.tls import Tls
from readygate.errors import Mistake
from readygate.expectation import Flag, Seconds, Text
from readygate.results import Evidence
from readygate.spec import Spec


def _site_url(url: str) -> str:
    parse_site_url(url)
    return url


def _endpoint_path(path: str) -> str:
    if not path.startswith("/") or "#" in path or any(character.isspace() for character in path):
        raise Mistake(f"'{path}' is not the path of an endpoint", "begin it with a slash, e.g. /health")
    return path


class Site(Spec):
    """Something that answers over HTTP or HTTPS, as its visitors see it."""

    area: ClassVar[str] = "site"
    noun: ClassVar[str] = "site"

    url: Annotated[str, AfterValidator(_site_url)] = Field(
        description="A setting: where it answers, https://host[:port][/prefix] or http://..."
    )
    timeout: Seconds = Field(10.0, description="A setting: how long to wait for an answer, at most.")
    resolve: str | None = Field(
        None, description="A setting: the address to connect to, instead of asking DNS for the url's host."
    )
    http_port: int = Field(80, ge=1, le=65535, description="A setting: where `redirects_http` asks.")
    redirects_http: Flag | None = Field(
        None, description="Whether http:// sends visitors on to https:// on the same host."
    )
    headers: dict[str, Text] = Field(default_factory=dict, description="Headers of the answer at the site's root.")
    tls: Tls | None = Field(None, description="Its certificate, and the versions of TLS that it speaks.")
    endpoints: dict[Annotated[str, AfterValidator(_endpoint_path)], Endpoint] = Field(
        default_factory=dict, description="Its endpoints by path."
    )

    @model_validator(mode="after")
    def _has_tls_where_tls_is_declared(self) -> Self:
        for declared in ("tls", "redirects_http"):
            if getattr(self, declared) is not None and self.url.startswith("http:"):
                raise Mistake(f"{declared} is declared, but the url is http://", "write the https:// url")
        return self


@dataclass(frozen=True, slots=True)
class HttpRedirect:
    """What http:// answers, where https:// is meant."""

    status: int
    location: str | None
    to_https: bool
    evidence: tuple[Evidence, ...] = ()


def origin_of(site: Site) -> Origin:
    """Where the site answers, as TLS and HTTP need to know it."""
    parts = parse_site_url(site.url)
    host = ascii_name(parts.hostname or "")
    return Origin(
        site=site.name,
        scheme=parts.scheme,
        host=host,
        port=parts.port or PORTS[parts.scheme],
        prefix=parts.path.rstrip("/"),
        connect_to=site.resolve or host,
        timeout_s=site.timeout,
        ca=site.tls.ca if site.tls else None,
        judged_faults=site.tls.judged_faults if site.tls else frozenset(),
    )


def observe_front_page(origin: Origin) -> Response:
    """What the site's root answers."""
    return fetch(origin, "/")


def observe_http_redirect(origin: Origin, site: Site) -> HttpRedirect:
    """Ask http:// for the site's root; only a redirect to https:// on the same host will do."""
    response = fetch(origin.over_http(site.http_port), "/")
    location = response.header("Location")
    to_https = False
    if response.status in REDIRECTS - {303} and location:
        there = urlsplit(urljoin(response.url, location))
        to_https = there.scheme == "https" and there.hostname == origin.host
    evidence = Evidence(f"where {response.url} leads", f"{response.status} to {location or 'nowhere'}")
    return HttpRedirect(response.status, location, to_https, (evidence,))


SECTIONS: Mapping[str, type[Spec]] = {"sites": Site}
FACTS: Mapping[str, Callable[..., Any]] = {
    "origin": origin_of,
    "front_page": observe_front_page,
    "http_redirect": observe_http_redirect,
}
