"""The families there are, by name; each is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Final

from benchmarks.search.family import Family, NoData

FAMILIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "lcbench": "benchmarks.search.lcbench:LCBench",
        "tabular": "benchmarks.search.tabular:Tabular",
        "toy": "benchmarks.search.toy:ToyFamily",
    }
)
"""Classes that are made with the folder of their data, or with nothing if it is where it was."""


def load_family(name: str, data: Path | None = None) -> Family:
    """The family called ``name``.

    Args:
        name: one of ``FAMILIES``.
        data: folder of its data; None is where they usually are.

    Raises:
        NoData: if the folder or a package is missing.
    """
    module, _, attribute = FAMILIES[name].partition(":")
    try:
        kind = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise NoData(f"{error}: pip install -e .[bench]") from None
    family: Family = kind() if data is None else kind(data)
    return family
