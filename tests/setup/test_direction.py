"""What a metric's name tells of its direction, and the note where the run says otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from raytao.setup.direction import LARGER_IS_BETTER, SMALLER_IS_BETTER, doubt, inferred, natural
from raytao.setup.resolve import resolve
from raytao.types import Direction


@pytest.mark.parametrize(
    "name",
    [
        *("map", "val_mAP50", "bbox_mAP@0.5", "top5", "val/f1", "iou", "R2", "accuracy.top1"),
        *("val_3DIoU", "hmean", "cmc_rank_1", "val_mAcc", "val_dpq_averages_epoch", "mean_r2"),
    ],
)
def test_larger_is_better(name: str) -> None:
    assert natural(name) is Direction.MAXIMIZE


@pytest.mark.parametrize(
    "name",
    [
        *("loss", "val-loss", "valloss", "map_loss", "rmse", "val_error_rate", "wer"),
        *("evaluation_cost ", "fid50k_full", "val/t2i_MedR", "test/i2t_MeanR", "val/abs_rel"),
        *("absrel", "sq_rel", "img_bbox_NuScenes/mATE"),
    ],
)
def test_smaller_is_better(name: str) -> None:
    assert natural(name) is Direction.MINIMIZE


@pytest.mark.parametrize(
    "name", ["kpi", "value", "mapping", "lossless", "x1", "rel", "abs", "", "val/d1"]
)
def test_other_names_tell_nothing(name: str) -> None:
    assert natural(name) is None
    assert doubt(name, Direction.MINIMIZE) == ()


@pytest.mark.parametrize(
    ("name", "direction", "other"),
    [("cer", "minimize", "maximize"), ("kpi", "maximize", "minimize")],
)
def test_what_is_inferred_is_told_with_the_way_to_say_otherwise(
    name: str, direction: str, other: str
) -> None:
    inferred_direction, note = inferred(name)
    assert inferred_direction.value == direction
    assert note.startswith(f"{name} will be {direction}d, to judge by its name")
    assert f"'direction': '{other}'" in note


def test_no_word_means_both() -> None:
    assert not SMALLER_IS_BETTER & LARGER_IS_BETTER


def test_a_run_against_its_metrics_name_has_a_note(tmp_path: Path) -> None:
    run = tmp_path / "run.yaml"
    run.write_text("network: toy\nmetric: {name: loss, direction: maximize}\n")
    (note,) = (note for note in resolve(str(run)).notes if "direction" in note)
    assert note.startswith("loss will be maximized, but a metric of that name is usually minimize")
    usual = resolve(str(run), ["metric.direction=minimize"])
    assert not [note for note in usual.notes if "direction" in note]
