"""What GitHub itself may be declared to tell of a repository: how its runs ended, and what protects its branches."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, SecretStr

from readygate.areas.asking_http import Api, ApiUrl, api
from readygate.areas.repository import github_environments, github_runs
from readygate.areas.repository.github_api import GitHubApi
from readygate.areas.repository.github_environments import DeployEnvironment, SecretNames
from readygate.areas.repository.github_runs import WorkflowRuns
from readygate.areas.repository.observed import Observed
from readygate.errors import Mistake
from readygate.expectation import (
    AtLeastCount,
    AtLeastDuration,
    AtLeastSize,
    Flag,
    TextSet,
)
from readygate.spec import Spec

_SEMANTIC = re.compile(r"v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")


def owner_and_name(text: str) -> str:
    """A repository by its owner and its name; raises Mistake."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", text):
        raise Mistake(f"'{text}' is no repository at GitHub", "write owner/name, e.g. acme/shop")
    return text


class BranchProtection(Spec):
    """What stands between a push and a branch, by classic protection and by rulesets together."""

    area: ClassVar[str] = "branch_protection"
    noun: ClassVar[str] = "branch_protection"

    reviews: AtLeastCount | None = Field(None, description="How many approvals a request needs.")
    checks: TextSet | None = Field(None, description="The checks that must be green; {contains: [...]} for some.")
    up_to_date: Flag | None = Field(None, description="Whether a request must hold the newest of the branch.")
    code_owners: Flag | None = Field(None, description="Whether an owner of the code must approve.")
    for_admins: Flag | None = Field(None, description="Whether administrators are held to it too.")
    force_push: Flag | None = Field(None, description="Whether the history of the branch may be rewritten.")
    deletion: Flag | None = Field(None, description="Whether the branch may be deleted.")


class GitHubRelease(Spec):
    """A release at GitHub."""

    area: ClassVar[str] = "release"
    noun: ClassVar[str] = "release"

    tag: str = Field(description='A setting: its tag: "v${VERSION}".')
    exists: Flag | None = Field(None, description="Whether there is a release of this tag that is published.")
    semantic: Flag | None = Field(None, description="Whether the tag is a semantic version: v1.4.2.")
    prerelease: Flag | None = Field(None, description="Whether it is one that is not for everybody.")
    notes: AtLeastSize | None = Field(None, description="How long its notes are, in bytes.")
    assets: TextSet | None = Field(None, description="Names of what was uploaded for it, and is not empty.")


class GitHub(Spec):
    """A repository at GitHub, or at a GitHub Enterprise Server, as its own API tells."""

    area: ClassVar[str] = "github"
    noun: ClassVar[str] = "github"

    repository: Annotated[str, AfterValidator(owner_and_name)] = Field(description="A setting: owner/name.")
    url: ApiUrl = Field(
        "https://api.github.com", description="A setting: the API: https://github.example.com/api/v3."
    )
    token: SecretStr | None = Field(None, description='A setting: a token that may read: "${GITHUB_TOKEN}".')
    ca: str | None = Field(None, description="A setting: path of a private CA bundle.")

    token_left: AtLeastDuration | None = Field(None, description="How long the token is still good for.")
    runs: dict[str, WorkflowRuns] | None = Field(None, description="Runs of workflows, by file: ci.yml.")
    branches: dict[str, BranchProtection] | None = Field(None, description="Branches that are protected, by name.")
    environments: dict[str, DeployEnvironment] | None = Field(None, description="Environments, by name.")
    secrets: SecretNames | None = Field(None, description="The secrets that its workflows are given.")
    release: GitHubRelease | None = Field(None, description="The release at GitHub.")


def github_api(github: GitHub) -> GitHubApi:
    """The way to it, which all questions share."""
    headers = {"Accept": SecretStr("application/vnd.github+json"), "X-GitHub-Api-Version": SecretStr("2022-11-28")}
    if github.token:
        headers["Authorization"] = SecretStr(f"Bearer {github.token.get_secret_value()}")
    asked: Api = api("github", github.url, headers, github.ca)
    return GitHubApi(asked, github.repository)


def observe_token_left(github_api: GitHubApi) -> Observed:
    """Seconds for which the token is good; nothing where it has no end that GitHub tells of."""
    told = github_api.api.get("/rate_limit").header("GitHub-Authentication-Token-Expiration")
    if told is None:
        return Observed(None, "GitHub tells no end of this token")
    ends = datetime.strptime(" ".join(told.split()[:2]), "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return Observed((ends - datetime.now(UTC)).total_seconds())


def observe_branch(github_api: GitHubApi, branch_protection: BranchProtection) -> dict[str, Any]:
    """What holds for a branch: each rule as strict as the strictest of those that are in effect.

    CouldNotLook: the token may not see it, or there is no such branch.
    """
    name = branch_protection.name
    github_api.ask(f"/branches/{name}")
    classic = github_api.ask_or_none(f"/branches/{name}/protection", unless="Branch not protected") or {}
    rules = github_api.ask(f"/rules/branches/{name}")
    by_type = {each["type"]: each.get("parameters") or {} for each in rules}
    reviews = classic.get("required_pull_request_reviews") or {}
    asked = by_type.get("pull_request", {})
    status = classic.get("required_status_checks") or {}
    wanted = by_type.get("required_status_checks", {})
    return {
        "reviews": max(each.get("required_approving_review_count", 0) for each in (reviews, asked)),
        "checks": frozenset(
            [
                *(status.get("contexts") or ()),
                *(each["context"] for each in wanted.get("required_status_checks") or ()),
            ]
        ),
        "up_to_date": bool(status.get("strict") or wanted.get("strict_required_status_checks_policy")),
        "code_owners": bool(reviews.get("require_code_owner_reviews") or asked.get("require_code_owner_review")),
        "for_admins": _is_on(classic, "enforce_admins"),
        "force_push": "non_fast_forward" not in by_type and (not classic or _is_on(classic, "allow_force_pushes")),
        "deletion": "deletion" not in by_type and (not classic or _is_on(classic, "allow_deletions")),
    }


def _is_on(classic: dict[str, Any], name: str) -> bool:
    return bool((classic.get(name) or {}).get("enabled"))


def observe_release(github_api: GitHubApi, release: GitHubRelease) -> dict[str, Any]:
    """The release of a tag; nothing in it where there is none. CouldNotLook: the token may not see it."""
    told = github_api.ask_or_none(f"/releases/tags/{release.tag}", unless="Not Found")
    if told is None:
        github_api.ask("")  # without a right to the repository too GitHub says "Not Found"
        return {"exists": False}
    return {
        "exists": not told["draft"],
        "prerelease": told["prerelease"],
        "notes": len((told.get("body") or "").strip().encode()),
        "assets": frozenset(each["name"] for each in told["assets"] if each["state"] == "uploaded" and each["size"]),
    }


def observe_semantic(release: GitHubRelease) -> bool:
    return bool(_SEMANTIC.fullmatch(release.tag))


FACTS: dict[str, Callable[..., Any]] = {
    "github_api": github_api,
    "token_left": observe_token_left,
    "actual_branch": observe_branch,
    "actual_release": observe_release,
    "semantic_tag": observe_semantic,
    **github_runs.FACTS,
    **github_environments.FACTS,
}
