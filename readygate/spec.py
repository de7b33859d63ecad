"""The base of everything an inventory may declare, and the walk that turns it into expected leaves.

An area describes its part of the inventory as subclasses of `Spec`. Three kinds of field may stand in one:
an `Expectation` (or a dict of them), which a check verifies; another `Spec` (or a dict of them), which
nests; and anything else, which is a setting, such as a URL or a user name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from readygate.errors import Mistake, Position
from readygate.expectation import Expectation

Path = tuple[str | int, ...]


class Severity(StrEnum):
    """How much a failure matters; a profile says from which one on it blocks."""

    BLOCKER = "blocker"
    MAJOR = "major"
    MINOR = "minor"
    INFO = "info"


class Setting(BaseModel):
    """A frozen part of the inventory that knows all its keys; nothing in it is verified by a check."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Spec(Setting):
    """A thing that is declared, such as a server, a file or an endpoint.

    `area` begins the ids of its checks (`tls` + field `renew_before` = `tls.renew_before`), and `noun` names
    the fixture that gives a suite this declaration. `name` is the key that it stands under.
    """

    area: ClassVar[str]
    noun: ClassVar[str]
    may_be_bare: ClassVar[bool] = False  # where another entry names it

    owned_by: str | None = Field(
        None, description="Who answers for this, as the report names them; holds for everything below it."
    )
    severity: Severity | None = Field(
        None, description="How much a failure here matters, instead of what the suite says; holds below it."
    )

    _name: str = PrivateAttr("")

    @property
    def name(self) -> str:
        """The key that this declaration stands under, e.g. `app-1` or `/etc/passwd`."""
        return self._name

    @property
    def is_live(self) -> bool:
        """Whether it is only looked at in its turn, as it measures times, waits or changes something."""
        return False

    @property
    def servers_named(self) -> tuple[tuple[str, str], ...]:
        """Each server that it names to be looked at or from, after the key that names it."""
        named = getattr(self, "on", None)
        return () if named is None else (("on", named),)

    def given(self) -> Iterator[tuple[str, Any]]:
        """Its fields, in their order, without those that are left out; a server has some fifty."""
        return ((field, value) for field, value in self.__dict__.items() if value is not None)

    def refuse_name(self, name: str) -> None:
        """Raise Mistake where this key can't name the thing; an area says so where not any key can."""

    def _named(self, name: str) -> None:
        object.__setattr__(self, "__pydantic_private__", {"_name": name})

    @property
    def is_bare(self) -> bool:
        """Whether nothing in it has to be verified."""
        return not any(_is_declared(value) for _, value in self.given())

    def nothing_declared(self) -> Mistake:
        names = [field for field, info in type(self).model_fields.items() if _expects(info.annotation)]
        return Mistake("declares nothing to verify", f"add at least one of: {', '.join(names)}")

    @model_validator(mode="after")
    def _declares_something(self) -> Spec:
        if self.is_bare and not self.may_be_bare:
            raise self.nothing_declared()
        return self


@dataclass(frozen=True, slots=True)
class Leaf:
    """One expectation of the inventory: what is verified by exactly one check id on one target.

    `trail` are the declarations that it stands in, outermost first; `key` is set where the expectation is one
    of a family such as `headers`. `expected` is an `Expectation`, or plain data under an `x-` key.
    """

    check: str
    target: str
    path: Path
    position: Position
    expected: Any
    trail: tuple[Spec, ...] = ()
    key: str | None = None
    owner: str | None = None
    severity: Severity | None = None

    @property
    def id(self) -> str:
        return f"{self.check} @ {self.target}"

    @property
    def dotted(self) -> str:
        return dotted(self.path)


def dotted(path: Path) -> str:
    """A path as people write it: `sites.api.endpoints./health.status`, list items as `[2]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def leaves(spec: Spec, name: str, path: Path) -> Iterator[Leaf]:
    """Every expectation below one declared entry, in the order of the fields; positions are not known here."""
    yield from _leaves(spec, name, path, (), (name,))


def _leaves(spec: Spec, name: str, path: Path, trail: tuple[Spec, ...], target: tuple[str, ...]) -> Iterator[Leaf]:
    spec._named(name)
    trail = (*trail, spec)
    owner = next((each.owned_by for each in reversed(trail) if each.owned_by), None)
    severity = next((each.severity for each in reversed(trail) if each.severity), None)

    def leaf(field: str, expected: Expectation, key: str | None) -> Leaf:
        where = (*path, field) if key is None else (*path, field, key)
        on = target if key is None else (*target, key)
        return Leaf(f"{spec.area}.{field}", ":".join(on), where, Position(""), expected, trail, key, owner, severity)

    for field, value in spec.given():
        if isinstance(value, Expectation):
            yield leaf(field, value, None)
        elif isinstance(value, Spec):
            yield from _leaves(value, name, (*path, field), trail, target)
        elif isinstance(value, dict):
            for key, each in value.items():
                if isinstance(each, Expectation):
                    yield leaf(field, each, key)
                elif isinstance(each, Spec):
                    yield from _leaves(each, key, (*path, field, key), trail, (*target, key))


def misnamed(spec: Spec, name: str, path: Path) -> Iterator[tuple[Path, Mistake]]:
    """Every declaration below one entry whose key can't name it, with the path of that key."""
    try:
        spec.refuse_name(name)
    except Mistake as mistake:
        yield path, mistake
    for field, value in spec.given():
        if isinstance(value, Spec):
            yield from misnamed(value, name, (*path, field))
        elif isinstance(value, dict):
            for key, each in value.items():
                if isinstance(each, Spec):
                    yield from misnamed(each, key, (*path, field, key))


def below(spec: Spec, path: Path) -> Iterator[tuple[Path, Spec]]:
    """A declaration and all that stand in it, each with its path."""
    yield path, spec
    for field, value in spec.given():
        if isinstance(value, Spec):
            yield from below(value, (*path, field))
        elif isinstance(value, dict):
            for key, each in value.items():
                if isinstance(each, Spec):
                    yield from below(each, (*path, field, key))


def known_checks(spec: type[Spec]) -> Iterator[str]:
    """The id of every check that could verify something below this kind of declaration."""
    for field, info in spec.model_fields.items():
        if _mentions(info.annotation, Expectation):
            yield f"{spec.area}.{field}"
        for nested in _specs_in(info.annotation):
            yield from known_checks(nested)


def nouns(spec: type[Spec]) -> Iterator[str]:
    """The noun of this kind of declaration and of every kind that may stand below it."""
    yield spec.noun
    for info in spec.model_fields.values():
        for nested in _specs_in(info.annotation):
            yield from nouns(nested)


def _is_declared(value: object) -> bool:
    if isinstance(value, dict):
        return any(_is_declared(each) for each in value.values())
    return isinstance(value, Expectation | Spec)


def _expects(annotation: object) -> bool:
    return _mentions(annotation, Expectation) or any(_specs_in(annotation))


def _mentions(annotation: object, wanted: type) -> bool:
    return annotation is wanted or any(_mentions(part, wanted) for part in get_args(annotation))


def _specs_in(annotation: object) -> Iterator[type[Spec]]:
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        yield annotation
    for part in get_args(annotation):
        yield from _specs_in(part)
