"""The cards, tables and specs of TAO's networks that raytao ships, against TAO's own."""

from __future__ import annotations

from functools import cache

import pytest
from shipped import FACTS

from raytao.errors import SpaceError
from raytao.report.ranges import range_of
from raytao.space import Eligibility, Float, Row, Space, build_space
from raytao.spec import Document
from raytao.tao.card import Card, card_folders, read_card
from raytao.types import Direction

every_network = pytest.mark.parametrize("network", FACTS)


@cache
def card(network: str) -> Card:
    return read_card(card_folders()[network])


@cache
def table(network: str) -> tuple[Row, ...]:
    return card(network).table()


@cache
def spec(network: str) -> Document:
    return card(network).default_spec()


def space(network: str, *add: str) -> tuple[Space, tuple[str, ...]]:
    facts = FACTS[network]
    rows = [row for row in table(network) if row.parameter != facts.epoch_key]
    return build_space(rows, spec(network).plain(), add=add, epochs=facts.epochs)


def own_names(network: str, names: tuple[str, ...]) -> set[str]:
    """TAO's names as the trainer's spec has them."""
    return {card(network).renamed.get(name, name) for name in names}


def ranges(network: str, *add: str) -> dict[str, str]:
    return {
        parameter.name: range_of(parameter) for parameter in space(network, *add)[0].parameters
    }


def test_every_network_of_taos_table_of_results_has_a_card() -> None:
    assert set(FACTS) <= set(card_folders())


@every_network
def test_a_card_says_what_tao_says_of_its_network(network: str) -> None:
    facts, ours = FACTS[network], card(network)
    direction = Direction.MINIMIZE if facts.minimized else Direction.MAXIMIZE

    assert ours.name == network
    assert (ours.epoch_key, ours.kpi) == (facts.epoch_key, facts.kpi)
    assert ours.metric("kpi") == (facts.kpi, direction)
    assert ours.metric("loss") == ("loss", Direction.MINIMIZE)


@every_network
def test_a_default_spec_has_every_key_that_its_card_names(network: str) -> None:
    ours, keys = card(network), spec(network).keys()
    named = (ours.epoch_key, ours.seed_key, ours.gpus_key, ours.batch_key)

    assert spec(network).get(ours.epoch_key) == FACTS[network].epochs
    assert [key for key in named if key is not None and key not in keys] == []


@every_network
def test_a_network_is_trained_by_taos_launcher(network: str) -> None:
    command = card(network).command

    assert command is not None
    assert command.train.startswith(f"tao model {network} train -e {{spec}} ")
    assert command.status.format == "tao_jsonl"
    assert command.suffix in (".tlt", ".hdf5", ".pth")
    assert command.image.startswith("nvcr.io/nvidia/tao/tao-toolkit:")


@every_network
def test_the_rows_are_taos_rows(network: str) -> None:
    facts, rows = FACTS[network], table(network)
    searched = {row.parameter for row in rows if row.automl_enabled is Eligibility.SEARCHED}
    eligible = [row.parameter for row in rows if row.automl_enabled is Eligibility.ELIGIBLE]
    addable = [row for row in rows if row.parameter in eligible and row.searchable]

    assert searched == own_names(network, facts.enabled) | set(facts.more)
    assert len(addable) == facts.eligible - len(facts.more) - facts.fewer


@every_network
def test_what_tao_searches_is_searched_or_its_card_tells_why_not(network: str) -> None:
    facts = FACTS[network]
    found, _ = space(network)
    expected = own_names(network, facts.enabled) | set(facts.more)
    told = " ".join(card(network).mended)

    assert set(found.names) == expected - set(facts.unsearched)
    assert [name for name in facts.unsearched if name not in told] == []


@every_network
def test_a_spec_names_no_value_that_the_search_would_not_find_there(network: str) -> None:
    """An enabled row is in the spec, or TAO's table has no default for it either."""
    keys = spec(network).keys()
    absent = [
        row.parameter
        for row in table(network)
        if row.automl_enabled is not Eligibility.REFUSED
        and row.searchable
        and row.parameter not in keys
        and row.default_value
    ]

    # classification_tf1 takes these two on its command line.
    assert absent == (["gpus", "use_amp"] if network == "classification_tf1" else [])


@every_network
def test_the_default_spec_lies_in_its_own_default_space(network: str) -> None:
    found, _ = space(network)
    own = found.of_spec(spec(network).plain())

    assert set(own) == set(found.names)
    assert found.misfits(own) == ()


def adding(network: str, name: str) -> str:
    """What becomes of a row that is added: nothing to be said if it is searched."""
    try:
        return "" if name in space(network, name)[0].names else "not searched"
    except SpaceError as error:
        return str(error)


