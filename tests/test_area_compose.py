"""Compose files as the source of truth: how they are read, and where what runs is not what they say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from readygate.areas.containers.actual import ActualContainer, Mounted
from readygate.areas.containers.compose_file import ComposeFile, ComposeService, read_services
from readygate.areas.containers.compose_networks import ComposeNetwork
from readygate.areas.containers.compose_notation import ComposePort, ComposeVolume
from readygate.areas.containers.compose_truth import Differences, compare
from readygate.areas.containers.engine import Images, OnEngine
from readygate.errors import CouldNotLook
from tests.lab.container_engine import BASE, PrivateEngine, private_engine
from tests.lab.fixtures import unable
from tests.lab.host import Lab
from tests.projects import Project

ZAKUPAI = Path(__file__).parents[1] / "examples" / "zakupai"


def services(folder: Path, *texts: str, **settings: Any) -> dict[str, ComposeService]:
    """The services of these files, each laid over those before, by name."""
    paths = []
    for number, text in enumerate(texts):
        path = folder / f"compose-{number}.yml"
        path.write_text(text)
        paths.append(str(path))
    declared = ComposeFile.model_validate({"paths": paths, "missing": 0, **settings})
    return {each.name: each for each in read_services(declared, "shop")}


def service(folder: Path, text: str, **settings: Any) -> ComposeService:
    """The service `api` of a file that has it in flow style."""
    return services(folder, f"services: {{api: {text}}}", **settings)["api"]


EVERYWHERE = "0.0.0.0"


# Reading.


def test_files_are_laid_over_each_other_as_compose_does(tmp_path: Path) -> None:
    api = services(
        tmp_path,
        'services: {api: {image: "a:1", environment: {A: 1, B: 1}, ports: ["80:80"], volumes: ["data:/data"]}}',
        'services: {api: {image: "a:2", environment: [B=2], ports: ["81:81"], volumes: ["other:/data:ro"]}}',
    )["api"]
    assert (api.image, api.environment) == ("a:2", {"A": "1", "B": "2"})
    assert {each.outer for each in api.ports} == {"80", "81"}
    assert api.volumes == {"/data": ComposeVolume("shop_other", writable=False)}


def test_only_the_services_of_the_active_profiles_are_meant(tmp_path: Path) -> None:
    text = "services: {api: {image: a}, backup: {image: b, profiles: [prod]}, db: {image: c, profiles: [local]}}"
    assert set(services(tmp_path, text)) == {"api"}
    assert set(services(tmp_path, text, profiles=["prod"])) == {"api", "backup"}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("${KNOWN}", "known"),
        ("$KNOWN", "known"),
        ("${KNOWN:-other}", "known"),
        ("${UNHEARD_OF:-other}", "other"),
        ("${UNHEARD_OF-other}", "other"),
        ("${EMPTY:-other}", "other"),
        ("${EMPTY-other}", ""),
        ("${KNOWN:+there}", "there"),
        ("${UNHEARD_OF:+there}", ""),
        ("$$KNOWN", "$KNOWN"),
        ("${UNHEARD_OF}", None),
        ("${UNHEARD_OF:?not set}", None),
        ("a-${UNHEARD_OF}", None),
    ],
)
def test_variables_are_filled_in_as_compose_does(
    written: str, meant: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KNOWN", "known")
    monkeypatch.setenv("EMPTY", "")
    assert service(tmp_path, f'{{image: a, environment: {{X: "{written}"}}}}').environment == {"X": meant}


def test_what_rests_on_an_unknown_variable_can_not_be_compared(tmp_path: Path) -> None:
    with pytest.raises(CouldNotLook, match="image of api rests on UNHEARD_OF") as caught:
        service(tmp_path, '{image: "a:${UNHEARD_OF}"}')
    assert "ignoring: [image]" in caught.value.mend
    assert service(tmp_path, '{image: "a:${UNHEARD_OF}"}', ignoring=["image"]).name == "api"


@pytest.mark.parametrize(
    ("text", "aspect"),
    [('{ports: ["${UNHEARD_OF}:80"]}', "ports"), ('{volumes: ["${UNHEARD_OF}:/data"]}', "volumes")],
)
def test_no_part_of_a_list_may_rest_on_an_unknown_variable(text: str, aspect: str, tmp_path: Path) -> None:
    with pytest.raises(CouldNotLook, match=f"{aspect} of api rests on UNHEARD_OF"):
        service(tmp_path, text)


def test_a_variable_that_is_passed_on_is_not_the_one_below(tmp_path: Path) -> None:
    texts = ("services: {api: {environment: {A: below}}}", "services: {api: {environment: [A]}}")
    assert services(tmp_path, *texts)["api"].environment == {"A": None}


def test_a_dollar_in_the_environment_is_a_dollar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRICE", "5$each")
    assert service(tmp_path, "{environment: {PRICE: '${PRICE}'}}").environment == {"PRICE": "5$each"}


def test_the_environment_comes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "prod.env").write_text('# shop\nexport TAG="1.4" # new\nNAME=shop # ours\nSECRET=${UNHEARD_OF}\n')
    text = "{image: '${NAME}:${TAG}', environment: {PASSWORD: '${SECRET}'}}"
    assert service(tmp_path, text, env_file=str(tmp_path / "prod.env")).image == "shop:1.4"
    assert service(tmp_path, text, env_file=str(tmp_path / "prod.env")).environment == {"PASSWORD": None}
    monkeypatch.setenv("TAG", "1.5")
    assert service(tmp_path, text, env_file=str(tmp_path / "prod.env")).image == "shop:1.5"


def test_a_service_takes_variables_from_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "api.env").write_text("A=1\nB=1\n")
    text = "{image: a, env_file: [api.env, {path: gone.env, required: false}], environment: [B=2]}"
    assert service(tmp_path, text).environment == {"A": "1", "B": "2"}
    with pytest.raises(CouldNotLook, match=r"gone\.env: it can't be read"):
        service(tmp_path, "{image: a, env_file: gone.env}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{deploy: {resources: {limits: {memory: 512M, cpus: '0.5'}}}}", {"memory": 512 * 1024**2, "cpus": 0.5}),
        ("{mem_limit: 1gb, mem_reservation: 1m}", {"memory": 1024**3, "memory_reservation": 1024**2}),
        ("{cpus: 2}", {"cpus": 2}),
        ("{restart: no}", {"restart": "no"}),
        ("{deploy: {restart_policy: {condition: on-failure, max_attempts: 3}}}", {"restart": "on-failure:3"}),
        ("{deploy: {restart_policy: {}}}", {"restart": "no"}),
        ("{deploy: {replicas: 0}}", {"replicas": 0}),
        ("{scale: 3}", {"replicas": 3}),
        ("{user: 1000, privileged: true, read_only: true}", {"user": "1000", "privileged": True, "read_only": True}),
        ("{cap_add: [CAP_NET_ADMIN]}", {"added_capabilities": {"NET_ADMIN"}}),
        ("{cap_drop: [all]}", {"dropped_capabilities": {"ALL"}}),
        ("{environment: {A: true, B: 1.5}}", {"environment": {"A": "true", "B": "1.5"}}),
        ("{pids_limit: 100}", {"pids": 100}),
        ('{ports: ["8080:80"]}', {"ports": {ComposePort(EVERYWHERE, "8080", "80")}}),
        ('{ports: ["127.0.0.1:53:53/udp"]}', {"ports": {ComposePort("127.0.0.1", "53", "53/udp")}}),
        ('{ports: ["80"]}', {"ports": {ComposePort(EVERYWHERE, None, "80")}}),
        ('{ports: ["[::1]:80:80"]}', {"ports": {ComposePort("::1", "80", "80")}}),
        ('{ports: ["90-91:80-81"]}', {"ports": {ComposePort(EVERYWHERE, f"9{n}", f"8{n}") for n in (0, 1)}}),
        ("{ports: [{target: 80, published: 8080, host_ip: '::1'}]}", {"ports": {ComposePort("::1", "8080", "80")}}),
        ("{volumes: [./conf:/conf:ro]}", {"volumes": {"/conf": ComposeVolume("conf", False, is_relative=True)}}),
        ("{volumes: [/srv:/srv]}", {"volumes": {"/srv": ComposeVolume("/srv", True)}}),
        ("{volumes: [/cache]}", {"volumes": {"/cache": ComposeVolume("", True)}}),
        ("{volumes: [{source: x, target: /d, read_only: on}]}", {"volumes": {"/d": ComposeVolume("shop_x", False)}}),
    ],
)  # fmt: skip
def test_each_way_to_write_it_means_the_same(text: str, expected: dict[str, Any], tmp_path: Path) -> None:
    read = service(tmp_path, text)
    assert {key: getattr(read, key) for key in expected} == expected


def test_a_volume_goes_by_the_name_that_the_engine_knows(tmp_path: Path) -> None:
    text = """
