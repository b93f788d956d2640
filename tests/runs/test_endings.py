"""How a run ends: only when its work is done, and not for the fault of a worker."""

from __future__ import annotations

import dataclasses
import resource
from pathlib import Path

import pytest

from raytao.brains.base import Task
from raytao.brains.hyperband import Hyperband, HyperbandSettings
from raytao.brains.random import Random
from raytao.errors import DamagedRun, RaytaoError
from raytao.runs import events
from raytao.runs.controller import MAX_LOSSES, Controller, Evaluation, Lease
from raytao.runs.events import Judged, Opened
from raytao.runs.log import EventLog, read_log
from raytao.runs.opening import open_run
from raytao.runs.state import Phase
from raytao.runs.store import LocalStore, MemoryStore, StoreError
from raytao.space import Float, Space
from raytao.types import Done

KEY = "events.jsonl"
OPENED = Opened({}, "value", "maximize", "0.1.0")
SPACE = Space([Float("x", 0.0, 1.0)])


def one_trial(epochs: int = 3, *, evaluate: bool = False) -> Controller:
    brain = Random(Task(SPACE, epochs), Random.Settings(max_recommendations=1))
    return open_run(MemoryStore(), KEY, brain, OPENED, evaluate=evaluate)


def leased(controller: Controller) -> Lease:
    task = controller.suggest()
    assert isinstance(task, Lease)
    return task


def test_a_run_with_work_left_cannot_be_finished() -> None:
    controller = one_trial()
    with pytest.raises(RaytaoError, match="can be resumed"):
        controller.finish()
    leased(controller)
    with pytest.raises(RaytaoError, match="can be resumed"):
        controller.finish()
    assert controller.state.finished is None


def test_losses_with_an_epoch_between_them_never_fail_a_trial() -> None:
    epochs = 3 * MAX_LOSSES
    controller = one_trial(epochs)
    for epoch in range(1, epochs):
        lease = leased(controller)
        controller.report(0, lease.attempt, epoch, {"value": 0.5}, 1.0)
        controller.lost(0, lease.attempt, "the node was taken back")
    assert controller.state.trials[0].phase is Phase.OFFERED


def test_a_lost_evaluation_is_tried_again_but_not_for_ever() -> None:
    controller = one_trial(1, evaluate=True)
    controller.report(0, leased(controller).attempt, 1, {"value": 0.5}, 1.0)
    for _ in range(MAX_LOSSES + 1):
        assert controller.state.tested is None
        task = controller.suggest()
        assert isinstance(task, Evaluation)
        controller.untested(task, "the node was lost")
    assert controller.state.tested == events.Tested(0, 1, {}, "the node was lost")
    assert isinstance(controller.suggest(), Done)
    assert controller.finish() == "Done"


def finished_log() -> MemoryStore:
    """A log with a promotion in it."""
    store = MemoryStore()
    settings = HyperbandSettings(R=3, nu=3, epoch_multiplier=1, mode="sync")
    controller = open_run(store, KEY, Hyperband(Task(SPACE, 3), settings), OPENED, slots=3)
    for lease in [leased(controller) for _ in range(3)]:
        controller.report(lease.trial, lease.attempt, 1, {"value": float(lease.trial)}, 1.0)
    return store


@pytest.mark.parametrize(
    ("change", "refused"),
    [({"why": "in other words"}, False), ({"trial": 0}, True), ({"budget": {"epochs": 2}}, True)],
)
def test_a_verdict_may_be_worded_otherwise_but_not_be_another(
    change: dict[str, object], refused: bool
) -> None:
    store = finished_log()
    records = read_log(store, KEY)
    store.delete(KEY)
    log = EventLog(store, KEY)
    for record in records:
        event = record.event
        if isinstance(event, Judged) and event.promote:
            event = dataclasses.replace(event, promote=[{**event.promote[0], **change}])
        log.add(event)
    log.commit()
    settings = HyperbandSettings(R=3, nu=3, epoch_multiplier=1, mode="sync")
    brain = Hyperband(Task(SPACE, 3), settings)
    if refused:
        with pytest.raises(DamagedRun, match="verdict"):
            open_run(store, KEY, brain, OPENED)
    else:
        assert len(open_run(store, KEY, brain, OPENED).state.trials) == 3


def test_a_write_below_a_file_is_refused_in_words(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.replace("experiment_0", b"a file where a folder should be")
    for write in (store.replace, store.create_exclusive, store.append_batch):
        with pytest.raises(StoreError, match="experiment_0"):
            write("experiment_0/raytao.json", b"{}")


def test_an_append_that_storage_cuts_short_leaves_nothing(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.append_batch("log", b"whole line\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))  # Python ignores SIGXFSZ: a plain EFBIG
    try:
        with pytest.raises(StoreError, match="cannot append to"):
            store.append_batch("log", b"a second line\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert store.read("log") == b"whole line\n"
