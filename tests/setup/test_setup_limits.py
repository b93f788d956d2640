"""Run files, arguments and names that nobody could have meant are refused, and at once."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from raytao import catalog
from raytao.errors import DamagedRun, SettingsError, UserError, did_you_mean
from raytao.networks.base import Network
from raytao.runs.events import to_json
from raytao.setup.reopen import reopen
from raytao.setup.resolve import resolve, resolve_values
from raytao.setup.schedule import forecast
from raytao.setup.setup import Setup

TOY = "network: toy\n"


def resolved(folder: Path, text: str | bytes, *assignments: str) -> Setup:
    path = folder / "run.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    begun = time.process_time()
    try:
        return resolve(str(path), assignments)
    finally:
        assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a: 1\n" * 20_000_000, "100,000,000 bytes"),
        (TOY.encode("utf-16"), "run.yaml: the file is UTF-16"),
        (b"network: \xe9\n", "run.yaml:1:10: byte 0xe9 is not UTF-8"),
        (b"", "run.yaml: the file is empty"),
        ("- toy\n", "run.yaml:1:1: the file holds a list"),
        (TOY + "slots: 0x" + "f" * 5000, "run.yaml:2:8: 0xffff"),
        (TOY + "resources: {gpus: .inf}", "run.yaml:2:19: .inf is not finite"),
        (TOY + "search: {ranges: {model.x: {valid_min: .nan}}}", "run.yaml:2:40: .nan"),
        (TOY + "set: 5", "'set' must be a mapping"),
        (TOY + "spec: " + "x" * 300, "not found"),
        (TOY + 'spec: "a\\0b"', "not found"),
        ("network: ..:x", "this names nothing in a module"),
        ("network: '" + "a." * 5000 + "b:c'", "cannot be loaded"),
        ("network: '" + "toy" * 50_000 + "'", "unknown network"),
        (TOY + 'results_dir: "a\\0b"', "must not hold the character U+0000"),
        (TOY + 'results_dir: "a\\nb"', "must not hold the character U+000A"),
        (TOY + "results_dir: -rf", "write ./ before it"),
        (TOY + "results_dir: a/" + "é" * 200, "is too long"),
        (TOY + "results_dir: " + "a/" * 2000, "is too long"),
        (TOY + "brain: {name: hyperband, R: 1000000000, nu: 2}", "R=1000000000 is larger"),
    ],
)
def test_a_run_file_without_sense_is_refused_in_a_sentence(
    text: str | bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        resolved(tmp_path, text, "model.x=0.25")
    assert message in str(caught.value)
    assert "run.yaml" in str(caught.value)


@pytest.mark.parametrize(
    "brain",
    [
        "{name: bayesian, max_recommendations: 1000000000000, initial_points: 1000000000000}",
        "{name: random, max_recommendations: 1000000000000}",
        "{name: hyperband, R: 1000000, nu: 2}",
        "{name: hyperband, epoch_multiplier: 1000000000000}",
    ],
)
def test_a_plan_of_any_length_costs_nothing_to_make(brain: str, tmp_path: Path) -> None:
    setup = resolved(tmp_path, f"{TOY}brain: {brain}\nset: {{train.num_epochs: 1000000000}}\n")
    begun = time.process_time()
    assert forecast(setup).plan.epochs > 10**8
    json.dumps(to_json(setup.opened()), allow_nan=False)
    assert time.process_time() - begun < 1
    assert setup.new_brain().suggest(0)


def test_a_name_that_no_file_can_have_is_no_run_file(tmp_path: Path) -> None:
    for name in ("x" * 300, "a\0b", "x/" * 3000, "", "\udcff"):
        with pytest.raises(SettingsError, match=r"no run file|is a folder"):
            resolve(name)


def test_a_module_that_is_broken_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "torn_plugin.py").write_text("class Net(:\n")
    with pytest.raises(SettingsError, match=r"network 'torn_plugin:Net' cannot be loaded"):
        catalog.load("raytao.networks", "torn_plugin:Net", kind="network", base=Network)


def test_a_name_of_any_length_is_compared_in_no_time() -> None:
    begun = time.process_time()
    assert did_you_mean("x" * 1_000_000, ["metric", "seed"]) == "known: metric, seed"
    assert did_you_mean("metrc", ["metric", "seed"]) == "did you mean 'metric'?"
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    "change",
    [
        {"settings": None},
        {"settings": {}},
        {"settings": {"network": 5}},
        {"spec": None},
        {"spec": {"text": 5, "format": "yaml"}},
        {"identity": None},
        {"identity": {"space": None}},
        {"function": 5},
        {"function": {"name": "f"}},
    ],
)
def test_a_record_that_describes_no_setup_is_damage(
    change: dict[str, Any], tmp_path: Path
) -> None:
    opened = resolved(tmp_path, TOY).opened()
    assert reopen(opened, tmp_path).settings.network == "toy"
    with pytest.raises((DamagedRun, UserError)):
        reopen(replace(opened, setup={**opened.setup, **change}), tmp_path)
    with pytest.raises(DamagedRun, match="describes no setup"):
        reopen(replace(opened, setup=None), tmp_path)
    with pytest.raises(DamagedRun, match="describes no setup"):
        reopen(replace(opened, direction="sideways"), tmp_path)


def test_a_spec_that_could_not_be_read_back_from_the_log_is_refused() -> None:
    """A program may hand over what no file could hold."""
    with pytest.raises(UserError, match="more than 10,000 values"):
        resolve_values(
            {"network": "image_classification"}, caller="here", spec={"results_dir": [1] * 20_000}
        )
