"""The configuration of nginx on a server, by nginx's own judgement."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from readygate.areas.asking import forbidden, run
from readygate.errors import CouldNotLook
from readygate.expectation import Text, among
from readygate.results import Evidence
from readygate.spec import Spec


class Nginx(Spec):
    """The nginx of a server."""

    area: ClassVar[str] = "nginx"
    noun: ClassVar[str] = "nginx"

    config: Annotated[Text, among("valid", "invalid")] | None = Field(
        None, description="valid, if `nginx -t` would take the files as they are now; invalid."
    )


@dataclass(frozen=True, slots=True)
class NginxConfig:
    """Whether nginx would start with its files as they are, and what it complains of."""

    state: str
    told: str = ""
    evidence: tuple[Evidence, ...] = ()


def observe_nginx_config(host: Any, server: Spec) -> NginxConfig:
    """What `nginx -t` says. CouldNotLook: there is no nginx, or it may not read its files as this user."""
    answer = run(host, server.name, "export PATH=$PATH:/usr/sbin:/usr/local/sbin; nginx -t", within=30)
    if "Permission denied" in answer.errors:
        raise forbidden(server.name, "files of nginx")
    return parse_nginx_test(answer.exit, answer.errors)


def parse_nginx_test(exit_: int, said: str) -> NginxConfig:
    """Read lines such as `nginx: [emerg] unknown directive "sever" in /etc/nginx/nginx.conf:7`."""
    evidence = (Evidence("nginx -t", said),)
    if exit_ == 0:
        return NginxConfig("valid", evidence=evidence)
    found = re.search(r"\[(?:emerg|alert|crit|error)\] (.*)", said)
    if not found:
        raise CouldNotLook(f"nginx -t ended with {exit_} and gave no reason")
    return NginxConfig("invalid", found[1].strip(), evidence)


FACTS: dict[str, Callable[..., Any]] = {"nginx_config": observe_nginx_config}
