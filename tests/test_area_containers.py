"""The area of containers, shown on a docker engine of the test's own, sound and broken."""

from __future__ import annotations

import inspect
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra
import yaml

from readygate.areas import FACTS, SECTIONS
from readygate.areas.containers.actual import ActualContainer, Mounted
from readygate.areas.containers.containers import Containers
from readygate.areas.containers.daemon import parse_settings
from readygate.areas.containers.engine import Image, Images, parse_containers
from readygate.errors import CouldNotLook
from readygate.facts import Facts
from readygate.spec import Spec, leaves
from tests.holding import LOCAL, suite_functions
from tests.lab.catalogue.containers import FAULTS, HEALTHY, SOUND, STARTED, api
from tests.lab.container_engine import ENGINE_FLAGS, IMAGE, PrivateEngine, private_engine
from tests.lab.faults import Fault
from tests.lab.host import Lab
from tests.projects import Project
from tests.registry_server import registry


@pytest.fixture(scope="module")
def engine(lab: Lab) -> Iterator[PrivateEngine]:
    with private_engine(*ENGINE_FLAGS) as engine:
        yield engine


def server(declared: dict[str, Any]) -> Spec:
    return SECTIONS["servers"].model_validate({"connect": "local://", **declared})


def service(name: str = "api", **declared: Any) -> dict[str, Any]:
    """A server of which one service of the shop is declared."""
    return {"containers": {"compose": "shop", "services": {name: declared}}}


def failing(declared: dict[str, Any], host: Any = LOCAL, unsure: set[str] | None = None) -> set[str]:
    """The checks that a server's declaration fails; raises what the facts raise, or notes which could not tell."""
    functions = dict(suite_functions("containers"))
    facts = Facts(FACTS, lambda leaf: host)
    failed = set()
    for leaf in leaves(server(declared), "target", ("servers", "target")):
        function = functions[leaf.check]
        try:
            function(**{name: facts.get(name, leaf) for name in inspect.signature(function).parameters})
        except AssertionError:
            failed.add(leaf.check)
        except CouldNotLook:
            if unsure is None:
                raise
            unsure.add(leaf.check)
    return failed


SHOP = yaml.safe_load(SOUND)["servers"]["target"] | {"connect": "local://"}


@pytest.fixture
def shop(engine: PrivateEngine, monkeypatch: pytest.MonkeyPatch) -> PrivateEngine:
    """The sound shop, started anew."""
    monkeypatch.setenv("DOCKER_HOST", engine.socket)
    engine.clear()
    engine.run(f"set -e\n{STARTED}")
    return engine


def test_sound_containers_pass_every_check(shop: PrivateEngine) -> None:
    assert failing(SHOP) == set()


@pytest.mark.parametrize("fault", [pytest.param(fault, id=fault.name) for fault in FAULTS.faults])
def test_a_broken_container_fails_the_right_check_and_no_other(fault: Fault, shop: PrivateEngine) -> None:
    shop.run(f"set -e\n{fault.plant}")
    unsure: set[str] = set()
    assert (failing(SHOP, unsure=unsure), unsure) == (set(fault.caught_by), set(fault.unsure))


def test_each_replica_has_to_be_as_declared(shop: PrivateEngine) -> None:
    # The first of the two is sound.
    shop.run(api("shop-api-2", port="", memory="") + HEALTHY.format(number=2))
    services = {"api": {"memory": "64M", "user": "1000:1000", "replicas": 2}}
    assert failing({"containers": {"compose": "shop", "services": services}}) == {"container.memory"}


def test_what_began_a_moment_ago_has_not_been_up_for_long(shop: PrivateEngine) -> None:
    assert failing(service(uptime="<1h", image_age="3650d")) == set()
    assert failing(service(uptime="1h", image_age="1s")) == {"container.uptime", "container.image_age"}


def test_the_digest_is_the_one_that_the_registry_gave(shop: PrivateEngine, tmp_path: Path) -> None:
    with registry(tmp_path) as address:
        image = f"{address}/shop/api:1.4.2"
        shop.run(f"docker tag {IMAGE} {image}; docker push --quiet {image}")
        digest = shop.run(f"docker image inspect --format '{{{{index .RepoDigests 0}}}}' {image}").stdout
        shop.run(api(image=image))
        assert failing(service(digest=digest.strip().partition("@")[2])) == set()
        assert failing(service(digest=f"sha256:{64 * '0'}")) == {"container.digest"}
        shop.run(f"{api()}docker rmi {image}")
    assert failing(service(digest=digest.strip().partition("@")[2])) == {"container.digest"}


