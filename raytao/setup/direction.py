"""Which way is better, to judge by a metric's name."""

from __future__ import annotations

import re
from typing import Final

from raytao.types import Direction

SMALLER_IS_BETTER: Final = frozenset(
    {
        *("loss", "error", "err", "mse", "rmse", "mae", "mape", "perplexity", "ppl", "nll"),
        *("wer", "cer", "fid", "brier", "ece", "logloss", "lpips"),
    }
)
LARGER_IS_BETTER: Final = frozenset(
    {
        *("accuracy", "acc", "map", "ap", "auc", "auroc", "auprc", "f1", "iou", "miou", "dice"),
        *("precision", "recall", "kappa", "bleu", "rouge", "r2", "psnr", "ssim", "mrr", "ndcg"),
        *("reward", "top1", "top5"),
    }
)
"""Words in a metric's name; TAO knows ``loss`` alone, and takes all else for larger is better."""


def natural(metric: str) -> Direction | None:
    """The direction that a metric's name tells; None if it tells nothing.

    >>> natural("val_mAP50"), natural("map_loss"), natural("kpi")
    (<Direction.MAXIMIZE: 'maximize'>, <Direction.MINIMIZE: 'minimize'>, None)
    """
    words = set(re.findall(r"[a-z]+\d*", metric.lower()))
    words |= {word.rstrip("0123456789") for word in words}
    if words & SMALLER_IS_BETTER or any(word.endswith("loss") for word in words):
        return Direction.MINIMIZE
    return Direction.MAXIMIZE if words & LARGER_IS_BETTER else None


def doubt(metric: str, direction: Direction) -> tuple[str, ...]:
    """A note where a metric is searched against its name."""
    usual = natural(metric)
    if usual is None or usual is direction:
        return ()
    return (
        f"{metric} will be {direction.value}d, but a metric of that name is usually "
        f"{usual.value}d: look at metric.direction",
    )
