"""Baselines: what any sound server can be expected to be, taken whole under a name and trimmed where need be."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from readygate.errors import Mistake

_FOLDER = Path(__file__).parent


@cache
def baseline(name: str) -> Mapping[str, Any]:
    """The declarations of a baseline. Raises Mistake for one that there is not."""
    known = sorted(path.stem.removeprefix("baseline_") for path in _FOLDER.glob("baseline_*.yml"))
    if name not in known:
        raise Mistake(f"'{name}' is no baseline", f"write {' or '.join(known)}")
    declared: dict[str, Any] = yaml.safe_load((_FOLDER / f"baseline_{name}.yml").read_text(encoding="utf-8"))
    return declared


def with_baseline(declared: Any) -> Any:
    """What is declared of a server, with its baseline beneath: its own lines win, and `without` takes lines away.

    Raises Mistake where `without` names what the baseline doesn't have, since nothing would be taken away.
    """
    if not isinstance(declared, dict) or "baseline" not in declared:
        return declared
    taken = declared["baseline"]
    name, without = (taken.get("name"), taken.get("without", ())) if isinstance(taken, dict) else (taken, ())
    if not isinstance(name, str) or not isinstance(without, list | tuple):
        raise Mistake("the baseline has no name", "write e.g. linux, or {name: linux, without: [sshd.MaxAuthTries]}")
    lines = baseline(name)
    for path in without:
        lines = _taken_away(lines, str(path), str(path))
    return _merged(lines, declared)


def _taken_away(lines: Mapping[str, Any], path: str, whole: str) -> dict[str, Any]:
    """The lines without the one at the path; keys may have dots of their own, as net.ipv4.tcp_syncookies."""
    for key, value in lines.items():
        if path == key:
            return {name: each for name, each in lines.items() if name != key}
        if path.startswith(f"{key}.") and isinstance(value, dict):
            left = _taken_away(value, path.removeprefix(f"{key}."), whole)
            return {name: left if name == key else each for name, each in lines.items() if name != key or left}
    raise Mistake(f"the baseline has no {whole}", "write a path of it, e.g. sshd.MaxAuthTries, or delete this one")


def _merged(lines: Mapping[str, Any], declared: Mapping[str, Any]) -> dict[str, Any]:
    """Both, in the order of what is declared; an expectation is replaced as a whole, be it a mapping or not."""
    merged = dict(declared)
    for key, line in lines.items():
        own = declared.get(key)
        if key not in declared:
            merged[key] = line
        elif (
            isinstance(line, dict) and isinstance(own, dict) and not {"lacks", "contains", "warn", "fail"} & set(line)
        ):
            merged[key] = _merged(line, own)
    return merged
