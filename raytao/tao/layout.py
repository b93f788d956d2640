"""Every path name of a results folder, written once.

    results/
    ├── automl_metadata.json  brain.json  controller.json  current_rec.json     TAO's drawings
    ├── recommendation_0.yaml …             the entire train spec of every recommendation
    ├── experiment_0/ …                     log.txt, status.json, raytao.json, weights/; trainer/:
    │                                       what an external trainer left
    ├── best_model/                         recommendation_n.yaml, log.txt, status.json, weights/
    ├── report.html  exported/              by `raytao report` and `raytao export-model`
    ├── mlflow.db  mlflow_artifacts/        with `tracking: mlflow` and no server
    ├── tensorboard/                        with `tracking: tensorboard`
    ├── .owner/  .request.json              who drives the run, and what is asked of it
    └── events.jsonl                        the truth; all but experiment_n/ is drawn from it

Names and meaning: TAO 5.x's job folder (its documentation, "Resultant Files").
"""

from __future__ import annotations

from typing import Final

EVENTS: Final = "events.jsonl"
METADATA: Final = "automl_metadata.json"
BRAIN: Final = "brain.json"
CONTROLLER: Final = "controller.json"
CURRENT: Final = "current_rec.json"
BEST_MODEL: Final = "best_model"
BEST_MODEL_STAGED: Final = ".best_model.staged"
RAY_SCRATCH: Final = ".ray"
OWNER: Final = ".owner"
REQUEST: Final = ".request.json"
REPORT: Final = "report.html"
LOG: Final = "log.txt"
STATUS: Final = "status.json"
PROVENANCE: Final = "raytao.json"
WEIGHTS: Final = "weights"
WORKSPACE: Final = "trainer"
"""In an experiment's folder: what a trainer of other people's keeps for itself."""
TRAINED: Final = "train"
"""Where `raytao train -r` keeps a training of its own."""


def experiment(trial: int) -> str:
    """Folder of a trial: ``experiment_3``."""
    return f"experiment_{trial}"


def recommendation(trial: int, suffix: str = "yaml") -> str:
    """The entire train spec of a trial: ``recommendation_3.yaml``."""
    return f"recommendation_{trial}.{suffix}"


def checkpoint(epoch: int, suffix: str = ".pth") -> str:
    """Weights file of an epoch, zero-padded as TAO's: ``weights/model_epoch_007.pth``."""
    return f"{WEIGHTS}/model_epoch_{epoch:03d}{suffix}"
