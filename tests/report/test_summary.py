"""The last words of a run: what failed is a warning where there is a result all the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from raytao.report.summary import summary
from raytao.runs import events
from raytao.runs.events import Retried
from raytao.runs.log import Record
from raytao.runs.state import RunState
from raytao.setup.setup import Setup

MakeRun = Callable[..., tuple[Setup, list[Record]]]
RANDOM = "{name: random, max_recommendations: 4}"


def test_failures_beside_a_result_are_a_warning(make_run: MakeRun, tmp_path: Path) -> None:
    _, records = make_run(RANDOM, epochs=2, fails=lambda trial, epoch: trial == 1)
    lines = list(summary(RunState.fold(records), tmp_path, None))
    assert "warning      1 of 4 trials failed" in lines


def test_a_run_without_a_result_has_failed(make_run: MakeRun, tmp_path: Path) -> None:
    _, records = make_run(RANDOM, epochs=2, fails=lambda trial, epoch: True)
    lines = list(summary(RunState.fold(records), tmp_path, None))
    assert lines[0].startswith("Error")
    assert "best model   none: no trial has a result" in lines
    assert "failed       4 of 4 trials" in lines
    assert not [line for line in lines if line.startswith("warning")]


def test_a_run_without_failures_warns_of_nothing(make_run: MakeRun, tmp_path: Path) -> None:
    _, records = make_run(RANDOM, epochs=2)
    assert "failed" not in "\n".join(summary(RunState.fold(records), tmp_path, None))


def test_the_test_set_s_numbers_are_the_best_model_s(make_run: MakeRun, tmp_path: Path) -> None:
    _, records = make_run(RANDOM, epochs=2)
    state = RunState.fold(records)
    best = state.incumbent
    assert best is not None
    for epoch, told in ((best.epoch, True), (3 - best.epoch, False)):
        state.apply(events.Tested(best.trial, epoch, {"test_value": 0.25}))
        assert ("test         test_value 0.2500" in summary(state, tmp_path, None)) is told
        state.apply(events.Tested(best.trial, epoch, {}, "no data"))
        assert ("test         not measured: no data" in summary(state, tmp_path, None)) is told


def test_trials_with_a_smaller_batch_are_named(make_run: MakeRun, tmp_path: Path) -> None:
    _, records = make_run(RANDOM, epochs=2)
    leased = next(n for n, r in enumerate(records) if r.event.kind == "leased") + 1
    state = RunState.fold(records[:leased])
    state.apply(Retried(0, 1, "oom", "no memory", smaller_batch=True))
    lines = list(summary(state, tmp_path, None))
    assert "note         smaller batch after out of memory: 0" in lines


def test_the_last_words_name_the_command_that_shows_the_run(
    make_run: MakeRun, tmp_path: Path
) -> None:
    _, records = make_run(RANDOM, epochs=2)
    folder = tmp_path / "my run"
    assert f"look at it   raytao report '{folder}'" in summary(
        RunState.fold(records), folder, None
    )
