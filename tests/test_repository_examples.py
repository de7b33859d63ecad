"""The repository of each example: a sound one holds, and each fault in it is seen by its own checks."""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
import yaml

from readygate.areas import FACTS
from readygate.areas.repository.registry import reference
from readygate.areas.repository.repository import Repository
from readygate.facts import Facts
from readygate.inventory import Inventory, load
from tests.github_server import SHA, TOKEN, ago, github, job, run, secret
from tests.holding import LOCAL, suite_functions
from tests.registry_server import pushed, registry
from tests.repositories import committed, git, write

ROOT = Path(__file__).parent.parent
GUIDES = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((ROOT / "tests" / "guides").glob("*.yml"))}
FAULTS = [(system, fault) for system, guide in GUIDES.items() for fault in guide["faults"]]
FUNCTIONS = {
    check: function for suite in ("repository", "workflows", "pipeline") for check, function in suite_functions(suite)
}
_CASE = '<testcase classname="tests.{}" name="{}"/>'
_LIMITS = ("auth_endpoint", "proxy_endpoint", "bypass_superuser")
# What is too long to write out, and what must not look like a secret in this repository.
_FILLED_IN = {
    "LONG": "# Guide\n" + "One sentence that helps by night.\n" * 40,
    "TOKEN": "gh" + "p_" + "a1B2" * 9,
    "JUNIT OF 104": "\n".join(
        [
            "<testsuite>",
            *(_CASE.format("test_rate_limit", f"test_rate_limit_{each}") for each in _LIMITS),
            *(_CASE.format("test_tokens", f"test_{number}") for number in range(101)),
            "</testsuite>",
        ]
    ),
}


def filled_in(text: str) -> str:
    for name, meant in _FILLED_IN.items():
        text = text.replace(name, meant)
    return text


@dataclass(frozen=True)
class Around:
    """The servers that an example asks."""

    github: dict[str, Any]
    variables: dict[str, str]


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Around]:
    answers: dict[str, Any] = {}
    with registry(tmp_path_factory.mktemp("registry")) as shelf, github(answers) as url:
        told = {"GITHUB_API_URL": url, "GITHUB_TOKEN": TOKEN, "REGISTRY": shelf, "REGISTRY_INSECURE": "true"}
        yield Around(answers, told | {"COMMIT": SHA, "VERSION": "1.0.0"})


def example(system: str, root: Path, around: Around) -> Inventory:
    path = root.parent / "inventory.yml"
    path.write_text(f"project: {system}\ninclude: ['{ROOT}/examples/{system}/repository.yml']\n")
    # A folder of the registry for each test, since what one has pushed stays there.
    shelf = f"{around.variables['REGISTRY']}/{token_hex(4)}"
    return load(path, None, {**around.variables, "REGISTRY": shelf, "CHECKOUT": str(root)})


def failing(inventory: Inventory) -> set[str]:
    """The identities of what does not hold."""
    facts = Facts(FACTS, lambda leaf, name=None: LOCAL)
    failed = set()
    for leaf in inventory.leaves:
        function = FUNCTIONS[leaf.check]
        try:
            function(**{name: facts.get(name, leaf) for name in inspect.signature(function).parameters})
        except AssertionError:
            failed.add(leaf.id)
    return failed


def built(system: str, folder: Path, fault: dict[str, Any]) -> Path:
    """The sound repository, but for the fault; what was replaced was replaced before it was committed."""
    guide = GUIDES[system]
    texts = {"files": dict(guide["files"]), "left_behind": dict(guide.get("left_behind") or {})}
    found = False
    for part in texts.values():
        for path, text in part.items():
            text = filled_in(text)
            if path == fault.get("in"):
                one = filled_in(fault["replace"])
                assert one in text, f"nothing to replace in {path}"
                text, found = text.replace(one, filled_in(str(fault["by"])), 1), True
            part[path] = text
        found = part.pop(fault.get("remove", ""), None) is not None or found
    assert found or not {"in", "remove"} & set(fault)
    root = committed(folder / "checkout", texts["files"])
    if "mode" in fault:
        git(root, "update-index", "--chmod=-x", fault["mode"])
    write(root, texts["left_behind"])
    return root


