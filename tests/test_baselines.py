"""`readygate baselines`: what a service answers is written down, and never taken for a verdict."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.projects import Ended, Project
from tests.web import reply, self_signed, tls_context, web_server

GOLDEN = """\
# The golden cases: what the algorithm has to say.
sites:
  api:
    endpoints:
      produce:                     # asked by POST
        path: /produce
        method: POST
        cases:
          375-42108: {send_json: {article: 375-42108}, json: {needed: 8, "unit": 'pcs'}}   # the golden one
          other:
            send_json: {article: "100"}
            status: 200
            json:
              needed: 3            # counted by hand
              note: "old"
              rate: ">=1"
"""
KNOWN = {"375-42108": {"needed": 8, "unit": "pcs"}, "100": {"needed": 3, "note": "old", "rate": 2}}
Changed = dict[str, dict[str, object]]


@pytest.fixture
def answers() -> Changed:
    return {article: dict(answer) for article, answer in KNOWN.items()}


@pytest.fixture
def service(answers: Changed) -> Iterator[int]:
    def answer(request: BaseHTTPRequestHandler) -> None:
        asked = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        said = answers[asked["article"]]
        reply(request, int(str(said.get("status", 200))), json.dumps(said).encode())

    with web_server(answer) as port:
        yield port


@pytest.fixture
def golden(tmp_path: Path, service: int) -> Project:
    project = Project(tmp_path)
    project.write(
        "inventory.yml",
        f"project: printfarm\ninclude: [golden/*.yml]\nsites:\n  api: {{url: 'http://127.0.0.1:{service}'}}\n",
    )
    project.write("golden/cases.yml", GOLDEN)
    return project


def update(project: Project, *arguments: str, **environ: str) -> Ended:
    return project.readygate("baselines", "--update", *arguments, **{"CI": "", **environ})


def written(project: Project) -> str:
    return (project.folder / "golden/cases.yml").read_bytes().decode()


def test_answers_that_are_as_written_change_nothing(golden: Project) -> None:
    ended = update(golden)
    assert (ended.code, written(golden)) == (0, GOLDEN)
    assert "2 cases asked, and each answer is the one that is written" in ended.stdout


def test_only_the_values_that_differ_are_written_and_the_diff_is_shown(golden: Project, answers: Changed) -> None:
    answers["375-42108"] |= {"needed": 9, "unit": "it's"}
    answers["100"] |= {"needed": 3.5, "note": 'a "new" one\nin two lines'}
    assert golden.readygate("run").code == 1
    ended = update(golden)
    expected = GOLDEN.replace("needed: 8", "needed: 9").replace("'pcs'", "'it''s'")
    expected = expected.replace("needed: 3 ", "needed: 3.5 ").replace('"old"', r'"a \"new\" one\nin two lines"')
    assert written(golden) == expected
    assert "api:produce:375-42108:needed: 8 -> 9" in ended.stdout
    assert "-              needed: 3            # counted by hand" in ended.stdout
    assert "4 answers written. Nothing was judged" in ended.stdout
    assert golden.readygate("run").code == 0


def test_what_writes_never_ends_as_a_go(golden: Project, answers: Changed) -> None:
    answers["100"]["needed"] = 4
    assert update(golden).code == 3
    assert not (golden.folder / "readygate-out").exists()
    refused = golden.readygate("run", "--update-baselines")
    assert refused.code == 2
    assert "readygate baselines --update" in refused.stderr


def test_without_update_nothing_is_written(golden: Project, answers: Changed) -> None:
    answers["100"]["needed"] = 4
    ended = golden.readygate("baselines")
    assert (ended.code, written(golden)) == (3, GOLDEN)
    assert "would be written: add --update" in ended.stdout


def test_ci_writes_nothing_unless_told(golden: Project, answers: Changed) -> None:
    answers["100"]["needed"] = 4
    assert update(golden, CI="true").code == 2
    assert written(golden) == GOLDEN
    assert update(golden, "--even-in-ci", CI="true").code == 3
    assert "needed: 4 " in written(golden)


def test_cases_are_chosen_by_their_target(golden: Project, answers: Changed) -> None:
    answers["375-42108"]["needed"] = answers["100"]["needed"] = 5
    update(golden, "*:375-*")
    assert written(golden) == GOLDEN.replace("needed: 8", "needed: 5")
    assert "no cases match nothing:*" in update(golden, "nothing:*").stderr


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"status": 500, "needed": 0}, "it answers 500, where 200 is declared"),
        ({"needed": [1]}, "the answer has more than one value there"),
        ({}, "the answer has nothing there"),
        ({"needed": 4, "rate": 0}, "rate should be at least 1"),
        ({"needed": "see ${HOME}"}, "can't be written as an expectation"),
        ({"needed": "hunter2-of-the-shop"}, "holds a secret"),
    ],
)
def test_an_answer_that_cannot_be_right_is_not_taken(
    golden: Project, answers: Changed, answer: dict[str, object], why: str
) -> None:
    file = golden.folder / "inventory.yml"
    file.write_text(file.read_text() + "x-known: ${secret:SHOP_PASSWORD}\n")
    answers["100"] = {"note": "old", "rate": 2, **answer}
    ended = update(golden, SHOP_PASSWORD="hunter2-of-the-shop")
    assert (ended.code, written(golden)) == (3, GOLDEN)
    assert why in ended.stdout
    assert "1 not taken" in ended.stdout
    assert "hunter2" not in ended.stdout + ended.stderr


def test_an_error_without_a_declared_status_is_not_taken(golden: Project, answers: Changed) -> None:
    answers["375-42108"] = {"status": 404, "needed": 0, "unit": "x"}
    ended = update(golden)
    assert written(golden) == GOLDEN
    assert "if that is right, declare `status: 404`" in ended.stdout


def test_an_answer_that_looks_like_an_operator_is_written_so_that_it_is_none(
    golden: Project, answers: Changed
) -> None:
    answers["100"]["note"] = ">=5"
    update(golden)
    assert golden.readygate("run").code == 0
    answers["100"]["note"] = "7"
    assert golden.readygate("run").code == 1


@pytest.mark.parametrize(
    ("ours", "why"),
    [
        (lambda text: text.replace("needed: 8", "needed: &n 8").replace("needed: 3 ", "needed: *n "), "by an anchor"),
        (lambda text: text.replace('"old"', '"${NOTE:-old}"'), "is no plain value that could be replaced"),
    ],
)
def test_what_is_not_written_there_alone_is_left_to_a_person(
    golden: Project, answers: Changed, ours: Callable[[str], str], why: str
) -> None:
    golden.write("golden/cases.yml", ours(GOLDEN))
    answers["100"] |= {"needed": 9, "note": "new"}
    ended = update(golden, "*:other")
    assert ended.code in (2, 3)
    assert written(golden) == ours(GOLDEN)
    assert why in ended.stdout + ended.stderr


def test_line_ends_mode_and_byte_order_mark_stay(golden: Project, answers: Changed) -> None:
    file = golden.folder / "golden/cases.yml"
    file.write_bytes(b"\xef\xbb\xbf" + GOLDEN.replace("\n", "\r\n").replace("by hand", "by hand ☺ 🂡").encode())
    file.chmod(0o640)
    before = file.read_bytes()
    answers["100"] |= {"needed": 4, "note": "neu: ü"}
    update(golden)
    assert file.read_bytes() == before.replace(b"needed: 3", b"needed: 4").replace(b'"old"', '"neu: ü"'.encode())
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_file_of_another_project_is_not_written(golden: Project, answers: Changed, tmp_path: Path) -> None:
    inner = Project(tmp_path / "inner")
    text = (golden.folder / "inventory.yml").read_text().replace("golden/*", "../golden/*")
    inner.write("inventory.yml", text)
    answers["100"]["needed"] = 4
    ended = update(inner)
    assert written(golden) == GOLDEN
    assert "which is not of this project" in ended.stdout


def test_a_server_without_trust_is_never_believed(tmp_path: Path) -> None:
    declared = """\
project: shop
sites:
  api:
    url: https://127.0.0.1:{port}
    tls: {{trusted: true, matches_host: true}}
    endpoints:
      /n: {{cases: {{n: {{query: a=1, json: {{n: 1}}}}}}}}
"""
    context = tls_context(tmp_path, self_signed("127.0.0.1"))
    with web_server(lambda request: reply(request, body=b'{"n": 2}'), context) as port:
        text = declared.format(port=port)
        Project(tmp_path).write("inventory.yml", text)
        ended = update(Project(tmp_path))
    assert ended.code == 3
    assert "can't be trusted" in ended.stdout
    assert (tmp_path / "inventory.yml").read_text() == text
