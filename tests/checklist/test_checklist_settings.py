"""Rows 1-13 and 15-19 of TAO's checklist: settings as TAO's users write them, in a run file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

import raytao
from raytao.errors import SettingsError, UserError
from raytao.runs.store import MemoryStore
from raytao.setup.direction import doubt, inferred
from raytao.setup.resolve import resolve
from raytao.setup.setup import Setup
from raytao.tao.automl.keys import NEAREST
from raytao.testing.folder_run import Conditions, run_in_folder
from raytao.testing.toy import curve
from raytao.types import Direction, Json

Resolved: TypeAlias = Callable[..., Setup]


@pytest.fixture
def run(tmp_path: Path) -> Resolved:
    """Resolve a run file of network toy, 9 epochs, that says further what is given."""

    def resolved(**given: Json) -> Setup:
        path = tmp_path / "run.yaml"
        data = {"network": "toy", "results_dir": str(tmp_path / "results"), **given}
        path.write_text(json.dumps({k: v for k, v in data.items() if v is not None}))
        return resolve(str(path))

    return resolved


def refused(run: Resolved, **given: Json) -> UserError:
    with pytest.raises(UserError) as caught:
        run(**given)
    return caught.value


def brain(setup: Setup) -> dict[str, Any]:
    return {"name": setup.brain_class.name, **setup.brain_settings.model_dump()}


def test_row_001_automl_enabled_and_disabled(run: Resolved) -> None:
    assert run(automl_enabled=True).new_brain().plan().trials == 20
    for off in (False, "False"):
        setup = run(automl_enabled=off, automl_algorithm="hyperband", automl_R=9)
        plan = setup.new_brain().plan()
        assert (plan.trials, plan.epochs) == (1, 9)
        assert any("one training of the train spec as it stands" in note for note in setup.notes)
        state = run_in_folder(setup, MemoryStore())
        assert [dict(trial.params) for trial in state.trials.values()] == [
            {"model.x": 0.5, "model.y": 3, "model.fruit": "apple"}
        ]


def test_row_002_a_search_of_mal_is_refused(run: Resolved) -> None:
    said = "automl_enabled cannot be True for unsupported network 'mal'"
    for given in ({"network_arch": "mal", "network": None}, {"network": "mal"}):
        assert refused(run, automl_enabled=True, **given).message == said
    with pytest.raises(SettingsError, match=said):
        raytao.AutoML("mal")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((name, "bayesian") for name in ("Bayesian", "bayesian", "b", "B")),
        *((name, "hyperband") for name in ("Hyperband", "HyperBand", "hyperband", "h")),
    ],
)
def test_row_003_algorithms_in_any_case(run: Resolved, name: str, expected: str) -> None:
    assert run(automl_algorithm=name).brain_class.name == expected


def test_row_004_any_other_algorithm_is_refused_with_those_there_are(run: Resolved) -> None:
    error = refused(run, automl_algorithm="bayesien")
    assert "automl_algorithm must be one of: bayesian, hyperband; not 'bayesien'" in error.message
    for name in NEAREST:
        known = refused(run, automl_settings={"automl_algorithm": name})
        assert f"TAO's algorithm {name!r} is not among raytao's brains" in known.message
        assert "may be bayesian, hyperband; nearest is " in known.remedy


def test_row_005_the_algorithm_is_bayesian_unless_it_is_named(run: Resolved) -> None:
    unnamed: list[dict[str, Json]] = [{}, {"automl_enabled": True}, {"automl_settings": {}}]
    for given in unnamed:
        assert run(**given).brain_class.name == "bayesian"


def test_row_006_max_recommendations_is_20_or_as_many_full_trainings(run: Resolved) -> None:
    assert run(automl_algorithm="b").new_brain().plan().trials == 20
    for name in ("automl_max_recommendations", "max_recommendations"):
        state = run_in_folder(run(automl_algorithm="b", **{name: 4}), MemoryStore())
        assert [trial.epochs for trial in state.trials.values()] == [9] * 4


@pytest.mark.parametrize("name", ["automl_max_recommendations", "max_recommendations"])
@pytest.mark.parametrize("number", [0, -1])
def test_row_007_no_recommendation_is_none_at_all(run: Resolved, name: str, number: int) -> None:
    error = refused(run, **{name: number})
    assert error.message == (
        f"{name} is {number}: automl_max_recommendations must be greater than 0"
    )
    assert str(error).split(":")[0].endswith("run.yaml")


def test_row_008_r_is_27_and_nu_is_3(run: Resolved) -> None:
    first = run(automl_algorithm="h", epoch_multiplier=1).new_brain().plan().rows
    assert [row.epochs for row in first if row.bracket == 0] == [1, 3, 9, 27]
    made = run(automl_algorithm="h", automl_R=16, automl_nu=4)
    assert (brain(made)["R"], brain(made)["nu"]) == (16, 4)


def test_row_009_max_epochs_and_reduction_factor_mean_the_same(run: Resolved) -> None:
    theirs = {"automl_max_epochs": 16, "automl_reduction_factor": 4, "epoch_multiplier": 2}
    nested = {"automl_algorithm": "hyperband", "algorithm_specific_params": theirs}
    flat = {"automl_algorithm": "h", "automl_R": 16, "automl_nu": 4, "epoch_multiplier": 2}
    notebook = {"automl_algorithm": "h", "R": 16, "nu": 4, "epoch_multiplier": 2}
    plans = [
        run(**given).new_brain().plan()
        for given in ({"automl_settings": nested}, nested, flat, notebook)
    ]
    assert plans[0].longest == 32
    assert plans == [plans[0]] * 4


def test_row_010_the_epoch_multiplier_follows_from_the_spec_and_is_told(run: Resolved) -> None:
    """TAO's documents default to 10, its code to 1; here it is the documented adjustment."""
    plan = run(automl_algorithm="h", set={"train.num_epochs": 80}).new_brain().plan()
    assert plan.longest == 27 * 4
    assert "longest training 108 epochs; the spec says 80" in plan.notes
    assert run(automl_algorithm="h", epoch_multiplier=10).new_brain().plan().longest == 270


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"automl_R": 1}, "automl_max_epochs, automl_reduction_factor must be greater than 1"),
        ({"automl_nu": 1}, "automl_max_epochs, automl_reduction_factor must be greater than 1"),
        (
            {"automl_R": 4, "automl_nu": 9},
            "automl_reduction_factor must be less than or equal to automl_max_epochs",
        ),
        ({"epoch_multiplier": 0}, "epoch_multiplier must be greater than 0"),
    ],
)
def test_row_011_numbers_out_of_range_are_refused_in_taos_words(
    run: Resolved, given: dict[str, Json], said: str
) -> None:
    for pasted in (given, {"automl_settings": given}, {"algorithm_specific_params": given}):
        error = refused(run, automl_algorithm="hyperband", **pasted)
        assert error.message.endswith(f": {said}")
        name, value = list(given.items())[-1]
        assert f"{name} is {value}" in error.message


