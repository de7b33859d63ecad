"""The docker daemon of a server: its version, and the settings that hold for all its containers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from readygate.areas.containers.engine import ask_engine
from readygate.errors import CouldNotLook
from readygate.expectation import AtLeastVersion, Flag, Text, TextSet
from readygate.spec import Spec


class Daemon(Spec):
    """The docker daemon, as `docker info` tells of it."""

    area: ClassVar[str] = "daemon"
    noun: ClassVar[str] = "daemon"

    version: AtLeastVersion | None = Field(None, description="The version of the engine.")
    live_restore: Flag | None = Field(None, description="Whether containers go on while the daemon is restarted.")
    log_driver: Text | None = Field(None, description="Where the logs of a new container go if it doesn't say.")
    storage_driver: Text | None = Field(None, description="How layers are stored, e.g. overlay2.")
    security: TextSet | None = Field(None, description="What guards containers: seccomp, apparmor, userns, rootless.")
    insecure_registries: TextSet | None = Field(
        None, description="Registries that are trusted without TLS, besides the server itself."
    )


@dataclass(frozen=True, slots=True)
class DaemonSettings:
    """What the daemon says of itself."""

    version: str
    live_restore: bool
    log_driver: str
    storage_driver: str
    security: frozenset[str]
    insecure_registries: frozenset[str]


def observe_settings(host: Any, server: Spec) -> DaemonSettings:
    """The settings in force, by one command."""
    text = ask_engine(host, server.name, "docker", "docker info --format '{{json .}}'")
    return parse_settings(server.name, text)


def parse_settings(server: str, text: str) -> DaemonSettings:
    """Read what `docker info` prints as JSON. CouldNotLook: no daemon answered it."""
    told = json.loads(text)
    # The client answers in any case, and some versions of it exit with 0 though no daemon was there.
    if errors := told.get("ServerErrors"):
        raise CouldNotLook(
            f"docker on {server} could not tell: {errors[0]}",
            cause=f"engine:{server}:docker",
            mend="run `docker info` there by hand",
        )
    registries = told.get("RegistryConfig") or {}
    by_name = {name for name, each in (registries.get("IndexConfigs") or {}).items() if not each.get("Secure")}
    by_network = set(registries.get("InsecureRegistryCIDRs") or ()) - {"127.0.0.0/8", "::1/128"}
    return DaemonSettings(
        version=told["ServerVersion"],
        live_restore=bool(told["LiveRestoreEnabled"]),
        log_driver=told["LoggingDriver"],
        storage_driver=told["Driver"],
        security=frozenset(_guards(told["SecurityOptions"] or ())),
        insecure_registries=frozenset(by_name | by_network),
    )


def _guards(options: Iterable[str]) -> Iterator[str]:
    """The names in options such as `name=seccomp,profile=builtin`; a profile that lets all through guards nothing."""
    for option in options:
        name, *settings = option.split(",")
        if "profile=unconfined" not in settings:
            yield name.removeprefix("name=")
