"""A resumed run whose function was changed goes on, and says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import raytao
from raytao.automl.conduct import changed_function, refuse_other_paths
from raytao.errors import SettingsError
from raytao.runs.log import Record
from raytao.runs.state import RunState
from raytao.setup.setup import Setup


def before(params: Mapping[str, Any]) -> float:
    return float(params["x"])


def after(params: Mapping[str, Any]) -> float:
    return 1.0 - float(params["x"])


def setup_of(train: Callable[..., Any]) -> Setup:
    return raytao.AutoML(train=train, space={"x": (0.0, 1.0)}, metric="acc")._setup


def begun(setup: Setup) -> RunState:
    return RunState.fold([Record(0, 0.0, setup.opened())])


def test_a_function_that_was_changed_is_pointed_out() -> None:
    (note,) = changed_function(setup_of(after), begun(setup_of(before)))
    assert "after has changed since this run began" in note


def test_the_same_function_or_a_new_run_needs_no_note() -> None:
    assert changed_function(setup_of(before), begun(setup_of(before))) == []
    assert changed_function(setup_of(before), RunState()) == []


def test_a_relative_path_that_would_mean_another_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    (here / "photos").mkdir()
    monkeypatch.chdir(here)
    setup = raytao.AutoML(
        space={"x": ["photos", "plants"]}, metric="acc", spec={"x": "photos"}
    )._setup
    known = begun(setup)
    refuse_other_paths(setup, known)
    monkeypatch.chdir(there)
    with pytest.raises(SettingsError, match="x is 'photos'") as refused:
        refuse_other_paths(setup, known)
    assert f"cd {here}" in refused.value.remedy
    (here / "photos").rmdir()  # gone, or another machine: nothing to mistake it for
    refuse_other_paths(setup, known)
