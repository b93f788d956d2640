"""Protobuf text with a schema: what google.protobuf refuses, and that it reads as we do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import (  # type: ignore[import-untyped] # protobuf ships no types
    descriptor_pb2,
    text_format,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from raytao.errors import SpecError
from raytao.spec import Document
from raytao.spec.protobuf.typed import TypedMessage

FieldType = descriptor_pb2.FieldDescriptorProto


def described() -> Any:
    """A message of every kind of field: ``acme.Train``, which holds messages of its own kind."""
    file = descriptor_pb2.FileDescriptorProto(
        name="train.proto", package="acme", syntax="proto3", dependency=["empty.proto"]
    )
    kind = file.enum_type.add(name="Kind")
    for number, name in enumerate(("NONE", "L1", "L2")):
        kind.value.add(name=name, number=number)
    message = file.message_type.add(name="Train")
    kinds = {
        "whole": FieldType.TYPE_INT64,
        "small": FieldType.TYPE_INT32,
        "real": FieldType.TYPE_DOUBLE,
        "text": FieldType.TYPE_STRING,
        "flag": FieldType.TYPE_BOOL,
        "kind": FieldType.TYPE_ENUM,
        "inner": FieldType.TYPE_MESSAGE,
    }
    for number, (name, type) in enumerate(kinds.items(), start=1):
        for many in (False, True):
            message.field.add(
                name=f"{name}s" if many else name,
                number=number + 100 * many,
                type=type,
                label=FieldType.LABEL_REPEATED if many else FieldType.LABEL_OPTIONAL,
                type_name={"kind": ".acme.Kind", "inner": ".acme.Train"}.get(name),
            )
    empty = descriptor_pb2.FileDescriptorProto(name="empty.proto", package="acme.x")
    return descriptor_pb2.FileDescriptorSet(file=[empty, file])


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> TypedMessage:
    path = tmp_path_factory.mktemp("schema") / "train.desc"
    path.write_bytes(described().SerializeToString())
    return TypedMessage.load(path, "acme.Train")


TEXT = "# c\nwhole: 3\nreal: 1\nkind: L1\ntext: 'a'\ninner { flag: true }\nkinds: [L1, L2]\n"


def test_a_text_of_the_schema_is_read_and_edited(typed: TypedMessage) -> None:
    spec = Document.parse(TEXT, file="s.pbtxt", format="protobuf", typed=typed)
    edited = spec.with_values({"real": 0.5, "kind": "L2", "kinds": ["NONE"], "inner.flag": False})
    assert edited.dump() == TEXT.replace("real: 1", "real: 0.5").replace(
        "kind: L1", "kind: L2"
    ).replace("[L1, L2]", "[NONE]").replace("true", "false")


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("whole: 3\nwhle: 4", "2:1", 'has no field named "whle"'),
        ("whole: 3\nwhole: 4", "2:", "should not have multiple"),
        ("whole: 3.5", "1:8", "Couldn't parse integer: 3.5"),
        ("small: 3000000000", "1:8", "Value out of range"),
        ("text: L1", "1:7", "Expected string"),
        ("kind: L3", "1:", 'has no value named "L3"'),
        ("kind: 'L1'", "1:", ""),
        ("inner { flag: 3 }", "1:15", "Expected"),
        ("inner: 3", "1:8", ""),
        ("flag: L1", "1:7", "Expected"),
    ],
)
def test_what_the_schema_does_not_have_is_refused_with_its_place(
    typed: TypedMessage, text: str, place: str, message: str
) -> None:
    Document.parse(text, file="s.pbtxt", format="protobuf")
    with pytest.raises(SpecError) as caught:
        Document.parse(text, file="s.pbtxt", format="protobuf", typed=typed)
    assert message.replace('"', "") in caught.value.message.replace('"', "")
    assert str(caught.value.where).startswith(f"s.pbtxt:{place}")
    assert "no acme.Train: " in caught.value.message
    assert caught.value.message.split("\n")[-1].strip() == "^"


@pytest.mark.parametrize(("key", "value"), [("whole", 0.5), ("kind", "L9"), ("whole", [1, 2])])
def test_an_edit_is_checked_too(typed: TypedMessage, key: str, value: Any) -> None:
    spec = Document.parse(TEXT, file="s.pbtxt", format="protobuf", typed=typed)
    with pytest.raises(SpecError, match=r"s\.pbtxt:\d+:\d+: no acme\.Train: "):
        spec.with_values({key: value})


def test_a_descriptor_set_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "train.desc"
    path.write_bytes(described().SerializeToString())
    with pytest.raises(
        SpecError, match=r"no message 'acme\.Trian'(.|\n)*did you mean 'acme\.Train'"
    ):
        TypedMessage.load(path, "acme.Trian")
    path.write_bytes(
        descriptor_pb2.FileDescriptorSet(file=described().file[1:]).SerializeToString()
    )
    with pytest.raises(SpecError, match=r"no complete descriptor set(.|\n)*--include_imports"):
        TypedMessage.load(path, "acme.Train")
    path.write_bytes(b"message Train { }")
    with pytest.raises(SpecError, match="no complete descriptor set"):
        TypedMessage.load(path, "acme.Train")
    with pytest.raises(SpecError, match="cannot be read"):
        TypedMessage.load(tmp_path / "gone.desc", "acme.Train")


scalars: dict[str, st.SearchStrategy[Any]] = {
    "whole": st.integers(-(2**63), 2**63 - 1),
    "real": st.floats(allow_nan=False, allow_infinity=False),
    "text": st.text(st.characters(codec="utf-8"), max_size=6),
    "flag": st.booleans(),
    "kind": st.sampled_from(["NONE", "L1", "L2"]),
}
flat = st.fixed_dictionaries(
    {}, optional={**scalars, **{f"{k}s": st.lists(v, min_size=1) for k, v in scalars.items()}}
)
messages = st.recursive(
    flat,
    lambda inner: st.builds(
        lambda own, more: {**own, **more},
        flat,
        st.fixed_dictionaries(
            {}, optional={"inner": inner, "inners": st.lists(inner, min_size=2, max_size=3)}
        ),
    ),
    max_leaves=4,
)


def built(message: Any, values: dict[str, Any]) -> Any:
    for name, value in values.items():
        if name == "inner":
            built(message.inner, value).SetInParent()
        elif name == "inners":
            for inner in value:
                built(message.inners.add(), inner)
        elif name in ("kind", "kinds"):
            enum = message.DESCRIPTOR.fields_by_name["kind"].enum_type.values_by_name
            numbers = [enum[v].number for v in (value if name == "kinds" else [value])]
            message.kinds.extend(numbers) if name == "kinds" else setattr(message, name, *numbers)
        elif isinstance(value, list):
            getattr(message, name).extend(value)
        else:
            setattr(message, name, value)
    return message


DEFAULTS = ("0", "0.0", "False", "''", "'NONE'")


def as_read(value: Any) -> Any:
    """A schema-less reader knows no defaults, and takes a list of one for its element."""
    if isinstance(value, dict):
        return {k: as_read(v) for k, v in value.items() if repr(v) not in DEFAULTS}
    if isinstance(value, list):
        return [as_read(v) for v in value] if len(value) > 1 else as_read(value[0])
    return value


@settings(max_examples=60)
@given(
    values=messages,
    short=st.booleans(),
    angles=st.booleans(),
    line=st.booleans(),
    utf8=st.booleans(),
)
def test_what_protobuf_writes_is_read_alike(
    typed: TypedMessage, values: dict[str, Any], short: bool, angles: bool, line: bool, utf8: bool
) -> None:
    message = built(typed._class(), values)
    text = text_format.MessageToString(
        message,
        use_short_repeated_primitives=short,
        pointy_brackets=angles,
        as_one_line=line,
        as_utf8=utf8,
    )
    if not text.strip():
        return
    spec = Document.parse(text, file="s", format="protobuf", typed=typed)
    assert spec.dump() == text

    def listed(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: listed(v) for k, v in value.items()}
        if isinstance(value, list):
            return [listed(v) for v in value] if len(value) > 1 else listed(value[0])
        return value

    assert listed(spec.plain()) == as_read(values)
    if "kind" not in repr(values):  # without the schema, an enum's value is a string
        again = typed._class()
        text_format.Parse(Document.of_values(spec.plain(), file="s").dump("protobuf"), again)
        assert again == message
