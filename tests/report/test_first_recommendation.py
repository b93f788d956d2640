"""What the first recommendation is called: the user's spec only where a user gave one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pages import told, train
from rich.console import Console

from raytao.automl import AutoML
from raytao.automl.table import table
from raytao.report.first import MIDDLE, NETWORKS, YOURS, begun_with, first_of, reasons
from raytao.report.live.block import block
from raytao.report.live.terminal import printed
from raytao.report.page.whole import render
from raytao.report.plan import plan_text
from raytao.report.summary import summary
from raytao.report.words import gain
from raytao.runs.state import RunState
from raytao.setup.left import left_of
from raytao.setup.resolve import resolve, resolve_values
from raytao.setup.schedule import forecast
from raytao.setup.setup import Setup
from raytao.tao.networks import find_card, known_networks
from raytao.testing.simulator import Objective
from raytao.testing.toy import curve
from raytao.types import Params

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RANDOM = {"name": "random", "max_recommendations": 4}
SPACE = {"optim.lr": (1e-5, 1e-1), "dropout": (0.0, 0.5), "optim.type": ["sgd", "adam"]}
NOBODYS = ("your spec", "your own spec", "user's spec", "Gain over your")


def of_a_function(folder: Path, *, loop: bool = False, **given: Any) -> Setup:
    own: dict[str, Any] = {**given, "space": SPACE, "metric": "val_acc", "brain": RANDOM}
    own |= {} if loop else {"train": train}
    search = AutoML(**own, epochs=2, results_dir=str(folder))
    return search._setup  # what its log begins with; nothing public shows it


def of_toy(folder: Path, **given: Any) -> Setup:
    values = {"network": "toy", "brain": RANDOM, "results_dir": str(folder), **given}
    return resolve_values(values, caller="test")


def without_dropout(params: Params, epoch: int) -> float:
    """The less the better: the middle of its range does not win."""
    return epoch - float(str(params["dropout"]))


def views(setup: Setup, objective: Objective) -> Mapping[str, str]:
    """Everything that shows the run to people."""
    _, records = told(setup, objective)
    state, plan = RunState.fold(records), setup.new_brain().plan()
    left = left_of(setup, state, plan)
    console = Console(width=200, record=True, force_terminal=False)
    with console.capture() as screen:
        console.print(printed(state, left, plan))
    return {
        "status": screen.get(),
        "block": block("", "", "Done", state, left, plan),
        "page": render(setup, records, NOW),
        "plan": plan_text(setup, forecast(setup)),
        "table": table(setup, state, driven=False).to_string(),
        "summary": "\n".join(summary(state, setup.results, 1.0)),
    }


@pytest.mark.parametrize("loop", [False, True], ids=["function", "ask and tell"])
def test_nobody_s_values_are_called_the_users_spec_nowhere(loop: bool, tmp_path: Path) -> None:
    shown = views(of_a_function(tmp_path, loop=loop), without_dropout)
    assert {name for name, text in shown.items() for word in NOBODYS if word in text} == set()
    assert "middle of every range" in shown["status"]
    assert "middle of every range" in shown["table"]
    assert "over the first recommendation (" in shown["summary"]
    assert "Gain over the first recommendation" in shown["page"]
    assert "first (#0)" in shown["page"]
    assert "longest training 2 epochs; a full training has 2" in " ".join(shown["plan"].split())


def test_a_network_s_own_spec_is_called_so_everywhere(tmp_path: Path) -> None:
    shown = views(of_toy(tmp_path), curve)
    assert {name for name, text in shown.items() for word in NOBODYS if word in text} == set()
    assert "network's own spec" in shown["status"]
    assert "What changed in the network&#39;s own spec" in shown["page"]
    assert "network's spec (#0)" in shown["page"]


def test_what_a_user_gave_stays_the_users_spec(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(find_card("toy").default_spec().dump())
    run = tmp_path / "run.yaml"
    run.write_text("network: toy\nspec: spec.yaml\n")
    given = [
        resolve(str(run)),
        of_toy(tmp_path, set={"train.num_epochs": 3}),
        resolve_values({"network": "toy"}, caller="test", spec={"train.num_epochs": 3}),
        of_a_function(tmp_path, spec={"optim.lr": 0.01}),
        of_a_function(tmp_path, loop=True, spec={"dropout": 0.1}),
    ]
    assert [begun_with(setup.opened().setup) for setup in given] == [YOURS] * len(given)
    shown = views(of_toy(tmp_path, set={"train.num_epochs": 3}), curve)
    assert "user's spec" in shown["status"]
    assert "Gain over your spec" in shown["page"]
    assert "your spec (#0)" in shown["page"]


@pytest.mark.parametrize("network", known_networks())
def test_every_network_s_own_spec_is_known_again(network: str) -> None:
    default = find_card(network).default_spec()
    text = {"format": default.format, "text": default.dump()}
    setup = {"identity": {}, "settings": {"network": network}, "spec": text}
    assert begun_with(setup) is NETWORKS
    assert begun_with({**setup, "settings": {"network": "./gone"}}) is YOURS


def test_a_brain_that_begins_with_values_of_its_own_is_not_compared_with_a_spec(
    tmp_path: Path,
) -> None:
    brain = {"name": "bayesian", "compat": "tao7", "max_recommendations": 3}
    setup = of_toy(tmp_path, brain=brain, set={"train.num_epochs": 2})
    state = RunState.fold(told(setup, curve)[1])
    assert first_of(state) is MIDDLE
    assert "spec" not in gain(state)


def test_only_the_first_reason_is_said_in_other_words(tmp_path: Path) -> None:
    state = RunState.fold(told(of_a_function(tmp_path), without_dropout)[1])
    assert reasons(state.trials[0], state) == ("middle of every range",)
    assert state.trials[0].why == ["user's spec"]  # the log keeps its word
    assert reasons(state.trials[1], state) == ("random",)
