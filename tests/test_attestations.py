"""attestations: what is read, what is refused, until when a word holds, and what a run makes of it."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from readygate.attestations import attest, holding, read_attestations
from readygate.errors import InventoryError
from readygate.results import Outcome, Result
from tests.projects import Project

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
REHEARSED = "{name: rollback-rehearsed, by: ana, at: AT, evidence: https://wiki.example/drill}"


def written(tmp_path: Path, at: str, name: str = "attestations.yml") -> Path:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"attestations:\n  - {REHEARSED.replace('AT', at)}\n")
    return tmp_path


def wanted(every: str) -> Result:
    return Result("attestation.every", "rollback-rehearsed", Outcome.NOT_RUN, expected=every)


def until(tmp_path: Path, at: str, every: str) -> tuple[date, date | None]:
    (only,) = holding(read_attestations(written(tmp_path, at), NOW), [wanted(every)])
    return only.expires, only.warns


@pytest.mark.parametrize(
    ("at", "every", "expires", "warns"),
    [
        ("2026-03-01", "90d", date(2026, 5, 30), None),
        ('"2026-03-01T23:30Z"', "1d", date(2026, 3, 2), None),
        ('"2026-03-01T23:30-02:00"', "1d", date(2026, 3, 3), None),
        ("2026-03-01", "{warn: 80d, fail: 90d}", date(2026, 5, 30), date(2026, 5, 20)),
        ("2026-03-01", "<=90d", date(2026, 5, 30), None),
        ("2026-03-01", "nonsense", date(2026, 3, 1), None),
    ],
)
def test_a_word_holds_for_as_long_as_the_inventory_says(
    tmp_path: Path, at: str, every: str, expires: date, warns: date | None
) -> None:
    assert until(tmp_path, at, every) == (expires, warns)


@pytest.mark.parametrize(("at", "is_held"), [("2026-03-02T00:30Z", True), ("2026-03-01T23:30Z", False)])
def test_a_word_for_hours_holds_to_the_minute_and_not_to_midnight(tmp_path: Path, at: str, is_held: bool) -> None:
    (only,) = holding(read_attestations(written(tmp_path, f'"{at}"'), NOW), [wanted("12h")])
    assert only.has_run_out(NOW) is not is_held
    assert only.until.endswith(":30 UTC")


def test_a_word_that_nothing_asks_for_does_not_hold(tmp_path: Path) -> None:
    (only,) = holding(read_attestations(written(tmp_path, "2026-03-01"), NOW), [])
    assert only.expires == date(2026, 3, 1)


def test_words_may_stand_in_files_of_their_own(tmp_path: Path) -> None:
    written(tmp_path, "2026-03-01")
    written(tmp_path, "2026-02-01", "attestations/ana.yml")
    places = [each.place for each in read_attestations(tmp_path, NOW)]
    assert places == ["attestations.yml:2", "attestations/ana.yml:2"]


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("2026-03-03", "attestations.yml:2:5 attestations: 2026-03-03 00:00 UTC is yet to come; attest what"),
        ("lately", "'lately' is not a day or a time"),
        ("7", "7 is not a day or a time"),
    ],
)
def test_a_date_that_can_not_be_is_refused(tmp_path: Path, at: str, said: str) -> None:
    with pytest.raises(InventoryError) as caught:
        read_attestations(written(tmp_path, at), NOW)
    assert said in str(caught.value)


def test_attest_adds_to_the_file(tmp_path: Path) -> None:
    written(tmp_path, "2026-03-01")
    attest(tmp_path, "runbook-reviewed", by="bo", at=NOW, evidence="read it: all of it")
    assert [(each.name, each.evidence) for each in read_attestations(tmp_path, NOW)] == [
        ("rollback-rehearsed", "https://wiki.example/drill"),
        ("runbook-reviewed", "read it: all of it"),
    ]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    made.write(
        "inventory.yml",
        """\
        project: shop
        servers: {here: {connect: local://, files: {/etc/passwd: {type: file}}}}
        attestations: {rollback-rehearsed: {every: 90d}}
        """,
    )
    return made


def test_a_plan_names_the_file_that_a_person_writes(project: Project) -> None:
    ended = project.readygate("plan")
    assert ended.code == 0
    assert re.search(r"attestation[.]every +rollback-rehearsed .* attestations[.]yml$", ended.stdout, re.MULTILINE)


def test_a_run_is_incomplete_until_somebody_attests(project: Project) -> None:
    ended = project.readygate("run")
    assert (ended.code, ended.word) == (3, "INCOMPLETE")
    assert "nobody has attested it" in ended.stdout
    assert "readygate attest rollback-rehearsed" in " ".join(ended.stdout.split())
    assert project.readygate("attest", "rollback-rehearsed", "--by", "ana", "--evidence", "drill of today").code == 0
    ended = project.readygate("run")
    assert (ended.code, ended.word) == (0, "GO")
    assert ended.run["verdict"]["coverage"]["attested"] == 1
    assert project.readygate("report").code == 0


def test_a_word_that_nobody_asked_for_is_refused_with_what_was_meant(project: Project) -> None:
    said = ("--by", "ana", "--evidence", "drill of today")
    more = "environments: {prod: {attestations: {runbook-reviewed: {every: 90d}}}}\nx-secret: '${NOT_SET}'\n"
    project.write("inventory.yml", (project.folder / "inventory.yml").read_text() + more)
    ended = project.readygate("attest", "rollback-rehersed", *said)
    assert (ended.code, ended.stderr) == (
        2,
        "no attestation is called 'rollback-rehersed'; did you mean 'rollback-rehearsed'?\n",
    )
    assert not (project.folder / "attestations.yml").exists()
    assert project.readygate("attest", "runbook-reviewed", *said).code == 0


def test_an_old_word_is_not_enough(project: Project) -> None:
    written(project.folder, "2020-01-01")
    ended = project.readygate("run")
    assert ended.word == "INCOMPLETE"
    assert "ran out on 2020-03-31" in " ".join(ended.stdout.split())


def test_a_word_for_the_future_is_refused_before_anything_is_looked_at(project: Project) -> None:
    written(project.folder, "2999-01-01")
    ended = project.readygate("run")
    assert ended.code == 2
    assert "attestations.yml:2:5" in ended.stdout + ended.stderr
