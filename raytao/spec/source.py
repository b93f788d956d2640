"""What the formats of a spec have in common: a text taken apart that can be put together again."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Final, Literal, Self, TypeAlias, get_args

from raytao.errors import SpecError, Where
from raytao.spec.edit import as_plain
from raytao.spec.splice import Splice, overlap, spliced
from raytao.spec.tree import OPEN, Way
from raytao.types import Json

Format: TypeAlias = Literal["yaml", "json", "toml", "protobuf"]

NAMES: Final[tuple[Format, ...]] = get_args(Format)

FORMATS: Final[Mapping[str, Format]] = {
    ".yaml": "yaml",
    ".yml": "yaml",
    ".json": "json",
    ".toml": "toml",
    ".protobuf": "protobuf",
    ".pbtxt": "protobuf",
    ".prototxt": "protobuf",
}
"""Formats by file name ending. TAO's own specs of protobuf networks end in ``.txt``, which tells
nothing: such a file is read where the caller knows its format, as of a network's spec."""

NOTHING: Final = "# nothing is set\n"
"""A text without a key, in formats that have no sign for one; an empty file would be refused."""

Rule: TypeAlias = Callable[[Json], str | None]
"""Why a format cannot write a value, whatever lies below it; None if it can."""


class Source(ABC):
    """A spec in one format. It never changes: an edit gives another one."""

    format: ClassVar[Format]

    @property
    @abstractmethod
    def tree(self) -> Mapping[Any, Json]:
        """Its values; what the format's reader gave, or plain."""

    @abstractmethod
    def where(self, way: Way) -> Where:
        """Return the place of what a way leads to, or the file if it has none."""

    @abstractmethod
    def text(self) -> str:
        """Return the text."""

    @abstractmethod
    def replaced(self, changes: Mapping[Way, Json]) -> Self:
        """Return this source with values replaced, or added to a mapping that is there.

        A way that crosses lists means every element. No way may lie within another.

        Raises:
            SpecError: if the format cannot write a value.
        """

    @classmethod
    def fits(cls, old: Json, new: Json) -> bool:
        """Whether ``new`` may stand where ``old`` stands."""
        if old is None or old == OPEN or not isinstance(old, bool | int | float | str):
            return True
        if isinstance(old, float):
            return isinstance(new, int | float) and not isinstance(new, bool)
        return kind(old) == kind(new)


class TextSource(Source):
    """A text that is edited where it stands, and then read again."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file

    def text(self) -> str:
        """Return the text as it was read, with its edits."""
        return self._text

    def replaced(self, changes: Mapping[Way, Json]) -> Self:
        """Return it with values replaced or added; the others keep every byte."""
        splices = [splice for way, value in changes.items() for splice in self._edits(way, value)]
        if len(changes) > 1 and overlap(splices):
            source = self
            for way, value in changes.items():
                source = source.replaced({way: value})
            return source
        return self._again(spliced(self._text, splices))

    @abstractmethod
    def _edits(self, way: Way, value: Json) -> list[Splice]:
        """Return what one change does to the text.

        Raises:
            SpecError: if the format cannot write the value.
        """

    @abstractmethod
    def _again(self, text: str) -> Self:
        """Read an edited text."""

    @classmethod
    def fits(cls, old: Json, new: Json) -> bool:
        """Whether ``new`` may stand where ``old`` stands: a float also where an integer does."""
        as_float = float(old) if type(old) is int and isinstance(new, float) else old
        return super().fits(as_float, new)


def key_name(key: Any) -> str:
    """A mapping's key as text; one that YAML read as something else is spelt as JSON spells it."""
    return key if isinstance(key, str) else json.dumps(key)


def kind(value: Json) -> str:
    """What a value is, in words."""
    names: Mapping[type, str] = {
        bool: "a bool",
        int: "an integer",
        float: "a float",
        str: "a string",
        list: "a list",
    }
    plain = as_plain(value)
    return names.get(type(plain), "null" if plain is None else "a mapping")


def refuse_unwritable(value: Json, rule: Rule, way: Way, where: Where | None = None) -> None:
    """Raise SpecError for the first thing in ``value`` that a format cannot write.

    Args:
        value: plain.
        rule: the format's.
        way: to the value, from the spec's root.
        where: the place of the value that it would replace.
    """
    found = next(_unwritable(value, rule, way), None)
    if found is not None:
        below, why = found
        raise SpecError(f"{'.'.join(map(str, below))}: {why}", where=where)


def _unwritable(value: Json, rule: Rule, way: Way) -> Iterator[tuple[Way, str]]:
    if why := rule(value):
        yield way, why
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _unwritable(inner, rule, (*way, key))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _unwritable(inner, rule, way)
