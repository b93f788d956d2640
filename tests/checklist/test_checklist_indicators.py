"""TAO's checklist, the status indicators: rows 62-67."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from raytao.cli.main import main
from raytao.report.live.progress import INDICATOR_SECONDS
from raytao.runs.eta import Remaining, remaining
from raytao.runs.log import read_log
from raytao.runs.place import store_at
from raytao.runs.state import RunState
from raytao.runs.store import MemoryStore
from raytao.setup.folder import claim, open_folder
from raytao.setup.job import job_of
from raytao.setup.resolve import resolve
from raytao.setup.setup import Setup
from raytao.tao import layout
from raytao.testing.folder_run import Conditions, Sight, run_in_folder
from raytao.testing.places import local

HYPERBAND = (
    "network: toy\nbrain: {name: hyperband, R: 9, nu: 3, epoch_multiplier: 1, mode: sync}\n"
)
BAYESIAN = (
    "network: toy\nbrain: {name: bayesian, max_recommendations: 4}\nset: {train.num_epochs: 3}\n"
)
BRAINS = pytest.mark.parametrize("text", [HYPERBAND, BAYESIAN], ids=["hyperband", "bayesian"])
LEFT = "Number of epochs yet to start"


class Killed(BaseException):
    """The driver dies here."""


class Remembering(MemoryStore):
    """Keeps every drawing of the indicators."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[dict[str, Any]] = []

    def replace(self, key: str, data: bytes) -> None:
        super().replace(key, data)
        if key == layout.METADATA:
            self.drawn.append(json.loads(data))


def prepared(folder: Path, text: str) -> Setup:
    (folder / "run.yaml").write_text(text)
    return resolve(str(folder / "run.yaml"), [f"results_dir={folder / 'results'}"])


def killed_after(epochs: int, setup: Setup) -> None:
    """Run until so many epochs were taken in."""
    seen = 0

    def witness(sight: Sight) -> None:
        nonlocal seen
        seen += sight.what == "answered"
        if seen == epochs:
            raise Killed

    local(setup.results).mkdir(exist_ok=True)
    with pytest.raises(Killed):
        run_in_folder(setup, store_at(setup.results), witness=witness)


def states(setup: Setup) -> Iterator[tuple[RunState, Remaining]]:
    """The state after every record of a whole run, one trial at a time, and what is left then."""
    store, state = MemoryStore(), RunState()
    run_in_folder(setup, store, Conditions(draw_every=100))
    plan = setup.new_brain().plan()
    for record in read_log(store, layout.EVENTS):
        state.take(record)
        yield state, remaining(state, plan, 1)


def test_row_062_the_four_indicators_are_shown_while_it_runs(tmp_path: Path) -> None:
    setup = prepared(tmp_path, HYPERBAND)
    killed_after(4, setup)
    with claim(setup.results):
        shown = CliRunner().invoke(main, ["status", str(setup.results)]).stdout
        named = ("Current experiment", "Epochs pending", "Time remaining", "Best so far")
        assert all(name in shown for name in named)
        opened, state = open_folder(setup.results)
        payload = job_of(opened, state, setup.results)
    stats = {one["metric"]: one["value"] for one in payload["result"]["stats"]}
    assert payload["status"] == "Running"
    assert stats["Current experiment number"] == "4"
    assert stats[LEFT] == "32.0"
    assert stats["Estimated time for automl completion"] == "0:00:32"
    assert payload["result"]["automl_result"][0]["value"] > 0


def test_row_063_the_eta_of_even_epochs_is_their_number_times_their_time(tmp_path: Path) -> None:
    for state, left in states(prepared(tmp_path, HYPERBAND)):
        each = left.epoch_seconds
        if not state.epochs:
            assert (left.seconds, each) == (None, None)
        elif not state.finished:
            assert each == sum(state.recent) / len(state.recent)
            assert left.seconds == left.epochs * each


