"""What an endpoint may be declared to answer, and how that is observed."""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from readygate.areas.mentioned import limit, members
from readygate.areas.sites.fetch import Request, Response, one_line
from readygate.areas.sites.origin import Origin
from readygate.areas.sites.patience import look
from readygate.areas.sites.tokens import FACTS as TOKENS
from readygate.areas.sites.tokens import Token
from readygate.areas.sites.turnstile import TOO_MANY
from readygate.errors import CouldNotLook, Mistake
from readygate.expectation import AtMostDuration, Expectation, Flag, Json, Seconds, Size, Status, Text, TextSet
from readygate.spec import Setting, Spec

warnings.filterwarnings("ignore", 'Field name "json" in "(Endpoint|Case)" shadows', UserWarning)


class Retry(Setting):
    """How long to wait for an answer that is still on its way, as after a deployment."""

    times: int = Field(ge=1, description="How often it is asked again, at most, after the first time.")
    every: Seconds = Field(description="How long to wait between two attempts.")


class Case(Spec):
    """One question to an endpoint whose right answer is known."""

    area: ClassVar[str] = "case"
    noun: ClassVar[str] = "case"

    send_json: Any = Field(None, repr=False, description="A setting: what to send as JSON.")
    query: str | None = Field(None, description="A setting: what follows the ? of the path.", pattern=r"^[^?#\s]+$")
    status: Status | None = Field(None, description="The status code.")
    json: dict[str, Json] = Field(  # type: ignore[assignment]
        default_factory=dict, description="Values in the JSON answer by dotted path."
    )
    body: Text | None = Field(None, description="The answer's body as text.")


class Endpoint(Spec):
    """One path of a site, and what it answers."""

    area: ClassVar[str] = "http"
    noun: ClassVar[str] = "endpoint"

    status: Status | None = Field(None, description="The status code, or a list of those that are right.")
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
    p95: AtMostDuration | None = Field(
        None, description="How long 95 of 100 answers take, at most; needs `samples: 20` or more."
    )
    p99: AtMostDuration | None = Field(
        None, description="How long 99 of 100 answers take, at most; needs `samples: 100` or more."
    )
    cookies: dict[str, TextSet] = Field(
        default_factory=dict, description="Attributes by cookie, e.g. {contains: [Secure, HttpOnly, SameSite=Lax]}."
    )
    metrics: TextSet | None = Field(None, description="Names of the metrics in an answer in Prometheus' text format.")
    needs_login: Flag | None = Field(
        None, description="Whether it answers 401 or 403 to whoever comes without the `request_headers`."
    )
    default_logins: Flag | None = Field(
        None, description="Whether a user and password that everybody knows open it, by Basic authentication."
    )
    refuses_methods: TextSet | None = Field(
        None, description="Methods that are refused, each asked without a body: [TRACE, DELETE]."
    )
    body_limit: Size | None = Field(
        None, description="The largest body that is taken: this much is, and one byte more is answered 413."
    )
    websocket: Flag | None = Field(None, description="Whether a WebSocket can be opened.")
    on_every_node: dict[str, Json] = Field(
        default_factory=dict, description="Values in the JSON answer of every one of the site's `nodes`, by path."
    )
    token: Token | None = Field(None, description="The token in its answer, such as that of a login.")
    cases: dict[str, Case] = Field(
        default_factory=dict, description="Questions with known answers, by a name of your own."
    )

    path: str | None = Field(
        None, description="A setting: its path, if the key is a name of your own.", pattern=r"^/[^\s#]*$"
    )
    method: Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"] = Field(
        "GET", description="A setting: how it is asked."
    )
    request_headers: Annotated[dict[str, str], AfterValidator(one_line)] = Field(
        default_factory=dict, repr=False, description="A setting: headers to send."
    )
    send_json: Any = Field(None, repr=False, description="A setting: what to send as JSON.")
    follow_redirects: bool = Field(False, description="A setting: whether to judge what a redirect leads to.")
    samples: int = Field(1, ge=1, le=1000, description="A setting: how often it is asked, for the times.")
    retry: Retry | None = Field(None, description="A setting: ask again until an answer has the right status.")

    @property
    def where(self) -> str:
        """Its path below the site's url."""
        return self.path or self.name

    @property
    def is_live(self) -> bool:
        is_measured = any(each is not None for each in (self.within, self.p95, self.p99))
        return is_measured or self.samples > 1 or self.retry is not None or self.method not in ("GET", "HEAD")

    def refuse_name(self, name: str) -> None:
        is_path = name.startswith("/") and "#" not in name and not any(each.isspace() for each in name)
        if not is_path and self.path is None:
            raise Mistake(f"'{name}' is not the path of an endpoint", "begin it with a slash, or add `path: /...`")

    @model_validator(mode="after")
    def _can_be_tried(self) -> Self:
        if self.body_limit is not None and not limit(self.body_limit):
            raise Mistake(f"'{self.body_limit}' is not one size to try", "write e.g. body_limit: 10M")
        for method in members(self.refuses_methods):
            if not method.isalpha() or not method.isupper():
                raise Mistake(f"'{method}' is not a method of HTTP", "write it in capitals, e.g. DELETE")
        return self

    @model_validator(mode="after")
    def _has_samples_enough(self) -> Self:
        for declared, needed in ((self.p99, 100), (self.p95, 20)):
            if declared is not None and self.samples < needed:
                raise Mistake(f"{self.samples} samples are too few for this percentile", f"write samples: {needed}")
        return self

    @model_validator(mode="after")
    def _follows_only_what_is_safe_to_repeat(self) -> Self:
        if self.follow_redirects and self.method not in ("GET", "HEAD"):
            raise Mistake(f"a redirect of a {self.method} is not followed", "use follow_redirects with GET or HEAD")
        return self


