"""Services of a server: what systemd keeps running there, or an init script where there is no systemd."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from shlex import quote
from typing import Any, ClassVar

from pydantic import Field

from readygate.areas.asking import ask
from readygate.areas.servers.systemd import parse_moment, parse_properties
from readygate.expectation import AtLeastDuration, AtMostCount, Flag
from readygate.results import Evidence
from readygate.spec import Spec

# Of the states that `systemctl is-enabled` calls enabled, those in which a unit comes up at boot by itself:
# a static or indirect one waits for another. Generators write "enabled-runtime" anew at each boot.
_AT_BOOT = {"enabled", "enabled-runtime", "alias", "generated"}


class Service(Spec):
    """A unit of systemd, such as nginx or certbot.timer."""

    area: ClassVar[str] = "service"
    noun: ClassVar[str] = "service"

    running: Flag | None = Field(None, description="Whether systemd says that it is active.")
    enabled: Flag | None = Field(None, description="Whether it comes up by itself when the server boots.")
    masked: Flag | None = Field(None, description="Whether systemd is kept from ever starting it.")
    failed: Flag | None = Field(None, description="Whether it ended badly the last time.")
    restarts: AtMostCount | None = Field(
        None, description="How often systemd has had to start it again by itself since someone started it."
    )
    up_for: AtLeastDuration | None = Field(None, description="How long it has been active without a break.")


@dataclass(frozen=True, slots=True)
class ActualService:
    """What is known of one service; one that nobody knows is neither running nor enabled.

    `restarts` and `up_for_s` are None where it doesn't run, and where no systemd counts them.
    """

    running: bool
    enabled: bool
    masked: bool = False
    failed: bool = False
    restarts: int | None = None
    up_for_s: float | None = None
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class FailedUnits:
    """The units of systemd that ended badly."""

    names: tuple[str, ...]

    @property
    def count(self) -> int:
        return len(self.names)

    @property
    def told(self) -> str:
        return f"failed are {', '.join(self.names)}"


_PROPERTIES = "LoadState,ActiveState,UnitFileState,NRestarts,ActiveEnterTimestamp"


def observe_service(host: Any, server: Spec, service: Spec) -> ActualService:
    """What `systemctl show` says, or an init script's `status`. CouldNotLook: the server has neither."""
    name, script_ = quote(service.name), quote(f"/etc/init.d/{service.name}")
    # By the Linux Standard Base `status` exits with 0 where the service runs, and with 1 to 3 where it doesn't.
    script = f"""
if [ -d /run/systemd/system ] || [ ! -x {script_} ]; then
    echo "Now=$(date +%s)"
    TZ=UTC systemctl show --property={_PROPERTIES} -- {name}
    exit
fi
{script_} status >/dev/null 2>&1 </dev/null; code=$?
[ $code -le 3 ] || {{ echo "{service.name} status ended with $code" >&2; exit 1; }}
echo "Status=$code"
for link in /etc/rc[2345].d/S[0-9][0-9]{name}; do [ ! -e "$link" ] || {{ echo AtBoot=yes; break; }}; done"""
    text = ask(host, server.name, script).text
    return parse_service(text, Evidence(f"systemctl show {service.name}", text.strip()))


def parse_service(text: str, *evidence: Evidence) -> ActualService:
    """Read the properties that systemd prints one a line, or what our own script says of an init script."""
    known = parse_properties(text)
    if "Status" in known:
        return ActualService(known["Status"] == "0", known.get("AtBoot") == "yes", evidence=evidence)
    running = known["ActiveState"] in ("active", "reloading")
    began = parse_moment(known.get("ActiveEnterTimestamp", ""))
    return ActualService(
        running=running,
        enabled=known["LoadState"] == "loaded" and known["UnitFileState"] in _AT_BOOT,
        masked=known["LoadState"] == "masked",
        failed=known["ActiveState"] == "failed",
        # A unit that isn't there has none either: to count its restarts would be to pass it.
        restarts=int(known["NRestarts"]) if running and "NRestarts" in known else None,
        up_for_s=max(0.0, int(known["Now"]) - began) if running and began is not None else None,
        evidence=evidence,
    )


def observe_failed_units(host: Any, server: Spec) -> FailedUnits:
    """What `systemctl --failed` lists. CouldNotLook: the server isn't run by systemd."""
    listed = ask(host, server.name, "systemctl list-units --failed --plain --no-legend --no-pager").text
    return FailedUnits(tuple(line.split()[0] for line in listed.splitlines() if line.strip()))


FACTS: dict[str, Callable[..., Any]] = {"actual_service": observe_service, "failed_units": observe_failed_units}
