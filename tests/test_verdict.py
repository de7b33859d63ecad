"""The truth table of `decide`, and what its reasons say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from readygate.excuses import ATTESTATION, Attestation, Waiver
from readygate.profile import LeftOut, Profile, WaiverRules
from readygate.results import NotAsked, Outcome, Result, Run, State, Subject
from readygate.signatures import Signature
from readygate.spec import Severity
from readygate.verdict import Verdict, Word, decide

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

HTTP_FAILED = result(Outcome.FAILED, check="http.status")
MINOR = result(Outcome.FAILED, Severity.MINOR)
INFO = result(Outcome.FAILED, Severity.INFO)
REHEARSAL = Result(ATTESTATION, "rollback-rehearsed", Outcome.NOT_RUN, message="no suite verifies it")
YESTERDAY, TOMORROW = TODAY - timedelta(1), TODAY + timedelta(1)
NO_WAIVER_OVER_30_DAYS = PROFILE.model_copy(update={"waivers": WaiverRules.model_validate({"longest": "30d"})})
RATCHET = PROFILE.model_copy(update={"blocks_on_new": (Severity.MINOR,)})
NEEDS_BACKUPS = PROFILE.model_copy(update={"requires": ("backup",)})
APPROVED = PROFILE.model_copy(update={"waivers": WaiverRules(needs=("approver", "ticket"))})
UNSIGNED = Signature(wrong="nobody signed it")
NINE_OF_TEN = PROFILE.model_copy(update={"minimum_met": 90.0})


def word_given(expires: date = TODAY, name: str = "rollback-rehearsed") -> Attestation:
    return Attestation(name, "ana", "drill of 1 March", expires)


def passed(count: int) -> tuple[Result, ...]:
    return tuple(result(check=f"http.check_{number}") for number in range(count))


TABLE = [
    # what was seen, how it is judged, the word
    # Outcome by outcome.
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
    ((HTTP_FAILED, ERROR), {}, Word.NO_GO),
    ((HTTP_FAILED, NOT_RUN), {}, Word.NO_GO),
    # Not to have looked is never excused by a low severity.
    *[
        ((replace(seen, severity=severity),), {}, Word.INCOMPLETE)
        for seen in (ERROR, NOT_RUN)
        for severity in Severity
    ],
    # Severity and what the profile blocks on.
    ((result(Outcome.FAILED, Severity.BLOCKER),), {}, Word.NO_GO),
    ((MINOR,), {}, Word.GO_WITH_WAIVERS),
    ((INFO,), {}, Word.GO_WITH_WAIVERS),
    ((MINOR, NOT_RUN), {}, Word.INCOMPLETE),
    ((MINOR, ERROR), {}, Word.INCOMPLETE),
    ((MINOR, HTTP_FAILED), {}, Word.NO_GO),
    *[((result(Outcome.FAILED, severity),), {"profile": STRICT}, Word.NO_GO) for severity in Severity],
    # Waivers: their days, their scope, their length.
    ((FAILED,), {"waivers": [waiver()]}, Word.GO_WITH_WAIVERS),
    ((FAILED, OTHER), {"waivers": [waiver()]}, Word.GO_WITH_WAIVERS),
    ((FAILED,), {"waivers": [waiver(YESTERDAY)]}, Word.NO_GO),
    ((FAILED,), {"waivers": [waiver(YESTERDAY), waiver()]}, Word.GO_WITH_WAIVERS),
    ((FAILED,), {"waivers": [waiver(TOMORROW, since=TODAY)]}, Word.GO_WITH_WAIVERS),
    ((FAILED,), {"waivers": [waiver(TOMORROW, since=TOMORROW)]}, Word.NO_GO),
    ((FAILED,), {"waivers": [waiver(target="other")]}, Word.NO_GO),
    ((FAILED,), {"waivers": [waiver(target="ap?")]}, Word.GO_WITH_WAIVERS),
    ((FAILED,), {"waivers": [waiver(target="API")]}, Word.NO_GO),
    ((FAILED,), {"waivers": [waiver(check="http.*")]}, Word.NO_GO),
    ((FAILED, HTTP_FAILED), {"waivers": [waiver()]}, Word.NO_GO),
    ((FAILED, HTTP_FAILED), {"waivers": [waiver(), waiver(check="http.status")]}, Word.GO_WITH_WAIVERS),
    ((MINOR,), {"waivers": [waiver()], "profile": STRICT}, Word.GO_WITH_WAIVERS),
    ((result(Outcome.FAILED, Severity.BLOCKER),), {"waivers": [waiver()]}, Word.GO_WITH_WAIVERS),
    *[
        ((FAILED,), {"waivers": [each], "profile": NO_WAIVER_OVER_30_DAYS}, expected)
        for each, expected in (
            (waiver(TODAY + timedelta(30), since=TODAY), Word.GO_WITH_WAIVERS),
            (waiver(TODAY + timedelta(31), since=TODAY), Word.NO_GO),
            (waiver(TODAY, since=TODAY - timedelta(31)), Word.NO_GO),
            (waiver(TODAY + timedelta(30)), Word.GO_WITH_WAIVERS),
            (waiver(TODAY + timedelta(31)), Word.NO_GO),
        )
    ],
    # A waiver hides an error of looking only if it says so, and never that nobody looked.
    ((ERROR,), {"waivers": [waiver()]}, Word.INCOMPLETE),
    ((ERROR,), {"waivers": [waiver(covers_errors=True)]}, Word.GO_WITH_WAIVERS),
    ((ERROR,), {"waivers": [waiver(YESTERDAY, covers_errors=True)]}, Word.INCOMPLETE),
    ((NOT_RUN,), {"waivers": [waiver(covers_errors=True)]}, Word.INCOMPLETE),
    ((FAILED, NOT_RUN), {"waivers": [waiver()]}, Word.INCOMPLETE),
    # An idle waiver is a finding, and changes nothing.
    ((PASSED,), {"waivers": [waiver()]}, Word.GO),
    ((PASSED,), {"waivers": [waiver(YESTERDAY)]}, Word.GO),
    ((), {"waivers": [waiver()]}, Word.INCOMPLETE),
    # Attestations: their day, their name, and what they can't do.
    ((REHEARSAL,), {}, Word.INCOMPLETE),
    ((REHEARSAL,), {"attestations": [word_given(TODAY)]}, Word.GO),
    ((REHEARSAL,), {"attestations": [word_given(YESTERDAY)]}, Word.INCOMPLETE),
    ((REHEARSAL,), {"attestations": [word_given(YESTERDAY), word_given(TOMORROW)]}, Word.GO),
    ((REHEARSAL,), {"attestations": [word_given(TOMORROW), word_given(YESTERDAY)]}, Word.GO),
    ((REHEARSAL,), {"attestations": [word_given(name="runbook-reviewed")]}, Word.INCOMPLETE),
    ((REHEARSAL, FAILED), {"attestations": [word_given()]}, Word.NO_GO),
    ((REHEARSAL, ERROR), {"attestations": [word_given()]}, Word.INCOMPLETE),
    ((REHEARSAL, FAILED), {"attestations": [word_given()], "waivers": [waiver()]}, Word.GO_WITH_WAIVERS),
    ((REHEARSAL,), {"waivers": [waiver(check="attestation.*", target="*", covers_errors=True)]}, Word.INCOMPLETE),
    ((NOT_RUN,), {"attestations": [word_given(name="api")]}, Word.INCOMPLETE),
    # Coverage that the profile asks for.
    ((PASSED,), {"profile": NEEDS_BACKUPS}, Word.INCOMPLETE),
    ((PASSED, result(check="backup.rpo")), {"profile": NEEDS_BACKUPS}, Word.GO),
    ((PASSED, result(check="backups.rpo")), {"profile": NEEDS_BACKUPS}, Word.INCOMPLETE),
    ((FAILED,), {"profile": NEEDS_BACKUPS}, Word.NO_GO),
    ((*passed(9), MINOR), {"profile": NINE_OF_TEN}, Word.GO_WITH_WAIVERS),
    ((*passed(8), MINOR), {"profile": NINE_OF_TEN}, Word.NO_GO),
    ((*passed(8), FAILED), {"profile": NINE_OF_TEN, "waivers": [waiver()]}, Word.NO_GO),
    ((*passed(8), ERROR), {"profile": NINE_OF_TEN}, Word.INCOMPLETE),
    # History: a failure that the last green run had as well is known.
    ((MINOR,), {"profile": RATCHET}, Word.NO_GO),
    ((MINOR,), {"profile": RATCHET, "previous": run(PASSED)}, Word.NO_GO),
    ((MINOR,), {"profile": RATCHET, "previous": run(MINOR)}, Word.GO_WITH_WAIVERS),
    ((MINOR,), {"profile": RATCHET, "previous": run(ERROR)}, Word.NO_GO),
    ((MINOR,), {"profile": RATCHET, "previous": run(OTHER)}, Word.NO_GO),
    ((MINOR,), {"profile": RATCHET, "previous": run(PASSED), "waivers": [waiver()]}, Word.GO_WITH_WAIVERS),
    ((INFO,), {"profile": RATCHET, "previous": run(PASSED)}, Word.GO_WITH_WAIVERS),
    ((FAILED,), {"profile": RATCHET, "previous": run(FAILED)}, Word.NO_GO),
    ((NOT_RUN,), {"profile": RATCHET, "previous": run(PASSED)}, Word.INCOMPLETE),
    ((MINOR,), {"previous": run(PASSED)}, Word.GO_WITH_WAIVERS),
    # A waiver that is meant for all that there is, or for another environment, is none.
    ((FAILED, HTTP_FAILED), {"waivers": [waiver(check="*", target="a*")]}, Word.NO_GO),
    ((FAILED, HTTP_FAILED), {"waivers": [waiver(check="*[pt]*", target="*")]}, Word.NO_GO),
    ((FAILED, result(check="http.status", target="b")), {"waivers": [waiver(check="*t*")]}, Word.GO_WITH_WAIVERS),
    ((FAILED,), {"waivers": [waiver(environment="staging")]}, Word.NO_GO),
    # What the profile wants of each waiver.
    ((FAILED,), {"waivers": [waiver()], "profile": APPROVED}, Word.NO_GO),
    ((FAILED,), {"waivers": [waiver(approver="bo")], "profile": APPROVED}, Word.NO_GO),
    ((FAILED,), {"waivers": [waiver(approver="bo", ticket="OPS-7")], "profile": APPROVED}, Word.GO_WITH_WAIVERS),
    ((FAILED,), {"waivers": [waiver(approver=" Ana", ticket="OPS-7")], "profile": APPROVED}, Word.NO_GO),
    # Words that have to be signed.
    ((FAILED,), {"waivers": [waiver(signature=UNSIGNED)]}, Word.NO_GO),
    ((REHEARSAL,), {"attestations": [replace(word_given(), signature=UNSIGNED)]}, Word.INCOMPLETE),
    (
        (REHEARSAL,),
        {"attestations": [word_given(), replace(word_given(TOMORROW), signature=UNSIGNED)]},
        Word.GO,
    ),
    (
        (REHEARSAL,),
        {"attestations": [word_given(YESTERDAY), replace(word_given(), signature=UNSIGNED)]},
        Word.INCOMPLETE,
    ),
]


def test_the_table_is_long_enough_to_be_believed() -> None:
    assert len(TABLE) >= 60


@pytest.mark.parametrize(("seen", "judged", "expected"), TABLE)
def test_truth_table(seen: tuple[Result, ...], judged: dict[str, object], expected: Word) -> None:
    assert word(*seen, **judged) is expected


@pytest.mark.parametrize(("seen", "judged", "expected"), TABLE)
def test_a_failure_more_is_never_greener(seen: tuple[Result, ...], judged: dict[str, object], expected: Word) -> None:
    assert word(*seen, result(Outcome.FAILED, Severity.BLOCKER, "load.p95"), **judged) is Word.NO_GO


@pytest.mark.parametrize(("seen", "judged", "expected"), TABLE)
def test_a_check_more_that_nobody_ran_is_never_go(
    seen: tuple[Result, ...], judged: dict[str, object], expected: Word
) -> None:
    after = word(*seen, result(Outcome.NOT_RUN, check="load.p95"), **judged)
    assert after is (Word.NO_GO if expected is Word.NO_GO else Word.INCOMPLETE)


def judged_with(*results: Result, **more: object) -> Verdict:
    return decide(run(*results), PROFILE, now=NOW, **more)


def test_what_is_broken_stands_before_what_is_too_much_or_too_little() -> None:
    old = result(Outcome.FAILED, Severity.BLOCKER, check="backup.rpo")
    broken = result(Outcome.FAILED, Severity.BLOCKER, check="backup.sound")
    verdict = judged_with(replace(old, margin="1m over"), broken, replace(FAILED, margin="2d short"))
    assert [each.results[0].check for each in verdict.reasons] == ["backup.sound", "backup.rpo", FAILED.check]


def test_an_expired_waiver_is_named_in_the_failure_that_it_excused() -> None:
    (reason,) = judged_with(FAILED, waivers=[waiver(YESTERDAY)]).reasons
    assert reason.title == "tls.trusted @ api: said why; the waiver by ana ran out on 2026-03-01"


def test_a_waiver_says_who_answers_for_it() -> None:
    (only,) = judged_with(FAILED, waivers=[waiver(approver="bo", ticket="OPS-7")]).results
    assert only.message == "waived by ana, approved by bo until 2026-03-02: accepted for now [OPS-7] (said why)"


@pytest.mark.parametrize(
    ("seen", "given", "said"),
    [
        (PASSED, {"waivers": [waiver()]}, "excuses nothing any more: all is met"),
        (PASSED, {"waivers": [waiver(YESTERDAY)]}, "ran out on 2026-03-01"),
        (FAILED, {"waivers": [waiver(YESTERDAY)]}, "ran out on 2026-03-01"),
        (PASSED, {"waivers": [waiver(check="tsl.*")]}, "matches nothing in this run"),
        (REHEARSAL, {"attestations": [word_given(name="rolback-rehearsed")]}, "attestation rolback-rehearsed"),
        (
            REHEARSAL,
            {"waivers": [waiver(check="attestation.*", target="*")]},
            "what a person attests can't be waived",
        ),
    ],
)
def test_what_should_be_tidied_up_is_a_finding(seen: Result, given: dict[str, object], said: str) -> None:
    (finding,) = judged_with(seen, **given).findings
    assert said in finding.title
    assert finding.mend


@pytest.mark.parametrize("seen", [FAILED, ERROR, NOT_RUN])
def test_a_waiver_that_is_or_may_be_needed_is_no_finding(seen: Result) -> None:
    assert not judged_with(seen, waivers=[waiver()]).findings


def test_a_waiver_for_another_environment_is_no_finding() -> None:
    assert not judged_with(PASSED, waivers=[waiver(YESTERDAY, environment="staging")]).findings


def test_what_was_seen_too_long_ago_is_proof_no_more() -> None:
    old = replace(run(PASSED), finished_at="2026-03-01T11:59:00Z", started_at="2026-03-01T11:00:00Z")
    verdict = decide(old, PROFILE, now=NOW)
    assert verdict.word is Word.INCOMPLETE
    assert verdict.reasons[0].title == "What was seen is 24h1m old, and release relies on nothing older than 1d"
    assert decide(replace(old, finished_at="2026-03-01T12:00:00Z"), PROFILE, now=NOW).word is Word.GO


@pytest.mark.parametrize("stamp", ["2026-03-02T12:06:00Z", "2999-01-01T00:00:00Z", "lately", "2026-03-02T12:00:00"])
def test_a_run_from_the_future_or_without_a_date_is_never_go(stamp: str) -> None:
    assert decide(replace(run(PASSED), started_at=stamp), PROFILE, now=NOW).word is Word.INCOMPLETE
    assert decide(replace(run(PASSED), finished_at=stamp), PROFILE, now=NOW).word is Word.INCOMPLETE
    assert decide(replace(run(FAILED), started_at=stamp), PROFILE, now=NOW).word is Word.NO_GO


def test_a_profile_that_asks_for_more_than_the_run_did_is_not_answered_by_it() -> None:
    nightly = PROFILE.model_copy(update={"leave_out": (LeftOut(check="load.*", reason="at night"),)})
    seen = result(path="sites.api.tls.trusted")
    narrow = replace(run(seen), not_asked=(NotAsked("load.*", "at night", 3), NotAsked("drill.*", "none", 0)))
    assert decide(narrow, nightly, now=NOW).word is Word.GO
    verdict = decide(narrow, PROFILE, now=NOW)
    assert verdict.word is Word.INCOMPLETE
    assert verdict.reasons[0].title == "load.* was left out of the run, and release asks for it"


def test_a_profile_that_leaves_out_all_that_is_declared_is_never_go() -> None:
    everything = PROFILE.model_copy(update={"leave_out": (LeftOut(check="*", reason="later"),)})
    plain = replace(run(result(check="plain.fine")), not_asked=(NotAsked("*", "later", 50),))
    verdict = decide(plain, everything, now=NOW)
    assert verdict.word is Word.INCOMPLETE
    assert verdict.reasons[0].title == "release leaves out every line of the inventory"


def test_an_area_that_there_is_not_is_told_what_it_was_meant_to_be() -> None:
    misspelt = PROFILE.model_copy(update={"requires": ("backups",)})
    (reason,) = decide(run(PASSED, result(check="backup.rpo")), misspelt, now=NOW).reasons
    assert "did you mean 'backup'?" in reason.detail


def test_an_attestation_for_another_environment_is_no_finding() -> None:
    assert not judged_with(PASSED, attestations=[word_given()]).findings


def test_a_misspelt_attestation_is_told_what_it_was_meant_to_be() -> None:
    (finding,) = judged_with(REHEARSAL, attestations=[word_given(name="rolback-rehearsed")]).findings
    assert finding.mend == "did you mean 'rollback-rehearsed'?"


def test_an_attestation_that_soon_runs_out_warns() -> None:
    (only,) = judged_with(REHEARSAL, attestations=[replace(word_given(TOMORROW), warns=TODAY)]).results
    assert (only.outcome, only.warning) == (
        Outcome.ATTESTED,
        "the attestation by ana runs out on 2026-03-03",
    )


def test_too_many_small_failures_are_told_as_what_they_are() -> None:
    verdict = decide(run(*passed(8), MINOR), NINE_OF_TEN, now=NOW)
    assert verdict.sentence == "Only 8 of 9 are met, and at least 90% must be"


def test_a_day_ends_in_utc_wherever_the_judge_is() -> None:
    late = datetime(2026, 3, 2, 22, tzinfo=timezone(timedelta(hours=-5)))  # the 3rd of March in UTC
    assert decide(run(FAILED), PROFILE, now=late, waivers=[waiver(TODAY)]).word is Word.NO_GO


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


@pytest.mark.parametrize(
    ("outcomes", "word", "sentence"),
    [
        ("p", Word.GO, "Release: all that was asked for is met, 1 verified."),
        ("ppA", Word.GO, "Release: all that was asked for is met, 2 verified and 1 attested."),
        ("pw", Word.GO_WITH_WAIVERS, "Release, knowing what is excused: 1 of 2 expectations are met, 1 waived."),
        (
            "ppAwm",
            Word.GO_WITH_WAIVERS,
            "Release, knowing what is excused: 3 of 5 expectations are met, 1 waived and 1 failed below what blocks.",
        ),
        ("pf", Word.NO_GO, "Do not release: 1 failure blocks; 1 of 2 expectations are met."),
        (
            "pffen",
            Word.NO_GO,
            "Do not release: 2 failures block; 1 of 5 expectations are met, 2 not verified.",
        ),
        ("ppe", Word.INCOMPLETE, "Do not release yet: of 3 expectations, 1 could not be looked at."),
        ("pn", Word.INCOMPLETE, "Do not release yet: of 2 expectations, 1 did not run."),
        (
            "peen",
            Word.INCOMPLETE,
            "Do not release yet: of 4 expectations, 2 could not be looked at and 1 did not run.",
        ),
        (
            "",
            Word.INCOMPLETE,
            "Do not release yet: nothing that blocks failed, but part of the proof is missing.",
        ),
    ],
)
def test_the_sentence_says_what_to_do_and_the_numbers_it_rests_on(outcomes, word, sentence):
    made = {
        "p": Result("a.p", "", Outcome.PASSED),
        "f": Result("a.f", "", Outcome.FAILED, Severity.BLOCKER),
        "m": Result("a.m", "", Outcome.FAILED, Severity.MINOR),
        "w": Result("w.w", "", Outcome.FAILED, Severity.BLOCKER),
        "e": Result("a.e", "", Outcome.ERROR),
        "n": Result("a.n", "", Outcome.NOT_RUN),
        "A": Result("attestation.every", "rehearsed", Outcome.NOT_RUN),
    }
    results = tuple(
        each if (each := made[letter]).target else replace(each, target=f"t{number}")
        for number, letter in enumerate(outcomes)
    )
    judged = decide(
        run(*results),
        PROFILE,
        now=NOW,
        waivers=[Waiver("w.*", "*", "known", "Dana", date(2026, 3, 20))],
        attestations=[Attestation("rehearsed", "Ilya", "a protocol", date(2026, 5, 1))],
    )
    assert (judged.word, judged.sentence) == (word, sentence)


def test_each_waiver_that_holds_names_what_it_excuses_and_no_other_does():
    results = tuple(Result("a.f", target, Outcome.FAILED, message="it fails") for target in ("one", "two", "three"))
    ran_out, narrow, wide, idle = (
        Waiver("a.*", "*", "known", "Ana", date(2026, 3, 1)),
        Waiver("a.f", "one", "known", "Bo", date(2026, 3, 20)),
        Waiver("a.*", "t*", "known", "Cy", date(2026, 3, 20)),
        Waiver("b.*", "*", "known", "Di", date(2026, 3, 20)),
    )
    judged = decide(
        run(*results),
        PROFILE,
        now=NOW,
        waivers=[ran_out, narrow, wide, idle],
    )
    assert [(each.waiver.owner, [one.target for one in each.results]) for each in judged.excuses] == [
        ("Bo", ["one"]),
        ("Cy", ["two", "three"]),
    ]
