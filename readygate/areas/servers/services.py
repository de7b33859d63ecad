"""Services of a server: what systemd or OpenRC keeps running there, or else an init script."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from shlex import quote
from typing import Any, ClassVar

from pydantic import Field

from readygate.areas.asking import ask
from readygate.areas.servers.named import Named
from readygate.areas.servers.systemd import parse_moment, parse_properties
from readygate.errors import CouldNotLook
from readygate.expectation import AtLeastDuration, AtMostCount, Flag
from readygate.results import Evidence
from readygate.spec import Spec

# Of the states that `systemctl is-enabled` calls enabled, those in which a unit comes up at boot by itself:
# a static or indirect one waits for another. Generators write "enabled-runtime" anew at each boot.
_AT_BOOT = {"enabled", "enabled-runtime", "alias", "generated"}
# What ends over and over is up in between; only one that crashes less often than this is worth to be called running.
_SETTLES_S = 60
# By the Linux Standard Base an init script's `status` exits with 0 where the service runs, and with 1 to 3 where
# it doesn't; one of OpenRC has more to tell: that it stops, starts, waits for another, or has crashed.
_STATES = {0: "active", 1: "failed", 2: "failed", 3: "inactive"}
_STATES_OF_OPENRC = {0: "active", 3: "inactive", 4: "deactivating", 8: "activating", 16: "inactive", 32: "failed"}


class Service(Spec):
    """A unit of systemd, such as nginx or certbot.timer."""

    area: ClassVar[str] = "service"
    noun: ClassVar[str] = "service"

    running: Flag | None = Field(None, description="Whether systemd, or an init script, says that it is active.")
    enabled: Flag | None = Field(None, description="Whether it comes up by itself when the server boots.")
    masked: Flag | None = Field(None, description="Whether systemd is kept from ever starting it.")
    failed: Flag | None = Field(None, description="Whether it ended badly the last time.")
    restarts: AtMostCount | None = Field(
        None, description="How often systemd has had to start it again by itself since someone started it."
    )
    up_for: AtLeastDuration | None = Field(None, description="How long it has been active without a break.")


@dataclass(frozen=True, slots=True)
class ActualService:
    """What is known of one service; one that nobody knows is neither active nor enabled.

    `masked` and `failed` are None of such a one, `restarts` and `up_for_s` where it isn't active, and where no
    systemd counts them. `down_parts` are those units of it that aren't active, where it is but the sum of them.
    `is_changed` says that its files were, after systemd read them.
    """

    active: bool
    at_boot: bool
    masked: bool | None = False
    failed: bool | None = False
    restarts: int | None = None
    up_for_s: float | None = None
    down_parts: tuple[str, ...] = ()
    is_changed: bool = False
    evidence: tuple[Evidence, ...] = ()

    @property
    def enabled(self) -> bool:
        """Whether it comes up at boot. CouldNotLook: what would then is not what systemd has read."""
        if self.at_boot and self.is_changed:
            raise CouldNotLook(
                "its unit was changed after systemd read it, so what comes up at the next boot is not known",
                mend="run `systemctl daemon-reload`, restart it, and see that it comes up",
            )
        return self.at_boot

    @property
    def running(self) -> bool:
        """Whether it and all of its parts are active. CouldNotLook: it came back by itself a moment ago."""
        if self.active and self.restarts and self.up_for_s is not None and self.up_for_s < _SETTLES_S:
            raise CouldNotLook(
                f"it ended and came back by itself {self.up_for_s:.0f} s ago, so whether it stays up is not known",
                mend="read with `journalctl -u` why it ended; or ask again in a minute",
            )
        return self.active and not self.down_parts

    @property
    def told(self) -> str:
        return f"down is {', '.join(self.down_parts)}" if self.active and self.down_parts else ""


_PROPERTIES = (
    "LoadState,ActiveState,SubState,UnitFileState,NeedDaemonReload,NRestarts,ActiveEnterTimestamp,"
    "ConsistsOf,SourcePath"
)


def observe_service(host: Any, server: Spec, service: Spec) -> ActualService:
    """What `systemctl show` says, or an init script's `status`. CouldNotLook: the server has neither."""
    name, script_ = quote(service.name), quote(f"/etc/init.d/{service.name}")
    # A unit such as postgresql.service is active once it was started, whatever became of what it consists of.
    script = f"""
at_boot() {{
    for link in /etc/rc[2345].d/S[0-9][0-9]"$1" /etc/runlevels/sysinit/"$1" /etc/runlevels/boot/"$1" \\
        /etc/runlevels/default/"$1"; do [ ! -e "$link" ] || {{ echo AtBoot=yes; break; }}; done
}}
if [ -d /run/systemd/system ] || [ ! -x {script_} ]; then
    echo "Now=$(date +%s)"
    shown=$(TZ=UTC systemctl show --property={_PROPERTIES} -- {name}) || exit 1
    printf '%s\\n' "$shown"
    of_script=$(printf '%s\\n' "$shown" | sed -n 's|^SourcePath=/etc/init.d/||p')
    [ -z "$of_script" ] || at_boot "$of_script"
    case $shown in *SubState=exited*) ;; *) exit 0 ;; esac
    parts=$(printf '%s\\n' "$shown" | sed -n 's/^ConsistsOf=//p')
    [ -z "$parts" ] || systemctl show --property=Id,ActiveState -- $parts | sed 's/^/Part/'
    exit
fi
case $(head -n 1 {script_}) in *openrc-run*) echo Init=openrc ;; esac
said=$({script_} status 2>&1 </dev/null); code=$?
case $said in *[Uu]sage:*) echo "{service.name} knows no status" >&2; exit 1 ;; esac
echo "Status=$code"
at_boot {name}"""
    text = ask(host, server.name, script).text
    return parse_service(text, Evidence(f"state of {service.name}", text.strip()))


