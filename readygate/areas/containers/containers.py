"""What a server's containers may be declared to be, by docker or podman, in compose or on their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from readygate.areas.containers.actual import ABSENT, ActualContainer, Mounted
from readygate.areas.containers.compose_file import ComposeFile, ComposeService, read_services
from readygate.areas.containers.compose_truth import Differences, compare
from readygate.areas.containers.daemon import Daemon, observe_settings
from readygate.areas.containers.engine import (
    Image,
    Images,
    Leftovers,
    OnEngine,
    ask_containers,
    ask_images,
    ask_internal_networks,
    ask_leftovers,
    ask_volume_folders,
)
from readygate.areas.servers.files import AbsolutePath, Pattern
from readygate.areas.servers.secrets import Secret, SecretValue, keep_out_of_reports, public_key_name
from readygate.errors import Mistake
from readygate.expectation import (
    AtLeastDuration,
    AtMostCount,
    AtMostDuration,
    AtMostSize,
    Count,
    Flag,
    Number,
    Size,
    Text,
    TextSet,
)
from readygate.results import Evidence
from readygate.spec import Spec


def one_container(name: str) -> str:
    """The name, if it can be that of one container or service."""
    if not name.strip() or set(name) & set("*?/ "):
        raise Mistake(f"'{name}' is not the name of one container", "write e.g. calc-service")
    return name


ContainerName = Annotated[str, AfterValidator(one_container)]
PublicName = Annotated[str, AfterValidator(public_key_name)]


class Volume(Spec):
    """A folder or a volume of the server that is mounted in a container, by its path in there."""

    area: ClassVar[str] = "volume"
    noun: ClassVar[str] = "volume"

    source: Text | None = Field(None, description="The path on the server, or the name of the volume.")
    type: Text | None = Field(None, description="bind, volume or tmpfs.")
    writable: Flag | None = Field(None, description="Whether the container may write there.")


class SecretVariable(Secret):
    """A variable whose value no report may show."""

    area: ClassVar[str] = "secret_variable"
    noun: ClassVar[str] = "secret_variable"


class Container(Spec):
    """A container, or all replicas of a service: each of them has to be as declared."""

    area: ClassVar[str] = "container"
    noun: ClassVar[str] = "container"

    exists: Flag | None = Field(None, description="Whether there is such a container, running or not.")
    running: Flag | None = Field(None, description="Whether it runs; one that restarts over and over doesn't.")
    replicas: Count | None = Field(None, description="How many of it run.")
    health: Text | None = Field(None, description="healthy, unhealthy, starting, or none without a health check.")
    failing_streak: AtMostCount | None = Field(None, description="How many health checks failed in a row.")
    uptime: AtLeastDuration | None = Field(None, description="How long it has been running.")
    exit_code: Count | None = Field(None, description="What it ended with, if it has.")
    oom_killed: Flag | None = Field(None, description="Whether it was killed for want of memory.")
    restart: Text | None = Field(None, description="always, unless-stopped, on-failure, on-failure:5 or no.")
    restarts: AtMostCount | None = Field(None, description="How often the engine had to restart it.")
    image: Text | None = Field(None, description="The image as it was asked for, e.g. shop/api:${VERSION}.")
    digest: Text | None = Field(None, description="The digest that the registry gave the image, sha256:...")
    pinned: Flag | None = Field(None, description="Whether the image has a digest, or a tag other than latest.")
    current: Flag | None = Field(
        None, description="Whether it runs what its image's name means on the server now, and not an earlier one."
    )
    image_age: AtMostDuration | None = Field(None, description="How long ago the image was built.")
    memory: Size | None = Field(None, description="The limit of its memory.")
    memory_reservation: Size | None = Field(None, description="The memory that is kept for it.")
    cpus: Number | None = Field(None, description="The limit of its processors.")
    pids: Count | None = Field(None, description="The limit of its processes.")
    user: Text | None = Field(None, description="Who it runs as; root, where neither it nor its image says.")
    privileged: Flag | None = Field(None, description="Whether it may do whatever root may on the server.")
    docker_socket: Flag | None = Field(None, description="Whether it can reach the engine, and so take the server.")
    added_capabilities: TextSet | None = Field(None, description="Capabilities that it has beyond the usual.")
    dropped_capabilities: TextSet | None = Field(None, description="Usual capabilities that it lacks.")
    read_only: Flag | None = Field(None, description="Whether its root filesystem can't be written.")
    new_privileges: Flag | None = Field(None, description="Whether its processes may gain privileges, by setuid.")
    networks: TextSet | None = Field(None, description="The networks that it is in, by their full names.")
    published: TextSet | None = Field(None, description="Its ports on the server, e.g. 127.0.0.1:8080:80.")
    published_on: TextSet | None = Field(None, description="The server's addresses that these ports are on.")
    log_driver: Text | None = Field(None, description="Where its logs go: json-file, local, journald, ...")
    log_space: AtMostSize | None = Field(None, description="The most that its logs can take on the disk.")
    environment: dict[PublicName, Text] | None = Field(None, description="Variables that it was started with.")
    secrets: dict[str, SecretVariable] | None = Field(
        None, description="Variables that hold a secret, which is never shown."
    )
    environment_has: dict[Pattern, Flag] | None = Field(
        None, description="By regular expression: whether some line NAME=value of it matches. Never shown."
    )
    environment_filled: Flag | None = Field(
        None, description="Whether each variable has a value, and none a ${PLACEHOLDER} that nobody replaced."
    )
    command: dict[Pattern, Flag] | None = Field(
        None, description="By regular expression: whether its command line matches. Never shown."
    )
    labels: dict[str, Text] | None = Field(None, description="Its labels.")
    volumes: dict[AbsolutePath, Volume] | None = Field(None, description="What is mounted, by the path in it.")


class Containers(Spec):
    """The containers of a server, as its engine has them."""

    area: ClassVar[str] = "containers"
    noun: ClassVar[str] = "containers"

    engine: Literal["docker", "podman"] = Field("docker", description="A setting: docker or podman.")
    compose: str | None = Field(None, description="A setting: the name of the compose project.")

    services: dict[ContainerName, Container] | None = Field(None, description="Services of the project, by name.")
    standalone: dict[ContainerName, Container] | None = Field(None, description="Containers, by their own names.")
    compose_file: ComposeFile | None = Field(None, description="The files that say what the project has to be.")
    undeclared: AtMostCount | None = Field(
        None, description="How many containers run on the engine that are not declared here."
    )
    orphans: AtMostCount | None = Field(
        None, description="How many containers the project has, running or not, whose service is not declared."
    )
    exited: AtMostCount | None = Field(
        None, description="How many containers that are not declared here lie about, and don't run."
    )
    dangling_images: AtMostCount | None = Field(None, description="How many images have no name any more.")
    dangling_volumes: AtMostCount | None = Field(None, description="How many volumes belong to no container.")
    daemon: Daemon | None = Field(None, description="The docker daemon and its settings.")

    @model_validator(mode="after")
    def _can_be_asked(self) -> Containers:
        of_project = [key for key in ("services", "compose_file", "orphans") if getattr(self, key) is not None]
        if of_project and not self.compose:
            raise Mistake(f"`{of_project[0]}` needs the project's name", "add e.g. compose: shop")
        if self.orphans is not None and not (self.services or self.compose_file):
            raise Mistake("`orphans` has no services to tell them from", "add services, or a compose_file")
        if both := set(self.services or ()) & set(self.standalone or ()):
            name = min(both)
            raise Mistake(f"'{name}' is both a service and a standalone container", "keep one of the two")
        if self.daemon is not None and self.engine != "docker":
            raise Mistake("podman has no daemon", "leave `daemon` out")
        return self


@dataclass(frozen=True, slots=True)
class Replicas:
    """What is there of one declared container; where nothing is, one that is absent, so that nothing passes."""

    found: tuple[ActualContainer, ...]

    def __iter__(self) -> Iterator[ActualContainer]:
        return iter(self.found or (ABSENT,))

    @property
    def running(self) -> int:
        return sum(each.running for each in self.found)

    @property
    def unfilled(self) -> str:
        """The names of the variables without a value."""
        return ", ".join(sorted({name for each in self.found for name in each.unfilled}))

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        told = [f"{each.name}: {each.status}, {each.image}, health {each.health}" for each in self.found]
        return (Evidence("inspect", "\n".join(told) or "no such container"),)


@dataclass(frozen=True, slots=True)
class Strangers:
    """The names of containers that nobody declared, by what is wrong with them."""

    undeclared: tuple[str, ...]
    orphans: tuple[str, ...]
    exited: tuple[str, ...]


def observe_containers(host: Any, server: Spec, containers: Containers) -> OnEngine:
    """All containers of the server's engine, by one command."""
    return ask_containers(host, server.name, containers.engine)


