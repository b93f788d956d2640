"""What would take a machine's time or memory is refused at once, in a sentence."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from raytao.errors import SpecError
from raytao.spec import Document
from raytao.spec.limits import DEEPEST, LARGEST, LARGEST_INT, MOST_VALUES
from raytao.spec.text import read_file
from tests.at_once import at_once

ENDLESS = "9" * 5000
ENDLESS_HEX = "0x" + "f" * 5000


def deep(levels: int) -> Any:
    """Lists in lists."""
    return [deep(levels - 1)] if levels > 1 else 1


def refusal(text: str | bytes, format: str) -> SpecError:
    with at_once(), pytest.raises(SpecError) as caught:
        Document.parse(text, file="spec", format=format)
    assert caught.value.where is not None
    str(caught.value).encode()
    return caught.value


@pytest.mark.parametrize("ending", [".yaml", ".json"])
def test_a_file_of_100_mb_is_refused_unread(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"spec{ending}"
    with path.open("wb") as file:
        file.truncate(100_000_000)
    with at_once(), pytest.raises(SpecError, match="100,000,000 bytes, more than the 250,000"):
        Document.load(path)


def test_the_largest_file_that_is_read_is_read_in_time() -> None:
    """Comments are the worst: the reader's time over them grows with their square."""
    head = "a: 1\n"
    with at_once():
        text = head + "#\n" * ((LARGEST - len(head)) // 2)
        assert Document.parse(text, file="spec").plain() == {"a": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": ' * 3000, f"nested deeper than {DEEPEST} levels"),
        ("[" * 100_000, f"nested deeper than {DEEPEST} levels"),
        ('{"a": [' + "1," * MOST_VALUES + "1]}", f"more than {MOST_VALUES:,} values"),
        ('{"a": [' + "null," * MOST_VALUES + "1]}", f"more than {MOST_VALUES:,} values"),
        ('{"a": [' + "{}," * MOST_VALUES + "1]}", f"more than {MOST_VALUES:,} values"),
        ('{"a": ' + ENDLESS + "}", "is larger than 2**64"),
        (ENDLESS, "is larger than 2**64"),
        ('"\n' + ENDLESS, "is larger than 2**64"),
        ('{"a": NaN}', "NaN is not finite"),
        ('{"a": -Infinity}', "-Infinity is not finite"),
        ('{"a": 1e999}', "1e999 is not finite"),
        ('{"a": "\\ud800"}', "half a character"),
        ('{"\\udc00": 1}', "half a character"),
        ('{"a": "' + "x" * (LARGEST - 8), "Unterminated string"),
        ('{"a": "' + '\\"' * (LARGEST // 2 - 8), "Unterminated string"),
    ],
)
def test_json_without_end_is_refused(text: str, message: str) -> None:
    assert message in refusal(text, "json").message


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (f"a: {ENDLESS}", "1:4", "is larger than 2**64"),
        (f"a: {ENDLESS_HEX}", "1:4", "0xffffffffffffffffff… is larger than 2**64"),
        (f"a: -{LARGEST_INT + 1}", "1:4", "is larger than 2**64"),
        (f"{ENDLESS[:400]}: 1", "1:1", "is larger than 2**64"),
        ("a: .nan", "1:4", ".nan is not finite"),
        ("a: [1, -.inf]", "1:8", "-.inf is not finite"),
        ("a: 1e999", "1:4", "1e999 is not finite"),
        ('a: "\\ud800"', "1:4", "half a character"),
        ("%YAML 1.1\n---\na: 010\n", "2:1", "a directive is not allowed"),
        ("%TAG !e! tag:x,2000:\n---\na: 1\n", "2:1", "a directive is not allowed"),
        ("a: &x [1]\n? *x\n: 2\n", "2:3", "a list or mapping cannot be a key"),
    ],
)
def test_yaml_that_nobody_can_compute_with_is_refused(text: str, place: str, message: str) -> None:
    error = refusal(text, "yaml")
    assert str(error.where) == f"spec:{place}"
    assert message in error.message


