"""Secrets never leave: from every source, through every place that could show one, into every kind of output."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.projects import Ended, Project

SOURCES = ("variable", "secret", "file", "command", "password", "header", "hook")
BIRDS = {source: hashlib.sha256(source.encode()).hexdigest()[:32] for source in SOURCES}
PIECE = 10  # a part of a secret as long as this is a leak as well

# Around each of them stands what JSON, HTML, URLs and shells write differently, so that any form would show it.
# A header has to be ASCII.
SECRETS = {source: f"{bird}&<\"'%{'' if source == 'header' else 'é'}" for source, bird in BIRDS.items()}

ENVIRON = {
    "SHOP_TOKEN": SECRETS["variable"],
    "PLAIN_NAME": SECRETS["secret"],
    "DATABASE_ADDRESS": f"postgresql://shop:{quote(SECRETS['password'], safe='')}@127.0.0.1:1/shop",
    "LOGIN": SECRETS["header"],
    "HOOK_KEY": SECRETS["hook"],
}

INVENTORY = """\
project: canary
release: {{version: 1.4.2}}
x-payments:
  variable: {{value: "${{SHOP_TOKEN}}"}}
  secret: {{value: "${{secret:PLAIN_NAME}}"}}
  file: {{value: "${{file:planted/file}}"}}
  command: {{value: "${{command:cat planted/command}}"}}
  hook: {{value: "${{HOOK_KEY}}"}}
servers:
  here:
    connect: local://
    owned_by: "${{secret:PLAIN_NAME}}"
    commands:
      output: {{run: "cat {folder}/planted/all", output: fine, errors: fine}}
      errors: {{run: "cat {folder}/planted/all >&2; exit 3", exit: 0, errors: "${{file:planted/file}}"}}
      whole: {{run: "cat {folder}/planted/all", output: {{contains: nothing}}}}
      asked: {{run: "echo '${{SHOP_TOKEN}}' >/dev/null", exit: 7}}
      cut: {{run: "cat {folder}/planted/long", output: {{contains: nothing}}}}
    files:
      {folder}/planted/all: {{owner: "${{SHOP_TOKEN}}"}}
sites:
  shop:
    url: {url}
    headers: {{X-Echo: fine}}
    endpoints:
      /echo:
        request_headers: {{Authorization: "Bearer ${{secret:LOGIN}}", X-Key: "${{secret:LOGIN}}"}}
        status: 204
        headers: {{X-Echo: fine}}
        body: {{contains: nothing}}
        json: {{token: fine, all: fine}}
  gone:
    url: http://127.0.0.1:1
    endpoints: {{/x: {{request_headers: {{X-Key: "${{secret:LOGIN}}"}}, status: 200}}}}
databases:
  main: {{url: "${{DATABASE_ADDRESS}}", query_within: 50ms}}
attestations: {{rehearsed: {{every: 90d}}, reviewed: {{every: 1d}}}}
"""

SUITE = """\
import logging
import sys
import warnings
from pathlib import Path

import pytest

ALL = Path("planted/all").read_text()


@pytest.mark.check("payments.assertion", each="x-payments.variable")
def test_assertion(expected):
    held = {"value": expected["value"], "all": ALL}
    assert expected["value"] == "other", ALL
    assert held


@pytest.mark.check("payments.long", each="x-payments.file")
def test_long(expected):
    long = ALL * 40
    assert [long, long] == [long + expected["value"], "x" + long]


@pytest.mark.check("payments.traceback", each="x-payments.secret")
def test_traceback(expected):
    try:
        raise OSError(ALL)
    except OSError as error:
        raise RuntimeError(expected["value"]) from error


@pytest.mark.check("payments.log", each="x-payments.command")
def test_log(expected, record_property):
    record_property("it", ALL)
    logging.getLogger(expected["value"]).error("it is %s", ALL)
    print(ALL)
    print(ALL, file=sys.stderr)
    warnings.warn(ALL)
    assert expected["value"] == "other"


@pytest.mark.check("payments.skipped", each="x-payments.hook")
def test_skipped(expected):
    pytest.skip(f"{expected['value']} {ALL}")


@pytest.fixture
def broken():
    yield
    raise ValueError(ALL)