services: {api: {volumes: ["a:/a", "b:/b", "c:/c", "d:/d"]}}
volumes: {a: , b: {name: shared}, c: {external: true}, d: {external: {name: other}}}
"""
    sources = [each.source for each in services(tmp_path, text)["api"].volumes.values()]
    assert sources == ["shop_a", "shared", "c", "other"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("services: {api: {extends: {service: base}}}", "`extends` leads to base, which is not there"),
        ("services: {api: {extends: b}, b: {extends: api}}", "`extends` leads to api, which is itself"),
        ("services: {api: {extends: {service: base, file: gone.yml}}}", "gone.yml: it can't be read"),
        ("include: [other.yml]\nservices: {api: {image: a}}", "other.yml: it can't be read"),
        ("include: [compose-0.yml]\nservices: {api: {image: a}}", "it includes itself"),
        ("include: [{path: a.yml, project_directory: /srv}]", "`project_directory` of `include` is not understood"),
        ("services: {api: {ports: !reset []}}", "it is not YAML"),
        ("version: '3'", "has no services"),
        ("services: {api: {image: [}}", "it is not YAML, from line 1 on"),
        ('services: {api: {ports: ["80-82:80-81"]}}', "are not understood"),
        ('services: {api: {ports: ["http:80"]}}', "the port http is not understood"),
    ],
)
def test_what_is_not_understood_is_never_taken_for_sound(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(CouldNotLook, match=message):
        services(tmp_path, text)


def test_a_file_that_is_not_there_was_not_read() -> None:
    declared = ComposeFile.model_validate({"paths": ["/nowhere/compose.yml"], "missing": 0})
    with pytest.raises(CouldNotLook, match="No such file"):
        read_services(declared, "shop")


def test_a_service_is_laid_over_the_one_that_it_extends(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/app.env").write_text("FROM_FILE=1\n")
    (tmp_path / "parts/common.yml").write_text(
        "services: {app: {extends: base, image: a, env_file: app.env}, "
        "base: {restart: always, environment: {A: 1, B: 1}}}"
    )
    api = service(tmp_path, "{extends: {file: parts/common.yml, service: app}, image: b, environment: {B: 2}}")
    assert (api.image, api.restart) == ("b", "always")
    assert api.environment == {"FROM_FILE": "1", "A": "1", "B": "2"}


def test_what_a_file_includes_is_a_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db/.env").write_text("TAG=16\n")
    (tmp_path / "db/compose.yml").write_text(
        "services: {db: {image: 'postgres:${TAG}', volumes: ['data:/data']}}\nvolumes: {data: {name: pg}}"
    )
    both = services(tmp_path, "include: [db/compose.yml]\nservices: {api: {image: a}}")
    assert (both["db"].image, both["db"].volumes["/data"].source, both["api"].image) == ("postgres:16", "pg", "a")
    (tmp_path / "other.env").write_text("TAG=17\n")
    both = services(tmp_path, "include: [{path: [db/compose.yml], env_file: other.env}]")
    assert both["db"].image == "postgres:17"


def test_files_of_secrets_and_configs_are_mounted_and_can_not_be_written(tmp_path: Path) -> None:
    text = """
