"""The training loop and the test.

An epoch is a function of the state before it and of (seed, epoch): the order of the images,
their augmentation and the dropout masks are drawn from generators seeded by those two. So a
training that is interrupted after any epoch and resumed equals the uninterrupted one, bit for
bit on a CPU with the same number of threads.

Several processes train a batch together (see parallel.py): its images, their order and their
augmentation are those of one process. Dropout masks are each process's own, from (seed, epoch,
rank). Each validates a part of the images, on rank 0's batch-norm averages: no GPU is idle.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from raytao.errors import DataError, SpecError
from raytao.networks.base import TrainContext
from raytao.networks.image_classification.augment import augment
from raytao.networks.image_classification.checkpoint import (
    Checkpoint,
    load_pretrained,
    load_weights,
    restore,
)
from raytao.networks.image_classification.data import Data, load
from raytao.networks.image_classification.kinds import Kind, Statistics
from raytao.networks.image_classification.model import Normalisation, build_classifier
from raytao.networks.image_classification.optim import (
    build_optimizer,
    learning_rate,
    set_learning_rate,
)
from raytao.networks.image_classification.settings import PrecisionName, Settings
from raytao.networks.image_classification.split import Images
from raytao.networks.parallel import Group, process_group

EVAL_BATCH: Final = 1024

DTYPES: Final[Mapping[PrecisionName, torch.dtype]] = {
    "fp32": torch.float32,
    "fp64": torch.float64,
}


@dataclass(frozen=True)
class Measure:
    """Mean cross-entropy and share of correct answers over ``images`` images."""

    loss: float
    accuracy: float
    images: int


class Batches:
    """A set of images on the device, handed out as normalised batches.

    ``pixels`` is uint8 of shape (n, channels, side, side); ``batch`` answers pixels of ``dtype``,
    as raw as they are, so that 0 is the background.
    """

    def __init__(
        self,
        images: Images,
        statistics: Statistics,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.pixels = torch.from_numpy(images.pixels).to(device)
        self.labels = torch.from_numpy(images.labels).to(device)
        self.normalised = Normalisation(statistics).to(device, dtype)
        self.dtype = dtype

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Pick images and labels; ``indices`` lies on the device."""
        return self.pixels[indices].to(self.dtype), self.labels[indices]


@dataclass(frozen=True)
class Session:
    """Everything that a training holds while it runs.

    ``trained`` is ``model`` as it is called in training, by all processes together.
    """

    settings: Settings
    seed: int
    group: Group
    device: torch.device
    kind: Kind
    statistics: Statistics
    model: nn.Module
    trained: nn.Module
    optimizer: Optimizer
    scaler: GradScaler | None
    train: Batches
    val: Batches


def train(settings: Settings, ctx: TrainContext) -> None:
    """Train from ``ctx.start_epoch`` to ``ctx.stop_epoch``; see Network.train.

    Raises:
        SpecError: if a checkpoint does not fit the spec or the starting epoch.
    """
    gpu = ctx.gpus > 0
    device = torch.device("cuda", torch.cuda.current_device()) if gpu else torch.device("cpu")
    with _repeatable(device, ctx.threads), process_group(ctx, device) as group:
        _keep_to_its_share(device, ctx)
        session = _begin(settings, ctx, device, group)
        for epoch in range(ctx.start_epoch + 1, ctx.stop_epoch + 1):
            started = time.monotonic()
            train_loss = _train_epoch(session, epoch, ctx)
            if train_loss is None:
                return
            group.share_buffers(session.model)
            measure = measured(session.model, session.val, group)
            metrics = {
                "train_loss": train_loss,
                "val_loss": measure.loss,
                "val_acc": measure.accuracy,
            }
            ctx.log(_line(epoch, settings, metrics, time.monotonic() - started))
            last = epoch == ctx.stop_epoch
            due = last or epoch % settings.train.checkpoint_interval == 0
            if ctx.rank == 0 and (due or ctx.is_best(metrics)):
                ctx.save(_snapshot(session, epoch).to_bytes())
            ctx.report(epoch, metrics)


