"""A quota of checkpoints: nothing goes that is asked for again, nothing comes without room."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raytao.errors import RaytaoError
from raytao.runs.log import read_log
from raytao.runs.state import Phase, RunState
from raytao.runs.store import LocalStore, MemoryStore, StoreError
from raytao.setup.resolve import resolve_values
from raytao.setup.setup import Setup
from raytao.tao import layout
from raytao.tao.retention import (
    GIGABYTE,
    OVER,
    WAITING,
    Quota,
    Retention,
    Usage,
    replaceable,
    why_not_another,
)
from raytao.testing.folder_run import Conditions, run_in_folder
from raytao.testing.simulator import simulate
from raytao.testing.toy import curve
from raytao.trials.provenance import read_provenance
from raytao.types import Json, Params

SIZE = len(json.dumps({"epoch": 1}))
HYPERBAND: Json = {"name": "hyperband", "R": 9, "nu": 3, "epoch_multiplier": 1, "mode": "sync"}
BAYESIAN: Json = {"name": "bayesian", "max_recommendations": 6, "initial_points": 2}
FALLS: Json = {
    "name": "hyperband",
    "R": 9,
    "nu": 3,
    "epoch_multiplier": 1,
    "brackets": 4,
    "mode": "sync",
}


def configured(brain: Json, checkpoints: int | None = None, **more: Json) -> Setup:
    """A toy run whose quota is so many of its checkpoints."""
    quota = None if checkpoints is None else checkpoints * SIZE / GIGABYTE
    data = {
        "network": "toy",
        "brain": brain,
        "set": {"train.num_epochs": 4},
        "results_dir": "unused",
        "checkpoint_gb": quota,
        **more,
    }
    return resolve_values(data, caller="test")


def falling(params: Params, epoch: int) -> float:
    """The first epoch is the best: every trial that trains on has two checkpoints."""
    return curve(params, 9) - 0.01 * epoch


def weights(store: MemoryStore) -> list[str]:
    return [key for key in store.list() if f"/{layout.WEIGHTS}/" in key]


class Weighed(MemoryStore):
    """Remembers the most that checkpoints ever took, counted in checkpoints."""

    most = 0

    def replace(self, key: str, data: bytes) -> None:
        super().replace(key, data)
        self.most = max(self.most, len(weights(self)))


def best_model(store: MemoryStore) -> dict[str, bytes | None]:
    kept = f"{layout.BEST_MODEL}/{layout.WEIGHTS}"
    return {key: store.read(key) for key in store.list(kept)}


def trained(store: MemoryStore) -> list[tuple[Params, int]]:
    state = RunState.fold(read_log(store, layout.EVENTS))
    return [(t.params, t.epochs) for t in state.trials.values()]


@pytest.mark.parametrize(
    ("brain", "quota", "conditions"),
    [
        pytest.param(BAYESIAN, 7, Conditions(), id="one after the other"),
        pytest.param(BAYESIAN, 7, Conditions(objective=falling), id="first epochs are best"),
        pytest.param(HYPERBAND, 14, Conditions(), id="rungs"),
    ],
)
def test_a_run_within_its_quota_is_the_run_without_one(
    brain: Json, quota: int, conditions: Conditions
) -> None:
    free, kept = MemoryStore(), Weighed()
    run_in_folder(configured(brain), free, conditions)
    state = run_in_folder(configured(brain, quota), kept, conditions)
    assert state.finished is not None
    assert trained(kept) == trained(free)
    assert best_model(kept) == best_model(free) != {}
    assert kept.most <= quota


class LaterOnesFall:
    """The first nine trials rise, so that one checkpoint is both; those after them fall."""

    def __init__(self) -> None:
        self._seen: list[str] = []

    def __call__(self, params: Params, epoch: int) -> float:
        own = json.dumps([params[name] for name in ("model.x", "model.y", "model.fruit")])
        if own not in self._seen:
            self._seen.append(own)
        number = self._seen.index(own)
        return 0.5 + 0.01 * epoch if number < 9 else 0.4 + 0.001 * number - 0.01 * epoch


def test_what_a_waiting_trial_gives_up_is_not_missed() -> None:
    free, kept = Weighed(), Weighed()
    falls = {**FALLS, "epoch_multiplier": 3}
    run_in_folder(configured(falls), free, Conditions(objective=LaterOnesFall()))
    state = run_in_folder(configured(falls, 15), kept, Conditions(objective=LaterOnesFall()))
    assert free.most > 18
    assert kept.most <= 15
    assert trained(kept) == trained(free)
    assert best_model(kept) == best_model(free) != {}
    assert state.tested is not None
    assert state.tested.metrics


@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("brain", [BAYESIAN, HYPERBAND])
def test_without_room_the_run_stops_and_with_more_it_goes_on(brain: Json, slots: int) -> None:
    conditions = Conditions(slots=slots, objective=falling)
    store, free = MemoryStore(), MemoryStore()
    run_in_folder(configured(brain), free, conditions)
    with pytest.raises(RaytaoError, match=r"checkpoints take .* of checkpoint_gb=.*: give more"):
        run_in_folder(configured(brain, 6), store, conditions)
    began = trained(store)
    assert 0 < len(began) < len(trained(free))
    state = run_in_folder(configured(brain, 40), store, conditions)
    assert state.finished is not None
    after = trained(store)
    assert [params for params, _ in after[: len(began)]] == [params for params, _ in began]
    assert len(after) == len(trained(free))


@given(
    st.lists(st.integers(0, 9 * GIGABYTE), max_size=9),
    st.integers(0, 9 * GIGABYTE),
    st.integers(1, 99 * GIGABYTE),
)
def test_what_is_asked_for_is_enough(sizes: list[int], shown: int, size: int) -> None:
    state = RunState()
    usage = Usage(dict(enumerate(sizes)), shown, max([*sizes, shown]))
    told = why_not_another(state, usage, Quota(size, trials=99))
    if told:
        enough = float(told.split("give more, checkpoint_gb=")[1])
        assert enough * GIGABYTE > size
        assert why_not_another(state, usage, Quota(round(enough * GIGABYTE), trials=99)) == ""


def test_a_plan_that_has_no_more_trials_needs_no_room() -> None:
    store = MemoryStore()
    state = run_in_folder(configured({**BAYESIAN, "max_recommendations": 1}, 5), store)
    assert state.finished is not None
    assert state.finished.status == "Done"


def test_a_run_that_keeps_all_deletes_nothing_for_its_quota() -> None:
    store = Weighed()
    keep = configured(BAYESIAN, 9, delete_intermediate_checkpoints=False)
    with pytest.raises(RaytaoError, match="or delete_intermediate_checkpoints=true"):
        run_in_folder(keep, store, Conditions(objective=falling))
    state = RunState.fold(read_log(store, layout.EVENTS))
    for number in state.trials:
        own = read_provenance(store, layout.experiment(number))
        assert own is not None
        assert {f"{layout.experiment(number)}/{file}" for file in own.files} <= set(store.files)
    assert store.most <= 9


def states(
    fails: Callable[[int, int], bool], objective: Callable[[Params, int], float]
) -> list[RunState]:
    """A run after each of its records."""
    brain = configured(FALLS).new_brain()
    run = simulate(brain, objective, workers=3, fails=fails)
    records = read_log(run.store, "events.jsonl")
    return [RunState.fold(records[:n]) for n in range(1, len(records), 3)]


@settings(max_examples=12, deadline=None)
@given(st.sets(st.tuples(st.integers(0, 20), st.integers(1, 9)), max_size=6), st.booleans())
def test_whoever_fails_a_given_up_epoch_is_never_the_best(
    failures: set[tuple[int, int]], falls: bool
) -> None:
    seen = 0
    objective = falling if falls else curve
    for state in states(lambda trial, epoch: (trial, epoch) in failures, objective):
        for number in replaceable(state):
            seen += 1
            assert state.trials[number].phase in WAITING
            worst = deepcopy(state)
            for trial in worst.trials.values():
                if trial.phase not in OVER and trial.number != number:
                    trial.phase = Phase.FAILED
            best = worst.incumbent
            assert best is not None
            assert best.trial != number
    assert seen > 0


def half_trained(store: MemoryStore) -> RunState:
    """A run as a killed driver leaves it: some trials are over, some wait."""
    run_in_folder(configured(FALLS), store, Conditions(objective=falling))
    records = read_log(store, layout.EVENTS)
    return next(
        state
        for n in range(len(records))
        if (state := RunState.fold(records[:n])) and len(replaceable(state)) > 1
    )


def put(
    store: MemoryStore, state: RunState, number: int, latest: int, best: int, unheard: int = 0
) -> None:
    """A trial's folder, whose last ``unheard`` epochs the driver was not told of."""
    folder = layout.experiment(number)
    for epoch in {latest, best}:
        store.replace(f"{folder}/{layout.checkpoint(epoch)}", b"w" * SIZE)
    kept = {
        "latest": {"epoch": latest, "file": layout.checkpoint(latest)},
        "best": {"epoch": best, "file": layout.checkpoint(best)},
    }
    record = {"epochs_trained": state.trials[number].epochs + unheard, "checkpoints": kept}
    store.replace(f"{folder}/{layout.PROVENANCE}", json.dumps(record).encode())


