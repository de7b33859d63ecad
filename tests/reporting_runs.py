"""Runs and their verdicts for the tests of the reports: one of each verdict, and one that is hostile."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from readygate.excuses import Attestation, Waiver
from readygate.profile import Profile
from readygate.reporting.html import render_html
from readygate.results import Evidence, Outcome, Result, Run, SourceFile, State, Subject
from readygate.spec import Severity
from readygate.verdict import Verdict, decide

NOW = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)
TEMPLATES = Path(__file__).parent.parent / "templates"

INVENTORY = """\
project: shop
servers:
  app-1:
    disk: {/: {used: {warn: "70%", fail: "85%"}}}
  db-1:
    disk: {/: {used: "<85%"}, /var: {used: "<85%"}}
sites:
  api:
    tls: {renew_before: 14d}
backups:
  db: {restore_drill: {rto: 15m}}
attestations:
  rollback-rehearsed: {every: 90d}
"""

DISK = Result(
    "disk.used",
    "app-1:/",
    Outcome.PASSED,
    Severity.MAJOR,
    owner="platform",
    path="servers.app-1.disk./.used",
    file="inventory.yml",
    line=4,
    expected="<85%",
    actual="81%",
    margin="4 points",
    headroom=0.047,
    warning="81% is over the warning level of 70%",
    why="A full disk stops the database first.",
    mend="Find what grew.",
)
CERTIFICATE = Result(
    "tls.renew_before",
    "api",
    Outcome.PASSED,
    Severity.BLOCKER,
    owner="web",
    path="sites.api.tls.renew_before",
    file="inventory.yml",
    line=9,
    expected=">=14d",
    actual="62d",
    margin="48d",
    headroom=3.4,
    why="Inside this window, one failed renewal is an outage.",
    mend="Run certbot renew.",
    evidence=(Evidence("handshake with api:443", "not after 2026-05-05"),),
    duration_s=0.25,
)
DRILL = replace(
    DISK,
    check="backup.restore_rto",
    target="db",
    owner="data",
    path="backups.db.restore_drill.rto",
    line=11,
    expected="15m",
    actual="11m",
    margin="4m",
    headroom=0.27,
    warning="",
)
REHEARSAL = Result(
    "attestation.every", "rollback-rehearsed", Outcome.NOT_RUN, file="inventory.yml", line=13, message="no word of it"
)

EXPIRED_SOON = replace(
    CERTIFICATE,
    outcome=Outcome.FAILED,
    actual="9d",
    margin="-5d",
    headroom=-0.36,
    message="the certificate ends in 9 days and must have 14 left",
)
SLOW_DRILL = replace(
    DRILL, outcome=Outcome.FAILED, actual="19m", margin="-4m", headroom=-0.27, message="the drill took 19m"
)
UNREACHABLE = tuple(
    replace(
        DISK,
        target=f"db-1:{disk}",
        outcome=Outcome.ERROR,
        line=6,
        actual="",
        margin="",
        headroom=None,
        warning="",
        message="db-1 could not be reached",
        cause="unreachable:db-1",
        mend="Try ssh db-1.",
    )
    for disk in ("/", "/var")
)

HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)>]]>--><!-- {{ 7*7 }} "
    "\x1b[2J\x1b]8;;http://evil.example\x07\x00\x9b31m \u202eGO\u2066 \ufeff\ud800\uffff "
    "`code` **bold** [link](http://evil.example) | @team https://evil.example www.evil.example $x$ &amp; "
    "'\"\n# heading\n"
)


def run(*results: Result, state: State = State.FINISHED, inventory: str = INVENTORY) -> Run:
    return Run(
        "01J",
        Subject("shop", "production", "1.42.0", "9f31c2ab77d04e11", ("registry.example/api@sha256:4e1f",)),
        "release",
        state,
        "2026-03-04T09:12:00+00:00",
        "2026-03-04T09:26:31+00:00",
        "0.1.0",
        "c0ffee9d31aa" * 5,
        (SourceFile("inventory.yml", inventory),),
        results,
    )


def judged(judged_run: Run, *waivers: Waiver) -> tuple[Run, Verdict]:
    word = Attestation("rollback-rehearsed", "Ilya", "the protocol of 3 February", date(2026, 5, 1))
    profile = Profile(name="release", question="May it go out?")
    return judged_run, decide(judged_run, profile, now=NOW, waivers=waivers, attestations=(word,))


GO = judged(run(DISK, CERTIFICATE, DRILL, REHEARSAL))
NO_GO = judged(run(DISK, EXPIRED_SOON, DRILL, REHEARSAL, *UNREACHABLE))
INCOMPLETE = judged(run(DISK, CERTIFICATE, DRILL, REHEARSAL, *UNREACHABLE))
WAIVED = judged(
    run(DISK, CERTIFICATE, SLOW_DRILL, REHEARSAL),
    Waiver("backup.*", "db", "parallel restore lands in 1.43", "Dana", date(2026, 3, 20)),
)
INTERRUPTED = judged(run(DISK, state=State.INTERRUPTED))
EMPTY = judged(run())

ALL = {
    "GO": GO,
    "NO-GO": NO_GO,
    "INCOMPLETE": INCOMPLETE,
    "GO WITH WAIVERS": WAIVED,
    "interrupted": INTERRUPTED,
    "empty": EMPTY,
}


def hostile() -> tuple[Run, Verdict]:
    """Everything that a target, or somebody else's file, could have written is hostile."""
    bad = HOSTILE
    results = tuple(
        replace(
            EXPIRED_SOON,
            check=f"tls.{bad}",
            target=f"{bad}{number}",
            outcome=outcome,
            owner=bad,
            path=bad,
            expected=bad,
            actual=bad,
            margin=bad,
            warning=bad if outcome is Outcome.PASSED else "",
            message=bad,
            cause=bad,
            why=bad,
            mend=bad,
            evidence=(Evidence(bad, bad),),
        )
        for number, outcome in enumerate((Outcome.FAILED, Outcome.ERROR, Outcome.NOT_RUN, Outcome.PASSED))
    )
    return judged(
        replace(
            run(*results, inventory=f"project: {bad}\n{INVENTORY}"),
            run_id=bad,
            subject=Subject(bad, bad, bad, bad, (bad,)),
            profile=bad,
            tool_version=bad,
            inventory_digest=bad,
            started_at=bad,
            finished_at=bad,
            problems=(bad,),
        )
    )


def many(count: int, *, all_failed: bool = False) -> tuple[Run, Verdict]:
    """A fleet: long names, one line of the inventory each, three in a hundred or all failed with much evidence."""
    failed = {
        "outcome": Outcome.FAILED,
        "message": "/var/lib/data is 97% full, and must stay below 85%",
        "evidence": (Evidence("statvfs /var/lib/data", "x" * 3000),),
    }
    results = [
        replace(
            DISK,
            check=f"disk.used_{number % 25}",
            target=f"host-{number // 25:04}.eu-central.example.org:/var/lib/{number % 25}",
            path=f"servers.host-{number // 25:04}.disk",
            line=number + 1,
            warning="",
            why="A full disk stops the database first and the logs that would say so second. " * 2,
            **(failed if all_failed or number % 100 < 3 else {}),
        )
        for number in range(count)
    ]
    return judged(run(*results, inventory='    thing: {used: "<85%", running: true}\n' * count))


def page(case: tuple[Run, Verdict], **options: object) -> str:
    return render_html(*case, **{"now": NOW, "template_dirs": (TEMPLATES,), **options})  # type: ignore[arg-type]
