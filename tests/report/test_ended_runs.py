"""What is said of a run that ended, or ends, before its plan."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from raytao.cli.main import main
from raytao.report.live.progress import PlainObserver, header
from raytao.report.plan import plan_text
from raytao.report.summary import summary
from raytao.report.words import how_to_go_on, outcome
from raytao.runs.events import (
    Event,
    Finished,
    Leased,
    Opened,
    Reported,
    Retried,
    Returned,
    Started,
    Stopped,
)
from raytao.runs.log import Record
from raytao.runs.place import store_at
from raytao.runs.state import RunState
from raytao.setup.request import Ask
from raytao.setup.resolve import resolve
from raytao.setup.schedule import forecast
from raytao.setup.setup import Setup
from raytao.testing.folder_run import run_in_folder
from raytao.testing.places import local

RUN = """
network: toy
brain: {name: random, max_recommendations: 3}
set: {train.num_epochs: 2}
budget: {hours: 8, epochs: 500}
"""
OPENED = Opened({}, "value", "maximize", "1.0")
BUDGET = {"epochs": 2}


def fold(*events: Event) -> RunState:
    return RunState.fold(Record(n, 0.0, event) for n, event in enumerate([OPENED, *events]))


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setup:
    monkeypatch.chdir(tmp_path)
    Path("run.yaml").write_text(RUN)
    return resolve("run.yaml", ["results_dir=r"])


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([], "Running"),
        ([Stopped("stopped by request")], "Running (stopped by request)"),
        ([Finished("Done")], "Done"),
        ([Finished("Error", "no trial has a result")], "Error"),
        (
            [Stopped("budget spent: 8 hours"), Finished("Done", "budget spent: 8 hours")],
            "Done (budget spent: 8 hours)",
        ),
    ],
)
def test_the_first_word_says_why_a_run_ended_before_its_plan(
    events: list[Event], said: str
) -> None:
    state = fold(*events)
    assert outcome(state) == said
    assert next(summary(state, Path("r"), None)).startswith(f"{said}: ")


@pytest.mark.parametrize(
    ("function", "how"),
    [
        (None, "raytao resume r"),
        ({"name": "f", "kind": "reports"}, ".resume(train=…)"),
        ({"name": "f", "kind": "loop"}, ".ask(resume=True)"),
    ],
)
def test_how_to_go_on_fits_the_kind_of_run(function: dict[str, str] | None, how: str) -> None:
    state = fold(Stopped("stopped by request"), Finished("Done"))
    state.opened = Opened({} if function is None else {"function": function}, "v", "maximize", "1")
    assert how_to_go_on(state, "r").endswith(how)
    assert how_to_go_on(fold(Finished("Done")), "r") == ""


def test_a_log_tells_what_kept_trials_from_going_on(
    setup: Setup, capsys: pytest.CaptureFixture[str]
) -> None:
    observer = PlainObserver(setup)
    events: list[Event] = [
        Started(0, {}, BUDGET, BUDGET, "why", "job"),
        Leased(0, 1),
        Retried(0, 1, "oom", "out of memory", smaller_batch=True),
        Leased(0, 2),
        Reported(0, 2, 1, {"value": 0.5, "score": 0.5}, 1.0),
        Stopped("stopped by request"),
        Returned(0, 2),
    ]
    for event in events:
        observer.event(event, fold(*events[: events.index(event) + 1]))
    told = capsys.readouterr().err
    assert "recommendation 0 broke (oom), offered again with half its batch: out of mem" in told
    assert "ending: stopped by request" in told
    assert "recommendation 0 is left at epoch 1" in told


def test_a_budget_is_shown_before_and_while_it_is_spent(setup: Setup) -> None:
    assert "budget 8 hours, 500 epochs" in header(setup)
    assert "at most 8 hours, 500 epochs" in plan_text(setup, forecast(setup))
    local(setup.results).mkdir()
    run_in_folder(setup, store_at(setup.results))
    shown = CliRunner().invoke(main, ["status", "r"]).output
    assert "Budget used" in shown
    assert "6 of 500 epochs" in shown


@pytest.mark.parametrize(("ask", "word"), [(Ask.STOP, "Done"), (Ask.CANCEL, "Canceled")])
def test_status_and_the_page_say_why_and_how_to_go_on(ask: Ask, word: str, setup: Setup) -> None:
    local(setup.results).mkdir()
    run_in_folder(setup, store_at(setup.results))
    log = local(setup.results / "events.jsonl")
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:-2]))  # as a driver leaves it that was killed at its end
    ended = CliRunner().invoke(main, [ask.value, "r"])
    assert ended.exit_code == 0, ended.output
    shown = CliRunner().invoke(main, ["status", "r"]).output
    assert f"status {word}" in shown
    assert f"ended before its plan: {ask.reason}" in shown
    assert "raytao resume r" in shown
    assert CliRunner().invoke(main, ["report", "r"]).exit_code == 0
    page = local(setup.results / "report.html").read_text()
    assert ask.reason in page
    assert "the rest of its plan:" in page
