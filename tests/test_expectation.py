"""Expectations: all that may be written is judged as it reads, and what can't fail is refused."""

from __future__ import annotations

import operator
import re
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field, ValidationError

from readygate import units
from readygate.errors import Mistake
from readygate.expectation import (
    LISTENER,
    AtLeastDuration,
    AtMostDuration,
    AtMostPercent,
    Bytes,
    Count,
    Expectation,
    Flag,
    Json,
    Judgement,
    Level,
    Mode,
    Seconds,
    Text,
    TextSet,
    Version,
    explain,
)
from readygate.kinds import (
    ANY,
    COUNT,
    DURATION,
    FLAG,
    MEMBERS,
    MODE,
    NUMBER,
    PERCENT,
    RATE,
    SIZE,
    STATUS,
    TEXT,
    VERSION,
    Kind,
)

# How fast a machine is says nothing of the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

DAY = 86400
PAGE = Path(__file__).parent.parent / "docs" / "expectations.md"
KINDS = {
    kind.name: kind for kind in (ANY, COUNT, DURATION, FLAG, MODE, NUMBER, PERCENT, RATE, SIZE, STATUS, TEXT, VERSION)
}
KINDS["collection"] = MEMBERS(TEXT)
BARE: dict[str, Any] = {"": "==", "at most": "<=", "at least": ">="}
COMPARE = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}


def parse(raw: object, kind: Kind, bare: Any = "==") -> Expectation:
    return Expectation.parse(raw, kind, bare)


# The page


def rows(*columns: str) -> list[list[str]]:
    """The rows of every table on the page that has these columns."""
    found: list[list[str]] = []
    for table in re.findall(r"(?:^\|.*\n)+", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE):
        head, _, *body = [[cell.strip() for cell in line.strip("|\n").split(" | ")] for line in table.splitlines()]
        if [name.strip(" |") for name in head] == list(columns):
            found += [[cell.strip(" |") for cell in line] for line in body]
    return found


def examples(cell: str) -> list[Any]:
    return [yaml.safe_load(code) for code in re.findall(r"`([^`]*)`", cell)]


def documented(row: list[str]) -> Expectation:
    name, _, bare = row[1].partition(", ")
    return parse(examples(row[0])[0], KINDS[name], BARE[bare])


@pytest.mark.parametrize("row", rows("Written", "Kind", "Passes", "Fails"), ids=lambda row: row[0])
def test_documented_form_passes_and_fails_as_the_page_says(row: list[str]) -> None:
    expectation = documented(row)
    for actual in examples(row[2]):
        assert expectation.judge(actual).level is Level.MET
    for actual in examples(row[3]):
        assert expectation.judge(actual).level is Level.FAIL


@pytest.mark.parametrize("row", rows("Written", "Kind", "Passes", "Warns", "Fails"), ids=lambda row: row[0])
def test_documented_levels_are_judged_as_the_page_says(row: list[str]) -> None:
    expectation = documented(row)
    for level, cell in zip((Level.MET, Level.WARN, Level.FAIL), row[2:], strict=True):
        for actual in examples(cell):
            assert expectation.judge(actual).level is level


@pytest.mark.parametrize("row", rows("Written", "Kind", "Answer"), ids=lambda row: row[0])
def test_documented_mistake_is_refused_in_the_words_of_the_page(row: list[str]) -> None:
    with pytest.raises(Mistake) as caught:
        documented(row)
    assert str(caught.value) == row[2]


@pytest.mark.parametrize("row", rows("Kind", "Written", "Means"), ids=lambda row: row[1])
def test_documented_unit_means_what_the_page_says(row: list[str]) -> None:
    kind = KINDS[row[0].partition(",")[0]]
    written, means = (re.findall(r"`([^`]*)`", cell) for cell in row[1:])
    assert [kind.parse(text) for text in written] == [float(number) for number in means]


def test_documented_versions_are_equal_or_older_as_the_page_says() -> None:
    def versions(row: list[str]) -> list[units.Version]:
        return [units.parse_version(cell.strip("`")) for cell in row]

    equal, older = [list(map(versions, rows(*names))) for names in (("Equal", "Equal"), ("Older", "Newer"))]
    assert equal
    assert older
    assert all(one == other for one, other in equal)
    assert all(one < other for one, other in older)


