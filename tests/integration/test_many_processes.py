"""Trials of several processes on real Ray: on one machine, and over two raylets."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import driver
import psutil
import pytest
import ray
from click.testing import CliRunner
from ray.cluster_utils import Cluster
from ray.util import placement_group_table

from raytao.cli.main import main
from raytao.cluster.connect import QUIET
from raytao.runs.events import Lost
from raytao.runs.resources import ResourceRequest
from raytao.runs.state import RunState
from raytao.runs.store import LocalStore
from raytao.tao import layout
from raytao.trials.messages import Broken, Ended, EpochDone, Event, FailureKind, Job
from raytao.trials.provenance import read_provenance
from raytao.tune.spanning import SpanningSupervisor

pytestmark = [pytest.mark.ray, pytest.mark.integration]

MARK = ("RAYTAO_TEST_MARK", uuid.uuid4().hex)


@pytest.fixture(scope="module", autouse=True)
def _cluster() -> Iterator[None]:
    """Two raylets with two CPUs each, and a head that has none."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**QUIET, MARK[0]: MARK[1]}.items():
            patch.setenv(name, value)
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        try:
            for _ in range(2):
                cluster.add_node(num_cpus=2)
            cluster.wait_for_nodes()
            ray.init(cluster.address, log_to_driver=False)
            yield
        finally:
            ray.shutdown()
            cluster.shutdown()  # type: ignore[no-untyped-call] # Ray's


def run(folder: Path, *settings: str) -> RunState:
    results = folder / "results"
    lines = ("network: image_classification", f"results_dir: {results}", "seed: 1", *settings)
    (folder / "run.yaml").write_text("\n".join(lines))
    done = CliRunner().invoke(main, ["run", str(folder / "run.yaml")])
    assert done.exit_code == 0, done.output
    return RunState.fold(driver.records(results))


def trained(results: Path, trial: int) -> int:
    found = read_provenance(LocalStore(results), layout.experiment(trial))
    return 0 if found is None else found.epochs_trained


def times_trained(results: Path, trial: int) -> dict[int, int]:
    log = (results / layout.experiment(trial) / layout.LOG).read_text()
    lines = [line for line in log.splitlines() if line.startswith("epoch ")]
    epochs = [int(line.split()[1].partition("/")[0]) for line in lines]
    return {epoch: epochs.count(epoch) for epoch in sorted(set(epochs))}


def ours(word: str) -> list[psutil.Process]:
    """Processes of this file's cluster, by a word of their command line."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK[0]) == MARK[1] and word in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return driver.alive(found)


def ranks_above_0() -> list[psutil.Process]:
    """A nursery has a guard, the guard rank 0, and rank 0 the others."""
    return [
        rank
        for nursery in ours("raytao.trials.nursery")
        for guard in nursery.children()
        for zero in guard.children()
        for rank in zero.children()
    ]


def test_a_killed_rank_costs_no_epoch_and_the_run_is_completed(tmp_path: Path) -> None:
    results = tmp_path / "results"

    def sabotage() -> int:
        driver.wait_until(lambda: trained(results, 0) >= 2, "two epochs")
        known = trained(results, 0)
        (rank_1,) = ranks_above_0()
        rank_1.kill()
        return known

    with ThreadPoolExecutor(1) as pool:
        known = pool.submit(sabotage)
        state = run(
            tmp_path,
            "brain: {name: bayesian, max_recommendations: 2}",
            "set: {train.num_epochs: 40, model.width: 16}",
            "resources: {cpus: 2, processes: 2}",
            "slots: 1",
        )
    assert state.finished is not None
    assert state.finished.status == "Done"
    (lost,) = [r.event for r in driver.records(results) if isinstance(r.event, Lost)]
    assert "rank 1 of 2 was killed by signal: Killed" in lost.reason
    assert {trial.epochs for trial in state.trials.values()} == {40}
    counted = times_trained(results, 0)
    assert list(counted) == list(range(1, 41))
    assert all(counted[epoch] == 1 for epoch in range(1, known.result() + 1))
    driver.wait_for_the_end_of(ours("raytao.trials.nursery"), 30)


def groups() -> list[dict[str, Any]]:
    """Placement groups of trials over both raylets, also those that are gone."""
    found = [group for group in placement_group_table().values() if len(group["bundles"]) == 2]
    assert all(len(set(group["bundles_to_node_id"].values())) == 2 for group in found)
    return found


def wait_until_nothing_is_left() -> None:
    """No placement group, and no actor of Train's."""

    def left() -> list[Any]:
        found = [g for g in placement_group_table().values() if g["state"] != "REMOVED"]
        names = ("RayTrainWorker", "TrainController", "PlacementGroupCleaner")
        return found + [process.cmdline() for name in names for process in ours(name)]

    until = time.monotonic() + 30
    while remains := left():
        assert time.monotonic() < until, remains
        time.sleep(0.2)


