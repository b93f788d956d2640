from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raytao.errors import SpecError
from raytao.spec import Document, flatten
from raytao.spec.limits import DEEPEST, LARGEST, LARGEST_INT, MOST_VALUES
from tests.at_once import at_once

TEXT = """\
# a spec
title = 'a # b'  # quoted
[train]
lr = 1_0.5   # half
epochs = +1_2
steps = [
  1,  # one
  2,
]
optim = { name = "adam", "b.1" = 0.9 }
note = '''
two
lines'''
[[blocks]]
width = 8
[blocks.norm]
kind = "bn"
[[ blocks ]]
width = 8
norm.kind = "gn"
"""


def spec(text: str | bytes = TEXT) -> Document:
    return Document.parse(text, file="s.toml", format="toml")


def refusal(text: str | bytes) -> SpecError:
    with at_once(), pytest.raises(SpecError) as caught:
        spec(text)
    assert caught.value.where is not None
    str(caught.value).encode()
    return caught.value


def test_values_are_those_of_the_standard_library() -> None:
    assert spec().plain() == tomllib.loads(TEXT)
    assert spec().dump() == TEXT


@pytest.mark.parametrize(
    ("key", "value", "old", "new"),
    [
        ("title", "it", "'a # b'", "'it'"),
        ("title", "it's\n", "'a # b'", '"it\'s\\n"'),
        ("train.lr", 1e-5, "1_0.5", "1e-05"),
        ("train.lr", 3, "1_0.5", "3.0"),
        ("train.epochs", 3, "+1_2", "3"),
        ("train.epochs", 0.5, "+1_2", "0.5"),
        ("train.steps", [1], "1,  # one\n  2,", "1,"),
        ("train.steps", [4, 2], "1,  #", "4,  #"),
        ("train.steps", [1, 2, 3, 4], "  2,", "  2,\n  3,\n  4,"),
        ("train.steps", [], "[\n  1,  # one\n  2,\n]", "[]"),
        ("train.optim.name", "sgd", '"adam"', '"sgd"'),
        ("train.optim.b.1", 0.5, "0.9", "0.5"),
        ("train.optim", {"name": "x"}, '{ name = "adam", "b.1" = 0.9 }', '{ name = "x" }'),
        ("train.note", "one", "two\nlines", "one"),
        ("train.note", "it's '''", "'''\ntwo\nlines'''", "\"it's '''\""),
        ("blocks.width", 3, "width = 8", "width = 3"),
    ],
)
def test_an_edit_keeps_all_around_it(key: str, value: Any, old: str, new: str) -> None:
    edited = spec().with_values({key: value})
    assert edited.dump() == TEXT.replace(old, new)
    assert edited.get(key) == value
    assert spec(edited.dump()).plain() == edited.plain()


def test_a_float_stays_one() -> None:
    assert type(spec().with_values({"train.lr": 3}).get("train.lr")) is float
    assert type(spec().with_values({"train.epochs": 3}).get("train.epochs")) is int


def test_a_key_through_tables_of_an_array_means_all_of_them() -> None:
    assert spec().get("blocks.width") == 8
    assert spec().get("blocks.norm.kind") == ["bn", "gn"]
    edited = spec().with_values({"blocks.norm.kind": "ln"})
    assert edited.dump() == TEXT.replace("bn", "ln").replace("gn", "ln")
    assert str(spec().where("blocks.norm.kind")) == "s.toml:17:1"


def test_an_edit_that_is_spread_over_the_text_writes_it_anew() -> None:
    edited = spec().with_values({"blocks": [{"width": 1}], "train.lr": 0.5})
    assert edited.plain() == {
        **spec().plain(),
        "train": {**spec().plain()["train"], "lr": 0.5},
        "blocks": [{"width": 1}],
    }
    assert spec(edited.dump()).plain() == edited.plain()


def test_keys_are_added_where_their_table_ends() -> None:
    merged = spec().merged({"train": {"new": [1]}, "top": {"a": 1}}, allow_new=True)
    assert merged.dump() == TEXT.replace("lines'''\n", "lines'''\nnew = [1]\n").replace(
        "# quoted\n", "# quoted\ntop = { a = 1 }\n"
    )
    inner = spec().merged({"train": {"optim": {"new": 1}}}, allow_new=True)
    assert inner.get("train.optim.new") == 1
    headers = spec("[a]\n[b]\nc.d = 1").merged({"x": 1, "b": {"c": {"e": 2}}}, allow_new=True)
    assert headers.plain() == {"x": 1, "a": {}, "b": {"c": {"d": 1, "e": 2}}}


