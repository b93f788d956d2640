"""Ask and tell: the same search as on Ray, driven by a loop of the user's own."""

from __future__ import annotations

import errno
import json
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import raytao
from raytao.automl import loop as loops
from raytao.brains.base import Brain
from raytao.errors import FolderError, SettingsError
from raytao.runs.events import Leased, Reported, Returned
from raytao.runs.log import read_log
from raytao.runs.state import Phase
from raytao.runs.store import LocalStore, StoreError
from raytao.setup.folder import read_state
from raytao.tao import layout
from raytao.testing.simulator import simulate
from raytao.types import Params, Suggestion

SPACE = {"x": (0.0, 1.0), "kind": ["apple", "fig"], "lr": (1e-4, 1e-1)}
BRAINS: list[dict[str, Any]] = [
    {"name": "random", "max_recommendations": 6},
    {"name": "bayesian", "max_recommendations": 6},
    {"name": "hyperband", "R": 9, "nu": 3, "epoch_multiplier": 1, "mode": "sync"},
]


def curve(params: Params, epoch: int) -> float:
    x = params["x"]
    assert isinstance(x, float)
    return (1 - (x - 0.3) ** 2 - 0.1 * (params["kind"] == "apple")) * (1 - 0.5**epoch)


def search(folder: Path, brain: dict[str, Any]) -> raytao.AutoML:
    return raytao.AutoML(
        space=SPACE, metric="value", epochs=9, brain=brain, seed=4, results_dir=folder
    )


def drive(tuner: raytao.AutoML, *, resume: bool = False, most: int = 10**6) -> int:
    """A user's loop; stops after ``most`` epochs. Returns the epochs that it trained."""
    trained = 0
    while (trial := tuner.ask(resume=resume)) is not None:
        for epoch in trial.epochs:
            if trained == most:
                return trained
            trained += 1
            if not tuner.tell(trial, curve(trial.params, epoch)):
                break
    return trained


def configurations(folder: Path) -> list[tuple[tuple[tuple[str, object], ...], int]]:
    trials = read_state(folder).trials.values()
    return sorted(((tuple(sorted(t.params.items())), t.epochs) for t in trials), key=repr)


def simulated(brain: Brain) -> list[tuple[tuple[tuple[str, object], ...], int]]:
    return simulate(brain, curve).configurations()


@pytest.mark.parametrize("brain", BRAINS, ids=[b["name"] for b in BRAINS])
def test_a_loop_of_ones_own_trains_what_the_simulator_trains(
    brain: dict[str, Any], tmp_path: Path
) -> None:
    tuner = search(tmp_path / "r", brain)
    epochs = drive(tuner)
    assert configurations(tmp_path / "r") == simulated(tuner._setup.new_brain())
    assert epochs == tuner.plan().schedule.epochs
    run = tuner.run
    assert run.status == "Done"
    assert run.best is not None
    assert run.best.value == max(run.table()["value"])
    assert len(json.loads((tmp_path / "r" / layout.CONTROLLER).read_text())) == len(run.table())