def evaluate(
    settings: Settings, checkpoint: bytes, *, threads: int, gpus: int
) -> Mapping[str, float]:
    """Measure a checkpoint on the held-out images; see Network.evaluate."""
    device = torch.device("cuda", 0) if gpus > 0 else torch.device("cpu")
    with _repeatable(device, threads):
        data = load(settings.dataset)
        state = Checkpoint.from_bytes(checkpoint)
        _check_kind(state, data.kind)
        dtype = DTYPES[settings.train.precision]
        model = build_classifier(data.kind, settings.model).to(device, dtype)
        load_weights(state, model)
        measure = measured(model, Batches(data.test, state.statistics, device, dtype))
    return {
        "test_loss": measure.loss,
        "test_acc": measure.accuracy,
        "test_images": float(measure.images),
    }


def measured(model: nn.Module, batches: Batches, group: Group | None = None) -> Measure:
    """Measure a network, each process of the group a part; it is left in evaluation mode."""
    group = group or Group()
    model.eval()
    loss, correct, device = 0.0, 0, batches.labels.device
    with torch.no_grad():
        ours = torch.arange(len(batches), device=device)[group.part(len(batches))]
        for indices in torch.split(ours, EVAL_BATCH) if len(ours) else ():
            pixels, labels = batches.batch(indices)
            logits = model(batches.normalised(pixels))
            loss += cross_entropy(logits, labels, reduction="sum").item()
            correct += int((logits.argmax(dim=1) == labels).sum().item())
    sums = group.total(torch.tensor([loss, correct], dtype=torch.float64, device=device))
    loss, right = sums.tolist()
    return Measure(loss / len(batches), right / len(batches), len(batches))


def epoch_seed(seed: int, epoch: int, rank: int = 0) -> int:
    """Derive what seeds the draws of one epoch; epoch 0 is the initialisation.

    Args:
        seed: the training's.
        epoch: the epoch.
        rank: for draws that every process makes for itself; rank 0's are those of one alone.
    """
    parts = [seed, epoch, rank] if rank else [seed, epoch]
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> 1)


def _begin(settings: Settings, ctx: TrainContext, device: torch.device, group: Group) -> Session:
    data = load(settings.dataset)
    train_images, val_images = data.parts(settings.dataset)
    dtype = DTYPES[settings.train.precision]
    torch.manual_seed(epoch_seed(ctx.seed, 0))
    model = build_classifier(data.kind, settings.model).to(device, dtype)
    if settings.train.pretrained_model_path is not None and ctx.start_epoch == 0:
        taken, total = load_pretrained(settings.train.pretrained_model_path, model)
        ctx.log(f"pretrained weights: {taken} of {total} tensors taken over")
    optimizer = build_optimizer(settings.train.optim, model.parameters())
    scaler = GradScaler("cuda") if settings.train.amp and device.type == "cuda" else None
    checkpoint = _checkpoint(settings, ctx)
    if checkpoint is not None:
        _check_unchanged(checkpoint, data)
        restore(checkpoint, model, optimizer, scaler)
    return Session(
        settings=settings,
        seed=ctx.seed,
        group=group,
        device=device,
        kind=data.kind,
        statistics=data.statistics,
        model=model,
        trained=group.wrapped(model),
        optimizer=optimizer,
        scaler=scaler,
        train=Batches(train_images, data.statistics, device, dtype),
        val=Batches(val_images, data.statistics, device, dtype),
    )


def _snapshot(session: Session, epoch: int) -> Checkpoint:
    """Take the state of a running training; the tensors are its own, so write it at once."""
    return Checkpoint(
        epoch=epoch,
        kind=session.kind,
        statistics=session.statistics,
        model=session.model.state_dict(),
        optimizer=session.optimizer.state_dict(),
        scaler={} if session.scaler is None else session.scaler.state_dict(),
    )


def _check_kind(checkpoint: Checkpoint, kind: Kind) -> None:
    """Refuse weights that were learned on images of another shape or of other classes."""
    learned = checkpoint.kind
    if learned.shape != kind.shape:
        ours, theirs = (f"{s.channels}x{s.side}x{s.side}" for s in (kind.shape, learned.shape))
        raise _other_images(f"it was learned on images of {theirs}, these are {ours}")
    if learned.classes != kind.classes:
        missing = sorted(set(learned.classes) ^ set(kind.classes))
        raise _other_images(f"it was learned on other classes; {missing[0]!r} is in one set only")


def _check_unchanged(checkpoint: Checkpoint, data: Data) -> None:
    """Refuse to go on with a training whose images are no longer the same."""
    _check_kind(checkpoint, data.kind)
    if checkpoint.statistics != data.statistics:
        raise _other_images("the images have changed since it was written: their mean differs")


