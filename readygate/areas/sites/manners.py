"""How an endpoint treats what it shouldn't serve: strangers, odd methods, bodies too large, guessed passwords."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from readygate.areas.mentioned import members
from readygate.areas.sites.fetch import Request
from readygate.areas.sites.http import Endpoint
from readygate.areas.sites.origin import Origin
from readygate.areas.sites.patience import see
from readygate.areas.sites.uploads import observe_body_limit
from readygate.areas.sites.wire import ask_head
from readygate.errors import CouldNotLook
from readygate.results import Evidence

_TURNED_AWAY = (401, 403)
_METHOD_REFUSED = (403, 405, 501)
_KNOWN_LOGINS = (("admin", "admin"), ("admin", "password"), ("root", "root"), ("guest", "guest"), ("admin", ""))
_WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


@dataclass(frozen=True, slots=True)
class Noticed:
    """Whether something is so, and what shows it."""

    yes: bool
    reason: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class RefusedMethods:
    """The methods that an endpoint refuses, of those that were tried."""

    refused: tuple[str, ...]
    evidence: tuple[Evidence, ...] = ()


def observe_stranger(origin: Origin, endpoint: Endpoint) -> Noticed:
    """Ask without any of the declared headers; a stranger has to be turned away with 401 or 403."""
    answer = see(origin, endpoint.where, Request.declared(endpoint.method, {}, endpoint.send_json))
    return Noticed(answer.status in _TURNED_AWAY, f"without credentials it answers {answer.status}", answer.evidence)


def observe_known_logins(origin: Origin, endpoint: Endpoint) -> Noticed:
    """Whether one of five well-known users and passwords, or none at all, opens the endpoint.

    CouldNotLook: it asks for no login by a 401, so that none is tried at it; or it fails, or refuses any for now.
    """
    url = origin.url(endpoint.where)
    unasked = see(origin, endpoint.where).status
    if unasked >= 300 and unasked not in _TURNED_AWAY:
        raise CouldNotLook(
            f"{url} answers {unasked} to whoever has no login, so a login by Basic is nothing to it",
            mend="declare `default_logins` for a path that asks for one by 401",
        )
    # An endpoint that is open to everybody is open to admin, too.
    opened = [] if unasked >= 300 else ["no login at all"]
    for user, password in () if opened else _KNOWN_LOGINS:
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        answer = see(origin, endpoint.where, Request(headers=(("Authorization", f"Basic {token}"),), is_public=True))
        if answer.status >= 500:
            raise origin.limited(endpoint.where, answer.status)
        # Who is let in may be led on, as to a dashboard.
        if answer.status < 400:
            opened.append(f"user {user} with a password that everybody knows")
    reason = f"opened by {' and '.join(opened) or 'none of them'}"
    return Noticed(bool(opened), reason, (Evidence(f"{len(_KNOWN_LOGINS)} well-known logins at {url}", reason),))


def observe_refused_methods(origin: Origin, endpoint: Endpoint) -> RefusedMethods:
    """Try each declared method without a body; 403, 405 and 501 refuse it, and so does closing the connection.

    CouldNotLook: one of them is not answered in time, as by a service that is busy with what it was told to do.
    """
    own = {name.lower(): value for name, value in endpoint.request_headers.items()}
    try:
        statuses = {
            method: _status(origin, endpoint, method, {**own, "content-length": "0"})
            for method in members(endpoint.refuses_methods)
        }
    except TimeoutError as error:
        raise origin.unreachable(error) from None
    if limited := origin.turnstile.statuses & set(statuses.values()):
        raise origin.limited(endpoint.where, min(limited))
    told = ", ".join(f"{method} {status or 'closed'}" for method, status in statuses.items())
    refused = tuple(method for method, status in statuses.items() if status in (*_METHOD_REFUSED, None))
    return RefusedMethods(refused, (Evidence(f"methods of {origin.url(endpoint.where)}", told),))


def observe_websocket(origin: Origin, endpoint: Endpoint) -> Noticed:
    """Ask for an upgrade; only a server that knows WebSocket can answer the key (RFC 6455, section 4.2.2)."""
    key = base64.b64encode(os.urandom(16))
    own = {name.lower(): value for name, value in endpoint.request_headers.items()}
    upgrade = {
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-key": key.decode(),
        "sec-websocket-version": "13",
    }
    headers = {"origin": origin.home, **own, **upgrade}
    answer = None
    with suppress(TimeoutError):
        answer = ask_head(origin, "GET", endpoint.where, headers, patience_s=origin.timeout_s, carries_ours=bool(own))
    if answer is None:
        reason = "no answer"
    else:
        status, fields = answer
        if status in origin.turnstile.statuses:
            raise origin.limited(endpoint.where, status)
        digest = base64.b64encode(hashlib.sha1(key + _WEBSOCKET_GUID, usedforsecurity=False).digest()).decode()
        right = fields.get("Sec-WebSocket-Accept", "").strip() == digest
        reason = "opened" if status == 101 and right else f"{status}, and not the answer to our key"
    return Noticed(reason == "opened", reason, (Evidence(f"a WebSocket to {origin.url(endpoint.where)}", reason),))


def _status(origin: Origin, endpoint: Endpoint, method: str, headers: Mapping[str, str]) -> int | None:
    answer = ask_head(
        origin,
        method,
        endpoint.where,
        headers,
        patience_s=origin.timeout_s,
        carries_ours=bool(endpoint.request_headers),
    )
    return answer[0] if answer else None


FACTS: Mapping[str, Callable[..., Any]] = {
    "stranger": observe_stranger,
    "known_logins": observe_known_logins,
    "refused_methods": observe_refused_methods,
    "observed_body_limit": observe_body_limit,
    "websocket": observe_websocket,
}
