"""Containers that docker-compose started, and where each of them has drifted from what its file says."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from readygate.areas.containers.compose_file import ComposeFile, read_services
from readygate.areas.containers.compose_truth import Differences, compare
from readygate.areas.containers.engine import Images, ask_containers, ask_images, ask_internal_networks
from readygate.errors import CouldNotLook
from tests.holding import LOCAL
from tests.lab.container_engine import BASE, PrivateEngine, private_engine
from tests.lab.fixtures import unable
from tests.lab.host import Lab


@pytest.fixture(scope="module")
def engine(lab: Lab) -> Iterator[PrivateEngine]:
    if not shutil.which("docker-compose"):
        unable("there is no docker-compose")
    # Networks of the project take addresses that nobody else here has.
    with private_engine() as engine:
        yield engine
        engine.clear()


IMAGE = r"""
FROM {BASE}
ENV PATH=/bin REGION=eu
USER 1000
WORKDIR /srv
STOPSIGNAL SIGQUIT
LABEL vendor=shop
ENTRYPOINT ["sh", "-c"]
CMD ["sleep 1000"]
HEALTHCHECK --interval=20s --retries=4 CMD test -d /srv
"""


@pytest.fixture(scope="module")
def image(engine: PrivateEngine) -> str:
    """An image that sets all that an image can set."""
    engine.run(f"docker build --quiet --tag shop/set:1 - <<'END'{IMAGE.format(BASE=BASE)}END")
    return "shop/set:1"


class Shop:
    """A compose file, deployed to an engine; what it says is changed afterwards, or what runs is."""

    def __init__(self, engine: PrivateEngine, folder: Path) -> None:
        self.engine, self.folder = engine, folder

    def write(self, text: str) -> None:
        (self.folder / "compose.yml").write_text(text)

    def up(self, text: str, *flags: str) -> None:
        self.write(text)
        command = ["docker-compose", "--project-name", "shop", "--file", "compose.yml", *flags, "up", "--detach"]
        ended = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, **self.engine.environ},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ended.returncode == 0, ended.stderr

    def compared(self, **settings: Any) -> Differences:
        paths = [str(self.folder / "compose.yml")]
        declared = ComposeFile.model_validate({"paths": paths, "missing": 0, **settings})
        return compare(
            "shop",
            read_services(declared, "shop"),
            ask_containers(LOCAL, "here", "docker"),
            ask_images(LOCAL, "here", "docker"),
            ask_internal_networks(LOCAL, "here", "docker"),
        )


@pytest.fixture
def shop(engine: PrivateEngine, image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("DOCKER_HOST", engine.socket)
    engine.clear()
    return Shop(engine, tmp_path)


SILENT = "services: {api: {image: 'shop/set:1', init: true}}"


def test_what_a_file_leaves_to_the_image_is_as_the_image_has_it(shop: Shop) -> None:
    shop.up(SILENT)
    assert shop.compared() == Differences((), ())


@pytest.mark.parametrize(
    ("started", "told"),
    [
        ("command: [sleep 999]", "its command is not that of the file"),
        ("entrypoint: [sleep], command: ['1000']", "its entrypoint is not that of the file"),
        ("user: '0'", "user is root, not 1000, as the image has it"),
        ("working_dir: /", "working_dir is not what the file says"),
        ("stop_signal: SIGINT", "stop_signal is not what the file says"),
        ("healthcheck: {disable: true}", "it has no health check, and the file means it to have one"),
        ("healthcheck: {interval: 5m}", "the interval of its health check is 5m, not 20s"),
        ("environment: {DEBUG: 1}", "variable DEBUG is set, and neither by the file nor by the image"),
        ("environment: {REGION: us}", "variable REGION is set, and neither by the file nor by the image"),
        ("labels: {traefik.enable: 'true'}", "labels is not what the file says"),
        ("labels: {vendor: other}", "labels is not what the file says"),
        ("pid: host", "pid is not what the file says"),
        ("ipc: host", "ipc is not what the file says"),
        ("security_opt: ['seccomp:unconfined']", "security_opt is not what the file says"),
        ("devices: [/dev/null:/dev/nothing]", "devices is not what the file says"),
        ("extra_hosts: ['db:10.0.0.9']", "extra_hosts is not what the file says"),
        ("group_add: [1001]", "group_add is not what the file says"),
        ("network_mode: host", "it is in the network host, and the file has it in no such"),
    ],
)
def test_what_was_started_otherwise_than_the_silent_file_means_is_told(shop: Shop, started: str, told: str) -> None:
    shop.up(SILENT.replace("init: true", f"init: true, {started}"))
    assert shop.compared().found == ()
    shop.write(SILENT)
    assert f"api: {told}" in shop.compared().found


WHOLE = """
services:
  api:
    image: shop/base:1
    container_name: shop-api
    hostname: api-1
    domainname: shop.lab
    command: sh -c 'sleep 1000 && echo "$$HOME"'
    entrypoint: [env, A=1]
    working_dir: /tmp
    labels: {traefik.enable: true, team: shop}
    logging: {driver: json-file, options: {max-size: 10m, max-file: "3"}}
    dns: 10.0.0.53
    dns_search: [shop.lab]
    dns_opt: [ndots:2]
    extra_hosts: {db: 10.0.0.9}
    devices: [/dev/null:/dev/nothing:r]
    device_cgroup_rules: ['c 1:3 r']
    group_add: [1001]
    security_opt: ['no-new-privileges:true']
    tmpfs: ['/run:size=1m,mode=755']
    ulimits: {nofile: {soft: 1024, hard: 2048}, nproc: 512}
    sysctls: [net.core.somaxconn=1024]
    init: true
    stop_grace_period: 1m30s
    stop_signal: SIGINT
    shm_size: 16m
    memswap_limit: 256m
    mem_limit: 128m
    oom_score_adj: 100
    cpu_shares: 512
    cpu_quota: 50000
    cpuset: "0"
    pid: service:db
    healthcheck: {test: 'test -d "/tmp"', interval: 1m30s, timeout: 5s, retries: 5, start_period: 1500ms}
    networks:
      front: {aliases: [web], ipv4_address: 10.215.0.9}
      back:
      shared:
  db:
    image: shop/base:1
    command: [sleep, "1000"]
    healthcheck: {test: [CMD, test, -d, /tmp], interval: 10s}
    networks: [back]
  side:
    {image: 'shop/base:1', init: true, command: sleep 1000, network_mode: 'service:db', healthcheck: {test: [NONE]}}
  bare: {image: 'shop/base:1', init: true, command: 'sleep 1000', network_mode: none}
  host: {image: 'shop/base:1', init: true, command: 'sleep 1000', network_mode: host, ipc: shareable}