def parse_service(text: str, *evidence: Evidence) -> ActualService:
    """Read the properties that systemd prints one a line, or what our own script says of an init script."""
    known = parse_properties(text)
    if "Status" in known:
        states = _STATES_OF_OPENRC if "Init" in known else _STATES
        state = states.get(int(known["Status"]))
        if state is None:
            raise CouldNotLook(f"the init script's status ended with {known['Status']}, which means nothing")
        return ActualService(
            state == "active", known.get("AtBoot") == "yes", failed=state == "failed", evidence=evidence
        )
    active = known["ActiveState"] in ("active", "reloading")
    is_known = known["LoadState"] != "not-found"
    # Of each init script systemd makes a unit, whether or not any link starts it at boot.
    at_boot = known.get("AtBoot") == "yes" or not known.get("SourcePath", "").startswith("/etc/init.d/")
    began = parse_moment(known.get("ActiveEnterTimestamp", ""))
    parts = zip(known.get("PartId", "").split(), known.get("PartActiveState", "").split(), strict=True)
    return ActualService(
        active=active,
        at_boot=known["LoadState"] == "loaded" and known["UnitFileState"] in _AT_BOOT and at_boot,
        masked=known["LoadState"] == "masked" if is_known else None,
        # One whose file was removed may have failed before.
        failed=known["ActiveState"] == "failed" if is_known or known["ActiveState"] == "failed" else None,
        # A unit that isn't there has none either: to count its restarts would be to pass it.
        restarts=int(known["NRestarts"]) if active and "NRestarts" in known else None,
        up_for_s=max(0.0, int(known["Now"]) - began) if active and began is not None else None,
        down_parts=tuple(part for part, state in parts if state not in ("active", "reloading")),
        is_changed=known.get("NeedDaemonReload") == "yes",
        evidence=evidence,
    )


def observe_failed_units(host: Any, server: Spec) -> Named:
    """What `systemctl --failed` lists. CouldNotLook: the server isn't run by systemd."""
    listed = ask(host, server.name, "systemctl list-units --failed --plain --no-legend --no-pager").text
    return Named("failed are", tuple(line.split()[0] for line in listed.splitlines() if line.strip()))


FACTS: dict[str, Callable[..., Any]] = {"actual_service": observe_service, "failed_units": observe_failed_units}