def test_no_table_of_the_page_is_left_out() -> None:
    forms = [("Written", "Kind", "Passes", "Fails"), ("Written", "Kind", "Passes", "Warns", "Fails")]
    forms += [
        ("Written", "Kind", "Answer"),
        ("Kind", "Written", "Means"),
        ("Equal", "Equal"),
        ("Older", "Newer"),
    ]
    lines = re.findall(r"^\|(?!---)", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    tables = re.findall(r"^\|---", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert sum(len(rows(*form)) for form in forms) == len(lines) - len(tables)


# Judging


@given(st.sampled_from(sorted(COMPARE)), st.integers(1, 10**6), st.integers(0, 10**6))
def test_comparison_agrees_with_arithmetic(sign: str, limit: int, actual: int) -> None:
    assert bool(parse(f"{sign}{limit}", COUNT).judge(actual)) is COMPARE[sign](actual, limit)


@given(st.floats(0.001, 1e7), st.floats(0, 1e7))
def test_margin_and_headroom_agree_with_the_verdict(limit: float, actual: float) -> None:
    expectation = parse(f"<={units.show_duration(limit)}", DURATION)
    judgement = expectation.judge(actual)
    assert judgement.margin is not None
    assert judgement.headroom is not None
    assert (judgement.headroom >= 0) is bool(judgement)
    assert judgement.margin.endswith("left" if judgement.headroom > 0 else ("over", "at the limit"))


@given(st.sampled_from(["<=", ">="]), st.integers(1, 99), st.integers(1, 99), st.integers(0, 100))
def test_warning_is_never_later_than_the_failure(bare: str, warn: int, fail: int, actual: int) -> None:
    raw = {"warn": f"{warn}%", "fail": f"{fail}%"}
    if not COMPARE[bare](warn, fail):
        with pytest.raises(Mistake, match="is looser than fail"):
            parse(raw, PERCENT, bare)
        return
    level = parse(raw, PERCENT, bare).judge(actual).level
    holds = {name: COMPARE[bare](actual, limit) for name, limit in (("warn", warn), ("fail", fail))}
    assert level is (Level.FAIL if not holds["fail"] else Level.MET if holds["warn"] else Level.WARN)


@pytest.mark.parametrize(
    ("warn", "fail"),
    [
        ("<=70%", ">=85%"),
        ("<86%", "<85%"),
        ("<=85%", "<85%"),
        (">10%", ">20%, <50%"),
        (">=14%", ">14%"),
        (">=5%", "5%"),
        ("5%", "6%"),
    ],
)
def test_levels_that_point_apart_are_refused(warn: str, fail: str) -> None:
    with pytest.raises(Mistake, match="both say what must hold"):
        parse({"warn": warn, "fail": fail}, PERCENT)


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.decimals(),
    st.timedeltas(), st.lists(st.integers()), st.dictionaries(st.text(), st.text()), st.sets(st.text()),
    st.complex_numbers(),
    st.sampled_from([10**5000, -(10**5000), 1e308, -1e308, 5e-324, object(), [[[1]]], Decimal("sNaN")]),
)  # fmt: skip
ONE_OF_EACH = [
    parse(f"!= {kind.example}", kind) for kind in KINDS.values() if not kind.members and kind is not FLAG
] + [
    parse({"warn": "5%", "fail": "6%"}, PERCENT, "<="),
    parse("<5s", DURATION),
    parse(">5/min", RATE),
    parse(">5M", SIZE),
    parse(">5", ANY),
    parse("!~ x", TEXT),
    parse({"lacks": "x"}, ANY),
    parse({"lacks": "x"}, MEMBERS(TEXT)),
    parse([5], MEMBERS(ANY)),
    parse(True, FLAG),
]


@given(st.sampled_from(ONE_OF_EACH), JUNK)
def test_whatever_was_observed_is_judged_and_told_in_short(expectation: Expectation, actual: object) -> None:
    told = explain(expectation, actual)
    assert "\n" not in told
    assert len(told) < 1000


@pytest.mark.parametrize("expectation", ONE_OF_EACH, ids=str)
@pytest.mark.parametrize("actual", [None, float("nan"), float("inf"), float("-inf"), Decimal("NaN")], ids=str)
def test_nothing_and_no_number_never_pass(expectation: Expectation, actual: object) -> None:
    assert expectation.judge(actual).level is Level.FAIL


@pytest.mark.parametrize(
    ("raw", "kind", "bare", "actual", "told"),
    [
        (200, COUNT, "==", 503, "503, expected 200"),
        ([200, 301], COUNT, "==", 503, "503, expected one of 200, 301"),
        (200, COUNT, "==", None, "nothing, expected 200"),
        (1, COUNT, "==", True, "true (flag), expected 1"),
        (1.1, ANY, "==", "1.1", "'1.1' (text), expected 1.1"),
        ("ok", ANY, "==", ["ok", 1], "[ok, 1], expected ok"),
        ("85%", PERCENT, "<=", 88.1234, "88.12%, expected at most 85%: 3.123% over"),
        ("<85%", PERCENT, "==", 85, "85%, expected below 85%: at the limit"),
        ("200ms", DURATION, "<=", 0.2000003, "200.0003ms, expected at most 200ms: 0.3us over"),
        ("26h", DURATION, "<=", timedelta(hours=20, seconds=7), "20h, expected at most 26h: 6h left"),
        ("14d", DURATION, ">=", -3 * DAY, "-3d, expected at least 14d: 17d short"),
        ({"warn": "30d", "fail": "14d"}, DURATION, ">=", 26 * DAY + 99,
         "26d, expected at least 14d (warns unless at least 30d): 12d left"),
        ({"warn": "30d"}, DURATION, ">=", 20 * DAY, "20d, expected at least 30d (only warns): 10d short"),
        ("512M", SIZE, "<=", 53687091233, "50G, expected at most 512M: 49.5G over"),
        (">=1.22, <2", VERSION, "==", "1.18.0", "1.18.0, expected at least 1.22 and below 2"),
        ("0600", MODE, "==", 0o644, "0644, expected 0600"),
        ("!~ x", TEXT, "==", "a\nx", r'"a\nx", expected not matching x'),
        (">=5, !=7", COUNT, "==", 7, "7, expected at least 5 and anything but 7"),
        (["a", "b"], MEMBERS(TEXT), "==", {"c", "b"}, "b, c, expected exactly a, b: missing a; unexpected c"),
        ({"contains": ["a"], "lacks": ["b"]}, MEMBERS(TEXT), "==", [],
         "empty, expected containing a and without b"),
    ],
)  # fmt: skip
def test_explanation_reads_as_a_person_would_say_it(
    raw: object, kind: Kind, bare: str, actual: object, told: str
) -> None:
    assert explain(parse(raw, kind, bare), actual) == told


@pytest.mark.parametrize(("raw", "actual"), [(True, 1), (1, True), ("!= 0", [1]), ({"lacks": "x"}, 5), ("5", 5)])
def test_json_value_of_another_type_fails(raw: object, actual: object) -> None:
    assert actual not in parse(raw, ANY)


def test_the_worst_of_several_is_the_first_that_fails_or_else_that_warns() -> None:
    expectation = parse({"warn": "30d", "fail": "14d"}, DURATION, ">=")
    assert expectation.worst([40 * DAY, 20 * DAY, 5 * DAY, 3 * DAY]) == 5 * DAY
    assert expectation.worst([40 * DAY, 20 * DAY, 15 * DAY]) == 20 * DAY
    assert expectation.worst([40 * DAY, 50 * DAY]) == 40 * DAY
    assert expectation.worst([40 * DAY, None]) is None
    assert expectation.worst([]) is None


def test_pattern_is_found_anywhere() -> None:
    assert "production db" in parse("~ db", TEXT)


def test_headroom_is_the_share_of_the_limit_that_is_left() -> None:
    assert parse("200ms", DURATION, "<=").judge(0.15).headroom == pytest.approx(0.25)
    assert parse("200ms", DURATION, "<=").judge(0.3).headroom == pytest.approx(-0.5)
    assert parse("<=0", COUNT).judge(3).headroom is None


def test_value_just_beyond_the_limit_is_not_rounded_to_it() -> None:
    assert parse("<=85%", PERCENT).judge(85.00004).actual == "85.00004%"
    assert parse(">=14d", DURATION).judge(14 * DAY - 1).actual == "13d23h59m59s"


def test_long_text_is_shown_by_its_beginning() -> None:
    assert len(parse("short", TEXT).judge("long" * 1000).actual) < 250


def test_member_of_a_text_enum_is_its_value() -> None:
    state = StrEnum("state", {"RUNNING": "running"})
    assert state.RUNNING in parse("running", TEXT)


def test_expectation_keeps_what_was_written() -> None:
    assert parse({"warn": "30d", "fail": "14d"}, DURATION, ">=").text == "{warn: 30d, fail: 14d}"
    assert parse([200, 301], COUNT).text == "[200, 301]"
    assert parse(True, FLAG).text == "true"


def test_equal_expectations_are_equal_and_hashable() -> None:
    assert len({parse({"contains": ["a"]}, MEMBERS(TEXT)), parse({"contains": ["a"]}, MEMBERS(TEXT))}) == 1


def test_plain_assert_tells_the_listener_and_explaining_does_not() -> None:
    heard: list[tuple[Expectation, Judgement]] = []
    expectation = parse(200, COUNT)
    token = LISTENER.set(lambda *told: heard.append(told))
    try:
        assert 200 in expectation
        assert 503 not in expectation
        explain(expectation, 404)
    finally:
        LISTENER.reset(token)
    assert 500 not in expectation
    assert [(judged.actual, judged.level) for _, judged in heard] == [("200", Level.MET), ("503", Level.FAIL)]
    assert heard[0][0] is expectation


# Refusing, beyond what the page shows


@pytest.mark.parametrize("pattern", ["", "^", "$", ".*", ".*?", "^.*$", "(?s).*", "x*", "(a|)", "^.*", r"\s*", "()"])
def test_pattern_that_matches_everything_is_refused(pattern: str) -> None:
    with pytest.raises(Mistake, match="this could never fail"):
        parse(f"~ {pattern}", TEXT)


@pytest.mark.parametrize("pattern", [".", ".+", r"\S", "^$", "^v[0-9]", r"\d{1,3}, ok"])
def test_pattern_that_some_text_fails_is_taken(pattern: str) -> None:
    assert parse(f"~ {pattern}", TEXT)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        ("<0", COUNT), ("<0s", DURATION), ("-1", COUNT), ([-1], COUNT), (["140%"], PERCENT),
        (">100%", PERCENT), ("==5, ==6", COUNT), ("==5, !=5", COUNT), (">=5%, <=5%, <5%", PERCENT),
        (">=5, <=5, !=5", COUNT),
        (">2, <1.9", VERSION), ("==a, >=3", ANY),
    ],
)  # fmt: skip
def test_demand_that_nothing_meets_is_refused(raw: object, kind: Kind) -> None:
    with pytest.raises(Mistake, match="nothing can meet"):
        parse(raw, kind)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [(">=0", COUNT), (">=0", SIZE), (">=0s", DURATION), (">=0/s", RATE), (">=0%, <=100%", PERCENT),
     ("!= 140%", PERCENT), (">-1", COUNT), (">=0", VERSION)],
)  # fmt: skip
def test_demand_that_everything_meets_is_refused(raw: object, kind: Kind) -> None:
    with pytest.raises(Mistake, match="this could never fail"):
        parse(raw, kind)


