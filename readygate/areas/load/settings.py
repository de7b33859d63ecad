"""The settings of a load plan: stages, visitors, their journeys, and where the load comes from."""

from __future__ import annotations

import ast
import json
import re
from csv import DictReader
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, GetJsonSchemaHandler, PlainValidator, WithJsonSchema, model_validator
from pydantic_core import CoreSchema

from readygate import units
from readygate.errors import Mistake
from readygate.expectation import Seconds
from readygate.load import plan
from readygate.spec import Setting

_PROCESSES = 256  # at most on one machine
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_REQUEST = re.compile(r"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (/\S*)")


def _per_second(raw: object) -> float:
    rate = units.parse_rate(raw)
    if rate <= 0:
        raise Mistake(f"'{raw}' is nothing", "write more than 0, e.g. 100/s")
    return rate


def _share(raw: object) -> float:
    return units.parse_percent(raw) / 100


def _whole_seconds(seconds: float) -> float:
    if seconds != int(seconds):
        raise Mistake(f"{units.show_duration(seconds)} is not a whole number of seconds", "write e.g. 30s")
    return seconds


PerSecond = Annotated[float, PlainValidator(_per_second), WithJsonSchema({"type": "string", "examples": ["100/s"]})]
Share = Annotated[float, PlainValidator(_share), WithJsonSchema({"type": ["string", "number"], "examples": ["50%"]})]
WholeSeconds = Annotated[Seconds, AfterValidator(_whole_seconds)]


