"""The variables of compose files: where their values come from, and how they are filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from readygate.errors import CouldNotLook

_REFERENCE = re.compile(
    r"\$(?:\$|(?P<plain>[A-Za-z_]\w*)|\{(?P<name>[A-Za-z_]\w*)(?:(?P<how>:?[-?+])(?P<instead>[^{}]*))?\})"
)
# What stands for a variable that isn't known here.
UNKNOWN = re.compile("⟦(\\w+)⟧")
_ENV_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][\w.]*)\s*=\s*(.*?)\s*")


def cannot(reason: str, path: Path) -> CouldNotLook:
    """Why a file is no source of truth."""
    return CouldNotLook(
        f"{path}: {reason}",
        cause=f"compose:{path}",
        mend="mend the file; or render it with `docker compose config`, and name what that prints",
    )


def environment_of(told: Any, variables: Mapping[str, str]) -> dict[str, str]:
    """By name; a name alone takes its value from where compose runs."""
    if not isinstance(told, dict):
        parts = (str(each).partition("=") for each in told or ())
        told = {name: value if equals else None for name, equals, value in parts}
    return {
        str(name): variables.get(name, unknown(name)) if value is None else _scalar(value)
        for name, value in told.items()
    }


def _scalar(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def files_of(told: Mapping[str, Any], path: Path) -> dict[str, str]:
    """What the `env_file` of a service gives it, those of later files before those of earlier ones."""
    named = told.get("env_file") or ()
    found: dict[str, str] = {}
    for each in [named] if isinstance(named, str | dict) else named:
        entry = each if isinstance(each, dict) else {"path": each}
        file = path.parent / entry["path"]
        if not entry.get("required", True) and not file.exists():
            continue
        if entry.get("format") == "raw":
            found |= dict(line.partition("=")[::2] for line in _env_lines(file) if "=" in line)
        else:
            # Compose of version 1 takes these values as they stand, and version 2 fills variables in.
            read = env_file(file)
            found |= {name: unknown(name) if _REFERENCE.search(value) else value for name, value in read.items()}
    return found


def env_file(path: Path) -> dict[str, str]:
    """The values of a .env file by name, without their quotes."""
    found = (_ENV_LINE.fullmatch(line) for line in _env_lines(path))
    return {match[1]: _unquoted(match[2]) for match in found if match}


def _env_lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise cannot(f"it can't be read: {getattr(error, 'strerror', None) or error}", path) from None
    return [line for line in lines if not line.lstrip().startswith("#")]


def _unquoted(value: str) -> str:
    if value[:1] in ("'", '"') and (end := value.find(value[0], 1)) > 0:
        return value[1:end]
    return re.sub(r"\s+#.*", "", value)


def interpolated(node: Any, variables: Mapping[str, str]) -> Any:
    """All texts of a tree, filled in."""
    match node:
        case dict():
            return {key: interpolated(value, variables) for key, value in node.items()}
        case list():
            return [interpolated(each, variables) for each in node]
        case str():
            return filled(node, variables)
        case _:
            return node


def unknown(name: str) -> str:
    """What stands for a variable that isn't known here, until it is seen whether that matters."""
    return f"⟦{name}⟧"


def filled(text: str, variables: Mapping[str, str]) -> str:
    """The text with its variables in it, or with what stands for one that isn't known."""

    def value(found: re.Match[str]) -> str:
        name = found["plain"] or found["name"]
        if not name:
            return "$"
        known, how, instead = variables.get(name), found["how"] or "", found["instead"] or ""
        there = known is not None and (bool(known) or not how.startswith(":"))
        if how.endswith("+"):
            return instead if there else ""
        if how.endswith("-") and not there:
            return instead
        return unknown(name) if known is None else known

    return _REFERENCE.sub(value, text)