@pytest.mark.parametrize("level", ["warn", "fail"])
def test_level_that_could_never_matter_is_refused(level: str) -> None:
    with pytest.raises(Mistake, match="this could never fail"):
        parse({level: "<=100%"}, PERCENT)
    with pytest.raises(Mistake, match="null expects nothing"):
        parse({level: None}, PERCENT)


@pytest.mark.parametrize(("wrong", "meant"), [("=", "=="), ("=<", "<="), ("<>", "!="), ("≥", ">="), ("===", "==")])
def test_misspelt_operator_is_told_what_was_meant(wrong: str, meant: str) -> None:
    with pytest.raises(Mistake, match=re.escape(f"did you mean {meant}?")):
        parse(f"{wrong} 5", COUNT)


WRITTEN = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.sampled_from([">=1", "~ a", "<5%"]),
    ),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["warn", "fail", "contains", "lacks", "x"]), inner)
    ),
    max_leaves=6,
)


@given(WRITTEN, st.sampled_from(list(KINDS.values())), st.sampled_from(["==", ">=", "<="]))
def test_whatever_is_written_is_an_expectation_or_a_mistake(raw: object, kind: Kind, bare: str) -> None:
    if bare != "==" and not (kind.ordered and not kind.textual):
        bare = "=="
    try:
        expectation = parse(raw, kind, bare)
    except Mistake as mistake:
        assert mistake.wrong
        assert mistake.mend
    else:
        assert expectation.expected
        assert not expectation.judge(None)


