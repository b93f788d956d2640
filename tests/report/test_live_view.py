"""The live view: what fits is shown, on any terminal, of any run."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from rich.live import Live

from raytao.brains.base import Plan, PlanRow
from raytao.report.live.gauges import sparkline
from raytao.report.live.progress import LiveObserver, console_on, shows_live
from raytao.report.live.terminal import PRINTED_ROWS, live, printed
from raytao.report.words import gain
from raytao.runs.controller import Controller
from raytao.runs.eta import Remaining, remaining
from raytao.runs.events import (
    Broke,
    Event,
    Finished,
    Judged,
    Leased,
    Opened,
    Placed,
    Reported,
    Started,
)
from raytao.runs.opening import open_run
from raytao.runs.state import RunState
from raytao.runs.store import MemoryStore
from raytao.setup.resolve import resolve_values
from raytao.testing.simulator import LOG_KEY, Cluster, Functions
from raytao.testing.toy import curve
from raytao.types import Json

HEADER = "raytao toy · hyperband · value (maximize) · 3 parameters\nresults in runs/toy"
SYNC = {"name": "hyperband", "R": 27, "nu": 3, "epoch_multiplier": 1, "mode": "sync"}
CLIMB = {**SYNC, "mode": "async", "sampler": "random", "promotion": "rank"}
FLAT = {"name": "random", "max_recommendations": 8}
BRAINS = [
    pytest.param(one, id=name) for name, one in (("sync", SYNC), ("async", CLIMB), ("flat", FLAT))
]


class _Enough(Exception):
    """The run is far enough."""


def under_way(brain: dict[str, Json], epochs: int) -> tuple[RunState, Plan]:
    """A run of four workers, all of whom train, after so many epochs."""
    values = {"network": "toy", "brain": brain, "set": {"train.num_epochs": 27}}
    made = resolve_values({**values, "results_dir": "r"}, caller="test").new_brain()
    opened = Opened({}, "value", "maximize", "1.0")
    controller: Controller = open_run(MemoryStore(), LOG_KEY, made, opened, slots=4)

    def turn() -> None:
        if controller.state.epochs >= epochs and controller.state.busy == 4:
            raise _Enough

    with pytest.raises(_Enough):
        Cluster(controller, Functions(curve), turn=turn).run()
    return controller.state, made.plan()


def screen(shown: object, width: int, height: int, encoding: str = "utf-8") -> list[str]:
    """The lines that a terminal of that size gets."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    console = Console(
        width=width, height=height, file=file, force_terminal=True, color_system=None
    )
    console.print(shown)
    file.seek(0)
    return file.read().splitlines()


def left_of(state: RunState, plan: Plan) -> Remaining:
    return remaining(state, plan, 4)


@pytest.mark.parametrize("width", [44, 60, 80, 200])
def test_the_gain_is_told_to_its_end(width: int) -> None:
    state, plan = under_way(FLAT, 40)
    lines = screen(live(HEADER, state, left_of(state, plan), plan), width, 40)
    begins = next(number for number, line in enumerate(lines) if "gain " in line)
    ends = next(number for number, line in enumerate(lines) if line.rstrip().endswith("epochs)"))
    told = " ".join(line.strip() for line in lines[begins : ends + 1])
    assert told == " ".join(gain(state).splitlines()[0].split())


@pytest.mark.parametrize("brain", BRAINS)
@pytest.mark.parametrize("height", [3, 6, 10, 16, 24, 60])
@pytest.mark.parametrize("width", [20, 60, 80, 200])
def test_it_is_never_larger_than_the_terminal(
    brain: dict[str, Json], width: int, height: int
) -> None:
    for epochs in (0, 5, 40):
        state, plan = under_way(brain, epochs)
        lines = screen(live(HEADER, state, left_of(state, plan), plan), width, height)
        assert len(lines) < height
        assert max(map(len, lines)) <= width


@pytest.mark.parametrize("brain", BRAINS)
@pytest.mark.parametrize(("width", "height"), [(60, 24), (80, 24), (200, 50)])
def test_the_indicators_the_running_trials_and_their_brackets_are_shown(
    brain: dict[str, Json], width: int, height: int
) -> None:
    state, plan = under_way(brain, 40)
    lines = screen(live(HEADER, state, left_of(state, plan), plan), width, height)
    named = ("Current experiment", "Epochs pending", "Time remaining", "Best so far")
    for name in (*named, "Workers             4 of 4 busy", "Best over epochs"):
        assert any(line.startswith(name) for line in lines), name
    numbers = {line.split()[0] for line in lines if line[:3].strip().isdigit()}
    assert {str(trial.number) for trial in state.running()} <= numbers
    assert any(line.startswith("arrived at") for line in lines) == (brain is not FLAT)
    assert any("░" in line and "/" in line for line in lines)


