"""The wheel: what is in it, and that an installation from it gates the demo and a folder that it has begun."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.projects import Ended

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def bin_folder(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of an environment with the wheel in it, and with the dependencies that these tests run with."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=120)
    python = folder / "bin" / "python"
    (packages,) = folder.glob("lib/python*/site-packages")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True, timeout=120)
    # Their folder comes last, and its .pth files are not read: an editable installation in it stays out of sight.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def installed(bin_folder: Path, folder: Path, *arguments: str) -> Ended:
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [bin_folder / "readygate", *arguments], cwd=folder, env=environ, capture_output=True, text=True, timeout=120
    )
    return Ended(done.returncode, done.stdout, done.stderr, folder)


def test_it_holds_the_engine_and_the_policy_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"readygate"}
    policy = {name.split("/")[2] for name in names if name.startswith("readygate/policy/")}
    assert policy == {"inventory.yml", "conftest.py", "suites", "load", "reports", "templates"}
    assert not [name for name in names if "__pycache__" in name or "/tests/" in name or name.endswith(".pyc")]


def test_every_file_of_the_package_and_of_the_policy_is_in_it(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    here = [path for path in (ROOT / "readygate").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert not {str(path.relative_to(ROOT)) for path in here} - names
    for folder in ("suites", "reports", "templates"):
        files = [path for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix != ".pyc"]
        assert not {f"readygate/policy/{path.relative_to(ROOT)}" for path in files} - names


def test_the_package_is_taken_from_the_wheel(bin_folder: Path, tmp_path: Path) -> None:
    command = [bin_folder / "python", "-c", "import readygate; print(readygate.__file__)"]
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60)
    assert Path(done.stdout.strip()).is_relative_to(bin_folder.parent)


def test_the_demo_is_go(bin_folder: Path, tmp_path: Path) -> None:
    ended = installed(bin_folder, tmp_path, "demo")
    assert (ended.code, ended.word) == (0, "GO"), ended.stdout + ended.stderr
    assert ended.run["results"]


def test_what_it_begins_in_an_empty_folder_is_go(bin_folder: Path, tmp_path: Path) -> None:
    assert installed(bin_folder, tmp_path, "init").code == 0
    assert not (tmp_path / "readygate").exists()
    ended = installed(bin_folder, tmp_path, "run")
    assert (ended.code, ended.word) == (0, "GO"), ended.stdout + ended.stderr


def test_an_inventory_alone_is_run_against_the_shipped_suites(bin_folder: Path, tmp_path: Path) -> None:
    text = "project: alone\nservers: {here: {connect: 'local://', files: {/etc/passwd: {mode: '0000'}}}}\n"
    (tmp_path / "inventory.yml").write_text(text)
    ended = installed(bin_folder, tmp_path, "run")
    assert (ended.code, ended.word) == (1, "NO-GO"), ended.stdout + ended.stderr