def origin(url: str) -> str:
    """Scheme, host and port of a URL. Raises Mistake where it isn't one of HTTP."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Mistake(f"'{url}' is not a URL", "write e.g. https://app.example.com") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Mistake(f"'{url}' is not the URL of a site", "write e.g. https://app.example.com")
    return f"{parts.scheme}://{parts.hostname}:{port or (443 if parts.scheme == 'https' else 80)}"


def _target_url(url: str) -> str:
    origin(url)
    parts = urlsplit(url)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise Mistake(
            "a target is scheme, host, port and the beginning of all paths",
            "write a query in the steps, and credentials as a header of theirs",
        )
    return url.rstrip("/")


TargetUrl = Annotated[str, AfterValidator(_target_url)]


class Arrival(Setting):
    """The open model: visitors come at their own times, whether the target keeps up or not."""

    rate: PerSecond = Field(description="Journeys begun a second, e.g. 1000/s.")
    shape: Literal["poisson", "constant"] = Field(
        "poisson", description="Whether they come by chance, as people do, or evenly spaced."
    )


class Stage(Setting):
    """A part of the run; `ramp` or `hold` says how long it is."""

    ramp: WholeSeconds | None = Field(None, description="Go from where the load is to `to` in this time.")
    hold: WholeSeconds | None = Field(None, description="Be at `to` for this time.")
    to: Share = Field(1.0, description="The share of the full load, in per cent; 300% makes a spike.")
    measure: bool = Field(False, description="Whether what happens here counts.")

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.ramp is None) == (self.hold is None):
            raise Mistake("a stage either ramps or holds", "write e.g. {ramp: 30s} or {hold: 5m, measure: true}")
        if self.to < 0 or (self.measure and self.to == 0):
            raise Mistake("there is no load in this stage", "write more than 0%")
        return self


class Step(Setting):
    """One request and what its answer must be; a text alone, such as `GET /items/{id}`, is its `request`."""

    request: str = Field(description="Method and path; {name} is filled from what the visitor knows.")
    name: str | None = Field(None, description="What it is called in the results, instead of its path.")
    headers: dict[str, str] = Field({}, description="Its headers.")
    body: str | None = Field(None, description="Its body, as text.")
    send: dict[str, Any] | None = Field(None, description="Its body, sent as JSON.")
    status: tuple[int, ...] | int | None = Field(None, description="The right statuses; else any of 2xx.")
    contains: str | None = Field(None, min_length=1, description="Text that a right answer has in it.")
    json_: dict[str, str | int | float | bool | None] = Field(
        {}, alias="json", description="Values of a right answer by dotted path, such as user.name."
    )
    capture: dict[str, str] = Field({}, description="What to remember, by name: the dotted path in the answer.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, raw: object) -> object:
        return {"request": raw} if isinstance(raw, str) else raw

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "string", "pattern": f"^{_REQUEST.pattern}$"}, handler(schema)]}

    @model_validator(mode="after")
    def _can_be_sent(self) -> Self:
        if not _REQUEST.fullmatch(self.request):
            raise Mistake(f"'{self.request}' is not a request", "write a method and a path, e.g. GET /items/{id}")
        if self.body is not None and self.send is not None:
            raise Mistake("body and send are both the body", "write one of them")
        for name, value in self.headers.items():
            if not _TOKEN.fullmatch(name) or "\n" in value or "\r" in value:
                mend = "write its name in letters and dashes, and its value on one line"
                raise Mistake(f"a header '{name}' can't be sent so", mend, at=("headers", name))
        for each in self.statuses:
            if not 200 <= each <= 599:
                raise Mistake(f"no answer ends with status {each}", "write one from 200 to 599", at=("status",))
        if self.request.startswith("HEAD ") and (self.contains or self.json_ or self.capture):
            raise Mistake("what answers a HEAD has no body to look at", "ask with GET, or look at its status alone")
        return self

    @property
    def statuses(self) -> tuple[int, ...]:
        return (self.status,) if isinstance(self.status, int) else self.status or ()

    def planned(self) -> plan.Step:
        method, _, path = self.request.partition(" ")
        headers, body = dict(self.headers), self.body or ""
        if self.send is not None:
            headers.setdefault("Content-Type", "application/json")
            body = json.dumps(self.send, ensure_ascii=False)
        return plan.Step(
            method,
            path,
            self.name or path,
            tuple(headers.items()),
            body,
            self.statuses,
            self.contains or "",
            tuple(self.json_.items()),
            tuple(self.capture.items()),
        )


class Journey(Setting):
    """What a visitor does in one go."""

    journey: str = Field(description="Its name.")
    weight: int = Field(1, ge=1, le=1000, description="How often it is taken beside the others.")
    steps: tuple[Step, ...] = Field(min_length=1, description="Its requests, one after the other.")


class Users(Setting):
    """The visitors."""

    max: int = Field(ge=1, description="How many there are at once, at most.")
    mix: tuple[Journey, ...] = Field((), description="Their journeys.")
    sign_in: tuple[Step, ...] = Field((), description="What each does once, before the run begins.")
    think: tuple[Seconds, Seconds] | None = Field(
        None, description="For a closed model, in place of `arrival`: the shortest and longest pause, [1s, 3s]."
    )
    data: str | None = Field(None, description="A CSV file with a heading; each visit takes the next line's values.")
    locustfile: str | None = Field(None, description="A Locust file of your own, instead of a mix.")

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if bool(self.mix) == bool(self.locustfile):
            raise Mistake("users take a mix of journeys or a locustfile", "write one of them")
        if self.think and self.think[0] > self.think[1]:
            raise Mistake("the shortest pause is longer than the longest", "write e.g. think: [1s, 3s]")
        for path in (self.data, self.locustfile):
            if path is not None and not Path(path).is_file():
                raise Mistake(f"there is no file '{path}'", "write its path from where readygate is run")
        if self.locustfile:
            _refuse_no_python(self.locustfile)
        return self


class Ceiling(Setting):
    """What a plan may never go beyond, whatever else it says."""

    rate: PerSecond = Field(5000.0, description="Journeys a second.")
    users: int = Field(5000, ge=1, description="Users at once.")
    time: Seconds = Field(3600.0, description="Length of the whole run.")


class Generator(Setting):
    """Where the load comes from."""

    processes: Literal["auto"] | int = Field(
        "auto", description="Processes on this machine; auto: as the rate needs."
    )
    workers: int = Field(0, ge=0, description="Locust workers elsewhere that connect to this machine, instead.")
    bind: str = Field("0.0.0.0:5557", pattern=r"^\S+:\d+$", description="Where workers connect to: address:port.")

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if self.processes != "auto" and not 1 <= self.processes <= _PROCESSES:
            raise Mistake(
                f"{self.processes} processes can't be", f"write 1 to {_PROCESSES}, or auto", at=("processes",)
            )
        if self.workers and self.processes != "auto":
            raise Mistake("the load comes from processes here, or from workers elsewhere", "write one of them")
        return self


_DATA = ("users", "data")


def _refuse_no_python(path: str) -> None:
    try:
        ast.parse(Path(path).read_bytes(), path)
    except SyntaxError as error:
        raise Mistake(f"'{path}' is no Python: {error.msg} in line {error.lineno}", "mend it there") from None


def read_rows(path: str | None) -> tuple[dict[str, str], ...]:
    if path is None:
        return ()
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:  # spreadsheets begin it with a mark
            reader = DictReader(file)
            rows, names = tuple(reader), reader.fieldnames or ()
    except UnicodeDecodeError:
        raise Mistake(f"'{path}' is not a text in UTF-8", "save it as CSV in UTF-8", at=_DATA) from None
    if not rows:
        raise Mistake(f"'{path}' has no lines below its heading", "add one a visitor", at=_DATA)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise Mistake(f"'{path}' has two columns called '{twice}'", "rename one of them", at=_DATA)
    for number, row in enumerate(rows, 1):
        if None in row or None in row.values():
            raise Mistake(
                f"line {number} below the heading of '{path}' has not as many values", "give it as many", at=_DATA
            )
    return rows
