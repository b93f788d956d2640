"""``${env:NAME}`` in a train spec: what must not be written, or differs from machine to machine.

    dataset:
      root: ${env:DATA}/images
      password: ${env:DATA_PASSWORD}

A reference is part of a string, or all of it, and stays a string. It is replaced where a network
gets the spec, by the environment of that process: a trial's, on its own node. Everything that is
written (the log, recommendation_n, raytao.json) keeps the reference.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from raytao.errors import SpecError, UserError
from raytao.redact import REFERENCE
from raytao.spec.elsewhere import trains_elsewhere
from raytao.types import Json

SHORTEST: Final = 3
"""Of a value that is hidden; one letter would be found everywhere."""

_MISWRITTEN: Final = re.compile(rf"(?!{REFERENCE.pattern})\$\{{env\b")


def resolved(plain: Mapping[str, Json]) -> dict[str, Json]:
    """Return a copy of a spec's plain values with every reference replaced.

    >>> os.environ["DATA"] = "/mnt/data"
    >>> resolved({"dataset": {"root": "${env:DATA}/images", "size": 32}})
    {'dataset': {'root': '/mnt/data/images', 'size': 32}}

    A variable that is not set stays a reference where other machines will train.

    Raises:
        SpecError: if a variable is not set in this process; it names the key and the variable.
    """
    return {key: _resolved(value, str(key)) for key, value in plain.items()}


@contextmanager
def told_as_written(plain: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    """Give a spec with its references replaced; what is said about it names the references.

    Raises:
        UserError: as the block does, without the variables' values; as ``resolved`` does.
    """
    spec = resolved(plain)
    try:
        yield spec
    except UserError as error:
        message, remedy = (_hidden(text, plain) for text in (error.message, error.remedy))
        raise type(error)(message, where=error.where, remedy=remedy) from None


def _hidden(text: str, plain: Mapping[str, Json]) -> str:
    """Put references in the place of what they stand for."""
    names = {match[1] for match in REFERENCE.finditer(json.dumps(plain, default=str))}
    for name in sorted(names, key=lambda name: -len(os.environ.get(name, ""))):
        value = os.environ.get(name, "")
        if len(value) >= SHORTEST:
            text = text.replace(value, f"${{env:{name}}}")
    return text


def _resolved(value: Json, key: str) -> Json:
    match value:
        case str():
            return _replaced(value, key)
        case Mapping():
            return {name: _resolved(inner, f"{key}.{name}") for name, inner in value.items()}
        case list():
            return [_resolved(inner, key) for inner in value]
        case _:
            return value


def _replaced(text: str, key: str) -> str:
    if _MISWRITTEN.search(text):
        raise SpecError(
            f"{key} holds a reference that is not ${{env:NAME}}",
            remedy="a name has letters, digits and underscores: ${env:DATA_ROOT}",
        )

    def value_of(reference: re.Match[str]) -> str:
        name = reference[1]
        if name not in os.environ and trains_elsewhere():
            return reference[0]
        if name not in os.environ:
            raise SpecError(
                f"{key} refers to ${{env:{name}}}, but {name} is not set in this environment",
                remedy=f"export {name}=… where raytao runs, and on every node that trains",
            )
        return os.environ[name]

    return REFERENCE.sub(value_of, text)
