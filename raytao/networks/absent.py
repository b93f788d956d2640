"""A network that is not here (any more): its runs can be looked at and ended, not trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn

from raytao.errors import SettingsError
from raytao.networks.base import Network, TrainContext
from raytao.types import Json

if TYPE_CHECKING:
    import torch


class Absent(Network):
    """Stands in the place of a network that this machine, or this folder, cannot load.

    Args:
        name: the network's, as the run names it.
        why: raised by whatever needs the network itself.
        distributed: what the network said of itself when the run began.
        checkpoint_suffix: likewise.
    """

    def __init__(
        self, name: str, why: SettingsError, *, distributed: bool, checkpoint_suffix: str
    ) -> None:
        self.name = name  # type: ignore[misc]  # one class stands for every such network
        self.distributed = distributed  # type: ignore[misc]
        self.checkpoint_suffix = checkpoint_suffix
        self._why = why

    def check(self, spec: Mapping[str, Json]) -> None:
        """Refuse to train.

        Raises:
            SettingsError: always, as the following do.
        """
        self._refuse(spec)

    def train(self, spec: Mapping[str, Json], ctx: TrainContext) -> None:
        """See ``check``."""
        self._refuse(spec, ctx)

    def evaluate(
        self, spec: Mapping[str, Json], checkpoint: bytes, *, threads: int, gpus: int
    ) -> Mapping[str, float]:
        """See ``check``."""
        self._refuse(spec, checkpoint, threads, gpus)

    def load(self, spec: Mapping[str, Json], checkpoint: bytes) -> torch.nn.Module:
        """See ``check``."""
        self._refuse(spec, checkpoint)

    def _refuse(self, *_: object) -> NoReturn:
        raise self._why
