"""``best_model/``: one whole model, of the best trial that is not being trained right now."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from raytao.runs.events import (
    Broke,
    Changed,
    Event,
    Judged,
    Leased,
    Opened,
    Reported,
    Returned,
    Started,
    Stopped,
)
from raytao.runs.log import Record
from raytao.runs.state import RunState
from raytao.runs.store import LocalStore, MemoryStore, Store, StoreError
from raytao.tao import layout
from raytao.tao.best_model import BestModel

Files = dict[str, bytes | None]


class Folder:
    """A results folder and the run's state, moved on by hand."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.state = RunState.fold([Record(0, 0.0, Opened({}, "value", "maximize", "1.0"))])

    def apply(self, *events: Event) -> None:
        for event in events:
            self.state.apply(event)

    def train(self, trial: int, *scores: float) -> None:
        """Epochs after those that are trained already, with files as trials write them."""
        folder = layout.experiment(trial)
        if trial not in self.state.trials:
            budget = {"epochs": 3}
            self.apply(Started(trial, {"x": 0.5}, budget, budget, "why", "job"))
            self.store.replace(layout.recommendation(trial), b"spec of %d" % trial)
        known = self.state.trials[trial]
        self.apply(Leased(trial, known.attempt + 1))
        for epoch, score in enumerate(scores, start=known.epochs + 1):
            weights = f"{folder}/{layout.checkpoint(epoch)}"
            self.store.replace(weights, b"weights of %d at %d" % (trial, epoch))
            metrics = {"value": score, "score": score}
            self.apply(Reported(trial, known.attempt, epoch, metrics, 1.0))
        provenance = {
            "trial": trial,
            "best_epoch": known.best_epoch,
            "epochs_trained": known.epochs,
        }
        self.store.replace(f"{folder}/{layout.PROVENANCE}", json.dumps(provenance).encode())
        self.store.replace(f"{folder}/{layout.LOG}", b"talk of %d" % trial)
        self.store.replace(f"{folder}/{layout.STATUS}", b"status of %d" % trial)

    def pause(self, trial: int) -> None:
        self.apply(Judged(trial, "pause"))

    def stop(self, trial: int) -> None:
        self.apply(Judged(trial, "stop"))

    def promote(self, trial: int) -> None:
        grant = {"trial": trial, "budget": {"epochs": 9}, "why": "rank 1"}
        self.apply(Judged(trial, "pause", [grant]))

    def fail(self, trial: int) -> None:
        attempt = self.state.trials[trial].attempt
        self.apply(Broke(trial, attempt, "error", "no memory"), Judged(trial, "stop"))

    def shown(self) -> Files:
        """The content of best_model/."""
        keys = self.store.list(layout.BEST_MODEL)
        return {key.removeprefix("best_model/"): self.store.read(key) for key in keys}

    def model_of(self, trial: int, epoch: int) -> Files:
        folder, weights = layout.experiment(trial), layout.checkpoint(epoch)
        names = (layout.LOG, layout.STATUS, layout.PROVENANCE, weights)
        recommendation = layout.recommendation(trial)
        return {
            recommendation: self.store.read(recommendation),
            **{name: self.store.read(f"{folder}/{name}") for name in names},
        }


