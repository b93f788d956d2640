"""YAML 1.2 as people write it: strict to read, with comments and order kept.

``1e-3`` is a number, ``no`` a string, ``010`` the integer ten. What a spec never needs and what
could hurt is refused: tags, directives, several documents, keys given twice, aliases that
multiply, deep nesting, numbers without end. Checks are made while the document is composed,
before anything is built from it.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, Self

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.resolver import VersionedResolver

from raytao.errors import SpecError, Where
from raytao.spec.edit import replaced
from raytao.spec.limits import DEEPEST, MOST_VALUES, has_half_character, refusal_of_number
from raytao.spec.source import Source
from raytao.spec.text import at, decode, with_caret
from raytao.spec.tree import Way
from raytao.types import Json

_NO_FOLDING = 2**20
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_VERSION = (1, 2)
_NEXT_LINE = "\x85"


class _Refused(MarkedYAMLError):
    """A document that is YAML, but not for a spec."""

    def __init__(self, message: str, mark: Any, remedy: str) -> None:
        super().__init__(problem=message, problem_mark=mark)
        self.remedy = remedy


class _StrictComposer(Composer):
    """Composes nodes and knows each one's size and height with aliases expanded."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader=loader)
        self.warn_double_anchors = False
        self._level = 0
        self._composed = 0
        self._extent: dict[int, tuple[int, int]] = {}

    def compose_document(self) -> Any:
        event = self.parser.peek_event()
        if event.tags or event.version not in (None, _VERSION):
            raise _Refused(
                "a directive is not allowed", event.start_mark, "delete it: this is YAML 1.2"
            )
        return super().compose_document()

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.parser.peek_event()
        node = self._composed_node(parent, index, event)
        is_key = isinstance(parent, MappingNode) and index is None
        if is_key and not isinstance(node, ScalarNode):
            raise _Refused(
                "a list or mapping cannot be a key", event.start_mark, "quote it to make it text"
            )
        return node

    def _composed_node(self, parent: Any, index: Any, event: Any) -> Node:
        if isinstance(event, AliasEvent):
            return self._alias(super().compose_node(parent, index), event)
        if event.ctag is not None:
            raise _Refused(
                f"tag {str(event.ctag)!r} is not allowed",
                event.start_mark,
                "write the plain value; quotes make it a string",
            )
        if self._level >= DEEPEST:
            raise self._too_deep(event.start_mark)
        self._composed += 1
        if self._composed > MOST_VALUES:
            raise self._too_many(event.start_mark)
        self._level += 1
        node: Node = super().compose_node(parent, index)
        self._level -= 1
        if isinstance(node, ScalarNode):
            _refuse_scalar(node)
        self._measure(node)
        return node

    def _alias(self, node: Node, event: Any) -> Node:
        if id(node) not in self._extent:
            raise _Refused(
                f"alias {event.anchor!r} contains itself", event.start_mark, "write the value out"
            )
        return node

    def _measure(self, node: Node) -> None:
        """Note the node's extent; refuse what is too large, too deep or said twice."""
        children: list[Node] = []
        if isinstance(node, MappingNode):
            _refuse_duplicates(node)
            children = [part for pair in node.value for part in pair]
        elif not isinstance(node, ScalarNode):
            children = node.value
        extents = [self._extent[id(child)] for child in children]
        size = 1 + sum(size for size, _ in extents)
        height = 1 + max((height for _, height in extents), default=0)
        if size > MOST_VALUES:
            raise self._too_many(node.start_mark)
        if height > DEEPEST:
            raise self._too_deep(node.start_mark)
        self._extent[id(node)] = (size, height)

    @staticmethod
    def _too_many(mark: Any) -> _Refused:
        return _Refused(
            f"more than {MOST_VALUES:,} values once aliases are expanded",
            mark,
            "keep data in files of its own; avoid aliases of aliases",
        )

    @staticmethod
    def _too_deep(mark: Any) -> _Refused:
        return _Refused(f"nested deeper than {DEEPEST} levels", mark, "use fewer levels")


def _refuse_duplicates(node: MappingNode) -> None:
    first: dict[str, int] = {}
    for key, _ in node.value:
        if key.value in first:
            raise _Refused(
                f"duplicate key {key.value!r}, first given in line {first[key.value]}",
                key.start_mark,
                "delete one of the two",
            )
        first[key.value] = key.start_mark.line + 1


def _refuse_scalar(node: ScalarNode) -> None:
    """Refuse what could be read, but neither computed with nor written to a file."""
    if str(node.ctag) in _NUMBERS and (why := refusal_of_number(node.value)):
        raise _Refused(why, node.start_mark, "give a number; quotes make it a string")
    if has_half_character(node.value):
        raise _Refused("an escape is half a character", node.start_mark, "write it as UTF-8")


