"""What the docstring of a settings model says of it, and of each of its keys.

Docstrings are Google's: prose, and a section ``Args:`` with an entry for each key.
"""

from __future__ import annotations

import inspect
import re
from typing import Final

_ENTRY: Final = re.compile(r" {4}(\w+): (.*)")
_SECTION: Final = re.compile(r"\n(Args|Attributes|Returns|Raises|Example|Examples):\n")
_CODE: Final = re.compile(r"``(.+?)``")


def prose_of(docstring: str | None) -> str:
    r"""All that stands before the first section, as Markdown.

    >>> prose_of("How often.\n\nArgs:\n    failures: after ``exit 1``.")
    'How often.'
    """
    text = inspect.cleandoc(docstring or "")
    return _markdown(_SECTION.split(f"{text}\n", maxsplit=1)[0])


def entries_of(docstring: str | None) -> dict[str, str]:
    r"""What ``Args:`` says of each key, on one line.

    >>> entries_of("How often.\n\nArgs:\n    failures: after\n        ``exit 1``.")
    {'failures': 'After `exit 1`.'}
    """
    text = inspect.cleandoc(docstring or "")
    _, _, section = text.partition("\nArgs:\n")
    found: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        if line and not line.startswith(" "):
            break  # the next section
        if entry := _ENTRY.fullmatch(line):
            name = entry[1]
            found[name] = entry[2]
        elif name and line.strip():
            found[name] += f" {line.strip()}"
    return {key: _markdown(told[:1].upper() + told[1:]) for key, told in found.items()}


def keys_of(model: type) -> dict[str, str]:
    """What a model says of its keys, and the models that it inherits from of the others.

    What its docstring does not have, a model may say as pydantic has it: ``Field(description=…)``.
    """
    told: dict[str, str] = {}
    for cls in reversed(model.__mro__[:-1]):
        told |= entries_of(cls.__doc__ if "__doc__" in vars(cls) else None)
    return told


def _markdown(text: str) -> str:
    """A docstring's text as Markdown; what is None in Python is null in a file."""
    return _CODE.sub(r"`\1`", re.sub(r"\bNone\b", "null", text)).strip()
