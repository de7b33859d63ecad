"""Files of a repository: what the pipeline and the next engineer will find there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from readygate.areas.repository.git import Checkout
from readygate.areas.servers.files import Contents, FileSettings, Pattern
from readygate.areas.servers.settings import Format, SettingKey, format_of, parse_settings
from readygate.errors import Mistake
from readygate.expectation import Flag, Json, Size
from readygate.spec import Spec


def inside(path: str) -> str:
    """A path of a repository's own. Raises Mistake for one that leads out of it."""
    parts = path.split("/")
    if path.startswith(("/", "~")) or ".." in parts or "." in parts or "" in parts:
        raise Mistake(f"'{path}' is no path inside the repository", "write e.g. docs/RUNBOOK.md")
    return path


class SourceFile(Spec):
    """A file that is committed; what only lies in the folder is not there."""

    area: ClassVar[str] = "source_file"
    noun: ClassVar[str] = "source_file"

    path: str | None = Field(None, description="A setting: where it is, if the key is a name of your own.")
    exists: Flag | None = Field(None, description="Whether git tracks such a file, and it is there.")
    executable: Flag | None = Field(None, description="Whether git has it as executable.")
    size: Size | None = Field(None, description="Its size in bytes.")
    contains: dict[Pattern, Flag] | None = Field(
        None, description="By regular expression: whether some line holds it. What is in the file is never shown."
    )
    keys: dict[SettingKey, Json] | None = Field(
        None, description="What the file says by key, or by dotted path: {PAYMENT_MODE: test}."
    )
    format: Format | None = Field(None, description="A setting: env, ini, json, yaml or toml, if no name says it.")

    def refuse_name(self, name: str) -> None:
        inside(self.path or name)
        if self.keys and self.format is None:
            format_of(self.path or name)

    @property
    def place(self) -> str:
        return self.path or self.name


@dataclass(frozen=True, slots=True)
class ActualSource:
    """A file as it is committed; None where there is none."""

    exists: bool
    executable: bool | None = None
    size: int | None = None
    reason: str = ""


def observe_source(checkout_here: Checkout, source_file: SourceFile) -> ActualSource:
    """What git and the folder have at this path."""
    content = checkout_here.read(source_file.place)
    if content is None:
        lies = (checkout_here.root / source_file.place).exists()
        return ActualSource(False, reason="it lies there, but git does not track it" if lies else "")
    return ActualSource(True, checkout_here.is_executable(source_file.place), len(content))


def observe_source_contents(checkout_here: Checkout, source_file: SourceFile) -> Contents:
    return Contents(checkout_here.text(source_file.place))


def observe_source_settings(source_file: SourceFile, source_contents: Contents) -> FileSettings:
    """What the file says by key. CouldNotLook: it is broken, or of another format."""
    if source_contents.text is None:
        return FileSettings(None)
    place = source_file.place
    return FileSettings(parse_settings(source_contents.text, source_file.format or format_of(place), place))


FACTS: dict[str, Callable[..., Any]] = {
    "actual_source": observe_source,
    "source_contents": observe_source_contents,
    "source_settings": observe_source_settings,
}