def test_what_is_not_there_has_nothing_right(shop: PrivateEngine) -> None:
    sound = SHOP["containers"]["services"]["api"]
    every = {leaf.check for leaf in leaves(server(service("gone", **sound)), "target", ("servers", "target"))}
    assert failing(service("gone", **sound)) == every
    assert failing(service("gone", exists=False, running=False)) == set()


def test_the_containers_of_another_project_are_not_ours(shop: PrivateEngine) -> None:
    declared = {"containers": {"compose": "store", "services": {"api": {"exists": True}}}}
    assert failing(declared) == {"container.exists"}


def test_a_container_that_logs_elsewhere_has_no_log_space_to_judge(shop: PrivateEngine) -> None:
    shop.run(api(logs="--log-driver syslog --log-opt syslog-address=udp://127.0.0.1:1514"))
    with pytest.raises(CouldNotLook, match="go to syslog"):
        failing(service(log_space="1G"))


@pytest.mark.parametrize(
    ("source", "reaches"),
    [
        ("/var/run/docker.sock", True),
        ("/run/user/1000/docker.sock", True),
        ("/run/user/1000", True),
        ("/run/user/1000/podman", True),
        ("/", True),
        ("/run/shop", False),
        ("/var/lib/shop", False),
    ],
)
def test_the_socket_of_an_engine_is_found_in_whatever_folder_it_is(source: str, reaches: bool) -> None:
    container = ActualContainer(mounts={"/host": Mounted("bind", source, writable=False)})
    assert container.has_engine_socket({}) is reaches


def test_the_socket_of_an_engine_is_found_in_a_volume_that_stands_for_its_folder(shop: PrivateEngine) -> None:
    shop.run(
        "docker volume create --opt type=none --opt o=bind --opt device=/run/ sockets; docker volume create plain"
    )
    for volume, failed in (("plain", set()), ("sockets", {"container.docker_socket"})):
        shop.run(api(more=f"--volume {volume}:/host"))
        assert failing(service(docker_socket=False)) == failed


def test_root_by_another_number_is_root(shop: PrivateEngine) -> None:
    shop.run("docker run --detach --name other --user 00:5 --entrypoint sleep shop/api:1.4.2 1000")
    assert shop.run("docker exec other id -u").stdout.strip() == "0"
    assert failing({"containers": {"standalone": {"other": {"user": "!= root"}}}}) == {"container.user"}


def test_on_the_network_of_the_server_nothing_is_published_and_all_is_open(shop: PrivateEngine) -> None:
    shop.run("docker run --detach --name other --network host --entrypoint sleep shop/api:1.4.2 1000")
    other = {"published": {"lacks": ["0.0.0.0:6379:6379"]}, "published_on": {"lacks": ["0.0.0.0"]}}
    assert failing({"containers": {"standalone": {"other": other}}}) == {
        "container.published",
        "container.published_on",
    }


# The daemon.

DAEMON = {
    "version": ">=20.10",
    "live_restore": True,
    "log_driver": "local",
    "storage_driver": "overlay2",
    "security": {"contains": ["seccomp"]},
    "insecure_registries": {"lacks": ["registry.lab:5000"]},
}


def test_a_sound_daemon_passes_every_check(shop: PrivateEngine) -> None:
    assert failing({"containers": {"daemon": DAEMON}}) == set()


