"""Real images, real Ray: the result folder, and the best model repeated exactly."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import driver
import pytest

from raytao.runs.events import Placed, Reported
from raytao.runs.state import RunState
from raytao.spec import Document
from raytao.tao import layout

pytestmark = [pytest.mark.ray, pytest.mark.integration]

BRAINS = ["digits_hyperband", "digits_bayesian"]


@pytest.fixture(scope="module", params=BRAINS)
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    done = driver.command("run", request.param, "results_dir=results", cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "stdout").write_text(done.stdout)
    (folder / "stderr").write_text(done.stderr)
    return folder


def test_the_winner_is_good_on_images_it_never_saw(finished: Path) -> None:
    said = (finished / "stdout").read_text()
    accuracy = re.search(r"test_acc ([\d.]+)", said)
    images = re.search(r"test_images (\d+)", said)
    assert accuracy is not None
    assert images is not None
    assert float(accuracy.group(1)) >= 0.96
    assert int(images.group(1)) >= 450
    assert re.search(r"gain \d\.\d+ over your spec \(", said)
    path = re.search(r"best model +(\S+)", said)
    assert path is not None
    assert (finished / path.group(1)).is_file()


def test_the_output_names_node_pid_and_resources(finished: Path) -> None:
    said = (finished / "stderr").read_text()
    places = {
        (r.event.node, r.event.pid)
        for r in driver.records(finished / "results")
        if isinstance(r.event, Placed)
    }
    assert len({pid for _, pid in places}) >= 2
    for node, pid in places:
        assert f"node {node}, pid {pid}, 1 CPU, 0 GPUs" in said


def test_epochs_tell_what_they_used_of_the_machine(finished: Path) -> None:
    reports = [
        record.event
        for record in driver.records(finished / "results")
        if isinstance(record.event, Reported)
    ]
    used = [report.use for report in reports if report.use is not None]
    assert used  # an epoch of less than a tenth of a second tells nothing
    assert all(0.0 < use["cores"] <= (os.cpu_count() or 1) + 0.5 for use in used)


def test_taos_folder_is_complete(finished: Path) -> None:
    results = finished / "results"
    state = RunState.fold(driver.records(results))
    for name in (layout.METADATA, layout.BRAIN, layout.CONTROLLER, layout.CURRENT):
        json.loads((results / name).read_text())
    default = Document.load(results / layout.recommendation(0)).keys()
    for trial in state.trials:
        spec = Document.load(results / layout.recommendation(trial))
        assert spec.keys() == default
        for name in (layout.LOG, layout.STATUS, layout.PROVENANCE):
            assert (results / layout.experiment(trial) / name).is_file()
    best = state.incumbent
    assert best is not None
    names = {p.relative_to(results / layout.BEST_MODEL).as_posix() for p in _files(results)}
    assert names == {
        layout.recommendation(best.trial),
        layout.LOG,
        layout.STATUS,
        layout.PROVENANCE,
        layout.checkpoint(best.epoch),
    }
    kept = {p.parent.parent.name for p in results.glob("experiment_*/weights/*")}
    assert kept == {layout.experiment(best.trial)}


def test_training_the_best_recommendation_again_gives_its_metric(finished: Path) -> None:
    results = finished / "results"
    state = RunState.fold(driver.records(results))
    best = state.incumbent
    assert best is not None
    recommendation = results / layout.BEST_MODEL / layout.recommendation(best.trial)
    done = driver.command("train", "image_classification", "-e", recommendation, cwd=finished)
    assert done.returncode == 0, done.stderr
    assert f"best epoch {best.epoch}: val_acc {best.value!r}" in done.stdout.splitlines()


def _files(results: Path) -> list[Path]:
    return [p for p in (results / layout.BEST_MODEL).rglob("*") if p.is_file()]
