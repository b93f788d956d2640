"""The figures at the top of a page: what was found, what it gains, what it took."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pages import Run

from raytao.report.page.cost import Cost, Price
from raytao.report.page.found import Card, cards
from raytao.runs import events
from raytao.runs.events import Finished
from raytao.runs.log import Record
from raytao.runs.state import RunState
from raytao.setup.setup import Setup
from raytao.types import SCORE

MakeRun = Callable[..., Run]


def always(trial: int, epoch: int) -> bool:
    return True


def own_spec(trial: int, epoch: int) -> bool:
    return trial == 0


def only_own_spec(trial: int, epoch: int) -> bool:
    return trial > 0


def found(
    setup: Setup, records: list[Record], cost: Cost | None = None, price: Price | None = None
) -> dict[str, Card]:
    state, plan = RunState.fold(records), setup.new_brain().plan()
    return {card.name: card for card in cards(setup.metric, state, plan, cost, price)}


def test_the_best_value_and_its_gain_are_told(make_run: MakeRun) -> None:
    setup, records = make_run()
    state, told = RunState.fold(records), found(setup, records)
    best, base = state.incumbent, state.baseline
    assert best is not None
    assert base is not None
    assert told["Best value"].value == f"{best.value:.4f}"
    assert "larger is better" in told["Best value"].lines
    assert told["Gain over your spec"].value == f"+{best.score - base.score:.4f}"
    early = state.trials[best.trial].history[base.fidelity][SCORE]
    assert f"at equal epochs: {early - base.score:+.4f}" in told["Gain over your spec"].lines


def test_there_is_no_gain_where_nothing_can_be_compared(make_run: MakeRun) -> None:
    assert found(*make_run(fails=own_spec))["Gain over your spec"].value == "–"
    led = found(*make_run(fails=only_own_spec))["Gain over your spec"]
    assert (led.value, led.lines) == ("–", ("your own spec (recommendation 0) leads",))
    none = found(*make_run(fails=always))
    assert "Gain over your spec" not in none
    assert none["Best value"].lines == ("no recommendation has a result",)


def test_the_test_set_is_shown_where_it_was_measured(make_run: MakeRun) -> None:
    setup, records = make_run()
    *before, last = records
    assert isinstance(last.event, Finished)
    best = RunState.fold(records).incumbent
    assert best is not None
    tested = events.Tested(best.trial, best.epoch, {"test_value": 0.4321, "test_images": 450})
    card = found(setup, [*before, replace(last, event=tested)])["Test set"]
    assert card.value == "0.4321"
    assert card.lines[0] == "test_value 0.4321, test_images 450"
    refused = replace(tested, metrics={}, reason="no test data")
    card = found(setup, [*before, replace(last, event=refused)])["Test set"]
    assert (card.value, card.lines) == ("–", ("not measured: no test data",))
    for of_another in (tested, refused):
        event = replace(of_another, epoch=best.epoch - 1)
        assert "Test set" not in found(setup, [*before, replace(last, event=event)])


def test_what_was_trained_is_told_of_what_was_planned(make_run: MakeRun) -> None:
    setup, records = make_run(fails=own_spec)
    state, plan = RunState.fold(records), setup.new_brain().plan()
    card = found(setup, records)["Epochs trained"]
    assert card.value == str(state.epochs)
    assert card.lines[0] == f"of {plan.epochs} planned"
    assert card.lines[-1] == "1 of them failed"


def test_the_cost_is_money_gpu_time_or_cpu_time_whichever_is_known(make_run: MakeRun) -> None:
    run = make_run()
    cost = Cost(held=7_200, cpus=14_400, gpus=7_200, driven=3_600)
    assert found(*run, cost, Price(2.5))["Cost"].value == "5.00"
    assert found(*run, cost)["GPU time"].value == "2.00 h"
    on_cpus = found(*run, replace(cost, gpus=0.0), Price(2.5))
    assert on_cpus["CPU time"].value == "4.00 h"
    assert "Cost" not in on_cpus
    assert "Time" not in found(*run)