def sound_github(repository: Repository, fault: dict[str, Any]) -> dict[str, Any]:
    """What GitHub tells of a repository of which all runs are as declared, but for the fault."""
    asked = repository.github
    assert asked
    told: dict[str, Any] = {"": {"full_name": asked.repository}}
    jobs_of: dict[str, dict[str, Any]] = defaultdict(dict)
    for name, declared in (asked.runs or {}).items():
        jobs_of[declared.workflow or name] |= {**(declared.jobs or {}), **(declared.job_took or {})}
    for number, (name, declared) in enumerate((asked.runs or {}).items(), start=1):
        file = declared.workflow or name
        runs = told.setdefault(f"/actions/workflows/{file}/runs", {"workflow_runs": []})["workflow_runs"]
        where = {"event": declared.event or "push", "head_branch": declared.branch or "main"}
        runs.append(run(number, fault.get("conclusion", "success"), **where))
        jobs = [
            job(100 * number + place, each, "skipped" if each == fault.get("job") else "success", minutes=1)
            for place, each in enumerate(jobs_of[file] or ["test"])
        ]
        told[f"/actions/runs/{number}/jobs"] = {"jobs": jobs}
        left = {"name": "test-log", "expired": False, "size_in_bytes": 9}
        told[f"/actions/runs/{number}/artifacts"] = {"artifacts": [left]}
        told |= {f"/actions/jobs/{each['id']}/logs": "All is well.\n" for each in jobs}
    told["/branches/main"] = {"name": "main"}
    told["/branches/main/protection"] = {
        "required_pull_request_reviews": {"required_approving_review_count": 1},
        "required_status_checks": {"strict": True, "contexts": ["test"]},
    }
    told["/rules/branches/main"] = [{"type": "non_fast_forward"}, {"type": "deletion"}]
    told["/environments"] = {"environments": []}
    for name, declared_environment in (asked.environments or {}).items():
        reviewers = [{"type": "User", "reviewer": {"login": "mona"}}]
        rule = {"type": "required_reviewers", "prevent_self_review": True, "reviewers": reviewers}
        policy = {"protected_branches": False, "custom_branch_policies": True}
        told["/environments"]["environments"].append(
            {"name": name, "protection_rules": [rule], "deployment_branch_policy": policy}
        )
        told[f"/environments/{name}/deployment-branch-policies"] = {"branch_policies": [{"name": "main"}]}
        wanted = declared_environment.secrets
        told[f"/environments/{name}/secrets"] = {"secrets": _secrets(str(wanted.names) if wanted else "")}
    told["/actions/secrets"] = {"secrets": _secrets(str(asked.secrets.names) if asked.secrets else "")}
    told["/actions/organization-secrets"] = {"secrets": []}
    deployed = {"id": 9, "sha": SHA, "creator": {"login": "mona"}, "created_at": ago(hours=1)}
    told["/deployments"] = [deployed]
    told["/deployments/9/statuses"] = [{"state": "success", "environment_url": "https://the-bot.ru"}]
    asset = {"name": "docker-compose.yml", "state": "uploaded", "size": 9}
    told["/releases/tags/v1.0.0"] = {"draft": False, "prerelease": False, "body": "Notes", "assets": [asset]}
    return told | fault.get("github", {})


def _secrets(names: str) -> list[dict[str, str]]:
    return [secret(name, 10) for name in re.findall(r"[A-Z][A-Z_]+", names)]


def asked(system: str, folder: Path, around: Around, fault: dict[str, Any]) -> set[str]:
    inventory = example(system, built(system, folder, fault), around)
    (repository,) = inventory.entries["repositories"].values()
    assert isinstance(repository, Repository)
    around.github.clear()
    around.github.update(sound_github(repository, fault))
    for name, image in (repository.images or {}).items():
        wanted = reference(image.image)
        if name != fault.get("image"):
            pushed(wanted.registry, wanted.name, wanted.tag, ["amd64"])
    return failing(inventory)


@pytest.mark.parametrize("system", GUIDES)
def test_an_example_holds_for_a_sound_repository(system: str, tmp_path: Path, around: Around) -> None:
    assert asked(system, tmp_path, around, {}) == set()


@pytest.mark.parametrize(("system", "name"), FAULTS, ids=lambda each: each.replace(" ", "-"))
def test_a_fault_is_seen_by_its_own_checks(system: str, name: str, tmp_path: Path, around: Around) -> None:
    fault = GUIDES[system]["faults"][name]
    assert asked(system, tmp_path, around, fault) == set(fault["seen_by"])
