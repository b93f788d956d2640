"""Edits of a parsed tree that share what they do not touch, and keep its comments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ruamel.yaml.comments import Comment, CommentedMap, CommentedSeq, Format, LineCol
from ruamel.yaml.scalarbool import ScalarBoolean

from raytao.types import Json


def as_plain(value: Json) -> Json:
    """Return a deep copy made of plain dicts, lists, bools, numbers, strings and None."""
    match value:
        case Mapping():
            return {as_plain(key): as_plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [as_plain(inner) for inner in value]
        case bool() | None:
            return value
        case ScalarBoolean():
            return bool(value)
        case int():
            return int(value)
        case float():
            return float(value)
        case _:
            return str(value)


def replaced(tree: Json, path: tuple[Any, ...], value: Json) -> Json:
    """Return ``tree`` with the value at ``path`` replaced or added; ``tree`` stays as it was.

    Mappings on the way are copied, so that an alias of one of them elsewhere keeps its values, and
    so are lists; a path goes on below every element of a list.
    """
    if isinstance(tree, list | tuple):
        return _dressed(tree, [replaced(inner, path, value) for inner in tree])
    first, *rest = path
    new = replaced(tree[first], tuple(rest), value) if rest else _like(tree.get(first), value)
    copied = _copy(tree)
    copied[first] = new
    return copied


def _copy(tree: Mapping[Any, Json]) -> dict[Any, Json]:
    """A shallow copy without its anchor and with merged keys (``<<``) made its own.

    Two nodes with one anchor would make every alias of it mean the second.
    """
    if not isinstance(tree, CommentedMap):
        return dict(tree)
    copied = CommentedMap()
    for key in tree:
        copied[key] = tree[key]
    _dress(tree, copied)
    return copied


def _dressed(old: Json, items: list[Json]) -> list[Json]:
    """A list of as many items as ``old``, with its comments and style."""
    if not isinstance(old, CommentedSeq):
        return items
    copied = CommentedSeq(items)
    _dress(old, copied)
    return copied


def _dress(old: Json, new: Json) -> None:
    """Give a node of ruamel.yaml another one's comments, style and place."""
    for attribute in (Comment.attrib, Format.attrib, LineCol.attrib):
        if hasattr(old, attribute):
            setattr(new, attribute, getattr(old, attribute))


def _like(old: Json, value: Json) -> Json:
    """Return ``value`` in the style of the list it replaces, with the comments around it."""
    if isinstance(value, Mapping):
        return dict(value)
    if not isinstance(value, list | tuple):
        return value
    if not isinstance(old, CommentedSeq):
        return list(value)
    styled = CommentedSeq(value)
    if old.fa.flow_style():
        styled.fa.set_flow_style()
    styled.ca.comment = old.ca.comment
    last, tail = len(value) - 1, old.ca.items.get(len(old) - 1)
    if tail is not None and last >= 0:
        # What follows a block list is held by its last item.
        styled.ca.items[last] = tail
    return styled
