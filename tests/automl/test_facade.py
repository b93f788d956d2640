"""``raytao.AutoML`` refuses what a run file's door refuses, in its words, and shows itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import raytao
import raytao.space
from raytao.errors import FolderError, SettingsError, UserError
from raytao.setup.resolve import resolve

HYPERBAND = {"name": "hyperband", "R": 9, "nu": 3, "epoch_multiplier": 1, "mode": "sync"}
GOOD: Mapping[str, Any] = {
    "network": "image_classification",
    "metric": "kpi",
    "set": {"train.num_epochs": 9},
    "brain": HYPERBAND,
    "slots": 2,
    "seed": 1,
}
EVERYTHING = (
    *("train.optim.lr", "train.optim.type", "train.optim.weight_decay", "train.optim.momentum"),
    *("train.optim.lr_scheduler", "dataset.batch_size", "model.width", "model.dropout"),
)
MISTAKES: list[dict[str, Any]] = [
    {"slotz": 3},
    {"brain": {**HYPERBAND, "nuu": 3}},
    {"slots": "many"},
    {"slots": 0},
    {"set": {"train.num_epochs": "nine"}},
    {"set": {"train.optim.lrr": 0.1}},
    {"set": {"dataset.batch_size": 1}},
    {"search": {"ranges": {"train.optim.lr": {"valid_min": 0.1, "valid_max": 0.001}}}},
    {"search": {"add": ["train.optim.lrr"]}},
    {"search": {"add": ["train.seed"]}},
    {"search": {"remove": [*EVERYTHING]}},
    {"search": {"only": ["train.num_epochs"]}},
    {"search": {"only": ["model.width"], "add": ["model.depth"]}},
    {"network": "image_clasification"},
    {"brain": "hyperbant"},
    {"brain": {**HYPERBAND, "R": 2}},
    {"brain": {**HYPERBAND, "nu": 1}},
    {"set": {"dataset.name": "fashion_mnist", "dataset.root": "/nowhere"}},
    {"metric": "val_akk"},
    {"tracking": {"name": "mlflow", "uri": "http://me:secret@host"}},
    {"tracking": {"name": "mlflow", "uri": "postgresql://ann:se/cret@host/db"}},
    {"tracking": {"name": "mlflow", "uri": "https://host/api?token=secret"}},
    {"tracking": "mlfow"},
]


def said(error: UserError) -> tuple[str, str, str]:
    return type(error).__name__, error.message, error.remedy


@pytest.mark.parametrize(
    "mistake", MISTAKES, ids=[str([*m]) + str(i) for i, m in enumerate(MISTAKES)]
)
def test_python_refuses_what_a_run_file_refuses_in_the_same_words(
    mistake: dict[str, Any], tmp_path: Path
) -> None:
    settings = {**GOOD, **mistake}
    file = tmp_path / "run.yaml"
    file.write_text(json.dumps(settings))
    with pytest.raises(UserError) as by_file:
        resolve(str(file))
    with pytest.raises(UserError) as by_call:
        raytao.AutoML(**settings, results_dir=tmp_path / "results")
    assert said(by_call.value) == said(by_file.value)
    assert "secret" not in str(by_file.value)
    assert "se/cret" not in str(by_file.value)
    assert not (tmp_path / "results").exists()


def test_the_same_settings_make_the_same_run_by_either_door(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(json.dumps(GOOD))
    search = raytao.AutoML(**GOOD)
    assert search._setup.identity() == resolve(str(file)).identity()
    assert raytao.AutoML.from_file(file)._setup.identity() == search._setup.identity()


def test_a_spec_is_a_file_or_changes_to_the_networks_own(tmp_path: Path) -> None:
    nested = raytao.AutoML("image_classification", spec={"train": {"num_epochs": 3}})
    dotted = raytao.AutoML("image_classification", spec={"train.num_epochs": 3})
    written = tmp_path / "mine.yaml"
    written.write_text(nested._setup.spec.dump())
    filed = raytao.AutoML("image_classification", spec=written)
    assert nested._setup.identity() == dotted._setup.identity() == filed._setup.identity()
    with pytest.raises(UserError, match=r"no key 'train.num_epoch'|num_epoch"):
        raytao.AutoML("image_classification", spec={"train": {"num_epoch": 3}})
    with pytest.raises(UserError, match="not found"):
        raytao.AutoML("image_classification", spec="nowhere.yaml")


def train_nothing(params: Mapping[str, Any]) -> float:
    return 0.0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({}, "'network' is missing"),
        ({"train": train_nothing}, "'space' is missing"),
        ({"train": train_nothing, "space": {"x": (0, 1)}}, "'metric' is missing"),
        ({"train": train_nothing, "space": {"x": 3}, "metric": "acc"}, "x: 3 cannot be searched"),
        (
            {"train": train_nothing, "space": {"x": (0, 1)}, "metric": "acc", "epochs": 5},
            "no way to report epochs",
        ),
        (
            {"train": lambda p, c: None, "space": {"x": (0, 1)}, "metric": "acc"},
            "'epochs' is missing",
        ),
        (
            {"train": lambda p, c: None, "space": {"x": (0, 1)}, "metric": "acc", "epochs": 0},
            "at least 1",
        ),
        (
            {"train": train_nothing, "space": {"x": (0, 1)}, "metric": "acc", "spec": {"y": 1}},
            "'y', which is not in the space",
        ),
        (
            {"train": train_nothing, "space": {"x": (0, 1)}, "metric": "score"},
            "no metric may be called 'score'",
        ),
        (
            {
                "train": train_nothing,
                "space": {"x": ["a", "b"]},
                "metric": "m",
                "spec": {"x": "c"},
            },
            "'c', which is not among its values: a, b",
        ),
        (
            {"train": train_nothing, "space": {"x": [1.0, float("inf")]}, "metric": "acc"},
            "must be numbers",
        ),
        (
            {"train": train_nothing, "space": {"train": (0, 1)}, "metric": "acc"},
            "'train' is raytao's own",
        ),
        (
            {
                "train": train_nothing,
                "space": {"x": (0, 1)},
                "metric": "acc",
                "search": {"add": ["y"]},
            },
            "'search' is for networks",
        ),
        (
            {"network": "image_classification", "space": {"x": (0, 1)}, "metric": "acc"},
            "exclude each other",
        ),
        ({"network": "image_classification", "epochs": 3}, "for a function of your own"),
        (
            {
                "train": train_nothing,
                "space": {"x": (0, 1)},
                "metric": "acc",
                "brain": "hyperband",
            },
            "leave no bracket",
        ),
    ],
)
def test_a_function_of_ones_own_is_checked_before_anything_starts(
    arguments: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(UserError) as refused:
        raytao.AutoML(**arguments)
    assert complaint in str(refused.value)
    assert "AutoML(…)" in str(refused.value)


@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        ("val_acc", "maximize"),
        ("loss", "minimize"),
        ("val_loss", "minimize"),
        ("rmse", "minimize"),
        ("glossiness", "maximize"),
        ({"name": "loss", "direction": "maximize"}, "maximize"),
    ],
)
def test_the_direction_of_an_own_metric_goes_by_its_name_unless_it_is_given(
    metric: Any, direction: str
) -> None:
    search = raytao.AutoML(train=train_nothing, space={"x": (0.0, 1.0)}, metric=metric)
    assert search._setup.direction.value == direction
    # Where the direction is guessed, or speaks against the name, the user is told.
    doubtful = isinstance(metric, dict) and metric["direction"] == "maximize"
    assert bool(search._setup.notes) == (isinstance(metric, str) or doubtful)


def test_an_own_spec_is_recommendation_0_and_the_rest_is_the_middle() -> None:
    space = {"x": (0.0, 1.0), "lr": (1e-4, 1.0), "kind": ["a", "b", "c"]}
    search = raytao.AutoML(train=train_nothing, space=space, metric="acc", spec={"x": 0.9})
    plain = search._setup.spec.plain()
    assert plain["x"] == 0.9
    assert plain["lr"] == pytest.approx(0.01)
    assert plain["kind"] == "b"


PASTED = [
    {"network": "image_classification", "metric": "val_acc", "brain": HYPERBAND},
    {"network": "image_classification", "spec": {"train.num_epochs": 3}, "slots": 2},
    {"train": train_nothing, "space": {"x": (0.0, 1.0), "k": [1, 2]}, "metric": "acc"},
    {
        "train": train_nothing,
        "space": {"x": raytao.space.Float("x", 0.1, 1.0, log=True)},
        "metric": {"name": "loss", "direction": "minimize"},
        "results_dir": "results/mine",
    },
]


@pytest.mark.parametrize("arguments", PASTED)
def test_a_search_shows_itself_as_code_that_makes_it_again(arguments: dict[str, Any]) -> None:
    search = raytao.AutoML(**arguments)
    again = eval(repr(search), {"raytao": raytao, "train_nothing": train_nothing})
    assert repr(again) == repr(search)
    assert again._setup.identity() == search._setup.identity()
    assert again.results_dir == search.results_dir


def test_a_shipped_run_shows_itself_as_code_too() -> None:
    search = raytao.AutoML.from_file("digits_hyperband", "slots=1")
    assert repr(eval(repr(search), {"raytao": raytao})) == repr(search)


def test_a_plan_is_text_and_html_and_starts_nothing(tmp_path: Path) -> None:
    search = raytao.AutoML(**GOOD, results_dir=tmp_path / "results")
    plan = search.plan()
    assert plan.schedule.trials == 12
    assert "recommendations  12" in repr(plan)
    assert ">9 × 1</td>" in plan._repr_html_()
    assert "raytao.AutoML(" in search._repr_html_()
    assert not (tmp_path / "results").exists()


def test_markup_in_names_shows_as_text() -> None:
    space = {"<script>alert(1)</script>": ["<b>", "x"]}
    search = raytao.AutoML(train=train_nothing, space=space, metric="acc")
    assert "<script>" not in search._repr_html_()
    assert "<b>'" not in search._repr_html_()


def test_a_search_without_a_run_says_so(tmp_path: Path) -> None:
    search = raytao.AutoML(**GOOD, results_dir=tmp_path / "none")
    with pytest.raises(FolderError, match="no folder"):
        _ = search.best
    with pytest.raises(FolderError, match="no folder"):
        raytao.open(tmp_path / "none")


def test_a_mistake_in_a_notebook_is_a_sentence_and_no_traceback() -> None:
    with pytest.raises(SettingsError) as refused:
        raytao.AutoML("image_classification", slotz=3)
    shown = "\n".join(refused.value._render_traceback_())
    assert "unknown key 'slotz'" in shown
    assert "did you mean 'slots'?" in shown
    assert "Traceback" not in shown