def _other_images(reason: str) -> DataError:
    return DataError(
        f"dataset: the checkpoint does not fit the images: {reason}",
        remedy="bring the former images back, or begin a new run with these",
    )


def _checkpoint(settings: Settings, ctx: TrainContext) -> Checkpoint | None:
    """Read what to resume from: the caller's bytes, else the file that the spec names."""
    path = settings.train.resume_training_checkpoint_path
    if ctx.resume_from is not None:
        checkpoint = Checkpoint.from_bytes(ctx.resume_from)
    elif path is not None:
        key = f"train.resume_training_checkpoint_path = {path!r}"
        checkpoint = Checkpoint.from_bytes(Path(path).read_bytes(), source=key)
    else:
        return None
    if checkpoint.epoch != ctx.start_epoch:
        raise SpecError(
            f"the checkpoint to resume from is of epoch {checkpoint.epoch}, "
            f"but this training starts after epoch {ctx.start_epoch}",
            remedy="to start anew from its weights, use train.pretrained_model_path",
        )
    return checkpoint


def _train_epoch(session: Session, epoch: int, ctx: TrainContext) -> float | None:
    """Train one epoch and return its mean loss, or None if it was asked to stop."""
    settings, train_set, group = session.settings, session.train, session.group
    torch.manual_seed(epoch_seed(session.seed, epoch, group.rank))
    generator = torch.Generator().manual_seed(epoch_seed(session.seed, epoch))
    order = torch.randperm(len(train_set), generator=generator).to(session.device)
    batches = torch.split(order, settings.dataset.batch_size)
    total = torch.zeros((), dtype=torch.float64, device=session.device)
    session.model.train()
    for number, indices in enumerate(batches):
        if ctx.should_stop:
            return None
        progress = epoch - 1 + (number + 0.5) / len(batches)
        lr = learning_rate(
            settings.train.optim, progress=progress, horizon=settings.train.num_epochs
        )
        set_learning_rate(session.optimizer, lr)
        share = group.share(len(indices))
        pixels, labels = train_set.batch(indices[share.rows])
        pixels = augment(pixels, settings.dataset.augmentation, generator, share)
        loss = _step(session, train_set.normalised(pixels), labels, share.weight)
        total += loss.double() * share.of / group.world
    return float(group.total(total).item()) / len(train_set)


def _step(session: Session, images: Tensor, labels: Tensor, weight: float) -> Tensor:
    """Take one optimizer step and return the weighted loss before it."""
    scaler, optimizer = session.scaler, session.optimizer
    optimizer.zero_grad()
    with torch.autocast(session.device.type, torch.float16, enabled=scaler is not None):
        loss = cross_entropy(session.trained(images), labels) * weight
    if scaler is None:
        torch.autograd.backward(loss)
        _clip(session)
        optimizer.step()
    else:
        torch.autograd.backward(scaler.scale(loss))
        scaler.unscale_(optimizer)
        _clip(session)
        scaler.step(optimizer)
        scaler.update()
    return loss.detach()


def _clip(session: Session) -> None:
    limit = session.settings.train.clip_grad_norm
    if limit > 0:
        nn.utils.clip_grad_norm_(session.model.parameters(), limit)


def _keep_to_its_share(device: torch.device, ctx: TrainContext) -> None:
    """Let torch refuse memory of a GPU that belongs to the trials beside this one."""
    if device.type == "cuda":
        share = ctx.gpu_memory_share(torch.cuda.get_device_properties(device).total_memory)
        if share < 1.0:
            torch.cuda.set_per_process_memory_fraction(share, device)


@contextmanager
def _repeatable(device: torch.device, threads: int) -> Iterator[None]:
    """Use ``threads`` CPU threads, and leave torch's threads and random state as they were."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    devices = [device] if device.type == "cuda" else []
    with (
        torch.random.fork_rng(devices),
        torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True),
    ):
        try:
            yield
        finally:
            torch.set_num_threads(before)


def _line(epoch: int, settings: Settings, metrics: Mapping[str, float], seconds: float) -> str:
    values = " ".join(
        f"{name}={value:.4f}" if math.isfinite(value) else f"{name}={value}"
        for name, value in metrics.items()
    )
    return f"epoch {epoch}/{settings.train.num_epochs} {values} ({seconds:.1f} s)"
