"""What a repository may be declared to be: its commit, its files, its workflows and what they leave behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from readygate.areas.repository import (
    commands,
    git,
    github,
    job,
    leaks,
    registry,
    reports,
    source_files,
    stack,
    workflows,
)
from readygate.areas.repository.commands import Tried
from readygate.areas.repository.git import Checkout
from readygate.areas.repository.github import GitHub
from readygate.areas.repository.observed import Observed
from readygate.areas.repository.registry import Image
from readygate.areas.repository.reports import Coverage, Generated, TestReport
from readygate.areas.repository.source_files import SourceFile
from readygate.areas.repository.stack import Stack
from readygate.areas.repository.workflows import Workflow
from readygate.errors import Mistake
from readygate.expectation import AtMostCount, Flag, Text, TextSet
from readygate.spec import Spec


def remote_branch(text: str) -> str:
    """A branch with the remote that has it; raises Mistake."""
    if not all(text.partition("/")):
        raise Mistake(f"'{text}' names no remote", f"write e.g. origin/{text.strip('/')}")
    return text


RemoteBranch = Annotated[str, AfterValidator(remote_branch)]


class Repository(Spec):
    """A repository: a checkout of git, here, where Readygate runs."""

    area: ClassVar[str] = "repository"
    noun: ClassVar[str] = "repository"

    path: str = Field(".", description="A setting: the folder of the checkout, from where Readygate is run.")
    may_leak: tuple[str, ...] = Field(
        (), description="A setting: patterns of paths in which what looks like a secret is none: tests/keys/*."
    )

    head: Text | None = Field(None, description="The commit that is checked out, all 40 digits of it.")
    branch: Text | None = Field(None, description="The branch that is checked out.")
    tags: TextSet | None = Field(
        None, description='Tags of this commit; {contains: ["v${VERSION}"]} for the release.'
    )
    clean: Flag | None = Field(None, description="Whether no file differs from the commit, and none is added.")
    holds: dict[RemoteBranch, Flag] | None = Field(
        None,
        description="By branch of a remote, origin/main: whether the commit holds its newest, as the remote tells.",
    )
    ignores: dict[str, Flag] | None = Field(
        None, description="Whether git ignores a file of this name: {.env: true}."
    )
    leaks: AtMostCount | None = Field(None, description="How many secrets stand in the files that are committed.")
    leaks_in_history: AtMostCount | None = Field(
        None, description="How many secrets stand in any version of any file that was ever committed."
    )
    files: dict[str, SourceFile] | None = Field(None, description="Files that are committed, by their path.")
    stacks: dict[str, Stack] | None = Field(None, description="Stacks of compose files, by a name.")
    workflows: dict[str, Workflow] | None = Field(None, description="Workflows of GitHub Actions, by file: ci.yml.")
    commands: dict[str, Tried] | None = Field(None, description="Commands that are tried, by a name.")
    test_reports: dict[str, TestReport] | None = Field(None, description="Results of tests, by a name.")
    coverage: dict[str, Coverage] | None = Field(None, description="Measured coverage, by a name.")
    generated: dict[str, Generated] | None = Field(None, description="Other files that a run leaves, by a name.")

    github: GitHub | None = Field(None, description="The same repository at GitHub.")
    images: dict[str, Image] | None = Field(None, description="Images in a container registry, by a name.")


def observe_checkout(repository: Repository) -> Checkout:
    """The checkout itself. CouldNotLook: there is none."""
    return git.look(Path(repository.path))


def observe_holds_newest(repository: Repository, checkout_here: Checkout, key: str) -> bool:
    return git.holds_newest_of(checkout_here.root, key)


def observe_ignored(repository: Repository, checkout_here: Checkout, key: str) -> Observed:
    """Whether git ignores the name; what is tracked stays tracked all the same."""
    if key in checkout_here.tracked:
        return Observed(False, "it is tracked already, so ignoring it has no effect")
    return Observed(git.ignores(checkout_here.root, key))


def observe_leaks(repository: Repository, checkout_here: Checkout) -> Observed:
    return _told(leaks.leaks_of(checkout_here, repository.may_leak))


def observe_leaks_in_history(repository: Repository, checkout_here: Checkout) -> Observed:
    return _told(leaks.leaks_in_history(checkout_here.root, repository.may_leak))


def _told(found: tuple[leaks.Leak, ...]) -> Observed:
    return Observed(len(found), "; ".join(map(str, found[:5])))


SECTIONS: Mapping[str, type[Spec]] = {"repositories": Repository}

_OWN: dict[str, Callable[..., Any]] = {
    "checkout_here": observe_checkout,
    "holds_newest": observe_holds_newest,
    "ignored": observe_ignored,
    "leaks": observe_leaks,
    "leaks_in_history": observe_leaks_in_history,
}
_PARTS = (commands, github, job, registry, reports, source_files, stack, workflows)
FACTS: Mapping[str, Callable[..., Any]] = _OWN | {name: fact for part in _PARTS for name, fact in part.FACTS.items()}
