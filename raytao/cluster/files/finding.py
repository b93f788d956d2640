"""What a check says, and where in the file: place, key, value, rule and remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from raytao.errors import SpecError, Where
from raytao.spec import located, read_yaml
from raytao.spec.edit import as_plain
from raytao.types import Json

LONGEST_VALUE: Final = 100
"""Characters of a value that are shown."""

MISSING: Final = ""
"""The value of what is not there."""

Keys = tuple[str | int, ...]


@dataclass(frozen=True)
class Finding:
    """One thing that a cluster file has wrong.

    Args:
        where: the line; of the nearest key above where something is missing.
        key: dotted, or what a file without keys has in place of one (``FROM``, ``--time``).
        value: as it is written; `MISSING` if it is not there, ``…`` if it may be secret.
        rule: what it breaks.
        remedy: what to write instead.
        note: nothing is wrong yet: the user has something left to do.
    """

    where: Where
    key: str
    value: str
    rule: str
    remedy: str
    note: bool = False

    def __str__(self) -> str:
        if self.note:
            return f"{self.where}: note: {self.value} {self.rule}; {self.remedy}"
        what = f"{self.key} is {self.value}" if self.value else f"{self.key} is missing"
        return f"{self.where}: {what}: {self.rule}\n  {self.remedy}"

    def as_json(self) -> dict[str, Json]:
        """The finding as data."""
        return {
            "file": self.where.file,
            "line": self.where.line,
            "column": self.where.column,
            "key": self.key,
            "value": self.value,
            "rule": self.rule,
            "remedy": self.remedy,
            "note": self.note,
        }


@dataclass(frozen=True)
class Page:
    """A file's text, and where words stand in it."""

    file: str
    text: str

    @cached_property
    def lines(self) -> list[str]:
        """Without their ends; the first is line 1 of the file."""
        return self.text.split("\n")

    def at(self, word: str, start: int = 1) -> Where:
        """The first line from ``start`` on that has ``word``; ``start`` if none has."""
        for number, line in enumerate(self.lines[start - 1 :], start):
            if word in line:
                return Where(self.file, number, line.index(word) + 1)
        return Where(self.file, start)


@dataclass(frozen=True)
class Manifest:
    """One YAML document of a file, with the places of its keys."""

    page: Page
    tree: Mapping[str, Any]

    @cached_property
    def plain(self) -> Json:
        """Its values without their places."""
        return as_plain(self.tree)

    def get(self, *keys: str | int) -> Json:
        """The value at nested keys; None if it is not there."""
        value = self.plain
        for key in keys:
            try:
                value = value[key]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def mapping(self, *keys: str | int) -> dict[str, Json]:
        """The mapping at nested keys; empty if there is none, whatever else stands there."""
        value = self.get(*keys)
        return value if isinstance(value, dict) else {}

    def listed(self, *keys: str | int) -> list[Json]:
        """The list at nested keys; empty if there is none, whatever else stands there."""
        value = self.get(*keys)
        return value if isinstance(value, list) else []

    def mappings(self, *keys: str | int) -> Iterator[tuple[int, dict[str, Json]]]:
        """The mappings of the list at nested keys, with their numbers."""
        for number, value in enumerate(self.listed(*keys)):
            if isinstance(value, dict):
                yield number, value

    def where(self, *keys: str | int, word: str = "") -> Where:
        """The place of a nested key, or of a word in its value, or of the nearest key above."""
        place = located(self.tree, *keys, file=self.page.file)
        return self.page.at(word, place.line or 1) if word else place

    def finding(
        self, keys: Keys, rule: str, remedy: str, *, value: Json = None, word: str = ""
    ) -> Finding:
        """A finding at nested keys; ``value`` is that of the file if it is not given."""
        shown = self.get(*keys) if value is None else value
        return Finding(self.where(*keys, word=word), dotted(keys), as_shown(shown), rule, remedy)

    def leaves(self, *keys: str | int) -> Iterator[tuple[Keys, Json]]:
        """Every value that holds no other, with its keys."""
        yield from _leaves(self.get(*keys), keys)


def manifests(page: Page) -> tuple[list[Manifest], list[Finding]]:
    """The YAML documents of a file, and what makes one of them unreadable.

    Documents are read one by one, so that the strict reader, which takes one only, tells the line
    of the file.
    """
    read, unreadable = [], []
    starts = [n for n, line in enumerate(page.lines) if line == "---" or line.startswith("--- ")]
    for begin, end in zip([0, *starts], [*starts, len(page.lines)], strict=True):
        body = [
            line.removeprefix("---") if n == begin else line
            for n, line in enumerate(page.lines[begin:end], begin)
        ]
        if not any(line.strip() and not line.lstrip().startswith("#") for line in body):
            continue
        try:
            tree = read_yaml("\n" * begin + "\n".join(body), file=page.file)
        except SpecError as error:
            where = error.where or Where(page.file)
            remedy = error.remedy or "mend the YAML"
            unreadable.append(Finding(where, "YAML", "not read", error.message, remedy))
        else:
            read.append(Manifest(page, tree))
    return read, unreadable


def dotted(keys: Keys) -> str:
    """Nested keys as people write them.

    >>> dotted(("spec", "containers", 0, "image"))
    'spec.containers[0].image'
    """
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return text.removeprefix(".")


def as_shown(value: Json) -> str:
    """A value as a finding shows it, on one line."""
    if value is None:
        return MISSING
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _leaves(value: Json, keys: Keys) -> Iterator[tuple[Keys, Json]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, (*keys, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _leaves(inner, (*keys, number))
    else:
        yield keys, value
