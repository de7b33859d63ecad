"""The Locust user that walks a plan's journeys, in the generator's process."""

from __future__ import annotations

import gzip
import json
import secrets
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from itertools import cycle, islice
from typing import Any

import gevent
from geventhttpclient._parser import HTTPParseError
from locust import User, between, task

from readygate.load.connection import Connection, CutOff, Dropped, resolve
from readygate.load.plan import SLOT, Plan, Step
from readygate.load.tally import NO_ANSWER_WITHIN

_GZIP = b"\x1f\x8b"  # how its bodies begin (RFC 1952), whatever the headers say, which nobody reads here


class WrongAnswer(Exception):
    """The target answered, and the answer is not what the step expects."""


class Ask:
    """A step as visitors send it: whatever is the same each time is done once."""

    __slots__ = ("fixed", "is_read", "name", "step")

    def __init__(self, step: Step, connection: Connection) -> None:
        texts = (step.path, step.body, *(value for _, value in step.headers))
        changes = any(SLOT.search(text) for text in texts)
        self.step = step
        self.name = f"{step.method} {step.name}"
        self.fixed = None if changes else connection.encode(step.method, step.path, step.headers, step.body)
        self.is_read = bool(step.contains or step.json or step.capture)


class Visitor(User):
    """Takes one journey a visit, each as often as its weight says; signs in when it starts."""

    plan: Plan
    _addresses: list[Any]
    _sign_in: list[Ask]
    _turns: list[list[Ask]]
    _numbers = iter(range(1 << 62))

    @classmethod
    def follow(cls, plan: Plan) -> None:
        """Called once, before the first visitor starts. Raises OSError where the target's name leads nowhere."""
        cls.plan = plan
        cls.wait_time = between(*plan.think)
        cls._addresses = resolve(plan.target)
        connection = Connection(plan.target, cls._addresses, plan.timeout, plan.ca)
        asks = {step: Ask(step, connection) for step in plan.all_steps}
        cls._sign_in = [asks[step] for step in plan.sign_in]
        journeys = [([asks[step] for step in each.steps], each.weight) for each in plan.journeys]
        cls._turns = [asks for asks, weight in journeys for _ in range(weight)]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.knows: dict[str, str] = {}

    def on_start(self) -> None:
        plan, number = self.plan, next(Visitor._numbers)
        turn = number % len(self._addresses)
        addresses = [*self._addresses[turn:], *self._addresses[:turn]]
        self._connection = Connection(plan.target, addresses, plan.timeout, plan.ca)
        # Every visitor begins elsewhere: so all lines are used, and a mix is kept over few visits too.
        self._rows: Any = islice(cycle(plan.data), number % len(plan.data), None) if plan.data else None
        self._journeys = islice(cycle(self._turns), number % len(self._turns), None)
        self._next_row()
        for ask in self._sign_in:
            self._take(ask)

    def on_stop(self) -> None:
        self._connection.close()

    @task
    def visit(self) -> None:
        """Visit after visit: Locust's way from one task to the next is longer than a request."""
        while True:
            self._next_row()
            try:
                for ask in next(self._journeys):
                    self._take(ask)
            except WrongAnswer:
                pass  # counted; whoever gets a wrong answer doesn't go on as if it was right
            self.conducted_wait()  # type: ignore[attr-defined] # the sender's

    def _next_row(self) -> None:
        if self._rows is not None:
            self.knows.update(next(self._rows))

    def _take(self, ask: Ask) -> None:
        step = ask.step
        request = ask.fixed or self._build(step)
        error: Exception | None = None
        began = time.perf_counter()
        try:
            answer = self._connection.ask(step.method, request)
            took = time.perf_counter() - began
            took -= min(took, self._connection.lag)  # how late we were to read it is not the target's doing
            if not self._connection.is_stamped:
                self.environment.sender.tally.unstamped()
            status = answer.get_code()
            if status not in step.statuses if step.statuses else not 200 <= status < 300:
                error = WrongAnswer(f"status {status}")
            elif ask.is_read:
                self._read(step, bytes(answer.body))
        except WrongAnswer as wrong:
            error = wrong
        except gevent.Timeout:
            took = time.perf_counter() - began
            error = WrongAnswer(f"{NO_ANSWER_WITHIN} {self.plan.timeout:g} s")
        except (OSError, HTTPParseError, Dropped) as failed:
            took = time.perf_counter() - began
            error = WrongAnswer(_in_words(failed))
        # Past Locust's own events, as their listeners keep statistics that nobody reads.
        self.environment.sender.answered(ask.name, took, "" if error is None else str(error))
        if error is not None:
            raise error

    def _build(self, step: Step) -> bytes:
        fill = self._filler()
        headers = tuple((name, fill(value)) for name, value in step.headers)
        return self._connection.encode(step.method, fill(step.path), headers, fill(step.body))

    def _filler(self) -> Callable[[str], str]:
        """Fills `{name}`; what the visitor doesn't know stays as it is, as JSON has braces of its own."""
        knows = {**self.knows, "unique": secrets.token_hex(8)}
        return lambda text: SLOT.sub(lambda slot: knows.get(slot[1], slot[0]), text)

    def _read(self, step: Step, body: bytes) -> None:
        if body.startswith(_GZIP):
            with suppress(OSError, EOFError, zlib.error):  # what isn't gzip is looked at as it is
                body = gzip.decompress(body)
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
        case CutOff():
            return "answer cut off"
        case Dropped() | ConnectionResetError() | BrokenPipeError():
            return "connection dropped"
        case ConnectionRefusedError():
            return "connection refused"
        case HTTPParseError():
            return "not an HTTP answer"
    return f"{type(failed).__name__}: {failed.args[-1] if failed.args else ''}".strip(": ")
