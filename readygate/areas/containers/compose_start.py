"""By which command a container of compose is started and by which its health is asked: meant, and held."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from readygate.areas.containers.compose_durations import duration_s
from readygate.units import readable_duration, show_duration

Told = Mapping[str, Any]

# What the engine does where nobody says: https://docs.docker.com/reference/dockerfile/#healthcheck
_DEFAULTS = {"interval": 30.0, "timeout": 30.0, "start_period": 0.0, "start_interval": 5.0}
_RETRIES = 3
_KEYS = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start_period": "StartPeriod",
    "start_interval": "StartInterval",
}


def words(told: Any) -> tuple[str, ...]:
    """A command as compose splits it: a text by the shell's quotes, a list as it is. ValueError: a quote is open."""
    return tuple(shlex.split(told) if isinstance(told, str) else map(str, told or ()))


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How an engine asks for a container's health; times in seconds, one that is 0 is the default one."""

    test: tuple[str, ...]
    times: Mapping[str, float]
    retries: int

    def differences(self, meant: HealthCheck) -> Iterator[str]:
        """Without the test, which may have a password in it."""
        if self.test != meant.test:
            yield "its health check asks by another command than that of the file"
        for name, default in _DEFAULTS.items():
            is_, should_be = self.times.get(name) or default, meant.times.get(name) or default
            if abs(is_ - should_be) >= 1e-6:
                yield f"the {name.replace('_', ' ')} of its health check is {_shown(is_)}, not {_shown(should_be)}"
        if (self.retries or _RETRIES) != (meant.retries or _RETRIES):
            yield f"the retries of its health check are {self.retries or _RETRIES}, not {meant.retries or _RETRIES}"


NO_CHECK = HealthCheck((), {}, 0)


def regular_check(told: Any) -> dict[str, Any] | None:
    """What a file says of the check, in one notation, so that files can be laid over each other."""
    if not isinstance(told, dict):
        return None
    regular = {key: value for key, value in told.items() if key not in ("test", "disable")}
    if told.get("disable"):
        regular["disable"] = True
    if (test := told.get("test")) is not None:
        # No list, since those of several files would be joined.
        regular["test"] = ("CMD-SHELL", test) if isinstance(test, str) else tuple(map(str, test))
    return regular


def is_off(check: Told) -> bool:
    """Whether a file takes the check away, be it that of the image."""
    return bool(check.get("disable")) or tuple(check.get("test") or ())[:1] == ("NONE",)


def held_check(config: Told) -> HealthCheck:
    """The check that a container or an image has."""
    told = config.get("Healthcheck") or {}
    test = tuple(told.get("Test") or ())
    if not test or test[0] == "NONE":
        return NO_CHECK
    times = {name: (told.get(key) or 0) / 1e9 for name, key in _KEYS.items()}
    return HealthCheck(test, times, told.get("Retries") or 0)


def meant_check(told: Told | None, of_image: HealthCheck) -> HealthCheck:
    """The check that a service is to have: what its files leave out is the image's. ValueError: not understood."""
    if told is None:
        return of_image
    test = told.get("test") or of_image.test
    if is_off(told) or not test:
        return NO_CHECK
    own = {name: duration_s(told[name]) for name in _DEFAULTS if told.get(name) is not None}
    times = {name: own.get(name) or of_image.times.get(name, 0.0) for name in _DEFAULTS}
    return HealthCheck(test, times, int(told.get("retries") or 0) or of_image.retries)


def meant_start(
    command: tuple[str, ...] | None, entrypoint: tuple[str, ...] | None, image: Told
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Entrypoint and command: an entrypoint of one's own lets the command of the image be forgotten."""
    of_image = _held(image.get("Entrypoint")), _held(image.get("Cmd"))
    meant = of_image[0] if entrypoint is None else entrypoint
    return meant, command or (() if entrypoint else of_image[1])


def start_differences(meant: tuple[tuple[str, ...], tuple[str, ...]], config: Told) -> Iterator[tuple[str, str]]:
    """The aspects in which it was started otherwise; never with the words themselves."""
    for aspect, should_be, held in zip(
        ("entrypoint", "command"), meant, (config.get("Entrypoint"), config.get("Cmd")), strict=True
    ):
        # Podman before 5 tells the entrypoint as one text.
        same = held == " ".join(should_be) if isinstance(held, str) else _held(held) == should_be
        if not same:
            yield aspect, f"its {aspect} is not that of the file"


def _held(told: Any) -> tuple[str, ...]:
    """An entrypoint of one empty word is how the command line takes the image's away."""
    found = words(told)
    return () if found == ("",) else found


def _shown(seconds: float) -> str:
    return (
        "0s" if not seconds else f"{seconds * 1000:g}ms" if seconds < 1 else show_duration(readable_duration(seconds))
    )
