"""docs/plugins.md: what it shows works as it stands."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from inspect import isabstract
from pathlib import Path
from typing import Any

import pytest

from raytao.brains.base import Brain
from raytao.networks.base import Network
from raytao.testing.brain_contract import BrainContract

PAGE = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture(scope="module")
def shown() -> dict[str, Any]:
    """The names that the page's Python defines, one block after the other."""
    names: dict[str, Any] = {"__name__": "my_package", "__file__": "/my_package/network.py"}
    exec("\n".join(blocks("python")), names)
    return names


def test_every_class_that_it_registers_is_one_that_it_shows(shown: dict[str, Any]) -> None:
    (text,) = blocks("toml")
    groups = tomllib.loads(text)["project"]["entry-points"]
    classes = [value.partition(":")[2] for names in groups.values() for value in names.values()]
    assert len(classes) == 3
    for name in classes:
        assert not isabstract(shown[name])


def laws() -> list[str]:
    return [name for name in dir(BrainContract) if name.startswith("test_")]


@pytest.mark.parametrize("law", laws())
def test_its_brain_keeps_every_law(law: str, shown: dict[str, Any]) -> None:
    contract: BrainContract = shown["TestSpread"]()
    assert isinstance(contract.make_brain(0), Brain)
    check: Callable[[], None] = getattr(contract, law)
    check()


def test_its_network_is_one(shown: dict[str, Any]) -> None:
    network = shown["MyNetwork"]()
    assert isinstance(network, Network)
    assert network.card_folder() == Path("/my_package/card")
