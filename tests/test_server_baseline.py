"""A baseline lies beneath what is declared of a server: taken whole, overruled, trimmed, and each line a check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from readygate.areas.servers.hardening import baseline, with_baseline
from readygate.errors import InventoryError
from readygate.inventory import load


def declared(**lines: Any) -> Any:
    return with_baseline({"connect": "ssh://app-1", **lines})


def test_a_baseline_is_taken_whole() -> None:
    taken = declared(baseline="linux")
    assert {key: taken[key] for key in baseline("linux")} == baseline("linux")
    assert taken["connect"] == "ssh://app-1"


def test_what_is_written_of_the_server_wins_line_by_line() -> None:
    taken = declared(
        baseline="linux", sshd={"MaxAuthTries": "<=10", "Ciphers": {"lacks": ["3des-cbc"]}}, open_accounts=2
    )
    assert taken["sshd"]["MaxAuthTries"] == "<=10"
    assert taken["sshd"]["Ciphers"] == {"lacks": ["3des-cbc"]}
    assert taken["sshd"]["PermitRootLogin"] == "no"
    assert taken["open_accounts"] == 2


def test_lines_and_whole_parts_can_be_left_out() -> None:
    without = ["sshd.MaxAuthTries", "sysctl.net.ipv4.tcp_syncookies", "files./etc/passwd.mode", "modules"]
    taken = declared(baseline={"name": "linux", "without": without})
    assert "MaxAuthTries" not in taken["sshd"]
    assert "net.ipv4.tcp_syncookies" not in taken["sysctl"]
    assert taken["files"]["/etc/passwd"] == {"owner": "root"}
    assert "modules" not in taken
    assert "MaxAuthTries" in baseline("linux")["sshd"]


def inventory(tmp_path: Path, lines: str) -> Any:
    path = tmp_path / "inventory.yml"
    path.write_text(f"project: shop\nservers:\n  app-1:\n    connect: ssh://app-1\n{lines}")
    return load(path, None, {})


def test_each_line_of_a_baseline_is_a_check_with_an_identity_of_its_own(tmp_path: Path) -> None:
    leaves = inventory(tmp_path, "    baseline: linux\n").leaves
    known = {leaf.id for leaf in leaves}
    assert len(known) == len(leaves) > 50
    assert {"server.sshd @ app-1:PermitRootLogin", "file.mode @ app-1:/etc/shadow"} < known


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("baseline: windows", "servers.app-1: 'windows' is no baseline; write linux"),
        ("baseline: {name: linux, without: [sshd.Nope]}", "the baseline has no sshd.Nope; write a path of it"),
        ("baseline: {without: [sshd]}", "the baseline has no name; write e.g. linux"),
    ],
)
def test_a_baseline_that_is_not_there_is_refused(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(InventoryError, match=message):
        inventory(tmp_path, f"    {line}\n")