@every_network
def test_an_eligible_row_can_be_added_or_asks_for_a_range(network: str) -> None:
    keys = spec(network).keys()
    told = {
        row.parameter.rpartition(".")[2]: adding(network, row.parameter)
        for row in table(network)
        if row.automl_enabled is Eligibility.ELIGIBLE and row.searchable and row.parameter in keys
    }
    without_a_range = {leaf: why for leaf, why in told.items() if why}

    assert set(without_a_range) == RANGE_REQUIRED.get(network, set())
    assert all("as a range override" in why for why in without_a_range.values())


RANGE_REQUIRED = {
    "classification_pyt": {"samples_per_gpu", "type"},  # neither a default nor a bound is told
    "faster_rcnn": {"translate_max_x", "translate_max_y"},  # 0 to inf, and 0 by default
    "mask_rcnn": {"rpn_min_size"},
    "yolo_v3": {"randomize_input_shape_period"},
    "yolo_v4": {"randomize_input_shape_period"},
    "yolo_v4_tiny": {"randomize_input_shape_period"},
}


@every_network
def test_no_name_has_a_blank_and_taos_own_names_lead_to_rows(network: str) -> None:
    rows = {row.parameter for row in table(network)}

    assert [name for name in rows if " " in name] == []
    assert set(card(network).renamed.values()) <= rows
    assert rows.isdisjoint(card(network).renamed)


@every_network
def test_a_parent_is_a_row_of_the_table(network: str) -> None:
    rows = {row.parameter for row in table(network)}
    parents = {row.depends_on.lstrip("<>= ") for row in table(network) if row.depends_on}

    assert parents <= rows


def test_detectnet_v2_searches_the_weight_of_its_regularizer_as_the_documents_say() -> None:
    assert ranges("detectnet_v2")["training_config.regularizer.weight"] == (
        "3e-11 … 0.003 (log scale)"
    )
    assert "training_config.regularizer.weight" in card("detectnet_v2").mended[0]


def test_the_upside_down_range_of_faster_rcnn_is_set_right() -> None:
    assert ranges("faster_rcnn")["training_config.regularizer.weight"] == (
        "3e-11 … 0.003 (log scale)"
    )


def test_a_blank_in_a_name_of_faster_rcnn_is_gone_and_its_parent_is_found() -> None:
    schedule = "training_config.learning_rate.soft_start"
    found, _ = space("faster_rcnn")
    soft_start = next(p for p in found.parameters if p.name == f"{schedule}.soft_start")

    assert [c.target for c in soft_start.conditions] == [f"{schedule}.annealing_points"]
    assert card("faster_rcnn").renamed[f"{schedule} .soft_start"] == soft_start.name


@pytest.mark.parametrize("network", ["yolo_v4", "yolo_v4_tiny"])
def test_the_shifted_cells_of_a_flip_are_a_probability(network: str) -> None:
    assert ranges(network)["augmentation_config.horizontal_flip"] == "0 … 1"


def test_unet_chooses_an_input_size_from_its_options() -> None:
    assert ranges("unet")["model_config.model_input_height"] == "256, 288, 320, 352, 384"


@every_network
def test_an_infinite_bound_leaves_room_above_the_default(network: str) -> None:
    """TAO puts the default in its place: nothing above it is ever tried."""
    open_ended = {
        row.parameter: row
        for row in table(network)
        if row.valid_max == float("inf") and row.automl_enabled is Eligibility.SEARCHED
    }
    searched = [p for p in space(network)[0].parameters if p.name in open_ended]
    floats = {p.name: p.high for p in searched if isinstance(p, Float)}

    assert [name for name, high in floats.items() if high <= spec(network).get(name)] == []
    assert bool(searched) == bool(open_ended)


def test_dino_keeps_no_more_boxes_than_it_proposes() -> None:
    found, _ = space("dino")
    select = next(p for p in found.parameters if p.name == "model.num_select")

    assert [(c.op, c.target) for c in select.conditions] == [("<=", "model.num_queries")]


def test_segformer_counts_iterations_and_mask_rcnn_trains_a_promotion_anew() -> None:
    assert (card("segformer").unit, card("dino").unit) == ("iters", "epochs")
    assert (card("mask_rcnn").promotion, card("ssd").promotion) == ("retrain", "resume")


@every_network
def test_a_card_says_what_nobody_could_check(network: str) -> None:
    told = " ".join(card(network).unverified)

    assert "container's tag" in told
    assert card(network).tao_version in ("5.2", "5.5")
