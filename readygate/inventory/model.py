"""The border of the inventory: which top-level keys there are, and what stands under each."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, create_model

from readygate.areas import SECTIONS
from readygate.areas.load.settings import TargetUrl
from readygate.expectation import AtMostDuration, Seconds
from readygate.spec import Setting, Severity, Spec


class Ready(Setting):
    """How one knows that the environment is up: all that is written must hold."""

    url: str | None = Field(None, description="This URL answers with a status below 400.")
    tcp: str | None = Field(None, description="This `host:port` accepts connections.")
    command: str | None = Field(None, description="This command exits with 0.")
    within: Seconds = Field(60.0, description="How long to wait for it.")


class Lifecycle(Setting):
    """How the system under test is brought up for the run, and how it is cleaned up whatever happens."""

    up: str = Field(description="Shell command that serves until it is stopped, or returns when all is started.")
    down: str | None = Field(
        None, description="Shell command that cleans up; `up` and its children are stopped anyway."
    )
    ready: Ready | None = Field(None, description="How one knows that it is up.")
    ports: tuple[str, ...] = Field(
        (), description="Names of variables that are given a free loopback port each, unless they are set."
    )


class Release(Setting):
    """What is judged."""

    version: str = Field("", description="The version that is to be released.")
    commit: str = Field("", description="Its commit; found from CI or git where it is left out.")
    images: tuple[str, ...] = Field((), description="The images that make it up, by digest.")


class AttestationSpec(Spec):
    """What no machine can see, and a person answers for."""

    area: ClassVar = "attestation"
    noun: ClassVar = "attestation"

    every: AtMostDuration = Field(description="How old the newest attestation may be.")


class Head(BaseModel):
    """The keys of an inventory beside its sections."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    project: str = Field(description="The project's name, as it stands in the report.", min_length=1)
    owned_by: str | None = Field(None, description="Who answers for whatever names nobody else.")
    severity: Severity | None = Field(None, description="The severity of every check, instead of its own.")
    release: Release = Field(Release(), description="What is judged: version, commit, images.")
    lifecycle: Lifecycle | None = Field(None, description="How the system is brought up for the run.")
    attestations: dict[str, AttestationSpec] = Field({}, description="What a person has to attest.")
    allow_load: tuple[TargetUrl, ...] = Field((), description="The URLs that load may be sent to; nothing else is.")


@cache
def document_of(sections: frozenset[str] = frozenset(SECTIONS)) -> type[Head]:
    """The model of an inventory in which only these sections are known."""
    fields: dict[str, Any] = {}
    for section in (each for each in SECTIONS if each in sections):
        spec = SECTIONS[section]
        described: Any = Field({}, description=(spec.__doc__ or "").split("\n")[0])
        fields[section] = (dict[str, spec], described)  # type: ignore[valid-type]
    return create_model("Inventory", __base__=Head, **fields)


# Keys that composing takes away before the model sees the tree.
COMPOSED_KEYS = {
    "include": "Other files of this inventory; patterns are relative to this file.",
    "environments": "Overlays by name, merged over the rest by `--env`.",
    "defaults": "By section: what is merged under each of its entries.",
    "groups": "By name: what is merged under each entry that lists it in its `groups`.",
}
