"""A network: ridge regression on polynomial features of scikit-learn's diabetes patients."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from raytao.errors import SpecError
from raytao.networks.base import Network, TrainContext
from raytao.spec import flatten
from raytao.types import Json

Array: TypeAlias = NDArray[np.float64]

LIMITS: Mapping[str, tuple[type, float, float]] = {
    "model.degree": (int, 1, 3),
    "train.batch_size": (int, 1, 1024),
    "train.num_gpus": (int, 0, 0),  # it trains on the CPU
    "train.optim.lr": (float, 0, 1),
    "train.optim.momentum": (float, 0, 0.99),
    "train.optim.ridge": (float, 0, 1),
}


def patients(degree: int) -> dict[str, tuple[Array, Array]]:
    """Parts ``train``, ``val`` and ``test``: features (n, p) and targets (n,), always split alike.

    Features have variance 1/p and targets variance 1 on the training part, so that one range of
    learning rates suits every degree.
    """
    from sklearn.datasets import load_diabetes
    from sklearn.preprocessing import PolynomialFeatures

    data = load_diabetes()
    order = np.random.default_rng(0).permutation(len(data.target))
    train, val, test = np.split(order, [265, 354])
    # The bundled features have variance 1/442, and powers of small numbers vanish.
    scaled = data.data * math.sqrt(len(data.target))
    x = PolynomialFeatures(degree, include_bias=False).fit_transform(scaled)
    x = (x - x[train].mean(axis=0)) / (x[train].std(axis=0) * math.sqrt(x.shape[1]))
    y = (data.target - data.target[train].mean()) / data.target[train].std()
    return {name: (x[i], y[i]) for name, i in (("train", train), ("val", val), ("test", test))}


def measured(weights: Array, part: tuple[Array, Array], prefix: str) -> dict[str, float]:
    """R² and the root of the mean squared error, in standard deviations of the target."""
    x, y = part
    loss = float(np.mean((x @ weights - y) ** 2))
    return {f"{prefix}_r2": 1.0 - loss / float(np.var(y)), f"{prefix}_rmse": math.sqrt(loss)}


class Polynomial(Network):
    """Trained by stochastic gradient descent; a checkpoint is the weights and their velocity."""

    name: ClassVar[str] = "polynomial"
    preload: ClassVar[tuple[str, ...]] = ("sklearn.datasets", "sklearn.preprocessing")

    def card_folder(self) -> Path:
        """The card lies in the package."""
        return Path(__file__).parent / "card"

    def check(self, spec: Mapping[str, Json]) -> None:
        """See Network.check."""
        flat = flatten(spec)
        for key, (kind, low, high) in LIMITS.items():
            value: Json = flat.get(key)
            if type(value) not in (int, kind) or not low <= value <= high:
                rule = f"it must be of type {kind.__name__}, from {low} to {high}"
                raise SpecError(f"{key} is {value!r}; {rule}")

    def train(self, spec: Mapping[str, Json], ctx: TrainContext) -> None:
        """See Network.train; an epoch depends on the state before it and on (seed, epoch) only."""
        flat = flatten(spec)
        parts = patients(flat["model.degree"])
        x, y = parts["train"]
        weights, velocity = np.zeros((2, x.shape[1]))
        if ctx.resume_from is not None:
            weights, velocity = np.load(io.BytesIO(ctx.resume_from), allow_pickle=False)
        momentum, ridge = flat["train.optim.momentum"], flat["train.optim.ridge"]
        for epoch in ctx.epochs:
            rate = flat["train.optim.lr"] * (1.0 - (epoch - 1) / flat["train.num_epochs"])
            order = np.random.default_rng([ctx.seed, epoch]).permutation(len(y))
            for batch in np.array_split(order, math.ceil(len(y) / flat["train.batch_size"])):
                if ctx.should_stop:
                    return
                error = x[batch] @ weights - y[batch]
                slope = x[batch].T @ error / len(batch) + ridge * weights
                velocity = momentum * velocity - rate * slope
                weights = weights + velocity
            metrics = measured(weights, parts["val"], "val")
            ctx.log(f"epoch {epoch}: val_r2 {metrics['val_r2']:.4f}")
            checkpoint = io.BytesIO()
            np.save(checkpoint, np.stack([weights, velocity]), allow_pickle=False)
            ctx.save(checkpoint.getvalue())
            ctx.report(epoch, metrics)

    def evaluate(
        self, spec: Mapping[str, Json], checkpoint: bytes, *, threads: int, gpus: int
    ) -> Mapping[str, float]:
        """See Network.evaluate."""
        del threads, gpus
        weights, _ = np.load(io.BytesIO(checkpoint), allow_pickle=False)
        return measured(weights, patients(flatten(spec)["model.degree"])["test"], "test")
