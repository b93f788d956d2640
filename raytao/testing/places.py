"""The results folder of a run on this machine, as the path that it is."""

from __future__ import annotations

from pathlib import Path

from raytao.runs.place import Place


def local(place: Place) -> Path:
    """The same folder or file as a path, to look at without a store.

    Raises:
        AssertionError: for an address on object storage.
    """
    assert isinstance(place, Path), f"{place} is not on this machine"
    return place
