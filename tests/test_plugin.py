"""pytest as an engineer expects it, in a project that is gated: every habit works, and none makes a run greener."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.projects import Ended, Project

ROOT = Path(__file__).parent.parent

INVENTORY = """\
project: desk
servers:
  here:
    connect: local://
    files:
      {folder}/one: {{exists: true}}
      {folder}/two: {{exists: true, mode: "0600"}}
environments:
  staging: {{servers: {{here: {{files: {{{folder}/two: {{mode: "0644"}}}}}}}}}}
"""

SUITE = """\
import pytest

@pytest.mark.check("file.exists")
def test_exists(file, actual_file):
    '''What is not there can't be used.'''
    assert actual_file.exists in file.exists

@pytest.mark.check("file.mode")
def test_mode(file, actual_file):
    '''Secrets are for their owner.'''
    assert actual_file.mode in file.mode
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    for name in ("one", "two"):
        made.write(name, "x\n").chmod(0o600)
    made.write("inventory.yml", INVENTORY.format(folder=tmp_path))
    made.write("suites/test_files.py", SUITE)
    return made


def outcomes(ended: Ended) -> dict[str, str]:
    """By check and the last part of the target."""
    return {f"{each['check']} {Path(each['target']).name}": each["outcome"] for each in ended.run["results"]}


ALL_PASSED = {"file.exists one": "passed", "file.exists two": "passed", "file.mode two": "passed"}


def test_leaving_out_every_line_is_no_go_whatever_else_passes(project: Project) -> None:
    project.write("reports/release.yml", 'question: May it?\nleave_out: [{check: "*", reason: later}]\n')
    project.write("suites/test_plain.py", "def test_fine():\n    assert 1 + 1 == 2\n")
    ended = project.pytest("suites")
    assert (ended.code, ended.word) == (3, "INCOMPLETE")
    assert "release leaves out every line of the inventory" in ended.stdout


# Ways to run it.


@pytest.mark.parametrize(
    "arguments", [["suites"], ["."], ["suites/test_files.py"], ["-n", "2", "suites"], ["-v", "suites"]]
)
def test_the_whole_gives_the_verdict(project: Project, arguments: list[str]) -> None:
    ended = project.pytest(*arguments)
    assert (ended.code, ended.word) == (0, "GO")
    assert outcomes(ended) == ALL_PASSED
    assert "GO" in ended.stdout


def test_a_failure_is_no_go_also_among_workers(project: Project) -> None:
    (project.folder / "two").chmod(0o640)
    for arguments in ([], ["-n", "2"]):
        ended = project.pytest("suites", *arguments)
        assert (ended.code, ended.word) == (1, "NO-GO")
        assert ended.result("file.mode")["actual"] == "0640"


def test_node_ids_name_the_target_and_can_be_asked_for(project: Project) -> None:
    listed = project.pytest("suites", "--collect-only", "-q")
    node = f"suites/test_files.py::test_mode[here:{project.folder}/two]"
    assert node in listed.stdout.splitlines()
    ended = project.pytest("--desk", node)
    assert ended.code == 0
    assert "1 passed" in ended.stdout


@pytest.mark.parametrize("name", ["backup", "actual_fil"])
def test_what_nothing_is_called_is_told(name: str, project: Project) -> None:
    """A noun of which nothing is declared, and a slip."""
    project.write("suites/test_plain.py", f"def test_fine({name}):\n    assert {name}\n")
    ended = project.pytest("suites")
    assert (ended.code, ended.word) == (3, "INCOMPLETE")
    assert ended.result("plain.fine")["message"].startswith(f"the test wants '{name}', which is neither a fixture")


def test_collecting_looks_at_nothing_and_leaves_the_results_alone(project: Project) -> None:
    ended = project.pytest("suites", "--collect-only")
    assert ended.code == 0
    assert not (project.folder / "readygate-out").exists()
    assert "readiness" not in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "left_out"),
    [
        (["suites", "-k", "exists"], {"file.mode two"}),
        (["suites/test_files.py", "-k", "mode"], {"file.exists one", "file.exists two"}),
        (["suites", "--deselect", "suites/test_files.py::test_mode"], {"file.mode two"}),
        (["suites/test_files.py::test_mode"], {"file.exists one", "file.exists two"}),
    ],
)
def test_a_selection_is_incomplete_and_names_what_it_left_out(
    project: Project, arguments: list[str], left_out: set[str]
) -> None:
    ended = project.pytest(*arguments)
    assert (ended.code, ended.word) == (3, "INCOMPLETE")
    assert {check for check, outcome in outcomes(ended).items() if outcome == "not_run"} == left_out


