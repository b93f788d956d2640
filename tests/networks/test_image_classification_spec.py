"""What a spec may say: its rules, its shipped table, and that reading it needs no torch."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from raytao.catalog import configs
from raytao.errors import DataError, SpecError
from raytao.networks.image_classification import ImageClassification
from raytao.networks.image_classification.fashion_mnist import FASHION_MNIST_FOLDER
from raytao.networks.image_classification.settings import Settings, read_settings

FOLDER = configs() / "networks" / "image_classification"
TAO_COLUMNS = (
    "parameter,display_name,value_type,description,default_value,examples,valid_min,valid_max,"
    "valid_options,required,regex,popular,automl_enabled,math_cond,parent_param,depends_on"
)


OF_FOLDER = {"dataset.image_size", "dataset.channels"}


def spec_with(key: str, value: Any) -> dict[str, Any]:
    """A spec of defaults but for one dotted key."""
    spec: Any = value
    for name in reversed(key.split(".")):
        spec = {name: spec}
    assert isinstance(spec, dict)
    return spec


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def table() -> list[dict[str, str]]:
    with (FOLDER / "params.csv").open(newline="") as file:
        return list(csv.DictReader(file))


BROKEN_RULES: list[tuple[str, Any, str]] = [
    ("encryption_key", "secret", "should be None"),
    ("results_dir", 5, "valid string"),
    ("model.backbone", "vgg", "'cnn' or 'resnet'"),
    ("model.width", 3, "greater than or equal to 4"),
    ("model.width", 16.0, "valid integer"),
    ("model.width", True, "valid integer"),
    ("model.depth", 7, "less than or equal to 6"),
    ("model.kernel_size", 4, "3 or 5"),
    ("model.activation", "sigmoid", "'relu', 'leaky_relu' or 'silu'"),
    ("model.dropout", 0.9, "less than or equal to 0.8"),
    ("dataset", None, "must be a mapping"),
    ("dataset.name", "cifar", "'digits', 'fashion_mnist' or 'folder'"),
    ("dataset.root", 1, "valid string"),
    ("dataset.root", "photos", "digits come with scikit-learn"),
    ("dataset.image_size", 7, "greater than or equal to 8"),
    ("dataset.image_size", 32, "the images of digits have 8"),
    ("dataset.channels", 2, "1 or 3"),
    ("dataset.channels", 3, "the images of digits have 1"),
    ("dataset.train_fraction", 0.0, "greater than 0"),
    ("dataset.val_split", 0.6, "less than or equal to 0.5"),
    ("dataset.batch_size", 1, "greater than or equal to 2"),
    ("dataset.workers", 4, "should be 0"),
    ("dataset.augmentation.hflip", 1.1, "less than or equal to 1"),
    ("dataset.augmentation.translate", 0.6, "less than or equal to 0.5"),
    ("dataset.augmentation.rotate", -1, "greater than or equal to 0"),
    ("dataset.augmentation.cutout", 1.0, "less than or equal to 0.75"),
    ("train.num_epochs", 0, "greater than or equal to 1"),
    ("train.num_gpus", 2, "less than or equal to 1"),
    ("train.seed", -1, "greater than or equal to 0"),
    ("train.checkpoint_interval", 0, "greater than or equal to 1"),
    ("train.validation_interval", 2, "should be 1"),
    ("train.clip_grad_norm", -1.0, "greater than or equal to 0"),
    ("train.amp", "yes", "valid boolean"),
    ("train.optim.type", "lamb", "'sgd', 'adam' or 'adamw'"),
    ("train.optim.lr", 0.0, "greater than 0"),
    ("train.optim.lr", float("nan"), "finite"),
    ("train.optim.weight_decay", 2.0, "less than or equal to 1"),
    ("train.optim.momentum", 1.0, "less than 1"),
    ("train.optim.lr_scheduler", "poly", "'cosine', 'step' or 'constant'"),
    ("train.optim.warmup_epochs", 12, "below train.num_epochs = 12"),
    ("train.optim.milestones", [], "at least 1 item"),
    ("train.optim.milestones", [0], "greater than or equal to 1"),
    ("train.optim.milestones", [8, 8], "must increase"),
    ("export.format", "onnx", "'torchscript'"),
]


@pytest.mark.parametrize(("key", "value", "rule"), BROKEN_RULES)
def test_a_value_outside_its_rule_is_refused(key: str, value: Any, rule: str) -> None:
    with pytest.raises(SpecError) as refused:
        ImageClassification().check(spec_with(key, value))
    assert refused.value.message.startswith(f"{key} = ")
    assert rule in refused.value.message
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("key", "meant"),
    [("modle", "model"), ("train.optim.typ", "train.optim.type"), ("dataset.nam", "dataset.name")],
)
def test_an_unknown_key_is_refused_with_the_nearest_one(key: str, meant: str) -> None:
    with pytest.raises(SpecError, match=f"unknown spec key '{key}'") as refused:
        ImageClassification().check(spec_with(key, 1))
    assert refused.value.remedy == f"did you mean '{meant}'?"


@pytest.mark.parametrize(
    "key", ["train.pretrained_model_path", "train.resume_training_checkpoint_path"]
)
def test_an_unreadable_weights_file_is_refused(key: str, tmp_path: Path) -> None:
    text = tmp_path / "notes.pth"
    text.write_text("not tensors")
    for path in (text, tmp_path / "absent.pth", tmp_path):
        with pytest.raises(SpecError, match="cannot be read") as refused:
            ImageClassification().check(spec_with(key, str(path)))
        assert key in refused.value.message
        assert str(path) in refused.value.message


def test_missing_fashion_mnist_files_are_refused_with_the_command_that_brings_them(
    tmp_path: Path,
) -> None:
    spec = {"dataset": {"name": "fashion_mnist", "root": str(tmp_path)}}
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz") as refused:
        ImageClassification().check(spec)
    assert "apt-get install dataset-fashion-mnist" in refused.value.remedy
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"not gzip")
    with pytest.raises(DataError, match="is not gzipped"):
        ImageClassification().check(spec)


@pytest.mark.skipif(
    not FASHION_MNIST_FOLDER.is_dir(), reason=f"no Fashion-MNIST in {FASHION_MNIST_FOLDER}"
)
def test_installed_fashion_mnist_files_are_accepted() -> None:
    ImageClassification().check({"dataset": {"name": "fashion_mnist"}})


def test_checking_and_sizing_a_spec_imports_no_torch() -> None:
    program = (
        "import sys\n"
        "from raytao.networks.image_classification import ImageClassification\n"
        "ImageClassification().check({})\n"
        "ImageClassification().checkpoint_bytes({})\n"
        "print([name for name in ('torch', 'sklearn', 'scipy', 'ray') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_spec_table_and_rules_agree_on_every_key_and_default() -> None:
    spec = YAML(typ="safe").load((FOLDER / "spec.yaml").read_text())
    defaults = dict(leaves(Settings().model_dump()))
    assert dict(leaves(spec)) == defaults
    rows = {row["parameter"]: row["default_value"] for row in table()}
    assert list(rows) == list(defaults)
    yaml = YAML(typ="safe")
    assert {key: yaml.load(text) if text else None for key, text in rows.items()} == defaults


def test_the_table_has_the_sixteen_columns_and_every_bound_is_accepted() -> None:
    for row in table():
        assert ",".join(row) == TAO_COLUMNS
        assert row["automl_enabled"] in {"TRUE", "FALSE", ""}
        assert row["description"]
        kind = {"int": int, "ordered_int": int, "float": float}.get(row["value_type"], str)
        options = [text for text in row["valid_options"].split(",") if text]
        bounds = [text for text in (row["valid_min"], row["valid_max"]) if text not in {"", "inf"}]
        for text in options + bounds:
            spec = spec_with(row["parameter"], kind(text))
            if row["parameter"] in OF_FOLDER:
                spec["dataset"]["name"] = "folder"
            read_settings(spec)


def test_momentum_is_searched_for_sgd_only() -> None:
    rows = {row["parameter"]: row for row in table()}
    assert rows["train.optim.momentum"]["depends_on"] == "train.optim.type == sgd"
    assert rows["train.optim.type"]["parent_param"] == "TRUE"
