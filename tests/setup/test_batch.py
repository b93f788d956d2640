"""Smaller batches: promised where the batch size is known, refused where it is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from raytao.errors import SettingsError
from raytao.runs.controller import Lease
from raytao.runs.state import RunState
from raytao.setup.batch import with_smaller_batch
from raytao.setup.chapters import Chapters
from raytao.setup.reopen import relocated
from raytao.setup.resolve import resolve, resolve_values
from raytao.tune.launch import job_maker

DIGITS = "network: image_classification\nretries: {smaller_batch: 2}\n"


def test_a_network_without_a_batch_is_refused_where_it_was_asked(tmp_path: Path) -> None:
    run = tmp_path / "run.yaml"
    run.write_text("network: toy\nretries: {smaller_batch: 2}\n")
    with pytest.raises(SettingsError, match="'toy' keeps its batch size") as caught:
        resolve(str(run))
    assert str(caught.value.where).startswith(f"{run}:2")


def test_it_is_refused_when_a_run_is_resumed_as_well(tmp_path: Path) -> None:
    setup = resolve_values({"network": "toy"}, caller="AutoML")
    with pytest.raises(SettingsError, match=r"retries\.smaller_batch is 1"):
        relocated(setup, ["retries.smaller_batch=1"])


@pytest.mark.parametrize(
    ("batch", "halvings", "left"), [(128, 0, 128), (128, 1, 64), (100, 3, 12), (3, 9, 1)]
)
def test_a_batch_is_halved_so_often_and_never_to_nothing(
    batch: int, halvings: int, left: int, tmp_path: Path
) -> None:
    run = tmp_path / "run.yaml"
    run.write_text(DIGITS)
    setup = resolve(str(run))
    spec = setup.spec.with_values({"dataset.batch_size": batch})
    assert with_smaller_batch(spec, setup.card, halvings).get("dataset.batch_size") == left
    without = replace(setup.card, batch_key=None)
    assert with_smaller_batch(spec, without, halvings).get("dataset.batch_size") == batch


@pytest.mark.ray
def test_a_lease_trains_the_smaller_batch_and_the_recommendation_keeps_its_own(
    tmp_path: Path,
) -> None:
    run = tmp_path / "run.yaml"
    run.write_text(DIGITS)
    setup = resolve(str(run))
    params = {"dataset.batch_size": 256}
    lease = Lease(0, 3, params, stop_epoch=1, horizon=3, reported_epoch=0, halvings=2)
    job = job_maker(Chapters(setup, RunState()), setup.settings.resources, tmp_path)(lease)
    assert job.spec["dataset"]["batch_size"] == 64
    assert setup.recommendation(params, 3).get("dataset.batch_size") == 256
