"""Runs of every format that there was: what an old version wrote is read as it was then."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from raytao.automl.loop import Loop
from raytao.brains.gp.believed import Believer
from raytao.cli.main import main
from raytao.runs.events import FORMAT, Reported, Started
from raytao.runs.log import read_log
from raytao.runs.opening import open_run
from raytao.runs.state import RunState
from raytao.runs.store import LocalStore
from raytao.setup.drawing import redraw
from raytao.setup.folder import open_folder
from raytao.spec import Document
from raytao.tao import layout
from raytao.types import Json

HERE = Path(__file__).parent
FOLDERS = sorted(path.parent for path in HERE.glob("format_*/*/run"))
EVERY_RUN = {
    "bayesian_killed",
    "digits_done",
    "failures",
    "hyperband_done",
    "loop",
    "resumed_once",
}


@pytest.fixture(params=FOLDERS, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def golden(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


@pytest.fixture
def copy(golden: Path, tmp_path: Path) -> Path:
    return shutil.copytree(golden / "run", tmp_path / "run")


@pytest.fixture
def expected(golden: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((golden / "expected.json").read_text())
    return found


ESTIMATE = "Estimated time for automl completion"
"""A guess, which a later version may make better; that it makes one is what counts."""


def missing(told: Json, now: Json, place: str = "") -> list[str]:
    """Where ``now`` does not say all that ``told`` says; it may say more."""
    if place.endswith(ESTIMATE):
        return [] if isinstance(now, str) else [f"{place}: {told!r} -> {now!r}"]
    if isinstance(told, dict) and isinstance(now, dict):
        lost = [f"{place}.{key} is gone" for key in told if key not in now]
        both = [key for key in told if key in now]
        return lost + [m for key in both for m in missing(told[key], now[key], f"{place}.{key}")]
    if isinstance(told, list) and isinstance(now, list) and len(told) == len(now):
        pairs = enumerate(zip(told, now, strict=True))
        return [m for n, (one, other) in pairs for m in missing(one, other, f"{place}[{n}]")]
    return [] if told == now else [f"{place}: {told!r} -> {now!r}"]


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_every_format_has_every_kind_of_run() -> None:
    formats = sorted({folder.parent.name for folder in FOLDERS})
    assert formats == [f"format_{n}" for n in range(1, FORMAT + 1)]
    for name in formats:
        assert {folder.name for folder in FOLDERS if folder.parent.name == name} >= EVERY_RUN


def test_a_folder_lies_below_the_format_that_its_log_names(golden: Path, copy: Path) -> None:
    state = RunState.fold(read_log(LocalStore(copy), layout.EVENTS))
    assert state.opened is not None
    assert golden.parent.name == f"format_{state.opened.format}"


def test_a_log_is_replayed_by_its_own_brain_without_a_refit(
    copy: Path, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a replay fits nothing")

    monkeypatch.setattr(Believer, "believe", refuse)
    before = contents(copy)
    setup, state = open_folder(copy)
    brain = setup.new_brain()
    store = LocalStore(copy)
    controller = open_run(store, layout.EVENTS, brain, setup.opened(), only_look=True)
    assert [dict(t.params) for t in state.trials.values()] == expected["params"]
    assert [dict(t.params) for t in controller.state.trials.values()] == expected["params"]
    assert len(brain.state()["trials"]) == len(expected["params"])
    assert contents(copy) == before


def test_status_says_what_it_said_then(copy: Path, expected: dict[str, Any]) -> None:
    result = CliRunner().invoke(main, ["status", str(copy), "--json"])
    assert result.exit_code == 0, result.output
    assert missing(expected["status"], json.loads(result.stdout)) == []


def test_a_redrawn_folder_means_the_same(copy: Path, expected: dict[str, Any]) -> None:
    specs = {path.name: Document.load(path).plain() for path in copy.glob("recommendation_*")}
    before = contents(copy)
    redraw(open_folder(copy)[0])
    after = contents(copy)
    assert len(specs) >= len(expected["params"]) - 1  # a killed driver may owe the last one
    for name, spec in specs.items():
        assert Document.load(copy / name).plain() == spec
    controller = json.loads(after[layout.CONTROLLER])
    assert missing(expected["status"]["controller"], controller) == []
    kept = [name for name in before if name == layout.EVENTS or name.startswith("best_model/")]
    assert {name: before[name] for name in kept} == {name: after.get(name) for name in kept}


@pytest.mark.parametrize(
    "left", [f for f in FOLDERS if f.name == "loop"], ids=lambda f: f.parent.name
)
def test_a_loop_that_was_left_goes_on_to_its_end(left: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(left / "run", tmp_path / "run")
    setup, before = open_folder(copy)
    loop = Loop(setup)
    while (trial := loop.ask()) is not None:
        for epoch in trial.epochs:
            loop.tell(trial, epoch / 10)
    state = open_folder(copy)[1]
    assert state.finished is not None
    assert state.finished.status == "Done"
    assert len(state.trials) == 12
    for number, known in before.trials.items():
        now = state.trials[number]
        assert now.params == known.params
        assert {epoch: now.history[epoch] for epoch in known.history} == known.history


def test_a_difference_is_noticed_and_an_addition_is_none() -> None:
    told = {"best": 0.5, "trials": [{"id": 0}, {"id": 1}]}
    assert missing(told, {**told, "owner": None, "trials": [{"id": 0, "new": 1}, {"id": 1}]}) == []
    assert missing(told, {**told, "best": 0.4}) == [".best: 0.5 -> 0.4"]
    assert missing(told, {"trials": told["trials"]}) == [".best is gone"]
    assert missing(told, {**told, "trials": [{"id": 0}, {"id": 2}]}) == [".trials[1].id: 1 -> 2"]
    assert len(missing(told, {**told, "trials": [{"id": 0}]})) == 1


def test_the_killed_run_stands_in_the_middle_with_a_torn_line() -> None:
    for folder in (f for f in FOLDERS if f.name == "bayesian_killed"):
        log = (folder / "run" / layout.EVENTS).read_bytes()
        assert not log.endswith(b"\n")
        events = [r.event for r in read_log(LocalStore(folder / "run"), layout.EVENTS)]
        assert sum(isinstance(e, Started) for e in events) < 6
        assert any(isinstance(e, Reported) for e in events)
