"""Optimizers and learning-rate schedules.

The learning rate is a function of how far the training is, not of a scheduler's memory: a
resumed training needs no scheduler state to go on where it stopped.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, assert_never

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from raytao.networks.image_classification.settings import OptimSection

STEP_FACTOR: Final = 0.1
"""What the step schedule multiplies the learning rate with at every milestone."""


def build_optimizer(optim: OptimSection, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """Make the optimizer; ``adam`` adds weight decay to the gradient, ``adamw`` decouples it."""
    match optim.type:
        case "sgd":
            return SGD(
                parameters,
                lr=optim.lr,
                momentum=optim.momentum,
                weight_decay=optim.weight_decay,
                fused=True,
            )
        case "adam":
            return Adam(parameters, lr=optim.lr, weight_decay=optim.weight_decay, fused=True)
        case "adamw":
            return AdamW(parameters, lr=optim.lr, weight_decay=optim.weight_decay, fused=True)
        case other:
            assert_never(other)


def learning_rate(optim: OptimSection, *, progress: float, horizon: int) -> float:
    """Return the learning rate after ``progress`` epochs of a training of ``horizon`` epochs.

    It rises linearly over the warm-up; ``cosine`` falls to 0 at the horizon (Loshchilov and
    Hutter 2017, without restarts), ``step`` falls to a tenth after each milestone's epoch.
    """
    if progress < optim.warmup_epochs:
        return optim.lr * progress / optim.warmup_epochs
    match optim.lr_scheduler:
        case "constant":
            return optim.lr
        case "step":
            passed = sum(milestone <= progress for milestone in optim.milestones)
            return optim.lr * STEP_FACTOR**passed
        case "cosine":
            share = (progress - optim.warmup_epochs) / (horizon - optim.warmup_epochs)
            return optim.lr * 0.5 * (1.0 + math.cos(math.pi * min(share, 1.0)))
        case other:
            assert_never(other)


def set_learning_rate(optimizer: Optimizer, lr: float) -> None:
    """Use ``lr`` for the next step."""
    for group in optimizer.param_groups:
        group["lr"] = lr