def test_a_careless_daemon_fails_every_check(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    careless = ("--insecure-registry=registry.lab:5000", "--storage-driver=vfs")
    with private_engine(*careless) as engine:
        monkeypatch.setenv("DOCKER_HOST", engine.socket)
        declared = DAEMON | {"version": ">=99", "security": {"contains": ["seccomp", "selinux", "apparmor"]}}
        assert failing({"containers": {"daemon": declared}}) == {f"daemon.{key}" for key in DAEMON}


def test_a_profile_of_seccomp_that_lets_all_through_guards_nothing() -> None:
    # As docker 23 and later tell of `"seccomp-profile": "unconfined"`.
    told = {"ServerVersion": "24.0.7", "LiveRestoreEnabled": True, "LoggingDriver": "local", "Driver": "overlay2"}
    for profile, guards in (("builtin", {"apparmor", "seccomp"}), ("unconfined", {"apparmor"})):
        options = ["name=apparmor", f"name=seccomp,profile={profile}"]
        assert parse_settings("app-1", json.dumps(told | {"SecurityOptions": options})).security == guards


# Not able to look.


@pytest.mark.parametrize(
    "declared",
    [{"standalone": {"db": {"exists": False}}}, {"dangling_images": 0}, {"daemon": {"log_driver": "!= none"}}],
)
def test_an_engine_that_does_not_answer_is_one_cause_and_never_a_pass(
    declared: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/no-such-engine")
    with pytest.raises(CouldNotLook) as caught:
        failing({"containers": declared})
    assert caught.value.cause == "engine:target:docker"


def test_an_engine_that_is_not_installed_was_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for tool in ("sh", "timeout"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or tool)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CouldNotLook, match="there is no docker on its path"):
        failing({"containers": {"standalone": {"db": {"exists": False}}}})


def test_a_user_who_may_not_talk_to_the_engine_has_not_looked(shop: PrivateEngine) -> None:
    if not shutil.which("sudo"):
        pytest.skip("there is no sudo to become nobody by")
    nobody = testinfra.get_host("local://", sudo=True, sudo_user="nobody")
    with pytest.raises(CouldNotLook, match="does not let this user look") as caught:
        failing({"containers": {"standalone": {"db": {"exists": False}}}}, nobody)
    assert "sudo: true" in caught.value.mend


# Secrets.


def test_no_report_ever_shows_what_a_container_was_started_with(shop: PrivateEngine, tmp_path: Path) -> None:
    shop.run(
        api(
            more="--env SMTP_PASSWORD=battery-staple --env STRIPE=sk-live-undeclared",
            command="sleep --token=by-flag 1",
        )
    )
    project = Project(tmp_path)
    project.write("inventory.yml", f"project: shop\n{SOUND}")
    ended = project.readygate("run", LAB_HOST="local://", DOCKER_HOST=shop.socket)
    assert ended.word == "NO-GO"
    for secret in ("correct-horse-battery", "battery-staple", "sk-live-undeclared", "by-flag"):
        assert secret not in ended.everything_written()


# What is read, on recorded output.


def inspected(**changes: Any) -> str:
    told: dict[str, Any] = {
        "Name": "/shop_api_1",
        "Image": "sha256:1f",
        "RestartCount": 0,
        "State": {"Status": "running", "StartedAt": "2026-11-20T10:00:00.123456789Z", "Restarting": False},
        "HostConfig": {"RestartPolicy": {"Name": "", "MaximumRetryCount": 0}, "CpuQuota": 50000, "CpuPeriod": 100000},
        "Config": {"Image": "registry.lab:5000/shop/api:1.4.2", "Env": ["EQUATION=a=b", "EMPTY="], "Labels": None},
        "NetworkSettings": {"Ports": {"53/udp": [{"HostIp": "::1", "HostPort": "53"}], "80/tcp": None}},
        "Mounts": None,
    }  # fmt: skip
    for path, value in changes.items():
        section, _, key = path.partition("__")
        if key:
            told[section][key] = value
        else:
            told[section] = value
    return f"1795168800.5\n[{json.dumps(told)}]"


def read(**changes: Any) -> ActualContainer:
    return parse_containers(inspected(**changes)).found[0]


def test_what_inspect_leaves_out_is_what_the_engine_takes_instead() -> None:
    container = read()
    assert (container.restart, container.cpus, container.memory, container.user) == ("no", 0.5, None, "root")
    assert (container.health, container.mounts, container.networks) == ("none", {}, {"none"})
    assert container.published == {"[::1]:53:53/udp"}
    assert container.environment == {"EQUATION": "a=b", "EMPTY": ""}
    assert container.uptime_s == pytest.approx(1795168800.5 - 1795168800.123, abs=86400 * 9)


@pytest.mark.parametrize(
    ("addresses", "published"),
    [
        (["0.0.0.0", "::"], {"0.0.0.0:80:80"}),
        ([""], {"0.0.0.0:80:80"}),
        (["::"], {"[::]:80:80"}),
        (["127.0.0.1", "::1"], {"127.0.0.1:80:80", "[::1]:80:80"}),
    ],
)
def test_no_address_of_a_port_is_left_out(addresses: list[str], published: set[str]) -> None:
    bindings = [{"HostIp": address, "HostPort": "80"} for address in addresses]
    assert read(NetworkSettings__Ports={"80/tcp": bindings}).published == published


def test_a_tmpfs_is_a_mount() -> None:
    mounts = read(HostConfig__Tmpfs={"/run": "size=64k", "/conf": "ro,size=1k"}).mounts
    assert mounts == {"/run": Mounted("tmpfs", "", True), "/conf": Mounted("tmpfs", "", False)}


@pytest.mark.parametrize(
    ("policy", "restart"),
    [(("on-failure", 5), "on-failure:5"), (("unless-stopped", 0), "unless-stopped"), (("no", 0), "no")],
)
def test_a_restart_policy_reads_as_compose_writes_it(policy: tuple[str, int], restart: str) -> None:
    name, tries = policy
    assert read(HostConfig__RestartPolicy={"Name": name, "MaximumRetryCount": tries}).restart == restart


@pytest.mark.parametrize("root", ["", "0", "root", "0:0", "root:docker", "0:1000"])
def test_root_is_root_by_whatever_name(root: str) -> None:
    assert read(Config__User=root).user == "root"


@pytest.mark.parametrize(
    ("image", "pinned"),
    [
        ("shop", False),
        ("shop:latest", False),
        ("registry.lab:5000/shop", False),
        ("registry.lab:5000/shop:1.4", True),
        ("shop@sha256:2c26", True),
        ("shop:latest@sha256:2c26", True),
    ],
)
def test_only_a_version_or_a_digest_pins_an_image(image: str, pinned: bool) -> None:
    assert read(Config__Image=image).pinned is pinned


@pytest.mark.parametrize(
    ("driver", "options", "space"),
    [
        ("json-file", {}, None),
        ("json-file", {"max-file": "3"}, None),
        ("json-file", {"max-size": "10m"}, 10_000_000),
        ("json-file", {"max-size": "1g", "max-file": "2"}, 2_000_000_000),
        ("local", {}, 100_000_000),
        ("none", {}, 0),
    ],
)
def test_the_space_of_logs_is_their_size_times_their_number(
    driver: str, options: dict[str, str], space: int | None
) -> None:
    assert read(HostConfig__LogConfig={"Type": driver, "Config": options}).log_space == space


PULLED = {
    "Id": "sha256:1f",
    "Created": "2026-11-20T10:00:00Z",
    "RepoTags": ["registry.lab:5000/shop/api:1.4.2", "shop/api:old"],
    "RepoDigests": ["shop/api@sha256:aa", "registry.lab:5000/shop/api@sha256:bb"],
}


NOW = 1795255200.0


def test_a_digest_is_that_of_the_repository_the_container_names() -> None:
    images = Images({"1f": PULLED}, NOW)
    image = images.of(read())
    assert (image.digest, image.is_current) == ("sha256:bb", True)
    assert images.of(read(Config__Image="shop/other:1")).digest is None
    assert Images({}, NOW).of(read()) == Image()


def test_a_name_that_means_another_image_now_is_not_current() -> None:
    untagged = PULLED | {"RepoTags": None}
    pulled = PULLED | {"Id": "sha256:2e"}
    assert Images({"1f": untagged, "2e": pulled}, NOW).of(read()).is_current is False
    assert Images({"1f": untagged}, NOW).of(read(Config__Image="shop/gone:1")).is_current is None


def test_a_digest_means_the_same_image_whatever_is_the_latest() -> None:
    latest = {"Id": "sha256:2e", "Created": PULLED["Created"], "RepoTags": ["shop/api:latest"]}
    images = Images({"2e": latest, "1f": PULLED}, NOW)
    assert images.of(read(Config__Image="shop/api@sha256:aa")).is_current is True
    assert images.of(read(Config__Image="shop/api:1@sha256:aa")).is_current is True
    assert images.of(read(Config__Image="shop/api")).is_current is False


def test_an_image_from_the_future_has_no_age() -> None:
    with pytest.raises(CouldNotLook, match="in the future"):
        _ = Images({"1f": PULLED}, NOW - 2 * 86400).of(read()).age_s


def test_an_answer_that_is_cut_short_is_no_answer() -> None:
    with pytest.raises(CouldNotLook, match="can't be read"):
        parse_containers(inspected()[:-20])


# What is declared.


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"services": {"api": {"running": True}}}, "needs the project's name; add e.g. compose: shop"),
        ({"compose": "shop", "orphans": 0}, "has no services to tell them from"),
        (
            {"compose": "shop", "services": {"db": {"running": True}}, "standalone": {"db": {"running": True}}},
            "both a service and a standalone container",
        ),
        ({"engine": "podman", "daemon": {"live_restore": True}}, "podman has no daemon"),
        ({"standalone": {"shop*": {"running": True}}}, "not the name of one container"),
        ({"standalone": {"db": {"environment": {"DB_PASSWORD": "x"}}}}, "declare it under `secrets`"),
        ({"standalone": {"db": {"environment_has": {".*": True}}}}, "matches even an empty text"),
        ({"compose": "shop", "compose_file": {"paths": [], "missing": 0}}, "at least 1 item"),
        ({"compose": "shop", "compose_file": {"paths": [" "], "missing": 0}}, "has no name"),
        ({"compose": "shop", "compose_file": {"paths": ["a.yml"]}}, "declares nothing to verify"),
    ],
)
def test_what_could_not_be_looked_for_is_refused(declared: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Containers.model_validate(declared)
