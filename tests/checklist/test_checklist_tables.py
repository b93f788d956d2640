"""Rows 14 and 27-33 of TAO's checklist: metrics of the networks, and what their tables search."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from raytao.space import Float, Row, Space, build_space
from raytao.space.table import SEARCHABLE
from raytao.tao.card import Card, card_folders, read_card
from raytao.types import Direction, ParamValue

KPI = {
    "classification_pyt": "accuracy_top-1",
    "classification_tf1": "validation_accuracy",
    "detectnet_v2": "mean average precision",
    "dino": "val_mAP50",
    "efficientdet_tf1": "AP50",
    "faster_rcnn": "mean average precision",
    "lprnet": "validation_accuracy",
    "mask_rcnn": "mask_AP",
    "multitask_classification": "mean accuracy",
    "retinanet": "mean average precision",
    "segformer": "Mean IOU",
    "ssd": "mean average precision",
    "unet": "loss",
    "yolo_v3": "mean average precision",
    "yolo_v4": "mean average precision",
    "yolo_v4_tiny": "mean average precision",
}
"""Of TAO 5.2 and 5.5."""

SCHEDULE = "training_config.learning_rate.soft_start_annealing_schedule"


@cache
def card(network: str) -> Card:
    return read_card(card_folders()[network])


def shipped(network: str, **changes: float) -> Space:
    """A shipped table's default space, with some values of its default spec changed."""
    ours = card(network)
    rows = [row for row in ours.table() if row.parameter != ours.epoch_key]
    spec = ours.default_spec().with_values(changes) if changes else ours.default_spec()
    return build_space(rows, spec.plain(), epochs=10)[0]


def space_of(*rows: Row, **spec: object) -> Space:
    return build_space(rows, spec, add=[row.parameter for row in rows], epochs=30)[0]


def drawn(space: Space, name: str, many: int = 300) -> list[float]:
    rng = np.random.default_rng(0)
    return [numeric(space.sample(rng)[name]) for _ in range(many)]


def numeric(value: ParamValue) -> float:
    assert isinstance(value, int | float)
    return float(value)


@pytest.mark.parametrize("network", KPI)
def test_row_014_the_kpi_of_a_network_is_taos(network: str) -> None:
    direction = Direction.MINIMIZE if KPI[network] == "loss" else Direction.MAXIMIZE

    assert card(network).metric("kpi") == (KPI[network], direction)


@pytest.mark.parametrize("kind", SEARCHABLE)
def test_row_027_every_value_type_of_a_table_is_searched(kind: str) -> None:
    own = {
        "int": 3,
        "integer": 3,
        "float": 0.5,
        "bool": True,
        "ordered": "b",
        "categorical": "b",
        "ordered_int": 2,
        "list_1_backbone": [0, 1],
        "list_1_normal": [1, 2],
        "list_2": [10, 20],
        "list_3": [9, 9],
    }[kind]
    of_backbone = kind == "list_1_backbone"
    row = Row(
        "x",
        kind,
        valid_min=None if of_backbone else 0.0,
        valid_max=None if of_backbone else 9.0,
        valid_options={"ordered_int": ("1", "2")}.get(kind, ("a", "b") if own == "b" else ()),
        depends_on="arch" if of_backbone else "",
    )
    found = space_of(row, x=own, arch="resnet")
    proposals = [found.sample(np.random.default_rng(seed))["x"] for seed in range(20)]

    assert {type(value) for value in proposals} == {type(own)}
    assert len({str(value) for value in proposals}) > 1


def test_row_028_the_default_table_of_detectnet_v2_is_searched_name_by_name() -> None:
    """Every other network's: tests/networks/test_shipped_cards.py."""
    clustering = "postprocessing_config.target_class_config.value.clustering_config"

    assert set(shipped("detectnet_v2").names) == {
        f"{SCHEDULE}.min_learning_rate",
        f"{SCHEDULE}.soft_start",
        f"{SCHEDULE}.annealing",
        "training_config.regularizer.type",
        "training_config.regularizer.weight",
        f"{clustering}.dbscan_confidence_threshold",
    }