@pytest.mark.parametrize("brain", BRAINS, ids=[b["name"] for b in BRAINS])
def test_a_loop_that_was_left_goes_on_where_it_was(brain: dict[str, Any], tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    drive(search(whole, brain))
    drive(search(parts, brain), most=5)
    drive(search(parts, brain), resume=True, most=7)
    drive(search(parts, brain), resume=True)
    assert configurations(parts) == configurations(whole)
    records = read_log(LocalStore(parts), layout.EVENTS)
    told = [(r.event.trial, r.event.epoch) for r in records if isinstance(r.event, Reported)]
    assert len(told) == len(set(told))


def test_a_loop_is_not_continued_unasked(tmp_path: Path) -> None:
    drive(search(tmp_path, BRAINS[0]), most=1)
    with pytest.raises(FolderError, match="already holds this run"):
        search(tmp_path, BRAINS[0]).ask()


def test_a_trial_that_failed_is_told_as_nothing(tmp_path: Path) -> None:
    tuner = search(tmp_path, BRAINS[0])
    first, second = tuner.ask(), tuner.ask()
    assert first is not None
    assert second is not None
    assert tuner.tell(first, None) is False
    assert tuner.tell(second, float("nan")) is False
    state = read_state(tmp_path)
    assert [t.number for t in state.by_phase(Phase.FAILED)] == [0, 1]
    with pytest.raises(SettingsError, match="trial 0 is failed"):
        tuner.tell(first, 1.0)


@pytest.mark.parametrize("result", [{}, {"loss": 1.0}, {"value": "high"}, "high"])
def test_a_result_without_the_metric_is_refused_and_not_taken(result: Any, tmp_path: Path) -> None:
    tuner = search(tmp_path, BRAINS[0])
    trial = tuner.ask()
    assert trial is not None
    with pytest.raises(SettingsError, match="metric 'value' not told"):
        tuner.tell(trial, result)
    assert tuner.tell(trial, {"value": 0.5, "loss": 1.0}) is True


def test_several_trials_may_be_out_at_once(tmp_path: Path) -> None:
    tuner = search(tmp_path, BRAINS[2])
    out = [tuner.ask() for _ in range(9)]
    assert all(out)
    assert len({trial.number for trial in out if trial}) == 9


def test_a_function_of_ones_own_has_no_loop_and_a_loop_has_no_function(tmp_path: Path) -> None:
    tuner = search(tmp_path, BRAINS[0])
    with pytest.raises(SettingsError, match="your own loop"):
        tuner.fit()
    with pytest.raises(SettingsError, match="loop of your own"):
        raytao.AutoML("image_classification", results_dir=tmp_path / "n").ask()


def test_what_was_told_is_in_the_log_at_once(tmp_path: Path) -> None:
    tuner = search(tmp_path, BRAINS[0])
    trial = tuner.ask()
    assert trial is not None
    for epoch in (1, 2, 3):
        tuner.tell(trial, 0.1 * epoch)
        assert read_state(tmp_path).epochs == epoch


def test_threads_may_ask_and_tell(tmp_path: Path) -> None:
    tuner = search(tmp_path, {"name": "random", "max_recommendations": 12})

    def work(_: int) -> None:
        while (trial := tuner.ask()) is not None:
            for epoch in trial.epochs:
                tuner.tell(trial, curve(trial.params, epoch))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    tuner.ask()
    assert tuner.done
    assert read_state(tmp_path).epochs == 12 * 9


def test_a_finished_loop_stays_as_it_is(tmp_path: Path) -> None:
    drive(search(tmp_path, BRAINS[0]))
    before = (tmp_path / layout.EVENTS).read_bytes()
    again = search(tmp_path, BRAINS[0])
    assert again.ask(resume=True) is None
    assert again.done
    assert (tmp_path / layout.EVENTS).read_bytes() == before


def test_a_loop_is_left_to_another_by_closing_it(tmp_path: Path) -> None:
    first, second = search(tmp_path, BRAINS[0]), search(tmp_path, BRAINS[0])
    assert first.ask() is not None
    with pytest.raises(FolderError, match="another raytao"):
        second.ask(resume=True)
    first.close()
    assert second.ask(resume=True) is not None


def test_a_trial_of_before_the_resumption_is_void(tmp_path: Path) -> None:
    first = search(tmp_path, BRAINS[0])
    old = first.ask()
    assert old is not None
    first.close()
    second = search(tmp_path, BRAINS[0])
    new = second.ask(resume=True)
    assert new is not None
    assert new.number == old.number
    with pytest.raises(SettingsError, match="expects no result"):
        second.tell(old, 1.0)
    assert second.tell(new, 1.0) is True


def test_a_parameter_that_is_called_like_a_column_has_one_of_its_own(tmp_path: Path) -> None:
    space = {"epochs": (1, 10), "state": ["a", "b"], "recommendation": (0.0, 1.0)}
    brain = {"name": "random", "max_recommendations": 2}
    tuner = raytao.AutoML(space=space, metric="value", brain=brain, results_dir=tmp_path)
    while (trial := tuner.ask()) is not None:
        tuner.tell(trial, 0.5)
    table = tuner.table()
    assert list(table["epochs"]) == [1, 1]
    assert {"params.epochs", "params.state", "params.recommendation"} <= set(table.columns)


class Trouble(LocalStore):
    """A results folder where chosen writes are refused, or do something else as well."""

    log: Callable[[], None] = staticmethod(lambda: None)
    drawings: Callable[[], None] = staticmethod(lambda: None)

    def append_batch(
        self, key: str, data: bytes, *, durable: bool = True, at: int | None = None
    ) -> None:
        type(self).log()
        super().append_batch(key, data, durable=durable, at=at)

    def replace(self, key: str, data: bytes) -> None:
        type(self).drawings()
        super().replace(key, data)


def refuse(code: int, times: int = 10**6) -> Callable[[], None]:
    left = times

    def act() -> None:
        nonlocal left
        left -= 1
        if left >= 0:
            raise StoreError("refused", code)

    return act


@pytest.fixture
def trouble(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give every folder of a loop trouble from now on."""
    monkeypatch.setattr(loops, "store_at", Trouble)

    def give(**what: Callable[[], None]) -> None:
        for name in ("log", "drawings"):
            monkeypatch.setattr(Trouble, name, staticmethod(what.get(name, lambda: None)))

    return give


def test_a_full_disk_for_the_drawings_ends_no_turn_and_is_said_once(
    trouble: Callable[..., None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tuner = search(tmp_path, BRAINS[0])
    assert tuner.ask() is not None
    trouble(drawings=refuse(errno.ENOSPC))
    trial = tuner.ask()
    assert trial is not None
    assert tuner.tell(trial, 0.5) is True
    assert caplog.text.count("draws its files later") == 1
    trouble()
    assert tuner.tell(trial, 0.5) is True
    (entry,) = [e for e in json.loads((tmp_path / layout.CONTROLLER).read_text()) if e["id"] == 1]
    assert entry["epochs_trained"] == 2


def test_what_the_log_refuses_for_a_moment_is_written_in_a_moment(
    trouble: Callable[..., None], tmp_path: Path
) -> None:
    tuner = search(tmp_path, BRAINS[0])
    trial = tuner.ask()
    assert trial is not None
    trouble(log=refuse(errno.EIO, times=1))
    assert tuner.tell(trial, 0.5) is True
    assert read_state(tmp_path).epochs == 1


@pytest.mark.parametrize("epoch", [1, 9], ids=["an epoch", "the last epoch"])
def test_a_result_that_could_not_be_logged_may_be_told_again_and_counts_once(
    epoch: int, trouble: Callable[..., None], tmp_path: Path
) -> None:
    tuner = search(tmp_path, BRAINS[0])
    trial = tuner.ask()
    assert trial is not None
    for _ in range(1, epoch):
        tuner.tell(trial, 0.25)
    trouble(log=refuse(errno.EACCES))
    for _ in range(2):
        with pytest.raises(StoreError):
            tuner.tell(trial, 0.5)
    trouble()
    assert tuner.tell(trial, 0.5) is (epoch < 9)
    assert read_state(tmp_path).epochs == epoch
    if epoch < 9:
        assert tuner.tell(trial, 0.5) is True  # the next epoch may well measure the same
        assert read_state(tmp_path).epochs == epoch + 1


@pytest.mark.parametrize("result", [None, float("nan")])
def test_a_failure_that_could_not_be_logged_may_be_told_again(
    result: float | None, trouble: Callable[..., None], tmp_path: Path
) -> None:
    tuner = search(tmp_path, BRAINS[0])
    trial = tuner.ask()
    assert trial is not None
    trouble(log=refuse(errno.EACCES))
    with pytest.raises(StoreError):
        tuner.tell(trial, result)
    trouble()
    assert tuner.tell(trial, result) is False
    assert [t.number for t in read_state(tmp_path).by_phase(Phase.FAILED)] == [0]


def test_a_trial_that_nobody_got_is_answered_to_the_next_who_asks(
    trouble: Callable[..., None], tmp_path: Path
) -> None:
    tuner = search(tmp_path, {"name": "random", "max_recommendations": 1})
    with pytest.raises(SettingsError, match="unknown here"):
        tuner.tell(loops.Trial(0, {}, range(1), 1), 0.5)  # opens the log
    trouble(log=refuse(errno.EACCES))
    with pytest.raises(StoreError):
        tuner.ask()
    trouble()
    trial = tuner.ask()
    assert trial is not None
    assert trial.number == 0
    assert tuner.ask() is None  # it is out
    assert not tuner.done
    events = [r.event for r in read_log(LocalStore(tmp_path), layout.EVENTS)]
    out = [type(e) for e in events if isinstance(e, Leased | Returned)]
    assert out == [Leased, Returned, Leased]


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, also where the tests were started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_parts_no_turn_and_strands_no_trial(
    trouble: Callable[..., None], tmp_path: Path
) -> None:
    tuner = search(tmp_path, BRAINS[2])
    first = tuner.ask()
    assert first is not None
    trouble(log=lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        tuner.ask()
    trouble()
    again = tuner.ask()
    assert again is not None
    assert again.number == 1
    trouble(log=lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        tuner.tell(first, 0.5)  # the last of its rung: a report and a verdict
    trouble()
    assert read_state(tmp_path).trials[0].phase is Phase.PAUSED
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    tuner.close()
    assert search(tmp_path, BRAINS[2]).ask(resume=True) is not None


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_does_not_part_a_proposal_from_its_record(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tuner = search(tmp_path, BRAINS[0])
    brain = tuner._setup.brain_class
    propose = brain.suggest

    def interrupted(self: Brain, trial: int) -> Suggestion:
        start = propose(self, trial)
        signal.raise_signal(signal.SIGINT)
        return start

    with monkeypatch.context() as patch:
        patch.setattr(brain, "suggest", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tuner.ask()
    drive(tuner)
    assert configurations(tmp_path) == simulated(tuner._setup.new_brain())


def test_a_finish_that_could_not_be_logged_is_logged_by_the_next_call(
    trouble: Callable[..., None], tmp_path: Path
) -> None:
    tuner = search(tmp_path, {"name": "random", "max_recommendations": 1})
    trial = tuner.ask()
    assert trial is not None
    for _ in trial.epochs:
        tuner.tell(trial, 0.5)
    trouble(log=refuse(errno.EACCES))
    with pytest.raises(StoreError):
        tuner.ask()
    trouble()
    assert tuner.ask() is None
    assert tuner.run.status == "Done"
    drawn = json.loads((tmp_path / layout.METADATA).read_text())
    assert drawn["status"] == "Done"
    assert search(tmp_path, {"name": "random", "max_recommendations": 1}).ask(resume=True) is None


def test_a_loop_that_is_refused_leaves_the_folder_to_a_corrected_one(tmp_path: Path) -> None:
    tuner = search(tmp_path, {"name": "random", "max_recommendations": 4})
    assert [tuner.ask() for _ in range(3)].count(None) == 0
    tuner.close()
    with pytest.raises(SettingsError, match="3 have begun") as refused:
        search(tmp_path, {"name": "random", "max_recommendations": 2}).ask(resume=True)
    assert refused.tb is not None  # what was raised is held, and with it what it was raised in
    longer = search(tmp_path, {"name": "random", "max_recommendations": 5})
    assert longer.ask(resume=True) is not None
