"""The truth table of `decide`, and what its reasons say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from readygate.profile import Profile
from readygate.results import Outcome, Result, Run, State, Subject
from readygate.spec import Severity
from readygate.verdict import Attestation, Verdict, Waiver, Word, decide

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
TODAY = NOW.date()
PROFILE = Profile(name="release", question="May it?")
STRICT = Profile(name="launch", question="May it?", blocks_on=tuple(Severity))


def result(
    outcome: Outcome = Outcome.PASSED, severity: Severity = Severity.MAJOR, check: str = "tls.trusted", **more: object
) -> Result:
    return replace(Result(check, "api", outcome, severity, message="said why"), **more)


def run(*results: Result, state: State = State.FINISHED, problems: tuple[str, ...] = ()) -> Run:
    return Run("r1", Subject("shop"), "release", state, "2026-03-02T12:00:00Z", results=results, problems=problems)


def waiver(expires: date = TODAY, **more: object) -> Waiver:
    return replace(Waiver("tls.*", "api", "accepted for now", "ana", expires), **more)


def word(*results: Result, profile: Profile = PROFILE, **more: object) -> Word:
    return decide(run(*results), profile, now=NOW, **more).word


PASSED = result()
FAILED = result(Outcome.FAILED)
ERROR = result(Outcome.ERROR)
NOT_RUN = result(Outcome.NOT_RUN)
OTHER = result(check="http.status")

TABLE = [
    # what was seen, how it is judged, the word
    ((PASSED,), {}, Word.GO),
    ((PASSED, OTHER), {}, Word.GO),
    ((result(warning="12d left"),), {}, Word.GO),
    ((), {}, Word.INCOMPLETE),
    ((ERROR,), {}, Word.INCOMPLETE),
    ((NOT_RUN,), {}, Word.INCOMPLETE),
    ((OTHER, ERROR), {}, Word.INCOMPLETE),
    ((OTHER, NOT_RUN), {}, Word.INCOMPLETE),
    ((FAILED,), {}, Word.NO_GO),
    ((OTHER, FAILED), {}, Word.NO_GO),
    ((result(Outcome.FAILED, check="http.status"), ERROR), {}, Word.NO_GO),
    ((result(Outcome.FAILED, check="http.status"), NOT_RUN), {}, Word.NO_GO),
    *[
        ((replace(seen, severity=severity),), {}, Word.INCOMPLETE)
        for seen in (ERROR, NOT_RUN)
        for severity in Severity
    ],
    ((result(Outcome.FAILED, Severity.BLOCKER),), {}, Word.NO_GO),
    ((result(Outcome.FAILED, Severity.MINOR),), {}, Word.GO_WITH_WAIVERS),
    ((result(Outcome.FAILED, Severity.INFO),), {}, Word.GO_WITH_WAIVERS),
    ((result(Outcome.FAILED, Severity.MINOR), NOT_RUN), {}, Word.INCOMPLETE),
    *[((result(Outcome.FAILED, severity),), {"profile": STRICT}, Word.NO_GO) for severity in Severity],
    ((FAILED,), {"waivers": [waiver()]}, Word.GO_WITH_WAIVERS),
    ((FAILED, OTHER), {"waivers": [waiver()]}, Word.GO_WITH_WAIVERS),
    ((FAILED,), {"waivers": [waiver(TODAY - timedelta(1))]}, Word.NO_GO),
    ((FAILED,), {"waivers": [waiver(target="other")]}, Word.NO_GO),
    ((FAILED,), {"waivers": [waiver(check="http.*")]}, Word.NO_GO),
    ((ERROR,), {"waivers": [waiver()]}, Word.INCOMPLETE),
    ((ERROR,), {"waivers": [waiver(covers_errors=True)]}, Word.GO_WITH_WAIVERS),
    ((NOT_RUN,), {"waivers": [waiver(covers_errors=True)]}, Word.INCOMPLETE),
    ((FAILED, result(Outcome.FAILED, check="http.status")), {"waivers": [waiver()]}, Word.NO_GO),
    ((FAILED, NOT_RUN), {"waivers": [waiver()]}, Word.INCOMPLETE),
    ((PASSED,), {"waivers": [waiver()]}, Word.GO),
]


@pytest.mark.parametrize(("seen", "judged", "expected"), TABLE)
def test_truth_table(seen: tuple[Result, ...], judged: dict[str, object], expected: Word) -> None:
    assert word(*seen, **judged) is expected


def attested(expires: date) -> Word:
    wanted = result(Outcome.NOT_RUN, check="attestation.every", target="rollback-rehearsed")
    said = Attestation("rollback-rehearsed", "ana", "drill of 1 March", expires)
    return word(wanted, attestations=[said])


def test_an_attestation_holds_through_the_whole_of_its_last_day() -> None:
    assert attested(TODAY) is Word.GO


def test_an_expired_attestation_proves_nothing() -> None:
    assert attested(TODAY - timedelta(1)) is Word.INCOMPLETE


@pytest.mark.parametrize("state", [State.RUNNING, State.INTERRUPTED])
def test_a_run_that_did_not_end_is_never_go(state: State) -> None:
    verdict = decide(run(PASSED, state=state), PROFILE, now=NOW)
    assert verdict.word is Word.INCOMPLETE


def test_a_failure_in_an_interrupted_run_is_still_no_go() -> None:
    assert decide(run(FAILED, state=State.INTERRUPTED), PROFILE, now=NOW).word is Word.NO_GO


def test_a_problem_of_the_run_as_a_whole_is_never_go() -> None:
    verdict = decide(run(PASSED, problems=("suites/test_tls.py can't be collected",)), PROFILE, now=NOW)
    assert verdict.word is Word.INCOMPLETE
    assert verdict.reasons[0].title == "suites/test_tls.py can't be collected"


def reasons(*results: Result) -> list[str]:
    return [reason.title for reason in decide(run(*results), PROFILE, now=NOW).reasons]


def test_the_worst_failure_is_named_first() -> None:
    minor_first = reasons(result(Outcome.FAILED), result(Outcome.FAILED, Severity.BLOCKER, "http.status"))
    assert minor_first[0].startswith("http.status @ api")


def test_one_dead_host_is_one_reason_however_many_checks_it_blinds() -> None:
    blind = [
        result(Outcome.ERROR, target=f"app-1:{n}", message="app-1 refused the connection", cause="unreachable:app-1")
        for n in range(50)
    ]
    assert reasons(*blind) == ["50 checks: app-1 refused the connection"]


def test_the_counts_add_up_to_what_was_declared() -> None:
    verdict: Verdict = decide(
        run(PASSED, FAILED, ERROR, NOT_RUN, result(Outcome.FAILED, check="http.status")),
        PROFILE,
        now=NOW,
        waivers=[waiver()],
    )
    c = verdict.coverage
    assert c.verified + c.waived + c.attested + c.errors + c.not_run == c.declared == 5


def test_deciding_twice_gives_the_same_answer() -> None:
    seen = run(FAILED, PASSED, ERROR)
    assert decide(seen, PROFILE, now=NOW) == decide(seen, PROFILE, now=NOW)
