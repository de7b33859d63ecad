"""Units: what people write is read as they mean it, and shown as they would write it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from readygate import units
from readygate.errors import Mistake

# How fast a machine is says nothing of the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

AMOUNTS = st.floats(min_value=0.001, max_value=1e9)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("26h", 93600), ("200ms", 0.2), ("1h30m", 5400), ("14d", 1209600), ("2w", 1209600), ("1h 30m", 5400)],
)
def test_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    assert units.parse_duration(text) == seconds


@pytest.mark.parametrize(
    "raw",
    ["thirty", "30", "", " ", "30m1h", "1h1h", "-3d", "5 parsecs", "1e3s", "٣d", "9" * 400 + "w", 30, None],
)
def test_duration_without_a_clear_meaning_is_a_mistake(raw: object) -> None:
    with pytest.raises(Mistake, match=r"is not a duration; write e\.g\. 30d, 26h or 200ms"):
        units.parse_duration(raw)


@pytest.mark.parametrize(
    "text", ["26h", "36h", "1h30m", "14d", "4d4h", "200ms", "12us", "1.5s", "59s", "1m1s", "0s", "1m0.25s"]
)
def test_duration_is_shown_as_people_write_it(text: str) -> None:
    assert units.show_duration(units.parse_duration(text)) == text


def test_time_that_has_passed_is_shown_as_negative() -> None:
    assert units.show_duration(-3 * units.DAY) == "-3d"


@given(AMOUNTS)
def test_a_shown_duration_is_read_back(seconds: float) -> None:
    assert units.parse_duration(units.show_duration(seconds)) == pytest.approx(seconds, abs=0.001, rel=1e-5)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512M", 512 * 1024**2),
        ("512m", 512 * 1024**2),
        ("512Mi", 512 * 1024**2),
        ("1.5GiB", 1536 * 1024**2),
        ("10kB", 10_000),
        ("2 TB", 2 * 10**12),
        ("800", 800),
        ("800B", 800),
        (800, 800),
    ],
)
def test_size_is_read_in_bytes(text: object, size: int) -> None:
    assert units.parse_size(text) == size


@pytest.mark.parametrize("raw", ["", "big", "1.5", "0.5B", "-1M", "512mb", "512Q", "1e3", True, -1, 1.5, None])
def test_size_without_a_clear_meaning_is_a_mistake(raw: object) -> None:
    with pytest.raises(Mistake, match="is not a size"):
        units.parse_size(raw)


@pytest.mark.parametrize("text", ["512M", "1.5G", "10kB", "1MB", "800B", "0B", "1K", "1101B"])
def test_size_is_shown_as_people_write_it(text: str) -> None:
    assert units.show_size(units.parse_size(text)) == text


@given(st.integers(0, 2**60))
def test_a_shown_size_is_read_back_to_the_byte(size: int) -> None:
    assert units.parse_size(units.show_size(size)) == size


def test_percentage_may_be_bare() -> None:
    assert units.parse_percent("85%") == units.parse_percent("85") == units.parse_percent(85) == 85.0
    assert units.show_percent(85.0) == "85%"
    assert units.show_percent(99.95) == "99.95%"


@pytest.mark.parametrize("raw", ["", "%", "most", "-5%", "85%%", float("nan"), float("inf"), True])
def test_percentage_without_a_clear_meaning_is_a_mistake(raw: object) -> None:
    with pytest.raises(Mistake, match="is not a percentage"):
        units.parse_percent(raw)


@pytest.mark.parametrize(("text", "per_second"), [("60/min", 1), ("1000/s", 1000), ("9/h", 0.0025), ("86400/d", 1)])
def test_rate_is_read_per_second(text: str, per_second: float) -> None:
    assert units.parse_rate(text) == per_second


@pytest.mark.parametrize("raw", ["60", "60/", "/s", "60/fortnight", "60/min/s", 60])
def test_rate_without_its_period_is_a_mistake(raw: object) -> None:
    with pytest.raises(Mistake, match="is not a rate"):
        units.parse_rate(raw)


@pytest.mark.parametrize("text", ["60/min", "1000/s", "5/h", "100/min", "2/s", "188.3/s", "61/h", "1.01/s", "0.5/d"])
def test_rate_is_shown_as_people_write_it(text: str) -> None:
    assert units.show_rate(units.parse_rate(text)) == text


@given(AMOUNTS)
def test_a_shown_rate_is_read_back(per_second: float) -> None:
    assert units.parse_rate(units.show_rate(per_second)) == pytest.approx(per_second, rel=1e-6)


def test_versions_come_in_the_order_of_their_release() -> None:
    released = [
        "1.9",
        "1.10",
        "2.0~git3",
        "2.0-dev",
        "2.0a1",
        "2.0-beta.2",
        "2.0rc1",
        "2.0",
        "2.0a",
        "2.0k",
        "2.0.1",
    ]
    versions = [units.parse_version(text) for text in released]
    assert versions == sorted(versions)
    assert len({version.key for version in versions}) == len(versions)


@pytest.mark.parametrize("text", ["v9.6", "9.6.0", "1:9.6-2+deb12u1", "9.6-alpine", "9.6 (Debian 9.6-1)", "9.6+git5"])
def test_packaging_is_no_part_of_a_version(text: str) -> None:
    assert units.parse_version(text) == units.parse_version("9.6")


def test_epoch_does_not_make_an_old_version_new() -> None:
    assert units.parse_version("2:1.18") < units.parse_version("1.22")


def test_version_is_shown_as_it_was_reported() -> None:
    assert str(units.parse_version("1:9.6-2+deb12u1")) == "1:9.6-2+deb12u1"


@pytest.mark.parametrize("raw", ["", "latest", "1.22!", "..", True, None, [1]])
def test_version_without_a_number_is_a_mistake(raw: object) -> None:
    with pytest.raises(Mistake, match="is not a version"):
        units.parse_version(raw)


def test_version_without_quotes_is_a_mistake_because_yaml_drops_its_zero() -> None:
    with pytest.raises(Mistake, match=r"loses the last zero of 1\.10; write e\.g\. \"1\.22\", in quotes"):
        units.parse_version(1.10)


@given(
    st.lists(st.integers(0, 999), min_size=1, max_size=4),
    st.lists(st.integers(0, 999), min_size=1, max_size=4),
)
def test_numeric_versions_compare_number_by_number(one: list[int], other: list[int]) -> None:
    width = max(len(one), len(other))
    padded = [numbers + [0] * (width - len(numbers)) for numbers in (one, other)]
    versions = [units.parse_version(".".join(map(str, numbers))) for numbers in (one, other)]
    assert (versions[0] < versions[1]) is (padded[0] < padded[1])
    assert (versions[0] == versions[1]) is (padded[0] == padded[1])
