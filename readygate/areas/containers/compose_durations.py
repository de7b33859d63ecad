"""Durations as compose files write them: `1m30s`, `1.5s`, `500ms`."""

from __future__ import annotations

import re

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|us|µs|ns|m|s)")


def duration_s(told: object) -> float:
    """Seconds; a bare number means nanoseconds in one version and nothing in another. ValueError: it is none."""
    text = str(told).strip()
    parts = _PART.findall(text)
    if isinstance(told, bool) or (text != "0" and (not parts or _PART.sub("", text))):
        raise ValueError(f"{text} is no duration")
    return float(sum(float(number) * _UNITS[unit] for number, unit in parts))
