"""The pure description agrees with the torch modules; the schedules obey their laws."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from raytao.networks.image_classification.architecture import describe
from raytao.networks.image_classification.kinds import Shape
from raytao.networks.image_classification.model import build_model
from raytao.networks.image_classification.optim import learning_rate
from raytao.networks.image_classification.settings import (
    ActivationName,
    BackboneName,
    ModelSection,
    OptimSection,
    SchedulerName,
)


@pytest.mark.parametrize("side", [8, 28])
@pytest.mark.parametrize("depth", [2, 3, 4, 6])
@pytest.mark.parametrize("backbone", ["cnn", "resnet"])
def test_parameters_and_shapes_are_those_of_torch(
    backbone: BackboneName, depth: int, side: int
) -> None:
    section = ModelSection(backbone=backbone, depth=depth, width=4, kernel_size=5)
    architecture = describe(section, Shape(1, side, 255), classes=10)
    model = build_model(architecture, section).eval()
    assert [p.numel() for p in model.parameters()] == list(architecture.tensors)
    assert sum(p.numel() for p in model.parameters()) == architecture.parameters
    images = torch.rand(2, 1, side, side)
    for block, expected in zip(model.backbone, architecture.sides(side), strict=True):
        images = block(images)
        assert images.shape[2:] == (expected, expected)
    assert model.head(images.mean(dim=(2, 3))).shape == (2, 10)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "silu"])
def test_every_activation_is_built(activation: ActivationName) -> None:
    section = ModelSection(width=4, depth=2, activation=activation)
    model = build_model(describe(section, Shape(1, 8, 16), classes=10), section)
    assert model(torch.rand(2, 1, 8, 8)).isfinite().all()


def test_the_default_network_has_its_literal_size() -> None:
    architecture = describe(ModelSection(), Shape(1, 28, 255), classes=10)
    weights = 9 * (1 * 16 + 16 * 32 + 32 * 64)
    assert architecture.parameters == weights + 2 * (16 + 32 + 64) + 64 * 10 + 10
    assert architecture.sides(28) == [14, 7, 4]
    assert describe(ModelSection(), Shape(1, 8, 16), classes=10).sides(8) == [8, 4, 2]


schedules = st.sampled_from(["cosine", "step", "constant"])


@given(
    scheduler=schedules,
    warmup=st.integers(0, 4),
    horizon=st.integers(5, 40),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_a_learning_rate_rises_in_the_warmup_and_never_after(
    scheduler: SchedulerName, warmup: int, horizon: int, shares: tuple[float, float]
) -> None:
    optim = OptimSection(lr=0.3, lr_scheduler=scheduler, warmup_epochs=warmup)

    def at(progress: float) -> float:
        return learning_rate(optim, progress=progress, horizon=horizon)

    low, high = sorted(shares)
    assert 0.0 <= at(low * horizon) <= 0.3
    span = horizon - warmup
    assert at(warmup + low * span) >= at(warmup + high * span)
    if warmup:
        assert at(low * warmup * 0.99) <= at(high * warmup * 0.99)


def test_schedules_have_their_literal_values() -> None:
    cosine = OptimSection(lr=1.0, lr_scheduler="cosine")
    assert [
        round(learning_rate(cosine, progress=p, horizon=12), 6) for p in (0, 3, 6, 12, 15)
    ] == [1.0, 0.853553, 0.5, 0.0, 0.0]
    step = OptimSection(lr=1.0, lr_scheduler="step", milestones=[8, 10])
    assert [
        round(learning_rate(step, progress=p, horizon=12), 6) for p in (7.9, 8.0, 9.9, 10.0)
    ] == [1.0, 0.1, 0.1, 0.01]
    warm = OptimSection(lr=1.0, lr_scheduler="constant", warmup_epochs=2)
    assert [learning_rate(warm, progress=p, horizon=12) for p in (0.5, 1.0, 2.0)] == [
        0.25,
        0.5,
        1.0,
    ]
