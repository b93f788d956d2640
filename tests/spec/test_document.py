from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raytao.errors import SpecError
from raytao.spec import Document

TEXT = """\
# a spec
train:  # training
  num_epochs: 12   # full
  optim: &optim {lr: 1e-3, type: "adamw"}
  amp: true
  steps: [8, 10]  # epochs
  blocks:
  - 0
  - 1
  # where results go
  results_dir: ???
  resume: null
finetune:
  optim: *optim
merged:
  <<: *optim
  seed: 1
"""


@pytest.fixture
def spec() -> Document:
    return Document.parse(TEXT, file="spec.yaml")


def test_plain_values_are_python_and_the_callers_own(spec: Document) -> None:
    plain = spec.plain()
    assert plain["train"]["optim"] == {"lr": 0.001, "type": "adamw"}
    assert [type(v) for v in plain["train"]["optim"].values()] == [float, str]
    assert type(plain["train"]) is dict
    assert type(plain["train"]["steps"]) is list
    plain["train"]["steps"].append(99)
    spec.get("train.steps").append(99)
    assert spec.get("train.steps") == [8, 10]


def test_leaves_are_listed_in_order(spec: Document) -> None:
    assert spec.keys()[:3] == ["train.num_epochs", "train.optim.lr", "train.optim.type"]
    assert spec.has("train.optim")
    assert not spec.has("train.lr")
    with pytest.raises(SpecError, match=r"spec\.yaml: no key 'train\.optim\.l'"):
        spec.get("train.optim.l")


def test_an_edit_keeps_every_other_line(spec: Document) -> None:
    edited = spec.with_values(
        {
            "train.num_epochs": 99,
            "train.steps": [1, 2, 3],
            "train.blocks": [2],
            "train.results_dir": "/results",
        }
    )
    assert edited.dump() == (
        TEXT.replace("12 ", "99 ")
        .replace("[8, 10] ", "[1, 2, 3]")
        .replace("  - 0\n  - 1\n", "  - 2\n")
        .replace("???", "/results")
    )
    assert spec.dump() == TEXT
    assert spec.plain()["train"]["num_epochs"] == 12


