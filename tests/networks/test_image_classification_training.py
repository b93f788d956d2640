"""Training for real on a few digits: what is reported, saved, resumed and refused."""

from __future__ import annotations

import copy
import io
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from image_folders import (
    folder_spec,
    plain_image,
    write_classes,
    write_colours,
    write_digits,
    write_image,
)
from torch.nn.functional import nll_loss
from trainers import NETWORK, Recorder, assert_same, loaded, small_spec, trained

from raytao.errors import DataError, SpecError
from raytao.networks.image_classification.architecture import describe
from raytao.networks.image_classification.data import load
from raytao.networks.image_classification.fashion_mnist import FASHION_MNIST_FOLDER
from raytao.networks.image_classification.kinds import Shape
from raytao.networks.image_classification.model import build_model
from raytao.networks.image_classification.optim import learning_rate
from raytao.networks.image_classification.settings import (
    DatasetSection,
    ModelSection,
    read_settings,
)
from raytao.networks.image_classification.training import Batches, measured

OPTIMS: list[dict[str, Any]] = [
    {"type": "sgd", "lr": 0.05, "momentum": 0.9, "lr_scheduler": "cosine"},
    {"type": "sgd", "lr": 0.05, "momentum": 0.0, "lr_scheduler": "constant", "warmup_epochs": 2},
    {"type": "adam", "lr": 0.01, "lr_scheduler": "step", "milestones": [1, 2]},
    {"type": "adamw", "lr": 0.01, "lr_scheduler": "cosine", "warmup_epochs": 1},
]


@pytest.mark.parametrize("backbone", ["cnn", "resnet"])
@pytest.mark.parametrize("optim", OPTIMS, ids=lambda o: f"{o['type']}-{o['lr_scheduler']}")
def test_a_resumed_training_equals_the_uninterrupted_one(
    optim: dict[str, Any], backbone: str
) -> None:
    spec = small_spec(
        model={"backbone": backbone},
        train={"num_epochs": 3, "optim": optim, "clip_grad_norm": 1.0},
    )
    whole = trained(spec, Recorder(stop_epoch=3))
    for epoch in (1, 2):
        torch.rand(epoch)  # a resumed process finds torch's generator elsewhere
        first = trained(spec, Recorder(stop_epoch=epoch))
        rest = Recorder(3, start_epoch=epoch, resume_from=first.checkpoints[epoch])
        trained(spec, rest)
        assert first.reports | rest.reports == whole.reports
        assert_same(loaded(rest.checkpoints[3]), loaded(whole.checkpoints[3]))


@pytest.mark.parametrize("optim", OPTIMS, ids=lambda o: f"{o['type']}-{o['lr_scheduler']}")
def test_a_training_goes_on_with_a_smaller_batch(optim: dict[str, Any]) -> None:
    """The learning rate is a function of the epoch, and the optimizer's state of the weights."""
    spec = small_spec(train={"num_epochs": 3, "optim": optim})
    smaller = small_spec(dataset={"batch_size": 16}, train={"num_epochs": 3, "optim": optim})
    first = trained(spec, Recorder(stop_epoch=2))
    rest = trained(smaller, Recorder(3, start_epoch=2, resume_from=first.checkpoints[2]))
    before, after = loaded(first.checkpoints[2]), loaded(rest.checkpoints[3])
    steps = math.ceil(images_trained_on(smaller) / 16)
    last = 2 + (steps - 0.5) / steps
    settings = read_settings(smaller).train.optim
    (group,) = after["optimizer"]["param_groups"]
    assert group["lr"] == learning_rate(settings, progress=last, horizon=3)
    for number, state in after["optimizer"]["state"].items():
        if "step" in state:
            assert state["step"] == before["optimizer"]["state"][number]["step"] + steps
    assert math.isfinite(rest.reports[3]["val_loss"])


def images_trained_on(spec: Mapping[str, Any]) -> int:
    dataset = read_settings(spec).dataset
    train, _ = load(dataset).parts(dataset)
    return len(train.labels)


def test_the_seed_decides_and_nothing_else_does() -> None:
    torch.manual_seed(1)
    first = trained(small_spec(), Recorder(stop_epoch=2))
    torch.manual_seed(2)
    same = trained(small_spec(), Recorder(stop_epoch=2))
    other = trained(small_spec(), Recorder(stop_epoch=2, seed=8))
    assert first.reports == same.reports
    assert_same(loaded(first.checkpoints[2]), loaded(same.checkpoints[2]))
    assert first.reports[1]["train_loss"] != other.reports[1]["train_loss"]


