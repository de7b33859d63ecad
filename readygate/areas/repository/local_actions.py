"""Follows the actions that a repository keeps itself: their steps run in the job as if they stood there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from readygate.areas.repository.git import Checkout
from readygate.areas.repository.workflow_file import EXPRESSION, Step, WorkflowFile, read_action
from readygate.errors import CouldNotLook

_DEEPEST = 10  # docs.github.com, "Creating a composite action"
_INPUT = re.compile(r"\binputs\s*(?:\.\s*([\w-]+)|\[\s*'([^']+)'\s*\])")


@dataclass(frozen=True, slots=True)
class StepHere:
    """A step, the job that comes to it, and the file that it stands in.

    What an action is given as an input stands in its steps in the place of that input.
    """

    job: str
    step: Step
    place: str
    text: str = field(repr=False)

    @property
    def told(self) -> str:
        return f"{self.job} ({self.place})" if self.place else self.job


def steps_here(checkout: Checkout, workflow: WorkflowFile) -> tuple[StepHere, ...]:
    """All steps of a workflow, with those of the actions of its own repository.

    CouldNotLook: such an action is not there, or can't be read.
    """
    return tuple(
        found
        for job in workflow.jobs.values()
        for step in job.steps
        for found in _followed(checkout, StepHere(job.id, step, "", workflow.text), _DEEPEST)
    )


def _followed(checkout: Checkout, here: StepHere, depth: int) -> Iterator[StepHere]:
    yield here
    uses = here.step.uses
    if not uses or not uses.startswith("./"):
        return
    folder = uses.removeprefix("./").strip("/")
    paths = [f"{folder}/{name}".lstrip("/") for name in ("action.yml", "action.yaml")]
    path = next((each for each in paths if each in checkout.tracked), None)
    if path is None or not depth:
        reason = f"the action {uses} is not in this repository" if depth else f"the action {uses} uses itself"
        raise CouldNotLook(reason, cause=f"action:{uses}", mend="see that git tracks its action.yml")
    text = checkout.text(path) or ""
    action = read_action(path, text)
    given = {**action.defaults, **here.step.given}
    for step in action.steps:
        yield from _followed(checkout, StepHere(here.job, _given(step, given), path, text), depth - 1)


def _given(step: Step, inputs: Mapping[str, Any]) -> Step:
    given = {name: _filled(value, inputs) if isinstance(value, str) else value for name, value in step.given.items()}
    return replace(step, run=step.run and _filled(step.run, inputs), given=given)


def _filled(text: str, inputs: Mapping[str, Any]) -> str:
    """The text with each input that an expression names replaced by the expressions that it was given."""

    def value_of(found: re.Match[str]) -> str:
        inner = EXPRESSION.findall(str(inputs.get(found[1] or found[2], "")))
        return f"format({', '.join(each.strip() for each in inner)})" if inner else "''"

    return EXPRESSION.sub(lambda found: f"${{{{{_INPUT.sub(value_of, found[1])}}}}}", text)
