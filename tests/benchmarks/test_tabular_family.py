"""The family of real trainings: what a benchmark relies on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from benchmarks.search.family import Family, NoData
from benchmarks.search.tabular import Tabular, main
from benchmarks.search.tabular_bounds import CURVES, POOL, Bounds, measure, pool
from benchmarks.search.tabular_data import (
    EMBEDDED,
    Labels,
    Rows,
    Source,
    fingerprint,
    folds_of,
    load,
    table_of,
)
from benchmarks.search.tabular_models import EPOCHS, FIDELITIES, area, learning_curve
from benchmarks.search.tabular_space import FIRST, SPACE
from raytao.types import Params

TASK = "breast_cancer"
QUICK: Params = {
    "model": "svm",
    "scaler": "standard",
    "features": 0.5,
    "svm.C": 1.0,
    "svm.kernel": "linear",
}


def drawn(seed: int) -> Params:
    return SPACE.sample(np.random.default_rng(seed))


def curves_file(folder: Path) -> Path:
    (found,) = folder.rglob(f"{TASK}.jsonl")
    return found


def grouped(rows: int, classes: int, seed: int = 0) -> tuple[Rows, Labels]:
    """A table whose first column is the row's number; a class is half as large as the last."""
    rng = np.random.default_rng(seed)
    shares = 0.5 ** np.arange(classes)
    drawn_labels = rng.choice(classes, rows - classes, p=shares / shares.sum())
    labels = np.concatenate([np.arange(classes), drawn_labels])
    return np.column_stack([np.arange(rows, dtype=float), rng.random(rows)]), labels


# Curves


@pytest.mark.parametrize("model", ["forest", "boosting", "svm", "mlp"])
def test_a_configuration_trained_again_gives_the_same_curve(model: str, tmp_path: Path) -> None:
    params = next(p for p in map(drawn, range(99)) if p["model"] == model)
    once, again = (Tabular(tmp_path / name).curve(TASK, params)[0] for name in "ab")
    assert once.tolist() == again.tolist()


def test_every_configuration_of_the_space_trains_and_takes_time() -> None:
    folds = folds_of(*load("wine_noisy", Path()))[:1]
    models = set()
    for seed in range(25):
        params = drawn(seed)
        metric, seconds = learning_curve(params, folds)
        assert metric.shape == seconds.shape == (EPOCHS,), params
        assert np.all((metric >= 0) & (metric <= 100)), params
        assert seconds[0] > 0, params
        assert np.all(np.diff(seconds) > 0), params
        models.add(params["model"])
    assert len(models) == 4


def test_a_support_vector_machine_keeps_its_score_between_its_fidelities() -> None:
    metric, _ = learning_curve(QUICK, folds_of(*load("diabetes", Path())))
    changed = set(np.flatnonzero(np.diff(metric)) + 2)
    assert changed
    assert changed <= set(FIDELITIES)


def test_more_trees_and_fewer_features_are_another_training() -> None:
    folds = folds_of(*load(TASK, Path()))
    whole = learning_curve(FIRST, folds)[0]
    few = learning_curve({**FIRST, "features": 0.1}, folds)[0]
    assert len(set(whole)) > EPOCHS / 2
    assert whole[-1] > whole[0]
    assert not np.allclose(whole, few)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.integers(2, 5))
