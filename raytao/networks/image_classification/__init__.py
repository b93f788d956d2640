"""Image classification: small convolutional networks on small images.

It trains for real on a CPU, in seconds (digits) or minutes (fashion_mnist). This module imports
no torch: a driver can check specs and plan runs without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from raytao.errors import SpecError
from raytao.networks.base import Network, TrainContext
from raytao.networks.image_classification.architecture import checkpoint_bytes, describe
from raytao.networks.image_classification.data import check_files, kind_of, notes, shape_of
from raytao.networks.image_classification.fingerprint import fingerprint
from raytao.networks.image_classification.settings import check_weights_file, read_settings
from raytao.spec.elsewhere import trains_elsewhere
from raytao.types import Json

if TYPE_CHECKING:
    import torch

    from raytao.networks.image_classification.predictor import Predictor


class ImageClassification(Network):
    """Classifies digits, fashion_mnist or a folder of a user's own images; KPI ``val_acc``."""

    name: ClassVar[str] = "image_classification"
    distributed: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = (
        "torch",
        "torch._dynamo",  # the first optimizer of a process imports it: two seconds a trial
        "raytao.networks.image_classification.training",
    )

    def check(self, spec: Mapping[str, Json]) -> None:
        """Refuse a spec that cannot be trained.

        Raises:
            SpecError: unknown key, value outside its rule, unreadable weights file.
            DataError: the data set's files are missing, too few or too large.
        """
        settings = read_settings(spec)
        if trains_elsewhere():
            return  # the files are there, or are not, and whoever trains will say
        for key in ("pretrained_model_path", "resume_training_checkpoint_path"):
            check_weights_file(f"train.{key}", getattr(settings.train, key))
        check_files(settings.dataset)

    def check_processes(self, spec: Mapping[str, Json], processes: int) -> None:
        """Refuse a batch that has no image for each process.

        Raises:
            SpecError: naming ``dataset.batch_size``.
        """
        super().check_processes(spec, processes)
        batch = read_settings(spec).dataset.batch_size
        if batch < processes:
            raise SpecError(
                f"dataset.batch_size = {batch}: it is the batch of all {processes} processes of "
                "a trial together, and each needs an image of it",
                remedy=f"write at least {processes}, or ask for fewer processes (or GPUs) a trial",
            )

    def notes(self, spec: Mapping[str, Json]) -> tuple[str, ...]:
        """Tell what a folder of images holds and what of it is left out."""
        return () if trains_elsewhere() else notes(read_settings(spec).dataset)

    def fingerprint(self, spec: Mapping[str, Json]) -> Mapping[str, Json]:
        """Names and sizes of the data set's files, digested.

        Raises:
            DataError: as ``check``.
        """
        return fingerprint(read_settings(spec).dataset)

    def train(self, spec: Mapping[str, Json], ctx: TrainContext) -> None:
        """Report train_loss, and val_loss and val_acc where validated, after every epoch."""
        from raytao.networks.image_classification import training

        training.train(read_settings(spec), ctx)

    def evaluate(
        self, spec: Mapping[str, Json], checkpoint: bytes, *, threads: int, gpus: int
    ) -> Mapping[str, float]:
        """Return test_loss, test_acc and test_images."""
        from raytao.networks.image_classification import training

        return training.evaluate(read_settings(spec), checkpoint, threads=threads, gpus=gpus)

    def load(self, spec: Mapping[str, Json], checkpoint: bytes) -> Predictor:
        """Build the module that maps raw pixels to class probabilities; no image is read."""
        from raytao.networks.image_classification.checkpoint import Checkpoint
        from raytao.networks.image_classification.predictor import build_predictor

        return build_predictor(Checkpoint.from_bytes(checkpoint), read_settings(spec).model)

    def example(self, spec: Mapping[str, Json]) -> torch.Tensor:
        """Two synthetic images, float of shape (2, channels, side, side)."""
        from raytao.networks.image_classification.predictor import example_pixels

        return example_pixels(shape_of(read_settings(spec).dataset))

    def checkpoint_bytes(self, spec: Mapping[str, Json]) -> int:
        """Estimate from the architecture, within 5 % of the file."""
        settings = read_settings(spec)
        kind = kind_of(settings.dataset)
        architecture = describe(settings.model, kind.shape, classes=len(kind.classes))
        train = settings.train
        return checkpoint_bytes(architecture, train.optim, kind.classes, train.precision)
