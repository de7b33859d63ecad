"""The workflows of a repository, judged by what takes effect: a sound one, and one fault after the other in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from readygate.areas.repository.expressions import UNKNOWN, holds
from readygate.areas.repository.script import calls_of, commands_of, wanted_words
from readygate.areas.repository.triggers import passes, situation
from readygate.errors import CouldNotLook, Mistake
from tests.repositories import commit, committed, failing, reasons

SHA = "11bd71901bbe5b1630ceea73d27597364c9af683"
CI = f"""\
name: CI
on:
  push:
    branches: [main, develop, 'feature/*']
  pull_request:
    branches: [main, develop]
  schedule:
    - cron: '0 6 * * *'
  workflow_dispatch:
    inputs:
      version: {{description: Which, required: true}}
permissions:
  contents: read
concurrency: ${{{{ github.workflow }}}}-${{{{ github.ref }}}}
jobs:
  test:
    runs-on: ubuntu-latest
    timeout-minutes: 15
    strategy:
      matrix:
        python: ['3.11', '3.12', '3.13']
        os: [ubuntu, debian]
        exclude: [{{python: '3.11', os: debian}}]
    services:
      postgres:
        image: postgres:15-alpine
        ports: [5432:5432]
        options: >-
          --health-cmd pg_isready
          --health-interval 10s
          --health-timeout 5s
          --health-retries 5
    steps:
      - uses: actions/checkout@{SHA} # v4.2.2
        with: {{fetch-depth: 0}}
      - name: Look at the code
        run: |
          pip install black bandit
          poetry run black --check .
          bandit -r src/
      - run: pytest -m unit --maxfail=3 | tee test.log
        shell: bash
      - if: failure()
        uses: actions/upload-artifact@{SHA} # v4.6.2
        with: {{name: failure-logs, path: test.log}}
  deploy:
    if: github.ref == 'refs/heads/main' && github.event_name == 'push'
    needs: [test, build]
    runs-on: ubuntu-latest
    environment: {{name: production, url: https://shop.example}}
    permissions: {{contents: read, deployments: write}}
    steps:
      - run: ./deploy.sh
        env: {{TOKEN: "${{{{ secrets.DEPLOY_TOKEN }}}}", TITLE: "${{{{ github.event.head_commit.message }}}}"}}
  build:
    needs: test
    runs-on: ubuntu-latest
    steps: [{{run: make image}}]
  rollback:
    if: failure() && github.ref == 'refs/heads/main'
    needs: [deploy]
    runs-on: ubuntu-latest
    steps:
      - run: ./rollback.sh
      - if: always()
        run: ./tell.sh "rolled back"
"""
AFTER = """\
name: After CI
on: {workflow_run: {workflows: [CI], types: [completed], branches: [main]}}
jobs:
  follow:
    if: github.event.workflow_run.conclusion == 'success'
    runs-on: ubuntu-latest
    steps: [{run: make follow}]
"""
SOUND: dict[str, Any] = {
    "ci.yml": {
        "exists": True,
        "starts": {
            "push main": True,
            "push feature/prices": True,
            "push feature/prices/new": False,
            "push tag v1.4.2": False,
            "pull_request develop": True,
            "pull_request release": False,
            "schedule": True,
            "workflow_dispatch": True,
            "release": False,
        },
        "schedules": {"0 6 * * *": True},
        "inputs": ["version"],
        "job_count": 4,
        "permissions": {"contents": "read", "packages": "none", "deployments": "write"},
        "unpinned_actions": 0,
        "actions": {"actions/checkout": 4, "actions/upload-artifact": ">=4.6"},
        "one_at_a_time": True,
        "secrets": ["DEPLOY_TOKEN"],
        "secrets_in_scripts": 0,
        "injectable": 0,
        "jobs": {
            "test": {
                "when": ["push main", "pull_request main"],
                "exists": True,
                "blocks": True,
                "timeout": "15m",
                "matrix": {"python": ["3.11", "3.12", "3.13"]},
                "artifacts": ["failure-logs"],
                "services": {
                    "postgres": {
                        "image": "postgres:15-alpine",
                        "health_checked": True,
                        "health_interval": "10s",
                        "health_timeout": "5s",
                        "health_retries": 5,
                    }
                },
                "steps": {
                    "black --check": {"runs": True, "blocks": True},
                    "sast": {"run": "bandit -r", "blocks": True},
                    "pytest --maxfail=3": {"blocks": True, "script": {"-m unit": True}},
                    "checkout": {"uses": "actions/checkout", "inputs": {"fetch-depth": 0}},
                    "logs": {"uses": "actions/upload-artifact", "after_failure": True},
                },
            },
            "deploy": {
                "runs": {"push main": True, "push develop": False, "pull_request main": False, "schedule": False},
                "needs": {"contains": ["test", "build"]},
                "environment": "production",
                "environment_url": "https://shop.example",
            },
            "rollback": {
                "when": "push main",
                "failed": True,
                "runs": {"push main": False},
                "runs_after": ["deploy", "build", "test"],
                "steps": {"rollback.sh": {"runs": True, "blocks": True}},
            },
        },
    },
    "after.yml": {
        "after": ["CI"],
        "starts": {"workflow_run main": True, "workflow_run develop": False},
        "jobs": {"follow": {"runs": {"workflow_run main": True, "workflow_run main failed": False}}},
    },
}
PATHS = {"ci.yml": ".github/workflows/ci.yml", "after.yml": ".github/workflows/after.yml"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository") / "shop"
    return committed(root, {PATHS["ci.yml"]: CI, PATHS["after.yml"]: AFTER})


@pytest.fixture
def planted(shop: Path) -> Any:
    """Plants a fault: what stands in a workflow is replaced; afterwards all is as it was."""

    def plant(one: str, other: str, *, within: str = "ci.yml") -> Path:
        text = {"ci.yml": CI, "after.yml": AFTER}[within]
        assert one in text, one
        (shop / PATHS[within]).write_text(text.replace(one, other))
        return shop

    yield plant
    (shop / PATHS["ci.yml"]).write_text(CI)
    (shop / PATHS["after.yml"]).write_text(AFTER)


def test_sound_workflows_hold(shop: Path) -> None:
    assert not reasons({"path": str(shop), "workflows": SOUND})


FAULTS: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "workflow_faults.yml").read_text())


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_seen_by_its_own_checks(planted: Any, fault: str) -> None:
    told = FAULTS[fault]
    assert failing(planted(told["replace"], told["by"]), workflows=SOUND) == set(told["seen_by"])


@pytest.mark.parametrize(
    ("one", "other", "checks"),
    [
        ("workflows: [CI]", "workflows: [CI Pipeline]", {"workflow.after"}),
        ("branches: [main]", "branches: [master]", {"workflow.starts", "job.runs"}),
        ("    if: github.event.workflow_run.conclusion == 'success'\n", "", {"job.runs"}),
        ("types: [completed]", "types: [requested]", {"workflow.starts", "job.runs"}),
    ],
)
def test_a_workflow_that_follows_another_is_held_to_it(planted: Any, one: str, other: str, checks: set[str]) -> None:
    assert failing(planted(one, other, within="after.yml"), workflows=SOUND) == checks


def test_a_workflow_that_git_does_not_track_is_not_there(tmp_path: Path) -> None:
    root = committed(tmp_path / "shop", {"README.md": "Shop\n"})
    (root / ".github/workflows").mkdir(parents=True)
    (root / PATHS["ci.yml"]).write_text(CI)
    (root / PATHS["after.yml"]).write_text(AFTER)
    told = reasons({"path": str(root), "workflows": SOUND})
    sound = reasons({"path": str(root), "workflows": {"none.yml": SOUND["ci.yml"]}})
    assert len(told) > len(sound) > 40
    assert {each.partition(" @ ")[0] for each in sound} >= {
        "workflow.exists",
        "workflow.unpinned_actions",
        "job.needs",
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (CI.replace("  deploy:\n", "  test:\n"), "there twice"),
        (CI.replace("needs: test", "needs: tests"), "no job is called tests"),
        ("jobs: {test: {}}\n", "`on` and `jobs`"),
        ("on: push\njobs: {}\n", "`on` and `jobs`"),
        ("on: push\njobs: [\n", "line"),
    ],
)
def test_a_workflow_that_github_refuses_says_nothing(tmp_path: Path, text: str, told: str) -> None:
    root = committed(tmp_path / "shop", {PATHS["ci.yml"]: text})
    with pytest.raises(CouldNotLook, match=told):
        failing(root, workflows={"ci.yml": {"unpinned_actions": 0}})


def test_what_only_the_run_knows_is_not_guessed(planted: Any) -> None:
    job = {"test": {"steps": {"black --check": {"blocks": True}}}}
    with pytest.raises(CouldNotLook, match="only known at run time"):
        root = planted("      - name: Look at the code\n", "      - if: env.LINT == 'yes'\n")
        failing(root, workflows={"ci.yml": {"jobs": job}})
    with pytest.raises(CouldNotLook, match="only known at run time"):
        failing(
            planted("x", "x"), workflows={"ci.yml": {"jobs": {"deploy": {"steps": {"deploy.sh": {"blocks": True}}}}}}
        )


def test_a_filter_by_path_needs_files_that_change(planted: Any) -> None:
    root = planted("[main, develop, 'feature/*']\n", "[main]\n    paths: ['src/**', '!**/*.md']\n")
    with pytest.raises(CouldNotLook, match="changed files"):
        failing(root, workflows={"ci.yml": {"starts": {"push main": True}}})
    for changing, starts in {("src/app.py",): True, ("src/notes.md",): False, ("docs/x", "src/a/b.py"): True}.items():
        assert not failing(root, workflows={"ci.yml": {"changing": list(changing), "starts": {"push main": starts}}})


@pytest.mark.parametrize(
    ("patterns", "name", "matches"),
    [
        (["feature/*"], "feature/a", True),
        (["feature/*"], "feature/a/b", False),
        (["feature/**"], "feature/a/b", True),
        (["*"], "feature/a", False),
        (["**"], "feature/a", True),
        (["v[0-9]+.[0-9]+"], "v12.3", True),
        (["v[0-9]+.[0-9]+"], "v12x3", False),
        (["v*"], "v1.2.3-rc1", True),
        (["releases/**", "!releases/**-alpha"], "releases/10-alpha", False),
        (["releases/**", "!releases/**-alpha", "releases/1-alpha"], "releases/1-alpha", True),
        (["!main"], "develop", False),
        (["**/README.md"], "README.md", True),
        (["docs/*.jsx?"], "docs/a.js", True),
        (["dependabot/**"], "dependabot", False),
    ],
)
def test_patterns_match_as_at_github(patterns: list[str], name: str, matches: bool) -> None:
    assert passes(patterns, name) is matches


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("github.ref == 'refs/heads/main'", True),
        ("GITHUB.ref", None),
        ("github.event_name != 'PUSH'", False),
        ("startsWith(github.ref, 'refs/tags/') || contains(github.ref, 'MAIN')", True),
        ("!(github.ref_type == 'tag')", True),
        ('contains(fromJSON(\'["main", "develop"]\'), github.ref_name)', True),
        ("inputs.skip == 'true'", None),
        ("inputs.skip && false", False),
        ("inputs.skip || github.event_name == 'push'", True),
        ("success()", True),
        ("failure()", False),
        ("always() && !cancelled()", True),
        ("${{ false }}", False),
        ("${{ false }} == true", True),
        ("''", False),
        ("'false'", True),
        ("github.event.pull_request.draft == false", None),
    ],
)
def test_expressions_hold_as_at_github(condition: str, told: bool | None) -> None:
    expected = UNKNOWN if told is None else told
    assert holds(condition, situation("push main").context) is expected


@pytest.mark.parametrize("condition", ["github.ref ==", "(a", "a b", "contains('x')", "a ? b : c"])
def test_what_is_no_expression_says_nothing(condition: str) -> None:
    with pytest.raises(CouldNotLook):
        holds(condition, {"a": 1})


@pytest.mark.parametrize(
    ("script", "runs", "blocks"),
    [
        ("black --check .", True, True),
        ("set -o pipefail\nblack --check . | tee log\necho", True, True),
        ('if [ -z "$X" ]; then exit 0; fi\nblack --check .', True, False),
        ('[ -z "$X" ] && exit 0\nblack --check .', True, False),
        ("test -f setup.cfg || exit 1\nblack --check .", True, True),
        ("black --check . && echo well", True, True),
        ("black --check . && echo well\necho done", True, False),
        ("black --check . || { echo bad; exit 1; }", True, True),
        ("black --check . || exit 0", True, False),
        ("for each in a b; do\n  black --check $each\ndone", True, True),
        ("if ! black --check .; then echo bad; fi", True, False),
        ("case $X in\n  a) black --check . ;;\nesac", True, False),
        ("{ black --check .; } || true", True, False),
        ("(cd src && black --check .)", True, True),
        ("lint() { black --check .; }\necho", False, False),
        ("black --check . &\nwait", True, False),
        ("uv run --frozen python -m black \\\n  --check src", True, True),
    ],
)
def test_a_script_is_read_as_the_shell_reads_it(script: str, runs: bool, blocks: bool) -> None:
    (call,) = calls_of(commands_of(script, None) or (), wanted_words("black --check"))
    assert (call.runs, call.blocks) == (runs, blocks), call.reason


@pytest.mark.parametrize(
    "script",
    [
        "cat <<EOF\nblack --check .\nEOF\n",
        "black .",
        "black --version --check",
        "x=$(black --check .)",
        "echo 'black --check'",
    ],
)
def test_what_only_mentions_a_tool_does_not_call_it(script: str) -> None:
    assert not list(calls_of(commands_of(script, None) or (), wanted_words("black --check")))


@pytest.mark.parametrize("text", ["pushes main", "push", "push feature/*", "push main now"])
def test_a_situation_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(Mistake):
        situation(text)


@pytest.mark.parametrize("matrix", ["${{ fromJSON(inputs.all) }}", "{include: '${{ fromJSON(inputs.all) }}'}"])
def test_a_matrix_that_an_expression_makes_is_not_guessed(tmp_path: Path, matrix: str) -> None:
    text = f"on: push\njobs:\n  test:\n    strategy:\n      matrix: {matrix}\n    steps: [{{run: make}}]\n"
    root = committed(tmp_path / "shop", {PATHS["ci.yml"]: text})
    assert not failing(root, workflows={"ci.yml": {"jobs": {"test": {"steps": {"make": {"blocks": True}}}}}})
    with pytest.raises(CouldNotLook, match="an expression makes the matrix"):
        failing(root, workflows={"ci.yml": {"jobs": {"test": {"matrix": {"python": ["3.12"]}}}}})


def test_another_repository_is_another_truth(tmp_path: Path) -> None:
    root = committed(tmp_path / "shop", {PATHS["ci.yml"]: CI})
    assert not failing(root, workflows={"ci.yml": {"one_at_a_time": True}})
    commit(root, {PATHS["ci.yml"]: CI.replace("concurrency: ", "x-was: ")})
    assert failing(root, workflows={"ci.yml": {"one_at_a_time": True}}) == {"workflow.one_at_a_time"}


DEPLOY = "    concurrency: deploy-${{ github.ref }}\n    steps: [{run: make}]\n"


@pytest.mark.parametrize(
    ("jobs", "holds"),
    [
        (f"  one:\n{DEPLOY}  two:\n{DEPLOY}", True),
        (f"  one:\n{DEPLOY}  two: {{steps: [{{run: make}}]}}\n", False),
        (f"  one:\n{DEPLOY.replace('github.ref', 'github.run_id')}", False),
    ],
)
def test_jobs_that_are_each_in_a_group_do_not_overlap(tmp_path: Path, jobs: str, holds: bool) -> None:
    root = committed(tmp_path / "shop", {PATHS["ci.yml"]: f"on: push\njobs:\n{jobs}"})
    failed = failing(root, workflows={"ci.yml": {"one_at_a_time": True}})
    assert failed == (set() if holds else {"workflow.one_at_a_time"})


CALLER = """\
on: issues
jobs:
  greet:
    steps:
      - uses: ./.github/actions/greet
        with: {title: "Hi ${{ github.event.issue.title }}", token: "${{ secrets.CHAT_TOKEN }}", plain: hello}
"""
GREET = """\
inputs: {title: {}, token: {}, plain: {default: none}}
runs:
  using: composite
  steps:
    - {uses: actions/checkout@SHA, with: {ref: main}}
    - {run: 'echo "${{ inputs.plain }}"', shell: bash}
    - uses: ./.github/actions/say
      with: {text: "${{ inputs.title }}", key: "${{ inputs['token'] }}"}
"""
SAY = """\
inputs: {text: {}, key: {}}
runs:
  using: composite
  steps:
    - run: chat --say "$TEXT"
      env: {TEXT: "${{ inputs.text }}", KEY: "${{ inputs.key }}"}
      shell: bash
"""
GUARDED = {
    "unpinned_actions": 0,
    "secrets_in_scripts": 0,
    "injectable": 0,
    "actions": {"actions/checkout": 4},
}


def own_actions(tmp_path: Path, **changed: str) -> Path:
    greet, say = changed.get("greet", GREET), changed.get("say", SAY)
    files = {
        PATHS["ci.yml"]: CALLER,
        ".github/actions/greet/action.yml": greet.replace("SHA, with", f"{SHA}, with"),
        ".github/actions/say/action.yaml": say,
    }
    return committed(tmp_path / "shop", {path: text for path, text in files.items() if text})


def test_sound_actions_of_the_repository_hold(tmp_path: Path) -> None:
    greet = GREET.replace(
        "    - {uses: actions/checkout@SHA, with: {ref: main}}", "    - uses: actions/checkout@SHA # v4.2.2"
    )
    assert not failing(own_actions(tmp_path, greet=greet.replace("SHA", SHA)), workflows={"ci.yml": GUARDED})


@pytest.mark.parametrize(
    ("changed", "checks"),
    [
        ({"greet": GREET.replace("@SHA", "@v4")}, {"workflow.unpinned_actions"}),
        ({"greet": GREET.replace("@SHA", "@v3")}, {"workflow.unpinned_actions", "workflow.actions"}),
        ({"say": SAY.replace('"$TEXT"', '"${{ inputs.text }}"')}, {"workflow.injectable"}),
        ({"say": SAY.replace('"$TEXT"', "-k ${{ inputs.key }} hello")}, {"workflow.secrets_in_scripts"}),
        ({"greet": GREET.replace("inputs.plain", "github.head_ref")}, {"workflow.injectable"}),
    ],
)
def test_actions_of_the_repository_are_followed(tmp_path: Path, changed: dict[str, str], checks: set[str]) -> None:
    guarded = {name: value for name, value in GUARDED.items() if f"workflow.{name}" in checks or name != "actions"}
    assert failing(own_actions(tmp_path, **changed), workflows={"ci.yml": guarded}) == checks


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"say": ""}, "./.github/actions/say is not in this repository"),
        ({"say": "runs: [\n"}, "GitHub would not run .github/actions/say/action.yaml"),
        ({"say": "name: say\n"}, "its parts are not what GitHub wants"),
        ({"say": SAY.replace("    - run:", "    - uses: ./.github/actions/say\n    - run:")}, "uses itself"),
    ],
)
def test_an_action_that_can_not_be_read_says_nothing(tmp_path: Path, changed: dict[str, str], told: str) -> None:
    with pytest.raises(CouldNotLook, match=re.escape(told)):
        failing(own_actions(tmp_path, **changed), workflows={"ci.yml": {"injectable": 0}})