def test_the_area_is_scikit_learns_and_knows_only_ranks(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    _, labels = grouped(40, classes, seed)
    scores = rng.integers(1, 9, (40, classes)).astype(float)
    if classes == 2:
        scores[:, 0] = -scores[:, 1]
        theirs = roc_auc_score(labels, scores[:, 1])
    else:
        theirs = np.mean([roc_auc_score(labels == c, scores[:, c]) for c in range(classes)])
    assert area(labels, scores) == pytest.approx(100 * theirs)
    assert area(labels, np.exp(scores)) == pytest.approx(100 * theirs)
    assert area(labels, np.zeros((40, classes))) == 50.0


# The space


@given(st.integers(0, 10**6))
def test_a_configuration_has_its_own_models_parameters_only(seed: int) -> None:
    params = drawn(seed)
    shared = {"model", "scaler", "features"}
    assert {name.split(".")[0] for name in params} - shared == {params["model"]}
    kernel = params.get("svm.kernel")
    assert ("svm.gamma" in params) == (kernel in ("rbf", "poly", "sigmoid"))
    assert ("svm.degree" in params) == (kernel == "poly")
    assert 5 <= len(params) <= 8


def test_the_first_configuration_is_one_of_the_space(tmp_path: Path) -> None:
    family: Family = Tabular(tmp_path)
    assert family.space.contains(family.first)


def test_a_parameter_of_another_model_changes_nothing_and_trains_nothing(tmp_path: Path) -> None:
    family = Tabular(tmp_path)
    lean = family.curve(TASK, QUICK)
    laden = family.curve(TASK, {**QUICK, "svm.gamma": 0.1, "forest.max_depth": 3})
    assert family.trained == 1
    assert lean[0].tolist() == laden[0].tolist()


@pytest.mark.parametrize("spoilt", [{"svm.C": 1e9}, {"svm.kernel": "poly"}, {"model": "tree"}])
def test_what_is_no_configuration_is_refused(spoilt: Params, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no configuration"):
        Tabular(tmp_path).curve(TASK, {**QUICK, **spoilt})


# The cache


def test_a_curve_is_trained_once_by_all_who_share_a_folder(tmp_path: Path) -> None:
    early, late = Tabular(tmp_path), Tabular(tmp_path)
    early.curve(TASK, FIRST)
    assert len(late.curve(TASK, FIRST)[0]) == EPOCHS  # late has read the file now
    trained = early.curve(TASK, QUICK)
    read = late.curve(TASK, QUICK)
    assert (early.trained, late.trained) == (2, 0)
    assert [c.tolist() for c in read] == [c.tolist() for c in trained]


def test_a_torn_line_costs_its_own_curve_only(tmp_path: Path) -> None:
    family = Tabular(tmp_path)
    first, quick = family.curve(TASK, FIRST), family.curve(TASK, QUICK)
    path = curves_file(tmp_path)
    path.write_bytes(path.read_bytes()[:-40])
    mended = Tabular(tmp_path)
    assert mended.curve(TASK, FIRST)[1].tolist() == first[1].tolist()
    assert mended.trained == 0
    assert mended.curve(TASK, QUICK)[0].tolist() == quick[0].tolist()
    assert mended.trained == 1
    after = Tabular(tmp_path)
    after.curve(TASK, QUICK)
    assert after.trained == 0


SHORT = json.dumps({"params": QUICK, "metric": [1.0], "seconds": [1.0]}).encode()


@pytest.mark.parametrize("line", [b"[]", b"7", b"\xff\xfe", b'{"params": 3}', SHORT])
def test_a_line_of_another_make_is_passed_over(line: bytes, tmp_path: Path) -> None:
    Tabular(tmp_path).curve(TASK, QUICK)
    path = curves_file(tmp_path)
    path.write_bytes(line + b"\n" + path.read_bytes())
    again = Tabular(tmp_path)
    assert len(again.curve(TASK, QUICK)[0]) == EPOCHS
    assert again.trained == 0


# Tables and folds


@pytest.mark.parametrize("rows", [60, 400, 3000])
def test_no_row_is_trained_and_validated_on_in_one_fold(rows: int) -> None:
    folds = folds_of(*grouped(rows, 4))
    for fold in folds:
        assert not set(fold.train[:, 0]) & set(fold.valid[:, 0])
    validated = [number for fold in folds for number in fold.valid[:, 0]]
    assert len(validated) == len(set(validated)) == min(rows, 1500)


@pytest.mark.parametrize("rows", [60, 400, 3000])
def test_every_beginning_of_the_training_rows_holds_every_class(rows: int) -> None:
    table, labels = grouped(rows, 4)
    shares = np.bincount(labels) / rows
    for fold in folds_of(table, labels):
        assert np.bincount(fold.train_labels[:8]).tolist() == [2, 2, 2, 2]
        for size in (8, len(fold.train) // 3, len(fold.train)):
            held = np.bincount(fold.train_labels[:size])
            assert np.all(np.abs(held - shares * size) <= 3), size


def test_folds_share_the_classes_out_evenly() -> None:
    folds = folds_of(*grouped(250, 4))
    counts = np.array([np.bincount(fold.valid_labels) for fold in folds])
    assert len(folds) == 4
    assert np.all(np.ptp(counts, axis=0) <= 1)


def test_classes_that_hardly_occur_are_left_out() -> None:
    rows, labels = grouped(1000, 3)
    labels[labels == 1] = 0
    labels[:3] = 1
    folds = folds_of(rows, labels)
    assert {fold.classes for fold in folds} == {2}
    assert not {0.0, 1.0, 2.0} & {number for fold in folds for number in fold.train[:, 0]}


def test_categories_become_numbers_and_gaps_the_median() -> None:
    frame = pd.DataFrame(
        {
            "kind": pd.Categorical(["b", "a", None, "b"]),
            "size": pd.Categorical(["10", "2", "2", None]),
            "class": pd.Categorical(["yes", "no", "no", "yes"]),
            "weight": [1.0, np.nan, 3.0, 7.0],
        }
    )
    rows, labels = table_of(frame, Source("mlbench", "X", "class"))
    assert rows.tolist() == [[1, 10, 1], [0, 2, 3], [1, 2, 3], [1, 2, 7]]
    assert labels.tolist() == [1, 0, 0, 1]


def test_a_table_that_was_not_fetched_is_named_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NoData, match=r"sonar.*fetch"):
        Tabular(tmp_path).curve("sonar", QUICK)
    assert main(["--cache", str(tmp_path), "warm", "--tasks", "sonar"]) == 2
    assert "fetch" in capsys.readouterr().err


def test_a_table_that_the_bounds_are_not_of_is_refused(tmp_path: Path) -> None:
    family = Tabular(tmp_path)
    family.bounds[TASK] = Bounds(90.0, 99.0, "another")
    with pytest.raises(NoData, match="another table"):
        family.curve(TASK, QUICK)


# Regret


def test_every_task_has_bounds_and_no_table_is_on_both_sides(tmp_path: Path) -> None:
    family = Tabular(tmp_path)
    dev, held_out = family.tasks["dev"], family.tasks["held_out"]
    assert set(family.bounds) == {*dev, *held_out}
    assert not set(dev) & set(held_out)
    for task in (*dev, *held_out):
        bounds = family.bounds[task]
        assert 50 < bounds.worst < bounds.best <= 100
        assert family.regret(task, bounds.best) == 0
        assert family.regret(task, bounds.worst) == pytest.approx(100)


@pytest.mark.parametrize("task", EMBEDDED)
def test_the_bounds_are_of_the_tables_that_scikit_learn_brings(task: str) -> None:
    assert Tabular().bounds[task].table == fingerprint(*load(task, Path()))


def test_bounds_are_the_pools_median_and_what_a_climb_finds() -> None:
    asked: list[float] = []
    numeric = [c.kind == "numeric" for c in SPACE.columns]

    def value(params: Params) -> float:
        active = [c.parameter in params for c in SPACE.columns]
        away = (SPACE.encode(params) - 0.8)[np.logical_and(numeric, active)]
        asked.append(99.0 - float(np.abs(away).max()))
        return asked[-1]

    found = measure(value, "table")
    drawn_values = asked[:POOL]
    assert len(asked) == CURVES
    assert found.worst == round(float(np.median(drawn_values)), 4)
    assert found.best == round(max(asked), 4) > max(drawn_values) + 0.05


def test_the_pool_is_always_the_same() -> None:
    assert np.array_equal(pool(), pool())
    assert len(pool()) == POOL
