"""What can be asked of a server by a command of the user's own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from readygate.areas.asking import run
from readygate.expectation import Count, Seconds, Text
from readygate.spec import Setting, Spec


class Retry(Setting):
    """How often to run a command again while it isn't as it should be."""

    times: int = Field(3, description="How many times to run it again after the first.", ge=1, le=100)
    every: Seconds = Field(5.0, description="How long to wait before each.")


class Command(Spec):
    """A shell command to run on a server; it must only look, since it runs whenever the gate does."""

    area: ClassVar[str] = "command"
    noun: ClassVar[str] = "command"

    run: str = Field(description="A setting: the command, for sh.", min_length=1)
    within: Seconds = Field(30.0, description="A setting: how long it may take.")
    exit: Count | None = Field(None, description="The exit code that it ends with.")
    output: Text | None = Field(None, description="What it prints, without the white space around it.")
    errors: Text | None = Field(None, description="What it prints on its error output, likewise.")
    retry: Retry | None = Field(None, description="A setting: run it again until it is as declared.")


@dataclass(frozen=True, slots=True)
class ActualCommand:
    """How a command ended, and what it printed."""

    exit: int
    output: str
    errors: str
    attempts: int = 1

    @property
    def told(self) -> str:
        """How it ended, with what it said last of why."""
        said = (self.errors or self.output).strip().splitlines()
        return f"it ended with {self.exit}: {said[-1]}" if said else f"it ended with {self.exit} and said nothing"

    def meets(self, command: Command) -> bool:
        asked = ((command.exit, self.exit), (command.output, self.output), (command.errors, self.errors))
        return all(expected is None or bool(expected.judge(actual)) for expected, actual in asked)


def observe_command(host: Any, server: Spec, command: Command) -> ActualCommand:
    """Run it, and again if that was declared. CouldNotLook: it isn't there, may not be run, or takes too long."""
    most = 1 + (command.retry.times if command.retry else 0)
    for attempt in range(1, most + 1):
        answer = run(host, server.name, command.run, within=command.within)
        output = answer.output.decode(errors="replace").strip()
        actual = ActualCommand(answer.exit, output, answer.errors, attempt)
        if actual.meets(command) or attempt == most:
            break
        time.sleep(command.retry.every if command.retry else 0)
    return actual


FACTS: dict[str, Callable[..., Any]] = {"actual_command": observe_command}
