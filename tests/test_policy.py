"""Where suites come from, and which of them a run has to read."""

from __future__ import annotations

from pathlib import Path

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
