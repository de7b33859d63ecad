"""What an endpoint may be declared to answer, and how that is observed."""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from json import dumps
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from readygate.areas.http_fetch import Request, Response, fetch
from readygate.areas.origin import Origin
from readygate.errors import CouldNotLook, Mistake
from readygate.expectation import AtMostDuration, Count, Json, Seconds, Text
from readygate.spec import Setting, Spec

warnings.filterwarnings("ignore", 'Field name "json" in "Endpoint" shadows', UserWarning)


def _one_line(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        # The value may be a secret, so it isn't repeated here.
        if not name or any(character in name + value for character in "\r\n"):
            raise Mistake(f"the header {name!r} is not a single line", "write its name and value without line breaks")
    return headers


class Retry(Setting):
    """How long to wait for an answer that is still on its way, as after a deployment."""

    times: int = Field(ge=1, description="How often it is asked again, at most, after the first time.")
    every: Seconds = Field(description="How long to wait between two attempts.")


class Endpoint(Spec):
    """One path of a site, and what it answers."""

    area: ClassVar[str] = "http"
    noun: ClassVar[str] = "endpoint"

    status: Count | None = Field(None, description="The status code, or a list of those that are right.")
    # It hides a method of pydantic's that has been deprecated for long.
    json: dict[str, Json] = Field(  # type: ignore[assignment]
        default_factory=dict, description="Values in the JSON answer by dotted path, e.g. items.0.id."
    )
    headers: dict[str, Text] = Field(default_factory=dict, description="Headers of the answer.")
    body: Text | None = Field(None, description="The answer's body as text.")
    within: AtMostDuration | None = Field(
        None,
        description="How long a complete answer may take on a new connection, as the median of `samples`.",
    )

    method: Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"] = Field(
        "GET", description="A setting: how it is asked."
    )
    request_headers: Annotated[dict[str, str], AfterValidator(_one_line)] = Field(
        default_factory=dict, repr=False, description="A setting: headers to send."
    )
    send_json: Any = Field(None, repr=False, description="A setting: what to send as JSON.")
    follow_redirects: bool = Field(False, description="A setting: whether to judge what a redirect leads to.")
    samples: int = Field(1, ge=1, le=100, description="A setting: how often it is asked, for a median of times.")
    retry: Retry | None = Field(None, description="A setting: ask again until an answer has the right status.")

    @model_validator(mode="after")
    def _follows_only_what_is_safe_to_repeat(self) -> Self:
        if self.follow_redirects and self.method not in ("GET", "HEAD"):
            raise Mistake(f"a redirect of a {self.method} is not followed", "use follow_redirects with GET or HEAD")
        return self


def observe_response(origin: Origin, endpoint: Endpoint) -> Response:
    """Ask the endpoint as it is declared: until the status is right, and then for the rest of the samples.

    One answer with a wrong status among the samples is the one that is judged.
    """
    request = _request_of(endpoint)

    def ask() -> Response:
        return fetch(origin, endpoint.name, request, follow_redirects=endpoint.follow_redirects)

    first, attempts = _ask_until_right(ask, endpoint)
    answers = [first, *(ask() for _ in range(endpoint.samples - 1))]
    judged = next((answer for answer in answers if not _is_right(answer, endpoint)), first)
    return replace(
        judged,
        elapsed_s=statistics.median(answer.elapsed_s for answer in answers),
        is_cut=any(answer.is_cut for answer in answers),
        attempts=attempts,
    )


def _request_of(endpoint: Endpoint) -> Request:
    headers = dict(endpoint.request_headers)
    body = None
    if endpoint.send_json is not None:
        body = dumps(endpoint.send_json).encode()
        headers.setdefault("Content-Type", "application/json")
    return Request(endpoint.method, tuple(headers.items()), body)


def _ask_until_right(ask: Callable[[], Response], endpoint: Endpoint) -> tuple[Response, int]:
    attempts = 1 + (endpoint.retry.times if endpoint.retry else 0)
    for attempt in range(1, attempts):
        try:
            response = ask()
            if _is_right(response, endpoint):
                return response, attempt
        except CouldNotLook:
            # It may be on its way up: only the last attempt says that it can't be reached.
            pass
        time.sleep(endpoint.retry.every if endpoint.retry else 0)
    return ask(), attempts


def _is_right(response: Response, endpoint: Endpoint) -> bool:
    return endpoint.status is None or bool(endpoint.status.judge(response.status))


SECTIONS: Mapping[str, type[Spec]] = {}
FACTS: Mapping[str, Callable[..., Any]] = {"response": observe_response}