def test_trials_over_two_machines_stop_at_a_rung_and_go_on(tmp_path: Path) -> None:
    state = run(
        tmp_path,
        "brain: {name: hyperband, R: 2, nu: 2, epoch_multiplier: 1, mode: sync}",
        "set: {train.num_epochs: 2}",
        "resources: {cpus: 2, nodes: 2}",
    )
    assert state.finished is not None
    assert state.finished.status == "Done"
    assert sorted(trial.epochs for trial in state.trials.values()) == [1, 2]
    for trial, told in state.trials.items():
        counted = times_trained(tmp_path / "results", trial)
        assert counted == dict.fromkeys(range(1, told.epochs + 1), 1), "an epoch was trained twice"
    assert len(groups()) == 3, "one for each segment"
    wait_until_nothing_is_left()


def job(results: Path, **changes: Any) -> Job:
    fields: dict[str, Any] = {
        "kind": "train",
        "network": "image_classification",
        "spec": {"train": {"num_epochs": 1000}},
        "root": str(results),
        "folder": "experiment_0",
        "trial": 0,
        "attempt": 1,
        "reported_epoch": 0,
        "stop_epoch": 1000,
        "metric": "val_acc",
        "direction": "maximize",
        "seed": 7,
        "threads": 1,
        "gpus": 0,
        "resources": ResourceRequest(cpus=2, nodes=2).to_json(),
    }
    return Job(**{**fields, **changes})


def until(supervisor: SpanningSupervisor, *kinds: type[Event]) -> list[Event]:
    events: list[Event] = []
    while not any(isinstance(event, kinds) for event in events):
        events += supervisor.events(timeout=10.0)
    return events


def test_a_trial_over_two_machines_survives_a_lost_rank_and_stops_on_request(
    tmp_path: Path,
) -> None:
    supervisor = SpanningSupervisor()
    supervisor.start(job(tmp_path))
    events = until(supervisor, EpochDone, Broken)
    (rank_1,) = [p for p in ours("RayTrainWorker") if p.pid != supervisor.pid]
    rank_1.kill()
    events += until(supervisor, Broken, Ended)
    last = events[-1]
    assert isinstance(last, Broken)
    assert last.kind is FailureKind.KILLED
    assert "rank 1 was lost" in last.reason
    done = max(event.epoch for event in events if isinstance(event, EpochDone))
    supervisor.start(job(tmp_path, attempt=2, reported_epoch=done))
    first, *_ = until(supervisor, EpochDone, Broken)
    assert isinstance(first, EpochDone)
    assert first.epoch == done + 1
    supervisor.stop(grace=30.0)
    found = read_provenance(LocalStore(tmp_path), "experiment_0")
    assert found is not None
    assert "paused at epoch" in str(found.ended)
    supervisor.start(job(tmp_path, attempt=3, reported_epoch=found.epochs_trained))
    supervisor.close()  # before any of its processes is there
    assert supervisor.pid is None
    wait_until_nothing_is_left()
