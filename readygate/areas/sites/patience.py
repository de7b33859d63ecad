"""Asks a site that limits how often one may ask, so that the limit is not taken for what is behind it."""

from __future__ import annotations

from collections.abc import Callable, Collection

from readygate.areas.sites.fetch import Request, Response, fetch
from readygate.areas.sites.origin import Origin

OUTAGES = (502, 503, 504)  # of what is behind a proxy, of which they tell nothing
_GET = Request()


def look(
    origin: Origin,
    path: str,
    request: Request = _GET,
    *,
    follow_redirects: bool = False,
    is_right: Callable[[int], object] = lambda status: False,
    limited_by: Collection[int] = (),
) -> Response:
    """The answer of what is behind a rate limit: where that refuses, one asks again when it may let in.

    It refuses with 429, or as is declared for the site, or by what it is `limited_by`; unless that `is_right`.
    Raises CouldNotLook as `fetch` does.
    """
    # Who was told 503 by a site that declares no limit may have been heard, and what acts is not told twice.
    statuses = {*origin.turnstile.statuses, *(limited_by if request.is_safe else ())}
    return origin.turnstile.past(
        lambda: fetch(origin, path, request, follow_redirects=follow_redirects),
        lambda answer: answer.status,
        {status for status in statuses if not is_right(status)},
    )


def see(origin: Origin, path: str, request: Request = _GET) -> Response:
    """The answer of the site itself. CouldNotLook: a rate limit answers for it, however long one waits."""
    answer = look(origin, path, request)
    if answer.status in origin.turnstile.statuses:
        raise origin.limited(path, answer.status)
    return answer
