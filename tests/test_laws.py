"""The seven laws: each test here fails when its law is broken."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.projects import Project

INVENTORY = """\
    project: laws
    servers:
      here:
        connect: local://
        files:
          {folder}/secret.env: {{mode: "0600", exists: true}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    made.write("secret.env", "KEY=value\n").chmod(0o600)
    made.write("inventory.yml", INVENTORY.format(folder=tmp_path))
    return made


def own_suite(project: Project, body: str) -> None:
    """A suite of the user's own with data under an x- key."""
    text = (project.folder / "inventory.yml").read_text()
    (project.folder / "inventory.yml").write_text(text + "x-payments: {kaspi: {settles: true}}\n")
    project.write("suites/test_payments.py", body)


PAYMENTS = """\
    import pytest

    @pytest.mark.check("payments.settled", each="x-payments.*")
    def test_settled(expected):
        '''Money that does not settle is lost.'''
        assert expected["settles"] is True
"""


# 1. Never fail open.


def test_what_an_interrupted_run_did_not_reach_is_told_as_that(project: Project) -> None:
    own_suite(project, PAYMENTS.replace("assert", "raise KeyboardInterrupt; assert"))
    ended = project.readygate("run")
    assert ended.code == 130
    (unseen,) = [each for each in ended.run["results"] if each["path"].startswith("x-payments")]
    assert (unseen["outcome"], unseen["mend"]) == ("not_run", "run it again to the end")


def test_what_is_met_is_go(project: Project) -> None:
    ended = project.readygate("run")
    assert (ended.code, ended.word) == (0, "GO")


def test_what_is_not_met_is_no_go_with_the_line_of_the_inventory(project: Project) -> None:
    (project.folder / "secret.env").chmod(0o644)
    ended = project.readygate("run")
    assert (ended.code, ended.word) == (1, "NO-GO")
    assert "inventory.yml:6" in ended.stdout
    assert "0644" in ended.stdout


def test_an_unreachable_server_is_incomplete_and_named_once(project: Project) -> None:
    project.write("inventory.yml", INVENTORY.format(folder="").replace("local://", "docker://no-such-container"))
    ended = project.readygate("run")
    assert (ended.code, ended.word) == (3, "INCOMPLETE")
    assert {each["outcome"] for each in ended.run["results"]} == {"error"}
    assert len({each["cause"] for each in ended.run["results"]}) == 1


def test_a_skipped_test_is_not_a_pass(project: Project) -> None:
    own_suite(project, PAYMENTS.replace("assert", "pytest.skip('not today'); assert"))
    ended = project.readygate("run")
    assert (ended.code, ended.result("payments.settled")["outcome"]) == (3, "not_run")
    assert "not today" in ended.stdout


def test_a_test_marked_skip_is_not_a_pass(project: Project) -> None:
    own_suite(project, PAYMENTS.replace("    @pytest", "    @pytest.mark.skip(reason='later')\n    @pytest"))
    assert project.readygate("run").code == 3


def test_an_expected_failure_is_a_failure(project: Project) -> None:
    body = PAYMENTS.replace("    @pytest", "    @pytest.mark.xfail(reason='known')\n    @pytest")
    own_suite(project, body.replace("is True", "is False"))
    assert project.readygate("run").code == 1


def test_a_crashed_fixture_is_incomplete(project: Project) -> None:
    fixture = "    import pytest\n\n    @pytest.fixture\n    def gateway():\n        raise OSError('no gateway')\n"
    own_suite(project, fixture + PAYMENTS.replace("(expected)", "(expected, gateway)"))
    ended = project.readygate("run")
    assert (ended.code, ended.result("payments.settled")["outcome"]) == (3, "error")
    assert "no gateway" in ended.stdout


def test_a_crash_in_the_test_is_incomplete(project: Project) -> None:
    own_suite(project, PAYMENTS.replace('expected["settles"]', 'expected["no such key"]'))
    assert project.readygate("run").code == 3


def test_a_suite_that_asks_for_what_is_no_more_is_told_as_that(project: Project) -> None:
    own_suite(project, PAYMENTS.replace('expected["settles"]', "expected.settles"))
    ended = project.readygate("run")
    assert (ended.code, ended.result("payments.settled")["outcome"]) == (3, "error")
    assert ended.result("payments.settled")["mend"].endswith("is seen by `readygate init --diff`")


def test_a_test_that_hangs_is_incomplete(project: Project) -> None:
    hang = PAYMENTS.replace("assert", "import time; time.sleep(60); assert")
    own_suite(project, hang)
    ended = project.readygate("run", "--", "--timeout=1")
    assert (ended.code, ended.result("payments.settled")["outcome"]) == (3, "error")
    assert "no answer in time" in ended.stdout


def test_a_timeout_that_would_ring_within_pytest_is_refused(project: Project) -> None:
    ended = project.readygate("run", "--", "--timeout=0.001")
    assert ended.code == 2
    assert "--timeout: no check is known to hang in less than 1 s" in ended.stdout + ended.stderr


def test_a_suite_that_can_not_be_imported_is_incomplete(project: Project) -> None:
    own_suite(project, PAYMENTS)
    project.write("suites/test_broken.py", "import no_such_module\n")
    ended = project.readygate("run")
    assert (ended.code, ended.word) == (3, "INCOMPLETE")
    assert "no_such_module" in ended.stdout


def test_an_environment_that_does_not_come_up_is_incomplete(project: Project) -> None:
    text = (project.folder / "inventory.yml").read_text()
    project.write("inventory.yml", text + "lifecycle: {up: 'echo no space left; exit 7'}\n")
    ended = project.readygate("run")
    assert ended.code == 3
    assert "no space left" in ended.stdout


def test_a_killed_run_leaves_the_truth_so_far_and_never_a_go(project: Project) -> None:
    assert project.readygate("run").word == "GO"
    own_suite(project, PAYMENTS.replace("assert", "import time; time.sleep(60); assert"))
    command = [sys.executable, "-m", "readygate", "run"]
    running = subprocess.Popen(command, cwd=project.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal = project.folder / "readygate-out" / "results.journal"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not (journal.exists() and len(journal.read_text().splitlines()) == 2):
        time.sleep(0.05)
    running.send_signal(signal.SIGKILL)
    running.wait()
    ended = project.readygate("report")
    assert ended.code == 3
    assert "did not come to its end" in ended.stdout
    assert not (project.folder / "readygate-out" / "report.html").read_text().count(">GO<")


def test_an_interrupted_run_keeps_what_it_saw_and_is_never_go(project: Project) -> None:
    own_suite(project, PAYMENTS.replace("assert", "raise KeyboardInterrupt; assert"))
    (project.folder / "suites" / "test_payments.py").rename(project.folder / "suites" / "test_zebra.py")
    ended = project.readygate("run")
    assert (ended.code, ended.word) == (130, "INCOMPLETE")
    assert ended.result("file.mode")["outcome"] == "passed"


# 2. Every declared line is accounted for.


def test_a_selection_can_not_make_a_run_greener(project: Project) -> None:
    (project.folder / "secret.env").chmod(0o644)
    ended = project.readygate("run", "--", "-k", "exists")
    assert (ended.code, ended.word) == (3, "INCOMPLETE")
    assert ended.result("file.mode")["outcome"] == "not_run"
    assert "inventory.yml:6" in ended.stdout


def test_deleting_the_suite_of_declared_data_is_incomplete(project: Project) -> None:
    own_suite(project, PAYMENTS)
    assert project.readygate("run").word == "GO"
    (project.folder / "suites" / "test_payments.py").unlink()
    ended = project.readygate("run")
    assert (ended.code, ended.word) == (3, "INCOMPLETE")
    assert "no suite verifies it" in ended.stdout
    assert "inventory.yml:7" in ended.stdout


def test_a_project_with_only_other_suites_is_incomplete_under_plain_pytest(project: Project) -> None:
    own_suite(project, PAYMENTS)
    ended = project.pytest("suites")
    assert (ended.code, ended.word) == (3, "INCOMPLETE")
    assert ended.result("file.mode")["message"] == "no suite verifies it"


def test_stopping_at_the_first_failure_leaves_the_rest_named(project: Project) -> None:
    own_suite(project, PAYMENTS)
    (project.folder / "secret.env").unlink()
    ended = project.readygate("run", "--", "-x", "-p", "no:randomly")
    assert ended.code == 1
    assert "not_run" in {each["outcome"] for each in ended.run["results"]}


# 3. A check that can't fail is refused.


@pytest.mark.parametrize(
    "line",
    [
        "files: {/etc/passwd: {}}",
        "files: {}",
        "files: {/etc/passwd: {owner: '~ .*'}}",
        "files: {/etc/passwd: {owner: []}}",
    ],
)
def test_what_could_not_fail_is_refused(project: Project, line: str) -> None:
    project.write("inventory.yml", f"project: laws\nservers:\n  here:\n    connect: local://\n    {line}\n")
    ended = project.readygate("run")
    assert ended.code == 2
    assert ended.stderr.startswith("inventory.yml:5:")
    assert not (project.folder / "readygate-out").exists()


def test_a_test_without_an_assertion_is_refused(project: Project) -> None:
    own_suite(project, PAYMENTS.replace("assert expected", "print(expected)#"))
    ended = project.readygate("run")
    assert (ended.code, ended.result("payments.settled")["outcome"]) == (3, "error")
    assert "asserts nothing" in ended.stdout


def test_a_misspelt_check_id_is_refused(project: Project) -> None:
    own_suite(project, PAYMENTS.replace('"payments.settled", each="x-payments.*"', '"file.mod"'))
    ended = project.readygate("run")
    assert ended.code == 2
    assert "did you mean 'file.mode'?" in ended.stdout + ended.stderr


# 5. Read-only unless told.


def test_looking_changes_nothing(project: Project) -> None:
    before = {path: path.stat() for path in project.folder.rglob("*")}
    project.readygate("run", "--", "-p", "no:cacheprovider")
    ours = {"readygate-out", ".readygate"}
    after = {path: path.stat() for path in project.folder.rglob("*") if not ours & set(path.parts)}
    assert {p: (s.st_mtime_ns, s.st_mode, s.st_size) for p, s in before.items() if p != project.folder} == {
        p: (s.st_mtime_ns, s.st_mode, s.st_size) for p, s in after.items() if p != project.folder
    }


# 6. Secrets never leave.


CANARY = "canary-4f1c-hunter2"


@pytest.mark.parametrize(
    "body",
    [
        "assert os.environ['PAY_TOKEN'] == 'other'",
        "raise RuntimeError(os.environ['PAY_TOKEN'])",
        "print(os.environ['PAY_TOKEN']); assert False",
        "import logging; logging.error(os.environ['PAY_TOKEN']); assert False",
        "pytest.skip(os.environ['PAY_TOKEN'])",
    ],
)
def test_a_secret_appears_in_no_output(project: Project, body: str) -> None:
    own_suite(project, PAYMENTS.replace('assert expected["settles"] is True', f"import os; {body}"))
    text = (project.folder / "inventory.yml").read_text()
    project.write("inventory.yml", text + "x-token: {value: '${PAY_TOKEN}'}\n")
    ended = project.readygate(
        "run", "--", "-v", "-rA", "--tb=long", "--showlocals", "--show-capture=all", PAY_TOKEN=CANARY
    )
    assert ended.code in (1, 3)
    assert CANARY not in ended.everything_written()
    plain = project.pytest("suites", "--junitxml=readygate-out/theirs.xml", "-rA", "-l", PAY_TOKEN=CANARY)
    assert CANARY not in plain.everything_written()


def test_a_secret_in_an_error_of_the_inventory_is_not_shown(project: Project) -> None:
    text = (project.folder / "inventory.yml").read_text()
    project.write("inventory.yml", text.replace('"0600"', '"${PAY_TOKEN}"'))
    ended = project.readygate("run", PAY_TOKEN=CANARY)
    assert ended.code == 2
    assert CANARY not in ended.stdout + ended.stderr


# 7. One identity.


def test_an_identity_does_not_depend_on_where_or_how_the_suites_ran(project: Project) -> None:
    own_suite(project, PAYMENTS)
    first = {(each["check"], each["target"]) for each in project.readygate("run").run["results"]}
    second = {(each["check"], each["target"]) for each in project.readygate("run", "--", "-n", "2").run["results"]}
    assert first == second
    assert ("payments.settled", "kaspi") in first
    assert not any("::" in part for identity in first for part in identity)
