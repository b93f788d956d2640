"""Random proposals of every shipped table, judged by the table itself and not by the space."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, Final

import numpy as np
import pytest

from raytao.space import Eligibility, Row, Space, build_space
from raytao.spec import flatten
from raytao.tao.card import card_folders
from raytao.tao.core.package import core_networks
from raytao.tao.networks import CORE, find_card
from raytao.types import Json

NETWORKS: Final = sorted(card_folders())
RELATIONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
}


@cache
def prepared(network: str) -> tuple[dict[str, Row], dict[str, Json], Space, Space]:
    """A table's rows, its spec's values, its default space, and one of all that may be added."""
    card = find_card(network)
    rows = {row.parameter: row for row in card.table() if row.parameter != card.epoch_key}
    spec = card.default_spec()
    plain, epochs, keys = spec.plain(), int(spec.get(card.epoch_key)), spec.keys()

    def built(*names: str) -> Space:
        return build_space(list(rows.values()), plain, add=names, epochs=epochs)[0]

    eligible = [
        row.parameter
        for row in rows.values()
        if row.automl_enabled is Eligibility.ELIGIBLE
        and row.searchable
        and row.parameter in keys
        and _has_a_range(row, spec.get(row.parameter))
    ]
    return rows, flatten(plain), built(), built(*eligible)


def _has_a_range(row: Row, value: Json) -> bool:
    """Whether its bounds are told, or a default to judge them by, or options."""
    if row.value_type in ("categorical", "ordered"):
        return bool(row.valid_options)
    ends = (row.valid_min, row.valid_max)
    bounded = all(end is not None and math.isfinite(end) for end in ends)
    return bounded or row.value_type == "bool" or bool(value)


def broken(rows: Mapping[str, Row], spec: Mapping[str, Json], values: Mapping[str, Json]) -> str:
    """The first constraint that a proposal breaks, in words; nothing if it keeps them all."""
    return next((why for name in values for why in _broken(rows[name], spec, values)), "")


def _broken(row: Row, spec: Mapping[str, Json], values: Mapping[str, Json]) -> Iterator[str]:
    name, value = row.parameter, values[row.parameter]
    if not _fits(value, row, spec.get(name)):
        yield f"{name}: {value!r} is no {row.value_type} beside {spec.get(name)!r}"
    if row.value_type in ("int", "integer", "float") and not row.valid_options:
        low = -math.inf if row.valid_min is None else row.valid_min
        high = math.inf if row.valid_max is None else row.valid_max
        if not low <= value <= high or not math.isfinite(value):
            yield f"{name}: {value!r} is not within {low} and {high}"
    if row.valid_options and str(value) not in row.valid_options:
        yield f"{name}: {value!r} is none of {row.valid_options}"
    op, _, operand = row.math_cond.partition(" ")
    if op == "/" and value % int(operand):
        yield f"{name}: {value!r} is no multiple of {operand}"
    op, _, parent = row.depends_on.partition(" ")
    limit = values.get(parent, spec.get(parent))
    if op in RELATIONS and not RELATIONS[op](value, limit) and not _nothing_left(row, op, limit):
        yield f"{name}: {value!r} is not {op} {limit!r} of {parent}"


def _nothing_left(row: Row, op: str, limit: float) -> bool:
    """Whether the row's own range has no value that keeps the relation: its end is the nearest."""
    end = row.valid_min if op.startswith("<") else row.valid_max
    return end is not None and not RELATIONS[op](end, limit)


def _fits(value: Json, row: Row, own: Json) -> bool:
    """Whether it can stand where the spec's own value stands."""
    if row.value_type == "float":
        return type(value) is float
    if row.value_type == "bool":
        return type(value) is bool
    return own is None or type(value) is type(own)


def check(network: str, seed: int, many: int) -> None:
    rows, spec, default, everything = prepared(network)
    for space in (default, everything):
        rng = np.random.default_rng(seed)
        for u in rng.random((many, space.dim)):
            why = broken(rows, spec, space.decode(u))
            assert not why, why


@pytest.mark.parametrize("network", NETWORKS)
def test_every_random_proposal_keeps_the_constraints_of_its_table(network: str) -> None:
    check(network, seed=0, many=300)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_corners_of_the_cube_keep_them_too(network: str) -> None:
    rows, spec, default, everything = prepared(network)
    for space in (default, everything):
        for corner in (0.0, 0.5, 1.0):
            assert broken(rows, spec, space.decode(np.full(space.dim, corner))) == ""


@pytest.mark.integration
@pytest.mark.timeout(900)
@pytest.mark.parametrize("network", NETWORKS)
def test_ten_thousand_proposals_of_a_table_keep_its_constraints(network: str) -> None:
    check(network, seed=1, many=10_000)


@pytest.mark.integration
@pytest.mark.timeout(900)
def test_ten_thousand_proposals_of_nvidia_s_own_tables_keep_their_constraints() -> None:
    if not core_networks():
        pytest.skip("nvidia-tao-core is not installed")
    for name in core_networks():
        card = find_card(f"{name}{CORE}")
        rows = {row.parameter: row for row in card.table() if row.parameter != card.epoch_key}
        spec = card.default_spec()
        plain, epochs = spec.plain(), int(spec.get(card.epoch_key))
        if not any(row.automl_enabled is Eligibility.SEARCHED for row in rows.values()):
            continue
        space, _ = build_space(list(rows.values()), plain, epochs=epochs)
        rng, own = np.random.default_rng(1), flatten(plain)
        for u in rng.random((10_000, space.dim)):
            why = broken(rows, own, space.decode(u))
            assert not why, f"{name}: {why}"


def test_the_judge_tells_every_kind_of_broken_constraint() -> None:
    rows, spec, default, _ = prepared("yolo_v3")
    good = default.decode(np.full(default.dim, 0.5))
    width = "augmentation_config.output_width"
    annealing = next(name for name in good if name.endswith(".annealing"))
    kind = "training_config.regularizer.type"

    assert broken(rows, spec, good) == ""
    assert "no multiple of 32" in broken(rows, spec, good | {width: 1281})
    assert "not within 128" in broken(rows, spec, good | {width: 96})
    assert "is no integer" in broken(rows, spec, good | {width: 1280.0})
    assert "none of" in broken(rows, spec, good | {kind: "L3"})
    child = next(name for name, row in rows.items() if row.depends_on == f"< {annealing}")
    assert f"< 0.1 of {annealing}" in broken(rows, spec, good | {annealing: 0.1, child: 0.1})