def test_a_training_leaves_the_callers_randomness_alone() -> None:
    before = torch.get_rng_state()
    trained(small_spec(), Recorder(stop_epoch=1))
    assert torch.equal(before, torch.get_rng_state())


def test_every_epoch_reports_three_metrics_and_logs_a_line() -> None:
    recorder = trained(small_spec(), Recorder(stop_epoch=3))
    assert list(recorder.reports) == [1, 2, 3]
    for metrics in recorder.reports.values():
        assert list(metrics) == ["train_loss", "val_loss", "val_acc"]
        assert all(type(value) is float for value in metrics.values())
    assert [line.split()[:2] for line in recorder.lines] == [
        ["epoch", f"{epoch}/3"] for epoch in (1, 2, 3)
    ]


class SecondIsBest(Recorder):
    """A context for which the second epoch is the best one."""

    def is_best(self, metrics: Mapping[str, float]) -> bool:
        return len(self.reports) == 1


def test_the_last_and_the_best_epoch_have_a_checkpoint_whatever_the_interval() -> None:
    spec = small_spec(train={"num_epochs": 9, "checkpoint_interval": 4})
    recorder = trained(spec, SecondIsBest(stop_epoch=6))
    assert list(recorder.checkpoints) == [2, 4, 6]
    every = trained(small_spec(), Recorder(stop_epoch=3))
    assert list(every.checkpoints) == [1, 2, 3]


