from __future__ import annotations

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
seed: 42
train {
  epochs: 120  # a full training
  rate: 5e-4
  reg { type: L1 weight: 3.00e-09 }
  name: 'it' "s"
  amp: True
  blocks: 0
  blocks: 1  # the last
  sizes: [16, 32]
  empty { }
}
classes { key: "car" value { weight: 1.0 } }
classes: <
  key: "dog"
  value: { weight: 1.0 }
>
"""


def spec(text: str | bytes = TEXT) -> Document:
    return Document.parse(text, file="s.protobuf", format="protobuf")


def refusal(text: str | bytes) -> SpecError:
    with at_once(), pytest.raises(SpecError) as caught:
        spec(text)
    assert caught.value.where is not None
    str(caught.value).encode()
    return caught.value


def test_values_are_plain_and_repeated_fields_are_lists() -> None:
    assert spec().plain() == {
        "seed": 42,
        "train": {
            "epochs": 120,
            "rate": 5e-4,
            "reg": {"type": "L1", "weight": 3e-9},
            "name": "its",
            "amp": True,
            "blocks": [0, 1],
            "sizes": [16, 32],
            "empty": {},
        },
        "classes": [
            {"key": "car", "value": {"weight": 1.0}},
            {"key": "dog", "value": {"weight": 1.0}},
        ],
    }
    assert spec().dump() == TEXT


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True),
        ("False", False),
        ("FALSE", "FALSE"),
        ("t", "t"),
        ("-1", -1),
        ("- # why\n 1", -1),
        ("017", 15),
        ("0x1F", 31),
        ("-0X1f", -31),
        ("1.", 1.0),
        (".5", 0.5),
        ("1f", 1.0),
        ("2.5F", 2.5),
        ("1E+5", 1e5),
        ("0", 0),
        (str(LARGEST_INT), LARGEST_INT),
        ("HE_UNIFORM", "HE_UNIFORM"),
        ("'a' # b\n \"c\"", "ac"),
        (r"'\n\t\"\'\\\?\a'", "\n\t\"'\\?\a"),
        (r"'\303\244\xC3\xa4\u00e4\U0001F600'", "äää😀"),
        (r"'\303' '\244'", "ä"),
        ("'#'", "#"),
        ("[]", []),
        ("[A, B]", ["A", "B"]),
        ("[1,2] a: 3", [1, 2, 3]),
        ("{ b: 1, c: 2; }", {"b": 1, "c": 2}),
        ("< b < > >", {"b": {}}),
        ("[{ b: 1 }, < >]", [{"b": 1}, {}]),
        ("{[x.y/z.W] { b: 1 }}", {"[x.y/z.W]": {"b": 1}}),
    ],
)
def test_every_way_to_write_a_value_is_read(written: str, value: Any) -> None:
    for text in (f"a: {written}", f"a:{written};z: 1", f"x<a:\n{written}>"):
        found = spec(text)
        assert found.get("x.a" if text.startswith("x") else "a") == value
        assert found.dump() == text


def test_the_colon_before_messages_may_be_left_out() -> None:
    assert spec("a [{b: 1}] c{}d<>").plain() == {"a": [{"b": 1}], "c": {}, "d": {}}
    for text in ("a 1", "a []", "a [1]", "a FOO", 'a "x"'):
        assert "':' is missing after 'a'" in refusal(text).message


@pytest.mark.parametrize(
    ("key", "value", "old", "new"),
    [
        ("seed", 7, "42", "7"),
        ("train.rate", 1e-5, "5e-4", "1e-05"),
        ("train.rate", 1, "5e-4", "1"),
        ("train.epochs", 0.5, "120", "0.5"),
        ("train.reg.type", "NO_REG", "L1", "NO_REG"),
        ("train.name", "it's\n", "'it' \"s\"", r"'it\'s\n'"),
        ("train.name", "\0é\x7f", "'it' \"s\"", r"'\000é\177'"),
        ("train.amp", False, "True", "False"),
        ("train.blocks", [0, 3], "blocks: 1", "blocks: 3"),
        ("train.blocks", [0, 1, 2], "# the last\n", "# the last\n  blocks: 2\n"),
        ("train.blocks", [5], "blocks: 0\n  blocks: 1  #", "blocks: [5]\n  #"),
        ("train.blocks", 5, "blocks: 0\n  blocks: 1  #", "blocks: 5\n  #"),
        ("train.sizes", [16], "[16, 32]", "[16]"),
        ("train.sizes", [8, 32, 64], "[16, 32]", "[8, 32, 64]"),
        ("train.sizes", [], "[16, 32]", "[]"),
        ("train.reg", {"weight": 1, "type": "L2"}, "L1 weight: 3.00e-09", "L2 weight: 1"),
        ("seed", [1], "seed: 42", "seed: [1]"),
        ("seed", [1, 2], "seed: 42", "seed: 1\nseed: 2"),
    ],
)
def test_an_edit_keeps_all_around_it(key: str, value: Any, old: str, new: str) -> None:
    edited = spec().with_values({key: value})
    assert edited.dump() == TEXT.replace(old, new)
    assert edited.get(key) == value
    assert spec(edited.dump()).plain() == edited.plain()


def test_an_edit_to_the_same_value_changes_nothing() -> None:
    values = flatten(spec().plain())
    assert spec().with_values(values).dump() == TEXT
    assert spec().with_values({"train": spec().get("train")}).dump() == TEXT


def test_a_key_through_a_repeated_message_means_all_of_them() -> None:
    assert spec().get("classes.value.weight") == 1.0
    edited = spec().with_values({"classes.value.weight": 0.5})
    assert edited.dump() == TEXT.replace("weight: 1.0", "weight: 0.5")
    assert edited.get("classes.key") == ["car", "dog"]
    assert str(spec().where("classes.value.weight")) == "s.protobuf:14:30"
    once = spec("classes { value { weight: 1 } }").with_values({"classes.value.weight": 0.5})
    assert once.dump() == "classes { value { weight: 0.5 } }"


def test_a_key_that_one_of_the_messages_lacks_is_no_key() -> None:
    text = "classes { weight: 1 }\nclasses { }\n"
    with pytest.raises(SpecError, match=r"no key 'classes\.weight'(.|\n)*number 2 of the 2 'clas"):
        spec(text).with_values({"classes.weight": 2})
    assert not spec(text).has("classes.weight")


def test_lists_of_messages_grow_and_shrink() -> None:
    classes = spec().get("classes")
    one = spec().with_values({"classes": classes[:1]})
    assert one.get("classes") == classes[:1]
    three = spec().with_values({"classes": [*classes, {"key": "x", "value": {}}]})
    assert three.dump() == TEXT + 'classes {\n  key: "x"\n  value { }\n}\n'
    empty = spec("a [{}] b: []").with_values({"b": [1, 2], "a": [{"c": 1}, {}]})
    assert empty.dump() == "a [{\n  c: 1\n}, { }] b: [1, 2]"
    short = spec("a: [{b: 1}]").with_values({"a": [{"b": 1}, {"c": "x"}]})
    assert short.get("a") == [{"b": 1}, {"c": "x"}]


def test_an_element_of_a_list_of_messages_is_edited_where_it_stands() -> None:
    text = 'r { path: "a" kind: ADAM }  # first\nr { path: "b" kind: SGD }\n'
    new = [{"path": "/m/a", "kind": "ADAM"}, {"path": "b", "kind": "SGD"}]
    assert spec(text).with_values({"r": new}).dump() == text.replace('"a"', '"/m/a"')


def test_the_kind_of_a_text_is_kept() -> None:
    text = "a: RELU\nb: \"RELU\"\nc: [A, B]\nd: 'x' d: 'y'\n"
    edited = spec(text).with_values(
        {"a": "ELU", "b": "ELU", "c": ["B", "C", "D"], "d": ["x", "z", "w"]}
    )
    assert edited.dump() == "a: ELU\nb: \"ELU\"\nc: [B, C, D]\nd: 'x' d: 'z' d: 'w'\n"
    for value in ("two words", "", "true", "inf", "1st", "é"):
        with pytest.raises(
            SpecError, match=r"s\.protobuf:1:1: a: .* cannot be the value of an enu"
        ):
            spec(text).with_values({"a": value})
        assert spec(text).with_values({"b": value}).get("b") == value


@pytest.mark.parametrize("value", [None, [1, None], [[1]], {"b c": 1}, [{"a": 1}, 2]])
def test_what_protobuf_text_has_not_is_refused(value: Any) -> None:
    with pytest.raises(SpecError, match=r"s\.protobuf:1:1: a(\.b)?: "):
        spec('a: "???"').with_values({"a": value})


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("seed", "x", "s.protobuf:2:1: seed: 'x' is a string, but the spec has an integer, 42"),
        ("seed", True, "True is a bool"),
        ("seed", [1, "x"], "is a list, but the spec has an integer"),
        ("train.name", 1, "1 is an integer, but the spec has a string"),
        ("train.epoch", 1, "did you mean 'train.epochs'"),
        ("train.reg", 1, "is a section and cannot become 1"),
        ("classes.value.weight", "x", "s.protobuf:14:30: .* but the spec has a float"),
        ("seed", float("nan"), "nan is not finite"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(key: str, value: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        spec().with_values({key: value})


def test_fields_are_added_to_their_message() -> None:
    merged = spec().merged(
        {"new": [1, 2], "train": {"deep": {"x": "y"}, "empty": {"a": 1}}}, allow_new=True
    )
    assert merged.get("train.deep.x") == "y"
    assert merged.dump() == TEXT.replace(
        "empty { }", 'empty { a: 1  }\n  deep {\n    x: "y"\n  }'
    ) + ("new: [1, 2]\n")
    assert spec("# c").merged({"a": 1}, allow_new=True).dump() == "# c\na: 1\n"


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a: 1\nb {\n  c: 1\n", "2:3", "'{' is never closed"),
        ("a: <b: 1}", "1:9", "'}' stands where a field's name should"),
        ("a: 1 }", "1:6", "'}' stands where a field's name should"),
        ("a:", "1:3", "the text ends where a value should stand"),
        ("a: 1,, b: 2", "1:6", "',' stands where a field's name should"),
        ("a 1", "1:2", "':' is missing after 'a'"),
        ('a: "x\nb: 1', "1:4", "a string does not end on its line"),
        (r'a: "\q"', "1:5", r"'\\q' is no escape"),
        (r'a: "\400"', "1:5", r"'\\400' is no escape"),
        (r'a: "\ud800"', "1:5", "is no escape"),
        (r'a: "\U00110000"', "1:5", "is no escape"),
        (r"a: '\377'", "1:4", "are not UTF-8"),
        ("a: 1.2.3", "1:4", "'1.2.3' is no number"),
        ("a: 1x", "1:4", "'1x' is no number"),
        ("a: 0x1g", "1:4", "'0x1g' is no number"),
        ("a: 08", "1:4", "'08' is no number"),
        ("a: 1e", "1:4", "'1e' is no number"),
        ("a: +1", "1:4", "'+' stands where a value should"),
        ("a: -x", "1:5", "'x' stands where a number should"),
        ("a: inf", "1:4", "inf is not finite"),
        ("a: -Infinity", "1:4", "-Infinity is not finite"),
        ("a: [1, NaN]", "1:8", "NaN is not finite"),
        ("a: 1e999", "1:4", "1e999 is not finite"),
        ("a: 1e999f", "1:4", "inf is not finite"),
        (f"a: {'9' * 5000}", "1:4", "larger than 2**64"),
        (f"a: 0{'7' * 5000}", "1:4", "larger than 2**64"),
        (f"a: -0x{'f' * 5000}", "1:5", "larger than 2**64"),
        ("a: [1, 2", "1:9", "the text ends where ',' or ']' should stand"),
        ("a: [1,]", "1:7", "']' stands where a value should"),
        ("a: [[1]]", "1:5", "'[' stands where a value should"),
        ("a: [1, {}]", "1:8", "messages or values, not both"),
        ("a { }\na: 1", "2:1", "'a' is a message and a value: see line 1"),
        ("1: 2", "1:1", "'1' stands where a field's name should"),
        ("[a b]: 1", "1:1", "'[' stands where a field's name should"),
        ("a: 1 é: 2", "1:6", "'é' stands where a field's name should"),
        ("a { " * 60_000, "1:", f"nested deeper than {DEEPEST} levels"),
        ("a: [{ " * 40_000, "1:", f"nested deeper than {DEEPEST} levels"),
        ("a { } " + "a { " * 40 + "}" * 40, "", ""),
        ("a { } " + "b { } b { " * 30 + "}" * 30, "1:", f"nested deeper than {DEEPEST} levels"),
        ("a: 1\n" * MOST_VALUES, "", f"more than {MOST_VALUES:,} values"),
        ("a: [" + "1," * MOST_VALUES + "1]", "1:", f"more than {MOST_VALUES:,} values"),
        ('a: "' + '\\"' * (LARGEST // 2 - 9), "1:4", "a string does not end on its line"),
        ("a: 1" + "." * (LARGEST - 9), "1:4", "is no number"),
    ],
)
def test_what_is_refused_is_refused_at_once_with_its_place(
    text: str, place: str, message: str
) -> None:
    if not message:
        assert spec(text).has("a")
        return
    error = refusal(text)
    assert message in error.message
    assert str(error.where).startswith(f"s.protobuf:{place}")
    assert error.message.split("\n")[-1].strip() == "^"


def test_the_largest_file_is_read_in_time() -> None:
    head = "a: 1\n"
    with at_once():
        assert spec(head + "#\n" * ((LARGEST - len(head)) // 2)).plain() == {"a": 1}


names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,4}", fullmatch=True)
texts = st.text(st.characters(codec="utf-8"), max_size=6)
scalars = (
    st.booleans()
    | st.integers(-LARGEST_INT, LARGEST_INT)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
messages = st.recursive(
    st.dictionaries(names, scalars | st.lists(scalars, max_size=3), max_size=3),
    lambda inner: st.dictionaries(
        names, scalars | inner | st.lists(inner, min_size=1, max_size=3), min_size=1, max_size=3
    ),
    max_leaves=6,
).filter(bool)


@given(tree=messages)
def test_what_is_dumped_is_read_back(tree: dict[str, Any]) -> None:
    text = Document.of_values(tree, file="s").dump("protobuf")
    assert spec(text).plain() == tree
    assert spec(text).dump() == text


@given(tree=messages, data=st.data())
def test_an_edit_changes_one_value(tree: dict[str, Any], data: st.DataObject) -> None:
    before = spec(Document.of_values(tree, file="s").dump("protobuf"))
    key = data.draw(st.sampled_from(before.keys()))
    new = data.draw(scalars | st.lists(scalars, max_size=4))
    try:
        after = before.with_values({key: new})
    except SpecError:  # another type
        return
    assert after.get(key) == new
    others = {k: v for k, v in flatten(before.plain()).items() if k != key}
    assert {k: v for k, v in flatten(after.plain()).items() if k != key} == others
