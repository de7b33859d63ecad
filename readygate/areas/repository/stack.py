"""A stack of compose files in a repository: its services, their health checks, images and passwords."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, get_args

import yaml
from pydantic import Field

from readygate.areas.containers.compose_file import Aspect, ComposeFile, ComposeService, read_services
from readygate.areas.repository.git import Checkout
from readygate.areas.repository.observed import Observed
from readygate.areas.repository.source_files import inside
from readygate.areas.servers.secrets import names_a_secret
from readygate.errors import CouldNotLook, Mistake
from readygate.expectation import AtMostCount, Json, TextSet
from readygate.spec import Spec

_WITH_DEFAULT = re.compile(r"\$\{\w+:?-([^${}]+)\}")


class Stack(Spec):
    """Compose files that are started together."""

    area: ClassVar[str] = "stack"
    noun: ClassVar[str] = "stack"

    paths: tuple[str, ...] = Field(
        description="A setting: the files, each laid over those before it, as with `docker compose -f`.", min_length=1
    )
    profiles: tuple[str, ...] = Field((), description="A setting: the profiles that are active.")
    env_file: str | None = Field(None, description="A setting: the file that fills in the variables of the files.")

    services: TextSet | None = Field(None, description="The services that these files start with these profiles.")
    unchecked: AtMostCount | None = Field(None, description="How many services have no health check in the files.")
    unpinned: AtMostCount | None = Field(None, description="How many images are `latest`, or have no tag at all.")
    literal_secrets: AtMostCount | None = Field(
        None, description="How many passwords stand in the files themselves, and not in a variable."
    )
    environment: dict[str, Json] | None = Field(
        None, description="By service and variable, what it is given: {billing.PAYMENT_MODE: test}."
    )

    def refuse_name(self, name: str) -> None:
        for path in (*self.paths, *((self.env_file,) if self.env_file else ())):
            inside(path)
        for key in self.environment or ():
            service, dot, variable = key.rpartition(".")
            if not (service and dot and variable):
                raise Mistake(f"'{key}' names no variable of a service", "write e.g. billing.PAYMENT_MODE")
            if names_a_secret(variable):
                raise Mistake(f"'{variable}' names a secret, which no report may show", "leave it out")


def observe_stack(checkout_here: Checkout, stack: Stack) -> tuple[ComposeService, ...]:
    """The services as compose would start them. CouldNotLook: a file is not committed, or not understood."""
    for path in stack.paths:
        if path not in checkout_here.tracked:
            raise CouldNotLook(f"git tracks no {path}", cause=f"compose:{path}", mend="commit it, or correct `paths`")
    root = checkout_here.root
    declared = ComposeFile.model_construct(
        paths=tuple(str(root / path) for path in stack.paths),
        profiles=stack.profiles,
        env_file=str(root / stack.env_file) if stack.env_file else None,
        # None of these has to be known here for what is asked; a variable in an image's tag may stay one.
        ignoring=get_args(Aspect),
    )
    return read_services(declared, "")


def observe_stack_unchecked(stack_services: tuple[ComposeService, ...]) -> Observed:
    unchecked = [each.name for each in stack_services if not each.health_checked]
    return Observed(len(unchecked), f"without a health check: {', '.join(unchecked)}" if unchecked else "")


def observe_stack_unpinned(stack_services: tuple[ComposeService, ...]) -> Observed:
    loose = [f"{each.name} ({each.image})" for each in stack_services if each.image and not _is_pinned(each.image)]
    return Observed(len(loose), f"not pinned: {', '.join(loose)}" if loose else "")


def _is_pinned(image: str) -> bool:
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return bool(digest) or tag not in ("", "latest")


def observe_literal_secrets(checkout_here: Checkout, stack: Stack, stack_services: Any) -> Observed:
    """The passwords that anybody reads who reads the files; a variable's default is one of them."""
    found = [each for path in stack.paths for each in _literal(path, checkout_here.text(path) or "")]
    return Observed(len(found), f"written out: {', '.join(found)}" if found else "")


def _literal(path: str, text: str) -> Iterator[str]:
    for name, service in (yaml.safe_load(text).get("services") or {}).items():
        told = (service or {}).get("environment") or {}
        if isinstance(told, list):
            told = dict(str(each).partition("=")[::2] for each in told)
        for variable, value in told.items():
            text = _WITH_DEFAULT.sub(r"\1", str(value or ""))
            if text and "$" not in text and names_a_secret(str(variable)) and text.lower() not in ("true", "false"):
                yield f"{variable} of {name} in {path}"


def observe_stack_variable(stack_services: tuple[ComposeService, ...], key: str) -> Observed:
    """What a service is given. CouldNotLook: it rests on a variable that isn't known here."""
    name, _, variable = key.rpartition(".")
    service = next((each for each in stack_services if each.name == name), None)
    if service is None:
        return Observed(None, f"these files start no {name}")
    if service.environment.get(variable, "") is None:
        raise CouldNotLook(f"{key} rests on a variable that is not known here", mend="name an `env_file` that has it")
    return Observed(service.environment.get(variable), f"{name} is given no {variable}")


FACTS: dict[str, Callable[..., Any]] = {
    "stack_services": observe_stack,
    "stack_unchecked": observe_stack_unchecked,
    "stack_unpinned": observe_stack_unpinned,
    "literal_secrets": observe_literal_secrets,
    "stack_variable": observe_stack_variable,
}
