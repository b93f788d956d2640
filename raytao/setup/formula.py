"""Small formulas over a train spec: ``1 if model.width > 64 else 0.5``.

A formula is read as a Python expression, of which a short list of forms is known and all others
are refused: numbers, texts, true, false and null, keys of the spec, ``+ - * / // %``,
comparisons, ``in``, ``and``, ``or``, ``not``, ``a if c else b``, ``min`` and ``max``. It is
walked, never run: it can call nothing, reach into nothing and change nothing, and its length
bounds what it costs.
"""

from __future__ import annotations

import ast
import math
import operator
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Never, TypeAlias, TypeGuard

from raytao.errors import SettingsError, did_you_mean
from raytao.spec import flatten
from raytao.types import Json

LONGEST: Final = 400
"""Characters of a formula."""

SHOWN: Final = 40
"""Characters of one that is too long, in an error."""

DEEPEST: Final = 24
"""Levels of a formula, each operator one inside the other."""

Value: TypeAlias = bool | int | float | str | list[Any] | None

_KNOWN: Final = (
    "known are numbers, texts, true, false, null, keys of the spec, + - * / // %, comparisons, "
    "in, and, or, not, 'a if c else b', min(…) and max(…)"
)

_WORDS: Final[Mapping[str, Value]] = {"true": True, "false": False, "null": None}

_FUNCTIONS: Final[Mapping[str, Callable[..., float]]] = {"min": min, "max": max}

_ARITHMETIC: Final[Mapping[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}

_ORDER: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], bool]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}

_SAMENESS: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], bool]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}

_MEMBERSHIP: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], bool]]] = {
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
}