networks:
  front: {ipam: {config: [{subnet: 10.215.0.0/24}]}}
  back: {internal: true}
  shared: {name: shop-shared, external: true}
"""
IGNORING = {"ignoring": ["network_settings"]}


@pytest.fixture(scope="module")
def whole(
    engine: PrivateEngine, image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Shop, Differences]]:
    """One deployment of the whole file; tests change what the file says, and leave what runs alone."""
    engine.clear()
    engine.run("docker network create shop-shared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", engine.socket)
        shop = Shop(engine, tmp_path_factory.mktemp("whole"))
        shop.up(WHOLE)
        yield shop, shop.compared(**IGNORING)


def test_a_file_that_says_all_that_can_be_compared_is_what_runs(whole: tuple[Shop, Differences]) -> None:
    assert whole[1] == Differences((), ())


CHANGES = [
    ("container_name: shop-api", "container_name: shop-web", "container_name is not what the file says"),
    ("hostname: api-1", "hostname: api-2", "hostname is not what the file says"),
    ("domainname: shop.lab", "domainname: shop.example", "domainname is not what the file says"),
    ("command: sh -c 'sleep 1000 &&", "command: sh -c 'sleep 1001 &&", "its command is not that of the file"),
    ("command: sh -c 'sleep 1000 && echo \"$$HOME\"'", "command: [sh]", "its command is not that of the file"),
    ("[env, A=1]", "env A=2", "its entrypoint is not that of the file"),
    ("    entrypoint: [env, A=1]\n", "", "its entrypoint is not that of the file"),
    ("working_dir: /tmp", "working_dir: /srv", "working_dir is not what the file says"),
    ("traefik.enable: true", "traefik.enable: false", "labels is not what the file says"),
    ("max-size: 10m", "max-size: 100m", "logging is not what the file says"),
    ("driver: json-file", "driver: local", "logging is not what the file says"),
    ("dns: 10.0.0.53", "dns: [10.0.0.53, 10.0.0.54]", "dns is not what the file says"),
    ("dns_search: [shop.lab]", "dns_search: []", "dns_search is not what the file says"),
    ("ndots:2", "ndots:3", "dns_opt is not what the file says"),
    ("{db: 10.0.0.9}", "['db:10.0.0.8']", "extra_hosts is not what the file says"),
    ("/dev/nothing:r]", "/dev/nothing]", "devices is not what the file says"),
    ("c 1:3 r", "c 1:3 rw", "device_cgroup_rules is not what the file says"),
    ("[1001]", "[1002]", "group_add is not what the file says"),
    ("    security_opt: ['no-new-privileges:true']\n", "", "security_opt is not what the file says"),
    ("size=1m,mode=755", "size=2m,mode=755", "tmpfs is not what the file says"),
    ("soft: 1024", "soft: 1000", "ulimits is not what the file says"),
    ("somaxconn=1024", "somaxconn=4096", "sysctls is not what the file says"),
    ("    init: true\n", "", "init is not what the file says"),
    ("1m30s\n", "10s\n", "stop_grace_period is not what the file says"),
    ("stop_signal: SIGINT", "stop_signal: INT", None),
    ("stop_signal: SIGINT", "stop_signal: SIGTERM", "stop_signal is not what the file says"),
    ("shm_size: 16m", "shm_size: 64m", "shm_size is not what the file says"),
    ("memswap_limit: 256m", "memswap_limit: 128m", "memswap_limit is not what the file says"),
    ("oom_score_adj: 100", "oom_score_adj: 0", "oom_score_adj is not what the file says"),
    ("cpu_shares: 512", "cpu_shares: 1024", "cpu_shares is not what the file says"),
    ("cpu_quota: 50000", "cpus: 0.5", None),
    ("cpu_quota: 50000", "cpu_quota: 25000", "cpus is 0.5, not 0.25"),
    ('cpuset: "0"', 'cpuset: "1"', "cpuset is not what the file says"),
    ("    pid: service:db\n", "", "pid is not what the file says"),
    ("'test -d \"/tmp\"'", "[CMD-SHELL, 'test -d \"/tmp\"']", None),
    ("'test -d \"/tmp\"'", "'true'", "its health check asks by another command than that of the file"),
    ("interval: 1m30s", "interval: 90s", None),
    ("interval: 1m30s", "interval: 30s", "the interval of its health check is 1m30s, not 30s"),
    ("timeout: 5s", "timeout: 10s", "the timeout of its health check is 5s, not 10s"),
    ("retries: 5", "retries: 1", "the retries of its health check are 5, not 1"),
    ("start_period: 1500ms", "start_period: 1m", "the start period of its health check is 1.5s, not 1m"),
    ("interval: 10s}", "interval: 10s, disable: true}", "it has a health check, and the file means it to have none"),
    ("healthcheck: {test: [NONE]}", "healthcheck: {test: 'true'}",
     "it has no health check, and the file means it to have one"),
    ("aliases: [web]", "aliases: [web, www]", "in the network shop_front it does not go by www"),
    ("aliases: [web], ", "", "in the network shop_front it goes by web, and not in the file"),
    (", ipv4_address: 10.215.0.9", "", "its address in the network shop_front is 10.215.0.9, not any"),
    ("10.215.0.9", "10.215.0.8", "its address in the network shop_front is 10.215.0.9, not 10.215.0.8"),
    ("      back:\n", "", "it is in the network shop_back, and the file has it in no such"),
    ("networks: [back]", "networks: [back, front]", "it is not in the network shop_front"),
    ("    networks: [back]\n", "", "it is not in the network shop_default"),
    ("internal: true", "internal: false", "the network shop_back is internal"),
    ("name: shop-shared, ", "name: shop-other, ", "it is not in the network shop-other"),
    ("'service:db', health", "'service:api', health", "its network is service:db, not service:api"),
    ("network_mode: none", "network_mode: bridge", "its network is none, not bridge"),
    (", network_mode: host", "", "it is in the network host, and the file has it in no such"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "told"), CHANGES, ids=[f"{old.strip()}>{new.strip()}" for old, new, _ in CHANGES]
)
def test_what_was_deployed_before_a_change_of_the_file_is_told(
    whole: tuple[Shop, Differences], before: str, after: str, told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, _ = whole
    monkeypatch.setenv("DOCKER_HOST", shop.engine.socket)
    assert before in WHOLE
    shop.write(WHOLE.replace(before, after))
    found = {each.partition(": ")[2] for each in shop.compared(**IGNORING).found}
    assert (told in found) if told else not found
    assert len(found) <= 2, "no other point than the one that was changed"


# What is not compared, is joined from several files, or drifts by hand.


def test_what_is_not_compared_is_undetermined_and_never_a_pass(shop: Shop) -> None:
    shop.up(SILENT.replace("init: true", "init: true, blkio_config: {weight: 300}"))
    compared = shop.compared()
    assert (compared.missing, compared.found) == ((), ())
    with pytest.raises(CouldNotLook, match="blkio_config of api") as caught:
        compared.compared_in_full  # noqa: B018
    assert "ignoring: [blkio_config]" in caught.value.mend
    assert shop.compared(ignoring=["blkio_config"]).compared_in_full


def test_a_network_that_somebody_joined_by_hand_is_told(shop: Shop) -> None:
    shop.up(SILENT)
    shop.engine.run("docker network create admin && docker network connect admin shop_api_1")
    assert shop.compared().found == ("api: it is in the network admin, and the file has it in no such",)
    shop.engine.run("docker network disconnect admin shop_api_1 && docker network disconnect shop_default shop_api_1")
    shop.engine.run("docker network connect shop_default shop_api_1")
    assert shop.compared().found == ("api: in the network shop_default it does not go by api",)


def test_the_environment_comes_before_the_files_of_variables_wherever_each_is_named(shop: Shop) -> None:
    (shop.folder / "a.env").write_text("LEVEL=debug\nREGION=us\n")
    below = "services: {api: {image: 'shop/set:1', init: true, environment: {LEVEL: info}}}"
    (shop.folder / "below.yml").write_text(below)
    shop.up("services: {api: {extends: {file: below.yml, service: api}, env_file: a.env}}")
    assert shop.compared().found == ()
    (shop.folder / "below.yml").write_text(below.replace("info", "warning"))
    assert shop.compared().found == ("api: variable LEVEL is not what the file says",)


def test_an_image_that_is_gone_leaves_what_it_would_tell_undetermined(shop: Shop) -> None:
    shop.engine.run("docker tag shop/set:1 shop/gone:1")
    shop.up(SILENT.replace("shop/set:1", "shop/gone:1"))
    paths = [str(shop.folder / "compose.yml")]
    services = read_services(ComposeFile.model_validate({"paths": paths, "missing": 0}), "shop")
    compared = compare("shop", services, ask_containers(LOCAL, "here", "docker"), Images({}, 0), {})
    with pytest.raises(CouldNotLook, match="command of api"):
        compared.compared_in_full  # noqa: B018


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("command: 'sh -c \"sleep'", "command of api is not understood"),
        ("healthcheck: {test: 'true', interval: soon}", "healthcheck of api is not understood"),
        ("ulimits: {nofile: many}", "ulimits of api is not understood"),
        ("security_opt: ['seccomp:profile.json']", "security_opt of api is not understood"),
        ("networks: [nowhere]", "networks of api is not understood"),
        ("stop_signal: SIGNOTHING", "stop_signal of api is not understood"),
        ("command: 'run ${UNHEARD_OF}'", "command of api rests on UNHEARD_OF"),
        ("labels: {rule: '${UNHEARD_OF}'}", "labels of api rests on UNHEARD_OF"),
    ],
)
def test_what_is_not_understood_is_an_error_until_it_is_ignored(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "compose.yml").write_text(f"services: {{api: {{image: a, {text}}}}}")
    declared = {"paths": [str(tmp_path / "compose.yml")], "missing": 0}
    with pytest.raises(CouldNotLook, match=message):
        read_services(ComposeFile.model_validate(declared), "shop")
    ignored = ComposeFile.model_validate(declared | {"ignoring": [text.partition(":")[0]]})
    assert [each.name for each in read_services(ignored, "shop")] == ["api"]


# What others wait for, secrets, and a service that extends another.

WAITING = """
version: "2.4"
services:
  base: {image: shop/api:1.4.2, init: true, command: sleep 1000, profiles: [never], restart: always}
  migrate: {image: shop/api:1.4.2, command: "true", secrets: [password]}
  db:
    image: shop/api:1.4.2
    command: sleep 1000
    healthcheck: {test: "true", interval: 100ms}
  api:
    extends: {service: base}
    profiles: [prod]
    secrets: [{source: password, target: db_password}]
    depends_on:
      db: {condition: service_healthy}
      migrate: {condition: service_completed_successfully}
secrets: {password: {file: ./password.txt}}
"""


def test_what_is_started_with_secrets_and_conditions_is_as_its_file_says(shop: Shop) -> None:
    (shop.folder / "password.txt").write_text("correct-horse")
    shop.up(WAITING, "--profile", "prod")
    found = shop.compared(profiles=["prod"])
    assert found == Differences((), ())
    shop.engine.run("docker rm --force shop_migrate_1; docker stop --time 0 shop_db_1")
    assert set(shop.compared(profiles=["prod"]).missing) == {"db", "migrate"}
