"""The inventory as a whole: each mistake in exactly the words a user reads, and never a traceback.

A mistake is one file, inventories/invalid-<mistake>.yml. The comments that it begins with are the messages,
FILE being its own path and FOLDER its folder; a first comment `# env: NAME` is the environment asked for.
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml

from readygate.errors import InventoryError
from readygate.inventory import Inventory, load, source
from readygate.inventory.source import name_of
from readygate.spec import Severity

ROOT = Path(__file__).parent.parent
INVENTORIES = Path(__file__).parent / "inventories"
ENVIRON = {"PATH": "/usr/bin:/bin"}


def problems_of(path: Path, env: str | None = None, **environ: str) -> list[str]:
    try:
        load(path, env, {**ENVIRON, **environ})
    except InventoryError as error:
        return str(error).splitlines()
    return []


@pytest.mark.parametrize("path", sorted(INVENTORIES.glob("invalid-*.yml")), ids=lambda path: path.stem)
def test_a_mistake_is_told_in_exactly_these_words(path: Path) -> None:
    comments = takewhile(lambda line: line.startswith("# "), path.read_text().splitlines())
    expected = [line.removeprefix("# ") for line in comments]
    env = expected.pop(0).removeprefix("env: ") if expected[0].startswith("env: ") else None
    found = [
        line.replace(name_of(path), "FILE").replace(name_of(INVENTORIES), "FOLDER") for line in problems_of(path, env)
    ]
    assert found == expected


# Whatever is wrong, what comes out is a list of problems, each of which can be mended.

VALUES: tuple[Any, ...] = (
    *("x", "~ (", ">=", "!=", "=", "<5%", "70%", "9" * 400, "1e400", "${NO", "${X}", "a..b", "2026-02-30"),
    *("http://[", "https://a:b@c:99999999/", "https://" + "a" * 300, 0, -1, 1.5, 10**30, True, False),
    *(["a"], [1, [2]], [{"a": [{"b": 1}]}], {"a": 1}, {"warn": 1, "fail": 2}, {"warn": "x"}, {}, [], ""),
)
KEYS = (
    *("x", "a.b", "*", "[", "a b", "/", ".", "x-", "\u00fc", "\u0661", "null", "99999", "-1/tcp", "a" * 300),
    *("warn", "fail", "on", "<<", "groups", "include", "defaults", "environments"),
)


def described() -> Iterator[str]:
    """The shipped inventory, and what the docs show."""
    yield (ROOT / "inventory.yml").read_text()
    for page in sorted((ROOT / "docs" / "areas").glob("*.md")):
        for example in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL):
            yield example if example.startswith("project:") else f"project: docs\n{example}"


def steps(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything in a tree."""
    below = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, each in below:
        yield (*path, key)
        yield from steps(each, (*path, key))


