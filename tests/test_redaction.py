"""Redaction: no form of a secret gets through, and what is no secret does."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import shlex
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import jinja2
import pytest

from readygate.errors import Mistake
from readygate.redaction import Redactor, redacting_stream

SECRET = "pa'ss \"w/ö&rd<+\\>"

FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "URL path": quote,
    "URL": lambda value: quote(value, safe=""),
    "URL in lower case": lambda value: re.sub("%..", lambda code: code[0].lower(), quote(value, safe="")),
    "form": quote_plus,
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "base64 without padding": lambda value: base64.b64encode(value.encode()).decode().rstrip("="),
    "base64 for URLs": lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
    "base64 of a line": lambda value: base64.b64encode(f"{value}\n".encode()).decode(),
    "JSON": json.dumps,
    "JSON in UTF-8": lambda value: json.dumps(value, ensure_ascii=False),
    "HTML": html.escape,
    "XML text": lambda value: html.escape(value, quote=False),
    "Jinja": lambda value: jinja2.Environment(autoescape=True).from_string("{{ x }}").render(x=value),
    "shell": shlex.quote,
    "shell by hand": lambda value: "'" + value.replace("'", "'\\''") + "'",
    "Python": repr,
}


@pytest.fixture
def redactor() -> Redactor:
    redactor = Redactor()
    redactor.add(SECRET, "DB")
    return redactor


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_replaced_however_it_is_written(redactor: Redactor, form: str) -> None:
    written = FORMS[form](SECRET)
    assert redactor.redact(f"before {written} after").strip("'\"") in (
        "before [redacted DB] after",
        "before '[redacted DB]' after",
        'before "[redacted DB]" after',
        "before [redacted DB]= after",
    )


@pytest.mark.parametrize("user", ["a", "ab", "abc", "abcd", "вася"])
@pytest.mark.parametrize("behind", ["", "\n", ":again"])
@pytest.mark.parametrize("secret", ["hunter2", "swordfish", "x9Q?", "пароль", SECRET])
def test_a_secret_in_the_base64_of_a_longer_text_is_replaced(secret: str, user: str, behind: str) -> None:
    redactor = Redactor()
    redactor.add(secret, "DB")
    encoded = base64.b64encode(f"{user}:{secret}{behind}".encode()).decode()
    shown = redactor.redact(f"auth: {encoded}")
    assert "[redacted DB]" in shown
    # What is left at either end of the mask are at most two letters that hold bits of the secret.
    assert len("".join(re.split(r"\[redacted DB\]", shown.removeprefix("auth: ")))) <= len(encoded) - len(secret)


def test_other_text_is_left_alone(redactor: Redactor) -> None:
    text = "nginx is active; see https://example.com/a@b:c and ssh://deploy@app-1; basic authentication"
    assert redactor.redact(text) == text


def test_the_longer_of_two_secrets_is_replaced_first() -> None:
    redactor = Redactor()
    redactor.add("hunter2", "SHORT")
    redactor.add("hunter2hunter2", "LONG")
    assert redactor.redact("hunter2hunter2 hunter2") == "[redacted LONG] [redacted SHORT]"


def test_a_secret_added_later_is_replaced_too(redactor: Redactor) -> None:
    redactor.redact("x")
    redactor.add("swordfish")
    assert redactor.redact("swordfish") == "[redacted]"


def test_a_secret_of_many_lines_is_replaced_line_by_line(redactor: Redactor) -> None:
    redactor.add("first line\n  second line\n}\n", "FILE")
    assert redactor.redact("E   first line\nE   second line\nE   }") == (
        "E   [redacted FILE]\nE   [redacted FILE]\nE   }"
    )


@pytest.mark.parametrize("value", ["", "7", "abc", "  ab  \n"])
def test_a_secret_too_short_to_be_hidden_is_refused(value: str) -> None:
    with pytest.raises(
        Mistake, match="the secret PIN is too short to be kept out of reports; use 4 characters or more"
    ):
        Redactor().add(value, "PIN")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgres://app:s3cret@db/shop", "postgres://app:[redacted]@db/shop"),
        ("redis://:s3cret@cache:6379/0", "redis://:[redacted]@cache:6379/0"),
        ("amqp://a:p@ss@mq", "amqp://a:[redacted]@mq"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer [redacted]"),
        ("-H 'authorization: Basic YTpi' https://x", "-H 'authorization: Basic [redacted]' https://x"),
        ('{"Authorization": "token abc"}', '{"Authorization": "token [redacted]"}'),
        ("got Bearer eyJhbGciOiJIUzI1NiJ9.e30.abc", "got Bearer [redacted]"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\nok", "[redacted]\nok"),
        ("-----BEGIN PRIVATE KEY-----\nMII", "[redacted]"),
    ],
)
def test_what_looks_like_a_secret_is_masked_though_nobody_named_it(text: str, expected: str) -> None:
    assert Redactor().redact(text) == expected
    assert Redactor().redact(expected) == expected


def test_data_is_redacted_in_keys_and_at_any_depth(redactor: Redactor) -> None:
    redactor.add("hunter2", "H")
    data = {"a hunter2": [("hunter2", 1, None, True)], "headers": {"Authorization": "Bearer x", "Age": "3"}}
    assert redactor.redact_data(data) == {
        "a [redacted H]": [("[redacted H]", 1, None, True)],
        "headers": {"Authorization": "[redacted]", "Age": "3"},
    }


def test_a_secret_written_in_two_halves_is_kept_out_of_a_stream(redactor: Redactor) -> None:
    out = io.StringIO()
    stream = redacting_stream(out, redactor)
    stream.write("one\nget " + SECRET[:4])
    stream.flush()
    assert out.getvalue() == "one\n"
    stream.write(SECRET[4:] + "\nend")
    assert out.getvalue() == "one\nget [redacted DB]\n"
    stream.close()
    assert out.getvalue() == "one\nget [redacted DB]\nend"
    assert not out.closed


def test_a_private_key_is_kept_out_of_a_stream_though_it_comes_line_by_line() -> None:
    out = io.StringIO()
    with redacting_stream(out, Redactor()) as stream:
        for line in ("-----BEGIN PRIVATE KEY-----", "MIIEvQIBADANBg", "-----END PRIVATE KEY-----", "done"):
            print(line, file=stream)
    assert out.getvalue() == "[redacted]\ndone\n"