@pytest.mark.parametrize("value", [None, [1, None]])
def test_null_is_refused(value: Any) -> None:
    with pytest.raises(SpecError, match=r"s\.toml:1:1: a: TOML has no null"):
        spec('a = "???"').with_values({"a": value})
    with pytest.raises(SpecError, match=r"train\.lr: None is null"):
        spec().with_values({"train.lr": None})


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a = \n", "1:", "not TOML: Invalid value"),
        ("a = 1\nb = 2\na = 3\n", "3:6", "Cannot overwrite a value"),
        ("[a]\n[a]\n", "2:3", "Cannot declare ('a',) twice"),
        ("a = {b = 1,\r\n}", "1:", "not TOML"),
        ("a = 'x", "1:", "not TOML"),
        ("a = [1,\n\n", "1:8", "not TOML"),
        ("a = 1\nb = [1, -inf]", "2:9", "-inf is not finite"),
        ("a = nan", "1:5", "nan is not finite"),
        ("a = 2024-01-31", "1:5", "a date is no value of a spec"),
        ("a = [2024-01-31 07:32:00, 1]", "1:6", "a date is no value of a spec"),
        ("a = 07:32:00", "1:5", "a date is no value of a spec"),
        (f"a = {'9' * 5000}", "1:5", "larger than 2**64"),
        (f"a = 0x{'f' * 5000}", "1:5", "larger than 2**64"),
        (f"a = -{LARGEST_INT + 1}", "1:5", "larger than 2**64"),
        ("a = 1e999", "1:5", "inf is not finite"),
        ("a = " + "[" * 100_000, "1:", f"nested deeper than {DEEPEST} levels"),
        ("a = " + "{a = " * 40_000, "1:", f"nested deeper than {DEEPEST} levels"),
        ("a." * 90_000 + "b = 1", "1:", f"nested deeper than {DEEPEST} levels"),
        ("'a'. " * 40_000 + "b = 1", "1:", f"nested deeper than {DEEPEST} levels"),
        ("a." * 30 + "b = " + "[" * 30 + "]" * 30, "1:", f"nested deeper than {DEEPEST} levels"),
        ("a = [" + "1," * MOST_VALUES + "]", "1:", f"more than {MOST_VALUES:,} values"),
        ("[[a]]\n" * MOST_VALUES, "", f"more than {MOST_VALUES:,} values"),
        ('"' * (LARGEST - 9), "1:", "not TOML"),
        ('a = "' + '\\"' * (LARGEST // 2 - 9), "1:", "not TOML"),
        ("a = 'x" + "\n", "1:", "not TOML"),
    ],
)
def test_what_is_refused_is_refused_at_once_with_its_place(
    text: str, place: str, message: str
) -> None:
    error = refusal(text)
    assert message in error.message
    assert str(error.where).startswith(f"s.toml:{place}")
    assert error.message.split("\n")[-1].strip() == "^"


def test_the_largest_file_is_read_in_time() -> None:
    head = "a = 1\n"
    with at_once():
        assert spec(head + "#\n" * ((LARGEST - len(head)) // 2)).plain() == {"a": 1}


def test_quotes_and_brackets_within_strings_are_text() -> None:
    text = (
        'a = """x"""""\nb = \'\'\'[[\'\'\'\n"c.d" = "#"  # "\n\'e\' = "{\\"[" \nf = ["]", \'}\']\n'
        'g = """\\\n   y """\n"\\u00e9".h = 1\n'
    )
    assert spec(text).plain() == tomllib.loads(text)
    for key, value in flatten(spec(text).plain()).items():
        new: Any = f'{value}\'"""\r'
        if not isinstance(value, str):
            new = [*value, 1] if isinstance(value, list) else 5
        edited = spec(text).with_values({key: new})
        assert edited.get(key) == new
        assert len(edited.dump().split("\n")) <= len(text.split("\n"))


texts = st.text(st.characters(codec="utf-8"), max_size=6)
scalars = (
    st.booleans()
    | st.integers(-LARGEST_INT, LARGEST_INT)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
trees = st.dictionaries(texts, values, min_size=1, max_size=5)


@given(tree=trees)
def test_what_is_dumped_is_read_back(tree: dict[str, Any]) -> None:
    source = Document.of_values(tree, file="s")
    text = source.dump("toml")
    assert spec(text).plain() == tree
    assert spec(text).dump() == text
    assert tomllib.loads(text) == tree


@given(tree=trees, data=st.data())
def test_an_edit_changes_one_value(tree: dict[str, Any], data: st.DataObject) -> None:
    before = spec(Document.of_values(tree, file="s").dump("toml"))
    key = data.draw(st.sampled_from(sorted(flatten(before.plain()))))
    new = data.draw(values.filter(lambda value: not isinstance(value, dict)))
    try:
        after = before.with_values({key: new})
    except SpecError:  # another type, or two keys of that name
        return
    assert after.get(key) == new
    others = {k: v for k, v in flatten(before.plain()).items() if k != key}
    assert {k: v for k, v in flatten(after.plain()).items() if k != key} == others