def test_at_a_desk_a_selection_ends_as_plain_pytest_does(project: Project) -> None:
    ended = project.pytest("suites", "-k", "exists", "--desk")
    assert (ended.code, ended.word) == (0, "INCOMPLETE")
    assert "INCOMPLETE" in ended.stdout
    (project.folder / "one").unlink()
    assert project.pytest("suites", "-k", "exists", "--desk").code == 1


def test_only_the_last_failures_are_run_again_and_the_rest_is_named(project: Project) -> None:
    (project.folder / "two").chmod(0o640)
    assert project.pytest("suites").code == 1
    (project.folder / "two").chmod(0o600)
    ended = project.pytest("suites", "--lf")
    assert (ended.code, ended.word) == (3, "INCOMPLETE")
    assert outcomes(ended) == {"file.exists one": "not_run", "file.exists two": "not_run", "file.mode two": "passed"}


@pytest.mark.parametrize("arguments", [["suites", "--lf"], ["suites", "--ignore=suites/test_modes.py"]])
def test_what_was_not_even_collected_is_told_as_left_out(project: Project, arguments: list[str]) -> None:
    exists, mode = SUITE.split("\n\n")[1:]
    project.write("suites/test_files.py", f"import pytest\n\n{exists}\n")
    project.write("suites/test_modes.py", f"import pytest\n\n{mode}")
    (project.folder / "one").unlink()
    project.pytest("suites")
    ended = project.pytest(*arguments)
    for each in (each for each in ended.run["results"] if each["outcome"] == "not_run"):
        assert each["message"] == "left out by the selection of this run"
        assert each["mend"] == "run without -k, -m, --lf, --deselect, --ignore or a path"
    assert ended.result("file.mode")["outcome"] == "not_run"


def test_stopping_at_the_first_failure_is_still_no_go(project: Project) -> None:
    (project.folder / "one").unlink()
    ended = project.pytest("suites", "-x")
    assert (ended.code, ended.word) == (1, "NO-GO")
    assert outcomes(ended)["file.mode two"] == "not_run"


def test_an_environment_is_merged_over_the_inventory(project: Project) -> None:
    ended = project.pytest("suites", "--env", "staging")
    assert ended.code == 1
    assert ended.run["subject"]["environment"] == "staging"
    assert "0644" in ended.result("file.mode")["expected"]


def test_junit_of_pytest_itself_is_written(project: Project) -> None:
    ended = project.pytest("suites", "--junitxml=theirs.xml")
    assert ended.code == 0
    (suite,) = ET.parse(project.folder / "theirs.xml").getroot()
    assert suite.attrib["tests"] == "3"


def test_a_debugger_can_be_entered_and_left(project: Project) -> None:
    (project.folder / "two").chmod(0o640)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:locust", "suites", "--pdb"],
        cwd=project.folder,
        input="q\n",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "(Pdb)" in done.stdout
    assert "INTERNALERROR" not in done.stdout + done.stderr
    assert done.returncode not in (0, 70)
    assert Ended(done.returncode, done.stdout, done.stderr, project.folder).word != "GO"


def test_an_expectation_is_explained_in_its_own_words(project: Project) -> None:
    (project.folder / "two").chmod(0o640)
    ended = project.pytest("suites")
    assert "E " in ended.stdout
    assert "0640" in ended.stdout
    assert "0600" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--env", "nowhere"], "no environment is called 'nowhere'; environments are: staging"),
        (["--profile", "releese"], "no report profile is called 'releese'; did you mean 'release'?"),
        (["--inventory", "missing.yml"], "missing.yml: does not exist"),
    ],
)
def test_what_can_not_be_used_is_one_line_and_no_traceback(project: Project, arguments: list[str], said: str) -> None:
    ended = project.pytest("suites", *arguments)
    assert ended.code == 4
    assert said in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert not (project.folder / "readygate-out").exists()


# Staying out of the way.


def unit_test(project: Project) -> None:
    project.write("tests/test_unit.py", "def test_unit():\n    assert 1 + 1 == 2\n")


def is_plain(ended: Ended) -> bool:
    return ended.code == 0 and "readiness" not in ended.stdout and not (ended.folder / "readygate-out").exists()


def test_without_an_inventory_pytest_is_as_ever(project: Project) -> None:
    unit_test(project)
    (project.folder / "inventory.yml").unlink()
    assert is_plain(project.pytest("tests"))


