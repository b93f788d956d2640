"""Specs as people write them, in all formats: what is not edited stays, to the byte."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from raytao.errors import SpecError
from raytao.spec import Document, reachable
from raytao.spec.source import NAMES

CORPUS = Path(__file__).parent / "corpus"
FILES = sorted(path.name for path in CORPUS.iterdir())
SAME = tuple(CORPUS / f"classification.{format}" for format in NAMES)


def other(value: Any) -> Any:
    """Another value of the same kind."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return "Other_One"
        case list():
            return [other(inner) for inner in value]
        case _:
            raise AssertionError(value)


def single_values(document: Document) -> Mapping[str, Any]:
    """What can be edited on one line: values, those within lists of sections included."""
    found = reachable(document.plain()).items()
    return {key: value for key, value in found if isinstance(value, bool | int | float | str)}


@pytest.mark.parametrize("name", FILES)
def test_a_spec_is_written_as_it_was_read(name: str) -> None:
    data = (CORPUS / name).read_bytes()
    assert Document.load(CORPUS / name).dump().encode() == data
    if not name.endswith((".yaml", ".json")):  # these two are written out anew
        windows = data.replace(b"\n", b"\r\n")
        format = Document.load(CORPUS / name).format
        assert Document.parse(windows, file=name, format=format).dump().encode() == windows


@pytest.mark.parametrize("name", FILES)
def test_an_edit_changes_its_values_bytes_and_no_other(name: str) -> None:
    spec = Document.load(CORPUS / name)
    before = spec.dump().split("\n")
    values = single_values(spec)
    assert len(values) > 10
    for key, value in values.items():
        edited = spec.with_values({key: other(value)})
        assert edited.get(key) == other(value)
        after = edited.dump().split("\n")
        changed = [
            n for n, pair in enumerate(zip(before, after, strict=False)) if len({*pair}) > 1
        ]
        assert spec.where(key).line in [number + 1 for number in changed] or len(after) != len(
            before
        )
        if len(after) == len(before):
            for number in changed:
                assert around(before[number], after[number]) == around(
                    after[number], before[number]
                )
        back = edited.with_values({key: value})
        assert back.plain() == spec.plain()


def around(line: str, changed: str) -> tuple[str, str]:
    """What two lines begin and end with, from the name before to the comment behind."""
    start = next(n for n, pair in enumerate(zip(line, changed, strict=False)) if len({*pair}) > 1)
    return line[:start].rpartition(" ")[0], line.partition("#")[2]


@pytest.mark.parametrize("name", FILES)
def test_all_values_can_be_edited_at_once(name: str) -> None:
    spec = Document.load(CORPUS / name)
    values = {key: other(value) for key, value in single_values(spec).items()}
    edited = spec.with_values(values)
    assert single_values(edited) == values
    assert Document.parse(edited.dump(), file=name, format=spec.format).plain() == edited.plain()
    originals = {key: value for key, value in single_values(spec).items()}
    assert edited.with_values(originals).plain() == spec.plain()
    assert spec.with_values(originals).dump() == spec.dump()


def test_one_spec_has_the_same_values_in_every_format() -> None:
    yaml, *others = (Document.load(path) for path in SAME)
    for spec in others:
        assert spec.plain() == yaml.plain()
        assert sorted(spec.keys()) == sorted(yaml.keys())
    for spec in (yaml, *others):
        assert spec.get("heads.name") == ["color", "maker"]
        edit = {"train_config.optimizer.sgd.lr": 3e-4, "heads.classes": 5}
        assert spec.with_values(edit).plain() == yaml.with_values(edit).plain()


@pytest.mark.parametrize("path", SAME, ids=lambda path: path.suffix)
@pytest.mark.parametrize("format", NAMES)
def test_a_spec_is_written_in_any_format(path: Path, format: str) -> None:
    spec = Document.load(path)
    again = Document.parse(spec.dump(format), file="again", format=format)
    assert again.plain() == spec.plain()


@pytest.mark.parametrize("format", NAMES)
def test_a_spec_of_nothing_is_written_as_something(format: str) -> None:
    text = Document.parse("{}", file="s").dump(format)
    assert Document.parse(text, file="s", format=format).plain() == {}


def test_what_a_format_has_not_is_refused_by_name() -> None:
    spec = Document.load(CORPUS / "dino.yaml")
    for format in ("toml", "protobuf"):
        with pytest.raises(SpecError, match=r"resume_training_checkpoint_path: .* no null"):
            spec.dump(format)
    assert spec.dump("json")
    odd = Document.parse("a: {b c: 1}\nd: [[1]]\n", file="s")
    assert odd.dump("toml")
    with pytest.raises(SpecError, match="a: 'b c' cannot be the name of a protobuf field"):
        odd.dump("protobuf")
    with pytest.raises(SpecError, match="d: protobuf text has no lists in lists"):
        odd.with_values({"a": {"b": 1}}).dump("protobuf")


@pytest.mark.parametrize("name", FILES)
def test_every_value_has_its_place(name: str) -> None:
    spec = Document.load(CORPUS / name)
    lines = (CORPUS / name).read_text().split("\n")
    for key in single_values(spec):
        where = spec.where(key)
        assert where.line is not None
        assert where.column is not None
        part = key.rsplit(".", 1)[-1].strip("]").rpartition("/")[2]
        assert part in lines[where.line - 1][where.column - 1 :]


def test_a_name_that_tells_no_format_is_read_in_the_one_that_is_known(tmp_path: Path) -> None:
    path = tmp_path / "detectnet_v2_train.txt"
    path.write_bytes((CORPUS / "detectnet_v2.protobuf").read_bytes())
    assert Document.load(path, format="protobuf").format == "protobuf"
    with pytest.raises(SpecError, match=r"'\.txt' is not a format of specs"):
        Document.load(path)
    for ending in ("pbtxt", "prototxt", "PROTOBUF"):
        renamed = path.rename(tmp_path / f"spec.{ending}")
        assert Document.load(renamed, format="yaml").format == "protobuf"
        renamed.rename(path)