@dataclass(frozen=True)
class Formula:
    """A formula that is made of known forms only.

    Args:
        text: as it was written.
        key: dotted key of the setting that holds it, for errors.

    Raises:
        SettingsError: if it cannot be read, with the column and the rule.
    """

    text: str
    key: str

    def __post_init__(self) -> None:
        _ = self._tree

    @cached_property
    def names(self) -> frozenset[str]:
        """Dotted keys of the spec that it reads."""
        return frozenset(name for node in _walk(self._tree) if (name := _dotted(node)) is not None)

    def check(self, spec: Mapping[str, Json]) -> None:
        """Refuse keys that are not in the spec, in parts too that it would not come to.

        Raises:
            SettingsError: naming the first, and the nearest key there is.
        """
        for node in _walk(self._tree):
            if _dotted(node) is not None:
                self._looked_up(node, spec)

    def number(self, spec: Mapping[str, Json]) -> float:
        """What it says for a train spec, where that is a number.

        Raises:
            SettingsError: if a key is not in the spec, or if that is no finite number.
        """
        value = self.value(spec)
        if not _is_number(value):
            self._refuse(self._tree, f"it gives {value!r}; it must give a number")
        return self._computed(self._tree, float, value)

    def holds(self, spec: Mapping[str, Json]) -> bool:
        """What it says for a train spec, where that is true or false.

        Raises:
            SettingsError: if a key is not in the spec, or if that is neither.
        """
        value = self.value(spec)
        if not isinstance(value, bool):
            self._refuse(self._tree, f"it gives {value!r}; it must give true or false")
        return value

    def value(self, spec: Mapping[str, Json]) -> Value:
        """What it says for a train spec, nested as `Document.plain` gives it.

        Raises:
            SettingsError: if a key is not in the spec, or if values do not go together.
        """
        return self._value(self._tree, spec)

    @cached_property
    def _tree(self) -> ast.expr:
        """The expression, every part of which is known."""
        if len(self.text) > LONGEST:
            raise self._error(1, f"it has {len(self.text)} characters; {LONGEST} are allowed")
        if not self.text.strip():
            raise self._error(1, "it is empty")
        tree = self._parsed()
        for node in _walk(tree):
            self._check(node)
        if _depth(tree) > DEEPEST:
            raise self._error(1, f"it is more than {DEEPEST} levels deep")
        return tree

    def _parsed(self) -> ast.expr:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Python's advice about odd literals
                return ast.parse(self._line, mode="eval").body
        except SyntaxError as error:
            raise self._error(error.offset or 1, f"it is no formula ({error.msg})") from None
        except (ValueError, MemoryError, RecursionError) as error:
            raise self._error(1, f"it is no formula ({error})") from None

    @property
    def _line(self) -> str:
        """The text on one line, so that a place in it is one number."""
        return self.text.replace("\n", " ").strip(" \t\f\r")

    def _check(self, node: ast.AST) -> None:
        """Refuse a form that is not known."""
        match node:
            case ast.Constant(value=bool() | int() | float() | str() | None):
                known = True
            case ast.Name(id=name):
                known = name not in _FUNCTIONS
            case ast.Attribute():
                known = _dotted(node) is not None
            case ast.BinOp(op=op):
                known = type(op) in _ARITHMETIC
            case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.UAdd()):
                known = True
            case ast.Compare(ops=ops):
                known = all(type(op) in {**_ORDER, **_SAMENESS, **_MEMBERSHIP} for op in ops)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                known = name in _FUNCTIONS and len(args) > 1
            case ast.BoolOp() | ast.IfExp() | ast.List() | ast.Tuple():
                known = True
            case _:
                known = False
        if not known:
            written = ast.get_source_segment(self._line, node) or type(node).__name__
            self._refuse(node, f"{written!r} has no meaning here; {_KNOWN}")

    def _value(self, node: ast.expr, spec: Mapping[str, Json]) -> Value:
        match node:
            case ast.Constant(value=value):
                return value  # type: ignore[return-value]  # `_check` has seen its type
            case ast.Name() | ast.Attribute():
                return self._looked_up(node, spec)
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                return [self._value(part, spec) for part in parts]
            case ast.BinOp() | ast.Call() | ast.UnaryOp(op=ast.USub() | ast.UAdd()):
                return self._arithmetic(node, spec)
            case _:
                return self._logic(node, spec)

    def _logic(self, node: ast.expr, spec: Mapping[str, Json]) -> Value:
        match node:
            case ast.IfExp(test=test, body=body, orelse=other):
                return self._value(body if self._truth(test, spec) else other, spec)
            case ast.BoolOp(op=op, values=parts):
                truths = (self._truth(part, spec) for part in parts)
                return all(truths) if isinstance(op, ast.And) else any(truths)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return not self._truth(operand, spec)
            case ast.Compare():
                return all(self._compared(node, spec))
        raise AssertionError(f"{ast.dump(node)} was let through")

    def _arithmetic(self, node: ast.expr, spec: Mapping[str, Json]) -> float:
        match node:
            case ast.UnaryOp(op=op, operand=operand):
                number = self._number(operand, spec)
                return -number if isinstance(op, ast.USub) else number
            case ast.BinOp(op=op, left=left, right=right):
                sides = self._number(left, spec), self._number(right, spec)
                return self._computed(node, _ARITHMETIC[type(op)], *sides)
            case ast.Call(func=ast.Name(id=name), args=args):
                return _FUNCTIONS[name](*(self._number(arg, spec) for arg in args))
        raise AssertionError(f"{ast.dump(node)} was let through")

    def _looked_up(self, node: ast.expr, spec: Mapping[str, Json]) -> Value:
        name = _dotted(node) or ""
        if name in _WORDS:
            return _WORDS[name]
        found: Json = spec
        for part in name.split("."):
            if not isinstance(found, Mapping) or part not in found:
                near = did_you_mean(name, flatten(spec))
                self._refuse(node, f"the train spec has no key {name!r}", remedy=near)
            found = found[part]
        if isinstance(found, Mapping):
            near = did_you_mean(name, flatten(spec))
            self._refuse(node, f"{name!r} is a section of the train spec", remedy=near)
        leaf: Value = found
        return leaf

    def _truth(self, node: ast.expr, spec: Mapping[str, Json]) -> bool:
        value = self._value(node, spec)
        if not isinstance(value, bool):
            self._refuse(node, f"{value!r} is neither true nor false")
        return value

    def _number(self, node: ast.expr, spec: Mapping[str, Json]) -> float:
        value = self._value(node, spec)
        if not _is_number(value):
            self._refuse(node, f"{value!r} is no number")
        return value

    def _compared(self, node: ast.Compare, spec: Mapping[str, Json]) -> Iterator[bool]:
        left = self._value(node.left, spec)
        for op, part in zip(node.ops, node.comparators, strict=True):
            right = self._value(part, spec)
            if type(op) in _MEMBERSHIP:
                if not isinstance(right, list):
                    self._refuse(part, f"{right!r} is no list")
                yield _MEMBERSHIP[type(op)](left, right)
            elif type(op) in _SAMENESS:
                yield _SAMENESS[type(op)](left, right)
            elif _ordered(left, right):
                yield _ORDER[type(op)](left, right)
            else:
                self._refuse(part, f"{left!r} and {right!r} have no order")
            left = right

    def _computed(self, node: ast.expr, compute: Callable[..., float], *numbers: float) -> float:
        """A result of arithmetic; whole numbers stay whole, and are no larger than floats are."""
        try:
            found = compute(*numbers)
            finite = math.isfinite(found)
        except ArithmeticError as error:
            self._refuse(node, f"it cannot be computed ({error})")
        if not finite:
            self._refuse(node, f"it gives {found}; it must be finite")
        return found

    def _refuse(self, node: ast.AST, rule: str, remedy: str = "") -> Never:
        raise self._error(self._column(node), rule, remedy)

    def _column(self, node: ast.AST) -> int:
        """Where a part begins, in characters of the text, from 1."""
        before = self._line.encode()[: getattr(node, "col_offset", 0)]
        return len(before.decode(errors="replace")) + 1

    def _error(self, column: int, rule: str, remedy: str = "") -> SettingsError:
        shown = self._line if len(self._line) <= LONGEST else f"{self._line[:SHOWN]}…"
        return SettingsError(f"{self.key}: {shown!r}, column {column}: {rule}", remedy=remedy)


def _walk(tree: ast.expr) -> Iterator[ast.expr]:
    """The parts of an expression; a dotted key is one part, and a function's name is none."""
    left: list[ast.AST] = [tree]
    while left:
        node = left.pop()
        if isinstance(node, ast.expr):
            yield node
        if isinstance(node, ast.Call):
            left += [*node.args, *node.keywords]
        elif _dotted(node) is None:
            left += ast.iter_child_nodes(node)


def _dotted(node: ast.AST) -> str | None:
    """``a.b.c`` of a chain of names; None for anything else."""
    parts = list[str]()
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return ".".join([node.id, *reversed(parts)])


def _depth(tree: ast.expr) -> int:
    """Levels of an expression; walked without recursion, whatever was written."""
    deepest, left = 0, [(1, tree)]
    while left:
        level, node = left.pop()
        deepest = max(deepest, level)
        if _dotted(node) is None:
            inner = (child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr))
            left += [(level + 1, child) for child in inner]
    return deepest


def _is_number(value: Value) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _ordered(left: Value, right: Value) -> bool:
    """Whether one can be more than the other."""
    both_texts = isinstance(left, str) and isinstance(right, str)
    return both_texts or (_is_number(left) and _is_number(right))