@pytest.mark.parametrize(
    "theirs",
    [
        "all:\n  hosts:\n    app-1:\n      ansible_host: 203.0.113.7\n  children:\n    web: {hosts: {app-1: null}}\n",
        "webservers:\n  hosts: {app-1: {project: shop}}\n",
        "- hosts: all\n",
        "",
        "project\n",
    ],
)
def test_the_inventory_of_another_tool_is_left_alone(project: Project, theirs: str) -> None:
    unit_test(project)
    project.write("inventory.yml", theirs)
    shutil.rmtree(project.folder / "suites")
    assert is_plain(project.pytest())


def test_a_session_about_other_tests_is_no_gate(project: Project) -> None:
    unit_test(project)
    assert is_plain(project.pytest("tests"))
    assert is_plain(project.pytest("tests/test_unit.py::test_unit"))


def test_a_run_of_everything_is_a_gate(project: Project) -> None:
    unit_test(project)
    ended = project.pytest()
    assert (ended.code, ended.word) == (0, "GO")
    assert outcomes(ended)["unit.unit desk"] == "passed"


def test_from_a_folder_below_the_suites_are_found_too(project: Project) -> None:
    inside = Project(project.folder / "suites")
    project.write("pytest.ini", "[pytest]\n")
    ended = inside.pytest("test_files.py")
    assert ended.code == 0
    assert (project.folder / "readygate-out" / "results.json").exists()


# Suites of the user's own.

PLAIN = """\
import pytest

class TestPasswd:
    def test_is_a_file(self, host):
        assert host.file("/etc/passwd").is_file

@pytest.mark.parametrize("name", ["one", "two"])
def test_belongs_to_root(host, name):
    assert host.file(f"{FOLDER}/{name}").user == "root"

def test_without_a_host():
    assert True
"""


def plain_suite(project: Project, body: str) -> None:
    project.write("suites/test_plain.py", f"FOLDER = {str(project.folder)!r}\n{textwrap.dedent(body)}")


def test_a_plain_testinfra_suite_runs_on_every_server_and_counts(project: Project) -> None:
    text = (project.folder / "inventory.yml").read_text()
    project.write(
        "inventory.yml",
        text.replace("servers:\n", "servers:\n  also: {connect: 'local://', memory: {available: 1M}}\n", 1),
    )
    plain_suite(project, PLAIN)
    ended = project.readygate("run")
    assert (ended.code, ended.word) == (0, "GO"), ended.stdout
    assert {
        (each["check"], each["target"]) for each in ended.run["results"] if each["check"].startswith("plain.")
    } == {
        *(("plain.is_a_file", server) for server in ("here", "also")),
        *(("plain.belongs_to_root", f"{server}-{name}") for server in ("here", "also") for name in ("one", "two")),
        ("plain.without_a_host", "desk"),
    }
    plain_suite(project, PLAIN.replace('== "root"', '== "nobody"'))
    ended = project.readygate("run")
    assert (ended.code, ended.word) == (1, "NO-GO")


def test_a_module_that_names_its_hosts_is_run_on_these(project: Project) -> None:
    plain_suite(project, "testinfra_hosts = ['docker://no-such-container']\n" + PLAIN)
    ended = project.readygate("run")
    assert (ended.code, ended.word) == (3, "INCOMPLETE")
    assert ended.result("plain.is_a_file")["target"] == "docker://no-such-container"
    plain_suite(project, "testinfra_hosts = ['here']\n" + PLAIN)
    assert project.readygate("run").word == "GO"


def test_without_a_server_the_host_is_never_this_machine(project: Project) -> None:
    project.write("inventory.yml", "project: desk\nx-anything: {here: true}\n")
    shutil.rmtree(project.folder / "suites")
    marker = project.folder / "was-here"
    plain_suite(
        project,
        f"""
        import pytest

        def test_touches(host):
            host.run("touch {marker}")
            assert True

        @pytest.mark.check("anything.here", each="x-anything")
        def test_here(expected, host):
            host.run("touch {marker}")
            assert expected
        """,
    )
    ended = project.readygate("run")
    assert (ended.code, ended.word) == (3, "INCOMPLETE")
    assert {each["outcome"] for each in ended.run["results"]} == {"error"}
    assert "connect: local://" in ended.stdout
    assert not marker.exists()


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "workers"])
def test_a_test_that_was_left_out_counts_though_no_line_asks_for_it(project: Project, workers: list[str]) -> None:
    plain_suite(project, "def test_fails():\n    assert False\n")
    ended = project.readygate("run", "--", "-k", "not fails", *workers)
    assert (ended.code, ended.word) == (3, "INCOMPLETE")
    left_out = ended.result("plain.fails")
    assert (left_out["outcome"], left_out["message"]) == ("not_run", "left out by the selection of this run")
    assert left_out["suite"] == "suites/test_plain.py:2"


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "workers"])
def test_a_suite_that_leaves_itself_out_is_incomplete(project: Project, workers: list[str]) -> None:
    plain_suite(project, "import pytest\npytest.importorskip('no_such_tool')\ndef test_fails():\n    assert False\n")
    ended = project.readygate("run", "--", *workers)
    assert (ended.code, ended.word) == (3, "INCOMPLETE")
    assert len(ended.run["problems"]) == 1
    assert "suites/test_plain.py was left out as a whole" in ended.stdout
    assert "no_such_tool" in ended.stdout


