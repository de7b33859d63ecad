"""Where suites come from, and which of them a run has to read."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from readygate import policy
from readygate.policy import SHIPPED, Policy
from tests.projects import Project


def names(paths: list[Path]) -> set[str]:
    return {path.name for path in paths}


def test_a_suite_that_verifies_nothing_declared_is_not_read(tmp_path: Path) -> None:
    read = names(Policy(tmp_path).suites_for({"file.mode", "tls.trusted"}))
    assert read == {"test_server_files.py", "test_tls.py"}


def test_a_suite_of_ones_own_is_always_read(tmp_path: Path) -> None:
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "test_payments.py").write_text("")
    changed = (SHIPPED / "suites" / "test_dns.py").read_text() + "\n"
    (tmp_path / "suites" / "test_dns.py").write_text(changed)
    assert names(Policy(tmp_path).suites_for({"tls.trusted"})) == {"test_payments.py", "test_dns.py", "test_tls.py"}


def test_in_a_clone_that_is_edited_in_place_no_test_of_ones_own_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "suites").mkdir()
    shutil.copy(SHIPPED / "suites" / "test_dns.py", tmp_path / "suites")
    for name, text in {
        "plain": "def test_ledger(): assert 1 == 2\n",
        "quoted": "import pytest\n@pytest.mark.check('file.mode')\ndef test_mode(file): assert file\n",
        "own": 'import pytest\n@pytest.mark.check("pay.ok", each="x-pay.*")\ndef test_pay(expected): pass\n',
    }.items():
        (tmp_path / "suites" / f"test_{name}.py").write_text(text)
    monkeypatch.setattr(policy, "SHIPPED", tmp_path)
    assert names(Policy(tmp_path).suites_for({"file.mode"})) == {"test_plain.py", "test_quoted.py", "test_own.py"}


def test_a_suite_that_is_asked_for_by_name_is_read(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write(
        "inventory.yml", "project: p\nservers: {me: {connect: 'local://', files: {/etc/passwd: {exists: true}}}}\n"
    )
    project.readygate("init")
    whole = project.pytest("suites", "--collect-only", "-q").stdout
    assert "test_server_files.py" in whole and "test_dns.py" not in whole
    named = project.pytest("suites/test_dns.py")
    assert (named.code, named.word) == (3, "INCOMPLETE"), named.stdout
