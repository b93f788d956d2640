"""A train spec as a value: read from YAML or JSON, edited by dotted key, written back."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, cast

from raytao.errors import SpecError, Where, did_you_mean
from raytao.spec.edit import as_plain, replaced
from raytao.spec.json import dump_json, read_json
from raytao.spec.limits import DEEPEST, refusal_of_value
from raytao.spec.text import at, decode, read_file
from raytao.spec.tree import OPEN, find, flatten, get_in, refuse_other_shape, require
from raytao.spec.yaml import dump_yaml, located, read_yaml
from raytao.types import Json

Format: TypeAlias = Literal["yaml", "json"]

FORMATS: Final[Mapping[str, Format]] = {".yaml": "yaml", ".yml": "yaml", ".json": "json"}
"""Formats by file name ending."""


class Document:
    """A spec that never changes: edits return another document.

    Comments, order and quotes of a YAML file survive every edit. Keys are dotted:
    ``train.optim.lr``.
    """

    def __init__(
        self,
        tree: Mapping[Any, Json],
        *,
        file: str,
        format: Format,
        text: str = "",
        offsets: Mapping[tuple[Any, ...], int] | None = None,
    ) -> None:
        self._tree = tree
        self.file = file
        self.format: Format = format
        self._text = text
        self._offsets = offsets or {}

    @classmethod
    def load(cls, path: Path) -> Document:
        """Read a file, in the format that its name says.

        Raises:
            SpecError: if it cannot be read, or its content is refused.
        """
        format = FORMATS.get(path.suffix.lower())
        if format is None:
            raise SpecError(
                f"{path.suffix or 'no ending'!r} is not a format of specs",
                where=Where(str(path)),
                remedy=f"use one of {', '.join(FORMATS)}",
            )
        return cls.parse(read_file(path), file=str(path), format=format)

    @classmethod
    def parse(cls, text: str | bytes, *, file: str, format: str = "yaml") -> Document:
        """Read a spec's text.

        Args:
            text: its content.
            file: its name, for errors.
            format: "yaml" or "json".

        Raises:
            SpecError: with file:line:column, if it is malformed or refused.
        """
        if _format(format) == "yaml":
            return cls(read_yaml(text, file=file), file=file, format="yaml")
        decoded = decode(text, file=file)
        tree, offsets = read_json(decoded, file=file)
        return cls(tree, file=file, format="json", text=decoded, offsets=offsets)

    @cached_property
    def _plain(self) -> dict[str, Json]:
        return cast("dict[str, Json]", as_plain(self._tree))

    def plain(self) -> dict[str, Json]:
        """Return the spec as plain Python values, the caller's own copy."""
        return copy.deepcopy(self._plain)

    def get(self, key: str) -> Json:
        """Return the plain value of a leaf or section.

        Raises:
            SpecError: if there is no such key.
        """
        require(self._plain, key, where=Where(self.file))
        return copy.deepcopy(get_in(self._plain, key))

    def has(self, key: str) -> bool:
        """Whether there is a leaf or section of that name."""
        return find(self._plain, key) is not None

    def keys(self) -> list[str]:
        """Return the dotted keys of all leaves, in order."""
        return list(flatten(self._plain))

    def where(self, key: str) -> Where:
        """Return the place of a key in the file, or of the section nearest to it."""
        path = find(self._tree, key) or ()
        if self.format == "yaml":
            return located(self._tree, *path, file=self.file)
        offset = self._offsets.get(tuple(path))
        return Where(self.file) if offset is None else at(self.file, self._text, offset)

    def with_values(self, values: Mapping[str, Json]) -> Document:
        """Return a document with the values of some dotted keys replaced.

        An integer may stand where a number stood; null and ``???`` accept anything.

        Raises:
            SpecError: if a key is unknown, or a value has another type than the one it replaces.
        """
        tree = self._tree
        for key, value in values.items():
            path = require(tree, key, where=Where(self.file))
            self._refuse_misfit(key, get_in(tree, key), value, depth=len(path))
            tree = replaced(tree, path, value)
        return self._with_tree(tree)

    def merged(self, other: Mapping[str, Json], *, allow_new: bool = False) -> Document:
        """Return a document with a nested mapping laid over it, section by section.

        Args:
            other: what to lay over, nested as a spec is.
            allow_new: whether keys may be added.

        Raises:
            SpecError: if a key is unknown (unless ``allow_new``), or a type does not fit.
        """
        tree = self._tree
        for path, value in _laid_over(tree, other, ()):
            dotted = ".".join(str(key) for key in path)
            old = _at(tree, path)
            if old is _ABSENT and not allow_new:
                raise SpecError(
                    f"no key {dotted!r} in the spec",
                    where=Where(self.file),
                    remedy=did_you_mean(dotted, flatten(tree)),
                )
            if old is not _ABSENT:
                self._refuse_misfit(dotted, old, value, depth=len(path))
            tree = replaced(tree, path, value)
        return self._with_tree(tree)

    def dump(self, format: str | None = None) -> str:
        """Return the text of the spec, in its own format or in another."""
        wanted = self.format if format is None else _format(format)
        if wanted == "json":
            return dump_json(self._plain)
        return dump_yaml(self._tree if self.format == "yaml" else self._plain)

    def __repr__(self) -> str:
        return f"Document({self.file})"

    def _with_tree(self, tree: Mapping[Any, Json]) -> Document:
        return Document(
            tree, file=self.file, format=self.format, text=self._text, offsets=self._offsets
        )

    def _refuse_misfit(self, key: str, old: Json, new: Json, *, depth: int) -> None:
        where = self.where(key)
        if why := refusal_of_value(new, DEEPEST - depth):
            raise SpecError(f"{key}: {why}", where=where, remedy="give another value")
        refuse_other_shape(key, old, new, where=where)
        if not _fits(old, new):
            raise SpecError(
                f"{key}: {new!r} is {_kind(new)}, but the spec has {_kind(old)}, {old!r}",
                where=where,
                remedy=f"give {_kind(old)}",
            )


_ABSENT: Final = object()


def _format(name: str) -> Format:
    if name not in ("yaml", "json"):
        raise SpecError(f"unknown format {name!r}", remedy="use yaml or json")
    return cast("Format", name)


def _laid_over(
    tree: Json, other: Mapping[Any, Json], path: tuple[Any, ...]
) -> Iterator[tuple[tuple[Any, ...], Json]]:
    """Yield what to replace: the way down in ``tree``, and the value."""
    for key, value in other.items():
        own = next((k for k in tree if str(k) == str(key)), key)
        old = tree.get(own)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            yield from _laid_over(old, value, (*path, own))
        else:
            yield (*path, own), value


def _at(tree: Json, path: tuple[Any, ...]) -> Json:
    for key in path:
        if key not in tree:
            return _ABSENT
        tree = tree[key]
    return tree


def _fits(old: Json, new: Json) -> bool:
    """Whether ``new`` may stand where the scalar ``old`` stands."""
    if old is None or old == OPEN or not isinstance(old, bool | int | float | str):
        return True
    if isinstance(old, float):
        return isinstance(new, int | float) and not isinstance(new, bool)
    return _kind(old) == _kind(new)


def _kind(value: Json) -> str:
    names: Mapping[type, str] = {
        bool: "a bool",
        int: "an integer",
        float: "a float",
        str: "a string",
        list: "a list",
    }
    plain = as_plain(value)
    return names.get(type(plain), "null" if plain is None else "a mapping")
