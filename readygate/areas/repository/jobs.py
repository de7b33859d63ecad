"""What of a workflow's jobs takes effect: when they run, what holds them back, and which failure fails the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from readygate.areas.repository.expressions import UNKNOWN, Before, Unknown, holds
from readygate.areas.repository.observed import Observed
from readygate.areas.repository.script import calls_of, commands_of, wanted_words
from readygate.areas.repository.triggers import Situation, starts
from readygate.areas.repository.workflow_file import Job, Step, WorkflowFile
from readygate.errors import CouldNotLook


def job_runs(workflow: WorkflowFile, job: Job, when: Situation, changing: Sequence[str]) -> Observed:
    """Whether the job runs when this happens and nothing fails. CouldNotLook: only the run itself will know."""
    started = starts(workflow, when, changing)
    if not started.starts:
        return Observed(False, f"the workflow is not started: {started.reason}")
    return runs_in(workflow, job, when.context)


def runs_in(workflow: WorkflowFile, job: Job, known: Mapping[str, Any]) -> Observed:
    """Whether the job runs in a workflow that was started, if nothing fails."""
    ends = _Ends(workflow, known)
    for each in (job.id, *ancestors(workflow, job)):
        ended = ends.of(each)
        if isinstance(ended, Unknown):
            raise CouldNotLook(
                f"whether the job {each} runs is only known at run time: {workflow.jobs[each].condition}",
                mend="say by `when: push main` in which situation it is looked at, or leave this line out",
            )
    if ends.of(job.id) == "success":
        return Observed(True)
    skipped = [each for each in job.needs if ends.of(each) != "success"]
    return Observed(
        False, f"it needs {skipped[0]}, which does not run" if skipped else f"its condition is {job.condition}"
    )


def held_by(workflow: WorkflowFile, job: Job, known: Mapping[str, Any]) -> frozenset[str]:
    """The jobs of which each, if it fails, surely keeps this one from running."""
    return _if_each_fails(workflow, job, known, "skipped")


def runs_after(workflow: WorkflowFile, job: Job, known: Mapping[str, Any]) -> frozenset[str]:
    """The jobs of which each, if it fails, leaves this one to run."""
    return _if_each_fails(workflow, job, known, "success")


def _if_each_fails(workflow: WorkflowFile, job: Job, known: Mapping[str, Any], ending: str) -> frozenset[str]:
    return frozenset(name for name in ancestors(workflow, job) if _Ends(workflow, known, name).of(job.id) == ending)


def ancestors(workflow: WorkflowFile, job: Job) -> tuple[str, ...]:
    """Every job that it needs, or that one of those needs."""
    found: dict[str, None] = {}
    waiting = list(job.needs)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = None
            waiting += workflow.jobs[name].needs
    return tuple(found)


class _Ends:
    """How each job of a run ends, if one of them fails."""

    def __init__(self, workflow: WorkflowFile, known: Mapping[str, Any], failing: str | None = None) -> None:
        self._jobs = workflow.jobs
        self._known = known
        self._failing = failing
        self._ends: dict[str, Before | Unknown] = {}

    def of(self, name: str) -> Before | Unknown:
        if name not in self._ends:
            self._ends[name] = UNKNOWN  # what needs itself never runs
            self._ends[name] = self._end(self._jobs[name])
        return self._ends[name]

    def _end(self, job: Job) -> Before | Unknown:
        needed = {name: self.of(name) for name in job.needs}
        before: Before = "success"
        if any(end == "failure" for end in self._all_before(job)):
            before = "failure"
        elif any(end == "skipped" for end in needed.values()):
            before = "skipped"
        results = {f"needs.{name}.result": end for name, end in needed.items()}
        runs = holds(job.condition, {**self._known, **results}, before)
        if isinstance(runs, Unknown) or (runs and before == "success" and UNKNOWN in needed.values()):
            return UNKNOWN
        if not runs:
            return "skipped"
        # What may go on after an error is not failed for those that need it.
        return "failure" if job.id == self._failing and _never(job.continues, self._known) else "success"

    def _all_before(self, job: Job) -> Iterator[Before | Unknown]:
        for name in job.needs:
            yield self.of(name)
            yield from self._all_before(self._jobs[name])


def _never(condition: str, known: Mapping[str, Any]) -> bool:
    """Whether something such as `continue-on-error` is surely off; what isn't known may be on."""
    return condition == "false" or holds(condition, known) is False


def job_blocks(job: Job, known: Mapping[str, Any]) -> Observed:
    """Whether the failure of the job fails the run."""
    blocks = _never(job.continues, known)
    return Observed(blocks, "" if blocks else f"the job {job.id} has continue-on-error: {job.continues}")


def matching(job: Job, run: str | None, uses: str | None) -> Iterator[tuple[Step, Observed]]:
    """The steps of a job that call a tool or use an action; with each whether its failure fails the step.

    The value is None for a step that mentions the tool but never runs it.
    """
    if job.uses:
        raise CouldNotLook(
            f"the job {job.id} has no steps of its own: it runs {job.uses}",
            mend="declare the workflow that it runs, and its jobs",
        )
    for step in job.steps:
        if uses and step.action and (step.action == uses or step.action.startswith(f"{uses}/")):
            yield step, Observed(True)
        elif run and step.run:
            yield from ((step, told) for told in _calls(job, step, wanted_words(run)))


def _calls(job: Job, step: Step, wanted: tuple[str, ...]) -> Iterator[Observed]:
    shell = step.shell or ("pwsh" if "windows" in job.runner.lower() else None)
    commands = commands_of(step.run or "", shell)
    if commands is None:
        if wanted[0] in (step.run or ""):
            raise CouldNotLook(f"a script for {shell} is not understood here", mend="run the tool by `shell: bash`")
        return
    for call in calls_of(commands, wanted):
        yield Observed(call.blocks if call.runs else None, call.reason)


def step_runs(step: Step, job: Job, known: Mapping[str, Any], before: Before = "success") -> Observed:
    """Whether the step runs, after this came of the steps before it. CouldNotLook: only the run will know."""
    told = holds(step.condition, known, before)
    if isinstance(told, Unknown):
        raise CouldNotLook(
            f"whether a step of {job.id} runs is only known at run time: {step.condition}",
            mend="say by `when: push main` in which situation the job is looked at, or leave this line out",
        )
    return Observed(told, "" if told else f"its condition is {step.condition or 'that nothing failed before'}")


def step_blocks(step: Step, call: Observed, job: Job, known: Mapping[str, Any]) -> Observed:
    """Whether a failure of what is called there fails the whole run."""
    if not call.value:
        return Observed(False, call.reason)
    runs = step_runs(step, job, known)
    if not runs.value:
        return runs
    if not _never(step.continues, known):
        return Observed(False, f"the step has continue-on-error: {step.continues}")
    return job_blocks(job, known)