def at(data: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        data = data[step]
    return data


def spoiled(data: Any, chance: random.Random) -> Any:
    """The tree with one thing deleted, duplicated, renamed, added, or of another kind."""
    data = copy.deepcopy(data)
    paths = list(steps(data))
    path = chance.choice(paths)
    parent, last = at(data, path[:-1]), path[-1]
    value = copy.deepcopy(at(data, chance.choice(paths)) if chance.random() < 0.3 else chance.choice(VALUES))
    match chance.choice(("delete", "replace", "wrap", "rename", "add")):
        case "delete":
            del parent[last]
        case "wrap":
            parent[last] = [parent[last]]
        case "rename" if isinstance(parent, dict):
            parent[chance.choice(KEYS)] = parent.pop(last)
        case "add" if isinstance(parent, dict):
            parent[chance.choice(KEYS)] = value
        case _:
            parent[last] = value
    return data


@pytest.mark.parametrize("seed", range(10))
def test_no_spoiled_inventory_is_anything_but_a_list_of_problems(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    texts = list(described())
    environ = {name: "4443" for text in texts for name in re.findall(r"\$\{(\w+)\}", text)}
    trees = [source.to_data(source.parse(text, "")) for text in texts]
    path = tmp_path / "inventory.yml"
    for _ in range(30):
        data = chance.choice(trees)
        for _ in range(chance.choice((1, 1, 1, 3))):
            data = spoiled(data, chance)
        path.write_text(yaml.safe_dump(data, sort_keys=False))
        for line in problems_of(path, **environ):
            assert re.match(rf"{re.escape(str(path))}:\d+:\d+[ :]", line), line
            assert "; " in line, line
            assert not re.search(r"\binput\b|should |pydantic|\bvalidat", line), line


@pytest.mark.parametrize("written", ["0644", '"0644"', "0o644", '"0o644"', '"644"', "{fail: 0644}"])
def test_a_mode_is_the_one_that_it_looks_like(written: str, tmp_path: Path) -> None:
    (mode,) = load(mode_of(written, tmp_path), None, ENVIRON).leaves
    assert mode.expected.expected == "0644"
    assert [each for each in range(0o10000) if mode.expected.judge(each)] == [0o644]


@pytest.mark.parametrize("written", ["644", "420", "0x1a4", "06448", "+0644", "0644.0", "0_644", "{fail: 644}"])
def test_a_mode_that_may_be_another_one_is_refused(written: str, tmp_path: Path) -> None:
    (problem,) = problems_of(mode_of(written, tmp_path))
    assert problem.endswith('is not a file mode; write it in quotes, e.g. "0600"')


def mode_of(written: str, folder: Path) -> Path:
    inventory = folder / "inventory.yml"
    inventory.write_text(f"project: p\nservers: {{a: {{connect: ssh://a, files: {{/x: {{mode: {written}}}}}}}}}\n")
    return inventory


def test_a_misspelt_key_that_has_to_be_there_is_one_problem(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yml"
    path.write_text("project: shop\nservers: {app-1: {conect: 'ssh://app-1', memory: {available: 1M}}}\n")
    (line,) = problems_of(path)
    assert line.endswith("servers.app-1.conect: unknown key 'conect'; did you mean 'connect'?")


# What a complete one says.


def loaded(folder: Path, text: str, env: str | None = None, **environ: str) -> Inventory:
    path = folder / "inventory.yml"
    path.write_text(dedent(text))
    return load(path, env, {**ENVIRON, **environ})


WHOLE = """\
    project: shop
    owned_by: everybody@shop.example
    defaults:
      sites: {owned_by: web@shop.example}
    sites:
      api:
        url: https://api.shop.example
        severity: minor
        tls: {trusted: true, renew_before: 30d, severity: blocker}
        endpoints:
          /health: {status: 200, owned_by: core@shop.example, json: {status: ok, database: ok}}
    x-team: {lead: {on-call: true}}
    environments:
      staging: {sites: {api: {url: https://api.staging.example}}}
    """


def test_every_expectation_has_one_identity_and_the_line_that_it_was_written_at(tmp_path: Path) -> None:
    leaves = loaded(tmp_path, WHOLE).leaves
    assert {leaf.id: leaf.position.line for leaf in leaves} == {
        "tls.renew_before @ api": 9,
        "tls.trusted @ api": 9,
        "http.status @ api:/health": 11,
        "http.json @ api:/health:status": 11,
        "http.json @ api:/health:database": 11,
        "x-team @ lead.on-call": 12,
    }


def test_the_nearest_owner_and_severity_hold(tmp_path: Path) -> None:
    leaves = {leaf.id: leaf for leaf in loaded(tmp_path, WHOLE).leaves}
    trusted, status = leaves["tls.trusted @ api"], leaves["http.status @ api:/health"]
    assert (trusted.owner, trusted.severity) == ("web@shop.example", Severity.BLOCKER)
    assert (status.owner, status.severity) == ("core@shop.example", Severity.MINOR)
    assert leaves["x-team @ lead.on-call"].owner == "everybody@shop.example"


def test_an_environment_is_what_was_asked_for(tmp_path: Path) -> None:
    site = loaded(tmp_path, WHOLE, "staging").entries["sites"]["api"]
    assert site.url == "https://api.staging.example"  # type: ignore[attr-defined]


def test_the_digest_is_over_every_file_that_was_read(tmp_path: Path) -> None:
    (tmp_path / "more.yml").write_text("sites: {api: {url: https://a.example, redirects_http: true}}\n")
    text = "project: shop\ninclude: [more.yml]\n"
    first = loaded(tmp_path, text).digest
    assert loaded(tmp_path, text).digest == first
    (tmp_path / "more.yml").write_text("sites: {api: {url: https://b.example, redirects_http: true}}\n")
    assert loaded(tmp_path, text).digest != first


def test_two_ports_are_free_and_those_of_the_environment_are_kept(tmp_path: Path) -> None:
    text = WHOLE + "lifecycle: {up: ./serve, ports: [ONE, TWO, THREE]}\n"
    variables = loaded(tmp_path, text, THREE="4443").variables
    assert "THREE" not in variables
    assert len({variables["ONE"], variables["TWO"], "4443"}) == 3


def test_a_server_that_is_only_named_by_others_needs_no_expectation(tmp_path: Path) -> None:
    text = (
        'project: shop\nservers: {db-1: {connect: "ssh://db-1"}}\nbackups: {db: {on: db-1, path: /b/*, count: 1}}\n'
    )
    (tmp_path / "inventory.yml").write_text(text)
    assert [leaf.id for leaf in load(tmp_path / "inventory.yml", None, {}).leaves] == ["backup.count @ db"]