def observe_replicas(containers: Containers, container: Container, on_engine: OnEngine) -> Replicas:
    """The containers that a declaration is about."""
    service = (containers.services or {}).get(container.name) is container
    if service and containers.compose:
        return Replicas(on_engine.of_service(containers.compose, container.name))
    return Replicas(on_engine.named(container.name))


def observe_mounts(replicas: Replicas, volume: Volume) -> tuple[Mounted | None, ...]:
    """What each replica has mounted at the path; None where it has nothing there."""
    return tuple(each.mounts.get(volume.name) for each in replicas)


def observe_secrets(replicas: Replicas, secret_variable: SecretVariable) -> tuple[SecretValue, ...]:
    """The variable of each replica, which is kept out of all reports from now on."""
    values = tuple(each.environment.get(secret_variable.name) for each in replicas)
    for value in filter(None, values):
        keep_out_of_reports(value, secret_variable.name)
    return tuple(map(SecretValue, values))


def observe_engine_images(host: Any, server: Spec, containers: Containers) -> Images:
    """All images of the server's engine, by one command."""
    return ask_images(host, server.name, containers.engine)


def observe_images(replicas: Replicas, engine_images: Images) -> tuple[Image, ...]:
    """The image of each replica."""
    return tuple(engine_images.of(each) for each in replicas)