def test_the_brackets_count_who_arrived_and_how_many_places_there_are() -> None:
    state, plan = under_way(SYNC, 40)
    lines = screen(live(HEADER, state, left_of(state, plan), plan), 80, 24)
    first = next(line for line in lines if line.startswith("bracket 1"))
    assert "27/27" in first
    assert "/9" in first
    assert "/3" in first
    # Without brackets, whoever was sent to a rung is counted there.
    state, plan = under_way(CLIMB, 40)
    lines = screen(live(HEADER, state, left_of(state, plan), plan), 80, 24)
    row = next(line for line in lines if line.startswith("all trials"))
    assert f"/{len(state.trials)} " in row


def test_a_terminal_without_these_characters_gets_plain_ones() -> None:
    state, plan = under_way(SYNC, 40)
    shown = "\n".join(screen(live(HEADER, state, left_of(state, plan), plan), 80, 24, "latin-1"))
    assert shown.isascii()
    assert "####" in shown
    assert "bracket 1" in shown


def test_colour_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    state, plan = under_way(SYNC, 40)
    file = io.StringIO()
    console = Console(width=80, height=24, file=file, force_terminal=True)
    console.print(live(HEADER, state, left_of(state, plan), plan))
    told = file.getvalue()
    assert not any(f"\x1b[{color}" in told for color in range(30, 50))
    assert all(one in told for one in "█▒░")  # arrived, on the way, open


def test_what_is_left_is_told_after_the_first_epoch() -> None:
    state, plan = under_way(FLAT, 0)
    lines = screen(live(HEADER, state, left_of(state, plan), plan), 80, 24)
    assert any("told after the first epoch" in line for line in lines)
    state, plan = under_way(FLAT, 40)
    lines = screen(live(HEADER, state, left_of(state, plan), plan), 80, 24)
    assert any(line.startswith("Time remaining      0:0") for line in lines)


def of_one(*events: Event, metric: str = "value") -> RunState:
    state = RunState()
    budget = {"epochs": 2}
    begun: list[Event] = [
        Opened({}, metric, "maximize", "0"),
        Started(0, {}, budget, budget, "why", "job"),
    ]
    for event in [*begun, Leased(0, 1), *events]:
        state.apply(event)
    return state


def test_what_trials_use_of_what_they_were_given_is_shown() -> None:
    used = {"cores": 1.5, "gpu_utilisation": 0.874, "gpu_memory_gib": 12.34}
    state = of_one(
        Placed(0, 1, "gpu-3", 812, 2.0, 1.0, ["0"]),
        Reported(0, 1, 1, {"value": 0.5, "score": 0.5}, 1.0, used),
    )
    left = Remaining(1, 1.0, 1.0, slots=4, driven=0.0)
    narrow = "\n".join(screen(live(HEADER, state, left, Plan(())), 80, 24))
    assert "1 of 4 busy, using 1.5 of 2 CPUs, GPU 87 %, 12.3 GiB" in narrow
    wide = screen(live(HEADER, state, left, Plan(())), 120, 24)
    assert any("1.5 cores, GPU 87 %" in line for line in wide if line.startswith("  0"))


@pytest.mark.parametrize("width", [80, 120])
def test_without_a_driver_no_trial_runs_whatever_the_log_says_last(width: int) -> None:
    used = {"cores": 1.5}
    state = of_one(
        Placed(0, 1, "gpu-3", 812, 2.0, 1.0, ["0"]),
        Reported(0, 1, 1, {"value": 0.5, "score": 0.5}, 1.0, used),
    )
    left = Remaining(1, 1.0, 1.0, slots=4, driven=0.0)
    views = (
        live(HEADER, state, left, Plan(()), driven=False),
        printed(state, left, Plan(()), driven=False),
    )
    for view in views:
        lines = [line for line in screen(view, width, 24) if line.strip()]
        assert lines[-1].split()[:3] == ["0", "interrupted", "1/2"]
        shown = "\n".join(lines)
        assert not any(word in shown for word in ("running", "busy", "cores", "left", "░"))


@pytest.mark.parametrize(("height", "times"), [(60, 0), (24, 1)])
def test_a_header_that_stands_above_the_view_is_not_said_again_while_it_is_seen(
    height: int, times: int
) -> None:
    state, plan = under_way(SYNC, 60)
    view = live(HEADER, state, left_of(state, plan), plan, above=6)
    lines = screen(view, 80, height)
    assert len([line for line in lines if line.startswith("raytao toy")]) == times
    assert len(lines) + (0 if times else 6) < height
    assert "raytao toy" in screen(live(HEADER, state, left_of(state, plan), plan), 80, height)[0]


