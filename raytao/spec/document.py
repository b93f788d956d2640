"""A train spec as a value: read from a file, edited by dotted key, written back."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, cast

from raytao.errors import SpecError, Where, did_you_mean
from raytao.spec.edit import as_plain
from raytao.spec.formats import dumped, read_source
from raytao.spec.limits import DEEPEST, refusal_of_value
from raytao.spec.source import FORMATS, NAMES, Format, Source, kind
from raytao.spec.text import read_file
from raytao.spec.tree import (
    Way,
    depth_of,
    find,
    flatten,
    get_in,
    reachable,
    reached,
    refuse_other_shape,
    require,
)
from raytao.spec.yaml import YamlSource
from raytao.types import Json

if TYPE_CHECKING:
    from raytao.spec.protobuf.typed import TypedMessage


class Document:
    """A spec that never changes: edits return another document.

    Comments, order and quotes of a YAML file survive every edit; of TOML and protobuf text every
    byte but the value's does. Keys are dotted: ``train.optim.lr``. A key that goes on below a list
    of sections (of YAML, a repeated message of protobuf, an array of tables of TOML) means all of
    them.
    """

    def __init__(self, source: Source, *, file: str) -> None:
        self._source = source
        self.file = file

    @property
    def format(self) -> Format:
        """What it was read from, and is written as."""
        return self._source.format

    @classmethod
    def load(
        cls, path: Path, *, format: str | None = None, typed: TypedMessage | None = None
    ) -> Self:
        """Read a file, in the format that its name says.

        Args:
            path: the file.
            format: of a file whose name says none, such as a ``.txt``.
            typed: the message that a protobuf text is.

        Raises:
            SpecError: if it cannot be read, or its content is refused.
        """
        named = FORMATS.get(path.suffix.lower(), format)
        if named is None:
            raise SpecError(
                f"{path.suffix or 'no ending'!r} is not a format of specs",
                where=Where(str(path)),
                remedy=f"use one of {', '.join(FORMATS)}",
            )
        return cls.parse(read_file(path), file=str(path), format=named, typed=typed)

    @classmethod
    def parse(
        cls,
        text: str | bytes,
        *,
        file: str,
        format: str = "yaml",
        typed: TypedMessage | None = None,
    ) -> Self:
        """Read a spec's text.

        Args:
            text: its content.
            file: its name, for errors.
            format: "yaml", "json", "toml" or "protobuf".
            typed: the message that a protobuf text is; without it, names and types of its fields
                are taken as they are.

        Raises:
            SpecError: with file:line:column, if it is malformed or refused.
        """
        source = read_source(text, _format(format), file=file, typed=typed)
        return cls(source, file=file)

    @classmethod
    def of_values(cls, tree: Mapping[str, Json], *, file: str) -> Self:
        """Return plain values as a YAML document that was never read."""
        return cls(YamlSource(tree, file), file=file)

    @cached_property
    def _plain(self) -> dict[str, Json]:
        return cast("dict[str, Json]", as_plain(self._source.tree))

    def plain(self) -> dict[str, Json]:
        """Return the spec as plain Python values, the caller's own copy."""
        return copy.deepcopy(self._plain)

    def get(self, key: str) -> Json:
        """Return the plain value of a leaf or section.

        A key through a list of sections gives the value that all of them have, or else the list
        of their values.

        Raises:
            SpecError: if there is no such key.
        """
        require(self._plain, key, where=Where(self.file))
        return copy.deepcopy(get_in(self._plain, key))

    def has(self, key: str) -> bool:
        """Whether there is a leaf or section of that name."""
        return find(self._plain, key) is not None

    def keys(self) -> list[str]:
        """Return the dotted keys of all leaves, in order; lists are leaves."""
        return list(flatten(self._plain))

    def where(self, key: str) -> Where:
        """Return the place of a key in the file, or of the section nearest to it."""
        return self._source.where(find(self._source.tree, key) or ())

    def with_values(self, values: Mapping[str, Json]) -> Document:
        """Return a document with the values of some dotted keys replaced.

        An integer may stand where a number stood; null and ``???`` accept anything. Where a
        format does not tell a float from an integer, or a list of one from its element, a float
        may stand for an integer (TOML, protobuf), and a list for its element (protobuf).

        Raises:
            SpecError: if a key is unknown, a value has another type than the one it replaces, or
                the format cannot write it (TOML and protobuf have no null).
        """
        source = self._source
        for batch in _batches(values):
            changes: dict[Way, Json] = {}
            for key, value in batch.items():
                way = require(source.tree, key, where=Where(self.file))
                for old in reached(source.tree, way):
                    _refuse_misfit(source, key, way, old, value)
                changes[way] = value
            source = source.replaced(changes)
        return Document(source, file=self.file)

    def merged(self, other: Mapping[str, Json], *, allow_new: bool = False) -> Document:
        """Return a document with a nested mapping laid over it, section by section.

        Args:
            other: what to lay over, nested as a spec is.
            allow_new: whether keys may be added.

        Raises:
            SpecError: if a key is unknown (unless ``allow_new``), or a type does not fit.
        """
        tree, changes = self._source.tree, dict(_laid_over(self._source.tree, other, ()))
        for way, value in changes.items():
            dotted = ".".join(str(key) for key in way)
            old = _at(tree, way)
            if old is _ABSENT and not allow_new:
                raise SpecError(
                    f"no key {dotted!r} in the spec",
                    where=Where(self.file),
                    remedy=did_you_mean(dotted, reachable(tree)),
                )
            _refuse_misfit(self._source, dotted, way, None if old is _ABSENT else old, value)
        return Document(self._source.replaced(changes), file=self.file)

    def dump(self, format: str | None = None) -> str:
        """Return the text of the spec, in its own format or in another.

        What was read from TOML or protobuf, and not edited, is the same text.

        Raises:
            SpecError: if the other format has no such values: TOML has no null, protobuf text
                neither null nor lists in lists, and its field names are letters and digits.
        """
        wanted = self.format if format is None else _format(format)
        return self._source.text() if wanted == self.format else dumped(self._plain, wanted)

    def __repr__(self) -> str:
        return f"Document({self.file})"


