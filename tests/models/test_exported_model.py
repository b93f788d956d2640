"""Exported files answer as the module does, wherever they are read, or are not written."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from raytao.errors import FolderError, RaytaoError, SettingsError
from raytao.models import export as exporting
from raytao.models import formats
from raytao.models.export import FORMATS, TOLERANCE, export
from raytao.models.find import find
from raytao.models.formats import WRITERS
from raytao.models.model import example, load

# The first test trains the run that all of them look at; torch's ONNX exporter takes seconds.
pytestmark = pytest.mark.timeout(120)

TORCHSCRIPT = """
import json, sys, warnings
warnings.simplefilter("ignore")
import torch
kept = {"raytao.json": ""}
module = torch.jit.load(sys.argv[1], _extra_files=kept)
answers = [module(torch.tensor(batch)).tolist() for batch in json.load(sys.stdin)]
print(json.dumps([answers, json.loads(kept["raytao.json"]), "raytao" in sys.modules]))
"""
ONNX = """
import json, sys
import numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
ask = lambda batch: session.run(["output"], {"input": numpy.float32(batch)})[0].tolist()
answers = [ask(batch) for batch in json.load(sys.stdin)]
kept = session.get_modelmeta().custom_metadata_map
print(json.dumps([answers, kept, "torch" in sys.modules or "raytao" in sys.modules]))
"""
PROGRAMS = {"torchscript": TORCHSCRIPT, "onnx": ONNX}


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_answers_the_same_in_a_program_without_raytao(
    format: str, digits: Path, tmp_path: Path
) -> None:
    model = find(digits)
    done = export(model, format, tmp_path / "somewhere" / "model")
    assert done.path == tmp_path / "somewhere" / "model"
    assert 0 <= done.worst < TOLERANCE
    assert done.inputs >= 8
    module, generator = load(model), torch.Generator().manual_seed(3)
    batches = [16 * torch.rand((n, 1, 8, 8), generator=generator) for n in (1, 2, 11)]
    run = subprocess.run(
        [sys.executable, "-c", PROGRAMS[format], str(done.path)],
        input=json.dumps([batch.tolist() for batch in batches]),
        capture_output=True,
        text=True,
        check=True,
    )
    answers, kept, strangers = json.loads(run.stdout)
    assert not strangers
    with torch.no_grad():
        for batch, answer in zip(batches, answers, strict=True):
            torch.testing.assert_close(torch.tensor(answer), module(batch), atol=1e-5, rtol=0)
    plain = {key: _parsed(value) for key, value in kept.items()}
    assert plain["classes"] == list("0123456789")
    assert plain["input"] == ["batch", 1, 8, 8]
    assert (plain["recommendation"], plain["epoch"]) == (model.trial, model.epoch)
    assert (plain["metric"], plain["value"]) == ("val_acc", model.value)
    assert plain["network"] == "image_classification"


def _parsed(value: object) -> object:
    """A note as it was, from TorchScript's JSON or ONNX's strings."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def test_by_default_a_file_lies_in_the_results_folder_and_is_not_overwritten(
    digits: Path, tmp_path: Path
) -> None:
    model = replace(find(digits), home=tmp_path)
    path = export(model, "torchscript").path
    assert path == tmp_path / "exported" / "model.torchscript.pt"
    path.write_bytes(b"somebody's")
    with pytest.raises(FolderError, match="is there already\n  --force"):
        export(model, "torchscript")
    assert path.read_bytes() == b"somebody's"
    export(model, "torchscript", force=True)
    assert path.read_bytes() != b"somebody's"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_folder_is_no_file(digits: Path, tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="is a folder"):
        export(find(digits), "torchscript", tmp_path, force=True)


def test_an_unknown_format_is_refused(digits: Path) -> None:
    with pytest.raises(SettingsError, match="did you mean 'onnx'"):
        export(find(digits), "onxx")


