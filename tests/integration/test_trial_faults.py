"""Trials that fail, on real Ray, by real signals: typed, tried again, given up, survived."""

from __future__ import annotations

import json
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import driver
import psutil
import pytest
import ray
from click.testing import CliRunner, Result
from faulty_network import HELPER

from raytao.cli.main import main
from raytao.cluster.connect import QUIET
from raytao.runs.events import Event, Lost, Retried
from raytao.runs.state import Phase, RunState
from raytao.runs.store import LocalStore
from raytao.tao import layout
from raytao.trials.provenance import read_provenance
from raytao.tune import launch
from raytao.tune.watchdog import Watchdog

pytestmark = [pytest.mark.ray, pytest.mark.integration]

NURSERY = "raytao.trials.nursery"
MARK = ("RAYTAO_TEST_MARK", uuid.uuid4().hex)
"""In the environment of all that this file starts, at whatever distance."""


@pytest.fixture(scope="module", autouse=True)
def _cluster() -> Iterator[None]:
    """One Ray for all tests of this file."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        patch.setenv(*MARK)
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))  # workers import faulty_network
        ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


class Run:
    """A run of the faulty network, by the command line in this process."""

    def __init__(self, folder: Path) -> None:
        self.results = folder / "results"
        self._file = folder / "run.yaml"

    def __call__(self, trials: int, *settings: str) -> Result:
        lines = (
            "network: faulty_network:Faulty",
            f"brain: {{name: random, max_recommendations: {trials}}}",
            f"results_dir: {self.results}",
            *settings,
        )
        self._file.write_text("\n".join(lines))
        return CliRunner().invoke(main, ["run", str(self._file)])

    @property
    def events(self) -> list[Event]:
        return [record.event for record in driver.records(self.results)]

    @property
    def state(self) -> RunState:
        return RunState.fold(driver.records(self.results))

    def log_of(self, trial: int) -> str:
        return (self.results / layout.experiment(trial) / layout.LOG).read_text()

    def times_trained(self, trial: int = 0) -> dict[int, int]:
        """How often each epoch was begun."""
        lines = (line for line in self.log_of(trial).splitlines() if "training epoch" in line)
        return dict(Counter(int(line.split()[2].rstrip(",")) for line in lines))

    def durable(self, trial: int = 0) -> int:
        """Epochs that a kill cannot take back any more."""
        known = read_provenance(LocalStore(self.results), layout.experiment(trial))
        return 0 if known is None else known.epochs_trained


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    yield Run(tmp_path)
    driver.wait_for_the_end_of(ours(), 30)


def ours() -> list[psutil.Process]:
    """Nurseries, guards, trainers and what those started, wherever they are now."""
    found = []
    for process in psutil.process_iter():
        try:
            said, marked = " ".join(process.cmdline()), process.environ().get(MARK[0])
        except psutil.Error:
            continue
        if marked == MARK[1] and (NURSERY in said or HELPER in said):
            found.append(process)
    return driver.alive(found)


def staff() -> dict[str, list[psutil.Process]]:
    """Who works for the one trial that runs, by office."""
    nurseries = [p for p in ours() if NURSERY in " ".join(p.cmdline())]
    (nursery,) = [p for p in nurseries if p.parent() not in nurseries]
    (guard,) = nursery.children()
    (trainer,) = [p for p in guard.children() if p in nurseries]
    helpers = [p for p in trainer.children() if p not in nurseries]
    actor = nursery.parent()
    assert actor is not None
    return {
        "actor": [actor],
        "nursery": [nursery],
        "guard": [guard],
        "trainer": [trainer],
        "helpers": helpers,
    }


@contextmanager
def meanwhile(act: Callable[[], None]) -> Iterator[None]:
    """Act in a thread while the block runs; what goes wrong there fails the test."""
    errors: list[BaseException] = []

    def attempt() -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - it is raised below
            errors.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    yield
    thread.join(driver.LONG)
    assert not thread.is_alive()
    if errors:
        raise errors[0]


def kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        process.kill()


@pytest.mark.parametrize("victim", ["actor", "nursery", "guard", "trainer"])
def test_a_trial_whose_process_is_killed_goes_on_from_its_checkpoint(
    run: Run, victim: str
) -> None:
    known: list[int] = []

    def sabotage() -> None:
        driver.wait_until(lambda: run.durable() >= 3, "three epochs")
        workers = staff()
        assert len(workers["helpers"]) == 2
        known.append(run.durable())
        kill(workers[victim])
        orphans = [p for office in ("trainer", "helpers") for p in workers[office]]
        driver.wait_for_the_end_of(orphans, 30)

    with meanwhile(sabotage):
        result = run(1, "set: {train.sleep: 0.4, train.num_epochs: 8}")
    assert result.exit_code == 0, result.output
    (lost,) = [event for event in run.events if isinstance(event, Lost)]
    assert lost.trial == 0
    assert "without a word" not in lost.reason
    trained = run.times_trained()
    assert list(trained) == list(range(1, 9))
    assert all(trained[epoch] == 1 for epoch in range(1, known[0] + 1))
    assert sum(trained.values()) - 8 <= 1  # the epoch in which it was killed
    assert run.state.trials[0].epochs == 8


def test_a_trial_survives_the_end_of_its_helpers(run: Run) -> None:
    def sabotage() -> None:
        driver.wait_until(lambda: run.durable() >= 1, "an epoch")
        kill(staff()["helpers"])

    with meanwhile(sabotage):
        result = run(1, "set: {train.sleep: 0.4, train.num_epochs: 4}")
    assert result.exit_code == 0, result.output
    assert set(run.times_trained().values()) == {1}


@pytest.mark.parametrize(
    ("deed", "settings", "cause", "said"),
    [
        ("exit", (), "error", "exited with code 3"),
        ("raise", (), "error", "ValueError: no such layer"),
        ("gpu_full", (), "oom", "CUDA out of memory"),
        ("hang", ("limits: {idle_seconds: 1.5}",), "stalled", "no epoch for 1.5 s"),
        ("hang", ("limits: {seconds: 1.5}",), "timeout", "its limit of 1.5 s"),
        ("segfault", ("retries: {losses: 0}",), "lost", "SIGSEGV: Segmentation fault"),
    ],
)
def test_a_failure_is_typed_and_the_run_is_done_with_a_warning(
    run: Run, deed: str, settings: tuple[str, ...], cause: str, said: str
) -> None:
    result = run(2, f"set: {{train.deed: {deed}}}", *settings)
    assert result.exit_code == 0, result.output
    state = run.state
    assert state.finished is not None
    assert state.finished.status == "Done"
    (failed,) = state.by_phase(Phase.FAILED)
    assert failed.failure is not None
    assert (failed.number, failed.failure.cause) == (0, cause)
    assert said in failed.failure.reason
    assert state.incumbent is not None
    assert state.incumbent.trial == 1
    assert "warning      1 of 2 trials failed" in result.output
    assert said in result.output


def test_a_crash_in_native_code_is_tried_again_and_leaves_its_stack(run: Run) -> None:
    result = run(1, "set: {train.deed: segfault, train.once: true, train.at: 3}")
    assert result.exit_code == 0, result.output
    (lost,) = [event for event in run.events if isinstance(event, Lost)]
    assert "SIGSEGV" in lost.reason
    assert "experiment_0/log.txt" in lost.reason
    assert "in _segfault" in run.log_of(0)
    assert run.times_trained() == {1: 1, 2: 1, 3: 2, 4: 1}


def test_a_failed_trial_is_tried_again_from_its_checkpoint(run: Run) -> None:
    result = run(
        1, "set: {train.deed: raise, train.once: true, train.at: 3}", "retries: {failures: 1}"
    )
    assert result.exit_code == 0, result.output
    (again,) = [event for event in run.events if isinstance(event, Retried)]
    assert (again.cause, again.smaller_batch) == ("error", False)
    assert run.times_trained() == {1: 1, 2: 1, 3: 2, 4: 1}
    assert "warning" not in result.output


def test_a_trial_that_runs_out_of_memory_goes_on_with_half_its_batch(run: Run) -> None:
    result = run(1, "set: {train.deed: gpu_full}", "retries: {smaller_batch: 2}")
    assert result.exit_code == 0, result.output
    lines = [line for line in run.log_of(0).splitlines() if "training" in line]
    assert [line.removeprefix("training epoch ") for line in lines] == [
        *("1, batch 128", "2, batch 128", "2, batch 64", "2, batch 32", "3, batch 32"),
        "4, batch 32",
    ]
    (entry,) = json.loads((run.results / layout.CONTROLLER).read_text())
    assert entry["batch_size_halved"] == 2
    assert "batch_size: 128" in (run.results / "recommendation_0.yaml").read_text()
    assert "smaller batch after out of memory: 0" in result.output


def test_a_run_in_which_all_fails_is_an_error(run: Run) -> None:
    result = run(
        3, "set: {train.deed: raise, train.whose: all, train.at: 1}", "retries: {alike: null}"
    )
    assert result.exit_code == 1
    assert run.state.finished is not None
    assert run.state.finished.status == "Error"
    assert "failed       3 of 3 trials" in result.output
    assert "Traceback" not in result.output


def test_failures_that_are_all_alike_stop_the_run(run: Run) -> None:
    result = run(
        20,
        "set: {train.deed: raise, train.whose: all}",
        "retries: {alike: 3}",
        "slots: 1",
    )
    assert result.exit_code == 1
    assert "3 trials in a row failed alike (error); the last, recommendation 2" in result.output
    assert "ValueError: no such layer" in result.output
    assert f"its log: {run.results}/experiment_2/log.txt" in result.output
    assert f"raytao resume {run.results}" in result.output
    assert "Traceback" not in result.output
    state = run.state
    assert len(state.by_phase(Phase.FAILED)) == 3
    assert state.finished is None


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that waits two seconds and not sixty beyond a limit."""
    monkeypatch.setattr(launch, "Watchdog", partial(Watchdog, margin=2.0))


