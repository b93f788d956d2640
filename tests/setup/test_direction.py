"""What a metric's name tells of its direction, and the note where the run says otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from raytao.setup.direction import doubt, inferred
from raytao.setup.resolve import resolve
from raytao.tao.metric_names import natural
from raytao.types import Direction


def test_nobody_doubts_a_direction_that_a_name_tells_nothing_of() -> None:
    assert natural("kpi") is None
    assert doubt("kpi", Direction.MINIMIZE) == doubt("kpi", Direction.MAXIMIZE) == ()


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


def test_a_run_against_its_metrics_name_has_a_note(tmp_path: Path) -> None:
    run = tmp_path / "run.yaml"
    run.write_text("network: toy\nmetric: {name: loss, direction: maximize}\n")
    (note,) = (note for note in resolve(str(run)).notes if "direction" in note)
    assert note.startswith("loss will be maximized, but a metric of that name is usually minimize")
    usual = resolve(str(run), ["metric.direction=minimize"])
    assert not [note for note in usual.notes if "direction" in note]
