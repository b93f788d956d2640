from __future__ import annotations

import pytest

from raytao.errors import SpecError, Where
from raytao.spec import located, read_yaml
from raytao.spec.yaml import dump_yaml
from tests.at_once import at_once


def refusal(text: str | bytes) -> SpecError:
    with at_once(), pytest.raises(SpecError) as caught:
        read_yaml(text, file="spec.yaml")
    assert caught.value.where is not None
    assert caught.value.where.file == "spec.yaml"
    return caught.value


def test_scalars_are_those_of_yaml_1_2() -> None:
    tree = read_yaml("a: 1e-3\nb: no\nc: 010\nd: 2024-01-31\ne: ~\nf: TRUE\n", file="s")
    assert dict(tree) == {"a": 0.001, "b": "no", "c": 10, "d": "2024-01-31", "e": None, "f": True}


def test_a_byte_order_mark_and_windows_newlines_do_no_harm() -> None:
    assert dict(read_yaml(b"\xef\xbb\xbfa: 1\r\nb: x\r\n", file="s")) == {"a": 1, "b": "x"}


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a:\n\tb: 1\n", "2:1", "a tab cannot indent YAML"),
        ("a: 1\nb: 2\na: 3\n", "3:1", "duplicate key 'a', first given in line 1"),
        ("a:\n- b: 1\n  'b': 2\n", "3:3", "duplicate key 'b', first given in line 2"),
        ("a: b: c\n", "1:5", "mapping values are not allowed here"),
        ("a: [1,\n", "1:7", "expected the node content"),
        ("a: 1\n---\nb: 2\n", "2:1", "another document"),
        ("a: \x01\n", "1:4", "U+0001"),
        ("? [1]\n: x\n", "1:3", "cannot be a key"),
        ("a: *x\n", "1:4", "undefined alias"),
        ("a: &x [*x]\n", "1:8", "alias 'x' contains itself"),
        ("a: !!python/object/apply:os.system [ls]\n", "1:4", "tag"),
        ("a: !Custom {b: 1}\n", "1:4", "tag '!Custom' is not allowed"),
        ("a: !!str 5\n", "1:4", "is not allowed"),
    ],
)
def test_an_error_shows_the_place_and_the_line(text: str, place: str, message: str) -> None:
    error = refusal(text)
    assert str(error).startswith(f"spec.yaml:{place}: ")
    assert message in error.message
    caret = error.message.split("\n")[-1]
    assert caret.strip() == "^"
    assert caret.index("^") - 4 == int(place.split(":")[1]) - 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        (b" \n", "empty"),
        ("# only a comment\n", "holds nothing"),
        ("- 1\n", "holds a list"),
        ("text\n", "holds a single value"),
        (b"a: \xe9\n", "spec.yaml:1:4: byte 0xe9 is not UTF-8"),
        ("a: 1".encode("utf-16"), "UTF-16"),
        ("a: 1".encode("utf-16-le"), "UTF-16"),
        ("a: 1\n" * 900_000, "4,500,000 bytes"),
    ],
)
def test_what_is_no_spec_is_refused(text: str | bytes, message: str) -> None:
    assert message in str(refusal(text))


def bomb(levels: int, width: int) -> str:
    lines = ["a0: &a0 [x]"]
    for i in range(1, levels):
        aliases = ", ".join([f"*a{i - 1}"] * width)
        lines.append(f"a{i}: &a{i} [{aliases}]")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (bomb(10, 9), "values once aliases are expanded"),
        (bomb(60, 1), "nested deeper than 50 levels"),
        ("a: " + "[" * 200_000, "nested deeper than 50 levels"),
        ("".join(" " * i + "a:\n" for i in range(600)), "nested deeper than 50 levels"),
        ("a: " + "{a: " * 3000, "nested deeper than 50 levels"),
    ],
)
def test_what_would_exhaust_the_machine_is_refused_at_once(text: str, message: str) -> None:
    assert message in str(refusal(text))


def test_fifty_levels_and_plain_aliases_are_read() -> None:
    text = "".join(" " * i + "a:\n" for i in range(48)) + " " * 48 + "a: 1\n"
    assert read_yaml(text, file="s")
    tree = read_yaml("a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}\n", file="s")
    assert tree["c"]["b"] == 1
    assert dict(tree["d"]) == {"b": 1, "e": 2}


def test_comments_order_and_quotes_are_kept() -> None:
    text = '# head\nb: 1  # one\na:\n  # inner\n  c: "x"\n  d: [1, 2]  # list\n# tail\n'
    assert dump_yaml(read_yaml(text, file="s")) == text


def test_long_lines_are_not_folded() -> None:
    text = f"a: {'word ' * 500}end\n"
    assert dump_yaml(read_yaml(text, file="s")) == text


def test_floats_are_numbers_to_yaml_1_1_too() -> None:
    assert dump_yaml({"a": 1e-05, "b": 2.5e20, "c": 0.5}) == "a: 1.0e-05\nb: 2.5e+20\nc: 0.5\n"


def test_a_key_is_located() -> None:
    tree = read_yaml("a:\n  b:\n  - c: 1\n", file="s")
    assert located(tree, "a", "b", file="s") == Where("s", 2, 3)
    assert located(tree, "a", "b", 0, "c", file="s") == Where("s", 3, 5)
    assert located(tree, "a", "zzz", file="s") == Where("s", 1, 1)
    assert located(tree, "zzz", file="s") == Where("s")
