"""``warm_start`` with a folder that TAO wrote: through the same checks as one of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tao_folders import (
    bayesian_of_dino,
    dino_specs,
    status_lines,
    trial,
    write_json,
    write_recommendation,
)

from raytao.errors import UserError
from raytao.setup.resolve import resolve_values
from raytao.setup.setup import Setup
from raytao.tao.networks import find_network
from raytao.types import Json

SPEC = {"model": {"x": 0.5, "y": 3, "fruit": "apple"}, "train": {"num_epochs": 2, "seed": 1}}
SEARCHED: Sequence[Mapping[str, Json]] = (
    {"model.x": 0.1, "model.y": 1},
    {"model.x": 0.3, "model.y": 7},
    {"model.x": 0.9, "model.y": 9},
    {"model.x": 0.2, "model.y": 5},
)
VALUES = (0.4, 0.8, 0.6, float("inf"))


def tao_run(
    folder: Path,
    *,
    metric: str = "value",
    searched: Sequence[Mapping[str, Json]] = SEARCHED,
    spec: Mapping[str, Json] = SPEC,
    written: bool = True,
) -> Path:
    """A run of the toy network as TAO would leave it; the last trial's metric is missing."""
    trials = []
    for number, (specs, value) in enumerate(zip(searched, VALUES, strict=True)):
        trials.append(trial(number, value + 1e-7, specs, epoch=2, metric=metric))
        if value < 1:
            home = folder / f"experiment_{number}"
            home.mkdir(parents=True)
            text = status_lines({1: value / 2, 2: value}, metric, epochs=2)
            (home / "status.json").write_text(text)
        if written:
            write_recommendation(folder, number, specs, spec)
    write_json(folder / "controller.json", trials)
    return folder


def warmed(folder: Path, run: Path, **settings: Any) -> Setup:
    brain = {"name": "random", "max_recommendations": 8}
    data = {
        "network": "toy",
        "brain": brain,
        "set": {"train.num_epochs": 2},
        "warm_start": [str(run)],
        "results_dir": str(folder / "new"),
    }
    return resolve_values({**data, **settings}, caller="test")


def refused(folder: Path, run: Path, **settings: Any) -> UserError:
    with pytest.raises(UserError) as caught:
        warmed(folder, run, **settings)
    return caught.value


def test_its_best_are_tried_again_best_first_and_its_worst_is_not(tmp_path: Path) -> None:
    run = tao_run(tmp_path / "tao")
    before = sorted(run.rglob("*"))
    setup = warmed(tmp_path, run)
    assert [dict(one.params) for one in setup.given.initial] == [
        {"model.x": 0.3, "model.y": 7, "model.fruit": "apple"},
        {"model.x": 0.9, "model.y": 9, "model.fruit": "apple"},
    ]
    assert setup.given.initial[0].why == f"portfolio 1 of 2: recommendation 1 of {run}"
    assert setup.given.evidence == ()
    assert any("a success without a result" in note for note in setup.notes)
    assert sorted(run.rglob("*")) == before


def test_trusted_its_results_are_evidence_without_what_tao_added(tmp_path: Path) -> None:
    run = tao_run(tmp_path / "tao")
    setup = warmed(tmp_path, run, warm_start={"runs": [str(run)], "trust": True, "best": 0})
    assert [(one.epochs, one.score) for one in setup.given.evidence] == [
        *((2, 0.4), (2, 0.8), (2, 0.6)),
    ]
    assert any("no fingerprint" in note for note in setup.notes)


def test_the_direction_is_ours_whatever_tao_took(tmp_path: Path) -> None:
    run = tao_run(tmp_path / "tao", metric="loss")
    setup = warmed(
        tmp_path, run, metric="loss", warm_start={"runs": [str(run)], "trust": True, "best": 1}
    )
    assert [dict(one.params)["model.x"] for one in setup.given.initial] == [0.1]
    # the best epoch of a loss is the smaller one, the first
    assert [(one.epochs, one.score) for one in setup.given.evidence] == [
        *((1, -0.2), (1, -0.4), (1, -0.3)),
    ]


