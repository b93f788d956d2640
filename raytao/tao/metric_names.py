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

_SHAPES: Final = re.compile(r"(?<![A-Za-z])R@\d+$|/d[123]$|_[PR]$")
"""Larger is better, and no word tells it: recall of a retrieval at a rank, shares of depths
within a bound, precision and recall of a detector, as TAO's networks name them."""

_SPREADS: Final = frozenset({"std", "var"})
"""How far values lie apart that are better the larger they are: neither way is better."""

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
    larger = words & LARGER_IS_BETTER or _SHAPES.search(metric)
    return Direction.MAXIMIZE if larger and not words & _SPREADS else None
