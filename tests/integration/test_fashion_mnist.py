"""Hyperband on all of Fashion-MNIST: 60,000 images to learn and choose from, 10,000 held out."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import driver
import pytest

from raytao.networks.image_classification import ImageClassification
from raytao.runs.state import RunState, TrialState
from raytao.spec import Document
from raytao.tao import layout

pytestmark = [pytest.mark.ray, pytest.mark.integration]

DATA = Path("/usr/share/datasets/fashion-mnist")
JUMP = 1.5
"""A resumed epoch's loss may be at most this times the last one's; a fresh start's is far more."""


def test_the_winner_beats_the_users_spec_on_images_it_never_saw(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = RunState.fold(driver.records(results))
    assert state.tested is not None
    winner = state.tested.metrics
    baseline = _test_accuracy(results, state.trials[0])
    assert winner["test_images"] == 10_000
    assert winner["test_acc"] >= 0.89
    assert winner["test_acc"] > baseline


def test_no_trial_is_longer_than_nine_epochs_and_the_plan_is_kept(results: Path) -> None:
    state = RunState.fold(driver.records(results))
    assert max(t.epochs for t in state.trials.values()) == 9
    assert state.epochs == 36


def test_a_promoted_trial_continues_at_its_next_epoch_without_a_jump(results: Path) -> None:
    state = RunState.fold(driver.records(results))
    promoted = [t for t in state.trials.values() if t.attempt > 1]
    assert len(promoted) >= 4
    for trial in promoted:
        log = (results / layout.experiment(trial.number) / layout.LOG).read_text()
        epochs = [int(n) for n in re.findall(r"^epoch (\d+)/", log, flags=re.MULTILINE)]
        assert epochs == list(range(1, trial.epochs + 1))
        losses = [trial.history[epoch]["train_loss"] for epoch in epochs]
        assert all(after < JUMP * before for before, after in pairwise(losses)), losses


def test_training_the_winner_again_gives_its_metric_to_the_bit(results: Path) -> None:
    best = RunState.fold(driver.records(results)).incumbent
    assert best is not None
    recommendation = results / layout.BEST_MODEL / layout.recommendation(best.trial)
    done = driver.command("train", "image_classification", "-e", recommendation, cwd=results)
    assert done.returncode == 0, done.stderr
    assert f"best epoch {best.epoch}: val_acc {best.value!r}" in done.stdout.splitlines()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not DATA.is_dir():
        pytest.skip("Fashion-MNIST is missing: apt-get install dataset-fashion-mnist")
    folder = tmp_path_factory.mktemp("fashion")
    keep = "delete_intermediate_checkpoints=false"
    done = driver.command(
        "run", "fashion_mnist_hyperband", "results_dir=results", keep, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return folder / "results"


def _test_accuracy(results: Path, trial: TrialState) -> float:
    assert trial.best_epoch is not None
    weights = results / layout.experiment(trial.number) / layout.checkpoint(trial.best_epoch)
    spec = Document.load(results / layout.recommendation(trial.number)).plain()
    network = ImageClassification()
    measured = network.evaluate(spec, weights.read_bytes(), threads=1, gpus=0)
    return measured["test_acc"]
