"""What is searched on tables: one of four classifiers, each with parameters of its own.

The names are scikit-learn's, as a nested train spec would have them.
"""

from __future__ import annotations

from typing import Final

from raytao.space import Bool, Categorical, Condition, Float, Int, Parameter, Space
from raytao.types import Params

MODELS: Final = ("forest", "boosting", "svm", "mlp")


def _of(model: str) -> tuple[Condition]:
    return (Condition("==", "model", model),)


def _shared() -> list[Parameter]:
    return [
        Categorical("model", MODELS),
        Categorical("scaler", ("none", "standard", "minmax")),
        Float("features", 0.1, 1.0),
    ]


def _forest() -> list[Parameter]:
    on = _of("forest")
    return [
        Float("forest.max_features", 0.05, 1.0, log=True, conditions=on),
        Int("forest.max_depth", 2, 24, log=True, conditions=on),
        Int("forest.min_samples_leaf", 1, 32, log=True, conditions=on),
        Categorical("forest.criterion", ("gini", "entropy"), conditions=on),
        Bool("forest.bootstrap", conditions=on),
    ]


def _boosting() -> list[Parameter]:
    on = _of("boosting")
    return [
        Float("boosting.learning_rate", 0.01, 1.0, log=True, conditions=on),
        Int("boosting.max_leaf_nodes", 2, 64, log=True, conditions=on),
        Int("boosting.min_samples_leaf", 1, 64, log=True, conditions=on),
        Float("boosting.l2_regularization", 1e-3, 100.0, log=True, conditions=on),
        Float("boosting.max_features", 0.1, 1.0, conditions=on),
    ]


def _svm() -> list[Parameter]:
    on = _of("svm")
    curved = Condition("in", "svm.kernel", ("rbf", "poly", "sigmoid"))
    return [
        Float("svm.C", 1e-2, 1e3, log=True, conditions=on),
        Categorical("svm.kernel", ("linear", "rbf", "poly", "sigmoid"), conditions=on),
        Float("svm.gamma", 1e-4, 10.0, log=True, conditions=(*on, curved)),
        Int("svm.degree", 2, 5, conditions=(*on, Condition("==", "svm.kernel", "poly"))),
    ]


def _mlp() -> list[Parameter]:
    on = _of("mlp")
    return [
        Int("mlp.hidden", 8, 128, log=True, conditions=on),
        Int("mlp.layers", 1, 3, conditions=on),
        Categorical("mlp.activation", ("relu", "tanh"), conditions=on),
        Float("mlp.learning_rate_init", 1e-4, 1e-1, log=True, conditions=on),
        Float("mlp.alpha", 1e-6, 1.0, log=True, conditions=on),
    ]


SPACE: Final = Space([*_shared(), *_forest(), *_boosting(), *_svm(), *_mlp()])
"""22 parameters, 5 to 8 of them active; ``svm.gamma`` and ``svm.degree`` two levels down."""

FIRST: Final[Params] = {
    "model": "forest",
    "scaler": "none",
    "features": 1.0,
    "forest.max_features": 0.2,
    "forest.max_depth": 24,
    "forest.min_samples_leaf": 1,
    "forest.criterion": "gini",
    "forest.bootstrap": True,
}
"""scikit-learn's default random forest, as near as the ranges allow: a share for the square root
of the number of features, the deepest trees for unlimited ones."""