def test_teardown(broken):
    assert True


@pytest.mark.xfail(reason=ALL)
def test_expected_to_fail():
    assert False, ALL


@pytest.mark.parametrize("given", [ALL])
def test_parameter(given):
    assert given is None
"""

PROFILE = """\
question: May it?
blocks_on: [blocker, major, minor]
on_no_go: cat planted/all; cat planted/all >&2; echo "$HOOK_KEY $SHOP_TOKEN"; cat planted/long
notify: [{to: TELL, on: every run}]
"""


class _Echo(BaseHTTPRequestHandler):
    """Answers with whatever it was sent, and keeps the notices."""

    told: list[str]
    planted: str

    def do_GET(self) -> None:
        body = json.dumps(
            {"token": self.headers.get("X-Key"), "all": self.planted, "headers": dict(self.headers)}
        ).encode()
        self.send_response(200)
        self.send_header("X-Echo", self.headers.get("X-Key", ""))
        self.send_header("Set-Cookie", f"all={quote(self.planted)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.told.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@dataclass
class Shop:
    """A project full of secrets; `said` is everything that came out of the commands."""

    project: Project
    environ: dict[str, str]
    planted: frozenset[Path]
    told: list[str]
    said: dict[str, str] = field(default_factory=dict)

    def readygate(self, *arguments: str) -> Ended:
        return self._noted(f"readygate {' '.join(arguments)}", self.project.readygate(*arguments, **self.environ))

    def pytest(self, *arguments: str) -> Ended:
        return self._noted(f"pytest {' '.join(arguments)}", self.project.pytest(*arguments, **self.environ))

    def _noted(self, command: str, ended: Ended) -> Ended:
        self.said[f"stdout of {command}"] = ended.stdout
        self.said[f"stderr of {command}"] = ended.stderr
        return ended

    def files(self) -> dict[str, str]:
        """Every file that is there now and that the test did not write."""
        found = {path for path in self.project.folder.rglob("*") if path.is_file()} - self.planted
        return {
            str(path.relative_to(self.project.folder)): path.read_bytes().decode("utf-8", "replace") for path in found
        }

    def leaks(self) -> list[str]:
        outputs = {**self.said, **self.files(), **{f"notice {at}": text for at, text in enumerate(self.told)}}
        return [
            f"{source} in {name}: …{text[max(0, text.index(piece) - 60) : text.index(piece) + 60]!r}"
            for name, text in outputs.items()
            for source, bird in BIRDS.items()
            for piece in [
                next(
                    (bird[at : at + PIECE] for at in range(len(bird) - PIECE + 1) if bird[at : at + PIECE] in text),
                    "",
                )
            ]
            if piece
        ]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    project = Project(tmp_path_factory.mktemp("shop"))
    everything = " ".join(SECRETS.values())
    kind = type("OwnEcho", (_Echo,), {"told": [], "planted": everything})
    with HTTPServer(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.serve_forever).start()
        url = f"http://127.0.0.1:{server.server_port}"
        for source in SOURCES:
            project.write(f"planted/{source}", SECRETS[source])
        project.write("planted/all", everything)
        # Long enough to be cut, with a secret at every place where that may happen.
        project.write("planted/long", "".join(f"{each}\n" for each in SECRETS.values()) * 60)
        project.write("inventory.yml", INVENTORY.format(folder=project.folder, url=url))
        project.write("suites/test_payments.py", SUITE)
        project.write("reports/release.yml", PROFILE)
        quoted = json.dumps(everything)
        today = datetime.now(UTC).date()
        project.write(
            "waivers.yml",
            f"waivers: [{{check: payments.long, reason: {quoted}, owner: {quoted}, expires: {today}}},\n"
            f"  {{check: no.such, reason: {quoted}, owner: ana, expires: 2020-01-01}}]\n",
        )
        project.write(
            "attestations.yml",
            f"attestations: [{{name: rehearsed, by: {quoted}, at: {today}, evidence: {quoted}}},\n"
            f"  {{name: reviewed, by: ana, at: 2020-01-01, evidence: {quoted}}}]\n",
        )
        planted = frozenset(path for path in project.folder.rglob("*") if path.is_file())
        tell = f"json://127.0.0.1:{server.server_port}/{BIRDS['hook']}"
        yield Shop(
            project,
            {**ENVIRON, "TELL": tell, "GITHUB_ACTIONS": "true", "PYTHONDONTWRITEBYTECODE": "1"},
            planted,
            kind.told,
        )
        server.shutdown()


LOUD = (
    "-v",
    "-rA",
    "--tb=long",
    "--showlocals",
    "--show-capture=all",
    "-o",
    "log_cli=true",
    "-o",
    "log_cli_level=DEBUG",
)


def test_the_canaries_are_alive(shop: Shop) -> None:
    """Otherwise silence would prove nothing: each place is looked at, and says that it took something out."""
    ended = shop.readygate("run", "--", *LOUD)
    assert (ended.code, ended.word) == (1, "NO-GO")
    results = {f"{each['check']} {each['path']}": each for each in ended.run["results"]}
    text = json.dumps(ended.run)
    for name in (
        "SHOP_TOKEN",
        "PLAIN_NAME",
        "x-payments.file.value",
        "x-payments.command.value",
        "LOGIN",
        "HOOK_KEY",
    ):
        assert f"[redacted {name}]" in text, name
    silent = [name for name, each in results.items() if "payments" in name and "[redacted" not in json.dumps(each)]
    assert not silent
    files = shop.files()
    for name in ("report.html", "junit.xml", "summary.md", "annotations.txt", "afterwards.json"):
        assert "[redacted" in files[f"readygate-out/{name}"], name
    assert [name for name in files if name.startswith(".readygate/history/")]
    assert shop.leaks() == []


@pytest.mark.skipif(find_spec("apprise") is None, reason="Apprise is not installed")
def test_a_notice_shows_none(shop: Shop) -> None:
    shop.readygate("run")
    assert any("[redacted" in each for each in shop.told)
    assert shop.leaks() == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--wait", "1s"),
        ("run", "--shard", "1/1"),
        ("run", "--", "-n", "2"),
        ("run", "--", "-s"),
        ("lint",),
        ("plan",),
        ("plan", "--json"),
        ("report",),
        ("report", "--language", "ru"),
        ("merge", "readygate-out"),
        ("history",),
        ("history", "--json"),
        ("diff", "readygate-out", "readygate-out"),
        ("run", "no-such-profile"),
        ("run", "--env", "nowhere"),
    ],
    ids=" ".join,
)
def test_no_command_shows_one(shop: Shop, arguments: tuple[str, ...]) -> None:
    shop.readygate(*arguments)
    assert shop.leaks() == []


@pytest.mark.parametrize(
    "more", [(), ("-n", "2"), ("-s",), ("--desk", "--tb=native", "-p", "no:terminal"), ("--collect-only",)]
)
def test_plain_pytest_shows_none(shop: Shop, more: tuple[str, ...]) -> None:
    shop.pytest("suites", *LOUD, "--junitxml=theirs.xml", "-o", "junit_logging=all", *more)
    if "--collect-only" not in more:
        assert "payments" in shop.files()["theirs.xml"]
    assert shop.leaks() == []


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("query_within: 50ms", 'query_within: "${SHOP_TOKEN}"'),
        ("connect: local://", 'connect: "${SHOP_TOKEN}"'),
        ("status: 204", 'status: "${file:planted/file}"'),
        ("url: http://127.0.0.1:1", 'url: "http://shop:${SHOP_TOKEN}@127.0.0.1:1"'),
        ("every: 90d", 'every: "${command:cat planted/command}"'),
        ("${file:planted/file}", "${file:planted/gone}"),
        ("${command:cat planted/command}", "${command:cat planted/command planted/command >&2; exit 1}"),
        ("project: canary", "project: canary\nlifecycle: {up: 'cat planted/all; exit 1'}"),
    ],
)
def test_a_mistake_in_the_inventory_shows_none(shop: Shop, was: str, becomes: str) -> None:
    path = shop.project.folder / "inventory.yml"
    sound = path.read_text()
    assert was in sound
    try:
        path.write_text(sound.replace(was, becomes))
        assert shop.readygate("run").code in (2, 3)
    finally:
        path.write_text(sound)
    assert shop.leaks() == []
