"""Protobuf text as a tree of values that know their offsets.

The grammar is that of https://protobuf.dev/reference/protobuf/textformat-spec. No schema is
needed: a field is what it looks like. A name without quotes is a bool (``true``, ``True``,
``false``, ``False``) or an enum's value; ``017`` is octal, fifteen. What a spec cannot use is
refused: ``inf`` and ``nan``, strings that are no UTF-8, integers beyond 2**64.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from raytao.errors import SpecError
from raytao.spec.limits import DEEPEST, has_half_character, refusal_of_number, refusal_of_value
from raytao.spec.text import refused_at

BOOLS: Final = {"true": True, "True": True, "false": False, "False": False}
NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
ENDLESS: Final = ("inf", "infinity", "nan")

_TOKEN = re.compile(
    r"""
    (?: [\ \t\r\n\f\v]+ | \#[^\n]* )*
    (?:
      (?P<name> [A-Za-z_][A-Za-z0-9_]* )
    | (?P<number> [0-9.][A-Za-z0-9_.]* (?: (?<=[eE]) [+-] [A-Za-z0-9_.]* )? )
    | (?P<text> "(?:[^"\\\n]|\\[^\n])*" | '(?:[^'\\\n]|\\[^\n])*' )
    | (?P<mark> [{}<>\[\]:,;-] )
    | (?P<end> \Z )
    | (?P<other> . )
    )
    """,
    re.VERBOSE | re.DOTALL,
)
_EXTENSION = re.compile(r"\[[ \t]*([A-Za-z_][A-Za-z0-9_./-]*)[ \t]*\]")
_OCTAL = re.compile(r"0[0-7]+")
_INTEGER = re.compile(r"0[xX][0-9a-fA-F]+ | 0 | [1-9][0-9]*", re.VERBOSE)
_FLOAT = re.compile(
    r"(?: (?:0|[1-9][0-9]*) (?:\.[0-9]*)? | \.[0-9]+ ) (?:[eE][+-]?[0-9]+)? [fF]?", re.VERBOSE
)
_ESCAPE = re.compile(
    r"""\\(?: (?P<octal>[0-7]{1,3}) | [xX](?P<hex>[0-9a-fA-F]{1,2}) | u(?P<short>[0-9a-fA-F]{4})
        | U(?P<long>[0-9a-fA-F]{8}) | (?P<letter>[abfnrtv?\\'"]) | (?P<other>.) )""",
    re.VERBOSE | re.DOTALL,
)
_LETTERS: Final = dict(zip("abfnrtv?\\'\"", "\a\b\f\n\r\t\v?\\'\"", strict=True))

Kind: TypeAlias = Literal["bool", "number", "enum", "text"]


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value, from its first character (a sign, a quote) to the end of its last string."""

    start: int
    end: int
    kind: Kind
    value: bool | int | float | str


@dataclass(frozen=True, slots=True)
class Items:
    """A list in brackets."""

    start: int
    end: int
    items: tuple[Scalar | Message, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """Fields between braces; those of the root have none around them."""

    start: int
    end: int
    fields: tuple[Field, ...]


Value: TypeAlias = Scalar | Items | Message


@dataclass(frozen=True, slots=True)
class Field:
    """One ``name: value``; ``stop`` lies behind the separator that may follow."""

    start: int
    name: str
    name_end: int
    value: Value
    stop: int

    @property
    def elements(self) -> tuple[Scalar | Message, ...]:
        """Its value, or what its list holds."""
        return self.value.items if isinstance(self.value, Items) else (self.value,)


def read_message(text: str, *, file: str) -> Message:
    """Read the fields of a whole text.

    Raises:
        SpecError: with line, column and the line itself, for what is no protobuf text or refused.
    """
    return _Parser(text, file).root()


class _Parser:
    """Reads one token ahead."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._end = 0
        self._next()

    def _next(self) -> None:
        """Go on to the next token."""
        self._last = self._end
        match = _TOKEN.match(self._text, self._end)
        assert match is not None  # the last alternatives match anything
        self._kind = match.lastgroup or "end"
        self._token = match[self._kind]
        self._start, self._end = match.span(self._kind)

    def _refused(self, message: str, offset: int | None = None, remedy: str = "") -> SpecError:
        place = self._start if offset is None else offset
        return refused_at(message, self._text, self._file, place, remedy=remedy)

    def _unexpected(self, wanted: str) -> SpecError:
        if self._kind == "end":
            return self._refused(f"the text ends where {wanted} should stand", self._last)
        if self._kind == "other" and self._token in "\"'":
            return self._refused(
                "a string does not end on its line", remedy="close it with the same quote"
            )
        return self._refused(f"{self._token!r} stands where {wanted} should")

    def root(self) -> Message:
        fields = self._fields("", 1)
        return Message(0, len(self._text), fields)

    def _fields(self, closing: str, level: int, opened: int = 0) -> tuple[Field, ...]:
        """Read fields up to a closing mark (which stays) or the end of the text."""
        fields: list[Field] = []
        while self._kind != "end" and self._token != closing:
            fields.append(self._field(level))
        if closing and self._kind == "end":
            mark = self._text[opened]
            raise self._refused(f"{mark!r} is never closed", opened, f"add {closing!r}")
        return tuple(fields)

    def _field(self, level: int) -> Field:
        start, name = self._start, self._name()
        name_end = self._last
        colon = self._token == ":" and self._kind == "mark"
        if colon:
            self._next()
        value = self._value(level)
        if not colon and not _is_of_messages(value):
            raise self._refused(f"':' is missing after {name!r}", name_end)
        if self._kind == "mark" and self._token in ",;":
            self._next()
        return Field(start, name, name_end, value, self._last)

    def _name(self) -> str:
        if self._kind == "mark" and self._token == "[":
            match = _EXTENSION.match(self._text, self._start)
            if match is None:
                raise self._refused("'[' stands where a field's name should")
            self._end = match.end()
            self._next()
            return f"[{match[1]}]"
        if self._kind != "name":
            raise self._unexpected("a field's name")
        name = self._token
        self._next()
        return name

    def _value(self, level: int) -> Value:
        if self._kind == "mark" and self._token == "[":
            return self._items(level)
        return self._element(level)

    def _items(self, level: int) -> Items:
        start, items = self._start, []
        self._next()
        while self._token != "]" or self._kind != "mark":
            items.append(self._element(level + 1))
            if isinstance(items[-1], Message) != isinstance(items[0], Message):
                raise self._refused("a list holds messages or values, not both", items[-1].start)
            if self._kind == "mark" and self._token == ",":
                self._next()
                if self._kind == "mark" and self._token == "]":
                    raise self._unexpected("a value")
            elif self._kind != "mark" or self._token != "]":
                raise self._unexpected("',' or ']'")
        self._next()
        return Items(start, self._last, tuple(items))

    def _element(self, level: int) -> Scalar | Message:
        if self._kind == "mark" and self._token in "{<":
            return self._message(level + 1)
        if self._kind == "text":
            return self._string()
        return self._plain()

    def _message(self, level: int) -> Message:
        if level > DEEPEST:
            raise self._refused(f"nested deeper than {DEEPEST} levels")
        start, closing = self._start, "}" if self._token == "{" else ">"
        self._next()
        fields = self._fields(closing, level, start)
        self._next()
        return Message(start, self._last, fields)

    def _plain(self) -> Scalar:
        """A number, a bool or an enum's value."""
        start, sign = self._start, ""
        if self._kind == "mark" and self._token == "-":
            sign = "-"
            self._next()
        token, offset = self._token, self._start
        if self._kind == "name" and token.lower() in ENDLESS:
            raise self._refused(
                f"{sign}{token} is not finite", start, "give a number; quotes make it a string"
            )
        if self._kind == "number":
            value = self._number(token)
            self._next()
            return Scalar(start, self._last, "number", -value if sign else value)
        if self._kind != "name" or sign:
            raise self._unexpected("a number" if sign else "a value")
        self._next()
        if token in BOOLS:
            return Scalar(offset, self._last, "bool", BOOLS[token])
        return Scalar(offset, self._last, "enum", token)

    def _number(self, token: str) -> int | float:
        octal, remedy = _OCTAL.fullmatch(token), "quotes make it a string"
        if not (octal or _INTEGER.fullmatch(token) or _FLOAT.fullmatch(token)):
            raise self._refused(f"{token[:40]!r} is no number", remedy=remedy)
        if not octal and (why := refusal_of_number(token)):
            raise self._refused(why, remedy=remedy)
        value: int | float = int(token, 8) if octal else _decimal(token)
        if why := refusal_of_value(value):
            raise self._refused(why, remedy=remedy)
        return value

    def _string(self) -> Scalar:
        """One string, or several that follow each other and mean one."""
        start, parts = self._start, b""
        while self._kind == "text":
            parts += self._unescaped()
            self._next()
        try:
            value = parts.decode()
        except UnicodeDecodeError:
            raise self._refused(
                "the string's bytes are not UTF-8", start, "write the characters themselves"
            ) from None
        return Scalar(start, self._last, "text", value)

    def _unescaped(self) -> bytes:
        inner, offset = self._token[1:-1], self._start + 1
        if has_half_character(inner):
            raise self._refused("a character is half of one", remedy="write it as UTF-8")

        def octets(escape: re.Match[str]) -> bytes:
            if escape["octal"] or escape["hex"]:
                number = int(escape["octal"] or "0", 8) or int(escape["hex"] or "0", 16)
                if number < 256:
                    return bytes([number])
            elif escape["letter"]:
                return _LETTERS[escape["letter"]].encode()
            elif escape["short"] or escape["long"]:
                code = int(escape["short"] or escape["long"], 16)
                if code <= 0x10FFFF and not has_half_character(chr(code)):
                    return chr(code).encode()
            message = f"{escape[0]!r} is no escape for a character"
            raise self._refused(message, offset + escape.start(), "a backslash itself is \\\\")

        done, found = 0, b""
        for escape in _ESCAPE.finditer(inner):
            found += inner[done : escape.start()].encode() + octets(escape)
            done = escape.end()
        return found + inner[done:].encode()


def _decimal(token: str) -> int | float:
    return int(token, 0) if _INTEGER.fullmatch(token) else float(token.rstrip("fF"))


def _is_of_messages(value: Value) -> bool:
    if isinstance(value, Items):
        return bool(value.items) and isinstance(value.items[0], Message)
    return isinstance(value, Message)
