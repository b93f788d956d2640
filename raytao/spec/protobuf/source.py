"""Protobuf text that is edited where it stands.

Without a schema, two things cannot be told and are therefore let through: a float may replace an
integer (``rate: 1`` may be either), and a list may replace its one element (``size: 3`` may be a
repeated field). An enum's value stays without quotes and a string keeps its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from raytao.errors import SpecError, Where
from raytao.spec.protobuf.edit import edits
from raytao.spec.protobuf.plain import Inspection, plain
from raytao.spec.protobuf.syntax import Message, read_message
from raytao.spec.protobuf.typed import TypedMessage
from raytao.spec.protobuf.write import unwritable
from raytao.spec.source import TextSource, refuse_unwritable
from raytao.spec.splice import Splice
from raytao.spec.text import at, decode
from raytao.spec.tree import Way
from raytao.types import Json


class ProtobufSource(TextSource):
    """A spec in protobuf text; every byte that no edit means stays as it is."""

    format = "protobuf"

    def __init__(self, text: str, file: str, typed: TypedMessage | None) -> None:
        super().__init__(text, file)
        self._typed = typed
        self._root = read_message(text, file=file)
        Inspection(text, file).look(self._root)
        self._tree: dict[str, Json] = plain(self._root)
        if typed is not None:
            typed.check(text, file=file)

    @classmethod
    def read(cls, text: str | bytes, *, file: str, typed: TypedMessage | None = None) -> Self:
        """Read it.

        Args:
            text: its content; lines may end as they like.
            file: its name, for errors.
            typed: the message that it is; edits are checked against it, too.

        Raises:
            SpecError: with line and column, for what is malformed, refused or no such message.
        """
        return cls(decode(text, file=file, newlines=False), file, typed)

    @property
    def tree(self) -> Mapping[Any, Json]:
        """Its values, plain: a field that is there more than once is a list."""
        return self._tree

    def where(self, way: Way) -> Where:
        """Return the place of a field, the first of them if there are several."""
        offset: int | None = None
        messages = [self._root]
        for key in way:
            fields = [field for m in messages for field in m.fields if field.name == key]
            if not fields:
                break
            offset = fields[0].start
            messages = [m for field in fields for m in field.elements if isinstance(m, Message)]
        return Where(self._file) if offset is None else at(self._file, self._text, offset)

    def _edits(self, way: Way, value: Json) -> list[Splice]:
        where = self.where(way)
        refuse_unwritable(value, unwritable, way, where)
        try:
            return list(edits(self._text, self._root, way, value))
        except ValueError as error:
            raise SpecError(f"{'.'.join(map(str, way))}: {error}", where=where) from None

    def _again(self, text: str) -> Self:
        return type(self)(text, self._file, self._typed)

    @classmethod
    def fits(cls, old: Json, new: Json) -> bool:
        """Whether ``new`` may stand where ``old`` stands; see the module."""
        if isinstance(new, list | tuple) and isinstance(old, bool | int | float | str):
            return all(cls.fits(old, element) for element in new)
        return super().fits(old, new)
