"""The area of repositories, shown on real checkouts of git, sound and broken."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from readygate.areas.repository.leaks import leaks_in
from readygate.areas.repository.repository import Repository
from readygate.errors import CouldNotLook
from readygate.spec import misnamed
from tests.projects import Project
from tests.repositories import commit, committed, failing, git, reasons, write

COMPOSE = """\
services:
  db:
    image: postgres:15-alpine
    environment: {POSTGRES_PASSWORD: "${DB_PASSWORD}"}
    healthcheck: {test: [CMD, pg_isready], interval: 5s}
  billing:
    image: "ghcr.io/acme/billing:${VERSION}"
    environment: [PAYMENT_MODE=test]
    healthcheck: {test: curl -f http://localhost/health}
  grafana:
    image: grafana/grafana:10.4.2
    profiles: [prod]
"""
HEALTH = "#!/bin/sh\nfailed=0\ncurl -fs --max-time 2 ${URL}/health || failed=1\nexit $failed\n"
FILES = {
    ".gitignore": ".env\n*.pem\nreports/\ncoverage.xml\n",
    "app.py": "app.add_middleware(RateLimit)\n",
    ".env.stage": "PAYMENT_MODE=test\nDB_PASSWORD=${STAGE_DB_PASSWORD}\n",
    "health.sh": HEALTH,
    "compose.yml": COMPOSE,
    "docs/RUNBOOK.md": "# When it burns\n",
}
JUNIT = """\
<testsuites><testsuite name="unit" tests="3">
<testcase classname="tests.test_limits" name="test_refuses"/>
<testcase classname="tests.test_limits" name="test_recovers"/>
<testcase classname="tests.test_money" name="test_rounds"><skipped/></testcase>
</testsuite></testsuites>
"""
COVERAGE = """\
<coverage line-rate="0.75" branch-rate="0.5"><packages><package><classes><class name="app"><lines>
<line number="1" hits="1"/><line number="2" hits="3" branch="true"/>
<line number="3" hits="1"/><line number="4" hits="0"/>
</lines></class></classes></package></packages></coverage>
"""
SOUND: dict[str, Any] = {
    "branch": "main",
    "tags": {"contains": ["v1.4.2"]},
    "clean": True,
    "ignores": {".env": True, "server.pem": True},
    "leaks": 0,
    "leaks_in_history": 0,
    "files": {
        "docs/RUNBOOK.md": {"exists": True, "size": ">10"},
        "health.sh": {"exists": True, "executable": True},
        "app.py": {"contains": {"add_middleware\\(RateLimit": True, "DEBUG": False}},
        ".env.stage": {"keys": {"PAYMENT_MODE": "test"}},
        "notes.txt": {"exists": False},
    },
    "stacks": {
        "test": {
            "paths": ["compose.yml"],
            "services": ["db", "billing"],
            "unchecked": 0,
            "unpinned": 0,
            "literal_secrets": 0,
            "environment": {"billing.PAYMENT_MODE": "test"},
        }
    },
    "commands": {"gate": {"run": "URL=http://127.0.0.1:1 ./health.sh", "exit": ">0", "took": "30s"}},
    "test_reports": {
        "all": {"path": "reports/*.xml", "tests": 2, "failures": 0, "skipped": 1, "age": "1h", "of_commit": True},
        "limits": {"path": "reports/*.xml", "named": "test_limits", "tests": "==2"},
    },
    "coverage": {"app": {"path": "coverage.xml", "lines": 75, "branches": 50, "age": "1h", "of_commit": True}},
    "generated": {"reports": {"path": "reports/*", "count": 1, "size": 100, "age": "1h", "of_commit": True}},
}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    root = committed(tmp_path / "shop", FILES)
    git(root, "tag", "v1.4.2")
    write(root, {"reports/junit.xml": JUNIT, "coverage.xml": COVERAGE})
    return root


def test_a_sound_repository_holds(shop: Path) -> None:
    assert not reasons({"path": str(shop), "head": git(shop, "rev-parse", "HEAD"), **SOUND})


def older(path: Path) -> None:
    past = time.time() - 90_000
    os.utime(path, (past, past))


def test_another_commit_is_not_the_release(shop: Path) -> None:
    before = git(shop, "rev-parse", "HEAD")
    commit(shop, {"more.py": "x = 1\n"})
    assert failing(shop, head=before, tags={"contains": ["v1.4.2"]}) == {"repository.head", "repository.tags"}


def test_another_branch_is_seen(shop: Path) -> None:
    git(shop, "checkout", "-q", "-b", "feature/prices")
    assert failing(shop, **SOUND) == {"repository.branch"}


@pytest.mark.parametrize("path", ["app.py", "scratch.py"])
def test_a_tree_that_is_not_clean_is_seen(shop: Path, path: str) -> None:
    (shop / path).write_text("app.add_middleware(RateLimit)  # for now\n")
    assert failing(shop, **SOUND) == {"repository.clean"}


def test_a_file_that_is_added_is_seen_where_git_is_told_to_show_none(shop: Path) -> None:
    git(shop, "config", "status.showUntrackedFiles", "no")
    (shop / "scratch.py").touch()
    assert failing(shop, **SOUND) == {"repository.clean"}


def test_what_a_run_itself_writes_changes_nothing(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("READYGATE_OUT", str(shop / "ci/out"))
    write(shop, {"ci/out/results.json": "{}", ".readygate/history/run.json": "{}"})
    assert failing(shop, **SOUND) == set()
    write(shop, {"ci/scratch.py": ""})
    assert failing(shop, **SOUND) == {"repository.clean"}
    monkeypatch.setenv("READYGATE_OUT", str(shop))
    assert failing(shop, **SOUND) == {"repository.clean"}


def test_what_git_tracks_is_seen_to_change_wherever_a_run_writes(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("READYGATE_OUT", str(shop / "src"))
    commit(shop, {"src/more.py": "x = 1\n"})
    git(shop, "tag", "-f", "v1.4.2")
    assert "repository.clean" not in failing(shop, **SOUND)
    write(shop, {"src/more.py": "x = 2\n"})
    assert "repository.clean" in failing(shop, **SOUND)


def test_a_branch_that_went_on_is_seen(shop: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", str(shop), "desk")
    desk = tmp_path / "desk"
    assert not failing(desk, holds={"origin/main": True})
    commit(shop, {"fix.py": "x = 1\n"})
    assert failing(desk, holds={"origin/main": True}) == {"repository.holds"}
    git(desk, "fetch", "-q")
    assert failing(desk, holds={"origin/main": True}) == {"repository.holds"}
    with pytest.raises(CouldNotLook, match="no branch release"):
        failing(desk, holds={"origin/release": True})


def test_a_file_that_is_not_ignored_is_seen(shop: Path) -> None:
    commit(shop, {".gitignore": "reports/\ncoverage.xml\n*.pem\n"})
    assert failing(shop, ignores=SOUND["ignores"]) == {"repository.ignores"}


def test_a_file_that_is_ignored_and_tracked_all_the_same_is_seen(shop: Path) -> None:
    commit(shop, {".env": "A=1\n"})
    assert failing(shop, ignores=SOUND["ignores"]) == {"repository.ignores"}


TOKEN = "gh" + "p_" + "a1B2" * 9
KEY = "-----BEGIN " + "PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC" * 2 + "\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("deploy.py", f"token = '{TOKEN}'\n"),
        ("keys/server.key", KEY),
        (".env.production", "DB_PASSWORD=correct-horse-battery\n"),
        ("notes.md", "use AKIA" + "Q3EGRZ7TWXK4V2LM\n"),
        ("store.jks", "anything"),
    ],
)
def test_a_secret_is_found_and_told_without_itself(shop: Path, path: str, text: str) -> None:
    commit(shop, {path: text})
    told = reasons({"path": str(shop), "leaks": 0})["repository.leaks @ shop"]
    assert path in told
    assert TOKEN not in told
    assert "horse" not in told


@pytest.mark.parametrize("padding", [b"x = 1\n" * 500_000, b"\0\1\2" * 3000], ids=["3 MB", "binary"])
def test_a_secret_in_a_long_or_binary_file_is_found(shop: Path, padding: bytes) -> None:
    (shop / "dump.sql").write_bytes(padding + f"token = '{TOKEN}'\n".encode())
    git(shop, "add", "-A")
    git(shop, "commit", "-q", "-m", "a dump")
    assert failing(shop, leaks=0, leaks_in_history=0) == {"repository.leaks", "repository.leaks_in_history"}


def test_a_secret_in_utf_16_is_found() -> None:
    assert [each.line for each in leaks_in("notes.txt", f"a\ntoken {TOKEN}\n".encode("utf-16"))] == [2]


def test_a_file_of_the_history_that_is_too_long_to_be_read_is_an_error(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("readygate.areas.repository.leaks._MOST_BYTES", 2_000_000)
    commit(shop, {"dump.sql": "x = 1\n" * 500_000})
    with pytest.raises(CouldNotLook, match=r"dump\.sql has a version of 3 MB"):
        failing(shop, leaks_in_history=0)
    assert not failing(shop, leaks_in_history=0, may_leak=["dump.sql"])


def test_a_secret_that_was_removed_is_found_in_the_history(shop: Path) -> None:
    commit(shop, {"deploy.py": f"token = '{TOKEN}'\n"})
    commit(shop, {"deploy.py": "token = os.environ['TOKEN']\n"})
    assert failing(shop, leaks=0, leaks_in_history=0) == {"repository.leaks_in_history"}
    assert not failing(shop, leaks_in_history=0, may_leak=["deploy.py"])


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (".env.example", "DB_PASSWORD=correct-horse-battery\n"),
        (".env.prod", "DB_PASSWORD=${DB_PASSWORD}\nAPI_KEY=changeme\nDEBUG=false\n"),
        ("keys.py", 'if text.startswith("-----BEGIN " "PRIVATE KEY-----"): raise ValueError\n'),
        ("docs.md", "AKIAIOSFODNN7EXAMPLE is the key of the examples\n"),
    ],
)
def test_what_only_looks_like_a_secret_is_none(path: str, text: str) -> None:
    assert not list(leaks_in(path, text.encode()))


def test_the_history_of_a_shallow_clone_is_not_judged(shop: Path, tmp_path: Path) -> None:
    commit(shop, {"fix.py": "x = 1\n"})
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{shop}", "shallow")
    with pytest.raises(CouldNotLook, match="shallow"):
        failing(tmp_path / "shallow", leaks_in_history=0)


def test_a_file_that_git_does_not_track_is_not_there(shop: Path) -> None:
    git(shop, "rm", "-q", "--cached", "docs/RUNBOOK.md")
    told = reasons({"path": str(shop), "files": {"docs/RUNBOOK.md": {"exists": True}}})
    assert told == {"source_file.exists @ shop:docs/RUNBOOK.md": "it lies there, but git does not track it"}


def test_a_script_that_git_has_not_as_executable_is_seen(shop: Path) -> None:
    git(shop, "update-index", "--chmod=-x", "health.sh")
    assert failing(shop, files=SOUND["files"]) == {"source_file.executable"}


@pytest.mark.parametrize(
    ("path", "text", "check"),
    [
        ("docs/RUNBOOK.md", "", "source_file.size"),
        ("app.py", "app = FastAPI()\n", "source_file.contains"),
        (".env.stage", "PAYMENT_MODE=production\n", "source_file.keys"),
        ("notes.txt", "x\n", "source_file.exists"),
    ],
)
def test_what_a_file_says_is_seen(shop: Path, path: str, text: str, check: str) -> None:
    commit(shop, {path: text})
    assert failing(shop, files=SOUND["files"]) == {check}


@pytest.mark.parametrize(
    ("one", "other", "check"),
    [
        ("  db:", "  database:", "stack.services"),
        ("    healthcheck: {test: [CMD, pg_isready], interval: 5s}\n", "", "stack.unchecked"),
        ("test: [CMD, pg_isready]", "test: [NONE]", "stack.unchecked"),
        ("postgres:15-alpine", "postgres", "stack.unpinned"),
        ("postgres:15-alpine", "postgres:latest", "stack.unpinned"),
        ("${DB_PASSWORD}", "stage_admin_password", "stack.literal_secrets"),
        ("${DB_PASSWORD}", "${DB_PASSWORD:-postgres}", "stack.literal_secrets"),
        ("PAYMENT_MODE=test", "PAYMENT_MODE=production", "stack.environment"),
    ],
)
def test_what_a_stack_lacks_is_seen(shop: Path, one: str, other: str, check: str) -> None:
    assert one in COMPOSE
    commit(shop, {"compose.yml": COMPOSE.replace(one, other)})
    assert failing(shop, stacks=SOUND["stacks"]) == {check}


def test_a_profile_that_is_not_passed_starts_nothing(shop: Path) -> None:
    stack = {**SOUND["stacks"]["test"], "services": {"contains": ["grafana"]}}
    assert failing(shop, stacks={"test": stack}) == {"stack.services"}
    told = failing(shop, stacks={"test": {**stack, "profiles": ["prod"]}})
    assert told == {"stack.unchecked"}


def test_a_gate_that_never_refuses_is_seen(shop: Path) -> None:
    commit(shop, {"health.sh": HEALTH.replace("exit $failed", "echo all is well")})
    assert failing(shop, commands=SOUND["commands"]) == {"tried.exit"}


def test_a_command_that_takes_too_long_is_seen(shop: Path) -> None:
    assert failing(shop, commands={"gate": {**SOUND["commands"]["gate"], "took": "1ms"}}) == {"tried.took"}


def test_a_command_that_is_not_there_or_does_not_end_says_nothing(shop: Path) -> None:
    with pytest.raises(CouldNotLook, match="could not run"):
        failing(shop, commands={"gate": {"run": "./gate.sh", "exit": ">0"}})
    with pytest.raises(CouldNotLook, match="not ended"):
        failing(shop, commands={"gate": {"run": "sleep 60", "timeout": "200ms", "exit": 0}})


_SKIPPED = 'name="test_recovers"><skipped/></testcase>'


@pytest.mark.parametrize(
    ("one", "other", "checks"),
    [
        ('<testcase classname="tests.test_limits" name="test_refuses"/>', "", {"test_report.tests"}),
        ('name="test_refuses"/>', 'name="test_refuses"><failure/></testcase>', {"test_report.failures"}),
        ('name="test_refuses"/>', 'name="test_refuses"><error/></testcase>', {"test_report.failures"}),
        (
            'name="test_recovers"/>',
            'name="test_recovers"><skipped/></testcase>',
            {"test_report.tests", "test_report.skipped"},
        ),
    ],
)
def test_what_the_tests_told_is_seen(shop: Path, one: str, other: str, checks: set[str]) -> None:
    assert one in JUNIT
    write(shop, {"reports/junit.xml": JUNIT.replace(one, other)})
    assert failing(shop, test_reports=SOUND["test_reports"]) == checks


def test_no_results_are_no_success(shop: Path) -> None:
    (shop / "reports/junit.xml").unlink()
    assert failing(shop, test_reports={"all": SOUND["test_reports"]["all"]}) == {
        f"test_report.{each}" for each in ("tests", "failures", "skipped", "age", "of_commit")
    }
    assert failing(shop, generated=SOUND["generated"]) == {
        f"generated.{each}" for each in ("count", "size", "age", "of_commit")
    }


def test_results_that_are_committed_are_no_news(shop: Path) -> None:
    commit(shop, {"reports/junit.xml": JUNIT})
    told = reasons({"path": str(shop), "test_reports": {"all": {"path": "reports/*.xml", "age": "1h"}}})
    assert "committed" in told["test_report.age @ shop:all"]


def test_old_results_are_seen(shop: Path) -> None:
    older(shop / "reports/junit.xml")
    older(shop / "coverage.xml")
    declared = {name: SOUND[name] for name in ("test_reports", "coverage", "generated")}
    areas = ("test_report", "coverage", "generated")
    assert failing(shop, **declared) == {f"{area}.{each}" for area in areas for each in ("age", "of_commit")}


@pytest.mark.parametrize(
    ("one", "other", "check"),
    [
        ('number="2" hits="3"', 'number="2" hits="0"', "coverage.lines"),
        ('branch-rate="0.5"', 'branch-rate="0.4"', "coverage.branches"),
        (' branch="true"', "", "coverage.branches"),
    ],
)
def test_coverage_that_sank_is_seen(shop: Path, one: str, other: str, check: str) -> None:
    assert one in COVERAGE
    write(shop, {"coverage.xml": COVERAGE.replace(one, other)})
    assert failing(shop, coverage=SOUND["coverage"]) == {check}


@pytest.mark.parametrize(
    "text", ["<testsuites><testcase", "<coverage/>", '<!DOCTYPE x [<!ENTITY a "b">]><testsuites/>']
)
def test_a_report_that_cannot_be_read_says_nothing(shop: Path, text: str) -> None:
    write(shop, {"reports/junit.xml": text})
    with pytest.raises(CouldNotLook):
        failing(shop, test_reports=SOUND["test_reports"])


def test_a_folder_that_is_no_checkout_says_nothing(tmp_path: Path) -> None:
    with pytest.raises(CouldNotLook, match="git can't tell"):
        failing(tmp_path, clean=True)


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ({"files": {"/etc/passwd": {"exists": True}}}, "no path inside"),
        ({"files": {"../x": {"exists": True}}}, "no path inside"),
        ({"workflows": {"x/ci.yml": {"exists": True}}}, "no file in .github/workflows"),
    ],
)
def test_a_name_that_cannot_be_is_refused(declared: dict[str, Any], told: str) -> None:
    wrong = [mistake.wrong for _, mistake in misnamed(Repository.model_validate(declared), "shop", ("repositories",))]
    assert told in wrong[0]


def test_a_branch_of_no_remote_is_refused() -> None:
    with pytest.raises(ValidationError, match="names no remote"):
        Repository.model_validate({"holds": {"main": True}})


def test_a_path_out_of_the_repository_is_refused() -> None:
    with pytest.raises(ValidationError, match="no path inside"):
        Repository.model_validate({"coverage": {"app": {"path": "../coverage.xml", "lines": 80}}})


def test_a_gate_says_go_and_no_go_and_never_the_secret(shop: Path, tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("inventory.yml", f"project: shop\nrepositories: {{shop: {{path: {shop}, leaks: 0}}}}\n")
    assert project.readygate("run").word == "GO"
    commit(shop, {"deploy.py": f"token = '{TOKEN}'\n"})
    ended = project.readygate("run")
    assert ended.word == "NO-GO"
    assert "deploy.py:1 a token of GitHub" in ended.stdout
    assert TOKEN not in ended.everything_written()