class TestWhatIsGivenUp:
    def swept(self, store: MemoryStore, state: RunState, checkpoints: int) -> None:
        quota = Quota(checkpoints * SIZE, trials=len(state.trials))
        Retention(store, quota=quota).sweep(state)

    def test_it_is_the_worst_first_and_no_more_than_needed(self) -> None:
        state = half_trained(MemoryStore())
        first, second = replaceable(state)[:2]
        scores = [state.trials[n].best_score for n in (first, second)]
        assert scores[0] is not None
        assert scores[1] is not None
        assert scores[0] < scores[1]
        store = MemoryStore()
        for number in (first, second):
            put(store, state, number, latest=3, best=1)
        running = len(state.running())
        self.swept(store, state, 3 * running + 2 + 3)
        assert weights(store) == sorted(
            f"{layout.experiment(n)}/{layout.checkpoint(e)}"
            for n, e in ((first, 3), (second, 1), (second, 3))
        )

    def test_the_latest_stays_though_it_is_the_best_too(self) -> None:
        state = half_trained(MemoryStore())
        store = MemoryStore()
        number = replaceable(state)[0]
        put(store, state, number, latest=3, best=3)
        self.swept(store, state, 0)
        assert weights(store) == [f"{layout.experiment(number)}/{layout.checkpoint(3)}"]

    @pytest.mark.parametrize("gone", [1, 3])
    def test_an_epoch_that_is_not_in_the_record_takes_nobody_s_place(self, gone: int) -> None:
        """A killed worker left a checkpoint that its record does not know."""
        state = half_trained(MemoryStore())
        store = MemoryStore()
        number = replaceable(state)[0]
        put(store, state, number, latest=3, best=1)
        store.delete(f"{layout.experiment(number)}/{layout.checkpoint(gone)}")
        store.replace(f"{layout.experiment(number)}/{layout.checkpoint(4)}", b"w" * SIZE)
        before = weights(store)
        self.swept(store, state, 0)
        assert weights(store) == before

    def test_a_best_epoch_that_the_driver_was_not_told_of_may_be_the_winner(self) -> None:
        """It was killed; the next lease tells what the trial has trained since."""
        state = half_trained(MemoryStore())
        store = MemoryStore()
        number = replaceable(state)[0]
        put(store, state, number, latest=3, best=2, unheard=2)
        before = weights(store)
        self.swept(store, state, 0)
        assert weights(store) == before
        put(store, state, number, latest=3, best=2)
        self.swept(store, state, 0)
        assert len(weights(store)) == 1

    @pytest.mark.parametrize("record", [None, b"", b"{", b"[]", b'{"checkpoints": {"best": 1}}'])
    def test_a_record_that_tells_nothing_costs_nothing(self, record: bytes | None) -> None:
        state = half_trained(MemoryStore())
        store = MemoryStore()
        number = replaceable(state)[0]
        put(store, state, number, latest=3, best=1)
        name = f"{layout.experiment(number)}/{layout.PROVENANCE}"
        store.delete(name)
        if record is not None:
            store.replace(name, record)
        self.swept(store, state, 0)
        assert len(weights(store)) == 2