_ABSENT: Final = object()


def _format(name: str) -> Format:
    for known in NAMES:
        if known == name:
            return known
    raise SpecError(f"unknown format {name!r}", remedy=f"use one of {', '.join(NAMES)}")


def _refuse_misfit(source: Source, key: str, way: Way, old: Json, new: Json) -> None:
    where = source.where(way)
    if why := refusal_of_value(new, DEEPEST - depth_of(source.tree, way)):
        raise SpecError(f"{key}: {why}", where=where, remedy="give another value")
    refuse_other_shape(key, old, new, where=where)
    if not source.fits(old, new):
        raise SpecError(
            f"{key}: {new!r} is {kind(new)}, but the spec has {kind(old)}, {old!r}",
            where=where,
            remedy=f"give {kind(old)}",
        )


def _batches(values: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    """Split changes so that no key of a batch lies within another one."""
    batch: dict[str, Json] = {}
    sections: set[str] = set()
    for key, value in values.items():
        parts = key.split(".")
        above = [".".join(parts[:count]) for count in range(1, len(parts))]
        if key in sections or any(section in batch for section in above):
            yield batch
            batch, sections = {}, set()
        batch[key] = value
        sections.update(above)
    if batch:
        yield batch


def _laid_over(tree: Json, other: Mapping[Any, Json], way: Way) -> Iterator[tuple[Way, Json]]:
    """Yield what to replace: the way down in ``tree``, and the value."""
    for key, value in other.items():
        own = next((k for k in tree if str(k) == str(key)), key)
        old = tree.get(own)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            yield from _laid_over(old, value, (*way, own))
        else:
            yield (*way, own), value


def _at(tree: Json, way: Way) -> Json:
    for key in way:
        if key not in tree:
            return _ABSENT
        tree = tree[key]
    return tree
