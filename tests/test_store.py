"""results.json after a crash at any moment: the truth so far or nothing, and never a GO."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from readygate.errors import UsageError
from readygate.profile import Profile
from readygate.results import Evidence, Outcome, Result, Run, State, Subject
from readygate.spec import Severity
from readygate.store import JOURNAL, OUTPUTS, RESULTS, Store, encode, load, merge
from readygate.verdict import Verdict, Word, decide

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
PROFILE = Profile(name="release", question="May it?")
CHECKS = ("tls.trusted", "http.status", "backup.rpo")
# What a line may hold that some take for its end, and a character of more than one byte.
SAID = "line\u2028para\u2029next\x85page\x0cdone\r\nМосква"


def result(check: str, outcome: Outcome) -> Result:
    return Result(check, "shop", outcome, message=SAID, evidence=(Evidence("asked", SAID),), headroom=0.5)


PLANNED = tuple(result(check, Outcome.NOT_RUN) for check in CHECKS)
PASSED = tuple(result(check, Outcome.PASSED) for check in CHECKS)


def run(state: State, results: tuple[Result, ...], run_id: str = "r2") -> Run:
    return Run(run_id, Subject("shop"), "release", state, "2026-03-02T12:00:00Z", results=results)


def verdict(of: Run) -> Verdict:
    return decide(of, PROFILE, now=NOW)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "out")


def finished(store: Store, run_id: str = "r1") -> Run:
    """An earlier run that was GO, with all that was drawn from it."""
    earlier = run(State.FINISHED, PASSED, run_id)
    store.begin(run(State.RUNNING, PLANNED, run_id))
    for each in PASSED:
        store.append(encode(each))
    store.finish(earlier, verdict(earlier))
    for name in OUTPUTS:
        (store.folder / name).write_text("GO")
    return earlier


def test_what_was_finished_is_read_back_as_it_was(store: Store) -> None:
    earlier = finished(store)
    assert load(store.folder) == load(store.folder / RESULTS) == earlier
    assert json.loads((store.folder / RESULTS).read_text())["verdict"]["word"] == "GO"
    assert not (store.folder / JOURNAL).exists()


def test_a_run_that_only_began_knows_nothing_and_leaves_nothing_of_an_earlier_go(store: Store) -> None:
    finished(store)
    store.begin(run(State.RUNNING, PLANNED))
    stored = load(store.folder)
    assert (stored.run_id, stored.state) == ("r2", State.RUNNING)
    assert {each.outcome for each in stored.results} == {Outcome.NOT_RUN}
    assert verdict(stored).word is Word.INCOMPLETE
    assert not [name for name in OUTPUTS if (store.folder / name).exists()]
    assert json.loads((store.folder / RESULTS).read_text())["verdict"] is None


def test_what_was_seen_before_a_crash_is_the_truth_so_far_and_never_a_go(store: Store) -> None:
    store.begin(run(State.RUNNING, PLANNED))
    for number, each in enumerate(PASSED, 1):
        store.append(encode(each))
        stored = load(store.folder)
        assert stored.results == (*PASSED[:number], *PLANNED[number:])
        assert verdict(stored).word is Word.INCOMPLETE


def test_a_failure_before_a_crash_is_no_go(store: Store) -> None:
    store.begin(run(State.RUNNING, PLANNED))
    store.append(encode(PASSED[0]))
    store.append(encode(replace(PASSED[1], outcome=Outcome.FAILED)))
    assert verdict(load(store.folder)).word is Word.NO_GO


def test_a_journal_that_is_cut_at_any_byte_is_read_up_to_its_last_whole_line(store: Store) -> None:
    store.begin(run(State.RUNNING, PLANNED))
    for each in PASSED:
        store.append(encode(each))
    journal = store.folder / JOURNAL
    whole = journal.read_bytes()
    for cut in range(len(whole)):
        journal.write_bytes(whole[:cut])
        stored = load(store.folder)
        lines = whole[:cut].count(b"\n") + (whole[cut : cut + 1] == b"\n")
        assert stored.results == (*PASSED[:lines], *PLANNED[lines:])
        assert verdict(stored).word is Word.INCOMPLETE


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("step", range(40))
def test_a_kill_at_any_step_never_leaves_a_go(store: Store, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every change of a file is a step; from the given one on, nothing happens any more."""
    finished(store)
    left = iter(range(step))

    def mortal(change: Callable[..., object]) -> Callable[..., object]:
        def changed(*args: object, **more: object) -> object:
            if next(left, None) is None:
                raise Killed
            return change(*args, **more)

        return changed

    with monkeypatch.context() as patched:
        for name in ("unlink", "replace", "open", "mkdir"):
            patched.setattr(Path, name, mortal(getattr(Path, name)))
        failed = (*PASSED[:2], replace(PASSED[2], outcome=Outcome.FAILED))
        try:
            store.begin(run(State.RUNNING, PLANNED))
            for each in failed:
                store.append(encode(each))
            last = run(State.FINISHED, failed)
            store.finish(last, verdict(last))
        except Killed:
            pass
    try:
        stored = load(store.folder)
    except UsageError:
        return
    if stored.run_id == "r1":
        assert step < 2, "the earlier run stands only as long as nothing has begun"
    else:
        assert verdict(stored).word in (Word.INCOMPLETE, Word.NO_GO)


