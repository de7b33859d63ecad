"""Timers of systemd on a server: when they are due, when they last were, and how the job then ended."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from shlex import quote
from typing import Any, ClassVar

from pydantic import Field

from readygate.areas.asking import ask
from readygate.areas.servers.schedules import Calendar
from readygate.areas.servers.systemd import parse_moment, parse_properties
from readygate.errors import CouldNotLook
from readygate.expectation import AtMostDuration, Flag
from readygate.results import Evidence
from readygate.spec import Spec


class Timer(Spec):
    """A timer of systemd, such as certbot, with or without its `.timer`."""

    area: ClassVar[str] = "timer"
    noun: ClassVar[str] = "timer"

    scheduled: Flag | None = Field(None, description="Whether it is active, and has a next time.")
    schedule: Calendar | None = Field(
        None, description='When it is due, as `systemd-analyze calendar` spells it out, or e.g. "daily".'
    )
    next_run: AtMostDuration | None = Field(None, description="How long it is until the next time.")
    last_ran: AtMostDuration | None = Field(None, description="How long ago it last was due.")
    ended_well: Flag | None = Field(None, description="Whether what it started last ended well.")

    @property
    def unit(self) -> str:
        return self.name if self.name.endswith(".timer") else f"{self.name}.timer"


@dataclass(frozen=True, slots=True)
class ActualTimer:
    """A timer as systemd keeps it; `job` is the unit that it starts."""

    active: bool
    schedules: tuple[str, ...]
    next_in_s: float | None
    last_ago_s: float | None
    job: str
    job_result: str
    job_is_running: bool
    job_has_ended: bool
    job_can_start: bool = True
    job_was_skipped: bool = False
    evidence: tuple[Evidence, ...] = ()

    @property
    def scheduled(self) -> bool:
        return self.active and self.next_in_s is not None and self.job_can_start

    @property
    def told(self) -> str:
        """What of its job there is to say besides."""
        if not self.job_can_start:
            return f"{self.job} is masked, or isn't there"
        return f"{self.job} did nothing, since a condition of its unit did not hold" if self.job_was_skipped else ""

    @property
    def schedule(self) -> str | None:
        return " and ".join(self.schedules) or None

    @property
    def ended_well(self) -> bool | None:
        """Whether the job succeeded; None if it was never started. CouldNotLook: systemd doesn't know now."""
        if self.last_ago_s is None:
            return None
        if self.job_is_running:
            raise CouldNotLook(f"{self.job} runs right now, so how it ended is not known", mend="ask again later")
        if not self.job_has_ended:
            raise CouldNotLook(
                f"{self.job} has not run since the server booted, and systemd forgets how it ended before",
                mend=f"run `systemctl start {self.job}`, or wait for its next time",
            )
        return self.job_result == "success" and not self.job_was_skipped


_OF_TIMER = "Unit,ActiveState,TimersCalendar,NextElapseUSecRealtime,NextElapseUSecMonotonic,LastTriggerUSec"
_OF_JOB = "Result,LoadState,ActiveState,ExecMainExitTimestamp,ConditionResult,ConditionTimestamp"


def observe_timer(host: Any, server: Spec, timer: Timer) -> ActualTimer:
    """What `systemctl show` says of the timer and of what it starts. CouldNotLook: there is no systemd."""
    # In UTC, since the names of other time zones don't say how far they are from it.
    script = f"""
set -e
export TZ=UTC
date +%s; cut -d ' ' -f 1 /proc/uptime
systemctl show --property={_OF_TIMER} -- {quote(timer.unit)}
echo =
job=$(systemctl show --property=Unit --value -- {quote(timer.unit)})
[ -z "$job" ] || systemctl show --property={_OF_JOB} -- "$job\""""
    text = ask(host, server.name, script).text
    return parse_timer(text, Evidence(f"systemctl show {timer.unit}", text.strip()))


def parse_timer(text: str, *evidence: Evidence) -> ActualTimer:
    """Read the time, the uptime, the timer's properties and, below a line `=`, the job's."""
    of_timer, _, of_job = text.partition("\n=\n")
    now, uptime, *_ = of_timer.splitlines()
    known, job = parse_properties(of_timer), parse_properties(of_job)
    due, last = (parse_moment(known.get(key, "")) for key in ("NextElapseUSecRealtime", "LastTriggerUSec"))
    elapses = _seconds(known.get("NextElapseUSecMonotonic", ""))
    after = [due - float(now)] if due is not None else []
    after += [elapses - float(uptime)] if elapses is not None else []
    return ActualTimer(
        active=known.get("ActiveState") == "active",
        schedules=tuple(re.findall(r"OnCalendar=(.*?) ; ", known.get("TimersCalendar", ""))),
        next_in_s=max(0.0, min(after)) if after else None,
        last_ago_s=None if last is None else max(0.0, float(now) - last),
        job=known.get("Unit", ""),
        job_result=job.get("Result", ""),
        job_is_running=job.get("ActiveState") in ("activating", "active", "reloading"),
        job_has_ended=parse_moment(job.get("ExecMainExitTimestamp", "")) is not None,
        job_can_start=job.get("LoadState", "loaded") == "loaded",
        job_was_skipped=(
            job.get("ConditionResult") == "no" and parse_moment(job.get("ConditionTimestamp", "")) is not None
        ),
        evidence=evidence,
    )


def _seconds(span: str) -> float | None:
    """Seconds of a span such as `1d 2h 3min 4.5s`; None for `infinity` or nothing."""
    lengths = {"w": 604800, "d": 86400, "h": 3600, "min": 60, "s": 1, "ms": 1e-3, "us": 1e-6}
    parts = re.findall(r"([\d.]+)(min|ms|us|w|d|h|s)\b", span)
    return sum(float(amount) * lengths[unit] for amount, unit in parts) if parts else None


FACTS: dict[str, Callable[..., Any]] = {"actual_timer": observe_timer}