def test_onnx_without_its_packages_tells_what_to_install(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: None if "script" in name else name)
    with pytest.raises(SettingsError, match=r"needs onnxscript\n  pip install 'raytao\[onnx\]'"):
        export(find(digits), "onnx", tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


class Wrong(nn.Module):
    """A trace of it answers otherwise: it changes with every call, or with the batch."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.calls = 0

    def forward(self, pixels: Tensor) -> Tensor:
        """Probabilities, nearly."""
        self.calls += 1
        mean = pixels.mean(dim=(1, 2, 3))[:, None]
        match self.how:
            case "drifts":
                return mean + 1e-3 * self.calls
            case "nan":
                return mean * float("nan")
            case _:
                return mean[: 2 if pixels.shape[0] > 4 else 1]


@pytest.mark.parametrize(
    ("how", "words"), [("drifts", "differ by"), ("nan", "differ by inf"), ("fixed", "answers")]
)
def test_a_file_that_answers_otherwise_is_not_written(
    how: str, words: str, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "load", lambda model: Wrong(how).eval())
    with pytest.raises(RaytaoError, match=rf"{words}.*nothing was written"):
        export(find(digits), "torchscript", tmp_path / "model.pt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("batch", [0, 1, 2])
@pytest.mark.parametrize("wrong", [0.25, float("nan")])
def test_one_wrong_number_in_any_batch_is_enough(wrong: float, batch: int) -> None:
    batches = [torch.zeros(size, 3) for size in (2, 1, 5)]

    def answer(inputs: Tensor) -> Tensor:
        found = inputs.clone()
        if len(inputs) == len(batches[batch]):
            found[-1, -1] = wrong
        return found

    worst = exporting._worst(answer, batches, batches)
    assert worst == (0.25 if wrong == 0.25 else float("inf"))


class Unexportable(nn.Module):
    """Branches on a value, which ONNX has no word for."""

    def forward(self, pixels: Tensor) -> Tensor:
        """The pixels, or not."""
        return pixels if float(pixels.sum()) > 0 else -pixels


def test_a_module_that_cannot_be_exported_gets_the_cause_and_no_file(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "load", lambda model: Unexportable().eval())
    with pytest.raises(RaytaoError, match=r"model\.onnx cannot be written: \w+: ") as refused:
        export(find(digits), "onnx", tmp_path / "model.onnx")
    assert "\n" not in str(refused.value)
    assert "\x1b" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


class Pair(nn.Module):
    """Answers with two things."""

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """The same, twice."""
        return pixels, pixels


def test_a_module_with_two_answers_is_refused(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "load", lambda model: Pair().eval())
    with pytest.raises(SettingsError, match="answers with a tuple"):
        export(find(digits), "torchscript", tmp_path / "model.pt")


def test_the_random_inputs_have_the_scale_of_the_example(digits: Path) -> None:
    shown = example(find(digits))
    batches = exporting._batches(shown)
    assert [len(batch) for batch in batches] == [len(shown), 1, 5]
    for batch in batches:
        assert batch.dtype == shown.dtype
        assert shown.min() <= batch.min() < batch.max() <= shown.max()
    whole = exporting._batches(torch.arange(256, dtype=torch.uint8).view(1, 256))
    assert {batch.dtype for batch in whole} == {torch.uint8}
    assert len(set(whole[2].flatten().tolist())) > 100


@pytest.mark.parametrize("format", FORMATS)
def test_torch_is_quiet_about_its_own_internals(format: str, digits: Path, tmp_path: Path) -> None:
    program = (sys.executable, "-W", "default", "-m", "raytao", "export-model")
    command = [*program, str(digits), "--format", format, "-o", str(tmp_path / "model")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"{tmp_path / 'model'}\n"
    model = find(digits)
    *which, compared = done.stderr.splitlines()
    assert which == [str(model), str(model.checkpoint)]
    assert "answers differ from the module's by at most" in compared


def test_every_format_has_a_writer() -> None:
    assert tuple(WRITERS) == FORMATS