def test_an_actor_that_was_stopped_is_given_up_by_the_driver(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)

    def sabotage() -> None:
        driver.wait_until(lambda: run.durable() >= 2, "two epochs")
        for process in staff()["actor"]:
            process.suspend()

    with meanwhile(sabotage):
        result = run(
            1,
            "set: {train.sleep: 0.4, train.num_epochs: 8}",
            "limits: {idle_seconds: 2}",
            "slots: 1",
        )
    assert result.exit_code == 0, result.output
    (lost,) = [event for event in run.events if isinstance(event, Lost)]
    assert "said nothing for" in lost.reason
    assert run.state.trials[0].epochs == 8


def test_an_attempt_that_was_given_up_and_wakes_changes_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a node does that was cut off: all that works for the trial stops, and goes on late."""
    impatient(monkeypatch)
    sleepers: list[psutil.Process] = []

    def sabotage() -> None:
        driver.wait_until(lambda: run.durable() >= 2, "two epochs")
        for office in staff().values():
            for process in office:
                process.suspend()
                sleepers.append(process)

    with meanwhile(sabotage):
        result = run(
            1,
            "set: {train.sleep: 0.4, train.num_epochs: 8}",
            "limits: {idle_seconds: 2}",
            "slots: 1",
        )
    assert result.exit_code == 0, result.output
    before = files(run.results / layout.experiment(0))
    assert driver.alive(sleepers)
    for process in sleepers:
        with suppress(psutil.NoSuchProcess):
            process.resume()
    driver.wait_for_the_end_of(sleepers, 30)
    assert files(run.results / layout.experiment(0)) == before
    (lost,) = [event for event in run.events if isinstance(event, Lost)]
    trial = run.state.trials[0]
    assert (trial.epochs, trial.attempt) == (8, lost.attempt + 1)
    assert all(count <= 2 for count in run.times_trained().values())


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
