"""Settings and secrets in the files of a server, in every format: right, wrong, absent, broken, and never shown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from readygate.areas.servers.cron import CronEntry
from readygate.areas.servers.files import Contents
from readygate.areas.servers.logs import LogLines
from readygate.areas.servers.secrets import SecretValue, names_a_secret
from readygate.areas.servers.server import Server
from readygate.areas.servers.settings import parse_settings
from readygate.errors import CouldNotLook
from readygate.redaction import REDACTOR
from readygate.spec import misnamed
from tests.holding import LOCAL
from tests.server_checks import here, reasons_on

# Settings, by key.

SETTINGS = {
    "app.env": "# made by hand\nDEBUG=False\nexport WORKERS=4\nNAME='the shop'\nLOG_LEVEL=info # for now\nEMPTY=\n",
    "app.ini": "DEBUG = False\nWORKERS: 4\nNAME = the shop\nLOG_LEVEL = info\nEMPTY =\n[web]\nport = 8080\n",
    "app.json": '{"DEBUG": "False", "WORKERS": 4, "NAME": "the shop", "LOG_LEVEL": "info", "EMPTY": ""}',
    "app.yml": "DEBUG: 'False'\nWORKERS: 4\nNAME: the shop\nLOG_LEVEL: info\nEMPTY: ''\n",
    "app.toml": "DEBUG = 'False'\nWORKERS = 4\nNAME = 'the shop'\nLOG_LEVEL = 'info'\nEMPTY = ''\n",
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_hold_and_fail_by_key_whatever_the_format(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(SETTINGS[name])
    for key, right, wrong in [
        ("DEBUG", "False", "True"),
        ("WORKERS", 4, ">=5"),
        ("NAME", "the shop", "the"),
        ("LOG_LEVEL", ["info", "warning"], "!~ info"),
        ("absent", None, "!= x"),
    ]:
        if right is not None:
            assert here(files={str(path): {"keys": {key: right}}})["file.keys"], key
        assert not here(files={str(path): {"keys": {key: wrong}}})["file.keys"], key


def test_a_text_is_a_number_or_a_flag_where_that_is_what_is_expected(tmp_path: Path) -> None:
    path = tmp_path / ".env.prod"
    path.write_text("DEBUG=off\nRATE=0.5\nTWICE=1\nTWICE=2\n")
    assert here(files={str(path): {"keys": {"DEBUG": False, "RATE": "<1", "TWICE": 2}}})["file.keys"]
    assert not here(files={str(path): {"keys": {"DEBUG": True}}})["file.keys"]
    assert not here(files={str(path): {"keys": {"RATE": ">1"}}})["file.keys"]


def test_settings_are_found_by_a_dotted_path(tmp_path: Path) -> None:
    path = tmp_path / "app.yml"
    path.write_text("server:\n  ports: [8080, 8081]\n  a.b: 1\n")
    assert here(files={str(path): {"keys": {"server.ports.1": 8081}}})["file.keys"]
    assert not here(files={str(path): {"keys": {"server.ports.2": "!=1"}}})["file.keys"]
    assert parse_settings("[web]\nport = 8080\n", "ini", "app.ini").at("web.port") == "8080"


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("app.env", "API_KEY= # ask the vault\n"),
        ("app.env", "API_KEY=   \n"),
        ("app.env", "API_KEY=''\n"),
        ("app.ini", 'API_KEY = ""\n'),
        ("app.ini", "API_KEY = ; ask the vault\n"),
        ("app.yml", "API_KEY: # ask the vault\n"),
    ],
)
def test_a_secret_of_which_there_is_but_a_note_is_not_set(tmp_path: Path, name: str, held: str) -> None:
    path = tmp_path / name
    path.write_text(held)
    assert not here(files={str(path): {"secrets": {"API_KEY": {"set": True}}}})["secret.set"]
    path.write_text(re.sub("[:=].*", lambda found: f"{found[0][0]} 'sesame-street'", held))
    assert here(files={str(path): {"secrets": {"API_KEY": {"set": True}}}})["secret.set"]


@pytest.mark.parametrize(
    ("name", "held"),
    [("app.json", '{"web": {"debug": false, "debug": true}}'), ("app.yml", "web:\n  debug: false\n  debug: true\n")],
)
def test_of_a_key_that_is_written_twice_nobody_knows_which_counts(tmp_path: Path, name: str, held: str) -> None:
    path = tmp_path / name
    path.write_text(held)
    for value in (True, False):
        with pytest.raises(CouldNotLook, match="says debug twice"):
            here(files={str(path): {"keys": {"web.debug": value}}})


def test_a_key_of_yaml_may_be_laid_over_one_that_is_merged() -> None:
    held = "base: &base {debug: true, port: 1}\nmid: &mid\n  <<: *base\n  port: 2\nweb:\n  <<: *mid\n  debug: false\n"
    settings = parse_settings(held, "yaml", "app.yml")
    assert (settings.at("web.debug"), settings.at("web.port"), settings.at("mid.port")) == (False, 2, 2)


def test_a_value_in_quotes_goes_over_lines(tmp_path: Path) -> None:
    held = "export KEY='-----BEGIN\nDEBUG=true\n-----END'  # mine\r\nDEBUG=\"false\"\r\n"
    assert parse_settings(held, "env", ".env").tree == {"KEY": "-----BEGIN\nDEBUG=true\n-----END", "DEBUG": "false"}
    with pytest.raises(CouldNotLook, match="can't be read as env"):
        parse_settings("KEY='-----BEGIN\nDEBUG=false\n", "env", ".env")


def test_settings_of_a_file_that_is_absent_fail(tmp_path: Path) -> None:
    declared = {"keys": {"DEBUG": "!= True"}, "secrets": {"API_KEY": {"set": True, "placeholder": False}}}
    assert not any(here(files={str(tmp_path / "app.env"): declared}).values())


@pytest.mark.parametrize(
    ("name", "text"), [("a.json", '{"KEY": hunter2}'), ("a.yml", "a: [hunter2"), (".env", "hunter2")]
)
def test_settings_that_are_broken_are_neither_fine_nor_shown(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(CouldNotLook, match="can't be read as") as caught:
        here(files={str(tmp_path / name): {"keys": {"DEBUG": "!= True"}}})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"/etc/app.conf": {"keys": {"DEBUG": False}}}, "does not say its format; write e.g. `format: env`"),
        ({"/etc/app.env": {"keys": {"SMTP_PASSWORD": "!= x"}}}, "declare it under `secrets`"),
        ({"/etc/app.env": {"format": "xml", "keys": {"DEBUG": False}}}, "format"),
    ],
)
def test_settings_that_could_not_be_looked_for_are_refused(declared: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        for _, mistake in misnamed(Server.model_validate({"connect": "local://", "files": declared}), "here", ()):
            raise mistake


# Secrets.


def test_a_secret_holds_and_fails_without_being_shown(tmp_path: Path) -> None:
    path = tmp_path / "app.env"
    secret = "k7Jq" + "w9Zt" * 12
    declared = {"set": True, "min_length": 50, "placeholder": False}
    path.write_text(f"SECRET_KEY={secret}\n")
    assert all(here(files={str(path): {"secrets": {"SECRET_KEY": declared}}}).values())
    reasons = reasons_on(LOCAL, files={str(path): {"secrets": {"SECRET_KEY": {"min_length": 99}}}})
    assert reasons["secret.min_length"]
    assert secret not in str(reasons)
    assert REDACTOR.redact(f"it is {secret}") == "it is [redacted SECRET_KEY]"


@pytest.mark.parametrize(
    ("value", "fails"),
    [
        ("", {"secret.set", "secret.min_length", "secret.placeholder"}),
        ("changeme", {"secret.min_length", "secret.placeholder"}),
        ("password", {"secret.min_length", "secret.placeholder"}),
        ("${SECRET_KEY}-that-was-never-put-in-its-place-by-anyone", {"secret.placeholder"}),
        ("django-insecure-0123456789-0123456789-0123456789-01", {"secret.placeholder"}),
        ("https://hooks.invalid/services/Your-Webhook/0123456789", {"secret.placeholder"}),
        ("dev-api-key-12345-and-some-more-to-make-it-long-enough", {"secret.placeholder"}),
        ("short", {"secret.min_length"}),
    ],
)
def test_a_secret_that_is_none_fails(tmp_path: Path, value: str, fails: set[str]) -> None:
    path = tmp_path / "app.env"
    path.write_text(f"SECRET_KEY={value}\n")
    declared = {"set": True, "min_length": 50, "placeholder": False, "not_one_of": ["dev-api-key-12345"]}
    holds = here(files={str(path): {"secrets": {"SECRET_KEY": declared}}})
    assert {check for check, held in holds.items() if not held} == fails


def test_whatever_looks_like_a_secret_in_a_file_is_kept_out_of_reports(tmp_path: Path) -> None:
    parse_settings("SMTP_PASSWORD=sesame-street-7\nPORT=1\n", "env", "app.env")
    assert "sesame" not in REDACTOR.redact("log in with sesame-street-7")


def test_no_fact_that_a_traceback_may_show_says_what_is_in_a_file() -> None:
    facts = [
        Contents("hunter2"),
        LogLines(("hunter2",)),
        SecretValue("hunter2"),
        parse_settings("A=hunter2", "env", ".env"),
        CronEntry("/etc/crontab", "0 1 * * *", "root", "backup --password hunter2"),
    ]
    assert not [fact for fact in facts if "hunter2" in repr(fact)]


@pytest.mark.parametrize(
    "key", ["API_KEY", "db_password", "SECRET", "GITHUB_TOKEN", "sentry.dsn", "SLACK_WEBHOOK_URL"]
)
def test_a_secret_is_known_by_its_name(key: str) -> None:
    assert names_a_secret(key)


@pytest.mark.parametrize(
    "key", ["PRIMARY_KEY", "TOKEN_LIFETIME", "PASSWORD_MIN_LENGTH", "MONKEY", "DEBUG", "SECRETS_DIR"]
)
def test_what_is_no_secret_may_be_shown(key: str) -> None:
    assert not names_a_secret(key)
