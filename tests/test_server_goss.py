"""On the same host, of the same facts, goss and Readygate say the same: what holds, and what doesn't.

Needs the binary of goss, in PATH or named by GOSS.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import pytest
import testinfra
import yaml

from tests.lab.docker import docker
from tests.lab.host import Target
from tests.server_checks import judged_on

NEVER = "0" * 64


@dataclass(frozen=True, slots=True)
class Same:
    """One fact in both languages: where goss has it, where we do, and what is right and wrong of it."""

    goss: tuple[str, str, str]
    ours: tuple[str, ...]
    right: Any
    wrong: Any
    ours_right: Any = None
    ours_wrong: Any = None

    def expected(self, *, right: bool) -> Any:
        ours, theirs = (self.ours_right, self.right) if right else (self.ours_wrong, self.wrong)
        return theirs if ours is None else ours


def entry(kind: str, name: str, section: str, key: str, **facts: Any) -> list[Same]:
    """Facts of one entry: `goss_property__our_key=(right, wrong[, our right, our wrong])`."""
    found = []
    for names, values in facts.items():
        theirs, _, ours = names.partition("__")
        found.append(Same((kind, name, theirs.replace("_", "-")), (section, key, ours or theirs), *values))
    return found


FLAG, NOT = (True, False), (False, True)
ENV, DUMP = "/etc/shop/shop.env", "/var/backups/shop/latest.dump"
FACTS = [
    *entry("file", ENV, "files", ENV, exists=FLAG, mode=("0600", "0644"), uid=(1000, 0)),
    *entry("file", ENV, "files", ENV, size=(25, 26), gid=(1000, 0)),
    *entry("file", ENV, "files", ENV, owner=("deploy", "root"), group=("deploy", "root")),
    *entry("file", ENV, "files", ENV, filetype__type=("file", "directory"), sha256=("${ENV_DIGEST}", NEVER)),
    Same(("file", ENV, "contents"), ("files", ENV, "contains", "^LOG_LEVEL=info$"), ["/^LOG_LEVEL=info$/"],
         ["!/^LOG_LEVEL=info$/"], True, False),
    *entry("file", DUMP, "files", DUMP, filetype__type=("symlink", "file", "link", "file")),
    *entry("file", DUMP, "files", DUMP, exists=FLAG, linked_to__links_to=("${DUMP}", "/tmp/other")),
    *entry("file", "/etc/nologin", "files", "/etc/nologin", exists=NOT),
    *entry("file", "/etc/cron.d", "files", "/etc/cron.d", exists=FLAG, mode=("0755", "0700")),
    *entry("package", "nginx", "packages", "nginx", installed=FLAG),
    *entry("package", "rclone", "packages", "rclone", installed=FLAG),
    *entry("package", "telnetd", "packages", "telnetd", installed=NOT),
    *entry("service", "nginx", "services", "nginx", running=FLAG, enabled=FLAG),
    *entry("service", "cron", "services", "cron", running=FLAG, enabled=FLAG),
    *entry("service", "redis-server", "services", "redis-server", running=FLAG, enabled=FLAG),
    *entry("service", "no-such", "services", "no-such", running=NOT, enabled=NOT),
    *entry("user", "deploy", "users", "deploy", exists=FLAG, uid=(1000, 0), gid=(1000, 0)),
    *entry("user", "deploy", "users", "deploy", groups=(["deploy", "sudo", "www-data"], ["wheel"])),
    *entry("user", "deploy", "users", "deploy", home=("/home/deploy", "/"), shell=("/bin/bash", "/bin/sh")),
    *entry("user", "shop", "users", "shop", exists=FLAG, shell=("/usr/sbin/nologin", "/bin/sh")),
    *entry("user", "toor", "users", "toor", exists=NOT),
    *entry("group", "sudo", "user_groups", "sudo", exists=FLAG, gid=(27, 0)),
    *entry("group", "wheel", "user_groups", "wheel", exists=NOT),
    *entry("process", "nginx", "processes", "nginx", running=FLAG),
    *entry("process", "redis-server", "processes", "redis-server", running=FLAG),
    *entry("process", "nc", "processes", "nc", running=NOT),
    *entry("port", "tcp:80", "ports", "80", listening=FLAG, ip__addresses=(["0.0.0.0"], ["127.0.0.1"])),
    *entry("port", "tcp:6379", "ports", "6379", listening=FLAG, ip__addresses=(["127.0.0.1"], ["0.0.0.0"])),
    *entry("port", "tcp:7777", "ports", "7777", listening=NOT),
    *entry("port", "tcp6:22", "ports", "22/tcp", listening=FLAG),
    *entry("mount", "/srv/shop", "disk", "/srv/shop", exists__mounted=FLAG, filesystem=("tmpfs", "ext4")),
    *entry("mount", "/srv/shop", "disk", "/srv/shop", source=("tmpfs", "/dev/vdb1")),
    *entry("dns", "localhost", "dns", "localhost", resolvable=FLAG),
    *entry("dns", "no-such-host.invalid", "dns", "no-such-host.invalid", resolvable=NOT),
    *entry("interface", "eth0", "interfaces", "eth0", exists=FLAG, mtu=(1500, 9000)),
    *entry("interface", "eth0", "interfaces", "eth0", addrs__addresses=(["${ADDRESS}"], ["10.9.8.7/24"])),
    *entry("interface", "eth9", "interfaces", "eth9", exists=NOT),
    Same(("kernel-param", "net.ipv4.tcp_syncookies", "value"), ("sysctl", "net.ipv4.tcp_syncookies"), "1", "0", 1, 0),
    Same(("kernel-param", "kernel.ostype", "value"), ("sysctl", "kernel.ostype"), "Linux", "Hurd"),
    Same(("addr", "tcp://localhost:5432", "reachable"), ("reaches", "localhost:5432"), *FLAG),
    Same(("addr", "tcp://localhost:1", "reachable"), ("reaches", "localhost:1"), *NOT),
    *entry("command", "echo hi; exit 3", "commands", "said", exit_status__exit=(3, 0)),
    *entry("command", "echo hi; exit 3", "commands", "said", stdout__output=(["hi"], ["ho"], "hi", "ho")),
    *entry("command", "echo oh >&2", "commands", "complained", stderr__errors=(["oh"], ["eh"], "oh", "eh")),
]  # fmt: skip
RUNS = {"said": "echo hi; exit 3", "complained": "echo oh >&2"}


@pytest.fixture(scope="module")
def goss() -> str:
    found = os.environ.get("GOSS") or shutil.which("goss")
    if not found:
        pytest.skip("there is no goss on this machine: put it into PATH, or name it by GOSS")
    return found


def filled(value: Any, host: Target) -> Any:
    """The value, with what only this host knows."""
    asked = {
        "${ENV_DIGEST}": f"sha256sum {ENV} | cut -d ' ' -f 1",
        "${DUMP}": f"readlink {DUMP}",
        "${ADDRESS}": "ip -o -4 addr show dev eth0 | grep -o 'inet [^ ]*' | cut -d ' ' -f 2",
    }
    if isinstance(value, list):
        return [filled(each, host) for each in value]
    return host.run(asked[value]).stdout.strip() if value in asked else value


def what_goss_says(goss: str, host: Target, wrong: Collection[Same]) -> dict[tuple[str, str, str], bool]:
    declared: dict[str, Any] = {}
    for fact in FACTS:
        kind, name, key = fact.goss
        value = filled(fact.wrong if fact in wrong else fact.right, host)
        declared.setdefault(kind, {}).setdefault(name, {})[key] = value
    for name, properties in declared["command"].items():
        properties.setdefault("exit-status", {"ge": 0})
        properties["exec"] = name
    host.write("/root/goss.yaml", yaml.safe_dump(declared))
    docker("cp", goss, f"{host.container}:/usr/local/bin/goss")
    said = host.run("goss --gossfile /root/goss.yaml validate --format json", check=False).stdout
    results = json.loads(said)["results"]
    return {_place(each): each["successful"] for each in results}


def _place(result: dict[str, Any]) -> tuple[str, str, str]:
    """Where the gossfile has it; the results name two things otherwise."""
    kind = {"KernelParam": "kernel-param"}.get(result["resource-type"], result["resource-type"].lower())
    return kind, result["resource-id"], {"linkedto": "linked-to"}.get(result["property"], result["property"])


def what_we_say(host: Target, wrong: Collection[Same]) -> dict[tuple[str, ...], bool]:
    declared: dict[str, Any] = {"commands": {name: {"run": run} for name, run in RUNS.items()}}
    for fact in FACTS:
        place = declared
        for step in fact.ours[:-1]:
            place = place.setdefault(step, {})
        place[fact.ours[-1]] = filled(fact.expected(right=fact not in wrong), host)
    host_ = testinfra.get_host(f"docker://{host.container}")
    return {tuple(map(str, leaf.path[2:])): not why for leaf, why in judged_on(host_, **declared)}


# Of what isn't there, or doesn't listen, goss skips the rest, and a skip counts as a success.
GATES = [fact for fact in FACTS if fact.goss[2] in ("exists", "listening")]
WRONG = {"nothing": [], "what is there": GATES, "how it is": [fact for fact in FACTS if fact not in GATES]}


@pytest.mark.parametrize("what", WRONG)
def test_goss_says_the_same_if_this_is_declared_wrongly(goss: str, fresh_host: Target, what: str) -> None:
    assert len(FACTS) >= 60
    wrong = WRONG[what]
    theirs, ours = what_goss_says(goss, fresh_host, wrong), what_we_say(fresh_host, wrong)
    asked = wrong or FACTS
    both = {fact.goss: (theirs.get(fact.goss), ours.get(fact.ours)) for fact in asked}
    holds = not wrong
    assert {fact: said for fact, said in both.items() if said != (holds, holds)} == {}
