"""Which bytes of a protobuf text an edit changes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from raytao.spec.protobuf.plain import grouped, plain, plain_of
from raytao.spec.protobuf.syntax import BOOLS, ENDLESS, NAME, Field, Items, Message, Scalar
from raytao.spec.protobuf.write import field, message, quoted, scalar
from raytao.spec.splice import Span, Splice, end_of_line, in_brackets, indent_of, same
from raytao.spec.tree import Way
from raytao.types import Json

_SPACE = re.compile(r"[ \t]*")
_NEWLINE = re.compile(r"\r?\n|\Z")


def edits(text: str, inside: Message, way: Way, value: Json) -> Iterator[Splice]:
    """Yield what to change so that ``way`` leads to ``value``; of repeated messages, in each.

    A list keeps its style: repeated fields stay so, and brackets. One element alone is written in
    brackets, so that it is read as a list again.

    Args:
        text: the whole text.
        inside: the message that the way begins in.
        way: names of fields; only the last one may be new.
        value: plain, and one that protobuf text can hold.

    Raises:
        ValueError: if an enum would get a value that is no name.
    """
    name, *rest = way
    fields = [field for field in inside.fields if field.name == str(name)]
    if rest:
        for element in (element for field in fields for element in field.elements):
            if isinstance(element, Message):
                yield from edits(text, element, tuple(rest), value)
    elif fields:
        yield from _changed(text, fields, value)
    else:
        yield _added(text, inside, str(name), value)


def _changed(text: str, fields: Sequence[Field], new: Json) -> Iterator[Splice]:
    """Change the fields of one name."""
    if same(plain_of(fields), new):
        return
    if len(fields) == 1:
        within = _within(text, fields[0], new)
        if within is not None:
            yield from within
            return
    bracketed = len(fields) == 1 and isinstance(fields[0].value, Items)
    repeated = isinstance(new, list | tuple) and len(new) > 1 and not bracketed
    values = list(new) if repeated else [new]
    like = _like(fields)
    for old, value in zip(fields, values, strict=False):
        if isinstance(old.value, Message) and (within := _within(text, old, value)) is not None:
            yield from within
        elif isinstance(old.value, Items) or not same(plain(old.value), value):
            yield _exchanged(text, old, value, like)
    for old in fields[len(values) :]:
        yield _deleted(text, old)
    if len(values) > len(fields):
        yield _appended(text, fields[-1], values[len(fields) :], like)


def _within(text: str, field: Field, new: Json) -> Iterator[Splice] | None:
    """Change only what is within a field's brackets or braces; None if that is not enough."""
    match field.value:
        case Items(items=[first, *_]) if isinstance(new, list | tuple) and new:
            if isinstance(first, Message) == isinstance(new[0], Mapping):
                return _in_items(text, field, field.value, list(new))
        case Message() if isinstance(new, Mapping):
            groups = grouped(field.value)
            if set(groups) == set(map(str, new)):
                changes = (_changed(text, groups[str(name)], new[name]) for name in new)
                return chain.from_iterable(changes)
    return None


def _like(fields: Sequence[Field]) -> Scalar | None:
    """The first value, whose kind and quotes the new ones take."""
    elements = (element for field in fields for element in field.elements)
    return next((element for element in elements if isinstance(element, Scalar)), None)


def _in_items(text: str, field: Field, old: Items, new: list[Json]) -> Iterator[Splice]:
    indent = indent_of(text, field.start) or ""
    values = [plain(item) for item in old.items]

    def write(value: Json, number: int | None) -> str:
        like = None if number is None else old.items[number]
        return _written(text, value, like if isinstance(like, Scalar) else None, indent)

    spans = [Span(item.start, item.end) for item in old.items]
    yield from in_brackets(text, Span(old.start, old.end), spans, values, new, write)


def _written(text: str, value: Json, like: Scalar | None, indent: str) -> str:
    """A value's text, in the manner of ``like``."""
    if isinstance(value, Mapping):
        return message(value, indent)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_written(text, inner, like, indent) for inner in value)}]"
    if like is not None and type(value) is type(like.value):
        first = text[like.start]
        if isinstance(value, bool) and first.isupper():
            return str(value)
        if isinstance(value, str):
            return _name(value) if like.kind == "enum" else quoted(value, first)
    return scalar(value)


def _name(value: str) -> str:
    """An enum's value.

    Raises:
        ValueError: if it would be read as anything else.
    """
    if not NAME.fullmatch(value) or value in BOOLS or value.lower() in ENDLESS:
        raise ValueError(f"{value!r} cannot be the value of an enum: give a name")
    return value


def _exchanged(text: str, old: Field, value: Json, like: Scalar | None) -> Splice:
    """Another value for a field."""
    written = _written(text, value, like, indent_of(text, old.start) or "")
    if isinstance(old.value, Scalar) or isinstance(value, Mapping):
        return Splice(old.value.start, old.value.end, written)
    return Splice(old.name_end, old.value.end, f": {written}")  # a message may lack the colon


def _deleted(text: str, old: Field) -> Splice:
    """Take a field away, with its line if nothing else stands there."""
    indent = indent_of(text, old.start)
    end = _SPACE.match(text, old.stop)
    assert end is not None  # it matches nothing as well
    rest = _NEWLINE.match(text, end.end())
    if indent is not None and rest is not None:
        return Splice(old.start - len(indent), rest.end(), "")
    return Splice(old.start, end.end(), "")


def _appended(text: str, last: Field, values: Sequence[Json], like: Scalar | None) -> Splice:
    """Repeat a field with other values."""
    indent = indent_of(text, last.start) or ""
    lines = []
    for value in values:
        written = _written(text, value, like, indent)
        colon = "" if isinstance(value, Mapping) else ":"
        lines.append(f"{last.name}{colon} {written}")
    return _after(text, last, [indent + line for line in lines])


def _added(text: str, inside: Message, name: str, value: Json) -> Splice:
    """A new field, behind the others of its message."""
    if inside.fields:
        last = inside.fields[-1]
        return _after(text, last, list(field(name, value, indent_of(text, last.start) or "")))
    if inside.end == len(text) and inside.start == 0:
        newline = "" if text.endswith("\n") else "\n"
        return Splice(len(text), len(text), newline + "\n".join(field(name, value)) + "\n")
    return Splice(inside.start + 1, inside.start + 1, f" {' '.join(field(name, value))} ")


def _after(text: str, last: Field, lines: list[str]) -> Splice:
    """Put lines behind a field: below it, or on its line where others stand there, too."""
    found = end_of_line(text, last.stop)
    if indent_of(text, last.start) is None or found is None:
        return Splice(last.stop, last.stop, "".join(f" {line.strip()}" for line in lines))
    place, newline = found
    return Splice(place, place, "".join(newline + line for line in lines))
