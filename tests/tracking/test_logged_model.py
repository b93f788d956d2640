"""The best model in MLflow: what another process loads answers as the module does."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from raytao.tracking.hush import hush_this_thread, switch_off
from raytao.tracking.ledger import Ledger
from raytao.tracking.logged_model import VERSIONS_TAG, Models, Winner, pack

pytestmark = [
    pytest.mark.timeout(60),  # importing MLflow and making its database takes seconds
    pytest.mark.filterwarnings(r"ignore::DeprecationWarning:mlflow(\.|$)"),
]

LOADING = """
import sys
import mlflow, numpy
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(sys.argv[2])
answer = model.predict(numpy.load(sys.argv[3]))
numpy.save(sys.argv[4], answer)
assert not any(name.startswith("raytao") for name in sys.modules)
"""


class Classifier(nn.Module):
    """Pixels in, probabilities out."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.layers(pixels / 16)
        return logits.softmax(dim=1)


class TwoAnswers(nn.Module):
    """No single tensor comes out."""

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        return pixels, pixels


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"


@pytest.fixture(scope="module")
def ledger(uri: str) -> Ledger:
    switch_off()
    hush_this_thread()
    files = Path(uri.removeprefix("sqlite:///")).parent / "files"
    return Ledger(uri, "raytao", files.as_uri(), Counter())


@pytest.fixture(scope="module")
def module() -> nn.Module:
    torch.manual_seed(0)
    return Classifier().eval()


def winner_of(ledger: Ledger, key: str) -> Winner:
    entry = ledger.make("digits", {}, 1e9)
    return Winner(entry.id, key, 3, {"lr": 0.1}, {"raytao.run": "x"})


def keep(models: Models, winner: Winner, module: nn.Module, folder: Path) -> Any:
    return models.add(winner, *pack(module, torch.rand(1, 1, 8, 8), str(folder)))


def test_another_process_gets_the_same_probabilities_without_raytao_and_without_a_pickle(
    ledger: Ledger, uri: str, module: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    models = Models(ledger, Counter(), on_server=False)
    winner = winner_of(ledger, "first/3")
    model = keep(models, winner, module, tmp_path)
    assert models.register("digits", model, winner) == "1"
    pixels = torch.rand(5, 1, 8, 8) * 16
    np.save(tmp_path / "pixels.npy", pixels.numpy())
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    files = [str(tmp_path / name) for name in ("pixels.npy", "answer.npy")]
    command = [sys.executable, "-W", "ignore", "-c", LOADING, uri, "models:/digits/1", *files]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with torch.no_grad():
        expected = module(pixels)
    assert torch.equal(torch.from_numpy(np.load(tmp_path / "answer.npy")), expected)


def test_the_signature_says_what_goes_in_and_out(
    ledger: Ledger, module: nn.Module, tmp_path: Path
) -> None:
    packed, described = pack(module, torch.rand(2, 1, 8, 8), str(tmp_path))
    signature = described.signature
    assert [(str(one.type), one.shape) for one in signature.inputs] == [("float32", (-1, 1, 8, 8))]
    assert [(str(one.type), one.shape) for one in signature.outputs] == [("float32", (-1, 3))]
    assert (packed / "input_example.json").stat().st_size < 10_000
    release = torch.__version__.partition("+")[0]
    assert f"torch=={release}" in (packed / "requirements.txt").read_text()


def test_a_model_is_kept_and_registered_once(
    ledger: Ledger, module: nn.Module, tmp_path: Path
) -> None:
    told: Counter[str] = Counter()
    models = Models(ledger, told, on_server=False)
    winner = winner_of(ledger, "second/3")
    assert models.find(winner) is None
    model = keep(models, winner, module, tmp_path)
    first = models.register("twice", model, winner)
    found = models.find(winner)
    assert found is not None
    assert found.model_id == model.model_id
    assert models.register("twice", found, winner) == first
    assert told == {"models": 1, "versions": 1}
    assert '"twice"' in found.tags[VERSIONS_TAG]
    better = Winner(winner.run_id, "second/9", 9, {}, {})
    (tmp_path / "better").mkdir()
    other = keep(models, better, module, tmp_path / "better")
    assert models.register("twice", other, better) == "2"


def test_what_an_outage_left_of_a_model_is_removed(
    ledger: Ledger, module: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = Models(ledger, Counter(), on_server=False)
    winner = winner_of(ledger, "third/3")

    def gone(model_id: str, folder: str) -> None:
        raise ConnectionError

    with monkeypatch.context() as outage:
        outage.setattr(ledger.client, "log_model_artifacts", gone)
        with pytest.raises(ConnectionError):
            keep(models, winner, module, tmp_path)
    assert models.find(winner) is None
    named = f"tags.`raytao.winner` = '{winner.key}'"
    assert list(ledger.client.search_logged_models([ledger.experiment], named)) == []


def test_a_module_with_several_answers_is_refused_before_anything_is_kept(
    ledger: Ledger, tmp_path: Path
) -> None:
    with pytest.raises(TypeError, match="answers with a tuple"):
        pack(TwoAnswers(), torch.rand(2, 3), str(tmp_path))
    assert list(tmp_path.iterdir()) == []