def test_weights_of_a_trial_that_the_log_does_not_know_go() -> None:
    store = MemoryStore()
    state = run_in_folder(configured(BAYESIAN), store)
    mine = weights(store)
    other = ["experiment_77/log.txt", "exported/model_7/weights.pt", "notes_9/weights/x.pth"]
    for key in ("experiment_77/weights/model_epoch_001.pth", *other):
        store.replace(key, b"left behind")
    Retention(store, keep_all=True).sweep(state)
    assert store.read("experiment_77/weights/model_epoch_001.pth") is not None
    Retention(store).sweep(state)
    assert store.read("experiment_77/weights/model_epoch_001.pth") is None
    assert all(store.read(key) is not None for key in (*other, *mine))


def test_storage_that_hides_its_sizes_holds_nobody_back() -> None:
    class Blind(MemoryStore):
        def size(self, key: str) -> int | None:
            raise StoreError("cannot read")

    store = Blind()
    state = run_in_folder(configured(BAYESIAN), store)
    store.replace(f"{layout.experiment(0)}/{layout.checkpoint(1)}", b"w")
    assert Retention(store, quota=Quota(1, trials=99)).hold(state) == ""


def test_a_real_folder_is_kept_to_its_quota(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    run_in_folder(configured(BAYESIAN, 7), store, Conditions(objective=falling))
    sizes = [path.stat().st_size for path in tmp_path.rglob("*.pth")]
    assert 0 < sum(sizes) <= 7 * SIZE


def test_a_trial_that_is_as_good_as_the_best_gives_nothing_up() -> None:
    """The one of them that is trained further is the better one, and that may still be it."""
    after = states(lambda trial, epoch: False, lambda params, epoch: 0.5)
    assert any(state.by_phase(*OVER) and state.by_phase(*WAITING) for state in after)
    assert all(replaceable(state) == [] for state in after)
