"""``raytao plan`` shows what a run begins with, and mistakes in it are refused; nothing starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from raytao.cli.main import main
from raytao.runs.store import MemoryStore
from raytao.setup.resolve import resolve
from raytao.tao import layout
from raytao.testing.folder_run import run_in_folder
from raytao.testing.places import local

RUN = """\
network: toy
set: {train.num_epochs: 2}
brain: {name: random, max_recommendations: 6}
initial:
  - {model.x: 0.25}
warm_start:
  runs: [results/first]
  best: 1
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an earlier run in results/first, and a run file that begins with it."""
    monkeypatch.chdir(tmp_path)
    Path("first.yaml").write_text("network: toy\nbrain: {name: random, max_recommendations: 4}\n")
    first = resolve("first.yaml", ["train.num_epochs=1"])
    store = MemoryStore()
    run_in_folder(first, store)
    local(first.results).mkdir(parents=True)
    local(first.results / layout.EVENTS).write_bytes(store.read(layout.EVENTS) or b"")
    Path("run.yaml").write_text(RUN)
    return tmp_path


def plan(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["plan", "run.yaml", *arguments])


def refused(result: Result, code: int, *parts: str) -> None:
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    for part in parts:
        assert part in result.stderr


def test_the_plan_names_what_is_trained_before_the_brain_thinks(here: Path) -> None:
    result = plan("warm_start.trust=true")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    begins = lines.index("begins with")
    assert lines[begins + 1 : begins + 4] == [
        "  0  your spec",
        "  1  initial 1 of 1: model.x 0.25",
        "     model.x 0.25",
    ]
    assert lines[begins + 4].startswith("  2  portfolio 1 of 1: recommendation ")
    assert lines[begins + 4].endswith(" of results/first")
    assert "evidence         4 results of earlier runs, trusted" in lines
    assert sorted(path.name for path in here.iterdir()) == ["first.yaml", "results", "run.yaml"]
    assert [path.name for path in (here / "results").iterdir()] == ["first"]


def test_the_plan_as_data_has_all_of_it(here: Path) -> None:
    told = json.loads(plan("--json").stdout)
    assert [one["why"].partition(":")[0] for one in told["initial"]] == [
        "initial 1 of 1",
        "portfolio 1 of 1",
    ]
    assert told["initial"][0]["params"] == {
        "model.x": 0.25,
        "model.y": 3,
        "model.fruit": "apple",
    }
    assert told["evidence"] == 0


def test_the_short_form_takes_keys_from_the_command_line(here: Path) -> None:
    text = RUN.partition("warm_start:")[0]
    Path("run.yaml").write_text(f"{text}warm_start: [results/first]\n")
    both = [plan("--json"), plan("warm_start.best=3", "--json")]
    assert both[0].stdout == both[1].stdout
    assert len(json.loads(plan("warm_start.best=1", "--json").stdout)["initial"]) == 2


@pytest.mark.parametrize(
    ("assignments", "parts"),
    [
        (["warm_start=[results/none]"], ["no folder results/none", "looked for /"]),
        (["warm_start.bst=2"], ["unknown key 'warm_start.bst'", "did you mean 'best'?"]),
        (["warm_start.best=-1"], ["'warm_start.best' is -1"]),
        (["warm_start.best=0"], ["takes nothing over"]),
        (["warm_start=[]"], ["must name a run's results folder"]),
        (["metric=loss"], ["metric value (maximize)", "metric loss (minimize)", "run.yaml:7:"]),
        (["initial=[{model.x: 2.0}]"], ["model.x is 2.0, which is not searched"]),
        (["initial=best.yaml"], ["'initial' must be a list", "write initial: [best.yaml]"]),
        (["brain.max_recommendations=2"], ["plans 2 recommendations", "run.yaml:6:"]),
    ],
)
def test_a_mistake_is_refused_with_place_and_remedy(
    assignments: list[str], parts: list[str], here: Path
) -> None:
    refused(plan(*assignments), 2, *parts)


def test_a_damaged_earlier_run_is_refused_as_status_does(here: Path) -> None:
    log = Path("results/first", layout.EVENTS)
    log.write_bytes(log.read_bytes().replace(b'"epoch":1', b'"epoch":9', 1))
    status = CliRunner().invoke(main, ["status", "results/first"])
    refused(plan(), 3, status.stderr.strip())


def test_a_budget_of_epochs_has_room_for_what_it_can_start(here: Path) -> None:
    """21 epochs are one full training of nine, and twelve first rungs."""
    begun = ", ".join(f"{{model.x: {0.01 * n:.2f}}}" for n in range(1, 13))
    budget = "{name: hyperband, R: 9, epoch_multiplier: 1, brackets: 1}"
    text = f"network: toy\nset: {{train.num_epochs: 9}}\nbrain: {budget}\n"
    Path("run.yaml").write_text(f"{text}initial: [{begun}]\n")
    assert plan().exit_code == 0
    Path("run.yaml").write_text(f"{text}initial: [{begun}, {{model.x: 0.55}}]\n")
    refused(plan(), 2, "are 14", "plans 13 recommendations", "run.yaml:4:")