def test_row_029_a_limit_is_the_parents_value_in_the_same_proposal() -> None:
    space, rng = shipped("detectnet_v2"), np.random.default_rng(0)
    proposals = [space.sample(rng) for _ in range(300)]
    soft, annealing = f"{SCHEDULE}.soft_start", f"{SCHEDULE}.annealing"
    pairs = [(numeric(p[soft]), numeric(p[annealing])) for p in proposals]

    assert [pair for pair in pairs if pair[0] >= pair[1]] == []
    assert max(pair[0] for pair in pairs) > 0.5


def test_row_029_a_limit_is_the_specs_own_value_where_the_parent_is_not_searched() -> None:
    """TAO compares with the child's default: 5e-7, so that 1e-7 was all it ever tried."""
    low, high = f"{SCHEDULE}.min_learning_rate", f"{SCHEDULE}.max_learning_rate"
    as_it_is = drawn(shipped("detectnet_v2"), low)
    with_less = drawn(shipped("detectnet_v2", **{high: 1e-6}), low)

    assert max(as_it_is) < 5e-4
    assert max(as_it_is) > 1e-4
    assert max(with_less) < 1e-6


@pytest.mark.parametrize(
    ("op", "legal"), [("<", "0 1"), ("<=", "0 1 2"), (">", "3"), (">=", "2 3")]
)
def test_row_029_all_four_relations_are_honoured(op: str, legal: str) -> None:
    row = Row("x", "int", valid_min=0, valid_max=3, depends_on=f"{op} y")

    assert {str(int(x)) for x in drawn(space_of(row, x=2, y=2), "x")} == set(legal.split())


def test_row_030_a_multiple_of_32_stays_within_its_maximum() -> None:
    """TAO rounds up, so that 400 may become 416."""
    row = Row("size", "int", valid_min=30, valid_max=400, math_cond="/ 32")
    found = set(drawn(space_of(row, size=320), "size", 500))

    assert found == set(range(32, 401, 32))


def test_row_030_every_input_size_of_yolo_v3_is_a_multiple_of_32() -> None:
    widths = drawn(shipped("yolo_v3"), "augmentation_config.output_width")

    assert {width % 32 for width in widths} == {0}
    assert max(widths) > 1280


def test_row_031_values_above_the_default_are_reached_where_the_maximum_is_infinite() -> None:
    rates = drawn(shipped("dino"), "train.optim.lr")

    assert min(rates) < 2e-4 < max(rates)


def test_row_032_rates_and_decays_over_more_than_two_decades_go_by_magnitude() -> None:
    found = [
        (network, parameter)
        for network in KPI
        for parameter in shipped(network).parameters
        if isinstance(parameter, Float)
        and any(word in parameter.name for word in ("learning_rate", ".lr", "weight", "decay"))
    ]
    wide = [(n, p) for n, p in found if p.low > 0 and p.high / p.low > 100]

    assert len(wide) > 20
    assert [(n, p.name) for n, p in wide if not p.log] == []


def test_row_033_what_the_model_proposes_for_every_type_is_what_is_tried() -> None:
    """In TAO an int, a bool or an option is drawn anew, whatever its coordinate was."""
    rows = (
        Row("n", "int", valid_min=1, valid_max=9),
        Row("flag", "bool"),
        Row("kind", "categorical", valid_options=("a", "b", "c")),
        Row("level", "ordered", valid_options=("low", "mid", "high")),
    )
    space = space_of(*rows, n=1, flag=False, kind="a", level="low")
    points = np.random.default_rng(0).random((100, space.dim))
    proposals = [space.decode(u) for u in points]

    assert [space.decode(u) for u in points] == proposals
    assert [space.decode(space.encode(p)) for p in proposals] == proposals
    assert {len({str(p[row.parameter]) for p in proposals}) for row in rows} == {9, 2, 3}
