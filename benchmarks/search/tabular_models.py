"""Trainings of four scikit-learn classifiers, each with a fidelity that runs from 1 to 27.

An epoch is a twenty-seventh of the full training: two trees of the forest, one stage of boosting,
one pass of the network over the rows, one twenty-seventh of the rows for the support vector
machine, which starts anew at nine fidelities and keeps its last score in between.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import f_classif
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC
from threadpoolctl import ThreadpoolController

from benchmarks.search.family import Curve
from benchmarks.search.tabular_data import Fold, Labels
from raytao.types import Params, ParamValue

EPOCHS: Final = 27
TREES: Final = 2
"""Trees an epoch."""

BATCH: Final = 32
ITERATIONS: Final = 20_000
"""Steps after which a support vector machine that has not converged is taken as it is."""

FIDELITIES: Final = (1, 2, 3, 4, 6, 9, 12, 18, 27)
"""Epochs at which a support vector machine is trained."""

SEED: Final = 0
Scores = NDArray[np.float64]

_THREADS = ThreadpoolController()


@dataclass(frozen=True)
class Trained:
    """What a training gave at some of its epochs.

    Args:
        epochs: ascending, from 1 to 27.
        scores: one row of scores a validation row, (rows, classes), at each of these epochs.
        seconds: processor time until each of these epochs.
    """

    epochs: tuple[int, ...]
    scores: tuple[Scores, ...]
    seconds: tuple[float, ...]


def learning_curve(params: Params, folds: tuple[Fold, ...]) -> tuple[Curve, Curve]:
    """Train on every fold, with one thread.

    Args:
        params: a configuration of ``tabular_space.SPACE``.
        folds: of one table.

    Returns:
        The validation area under the ROC curve after each epoch in percent, mean over classes
        (each against the rest) and folds, and the processor seconds so far, summed over folds;
        (27,) each, the seconds strictly rising.
    """
    epochs = np.arange(1, EPOCHS + 1)
    metric, seconds = np.zeros(EPOCHS), np.zeros(EPOCHS)
    with _THREADS.limit(limits=1):
        for fold in folds:
            trained = _train(params, fold)
            values = np.array([area(fold.valid_labels, s) for s in trained.scores])
            metric += values[np.searchsorted(trained.epochs, epochs, side="right") - 1]
            spent = np.maximum.accumulate(trained.seconds)
            seconds += np.interp(epochs, trained.epochs, spent)
    return metric / len(folds), seconds + 1e-6 * epochs


def area(labels: Labels, scores: Scores) -> float:
    """Area under the ROC curve in percent, mean over the classes, each against the rest.

    Args:
        labels: (rows,), from 0 on; classes that are absent do not count.
        scores: (rows, classes), larger where the class is more likely.
    """
    present = np.bincount(labels, minlength=scores.shape[1])
    counted = np.flatnonzero((present > 0) & (present < len(labels)))
    if scores.shape[1] == 2:  # the two areas are the same
        counted = counted[:1]
    ranks = rankdata(scores[:, counted], axis=0)
    hits = present[counted]
    own = np.array([ranks[labels == c, k].sum() for k, c in enumerate(counted)])
    areas = (own - hits * (hits + 1) / 2) / (hits * (len(labels) - hits))
    return float(100.0 * areas.mean())


def _train(params: Params, fold: Fold) -> Trained:
    model = str(params["model"])
    own = {
        name.removeprefix(f"{model}."): value
        for name, value in params.items()
        if name.startswith(f"{model}.")
    }
    return _TRAINERS[model](own, _prepared(params, fold))


def _prepared(params: Params, fold: Fold) -> Fold:
    """The fold with its most telling features only (by the F test), scaled."""
    width = fold.train.shape[1]
    kept = max(1, round(cast(float, params["features"]) * width))
    train, valid = fold.train, fold.valid
    if kept < width:
        with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # constant features: NaN, that is last
            strength = np.nan_to_num(f_classif(train, fold.train_labels)[0], nan=-1.0)
        best = np.sort(np.argsort(-strength, kind="stable")[:kept])
        train, valid = train[:, best], valid[:, best]
    if params["scaler"] != "none":
        scaler = StandardScaler() if params["scaler"] == "standard" else MinMaxScaler()
        train = scaler.fit_transform(train)
        valid = scaler.transform(valid)
    return Fold(train, fold.train_labels, valid, fold.valid_labels, fold.classes)


def _forest(own: Mapping[str, ParamValue], fold: Fold) -> Trained:
    began = time.process_time()
    forest = RandomForestClassifier(TREES * EPOCHS, random_state=SEED, **own)
    forest.fit(fold.train, fold.train_labels)
    spent = time.process_time() - began
    rows = fold.valid.astype(np.float32)
    sums = np.cumsum([tree.predict_proba(rows) for tree in forest.estimators_], axis=0)
    return _even(list(sums[TREES - 1 :: TREES]), spent)


def _boosting(own: Mapping[str, ParamValue], fold: Fold) -> Trained:
    began = time.process_time()
    boosting = HistGradientBoostingClassifier(
        max_iter=EPOCHS, early_stopping=False, random_state=SEED, **own
    )
    boosting.fit(fold.train, fold.train_labels)
    spent = time.process_time() - began
    return _even([np.array(p) for p in boosting.staged_predict_proba(fold.valid)], spent)


def _even(scores: list[Scores], seconds: float) -> Trained:
    """Epochs that take equal shares of the time."""
    epochs = tuple(range(1, EPOCHS + 1))
    return Trained(epochs, tuple(scores), tuple(seconds * k / EPOCHS for k in epochs))


def _svm(own: Mapping[str, ParamValue], fold: Fold) -> Trained:
    scores, seconds = [], []
    for fidelity in FIDELITIES:
        rows = max(2 * fold.classes, len(fold.train) * fidelity // EPOCHS)
        began = time.process_time()
        machine = SVC(max_iter=ITERATIONS, random_state=SEED, **own)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # meant: see ITERATIONS
            fitted = _finitely(partial(machine.fit, fold.train[:rows], fold.train_labels[:rows]))
        seconds.append(time.process_time() - began)
        if not fitted:
            scores.append(np.zeros((len(fold.valid), fold.classes)))
            continue
        decided = machine.decision_function(fold.valid)
        scores.append(np.column_stack([-decided, decided]) if fold.classes == 2 else decided)
    return Trained(FIDELITIES, tuple(scores), tuple(seconds))


def _mlp(own: Mapping[str, ParamValue], fold: Fold) -> Trained:
    sizes = (cast(int, own["hidden"]),) * cast(int, own["layers"])
    rest = {name: value for name, value in own.items() if name not in ("hidden", "layers")}
    network = MLPClassifier(sizes, batch_size=BATCH, random_state=SEED, **rest)
    classes = np.arange(fold.classes)
    scores: list[Scores] = []
    seconds: list[float] = []
    spent = 0.0
    for _ in range(EPOCHS):
        began = time.process_time()
        step = partial(network.partial_fit, fold.train, fold.train_labels, classes=classes)
        fitted = _finitely(step)
        spent += time.process_time() - began
        nothing = np.zeros((len(fold.valid), fold.classes))
        scores.append(network.predict_proba(fold.valid) if fitted else nothing)
        seconds.append(spent)
    return Trained(tuple(range(1, EPOCHS + 1)), tuple(scores), tuple(seconds))


def _finitely(fit: Callable[[], object]) -> bool:
    """Whether a fit came out with finite numbers; one that did not says nothing: area 50."""
    try:
        fit()
    except ValueError as error:
        if "finite" not in str(error):
            raise
        return False
    return True


_TRAINERS: Final[Mapping[str, Callable[[Mapping[str, ParamValue], Fold], Trained]]] = {
    "forest": _forest,
    "boosting": _boosting,
    "svm": _svm,
    "mlp": _mlp,
}
