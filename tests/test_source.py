"""Reading one file: which values come out, where they stand, and what is refused; see also inventories/."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from readygate.errors import InventoryError, Position
from readygate.inventory import source
from readygate.inventory.plain_words import in_plain_words


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "inventory.yml"


def value_of(text: str) -> object:
    tree = source.parse(f"key: {text}\n", "inventory.yml")
    return source.to_data(tree)["key"]


def refusal(path: Path) -> str:
    with pytest.raises(InventoryError) as refused:
        source.read(path)
    return str(refused.value).replace(str(path), "FILE")


@pytest.mark.parametrize(
    "text",
    [
        "on",
        "off",
        "yes",
        "no",
        "0600",
        "22:30",
        "2024-01-31",
        "0x1F",
        "0o17",
        "1_000",
        ".inf",
        ".nan",
        "1e999",
    ],
)
def test_what_older_yaml_would_convert_stays_text(text: str) -> None:
    assert value_of(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("TRUE", True),
        ("False", False),
        ("0", 0),
        ("-7", -7),
        ("+7", 7),
        ("2.50", 2.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("12345678901234567890", "12345678901234567890"),
        (".", "."),
        ("1.2.3", "1.2.3"),
    ],
)
def test_plain_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    assert value_of(text) == value
    assert type(value_of(text)) is type(value)


@pytest.mark.parametrize("text", ["'true'", '"12"', "!!str 12", "'null'", "''"])
def test_quoted_values_are_text(text: str) -> None:
    assert value_of(text) == text.removeprefix("!!str ").strip("'\"")


def test_a_number_remembers_how_it_was_written() -> None:
    node = source.parse("version: 1.10\n", "inventory.yml").entries["version"].node
    assert isinstance(node, source.Scalar)
    assert (node.value, node.text) == (1.1, "1.10")


def test_keys_are_text_whatever_they_look_like() -> None:
    tree = source.parse("on: push\n404: page\ntrue: x\n1.5: y\n", "inventory.yml")
    assert list(tree.entries) == ["on", "404", "true", "1.5"]


def test_merged_keys_give_way_to_written_ones_and_earlier_merges_to_none() -> None:
    text = """
        .one: &one {a: 1, b: 1, c: 1}
        .two: &two {b: 2, c: 2, d: 2}
        entry:
          c: 3
          <<: [*one, *two]
        """
    assert source.to_data(source.parse(text, "inventory.yml"))["entry"] == {"a": 1, "b": 1, "c": 3, "d": 2}


def test_a_quoted_merge_sign_is_an_ordinary_key() -> None:
    assert source.to_data(source.parse("'<<': x\n", "inventory.yml")) == {"<<": "x"}


def test_every_value_knows_its_line_and_column() -> None:
    text = "sites:\n  api:\n    tls: {protocols: [TLSv1.2, TLSv1.3]}\n    ref: &x\n      a: 1\n    again: *x\n"
    places = source.positions(source.parse(text, "i.yml"))
    assert places.of(("sites", "api", "tls", "protocols")) == Position("i.yml", 3, 11)
    assert places.of_value(("sites", "api", "tls", "protocols")) == Position("i.yml", 3, 22)
    assert places.of(("sites", "api", "tls", "protocols", 1)) == Position("i.yml", 3, 32)
    assert places.of(("sites", "api", "again", "a")) == Position("i.yml", 5, 7), "where the anchor was written"


def test_a_path_that_was_not_written_is_placed_at_what_is_above_it() -> None:
    places = source.positions(source.parse("sites:\n  api: {url: x}\n", "i.yml"))
    assert places.of(("sites", "api", "tls", "chain")) == Position("i.yml", 2, 3)
    assert places.of_value(("sites", "api", "tls", 0)) == Position("i.yml", 2, 3)
    assert places.of(("servers",)) == Position("i.yml", 1, 1)


def test_a_byte_order_mark_of_utf_8_moves_no_column(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbfsites: caf\xc3\xa9\n")
    assert source.read(file).entries["sites"].key_position == Position(str(file), 1, 1)


def test_windows_line_ends_are_line_ends(file: Path) -> None:
    file.write_bytes(b"a: 1\r\nb: two\r\n")
    assert source.to_data(source.read(file)) == {"a": 1, "b": "two"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "FILE: is empty; run `readygate init` in an empty folder for one to begin with"),
        ("a: é\n".encode("utf-16"), "FILE: is written in UTF-16; save it as UTF-8"),
        (b"a: 1\nb: caf\xe9\n", "FILE:2:7: byte 0xe9 is not UTF-8; save the file as UTF-8"),
        (b"a: 1\n\x00\x01", "FILE:2:1: holds the unprintable character U+0000; delete it"),
        ("a: 1\nb: é\x07\n".encode(), "FILE:2:5: holds the unprintable character U+0007; delete it"),
    ],
    ids=["empty", "utf-16", "latin-1", "binary", "control character"],
)
def test_a_file_that_is_no_text_is_refused(file: Path, content: bytes, message: str) -> None:
    file.write_bytes(content)
    assert refusal(file) == message


def test_a_missing_file_is_refused_with_the_way_to_one(file: Path) -> None:
    assert (
        refusal(file) == "FILE: does not exist; run `readygate init` to write one, or name another with --inventory"
    )


def test_a_directory_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path) == "FILE: is a directory; name the inventory file in it"


def test_a_pipe_is_read_and_one_that_nothing_comes_out_of_is_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "PIPE_WITHIN", 0.1)
    os.mkfifo(file)
    assert refusal(file).startswith("FILE: is a pipe that nothing comes out of; name a file")
    with subprocess.Popen(["sh", "-c", f"echo a: 1 > {file}"]):
        monkeypatch.setattr(source, "PIPE_WITHIN", 10)
        assert source.to_data(source.read(file)) == {"a": 1}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_refused(file: Path) -> None:
    file.touch(mode=0)
    assert refusal(file) == "FILE: can't be read: Permission denied; mend its permissions, or name another file"


def test_a_name_that_the_system_refuses_is_refused(tmp_path: Path) -> None:
    assert "can't be read: File name too long" in refusal(tmp_path / ("x" * 300))


def test_a_huge_file_is_refused_by_its_size(file: Path) -> None:
    with file.open("wb") as sparse:
        sparse.truncate(100 * 1024 * 1024)
    assert refusal(file) == "FILE: is larger than 10 MB; an inventory is written by hand; is this the right file?"


def test_an_endless_device_is_refused() -> None:
    assert "is larger than 10 MB" in refusal(Path("/dev/zero"))


def test_nesting_beyond_any_stack_is_refused() -> None:
    with pytest.raises(InventoryError, match="nested deeper than 100 levels"):
        source.parse("a: " + "[" * 1_000_000, "inventory.yml")


@pytest.mark.parametrize(
    "text", ["a: b: c", "a: 1\nb\nc: 2", "a: [1\nb: 2", 'a: "b', "a: @b", "a: *.gz", "a: - b", "a:\n\tb: 1"]
)
def test_both_parsers_of_pyyaml_are_put_in_the_same_words(text: str) -> None:
    told = []
    for loader in (yaml.SafeLoader, source._LOADER):
        with pytest.raises(yaml.MarkedYAMLError) as error:
            list(yaml.parse(text, Loader=loader))
        told.append(in_plain_words(error.value, text)[1:])
    assert told[0] == told[1]
    assert "is not YAML" not in told[0][0]
