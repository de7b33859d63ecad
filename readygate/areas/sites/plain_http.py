"""What becomes of a visitor who comes by http://, where https:// is meant."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from readygate.areas.sites.fetch import REDIRECTS, Response
from readygate.areas.sites.origin import PORTS, Origin, ascii_name
from readygate.areas.sites.patience import see
from readygate.results import Evidence

_MOST_HOPS = 10


@dataclass(frozen=True, slots=True)
class HttpRedirect:
    """What http:// answers, and whether the visitor gets to https:// and stays there; if not, why.

    `to_https` is None where the visitor is led there and then away, or only from the root: neither is that to
    redirect, nor not to.
    """

    status: int
    location: str | None
    to_https: bool | None
    told: str = ""
    evidence: tuple[Evidence, ...] = ()


def observe_http_redirect(origin: Origin, site: Any) -> HttpRedirect:
    """Ask http:// for the site's root; only a redirect to https:// on the site's own host and port will do.

    From there it is followed for as long as it stays on the host, since it may lead back. Nor may http:// serve
    what is declared of the site. CouldNotLook: https:// gives no answer, so that nobody knows whether it does.
    """
    plain = origin.over_http(site.http_port)
    response = see(plain, "/")
    location = response.header("Location")
    led = f"{response.status} to {location or 'nowhere'}"
    to_https = _leads_home(origin, response)
    away = (_led_away(origin, response) or _served(origin, plain, site)) if to_https else ""
    evidence = Evidence(f"where {response.url} leads", f"{led}; {away}" if away else led)
    return HttpRedirect(response.status, location, None if away else to_https, away, (evidence,))


def _served(origin: Origin, plain: Origin, site: Any) -> str:
    """Which endpoint http:// serves all the same, as where only `/` is redirected; to refuse it will do."""
    for path in sorted({each.path or name for name, each in site.endpoints.items() if each.method == "GET"}):
        response = see(plain, path)
        # Who is asked to log in would send the password in the clear.
        if (response.status < 400 or response.status == 401) and not _leads_home(origin, response):
            return f"{response.url} is answered {response.status} all the same"
    return ""


def _leads_home(origin: Origin, response: Response) -> bool:
    return response.status in REDIRECTS - {303} and _place(response.url, response.header("Location")) == _home(origin)


def _led_away(origin: Origin, response: Response) -> str:
    """How the visitor, once sent to https://, is led in a circle or back to http://; empty if neither happens."""
    seen = {response.url}
    for _ in range(_MOST_HOPS):
        location = response.header("Location")
        if response.status not in REDIRECTS or not location:
            return ""
        place = _place(response.url, location)
        if not place or place[1] != origin.host:
            return ""  # to another host, such as that of a login
        there = urljoin(response.url, location).partition("#")[0]
        if there in seen:
            return f"{response.url} leads in a circle, to {there}"
        if place[0] == "http":
            return f"{response.url} leads back to {there}"
        if place != _home(origin):
            return ""
        seen.add(there)
        parts = urlsplit(there)
        response = see(replace(origin, prefix=""), (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
    return f"{response.url} is the {_MOST_HOPS}th redirect, and leads on"


def _home(origin: Origin) -> tuple[str, str, int]:
    return ("https", origin.host, origin.port)


def _place(url: str, location: str | None) -> tuple[str, str, int] | None:
    """Scheme, host and port of where a redirect leads; None for a port or an address that is none."""
    try:
        there: SplitResult = urlsplit(urljoin(url, location or ""))
        return (there.scheme, ascii_name(there.hostname or ""), there.port or PORTS.get(there.scheme, 0))
    except ValueError:
        return None
