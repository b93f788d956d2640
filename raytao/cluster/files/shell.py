"""Shell text: the commands in it, as far as words and separators tell. Nothing is run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Final

_SEPARATORS: Final = frozenset(";&|()")
_WRAPPERS: Final = frozenset(
    {"exec", "nohup", "time", "env", "then", "do", "else", "if", "!", "{"}
)
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_DURATION: Final = re.compile(r"\d+(\.\d+)?[smhd]?$")


def commands(text: str) -> Iterator[list[str]]:
    """The simple commands of a script, word by word, quotes removed.

    A line whose quotes do not close is passed over: ``bash -n`` tells what is wrong with it.

    >>> list(commands("a=1 exec raytao run x & wait # y"))
    [['a=1', 'exec', 'raytao', 'run', 'x'], ['wait']]
    """
    for line in re.sub(r"\\\n", " ", text).split("\n"):
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:
            continue
        yield from _split(words, line)


def raytao_calls(text: str) -> Iterator[list[str]]:
    """The arguments of every ``raytao`` that a script calls, itself or through another command.

    >>> list(raytao_calls("timeout 2h raytao run a && ray job submit -- raytao run b"))
    [['run', 'a'], ['run', 'b']]
    """
    for words in commands(text):
        yield from _calls(words)


def assigned(text: str) -> Iterator[tuple[str, str]]:
    """Names and values of ``NAME=value`` words, wherever they stand in a script."""
    for words in commands(text):
        for word in words:
            if _ASSIGNMENT.match(word):
                name, _, value = word.partition("=")
                yield name, value


def _split(words: Sequence[str], line: str) -> Iterator[list[str]]:
    command: list[str] = []
    redirected = False
    for word in words:
        if word and set(word) <= _SEPARATORS:
            if command:
                yield command
            command = []
        elif word and set(word) <= {*_SEPARATORS, "<", ">"}:
            redirected = True
            if command and command[-1].isdigit() and f"{command[-1]}{word}" in line:
                command.pop()  # the 2 of 2>&1
        elif redirected:
            redirected = False
        else:
            command.append(word)
    if command:
        yield command


def _calls(words: Sequence[str]) -> Iterator[list[str]]:
    rest = list(words)
    while rest and (rest[0] in _WRAPPERS or _ASSIGNMENT.match(rest[0]) or rest[0] == "timeout"):
        wrapper = rest.pop(0)
        if wrapper == "timeout" and rest and _DURATION.match(rest[0]):
            rest.pop(0)
    if rest and rest[0].rpartition("/")[2] == "raytao":
        yield rest[1:]
        return
    if rest[1:3] == ["-m", "raytao"]:
        yield rest[3:]
        return
    if rest[1:2] == ["-c"] and len(rest) > 2:
        yield from raytao_calls(rest[2])
    if "--" in rest:
        yield from _calls(rest[rest.index("--") + 1 :])