class _PlainResolver(VersionedResolver):
    """YAML 1.2's core schema: it has no dates."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        tag = super().resolve(kind, value, implicit)
        return super().resolve(kind, value, (False, True)) if str(tag) == _TIMESTAMP else tag


class _Representer(RoundTripRepresenter):
    """Writes floats so that readers of YAML 1.1 see numbers too: ``1.0e-05``, not ``1e-05``.

    Aliases are written only where the user wrote an anchor.
    """

    def ignore_aliases(self, data: Any) -> bool:
        anchor = getattr(data, "anchor", None)
        return anchor is None or anchor.value is None


def _represent_float(representer: RoundTripRepresenter, value: float) -> Any:
    node = RoundTripRepresenter.represent_float(representer, value)
    mantissa, e, exponent = node.value.partition("e")
    if e and "." not in mantissa:
        node.value = f"{mantissa}.0e{exponent}"
    return node


def _represent_none(representer: RoundTripRepresenter, value: None) -> Any:
    del value
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")


def _represent_str(representer: RoundTripRepresenter, value: str) -> Any:
    """A "next line" is one to the writer and none to the reader: it is escaped."""
    if _NEXT_LINE in value:
        return representer.represent_scalar("tag:yaml.org,2002:str", value, style='"')
    return representer.represent_str(value)


_Representer.add_representer(str, _represent_str)
_Representer.add_representer(float, _represent_float)
_Representer.add_representer(type(None), _represent_none)


def _yaml() -> YAML:
    yaml = YAML(typ="rt", pure=True)
    yaml.Composer = _StrictComposer
    yaml.Resolver = _PlainResolver
    yaml.Representer = _Representer
    yaml.preserve_quotes = True
    yaml.width = _NO_FOLDING
    return yaml


def read_yaml(text: str | bytes, *, file: str) -> CommentedMap:
    """Read a YAML mapping; comments, order and quotes are kept for ``dump_yaml``.

    Args:
        text: the file's content.
        file: its name, for errors.

    Raises:
        SpecError: with line, column and the line itself, for what is no YAML, is no mapping or
            is refused (see the module).
    """
    decoded = decode(text, file=file)
    try:
        loaded = _yaml().load(decoded)
    except MarkedYAMLError as error:
        raise _marked(error, decoded, file) from None
    except ReaderError as error:
        where = at(file, decoded, int(error.position))
        message = f"character U+{error.character:04X} is not allowed in YAML"
        raise SpecError(with_caret(message, decoded, where), where=where) from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise SpecError(f"not YAML: {error}", where=Where(file)) from None
    if not isinstance(loaded, CommentedMap):
        found = "nothing" if loaded is None else f"a {_kind(loaded)}"
        raise SpecError(
            f"the file holds {found}, not keys with values",
            where=Where(file, 1, 1),
            remedy="write 'key: value' lines",
        )
    return loaded


def dump_yaml(node: Mapping[Any, Any]) -> str:
    """Return a mapping as YAML; comments and order of what ``read_yaml`` gave are kept."""
    stream = io.StringIO()
    _yaml().dump(node, stream)
    return stream.getvalue()


def located(node: Any, *keys: Any, file: str) -> Where:
    """Return the place of a nested key, or of the nearest key above it that has one.

    Args:
        node: what ``read_yaml`` gave.
        keys: the way down to the key.
        file: the file's name.
    """
    place: tuple[int, int] | None = None
    for key in keys:
        if isinstance(node, list) and node and not isinstance(key, int):
            node = node[0]  # the way crosses the list: its first element is shown
        lines = getattr(node, "lc", None)
        known = getattr(lines, "data", None) or {}
        if key in known:
            place = known[key][0], known[key][1]
        try:
            node = node[key]
        except (KeyError, IndexError, TypeError):
            break
    return Where(file) if place is None else Where(file, place[0] + 1, place[1] + 1)


class YamlSource(Source):
    """A spec in YAML: values with their comments, written out anew."""

    format = "yaml"

    def __init__(self, tree: Mapping[Any, Json], file: str) -> None:
        self._tree = tree
        self._file = file

    @classmethod
    def read(cls, text: str | bytes, *, file: str) -> Self:
        """Read it, as ``read_yaml`` does."""
        return cls(read_yaml(text, file=file), file)

    @property
    def tree(self) -> Mapping[Any, Json]:
        """What ``read_yaml`` gave."""
        return self._tree

    def where(self, way: Way) -> Where:
        """Return the place of a key, or of the section nearest to it."""
        return located(self._tree, *way, file=self._file)

    def text(self) -> str:
        """Return it as ruamel.yaml indents it; comments, order and quotes are kept."""
        return dump_yaml(self._tree)

    def replaced(self, changes: Mapping[Way, Json]) -> Self:
        """Return it with values replaced or added."""
        tree = self._tree
        for way, value in changes.items():
            tree = replaced(tree, way, value)
        return type(self)(tree, self._file)


def _kind(value: object) -> str:
    return "list" if isinstance(value, list) else "single value"


def _marked(error: MarkedYAMLError, text: str, file: str) -> SpecError:
    mark = error.problem_mark or error.context_mark
    no_colon = "could not find expected ':'" in str(error.problem)
    if no_colon:  # missed where the next line begins
        mark = error.context_mark or mark
    if mark is None:
        return SpecError(f"not YAML: {error.problem}", where=Where(file))
    # What is missing at the end is shown where the text ends, not on the blank line after it.
    where = at(file, text, min(mark.index, len(text.rstrip())))
    message = ", ".join(str(part) for part in (error.context, error.problem) if part)
    remedy = error.remedy if isinstance(error, _Refused) else ""
    if "'\\t'" in message:
        message, remedy = "a tab cannot indent YAML", "use spaces"
    if no_colon:
        remedy = "write key: value, with a colon and a blank behind it"
    return SpecError(with_caret(message, text, where), where=where, remedy=remedy)
