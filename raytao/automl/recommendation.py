"""One recommendation of a run, as a notebook looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raytao.errors import FolderError
from raytao.models.export import export
from raytao.models.find import find
from raytao.models.model import Model, evaluate, load
from raytao.report.markup import cut, html_table
from raytao.report.words import number
from raytao.runs.place import Place, place_of
from raytao.types import Json, ParamValue

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Recommendation:
    """A configuration and what came of it; epochs count from 1.

    Args:
        number: TAO's id: 0, 1, 2, …; 0 is the user's own spec.
        params: the searched values.
        metric: the metric's name.
        value: the metric at the best epoch, as the user knows it.
        epoch: the best epoch.
        epochs_trained: how long it was trained in all.
        why: why it was proposed, and why it was granted more.
        spec: the entire train spec.
        place: where its model lies: ``best_model/`` or ``experiment_n/``.
        checkpoint: its weights file at the best epoch, if that was kept.
    """

    number: int
    params: Mapping[str, ParamValue]
    metric: str
    value: float
    epoch: int
    epochs_trained: int
    why: tuple[str, ...]
    spec: Mapping[str, Json]
    place: Place
    checkpoint: Place | None

    def load(self) -> torch.nn.Module:
        """The trained module on the CPU, in evaluation mode; see `Network.load`.

        Raises:
            UserError: if no weights were kept, or the network has no module to give.
        """
        return load(self._model())

    def evaluate(self, *, threads: int | None = None, gpus: int | None = None) -> dict[str, float]:
        """Measure it on the test set, in this process.

        Args:
            threads: CPU threads; by default as many as it was trained on.
            gpus: by default as many as it was trained on, if this machine has them.

        Raises:
            UserError: see `load`.
        """
        return evaluate(self._model(), threads=threads, gpus=gpus)

    def export(
        self, format: str = "torchscript", to: Place | str | None = None, *, force: bool = False
    ) -> Place:
        """Write the module as one file that runs without raytao, compared number by number.

        Args:
            format: ``torchscript`` or ``onnx``.
            to: the file; without it, ``exported/`` in the results folder.
            force: whether a file that is there is replaced.

        Raises:
            UserError: see `load`; also if the file exists, or the check fails.
        """
        return export(
            self._model(), format, None if to is None else place_of(to), force=force
        ).path

    def _model(self) -> Model:
        """The very weights that this recommendation tells of, or an error: never others."""
        if self.checkpoint is None:
            raise FolderError(
                f"no weights of recommendation {self.number} at epoch {self.epoch} were kept",
                remedy="run.best has them, if the trainer saves any (ctx.save before ctx.report); "
                "all have with delete_intermediate_checkpoints=False",
            )
        model = find(self.place, checkpoint=self.checkpoint)
        if model.trial != self.number:
            raise FolderError(
                f"{self.place} holds recommendation {model.trial} by now, not {self.number}",
                remedy="ask for run.best again",
            )
        return model

    def __repr__(self) -> str:
        return (
            f"Recommendation {self.number}: {self.metric} {number(self.value)} "
            f"at epoch {self.epoch} of {self.epochs_trained}, {dict(self.params)}"
        )

    def _repr_html_(self) -> str:
        rows = [(name, _short(value)) for name, value in self.params.items()]
        head = (
            f"<b>Recommendation {self.number}</b>: {cut(self.metric)} {number(self.value)} "
            f"at epoch {self.epoch} of {self.epochs_trained}<br>{cut(self.why[-1])}"
        )
        return f"<div>{head}{html_table(rows)}</div>"


def _short(value: ParamValue) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
