"""raytao on three raylets: the schedule is the simulator's, whatever the width."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from raytao.brains.base import Brain
from raytao.runs.eta import Remaining
from raytao.runs.events import Event, Leased, Reported, Started
from raytao.runs.log import read_log
from raytao.runs.place import store_at
from raytao.runs.state import Phase, RunState
from raytao.setup.changes import Entry
from raytao.setup.resolve import resolve
from raytao.setup.setup import Setup
from raytao.tao import layout
from raytao.testing.places import local
from raytao.testing.simulator import simulate
from raytao.testing.toy import curve
from raytao.tune.launch import launch

pytestmark = pytest.mark.ray
LONGER = pytest.mark.integration
"""The other tests here are the smoke test of Ray among the fast ones."""


class Silent:
    """Watches without a word."""

    def connected(self, found: str) -> None:
        self.found = found

    def event(self, event: Event, state: RunState) -> None:
        pass

    def step(self, state: RunState, left: Remaining) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Three raylets: a head and two workers, two CPUs each."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    cluster.add_node(num_cpus=2)
    cluster.add_node(num_cpus=2)
    cluster.wait_for_nodes()
    yield cluster.address
    cluster.shutdown()


def toy(folder: Path, address: str, *assignments: str) -> Setup:
    run = folder / "toy.yaml"
    run.write_text("network: toy\nseed: 3\n")
    where = (f"address={address}", f"results_dir={folder / 'results'}")
    return resolve(str(run), (*where, *assignments))


def events(setup: Setup) -> list[Event]:
    return [record.event for record in read_log(store_at(setup.results), layout.EVENTS)]


def simulated(brain: Brain) -> list[tuple[tuple[tuple[str, object], ...], int]]:
    return simulate(brain, curve).configurations()


def trained(state: RunState) -> list[tuple[tuple[tuple[str, object], ...], int]]:
    return sorted(
        ((tuple(sorted(t.params.items())), t.epochs) for t in state.trials.values()), key=repr
    )


HYPERBAND = ("brain={name: hyperband, R: 9, nu: 3, epoch_multiplier: 1, mode: sync}",)
RANDOM = ("brain={name: random, max_recommendations: 5}", "train.num_epochs=3")
BAYESIAN = ("brain={name: bayesian, max_recommendations: 5}", "train.num_epochs=3", "slots=1")


@pytest.mark.parametrize(
    "run",
    [
        pytest.param((*HYPERBAND, "slots=1"), id="hyperband at one slot", marks=LONGER),
        pytest.param(HYPERBAND, id="hyperband at six slots"),
        pytest.param(
            (*HYPERBAND, "brain.overlap=false", "slots=4"),
            id="hyperband, no overlap",
            marks=LONGER,
        ),
        pytest.param(RANDOM, id="random at six slots", marks=LONGER),
        pytest.param(BAYESIAN, id="bayesian at one slot"),
    ],
)
def test_ray_trains_what_the_simulator_trains(
    run: tuple[str, ...], address: str, tmp_path: Path
) -> None:
    setup = toy(tmp_path, address, *run)
    state = launch(setup, Entry(setup.opened()), Silent())
    assert trained(state) == simulated(setup.new_brain())
    assert state.epochs == setup.new_brain().plan().epochs
    assert state.finished is not None
    assert state.finished.status == "Done"
    assert not local(setup.results / layout.RAY_SCRATCH).exists()


@LONGER
def test_at_one_slot_a_suggestion_has_seen_all_earlier_results(
    address: str, tmp_path: Path
) -> None:
    setup = toy(tmp_path, address, *BAYESIAN)
    launch(setup, Entry(setup.opened()), Silent())
    finished = 0
    for event in events(setup):
        if isinstance(event, Started):
            assert event.trial == finished
        if isinstance(event, Reported) and event.epoch == 3:
            finished += 1
    assert finished == 5


@LONGER
def test_eight_slots_are_filled_before_the_first_report(address: str, tmp_path: Path) -> None:
    setup = toy(
        tmp_path,
        address,
        "brain={name: random, max_recommendations: 10}",
        "train.num_epochs=1",
        "train.sleep=1.0",
        "resources.cpus=0.5",
        "slots=8",
    )
    launch(setup, Entry(setup.opened()), Silent())
    log = events(setup)
    first = next(i for i, event in enumerate(log) if isinstance(event, Reported))
    assert sum(isinstance(event, Leased) for event in log[:first]) == 8


def test_a_failed_trial_is_recorded_with_its_reason_and_the_run_goes_on(
    address: str, tmp_path: Path
) -> None:
    for_good = "retries.alike=null"  # six fail alike, and five in a row would stop the run
    setup = toy(tmp_path, address, *HYPERBAND, "train.breaks_at=2", for_good)
    state = launch(setup, Entry(setup.opened()), Silent())
    failed = state.by_phase(Phase.FAILED)
    assert {t.failure.reason for t in failed if t.failure} == {
        "RuntimeError: told to break in epoch 2"
    }
    assert len(failed) == 6
    assert state.incumbent is not None
    assert state.incumbent.epoch == 1
    controller = json.loads(local(setup.results / layout.CONTROLLER).read_text())
    assert sum(entry["status"] == "failure" for entry in controller) == 6


@LONGER
def test_a_diverged_trial_never_wins(address: str, tmp_path: Path) -> None:
    setup = toy(tmp_path, address, *RANDOM, "train.nan_at=2")
    state = launch(setup, Entry(setup.opened()), Silent())
    assert len(state.by_phase(Phase.FAILED)) == 5
    assert state.incumbent is None
    assert state.finished is not None
    assert state.finished.status == "Error"
