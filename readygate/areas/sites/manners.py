"""How an endpoint treats what it shouldn't serve: strangers, odd methods, bodies too large, guessed passwords."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from readygate.areas.mentioned import limit, members
from readygate.areas.sites.fetch import USER_AGENT, Request
from readygate.areas.sites.http import Endpoint, request_of
from readygate.areas.sites.origin import Origin
from readygate.areas.sites.patience import see
from readygate.areas.sites.wire import ask_head
from readygate.errors import CouldNotLook
from readygate.results import Evidence

_TURNED_AWAY = (401, 403)
_METHOD_REFUSED = (403, 405, 501)
_BEFORE_THE_SIZE = (401, 403, 404, 405)
_TOO_MUCH_FOR_NOW = (429, 503)
_PATIENCE_S = 2.0  # a server that says nothing for so long waits for the body: it has accepted its length
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


@dataclass(frozen=True, slots=True)
class BodyLimit:
    """The largest body that is taken, in bytes, as far as it was tried; None where less is taken than should be."""

    largest: int | None
    reason: str
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
            method: _status(origin, endpoint, method, {**own, "content-length": "0"}, patience_s=origin.timeout_s)
            for method in members(endpoint.refuses_methods)
        }
    except TimeoutError as error:
        raise origin.unreachable(error) from None
    if limited := origin.turnstile.statuses & set(statuses.values()):
        raise origin.limited(endpoint.where, min(limited))
    told = ", ".join(f"{method} {status or 'closed'}" for method, status in statuses.items())
    refused = tuple(method for method, status in statuses.items() if status in (*_METHOD_REFUSED, None))
    return RefusedMethods(refused, (Evidence(f"methods of {origin.url(endpoint.where)}", told),))


def observe_body_limit(origin: Origin, endpoint: Endpoint) -> BodyLimit:
    """Announce a body of the declared size and one of a byte more, and send neither.

    CouldNotLook: the endpoint turns us away before it looks at the size.
    """
    declared: int = limit(endpoint.body_limit) if endpoint.body_limit else 0
    method = endpoint.method if endpoint.method in ("POST", "PUT", "PATCH") else "POST"
    own = {name.lower(): value for name, value in request_of(endpoint).headers}
    headers = {"content-type": "application/octet-stream", **own, "expect": "100-continue"}

    def announced(size: int) -> int | None:
        with suppress(TimeoutError):
            return _status(origin, endpoint, method, {**headers, "content-length": str(size)}, patience_s=_PATIENCE_S)
        return None

    statuses = {size: announced(size) for size in (declared, declared + 1)}
    evidence = tuple(
        Evidence(
            f"{method} {origin.url(endpoint.where)} announcing {size} bytes",
            str(status or "no answer: it waits for the body"),
        )
        for size, status in statuses.items()
    )
    # Where one byte more is refused for its size, an outage behind that is another check's concern.
    unseen = _BEFORE_THE_SIZE if statuses[declared + 1] == 413 else (*_BEFORE_THE_SIZE, *_TOO_MUCH_FOR_NOW)
    turned_away = {status for status in statuses.values() if status in unseen}
    if turned_away:
        raise CouldNotLook(
            f"{method} {origin.url(endpoint.where)} answers {turned_away.pop()} before it looks at the size",
            mend="declare `request_headers` and a `method` with which a body is welcome",
        )
    if statuses[declared] == 413:
        return BodyLimit(None, f"{declared} bytes are refused already", evidence)
    if statuses[declared + 1] == 413:
        return BodyLimit(declared, f"more than {declared} bytes are refused", evidence)
    return BodyLimit(declared + 1, f"{declared + 1} bytes are not refused", evidence)


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
    headers = {**_ours(origin), "origin": origin.home, **own, **upgrade}
    answer = None
    with suppress(TimeoutError):
        answer = origin.turnstile.past(
            lambda: ask_head(
                origin, "GET", endpoint.where, headers, patience_s=origin.timeout_s, carries_ours=bool(own)
            ),
            lambda head: head[0] if head else None,
            origin.turnstile.statuses,
        )
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


def _status(
    origin: Origin, endpoint: Endpoint, method: str, headers: Mapping[str, str], *, patience_s: float
) -> int | None:
    answer = origin.turnstile.past(
        lambda: ask_head(
            origin,
            method,
            endpoint.where,
            {**_ours(origin), **headers},
            patience_s=patience_s,
            carries_ours=bool(endpoint.request_headers),
        ),
        lambda head: head[0] if head else None,
        origin.turnstile.statuses,
    )
    return answer[0] if answer else None


def _ours(origin: Origin) -> dict[str, str]:
    return {"host": origin.netloc, "user-agent": USER_AGENT, "accept": "*/*"}


FACTS: Mapping[str, Callable[..., Any]] = {
    "stranger": observe_stranger,
    "known_logins": observe_known_logins,
    "refused_methods": observe_refused_methods,
    "observed_body_limit": observe_body_limit,
    "websocket": observe_websocket,
}