# Fields


class Declared(BaseModel):
    status: Count | None = None
    within: AtMostDuration | None = Field(None, description="The slowest answer.")
    renew_before: AtLeastDuration | None = None
    used: AtMostPercent | None = None
    enabled: Flag | None = None
    mode: Mode | None = None
    server: Text | None = None
    protocols: TextSet | None = None
    json_values: dict[str, Json] = {}
    version: Version | None = None
    every: Seconds = 10.0
    buffer: Bytes = 1024


def test_field_reads_an_expectation() -> None:
    declared = Declared.model_validate({"within": "200ms", "renew_before": "14d", "json_values": {"a": 1}})
    assert declared.within is not None
    assert 0.1 in declared.within
    assert 0.3 not in declared.within
    assert 1 in declared.json_values["a"]
    assert declared.model_dump()["within"] == "200ms"
    assert Declared(within=declared.within).within is declared.within


def test_field_reports_the_mistake_with_its_place() -> None:
    with pytest.raises(ValidationError) as caught:
        Declared.model_validate({"within": "thirty"})
    [error] = caught.value.errors()
    mistake = error["ctx"]["error"]
    assert error["loc"] == ("within",)
    assert isinstance(mistake, Mistake)
    assert mistake.wrong == "'thirty' is not a duration"