def test_a_test_that_ends_the_run_in_peace_does_not_end_it_green(project: Project) -> None:
    plain_suite(project, "import pytest\ndef test_ends():\n    pytest.exit('enough', returncode=0)\n")
    (project.folder / "suites" / "test_plain.py").rename(project.folder / "suites" / "test_zzz.py")
    ended = project.readygate("run")
    assert (ended.code, ended.word) == (130, "INCOMPLETE")
    assert project.pytest("suites").code not in (0, 1)


def test_what_was_not_reached_is_named_though_no_line_asks_for_it(project: Project) -> None:
    plain_suite(project, "def test_first():\n    assert False\ndef test_second():\n    assert False\n")
    ended = project.readygate("run", "--", "-x")
    assert (ended.code, ended.word) == (1, "NO-GO")
    assert ended.result("plain.second")["message"] == "the run stopped before it"


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "workers"])
def test_why_a_line_was_not_verified_is_known_also_among_workers(project: Project, workers: list[str]) -> None:
    own_data(project, "x-payments: {kaspi: {settles: true}}\n")
    ended = project.readygate("run", "--", "-k", "exists", *workers)
    assert ended.result("file.mode")["message"] == "left out by the selection of this run"
    assert ended.result("x-payments")["message"] == "no suite verifies it"


OWN = """\
import pytest

@pytest.mark.check("payments.settled", each="x-payments.*", severity="blocker")
def test_settled(expected, inventory):
    '''Money that does not settle is lost.'''
    assert expected["settles"] is True
"""


def own_data(project: Project, data: str) -> None:
    text = (project.folder / "inventory.yml").read_text()
    project.write("inventory.yml", text + data)


def test_data_of_the_users_own_is_verified_by_a_suite_of_their_own(project: Project) -> None:
    own_data(project, "x-payments: {kaspi: {settles: true}, visa: {settles: false}}\nowned_by: pay@shop.example\n")
    project.write("suites/test_payments.py", OWN)
    ended = project.readygate("run")
    found = {each["target"]: each for each in ended.run["results"] if each["check"] == "payments.settled"}
    assert (ended.code, ended.word) == (1, "NO-GO")
    assert {target: each["outcome"] for target, each in found.items()} == {"kaspi": "passed", "visa": "failed"}
    assert (found["visa"]["severity"], found["visa"]["owner"]) == ("blocker", "pay@shop.example")
    assert found["visa"]["why"] == "Money that does not settle is lost."
    assert (found["visa"]["path"], found["visa"]["line"]) == ("x-payments.visa", 10)


def test_own_data_that_no_suite_claims_is_incomplete(project: Project) -> None:
    own_data(project, "x-payments: {kaspi: {settles: true}, limits: {daily: 5}}\nx-more: 7\n")
    project.write("suites/test_payments.py", OWN.replace("x-payments.*", "x-payments.kaspi"))
    ended = project.readygate("run")
    assert (ended.code, ended.word) == (3, "INCOMPLETE")
    unseen = {each["path"] for each in ended.run["results"] if each["outcome"] == "not_run"}
    assert unseen == {"x-payments.limits.daily", "x-more"}
    assert "each='x-more.*'" in ended.result("x-more")["mend"]


