"""The trained module: raw pixels in, probabilities out, the same wherever it is loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from trainers import NETWORK, Recorder, trained

from raytao.errors import SpecError
from raytao.networks.image_classification.data import load
from raytao.networks.image_classification.kinds import (
    DIGITS,
    DIGITS_STATISTICS,
    FASHION_MNIST,
    Kind,
    Shape,
    Statistics,
)
from raytao.networks.image_classification.model import build_classifier
from raytao.networks.image_classification.predictor import Predictor, example_pixels
from raytao.networks.image_classification.settings import (
    BackboneName,
    DatasetSection,
    ModelSection,
)

SPEC: dict[str, Any] = {"train": {"num_epochs": 2, "optim": {"lr": 0.01}}}
RGB = Kind(Shape(channels=3, side=12, white=255), classes=("cat", "dog, wet", "猫"))
STATISTICS = {
    DIGITS: DIGITS_STATISTICS,
    RGB: Statistics(mean=(90.0, 100.0, 110.0), std=(50.0, 60.0, 70.0)),
}


@pytest.fixture(scope="module")
def checkpoint() -> bytes:
    return trained(SPEC, Recorder(stop_epoch=2)).checkpoints[2]


def untrained(kind: Kind, backbone: BackboneName) -> Predictor:
    torch.manual_seed(3)
    model = ModelSection(width=4, depth=3, backbone=backbone)
    return Predictor(build_classifier(kind, model), kind, STATISTICS[kind]).eval()


def random_pixels(kind: Kind, n: int) -> torch.Tensor:
    shape = kind.shape
    size = (n, shape.channels, shape.side, shape.side)
    return torch.randint(0, shape.white + 1, size, generator=torch.Generator().manual_seed(n))


FRESH_PROCESS = """
import json, sys
from pathlib import Path
import torch
from raytao.networks.image_classification import ImageClassification
from raytao.networks.image_classification.data import load
from raytao.networks.image_classification.settings import DatasetSection

spec, path = json.loads(sys.argv[1]), Path(sys.argv[2])
module = ImageClassification().load(spec, path.read_bytes())
test = load(DatasetSection()).test
with torch.no_grad():
    answers = module(torch.from_numpy(test.pixels)).argmax(dim=1).numpy()
print(json.dumps([module.classes, module.training, float((answers == test.labels).mean())]))
"""


@pytest.mark.timeout(60)
def test_a_module_loaded_in_a_fresh_process_has_the_accuracy_that_evaluate_reports(
    checkpoint: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "trained.pth"
    path.write_bytes(checkpoint)
    command = [sys.executable, "-c", FRESH_PROCESS, json.dumps(SPEC), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    expected = NETWORK.evaluate(SPEC, checkpoint, threads=1, gpus=0)["test_acc"]
    assert expected > 0.9
    classes, training, accuracy = json.loads(done.stdout)
    assert (classes, training) == ([str(digit) for digit in range(10)], False)
    assert accuracy == pytest.approx(expected, abs=1e-9)


def test_bytes_and_floats_of_the_same_pixels_get_the_same_probabilities(checkpoint: bytes) -> None:
    module = NETWORK.load(SPEC, checkpoint)
    pixels = torch.from_numpy(load(DatasetSection()).test.pixels)
    with torch.no_grad():
        answer = module(pixels)
        assert torch.equal(answer, module(pixels.float()))
    assert answer.shape == (len(pixels), 10)
    torch.testing.assert_close(answer.sum(dim=1), torch.ones(len(pixels)))


def test_loading_leaves_the_callers_randomness_alone(checkpoint: bytes) -> None:
    before = torch.get_rng_state()
    NETWORK.load(SPEC, checkpoint)
    assert torch.equal(before, torch.get_rng_state())


def test_a_checkpoint_of_another_model_gives_no_module(checkpoint: bytes) -> None:
    with pytest.raises(SpecError, match="layers differ"):
        NETWORK.load(SPEC | {"model": {"width": 8}}, checkpoint)


@pytest.mark.parametrize(("name", "kind"), [("digits", DIGITS), ("fashion_mnist", FASHION_MNIST)])
def test_an_example_has_the_shape_and_the_scale_of_the_data_set(name: str, kind: Kind) -> None:
    pixels = NETWORK.example({"dataset": {"name": name}})
    assert pixels.shape == (2, 1, kind.shape.side, kind.shape.side)
    assert pixels.dtype == torch.float32
    assert [pixels.min().item(), pixels.max().item()] == [0, kind.shape.white]
    assert not torch.equal(pixels[0], pixels[1])


@pytest.mark.parametrize("kind", [DIGITS, RGB], ids=["grey", "rgb"])
@pytest.mark.parametrize("backbone", ["cnn", "resnet"])
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_gives_the_same_answers(backbone: BackboneName, kind: Kind) -> None:
    module = untrained(kind, backbone)
    pixels = random_pixels(kind, 5)
    traced = torch.jit.trace(module, example_pixels(kind.shape))  # type: ignore[no-untyped-call]
    scripted = torch.jit.script(module)
    with torch.no_grad():
        expected = module(pixels)
        for other in (traced, scripted):
            torch.testing.assert_close(other(pixels), expected)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", [DIGITS, RGB], ids=["grey", "rgb"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_onnx_with_a_free_batch_size_gives_the_same_answers(kind: Kind) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    module = untrained(kind, "resnet")
    batch = {0: torch.export.Dim("batch")}
    program = torch.onnx.export(
        module, (example_pixels(kind.shape),), dynamo=True, dynamic_shapes=(batch,), verbose=False
    )
    assert program is not None
    content = program.model_proto.SerializeToString()
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for n in (1, 2, 7):
        pixels = random_pixels(kind, n).float()
        (answer,) = session.run(None, {session.get_inputs()[0].name: pixels.numpy()})
        with torch.no_grad():
            np.testing.assert_allclose(answer, module(pixels).numpy(), rtol=1e-4, atol=1e-5)
