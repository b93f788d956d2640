"""TAO's tables as its documents give them, in numbers and names: what ours must say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

SCHEDULE: Final = "training_config.learning_rate.soft_start_annealing_schedule"
FASTER: Final = "training_config.learning_rate.soft_start .soft_start"
DBSCAN: Final = "classwise_config.postprocessing_config.clustering_config"


@dataclass(frozen=True)
class Facts:
    """One network of TAO's.

    Args:
        epoch_key: where its spec keeps the length of a full training, and ``epochs``: how long.
        kpi: what ``metric: kpi`` means, and ``minimized``: whether less of it is better.
        enabled: names that its table searches by default, in the table's own spelling.
        eligible: how many names may be added.
        unsearched: enabled names that no default spec has a value for.
        more: names that are searched here too, and ``fewer``: eligible ones that are not here.
    """

    epoch_key: str
    epochs: int
    kpi: str
    enabled: tuple[str, ...]
    eligible: int
    minimized: bool = False
    unsearched: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    fewer: int = 0


def _schedule(*leaves: str) -> tuple[str, ...]:
    return tuple(f"{SCHEDULE}.{leaf}" for leaf in leaves)


NUM_EPOCHS: Final = "training_config.num_epochs"
MEAN_AP: Final = "mean average precision"
REGULARIZER: Final = ("training_config.regularizer.type", "training_config.regularizer.weight")
TYPE, WEIGHT = REGULARIZER
NESTEROV: Final = "training_config.optimizer.sgd.nesterov"
YOLO_V4: Final = (
    "augmentation_config.horizontal_flip",
    "augmentation_config.mosaic_prob",
    "augmentation_config.mosaic_min_ratio",
    *_schedule("max_learning_rate", "annealing"),
)

FACTS: Final[Mapping[str, Facts]] = {
    "detectnet_v2": Facts(
        NUM_EPOCHS,
        10,
        MEAN_AP,
        (
            *_schedule("min_learning_rate", "soft_start", "annealing"),
            TYPE,
            f"{DBSCAN}.dbscan_confidence_threshold",
        ),
        eligible=39,
        more=(WEIGHT,),  # blank in the table, enabled on TAO's AutoML page
    ),
    "efficientdet_tf1": Facts(
        NUM_EPOCHS,
        6,
        "AP50",
        (
            "augmentation_config.random_crop_min_scale",
            "model_config.anchor_scale",
            "training_config.l2_weight_decay",
            "training_config.learning_rate",
            "training_config.lr_warmup_init",
            "training_config.moving_average_decay",
        ),
        eligible=11,
    ),
    "faster_rcnn": Facts(NUM_EPOCHS, 120, MEAN_AP, (FASTER, *REGULARIZER), eligible=65),
    "retinanet": Facts(
        NUM_EPOCHS,
        100,
        MEAN_AP,
        (
            "augmentation_config.random_crop_min_scale",
            *_schedule("annealing", "min_learning_rate", "soft_start"),
            NESTEROV,
            WEIGHT,
        ),
        eligible=34,
    ),
    "ssd": Facts(
        NUM_EPOCHS,
        80,
        MEAN_AP,
        (
            *_schedule("min_learning_rate", "soft_start"),
            *REGULARIZER,
            "augmentation_config.random_crop_min_scale",
        ),
        eligible=27,
    ),
    "yolo_v3": Facts(
        NUM_EPOCHS,
        80,
        MEAN_AP,
        (
            "augmentation_config.output_width",
            "augmentation_config.output_height",
            *_schedule("max_learning_rate", "annealing"),
            *REGULARIZER,
            "training_config.optimizer.adam.beta2",
            "yolov3_config.freeze_blocks",
        ),
        eligible=34,
        unsearched=("yolov3_config.freeze_blocks",),
        fewer=2,  # gpus and use_amp: arguments of the trainer, eligible by a shifted cell
    ),
    "yolo_v4": Facts(NUM_EPOCHS, 80, MEAN_AP, (*YOLO_V4, *REGULARIZER), eligible=42),
    "yolo_v4_tiny": Facts(
        NUM_EPOCHS,
        80,
        MEAN_AP,
        (*YOLO_V4, WEIGHT, NESTEROV, "yolov4_config.loss_loc_weight"),
        eligible=41,
        unsearched=(NESTEROV,),
    ),
    "mask_rcnn": Facts(
        "num_epochs",
        10,
        "mask_AP",
        ("init_learning_rate", "l2_weight_decay", "momentum", "warmup_learning_rate"),
        eligible=33,
    ),
    "lprnet": Facts(
        NUM_EPOCHS,
        24,
        "validation_accuracy",
        (
            "training_config.batch_size_per_gpu",
            *_schedule("min_learning_rate", "soft_start"),
            *REGULARIZER,
        ),
        eligible=14,
    ),
    "classification_tf1": Facts(
        "train_config.n_epochs",
        80,
        "validation_accuracy",
        (
            "train_config.lr_config.step.learning_rate",
            "train_config.optimizer.sgd.lr",
            "train_config.optimizer.sgd.nesterov",
            "train_config.reg_config.type",
            "train_config.reg_config.weight_decay",
        ),
        eligible=30,
    ),
    "multitask_classification": Facts(
        NUM_EPOCHS,
        10,
        "mean accuracy",
        (
            *_schedule("min_learning_rate", "soft_start"),
            *REGULARIZER,
            "training_config.optimizer.sgd.momentum",
            NESTEROV,
        ),
        eligible=12,
    ),
    "unet": Facts(
        "training_config.epochs",
        50,
        "loss",
        (
            "model_config.model_input_height",
            "model_config.model_input_width",
            "training_config.learning_rate",
            *REGULARIZER,
            "training_config.optimizer.adam.beta1",
        ),
        eligible=20,
        minimized=True,
    ),
    "classification_pyt": Facts(
        "train.train_config.runner.max_epochs",
        25,
        "accuracy_top-1",
        ("model.head.lr_head.C", "train.train_config.optimizer.weight_decay"),
        eligible=2,
    ),
    "dino": Facts(
        "train.num_epochs",
        25,
        "val_mAP50",
        ("model.num_queries", "model.num_select", "train.optim.lr", "train.optim.momentum"),
        eligible=0,
    ),
    "segformer": Facts(
        "train.max_iters", 1000, "Mean IOU", ("train.trainer.sf_optim.lr",), eligible=0
    ),
}
"""The networks of TAO's table of results, and three of PyTorch: tables of 5.2 and 5.5."""
