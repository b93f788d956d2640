"""Ask and tell: the same search as on Ray, driven by a loop of the user's own."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import raytao
from raytao.brains.base import Brain
from raytao.errors import FolderError, SettingsError
from raytao.runs.events import Reported
from raytao.runs.log import read_log
from raytao.runs.state import Phase
from raytao.runs.store import LocalStore
from raytao.setup.folder import read_state
from raytao.tao import layout
from raytao.testing.simulator import simulate
from raytao.types import Params

SPACE = {"x": (0.0, 1.0), "kind": ["apple", "fig"], "lr": (1e-4, 1e-1)}
BRAINS: list[dict[str, Any]] = [
    {"name": "random", "max_recommendations": 6},
    {"name": "bayesian", "max_recommendations": 6},
    {"name": "hyperband", "R": 9, "nu": 3, "epoch_multiplier": 1},
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
    tuner = search(tmp_path, {"name": "random", "max_recommendations": 24})

    def work(_: int) -> None:
        while (trial := tuner.ask()) is not None:
            for epoch in trial.epochs:
                tuner.tell(trial, curve(trial.params, epoch))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    tuner.ask()
    assert tuner.done
    assert read_state(tmp_path).epochs == 24 * 9


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