@pytest.mark.parametrize("checks", [0, 1, 5, 6])
def test_an_unfinished_epoch_is_not_reported(checks: int) -> None:
    recorder = trained(small_spec(), Recorder(stop_epoch=3, stop_after_checks=checks))
    batches = 4
    assert list(recorder.reports) == list(range(1, checks // batches + 1))


def test_a_loss_that_is_no_number_is_reported_as_it_is(tmp_path: Path) -> None:
    weights = loaded(trained(small_spec(), Recorder(stop_epoch=1)).checkpoints[1])["model"]
    path = tmp_path / "broken.pth"
    torch.save({name: tensor * math.nan for name, tensor in weights.items()}, path)
    spec = small_spec(train={"pretrained_model_path": str(path)})
    recorder = trained(spec, Recorder(stop_epoch=1))
    assert math.isnan(recorder.reports[1]["train_loss"])
    assert math.isnan(recorder.reports[1]["val_loss"])
    assert "val_loss=nan" in recorder.lines[-1]


def test_pretrained_weights_are_taken_over(tmp_path: Path) -> None:
    spec = small_spec(train={"optim": {"lr": 0.03}}, dataset={"augmentation": {}})
    taught = trained(spec, Recorder(stop_epoch=3))
    path = tmp_path / "taught.pth"
    path.write_bytes(taught.checkpoints[3])
    spec["train"]["pretrained_model_path"] = str(path)
    again = trained(spec, Recorder(stop_epoch=1))
    assert again.reports[1]["train_loss"] < taught.reports[1]["train_loss"]
    assert again.lines[0] == "pretrained weights: 14 of 14 tensors taken over"
    with pytest.raises(SpecError, match="no layer in it has the shape"):
        NETWORK.train(spec | {"model": {"width": 6, "depth": 2}}, Recorder(stop_epoch=1))


def test_the_spec_may_name_the_checkpoint_to_resume(tmp_path: Path) -> None:
    whole = trained(small_spec(), Recorder(stop_epoch=2))
    path = tmp_path / "one.pth"
    path.write_bytes(whole.checkpoints[1])
    spec = small_spec(train={"num_epochs": 3, "resume_training_checkpoint_path": str(path)})
    rest = trained(spec, Recorder(stop_epoch=2, start_epoch=1))
    assert rest.reports[2] == whole.reports[2]
    with pytest.raises(SpecError, match="of epoch 1, but this training starts after epoch 0"):
        NETWORK.train(spec, Recorder(stop_epoch=2))


def test_a_checkpoint_that_does_not_fit_is_refused() -> None:
    taught = trained(small_spec(), Recorder(stop_epoch=1)).checkpoints[1]
    other_network = io.BytesIO()
    torch.save({"epoch": 1, "weights": torch.zeros(1)}, other_network)
    incomplete = io.BytesIO()
    torch.save({"network": "image_classification", "epoch": 1}, incomplete)
    lacking = r"lacks \['kind', 'model', 'optimizer', 'scaler', 'statistics'\]"
    cases: list[tuple[dict[str, Any], bytes, str]] = [
        (small_spec(), taught[: len(taught) // 2], "cannot be read"),
        (small_spec(), b"", "cannot be read"),
        (small_spec(), incomplete.getvalue(), lacking),
        (small_spec(), other_network.getvalue(), "no checkpoint of image_classification"),
        (small_spec(model={"width": 8}), taught, "layers differ"),
    ]
    for spec, checkpoint, reason in cases:
        with pytest.raises(SpecError, match=reason):
            NETWORK.train(spec, Recorder(2, start_epoch=1, resume_from=checkpoint))
        with pytest.raises(SpecError, match=reason):
            NETWORK.evaluate(spec, checkpoint, threads=1, gpus=0)


def test_digits_are_learned_and_tested_on_images_that_no_training_saw() -> None:
    spec = {"train": {"num_epochs": 4, "optim": {"lr": 0.01}}}
    recorder = trained(spec, Recorder(stop_epoch=4))
    result = NETWORK.evaluate(spec, recorder.checkpoints[4], threads=1, gpus=0)
    assert result["test_acc"] > 0.95
    assert result["test_images"] >= 450
    assert math.isfinite(result["test_loss"])
    assert result == NETWORK.evaluate(spec, recorder.checkpoints[4], threads=1, gpus=0)


def test_measuring_neither_changes_a_network_nor_depends_on_chance() -> None:
    data, section = load(DatasetSection()), ModelSection(width=4, dropout=0.8)
    model = build_model(describe(section, Shape(1, 8, 16), classes=10), section)
    before = copy.deepcopy(model.state_dict())
    batches = Batches(data.test, data.statistics, torch.device("cpu"))
    assert measured(model, batches) == measured(model, batches)
    assert_same(before, model.state_dict())


@pytest.mark.skipif(
    not FASHION_MNIST_FOLDER.is_dir(), reason=f"no Fashion-MNIST in {FASHION_MNIST_FOLDER}"
)
def test_fashion_mnist_trains_too() -> None:
    spec = {
        "dataset": {"name": "fashion_mnist", "train_fraction": 0.03, "batch_size": 32},
        "train": {"num_epochs": 1, "optim": {"lr": 0.01}},
    }
    recorder = trained(spec, Recorder(stop_epoch=1))
    assert recorder.reports[1]["val_acc"] > 0.5
    result = NETWORK.evaluate(spec, recorder.checkpoints[1], threads=1, gpus=0)
    assert result["test_images"] == 10_000


def test_a_folder_of_digits_is_learned(tmp_path: Path) -> None:
    root = write_digits(tmp_path / "digits")
    spec = folder_spec(root) | {"train": {"num_epochs": 4, "optim": {"lr": 0.01}}}
    recorder = trained(spec, Recorder(stop_epoch=4))
    assert recorder.reports[4]["val_acc"] > 0.9
    result = NETWORK.evaluate(spec, recorder.checkpoints[4], threads=1, gpus=0)
    assert result["test_acc"] > 0.9
    assert result["test_images"] == 450


def test_a_module_of_a_folder_needs_the_folder_no_more(tmp_path: Path) -> None:
    spec = folder_spec(write_colours(tmp_path / "colours", 20), image_size=12, channels=3)
    spec |= {"train": {"num_epochs": 3, "optim": {"lr": 0.03}}}
    checkpoint = trained(spec, Recorder(stop_epoch=3)).checkpoints[3]
    accuracy = NETWORK.evaluate(spec, checkpoint, threads=1, gpus=0)["test_acc"]
    test = load(read_settings(spec).dataset).test
    shutil.rmtree(tmp_path / "colours")
    module = NETWORK.load(spec, checkpoint)
    with torch.no_grad():
        answers = module(torch.from_numpy(test.pixels)).argmax(dim=1).numpy()
    assert accuracy > 0.9
    assert (answers == test.labels).mean() == pytest.approx(accuracy)
    assert module.classes == ("blue", "green", "red")
    assert (module.side, module.channels) == (12, 3)


def test_a_resumed_training_on_a_folder_equals_the_uninterrupted_one(tmp_path: Path) -> None:
    dataset = {"image_size": 12, "channels": 3, "batch_size": 8}
    spec = small_spec() | folder_spec(write_colours(tmp_path, 12), **dataset)
    spec["dataset"]["augmentation"] = small_spec()["dataset"]["augmentation"]
    whole = trained(spec, Recorder(stop_epoch=3))
    first = trained(spec, Recorder(stop_epoch=1))
    rest = trained(spec, Recorder(3, start_epoch=1, resume_from=first.checkpoints[1]))
    assert first.reports | rest.reports == whole.reports
    assert_same(loaded(rest.checkpoints[3]), loaded(whole.checkpoints[3]))


def test_a_checkpoint_is_tested_but_not_trained_on_other_images(tmp_path: Path) -> None:
    root = write_classes(tmp_path, {"cat": 6, "dog": 6})
    spec = small_spec() | folder_spec(root)
    checkpoint = trained(spec, Recorder(stop_epoch=1)).checkpoints[1]
    resumed = Recorder(2, start_epoch=1, resume_from=checkpoint)
    write_image(root / "cat" / "new.png", plain_image(99))
    write_image(root / "cat" / "newer.png", plain_image(98))
    with pytest.raises(DataError, match="images have changed since it was written"):
        NETWORK.train(spec, resumed)
    test = load(read_settings(spec).dataset).test
    result = NETWORK.evaluate(spec, checkpoint, threads=1, gpus=0)
    with torch.no_grad():
        probabilities = NETWORK.load(spec, checkpoint)(torch.from_numpy(test.pixels))
    loss = nll_loss(probabilities.log(), torch.from_numpy(test.labels)).item()
    assert result["test_loss"] == pytest.approx(loss, rel=1e-5)
    small = folder_spec(root, image_size=9)
    with pytest.raises(DataError, match="learned on images of 1x8x8, these are 1x9x9"):
        NETWORK.evaluate(spec | small, checkpoint, threads=1, gpus=0)
    write_classes(root, {"cow": 3})
    with pytest.raises(DataError, match="'cow' is in one set only") as refused:
        NETWORK.evaluate(spec, checkpoint, threads=1, gpus=0)
    assert "bring the former images back" in refused.value.remedy


@pytest.mark.parametrize("length", [1, 200])
def test_a_folders_checkpoint_has_the_size_foretold(length: int, tmp_path: Path) -> None:
    names = [f"{index:02}{'x' * length}" for index in range(40)]
    spec = folder_spec(write_classes(tmp_path, dict.fromkeys(names, 3)), channels=3)
    spec["model"] = {"width": 4, "depth": 2}
    real = len(trained(spec, Recorder(stop_epoch=1)).checkpoints[1])
    assert NETWORK.checkpoint_bytes(spec) == pytest.approx(real, rel=0.05)


@pytest.mark.parametrize("kind", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize(
    "model",
    [
        {"width": 4, "depth": 2},
        {"width": 16, "depth": 3},
        {"width": 8, "depth": 6, "kernel_size": 5},
        {"backbone": "resnet", "width": 4, "depth": 2},
        {"backbone": "resnet", "width": 16, "depth": 4},
    ],
)
def test_a_checkpoint_has_the_size_foretold(model: dict[str, Any], kind: str) -> None:
    for momentum in (0.0, 0.9) if kind == "sgd" else (0.9,):
        optim = {"type": kind, "momentum": momentum}
        spec = small_spec(train={"optim": optim}) | {"model": model}
        real = len(trained(spec, Recorder(stop_epoch=1)).checkpoints[1])
        assert NETWORK.checkpoint_bytes(spec) == pytest.approx(real, rel=0.05)


@pytest.mark.gpu
@pytest.mark.parametrize("amp", [False, True])
def test_a_gpu_trains_resumes_and_tests(amp: bool) -> None:
    spec = {"train": {"num_epochs": 4, "num_gpus": 1, "amp": amp, "optim": {"lr": 0.01}}}
    first = trained(spec, Recorder(stop_epoch=2, gpus=1))
    assert bool(loaded(first.checkpoints[2])["scaler"]) is amp
    rest = Recorder(4, start_epoch=2, resume_from=first.checkpoints[2], gpus=1)
    trained(spec, rest)
    result = NETWORK.evaluate(spec, rest.checkpoints[4], threads=1, gpus=1)
    assert result["test_acc"] > 0.95
