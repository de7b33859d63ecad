"""The state of a pipeline: by GitHub's API in its documented shapes, and by a real container registry."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from readygate.areas import FACTS, SECTIONS
from readygate.areas.repository.registry import reference
from readygate.areas.repository.repository import Repository
from readygate.errors import CouldNotLook, Mistake
from readygate.facts import Facts
from readygate.spec import leaves
from tests.github_server import NOT_FOUND, SHA, TOKEN, ago, github, job, pages, run
from tests.holding import LOCAL, suite_functions
from tests.registry_server import PASSWORD, Pushed, pushed, registry
from tests.web import reply, web_server

FUNCTIONS = dict(suite_functions("pipeline"))


def failing(**declared: Any) -> set[str]:
    """The checks of a repository that do not hold; raises what the facts raise."""
    facts = Facts(FACTS, lambda leaf, name=None: LOCAL)
    failed = set()
    for leaf in leaves(SECTIONS["repositories"].model_validate(declared), "shop", ("repositories", "shop")):
        function = FUNCTIONS[leaf.check]
        try:
            function(**{name: facts.get(name, leaf) for name in inspect.signature(function).parameters})
        except AssertionError:
            failed.add(leaf.check)
    return failed


SOUND: dict[str, Any] = {
    "token_left": "14d",
    "runs": {
        "ci.yml": {
            "branch": "main",
            "commit": SHA,
            "green": True,
            "age": "26h",
            "took": "30m",
            "jobs": {"test": True, "build": True},
            "job_took": {"test": "10m"},
            "artifacts": ["test-log"],
            "leaks": 0,
        },
        "over the weeks": {
            "workflow": "ci.yml",
            "over": 10,
            "success_rate": "90%",
            "usually_took": "30m",
            "ran": {"rollback": "5%"},
        },
    },
    "branches": {
        "main": {
            "reviews": 2,
            "checks": ["test", "build"],
            "up_to_date": True,
            "code_owners": True,
            "for_admins": True,
            "force_push": False,
            "deletion": False,
        }
    },
    "environments": {
        "production": {
            "exists": True,
            "reviewers": 1,
            "self_review": False,
            "admins_bypass": False,
            "wait": "10m",
            "branches": ["main"],
            "secrets": {"names": ["PROD_HOST", "PROD_SSH_KEY"], "age": "92d"},
            "deployment": {
                "commit": SHA,
                "state": "success",
                "url": "https://shop.example",
                "by": "~ .",
                "age": "26h",
            },
        }
    },
    "secrets": {"names": {"contains": ["TELEGRAM_BOT_TOKEN", "REGISTRY_TOKEN"]}, "age": "92d"},
    "release": {
        "tag": "v1.4.2",
        "exists": True,
        "semantic": True,
        "prerelease": False,
        "notes": 10,
        "assets": ["shop.tar.gz"],
    },
}


def told_by(answers: dict[str, Any], declared: dict[str, Any] = SOUND, token: str = TOKEN) -> set[str]:
    with github(answers) as url:
        return failing(github={"repository": "acme/shop", "url": url, "token": token, **declared})


def part(name: str) -> dict[str, Any]:
    return {name: SOUND[name]}


def test_a_sound_pipeline_holds() -> None:
    assert told_by(pages()) == set()


RUNS = "/actions/workflows/ci.yml/runs"


@pytest.mark.parametrize(
    ("path", "change", "checks"),
    [
        (RUNS, {"workflow_runs": [run(3, "failure"), run(2), run(1)]}, {"run.green", "run.success_rate"}),
        (RUNS, {"workflow_runs": [run(3, "cancelled"), run(2), run(1)]}, {"run.green"}),
        (RUNS, {"workflow_runs": [run(3, "skipped"), run(2), run(1)]}, {"run.green"}),
        (RUNS, {"workflow_runs": [run(3, run_started_at=ago(hours=30), updated_at=ago(hours=29.7))]}, {"run.age"}),
        (RUNS, {"workflow_runs": [run(3, run_started_at=ago(hours=3))]}, {"run.took", "run.usually_took"}),
        ("/actions/runs/3/jobs", {"jobs": [job(31, "test (3.11)")]}, {"run.jobs"}),
        ("/actions/runs/3/jobs", {"jobs": [job(31, "test (3.11)"), job(33, "build", "skipped")]}, {"run.jobs"}),
        (
            "/actions/runs/3/jobs",
            {"jobs": [job(31, "test (3.11)"), job(32, "test (3.12)", "failure"), job(33, "build")]},
            {"run.jobs"},
        ),
        (
            "/actions/runs/3/jobs",
            {"jobs": [job(31, "test (3.11)", minutes=20), job(33, "build")]},
            {"run.job_took"},
        ),
        ("/actions/runs/2/jobs", {"jobs": [job(24, "rollback")]}, {"run.ran"}),
        ("/actions/runs/3/artifacts", {"artifacts": []}, {"run.artifacts"}),
        (
            "/actions/runs/3/artifacts",
            {"artifacts": [{"name": "test-log", "expired": True, "size_in_bytes": 5}]},
            {"run.artifacts"},
        ),
        ("/actions/jobs/33/logs", "token is gh" + "p_" + "a1B2" * 9 + "\n", {"run.leaks"}),
        ("/actions/jobs/33/logs", "a line\n" * 400_000 + "gh" + "p_" + "a1B2" * 9 + "\n", {"run.leaks"}),
    ],
)
def test_a_run_that_went_wrong_is_seen(path: str, change: Any, checks: set[str]) -> None:
    assert told_by(pages() | {path: change}, part("runs")) == checks


def test_without_a_run_nothing_of_it_holds() -> None:
    answers = pages() | {RUNS: {"workflow_runs": [run(3, head_sha="f" * 40)]}}
    ours = {"runs": {"ci.yml": SOUND["runs"]["ci.yml"]}}
    assert told_by(answers, ours) == {
        f"run.{each}" for each in ("green", "age", "took", "jobs", "job_took", "artifacts", "leaks")
    }


def test_a_run_that_has_not_ended_says_nothing() -> None:
    answers = pages() | {RUNS: {"workflow_runs": [run(4, None), run(3)]}}
    with pytest.raises(CouldNotLook, match="still runs"):
        told_by(answers, part("runs"))
    assert told_by(answers, {"runs": {"ci.yml": {"branch": "main", "green": True}}}) == set()


PROTECTION = pages()["/branches/main/protection"]
UNPROTECTED = (404, {"message": "Branch not protected"})


@pytest.mark.parametrize(
    ("answers", "checks"),
    [
        ({"/rules/branches/main": []}, {"reviews", "checks"}),
        ({"/branches/main/protection": UNPROTECTED}, {"checks", "up_to_date", "code_owners", "for_admins"}),
        ({"/branches/main/protection": PROTECTION | {"enforce_admins": {"enabled": False}}}, {"for_admins"}),
        ({"/branches/main/protection": PROTECTION | {"allow_force_pushes": {"enabled": True}}}, {"force_push"}),
        ({"/branches/main/protection": PROTECTION | {"allow_deletions": {"enabled": True}}}, {"deletion"}),
        (
            {"/branches/main/protection": PROTECTION | {"required_status_checks": None}},
            {"checks", "up_to_date"},
        ),
    ],
)
def test_a_branch_that_is_less_protected_is_seen(answers: dict[str, Any], checks: set[str]) -> None:
    seen = told_by(pages() | answers, part("branches"))
    beside = {"force_push", "deletion"} if answers.get("/branches/main/protection") == UNPROTECTED else set()
    assert seen == {f"branch_protection.{each}" for each in checks | beside}


ENVIRONMENT = pages()["/environments"]["environments"][0]


@pytest.mark.parametrize(
    ("answers", "checks"),
    [
        (
            {"/environments": {"environments": []}},
            {
                f"deploy_environment.{each}"
                for each in ("exists", "reviewers", "self_review", "admins_bypass", "wait", "branches")
            },
        ),
        (
            {"/environments": {"environments": [ENVIRONMENT | {"protection_rules": []}]}},
            {f"deploy_environment.{each}" for each in ("reviewers", "self_review", "wait")},
        ),
        (
            {"/environments": {"environments": [ENVIRONMENT | {"can_admins_bypass": True}]}},
            {"deploy_environment.admins_bypass"},
        ),
        (
            {"/environments": {"environments": [ENVIRONMENT | {"deployment_branch_policy": None}]}},
            {"deploy_environment.branches"},
        ),
        (
            {"/environments/production/secrets": {"secrets": []}},
            {"environment_secrets.names", "environment_secrets.age"},
        ),
        ({"/deployments": []}, {f"deployment.{each}" for each in ("commit", "state", "url", "by", "age")}),
        ({"/deployments/9/statuses": [{"state": "failure"}]}, {"deployment.state", "deployment.url"}),
    ],
)
def test_an_environment_that_is_less_guarded_is_seen(answers: dict[str, Any], checks: set[str]) -> None:
    assert told_by(pages() | answers, part("environments")) == checks


def test_old_and_missing_secrets_are_seen() -> None:
    old = {"secrets": [{"name": "TELEGRAM_BOT_TOKEN", "updated_at": ago(days=100)}]}
    assert told_by(pages() | {"/actions/secrets": old}, part("secrets")) == {"actions_secrets.age"}
    assert told_by(pages() | {"/actions/secrets": {"secrets": []}}, part("secrets")) == {"actions_secrets.names"}


RELEASE = pages()["/releases/tags/v1.4.2"]


@pytest.mark.parametrize(
    ("change", "checks"),
    [
        (NOT_FOUND, {"exists", "prerelease", "notes", "assets"}),
        (RELEASE | {"draft": True}, {"exists"}),
        (RELEASE | {"prerelease": True}, {"prerelease"}),
        (RELEASE | {"body": " "}, {"notes"}),
        (RELEASE | {"assets": []}, {"assets"}),
        (RELEASE | {"assets": [{"name": "shop.tar.gz", "state": "starter", "size": 0}]}, {"assets"}),
    ],
)
def test_a_release_that_is_not_whole_is_seen(change: Any, checks: set[str]) -> None:
    seen = told_by(pages() | {"/releases/tags/v1.4.2": change}, part("release"))
    assert seen == {f"release.{each}" for each in checks}


def test_a_tag_that_is_no_semantic_version_is_seen() -> None:
    answers = pages() | {"/releases/tags/tuesday": RELEASE}
    assert told_by(answers, {"release": SOUND["release"] | {"tag": "tuesday"}}) == {"release.semantic"}


def test_a_token_that_ends_soon_is_seen() -> None:
    assert told_by(pages(), {"token_left": "60d"}) == {"github.token_left"}


def test_a_log_that_lies_elsewhere_is_fetched_there_without_our_token() -> None:
    asked: list[str | None] = []

    def store(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.headers["Authorization"])
        reply(request, 200, ("token is gh" + "p_" + "a1B2" * 9).encode())

    with web_server(store) as port:
        moved = (302, "", {"Location": f"http://127.0.0.1:{port}/log"})
        assert told_by(pages() | {"/actions/jobs/33/logs": moved}, part("runs")) == {"run.leaks"}
    assert asked == [None]


LIMITED = (403, {"message": "API rate limit exceeded"}, {"X_RateLimit_Remaining": "0"})


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (NOT_FOUND, "no such thing, or the token may not see it"),
        ((403, {"message": "Resource not accessible by personal access token"}), "answers 403"),
        (LIMITED, "rate limit"),
        ((429, {"message": "secondary rate limit"}, {"X_RateLimit_Remaining": "0"}), "rate limit"),
        ((500, {"message": "Server Error"}), "answers 500"),
        ((200, "<html>Sign in</html>"), "no JSON"),
    ],
)
@pytest.mark.parametrize(
    ("path", "name"),
    [
        (RUNS, "runs"),
        ("/branches/main", "branches"),
        ("/branches/main/protection", "branches"),
        ("/rules/branches/main", "branches"),
        ("/environments", "environments"),
        ("/environments/production/secrets", "environments"),
        ("/deployments", "environments"),
        ("/actions/secrets", "secrets"),
    ],
)
def test_what_github_does_not_tell_is_never_a_pass(path: str, name: str, answer: Any, told: str) -> None:
    with pytest.raises(CouldNotLook, match=told):
        told_by(pages() | {path: answer}, part(name))


def test_a_repository_that_the_token_may_not_see_has_no_missing_release() -> None:
    with pytest.raises(CouldNotLook, match="may not see"):
        told_by({}, part("release"))


def test_a_wrong_token_is_told_and_never_shown() -> None:
    with pytest.raises(CouldNotLook) as caught:
        told_by(pages(), part("runs"), token="some-other-token")
    assert "401" in caught.value.reason
    assert "some-other-token" not in str(caught.value)


@pytest.mark.parametrize("name", ["shop", "https://github.com/acme/shop", "acme/shop/"])
def test_what_is_no_repository_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="owner/name"):
        Repository.model_validate({"github": {"repository": name, "token_left": "1d"}})


# A container registry


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture(scope="module")
def release(shelf: str) -> Pushed:
    pushed(shelf, "acme/shop", "v1.4.1", ["amd64"], days=40)
    return pushed(shelf, "acme/shop", "v1.4.2", ["amd64", "arm64"], also=["stable"])


def images(shelf: str, tag: str = "v1.4.2", **declared: Any) -> set[str]:
    return failing(images={"backend": {"image": f"{shelf}/acme/shop:{tag}", "insecure": True, **declared}})


def test_a_sound_image_holds(shelf: str, release: Pushed) -> None:
    declared = {
        "exists": True,
        "digest": release.digest,
        "age": "7d",
        "platforms": ["linux/amd64", "linux/arm64"],
        "labels": {"org.opencontainers.image.revision": SHA},
        "tags": {"contains": ["v1.4.1", "v1.4.2"]},
        "same_as": {"stable": True, "v1.4.1": False},
        "also": {"v1.4.1": True, "v1.4.0": False},
    }
    assert images(shelf, **declared) == set()
    assert images(shelf, tag=f"v1.4.2@{release.digest}", exists=True) == set()


@pytest.mark.parametrize(
    ("tag", "declared", "check"),
    [
        ("v1.4.3", {"exists": True}, "image.exists"),
        ("v1.4.3", {"digest": f"sha256:{'0' * 64}"}, "image.digest"),
        ("v1.4.1", {"age": "7d"}, "image.age"),
        ("v1.4.1", {"platforms": {"contains": ["linux/arm64"]}}, "image.platforms"),
        ("v1.4.2", {"labels": {"org.opencontainers.image.revision": "f" * 40}}, "image.labels"),
        ("v1.4.2", {"tags": {"contains": ["v1.4.0"]}}, "image.tags"),
        ("v1.4.1", {"same_as": {"stable": True}}, "image.same_as"),
        ("v1.4.2", {"also": {"v1.4.0": True}}, "image.also"),
    ],
)
def test_an_image_that_is_not_as_declared_is_seen(
    shelf: str, release: Pushed, tag: str, declared: dict[str, Any], check: str
) -> None:
    assert images(shelf, tag, **declared) == {check}


def test_an_image_that_nobody_has_ever_pushed_is_not_there(shelf: str) -> None:
    declared = {"image": f"{shelf}/acme/none:v1", "insecure": True, "exists": True, "tags": {"contains": ["v1"]}}
    assert failing(images={"backend": declared}) == {"image.exists", "image.tags"}


def test_a_registry_that_wants_a_login_is_given_one(tmp_path: Path) -> None:
    with registry(tmp_path, locked=True) as address:
        login = {"user": "lab", "password": PASSWORD}
        pushed(address, "acme/shop", "v1.4.2", ["amd64"])
        assert images(address, login=login, exists=True) == set()
        with pytest.raises(CouldNotLook, match="wants a login"):
            images(address, exists=True)
        with pytest.raises(CouldNotLook, match="401"):
            images(address, login={**login, "password": "wrong-one"}, exists=True)


def test_a_registry_that_sends_us_for_a_token_is_given_it() -> None:
    asked: list[tuple[str, str | None]] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        path, authorization = request.path, request.headers["Authorization"]
        asked.append((path.partition("?")[0], authorization))
        if path.startswith("/token"):
            wanted = "repository%3Aacme%2Fshop%3Apull" in path and authorization == "Basic bGFiOnM0Y3JldA=="
            reply(request, 200 if wanted else 401, b'{"token": "for-a-while"}')
        elif authorization == "Bearer for-a-while":
            reply(request, 200, b'{"config": {}}')
        else:
            here = f"http://{request.headers['Host']}/token"
            reply(request, 401, b"{}", WWW_Authenticate=f'Bearer realm="{here}",service="lab"')

    with web_server(answer) as port:
        assert images(f"127.0.0.1:{port}", login={"user": "lab", "password": "s4cret"}, exists=True) == set()
        manifest = "/v2/acme/shop/manifests/v1.4.2"
        assert [path for path, _ in asked] == [manifest, "/token", manifest]
        assert asked[0][1] is None
        with pytest.raises(CouldNotLook, match="401"):
            images(f"127.0.0.1:{port}", login={"user": "lab", "password": "wrong"}, exists=True)


def test_a_page_that_is_not_found_is_no_image_that_is_not_there() -> None:
    with github({}) as url, pytest.raises(CouldNotLook):
        images(url.removeprefix("http://"), exists=False)


@pytest.mark.parametrize(
    ("text", "registry_", "name", "tag"),
    [
        ("postgres:15", "registry-1.docker.io", "library/postgres", "15"),
        ("acme/shop:v1", "registry-1.docker.io", "acme/shop", "v1"),
        ("ghcr.io/acme/shop/web:v1", "ghcr.io", "acme/shop/web", "v1"),
        ("localhost/shop:v1", "localhost", "shop", "v1"),
        ("127.0.0.1:5000/shop:v1", "127.0.0.1:5000", "shop", "v1"),
    ],
)
def test_an_image_is_read_as_docker_reads_it(text: str, registry_: str, name: str, tag: str) -> None:
    found = reference(text)
    assert (found.registry, found.name, found.tag) == (registry_, name, tag)


@pytest.mark.parametrize("text", ["ghcr.io/acme/shop", "https://ghcr.io/acme/shop:v1", "", "shop:"])
def test_an_image_without_a_tag_is_refused(text: str) -> None:
    with pytest.raises(Mistake, match="no image with a tag"):
        reference(text)