def test_row_063_what_is_left_of_a_bayesian_run_is_counted_as_tao_counts_it(
    tmp_path: Path,
) -> None:
    """TAO: the rest of the current experiment, and all of those that were not created yet."""
    per_experiment, most = 3, 4
    for state, left in states(prepared(tmp_path, BAYESIAN)):
        if not state.trials or state.finished:
            continue
        current, created = state.trials[max(state.trials)], len(state.trials)
        rest = (per_experiment - current.epochs) + (most - created) * per_experiment
        assert left.epochs == rest


@BRAINS
def test_row_064_at_the_end_eta_and_epochs_are_zero_and_the_status_is_done(
    text: str, tmp_path: Path
) -> None:
    store, setup = Remembering(), prepared(tmp_path, text)
    state = run_in_folder(setup, store)
    last = store.drawn[-1]
    assert (last[LEFT], last["Estimated time for automl completion"]) == (0.0, "0:00:00")
    assert job_of(setup, state, setup.results)["status"] == "Done"


@BRAINS
@pytest.mark.parametrize("metric", ["value", "loss"])
def test_row_065_the_best_so_far_never_gets_worse(text: str, metric: str, tmp_path: Path) -> None:
    store = Remembering()
    down = metric == "loss"
    how = Conditions(
        slots=2, objective=lambda spec, epoch: 0.9 - 0.1 * float(str(spec["model.x"]))
    )
    run_in_folder(prepared(tmp_path, f"metric: {metric}\n{text}"), store, how)
    best = [d[f"best_{metric}"] for d in store.drawn if "Best experiment id" in d]
    assert best == sorted(best, reverse=down)
    assert len(set(best)) > 1


@pytest.mark.parametrize(("status", "breaks"), [("Done", False), ("Error", True)])
def test_row_066_a_client_looks_every_15_seconds_and_ends_on_done_or_error(
    status: str, breaks: bool, tmp_path: Path
) -> None:
    assert INDICATOR_SECONDS == 15.0
    setup = prepared(tmp_path, BAYESIAN)
    how = Conditions(draw_every=50, fails=lambda trial, epoch: breaks)
    state = run_in_folder(setup, store_at(setup.results), how)
    assert job_of(setup, state, setup.results)["status"] == status
    watched = CliRunner().invoke(main, ["status", str(setup.results), "--watch"])
    assert watched.exit_code == 0  # it has ended


def begin_on_a_thread(setup: Setup) -> threading.Thread:
    store = store_at(setup.results)
    local(setup.results).mkdir()
    thread = threading.Thread(target=lambda: run_in_folder(setup, store), daemon=True)
    thread.start()
    return thread


def test_row_067_polling_the_indicators_ends_and_never_meets_half_a_file(tmp_path: Path) -> None:
    setup = prepared(tmp_path, HYPERBAND)
    files = [local(setup.results / name) for name in ("automl_metadata.json", "controller.json")]
    run, left, seen = begin_on_a_thread(setup), 36.0, set()
    deadline = time.monotonic() + 9
    while left and time.monotonic() < deadline:
        if not files[0].exists():  # drawn after the other
            continue
        indicators, trials = (json.loads(file.read_text()) for file in files)
        left = indicators[LEFT]
        seen.add(left)
        assert [trial["id"] for trial in trials] == list(range(len(trials)))
    run.join()
    assert left == 0.0
    assert len(seen) > 5


def test_row_067_polling_the_logs_shows_each_trial_s_after_the_other(tmp_path: Path) -> None:
    """``poll_automl_stats`` False; TAO's sentence about it says the opposite of what it does."""
    setup = prepared(tmp_path, BAYESIAN)
    local(setup.results).mkdir()
    shown = []
    with claim(setup.results):
        run = threading.Thread(
            target=lambda: run_in_folder(setup, store_at(setup.results)), daemon=True
        )
        run.start()
        while not local(setup.results / layout.EVENTS).exists():
            time.sleep(0.01)
        for trial in range(4):
            command = ["logs", str(setup.results), "-n", str(trial), "--follow"]
            shown.append(CliRunner().invoke(main, command).stdout)
        run.join()
    assert shown == ["training epoch 1\ntraining epoch 2\ntraining epoch 3\n"] * 4