def test_another_metric_is_refused_by_its_name(tmp_path: Path) -> None:
    run = tao_run(tmp_path / "tao", metric="val_mAP50")
    error = refused(tmp_path, run)
    assert error.message == f"{run} is a run of TAO by metric val_mAP50; this one is of value"
    write_json(run / "controller.json", [trial(0, 0.5, SEARCHED[0], epoch=1)])
    assert "does not name its metric" in refused(tmp_path, run).message


def test_one_that_searched_what_the_network_does_not_have_is_of_another(tmp_path: Path) -> None:
    searched = [*SEARCHED[:3], {"model.num_queries": 400}]
    error = refused(tmp_path, tao_run(tmp_path / "tao", searched=searched))
    assert "is no run of toy: recommendation 3 has 'model.num_queries'" in error.message
    assert "initial" in error.remedy


def test_what_tao_did_not_search_has_the_value_of_its_recommendation(tmp_path: Path) -> None:
    spec = {**SPEC, "model": {"x": 0.5, "y": 3, "fruit": "plum"}}
    setup = warmed(tmp_path, tao_run(tmp_path / "tao", spec=spec))
    assert {dict(one.params)["model.fruit"] for one in setup.given.initial} == {"plum"}


def test_a_result_whose_configuration_is_not_wholly_known_is_not_used(tmp_path: Path) -> None:
    error = refused(tmp_path, tao_run(tmp_path / "some", written=False))
    assert "3 of 3 results cannot be used: 3 do not tell their model.fruit" in error.message
    searched = [{**one, "model.fruit": "fig"} for one in SEARCHED]
    setup = warmed(tmp_path, tao_run(tmp_path / "all", searched=searched, written=False))
    assert {dict(one.params)["model.fruit"] for one in setup.given.initial} == {"fig"}


def test_a_shipped_network_begins_with_a_run_of_tao(tmp_path: Path) -> None:
    card = find_network("dino")[1]
    (tmp_path / "tao").mkdir()
    run = bayesian_of_dino(tmp_path / "tao", spec=card.default_spec().plain())
    brain = {"name": "bayesian", "max_recommendations": 8}
    trusted = {"runs": [str(run)], "trust": True}
    setup = warmed(tmp_path, run, network="dino", brain=brain, warm_start=trusted)
    assert [one.score for one in setup.given.evidence] == [0.4, 0.5, 0.6123]
    first = setup.given.initial[0].params
    assert {name: first[name] for name in dino_specs(2)} == dino_specs(2)


def test_taos_own_names_and_enums_are_read_as_the_spec_has_them(tmp_path: Path) -> None:
    card = find_network("detectnet_v2")[1]
    dbscan = "postprocessing_config.clustering_config.dbscan_confidence_threshold"
    searched = {"training_config.regularizer.type": "__L2__", f"classwise_config.{dbscan}": 0.3}
    run = tmp_path / "tao"
    run.mkdir()
    write_json(
        run / "controller.json",
        [trial(0, 0.5, searched, epoch=10, metric="mean average precision")],
    )
    (run / "recommendation_0.protobuf").write_text(card.default_spec().dump())
    setup = warmed(tmp_path, run, network="detectnet_v2", set={})
    first = setup.given.initial[0].params
    assert first["training_config.regularizer.type"] == "L2"
    assert first[card.renamed[f"classwise_config.{dbscan}"]] == 0.3


def test_values_that_are_not_searched_here_are_counted_and_left_out(tmp_path: Path) -> None:
    setup = warmed(tmp_path, tao_run(tmp_path / "tao"), search={"ranges": {"model.x": [0.0, 0.5]}})
    assert [dict(one.params)["model.x"] for one in setup.given.initial] == [0.3]
    assert any("1 of 3 results cannot be used: 1 have values" in note for note in setup.notes)


def test_other_values_of_its_spec_are_told(tmp_path: Path) -> None:
    spec = {**SPEC, "train": {"num_epochs": 2, "seed": 5}}
    run = tao_run(tmp_path / "tao", spec=spec)
    said = f"{run} had other values than your spec in train.seed, which is not searched"
    assert said in warmed(tmp_path, run).notes


def test_a_torn_list_of_trials_is_refused_where_it_is_named(tmp_path: Path) -> None:
    run = tmp_path / "tao"
    run.mkdir()
    (run / "controller.json").write_text("[{")
    error = refused(tmp_path, run)
    assert error.message.startswith(f"{run / 'controller.json'}:1:3: not JSON")
    assert str(error.where) == "test"
