"""How compose files write ports, volumes, secrets and configs, in short and at length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from readygate.areas.containers.compose_variables import UNKNOWN, cannot


@dataclass(frozen=True, slots=True)
class ComposePort:
    """A published port; the engine chooses the outer one where it is None."""

    address: str
    outer: str | None
    inner: str


@dataclass(frozen=True, slots=True)
class ComposeVolume:
    """A mount; `source` is a path or the volume's full name, and ends the true one if `is_relative`."""

    source: str
    writable: bool
    is_relative: bool = False


def mounted_files(told: Any, folder: str) -> dict[str, str]:
    """The names of secrets or configs by the path in the container."""
    found = {}
    for each in told or ():
        entry = each if isinstance(each, dict) else {"source": each}
        target = str(entry.get("target", entry["source"]))
        found[target if target.startswith("/") else folder + target] = str(entry["source"])
    return found


def ports_of(told: Any, path: Path) -> Iterator[ComposePort]:
    """The ports of one entry, which may be a range."""
    if isinstance(told, dict):
        outer = told.get("published")
        protocol = told.get("protocol", "tcp")
        address, inner = told.get("host_ip", "0.0.0.0"), str(told["target"])  # noqa: S104
        ranges = None if outer is None else str(outer)
    else:
        text, _, protocol = str(told).partition("/")
        rest, _, inner = text.rpartition(":")
        address, _, outer = rest.rpartition(":")
        address, ranges = address.strip("[]") or "0.0.0.0", outer or None  # noqa: S104
    inners = _range(inner, path)
    outers: list[str | None] = [None] * len(inners) if ranges is None else [*_range(ranges, path)]
    if len(inners) != len(outers):
        raise cannot(f"the ports {told} are not understood here", path)
    suffix = "" if protocol in ("", "tcp") else f"/{protocol}"
    for one, other in zip(outers, inners, strict=True):
        yield ComposePort(address, one, f"{other}{suffix}")


def _range(text: str, path: Path) -> list[str]:
    first, _, last = text.partition("-")
    if UNKNOWN.search(text):
        return [text]
    if not first.isdigit() or not (last or first).isdigit():
        raise cannot(f"the port {text} is not understood here", path)
    return [str(port) for port in range(int(first), int(last or first) + 1)]


def volume_of(told: Any, path: Path) -> tuple[str, ComposeVolume]:
    """The path in the container, and what is mounted there."""
    if isinstance(told, dict):
        return told["target"], _source(str(told.get("source", "")), not told.get("read_only", False))
    source, target, *modes = str(told).split(":") if ":" in str(told) else ("", str(told))
    if len(modes) > 1:
        raise cannot("a volume is not understood here", path)
    return target, _source(source, "ro" not in "".join(modes).split(","))


def _source(source: str, writable: bool) -> ComposeVolume:
    relative = source.startswith(("./", "../", "~", "."))
    return ComposeVolume(source.lstrip("./~") if relative else source, writable, relative)


def bound(files: Mapping[str, str], told: Mapping[str, Any]) -> dict[str, ComposeVolume]:
    """Secrets or configs that are files here; of another one compose makes a copy in the container."""
    sources = {path: (told.get(name) or {}).get("file") for path, name in files.items()}
    return {
        path: ComposeVolume(source.lstrip("./~"), writable=False, is_relative=True)
        if not source.startswith("/")
        else ComposeVolume(source, writable=False)
        for path, source in sources.items()
        if source
    }


def named(volume: ComposeVolume, project: str, volumes: Mapping[str, Any]) -> ComposeVolume:
    """A volume by the name that the engine knows it by."""
    if volume.is_relative or not volume.source or volume.source.startswith("/"):
        return volume
    told = volumes.get(volume.source) or {}
    external = told.get("external")
    outer = external.get("name") if isinstance(external, dict) else None
    name = outer or told.get("name") or (volume.source if external else f"{project}_{volume.source}")
    return ComposeVolume(name, volume.writable)
