"""A run on Ray whose brain is slow thinks ahead, and stops thinking with the run."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from raytao.runs import ahead
from raytao.runs.eta import Remaining
from raytao.runs.events import Event, Started
from raytao.runs.state import RunState
from raytao.setup.changes import Entry
from raytao.setup.resolve import resolve
from raytao.setup.setup import Setup
from raytao.testing.simulator import simulate
from raytao.testing.toy import curve
from raytao.tune.launch import launch

pytestmark = [pytest.mark.ray, pytest.mark.integration]


class Listening:
    """Hears what begins."""

    def __init__(self) -> None:
        self.started: list[Started] = []

    def connected(self, found: str) -> None:
        pass

    def event(self, event: Event, state: RunState) -> None:
        if isinstance(event, Started):
            self.started.append(event)

    def step(self, state: RunState, left: Remaining) -> None:
        pass


def toy(folder: Path, *assignments: str) -> Setup:
    run = folder / "toy.yaml"
    run.write_text("network: toy\nseed: 3\nbrain: {name: random, max_recommendations: 6}\n")
    place = f"results_dir={folder / 'results'}"
    return resolve(str(run), (place, "train.num_epochs=1", *assignments))


@pytest.fixture(autouse=True)
def every_brain_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "SLOW_SECONDS", 0.0)


@pytest.mark.parametrize(("slots", "prepared"), [(1, False), (2, True)])
def test_only_with_several_slots_are_suggestions_prepared(
    slots: int, prepared: bool, tmp_path: Path
) -> None:
    setup, heard = toy(tmp_path, f"slots={slots}"), Listening()
    state = launch(setup, Entry(setup.opened()), heard)
    assert any(event.saw is not None for event in heard.started) is prepared
    expected = simulate(setup.new_brain(), curve).controller.state.trials.values()
    assert [t.params for t in state.trials.values()] == [t.params for t in expected]
    assert not [one for one in threading.enumerate() if one.name.startswith("raytao-ahead")]
