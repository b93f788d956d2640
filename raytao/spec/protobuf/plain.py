"""What protobuf text means as plain values."""

from __future__ import annotations

from collections.abc import Sequence

from raytao.spec.limits import DEEPEST, MOST_VALUES
from raytao.spec.protobuf.syntax import Field, Items, Message, Scalar
from raytao.spec.text import refused_at
from raytao.types import Json


def grouped(message: Message) -> dict[str, list[Field]]:
    """Return the fields of each name, in the order of their first."""
    fields: dict[str, list[Field]] = {}
    for field in message.fields:
        fields.setdefault(field.name, []).append(field)
    return fields


def is_list(fields: Sequence[Field]) -> bool:
    """Whether the fields of one name are a list: more than one, or in brackets."""
    return len(fields) > 1 or isinstance(fields[0].value, Items)


def plain(element: Scalar | Message) -> Json:
    """Return a value, or a message as a mapping."""
    if isinstance(element, Scalar):
        return element.value
    return {name: plain_of(fields) for name, fields in grouped(element).items()}


def plain_of(fields: Sequence[Field]) -> Json:
    """Return the value of the fields of one name."""
    values = [plain(element) for field in fields for element in field.elements]
    return values if is_list(fields) else values[0]


class Inspection:
    """Refuses what the other readers refuse: too many values, nested too deeply."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._values = 0

    def look(self, element: Scalar | Message, level: int = 1) -> None:
        """Look at a value and all below it.

        Raises:
            SpecError: with line and column; also if a name is a message here and a value there.
        """
        self._count(element.start, level)
        if isinstance(element, Scalar):
            return
        for name, fields in grouped(element).items():
            self._look_at(name, fields, level + 1)

    def _look_at(self, name: str, fields: list[Field], level: int) -> None:
        self._count(fields[0].start, level)
        if is_list(fields):
            self._count(fields[0].start, level)
            level += 1
        first: Scalar | Message | None = None
        for field in fields:
            for element in field.elements:
                first = first or element
                if isinstance(element, Message) != isinstance(first, Message):
                    line = self._text.count("\n", 0, first.start) + 1
                    message = f"{name!r} is a message and a value: see line {line}"
                    raise refused_at(message, self._text, self._file, field.start)
                self.look(element, level)

    def _count(self, offset: int, level: int) -> None:
        self._values += 1
        why = f"more than {MOST_VALUES:,} values" if self._values > MOST_VALUES else ""
        why = f"nested deeper than {DEEPEST} levels" if level > DEEPEST else why
        if why:
            raise refused_at(why, self._text, self._file, offset)
