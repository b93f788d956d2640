"""The built-ins register as plugins do, and what pyproject.toml promises is what is installed."""

from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint, distribution, entry_points
from pathlib import Path

import pytest

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]

CONTRACTS = {
    "raytao.brains": "raytao.brains.base:Brain",
    "raytao.networks": "raytao.networks.base:Network",
    "raytao.trackers": "raytao.tracking.base:Tracker",
}


PROMISED = [
    EntryPoint(name, value, group)
    for group, names in PROJECT["entry-points"].items()
    for name, value in names.items()
]


@pytest.mark.parametrize("point", PROMISED, ids=lambda p: f"{p.group}:{p.name}")
def test_a_built_in_is_found_through_the_metadata_and_keeps_its_contract(
    point: EntryPoint,
) -> None:
    found = [p.value for p in entry_points(group=point.group, name=point.name)]
    assert found == [point.value], "pyproject.toml changed: pip install -e . again"
    contract = EntryPoint("contract", CONTRACTS[point.group], point.group).load()
    built_in = point.load()
    assert issubclass(built_in, contract)
    assert getattr(built_in, "name", point.name) == point.name  # a tracker has no name of its own


def test_nothing_is_installed_that_is_not_promised() -> None:
    installed = distribution("raytao").entry_points
    groups = {point.group for point in installed}
    assert groups == {*PROJECT["entry-points"], "console_scripts"}
    assert len(list(installed)) == len(PROMISED) + len(PROJECT["scripts"])


@pytest.mark.parametrize("name", PROJECT["scripts"])
def test_a_command_loads(name: str) -> None:
    (point,) = distribution("raytao").entry_points.select(group="console_scripts", name=name)
    assert point.value == PROJECT["scripts"][name]
    assert callable(point.load())
