"""A package like nvidia-tao-core in a few lines: data that is not NVIDIA's, in NVIDIA's form."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

PACKAGE = "nvidia_tao_core"
MISSING = "nvidia-tao-core is not installed: pip install --no-deps nvidia-tao-core==7.3.0"

_HEADER = """
from dataclasses import dataclass, field
from omegaconf import MISSING
def LEAF(kind, value, **told):
    return field(default_factory=lambda: value, metadata={
        "value_type": kind, "default_value": value, "automl_enabled": "", **told})
def SECTION(value):
    return field(default_factory=lambda: value, metadata={"value_type": "collection"})
@dataclass
class Optim:
    lr: float = LEAF("float", 0.0002, valid_min=0.0, valid_max=1.0, math_cond="> 0.0",
                     automl_enabled="TRUE", description="Rate of \\n      learning.")
    decay: float = LEAF("float", 0.0, valid_min=0.0, valid_max="inf", automl_enabled="True")
    betas: list = LEAF("list_2", [0.9, 0.999], automl_enabled="FALSE")
    nesterov: bool = LEAF("bool", "TRUE")
    step: int = LEAF("int", 10, valid_min=1, valid_max=100, math_cond="> 0")
    odd: int = LEAF("int", 3, valid_min=-1, valid_max=9, math_cond="!= 0")
@dataclass
class Train:
    num_epochs: int = LEAF("int", 12, valid_min=1, valid_max="inf")
    num_gpus: int = LEAF("int", 1, valid_min=1)
    seed: int = LEAF("int", 1234)
    weights: str = LEAF("string", MISSING)
    optim: Optim = SECTION(Optim())
@dataclass
class Model:
    width: float = LEAF("float", "1.00E+10", automl_enabled="FALSE")
    task: str = LEAF("categorical", "classify", valid_options="classify,segment")
    num_queries: int = LEAF("int", 300, valid_min=1, valid_max="inf", automl_enabled="TRUE")
    num_select: int = LEAF("int", 300, valid_min=1, valid_max=1000, automl_enabled="TRUE",
                           depends_on="model.num_queries")
    rate: float = LEAF("union", 1e-6, union_types=["float", "list"], valid_min=0.0,
                       valid_max="inf", automl_enabled="TRUE")
    secret: str = LEAF("hidden", "no row")
    told: str = ""
@dataclass
class ExperimentConfig:
    model: Model = SECTION(Model())
    train: Train = SECTION(Train())
    distill: Model = SECTION(Model())
    evaluate: Model = SECTION(Model())
"""

CONFIG: dict[str, Any] = {
    "api_params": {
        "actions": ["train", "distill", "evaluate"],
        "dataset_type": "pictures",
        "image": "TAO_PYTORCH",
        "spec_backend": "yaml",
    },
    "spec_params": {
        "train": {"results_dir": "output_dir", "train.weights": "resume_model"},
    },
    "metrics": {
        "monitoring_metric": "val_acc",
        "available_metrics": ["val_acc", "val_loss", "fid50k_full", "epoch"],
    },
}
"""What the service would know of a network."""


def package(folder: Path, schemas: Mapping[str, str], configs: Mapping[str, object]) -> None:
    """Write a package.

    Args:
        folder: where; it has to come first on the path.
        schemas: source of each schema, after classes that it may use; blank: these alone.
        configs: the service's configuration of each network.
    """
    root = folder / PACKAGE
    for place in (root, root / "config", *(root / "config" / name for name in schemas)):
        place.mkdir(parents=True)
        (place / "__init__.py").touch()
    for name, source in schemas.items():
        (root / "config" / name / "default_config.py").write_text(_HEADER + source)
    service = root / "microservices" / "handlers" / "network_configs"
    service.mkdir(parents=True)
    for name, config in configs.items():
        content = config if isinstance(config, str) else json.dumps(config)
        (service / f"{name}.config.json").write_text(content)
    metadata = folder / "nvidia_tao_core-7.3.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: nvidia-tao-core\nVersion: 7.3.0\n")


def use(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the package in a folder be the one that is installed, until the test is over."""
    forget(monkeypatch)
    monkeypatch.syspath_prepend(folder)
    schemas = [f"{PACKAGE}.config.{path.name}" for path in (folder / PACKAGE / "config").iterdir()]
    parts = [f"{schema}.default_config" for schema in schemas]
    for name in (PACKAGE, f"{PACKAGE}.config", *schemas, *parts):
        monkeypatch.setitem(sys.modules, name, None)  # so that it is deleted after the test
        del sys.modules[name]


def hide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no such package be installed."""
    forget(monkeypatch)
    monkeypatch.setitem(sys.modules, PACKAGE, None)


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the package out of the process; it comes back after the test."""
    for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
        monkeypatch.delitem(sys.modules, name)
