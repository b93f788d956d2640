"""What a metric's name tells of its direction."""

from __future__ import annotations

import pytest

from raytao.tao.metric_names import LARGER_IS_BETTER, SMALLER_IS_BETTER, natural
from raytao.types import Direction


@pytest.mark.parametrize(
    "name",
    [
        *("map", "val_mAP50", "bbox_mAP@0.5", "top5", "val/f1", "iou", "R2", "accuracy.top1"),
        *("val_3DIoU", "hmean", "cmc_rank_1", "val_mAcc", "val_dpq_averages_epoch", "mean_r2"),
        *("val/d1", "test/t2i_R@5", "[bbox] val_P", "[segm] val_R", "val Precision at Rank 1"),
    ],
)
def test_larger_is_better(name: str) -> None:
    assert natural(name) is Direction.MAXIMIZE


@pytest.mark.parametrize(
    "name",
    [
        *("loss", "val-loss", "valloss", "map_loss", "rmse", "val_error_rate", "wer"),
        *("evaluation_cost ", "fid50k_full", "val/t2i_MedR", "test/i2t_MeanR", "val/abs_rel"),
        *("absrel", "sq_rel", "img_bbox_NuScenes/mATE", "loss_std"),
    ],
)
def test_smaller_is_better(name: str) -> None:
    assert natural(name) is Direction.MINIMIZE


@pytest.mark.parametrize(
    "name",
    [
        *("kpi", "value", "mapping", "lossless", "x1", "rel", "abs", "", "d1", "P", "IR@5"),
        *("val/reward_std", "status", "epoch", "time_per_epoch", "TP", "FN", "grad_norm"),
    ],
)
def test_other_names_tell_nothing(name: str) -> None:
    assert natural(name) is None


def test_no_word_means_both() -> None:
    assert not SMALLER_IS_BETTER & LARGER_IS_BETTER
