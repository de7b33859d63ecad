"""How a certificate is renewed, and whether the renewed one is served, as the server that does it tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from shlex import quote
from typing import Any, ClassVar, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from pydantic import Field, model_validator

from readygate.announcing import announce
from readygate.areas.asking import ask, run
from readygate.areas.servers.cron import (
    CronJob,
    observe_cron_ending,
    observe_cron_job,
    observe_cron_run,
    observe_crontabs,
)
from readygate.areas.servers.processes import observe_processes
from readygate.areas.servers.schedules import is_due_on
from readygate.areas.servers.systemd import parse_moment
from readygate.areas.servers.timers import Timer, observe_timer
from readygate.errors import CouldNotLook, Mistake
from readygate.expectation import AtLeastDuration, Flag, Seconds
from readygate.results import Evidence
from readygate.spec import Spec
from readygate.units import DAY, show_duration

_DRY_RUN_S = 100
_REFUSALS = {
    "Permission denied": "write `sudo: true`, as certbot has to be root",
    "Another instance of Certbot is already running": "look again when it has ended",
}
# A dry run calls these as well (certbot --help, --dry-run), and one that is cut off never calls what undoes them.
_PRE_HOOKS = """
grep -lE '^ *pre[_-]hook *=' /etc/letsencrypt/renewal/*.conf /etc/letsencrypt/cli.ini 2>/dev/null
for hook in /etc/letsencrypt/renewal-hooks/pre/*; do [ ! -f "$hook" ] || [ ! -x "$hook" ] || echo "$hook"; done"""
_YEARS = 9  # so that every place of a leap year in the week's cycle of a schedule is likely to be seen


class Renewal(Spec):
    """What renews the certificate, and when."""

    area: ClassVar[str] = "renewal"
    noun: ClassVar[str] = "renewal"

    on: str = Field(description="A setting: the server, as under servers.")
    timer: str | None = Field(None, description="A setting: the timer of systemd that renews, such as certbot.")
    cron: str | None = Field(
        None, description="A setting: part of the command line of the cron job that renews.", min_length=1
    )
    begins: Seconds = Field(
        30.0 * DAY, description="A setting: how long before the end a renewal begins to be tried; certbot's 30d."
    )
    certificate: str | None = Field(
        None, description="A setting: the one that `dry_run` renews, by certbot's name of it; all of them unless set."
    )
    scheduled: Flag | None = Field(None, description="Whether it is scheduled, so that it will run.")
    ended_well: Flag | None = Field(None, description="Whether its last run ended well.")
    dry_run: Flag | None = Field(
        None, description="Whether `certbot renew --dry-run` ends well, which asks the CA and deploys nothing."
    )
    time_left: AtLeastDuration | None = Field(
        None, description="The lifetime that is left at the first try to renew, by this schedule and at the worst."
    )

    @model_validator(mode="after")
    def _has_one_schedule(self) -> Self:
        if (self.timer is None) == (self.cron is None):
            raise Mistake("what renews the certificate?", "add either `timer: certbot` or `cron: certbot renew`")
        return self


class DeployedCertificate(Spec):
    """The file on the server that the certificate is to be served from."""

    area: ClassVar[str] = "deployed"
    noun: ClassVar[str] = "deployed"

    on: str = Field(description="A setting: the server, as under servers.")
    path: str = Field(description="A setting: the PEM file, e.g. /etc/letsencrypt/live/example.com/fullchain.pem.")
    served: Flag | None = Field(None, description="Whether the first certificate in it is the one that is served.")


@dataclass(frozen=True, slots=True)
class ActualRenewal:
    """The schedule by which a certificate is renewed; `longest_gap_s` lies between two runs, at the worst."""

    scheduled: bool
    schedule: str
    longest_gap_s: float | None
    begins_s: float
    evidence: tuple[Evidence, ...] = ()

    @property
    def time_left_s(self) -> float | None:
        """A certificate that just wasn't due at one run waits for the next."""
        return None if self.longest_gap_s is None else self.begins_s - self.longest_gap_s

    @property
    def told(self) -> str:
        if self.longest_gap_s is None:
            return "nothing renews it"
        return f"{self.schedule}: up to {show_duration(self.longest_gap_s)} pass between two runs"


@dataclass(frozen=True, slots=True)
class DryRun:
    """How a renewal went that changed nothing."""

    ended_well: bool
    told: str
    evidence: tuple[Evidence, ...] = ()


def observe_renewal(host: Any, renewal: Renewal) -> ActualRenewal:
    """Whether it is scheduled, and how far apart its runs may be. CouldNotLook: the schedule isn't understood."""
    server = _server(renewal.on)
    if renewal.timer:
        timer = observe_timer(host, server, _timer(renewal.timer))
        if not timer.scheduled:
            return ActualRenewal(False, "", None, renewal.begins, timer.evidence)
        gap_s = _gap_of_timer(host, renewal, timer.schedules)
        return ActualRenewal(True, timer.schedule or "", gap_s, renewal.begins, timer.evidence)
    job = observe_cron_job(_job(renewal), observe_crontabs(host, server, observe_processes(host, server)))
    if not job.scheduled:
        return ActualRenewal(False, "", None, renewal.begins, job.evidence)
    if job.schedule is None or job.schedule == "@reboot":
        raise CouldNotLook(f"when {renewal.on} renews by cron is not clear: {job.told or job.schedule}")
    return ActualRenewal(True, job.schedule, longest_gap_s(job.schedule), renewal.begins, job.evidence)


def observe_renewal_ending(host: Any, renewal: Renewal) -> bool | None:
    """Whether the last run ended well; None where there was none. CouldNotLook: the server doesn't know."""
    server = _server(renewal.on)
    if renewal.timer:
        return observe_timer(host, server, _timer(renewal.timer)).ended_well
    crontabs = observe_crontabs(host, server, observe_processes(host, server))
    job = observe_cron_job(_job(renewal), crontabs)
    return observe_cron_ending(server, _job(renewal), observe_cron_run(host, server, job, crontabs))


def observe_dry_run(host: Any, renewal: Renewal) -> DryRun:
    """Let certbot go through a renewal. CouldNotLook: it isn't there, may not be run, or is at work already."""
    command = "certbot renew --dry-run --non-interactive --no-random-sleep-on-renew"
    command += f" --cert-name {quote(renewal.certificate)}" if renewal.certificate else ""
    if hooks := ask(host, renewal.on, _PRE_HOOKS).text.split():
        raise CouldNotLook(
            f"a dry run on {renewal.on} would run the pre-hook of {hooks[0]}, which may stop what visitors need",
            mend="leave `dry_run` out, or renew by --webroot or DNS, which need no pre-hook",
        )
    announce(f"renewal: {command} on {renewal.on}")
    answer = run(host, renewal.on, f"export LC_ALL=C\n{command} 2>&1", within=_DRY_RUN_S)
    for refusal, mend in _REFUSALS.items():
        if refusal in answer.text:
            raise CouldNotLook(f"certbot can't be tried on {renewal.on}: {refusal}", mend=mend)
    # Where it has nothing to renew it ends with 0 as well.
    ended_well = answer.exit == 0 and "all simulated renewals succeeded" in answer.text
    told = (line for line in answer.text.splitlines() if line.startswith(("Failed to renew", "No simulated")))
    return DryRun(ended_well, "; ".join(told) or answer.text.strip()[-200:], (Evidence(command, answer.text),))


def observe_deployed(host: Any, deployed: DeployedCertificate) -> str | None:
    """The fingerprint of the first certificate in the file; None where there is no file."""
    path = quote(deployed.path)
    text = ask(host, deployed.on, f"[ ! -e {path} ] || cat -- {path}").text
    if not text:
        return None
    try:
        return x509.load_pem_x509_certificate(text.encode()).fingerprint(hashes.SHA256()).hex()
    except ValueError:
        raise CouldNotLook(
            f"{deployed.path} on {deployed.on} holds no certificate that can be read",
            mend="name the PEM file that the web server reads",
        ) from None


def longest_gap_s(schedule: str) -> float:
    """The longest time between two runs of a schedule of cron, to the day and never too short."""
    first = date(2024, 1, 1)
    days = [first + timedelta(days=number) for number in range(_YEARS * 366)]
    due = [day for day in days if is_due_on(schedule, day)]
    return max((after - before).days for before, after in pairwise(due)) * float(DAY)


def _gap_of_timer(host: Any, renewal: Renewal, schedules: tuple[str, ...]) -> float:
    if not schedules:
        raise CouldNotLook(
            f"the timer {renewal.timer} of {renewal.on} has no calendar, so how far its runs are apart is not known",
            mend="give it an OnCalendar",
        )
    asked = " ".join(quote(each) for each in schedules)
    answer = ask(host, renewal.on, f"export TZ=UTC; systemd-analyze calendar --iterations=100 -- {asked}")
    moments = sorted({moment for line in answer.text.splitlines() if (moment := _elapse(line)) is not None})
    if len(moments) < 2:
        raise CouldNotLook(f"when the timer {renewal.timer} of {renewal.on} is due can't be understood")
    return max(after - before for before, after in pairwise(moments))


def _elapse(line: str) -> float | None:
    """The moment of `Next elapse: Sat 2026-11-21 12:00:00 UTC` or `Iter. #2: ...`."""
    label, _, moment = line.strip().partition(": ")
    if not label.startswith(("Next elapse", "Iter", "Iteration")):
        return None
    return parse_moment(moment.strip())


def _server(name: str) -> Spec:
    server = Spec.model_construct()
    server._named(name)
    return server


def _timer(name: str) -> Timer:
    timer = Timer.model_construct()
    timer._named(name)
    return timer


def _job(renewal: Renewal) -> CronJob:
    job = CronJob.model_construct(command=renewal.cron)
    job._named(renewal.cron or "")
    return job


FACTS: Mapping[str, Callable[..., Any]] = {
    "actual_renewal": observe_renewal,
    "renewal_ending": observe_renewal_ending,
    "renewal_dry_run": observe_dry_run,
    "deployed_fingerprint": observe_deployed,
}
