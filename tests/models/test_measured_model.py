"""A found model, loaded and measured: the run's own figures, and words for what cannot be."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from raytao.errors import DataError, FolderError, RaytaoError, SettingsError, SpecError
from raytao.models import model as models
from raytao.models.find import find
from raytao.models.model import Model, evaluate, example, gpus_here, load
from raytao.networks.base import Network, TrainContext
from raytao.runs.log import read_log
from raytao.runs.state import RunState
from raytao.runs.store import LocalStore
from raytao.spec import Document, flatten
from raytao.tao import layout
from raytao.testing.toy import curve
from raytao.types import Json

pytestmark = pytest.mark.timeout(120)  # the first test trains the run that all of them look at


def test_the_test_figures_are_the_run_s_own_to_the_last_bit(digits: Path) -> None:
    state = RunState.fold(read_log(LocalStore(digits), layout.EVENTS))
    assert state.tested is not None
    assert state.tested.metrics["test_acc"] > 0.8
    assert evaluate(find(digits)) == state.tested.metrics
    winner = layout.experiment(state.tested.trial)
    assert evaluate(find(digits / winner)) == state.tested.metrics


FRESH_PROCESS = """
import json, sys
from pathlib import Path
import torch
from sklearn.datasets import load_digits
from raytao.models.find import find
from raytao.models.model import load
from raytao.networks.image_classification.data import load as load_data
from raytao.networks.image_classification.settings import DatasetSection

module = load(find(Path(sys.argv[1])))
test = load_data(DatasetSection(name="digits")).test
with torch.no_grad():
    answers = module(torch.from_numpy(test.pixels))
right = (answers.argmax(dim=1).numpy() == test.labels).mean()
print(json.dumps([float(right), module.training, list(module.classes)]))
"""


def test_a_module_of_a_fresh_process_is_as_accurate(digits: Path) -> None:
    command = [sys.executable, "-c", FRESH_PROCESS, str(digits)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    accuracy, training, classes = json.loads(done.stdout)
    assert accuracy == pytest.approx(evaluate(find(digits))["test_acc"], abs=1e-9)
    assert (training, classes) == (False, list("0123456789"))


def test_a_module_answers_its_example_with_probabilities(digits: Path) -> None:
    model = find(digits)
    with torch.no_grad():
        answer = load(model)(example(model))
    torch.testing.assert_close(answer.sum(dim=1), torch.ones(len(answer)))


class Bomb:
    """What a weights file must never do: run something."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (exec, ("raise SystemExit('unpickled')",))


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "bomb"])
def test_a_damaged_weights_file_is_named(damage: str, digits: Path, tmp_path: Path) -> None:
    found, file = find(digits), tmp_path / "damaged.pth"
    whole = found.read()
    file.write_bytes({"cut": whole[: len(whole) // 2], "text": b"weights"}.get(damage, b""))
    if damage == "bomb":
        torch.save({"network": "image_classification", "model": Bomb()}, file)
    model = replace(found, checkpoint=file)
    for use in (load, evaluate):
        with pytest.raises(SpecError, match=rf"{file}: .*cannot be read as tensors"):
            use(model)


def test_weights_of_another_architecture_are_named(digits: Path) -> None:
    found = find(digits)
    depth = 7 - int(found.spec.get("model.depth"))
    model = replace(found, spec=found.spec.with_values({"model.depth": depth}))
    with pytest.raises(SpecError, match=rf"{found.checkpoint}: .*layers differ"):
        load(model)


def test_weights_that_vanish_are_named(digits: Path, tmp_path: Path) -> None:
    model = replace(find(digits), checkpoint=tmp_path / "gone.pth")
    with pytest.raises(FolderError, match=r"gone\.pth is missing"):
        load(model)


def test_a_missing_data_set_is_told_with_the_line_of_the_spec(digits: Path) -> None:
    found = find(digits)
    other = {"dataset.name": "fashion_mnist", "dataset.root": "/nowhere"}
    model = replace(found, spec=found.spec.with_values(other))
    with pytest.raises(DataError, match=rf"{found.spec.file}:\d+:\d+: dataset\.root"):
        evaluate(model)


def test_a_function_s_model_is_its_bytes(digits: Path) -> None:
    model = replace(find(digits), network="function")
    for use in (load, evaluate, example):
        with pytest.raises(SettingsError, match="comes from your own function") as refused:
            use(model)
        assert str(model.checkpoint) in str(refused.value)
    assert model.read()


def test_a_network_without_a_module_is_measured_but_not_loaded(
    digits: Path, tmp_path: Path
) -> None:
    (tmp_path / "toy.json").write_text('{"epoch": 3}')
    spec = Document.parse("model: {x: 0.3, y: 7, fruit: fig}", file="toy.yaml")
    after_3 = curve(flatten(spec.plain()), 3)
    model = Model("toy", spec, tmp_path / "toy.json", tmp_path)
    assert evaluate(model) == {"test_value": after_3 - 0.01}
    with pytest.raises(SettingsError, match="network 'toy' gives no module"):
        load(model)


class Strange(Network):
    """Raises what a plugin may raise."""

    name: ClassVar[str] = "strange"

    def check(self, spec: Mapping[str, Json]) -> None:
        pass

    def train(self, spec: Mapping[str, Json], ctx: TrainContext) -> None:
        pass

    def evaluate(
        self, spec: Mapping[str, Json], checkpoint: bytes, *, threads: int, gpus: int
    ) -> Mapping[str, float]:
        raise ZeroDivisionError("no images\nat all")


def test_what_a_plugin_raises_gets_words(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "network_of", lambda model: Strange())
    with pytest.raises(RaytaoError, match=r"cannot measure .*ZeroDivisionError: no images at all"):
        evaluate(find(digits))


def test_a_model_that_was_trained_on_gpus_is_measured_without_them(
    digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = find(digits)
    assert gpus_here(found) == 0
    trained = replace(found, gpus=2)
    for here, used in ((0, 0), (1, 0), (2, 2), (8, 2)):
        monkeypatch.setattr(torch.cuda, "device_count", lambda here=here: here)
        assert gpus_here(trained) == used
    monkeypatch.undo()
    if torch.cuda.device_count() == 0:
        assert evaluate(trained) == evaluate(found)
