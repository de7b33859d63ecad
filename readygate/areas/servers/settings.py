"""Files of settings, read by key: .env, INI, JSON, YAML and TOML."""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator

from readygate.areas.servers.secrets import SecretValue, keep_out_of_reports, names_a_secret, public_key_name
from readygate.conditions import Bound, OneOf
from readygate.errors import CouldNotLook, Mistake
from readygate.expectation import Expectation

Format = Literal["env", "ini", "json", "yaml", "toml"]
SettingKey = Annotated[str, AfterValidator(public_key_name)]

_BY_SUFFIX: dict[str, Format] = {
    ".env": "env", ".ini": "ini", ".cfg": "ini", ".json": "json", ".yml": "yaml", ".yaml": "yaml", ".toml": "toml",
}  # fmt: skip
_TRUE, _FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}


@dataclass(frozen=True, slots=True)
class Settings:
    """What a file of settings says; `is_text` where every value in it is text. None is no file."""

    tree: Any = field(repr=False)
    is_text: bool

    def at(self, key: str, expected: Expectation | None = None) -> Any:
        """The value at a key, or at a dotted path; None where nothing is.

        A .env or INI file has only texts: one is taken as a number or a flag where that is what is expected.
        """
        value = _at(self.tree, key)
        return _as_meant(value, expected) if self.is_text and isinstance(value, str) and expected else value

    def secret(self, key: str) -> SecretValue:
        value = _at(self.tree, key)
        text = value if isinstance(value, str) or value is None else json.dumps(value)
        if text:
            keep_out_of_reports(text, key)
        return SecretValue(text)


def format_of(path: str) -> Format:
    """The format of a file by its name. Raises Mistake where the name doesn't say."""
    name = path.rpartition("/")[2]
    if name.startswith(".env"):
        return "env"
    for suffix, format_ in _BY_SUFFIX.items():
        if name.endswith(suffix):
            return format_
    raise Mistake(f"the name of {path} does not say its format", "write e.g. `format: env`, ini, json, yaml or toml")


def parse_settings(text: str, format_: Format, path: str) -> Settings:
    """Read the file, and see to it that no secret in it is ever shown. CouldNotLook: it isn't in that format."""
    try:
        tree = _PARSERS[format_](text)
    except (ValueError, configparser.Error, yaml.YAMLError) as error:
        # What these errors quote may be a secret; where they stand is not.
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else getattr(error, "lineno", None)
        where = f", from line {line} on" if line else ""
        raise CouldNotLook(
            f"{path} can't be read as {format_}{where}", mend="mend the file, or its `format`"
        ) from None
    for key, value in _texts(tree):
        if names_a_secret(key):
            keep_out_of_reports(value, key)
    return Settings(tree, format_ in ("env", "ini"))


def _at(tree: Any, key: str) -> Any:
    if isinstance(tree, dict) and key in tree:
        return tree[key]
    value = tree
    for part in key.split("."):
        value = below(value, part)
    return value


def below(tree: Any, part: str) -> Any:
    """What stands under one part of a dotted path, a number counting in a list; None where nothing does."""
    match tree:
        case dict():
            return tree.get(part)
        case list() if part.isdecimal() and int(part) < len(tree):
            return tree[int(part)]
    return None


def _as_meant(text: str, expected: Expectation) -> Any:
    limits = [
        limit
        for condition in (*expected.fail, *expected.warn)
        if isinstance(condition, Bound | OneOf)
        for limit in (condition.values if isinstance(condition, OneOf) else [condition.limit])
    ]
    if limits and all(isinstance(limit, bool) for limit in limits) and text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    numbers = [limit for limit in limits if isinstance(limit, int | float) and not isinstance(limit, bool)]
    if limits and len(numbers) == len(limits) and re.fullmatch(r"-?\d+(\.\d+)?", text):
        return float(text) if "." in text else int(text)
    return text


def _parse_env(text: str) -> dict[str, str]:
    """Lines of NAME=value as docker compose and systemd take them; of a name that is there twice the last counts."""
    known: dict[str, str] = {}
    lines = iter(re.split(r"\r?\n", text))
    for line in lines:
        line = line.strip().removeprefix("export ").lstrip()
        if not line or line.startswith(("#", ";")):
            continue
        name, equals, value = line.partition("=")
        if not equals:
            raise ValueError
        known[name.strip()] = _env_value(value, lines)
    return known


def _env_value(value: str, further: Iterator[str]) -> str:
    """The value that begins here; one in quotes may go on over further lines, as private keys do."""
    if value.lstrip()[:1] not in ("'", '"'):
        # Behind the sign there may be no more than a note: `KEY= # ask the vault`.
        return re.sub(r"\s#.*$", "", value).strip()
    value = value.strip()
    quoted = re.compile(r"(['\"])(.*?)\1\s*(#.*)?$", re.DOTALL)
    while not (found := quoted.match(value)):
        line = next(further, None)
        if line is None:
            raise ValueError
        value = f"{value}\n{line}"
    return found[2]


def _parse_ini(text: str) -> dict[str, Any]:
    """By section; what stands before the first one by its own name."""
    parser = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=True, default_section="\0")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(f"[\1]\n{text}")
    sections: dict[str, Any] = {name: dict(map(_without_note, parser[name].items())) for name in parser.sections()}
    top: dict[str, Any] = sections.pop("\1", {})
    return top | sections


def _without_note(item: tuple[str, str | None]) -> tuple[str, str | None]:
    """A setting of which only a note says what it should be, is empty: `password = ; ask the vault`."""
    key, value = item
    return key, re.sub(r"^[;#]\s.*", "", value) if value else value


class _OnceLoader(yaml.SafeLoader):
    """Takes no key that is written twice in one mapping, as of such a one programs differ in which they take."""

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        _refuse_twice(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<")
        return node


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _refuse_twice(key for key, _ in pairs)
    return dict(pairs)


def _refuse_twice(keys: Iterable[str]) -> None:
    known: set[str] = set()
    for key in keys:
        if key in known:
            raise CouldNotLook(
                f"the file says {key} twice, and programs differ in which of them they take", mend="delete one"
            )
        known.add(key)


_PARSERS: dict[Format, Callable[[str], Any]] = {
    "env": _parse_env,
    "ini": _parse_ini,
    "json": lambda text: json.loads(text, object_pairs_hook=_members),
    "yaml": lambda text: yaml.load(text, _OnceLoader),  # noqa: S506 - a SafeLoader
    "toml": tomllib.loads,
}


def _texts(tree: Any, key: str = "") -> Iterator[tuple[str, str]]:
    match tree:
        case str():
            yield key, tree
        case dict():
            for name, each in tree.items():
                yield from _texts(each, str(name))
        case list():
            for each in tree:
                yield from _texts(each, key)
