"""Protobuf text against its schema, where the user has one: a compiled descriptor set."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Self

from raytao.errors import SpecError, Where, did_you_mean
from raytao.spec.text import read_file, with_caret

_PLACE = re.compile(r"\d+:\d+ : (?:'.*': )?", re.DOTALL)


class TypedMessage:
    """A message type that a text is checked against.

    The descriptor set is what ``protoc --include_imports --descriptor_set_out=FILE`` writes.
    """

    def __init__(self, name: str, message_class: Any) -> None:
        self.name = name
        self._class = message_class

    @classmethod
    def load(cls, path: Path, name: str) -> Self:
        """Read a descriptor set.

        Args:
            path: the file.
            name: the message's full name, such as ``nvidia.Experiment``.

        Raises:
            SpecError: if it is no descriptor set, is incomplete, or has no such message.
        """
        # protobuf ships no types; it is imported here because a schema is rarely given.
        from google.protobuf import (  # type: ignore[import-untyped]
            descriptor_pb2,
            descriptor_pool,
            message,
            message_factory,
        )

        pool, where = descriptor_pool.DescriptorPool(), Where(str(path))
        try:
            found = descriptor_pb2.FileDescriptorSet.FromString(read_file(path))
            for file in found.file:
                pool.Add(file)
        except (message.DecodeError, TypeError) as error:
            raise SpecError(
                f"this is no complete descriptor set: {error}",
                where=where,
                remedy=f"protoc --include_imports --descriptor_set_out={path} FILE.proto",
            ) from None
        try:
            described = pool.FindMessageTypeByName(name)
        except KeyError:
            known = [
                f"{f.package}.{m.name}".lstrip(".") for f in found.file for m in f.message_type
            ]
            raise SpecError(
                f"no message {name!r} in the descriptor set",
                where=where,
                remedy=did_you_mean(name, known),
            ) from None
        return cls(name, message_factory.GetMessageClass(described))

    def check(self, text: str, *, file: str) -> None:
        """Refuse a text that is no such message.

        Raises:
            SpecError: with line and column, for unknown fields, wrong types, values out of range,
                names that an enum does not have, and fields given twice that are not repeated.
        """
        from google.protobuf import text_format

        try:
            text_format.Parse(text, self._class())
        except text_format.ParseError as error:
            where = Where(file, error.GetLine(), error.GetColumn())
            message = _PLACE.sub("", str(error), count=1)
            raise SpecError(
                with_caret(f"no {self.name}: {message}", text, where), where=where
            ) from None
