"""Shards: each line is looked at by one of them, and only all of them together are GO."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from readygate.accounting import ANOTHER_SHARD
from readygate.errors import Position, UsageError
from readygate.merging import Shard, merged
from readygate.results import NotAsked, Outcome, Result, Run, State, Subject
from readygate.spec import Leaf
from tests.projects import Project

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CHECKS = ("a", "b", "c")


def shard(number: int, outcome: Outcome = Outcome.PASSED, minutes_ago: int = 5, of: int = 3, **more: object) -> Run:
    """The run of one shard: its own check as it was seen, and the others left to the other shards."""
    results = tuple(
        Result(each, "api", outcome)
        if at == number
        else Result(each, "api", Outcome.NOT_RUN, message=ANOTHER_SHARD, cause=ANOTHER_SHARD)
        for at, each in enumerate(CHECKS, start=1)
    )
    started = (NOW - timedelta(minutes=minutes_ago)).isoformat()
    subject = Subject("shop", "production", "1.0", "c0ffee")
    plain = Run(
        f"r{number}", subject, "release", State.FINISHED, started, started, "0.1.0", "digest", (), results,
        shard=f"{number}/{of}",
    )  # fmt: skip
    return replace(plain, **more)


def together(*runs: Run) -> Run:
    return merged(runs, oldest_s=3600.0, now=NOW)


def outcomes(run: Run) -> dict[str, str]:
    return {each.check: each.outcome.value for each in run.results}


def test_all_shards_together_are_a_whole_run() -> None:
    whole = together(shard(2), shard(1), shard(3))
    assert [each.check for each in whole.results] == list(CHECKS)
    assert set(outcomes(whole).values()) == {"passed"}
    assert (whole.problems, whole.state, whole.shard) == ((), State.FINISHED, "")


def test_a_missing_shard_is_named_and_its_lines_are_not_verified() -> None:
    whole = together(shard(1), shard(3))
    assert whole.problems == ("shard 2/3 is missing",)
    assert outcomes(whole) == {"a": "passed", "b": "not_run", "c": "passed"}


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (shard(2, minutes_ago=61), "it is older than the 1h that the profile allows"),
        (shard(2, inventory_digest="another"), "it is of another inventory"),
        (shard(2, subject=Subject("shop", "production", "1.1", "c0ffee")), "it is of another version"),
        (shard(2, subject=Subject("shop", "production", "1.0", "decaf")), "it is of another commit"),
    ],
)
def test_a_shard_that_does_not_belong_is_named_and_does_not_count(odd: Run, said: str) -> None:
    whole = together(shard(1, minutes_ago=1), odd, shard(3))
    assert any(each.startswith("shard 2/3 can't be used") and said in each for each in whole.problems)
    assert outcomes(whole)["b"] == "not_run"


def test_a_shard_that_did_not_end_leaves_the_whole_unfinished() -> None:
    assert together(shard(1), shard(2, state=State.RUNNING), shard(3)).state is State.RUNNING
    assert together(shard(1), shard(2, state=State.INTERRUPTED), shard(3)).state is State.INTERRUPTED


def test_of_a_shard_that_ran_twice_the_newer_counts() -> None:
    whole = together(shard(1), shard(2, Outcome.FAILED, 9), shard(2, Outcome.PASSED, 3), shard(3))
    assert outcomes(whole)["b"] == "passed"
    whole = together(shard(1), shard(2, Outcome.FAILED, 3), shard(2, Outcome.PASSED, 9), shard(3))
    assert outcomes(whole)["b"] == "failed"


def test_the_problems_of_a_shard_are_the_problems_of_the_whole() -> None:
    whole = together(shard(1), shard(2, problems=("no space left",)), shard(3))
    assert whole.problems == ("shard 2/3: no space left",)


def test_of_two_networks_the_worst_of_what_was_seen_counts() -> None:
    inside = shard(1, Outcome.FAILED, shard="", run_id="inside")
    outside = shard(1, shard="", run_id="outside")
    assert outcomes(together(inside, outside))["a"] == "failed"


def test_what_one_network_left_out_and_the_other_saw_is_seen() -> None:
    deselected = Result("a", "api", Outcome.NOT_RUN, message="left out", cause="left out")
    inside = shard(1, shard="", results=(deselected,))
    outside = shard(1, shard="", results=(Result("a", "api", Outcome.PASSED),))
    assert outcomes(together(inside, outside)) == {"a": "passed"}
    assert outcomes(together(inside, inside)) == {"a": "not_run"}


def test_of_two_lines_of_one_identity_the_worse_counts() -> None:
    seen = Result("a", "api", Outcome.PASSED, path="sites.api.a")
    unseen = Result("a", "api", Outcome.NOT_RUN, path="tls_ports.api.a", message="left out", cause="left out")
    for results in ((seen, unseen), (unseen, seen)):
        assert outcomes(together(shard(1, shard="", results=results))) == {"a": "not_run"}
        apart = (shard(1, shard="", results=(each,)) for each in results)
        assert outcomes(together(*apart)) == {"a": "not_run"}


def test_a_shard_from_the_future_does_not_count() -> None:
    whole = together(shard(1), shard(2, minutes_ago=-60), shard(3))
    assert any(each.startswith("shard 2/3 can't be used: it is dated") for each in whole.problems)


def test_a_shard_that_is_given_twice_counts_once() -> None:
    once = together(shard(1), shard(2), shard(3))
    assert together(shard(1), shard(2), shard(3), shard(2)).results == once.results


def test_what_any_shard_left_out_is_left_out_of_the_whole() -> None:
    odd = shard(2, not_asked=(NotAsked("load.*", "later", 2),))
    assert together(shard(1), odd, shard(3)).not_asked == odd.not_asked


def test_when_every_shard_is_stale_nothing_is_verified() -> None:
    whole = together(shard(1, minutes_ago=99), shard(2, minutes_ago=98), shard(3, minutes_ago=97))
    assert len(whole.problems) == 3
    assert "passed" not in outcomes(whole).values()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (shard(2, profile="nightly"), "several projects, environments or profiles"),
        (shard(2, subject=Subject("shop", "staging")), "several projects, environments or profiles"),
        (shard(2, of=4), "split into 3 and 4 shards"),
    ],
)
def test_runs_of_different_questions_are_refused(other: Run, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        together(shard(1), other)


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/0", "-1/3", "1/3/5", ""])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"is not a shard; write e\.g\. 3/8"):
        Shard.parse(text)


def leaf(*path: str) -> Leaf:
    return Leaf("check", "target", path, Position(""), None)


@pytest.mark.parametrize("of", [1, 2, 3, 7, 50])
def test_each_entry_is_in_exactly_one_shard_and_they_are_even(of: int) -> None:
    leaves = [leaf("servers", f"app-{number}", field) for number in range(20) for field in ("disk", "memory")]
    leaves += [leaf("x-payments", "kaspi"), leaf("x-payments", "stripe")]
    parts = [Shard(number, of).entries(leaves) for number in range(1, of + 1)]
    assert sum(map(len, parts)) == len(frozenset().union(*parts)) == 21
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


# With runs of a project.


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    servers = "".join(
        f"  host-{number}: {{connect: local://, files: {{/etc/passwd: {{type: file}}}}}}\n" for number in range(4)
    )
    (tmp_path / "inventory.yml").write_text(
        f"project: shop\nservers:\n{servers}x-payments: {{kaspi: {{settles: true}}}}\n"
    )
    made.write(
        "suites/test_payments.py",
        """\
        import pytest

        @pytest.mark.check("payments.settled", each="x-payments.*")
        def test_settled(expected):
            assert expected["settles"] is True
        """,
    )
    return made


def shards(project: Project, of: int) -> list[str]:
    folders = []
    for number in range(1, of + 1):
        ended = project.readygate("run", "--shard", f"{number}/{of}", "--out", f"part-{number}")
        assert ended.code == 3  # a part is never a GO
        folders.append(f"part-{number}")
    return folders


def test_the_shards_of_a_project_make_one_go(project: Project) -> None:
    parts = shards(project, 3)
    assert not (project.folder / ".readygate").exists()
    seen = [json.loads((project.folder / part / "results.json").read_text())["results"] for part in parts]
    looked_at = [[each["target"] for each in part if each["outcome"] == "passed"] for part in seen]
    assert sorted(target for part in looked_at for target in part) == [
        *(f"host-{number}:/etc/passwd" for number in range(4)),
        "kaspi",
    ]
    ended = project.readygate("merge", *parts)
    assert (ended.code, ended.word) == (0, "GO")
    assert ended.run["verdict"]["coverage"]["declared"] == 5
    assert (project.folder / "readygate-out" / "report.html").exists()
    assert len(project.readygate("history").stdout.splitlines()) == 2

    shutil.rmtree(project.folder / parts[1])
    ended = project.readygate("merge", parts[0], parts[2])
    assert (ended.code, ended.word) == (3, "INCOMPLETE")
    assert "shard 2/3 is missing" in ended.stdout


def test_a_shard_is_the_same_with_several_workers(project: Project) -> None:
    alone = project.readygate("run", "--shard", "1/2").run["results"]
    spread = project.readygate("run", "--shard", "1/2", "--", "-n", "2").run["results"]
    assert {(each["target"], each["outcome"]) for each in alone} == {
        (each["target"], each["outcome"]) for each in spread
    }


def test_a_shard_that_there_is_not_is_a_usage_error(project: Project) -> None:
    assert project.readygate("run", "--shard", "4/3").code == 2