def test_a_run_s_own_view_goes_without_the_header_that_was_said_before_it(tmp_path: Path) -> None:
    values = {"network": "toy", "brain": FLAT, "results_dir": str(tmp_path)}
    setup = resolve_values(values, caller="test")
    state, plan = under_way(FLAT, 5)
    file = io.StringIO()
    console = Console(width=80, height=60, file=file, force_terminal=True, color_system=None)
    with Live(console=console, auto_refresh=False) as view:
        LiveObserver(setup, view).step(state, left_of(state, plan))
    assert "Best so far" in file.getvalue()
    assert "raytao toy" not in file.getvalue()


def test_a_run_of_failures_only_says_so() -> None:
    state = of_one(Broke(0, 1, "error", "no [/INST] \x1b[2J memory"), Judged(0, "stop"))
    lines = screen(live(HEADER, state, left_of(state, Plan(())), Plan(())), 80, 24)
    assert any(line.startswith("Best so far") and "–" in line for line in lines)
    assert any(r"failed" in line and r"no [/INST] \x1b[2J memory" in line for line in lines)


def test_a_long_name_of_a_metric_leaves_room_for_the_rest() -> None:
    metric = "validation/mean_average_precision_of_everything"
    told = {metric: 0.5, "score": 0.5}
    state = of_one(Reported(0, 1, 1, told, 1.0), metric=metric)
    lines = screen(live(HEADER, state, left_of(state, Plan(())), Plan(())), 60, 24)
    row = next(line for line in lines if line.startswith("  0"))
    assert "0.5000" in row
    assert "why" in row


def over(trials: int) -> tuple[RunState, Plan]:
    """A run that is over, of so many trials of one epoch."""
    state = RunState()
    state.apply(Opened({}, "value", "maximize", "0"))
    for number in range(trials):
        value = number * 7 % trials / trials
        state.apply(Started(number, {}, {"epochs": 1}, {"epochs": 1}, "why", "job"))
        state.apply(Leased(number, 1))
        state.apply(Reported(number, 1, 1, {"value": value, "score": value}, 1.0))
        state.apply(Judged(number, "stop"))
    state.apply(Finished("Done"))
    return state, Plan((PlanRow(0, 0, trials, 1),))


def test_of_five_thousand_trials_the_best_forty_are_printed() -> None:
    state, plan = over(5000)
    lines = screen(printed(state, left_of(state, plan), plan, beside=3), 80, 24)
    assert lines[-1].rstrip() == f"… and {5000 - PRINTED_ROWS} more"
    best = state.incumbent
    assert best is not None
    assert any(line.split()[:1] == [str(best.trial)] for line in lines)


def test_what_is_printed_once_has_every_trial_of_a_small_run_on_a_low_terminal() -> None:
    state, plan = over(20)
    lines = screen(printed(state, left_of(state, plan), plan), 80, 15)
    assert {number for line in lines for number in line.split()[:1]} >= {str(n) for n in range(20)}


def test_in_a_pipe_every_trial_is_shown_with_words_for_bars() -> None:
    state, plan = over(200)
    piped = io.StringIO()
    Console(file=piped, width=160).print(printed(state, left_of(state, plan), plan))
    rows = [line for line in piped.getvalue().splitlines() if "finished" in line]
    assert len(rows) == 200
    assert not any(bars in line for bars in "█▒░" for line in rows)


def test_a_sparkline_ends_with_the_last_value_and_a_flat_one_is_in_the_middle() -> None:
    assert sparkline([(0.0, 1.0), (99.9, 2.0)], 100.0, 4) == "▁▁▁█"
    assert sparkline([(0.0, 1.0)], 10.0, 4) == "▅▅▅▅"
    assert sparkline([(0.0, 2.0), (5.0, 1.0)], 10.0, 4) == "██▁▁"  # a loss that falls
    assert sparkline([], 10.0, 4) == ""


def test_a_dumb_terminal_has_no_view_that_renews_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def here(term: str, *, tty: bool = True) -> Console:
        monkeypatch.setenv("TERM", term)
        return Console(file=io.StringIO(), force_terminal=tty)

    assert shows_live(here("xterm-256color"))
    assert not shows_live(here("dumb"))
    assert not shows_live(here("xterm-256color", tty=False))
    with (tmp_path / "out").open("w", encoding="latin-1") as file:
        monkeypatch.setattr("sys.stdout", file)
        console_on("stdout").print("val_acc ≥ 0.9")
    assert (tmp_path / "out").read_text() == "val_acc \\u2265 0.9\n"