services:
  api:
    secrets: [password, {source: key, target: tls.key}, token]
    configs: [app.yml, {source: app.yml, target: /etc/app.yml}]
secrets: {password: {file: ./password.txt}, key: {file: /etc/tls.key}, token: {environment: TOKEN}}
configs: {app.yml: {file: conf/app.yml}}
"""
    config = ComposeVolume("conf/app.yml", False, is_relative=True)
    assert services(tmp_path, text)["api"].volumes == {
        "/run/secrets/password": ComposeVolume("password.txt", False, is_relative=True),
        "/run/secrets/tls.key": ComposeVolume("/etc/tls.key", False),
        "/app.yml": config,
        "/etc/app.yml": config,
    }


def test_what_others_wait_for_is_told(tmp_path: Path) -> None:
    text = """
services:
  api: {depends_on: {db: {condition: service_healthy}, migrate: {condition: service_completed_successfully}}}
  db: {image: a}
  migrate: {image: a}
  worker: {depends_on: [db]}
"""
    read = services(tmp_path, text)
    assert {name for name, each in read.items() if each.to_be_healthy} == {"db"}
    assert {name for name, each in read.items() if each.to_end} == {"migrate"}


def test_a_file_of_variables_is_read_in_its_format(tmp_path: Path) -> None:
    (tmp_path / "a.env").write_text("QUOTED='a b'\nRESTS=${OTHER}\n")
    assert service(tmp_path, "{env_file: a.env}").environment == {"QUOTED": "a b", "RESTS": None}
    raw = {"QUOTED": "'a b'", "RESTS": "${OTHER}"}
    assert service(tmp_path, "{env_file: [{path: a.env, format: raw}]}").environment == raw


# Comparing.

MEANT = ComposeService(
    name="api",
    project="shop",
    image="shop/api:1",
    networks={"shop_default": ComposeNetwork(internal=False)},
    restart="always",
    memory=512,
    memory_reservation=256,
    cpus=0.5,
    pids=100,
    user="1000",
    environment={"LOG_LEVEL": "info", "PASSWORD": None},
    ports=frozenset({ComposePort("127.0.0.1", None, "80")}),
    volumes={"/data": ComposeVolume("shop_data", True), "/conf": ComposeVolume("conf", False, is_relative=True)},
)
IMAGE = {"Id": "sha256:1a2b", "Created": "2026-11-01T00:00:00Z", "RepoTags": ["shop/api:1"], "Config": {}}
INSPECTED = {
    "Id": "3c4d",
    "Name": "/shop-api-1",
    "Config": {"Hostname": "3c4d"},
    "HostConfig": {"NetworkMode": "shop_default"},
    "NetworkSettings": {"Networks": {"shop_default": {"Aliases": ["api", "3c4d"]}}},
}
RUNS = ActualContainer(
    name="shop-api-1",
    project="shop",
    service="api",
    status="running",
    image="shop/api:1",
    image_id="1a2b",
    networks=frozenset({"shop_default"}),
    inspected=INSPECTED,
    restart="always",
    memory=512,
    memory_reservation=256,
    cpus=0.5,
    pids=100,
    user="1000",
    privileged=False,
    read_only=False,
    added_capabilities=frozenset(),
    dropped_capabilities=frozenset(),
    published=frozenset({"127.0.0.1:49153:80"}),
    mounts={
        "/data": Mounted("volume", "shop_data", True),
        "/conf": Mounted("bind", "/opt/shop/conf", False),
        "/cache": Mounted("volume", "2c26b46b", True),
    },
    environment={"LOG_LEVEL": "info", "PASSWORD": "correct-horse", "PATH": "/bin"},
)


DEBUGGING = {"LOG_LEVEL": "debug", "PASSWORD": "correct-horse"}


def mounting(path: str, mounted: Mounted) -> dict[str, Any]:
    return {"mounts": {**RUNS.mounts, path: mounted}}


def compared(
    meant: ComposeService, *run: ActualContainer, images: tuple[dict[str, Any], ...] = (IMAGE,)
) -> Differences:
    by_id = {each["Id"].removeprefix("sha256:"): each for each in images}
    return compare("shop", [meant], OnEngine(run), Images(by_id, 0), {"shop_default": False})


def differences(meant: ComposeService, *run: ActualContainer) -> tuple[str, ...]:
    return compared(meant, *run).found


def test_what_runs_as_the_file_says_has_no_differences() -> None:
    assert differences(MEANT, RUNS) == ()


@pytest.mark.parametrize(
    ("changes", "aspect", "told"),
    [
        ({"image": "shop/api:0"}, "image", "image is shop/api:0, not shop/api:1"),
        ({"restart": "no"}, "restart", "restart is no, not always"),
        ({"memory": None}, "memory", "memory is unlimited, not 512B"),
        ({"memory_reservation": None}, "memory_reservation", "memory reservation is unlimited, not 256B"),
        ({"cpus": 2.0}, "cpus", "cpus is 2, not 0.5"),
        ({"pids": None}, "pids", "pids is unlimited, not 100"),
        ({"user": "root"}, "user", "user is root, not 1000"),
        ({"privileged": True}, "privileged", "privileged is true, not false"),
        ({"read_only": True}, "read_only", "read only is true, not false"),
        ({"added_capabilities": {"SYS_ADMIN"}}, "capabilities", "its capabilities are not those of the file"),
        ({"environment": DEBUGGING}, "environment", "variable LOG_LEVEL is not what the file says"),
        ({"environment": {"PASSWORD": "x"}}, "environment", "variable LOG_LEVEL is not set"),
        ({"environment": {"LOG_LEVEL": "info", "PASSWORD": ""}}, "environment", "variable PASSWORD is empty"),
        ({"published": {"127.0.0.1:80:80", "[::]:9:9"}}, "ports", "port [::]:9:9 is published, and not in the file"),
        ({"published": frozenset()}, "ports", "port 127.0.0.1::80 is not published"),
        (mounting("/data", Mounted("volume", "x", True)), "volumes", "/data comes from x, not shop_data"),
        (mounting("/data", Mounted("volume", "shop_data", False)), "volumes", "/data is read-only"),
        (mounting("/host", Mounted("bind", "/", True)), "volumes", "/ is mounted at /host, and not in the file"),
        ({"mounts": {"/data": RUNS.mounts["/data"]}}, "volumes", "nothing is mounted at /conf"),
    ],
)  # fmt: skip
def test_each_difference_is_told_unless_it_is_ignored(changes: dict[str, Any], aspect: str, told: str) -> None:
    assert differences(MEANT, replace(RUNS, **changes)) == (f"api: {told}",)
    assert differences(replace(MEANT, ignoring=frozenset({aspect})), replace(RUNS, **changes)) == ()


def test_each_replica_is_compared_and_they_are_counted() -> None:
    twins = (RUNS, replace(RUNS, name="shop-api-2", memory=1024))
    assert differences(MEANT, *twins) == ("api: 2 replicas, not 1", "api: memory is 1K, not 512B")
    assert differences(replace(MEANT, ignoring=frozenset({"replicas", "memory"})), *twins) == ()


def test_what_others_wait_for_has_to_be_healthy() -> None:
    meant = replace(MEANT, to_be_healthy=True)
    assert differences(meant, replace(RUNS, health="healthy")) == ()
    assert differences(meant, replace(RUNS, health="starting")) == (
        "api: health is starting, and others wait for it to be healthy",
    )


def test_what_others_wait_for_to_end_has_ended_well() -> None:
    meant = replace(MEANT, to_end=True)

    def ended(**changes: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
        found = compared(meant, replace(RUNS, **changes))
        return found.missing, found.found

    assert ended(status="exited", exit_code=0) == ((), ())
    assert ended(status="exited", exit_code=1) == ((), ("api: it ended with 1, and others wait for it to end well",))
    assert ended() == ((), ("api: it is running, and others wait for its end",))
    assert compared(meant).missing == ("api",)


def test_an_earlier_image_of_the_same_name_is_a_difference() -> None:
    runs = replace(RUNS, image_id="old")
    old = IMAGE | {"Id": "sha256:old"}
    found = compared(MEANT, runs, images=(IMAGE, old | {"RepoTags": []})).found
    assert found == ("api: image is an earlier shop/api:1",)
    assert compared(MEANT, runs, images=(old,)).found == ()


def test_what_does_not_run_is_missing() -> None:
    stopped = replace(RUNS, status="exited")
    assert compared(MEANT, stopped).missing == ("api",)
    assert compared(MEANT, replace(RUNS, project="store")).missing == ("api",)
    assert compared(replace(MEANT, replicas=0)).missing == ()


# ZakupAI, started by docker-compose.

SECRETS = {
    "ZAKUPAI_DB_PASSWORD": "correct-horse-battery",
    "ZAKUPAI_PROD_API_KEY": "zk-4f1e9a7c03",
    "TELEGRAM_PROD_TOKEN": "700:AAHq3",
    "OPENAI_PROD_KEY": "sk-9d3b77",
    "GRAFANA_ADMIN_PASSWORD": "staple-of-grafana",
}
FILES = ("docker-compose.yml", "docker-compose.override.prod.yml")
BUILT = ("calc-service", "risk-engine", "doc-service", "billing-service", "db-backup")
SERVICES = (*BUILT, "db", "prometheus", "grafana")
IMAGES = ("postgres:16-alpine", "prom/prometheus:v2.53.0", "grafana/grafana:11.1.0")


class ZakupAI:
    """A checkout of the example on this machine, and an engine that it is deployed to."""

    def __init__(self, engine: PrivateEngine, folder: Path) -> None:
        self.engine, self.folder = engine, folder
        for name in (*FILES, "connect.yml", "containers.yml", ".env.prod"):
            text = (ZAKUPAI / name).read_text().replace("/opt/zakupai", f"{folder}/opt")
            (folder / name).write_text(text)
        (folder / "inventory.yml").write_text("project: zakupai\ninclude: [containers.yml]\n")
        self.edit("connect.yml", r"connect: .*\n    sudo: true", "connect: local://")
        # The images here hold a busybox; and no port of this machine may be taken.
        self.edit("docker-compose.yml", r"    ports: .*\n", "")
        self.edit("containers.yml", r"paths: \[(.*)\]", r"paths: [\1, up.yml]")
        stay_up = "".join(f"  {name}: {{entrypoint: [sh, -c, sleep 1000, --]}}\n" for name in SERVICES)
        (folder / "up.yml").write_text(f'version: "3.8"\nservices:\n{stay_up}')

    def edit(self, name: str, pattern: str, instead: str) -> None:
        """Replace what the expression finds, which must be there."""
        path = self.folder / name
        text, count = re.subn(pattern, instead, path.read_text())
        assert count, f"{pattern} is not in {name}"
        path.write_text(text)

    def deploy(self, *flags: str) -> None:
        files = [word for name in (*FILES, "up.yml") for word in ("-f", name)]
        subprocess.run(
            ["docker-compose", "--project-name", "zakupai", "--env-file", ".env.prod", *files, *flags, "up", "-d"],
            cwd=self.folder,
            env={**os.environ, **self.engine.environ, **SECRETS, "VERSION": "main-1a2b3c4"},
            check=True,
            capture_output=True,
            timeout=120,
        )

    def judge(self) -> tuple[str, int, set[str]]:
        """The verdict, the exit code, and what failed: `check target`."""
        ended = Project(self.folder).readygate("run", VERSION="main-1a2b3c4", DOCKER_HOST=self.engine.socket)
        failed = {f"{each['check']} {each['target']}" for each in ended.run["results"] if each["outcome"] != "passed"}
        shown = ended.everything_written()
        assert not [secret for secret in SECRETS.values() if secret in shown]
        return ended.word, ended.code, failed


@pytest.fixture(scope="module")
def engine(lab: Lab) -> Iterator[PrivateEngine]:
    if not shutil.which("docker-compose"):
        unable("there is no docker-compose")
    with private_engine() as engine:
        images = (*IMAGES, *(f"ghcr.io/zakupai/zakupai/{name}:main-1a2b3c4" for name in BUILT))
        engine.run("\n".join(f"docker tag {BASE} {image}" for image in images))
        yield engine


@pytest.fixture
def zakupai(engine: PrivateEngine, tmp_path: Path) -> ZakupAI:
    engine.clear()
    return ZakupAI(engine, tmp_path)


def test_zakupai_as_its_files_mean_it_is_go(zakupai: ZakupAI) -> None:
    zakupai.deploy("--profile", "prod")
    assert zakupai.judge() == ("GO", 0, set())


def test_a_deployment_that_forgot_its_profile_is_no_go(zakupai: ZakupAI) -> None:
    zakupai.deploy()
    word, code, failed = zakupai.judge()
    assert (word, code) == ("NO-GO", 1)
    missing = {f"container.running app-1:{name}" for name in ("prometheus", "grafana", "db-backup")}
    assert missing | {"compose.missing app-1"} <= failed
    assert not {each for each in failed if "-service" in each or "-engine" in each}


def test_a_backup_container_without_its_variables_is_no_go(zakupai: ZakupAI) -> None:
    # The file as the guide has it: the script's own defaults hold, and nobody sees it.
    override, variables = FILES[1], ("BACKUP_RETENTION_DAYS", "POSTGRES_HOST", "RCLONE_CONFIG")
    zakupai.edit(override, r"      (RCLONE_CONFIG|BACKUP_RETENTION_DAYS|POSTGRES_\w+): .*\n", "")
    zakupai.deploy("--profile", "prod")
    assert zakupai.judge() == ("NO-GO", 1, {f"container.environment app-1:db-backup:{each}" for each in variables})


def test_limits_that_an_old_docker_compose_ignored_are_no_go(zakupai: ZakupAI) -> None:
    override = zakupai.folder / "docker-compose.override.prod.yml"
    meant = override.read_text()
    zakupai.edit(override.name, r"    deploy:.*\n(      .*\n)*", "")
    zakupai.deploy("--profile", "prod")
    override.write_text(meant)
    limited = ("calc-service", "risk-engine", "doc-service")
    expected = {f"container.{limit} app-1:{name}" for name in limited for limit in ("memory", "cpus")}
    expected |= {"container.memory_reservation app-1:calc-service", "compose.differences app-1"}
    assert zakupai.judge() == ("NO-GO", 1, expected)


def test_an_image_that_was_pulled_and_not_started_is_no_go(zakupai: ZakupAI) -> None:
    zakupai.deploy("--profile", "prod")
    image = "ghcr.io/zakupai/zakupai/calc-service:main-1a2b3c4"
    zakupai.engine.run(f"printf 'FROM {BASE}\\nLABEL build=2\\n' | docker build --quiet --tag {image} -")
    try:
        word, code, failed = zakupai.judge()
    finally:
        zakupai.engine.run(f"docker tag {BASE} {image}")
    assert (word, code) == ("NO-GO", 1)
    assert "compose.differences app-1" in failed


def test_the_local_database_beside_the_managed_one_is_no_go(zakupai: ZakupAI) -> None:
    zakupai.deploy("--profile", "prod", "--profile", "local-db")
    assert zakupai.judge() == ("NO-GO", 1, {"container.exists app-1:db"})


def test_a_change_by_hand_is_no_go(zakupai: ZakupAI) -> None:
    zakupai.deploy("--profile", "prod")
    zakupai.engine.run("docker update --memory 2g --memory-swap 4g zakupai_billing-service_1")
    assert zakupai.judge() == ("NO-GO", 1, {"compose.differences app-1"})