@pytest.fixture(params=["local", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    return Folder(LocalStore(tmp_path) if request.param == "local" else MemoryStore())


def renew(folder: Folder, model: BestModel | None = None) -> BestModel:
    model = model or BestModel(folder.store, "yaml")
    model.renew(folder.state)
    return model


def test_it_holds_the_recommendation_the_logs_and_the_weights_of_the_best_epoch(
    folder: Folder,
) -> None:
    folder.train(0, 0.1, 0.8, 0.3)
    folder.stop(0)
    renew(folder)
    assert folder.shown() == folder.model_of(0, 2)
    assert set(folder.shown()) == {
        "recommendation_0.yaml",
        "log.txt",
        "status.json",
        "raytao.json",
        "weights/model_epoch_002.pth",
    }


def test_before_a_trial_ended_a_segment_there_is_none(folder: Folder) -> None:
    model = renew(folder)
    folder.train(0, 0.5)
    renew(folder, model)
    assert folder.shown() == {}


def test_a_better_model_takes_the_place_of_all_of_the_old_one(folder: Folder) -> None:
    folder.train(0, 0.5)
    folder.stop(0)
    model = renew(folder)
    folder.train(1, 0.2, 0.9)
    folder.pause(1)
    renew(folder, model)
    assert folder.shown() == folder.model_of(1, 2)
    assert folder.store.list(layout.BEST_MODEL_STAGED) == []


def test_a_worse_trial_changes_nothing(folder: Folder) -> None:
    folder.train(0, 0.5)
    folder.stop(0)
    model = renew(folder)
    folder.train(1, 0.4)
    folder.stop(1)
    renew(folder, model)
    assert folder.shown() == folder.model_of(0, 1)


def test_while_the_best_trains_on_its_earlier_model_is_shown(folder: Folder) -> None:
    folder.train(0, 0.5)
    folder.stop(0)
    folder.train(1, 0.7)
    folder.pause(1)
    model = renew(folder)
    before = folder.shown()
    assert before == folder.model_of(1, 1)
    folder.promote(1)
    folder.train(1, 0.9)
    renew(folder, model)
    assert folder.shown() == before
    folder.stop(1)
    renew(folder, model)
    assert folder.shown() == folder.model_of(1, 2)


def test_a_better_trial_takes_over_while_the_shown_one_trains_on(folder: Folder) -> None:
    folder.train(0, 0.5)
    folder.pause(0)
    model = renew(folder)
    folder.promote(0)
    folder.train(1, 0.6)
    folder.stop(1)
    renew(folder, model)
    assert folder.shown() == folder.model_of(1, 1)


def test_a_promoted_trial_that_fails_gives_way_to_the_second_best(folder: Folder) -> None:
    for trial, score in enumerate((0.4, 0.6, 0.8)):
        folder.train(trial, score)
        folder.pause(trial)
    model = renew(folder)
    assert folder.shown() == folder.model_of(2, 1)
    folder.promote(2)
    folder.train(2, 0.99)
    folder.fail(2)
    renew(folder, model)
    assert folder.shown() == folder.model_of(1, 1)


def test_the_same_epoch_trained_further_is_taken_over_with_its_newer_logs(folder: Folder) -> None:
    folder.train(0, 0.8)
    folder.pause(0)
    model = renew(folder)
    before = folder.shown()
    folder.promote(0)
    folder.train(0, 0.7, 0.6)
    folder.stop(0)
    renew(folder, model)
    assert folder.shown() == folder.model_of(0, 1)
    assert folder.shown() != before


def test_what_a_killed_driver_had_staged_is_not_mixed_in(folder: Folder) -> None:
    folder.store.replace(f"{layout.BEST_MODEL_STAGED}/recommendation_7.yaml", b"stale")
    folder.train(0, 0.5)
    folder.stop(0)
    renew(folder)
    assert folder.shown() == folder.model_of(0, 1)


def test_a_model_without_its_weights_is_not_shown(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    folder.train(0, 0.5)
    folder.stop(0)
    model = renew(folder)
    folder.train(1, 0.9)
    folder.stop(1)
    folder.store.delete(f"{layout.experiment(1)}/{layout.WEIGHTS}")
    renew(folder, model)
    assert folder.shown() == folder.model_of(0, 1)
    missing = f"{layout.experiment(1)}/{layout.checkpoint(1)}"
    assert f"{missing} is not there: best_model/ does not show recommendation 1" in caplog.text


def test_a_trainer_that_saves_nothing_wins_with_its_recommendation_alone(folder: Folder) -> None:
    folder.train(0, 0.5)
    folder.stop(0)
    record = f"{layout.experiment(0)}/{layout.PROVENANCE}"
    saved = json.loads(folder.store.read(record) or b"")
    folder.store.replace(record, json.dumps({**saved, "checkpoints": {}}).encode())
    folder.store.delete(f"{layout.experiment(0)}/{layout.WEIGHTS}")
    renew(folder)
    assert folder.shown()[layout.recommendation(0)] == b"spec of 0"
    assert layout.checkpoint(1) not in folder.shown()


class Counting(MemoryStore):
    """Refuses its k-th change; counts them all."""

    changes = 0
    refused: int | None = None

    def replace(self, key: str, data: bytes) -> None:
        self._count()
        super().replace(key, data)

    def delete(self, key: str) -> None:
        self._count()
        super().delete(key)

    def replace_folder(self, staged: str, target: str) -> None:
        self._count()
        before, self.refused = (self.changes, self.refused), None  # one change, whatever is below
        super().replace_folder(staged, target)
        self.changes, self.refused = before

    def _count(self) -> None:
        self.changes += 1
        if self.changes == self.refused:
            raise StoreError("no space left")


def with_a_better_one(store: Counting) -> Folder:
    folder = Folder(store)
    folder.train(0, 0.5)
    folder.stop(0)
    renew(folder)
    folder.train(1, 0.4, 0.9)
    folder.stop(1)
    return folder


def steps_of_a_swap() -> Iterable[int]:
    folder = with_a_better_one(store := Counting())
    store.changes = 0
    renew(folder)
    return range(1, store.changes + 1)


@pytest.mark.parametrize("step", steps_of_a_swap())
def test_whatever_step_breaks_there_is_one_whole_model_and_the_next_try_ends_well(
    step: int,
) -> None:
    folder = with_a_better_one(store := Counting())
    model = BestModel(store, "yaml")
    whole = (folder.model_of(0, 1), folder.model_of(1, 2))
    store.changes, store.refused = 0, step
    with pytest.raises(StoreError):
        renew(folder, model)
    assert folder.shown() in whole
    renew(folder, model)
    assert folder.shown() == whole[1]
    assert store.list(layout.BEST_MODEL_STAGED) == []


def test_a_new_driver_knows_what_is_shown_and_does_not_copy_it_again() -> None:
    folder = with_a_better_one(store := Counting())
    renew(folder)
    store.changes = 0
    renew(folder)
    assert store.changes == 0


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"trial": 1}', b'{"trial": null}'])
def test_a_best_model_that_tells_nothing_is_made_anew(content: bytes) -> None:
    folder = with_a_better_one(Counting())
    renew(folder)
    folder.store.replace(f"{layout.BEST_MODEL}/{layout.PROVENANCE}", content)
    renew(folder)
    assert folder.shown() == folder.model_of(1, 2)


@pytest.mark.parametrize("epochs", [0, 1])
def test_a_model_that_a_cut_log_does_not_know_is_passed_over(epochs: int) -> None:
    store = MemoryStore()
    whole = Folder(store)
    whole.train(0, 0.1)
    whole.pause(0)
    whole.train(1, 0.8, 0.9)
    whole.pause(1)
    BestModel(store, "yaml").renew(whole.state)
    cut = Folder(store)
    cut.train(0, 0.1)
    cut.pause(0)
    if epochs:
        cut.train(1, 0.2)
    BestModel(store, "yaml").renew(cut.state)
    assert cut.shown() == cut.model_of(0, 1)


def test_when_the_run_was_stopped_a_trial_that_came_back_can_be_the_best() -> None:
    folder = Folder(MemoryStore())
    models = BestModel(folder.store, "yaml")
    folder.train(0, 0.5, 0.4)
    folder.apply(Stopped("asked to"), Returned(0, 1))
    models.renew(folder.state)
    assert folder.shown() == folder.model_of(0, 1)


def test_by_a_metric_that_it_never_reported_a_model_leads_no_more() -> None:
    folder = Folder(MemoryStore())
    models = BestModel(folder.store, "yaml")
    folder.train(0, 0.9)
    folder.pause(0)
    models.renew(folder.state)
    assert folder.shown() == folder.model_of(0, 1)
    folder.apply(Changed({}, "loss", "minimize", anew=True))
    budget = {"epochs": 3}
    folder.apply(Started(1, {}, budget, budget, "why", "job"), Leased(1, 1))
    folder.store.replace(f"experiment_1/{layout.checkpoint(1)}", b"weights")
    folder.apply(Reported(1, 1, 1, {"loss": 0.3, "score": -0.3}, 1.0), Judged(1, "stop"))
    models.renew(folder.state)
    assert folder.shown()[layout.checkpoint(1)] == b"weights"
