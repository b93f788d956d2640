"""What may change in a run's life: its length and its place; another search only if allowed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from raytao.errors import FolderError, SettingsError
from raytao.runs.events import Opened
from raytao.runs.opening import open_run
from raytao.runs.place import store_at
from raytao.runs.state import RunState
from raytao.setup.changes import Entry, asks_for_more, changes, enter
from raytao.setup.chapters import Chapters
from raytao.setup.folder import inspect_folder, read_state
from raytao.setup.places import Places
from raytao.setup.reopen import moved, relocated, reopen
from raytao.setup.resolve import resolve
from raytao.setup.setup import Setup
from raytao.tao import layout
from raytao.testing.simulator import simulate
from raytao.testing.toy import curve

Make = Callable[..., Setup]
HYPERBAND = "brain={name: hyperband, R: 3, nu: 3, epoch_multiplier: 1, mode: sync}"


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def setup(*assignments: str) -> Setup:
        path = tmp_path / "run.yaml"
        path.write_text(
            "network: toy\nbrain: {name: random, max_recommendations: 3}\n"
            f"set: {{train.num_epochs: 2}}\nresults_dir: {tmp_path / 'results'}\n"
        )
        return resolve(str(path), assignments)

    return setup


def ran(setup: Setup) -> RunState:
    """A finished run of this setup, as far as the log tells."""
    store = store_at(setup.results)
    open_run(store, layout.EVENTS, setup.new_brain(), setup.opened({"files": 3}))
    simulate(setup.new_brain(), curve, store=store)
    return read_state(setup.results)


def entered(setup: Setup, known: RunState, **how: bool) -> Entry:
    return enter(setup, known, **how)


def opened(state: RunState) -> Opened:
    assert state.opened is not None
    return state.opened


@pytest.mark.parametrize(
    ("assignments", "longer", "elsewhere", "search"),
    [
        ([], 0, 0, 0),
        (["brain.max_recommendations=9"], 1, 0, 0),
        (["slots=7"], 0, 1, 0),
        (["budget.hours=2", "retries.failures=1"], 0, 2, 0),
        (["limits.idle_seconds=9", "brain.max_recommendations=2"], 1, 1, 0),
        (["seed=4"], 0, 0, 1),
        (["metric={name: loss, direction: maximize}"], 0, 0, 1),
        (["search.ranges={x: [0.1, 0.2]}"], 0, 0, 2),
        (["train.sleep=0.25"], 0, 0, 1),
    ],
)
def test_a_change_is_of_the_plan_s_length_of_the_place_or_of_the_search(
    make: Make, assignments: list[str], longer: int, elsewhere: int, search: int
) -> None:
    state = ran(make())
    if "search.ranges={x: [0.1, 0.2]}" in assignments:
        name = make().space.names[0]
        assignments = [f"search.ranges={{{name}: [0.1, 0.2]}}"]
    found = changes(opened(state), make(*assignments))
    assert (len(found.longer), len(found.elsewhere)) == (longer, elsewhere)
    assert bool(found.search) == bool(search)


def test_another_brain_is_another_search_whatever_its_plan_s_length(make: Make) -> None:
    state = ran(make())
    found = changes(opened(state), make(HYPERBAND))
    assert not found.longer
    assert "brain.name: random -> hyperband" in found.search


def test_another_search_is_refused_with_the_difference_unless_it_is_allowed(make: Make) -> None:
    state = ran(make())
    other = make("seed=4")
    with pytest.raises(FolderError, match="seed: 0 -> 4") as refused:
        entered(other, state)
    assert "--allow-changed" in str(refused.value)
    with pytest.raises(FolderError, match="seed: 0 -> 4"):
        inspect_folder(other, resume=True)
    inspect_folder(other, resume=True, allow_changed=True)
    change = entered(other, state, allow_changed=True).changed
    assert change is not None
    assert change.anew
    assert "seed: 0 -> 4" in change.differences


def test_a_run_that_is_asked_for_as_it_is_changes_nothing(make: Make) -> None:
    state = ran(make())
    entry = entered(make(), state)
    assert entry.changed is None
    assert not asks_for_more(make(), state)
    assert not asks_for_more(make("slots=7"), state)
    assert asks_for_more(make("brain.max_recommendations=4"), state)


def test_what_was_changed_is_what_the_run_is_from_then_on(make: Make) -> None:
    state = ran(make())
    longer = make("brain.max_recommendations=5", "slots=2")
    entry = entered(longer, state)
    assert entry.changed is not None
    assert not entry.changed.anew
    store = store_at(longer.results)
    open_run(store, layout.EVENTS, longer.new_brain(), entry.opened, changed=entry.changed).flush()
    now = read_state(longer.results)
    again = reopen(opened(now), longer.results)
    assert again.settings.slots == 2
    assert again.new_brain().plan().trials == 5
    assert entered(longer, now).changed is None
    assert changes(opened(now), make()).longer == ("brain.max_recommendations: 5 -> 3",)
    assert opened(now).setup["cwd"] == opened(state).setup["cwd"]


def test_a_log_that_has_grown_since_it_was_looked_at_is_another_drivers(make: Make) -> None:
    state = ran(make())
    entry = entered(make(), state)
    entry.refuse_other(make().results, state.next_seq)
    with pytest.raises(FolderError, match="while this one was starting"):
        entry.refuse_other(make().results, state.next_seq + 1)


def test_a_trial_keeps_the_setup_that_it_was_proposed_under(make: Make) -> None:
    ran(make())
    other = make("seed=4", "train.sleep=0.25")
    known = read_state(other.results)
    change = entered(other, known, allow_changed=True).changed
    assert change is not None
    store = store_at(other.results)
    open_run(store, layout.EVENTS, other.new_brain(), opened(known), changed=change)
    simulate(other.new_brain(), curve, store=store)
    state = read_state(other.results)
    chapters = Chapters(reopen(opened(state), other.results), state)
    for number, trial in state.trials.items():
        setup = make() if number < state.first else other
        expected = setup.recommendation(trial.params, trial.horizon).plain()
        assert chapters.recommendation(number).plain() == expected
    assert 0 < state.first < len(state.trials)


def test_a_plan_shorter_than_what_has_begun_is_refused(make: Make) -> None:
    state = ran(make())
    with pytest.raises(SettingsError, match="3 have begun") as refused:
        entered(make("brain.max_recommendations=2"), state)
    assert "raytao stop" in str(refused.value)


def test_other_data_are_refused_unless_allowed_and_no_new_search_begins(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = ran(make())
    setup = make()
    network = type(setup.network)
    monkeypatch.setattr(network, "fingerprint", lambda self, spec: {"files": 4})
    with pytest.raises(FolderError, match=r"data\.files: 3 -> 4"):
        entered(setup, state)
    change = entered(setup, state, allow_changed=True).changed
    assert change is not None
    assert not change.anew
    assert change.setup["data"] == {"files": 4}


def test_a_network_that_cannot_tell_its_data_refuses_none(make: Make) -> None:
    state = ran(make())
    assert make().network.fingerprint({}) is None
    assert entered(make(), state).changed is None


@pytest.mark.parametrize(
    ("assignments", "allowed"),
    [
        (["brain.max_recommendations=9"], True),
        (["budget.epochs=9", "checkpoint_gb=1.5", "retries.losses=1"], True),
        (["brain.name=bayesian"], False),
        (["brain.R=9"], False),
        (["seed=1"], False),
        (["metric=val_loss"], False),
        (["train.sleep=0.5"], False),
    ],
)
def test_resume_takes_places_budgets_and_lengths_by_assignment_and_nothing_else(
    make: Make, assignments: list[str], allowed: bool
) -> None:
    setup = make()
    if not allowed:
        with pytest.raises(SettingsError, match="cannot be changed"):
            relocated(setup, assignments)
        return
    assert relocated(setup, assignments).settings != setup.settings


def test_tao_s_name_of_the_plan_s_length_can_be_lengthened_by_our_name(make: Make) -> None:
    setup = make("brain={name: random, automl_max_recommendations: 3}")
    longer = relocated(setup, ["brain.max_recommendations=5"])
    assert longer.new_brain().plan().trials == 5
    assert (
        moved(setup, {"max_recommendations": 6}, Places("resume(…)")).new_brain().plan().trials
        == 6
    )


def test_a_run_of_an_older_version_without_a_new_setting_is_the_same_run(make: Make) -> None:
    state = ran(make(HYPERBAND))
    known = opened(state)
    identity = dict(known.setup["identity"])
    identity["brain"] = {k: v for k, v in identity["brain"].items() if k != "brackets"}
    older = replace(known, setup={**known.setup, "identity": identity}, version="0.1.0")
    found = changes(older, make(HYPERBAND))
    assert (found.longer, found.elsewhere, found.search) == ((), (), ())