def test_setting_is_read_in_seconds_and_bytes() -> None:
    declared = Declared.model_validate({"every": "1h30m", "buffer": "10kB"})
    assert (declared.every, declared.buffer) == (5400, 10_000)


@pytest.mark.parametrize("raw", [{"every": "0s"}, {"every": 10}, {"buffer": 0}, {"every": None}])
def test_setting_of_nothing_or_without_a_unit_is_refused(raw: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Declared.model_validate(raw)


SCHEMA = Draft202012Validator(Declared.model_json_schema())


@pytest.mark.parametrize(
    "raw",
    [
        {"status": 200}, {"status": [200, 301]}, {"status": ">=200, <300"},
        {"status": {"warn": 3, "fail": ">2"}},
        {"enabled": True}, {"enabled": "${ON}"}, {"mode": "0600"}, {"server": {"contains": ["a"]}},
        {"server": {"warn": "a"}}, {"protocols": ["a"]}, {"protocols": {"lacks": "b"}}, {"version": ">=1.22"},
        {"json_values": {"a": "ok", "b": 1, "c": True}}, {"every": "30s"}, {"buffer": 800},
    ],
)  # fmt: skip
def test_schema_takes_what_may_be_written(raw: dict[str, object]) -> None:
    SCHEMA.validate(raw)


@pytest.mark.parametrize(
    "raw",
    [
        {"status": []}, {"status": True}, {"status": {"warm": 3}}, {"status": {}}, {"status": [2, 2]},
        {"status": {"warn": {"fail": 3}}}, {"status": {"contains": 3}}, {"enabled": "yes"}, {"mode": 420},
        {"protocols": "a"}, {"within": 200}, {"version": 1.1}, {"every": 10},
    ],
)  # fmt: skip
def test_schema_marks_what_is_refused(raw: dict[str, object]) -> None:
    assert not SCHEMA.is_valid(raw)


def test_schema_describes_each_field_and_its_own_description_comes_first() -> None:
    properties = Declared.model_json_schema()["properties"]
    assert properties["within"]["description"] == "The slowest answer."
    assert "at most" in str(properties["used"])
    assert "200" not in str(properties["used"]["anyOf"][0]["examples"])
