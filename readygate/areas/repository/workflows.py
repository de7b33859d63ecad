"""What a workflow of GitHub Actions may be declared to do; all of it is judged by what takes effect."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from readygate.areas.repository.git import Checkout
from readygate.areas.repository.job import Job
from readygate.areas.repository.local_actions import StepHere, steps_here
from readygate.areas.repository.observed import Observed
from readygate.areas.repository.triggers import SituationText, situation, starts
from readygate.areas.repository.workflow_file import EXPRESSION, FOLDER, WorkflowFile, read_workflow
from readygate.areas.servers.schedules import cron_schedule
from readygate.errors import CouldNotLook, Mistake
from readygate.expectation import AtLeastVersion, AtMostCount, Count, Flag, Text, TextSet
from readygate.spec import Spec

_PINNED = re.compile(r"@(?:sha256:)?[0-9a-f]{40,64}$")
_SECRET = re.compile(r"\bsecrets\s*(?:\.\s*([A-Za-z_]\w*)|\[\s*'([^']+)'\s*\])")
# What anybody may write, by the name of a branch, the text of an issue or the message of a commit.
_UNTRUSTED = re.compile(
    r"github\.(?:head_ref|event\.(?:issue|pull_request|comment|review|review_comment|discussion|head_commit|commits"
    r"|workflow_run|pages)\b[\w.*\[\]]*\.(?:title|body|message|name|email|ref|label|head_branch|page_name))\b"
)
_LEVELS = ("none", "read", "write")


class Workflow(Spec):
    """A file in .github/workflows, and what it really does."""

    area: ClassVar[str] = "workflow"
    noun: ClassVar[str] = "workflow"

    changing: tuple[str, ...] = Field((), description="A setting: files that a change touches, for filters by path.")

    exists: Flag | None = Field(None, description="Whether git tracks such a workflow.")
    starts: dict[SituationText, Flag] | None = Field(
        None, description="Whether it starts: {push main: true, push tag v1.2.3: true, pull_request main: false}."
    )
    schedules: dict[Annotated[str, AfterValidator(cron_schedule)], Flag] | None = Field(
        None, description='By schedule of cron, in UTC: whether it starts then: {"0 6 * * *": true}.'
    )
    inputs: TextSet | None = Field(None, description="Names of what one is asked for who starts it by hand.")
    after: TextSet | None = Field(
        None, description="Names of the workflows that it follows, of those that the repository has."
    )
    job_count: Count | None = Field(None, description="How many jobs it has.")
    permissions: dict[str, Text] | None = Field(
        None, description="By scope, the most that any job may do: {contents: read, packages: none}."
    )
    unpinned_actions: AtMostCount | None = Field(
        None, description="How many uses of others' actions are not pinned to a commit."
    )
    actions: dict[str, AtLeastVersion] | None = Field(
        None, description="By name, the oldest version of an action that it uses: {actions/checkout: 4}."
    )
    one_at_a_time: Flag | None = Field(None, description="Whether a second run waits for the first, or ends it.")
    secrets: TextSet | None = Field(None, description="Names of the secrets that it asks GitHub for.")
    secrets_in_scripts: AtMostCount | None = Field(
        None, description="How many scripts have a secret filled in, instead of given by `env`."
    )
    injectable: AtMostCount | None = Field(
        None, description="How many scripts have filled in what a stranger may write, such as the title of a request."
    )
    jobs: dict[str, Job] | None = Field(None, description="Jobs, by their keys.")

    def refuse_name(self, name: str) -> None:
        if "/" in name or not name.endswith((".yml", ".yaml")):
            raise Mistake(f"'{name}' is no file in .github/workflows", "write e.g. ci.yml")


def observe_workflow_file(checkout_here: Checkout, workflow: Workflow) -> WorkflowFile | None:
    """The workflow as it is committed; None where there is none. CouldNotLook: GitHub could not read it."""
    text = checkout_here.text(FOLDER + workflow.name)
    return None if text is None else read_workflow(FOLDER + workflow.name, text)


def observe_started(workflow_file: WorkflowFile | None, workflow: Workflow, key: str) -> Observed:
    if workflow_file is None:
        return _NONE
    started = starts(workflow_file, situation(key), workflow.changing)
    return Observed(started.starts, started.reason)


def observe_scheduled(workflow_file: WorkflowFile | None, key: str) -> Observed:
    if workflow_file is None:
        return _NONE
    found = [_schedule(each) for each in workflow_file.schedules]
    return Observed(cron_schedule(key) in found, f"its schedules are: {', '.join(found) or 'none'}")


def _schedule(text: str) -> str:
    try:
        return cron_schedule(text)
    except Mistake:
        return text


def observe_inputs(workflow_file: WorkflowFile | None) -> frozenset[str] | None:
    if workflow_file is None:
        return None
    return frozenset(workflow_file.events.get("workflow_dispatch", {}).get("inputs") or ())


def observe_preceding(checkout_here: Checkout, workflow_file: WorkflowFile | None) -> Observed:
    """The workflows that it waits for; one that nobody has never ends, so it is left out."""
    if workflow_file is None:
        return _NONE
    named = frozenset(map(str, workflow_file.events.get("workflow_run", {}).get("workflows") or ()))
    missing = named - frozenset(_names(checkout_here)) if named else named
    return Observed(named - missing, f"no workflow is called {', '.join(sorted(missing))}" if missing else "")


def _names(checkout: Checkout) -> Iterator[str]:
    for path in checkout.tracked:
        if path.startswith(FOLDER) and path.endswith((".yml", ".yaml")):
            try:
                yield read_workflow(path, checkout.text(path) or "").name
            except CouldNotLook:
                continue  # GitHub could not read it either


def observe_permission(workflow_file: WorkflowFile | None, key: str) -> Observed:
    """The most that any job may do; "default" where that is a setting of the repository."""
    if workflow_file is None:
        return _NONE
    levels = {job.id: _level(job.permissions, key) for job in workflow_file.jobs.values()}
    most = max(levels.values(), key=lambda level: len(_LEVELS) if level == "default" else _LEVELS.index(level))
    return Observed(most, f"{key}: {most} in {', '.join(each for each, level in levels.items() if level == most)}")


def _level(permissions: Any, scope: str) -> str:
    if permissions is None:
        return "default"
    if isinstance(permissions, dict):
        level = str(permissions.get(scope, "none"))
    else:
        level = str(permissions).removesuffix("-all")
    if level not in _LEVELS:
        raise CouldNotLook(f"the permissions '{permissions}' are not known here", mend="write read, write or none")
    return level


def observe_steps(checkout_here: Checkout, workflow_file: WorkflowFile | None) -> tuple[StepHere, ...]:
    """All its steps, with those of the repository's own actions. CouldNotLook: such an action can't be read."""
    return steps_here(checkout_here, workflow_file) if workflow_file else ()


def _actions(workflow: WorkflowFile, steps: tuple[StepHere, ...]) -> Iterator[tuple[str, str]]:
    """Whatever code of others it runs, as `uses` has it, and the file that says so."""
    yield from ((job.uses, workflow.text) for job in workflow.jobs.values() if job.uses)
    yield from ((each.step.uses, each.text) for each in steps if each.step.uses)


def observe_unpinned(workflow_file: WorkflowFile | None, workflow_steps: tuple[StepHere, ...]) -> Observed:
    if workflow_file is None:
        return _NONE
    others = {uses for uses, _ in _actions(workflow_file, workflow_steps) if not uses.startswith("./")}
    loose = sorted(each for each in others if not _PINNED.search(each))
    return Observed(len(loose), f"not pinned: {', '.join(loose)}" if loose else "")


def observe_action_version(
    workflow_file: WorkflowFile | None, workflow_steps: tuple[StepHere, ...], key: str
) -> Observed:
    """The oldest version of an action in use. CouldNotLook: it is a commit, and no comment tells its version."""
    if workflow_file is None:
        return _NONE
    used = [(uses.partition("@"), text) for uses, text in _actions(workflow_file, workflow_steps)]
    found = [_version(text, key, ref) for (name, _, ref), text in used if name == key]
    if not found:
        return Observed(None, "it is not used")
    loose = [each for each in found if not re.match(r"v?\d", each)]
    if loose:
        return Observed(None, f"{key}@{loose[0]} moves along with a branch")
    return Observed(min(found, key=lambda each: [int(part) for part in re.findall(r"\d+", each)]))


def _version(text: str, action: str, ref: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{40}", ref):
        return ref
    comment = re.search(rf"{re.escape(action)}@{ref}['\"]?[ \t]+#[ \t]*(?:tag=)?(v?\d[\w.]*)", text)
    if not comment:
        raise CouldNotLook(
            f"{action} is pinned to {ref[:12]}, which tells no version", mend="write `# v4.2.0` behind it"
        )
    return comment[1]


def observe_one_at_a_time(workflow_file: WorkflowFile | None) -> Observed:
    """Whether two runs never overlap: the workflow, or else each of its jobs, is in a group that they share."""
    if workflow_file is None:
        return _NONE
    if _is_shared(workflow_file.concurrency):
        return Observed(True)
    alone = [job.id for job in workflow_file.jobs.values() if not _is_shared(job.concurrency)]
    return Observed(not alone, f"in no group that two runs share: {', '.join(alone)}" if alone else "")


def _is_shared(concurrency: Any) -> bool:
    group = concurrency.get("group") if isinstance(concurrency, dict) else concurrency
    # A group of the run's own number never has a second member.
    return bool(group) and not re.search(r"github\.(run_id|run_number|run_attempt|sha)\b", str(group))


def observe_secret_names(workflow_file: WorkflowFile | None) -> frozenset[str] | None:
    if workflow_file is None:
        return None
    return frozenset(
        one or other
        for inner in EXPRESSION.findall(workflow_file.text)
        for one, other in _SECRET.findall(inner)
        if (one or other) != "GITHUB_TOKEN"
    )


def observe_secrets_in_scripts(workflow_file: WorkflowFile | None, workflow_steps: tuple[StepHere, ...]) -> Observed:
    return _filled_in(workflow_steps, _SECRET) if workflow_file else _NONE


def observe_injectable(workflow_file: WorkflowFile | None, workflow_steps: tuple[StepHere, ...]) -> Observed:
    return _filled_in(workflow_steps, _UNTRUSTED) if workflow_file else _NONE


def _filled_in(steps: tuple[StepHere, ...], pattern: re.Pattern[str]) -> Observed:
    found = [
        each.told
        for each in steps
        if any(
            pattern.search(inner) for inner in EXPRESSION.findall(f"{each.step.run} {each.step.given.get('script')}")
        )
    ]
    return Observed(len(found), f"in {', '.join(dict.fromkeys(found))}" if found else "")


_NONE = Observed(None, "git tracks no such workflow")

FACTS: dict[str, Callable[..., Any]] = {
    "workflow_file": observe_workflow_file,
    "workflow_steps": observe_steps,
    "workflow_started": observe_started,
    "workflow_scheduled": observe_scheduled,
    "workflow_inputs": observe_inputs,
    "preceding_workflows": observe_preceding,
    "workflow_permission": observe_permission,
    "unpinned_actions": observe_unpinned,
    "action_version": observe_action_version,
    "one_at_a_time": observe_one_at_a_time,
    "workflow_secrets": observe_secret_names,
    "secrets_in_scripts": observe_secrets_in_scripts,
    "injectable_scripts": observe_injectable,
}
