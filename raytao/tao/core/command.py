"""How nvidia-tao-core's service has a network trained, as a ``command`` block.

Told by the package: the entry point (``<schema> train``, with the spec and a results folder),
the image, the spec keys of epochs and of the checkpoint to resume from, where status lines go,
and how the epoch stands in a checkpoint's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from raytao.networks.command import CommandSettings
from raytao.networks.command.settings import Status
from raytao.tao.core.package import CoreNetwork

_IMAGES: Final = {
    "TAO_PYTORCH": "nvcr.io/nvidia/tao/tao-toolkit:6.0.0-pyt",
    "VILA": "nvcr.io/nvidia/tao/tao-toolkit:6.0.0-vila",
    "COSMOS_RL": "nvcr.io/ea-tlt/tao_ea/cosmos_rl:latest",
}
"""The package's own default images, by its names of them."""

_RESUMED: Final = "resume_model"
"""What the package calls the checkpoint to go on from."""

_HYDRA: Final = "TAO_PYTORCH"
"""The image whose entry points take ``train -e spec`` and ``key=value`` words."""

_COUNT_FROM_1: Final = ("bevfusion", "ml_recog")
"""Networks whose status lines count epochs from 1; the other PyTorch ones count from 0."""

_CHECKPOINTS: Final = {"bevfusion": "*_{epoch}.pth", "pointpillars": "*.pth"}
"""Networks whose checkpoints carry an epoch without leading zeros, or another one."""

_OPTIONS: Final = (
    "the package tells the entry point, and not how its words are written: -e and key=value are "
    "those of TAO's launcher, which begins the line with 'tao model'"
)
_STARTED: Final = "a run has to say how it is started (command: …)"
_LATE: Final = (
    "its checkpoints are numbered one higher than its status lines: the newest of them counts"
)


def command_of(
    network: CoreNetwork, epoch_key: str
) -> tuple[CommandSettings | None, tuple[str, ...]]:
    """The command, None where the package tells too little, and what it does not tell."""
    image = str(network.told("api_params", "image") or "")
    if not image:
        return None, (f"the package tells no entry point of it: {_STARTED}",)
    if image != _HYDRA:
        name = _IMAGES.get(image, image)
        return None, (f"the trainer in image {name} takes no 'train -e spec': {_STARTED}",)
    resume = _resume_key(network)
    settings = CommandSettings(
        train=f"{network.schema} train -e {{spec}} results_dir={{results_dir}}"
        + f" {epoch_key}={{epochs}}"
        + (" {resume_args}" if resume else ""),
        resume_args=f"{resume}={{checkpoint}}" if resume else "",
        status=Status(file="{results_dir}/train/status.json", format="tao_jsonl"),
        first_epoch=1 if network.name in _COUNT_FROM_1 else 0,
        checkpoint="{results_dir}/**/" + _CHECKPOINTS.get(network.name, "*epoch_{epoch:03d}*.pth"),
        image=_IMAGES[_HYDRA],
    )
    late = (_LATE,) if network.name == "pointpillars" else ()
    return settings, (_OPTIONS, *late)


def _resume_key(network: CoreNetwork) -> str:
    """The spec key that names the checkpoint to go on from; blank if there is none."""
    told = network.told("spec_params", "train")
    named = told.items() if isinstance(told, Mapping) else ()
    return next((key for key, role in named if role == _RESUMED), "")
