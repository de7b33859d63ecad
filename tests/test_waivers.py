"""waivers.yml: what is read, what is refused with its line, what `readygate waive` writes, what a run makes of it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from readygate.errors import InventoryError, UsageError
from readygate.excuses import Waiver
from readygate.waivers import read_waivers, waive
from tests.projects import Project

TODAY = datetime.now(UTC).date()
FULL = """\
# why we live with it
waivers:
  - check: tls.renew_before   # the old box
    target: "api*"
    reason: renewed by hand on Friday
    owner: ana
    approver: bo
    ticket: OPS-7
    since: 2026-03-01
    expires: 2026-03-14
    environment: production
    covers_errors: true
"""


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "waivers.yml").write_text(text)
    return tmp_path


def entry(tmp_path: Path, **fields: str) -> Path:
    given = {"check": "tls.trusted", "reason": "known", "owner": "ana", "expires": "2026-03-14", **fields}
    lines = "\n    ".join(f"{key}: {value}" for key, value in given.items() if value)
    return written(tmp_path, f"waivers:\n  - {lines}\n")


def test_everything_that_can_be_written_is_read(tmp_path: Path) -> None:
    assert read_waivers(written(tmp_path, FULL)) == (
        Waiver(
            check="tls.renew_before",
            target="api*",
            reason="renewed by hand on Friday",
            owner="ana",
            expires=date(2026, 3, 14),
            covers_errors=True,
            approver="bo",
            ticket="OPS-7",
            since=date(2026, 3, 1),
            environment="production",
            place="waivers.yml:3",
        ),
    )


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing is waived\n", "# nothing\n\n  # at all"])
def test_a_file_of_comments_waives_nothing(tmp_path: Path, text: str) -> None:
    assert read_waivers(written(tmp_path, text)) == ()


def test_no_file_waives_nothing(tmp_path: Path) -> None:
    assert read_waivers(tmp_path) == ()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"owner": ""}, "waivers.yml:2:5 waivers[0].owner: 'owner' is missing; add it: Who answers for it"),
        ({"reason": ""}, "waivers[0].reason: 'reason' is missing"),
        ({"expires": ""}, "waivers[0].expires: 'expires' is missing"),
        ({"check": ""}, "waivers[0].check: 'check' is missing"),
        ({"expires": "soon"}, "waivers.yml:5:14 waivers[0].expires: 'soon' is not a day; write e.g. 2026-03-31"),
        ({"expires": "2026-02-30"}, "'2026-02-30' is not a day"),
        ({"expires": "20"}, "20 is not a day"),
        ({"since": "2026-04-01"}, "ends on 2026-03-14, before it begins on 2026-04-01"),
        ({"ovner": "bo"}, "waivers.yml:6:5 waivers[0].ovner: unknown key 'ovner'; did you mean 'owner'?"),
        ({"check": '"*"', "target": '"*"'}, "waivers.yml:2:5 waivers[0]: waives everything; name the check"),
        ({"check": '"*"'}, "waives everything"),
        ({"check": '"*.*"', "target": '"?*"'}, "waives everything"),
        ({"check": '"[!x]*"'}, "waives everything"),
        ({"covers_errors": "perhaps"}, "'perhaps' is neither true nor false; write true or false"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, fields: dict[str, str], said: str) -> None:
    with pytest.raises(InventoryError) as caught:
        read_waivers(entry(tmp_path, **fields))
    assert said in str(caught.value)


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    text = "waivers:\n  - {check: tls.trusted, owner: ana, expires: never}\n"
    with pytest.raises(InventoryError) as caught:
        read_waivers(written(tmp_path, text))
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(("check", "target"), [("*", "api"), ("tls.*", "*"), ("*.*", "app-1:*")])
def test_a_broad_waiver_that_still_names_something_is_taken(tmp_path: Path, check: str, target: str) -> None:
    assert read_waivers(entry(tmp_path, check=f'"{check}"', target=f'"{target}"'))


def add(root: Path, **fields: object) -> str:
    given = {"reason": "known", "owner": "ana", "since": TODAY, "expires": TODAY, **fields}
    return waive(root, "tls.trusted", "api", **given)  # type: ignore[arg-type]


def test_waive_adds_to_the_file_and_keeps_what_is_there(tmp_path: Path) -> None:
    before = FULL.rstrip("\n")  # without a newline at the end
    added = add(written(tmp_path, before), reason='it is: "known" # by us', covers_errors=True)
    assert (tmp_path / "waivers.yml").read_text() == f"{before}\n{added}"
    assert read_waivers(tmp_path)[1].reason == 'it is: "known" # by us'
    assert read_waivers(tmp_path)[1].covers_errors


def test_waive_begins_a_file(tmp_path: Path) -> None:
    add(tmp_path)
    assert [each.id for each in read_waivers(tmp_path)] == ["tls.trusted @ api"]


def test_waive_keeps_a_file_of_comments(tmp_path: Path) -> None:
    add(written(tmp_path, "# our waivers\n"))
    assert (tmp_path / "waivers.yml").read_text().startswith("# our waivers\nwaivers:\n")


def test_waive_follows_the_indentation(tmp_path: Path) -> None:
    text = "waivers:\n- {check: tls.trusted, target: a, reason: r, owner: o, expires: 2026-03-14}\n"
    add(written(tmp_path, text))
    assert len(read_waivers(tmp_path)) == 2


def test_waive_refuses_a_file_that_it_would_spoil_and_says_what_to_write(tmp_path: Path) -> None:
    text = "waivers: [{check: tls.trusted, target: a, reason: r, owner: o, expires: 2026-03-14}]\n"
    with pytest.raises(UsageError, match=r"add this by hand:\n  - check: tls\.trusted"):
        add(written(tmp_path, text))
    assert (tmp_path / "waivers.yml").read_text() == text


def test_waive_refuses_what_could_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="reason"):
        add(tmp_path, reason="  ")
    assert not (tmp_path / "waivers.yml").exists()


# With a run.


@pytest.fixture
def broken(tmp_path: Path) -> Project:
    """A project with one failure: a file that others can read."""
    project = Project(tmp_path)
    project.write("secret.env", "KEY=value\n").chmod(0o644)
    project.write(
        "inventory.yml",
        f"""\
        project: shop
        servers:
          here:
            connect: local://
            files: {{{tmp_path}/secret.env: {{mode: "0600", type: file}}}}
        """,
    )
    return project


WAIVE = ("waive", "file.mode", "--reason", "the old box", "--owner", "ana", "--ticket", "OPS-7")


def test_a_waived_failure_is_a_go_with_waivers_until_it_is_taken_back(broken: Project) -> None:
    assert broken.readygate("run").word == "NO-GO"
    assert broken.readygate(*WAIVE, "--for", "14d").code == 0
    ended = broken.readygate("run")
    assert (ended.code, ended.word) == (0, "GO WITH WAIVERS")
    assert "waived by ana" in ended.stdout
    assert broken.readygate("report").code == 0
    (broken.folder / "waivers.yml").unlink()
    assert broken.readygate("report").code == 1


def test_a_waiver_may_be_for_one_environment_only(broken: Project) -> None:
    text = (broken.folder / "inventory.yml").read_text()
    broken.write(
        "inventory.yml",
        f"{text}environments: {{staging: {{release: {{version: a}}}}, production: {{release: {{version: b}}}}}}\n",
    )
    assert broken.readygate(*WAIVE, "--for", "14d", "--env", "staging").code == 0
    assert broken.readygate("run", "--env", "staging").word == "GO WITH WAIVERS"
    ended = broken.readygate("run", "--env", "production")
    assert ended.word == "NO-GO"
    assert "the waiver by ana is for staging" in " ".join(ended.stdout.split())


def test_waive_writes_nothing_where_there_is_no_inventory(tmp_path: Path) -> None:
    ended = Project(tmp_path).readygate(*WAIVE, "--for", "14d")
    assert (ended.code, list(tmp_path.iterdir())) == (2, [])
    assert "inventory.yml: does not exist" in ended.stderr


def test_plain_pytest_knows_the_waivers_too(broken: Project) -> None:
    broken.write(
        "suites/test_files.py",
        """\
        import pytest

        @pytest.mark.check("file.mode", severity="blocker")
        def test_mode(expected):
            assert "0644" in expected

        @pytest.mark.check("file.type")
        def test_type(expected):
            assert "file" in expected
        """,
    )
    assert broken.pytest("suites").word == "NO-GO"
    broken.readygate(*WAIVE, "--for", "14d")
    ended = broken.pytest("suites")
    assert (ended.code, ended.word) == (0, "GO WITH WAIVERS")


def test_an_expired_waiver_no_longer_excuses_a_failure_and_is_named_in_it(broken: Project) -> None:
    broken.readygate(*WAIVE, "--for", "14d")
    yesterday = TODAY - timedelta(1)
    text = (broken.folder / "waivers.yml").read_text()
    (broken.folder / "waivers.yml").write_text(
        text.replace(f"expires: {TODAY + timedelta(14)}", f"expires: {yesterday}").replace(
            f"since: {TODAY}", f"since: {yesterday}"
        )
    )
    ended = broken.readygate("run")
    assert ended.word == "NO-GO"
    assert f"the waiver by ana ran out on {yesterday}" in " ".join(ended.stdout.split())


def test_a_mistake_in_the_waivers_is_found_before_anything_is_looked_at(broken: Project) -> None:
    broken.write("waivers.yml", "waivers:\n  - {check: file.mode, expires: 2026-03-14, owner: ana}\n")
    for ended in (broken.readygate("run"), broken.pytest("--inventory=inventory.yml", ".")):
        assert "waivers.yml:2:5 waivers[0].reason: 'reason' is missing" in ended.stdout + ended.stderr
        assert not (broken.folder / "readygate-out").exists()
    assert broken.readygate("run").code == 2


def test_a_waiver_longer_than_the_profile_allows_excuses_nothing(broken: Project) -> None:
    broken.write(
        "reports/release.yml", "question: May it?\nblocks_on: [blocker, major, minor]\nwaivers: {longest: 30d}\n"
    )
    broken.readygate(*WAIVE, "--for", "31d")
    ended = broken.readygate("run")
    assert ended.word == "NO-GO"
    assert "lasts longer than the 30d" in " ".join(ended.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--expires", "tomorrow"), "'tomorrow' is not a day"),
        (("--expires", "2020-01-01"), "2020-01-01 has passed"),
        (("--for", "a while"), "'a while' is not a duration"),
        (("--for", "1h"), "write e.g. --for 14d"),
        ((), "--expires --for is required"),
        (("--for", "2d", "--expires", "2030-01-01"), "not allowed with"),
    ],
)
def test_waive_wants_a_day_that_is_to_come(broken: Project, arguments: tuple[str, ...], said: str) -> None:
    ended = broken.readygate(*WAIVE, *arguments)
    assert ended.code == 2
    assert said in ended.stderr
    assert not (broken.folder / "waivers.yml").exists()
