"""Charts: any state of a run can be drawn, and what is drawn is what the log says."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from raytao.report.pictures import captions, charts
from raytao.report.pictures.svg import inline_svg
from raytao.report.series import improvements
from raytao.runs.log import Record
from raytao.runs.state import Phase, RunState
from raytao.setup.setup import Setup
from raytao.types import SCORE, Params

MakeRun = Callable[..., tuple[Setup, list[Record]]]
RANDOM = "{{name: random, max_recommendations: {}}}"


def always(trial: int, epoch: int) -> bool:
    return True


def in_epoch_2(trial: int, epoch: int) -> bool:
    return epoch == 2


def constant(value: float) -> Callable[[Params, int], float]:
    return lambda params, epoch: value


def wild(params: Params, epoch: int) -> float:
    """Finite, but as far apart as floats can be."""
    return 1.7e308 if epoch % 2 else -1.7e308


def one_diverges(params: Params, epoch: int) -> float:
    x = float(str(params["model.x"]))
    return 1e12 if x > 0.9 else x / epoch


def early_or_late(params: Params, epoch: int) -> float:
    """A few are at their best at once, the others later, and all are worth the same there."""
    at_once = float(str(params["model.x"])) < 0.2
    return 0.25 if at_once == (epoch == 1) else 0.1 if at_once else 0.2


def drawn(setup: Setup, records: list[Record]) -> list[Figure]:
    """Every chart of the run, rendered; a warning is an error."""
    state, plan = RunState.fold(records), setup.new_brain().plan()
    found = [
        charts.incumbent(state, improvements(records)),
        charts.learning_curves(state),
        charts.brackets(state, plan),
    ]
    figures = [figure for figure in found if figure is not None]
    for figure in figures:
        assert "<path" in inline_svg(figure, "key", {}, labelled_by="words")
    said = [
        captions.incumbent(state, improvements(records)),
        captions.learning_curves(state),
        captions.brackets(state, plan),
    ]
    assert len([words for words in said if words]) == len(figures)
    return figures


def lines(figure: Figure, label: str) -> list[Line2D]:
    return [line for axes in figure.axes for line in axes.lines if line.get_label() == label]


def numbers(line: Line2D) -> list[float]:
    return [float(value) for value in np.asarray(line.get_ydata())]


@pytest.mark.parametrize(
    ("brain", "options"),
    [
        (RANDOM.format(1), {"epochs": 1}),
        (RANDOM.format(1), {"epochs": 5}),
        (RANDOM.format(9), {"epochs": 1}),
        (RANDOM.format(9), {"epochs": 4, "fails": always}),
        (RANDOM.format(9), {"epochs": 4, "fails": in_epoch_2}),
        (RANDOM.format(9), {"epochs": 4, "metric": "loss"}),
        (RANDOM.format(9), {"epochs": 4, "objective": constant(0.25)}),
        (RANDOM.format(9), {"epochs": 4, "objective": constant(-3e9)}),
        (RANDOM.format(9), {"epochs": 4, "objective": constant(0.0)}),
        (RANDOM.format(9), {"epochs": 4, "objective": wild}),
        (RANDOM.format(30), {"epochs": 4, "objective": one_diverges, "metric": "loss"}),
        ("{name: hyperband, R: 27, nu: 3, epoch_multiplier: 1, mode: sync}", {}),
        ("{name: hyperband, R: 9, nu: 3, epoch_multiplier: 1, rule: paper, mode: sync}", {}),
        ("{name: hyperband, R: 9, nu: 3, epoch_multiplier: 1, mode: sync}", {"fails": always}),
        ("{name: hyperband, R: 9, nu: 3, epoch_multiplier: 1, mode: sync}", {"fails": in_epoch_2}),
    ],
)
def test_every_kind_of_run_is_drawn(
    make_run: MakeRun, brain: str, options: dict[str, object]
) -> None:
    drawn(*make_run(brain, **options))


def test_a_run_is_drawn_at_any_moment(make_run: MakeRun) -> None:
    setup, records = make_run(
        "{name: hyperband, R: 3, nu: 3, epoch_multiplier: 1, mode: sync}", epochs=3
    )
    for length in (1, 2, 5, len(records) // 2, len(records) - 1):
        drawn(setup, records[:length])


@pytest.mark.parametrize(("metric", "sign"), [("value", 1), ("loss", -1)])
def test_there_is_one_line_of_the_best_and_it_never_gets_worse(
    make_run: MakeRun, metric: str, sign: int
) -> None:
    _, records = make_run(metric=metric)
    state = RunState.fold(records)
    figure = charts.incumbent(state, improvements(records))
    (line,) = lines(figure, "best so far")
    steps = [sign * value for value in numbers(line)]
    assert all(old <= new for old, new in pairwise(steps))
    assert state.incumbent is not None
    assert numbers(line)[-1] == state.incumbent.value
    (own,) = lines(figure, "your spec (#0)")
    assert state.baseline is not None
    assert set(numbers(own)) == {state.baseline.value}


def test_who_is_called_the_best_is_named_where_another_came_to_its_value_before(
    make_run: MakeRun,
) -> None:
    _, records = make_run(objective=early_or_late)
    state, series = RunState.fold(records), improvements(records)
    best = state.incumbent
    assert best is not None
    assert best.trial != series[-1].trial
    said = captions.incumbent(state, series)
    assert f"Recommendation {best.trial} came to the same value: of equals" in said


def test_every_trial_with_an_epoch_has_its_curve(make_run: MakeRun) -> None:
    _, records = make_run(fails=in_epoch_2)
    state = RunState.fold(records)
    figure = charts.learning_curves(state)
    assert state.incumbent is not None
    labels = ["others", "your spec (#0)", f"best (#{state.incumbent.trial})"]
    points = [v for label in labels for line in lines(figure, label) for v in numbers(line)]
    expected = [m["value"] for t in state.trials.values() for m in t.history.values()]
    assert sorted(v for v in points if not np.isnan(v)) == sorted(expected)
    (crosses,) = lines(figure, "failed")
    failed = [t for t in state.by_phase(Phase.FAILED) if t.history]
    assert sorted(numbers(crosses)) == sorted(t.history[t.epochs]["value"] for t in failed)


def test_one_diverged_training_does_not_flatten_the_others(make_run: MakeRun) -> None:
    brain = RANDOM.format(30)
    _, records = make_run(brain, epochs=4, objective=one_diverges, metric="loss")
    state = RunState.fold(records)
    scores = [m[SCORE] for t in state.trials.values() for m in t.history.values()]
    assert min(scores) == -1e12
    (axes,) = charts.learning_curves(state).axes
    assert axes.get_ylim()[1] < 10
    assert "far worse values are off the scale" in [text.get_text() for text in axes.texts]


def test_brackets_have_a_panel_each_and_a_run_without_rungs_has_none(make_run: MakeRun) -> None:
    setup, records = make_run()
    plan = setup.new_brain().plan()
    figure = charts.brackets(RunState.fold(records), plan)
    assert figure is not None
    assert len(figure.axes) == 1 + max(row.bracket for row in plan.rows)
    setup, records = make_run(RANDOM.format(3))
    assert charts.brackets(RunState.fold(records), setup.new_brain().plan()) is None


def test_epochs_are_whole_numbers_on_every_axis(make_run: MakeRun) -> None:
    _, records = make_run(RANDOM.format(2), epochs=2)
    state = RunState.fold(records)
    for figure in (
        charts.incumbent(state, improvements(records)),
        charts.learning_curves(state),
    ):
        (axes,) = figure.axes
        assert all(float(tick).is_integer() for tick in axes.get_xticks())


def test_drawing_touches_no_global_state() -> None:
    code = (
        "import sys, matplotlib\n"
        "names = sorted(set(matplotlib.rcParams) - {'backend'})  # which is chosen when read\n"
        "before = [matplotlib.rcParams[name] for name in names]\n"
        "from raytao.report.pictures import charts\n"
        "from raytao.report.pictures.svg import inline_svg\n"
        "from raytao.runs.state import RunState\n"
        "inline_svg(charts.incumbent(RunState(), ()), 'a', {}, labelled_by='b')\n"
        "assert [matplotlib.rcParams[name] for name in names] == before\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
