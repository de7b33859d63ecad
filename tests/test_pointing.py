"""`--target`: the same inventory pointed elsewhere, as at green before traffic is switched to it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from readygate.errors import InventoryError
from readygate.inventory import load
from readygate.inventory.pointing import TARGET, pointed_to
from tests.projects import Project
from tests.web import Answer, authority, reply, tls_context, web_server

HOST = "shop.example"
ROOT = authority()


def serving(version: str, heard: list[str]) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        heard.append(request.headers["Host"])
        reply(request, body=json.dumps({"version": version}).encode())

    return answer


@pytest.fixture
def blue_and_green(tmp_path: Path) -> Iterator[tuple[Project, int, int, list[str]]]:
    """The public name leads to blue, with the release before; green has its certificate, and the new release."""
    (tmp_path / "ca.pem").write_bytes(ROOT.pem)
    context = tls_context(tmp_path, ROOT.issue(HOST))
    heard: list[str] = []
    with (
        web_server(serving("1.4.1", []), context) as blue,
        web_server(serving("1.4.2", heard), context) as green,
    ):
        project = Project(tmp_path)
        project.write(
            "inventory.yml",
            f"""\
            project: shop
            sites:
              api:
                url: https://{HOST}:{blue}
                resolve: 127.0.0.1
                nodes: ["127.0.0.1:{blue}"]
                tls: {{ca: "{tmp_path}/ca.pem", trusted: true, matches_host: true}}
                endpoints:
                  /health:
                    json: {{version: 1.4.2}}
                    on_every_node: {{version: 1.4.2}}
            """,
        )
        yield project, blue, green, heard


def test_the_public_name_does_not_tell_of_green(blue_and_green: tuple[Project, int, int, list[str]]) -> None:
    project, *_ = blue_and_green
    assert project.readygate("run").code == 1


@pytest.mark.parametrize("workers", [(), ("--", "-n", "2")])
def test_an_address_is_asked_by_the_public_name(
    blue_and_green: tuple[Project, int, int, list[str]], workers: tuple[str, ...]
) -> None:
    project, blue, green, heard = blue_and_green
    ended = project.readygate("run", "--target", f"sites.api=127.0.0.1:{green}", *workers)
    assert (ended.code, ended.word) == (0, "GO"), ended.stdout
    assert set(heard) == {f"{HOST}:{blue}"}
    assert f"looked for elsewhere: sites.api=127.0.0.1:{green}" in ended.stdout
    assert f"at 127.0.0.1:{green}" in ended.result("http.json")["evidence"][0]["asked"]
    assert ended.run["subject"]["pointed"] == [f"sites.api=127.0.0.1:{green}"]
    for page in ("report.html", "summary.md"):
        assert f"sites.api=127.0.0.1:{green}" in (project.folder / "readygate-out" / page).read_text()


def test_a_url_is_asked_by_its_own_name(blue_and_green: tuple[Project, int, int, list[str]]) -> None:
    project, _, green, heard = blue_and_green
    ended = project.readygate("run", "--target", f"sites.api=https://127.0.0.1:{green}")
    assert set(heard) == {f"127.0.0.1:{green}"}
    assert (ended.code, ended.result("tls.matches_host")["outcome"]) == (1, "failed")


def test_a_watch_looks_there_too(blue_and_green: tuple[Project, int, int, list[str]]) -> None:
    project, _, green, _ = blue_and_green
    ended = project.readygate("watch", "--for", "1s", "--every", "1s", "--target", f"sites.api=127.0.0.1:{green}")
    assert (ended.code, ended.word) == (0, "GO"), ended.stdout


INVENTORY = """\
project: shop
sites: {api: {url: "https://shop.example", headers: {Server: nginx}}}
tls_ports: {mail: {at: "mail.example:25", tls: {trusted: true}}}
servers: {app: {connect: "ssh://app", memory: {available: 1M}}}
"""


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("sites.apii=https://x.example", "--target sites.apii: the inventory does not have it; it has sites.api"),
        ("load.x=https://x.example", "--target load.x: the inventory does not have it; it has no load"),
        ("backups.db=/srv", "--target backups.db: is no target; write e.g. sites.api=https://green.example.com;"),
        ("sites.api", "--target sites.api: is no target"),
        ("sites.api=${command:id}", "--target sites.api: is no target"),
        ("servers.app=green", "--target servers.app: can't be pointed to 'green'; write a URL"),
        ("tls_ports.mail=https://x", "--target tls_ports.mail: can't be pointed to 'https://x'; write host:port"),
        ("sites.api=ftp://x.example", "--target sites.api.url: 'ftp://x.example' is not the URL of a site"),
        ("sites.api=a/b", "--target sites.api.resolve: 'a/b' is not a node"),
        ("sites.api=a sites.api=b", "--target sites.api: is pointed to two places; keep one of them"),
    ],
)
def test_a_target_that_cannot_be_meant_is_refused(target: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "inventory.yml"
    path.write_text(INVENTORY)
    with pytest.raises(InventoryError) as refused:
        load(path, None, {TARGET: target})
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_unknown_target_is_one_mistake_of_the_command(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("inventory.yml", INVENTORY)
    ended = project.readygate("run", "--target", "sites.web=https://x.example")
    assert ended.code == 2
    assert ended.stderr == "--target sites.web: the inventory does not have it; it has sites.api\n"


def test_each_kind_of_entry_is_pointed_by_what_says_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yml"
    path.write_text(INVENTORY)
    there = "sites.api=10.0.0.7:8443 tls_ports.mail=[2001:db8::7]:2525 servers.app=ssh://green"
    entries = load(path, None, {TARGET: there}).entries
    assert entries["sites"]["api"].resolve == "10.0.0.7:8443"  # type: ignore[attr-defined]
    assert entries["tls_ports"]["mail"].origin.at == "[2001:db8::7]:2525"  # type: ignore[attr-defined]
    assert entries["servers"]["app"].connect == "ssh://green"  # type: ignore[attr-defined]


def test_the_environment_is_as_it_was_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TARGET, "sites.api=a")
    with pointed_to(["sites.api=b"]):
        assert os.environ[TARGET] == "sites.api=b"
    assert os.environ[TARGET] == "sites.api=a"
