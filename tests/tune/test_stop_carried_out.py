"""A stop that a driver did not live to carry out is carried out by the next; here without Ray."""

from __future__ import annotations

from pathlib import Path

import pytest

from raytao.cluster.elastic import Elastic
from raytao.runs.eta import Remaining
from raytao.runs.events import Event, Stopped
from raytao.runs.opening import open_run
from raytao.runs.state import RunState
from raytao.runs.store import LocalStore
from raytao.setup.changes import enter
from raytao.setup.folder import claim, read_state
from raytao.setup.resolve import resolve
from raytao.tao import layout
from raytao.tune.interrupts import Interrupts
from raytao.tune.launch import _run


class Opened(BaseException):
    """The run is open, and nothing was given to Ray."""


class Gone:
    """Whoever watches ends the process as soon as the run is open."""

    def connected(self, found: str) -> None:
        raise Opened

    def event(self, event: Event, state: RunState) -> None:
        pass

    def step(self, state: RunState, left: Remaining) -> None:
        pass


def say(line: str) -> None:
    """Say nothing."""


class OneSlot(Elastic):
    """Room for one trial, whatever there is."""

    def __init__(self) -> None:
        super().__init__([], None, None, say)

    def slots(self, *, busy: int | None = None) -> int:
        del busy
        return 1


@pytest.mark.parametrize("go_on", [False, True], ids=["auto", "resume"])
@pytest.mark.parametrize("cancel", [False, True], ids=["stop", "cancel"])
def test_a_driver_ends_the_run_that_was_stopped_before_it_or_goes_on_as_it_is_told(
    cancel: bool, go_on: bool, tmp_path: Path
) -> None:
    run = tmp_path / "toy.yaml"
    run.write_text("network: toy\n")
    setup = resolve(str(run), [f"results_dir={tmp_path / 'results'}"])
    assert isinstance(setup.results, Path)
    setup.results.mkdir()
    store = LocalStore(setup.results)
    first = open_run(store, layout.EVENTS, setup.new_brain(), enter(setup, RunState()).opened)
    first.stop("by request", cancel=cancel)
    entry = enter(setup, read_state(setup.results), go_on=go_on)
    with claim(setup.results) as ownership, pytest.raises(Opened):
        _run(setup, entry, ownership, OneSlot(), "", Gone(), Interrupts(say), say)
    expected = None if go_on else Stopped("by request", cancel=cancel)
    assert read_state(setup.results).stopped == expected