def test_a_process_that_is_killed_between_two_results_leaves_the_first(store: Store) -> None:
    child = os.fork()
    if child == 0:  # pragma: no cover - ends by its own hand
        store.begin(run(State.RUNNING, PLANNED))
        store.append(encode(PASSED[0]))
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert load(store.folder).results == (PASSED[0], *PLANNED[1:])


def test_of_several_results_of_one_identity_the_worst_counts() -> None:
    worst_last = (Outcome.PASSED, Outcome.NOT_RUN, Outcome.ERROR, Outcome.FAILED)
    for number, worse in enumerate(worst_last):
        for better in worst_last[: number + 1]:
            for pair in ((better, worse), (worse, better)):
                (merged,) = merge([result("tls.trusted", each) for each in pair], PLANNED[:1])
                assert merged.outcome is worse


def test_what_was_seen_beside_the_plan_is_kept_after_it() -> None:
    own = Result("own.check", "shop", Outcome.FAILED, Severity.MINOR)
    assert list(merge([own, PASSED[1]], PLANNED)) == [PLANNED[0], PASSED[1], PLANNED[2], own]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a results file"),
        ("[1]", "schema version None"),
        ('{"schema_version": 2}', "schema version 2; this Readygate reads 1"),
        ('{"schema_version": 1}', "run_id: field required"),
    ],
)
def test_what_is_no_results_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / RESULTS).write_text(text)
    with pytest.raises(UsageError, match=RESULTS) as refused:
        load(tmp_path)
    assert said in str(refused.value)


def changed(store: Store, **more: object) -> str:
    """What is said of a finished run whose file somebody has changed."""
    finished(store)
    path = store.folder / RESULTS
    data = json.loads(path.read_text()) | more
    path.write_text(json.dumps(data))
    with pytest.raises(UsageError) as refused:
        load(path)
    return str(refused.value)


def test_a_file_that_was_changed_after_it_was_written_is_refused(store: Store) -> None:
    failed = [{**encode(each), "outcome": "passed", "message": "mended by hand"} for each in PASSED]
    assert "it was changed after it was written" in changed(store, results=failed)
    assert "it was changed after it was written" in changed(store, state="finished", profile="launch")
    assert "it was changed after it was written" in changed(store, sha256="")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"run_id": "../../etc/cron.d/x"}, "run_id: '../../etc/cron.d/x' is not the id of a run"),
        ({"started_at": "yesterday"}, "started_at: 'yesterday' is not a time"),
        ({"finished_at": "2026-03-02T12:00:00"}, "finished_at: '2026-03-02T12:00:00' is not a time"),
        ({"results": [{**encode(PASSED[0]), "outcome": "waived"}]}, "is waived, which is for the verdict to say"),
        ({"results": [{**encode(PASSED[0]), "outcome": "attested"}]}, "is attested, which is for the verdict to say"),
    ],
)
def test_what_no_run_would_have_written_is_refused(store: Store, more: dict[str, object], said: str) -> None:
    assert said in changed(store, **more)


def test_a_journal_can_not_say_what_is_for_the_verdict_to_say(store: Store) -> None:
    store.begin(run(State.RUNNING, PLANNED))
    store.append(encode(PASSED[0]) | {"outcome": "waived"})
    assert load(store.folder).results == PLANNED


def test_a_finished_run_takes_nothing_from_a_journal(store: Store) -> None:
    earlier = finished(store)
    store.append(encode(replace(PASSED[0], outcome=Outcome.FAILED)))
    assert load(store.folder) == earlier


def test_an_interruption_before_the_beginning_can_still_be_written_down(store: Store) -> None:
    early = run(State.INTERRUPTED, PLANNED)
    store.finish(early, verdict(early))
    assert load(store.folder) == early


def test_a_folder_that_can_not_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="can't be written to"):
        Store(tmp_path / "file").begin(run(State.RUNNING, PLANNED))
