"""Filling in `${…}`: what it becomes, what is left alone, and which secrets the redactor learns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from readygate.errors import InventoryError
from readygate.inventory import source, variables
from readygate.inventory.variables import resolve
from readygate.redaction import Redactor

PATH = {"PATH": "/usr/bin:/bin"}


def filled(text: str, environ: Mapping[str, str], redactor: Redactor | None = None, folder: Path = Path()) -> Any:
    """What a value becomes that is written as a YAML block, so that no character needs quoting."""
    tree = source.parse(f"key: |-\n  {text}\n", str(folder / "inventory.yml"))
    return source.to_data(resolve(tree, environ, redactor or Redactor()))["key"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${A}", "1"),
        ("v${A}-${B}", "v1-two"),
        ("${C:-three}", "three"),
        ("${A:-three}", "1"),
        ("${EMPTY:-three}", "three"),
        ("${C:-}", ""),
        ("${C:-${B}s}", "twos"),
        ("$${A}", "${A}"),
        ("$${A} is ${A}", "${A} is 1"),
        ("${NESTED}", "${A}"),
    ],
)
def test_references_are_filled_in_once(text: str, expected: str) -> None:
    assert filled(text, {"A": "1", "B": "two", "EMPTY": "", "NESTED": "${A}"}) == expected


@pytest.mark.parametrize("text", ["^a$", "$1", "cost: $5", "$(date)", "a{2}$", "$$"])
def test_a_dollar_without_a_brace_is_an_ordinary_character(text: str) -> None:
    assert filled(text, {}) == text


def test_a_filled_in_number_stays_text_and_keeps_its_place() -> None:
    tree = source.parse("port: ${PORT}\nlist: [1, '${PORT}']\n", "i.yml")
    result = resolve(tree, {"PORT": "8080"}, Redactor())
    assert source.to_data(result) == {"port": "8080", "list": [1, "8080"]}
    assert source.positions(result) == source.positions(tree)


def test_a_variable_that_is_set_to_nothing_is_as_good_as_none() -> None:
    with pytest.raises(InventoryError, match=r"\$\{A\} is set to nothing; export A"):
        filled("${A}", {"A": ""})


@pytest.mark.parametrize(
    "name",
    [
        "DB_PASSWORD",
        "PGPASSWORD",
        "GITHUB_TOKEN",
        "API_KEY",
        "DB_PASS",
        "SENTRY_DSN",
        "SLACK_WEBHOOK_URL",
        "KEY_2",
    ],
)
def test_a_variable_that_sounds_secret_is_kept_out_of_reports(name: str) -> None:
    redactor = Redactor()
    filled(f"${{{name}}}", {name: "hunter2hunter2"}, redactor)
    assert redactor.redact("got hunter2hunter2") == f"got [redacted {name}]"


@pytest.mark.parametrize("name", ["VERSION", "KEYCLOAK_HOST", "PASSENGERS", "PWD"])
def test_a_variable_that_does_not_sound_secret_is_shown(name: str) -> None:
    redactor = Redactor()
    filled(f"${{{name}}}", {name: "hunter2hunter2"}, redactor)
    assert "hunter2" in redactor.redact("got hunter2hunter2")


def test_the_password_in_a_url_is_kept_out_of_reports_and_the_rest_shown() -> None:
    redactor = Redactor()
    filled("${DATABASE_URL}", {"DATABASE_URL": "postgresql://app:hunter%402@db:5432/shop"}, redactor)
    assert redactor.redact("app at db gave hunter@2, hunter%402") == (
        "app at db gave [redacted DATABASE_URL], [redacted DATABASE_URL]"
    )


def test_secrets_come_from_the_environment_a_file_and_a_command(tmp_path: Path) -> None:
    (tmp_path / "db").write_text("from-file\n")
    redactor = Redactor()
    assert filled("${secret:PLAIN}", {"PLAIN": "from-environment"}, redactor) == "from-environment"
    assert filled("${file:db}", {}, redactor, tmp_path) == "from-file"
    assert filled("${file:" + str(tmp_path / "db") + "}", {}, redactor) == "from-file"
    assert filled("${command: echo {a} | awk '{print \"from-\" $1}'}", PATH, redactor) == "from-{a}"
    assert redactor.redact("from-environment from-file from-{a}") == "[redacted PLAIN] [redacted key] [redacted key]"


def test_a_command_that_is_mentioned_twice_runs_once(tmp_path: Path) -> None:
    command = "${command:echo x >> ran; echo secret}"
    assert filled(command + command, PATH, folder=tmp_path) == "secretsecret"
    assert (tmp_path / "ran").read_text() == "x\n"


def test_a_command_that_hangs_is_ended_with_all_it_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variables, "COMMAND_SECONDS", 0.2)
    with pytest.raises(InventoryError, match=r"took longer than 0\.2 s; run it by hand"):
        filled("${command:(sleep 60; echo late) | cat; echo}", PATH)


def test_neither_secret_nor_output_is_told_when_a_command_fails(tmp_path: Path) -> None:
    (tmp_path / "get").write_text("echo hunter2; echo hunter3 >&2; exit 1\n")
    (tmp_path / "binary").write_bytes(b"hunter2\xff")
    for reference in ("${command:sh ./get}", "${command:cat binary}", "${file:binary}"):
        with pytest.raises(InventoryError) as refused:
            filled(reference, PATH, folder=tmp_path)
        assert "hunter" not in str(refused.value)
        assert reference in str(refused.value)
        assert refused.value.__cause__ is None
