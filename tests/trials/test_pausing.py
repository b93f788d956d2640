"""A trial that is asked to move leaves with its next checkpoint, and goes on from there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from trials_testing import MakeJob, until_terminal

from raytao.networks.base import Network, TrainContext
from raytao.runs.store import LocalStore
from raytao.trials import runner
from raytao.trials.messages import Ended, EpochDone, Event, Job
from raytao.trials.provenance import read_provenance
from raytao.trials.supervisor import Supervisor
from raytao.types import Json

SLOW_TOY: dict[str, Json] = {
    "model": {"x": 0.5, "y": 3, "fruit": "fig"},
    "train": {"sleep": 0.05, "breaks_at": 0, "nan_at": 0},
}


class Saver(Network):
    """Saves its best epochs and the last one, as a trainer must; each is worse than the last."""

    def __init__(self, saves: str) -> None:
        self.saves = saves
        self.begun: list[int] = []

    def check(self, spec: Mapping[str, Json]) -> None: ...

    def train(self, spec: Mapping[str, Json], ctx: TrainContext) -> None:
        for epoch in ctx.epochs:
            self.begun.append(epoch)
            metrics = {"val_acc": 1.0 / epoch}
            wanted = ctx.is_best(metrics) or epoch == ctx.stop_epoch
            if self.saves == "always" or (self.saves == "when asked" and wanted):
                ctx.save(b"weights")
            ctx.report(epoch, metrics)

    def evaluate(
        self, spec: Mapping[str, Json], checkpoint: bytes, *, threads: int, gpus: int
    ) -> Mapping[str, float]:
        raise NotImplementedError


class Moved:
    """A job in this process that is asked to move once it has told so many epochs."""

    def __init__(self, job: Job, network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(runner, "network_of", lambda job: network)
        self.job = job
        self.events: list[Event] = []
        self._store = LocalStore(Path(job.root))

    def run(self, *, asked_after: int | None) -> list[Event]:
        self.events.clear()

        def pause() -> bool:
            done = sum(isinstance(event, EpochDone) for event in self.events)
            return asked_after is not None and done >= asked_after

        runner.run(self.job, self._store, self.events.append, pause=pause)
        return self.events

    @property
    def epochs(self) -> list[int]:
        return [event.epoch for event in self.events if isinstance(event, EpochDone)]


@pytest.mark.parametrize(("saves", "left"), [("always", 2), ("when asked", 3)])
def test_a_trial_that_moves_leaves_with_its_next_checkpoint_and_repeats_nothing(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, saves: str, left: int
) -> None:
    network = Saver(saves)
    trial = Moved(make_job(stop_epoch=6), network, monkeypatch)
    assert trial.run(asked_after=2)[-1] == Ended(left)
    assert trial.epochs == list(range(1, left + 1))
    kept = read_provenance(LocalStore(Path(trial.job.root)), trial.job.folder)
    assert kept is not None
    assert kept.latest is not None
    assert kept.latest.epoch == left
    trial.job = make_job(stop_epoch=6, attempt=2, reported_epoch=left)
    assert trial.run(asked_after=None)[-1] == Ended(6)
    assert network.begun == [1, 2, 3, 4, 5, 6]


def test_a_trial_that_saves_nothing_stays(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = Moved(make_job(stop_epoch=4), Saver("never"), monkeypatch)
    assert trial.run(asked_after=1)[-1] == Ended(4)


def test_a_trial_that_is_asked_in_its_last_epoch_ends_as_it_would(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = Moved(make_job(stop_epoch=4), Saver("when asked"), monkeypatch)
    assert trial.run(asked_after=3)[-1] == Ended(4)
    status = (Path(trial.job.root) / trial.job.folder / "status.json").read_text()
    assert "completed 4 epochs" in status


def test_the_wish_reaches_a_trainers_process(make_job: MakeJob) -> None:
    with Supervisor(preload=(), threads=1) as supervisor:
        supervisor.start(make_job(SLOW_TOY, network="toy", metric="value", stop_epoch=500))
        first = supervisor.events(timeout=8.0)
        supervisor.pause()
        events = [*first, *until_terminal(supervisor)]
    reached = [event.epoch for event in events if isinstance(event, EpochDone)]
    assert reached == list(range(1, len(reached) + 1))
    assert events[-1] == Ended(reached[-1])
    assert reached[-1] < 500
