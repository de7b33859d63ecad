"""Composing: what wins over what, and where it was written. Its mistakes are in test_inventory.py."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from time import process_time
from typing import Any

from readygate.errors import Position
from readygate.inventory import source
from readygate.inventory.compose import Composed, compose


def composed(folder: Path, text: str, env: str | None = None, **others: str) -> Composed:
    for name, content in {"inventory": text, **others}.items():
        (folder / f"{name}.yml").write_text(dedent(content))
    return compose(folder / "inventory.yml", env)


def data(*args: Any, **others: str) -> Any:
    return source.to_data(composed(*args, **others).tree)


LAYERED = """\
    defaults:
      servers: {user: root, port: 22, disk: {warn: 70, fail: 85}}
    groups:
      web: {port: 2201, services: {nginx: {running: true}}}
      db: {port: 2202, disk: {fail: 60}}
    servers:
      app-1: {connect: app-1, groups: [web, db], user: deploy}
      app-2: {connect: app-2, groups: [db, web]}
      app-3: {connect: app-3}
    """


def test_entries_win_over_later_groups_over_earlier_ones_over_defaults(tmp_path: Path) -> None:
    servers = data(tmp_path, LAYERED)["servers"]
    assert servers["app-1"]["user"] == "deploy"
    assert servers["app-1"]["port"] == 2202
    assert servers["app-2"]["port"] == 2201
    assert servers["app-1"]["disk"] == {"warn": 70, "fail": 60}
    assert servers["app-3"] == {
        "user": "root",
        "port": 22,
        "disk": {"warn": 70, "fail": 85},
        "connect": "app-3",
    }


def test_what_only_serves_composing_is_gone_afterwards(tmp_path: Path) -> None:
    text = LAYERED + ".anchors: {a: 1}\n    environments: {staging: {project: x}}\n"
    result = data(tmp_path, text.replace("\n.anchors", "\n    .anchors"))
    assert list(result) == ["servers"]
    assert "groups" not in result["servers"]["app-1"]


def test_positions_point_to_where_a_value_was_written(tmp_path: Path) -> None:
    places = source.positions(composed(tmp_path, LAYERED).tree)
    file = str(tmp_path / "inventory.yml")
    assert places.of(("servers", "app-1", "user")) == Position(file, 7, 46)
    assert places.of(("servers", "app-3", "user")) == Position(file, 2, 13)
    assert places.of(("servers", "app-1", "disk", "fail")).line == 5
    assert places.of(("servers", "app-1", "disk", "warn")).line == 2


OVERLAID = """\
    defaults:
      sites: {redirects_http: true}
    sites:
      api: {url: https://api, tls: {protocols: [TLSv1.2, TLSv1.3], chain: complete}}
      v1.example.com: {url: https://v1, tls: {chain: complete}}
    environments:
      staging:
        sites:
          api: {url: https://staging, tls: {protocols: [TLSv1.3]}}
      bare:
        without: [sites.api.tls.chain, sites.api.redirects_http, sites.v1.example.com.tls]
      renewed:
        without: [sites.api.tls, defaults]
        sites: {api: {tls: {minimum: TLSv1.3}}}
    """


def test_an_overlay_merges_mappings_and_replaces_the_rest(tmp_path: Path) -> None:
    assert data(tmp_path, OVERLAID, "staging")["sites"]["api"] == {
        "redirects_http": True,
        "url": "https://staging",
        "tls": {"protocols": ["TLSv1.3"], "chain": "complete"},
    }


def test_without_an_environment_the_base_stands_alone(tmp_path: Path) -> None:
    assert data(tmp_path, OVERLAID)["sites"]["api"]["url"] == "https://api"


def test_without_takes_away_what_is_written_and_what_is_inherited(tmp_path: Path) -> None:
    sites = data(tmp_path, OVERLAID, "bare")["sites"]
    assert sites["api"] == {"url": "https://api", "tls": {"protocols": ["TLSv1.2", "TLSv1.3"]}}
    assert sites["v1.example.com"] == {"redirects_http": True, "url": "https://v1"}


def test_an_overlay_can_take_away_and_write_anew(tmp_path: Path) -> None:
    api = data(tmp_path, OVERLAID, "renewed")["sites"]["api"]
    assert api == {"url": "https://api", "tls": {"minimum": "TLSv1.3"}}


def test_a_group_that_only_another_environment_uses_is_not_idle(tmp_path: Path) -> None:
    text = """\
        groups: {web: {port: 80}}
        servers: {app: {connect: x}}
        environments: {production: {servers: {app: {groups: [web]}}}}
        """
    assert data(tmp_path, text) == {"servers": {"app": {"connect": "x"}}}
    assert data(tmp_path, text, "production") == {"servers": {"app": {"connect": "x", "port": 80}}}


def test_keys_of_the_users_own_are_left_as_they_are(tmp_path: Path) -> None:
    assert data(tmp_path, "x-acme: {team: {groups: {any: thing}}}\n") == {
        "x-acme": {"team": {"groups": {"any": "thing"}}}
    }


def test_includes_add_entries_each_placed_in_its_own_file(tmp_path: Path) -> None:
    inventory = "include: ['host-*.yml', common.yml]\nservers: {app-0: {connect: app-0}}\n"
    files = {
        "host-1": "include: [common.yml]\n.x: &x 1\nservers: {app-1: {connect: app-1}}\n",
        "host-2": ".x: &x 2\nservers: {app-2: {connect: app-2}}\n",
        "common": "project: shop\n",
    }
    result = composed(tmp_path, inventory, **files)
    assert source.to_data(result.tree)["project"] == "shop"
    assert list(source.to_data(result.tree)["servers"]) == ["app-0", "app-1", "app-2"]
    assert source.positions(result.tree).of(("servers", "app-2")) == Position(str(tmp_path / "host-2.yml"), 2, 11)
    assert [Path(file.path).stem for file in result.files] == ["inventory", "host-1", "common", "host-2"]
    assert result.files[2].text == "project: shop\n"


def test_entries_take_no_longer_each_where_there_are_many(tmp_path: Path) -> None:
    def seconds(count: int) -> float:
        entries = "".join(f"  app-{number}: {{connect: local://}}\n" for number in range(count))
        (tmp_path / "inventory.yml").write_text(f"project: p\nservers:\n{entries}")
        begun = process_time()
        compose(tmp_path / "inventory.yml", None)
        return process_time() - begun

    # Eight times as many: 8 where each takes as long as before, and 64 where each waits for all others.
    assert min(seconds(32000) for _ in range(2)) < 32 * max(seconds(4000) for _ in range(2))
