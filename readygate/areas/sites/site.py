"""What a site may be declared to be: where it answers, its TLS, its endpoints, its headers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, model_validator

from readygate.areas.mentioned import members
from readygate.areas.sites import cors, nodes, rate_limit
from readygate.areas.sites import manners as http_manners
from readygate.areas.sites.cors import Cors
from readygate.areas.sites.fetch import Request, Response
from readygate.areas.sites.http import Endpoint
from readygate.areas.sites.nodes import Node, split_node
from readygate.areas.sites.origin import PORTS, Origin, ascii_name, parse_site_url
from readygate.areas.sites.patience import see
from readygate.areas.sites.plain_http import observe_http_redirect
from readygate.areas.sites.rate_limit import RateLimit
from readygate.areas.sites.turnstile import TOO_MANY, Turnstile
from readygate.areas.tls.ports import TlsPort
from readygate.areas.tls.tls import Tls
from readygate.errors import ClosedUnanswered, Mistake
from readygate.expectation import Flag, Seconds, Text, TextSet
from readygate.results import Evidence
from readygate.spec import Spec

_OTHER_HOST = "stranger.invalid"
_HOST_REFUSED = (400, 403, 404, 421)


def _site_url(url: str) -> str:
    parse_site_url(url)
    return url


class Site(Spec):
    """Something that answers over HTTP or HTTPS, as its visitors see it."""

    area: ClassVar[str] = "site"
    noun: ClassVar[str] = "site"

    url: Annotated[str, AfterValidator(_site_url)] = Field(
        description="A setting: where it answers, https://host[:port][/prefix] or http://..."
    )
    timeout: Seconds = Field(10.0, description="A setting: how long to wait for an answer, at most.")
    resolve: Node | None = Field(
        None, description="A setting: where to connect to, host[:port], instead of to the host of the url."
    )
    http_port: int = Field(80, ge=1, le=65535, description="A setting: where `redirects_http` asks.")
    redirects_http: Flag | None = Field(
        None, description="Whether http:// sends visitors on to https:// on the host and port of the url."
    )
    nodes: tuple[Node, ...] = Field(
        (), description="A setting: its nodes behind the name, host[:port]; all that it resolves to unless set."
    )
    headers: dict[str, Text] = Field(default_factory=dict, description="Headers of the answer at the site's root.")
    headers_on_errors: dict[str, Text] = Field(
        default_factory=dict, description="Headers of the answer to whoever asks for a page that isn't there."
    )
    shows_debug: Flag | None = Field(None, description="Whether an error shows a stack trace or a debugger.")
    exposes_files: Flag | None = Field(
        None, description="Whether a repository, an .env, a backup or a debug page is found where they often lie."
    )
    hides: TextSet | None = Field(None, description="Paths that are not served: [/.git/config, /metrics].")
    refuses_other_hosts: Flag | None = Field(
        None, description="Whether a Host header that isn't the site's is refused, as with 400."
    )
    cors: Cors | None = Field(None, description="Which other sites may let their pages talk to it.")
    rate_limit: RateLimit | None = Field(None, description="How often one client may ask.")
    rate_limits: dict[str, RateLimit] = Field(
        default_factory=dict, description="Further such limits, by a name of your own."
    )
    tls: Tls | None = Field(None, description="Its certificate, and the versions of TLS that it speaks.")
    endpoints: dict[str, Endpoint] = Field(default_factory=dict, description="Its endpoints by path.")

    @model_validator(mode="after")
    def _names_what_can_be_asked(self) -> Self:
        for path in members(self.hides):
            if not path.startswith("/") or any(character.isspace() for character in path):
                raise Mistake(f"'{path}' is not a path", "begin it with a slash, e.g. /.git/config")
        return self

    @model_validator(mode="after")
    def _has_tls_where_tls_is_declared(self) -> Self:
        for declared in ("tls", "redirects_http"):
            if getattr(self, declared) is not None and self.url.startswith("http:"):
                raise Mistake(f"{declared} is declared, but the url is http://", "write the https:// url")
        return self


@dataclass(frozen=True, slots=True)
class OtherHost:
    """What becomes of a request for a name that isn't the site's."""

    refused: bool
    reason: str
    evidence: tuple[Evidence, ...] = ()


def origin_of(site: Site | TlsPort) -> Origin:
    """Where the site answers, as TLS and HTTP need to know it."""
    if isinstance(site, TlsPort):
        return site.origin
    parts = parse_site_url(site.url)
    host = ascii_name(parts.hostname or "")
    connect_to, port_at = split_node(site.resolve) if site.resolve else (host, None)
    return Origin(
        site=site.name,
        scheme=parts.scheme,
        host=host,
        port=parts.port or PORTS[parts.scheme],
        prefix=parts.path.rstrip("/"),
        connect_to=connect_to,
        port_at=port_at,
        timeout_s=site.timeout,
        ca=site.tls.ca if site.tls else None,
        judged_faults=site.tls.judged_faults if site.tls else frozenset(),
        nodes=site.nodes,
        turnstile=_turnstile(site),
    )


def _turnstile(site: Site) -> Turnstile:
    """By what is declared of its limits: which of them refuses isn't known, so the shortest pause is tried."""
    limits = [*([site.rate_limit] if site.rate_limit else []), *site.rate_limits.values()]
    if not limits:
        return Turnstile()
    # Other statuses than these two are also those of what was asked. Where none is declared, 503 is that of nginx.
    is_503 = any(each.answers is None or each.answers.judge(503) for each in limits)
    statuses = frozenset({TOO_MANY, 503} if is_503 else {TOO_MANY})
    return Turnstile(statuses, min(each.pause_s for each in limits), site.name)


def observe_front_page(origin: Origin) -> Response:
    """What the site's root answers."""
    return see(origin, "/")


def observe_other_host(origin: Origin, front_page: Response) -> OtherHost:
    """Ask as if the site had another name; closing without a word refuses as well, as by `return 444` of nginx.

    What it answers anyway, such as 404 to everything, refuses nobody.
    """
    try:
        answer = see(origin, "/", Request(headers=(("Host", _OTHER_HOST),), is_public=True))
    except ClosedUnanswered as error:
        return OtherHost(True, error.reason, (Evidence(f"Host: {_OTHER_HOST} at {origin.at}", "closed"),))
    refused = answer.status in _HOST_REFUSED and answer.status != front_page.status
    return OtherHost(refused, f"Host: {_OTHER_HOST} is answered {answer.status}", answer.evidence)


SECTIONS: Mapping[str, type[Spec]] = {"sites": Site, "tls_ports": TlsPort}
FACTS: Mapping[str, Callable[..., Any]] = {
    "origin": origin_of,
    "front_page": observe_front_page,
    "http_redirect": observe_http_redirect,
    "other_host": observe_other_host,
    **cors.FACTS,
    **http_manners.FACTS,
    **nodes.FACTS,
    **rate_limit.FACTS,
}
AHEAD = frozenset({"front_page", "http_redirect", "other_host", "let_in", "preflight", "node_answers"})