def observe_response(origin: Origin, endpoint: Endpoint) -> Response:
    """Ask the endpoint as it is declared: until the status is right, and then for the rest of the samples.

    One answer with a wrong status among the samples is the one that is judged.
    """
    request = request_of(endpoint)

    def ask() -> Response:
        return _ask(origin, endpoint.where, request, endpoint.status, follow_redirects=endpoint.follow_redirects)

    first, attempts = _ask_until_right(ask, endpoint)
    answers = [first, *(ask() for _ in range(endpoint.samples - 1))]
    judged = next((answer for answer in answers if not _is_right(answer, endpoint)), first)
    return replace(
        judged,
        elapsed_s=statistics.median(answer.elapsed_s for answer in answers),
        samples_s=tuple(sorted(answer.elapsed_s for answer in answers)),
        is_cut=any(answer.is_cut for answer in answers),
        attempts=attempts,
    )


def request_of(endpoint: Endpoint) -> Request:
    """What is sent to the endpoint, credentials and all."""
    return Request.declared(endpoint.method, endpoint.request_headers, endpoint.send_json)


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


def observe_case(origin: Origin, endpoint: Endpoint, case: Case) -> Response:
    """What the endpoint answers to this one question."""
    path = endpoint.where + (f"{'&' if '?' in endpoint.where else '?'}{case.query}" if case.query else "")
    asked = endpoint.send_json if case.send_json is None else case.send_json
    return _ask(origin, path, Request.declared(endpoint.method, endpoint.request_headers, asked), case.status)


def _ask(
    origin: Origin, path: str, request: Request, status: Expectation | None, *, follow_redirects: bool = False
) -> Response:
    """CouldNotLook: it is asked too often for now, and answers nothing else. An outage is judged like any answer."""

    def is_right(found: int) -> bool:
        return status is not None and bool(status.judge(found))

    answer = look(origin, path, request, follow_redirects=follow_redirects, is_right=is_right)
    if answer.status == TOO_MANY and not is_right(TOO_MANY):
        raise origin.limited(path, TOO_MANY)
    return answer


SECTIONS: Mapping[str, type[Spec]] = {}
FACTS: Mapping[str, Callable[..., Any]] = {
    "response": observe_response,
    "answered_case": observe_case,
    **TOKENS,
}
AHEAD = frozenset({"response"})
