"""Follows an alert through the routing tree of an Alertmanager."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from readygate.areas.monitoring.time_intervals import holds_at
from readygate.errors import CouldNotLook

_MATCHER = re.compile(r'^\s*"?([^\s=!~"]+)"?\s*(=~|!~|!=|=)\s*(.*?)\s*$')


@dataclass(frozen=True, slots=True)
class Route:
    """Where an alert ends: the receiver and the grouping are inherited, when it is mute is not."""

    receiver: str
    group_by: tuple[str, ...] = ()
    group_interval: str = "5m"
    mute: tuple[str, ...] = ()
    active: tuple[str, ...] = ()

    def muted_by(self, intervals: Mapping[str, Sequence[Any]], now: datetime) -> str:
        """Why it tells nobody at this moment, in words; empty where it does."""
        if muting := [name for name in self.mute if _contains(intervals, name, now)]:
            return f"it is muted by {' and '.join(muting)}"
        if self.active and not any(_contains(intervals, name, now) for name in self.active):
            return f"it is active only in {' and '.join(self.active)}"
        return ""


def _contains(intervals: Mapping[str, Sequence[Any]], name: str, now: datetime) -> bool:
    if name not in intervals:
        raise CouldNotLook(f"the configuration has no time interval '{name}'", mend="correct it")
    return any(holds_at(each or {}, now, name) for each in intervals[name])


def routed(route: Mapping[str, Any], labels: Mapping[str, str], above: Route = Route("")) -> Iterator[Route]:
    """The routes that an alert of these labels takes in the end."""
    here = Route(
        receiver=str(route.get("receiver") or above.receiver),
        group_by=tuple(route["group_by"]) if route.get("group_by") is not None else above.group_by,
        group_interval=str(route.get("group_interval") or above.group_interval),
        mute=tuple(route.get("mute_time_intervals") or ()),
        active=tuple(route.get("active_time_intervals") or ()),
    )
    matched = False
    for each in route.get("routes") or ():
        if _takes(each, labels):
            matched = True
            yield from routed(each, labels, here)
            if not each.get("continue"):
                break
    if not matched:
        yield here


def _takes(route: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    plain = [(name, "=", str(value)) for name, value in (route.get("match") or {}).items()]
    by_pattern = [(name, "=~", str(value)) for name, value in (route.get("match_re") or {}).items()]
    written = [_matcher(each) for text in route.get("matchers") or () for each in _single(text)]
    return all(_holds(labels.get(name, ""), sign, value) for name, sign, value in (*plain, *by_pattern, *written))


def _single(text: str) -> list[str]:
    """Several matchers may stand in braces, with commas between that are in no quotes."""
    inner = text.strip().removeprefix("{").removesuffix("}")
    return [part for part in re.findall(r'(?:[^,"]|"(?:\\.|[^"\\])*")+', inner) if part.strip()]


def _matcher(text: str) -> tuple[str, str, str]:
    found = _MATCHER.match(text)
    if not found:
        raise CouldNotLook(f"the route's matcher '{text}' is not understood", mend="correct it")
    value = found[3]
    quoted = len(value) > 1 and value[0] == value[-1] == '"'
    return found[1], found[2], _unquoted(value[1:-1]) if quoted else value


def _unquoted(text: str) -> str:
    """As Alertmanager does it: of other escapes, such as \\. in a pattern, the backslash stays."""
    return re.sub(r'\\([n"\\])', lambda found: "\n" if found[1] == "n" else found[1], text)


def _holds(actual: str, sign: str, value: str) -> bool:
    matches = re.fullmatch(value, actual) is not None if "~" in sign else actual == value
    return matches != sign.startswith("!")