@pytest.mark.parametrize("order", [("True", "False"), ("False", "True")])
def test_of_two_tests_with_one_check_id_the_worst_counts(project: Project, order: tuple[str, str]) -> None:
    own_data(project, "x-payments: {kaspi: {settles: true}}\n")
    for number, holds in enumerate(order):
        project.write(f"suites/test_payments_{number}.py", OWN.replace("is True", f"is {holds}"))
    ended = project.readygate("run")
    assert (ended.code, ended.result("payments.settled")["outcome"]) == (1, "failed")


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "workers"])
@pytest.mark.parametrize(
    "suite",
    [
        "class TestOne:\n    def test_answers(self):\n        assert True\n"
        "class TestTwo:\n    def test_answers(self):\n        assert False\n",
        OWN.replace("is True", "is True or True").replace("test_settled", "test_one")
        + OWN.replace("is True", "is False").replace("test_settled", "test_TestTwo"),
    ],
    ids=["of two classes", "of one line"],
)
def test_of_two_tests_with_one_identity_the_one_that_was_left_out_counts(
    project: Project, suite: str, workers: list[str]
) -> None:
    own_data(project, "x-payments: {kaspi: {settles: true}}\n")
    project.write(
        "suites/test_payments.py", OWN.replace("payments.settled", "payments.other") if "class" in suite else ""
    )
    project.write("suites/test_twice.py", suite)
    ended = project.readygate("run", "--", "-k", "not TestTwo", *workers)
    assert (ended.code, ended.word) == (3, "INCOMPLETE")
    (left_out,) = [each for each in ended.run["results"] if each["outcome"] != "passed"]
    assert (left_out["outcome"], left_out["message"]) == ("not_run", "left out by the selection of this run")


HOOKS = {
    "makes a pass of each failure": """\
        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport():
            report = yield
            report.outcome, report.longrepr = "passed", None
            return report
    """,
    "calls no test": """\
        @pytest.hookimpl(tryfirst=True)
        def pytest_pyfunc_call():
            return True
    """,
}


@pytest.mark.parametrize("hook", HOOKS)
def test_no_hook_of_a_conftest_makes_a_run_greener(project: Project, hook: str) -> None:
    (project.folder / "one").unlink()
    project.write("conftest.py", f"import pytest\n\n{textwrap.dedent(HOOKS[hook])}")
    ended = project.readygate("run")
    assert ended.code in (1, 3), ended.stdout
    assert outcomes(ended)["file.exists one"] in ("failed", "error")


def test_a_test_that_compares_nothing_with_what_is_declared_is_no_pass(project: Project) -> None:
    suite = SUITE.replace("    assert actual_file.exists in", "    if False:\n        assert actual_file.exists in")
    project.write("suites/test_files.py", suite)
    ended = project.readygate("run")
    assert ended.code == 3
    assert outcomes(ended)["file.exists one"] == "error"
    assert "the test compared nothing with what is declared" in ended.stdout


def test_where_python_leaves_asserts_out_nothing_is_judged(project: Project) -> None:
    ended = project.readygate("run", PYTHONOPTIMIZE="1", PYTEST_ADDOPTS="--assert=plain")
    assert ended.code == 2
    assert "unset PYTHONOPTIMIZE" in ended.stderr


def test_a_pattern_that_matches_nothing_verifies_nothing(project: Project) -> None:
    own_data(project, "x-payments: {kaspi: {settles: true}}\n")
    project.write("suites/test_payments.py", OWN.replace("x-payments.*", "x-paiments.*"))
    ended = project.readygate("run")
    assert (ended.code, ended.word) == (3, "INCOMPLETE")


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        ("", "the check mark takes one id"),
        ('"file.mod"', "no check is called 'file.mod'; did you mean 'file.mode'?"),
        ('"file.mode", severity="high"', "severity is one of blocker, major, minor, info"),
        ('"file.mode", levle=1', "knows `severity` and `each`, not levle"),
        ('"pay.ok", each="payments.*"', "must be a path under a key that begins with x-"),
        ('"pay", each="x-payments"', "'pay' is not a check id; write area.check"),
    ],
)
def test_a_mark_that_makes_no_sense_is_refused_with_its_line(project: Project, mark: str, said: str) -> None:
    project.write(
        "suites/test_own.py", f"import pytest\n\n@pytest.mark.check({mark})\ndef test_it():\n    assert 1\n"
    )
    for ended in (project.readygate("run"), project.pytest("suites")):
        assert ended.code in (2, 4)
        assert "suites/test_own.py:3: " in ended.stdout + ended.stderr
        assert said in ended.stdout + ended.stderr
        assert "Traceback" not in ended.stdout + ended.stderr


# The repository itself.


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("shipped")
    for name in ("suites", "reports", "templates"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("inventory.yml", "conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    return Project(folder)


def test_pytest_at_the_root_of_the_repository_gates_the_demo(shipped: Project) -> None:
    ended = shipped.pytest()
    assert (ended.code, ended.word) == (0, "GO"), ended.stdout
    assert not [each for each in ended.run["results"] if each["outcome"] != "passed"]


def test_one_area_of_the_demo_at_a_desk(shipped: Project) -> None:
    ended = shipped.pytest("suites/test_tls.py", "-k", "renew_before or lifetime or renewal", "--desk")
    assert ended.code == 0, ended.stdout
