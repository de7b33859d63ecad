"""Runs of workflows at GitHub: how the newest ended, how long each job took, and how it usually goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any, ClassVar

from pydantic import Field

from readygate.areas.repository.github_api import GitHubApi, seconds_of, seconds_since
from readygate.areas.repository.leaks import leaks_in
from readygate.areas.repository.observed import Observed
from readygate.errors import CouldNotLook, Mistake
from readygate.expectation import AtLeastPercent, AtMostCount, AtMostDuration, AtMostPercent, Flag, TextSet
from readygate.spec import Spec

# A run that somebody ended, or that was never begun, says neither that it works nor that it doesn't.
_SAYS_NOTHING = ("cancelled", "skipped", "neutral", "stale")


class WorkflowRuns(Spec):
    """Runs of one workflow, narrowed down to those that count."""

    area: ClassVar[str] = "run"
    noun: ClassVar[str] = "workflow_runs"

    workflow: str | None = Field(None, description="A setting: its file, if the key is a name of your own: ci.yml.")
    branch: str | None = Field(None, description="A setting: only runs on this branch count.")
    event: str | None = Field(None, description="A setting: only runs of this event count: schedule.")
    commit: str | None = Field(None, description='A setting: only runs of this commit count: "${GITHUB_SHA}".')
    over: int = Field(20, description="A setting: over how many runs a share or a median is taken.", ge=2, le=100)

    green: Flag | None = Field(None, description="Whether the newest run that has ended was a success.")
    age: AtMostDuration | None = Field(None, description="How long ago the newest run that has ended was started.")
    took: AtMostDuration | None = Field(None, description="How long that run took.")
    jobs: dict[str, Flag] | None = Field(
        None, description="By name, whether a job of that run was a success; with a matrix, all of them."
    )
    job_took: dict[str, AtMostDuration] | None = Field(None, description="By name, how long a job of that run took.")
    artifacts: TextSet | None = Field(None, description="Names of what that run has uploaded, and is still there.")
    leaks: AtMostCount | None = Field(None, description="How many secrets stand in the logs of that run.")
    success_rate: AtLeastPercent | None = Field(None, description="The share of successes of the last runs.")
    usually_took: AtMostDuration | None = Field(None, description="The median of how long the last successes took.")
    ran: dict[str, AtMostPercent] | None = Field(
        None, description="By name, in what share of the last runs a job ran at all, such as a rollback."
    )

    def refuse_name(self, name: str) -> None:
        if not (self.workflow or name).endswith((".yml", ".yaml")):
            raise Mistake(f"'{self.workflow or name}' is no file of a workflow", "write e.g. `workflow: ci.yml`")


@dataclass(frozen=True, slots=True)
class LastRuns:
    """The runs that count, the newest first; `newest` is the first of them that says anything."""

    ended: tuple[Any, ...]
    reason: str = ""

    @property
    def newest(self) -> Any | None:
        return self.ended[0] if self.ended else None

    @property
    def green(self) -> bool | None:
        return None if self.newest is None else self.newest["conclusion"] == "success"

    @property
    def age_s(self) -> float | None:
        return None if self.newest is None else seconds_since(self.newest["run_started_at"])

    @property
    def took_s(self) -> float | None:
        return None if self.newest is None else _took_s(self.newest)

    @property
    def success_rate(self) -> float | None:
        told = [each["conclusion"] == "success" for each in self.ended if each["conclusion"] not in _SAYS_NOTHING]
        return 100 * sum(told) / len(told) if told else None

    @property
    def usually_took_s(self) -> float | None:
        times = [_took_s(each) for each in self.ended if each["conclusion"] == "success"]
        return median(times) if times else None


def _took_s(run: Any) -> float:
    return seconds_of(run["updated_at"]) - seconds_of(run["run_started_at"])


def observe_runs(github_api: GitHubApi, workflow_runs: WorkflowRuns) -> LastRuns:
    """The last runs. CouldNotLook: there is no such workflow, or the run of the commit has not ended yet."""
    wanted = {"branch": workflow_runs.branch, "event": workflow_runs.event, "head_sha": workflow_runs.commit}
    file = workflow_runs.workflow or workflow_runs.name
    query = {name: value for name, value in wanted.items() if value} | {"per_page": str(workflow_runs.over)}
    found = github_api.ask(f"/actions/workflows/{file}/runs", query)["workflow_runs"]
    # What a server does not know it ignores, and then it tells of other runs.
    own = {"branch": "head_branch", "event": "event", "head_sha": "head_sha"}
    found = [run for run in found if all(run[own[name]] == value for name, value in wanted.items() if value)]
    if workflow_runs.commit and found and found[0]["status"] != "completed":
        raise CouldNotLook(f"{file} still runs for {workflow_runs.commit[:12]}", mend="wait until it has ended")
    ended = tuple(run for run in found if run["status"] == "completed")
    narrowed = ", ".join(value for value in wanted.values() if value)
    if not ended:
        return LastRuns((), f"no run of {file} has ended{f' for {narrowed}' if narrowed else ''}")
    return LastRuns(ended, f"{ended[0]['html_url']} ended with {ended[0]['conclusion']}")


def observe_jobs(github_api: GitHubApi, last_runs: LastRuns) -> tuple[Any, ...]:
    """The jobs of the newest run."""
    return _jobs(github_api, last_runs.newest) if last_runs.newest else ()


def _jobs(github_api: GitHubApi, run: Any) -> tuple[Any, ...]:
    return tuple(github_api.ask_all(f"/actions/runs/{run['id']}/jobs", "jobs", {"filter": "latest"}))


def _named(jobs: tuple[Any, ...], name: str) -> list[Any]:
    """The jobs of a name; those of a matrix have its values in brackets, and those of another workflow a slash."""
    return [each for each in jobs if each["name"] == name or each["name"].startswith((f"{name} (", f"{name} / "))]


def observe_job_green(newest_jobs: tuple[Any, ...], key: str) -> Observed:
    found = _named(newest_jobs, key)
    if not found:
        return Observed(None, f"the newest run has no job {key}")
    other = [
        f"{each['name']} is {each['conclusion'] or each['status']}"
        for each in found
        if each["conclusion"] != "success"
    ]
    return Observed(not other, "; ".join(other))


def observe_job_took(newest_jobs: tuple[Any, ...], key: str) -> float | None:
    """Seconds of the slowest job of a name; nothing where one never ran."""
    found = _named(newest_jobs, key)
    if not found or any(each["conclusion"] == "skipped" or not each["completed_at"] for each in found):
        return None
    return max(seconds_of(each["completed_at"]) - seconds_of(each["started_at"]) for each in found)


def observe_run_artifacts(github_api: GitHubApi, last_runs: LastRuns) -> frozenset[str] | None:
    if last_runs.newest is None:
        return None
    found = github_api.ask_all(f"/actions/runs/{last_runs.newest['id']}/artifacts", "artifacts")
    return frozenset(each["name"] for each in found if not each["expired"] and each["size_in_bytes"])


def observe_log_leaks(github_api: GitHubApi, last_runs: LastRuns, newest_jobs: tuple[Any, ...]) -> Observed:
    """Secrets by their shapes in the logs of all jobs that ran. CouldNotLook: a log is gone, or too long to read."""
    if last_runs.newest is None:
        return Observed(None, last_runs.reason)
    ran = [each for each in newest_jobs if each["conclusion"] != "skipped"]
    found = [
        leak for job in ran for leak in leaks_in(job["name"], github_api.text(f"/actions/jobs/{job['id']}/logs"))
    ]
    return Observed(len(found), "; ".join(map(str, found[:5])))


def observe_job_ran(github_api: GitHubApi, last_runs: LastRuns, key: str) -> Observed:
    """In what share of the last runs a job ran."""
    if not last_runs.ended:
        return Observed(None, last_runs.reason)
    ran = [
        run["html_url"]
        for run in last_runs.ended
        if any(each["conclusion"] != "skipped" for each in _named(_jobs(github_api, run), key))
    ]
    return Observed(100 * len(ran) / len(last_runs.ended), f"it ran in {', '.join(ran[:5])}")


FACTS: dict[str, Callable[..., Any]] = {
    "last_runs": observe_runs,
    "newest_jobs": observe_jobs,
    "job_green": observe_job_green,
    "job_took_s": observe_job_took,
    "run_artifacts": observe_run_artifacts,
    "log_leaks": observe_log_leaks,
    "job_ran": observe_job_ran,
}
