"""The life of a token, read from what a login really answers."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from readygate.errors import CouldNotLook
from tests.projects import Project
from tests.web import failing, reply, web_server

NOW = 1_800_000_000


def jwt(**claims: object) -> str:
    parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": "probe", **claims})
    told = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return f"{'.'.join(told)}.c2lnbmVkLWJ5LXRoZS10ZXN0"


def login(answer: dict[str, Any], **declared: Any) -> set[str]:
    """What fails of a login that answers so, where a token has to run out after 15 minutes."""
    with web_server(lambda request: reply(request, body=json.dumps(answer).encode())) as port:
        token = {"lives": "15m", **declared}
        endpoint = {"path": "/login", "method": "POST", "send_json": {"user": "probe"}, "token": token}
        return failing("sites", {"url": f"http://127.0.0.1:{port}", "endpoints": {"login": endpoint}})


def test_a_token_that_runs_out_in_time_is_sound() -> None:
    assert login({"access_token": jwt(iat=NOW, exp=NOW + 900)}) == set()
    assert login({"data": [{"jwt": jwt(iat=NOW, exp=NOW + 60)}]}, at="data.0.jwt") == set()


@pytest.mark.parametrize(
    "answer",
    [{"access_token": jwt(iat=NOW, exp=NOW + 901)}, {"access_token": jwt(iat=NOW)}, {"token": "elsewhere"}],
    ids=["too long", "for ever", "none"],
)
def test_a_token_that_lives_too_long_or_is_not_there_fails(answer: dict[str, Any]) -> None:
    assert login(answer) == {"token.lives"}


@pytest.mark.parametrize("token", ["opaque", "a.b.c", jwt(exp=NOW), "a.W10=.c"])
def test_what_is_no_such_token_is_not_known(token: str) -> None:
    with pytest.raises(CouldNotLook, match="is no JWT"):
        login({"access_token": token})


def test_the_token_is_never_shown(tmp_path: Path) -> None:
    token = jwt(iat=NOW, exp=NOW + 86400)
    with web_server(lambda request: reply(request, body=json.dumps({"access_token": token}).encode())) as port:
        endpoints = "{/login: {method: POST, status: 200, token: {lives: 15m}}}"
        text = f"project: tokens\nsites: {{api: {{url: 'http://127.0.0.1:{port}', endpoints: {endpoints}}}}}\n"
        Project(tmp_path).write("inventory.yml", text)
        ended = Project(tmp_path).readygate("run")
    assert (ended.code, ended.word) == (1, "NO-GO")
    assert not [part for part in token.split(".")[1:] if part in ended.everything_written()]