@pytest.mark.parametrize("key", ["train.optim.lr", "finetune.optim.lr", "merged.lr"])
def test_an_edit_of_one_alias_leaves_the_others(spec: Document, key: str) -> None:
    edited = spec.with_values({key: 0.5})
    again = Document.parse(edited.dump(), file="again.yaml")
    for document in (edited, again):
        values = {k: document.get(k) for k in ("train.optim.lr", "finetune.optim.lr", "merged.lr")}
        assert values == {**dict.fromkeys(values, 0.001), key: 0.5}
    assert spec.dump() == TEXT


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("train.num_epochs", 3),
        ("train.optim.lr", 2),
        ("train.optim.lr", 1e-07),
        ("train.optim.type", "no"),
        ("train.optim.type", "1e-3"),
        ("train.optim.type", "a: b # c"),
        ("train.amp", False),
        ("train.results_dir", ["any", 1]),
        ("train.resume", {"from": "x"}),
        ("train.steps", []),
        ("train.blocks", [1, 2, 3]),
    ],
)
def test_an_edit_is_read_back_as_it_was_given(spec: Document, key: str, value: Any) -> None:
    edited = spec.with_values({key: value})
    assert edited.get(key) == value
    assert type(edited.get(key)) is type(value)
    assert Document.parse(edited.dump(), file="s").plain() == edited.plain()
    as_json = edited.dump("json")
    assert Document.parse(as_json, file="s", format="json").plain() == edited.plain()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("train.num_epoch", 3, "did you mean 'train.num_epochs'"),
        ("train.num_epochs", 3.0, "spec.yaml:3:3: .*3.0 is a float, .* an integer, 12"),
        ("train.num_epochs", True, "True is a bool"),
        ("train.num_epochs", None, "None is null"),
        ("train.optim.lr", "x", "spec.yaml:4:18: .*'x' is a string, .* a float, 0.001"),
        ("train.optim.lr", False, "False is a bool"),
        ("train.amp", 1, "1 is an integer, .* a bool"),
        ("train.optim.type", [1], "is a list, .* a string, 'adamw'"),
        ("train.optim", 1, "is a section and cannot become 1"),
        ("train.amp", {"a": 1}, "cannot become a section"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(
    spec: Document, key: str, value: Any, message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        spec.with_values({key: value})


def test_a_merge_goes_section_by_section(spec: Document) -> None:
    merged = spec.merged({"train": {"optim": {"lr": 0.1}, "amp": False}})
    assert merged.plain() == {
        **spec.plain(),
        "train": {
            **spec.plain()["train"],
            "amp": False,
            "optim": {"lr": 0.1, "type": "adamw"},
        },
    }
    assert "# where results go" in merged.dump()


def test_new_keys_need_permission(spec: Document) -> None:
    with pytest.raises(SpecError, match=r"did you mean 'train\.num_epochs'"):
        spec.merged({"train": {"num_epoch": 3}})
    merged = spec.merged({"train": {"new": {"a": 1}}, "other": 2}, allow_new=True)
    assert merged.get("train.new.a") == 1
    assert merged.keys()[-1] == "other"
    assert Document.parse(merged.dump(), file="s").plain() == merged.plain()


JSON_TEXT = '{\n  "train": {\n    "lr": 1e-3,\n    "steps": [{"at": 1}, {"at": 2}]\n  }\n}\n'


def test_json_is_read_edited_and_located() -> None:
    spec = Document.parse(JSON_TEXT, file="s.json", format="json")
    assert spec.plain() == {"train": {"lr": 0.001, "steps": [{"at": 1}, {"at": 2}]}}
    assert str(spec.where("train.lr")) == "s.json:3:5"
    edited = spec.with_values({"train.lr": 0.5})
    assert json.loads(edited.dump()) == edited.plain()
    assert edited.dump("yaml").startswith("train:\n  lr: 0.5\n")
    assert spec.get("train.lr") == 0.001
    with pytest.raises(SpecError, match=r"s\.json:3:5: train\.lr: 'x' is a string"):
        spec.with_values({"train.lr": "x"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,\n "b": }', "s.json:2:7: not JSON: Expecting value"),
        ('{"a": {"b": 1,\n "b": 2}}', "s.json:2:2: duplicate key 'b', first given in line 1"),
        ('[{"a": 1}]', "holds no JSON object"),
        ("{}", ""),
        ('{"a": "x}', "not JSON: Unterminated string"),
        ('{"a": ' + "[" * 100_000, "nested deeper than 50 levels"),
        ("]}", "not JSON"),
        ("", "empty"),
    ],
)
def test_json_errors_have_lines(text: str, message: str) -> None:
    if not message:
        assert Document.parse(text, file="s.json", format="json").plain() == {}
        return
    with pytest.raises(SpecError) as caught:
        Document.parse(text, file="s.json", format="json")
    assert message in str(caught.value)


def test_equal_keys_of_different_objects_are_no_duplicates() -> None:
    text = '{"a": {"x": 1}, "b": [{"x": "{,\\"x\\":"}, {"x": 2}], "x": 3}'
    assert Document.parse(text, file="s", format="json").plain() == json.loads(text)


def test_a_file_is_loaded_by_its_ending(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(TEXT)
    (tmp_path / "a.json").write_text(JSON_TEXT)
    (tmp_path / "a.txt").write_text(TEXT)
    assert Document.load(tmp_path / "a.yml").format == "yaml"
    assert Document.load(tmp_path / "a.json").format == "json"
    with pytest.raises(SpecError, match=r"'\.txt' is not a format"):
        Document.load(tmp_path / "a.txt")
    with pytest.raises(SpecError, match=r"gone\.yaml: the file cannot be read: No such file"):
        Document.load(tmp_path / "gone.yaml")
    with pytest.raises(SpecError, match="unknown format 'ini'"):
        Document.parse(TEXT, file="s", format="ini")


LISTED = """\
blocks:  # two
- width: 8  # the first
  norm: &n {kind: bn}
# between
- width: 9
  norm: *n
lists: [[1], 2]
"""


def test_a_key_through_a_list_of_sections_means_all_of_them() -> None:
    spec = Document.parse(LISTED, file="s.yaml")
    assert spec.get("blocks.width") == [8, 9]
    assert spec.get("blocks.norm.kind") == "bn"
    edited = spec.with_values({"blocks.width": 4, "blocks.norm.kind": "gn"})
    assert edited.dump() == (
        LISTED.replace("8", "4")
        .replace("9", "4")
        .replace("*n", "{kind: gn}")
        .replace("bn", "gn")
        .replace("&n ", "")
    )
    assert edited.get("blocks") == [{"width": 4, "norm": {"kind": "gn"}}] * 2
    assert spec.dump() == LISTED
    assert str(spec.where("blocks.width")) == "s.yaml:2:3"
    assert not spec.has("lists.x")
    with pytest.raises(SpecError, match=r"s\.yaml:2:3: blocks\.width: 'x' is a string"):
        spec.with_values({"blocks.width": "x"})
    as_json = Document.parse(spec.dump("json"), file="s.json", format="json")
    assert as_json.with_values({"blocks.width": 4}).get("blocks.width") == 4
    assert str(as_json.where("blocks.norm.kind")) == "s.json:6:9"


def test_a_change_within_another_one_comes_after_it() -> None:
    spec = Document.parse("a: null\nb: {c: 1, d: 2}\n", file="s")
    assert spec.with_values({"a": {"x": 1}, "a.x": 2}).get("a") == {"x": 2}
    assert spec.with_values({"b.c": 3, "b": {"c": 4}}).get("b") == {"c": 4}


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
sections = st.recursive(
    st.dictionaries(texts, scalars, min_size=1, max_size=4),
    lambda inner: st.dictionaries(
        texts, scalars | st.lists(scalars, max_size=3) | inner, max_size=4
    ),
    max_leaves=10,
)


@given(tree=sections.filter(bool), format=st.sampled_from(["yaml", "json"]))
def test_what_is_dumped_is_read_back(tree: dict[str, Any], format: str) -> None:
    source = Document.parse(json.dumps(tree), file="s", format="json")
    assert Document.parse(source.dump(format), file="s", format=format).plain() == tree
