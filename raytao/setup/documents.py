"""A train spec as a document, from wherever it lies."""

from __future__ import annotations

from pathlib import Path

from raytao.errors import SpecError, Where, did_you_mean
from raytao.runs.place import Place, store_at
from raytao.spec import Document
from raytao.spec.source import FORMATS


def document_at(place: Place, *, format: str | None = None) -> Document:
    """Read a train spec, in the format that its name says.

    Args:
        place: the file, or the object.
        format: of one whose name says none.

    Raises:
        SpecError: if it is not there, cannot be read, or its content is refused.
    """
    if isinstance(place, Path):
        return Document.load(place, format=format)
    named = FORMATS.get(place.suffix.lower(), format)
    if named is None:
        raise SpecError(
            f"{place.suffix or 'no ending'!r} is not a format of specs",
            where=Where(str(place)),
            remedy=did_you_mean(place.suffix, FORMATS),
        )
    content = store_at(place.parent).read(place.name)
    if content is None:
        raise SpecError("there is no such object", where=Where(str(place)))
    return Document.parse(content, file=str(place), format=named)