@pytest.mark.parametrize("value", [True, "True", "true", False, "False", "false"])
def test_row_012_the_string_false_is_false(run: Resolved, value: Json) -> None:
    deletes = str(value).lower() == "true"
    for given in ({}, {"automl_enabled": True}):
        setup = run(automl_delete_intermediate_ckpt=value, **given)
        assert setup.settings.delete_intermediate_checkpoints is deletes
    assert run().settings.delete_intermediate_checkpoints


def test_row_013_kpi_is_the_networks_own_metric(run: Resolved) -> None:
    assert run(metric="kpi").metric == run().metric == "value"
    assert run(automl_settings={"metric": "kpi"}).metric == "value"
    assert run(automl_settings={"metric": "loss"}).metric == "loss"
    assert run(metric="kpi", network="image_classification").metric == "val_acc"


@pytest.mark.parametrize(
    ("metrics", "direction"),
    [
        (
            ("loss", "val_loss", "val/avg_loss", "train_loss", "evaluation_cost "),
            Direction.MINIMIZE,
        ),
        (
            ("fid50k_full", "val/t2i_MedR", "val/i2t_MeanR", "val/abs_rel", "rmse", "cer", "wer"),
            Direction.MINIMIZE,
        ),
        (
            (
                *("val_acc", "val_3DIoU", "accuracy_top-1", "val_acc_1", "validation_accuracy"),
                *("val_mAP50", "mean average precision", "AP50", "mask_AP", "mean accuracy"),
                *("mIoU", "val Precision at Rank 1", "hmean", "cmc_rank_1", "Mean IOU", "AP11"),
                *("val/t2i_mAP", "val/reward_avg", "[bbox] val_mAP@50", "a name unheard of"),
            ),
            Direction.MAXIMIZE,
        ),
    ],
)
def test_row_015_losses_are_minimised_and_the_rest_is_maximised(
    metrics: tuple[str, ...], direction: Direction
) -> None:
    assert {name: inferred(name)[0] for name in metrics} == dict.fromkeys(metrics, direction)


def test_row_016_the_direction_can_be_given_and_a_suspicious_one_is_told(run: Resolved) -> None:
    setup = run(metric={"name": "loss", "direction": "maximize"}, automl_algorithm="h")
    assert setup.direction is Direction.MAXIMIZE
    assert doubt("loss", Direction.MAXIMIZE)[0] in setup.notes
    usual = run(metric={"name": "loss", "direction": "minimize"})
    assert usual.direction is Direction.MINIMIZE
    assert not [note for note in usual.notes if "direction" in note]


def test_row_017_a_loss_is_searched_downwards(run: Resolved) -> None:
    """The same curve as a loss and as a gain: the same configurations are tried."""
    loss = run(metric="loss", max_recommendations=8, seed=1)
    gain = run(metric="value", max_recommendations=8, seed=1)
    found = [
        run_in_folder(setup, MemoryStore(), Conditions(objective=objective))
        for setup, objective in ((loss, lambda p, epoch: -curve(p, epoch)), (gain, curve))
    ]
    tried = [[dict(trial.params) for trial in state.trials.values()] for state in found]
    assert tried[0] == tried[1]
    ends = [trial.history[9]["loss"] for trial in found[0].trials.values()]
    assert min(ends) < ends[0]


@pytest.mark.parametrize("name", ["additional_automl_parameters", "automl_add_hyperparameters"])
def test_row_018_what_is_added_is_a_list_or_the_string_of_one(run: Resolved, name: str) -> None:
    wanted = ["model.activation", "dataset.augmentation.cutout"]
    usual = run(network="image_classification").space.names
    for written in (wanted, str(wanted), json.dumps(wanted)):
        names = run(network="image_classification", **{name: written}).space.names
        assert set(names) == {*usual, *wanted} != set(usual)


@pytest.mark.parametrize(
    "name", ["remove_default_automl_parameters", "automl_remove_hyperparameters"]
)
def test_row_019_what_is_removed_is_a_list_or_the_string_of_one(run: Resolved, name: str) -> None:
    for written in (["model.x"], "['model.x']", '["model.x"]'):
        assert run(**{name: written}).space.names == ("model.y", "model.fruit")
