"""Command lines and paths with fields in braces: ``train -e {spec} -r {results_dir}``.

A command line is split into words first and filled in afterwards, so that a path with blanks stays
one word and no shell ever sees it. A brace that is meant is written twice, as in Python.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from string import Formatter
from typing import Final, TypeAlias

from raytao.errors import SettingsError, did_you_mean

Value: TypeAlias = str | int | Sequence[str]
"""What a field stands for; a sequence of words takes the place of a whole word."""

TEXT: Final = ("spec", "results_dir", "checkpoint", "gpu_ids", "cwd", "folder")
COUNTS: Final = ("epochs", "horizon", "start_epoch", "next_epoch", "gpus", "threads", "seed")
WORDS: Final = ("resume_args", "overrides")

TRAIN: Final = (*TEXT, *COUNTS, *WORDS)
"""The fields of a training's command line."""

RESUME: Final = (*TEXT, *COUNTS)
"""The fields of ``resume_args`` and of environment variables."""

EVALUATE: Final = (
    "spec",
    "results_dir",
    "checkpoint",
    "gpu_ids",
    "gpus",
    "threads",
    "cwd",
    "folder",
    "overrides",
)
"""The fields of an evaluation's command line."""

PATH: Final = ("results_dir",)
CHECKPOINT: Final = ("results_dir", "epoch")

_EXAMPLES: Final[Mapping[str, Value]] = {
    **dict.fromkeys(TEXT, "text"),
    **dict.fromkeys((*COUNTS, "epoch"), 3),
    **{name: ("word",) for name in WORDS},
}

_PLAIN_FIELD: Final = re.compile(r"[A-Za-z_]\w*")


def fields(template: str) -> set[str]:
    """The names of the fields in a template that was checked.

    >>> sorted(fields("{results_dir}/model_{epoch:03d}.pth"))
    ['epoch', 'results_dir']
    """
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}


def check(template: str, known: Collection[str]) -> None:
    """Refuse what cannot be filled in.

    Raises:
        SettingsError: for a lone brace, an unknown field, or a format that does not fit one.
    """
    for _, name, spec, conversion in _parsed(template):
        if name is None:
            continue
        if not _PLAIN_FIELD.fullmatch(name) or conversion:
            raise _refused(f"{{{name}{'!' + conversion if conversion else ''}}} is no field")
        if name not in known:
            raise SettingsError(
                f"must name known fields, and {{{name}}} is none: {did_you_mean(name, known)} "
                "(a brace that is meant is written twice: {{ }})"
            )
        try:
            if name in WORDS and spec:
                raise ValueError("it is a list of words")
            format(_EXAMPLES[name], spec or "")
        except ValueError as error:
            raise _refused(f"the format of {{{name}:{spec}}} does not fit: {error}") from error


def check_command(template: str, known: Collection[str]) -> None:
    """Refuse a command line that cannot be split into words and filled in.

    Raises:
        SettingsError: as ``check`` does; for an open quotation; for a list of words in a word.
    """
    check(template, known)
    for word in _words(template):
        for name in WORDS:
            if name in fields(word) and word != f"{{{name}}}":
                raise _refused(
                    f"{{{name}}} stands for several words: it cannot be part of {word!r}"
                )


def filled(template: str, values: Mapping[str, Value]) -> str:
    """Fill in one text.

    >>> filled("{results_dir}/model_{epoch:03d}.pth", {"results_dir": "/r", "epoch": 7})
    '/r/model_007.pth'
    """
    return template.format_map(values)


def filled_words(template: str, values: Mapping[str, Value]) -> list[str]:
    """Fill in a command line, word by word.

    >>> filled_words("go -e {spec} {overrides}", {"spec": "/my run/s.yaml", "overrides": ["a=1"]})
    ['go', '-e', '/my run/s.yaml', 'a=1']
    """
    return [part for word in _words(template) for part in _parts(word, values)]


def program(template: str) -> str:
    """The first word of a command line, as it was written; nothing if there is none."""
    return next(iter(_words(template)), "")


def _parts(word: str, values: Mapping[str, Value]) -> Iterator[str]:
    whole = values.get(word[1:-1]) if word[:1] == "{" and word[-1:] == "}" else None
    if whole is None or isinstance(whole, str | int):
        yield filled(word, values)
    else:
        yield from whole


def _words(template: str) -> list[str]:
    try:
        return shlex.split(template)
    except ValueError as error:
        raise _refused(f"a shell would not read it either: {str(error).lower()}") from error


def _parsed(template: str) -> list[tuple[str, str | None, str | None, str | None]]:
    try:
        return list(Formatter().parse(template))
    except ValueError as error:
        raise _refused(str(error).lower()) from error


def _refused(why: str) -> SettingsError:
    return SettingsError(
        f"must have only fields such as {{spec}} in braces; {why} "
        "(a brace that is meant is written twice: {{ }})"
    )
