"""Rows 37, 45, 46, 75-80, 88, 90, 91 and 96 of TAO's checklist: how a run searches, and goes on.

Whole results folders in virtual time: brains, controller, log and drawings are real.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from raytao.errors import FolderError, SettingsError
from raytao.runs.budget import RunBudget
from raytao.runs.log import read_log
from raytao.runs.state import Phase, RunState
from raytao.runs.store import MemoryStore, Store
from raytao.setup.changes import enter
from raytao.setup.folder import claim
from raytao.setup.places import Places
from raytao.setup.reopen import moved
from raytao.setup.resolve import resolve_values
from raytao.setup.setup import Setup
from raytao.spec import Document
from raytao.tao import layout
from raytao.tao.metric_names import natural
from raytao.testing.folder_run import Conditions, Sight, run_in_folder
from raytao.types import Direction, Json

SYNC: dict[str, Json] = {"mode": "sync", "sampler": "random", "promotion": "rank"}
FOR_THREE: dict[str, Json] = {"R": 9, "nu": 3, "epoch_multiplier": 1, **SYNC}


class Gone(BaseException):
    """The driver dies here; it has no time to clean up."""


def toy(brain: dict[str, Json], **settings: Any) -> Setup:
    spec = {"train.num_epochs": 9, **settings.pop("set", {})}
    data = {"network": "toy", "brain": brain, "set": spec, "results_dir": "r", **settings}
    return resolve_values(data, caller="a test")


def bayesian(many: int = 6, **settings: Any) -> Setup:
    return toy({"name": "bayesian", "max_recommendations": many}, **settings)


def hyperband(**settings: Any) -> Setup:
    return toy({"name": "hyperband", **FOR_THREE}, **settings)


def configurations(state: RunState) -> list[dict[str, Json]]:
    return [dict(trial.params) for trial in state.trials.values()]


def dies_at(moment: int) -> Callable[[Sight], None]:
    """A witness that ends the driver at its ``moment``-th sight."""
    left = iter(range(moment))

    def witness(sight: Sight) -> None:
        if next(left, None) is None:
            raise Gone

    return witness


def weights(store: Store) -> dict[str, int]:
    """Weights files by the folder that they lie in."""
    keys = (key for key in store.list() if f"/{layout.WEIGHTS}/" in key)
    return dict(Counter(key.split("/")[0] for key in keys))


def test_row_037_a_trial_uses_the_results_of_those_before_it() -> None:
    upside_down = Conditions(objective=lambda spec, epoch: -float(str(spec["model.x"])) * epoch)
    first = configurations(run_in_folder(bayesian(8), MemoryStore()))
    second = configurations(run_in_folder(bayesian(8), MemoryStore(), upside_down))
    assert first[0] == second[0]
    assert first[-1] != second[-1]


def test_row_045_a_promotion_pays_the_further_epochs_alone() -> None:
    trained: Counter[tuple[int, int]] = Counter()

    def witness(sight: Sight) -> None:
        trained[sight.trial, sight.number] += sight.what == "trained"

    state = run_in_folder(hyperband(), MemoryStore(), witness=witness)
    assert set(trained.values()) <= {0, 1}
    assert sum(trained.values()) == state.epochs == 36


def test_row_046_a_rung_keeps_the_best_and_no_failed_trial_while_there_are_others() -> None:
    setup = hyperband()
    fails = Conditions(fails=lambda trial, epoch: trial in (1, 4))
    state = run_in_folder(setup, MemoryStore(), fails)
    first = [trial for trial in state.trials.values() if trial.number < 9]
    at_rung = {t.number: t.history[1]["value"] for t in first if t.phase is not Phase.FAILED}
    promoted = {trial.number for trial in first if trial.epochs > 1}
    assert len(promoted) == 3
    assert promoted == set(sorted(at_rung, key=at_rung.__getitem__, reverse=True)[:3])


@pytest.mark.parametrize("make", [bayesian, hyperband])
def test_row_075_a_killed_run_goes_on_wherever_it_was(make: Callable[[], Setup]) -> None:
    setup = make()
    sights: list[Sight] = []
    whole = run_in_folder(setup, MemoryStore(), witness=sights.append)
    for moment in range(0, len(sights), 11):
        store = MemoryStore()
        with pytest.raises(Gone):
            run_in_folder(setup, store, witness=dies_at(moment))
        again = run_in_folder(setup, store)
        assert configurations(again) == configurations(whole)
        assert [t.epochs for t in again.trials.values()] == [
            t.epochs for t in whole.trials.values()
        ]


def test_row_076_less_to_do_than_is_done_ends_at_once_or_is_refused_with_the_way_to_end() -> None:
    store = MemoryStore()
    with pytest.raises(Gone):
        run_in_folder(bayesian(8), store, witness=dies_at(70))
    known = RunState.fold(read_log(store, layout.EVENTS))
    shorter = moved(bayesian(8), {"max_recommendations": 2}, Places("a test"))
    with pytest.raises(
        SettingsError, match=r"(?s)plan of 2 recommendations.*raytao stop"
    ) as refusal:
        enter(shorter, known)
    assert "plan 4 or more" in str(refusal.value)
    assert RunBudget(epochs=known.epochs - 1).spent(known, driven=0.0) is not None


@pytest.mark.parametrize("make", [bayesian, hyperband])
def test_row_077_a_resumed_run_repeats_no_configuration(make: Callable[[], Setup]) -> None:
    store = MemoryStore()
    with pytest.raises(Gone):
        run_in_folder(make(), store, witness=dies_at(20))
    drawn = [tuple(sorted(c.items())) for c in configurations(run_in_folder(make(), store))]
    assert len(set(drawn)) == len(drawn)


def test_row_078_only_the_best_trials_checkpoint_is_left() -> None:
    store = MemoryStore()
    state = run_in_folder(hyperband(), store)
    assert state.incumbent is not None
    kept = weights(store)
    assert set(kept) == {layout.BEST_MODEL, layout.experiment(state.incumbent.trial)}
    assert kept[layout.BEST_MODEL] == 1


def test_row_079_with_deletion_off_every_trial_keeps_its_checkpoints() -> None:
    store = MemoryStore()
    setup = hyperband(automl_delete_intermediate_ckpt=False)
    state = run_in_folder(setup, store)
    assert set(weights(store)) == {
        layout.BEST_MODEL,
        *(layout.experiment(number) for number in state.trials),
    }


def test_row_080_a_hyperband_run_deletes_the_losers_while_it_goes_on() -> None:
    store = MemoryStore()
    most = 0

    def witness(sight: Sight) -> None:
        nonlocal most
        most = max(most, len(weights(store).keys() - {layout.BEST_MODEL}))

    state = run_in_folder(hyperband(), store, witness=witness)
    assert len(state.trials) == 12
    assert most <= 10  # a rung of nine, and the best


def test_row_088_a_key_that_the_spec_lacks_is_not_searched(tmp_path: Path) -> None:
    spec = resolve_values({"network": "toy"}, caller="a test").spec
    without = spec.plain()
    del without["model"]["y"]
    path = tmp_path / "spec.yaml"
    path.write_text(Document.of_values(without, file="spec").dump())
    setup = resolve_values({"network": "toy", "spec": str(path)}, caller="a test")
    assert "model.y" not in setup.space.names
    assert any("model.y" in note for note in setup.notes)


@pytest.mark.parametrize("make", [bayesian, hyperband])
def test_row_090_a_seed_gives_the_same_run_and_another_one_another(
    make: Callable[..., Setup],
) -> None:
    first, same, other = (
        configurations(run_in_folder(make(seed=seed), MemoryStore())) for seed in (5, 5, 6)
    )
    assert first == same
    assert first[0] == other[0], "the user's own spec comes first whatever the seed"
    assert first[1:] != other[1:]


def test_row_091_of_equal_epochs_the_first_is_the_best_and_the_longer_training_wins() -> None:
    flat = Conditions(objective=lambda spec, epoch: 0.5)
    state = run_in_folder(hyperband(), MemoryStore(), flat)
    best = state.incumbent
    assert best is not None
    assert best.fidelity == 9
    assert best.epoch == 1
    full = [number for number, trial in state.trials.items() if trial.epochs == 9]
    assert best.trial == min(full)


def test_row_096_a_second_run_in_a_folder_is_refused(tmp_path: Path) -> None:
    with claim(tmp_path), pytest.raises(FolderError, match="another raytao is running"):
        claim(tmp_path)


def test_row_016_and_017_a_direction_that_is_given_holds_in_the_proposals() -> None:
    downhill = bayesian(10, metric={"name": "value", "direction": "minimize"})
    low = run_in_folder(downhill, MemoryStore())
    high = run_in_folder(replace(bayesian(10)), MemoryStore())
    assert natural("val_loss") is Direction.MINIMIZE
    ends = [
        sum(t.history[9]["value"] for t in list(state.trials.values())[5:])
        for state in (low, high)
    ]
    assert ends[0] < ends[1]
