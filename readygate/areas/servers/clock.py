"""Whether the clock of a server is kept right by another, and how far off it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from readygate.areas.asking import ask
from readygate.areas.servers.systemd import parse_properties
from readygate.errors import CouldNotLook
from readygate.expectation import AtMostDuration, Flag
from readygate.results import Evidence
from readygate.spec import Spec
from readygate.units import DAY

# How chrony names its own clock, which it falls back to by `local stratum`: 127.127.1.1, as ntpd did.
_OWN_CLOCK = "7F7F0101"
# At the rarest, chronyd asks a source every 36 hours if it was told so, and by default every 17 minutes.
_FORGOTTEN_S = 2 * DAY


class Clock(Spec):
    """The clock of a server."""

    area: ClassVar[str] = "clock"
    noun: ClassVar[str] = "clock"

    synchronised: Flag | None = Field(None, description="Whether a clock other than its own keeps it right.")
    drift: AtMostDuration | None = Field(None, description="How far it is from the time of its sources.")


@dataclass(frozen=True, slots=True)
class ActualClock:
    """The clock as its keeper sees it; `offset_s` is None where that doesn't say, or follows no source."""

    synchronised: bool
    offset_s: float | None
    told: str = ""
    evidence: tuple[Evidence, ...] = ()

    @property
    def drift_s(self) -> float | None:
        """Seconds; None of a clock that follows none. CouldNotLook: its keeper doesn't say."""
        if self.synchronised and self.offset_s is None:
            raise CouldNotLook("what keeps the clock right does not say how far it is off", mend="let chrony keep it")
        return self.offset_s


# A server is told of its time by one of these; what is installed but doesn't run, can't say.
_ASK = r"""
if command -v chronyc >/dev/null && tracking=$(chronyc -n -c tracking 2>&1); then
    printf 'now=%s\nchrony=%s\n' "$(date +%s)" "$tracking"
elif [ -d /run/systemd/system ] && command -v timedatectl >/dev/null; then
    timedatectl show --property=NTPSynchronized || exit 1
    timedatectl timesync-status 2>/dev/null | sed -n 's/^ *Offset: /Offset=/p'
else
    echo 'neither chronyd nor systemd runs there to say' >&2; exit 1
fi"""


def observe_clock(host: Any, server: Spec) -> ActualClock:
    """What chronyd says, or systemd. CouldNotLook: neither runs."""
    text = ask(host, server.name, _ASK).text
    return parse_clock(text, Evidence("chronyc tracking, or timedatectl", text.strip()))


def parse_clock(text: str, *evidence: Evidence) -> ActualClock:
    """Read the fields of `chronyc -c tracking` in their order, or the properties that systemd prints."""
    known = parse_properties(text)
    if "chrony" not in known:
        synchronised = known["NTPSynchronized"] == "yes"
        return ActualClock(synchronised, _seconds(known.get("Offset", "")), evidence=evidence)
    fields = known["chrony"].split(",")
    if len(fields) != 14:
        raise CouldNotLook(f"chronyc told what could not be read: {known['chrony']}")
    reference, source, offset, leap = fields[0], fields[1], float(fields[4]), fields[13]
    if reference == _OWN_CLOCK:
        return ActualClock(False, None, "it follows no clock but its own", evidence)
    synchronised = leap != "Not synchronised"
    told = "" if synchronised else "no source has been reached"
    # Once it was right, chronyd calls it so for good.
    if synchronised and float(known.get("now", 0)) - float(fields[3]) > _FORGOTTEN_S:
        synchronised, told = False, "no source has answered for days"
    return ActualClock(synchronised, abs(offset) if synchronised and source else None, told, evidence)


def _seconds(offset: str) -> float | None:
    """Seconds of `-1.204ms`, however the sign."""
    found = re.fullmatch(r"[+-]?([\d.]+)(us|ms|s|min|h)", offset.strip())
    return float(found[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600}[found[2]] if found else None


FACTS: dict[str, Callable[..., Any]] = {"actual_clock": observe_clock}