def test_depth_is_counted_alike_in_both_formats() -> None:
    spec = Document.parse("a: null\n", file="spec").with_values({"a": deep(DEEPEST - 1)})
    for format in ("yaml", "json"):
        text = spec.dump(format)
        assert Document.parse(text, file="s", format=format).plain() == spec.plain()
        deeper = text.replace("1", "[1]")
        assert "nested deeper" in refusal(deeper, format).message


def test_brackets_within_quotes_are_text() -> None:
    text = "[" * 100
    for format in ("yaml", "json"):
        spec = Document.parse(f'{{"a": "{text}"}}', file="s", format=format)
        assert Document.parse(spec.dump(), file="s", format=format).get("a") == text


@pytest.mark.parametrize("odd", ["\x85", "\u2028", "\u2029", "\n", "\r", "\t", "\0", "\ufeff"])
@pytest.mark.parametrize("around", ["{}a", "a{}b", "a{}", "{}", "- {}", "# {}"])
def test_an_odd_character_is_written_as_it_was(odd: str, around: str) -> None:
    text = around.format(odd)
    spec = Document.parse(json.dumps({text: [text], "b": text}), file="s", format="json")
    assert Document.parse(spec.dump("yaml"), file="s").plain() == spec.plain()
    edited = Document.parse("a: x # c\n", file="s").with_values({"a": text})
    assert Document.parse(edited.dump(), file="s").get("a") == text


def test_numbers_up_to_the_bounds_are_read() -> None:
    text = f"a: {LARGEST_INT}\nb: -0x{LARGEST_INT:X}\nc: {'0' * 60}7\nd: 1_000\ne: 1.7e308\n"
    wanted = {"a": LARGEST_INT, "b": -LARGEST_INT, "c": 7, "d": 1000, "e": 1.7e308}
    assert Document.parse(text, file="spec").plain() == wanted
    as_json = Document.parse(f'{{"a": {LARGEST_INT}, "e": 1.7e308}}', file="s", format="json")
    assert as_json.plain() == {"a": LARGEST_INT, "e": 1.7e308}
    assert Document.parse("%YAML 1.2\n---\na: 1\n", file="s").plain() == {"a": 1}
    assert Document.parse("a: '.nan'\nb: infinite\n", file="s").get("a") == ".nan"


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("-inf"),
        10**400,
        "\ud800",
        [1, float("inf")],
        [{"x": [10**30]}],
        deep(DEEPEST),
    ],
)
def test_an_edit_that_could_not_be_read_back_is_refused(value: Any) -> None:
    spec = Document.parse("a: null\nb: 1.0\n", file="spec")
    with pytest.raises(SpecError, match=r"spec:1:1: a: ") as caught:
        spec.with_values({"a": value})
    str(caught.value).encode()
    with pytest.raises(SpecError, match=r"spec:1:1: a: "):
        spec.merged({"a": value})


@pytest.mark.parametrize("kind", ["folder", "pipe", "socket", "loop", "dangling", "a\0b", "long"])
def test_what_is_no_file_is_no_spec(kind: str, tmp_path: Path) -> None:
    path = tmp_path / {"long": "x" * 300}.get(kind, kind)
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind in ("loop", "dangling"):
        path.symlink_to(kind if kind == "loop" else "nowhere")
    with socket.socket(socket.AF_UNIX) as server:
        if kind == "socket":
            server.bind(os.path.relpath(path))
        with pytest.raises(SpecError, match=r"no file to read|cannot be read"):
            read_file(path)


def test_bytes_that_are_no_text_are_told_with_their_place() -> None:
    assert "UTF-16" in refusal("{}".encode("utf-16"), "json").message
    error = refusal('{\n "a": "é"}'.encode("latin-1"), "json")
    assert str(error.where) == "spec:2:8"
    assert "0xe9 is not UTF-8" in error.message
    windows = b'\xef\xbb\xbf{\r\n"a": 1\r\n}'
    assert Document.parse(windows, file="s", format="json").plain() == {"a": 1}
    assert "no JSON object" in refusal("[1]", "json").message
    assert "empty" in refusal(b" \n", "json").message
