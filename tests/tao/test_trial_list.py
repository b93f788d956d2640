"""controller.json: what is kept of it is what would be rendered anew."""

from __future__ import annotations

import json

import pytest

from raytao.brains.base import Task
from raytao.brains.hyperband import Hyperband, HyperbandSettings
from raytao.runs.events import Changed, Event, Placed, Reported
from raytao.runs.events import Resumed as NewDriver
from raytao.runs.log import Record, read_log
from raytao.runs.state import RunState
from raytao.space import Float, Space
from raytao.tao.trial_list import TrialList, controller_json
from raytao.testing.objectives import LearningCurves
from raytao.testing.operations import operations
from raytao.testing.simulator import LOG_KEY, simulate

SPACE = Space([Float("lr", 1e-4, 1e-1, log=True), Float("momentum", 0.0, 0.99)])


def log_of_a_run() -> list[Record]:
    chosen = HyperbandSettings(R=9, nu=3, epoch_multiplier=1, brackets=8, mode="sync")
    run = simulate(
        Hyperband(Task(SPACE, 9), chosen),
        LearningCurves(SPACE),
        workers=4,
        fails=lambda trial, epoch: trial % 5 == 2 and epoch == 2,
    )
    return read_log(run.store, LOG_KEY)


LOG = log_of_a_run()


def rendered(state: RunState) -> bytes:
    return json.dumps(controller_json(state), indent=2).encode() + b"\n"


WHOLE: list[Event] = [record.event for record in LOG]
RESUMED: list[Event] = [
    *WHOLE[:30],
    Placed(0, 1, "node", 7, 1.0, 0.0),
    *WHOLE[30:60],
    NewDriver("host", 1, "1.0"),
    Changed({}, "value", "minimize", anew=True),
    WHOLE[-1],
]


@pytest.mark.parametrize("events", [WHOLE, RESUMED])
@pytest.mark.parametrize("every", [1, 7])
def test_after_any_event_the_file_says_what_it_would_say_if_it_were_made_anew(
    events: list[Event], every: int
) -> None:
    kept, state = TrialList(), RunState()
    for number, event in enumerate(events):
        state.apply(event)
        if number % every == 0:
            assert kept.render(state) == rendered(state)
    assert kept.render(state) == rendered(state)
    assert state.finished is not None


def test_only_what_has_changed_is_rendered_again() -> None:
    kept, state = TrialList(), RunState.fold(LOG)
    first = operations(lambda: kept.render(state))
    state.apply(Reported(3, 1, state.trials[3].epochs + 1, {"value": 0.0, "score": 0.0}, 1.0))
    again = operations(lambda: kept.render(state))
    assert kept.render(state) == rendered(state)
    assert again < first / 5
