"""Which way is better, to judge by a metric's name."""

from __future__ import annotations

import re
from typing import Final

from raytao.types import Direction

SMALLER_IS_BETTER: Final = frozenset(
    {
        *("loss", "error", "err", "mse", "rmse", "mae", "mape", "perplexity", "ppl", "nll"),
        *("wer", "cer", "fid", "brier", "ece", "logloss", "lpips", "cost", "epe"),
        *("medr", "meanr", "absrel", "sqrel", "mate", "mase", "maoe", "mave", "maae"),
    }
)
LARGER_IS_BETTER: Final = frozenset(
    {
        *("accuracy", "acc", "map", "ap", "auc", "auroc", "auprc", "f1", "iou", "miou", "dice"),
        *("precision", "recall", "kappa", "bleu", "rouge", "r2", "psnr", "ssim", "mrr", "ndcg"),
        *("reward", "top1", "top5", "hmean", "cmc", "diou", "macc", "nds", "hota", "pq", "dpq"),
    }
)
"""Words in a metric's name.

TAO knows ``loss`` and ``evaluation_cost``, and takes all else for larger is better: so it
maximises error rates, FID, and the median and mean rank of a retrieval (TAO facts, 1.6).
"""

_WORDS: Final = re.compile(r"(?:abs|sq)_rel|[a-z]+\d*")


def natural(metric: str) -> Direction | None:
    """The direction that a metric's name tells; None if it tells nothing.

    >>> natural("val_mAP50"), natural("map_loss"), natural("kpi")
    (<Direction.MAXIMIZE: 'maximize'>, <Direction.MINIMIZE: 'minimize'>, None)
    """
    words = {word.replace("_", "") for word in _WORDS.findall(metric.lower())}
    words |= {word.rstrip("0123456789") for word in words}
    if words & SMALLER_IS_BETTER or any(word.endswith("loss") for word in words):
        return Direction.MINIMIZE
    return Direction.MAXIMIZE if words & LARGER_IS_BETTER else None


def inferred(metric: str) -> tuple[Direction, str]:
    """The direction of a metric that nothing is known of but its name, and a note that tells so.

    What tells nothing is maximised, as in TAO.
    """
    direction = natural(metric) or Direction.MAXIMIZE
    smaller = direction is Direction.MINIMIZE
    other = Direction.MAXIMIZE if smaller else Direction.MINIMIZE
    return direction, (
        f"{metric} will be {direction.value}d, to judge by its name; for the opposite write "
        f"metric={{'name': {metric!r}, 'direction': {other.value!r}}}"
    )


def doubt(metric: str, direction: Direction) -> tuple[str, ...]:
    """A note where a metric is searched against its name."""
    usual = natural(metric)
    if usual is None or usual is direction:
        return ()
    return (
        f"{metric} will be {direction.value}d, but a metric of that name is usually "
        f"{usual.value}d: look at metric.direction",
    )