def observe_leftovers(host: Any, server: Spec, containers: Containers) -> Leftovers:
    """Images without a name and volumes without a container."""
    return ask_leftovers(host, server.name, containers.engine)


def observe_volume_folders(host: Any, server: Spec, containers: Containers) -> dict[str, str]:
    """The folders of the server that volumes stand for, by one command."""
    return ask_volume_folders(host, server.name, containers.engine)


def observe_internal_networks(host: Any, server: Spec, containers: Containers) -> dict[str, bool]:
    """The networks of the server's engine, by one command."""
    return ask_internal_networks(host, server.name, containers.engine)


def observe_compose_services(containers: Containers) -> tuple[ComposeService, ...]:
    """What the compose files start, as the profiles of the setting have it; none without files."""
    if containers.compose_file is None:
        return ()
    return read_services(containers.compose_file, containers.compose or "")


def observe_strangers(
    containers: Containers, on_engine: OnEngine, compose_services: tuple[ComposeService, ...]
) -> Strangers:
    """Every container that is neither a declared service, nor one of the compose files, nor declared by name."""
    services = {*(containers.services or ()), *(each.name for each in compose_services)}
    names = set(containers.standalone or ())

    def is_known(each: ActualContainer) -> bool:
        of_project = containers.compose is not None and each.project == containers.compose
        return each.name in names or (of_project and each.service in services and not each.one_off)

    unknown = [each for each in on_engine.found if not is_known(each)]
    return Strangers(
        undeclared=tuple(each.name for each in unknown if each.is_up),
        orphans=tuple(each.name for each in unknown if each.project and each.project == containers.compose),
        exited=tuple(each.name for each in unknown if not each.is_up),
    )


def observe_differences(
    containers: Containers,
    on_engine: OnEngine,
    compose_services: tuple[ComposeService, ...],
    engine_images: Images,
    internal_networks: dict[str, bool],
) -> Differences:
    """In what the containers of the project are not what the compose files say."""
    # What is declared not to run, such as a migration, has ended.
    ended = {
        name
        for name, each in (containers.services or {}).items()
        if each.running is not None and each.running.judge(actual=False)
    }
    meant = [replace(each, to_end=True) if each.name in ended else each for each in compose_services]
    return compare(containers.compose or "", meant, on_engine, engine_images, internal_networks)


FACTS: Mapping[str, Callable[..., Any]] = {
    "on_engine": observe_containers,
    "replicas": observe_replicas,
    "replica_mounts": observe_mounts,
    "replica_secrets": observe_secrets,
    "engine_images": observe_engine_images,
    "replica_images": observe_images,
    "leftovers": observe_leftovers,
    "volume_folders": observe_volume_folders,
    "internal_networks": observe_internal_networks,
    "compose_services": observe_compose_services,
    "strangers": observe_strangers,
    "differences": observe_differences,
    "daemon_settings": observe_settings,
}
SECTIONS: Mapping[str, type[Spec]] = {}
