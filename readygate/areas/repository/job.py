"""What a job of a workflow may be declared to do, step by step."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from readygate.areas.repository import jobs, workflow_file
from readygate.areas.repository.expressions import Before
from readygate.areas.repository.observed import Observed
from readygate.areas.repository.script import wanted_words
from readygate.areas.repository.triggers import Situations, SituationText, situation
from readygate.areas.repository.workflow_file import WorkflowFile
from readygate.areas.servers.files import Pattern
from readygate.errors import CouldNotLook, Mistake
from readygate.expectation import AtMostCount, AtMostDuration, Flag, Json, Text, TextSet
from readygate.spec import Spec
from readygate.units import parse_duration

_UPLOAD = "actions/upload-artifact"
_EITHER: tuple[Before, ...] = ("success", "failure")


class Step(Spec):
    """Something that a job does: a command of its scripts, or an action."""

    area: ClassVar[str] = "step"
    noun: ClassVar[str] = "step"

    run: str | None = Field(
        None, description="A setting: the command, if the key is a name of your own: black --check."
    )
    uses: str | None = Field(None, description="A setting: the action, without its version: actions/upload-artifact.")

    runs: Flag | None = Field(None, description="Whether the job really comes to it.")
    blocks: Flag | None = Field(None, description="Whether its failure fails the whole run.")
    after_failure: Flag | None = Field(None, description="Whether it runs where something before it failed.")
    inputs: dict[str, Json] | None = Field(
        None, description='What an action is given by `with`: {python-version: "3.12", fetch-depth: 0}.'
    )
    script: dict[Pattern, Flag] | None = Field(
        None, description="By regular expression: whether some line of the script, or of the action's, holds it."
    )

    def refuse_name(self, name: str) -> None:
        if self.run and self.uses:
            raise Mistake("a step either runs a command or uses an action", "leave one of `run` and `uses` out")
        try:
            words = wanted_words(self.run or name)
        except ValueError:
            raise Mistake(f"'{self.run or name}' is no command", "close the quotes") from None
        if not self.uses and not words:
            raise Mistake("the command is empty", "write e.g. black --check")


class JobService(Spec):
    """A service beside a job, such as its database."""

    area: ClassVar[str] = "job_service"
    noun: ClassVar[str] = "job_service"

    image: Text | None = Field(None, description="Its image, e.g. postgres:15-alpine.")
    health_checked: Flag | None = Field(None, description="Whether the job waits until its health check is content.")
    health_interval: AtMostDuration | None = Field(None, description="Time between two health checks.")
    health_timeout: AtMostDuration | None = Field(None, description="How long one health check may take.")
    health_retries: AtMostCount | None = Field(None, description="After how many failures it is given up.")


class Job(Spec):
    """A job, and what of it takes effect."""

    area: ClassVar[str] = "job"
    noun: ClassVar[str] = "job"

    when: Situations = Field(
        (), description="A setting: in which situations it and its steps are looked at, e.g. push main."
    )
    failed: bool = Field(
        False, description="A setting: its steps are looked at as after the failure of a job before it."
    )

    exists: Flag | None = Field(None, description="Whether the workflow has such a job.")
    runs: dict[SituationText, Flag] | None = Field(
        None, description="Whether it runs, if nothing fails: {push main: true, push develop: false}."
    )
    needs: TextSet | None = Field(
        None, description="The jobs of which each, if it fails, keeps this one from running; not only the named ones."
    )
    runs_after: TextSet | None = Field(
        None, description="The jobs of which each, if it fails, leaves this one to run: for a rollback."
    )
    blocks: Flag | None = Field(None, description="Whether its failure fails the whole run.")
    timeout: AtMostDuration | None = Field(None, description="After how long it is ended; 6h if it says nothing.")
    environment: Text | None = Field(None, description="The environment that it deploys to.")
    environment_url: Text | None = Field(None, description="The URL that it tells of this environment.")
    matrix: dict[str, TextSet] | None = Field(None, description="By name, the values that its matrix really has.")
    artifacts: TextSet | None = Field(None, description="Names of what it uploads, where it comes to that.")
    services: dict[str, JobService] | None = Field(None, description="Services beside it, by name.")
    steps: dict[str, Step] | None = Field(None, description="Steps, by the command or by a name: {black --check: …}.")


@dataclass(frozen=True, slots=True)
class JobHere:
    """A job, the workflow that it is in, and what is known when it is looked at: one context a situation."""

    workflow: WorkflowFile
    job: workflow_file.Job
    contexts: tuple[Mapping[str, Any], ...]


def observe_job(workflow_file: WorkflowFile | None, job: Job, workflow: Any) -> JobHere | None:
    """The job; None where there is none. CouldNotLook: it does not run where it is to be looked at."""
    found = workflow_file.jobs.get(job.name) if workflow_file else None
    if workflow_file is None or found is None:
        return None
    return JobHere(workflow_file, found, tuple(situation(each).context for each in job.when) or ({},))


def observe_job_idle(job_here: JobHere | None, job: Job, workflow: Any) -> str:
    """Why the job does not run at all where its steps are looked at; nothing if it does."""
    if job_here is None:
        return _NO_JOB.reason
    if job.failed:
        after = [jobs.runs_after(job_here.workflow, job_here.job, known) for known in job_here.contexts]
        return "" if all(after) else "the job runs after no failure of any job before it"
    for each in job.when:
        run = jobs.job_runs(job_here.workflow, job_here.job, situation(each), workflow.changing)
        if not run.value:
            return f"the job does not run on {each}: {run.reason}"
    run = Observed(True) if job.when else jobs.runs_in(job_here.workflow, job_here.job, {})
    return "" if run.value else f"the job does not run: {run.reason}"


def observe_job_runs(job_here: JobHere | None, workflow: Any, key: str) -> Observed:
    if job_here is None:
        return _NO_JOB
    return jobs.job_runs(job_here.workflow, job_here.job, situation(key), workflow.changing)


def observe_holding(job_here: JobHere | None) -> frozenset[str] | None:
    """The jobs that hold it back in every situation that is looked at."""
    if job_here is None:
        return None
    held = [jobs.held_by(job_here.workflow, job_here.job, known) for known in job_here.contexts]
    return frozenset.intersection(*held)


def observe_after_failure_of(job_here: JobHere | None) -> frozenset[str] | None:
    """The jobs after whose failure it runs, in every situation that is looked at."""
    if job_here is None:
        return None
    after = [jobs.runs_after(job_here.workflow, job_here.job, known) for known in job_here.contexts]
    return frozenset.intersection(*after)


def observe_job_blocks(job_here: JobHere | None) -> Observed:
    return _NO_JOB if job_here is None else _all(jobs.job_blocks(job_here.job, known) for known in job_here.contexts)


def observe_uploads(job_here: JobHere | None, job_idle: str) -> Observed:
    """Names of the artifacts that it uploads, also where only after a failure."""
    if job_here is None or job_idle:
        return Observed(None, job_idle)
    found = set()
    for step, _ in jobs.matching(job_here.job, None, _UPLOAD):
        for known in job_here.contexts:
            if any(jobs.step_runs(step, job_here.job, known, before).value for before in _EITHER):
                found.add(str(step.given.get("name", "artifact")))
    return Observed(frozenset(found))


def observe_matrix(job_here: JobHere | None, key: str) -> Observed:
    """The values of one name. CouldNotLook: an expression makes them."""
    if job_here is None:
        return _NO_JOB
    matrix = job_here.job.matrix
    if "" in matrix:
        raise CouldNotLook(f"an expression makes the matrix: {matrix['']}", mend="leave this line out")
    return Observed(matrix.get(key), "its matrix has no such name")


def observe_job_service(job_here: JobHere | None, job_service: JobService) -> dict[str, Any] | None:
    """What the file says of the service; None where there is none."""
    told = job_here.job.services.get(job_service.name) if job_here else None
    if told is None:
        return None
    image, options = (told, "") if isinstance(told, str) else (told.get("image"), str(told.get("options") or ""))
    words = shlex.split(options)
    known = dict(_options(words))
    checked = "--no-healthcheck" not in words and known.get("--health-cmd", "none").lower() != "none"
    return {
        "image": image,
        "checked": checked,
        "interval": _duration(known.get("--health-interval")) if checked else None,
        "timeout": _duration(known.get("--health-timeout")) if checked else None,
        "retries": int(known["--health-retries"]) if checked and "--health-retries" in known else None,
    }


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    for number, word in enumerate(words):
        name, equals, value = word.partition("=")
        if word.startswith("--"):
            yield name, value if equals else "".join(words[number + 1 : number + 2])


def _duration(text: str | None) -> float | None:
    try:
        return None if text is None else parse_duration(text)
    except Mistake:
        return None


def observe_step_runs(job_here: JobHere | None, job_idle: str, step: Step) -> Observed:
    """Whether some step of the job that does this is come to, in every situation that is looked at."""

    def come_to(found: workflow_file.Step, call: Observed, known: Mapping[str, Any]) -> Observed:
        if call.value is None:
            return Observed(False, call.reason)
        return jobs.step_runs(found, _job(job_here), known)

    return _of_steps(job_here, job_idle, step, come_to)


def observe_step_blocks(job_here: JobHere | None, job_idle: str, step: Step) -> Observed:
    """Whether the failure of some step of the job that does this fails the run."""

    def fails(found: workflow_file.Step, call: Observed, known: Mapping[str, Any]) -> Observed:
        return jobs.step_blocks(found, call, _job(job_here), known)

    return _of_steps(job_here, job_idle, step, fails)


def observe_step_after_failure(job_here: JobHere | None, job_idle: str, step: Step) -> Observed:
    """Whether some step of the job that does this runs where something before it failed."""

    def cleans_up(found: workflow_file.Step, call: Observed, known: Mapping[str, Any]) -> Observed:
        return jobs.step_runs(found, _job(job_here), known, "failure") if call.value is not None else call

    return _of_steps(job_here, job_idle, step, cleans_up)


def _of_steps(job_here: JobHere | None, idle: str, step: Step, judge: Callable[..., Observed]) -> Observed:
    if job_here is None or idle:
        return Observed(None if job_here is None else False, idle)
    found = list(jobs.matching(job_here.job, step.run or (None if step.uses else step.name), step.uses))
    if not found:
        return Observed(None, f"no step of {job_here.job.id} does this")
    told, unknown = [], None
    for each, call in found:
        try:
            told.append(_all(judge(each, call, known) for known in job_here.contexts))
        except CouldNotLook as error:
            unknown = error
    if unknown and not any(each.value for each in told):
        raise unknown
    return next((each for each in told if each.value), told[0])


def _all(told: Iterator[Observed]) -> Observed:
    """Whether it is so in every situation."""
    seen = list(told)
    return next((each for each in seen if not each.value), seen[0])


def _job(job_here: JobHere | None) -> workflow_file.Job:
    if job_here is None:
        raise CouldNotLook(_NO_JOB.reason)
    return job_here.job


def observe_step_given(job_here: JobHere | None, job_idle: str, step: Step) -> tuple[workflow_file.Step, ...]:
    """The steps that do this and are come to; a step that never runs is given nothing."""
    if job_here is None or job_idle:
        return ()
    wanted = step.run or (None if step.uses else step.name)
    return tuple(
        found
        for found, call in jobs.matching(job_here.job, wanted, step.uses)
        if call.value is not None and all(_may_run(found, job_here, known) for known in job_here.contexts)
    )


def _may_run(step: workflow_file.Step, job_here: JobHere, known: Mapping[str, Any]) -> bool:
    return any(jobs.step_runs(step, job_here.job, known, before).value for before in _EITHER)


def observe_step_input(steps_given: tuple[workflow_file.Step, ...], key: str) -> Any:
    """One input of the first of the steps."""
    value = steps_given[0].given.get(key) if steps_given else None
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def observe_step_script(steps_given: tuple[workflow_file.Step, ...], key: str) -> bool | None:
    """Whether a line of any of the scripts holds the pattern."""
    scripts = [str(each.run or each.given.get("script") or "") for each in steps_given]
    return any(re.search(key, script, re.MULTILINE) for script in scripts) if scripts else None


_NO_JOB = Observed(None, "the workflow has no such job")

FACTS: dict[str, Callable[..., Any]] = {
    "job_here": observe_job,
    "job_idle": observe_job_idle,
    "job_runs": observe_job_runs,
    "holding_jobs": observe_holding,
    "after_failure_of": observe_after_failure_of,
    "job_blocks": observe_job_blocks,
    "job_uploads": observe_uploads,
    "job_matrix": observe_matrix,
    "actual_job_service": observe_job_service,
    "step_runs": observe_step_runs,
    "step_blocks": observe_step_blocks,
    "step_after_failure": observe_step_after_failure,
    "steps_given": observe_step_given,
    "step_input": observe_step_input,
    "step_script": observe_step_script,
}
