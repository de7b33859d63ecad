"""Environments at GitHub: who has to approve, which secrets they hold, and what was deployed to them last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from readygate.areas.repository.github_api import GitHubApi, seconds_since
from readygate.expectation import AtLeastCount, AtLeastDuration, AtMostDuration, Flag, Text, TextSet
from readygate.spec import Spec


class SecretNames(Spec):
    """Secrets as GitHub lists them: it tells their names and when each was last set, and never what they are."""

    area: ClassVar[str] = "actions_secrets"
    noun: ClassVar[str] = "secret_names"

    names: TextSet | None = Field(None, description="Names of those that are set; {contains: [...]} for some.")
    age: AtMostDuration | None = Field(None, description="How long ago the oldest of them was set.")


class EnvironmentSecrets(SecretNames):
    """The same, of one environment."""

    area: ClassVar[str] = "environment_secrets"
    noun: ClassVar[str] = "environment_secret_names"


class Deployment(Spec):
    """The newest deployment to an environment."""

    area: ClassVar[str] = "deployment"
    noun: ClassVar[str] = "deployment"

    commit: Text | None = Field(None, description='The commit that was deployed: "${GITHUB_SHA}".')
    state: Text | None = Field(None, description="How it ended: success, failure, in_progress and the like.")
    url: Text | None = Field(None, description="The URL that it tells.")
    by: Text | None = Field(None, description="Who deployed; ~ . for anybody at all.")
    age: AtMostDuration | None = Field(None, description="How long ago it was begun.")


class DeployEnvironment(Spec):
    """An environment, and what stands before a deployment to it."""

    area: ClassVar[str] = "deploy_environment"
    noun: ClassVar[str] = "deploy_environment"

    exists: Flag | None = Field(None, description="Whether there is such an environment.")
    reviewers: AtLeastCount | None = Field(
        None, description="How many people or teams may approve; one of them must."
    )
    self_review: Flag | None = Field(None, description="Whether who started a run may approve it too.")
    admins_bypass: Flag | None = Field(None, description="Whether administrators may go past all of this.")
    wait: AtLeastDuration | None = Field(None, description="How long a deployment waits before it begins.")
    branches: TextSet | None = Field(
        None, description='The only branches and tags that may be deployed: [main], or ["protected branches"].'
    )
    secrets: EnvironmentSecrets | None = Field(
        None, description="The secrets that only jobs for this environment are given."
    )
    deployment: Deployment | None = Field(None, description="What was deployed last.")


@dataclass(frozen=True, slots=True)
class KnownSecrets:
    """Names, and seconds since the oldest was set."""

    names: frozenset[str]
    age_s: float | None
    oldest: str = ""


def observe_environment(github_api: GitHubApi, deploy_environment: DeployEnvironment) -> dict[str, Any]:
    """What is set for an environment; nothing in it where there is none."""
    name = deploy_environment.name
    found = github_api.ask_all("/environments", "environments")
    told = next((each for each in found if each["name"].lower() == name.lower()), None)
    if told is None:
        return {"exists": False}
    rules = {each["type"]: each for each in told.get("protection_rules") or ()}
    reviewers = rules.get("required_reviewers", {})
    return {
        "exists": True,
        "reviewers": len(reviewers.get("reviewers") or ()),
        "self_review": not reviewers.get("prevent_self_review", False),
        "admins_bypass": bool(told.get("can_admins_bypass", True)),
        "wait": 60 * rules.get("wait_timer", {}).get("wait_timer", 0),
        "branches": _branches(github_api, name, told.get("deployment_branch_policy")),
    }


def _branches(github_api: GitHubApi, name: str, policy: Any) -> frozenset[str]:
    if not policy:
        return frozenset({"any"})
    if policy["protected_branches"]:
        return frozenset({"protected branches"})
    found = github_api.ask_all(f"/environments/{name}/deployment-branch-policies", "branch_policies")
    return frozenset(each["name"] for each in found)


def observe_secrets(github_api: GitHubApi) -> KnownSecrets:
    """Those of the repository, and of its organization for it. CouldNotLook: the token may not see them."""
    own = github_api.ask_all("/actions/secrets", "secrets")
    return _known([*own, *github_api.ask_all("/actions/organization-secrets", "secrets")])


def observe_environment_secrets(github_api: GitHubApi, deploy_environment: DeployEnvironment) -> KnownSecrets:
    """Those of one environment. CouldNotLook: the token may not see them, or there is no such environment."""
    return _known(github_api.ask_all(f"/environments/{deploy_environment.name}/secrets", "secrets"))


def _known(found: list[Any]) -> KnownSecrets:
    oldest = min(found, key=lambda each: str(each["updated_at"]), default=None)
    names = frozenset(each["name"] for each in found)
    if oldest is None:
        return KnownSecrets(names, None)
    return KnownSecrets(names, seconds_since(oldest["updated_at"]), oldest["name"])


def observe_deployment(github_api: GitHubApi, deploy_environment: DeployEnvironment) -> dict[str, Any]:
    """The newest deployment and its newest state; nothing in it where nothing was ever deployed."""
    found = github_api.ask("/deployments", {"environment": deploy_environment.name, "per_page": "1"})
    if not found:
        return {}
    newest = found[0]
    states = github_api.ask(f"/deployments/{newest['id']}/statuses", {"per_page": "1"})
    return {
        "commit": newest["sha"],
        "by": (newest.get("creator") or {}).get("login"),
        "age": seconds_since(newest["created_at"]),
        "state": states[0]["state"] if states else "pending",
        "url": (states[0].get("environment_url") or None) if states else None,
    }


FACTS: dict[str, Callable[..., Any]] = {
    "actual_environment": observe_environment,
    "known_secrets": observe_secrets,
    "known_environment_secrets": observe_environment_secrets,
    "newest_deployment": observe_deployment,
}
