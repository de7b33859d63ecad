"""The Locust user that walks a plan's journeys, in the generator's process."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable
from itertools import cycle, islice
from typing import Any

import gevent
from geventhttpclient.response import HTTPParseError
from locust import User, task

from readygate.load.connection import Connection, Dropped
from readygate.load.plan import Plan, Step
from readygate.load.tally import NO_ANSWER

_SLOT = re.compile(r"\{(\w+)\}")


class WrongAnswer(Exception):
    """The target answered, and the answer is not what the step expects."""


class Visitor(User):
    """Takes one journey a task, chosen by weight; signs in when it starts.

    `plan` is set once on the class, before the first visitor starts.
    """

    plan: Plan
    _numbers = iter(range(1 << 62))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.knows: dict[str, str] = {}
        self._fixed: dict[Step, bytes] = {}

    def on_start(self) -> None:
        plan = self.plan
        number = next(Visitor._numbers)
        self._connection = Connection(plan.target, plan.timeout, plan.ca)
        self._rows: Any = cycle(islice(cycle(plan.data), number % len(plan.data), None)) if plan.data else None
        # Every visitor begins elsewhere in the same fair mix, so that a mix is kept over few tasks too.
        turns = [journey for journey in plan.journeys for _ in range(journey.weight)]
        self._turns = cycle([*turns[number % len(turns) :], *turns[: number % len(turns)]])
        self._next_row()
        for step in plan.sign_in:
            self._take(step)

    def on_stop(self) -> None:
        self._connection.close()

    @task
    def journey(self) -> None:
        self._next_row()
        try:
            for step in next(self._turns).steps:
                self._take(step)
        except WrongAnswer:
            pass  # counted; whoever gets a wrong answer doesn't go on as if it was right

    def _next_row(self) -> None:
        if self._rows is not None:
            self.knows.update(next(self._rows))

    def _take(self, step: Step) -> None:
        request = self._fixed.get(step) or self._build(step)
        error: Exception | None = None
        body = b""
        began = time.perf_counter()
        try:
            status, body = self._connection.ask(step.method, request)  # type: ignore[assignment]
            took = time.perf_counter() - began
            if (step.statuses and status not in step.statuses) or (not step.statuses and status >= 400):
                error = WrongAnswer(f"status {status}")
            elif step.contains or step.json or step.capture:
                self._read(step, bytes(body))
        except WrongAnswer as wrong:
            error = wrong
        except gevent.Timeout:
            took = time.perf_counter() - began
            error = WrongAnswer(f"{NO_ANSWER} within {self.plan.timeout:g} s")
        except (OSError, HTTPParseError, Dropped) as failed:
            took = time.perf_counter() - began
            error = WrongAnswer(_in_words(failed))
        self.environment.events.request.fire(
            request_type=step.method,
            name=step.name,
            response_time=took * 1000,
            response_length=len(body),
            exception=error,
            context={},
        )
        if error is not None:
            raise error

    def _build(self, step: Step) -> bytes:
        texts = [step.path, step.body, *(value for _, value in step.headers)]
        if not any(_SLOT.search(text) for text in texts):
            request = self._fixed[step] = self._connection.encode(step.method, step.path, step.headers, step.body)
            return request
        fill = self._filler()
        headers = tuple((name, fill(value)) for name, value in step.headers)
        return self._connection.encode(step.method, fill(step.path), headers, fill(step.body))

    def _filler(self) -> Callable[[str], str]:
        """Fills `{name}`; what the visitor doesn't know stays as it is, as JSON has braces of its own."""
        knows = {**self.knows, "unique": secrets.token_hex(8)}
        return lambda text: _SLOT.sub(lambda slot: knows.get(slot[1], slot[0]), text)

    def _read(self, step: Step, body: bytes) -> None:
        if step.contains and step.contains not in body.decode(errors="replace"):
            raise WrongAnswer("wrong answer: without the text expected in it")
        if not (step.json or step.capture):
            return
        try:
            data = json.loads(body)
        except ValueError:
            raise WrongAnswer("wrong answer: not JSON") from None
        for path, expected in step.json:
            if _at(data, path) != expected:
                raise WrongAnswer(f"wrong answer: another value at {path}")
        for name, path in step.capture:
            found = _at(data, path)
            if found is None:
                raise WrongAnswer(f"wrong answer: nothing at {path}")
            self.knows[name] = str(found)


def _at(data: Any, path: str) -> Any:
    """The value at a dotted path in JSON; numbers index lists. None where the path leads nowhere."""
    for part in path.split("."):
        if isinstance(data, list) and part.isdigit() and int(part) < len(data):
            data = data[int(part)]
        elif isinstance(data, dict):
            data = data.get(part)
        else:
            return None
    return data


def _in_words(failed: Exception) -> str:
    match failed:
        case Dropped() | ConnectionResetError() | BrokenPipeError():
            return "connection dropped"
        case ConnectionRefusedError():
            return "connection refused"
        case HTTPParseError():
            return "not an HTTP answer"
    return f"{type(failed).__name__}: {failed.args[-1] if failed.args else ''}".strip(": ")
