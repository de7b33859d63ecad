"""Every run is kept as it was; what changed, what flaps and how long mending takes is read from them."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from readygate.errors import UsageError
from readygate.grounds import Grounds
from readygate.history import History, compare, flapping, times_to_mend
from readygate.profile import Profile
from readygate.results import Outcome, Result, Run, State, Subject
from readygate.spec import Severity
from readygate.verdict import Word, decide
from tests.projects import Project

FIRST = datetime(2026, 3, 1, 12, tzinfo=UTC)
PROFILE = Profile(name="release", question="May it?")


def seen(check: str, outcome: Outcome = Outcome.PASSED) -> Result:
    return Result(check, "api", outcome)


def run(hours: float, *results: Result, **more: object) -> Run:
    started = FIRST + timedelta(hours=hours)
    plain = Run(
        f"{started:%Y%m%dT%H%M%SZ}-abc123",
        Subject("shop", "production", f"1.{hours}"),
        "release",
        State.FINISHED,
        started.isoformat(),
        started.isoformat(),
        results=results or (seen("tls.trusted"),),
    )
    return replace(plain, **more)


def kept(tmp_path: Path, *runs: Run) -> History:
    history = History(tmp_path)
    for each in runs:
        history.keep(each, decide(each, PROFILE, now=datetime.fromisoformat(each.started_at)))
    return history


BROKEN = seen("tls.trusted", Outcome.FAILED)


def test_a_kept_run_can_not_be_replaced_or_written_to(tmp_path: Path) -> None:
    history = kept(tmp_path, run(0))
    (path,) = history.folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    before = path.read_text()
    with pytest.raises(FileExistsError):
        kept(tmp_path, run(0, BROKEN))
    assert [each.read_text() for each in history.folder.iterdir()] == [before]


def test_the_last_green_run_is_the_newest_go_of_the_same_question(tmp_path: Path) -> None:
    staging = run(3, run_id="20260301T150000Z-staging", subject=Subject("shop", "staging"))
    history = kept(tmp_path, run(0), run(1), run(2, BROKEN), staging, run(4, profile="nightly"))
    green = history.last_green(run(5))
    assert green is not None
    assert green.run_id == run(1).run_id


def test_a_run_is_not_its_own_last_green_one(tmp_path: Path) -> None:
    assert kept(tmp_path, run(0)).last_green(run(0)) is None


def test_a_later_green_run_is_not_the_last_one_of_an_old_run(tmp_path: Path) -> None:
    green = kept(tmp_path, run(0), run(2)).last_green(run(1, BROKEN))
    assert green is not None
    assert green.run_id == run(0).run_id


def test_without_a_green_run_there_is_no_last_one(tmp_path: Path) -> None:
    assert kept(tmp_path, run(0, BROKEN)).last_green(run(5)) is None
    assert History(tmp_path / "elsewhere").last_green(run(5)) is None


def test_the_latest_runs_are_the_newest_before_it_of_the_same_question_whatever_their_verdict(tmp_path: Path) -> None:
    other = run(3, profile="nightly")
    history = kept(tmp_path, run(0), run(1, BROKEN), run(2), other, run(4, BROKEN), run(6))
    assert [each.subject.version for each in history.latest(run(5), 3)] == ["1.1", "1.2", "1.4"]
    assert History(tmp_path / "elsewhere").latest(run(5), 3) == ()


def test_a_spoilt_file_costs_no_other_run(tmp_path: Path) -> None:
    history = kept(tmp_path, run(0))
    (history.folder / "20260301T130000Z-spoilt.json").write_text('{"schema_version": 1, "run')
    (history.folder / "20260301T140000Z-foreign.json").write_text("[]")
    assert [each.run_id for each in history.runs()] == [run(0).run_id]
    assert history.last_green(run(5)) is not None


def test_old_runs_are_forgotten_but_never_the_last_green_one(tmp_path: Path) -> None:
    other = run(0, run_id="20260301T110000Z-other", profile="nightly")
    history = kept(tmp_path, run(0), run(1), run(2, BROKEN), run(48, BROKEN), other)
    now = FIRST + timedelta(hours=48)
    assert history.forget(run(48), 24 * 3600.0, now) == 2
    left = {each.run_id for each in history.runs()}
    assert left == {run(1).run_id, run(48).run_id, other.run_id}


def test_a_run_is_found_by_the_beginning_of_its_id_or_its_path(tmp_path: Path) -> None:
    history = kept(tmp_path, run(0), run(1))
    assert history.find("20260301T12").run_id == run(0).run_id
    assert history.find(str(history.folder / f"{run(1).run_id}.json")).run_id == run(1).run_id
    with pytest.raises(UsageError, match="2 kept runs begin with '2026'"):
        history.find("2026")
    with pytest.raises(UsageError, match="no run is called 'yesterday'"):
        history.find("yesterday")


def test_a_comparison_names_what_broke_mended_came_and_went() -> None:
    before = run(0, seen("a"), seen("b", Outcome.FAILED), seen("c"), seen("d", Outcome.ERROR))
    after = run(1, seen("a", Outcome.ERROR), seen("b"), seen("d", Outcome.FAILED), seen("e", Outcome.FAILED))
    difference = compare(before, after)
    named = [
        [each.check for each in part]
        for part in (difference.failing, difference.mended, difference.new, difference.gone, difference.still_open)
    ]
    assert named == [["a"], ["b"], ["e"], ["c"], ["d"]]


def outcomes(tmp_path: Path, letters: str) -> History:
    """One run an hour: p passed, f failed, e could not look."""
    by_letter = {"p": Outcome.PASSED, "f": Outcome.FAILED, "e": Outcome.ERROR}
    return kept(tmp_path, *(run(hour, seen("a", by_letter[each]), seen("b")) for hour, each in enumerate(letters)))


@pytest.mark.parametrize(
    ("letters", "changes"),
    [("pppppp", None), ("pfffff", None), ("pffppp", None), ("pfpfpf", 5), ("pfepfp", 4), ("pepepe", None)],
)
def test_what_goes_to_and_fro_is_flapping(tmp_path: Path, letters: str, changes: int | None) -> None:
    assert flapping(list(outcomes(tmp_path, letters).runs())).get("a @ api") == changes


@pytest.mark.parametrize(
    ("letters", "hours"), [("pppp", []), ("pffp", [2]), ("pfpffp", [1, 2]), ("pfff", []), ("pfep", [2]), ("fp", [1])]
)
def test_mending_takes_from_the_first_failure_to_the_next_success(
    tmp_path: Path, letters: str, hours: list[int]
) -> None:
    assert [each / 3600 for each in times_to_mend(outcomes(tmp_path, letters).runs())] == hours


def rewritten(history: History, of: Run, **more: object) -> None:
    path = history.folder / f"{of.run_id}.json"
    data = json.loads(path.read_text())
    path.chmod(0o644)
    path.write_text(json.dumps({**data, **more}))


def test_a_whole_history_has_no_wounds(tmp_path: Path) -> None:
    assert list(kept(tmp_path, run(0), run(1, BROKEN), run(2)).wounds()) == []
    assert list(History(tmp_path / "elsewhere").wounds()) == []


def test_a_kept_run_that_was_changed_is_found_and_is_no_last_green_one(tmp_path: Path) -> None:
    history = kept(tmp_path, run(0), run(1))
    rewritten(history, run(1), profile="release", problems=["none"])
    assert list(history.wounds()) == [(run(1).run_id, "can't be read, or was changed after it was kept")]
    assert history.last_green(run(5)).run_id == run(0).run_id  # type: ignore[union-attr]


def test_a_kept_run_that_was_replaced_by_another_is_found(tmp_path: Path) -> None:
    history = kept(tmp_path, run(0), run(1))
    (history.folder / f"{run(0).run_id}.json").unlink()
    kept(tmp_path, run(0, BROKEN))
    assert list(history.wounds()) == [(run(0).run_id, "is not the run that was kept under this id")]


def test_a_kept_run_that_is_missing_is_found(tmp_path: Path) -> None:
    history = kept(tmp_path, run(0), run(1), run(2))
    (history.folder / f"{run(1).run_id}.json").unlink()
    assert list(history.wounds()) == [(run(1).run_id, "is missing")]
    assert list(history.wounds(run(0))) == [(run(1).run_id, "is missing")]
    assert list(history.wounds(run(2))) == [(run(1).run_id, "is missing")]


def test_what_retention_deleted_is_not_missed(tmp_path: Path) -> None:
    history = kept(tmp_path, run(0, BROKEN), run(1), run(48))
    (first, *_) = sorted(history.folder.iterdir())
    bytes_of_first = first.read_bytes()
    assert history.forget(run(48), 24 * 3600.0, FIRST + timedelta(hours=48)) == 1
    assert list(history.wounds()) == []
    first.write_bytes(bytes_of_first)  # as a bucket does that still has it
    assert [each.run_id for each in history.runs()] == [run(1).run_id, run(48).run_id]


def test_from_a_history_that_is_yet_to_come_nothing_counts_as_known(tmp_path: Path) -> None:
    """A clock that was set back would else find an older green run than the last one."""
    strict = PROFILE.model_copy(update={"blocks_on": (Severity.BLOCKER,), "blocks_on_new": (Severity.MAJOR,)})
    history, now = kept(tmp_path, run(1)), run(3, BROKEN)
    history.keep(
        run(2, BROKEN), decide(run(2, BROKEN), strict, now=FIRST + timedelta(hours=2), previous=run(1, BROKEN))
    )
    grounds = Grounds(strict, (), (), history)
    assert grounds.judge(now, FIRST + timedelta(hours=3)).word is Word.GO_WITH_WAIVERS
    kept(tmp_path, run(9))
    verdict = grounds.judge(now, FIRST + timedelta(hours=3))
    assert verdict.word is Word.NO_GO
    assert [each.title for each in verdict.findings] == [f"The kept run {run(9).run_id} is yet to come"]


# With runs of a project.


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    made.write("secret.env", "KEY=value\n").chmod(0o600)
    made.write(
        "inventory.yml",
        f"""\
        project: shop
        servers: {{here: {{connect: local://, files: {{{tmp_path}/secret.env: {{mode: "0600", type: file}}}}}}}}
        """,
    )
    return made


def test_each_run_is_kept_and_can_be_listed_and_compared(project: Project) -> None:
    good = project.readygate("run").run["run_id"]
    (project.folder / "secret.env").chmod(0o644)
    bad = project.readygate("run").run["run_id"]
    listed = project.readygate("history")
    assert [line.split()[0] for line in listed.stdout.splitlines()[1:3]] == [good, bad]
    assert "GO" in listed.stdout
    assert "NO-GO" in listed.stdout

    data = json.loads(project.readygate("history", "--json").stdout)
    assert [(each["word"], each["coverage"]["failed"]) for each in data] == [("GO", 0), ("NO-GO", 1)]
    assert json.loads(project.readygate("history", "--json", "--profile", "nightly").stdout) == []

    broke = project.readygate("diff", good, "readygate-out")
    assert broke.code == 1
    assert "newly failing (1)\n  file.mode @ here:" in broke.stdout
    mended = project.readygate("diff", bad, good)
    assert mended.code == 0
    assert "mended (1)" in mended.stdout
    assert "nothing changed" in project.readygate("diff", good, good).stdout


def test_the_report_says_what_changed_since_the_last_green_run(project: Project) -> None:
    project.readygate("run")
    (project.folder / "secret.env").chmod(0o644)
    project.readygate("run")
    page = (project.folder / "readygate-out" / "report.html").read_text()
    changes = page[page.index('id="changes"') :]
    assert changes.index("file.mode @ here") < changes.index("</section>")


def test_a_history_that_can_not_be_written_is_told_and_changes_nothing(project: Project) -> None:
    (project.folder / ".readygate").write_text("in the way")
    ended = project.readygate("run")
    assert (ended.code, ended.word) == (0, "GO")
    assert "keep in history: FAILED" in ended.stdout


def test_only_what_is_newly_broken_blocks_where_the_profile_says_so(project: Project) -> None:
    project.write(
        "reports/release.yml", "question: May it?\nblocks_on: [blocker]\nblocks_on_new: [major, minor, info]\n"
    )
    (project.folder / "secret.env").chmod(0o644)
    assert project.readygate("run").word == "NO-GO"
    (project.folder / "secret.env").chmod(0o600)
    assert project.readygate("run").word == "GO"
    (project.folder / "secret.env").chmod(0o644)
    assert project.readygate("run").word == "NO-GO"


def test_nothing_counts_as_known_from_a_history_that_is_not_whole(project: Project) -> None:
    project.write("reports/release.yml", "question: May it?\nblocks_on: [blocker]\nblocks_on_new: [major]\n")
    own = (project.folder / "inventory.yml").read_text()
    project.write("inventory.yml", f"{own}x-debt: {{old: true}}\n")
    project.write(
        "suites/test_debt.py",
        """\
        import pytest

        @pytest.mark.check("debt.paid", each="x-debt.old", severity="minor")
        def test_paid(expected):
            assert not expected
        """,
    )
    assert project.readygate("run").word == "GO WITH WAIVERS"
    project.write("reports/release.yml", "question: May it?\nblocks_on: [blocker]\nblocks_on_new: [major, minor]\n")
    known = project.readygate("run").run["run_id"]
    assert project.readygate("run").word == "GO WITH WAIVERS"
    (project.folder / ".readygate" / "history" / f"{known}.json").unlink()
    ended = project.readygate("run")
    assert ended.word == "NO-GO"
    assert f"{known} is missing" in " ".join(ended.stdout.split())
    assert f"{known} is missing" in project.readygate("history").stdout


# Where docs/history.md keeps it.


def commands_of_the_docs(remote: str) -> str:
    """The documented commands for a `$REMOTE` or a `$BUCKET`."""
    text = (Path(__file__).parent.parent / "docs" / "history.md").read_text()
    (found,) = [each for each in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) if f"${remote}" in each]
    return str(found).replace("readygate run", f"{sys.executable} -m readygate run")


def job(project: Project, script: str, **environ: str) -> int:
    """A job of CI: it begins without a history, and with nobody's name in git's configuration."""
    shutil.rmtree(project.folder / ".readygate", ignore_errors=True)
    who = {f"GIT_{role}_{what}": "ci@shop.example" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=project.folder,
        env={**os.environ, **who, **environ},
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr
    return done.returncode


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not on the PATH")
def test_a_branch_keeps_the_history_of_jobs_that_begin_with_nothing(project: Project, tmp_path: Path) -> None:
    bare = tmp_path / "remote.git"
    subprocess.run(["git", "init", "-q", "--bare", str(bare)], check=True)
    script = commands_of_the_docs("REMOTE")
    assert job(project, script, REMOTE=str(bare)) == 0
    assert job(project, script, REMOTE=str(bare)) == 0
    # A job that was slower than another one, whose run is in the branch already.
    slower = script.replace("-m readygate run nightly", f"-m readygate run nightly; {_other_job(bare)}", 1)
    assert job(project, slower, REMOTE=str(bare)) == 0
    (project.folder / "secret.env").chmod(0o644)
    assert job(project, script, REMOTE=str(bare)) == 1
    assert [each.word for each in History(project.folder).runs()] == ["GO", "GO", "GO", "NO-GO"]
    assert list(History(project.folder).wounds()) == []


def _other_job(bare: Path) -> str:
    other = f"{bare}.other"
    commit = f"git -C {other} commit -q --allow-empty -m other"
    return f"git clone -q -b readygate-history {bare} {other} && {commit} && git -C {other} push -q"


@pytest.mark.skipif(shutil.which("rclone") is None, reason="rclone is not on the PATH")
def test_a_bucket_keeps_the_history_of_jobs_that_begin_with_nothing(project: Project, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    script, where = commands_of_the_docs("BUCKET"), {"BUCKET": f":local:{bucket}", "RCLONE_CONFIG": "/dev/null"}
    assert job(project, script, **where) == 0
    assert job(project, script, **where) == 0
    (project.folder / "secret.env").chmod(0o644)
    assert job(project, script, **where) == 1
    assert [each.word for each in History(project.folder).runs()] == ["GO", "GO", "NO-GO"]
    assert list(History(project.folder).wounds()) == []
    (spoilt, *_) = sorted(bucket.glob("*.json"))
    spoilt.chmod(0o644)
    spoilt.write_text("somebody was here")
    assert job(project, script, **where) == 1
    assert [name for name, _ in History(project.folder).wounds()] == [spoilt.stem]
